//! Packets by themselves, ICMP, ARP and neighbour discovery.

use super::Case;
use super::frame::{
    ACK, HOST, HOST_V6, PEER, PEER_V6, SYN, V4, arp, error_about, icmp, icmpv6, udp,
};
use super::story::{Story, host};
use crate::packet::Packet;

fn sent(story: &mut Story, frame: &[u8]) {
    story.pass_frame(true, frame);
}

fn datagram(story: &mut Story, change: impl Fn(&mut V4)) {
    let mut packet = udp(true, &[7; 64]);
    change(&mut packet);
    sent(story, &packet.frame());
}

fn echo(kind: u8, content: u8) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0, 0, 9, 0, 1];
    body.extend([content; 40]);
    body
}

/// A UDP datagram that reached the host, as an error quotes it.
fn asked() -> Vec<u8> {
    udp(false, &[1; 40]).frame()
}

fn discovery(kind: u8, target: std::net::Ipv6Addr) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    body.extend(target.octets());
    body
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O4.frame.malformed",
        bad: |s| datagram(s, |packet| packet.body.push(0)),
        good: |s| datagram(s, |_| {}),
    },
    Case {
        id: "O4.frame.malformed",
        bad: |s| {
            let mut frame = udp(true, &[0; 8]).frame();
            frame.truncate(40);
            let error = Packet::parse(&frame).expect_err("it is cut");
            s.rules.malformed(s.now, 0, error);
        },
        good: |s| datagram(s, |_| {}),
    },
    Case {
        id: "O4.ip.checksum",
        bad: |s| s.pass(host(SYN, 0, 0, 0).spoil(|frame| frame[14 + 10] ^= 1)),
        good: |s| s.pass(host(SYN, 0, 0, 0)),
    },
    Case {
        id: "O4.ip.header",
        bad: |s| datagram(s, |packet| packet.hops = 0),
        good: |s| datagram(s, |packet| packet.hops = 1),
    },
    Case {
        id: "O4.ip.header",
        bad: |s| datagram(s, |packet| packet.place = 0xc000),
        good: |s| datagram(s, |packet| packet.place = 0x4000),
    },
    Case {
        id: "O4.ip.source",
        bad: |s| {
            let mut packet = udp(true, &[7; 24]);
            packet.source = [10, 0, 0, 77];
            sent(s, &packet.summed(6, true).frame());
        },
        good: |s| {
            let mut frame = icmpv6(true, 255, discovery(135, HOST_V6));
            // Duplicate address detection has no source.
            frame[14 + 8..14 + 24].fill(0);
            let mut zeros = discovery(135, HOST_V6);
            let sum = super::frame::checksum(&[&PEER_V6.octets(), &[0, 24, 0, 58], &zeros]);
            zeros[2..4].copy_from_slice(&sum);
            frame[54..].copy_from_slice(&zeros);
            sent(s, &frame);
        },
    },
    Case {
        id: "O4.ip.mtu",
        bad: |s| sent(s, &udp(true, &[0; 1_473]).frame()),
        good: |s| sent(s, &udp(true, &[0; 1_472]).frame()),
    },
    Case {
        id: "O4.ip.fragment",
        bad: |s| sent(s, &fragment(0x2000, 17).frame()),
        good: |s| {
            sent(s, &fragment(0x2000, 16).frame());
            sent(s, &fragment(0x0002, 13).frame());
        },
    },
    Case {
        id: "O4.ip.fragment",
        bad: |s| sent(s, &fragment(0x1fff, 16).frame()),
        good: |s| sent(s, &fragment(0x1fff, 7).frame()),
    },
    Case {
        id: "O4.ip.identification",
        bad: |s| {
            for _ in 0..2 {
                datagram(s, |packet| packet.place = 0);
            }
        },
        good: |s| {
            datagram(s, |packet| packet.place = 0);
            datagram(s, |packet| (packet.place, packet.id) = (0, 2));
            datagram(s, |_| {});
            // What is never cut needs none.
            let mut short = udp(true, &[7; 24]);
            (short.place, short.id) = (0, 2);
            sent(s, &short.frame());
        },
    },
    Case {
        id: "O4.tcp.dont-fragment",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 600).tweak(|packet| packet.place = 0));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 500).tweak(|packet| packet.place = 0));
        },
    },
    Case {
        id: "O4.tcp.fragment",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 88).tweak(|packet| packet.place = 0x2000));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 88));
        },
    },
    Case {
        id: "O4.tcp.path-mtu",
        bad: |s| {
            too_big(s);
            s.pass(host(ACK, 1_449, 1, 1_448));
        },
        good: |s| {
            too_big(s);
            s.pass(host(ACK, 1_449, 1, 1_200 - 52));
        },
    },
    Case {
        id: "O4.tcp.path-mtu",
        bad: |s| {
            too_big(s);
            s.ms(299_000);
            s.pass(host(ACK, 1_449, 1, 1_448));
        },
        good: |s| {
            too_big(s);
            s.ms(300_000);
            s.pass(host(ACK, 1_449, 1, 1_448));
        },
    },
    Case {
        id: "O4.tcp.checksum",
        bad: |s| s.pass(host(SYN, 0, 0, 0).spoil(|frame| frame[14 + 20 + 16] ^= 0x40)),
        good: |s| s.pass(host(SYN, 0, 0, 0)),
    },
    Case {
        id: "O4.udp.checksum",
        bad: |s| datagram(s, |packet| packet.body[20] ^= 1),
        good: |s| datagram(s, |_| {}),
    },
    Case {
        id: "O4.udp.checksum",
        bad: |s| datagram(s, |packet| packet.body[6..8].fill(0)),
        good: |s| sent(s, &udp(true, &[]).frame()),
    },
    Case {
        id: "O4.icmp.checksum",
        bad: |s| {
            let mut packet = icmp(true, echo(8, 1));
            packet.body[9] ^= 1;
            sent(s, &packet.frame());
        },
        good: |s| sent(s, &icmp(true, echo(8, 1)).frame()),
    },
    Case {
        id: "O4.icmp.about",
        bad: |s| {
            let about = error_about(&asked(), 28).frame();
            sent(s, &error_about(&about, 28).frame());
        },
        good: |s| sent(s, &error_about(&icmp(false, echo(8, 1)).frame(), 28).frame()),
    },
    Case {
        id: "O4.icmp.about",
        bad: |s| {
            let mut about = udp(false, &[1; 40]);
            about.place = 0x0005;
            sent(s, &error_about(&about.frame(), 28).frame());
        },
        good: |s| {
            let mut about = udp(false, &[1; 40]);
            about.place = 0x2000;
            sent(s, &error_about(&about.frame(), 28).frame());
        },
    },
    Case {
        id: "O4.icmp.about",
        bad: |s| {
            let mut about = udp(false, &[1; 40]);
            about.destination = [224, 0, 0, 1];
            sent(s, &error_about(&about.frame(), 28).frame());
        },
        good: |s| sent(s, &error_about(&asked(), 28).frame()),
    },
    Case {
        id: "O4.icmp.quote",
        bad: |s| sent(s, &error_about(&asked(), 27).frame()),
        good: |s| sent(s, &error_about(&asked(), 28).frame()),
    },
    Case {
        id: "O4.icmp.quote",
        bad: |s| sent(s, &error_about(&udp(false, &[1; 900]).frame(), 549).frame()),
        good: |s| sent(s, &error_about(&udp(false, &[1; 900]).frame(), 548).frame()),
    },
    Case {
        id: "O4.icmp.rate",
        bad: |s| (0..2_001).for_each(|_| sent(s, &error_about(&asked(), 28).frame())),
        good: |s| (0..2_000).for_each(|_| sent(s, &error_about(&asked(), 28).frame())),
    },
    Case {
        id: "O4.icmp.echo",
        bad: |s| {
            s.pass_frame(false, &icmp(false, echo(8, 1)).frame());
            sent(s, &icmp(true, echo(0, 2)).frame());
        },
        good: |s| {
            s.pass_frame(false, &icmp(false, echo(8, 1)).frame());
            sent(s, &icmp(true, echo(0, 1)).frame());
        },
    },
    Case {
        id: "O4.arp.reply",
        bad: |s| sent(s, &arp(2, [10, 0, 0, 9], PEER)),
        good: |s| sent(s, &arp(2, HOST, PEER)),
    },
    Case {
        id: "O4.arp.reply",
        bad: |s| {
            let mut frame = arp(2, HOST, PEER);
            frame[14 + 8] = 6;
            sent(s, &frame);
        },
        good: |s| sent(s, &arp(1, [0; 4], HOST)),
    },
    Case {
        id: "O4.arp.pace",
        bad: |s| {
            sent(s, &arp(1, HOST, PEER));
            s.ms(900);
            sent(s, &arp(1, HOST, PEER));
        },
        good: |s| {
            sent(s, &arp(1, HOST, PEER));
            sent(s, &arp(1, HOST, [10, 0, 0, 3]));
            s.ms(1_000);
            sent(s, &arp(1, HOST, PEER));
        },
    },
    Case {
        id: "O4.nd.form",
        bad: |s| sent(s, &icmpv6(true, 64, discovery(135, PEER_V6))),
        good: |s| sent(s, &icmpv6(true, 255, discovery(135, PEER_V6))),
    },
    Case {
        id: "O4.nd.reply",
        bad: |s| sent(s, &icmpv6(true, 255, discovery(136, PEER_V6))),
        good: |s| sent(s, &icmpv6(true, 255, discovery(136, HOST_V6))),
    },
    Case {
        id: "O4.nd.pace",
        bad: |s| {
            sent(s, &icmpv6(true, 255, discovery(135, PEER_V6)));
            s.ms(500);
            sent(s, &icmpv6(true, 255, discovery(135, PEER_V6)));
        },
        good: |s| {
            sent(s, &icmpv6(true, 255, discovery(135, PEER_V6)));
            s.ms(1_000);
            sent(s, &icmpv6(true, 255, discovery(135, PEER_V6)));
        },
    },
];

fn fragment(place: u16, len: usize) -> V4 {
    let mut packet = V4::new(true, 17, vec![0; len]);
    packet.body[4..6].copy_from_slice(&[0, 200]);
    packet.place = place;
    packet
}

/// A router says that the path carries 1200 bytes, and the host has had time to hear it.
fn too_big(s: &mut Story) {
    s.open();
    let segment = host(ACK, 1, 1, 1_448);
    let about = s.frame(&segment);
    s.pass(segment);
    let mut body = vec![3, 4, 0, 0, 0, 0, 0x04, 0xb0];
    body.extend(&about[14..14 + 28]);
    s.pass_frame(false, &icmp(false, body).frame());
    s.ms(50);
}
