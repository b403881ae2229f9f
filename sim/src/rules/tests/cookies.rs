//! Handshakes that the host has not written down: its SYN,ACK is a cookie (RFC 4987 3.6).

use super::Case;
use super::frame::{ACK, FIN, RST, SYN};
use super::story::{Story, host, peer};

const OPTIONS: [u8; 12] = [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7];
const WITHOUT_SACK: [u8; 8] = [2, 4, 5, 180, 1, 3, 3, 7];

/// The host answers a SYN, and what completes the handshake ends the stream.
fn opened_by_fin(s: &mut Story) {
    s.pass(peer(SYN, 0, 0, 0));
    s.pass(host(SYN | ACK, 0, 1, 0));
    s.ms(5);
    s.pass(peer(FIN | ACK, 1, 1, 0));
    s.pass(host(ACK, 1, 2, 0));
    s.ms(100);
}

/// The host answers two SYNs, and speaks on a connection whose numbers are so far behind those of the first answer.
fn begins_with(s: &mut Story, beyond: u32) {
    s.stamped = false;
    s.pass(peer(SYN, 0, 0, 0));
    s.pass(host(SYN | ACK, 0, 1, 0));
    s.pass(peer(SYN, 0, 0, 0).numbers(0x100, 0));
    s.pass(host(SYN | ACK, 0, 1, 0).numbers(0x4000_0000, 0));
    s.pass(peer(ACK, 1, 1, 0));
    s.pass(host(ACK, 1, 1, 0).numbers(beyond, 0));
}

/// Two segments bring a connection back that was reset, with a reset between them. Of the host's answer nothing is sure.
fn begun_again(s: &mut Story) {
    s.pass(peer(SYN, 0, 0, 0));
    s.pass(host(SYN | ACK, 0, 1, 0));
    s.pass(host(RST | ACK, 1, 1, 0));
    s.ms(5);
    s.pass(peer(ACK, 1, 1, 0));
    s.pass(host(RST, 1, 0, 0));
    s.pass(peer(ACK, 1, 1, 0));
    s.pass(host(ACK, 1, 1, 10).stamps(5_005, 7));
}

/// The peer resets what a cookie began, after data of the host's; a segment that was held up brings it back, and the host ends it.
fn begun_again_behind_a_reset(s: &mut Story, late: bool) {
    s.pass(peer(SYN, 0, 0, 0));
    s.pass(host(SYN | ACK, 0, 1, 0));
    s.pass(peer(ACK, 1, 1, 0));
    s.pass(host(ACK, 1, 1, 10));
    s.pass(peer(RST, 1, 0, 0));
    s.ms(5);
    if late {
        s.pass(peer(FIN | ACK, 1, 1, 0));
    }
    s.pass(host(FIN | ACK, 1, 1 + i64::from(late), 0));
}

/// The peer closed first, and then the host, which keeps nothing of it; the peer's FIN, which was held up, brings the cookie back.
fn begun_again_after_both_closed(s: &mut Story, late: bool) {
    s.pass(peer(SYN, 0, 0, 0));
    s.pass(host(SYN | ACK, 0, 1, 0));
    s.pass(peer(ACK, 1, 1, 0));
    s.pass(peer(FIN | ACK, 1, 1, 0));
    s.pass(host(ACK, 1, 2, 0));
    s.pass(host(FIN | ACK, 1, 2, 0));
    s.pass(peer(ACK, 2, 2, 0));
    s.ms(5);
    if late {
        s.pass(peer(FIN | ACK, 1, 1, 0));
        s.pass(host(ACK, 1, 2, 0));
    }
    s.ms(5);
    s.pass(host(ACK, 1, 2, 10));
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O4.tcp.fin",
        bad: |s| begun_again_after_both_closed(s, false),
        good: |s| begun_again_after_both_closed(s, true),
    },
    Case {
        id: "O4.tcp.fin",
        bad: |s| begun_again_behind_a_reset(s, false),
        good: |s| begun_again_behind_a_reset(s, true),
    },
    Case {
        id: "O4.tcp.syn-again",
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0).options(&OPTIONS));
            s.pass(host(SYN | ACK, 0, 1, 0).options(&OPTIONS));
            s.ms(1_000);
            s.pass(peer(SYN, 0, 0, 0).options(&OPTIONS));
            s.pass(host(SYN | ACK, 0, 1, 0).options(&WITHOUT_SACK));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0).options(&WITHOUT_SACK));
            s.pass(host(SYN | ACK, 0, 1, 0).options(&WITHOUT_SACK));
            s.ms(1_000);
            s.pass(peer(SYN, 0, 0, 0).options(&OPTIONS));
            s.pass(host(SYN | ACK, 0, 1, 0).options(&OPTIONS));
            // Without a timestamp a cookie has no room for the other two.
            s.ms(2_000);
            s.stamped = false;
            s.pass(peer(SYN, 0, 0, 0).options(&OPTIONS));
            s.pass(host(SYN | ACK, 0, 1, 0));
        },
    },
    Case {
        id: "O4.tcp.tsval",
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0).options(&OPTIONS));
            s.pass(host(SYN | ACK, 0, 1, 0).stamps(6_040, 1_005_000));
            s.pass(peer(SYN, 0, 0, 0).options(&OPTIONS));
            s.pass(host(SYN | ACK, 0, 1, 0).stamps(6_001, 1_005_000));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0).options(&OPTIONS));
            s.pass(host(SYN | ACK, 0, 1, 0).stamps(6_040, 1_005_000));
            s.pass(peer(SYN, 0, 0, 0).options(&WITHOUT_SACK));
            s.pass(host(SYN | ACK, 0, 1, 0).stamps(6_001, 1_005_000));
        },
    },
    Case {
        id: "O4.tcp.timestamps",
        bad: |s| {
            s.accept(10);
            s.stamped = false;
            s.pass(peer(ACK, 1, 11, 10));
            s.pass(host(ACK, 11, 11, 10));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            s.pass(host(SYN | ACK, 0, 1, 0));
            s.ms(5);
            s.stamped = false;
            s.pass(peer(ACK, 1, 1, 10));
            s.pass(host(ACK, 1, 11, 10));
        },
    },
    Case {
        id: "O4.tcp.sequence",
        bad: |s| begins_with(s, 0x4000_0100),
        good: |s| begins_with(s, 0),
    },
    Case {
        id: "O4.tcp.reset-sequence",
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            s.pass(host(SYN | ACK, 0, 1, 0));
            s.pass(host(RST | ACK, 2, 1, 0));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            s.pass(host(SYN | ACK, 0, 1, 0));
            // The number before it may be a cookie, too.
            s.pass(peer(ACK, 1, 2, 0));
            s.pass(host(RST | ACK, 2, 1, 0));
        },
    },
    Case {
        id: "O4.tcp.tsecr",
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            s.pass(host(SYN | ACK, 0, 1, 0));
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(ACK, 1, 1, 10).stamps(5_005, 7));
        },
        good: begun_again,
    },
    Case {
        id: "O4.tcp.ack-back",
        bad: |s| {
            opened_by_fin(s);
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(FIN | ACK, 1, 1, 0));
        },
        good: |s| {
            opened_by_fin(s);
            s.pass(host(RST | ACK, 1, 2, 0));
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(FIN | ACK, 1, 1, 0));
        },
    },
];
