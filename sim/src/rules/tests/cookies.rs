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

pub(super) const CASES: &[Case] = &[
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
