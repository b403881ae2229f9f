//! Where the frames of a connection go, from one turn to the next.

use crate::nic::MacAddr;
use crate::port::{Op, Transport};
use crate::testing::{Duo, transfer};
use crate::wire::arp::{ArpOperation, ArpPacket};
use crate::wire::ethernet::{EtherType, EthernetHeader};
use core::net::Ipv4Addr;
use std::vec;

/// A frame with what `packet` says.
fn arp(dst: MacAddr, packet: &ArpPacket) -> std::vec::Vec<u8> {
    let mut bytes = vec![0; 60];
    let header = EthernetHeader { dst, src: packet.sender_mac, ethertype: EtherType::ARP };
    let at = header.emit(&mut bytes);
    packet.emit(&mut bytes[at..]);
    bytes
}

#[test]
fn a_neighbor_that_has_moved_is_sent_to_where_it_is_now_in_the_midst_of_a_transfer() {
    let mut duo = Duo::new(64 << 10);
    let (at_a, at_b) = duo.connect(Transport::Tcp, 80);
    transfer(&mut duo, at_a, at_b, true, &[1; 30_000]);
    duo.settle();
    let moved = MacAddr([2, 0, 0, 0, 0, 77]);
    let own = duo.a.nic().caps.mac;
    let reply = ArpPacket {
        operation: ArpOperation::Reply,
        sender_mac: moved,
        sender_ip: Ipv4Addr::new(10, 0, 0, 2),
        target_mac: own,
        target_ip: Ipv4Addr::new(10, 0, 0, 1),
    };
    duo.a.nic().inject(&arp(own, &reply));
    let now = duo.now;
    duo.a.engine.step(now);
    duo.a.nic().outbound.clear();
    duo.a.engine.port_mut().write(at_a.stream, &[2; 10_000]);
    duo.a.ask(Op::Kick { socket: at_a.socket });
    duo.a.engine.step(now);
    let sent = core::mem::take(&mut duo.a.nic().outbound);
    let to = |frame: &crate::testing::MemFrame| EthernetHeader::parse(frame.bytes()).unwrap().0.dst;
    assert!(!sent.is_empty() && sent.iter().all(|frame| to(frame) == moved));
}
