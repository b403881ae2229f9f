//! The short way of a received frame: the next segment of an established connection, in IPv4 without options and TCP with
//! none but timestamps. Whatever is not exactly that takes the long way (`rx`), which decides alone about drops: nothing
//! is changed before it is known that the whole segment is in order.

use super::composition::{Link, Stack};
use super::no_stream::rings;
use super::sock::Kind;
use crate::nic::{Frame, IfIndex, Medium, RxChecksum};
use crate::port::{AppPort, SocketId};
use crate::socket::FourTuple;
use crate::tcp::{PlainHeader, SeqNumber};
use crate::time::Instant;
use crate::wire::ETHERNET_HEADER_LEN;
use crate::wire::checksum::fold;
use crate::wire::ethernet::EtherType;
use crate::wire::field::{array, be16, be32};
use crate::wire::ipv4::IPV4_HEADER_LEN;
use crate::wire::tcp::{NOP_NOP_TIMESTAMPS, TCP_HEADER_LEN, TcpFlags, Timestamps};

/// IPv4 and TCP headers without options.
const HEADERS_LEN: usize = IPV4_HEADER_LEN + TCP_HEADER_LEN;
/// Where the IPv4 header begins in a frame with an Ethernet header.
const HEADERS_AT: usize = ETHERNET_HEADER_LEN;
/// The same with timestamps.
const HEADERS_LEN_TIMESTAMPS: usize = HEADERS_LEN + 12;
/// IPv4, five words of header.
const VERSION_AND_LENGTH: u8 = 0x45;
/// Of the fragment word only "don't fragment" may be set.
const FRAGMENT_MASK: u16 = !0x4000;
/// Data offset and reserved bits.
const OFFSET_BARE: u8 = 5 << 4;
const OFFSET_TIMESTAMPS: u8 = 8 << 4;
const PROTOCOL_TCP: u8 = 6;
const ECN_CE: u8 = 0b11;

/// The connection of the last segment that came this way: bursts are mostly of one flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    id: SocketId,
    /// Both addresses and both ports, as they stand in a packet.
    wire: [u8; 12],
    /// What else is the same in all its segments: Ethernet header, version and class of service; fragment word, TTL, protocol.
    head: [u8; 16],
    middle: [u8; 4],
    /// The sum of the words of the IPv4 header in these.
    sum: u64,
}

impl Recent {
    pub(super) const NONE: Self = Self {
        id: SocketId { index: u32::MAX, generation: u32::MAX },
        wire: [0; 12],
        head: [0; 16],
        middle: [0; 4],
        sum: 0,
    };

    /// Of a frame that has the shape.
    fn of(id: SocketId, frame: &[u8; HEADERS_AT + HEADERS_LEN]) -> Self {
        let words = [be16(frame, 14), be16(frame, 20), be16(frame, 22)];
        let addresses = u64::from(be32(frame, 26)) + u64::from(be32(frame, 30));
        Self {
            id,
            wire: array(frame, 26),
            head: array(frame, 0),
            middle: array(frame, 20),
            sum: words.into_iter().map(u64::from).sum::<u64>() + addresses,
        }
    }

    /// Getter: the frame differs from the one before in lengths, identification and numbers only, and its IPv4 header is right.
    #[inline(always)]
    fn is_alike(&self, frame: &[u8; HEADERS_AT + HEADERS_LEN]) -> bool {
        let differing = u64::from(be16(frame, 16)) + u64::from(be32(frame, 18) >> 16);
        u128::from_ne_bytes(array(frame, 0)) == u128::from_ne_bytes(self.head)
            && array::<4, _>(frame, 20) == self.middle
            && array::<12, _>(frame, 26) == self.wire
            && fold(self.sum + differing + u64::from(be16(frame, 24))) == 0xffff
    }
}

