//! One reading of an Ethernet frame, shared by everything that judges frames.
//!
//! [`Packet::parse`] is done once for each frame: it allocates nothing, looks at headers only and never panics. It shares no code with
//! the stack, because it is what the stack is judged with. Checksums are judged apart, by [`Packet::checksums`].

mod arp;
mod error;
mod icmp;
mod ip;
mod machnet;
mod sum;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::ops::Range;

pub use arp::Arp;
pub use error::ParseError;
pub use icmp::{Icmp, Quote};
pub use ip::{Fragment, Ip};
pub use machnet::{Machnet, MachnetKind};
pub use sum::{Checksums, PayloadSum, Verdict};
pub use tcp::{FastOpen, Flags, SackBlocks, Tcp, TcpOptions};
pub use udp::Udp;

/// EtherTypes.
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Bytes of an Ethernet header without a tag.
const ETHERNET_LEN: usize = 14;

/// A frame's headers.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    frame: &'a [u8],
    /// The Ethernet header.
    pub link: Link,
    /// What is in it.
    pub network: Network,
}

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// For which station.
    pub destination: [u8; 6],
    /// From which station.
    pub source: [u8; 6],
    /// The tag control information of an 802.1Q tag.
    pub vlan: Option<u16>,
}

/// What an Ethernet frame carries.
#[allow(clippy::large_enum_variant, reason = "nearly every frame is IP, and none may allocate")]
#[derive(Clone, Copy, Debug)]
pub enum Network {
    /// Address resolution.
    Arp(Arp),
    /// IPv4 or IPv6.
    Ip(Ip, Transport),
    /// Another EtherType.
    Other(u16),
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    /// A TCP segment.
    Tcp(Tcp),
    /// A UDP datagram, with what Machnet put into it.
    Udp(Udp),
    /// ICMP or ICMPv6.
    Icmp(Icmp),
    /// A fragment that is not the first: no header of a transport.
    LaterFragment,
    /// Another protocol.
    Other,
}

impl<'a> Packet<'a> {
    /// Reads a frame's headers.
    ///
    /// # Errors
    /// [`ParseError`] says which header cannot be what it claims to be. A frame of an unknown kind is no error.
    #[inline(always)]
    pub fn parse(frame: &'a [u8]) -> Result<Self, ParseError> {
        let Some((ethernet, _)) = frame.split_first_chunk::<ETHERNET_LEN>() else {
            return Err(ParseError::EthernetShort);
        };
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *ethernet;
        let mut kind = u16::from_be_bytes([t0, t1]);
        let mut at = ETHERNET_LEN;
        let mut vlan = None;
        if kind == ETHERTYPE_VLAN {
            let Some(&[c0, c1, k0, k1]) = frame.get(at..at + 4) else {
                return Err(ParseError::EthernetShort);
            };
            vlan = Some(u16::from_be_bytes([c0, c1]));
            kind = u16::from_be_bytes([k0, k1]);
            at += 4;
        }
        let link =
            Link { destination: [d0, d1, d2, d3, d4, d5], source: [s0, s1, s2, s3, s4, s5], vlan };
        let network = match kind {
            ETHERTYPE_IPV4 => ip::parse_v4(frame, at)?,
            ETHERTYPE_IPV6 => ip::parse_v6(frame, at)?,
            ETHERTYPE_ARP => Network::Arp(Arp::parse(&frame[at..])?),
            other => Network::Other(other),
        };
        Ok(Self { frame, link, network })
    }

    /// Getter: what was read, without the frame: [`Packet::frame`] and [`Packet::payload`] are empty.
    pub const fn headers(&self) -> Packet<'static> {
        Packet { frame: &[], link: self.link, network: self.network }
    }

    /// Getter: the whole frame.
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// Getter: the IP header.
    pub const fn ip(&self) -> Option<&Ip> {
        match &self.network {
            Network::Ip(ip, _) => Some(ip),
            Network::Arp(_) | Network::Other(_) => None,
        }
    }

    /// Getter: the TCP header; of a first fragment, too.
    pub const fn tcp(&self) -> Option<&Tcp> {
        match &self.network {
            Network::Ip(_, Transport::Tcp(tcp)) => Some(tcp),
            Network::Ip(..) | Network::Arp(_) | Network::Other(_) => None,
        }
    }

    /// Getter: the UDP header; of a first fragment, too.
    pub const fn udp(&self) -> Option<&Udp> {
        match &self.network {
            Network::Ip(_, Transport::Udp(udp)) => Some(udp),
            Network::Ip(..) | Network::Arp(_) | Network::Other(_) => None,
        }
    }

    /// Getter: the ICMP header of either family.
    pub const fn icmp(&self) -> Option<&Icmp> {
        match &self.network {
            Network::Ip(_, Transport::Icmp(icmp)) => Some(icmp),
            Network::Ip(..) | Network::Arp(_) | Network::Other(_) => None,
        }
    }

    /// Getter: where in the frame the payload of the innermost header that was read lies: of TCP and Machnet what the application
    /// sent, of UDP the datagram's bytes, of IP what follows its headers.
    pub const fn payload_range(&self) -> Range<usize> {
        match &self.network {
            Network::Arp(_) | Network::Other(_) => self.frame.len()..self.frame.len(),
            Network::Ip(ip, transport) => {
                let from = match transport {
                    Transport::Tcp(tcp) => ip.payload_at + tcp.header_len,
                    Transport::Udp(Udp { machnet: Some(_), .. }) => {
                        ip.payload_at + udp::HEADER_LEN + machnet::HEADER_LEN
                    }
                    Transport::Udp(_) => ip.payload_at + udp::HEADER_LEN,
                    Transport::Icmp(_) => ip.payload_at + icmp::HEADER_LEN,
                    Transport::LaterFragment | Transport::Other => ip.payload_at,
                };
                from..ip.end
            }
        }
    }

    /// Getter: the bytes at [`Packet::payload_range`].
    pub fn payload(&self) -> &'a [u8] {
        self.frame.get(self.payload_range()).unwrap_or_default()
    }
}

/// Getter: two bytes at `at`, big-endian.
#[inline(always)]
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(two.try_into().ok()?))
}

/// Getter: four bytes at `at`, big-endian.
#[inline(always)]
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}
