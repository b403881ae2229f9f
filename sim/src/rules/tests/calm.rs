//! What must not happen on a calm network: both ends are seen, and everything that is sent arrives.

use std::net::IpAddr;

use super::Case;
use super::frame::{ACK, FIN, HOST, PEER, RST, SYN, V4, addresses, error_about};
use super::machnet::{data, packet};
use super::story::{Seg, Story, host, peer};
use crate::packet::Packet;
use crate::rules::{Calm, HostRules, WireRules};

const MACHNET_ACK: u8 = 0x02;
const MACHNET_RST: u8 = 0x80;

/// Judges both ends, and what must not happen.
fn calm(s: &mut Story) {
    let hosts = vec![HostRules::new(addresses()), HostRules::new(vec![IpAddr::from(PEER)])];
    s.rules = WireRules::new(hosts);
    s.rules.expect_calm(Calm::default());
}

fn sent(s: &mut Story, from: usize, frame: &[u8]) {
    let packet = Packet::parse(frame).expect("the frame can be read");
    s.rules.sent(s.now, from, &packet);
}

fn arrives(s: &mut Story, to: usize, frame: &[u8]) {
    let packet = Packet::parse(frame).expect("the frame can be read");
    s.rules.received(s.now, to, &packet);
}

/// A segment of host (0) or peer (1) is sent, and arrives 5 ms later.
fn over(s: &mut Story, from: usize, seg: Seg) {
    let frame = s.frame(&seg);
    sent(s, from, &frame);
    s.ms(5);
    arrives(s, 1 - from, &frame);
}

fn say(s: &mut Story, seg: Seg) {
    over(s, 0, seg);
}

fn hear(s: &mut Story, seg: Seg) {
    over(s, 1, seg);
}

/// Connected, with a round trip of 10 ms.
fn open(s: &mut Story) {
    calm(s);
    say(s, host(SYN, 0, 0, 0));
    hear(s, peer(SYN | ACK, 0, 1, 0));
    say(s, host(ACK, 1, 1, 0));
}

/// Bytes that reach the peer, and are sent again after a while, and then the peer's answer.
fn again_after(s: &mut Story, ms: u64, answer: Seg) {
    open(s);
    say(s, host(ACK, 1, 1, 100));
    s.ms(ms - 5);
    say(s, host(ACK, 1, 1, 100));
    s.ms(50);
    hear(s, answer);
}

fn plain(s: &mut Story) {
    open(s);
    say(s, host(ACK, 1, 1, 100));
    hear(s, peer(ACK, 1, 101, 0));
}

/// A Machnet flow with a round trip of 5 ms, and a packet under way.
fn flow(s: &mut Story) {
    calm(s);
    exchange(s, 0, &packet(true, SYN_KIND, 0, (0, 0), 0, &[]));
    exchange(s, 1, &packet(false, SYN_ACK_KIND, 0, (0, 1), 0, &[]));
    exchange(s, 0, &packet(true, MACHNET_ACK, 0, (1, 1), 0, &[]));
    exchange(s, 0, &packet(true, 0, LONE, (1, u32::MAX), 0, b"m"));
}

const SYN_KIND: u8 = 0x01;
const SYN_ACK_KIND: u8 = 0x03;
const LONE: u8 = 0x05;

