//! The short way of a received frame: the next segment of an established connection, in IPv4 without options and TCP with
//! none but timestamps. Whatever is not exactly that takes the long way (`rx`), which decides alone about drops: nothing
//! is changed before it is known that the whole segment is in order.

use super::composition::{Link, Stack};
use super::no_stream::rings;
use super::sock::Kind;
use crate::nic::{Frame, IfIndex, Medium, RxChecksum};
use crate::port::{AppPort, SocketId};
use crate::socket::FourTuple;
use crate::tcp::{PlainHeader, SeqNumber, State};
use crate::time::Instant;
use crate::wire::ETHERNET_HEADER_LEN;
use crate::wire::checksum::fold;
use crate::wire::ethernet::EtherType;
use crate::wire::field::{array, be16, be32};
use crate::wire::ipv4::IPV4_HEADER_LEN;
use crate::wire::tcp::{NOP_NOP_TIMESTAMPS, TCP_HEADER_LEN, TcpFlags, Timestamps};

/// IPv4 and TCP headers without options.
const HEADERS_LEN: usize = IPV4_HEADER_LEN + TCP_HEADER_LEN;
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
    /// Both addresses and both ports, as they stand in a packet.
    wire: [u8; 12],
    id: SocketId,
}

impl Recent {
    pub(super) const NONE: Self =
        Self { wire: [0; 12], id: SocketId { index: u32::MAX, generation: u32::MAX } };
}

/// Segments of one connection, one after the other, that have not been settled yet.
#[derive(Debug, Default)]
pub(super) struct Run {
    id: Option<SocketId>,
}

/// What there is to know of a segment that may be next.
struct Parsed<'a> {
    header: PlainHeader,
    /// Addresses and ports.
    wire: [u8; 12],
    /// The TCP segment: header and payload.
    segment: &'a [u8],
    payload: &'a [u8],
}

impl Stack {
    /// Takes `frame` if it is what comes next on its connection. False: nothing happened.
    #[inline]
    pub(super) fn handle_predicted<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        link: &Link,
        frame: &F,
        run: &mut Run,
        port: &mut P,
    ) -> bool {
        let meta = frame.meta();
        if meta.vlan_tci.is_some()
            || link.vlan.is_some()
            || meta.rx_checksum == RxChecksum::Bad
            || frame.segment_count() != 1
        {
            return false;
        }
        let verified = meta.rx_checksum == RxChecksum::Verified;
        let Some(parsed) = parse(link, frame.segment(0)) else { return false };
        let Some(id) = self.recall(&parsed.wire) else { return false };
        if run.id != Some(id) {
            self.settle_run(now, run, port);
        }
        let checksum = self.config.checksum();
        let Some(socket) = self.sockets.get_mut(id) else {
            self.recent = Recent::NONE;
            return false;
        };
        // Its addresses were judged when it was opened; they are right on its own interface.
        if socket.interface != interface || socket.stream.is_none() {
            return false;
        }
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return false };
        let Parsed { header, segment, payload, wire } = parsed;
        let payload_len = payload.len() as u32;
        if !connection.is_predicted(&header, payload_len)
            || !(verified || is_intact(&wire, segment, checksum.sum(segment)))
        {
            return false;
        }
        run.id = Some(id);
        self.stats.tcp_segments_in += 1;
        self.stats.socket_visits += 1;
        let io = &mut rings(port, socket.stream);
        connection.handle_predicted(now, &header, &[payload], payload_len, io);
        true
    }

    /// To be called before anything else happens to any socket: what the segments of a run led to is done once.
    #[inline]
    pub(super) fn settle_run<P: AppPort>(&mut self, now: Instant, run: &mut Run, port: &mut P) {
        if let Some(id) = run.id.take() {
            self.settle(now, id, Some(State::Established), port);
        }
    }

    /// The connection with these addresses and ports.
    #[inline]
    fn recall(&mut self, wire: &[u8; 12]) -> Option<SocketId> {
        if *wire == self.recent.wire {
            return Some(self.recent.id);
        }
        let (src, dst) = (array(wire, 0), array(wire, 4));
        let tuple = FourTuple::from_wire_v4(dst, be16(wire, 10), src, be16(wire, 8));
        let id = self.tcp.connection(&self.sockets, &tuple)?;
        self.recent = Recent { wire: *wire, id };
        Some(id)
    }
}

/// The parts of a frame that has the shape. `None` for any other.
#[inline(always)]
fn parse<'a>(link: &Link, bytes: &'a [u8]) -> Option<Parsed<'a>> {
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
    let total_len = usize::from(be16(h, 2));
    let whole = h[0] == VERSION_AND_LENGTH && be16(h, 6) & FRAGMENT_MASK == 0;
    if !whole || h[9] != PROTOCOL_TCP || h[1] & ECN_CE == ECN_CE || ip_sum(h) != 0xffff {
        return None;
    }
    let packet = packet.get(..total_len)?;
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
    Some(Parsed { header, wire: array(h, 12), segment: &packet[IPV4_HEADER_LEN..], payload })
}

/// The sum of the 16-bit words of an IPv4 header without options.
#[inline]
fn ip_sum(h: &[u8; HEADERS_LEN]) -> u16 {
    fold((0..5).map(|word| u64::from(be32(h, word * 4))).sum())
}

/// The checksum of a segment whose partial sum is `sum` (RFC 9293 §3.1, MUST-3).
#[inline]
fn is_intact(wire: &[u8; 12], segment: &[u8], sum: u16) -> bool {
    let addresses = u64::from(be32(wire, 0)) + u64::from(be32(wire, 4));
    let rest = u64::from(PROTOCOL_TCP) + segment.len() as u64 + u64::from(sum);
    fold(addresses + rest) == 0xffff
}
