//! The connection whose segment came last by the short way, and what its frames have in common: in a burst, which is mostly of
//! one flow, the next frame is recognised by comparing.

use causeway_checksum::Implementation;

use super::composition::Link;
use crate::nic::{Frame, Medium, RxChecksum};
use crate::port::{SocketId, StreamIo};
use crate::socket::FourTuple;
use crate::tcp::{Ecn, PlainHeader, SeqNumber};
use crate::wire::ETHERNET_HEADER_LEN;
use crate::wire::checksum::fold;
use crate::wire::ethernet::EtherType;
use crate::wire::field::{array, be16, be32};
use crate::wire::ipv4::IPV4_HEADER_LEN;
use crate::wire::tcp::{NOP_NOP_TIMESTAMPS, TCP_HEADER_LEN, TcpFlags, Timestamps};

/// IPv4 and TCP headers without options.
const HEADERS_LEN: usize = IPV4_HEADER_LEN + TCP_HEADER_LEN;
/// The same with timestamps.
const HEADERS_LEN_TIMESTAMPS: usize = HEADERS_LEN + TIMESTAMPS_LEN;
const TIMESTAMPS_LEN: usize = 12;
/// An Ethernet header, and the version and the class of service behind it.
const HEAD_LEN: usize = ETHERNET_HEADER_LEN + 2;
/// IPv4, five words of header.
const VERSION_AND_LENGTH: u8 = 0x45;
/// Of the fragment word only "don't fragment" may be set.
const FRAGMENT_MASK: u16 = !0x4000;
/// Data offset and reserved bits.
const OFFSET_BARE: u8 = 5 << 4;
const OFFSET_TIMESTAMPS: u8 = 8 << 4;
const PROTOCOL_TCP: u8 = 6;
const ECN_CE: u8 = 0b11;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    pub(super) id: SocketId,
    /// Its Ethernet header, all zeros where the link has none, version and class of service.
    head: [u8; HEAD_LEN],
    /// Fragment word, TTL and protocol.
    middle: [u8; 4],
    /// Both addresses and both ports.
    wire: [u8; 12],
    /// The sum of the words of the IPv4 header in these. Sums here are in the machine's byte order, which is as good as any
    /// (RFC 1071 §2 (B)), and costs nothing to load.
    ip_sum: u64,
    /// Of addresses and protocol.
    pseudo_sum: u64,
}

/// What there is to know of a segment that may be next.
pub(super) struct Parsed<'a> {
    pub(super) header: PlainHeader,
    pub(super) payload: &'a [u8],
    /// The NIC, or memory, vouches for the checksum.
    pub(super) verified: bool,
    /// The TCP segment: header and payload.
    segment: &'a [u8],
}

impl Recent {
    /// Nobody.
    pub(super) const NONE: Self = Self {
        id: SocketId { index: u32::MAX, generation: u32::MAX },
        head: [0; HEAD_LEN],
        middle: [0; 4],
        wire: [0; 12],
        ip_sum: 0,
        pseudo_sum: 0,
    };

    /// What `frame` has in common with those of its connection, whose tuple, seen from here, it comes with; the connection is still to
    /// be found. `None`: it has not the shape.
    pub(super) fn of<F: Frame>(link: &Link, frame: &F) -> Option<(Self, FourTuple)> {
        let bytes = frame.segment(0);
        let mut head = [0; HEAD_LEN];
        let packet = match link.medium {
            Medium::Ip => bytes,
            Medium::Ethernet => {
                head = *bytes.first_chunk()?;
                let (ethernet, packet) = bytes.split_first_chunk::<ETHERNET_HEADER_LEN>()?;
                let to_us = array::<6, _>(ethernet, 0) == link.mac.0;
                let from_one = ethernet[6] & 1 == 0;
                if !to_us || !from_one || be16(ethernet, 12) != EtherType::IPV4.0 {
                    return None;
                }
                packet
            }
        };
        let h: &[u8; HEADERS_LEN] = packet.first_chunk()?;
        let whole = h[0] == VERSION_AND_LENGTH && be16(h, 6) & FRAGMENT_MASK == 0;
        if !whole || h[9] != PROTOCOL_TCP || h[1] & ECN_CE == ECN_CE {
            return None;
        }
        (head[HEAD_LEN - 2], head[HEAD_LEN - 1]) = (h[0], h[1]);
        let addresses = ne32(h, 12) + ne32(h, 16);
        let recent = Self {
            id: Self::NONE.id,
            head,
            middle: array(h, 6),
            wire: array(h, 12),
            ip_sum: ne16(h, 0) + ne32(h, 6) + addresses,
            pseudo_sum: addresses + u64::from(u16::from(PROTOCOL_TCP).to_be()),
        };
        let (src, dst) = (array(h, 12), array(h, 16));
        Some((recent, FourTuple::from_wire_v4(dst, be16(h, 22), src, be16(h, 20))))
    }

    /// Getter: the ECN field.
    #[inline(always)]
    pub(super) const fn ecn(&self) -> Ecn {
        Ecn::from_bits(self.head[HEAD_LEN - 1])
    }