fn exchange(s: &mut Story, from: usize, packet: &V4) {
    let frame = packet.frame();
    sent(s, from, &frame);
    s.ms(5);
    arrives(s, 1 - from, &frame);
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O10.checksum",
        bad: |s| {
            calm(s);
            let frame = s.frame(&host(SYN, 0, 0, 0));
            sent(s, 0, &frame);
            let mut frame = frame;
            *frame.last_mut().expect("it is not empty") ^= 1;
            arrives(s, 1, &frame);
        },
        good: |s| {
            calm(s);
            let frame = s.frame(&host(SYN, 0, 0, 0));
            let packet = Packet::parse(&frame).expect("the frame can be read");
            s.rules.disturbed(s.now, Some(&packet), true);
            sent(s, 0, &frame);
            let mut frame = frame.clone();
            *frame.last_mut().expect("it is not empty") ^= 1;
            arrives(s, 1, &frame);
        },
    },
    Case {
        id: "O10.icmp.error",
        bad: |s| {
            plain(s);
            let about = s.frame(&host(ACK, 1, 1, 100));
            let mut error = error_about(&about, 40);
            (error.source, error.destination) = (PEER, HOST);
            error.body[1] = 1;
            let error = error.summed(2, false);
            arrives(s, 0, &error.frame());
        },
        good: |s| {
            plain(s);
            let about = s.frame(&host(ACK, 1, 1, 100));
            let mut error = error_about(&about, 40);
            (error.source, error.destination) = (PEER, HOST);
            let error = error.summed(2, false);
            arrives(s, 0, &error.frame());
        },
    },
    Case {
        id: "O10.tcp.reset",
        bad: |s| {
            plain(s);
            say(s, host(RST | ACK, 101, 1, 0));
        },
        good: |s| {
            plain(s);
            let frame = s.frame(&host(RST | ACK, 101, 1, 0));
            // A queue is full elsewhere on the path.
            let packet = Packet::parse(&frame).expect("the frame can be read");
            s.rules.disturbed(s.now, Some(&packet), false);
            sent(s, 0, &frame);
        },
    },
    Case {
        id: "O10.tcp.sack",
        bad: |s| {
            open(s);
            say(s, host(ACK, 1, 1, 100));
            say(s, host(ACK, 101, 1, 100));
            // What came first was dropped.
            s.rules.disable("O4.tcp.ack-at-once");
            s.rules.disable("O4.tcp.tsecr");
            hear(s, peer(ACK, 1, 1, 0).sack(&[(101, 201)]));
        },
        good: |s| {
            open(s);
            say(s, host(ACK, 1, 1, 100));
            let lost = s.frame(&host(ACK, 101, 1, 100));
            sent(s, 0, &lost);
            s.rules.disable("O4.tcp.tsecr");
            // It goes astray where nobody looks, which the next one shows.
            say(s, host(ACK, 201, 1, 100));
            hear(s, peer(ACK, 1, 101, 0).sack(&[(201, 301)]));
        },
    },
    Case {
        id: "O10.tcp.sack",
        bad: |s| {
            plain(s);
            s.rules.disable("O4.tcp.dsack");
            hear(s, peer(ACK, 1, 101, 0).sack(&[(1, 101)]));
        },
        good: |s| {
            plain(s);
            // It waited in a ring, and its acknowledgement came meanwhile.
            say(s, host(ACK, 1, 1, 100));
            hear(s, peer(ACK, 1, 101, 0).sack(&[(1, 101)]));
        },
    },
    Case {
        id: "O10.tcp.retransmission",
        bad: |s| again_after(s, 14, peer(ACK, 1, 101, 0).sack(&[(1, 101)])),
        good: |s| again_after(s, 22, peer(ACK, 1, 101, 0).sack(&[(1, 101)])),
    },
    Case {
        id: "O10.tcp.retransmission",
        bad: |s| {
            s.rules.disable("O4.tcp.ack-delay");
            open(s);
            s.rules.disable("O4.tcp.ack-delay");
            say(s, host(ACK, 1, 1, 100));
            s.ms(700);
            say(s, host(ACK, 1, 1, 100));
            hear(s, peer(ACK, 1, 101, 0).sack(&[(1, 101)]));
        },
        good: |s| again_after(s, 300, peer(ACK, 1, 101, 0).sack(&[(1, 101)])),
    },
    Case {
        id: "O10.tcp.taken-twice",
        bad: |s| again_after(s, 300, peer(ACK, 1, 101, 0)),
        good: |s| again_after(s, 300, peer(ACK, 1, 101, 0).sack(&[(1, 101)])),
    },
    Case {
        id: "O10.tcp.taken-twice",
        bad: |s| again_after(s, 300, peer(ACK, 1, 101, 100)),
        good: |s| {
            open(s);
            say(s, host(ACK | FIN, 1, 1, 0));
            s.ms(300);
            say(s, host(ACK | FIN, 1, 1, 0));
            hear(s, peer(ACK, 1, 2, 0));
        },
    },
    Case {
        id: "O10.machnet.reset",
        bad: |s| {
            calm(s);
            exchange(s, 0, &packet(true, SYN_KIND, 0, (0, 0), 0, &[]));
            exchange(s, 1, &packet(false, MACHNET_RST, 0, (0, 1), 0, &[]));
        },
        good: |s| {
            flow(s);
            exchange(s, 1, &packet(false, MACHNET_ACK, 0, (1, 2), 0, &[]));
            exchange(s, 0, &packet(true, MACHNET_RST, 0, (2, 1), 0, &[]));
        },
    },
    Case {
        id: "O10.machnet.sack",
        bad: |s| {
            flow(s);
            exchange(s, 0, &packet(true, 0, LONE, (2, u32::MAX), 0, b"n"));
            exchange(s, 1, &packet(false, MACHNET_ACK, 0, (1, 1), 0b10, &[]));
            s.ms(50);
            exchange(s, 1, &packet(false, 0, LONE, (1, u32::MAX), 0, b"r"));
        },
        good: |s| {
            flow(s);
            exchange(s, 0, &packet(true, 0, LONE, (2, u32::MAX), 0, b"n"));
            exchange(s, 0, &packet(true, 0, LONE, (3, u32::MAX), 0, b"o"));
            // Three came at once, and each is acknowledged.
            for (ack, held) in [(2, 0b10), (3, 0), (4, 0)] {
                sent(s, 1, &packet(false, MACHNET_ACK, 0, (1, ack), held, &[]).frame());
            }
            s.ms(50);
            exchange(s, 1, &packet(false, 0, LONE, (1, u32::MAX), 0, b"r"));
        },
    },
    Case {
        id: "O10.machnet.retransmission",
        bad: |s| {
            flow(s);
            data(s, true, LONE, 1, b"m");
        },
        good: |s| {
            flow(s);
            s.ms(20);
            data(s, true, LONE, 1, b"m");
        },
    },
    Case {
        id: "O10.machnet.retransmission",
        bad: |s| {
            flow(s);
            s.ms(200);
            data(s, true, LONE, 1, b"m");
        },
        good: |s| {
            flow(s);
            let acknowledgement = packet(false, MACHNET_ACK, 0, (1, 2), 0, &[]).frame();
            sent(s, 1, &acknowledgement);
            // It waits in a queue.
            s.ms(200);
            data(s, true, LONE, 1, b"m");
        },
    },
];
