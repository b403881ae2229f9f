//! Frames that a textbook host sends: TCP over IPv4 over Ethernet, and ARP.

use std::net::Ipv4Addr;

use crate::link::repair;
use crate::packet::Flags;

/// Ethernet, IPv4 and TCP headers without options.
const HEADERS: usize = 14 + 20 + 20;
const HOPS: u8 = 64;

/// An address and a port.
pub(super) type End = (Ipv4Addr, u16);

/// A segment to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Out {
    pub(super) seq: u32,
    /// 0 without [`Flags::ACK`].
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    /// Of a SYN.
    pub(super) mss: Option<u16>,
    pub(super) payload: Vec<u8>,
}

/// Output: the frame, its addresses of stations left open (zero).
pub(super) fn frame(from: End, to: End, out: &Out) -> Vec<u8> {
    let options = if out.mss.is_some() { 4 } else { 0 };
    let len = 40 + options + out.payload.len();
    let mut bytes = Vec::with_capacity(HEADERS + options + out.payload.len());
    bytes.extend([0; 12]);
    bytes.extend([0x08, 0x00, 0x45, 0]);
    bytes.extend((len as u16).to_be_bytes());
    // No identification: the packet is never cut (RFC 6864 4.1).
    bytes.extend([0, 0, 0x40, 0, HOPS, 6, 0, 0]);
    bytes.extend(from.0.octets());
    bytes.extend(to.0.octets());
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    bytes.extend(out.seq.to_be_bytes());
    let acks = Flags(out.flags).has(Flags::ACK);
    bytes.extend(if acks { out.ack } else { 0 }.to_be_bytes());
    bytes.extend([((20 + options) as u8 / 4) << 4, out.flags]);
    bytes.extend(out.window.to_be_bytes());
    bytes.extend([0; 4]);
    if let Some(mss) = out.mss {
        bytes.extend([2, 4]);
        bytes.extend(mss.to_be_bytes());
    }
    bytes.extend(&out.payload);
    repair(&mut bytes);
    bytes
}

/// Output: an ARP packet (RFC 826) of the host.
pub(super) fn arp(operation: u16, own: ([u8; 6], Ipv4Addr), to: ([u8; 6], Ipv4Addr)) -> Vec<u8> {
    let asks = operation == crate::packet::Arp::REQUEST;
    let mut bytes = Vec::with_capacity(42);
    bytes.extend(if asks { [0xff; 6] } else { to.0 });
    bytes.extend(own.0);
    bytes.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4]);
    bytes.extend(operation.to_be_bytes());
    bytes.extend(own.0);
    bytes.extend(own.1.octets());
    bytes.extend(if asks { [0; 6] } else { to.0 });
    bytes.extend(to.1.octets());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Packet;

    #[test]
    fn what_is_built_is_read_back() {
        let (from, to) = ((Ipv4Addr::new(10, 0, 0, 1), 7), (Ipv4Addr::new(10, 0, 0, 2), 9));
        let flags = Flags::SYN.0 | Flags::ACK.0;
        let payload = b"abc".to_vec();
        let out = Out { seq: 5, ack: 6, flags, window: 9, mss: Some(536), payload };
        let bytes = frame(from, to, &out);
        let packet = Packet::parse(&bytes).expect("it can be read");
        assert!(packet.checksums_right());
        let tcp = packet.tcp().expect("it is TCP");
        assert_eq!((tcp.seq, tcp.ack, tcp.window, tcp.flags.0), (5, 6, 9, flags));
        assert_eq!((tcp.source_port, tcp.destination_port, tcp.options.mss), (7, 9, Some(536)));
        assert_eq!(packet.payload(), b"abc");
        let bytes = arp(1, ([2; 6], from.0), ([0; 6], to.0));
        assert!(matches!(
            Packet::parse(&bytes).expect("it can be read").network,
            crate::packet::Network::Arp(arp) if arp.target == to.0 && arp.sender == from.0
        ));
    }
}