    /// Getter: both look the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.head, self.middle, self.wire) == (other.head, other.middle, other.wire)
    }

    /// The parts of a frame that differs from those before in lengths, identification and numbers only, and whose IPv4 header is
    /// right. `None` for any other.
    #[inline(always)]
    pub(super) fn parse<'a, F: Frame>(&self, link: &Link, frame: &'a F) -> Option<Parsed<'a>> {
        let meta = frame.meta();
        if meta.vlan_tci.is_some()
            || link.vlan.is_some()
            || meta.rx_checksum == RxChecksum::Bad
            || frame.segment_count() != 1
        {
            return None;
        }
        let bytes = frame.segment(0);
        let packet = match link.medium {
            Medium::Ip => bytes,
            Medium::Ethernet => {
                let head: &[u8; HEAD_LEN] = bytes.first_chunk()?;
                if u128::from_ne_bytes(*head) != u128::from_ne_bytes(self.head) {
                    return None;
                }
                &bytes[ETHERNET_HEADER_LEN..]
            }
        };
        let h: &[u8; HEADERS_LEN] = packet.first_chunk()?;
        let differing = ne32(h, 2) + ne16(h, 10);
        if array::<2, _>(h, 0) != array::<2, _>(&self.head, HEAD_LEN - 2)
            || array::<4, _>(h, 6) != self.middle
            || array::<12, _>(h, 12) != self.wire
            || fold(self.ip_sum + differing) != 0xffff
        {
            return None;
        }
        let segment = packet.get(IPV4_HEADER_LEN..usize::from(be16(h, 2)))?;
        let (header_len, timestamps) = match h[IPV4_HEADER_LEN + 12] {
            OFFSET_BARE => (TCP_HEADER_LEN, None),
            OFFSET_TIMESTAMPS => (TCP_HEADER_LEN + TIMESTAMPS_LEN, Some(timestamps(packet)?)),
            _ => return None,
        };
        let payload = segment.get(header_len..)?;
        let header = PlainHeader {
            seq: SeqNumber(be32(h, IPV4_HEADER_LEN + 4)),
            ack: SeqNumber(be32(h, IPV4_HEADER_LEN + 8)),
            flags: TcpFlags(h[IPV4_HEADER_LEN + 13]),
            window: be16(h, IPV4_HEADER_LEN + 14),
            timestamps,
        };
        let verified = meta.rx_checksum == RxChecksum::Verified;
        Some(Parsed { header, payload, verified, segment })
    }

    /// Getter: what stores the payload at an offset of the stream, and tells whether it fits and the segment's checksum is right.
    #[inline(always)]
    pub(super) fn storing<I: StreamIo>(
        &self,
        parsed: &Parsed<'_>,
        checksum: Implementation,
    ) -> impl FnOnce(&mut I, u64) -> bool {
        move |io, offset| {
            let sum = io.rx_copy_in_sum(offset, parsed.payload, checksum);
            sum.is_ok_and(|sum| self.is_intact(parsed, sum))
        }
    }

    /// Getter: the checksum of a segment whose payload has the partial sum `sum` is right (RFC 9293 §3.1, MUST-3).
    #[inline(always)]
    pub(super) fn is_intact(&self, parsed: &Parsed<'_>, sum: u16) -> bool {
        let Some(bare) = parsed.segment.first_chunk::<TCP_HEADER_LEN>() else { return false };
        let mut words = (0..5).map(|word| ne32(bare, word * 4)).sum::<u64>();
        if let Some(Timestamps { value, echo }) = parsed.header.timestamps {
            words += u64::from(u32::from_ne_bytes(NOP_NOP_TIMESTAMPS));
            words += u64::from(value.to_be()) + u64::from(echo.to_be());
        }
        // Of a packet, so it fits.
        let len = parsed.segment.len() as u16;
        let rest = u64::from(len.to_be()) + u64::from(sum.to_be());
        fold(self.pseudo_sum + words + rest) == 0xffff
    }
}

/// The 16-bit number at `at`, in the machine's byte order.
#[inline(always)]
const fn ne16<const M: usize>(header: &[u8; M], at: usize) -> u64 {
    u16::from_ne_bytes(array(header, at)) as u64
}

/// The 32-bit number at `at`, in the machine's byte order.
#[inline(always)]
const fn ne32<const M: usize>(header: &[u8; M], at: usize) -> u64 {
    u32::from_ne_bytes(array(header, at)) as u64
}

/// The timestamps of a segment whose only option they are, arranged in the usual way.
#[inline(always)]
fn timestamps(packet: &[u8]) -> Option<Timestamps> {
    let h: &[u8; HEADERS_LEN_TIMESTAMPS] = packet.first_chunk()?;
    let usual = array::<4, _>(h, HEADERS_LEN) == NOP_NOP_TIMESTAMPS;
    let (value, echo) = (be32(h, HEADERS_LEN + 4), be32(h, HEADERS_LEN + 8));
    usual.then_some(Timestamps { value, echo })
}
