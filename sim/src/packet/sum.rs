//! Checksums (RFC 1071), of the judge's own making.
//!
//! A payload is summed once, in 32-bit little-endian words modulo 2^32 - 1. The 16-bit checksum follows from that, because 2^16 - 1
//! divides 2^32 - 1; and the sums of neighbouring ranges of a stream add up to the sum of both, wherever segments are cut, because
//! moving by a byte is a rotation by 8 bits.

use std::net::IpAddr;

use causeway_checksum::Implementation;

use super::{Network, Packet, Transport};

/// What became of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none, or it cannot be judged: a fragment, an unknown protocol.
    Absent,
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// UDP over IPv4 without one (RFC 768).
    Omitted,
}

/// The sum of a payload's bytes, each weighted by its place modulo four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadSum(u32);

/// All checksums of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksums {
    /// Of the IPv4 header.
    pub ip: Verdict,
    /// Of TCP, UDP or ICMP.
    pub transport: Verdict,
    /// Of the payload ([`Packet::payload`]) of TCP, and of Machnet with its header; zero for others.
    pub payload: PayloadSum,
}

impl Checksums {
    /// Getter: a receiver would believe the packet.
    #[inline]
    pub fn right(&self) -> bool {
        self.ip != Verdict::Wrong && self.transport != Verdict::Wrong
    }
}

impl PayloadSum {
    /// The sum of `bytes`.
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        let (blocks, tail) = bytes.as_chunks::<32>();
        if blocks.is_empty() {
            return Self(fold(short(tail)));
        }
        let body = Implementation::detect().vectorised(
            #[inline(always)]
            || long(blocks),
        );
        Self(fold(body.wrapping_add(short(tail))))
    }

    /// Getter: the same bytes at a place that is `places` bytes further in a stream.
    #[inline]
    pub const fn at(self, places: i64) -> Self {
        Self(self.0.rotate_left((places & 3) as u32 * 8))
    }

    /// Getter: this range and the next one together.
    #[inline]
    pub fn and(self, next: Self) -> Self {
        Self(fold(u64::from(self.0) + u64::from(next.0)))
    }

    /// Getter: what is left without `last`.
    #[inline]
    pub fn less(self, last: Self) -> Self {
        self.and(Self(!last.0))
    }

    /// Getter: zero has two forms.
    #[inline]
    pub const fn same(self, other: Self) -> bool {
        self.0 % u32::MAX == other.0 % u32::MAX
    }
}

/// A 64-bit sum of 32-bit words, modulo 2^32 - 1.
#[inline]
const fn fold(sum: u64) -> u32 {
    let once = (sum >> 32) + (sum & 0xffff_ffff);
    ((once >> 32) + (once & 0xffff_ffff)) as u32
}

/// The sum of the little-endian 32-bit words of `bytes`, zeros behind them.
#[inline(always)]
fn sum(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<32>();
    fold(long(blocks).wrapping_add(short(tail)))
}

/// As [`sum`], not folded, of whole blocks. Nothing else stands in it: so the loop is one of vectors.
#[inline(always)]
fn long(blocks: &[[u8; 32]]) -> u64 {
    let mut lanes = [0_u64; 8];
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            // No sum of a frame comes near 2^64; without a check for it the loop is one of vectors.
            *lane = lane.wrapping_add(u64::from(u32::from_le_bytes(*word)));
        }
    }
    lanes.iter().sum()
}

/// As [`sum`], not folded, of few bytes: headers and ends.
#[inline(always)]
fn short(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let all = words.iter().fold(0_u64, |all, word| all + u64::from(u32::from_le_bytes(*word)));
    let last = match *rest {
        [] => return all,
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c, ..] => [a, b, c, 0],
    };
    all + u64::from(u32::from_le_bytes(last))
}

/// Modulo 2^16 - 1, as the little-endian reading of the 16-bit one's complement sum.
#[inline]
const fn fold16(sum: u32) -> u16 {
    let once = (sum >> 16) + (sum & 0xffff);
    ((once >> 16) + (once & 0xffff)) as u16
}

/// The pseudo-header (RFC 9293 3.1, RFC 8200 8.1).
#[inline]
fn pseudo(ip: &super::Ip, len: usize) -> u64 {
    // Big-endian words, read as little-endian ones.
    let fixed =
        u64::from((len as u32).swap_bytes()) + u64::from(u32::from(ip.protocol).swap_bytes());
    let one = |address: &IpAddr| match address {
        IpAddr::V4(address) => u64::from(u32::from_le_bytes(address.octets())),
        IpAddr::V6(address) => short(&address.octets()),
    };
    fixed + one(&ip.source) + one(&ip.destination)
}

impl Packet<'_> {
    /// Getter: true when no checksum is wrong.
    pub fn checksums_right(&self) -> bool {
        self.checksums().right()
    }

    /// Getter: what can be said of the packet's checksums. Reads the whole packet.
    #[inline]
    pub fn checksums(&self) -> Checksums {
        let mut checksums = Checksums {
            ip: Verdict::Absent,
            transport: Verdict::Absent,
            payload: PayloadSum::default(),
        };
        let Network::Ip(ip, transport) = &self.network else { return checksums };
        let frame = self.frame();
        if ip.is_v4() {
            let header = frame.get(ip.at..ip.payload_at).unwrap_or_default();
            checksums.ip = judge(short(header));
        }
        // A whole packet in one piece is what IPv6 calls an atomic fragment.
        if ip.fragment.is_some_and(|fragment| fragment.offset > 0 || fragment.more) {
            return checksums;
        }
        let bytes = frame.get(ip.payload_at..ip.end).unwrap_or_default();
        match transport {
            Transport::Tcp(tcp) => {
                let (header, payload) = bytes.split_at(tcp.header_len.min(bytes.len()));
                checksums.payload = PayloadSum::of(payload);
                let all = short(header) + u64::from(checksums.payload.0);
                checksums.transport = judge(all + pseudo(ip, bytes.len()));
            }
            Transport::Udp(udp) => {
                let bytes = bytes.get(..usize::from(udp.len)).unwrap_or(bytes);
                if udp.machnet.is_some() {
                    checksums.payload = PayloadSum::of(&bytes[super::udp::HEADER_LEN..]);
                }
                checksums.transport = match (udp.checksum, ip.is_v4()) {
                    (0, true) => Verdict::Omitted,
                    (0, false) => Verdict::Wrong,
                    _ => judge(u64::from(sum(bytes)) + pseudo(ip, bytes.len())),
                };
            }
            Transport::Icmp(icmp) => {
                let ends = if icmp.v4 { 0 } else { pseudo(ip, bytes.len()) };
                checksums.transport = judge(u64::from(sum(bytes)) + ends);
            }
            Transport::LaterFragment | Transport::Other => {}
        }
        checksums
    }
}

/// What was summed with its checksum is all ones.
#[inline]
const fn judge(sum: u64) -> Verdict {
    if fold16(fold(sum)) == u16::MAX { Verdict::Right } else { Verdict::Wrong }
}