/// What there is to know of a segment that may be next.
struct Parsed<'a> {
    header: PlainHeader,
    /// Addresses and ports.
    wire: [u8; 12],
    /// The TCP segment: header and payload.
    segment: &'a [u8],
    payload: &'a [u8],
    /// The NIC, or memory, vouches for the checksum.
    verified: bool,
    /// It looks like the one before: see [`Recent`].
    alike: bool,
}

impl Stack {
    /// Takes as many of `frames`, from the first one on, as come next on one connection; what they lead to is settled once. Returns
    /// how many: 0 means that nothing happened.
    #[inline]
    pub(super) fn take_run<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        link: &Link,
        frames: &[F],
        port: &mut P,
    ) -> usize {
        let Some(first) = frames.first().and_then(|frame| parse(link, &self.recent, frame)) else {
            return 0;
        };
        let Some(id) = self.recall(&first, frames, link) else { return 0 };
        let checksum = self.config.checksum();
        let Some(socket) = self.sockets.get_mut(id) else {
            self.recent = Recent::NONE;
            return 0;
        };
        // Its addresses were judged when it was opened; they are right on its own interface.
        if socket.interface != interface || socket.stream.is_none() {
            return 0;
        }
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return 0 };
        let mut io = rings(port, socket.stream);
        let Some(mut run) = connection.begin_run() else { return 0 };
        let wire = first.wire;
        let (mut taken, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(Parsed { header, segment, payload, verified, .. }) = next {
            let payload_len = payload.len() as u32;
            if !connection.fits(&run, &header, payload_len) {
                break;
            }
            if verified || payload.is_empty() {
                if !verified && !is_intact(&wire, segment, segment.len(), 0) {
                    break;
                }
                connection.take(&mut run, &header, &[payload], payload_len, &mut io);
            } else {
                let head = &segment[..segment.len() - payload.len()];
                let intact = |sum| is_intact(&wire, head, segment.len(), sum);
                if !connection.take_summed(&mut run, &header, payload, checksum, intact, &mut io) {
                    break;
                }
            }
            bytes += frames[taken].len();
            taken += 1;
            next = frames.get(taken).and_then(|frame| parse(link, &self.recent, frame));
            next = next.filter(|parsed| parsed.wire == wire);
        }
        if taken > 0 {
            connection.end_run(now, &run, &mut io);
            let more = !connection.is_quiet(&io);
            drop(io);
            self.stats.rx_frames += taken as u64;
            self.stats.rx_bytes += bytes as u64;
            self.stats.tcp_segments_in += taken as u64;
            self.stats.socket_visits += taken as u64;
            self.settle_predicted(now, id, more, port);
        }
        taken
    }

    /// The connection with these addresses and ports, which the first of `frames` is of.
    #[inline]
    fn recall<F: Frame>(
        &mut self,
        parsed: &Parsed<'_>,
        frames: &[F],
        link: &Link,
    ) -> Option<SocketId> {
        if parsed.alike {
            return Some(self.recent.id);
        }
        let wire = &parsed.wire;
        let id = if *wire == self.recent.wire {
            self.recent.id
        } else {
            let (src, dst) = (array(wire, 0), array(wire, 4));
            let tuple = FourTuple::from_wire_v4(dst, be16(wire, 10), src, be16(wire, 8));
            self.tcp.connection(&self.sockets, &tuple)?
        };
        let head = frames.first().and_then(|frame| frame.segment(0).first_chunk());
        self.recent = match head {
            Some(head) if link.medium == Medium::Ethernet => Recent::of(id, head),
            Some(_) | None => Recent { id, wire: *wire, ..Recent::NONE },
        };
        Some(id)
    }
}

