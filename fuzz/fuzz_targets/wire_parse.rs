//! Every parser takes any bytes; what parses is written out and parses to the same again.
#![no_main]

use std::net::Ipv6Addr;

use causeway_core::tcp::Connection;
use causeway_core::wire::machnet::MachnetHeader;
use causeway_core::wire::tcp::TcpHeader;
use causeway_core::wire::{
    ArpPacket, EthernetHeader, Icmpv4Header, Icmpv6Header, Ipv4Header, Ipv6Header, QuotedPacket,
    UdpHeader, VlanTag,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    let mut out = [0; 128];
    match kind % 11 {
        0 => {
            if let Ok((header, len)) = TcpHeader::parse(bytes) {
                assert!(len <= bytes.len());
                let written = header.emit(&mut out);
                assert_eq!(TcpHeader::parse(&out[..written]), Ok((header, written)));
            }
        }
        1 => {
            if let Ok((header, len)) = MachnetHeader::parse(bytes)
                && let Some(written) = header.emit(&mut out)
            {
                assert!(len <= bytes.len());
                let again = MachnetHeader::parse(&out[..written]).map(|(h, _)| h);
                assert_eq!(again, Ok(header));
            }
        }
        2 => {
            if let Ok((header, len)) = EthernetHeader::parse(bytes) {
                assert!(len <= bytes.len());
                header.emit(&mut out);
                assert_eq!(EthernetHeader::parse(&out[..len]), Ok((header, len)));
            }
        }
        3 => {
            if let Ok((packet, _)) = ArpPacket::parse(bytes) {
                let written = packet.emit(&mut out);
                assert_eq!(ArpPacket::parse(&out[..written]).map(|(p, _)| p), Ok(packet));
            }
        }
        4 => {
            if let Ok((_, len)) = Ipv4Header::parse(bytes) {
                assert!(len <= bytes.len());
            }
        }
        5 => {
            if let Ok((_, len)) = Ipv6Header::parse(bytes) {
                assert!(len <= bytes.len());
            }
        }
        6 => {
            if let Ok((_, len)) = Icmpv4Header::parse(bytes) {
                assert!(len <= bytes.len());
            }
        }
        7 => {
            if let Ok((_, len)) =
                Icmpv6Header::parse(bytes, Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
            {
                assert!(len <= bytes.len());
            }
        }
        8 => {
            if let Ok((_, len)) = UdpHeader::parse(bytes) {
                assert!(len <= bytes.len());
            }
        }
        9 => {
            let _ = (VlanTag::parse(bytes), QuotedPacket::parse(bytes));
        }
        _ => {
            // A written-out connection is hostile too: what is read back must hold together.
            let _ = Connection::read_state(bytes);
        }
    }
});
