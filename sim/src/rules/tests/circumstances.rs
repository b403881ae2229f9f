//! What excuses a host: each capture keeps a rule because of something that happened, and breaks it without that.

use causeway_core::time::Duration;

use super::Case;
use super::frame::{ACK, FIN, HOST, HOST_MAC, PEER, RST, SYN, arp, error_about, udp};
use super::machnet;
use super::story::{Story, host, peer};

/// The host looks for its peer's address.
fn looks_for_peer(s: &mut Story) {
    s.pass_frame(true, &arp(1, HOST, PEER));
}

/// The first three acknowledgements of what lies beyond a gap left late, and only the first says something new.
fn released(s: &mut Story) {
    s.stamped = false;
    s.rules.disable("O4.tcp.ack-at-once");
    s.open();
    (0..3).for_each(|_| s.pass(peer(ACK, 101, 1, 100)));
    s.ms(1_000);
    (0..3).for_each(|_| s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)])));
}

/// The host is connected to, and tells of a byte in front of the peer's SYN.
fn told_of_early(s: &mut Story, early: bool) {
    s.stamped = false;
    s.pass(peer(SYN, 0, 0, 0));
    if early {
        s.pass(peer(ACK, -40, 0, 1));
    }
    s.pass(host(SYN | ACK, 0, 1, 0));
    s.ms(5);
    s.pass(peer(ACK, 1, 1, 80));
    s.pass(host(ACK, 1, 81, 0).sack(&[((-40_i32).cast_unsigned(), (-39_i32).cast_unsigned())]));
}

/// Three are taken at once: the first told of came twice, and the range that the host tells of next grew last.
fn taken_at_once(s: &mut Story, twice: bool) {
    s.stamped = false;
    s.open();
    s.pass(peer(ACK, 101, 1, 100));
    s.pass(peer(ACK, 301, 1, 100));
    s.pass(host(ACK, 1, 1, 0).sack(&[(301, 401), (101, 201)]));
    if twice {
        s.pass(peer(ACK, 101, 1, 100));
    }
    s.pass(peer(ACK, 401, 1, 100));
    s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201), (301, 501)]));
}

/// What was told beyond the stream's end is told no more.
fn over(s: &mut Story, flags: u8) {
    s.stamped = false;
    s.open();
    s.pass(peer(ACK, 101, 1, 100));
    s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)]));
    s.pass(peer(flags, 1, 1, 9));
    let end = if flags & FIN != 0 { 11 } else { 10 };
    s.pass(host(ACK, 1, end, 0));
}

/// The host knows of no connection, and answers the first of twenty segments a second after the last.
fn answers_late(s: &mut Story) {
    (1..=20).for_each(|ack| s.pass(peer(ACK, 1, ack, 0)));
    s.ms(1_000);
    s.pass(host(RST, 1, 0, 0));
}

/// The host tells that it cannot read a packet whose header claims to be all of it, and quotes so many bytes.
fn quotes(s: &mut Story, quoted: usize) {
    let mut about = udp(false, &[1; 8]).frame();
    about[14] = 0x49;
    s.pass_frame(true, &error_about(&about, quoted).frame());
}

/// Data reaches the host's NIC, as it was sent or with a change to its header, and is acknowledged.
fn acknowledges(s: &mut Story, change: fn(&mut Vec<u8>)) {
    s.stamped = false;
    s.rules.hosts[0].stations = vec![HOST_MAC];
    s.open();
    let data = peer(ACK, 1, 1, 100);
    s.pass(data.spoil(change));
    s.pass(host(ACK, 1, 101, 0));
}

/// The host acknowledges from behind ten bytes that never left, long after it maybe looked for its peer.
fn sent_in_vain(s: &mut Story, looks: bool) {
    s.open();
    if looks {
        looks_for_peer(s);
    }
    s.ms(6_000);
    s.pass(peer(ACK, 1, 1, 10));
    s.pass(host(ACK, 11, 11, 0));
}

/// All that an initial window lets out is sent, of which somebody acknowledges this, and more before what is acknowledged left.
fn acknowledged_in_the_ring(s: &mut Story, ahead: i64) {
    s.stamped = false;
    s.open();
    let send = |s: &mut Story, index: i64| s.pass(host(ACK, 1 + index * 1_440, 1, 1_440));
    (0..5).for_each(|index| send(s, index));
    if ahead > 0 {
        s.pass(peer(ACK, 1, ahead, 0).window(30_000));
    }
    (5..13).for_each(|index| send(s, index));
}