/// The parts of a frame that has the shape. `None` for any other.
#[inline(always)]
fn parse<'a, F: Frame>(link: &Link, recent: &Recent, frame: &'a F) -> Option<Parsed<'a>> {
    let meta = frame.meta();
    if meta.vlan_tci.is_some()
        || link.vlan.is_some()
        || meta.rx_checksum == RxChecksum::Bad
        || frame.segment_count() != 1
    {
        return None;
    }
    let verified = meta.rx_checksum == RxChecksum::Verified;
    let bytes = frame.segment(0);
    if let Some(head) = bytes.first_chunk()
        && link.medium == Medium::Ethernet
        && recent.is_alike(head)
    {
        return parse_segment(&bytes[HEADERS_AT..], verified, true);
    }
    let packet = match link.medium {
        Medium::Ip => bytes,
        Medium::Ethernet => {
            let (ethernet, packet) = bytes.split_first_chunk::<ETHERNET_HEADER_LEN>()?;
            let to_us = array::<6, 14>(ethernet, 0) == link.mac.0;
            let from_one = ethernet[6] & 1 == 0;
            if !to_us || !from_one || be16(ethernet, 12) != EtherType::IPV4.0 {
                return None;
            }
            packet
        }
    };
    let h: &[u8; HEADERS_LEN] = packet.first_chunk()?;
    let whole = h[0] == VERSION_AND_LENGTH && be16(h, 6) & FRAGMENT_MASK == 0;
    if !whole || h[9] != PROTOCOL_TCP || h[1] & ECN_CE == ECN_CE || ip_sum(h) != 0xffff {
        return None;
    }
    parse_segment(packet, verified, false)
}

/// The parts of a packet whose IPv4 header has the shape.
#[inline(always)]
fn parse_segment(packet: &[u8], verified: bool, alike: bool) -> Option<Parsed<'_>> {
    let h: &[u8; HEADERS_LEN] = packet.first_chunk()?;
    let packet = packet.get(..usize::from(be16(h, 2)))?;
    let (header_len, timestamps) = match h[IPV4_HEADER_LEN + 12] {
        OFFSET_BARE => (HEADERS_LEN, None),
        OFFSET_TIMESTAMPS => {
            let h: &[u8; HEADERS_LEN_TIMESTAMPS] = packet.first_chunk()?;
            if array::<4, 52>(h, HEADERS_LEN) != NOP_NOP_TIMESTAMPS {
                return None;
            }
            let (value, echo) = (be32(h, HEADERS_LEN + 4), be32(h, HEADERS_LEN + 8));
            (HEADERS_LEN_TIMESTAMPS, Some(Timestamps { value, echo }))
        }
        _ => return None,
    };
    let payload = packet.get(header_len..)?;
    let header = PlainHeader {
        seq: SeqNumber(be32(h, IPV4_HEADER_LEN + 4)),
        ack: SeqNumber(be32(h, IPV4_HEADER_LEN + 8)),
        flags: TcpFlags(h[IPV4_HEADER_LEN + 13]),
        window: be16(h, IPV4_HEADER_LEN + 14),
        timestamps,
    };
    let segment = &packet[IPV4_HEADER_LEN..];
    Some(Parsed { header, wire: array(h, 12), segment, payload, verified, alike })
}

/// The sum of the 16-bit words of an IPv4 header without options.
#[inline]
fn ip_sum(h: &[u8; HEADERS_LEN]) -> u16 {
    fold((0..5).map(|word| u64::from(be32(h, word * 4))).sum())
}

/// The checksum of a segment of `len` bytes (RFC 9293 §3.1, MUST-3): `head` is its header, `sum` that of its payload.
#[inline]
fn is_intact(wire: &[u8; 12], head: &[u8], len: usize, sum: u16) -> bool {
    let (bare, options) = head.split_first_chunk::<TCP_HEADER_LEN>().unwrap_or((&[0; 20], &[]));
    let mut words = (0..5).map(|word| u64::from(be32(bare, word * 4))).sum::<u64>();
    if let Some(timestamps) = options.first_chunk::<12>() {
        words += (0..3).map(|word| u64::from(be32(timestamps, word * 4))).sum::<u64>();
    }
    let addresses = u64::from(be32(wire, 0)) + u64::from(be32(wire, 4));
    fold(addresses + words + u64::from(PROTOCOL_TCP) + len as u64 + u64::from(sum)) == 0xffff
}