/// The third SYN waits for the peer's address, so that the fourth one follows sooner; the host goes on asking.
fn syns_late(s: &mut Story, waits: bool) {
    s.pass(host(SYN, 0, 0, 0));
    s.ms(1_000);
    s.pass(host(SYN, 0, 0, 0));
    s.ms(2_000);
    if waits {
        looks_for_peer(s);
    }
    s.ms(900);
    s.pass(host(SYN, 0, 0, 0));
    s.ms(3_100);
    looks_for_peer(s);
    s.pass(host(SYN, 0, 0, 0));
}

/// Six SYNs with different numbers reach the host, which answers this one.
fn many_syns(s: &mut Story, answered: u32) {
    let number = |index: u32| 0x4000 + index * 0x1000;
    (0..6).for_each(|index| s.pass(peer(SYN, 0, 0, 0).numbers(0, number(index))));
    s.pass(host(SYN | ACK, 0, 1, 0).numbers(9, number(answered)));
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O4.tcp.ack-unreceived",
        // For another station.
        bad: |s| acknowledges(s, |frame| frame[5] ^= 4),
        good: |s| acknowledges(s, |_| {}),
    },
    Case {
        id: "O4.tcp.ack-unreceived",
        // From a group.
        bad: |s| acknowledges(s, |frame| frame[6] |= 1),
        good: |s| acknowledges(s, |frame| frame[6] ^= 4),
    },
    Case {
        id: "O4.tcp.sequence",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 2, 1, 100));
        },
        good: |s| {
            s.open();
            looks_for_peer(s);
            s.pass(host(ACK, 2, 1, 100));
        },
    },
    Case {
        id: "O4.tcp.sequence",
        // What was sent first waited for the peer's address, and was given up.
        bad: |s| sent_in_vain(s, false),
        good: |s| sent_in_vain(s, true),
    },
    Case {
        id: "O4.tcp.initial-window",
        bad: |s| acknowledged_in_the_ring(s, 0),
        good: |s| acknowledged_in_the_ring(s, 14_401),
    },
    Case { id: "O4.tcp.syn-rto", bad: |s| syns_late(s, false), good: |s| syns_late(s, true) },
    Case {
        id: "O4.tcp.ack-unreceived",
        // The first of six SYNs is still the one that was answered.
        bad: |s| many_syns(s, 6),
        good: |s| many_syns(s, 0),
    },
    Case {
        id: "O4.tcp.ack-loop",
        bad: released,
        good: |s| {
            looks_for_peer(s);
            released(s);
        },
    },
    Case { id: "O4.tcp.dsack", bad: |s| told_of_early(s, false), good: |s| told_of_early(s, true) },
    Case {
        id: "O4.tcp.sack-first",
        bad: |s| taken_at_once(s, false),
        good: |s| taken_at_once(s, true),
    },
    Case { id: "O4.tcp.sack-kept", bad: |s| over(s, ACK), good: |s| over(s, ACK | FIN) },
    Case {
        id: "O4.tcp.reset-sequence",
        bad: answers_late,
        good: |s| {
            s.pass(peer(ACK, 1, 1, 0));
            s.ms(1_000);
            looks_for_peer(s);
            answers_late(s);
        },
    },
    Case {
        id: "O4.tcp.reset-sequence",
        // Of a SYN,ACK that never left nobody knows the number.
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            looks_for_peer(s);
            s.pass(host(RST | ACK, 1, 1, 0));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            looks_for_peer(s);
            s.pass(host(RST | ACK, 0, 1, 0).numbers(0x400, 0));
        },
    },
    Case {
        id: "O4.tcp.reset-sequence",
        // A connection took the SYN and not its data; nobody else does.
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 10));
            s.pass(host(RST | ACK, 0, 1, 0).numbers(0x400, 0));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 10));
            looks_for_peer(s);
            s.pass(host(RST | ACK, 0, 1, 0).numbers(0x400, 0));
        },
    },
    Case { id: "O4.icmp.quote", bad: |s| quotes(s, 35), good: |s| quotes(s, 36) },
    Case {
        id: "O4.machnet.same-acks",
        bad: machnet::acknowledge_thrice,
        good: |s| {
            s.rules.slack(0, Duration::from_secs(2));
            machnet::acknowledge_thrice(s);
        },
    },
];
