//! Headers, numbers, windows, selective acknowledgements, ECN.

use super::Case;
use super::frame::{ACK, CWR, ECE, FIN, RST, SYN};
use super::story::{Story, host, peer};

const SYN_OPTIONS: [u8; 12] = [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7];

/// The host is connected, both sides having agreed on ECN.
fn open_with_ecn(s: &mut Story) {
    s.pass(host(SYN | ECE | CWR, 0, 0, 0));
    s.ms(5);
    s.pass(peer(SYN | ACK | ECE, 0, 1, 0));
    s.pass(host(ACK, 1, 1, 0));
    s.ms(100);
}

/// Data of the peer with a hole in front of it, and the host's acknowledgement.
fn hole(s: &mut Story) {
    s.open();
    s.pass(peer(ACK, 101, 1, 100));
    s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)]));
}

fn plain(s: &mut Story) {
    s.open();
    s.pass(host(ACK, 1, 1, 100));
}

/// The host answers a probe before the handshake is done, and then the SYN again, with this window.
fn answers_again(s: &mut Story, window: u16) {
    s.pass(peer(SYN, 0, 0, 0));
    s.pass(host(SYN | ACK, 0, 1, 0).window(32_768));
    s.ms(500);
    s.pass(peer(ACK, 0, 1, 0));
    s.pass(host(ACK, 1, 1, 0).window(512));
    s.ms(500);
    s.pass(host(SYN | ACK, 0, 1, 0).window(window));
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O4.tcp.reserved",
        bad: |s| s.pass(host(SYN, 0, 0, 0).tweak(|packet| packet.body[12] |= 1)),
        good: plain,
    },
    Case { id: "O4.tcp.flags", bad: |s| s.pass(host(SYN | FIN, 0, 0, 0)), good: plain },
    Case {
        id: "O4.tcp.flags",
        bad: |s| {
            s.open();
            s.stamped = false;
            s.pass(host(0, 1, 0, 0).options(&[1, 1, 8, 10, 0, 0, 20, 0, 0, 0, 0, 0]));
        },
        good: plain,
    },
    Case {
        id: "O4.tcp.options",
        bad: |s| s.pass(host(SYN, 0, 0, 0).options(&[2, 4, 5, 180, 1, 1, 4, 3, 3, 3, 7, 0])),
        good: |s| s.pass(host(SYN, 0, 0, 0).options(&SYN_OPTIONS)),
    },
    Case {
        id: "O4.tcp.options",
        bad: |s| {
            s.open();
            s.stamped = false;
            let stamps = [1, 1, 8, 10, 0, 0, 30, 0, 0, 15, 86, 72];
            let twice = [stamps, stamps].concat();
            s.rules.disable("O4.tcp.tsecr");
            s.pass(host(ACK, 1, 1, 10).options(&twice));
        },
        good: plain,
    },
    Case {
        id: "O4.tcp.syn-options",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 10).options(&[2, 4, 5, 180]));
        },
        good: plain,
    },
    Case {
        id: "O4.tcp.window-scale",
        bad: |s| s.pass(host(SYN, 0, 0, 0).options(&[2, 4, 5, 180, 1, 3, 3, 15])),
        good: |s| s.pass(host(SYN, 0, 0, 0).options(&[2, 4, 5, 180, 1, 3, 3, 14])),
    },
    Case {
        id: "O4.tcp.mss-option",
        bad: |s| s.pass(host(SYN, 0, 0, 0).options(&[2, 4, 5, 168])),
        good: |s| s.pass(host(SYN, 0, 0, 0).options(&[2, 4, 5, 180])),
    },
    Case {
        id: "O4.tcp.syn-again",
        bad: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.ms(1_000);
            s.pass(host(SYN, 0, 0, 0).options(&[2, 4, 5, 180, 1, 1, 4, 2]));
        },
        good: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.ms(1_000);
            s.pass(host(SYN, 0, 0, 0));
        },
    },
    Case {
        id: "O4.tcp.syn-ack-offer",
        bad: |s| {
            s.stamped = false;
            s.pass(peer(SYN, 0, 0, 0).options(&[2, 4, 5, 180, 1, 3, 3, 7]));
            s.pass(host(SYN | ACK, 0, 1, 0));
        },
        good: |s| {
            s.stamped = false;
            s.pass(peer(SYN, 0, 0, 0).options(&[2, 4, 5, 180, 1, 3, 3, 7]));
            s.pass(host(SYN | ACK, 0, 1, 0).options(&[2, 4, 5, 180, 1, 3, 3, 7]));
        },
    },
    Case {
        id: "O4.tcp.syn-data",
        bad: |s| s.pass(host(SYN, 0, 0, 10)),
        good: |s| {
            let cookie = [2, 4, 5, 180, 34, 6, 1, 2, 3, 4, 1, 1];
            s.pass(host(SYN, 0, 0, 10).options(&cookie));
        },
    },
    Case {
        id: "O4.tcp.timestamps",
        bad: |s| {
            s.open();
            s.stamped = false;
            s.pass(host(ACK, 1, 1, 10));
        },
        good: plain,
    },
    Case {
        id: "O4.tcp.timestamps",
        bad: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.stamped = false;
            s.pass(peer(SYN | ACK, 0, 1, 0));
            s.stamped = true;
            s.pass(host(ACK, 1, 1, 0));
        },
        good: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.stamped = false;
            s.pass(peer(SYN | ACK, 0, 1, 0));
            s.pass(host(ACK, 1, 1, 0));
        },
    },
    Case {
        id: "O4.tcp.tsval",
        bad: |s| {
            s.open();
            let echo = 1_005_005;
            s.pass(host(ACK, 1, 1, 10).stamps(6_000, echo));
            s.pass(host(ACK, 11, 1, 10).stamps(5_999, echo));
        },
        good: |s| {
            s.open();
            let echo = 1_005_005;
            s.pass(host(ACK, 1, 1, 10).stamps(6_000, echo));
            s.pass(host(ACK, 11, 1, 10).stamps(6_000, echo));
        },
    },
    Case {
        id: "O4.tcp.tsecr",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 10).stamps(6_000, 1_005_006));
        },
        good: plain,
    },
    Case {
        // RFC 7323 4.3 (2): not the timestamp of what came beyond a gap.
        id: "O4.tcp.tsecr",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 101, 1, 100));
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)]));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 101, 1, 100));
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)]).stamps(6_000, 1_005_005));
        },
    },
    Case {
        id: "O4.tcp.mss",
        bad: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.pass(peer(SYN | ACK, 0, 1, 0).options(&[2, 4, 4, 0, 1, 3, 3, 7]));
            s.pass(host(ACK, 1, 1, 1_013));
        },
        good: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.pass(peer(SYN | ACK, 0, 1, 0).options(&[2, 4, 4, 0, 1, 3, 3, 7]));
            s.pass(host(ACK, 1, 1, 1_012));
        },
    },
    Case {
        id: "O4.tcp.sack-agreed",
        bad: |s| {
            s.stamped = false;
            s.pass(host(SYN, 0, 0, 0));
            s.pass(peer(SYN | ACK, 0, 1, 0).options(&[2, 4, 5, 180, 1, 3, 3, 7]));
            s.pass(host(ACK, 1, 1, 0));
            s.pass(peer(ACK, 101, 1, 100));
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)]));
        },
        good: |s| {
            s.stamped = false;
            hole(s);
        },
    },
    Case {
        id: "O4.tcp.no-connection",
        bad: |s| s.pass(host(ACK, 1, 1, 0)),
        good: |s| {
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(RST, 1, 0, 0));
        },
    },
    Case {
        id: "O4.tcp.ack-unreceived",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 102, 0));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK | FIN, 1, 1, 100));
            s.pass(host(ACK, 1, 102, 0));
        },
    },
    Case {
        // What was damaged on the way was not received.
        id: "O4.tcp.ack-unreceived",
        bad: |s| {
            s.stamped = false;
            s.open();
            s.pass(peer(ACK, 1, 1, 100).spoil(|frame| frame[80] ^= 4));
            s.pass(host(ACK, 1, 101, 0));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 101, 0));
        },
    },
    Case {
        id: "O4.tcp.ack-unreceived",
        bad: |s| s.pass(host(SYN | ACK, 0, 1, 0)),
        good: |s| s.accept(10),
    },
    Case {
        id: "O4.tcp.ack-back",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 101, 0));
            s.pass(host(ACK, 1, 51, 10).window(600));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 51, 0));
            s.pass(host(ACK, 1, 101, 10));
        },
    },
    Case {
        id: "O4.tcp.sequence",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 2, 1, 100));
        },
        good: plain,
    },
    Case {
        id: "O4.tcp.same-bytes",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 100));
            s.pass(host(ACK, 101, 1, 100));
            s.ms(1_000);
            s.pass(host(ACK, 1, 1, 200).flow(2));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 101));
            s.pass(host(ACK, 102, 1, 102));
            s.ms(1_000);
            s.pass(host(ACK, 1, 1, 203));
        },
    },
    Case {
        // One end of what is sent again is known only; what follows tells.
        id: "O4.tcp.same-bytes",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 200));
            s.ms(1_000);
            s.pass(host(ACK, 1, 1, 77).flow(2));
            s.pass(host(ACK, 78, 1, 123));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 200));
            s.ms(1_000);
            s.pass(host(ACK, 1, 1, 77));
            s.pass(host(ACK, 78, 1, 123));
        },
    },
    Case {
        id: "O4.tcp.fin",
        bad: |s| {
            s.open();
            s.pass(host(ACK | FIN, 1, 1, 10));
            s.pass(host(ACK, 12, 1, 10));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK | FIN, 1, 1, 10));
            s.ms(1_000);
            s.pass(host(ACK | FIN, 1, 1, 10));
        },
    },
    Case {
        id: "O4.tcp.fin",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 10));
            s.pass(host(ACK | FIN, 5, 1, 0));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 10));
            s.pass(host(ACK | FIN, 11, 1, 0));
        },
    },
    Case {
        id: "O4.tcp.after-reset",
        bad: |s| {
            s.open_with(10);
            s.pass(host(RST | ACK, 11, 1, 0));
            s.pass(host(ACK, 11, 1, 10));
        },
        good: |s| {
            s.open_with(10);
            s.pass(host(ACK, 11, 1, 10));
            s.pass(host(RST | ACK, 21, 1, 0));
        },
    },
    Case {
        id: "O4.tcp.resent-acked",
        bad: |s| {
            s.open_with(100);
            s.pass(host(ACK, 1, 1, 100));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 100));
            s.ms(300);
            s.pass(peer(ACK, 1, 101, 0));
            s.pass(host(ACK, 1, 1, 100));
        },
    },
    Case {
        id: "O4.tcp.right-edge",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 300));
            s.pass(host(ACK, 1, 301, 0).window(495));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 300));
            // Rounding takes less than a unit of 128 bytes.
            s.pass(host(ACK, 1, 301, 0).window(497));
        },
    },
    Case {
        id: "O4.tcp.right-edge",
        bad: |s| answers_again(s, 65_000),
        // A SYN has no greater one.
        good: |s| answers_again(s, 65_535),
    },
    Case {
        id: "O4.tcp.beyond-window",
        bad: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.pass(peer(SYN | ACK, 0, 1, 0).window(1_000));
            s.pass(host(ACK, 1, 1, 1_001));
        },
        good: |s| {
            s.pass(host(SYN, 0, 0, 0));
            s.pass(peer(SYN | ACK, 0, 1, 0).window(1_000));
            s.pass(host(ACK, 1, 1, 1_000));
            s.pass(host(ACK, 1_001, 1, 1));
        },
    },
    Case {
        id: "O4.tcp.silly-window",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 0).window(502));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 0).window(505));
        },
    },
    Case {
        id: "O4.tcp.silly-window",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 101, 0).window(499));
            s.pass(host(ACK, 1, 101, 10).window(502));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 101, 0).window(499));
            s.pass(host(ACK, 1, 101, 10).window(500));
        },
    },
    Case {
        id: "O4.tcp.sack-truth",
        bad: |s| {
            s.open();
            s.stamped = false;
            s.rules.disable("O4.tcp.timestamps");
            s.pass(peer(ACK, 101, 1, 100));
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 202)]));
        },
        good: |s| {
            s.stamped = false;
            hole(s);
        },
    },
    Case {
        id: "O4.tcp.sack-first",
        bad: |s| {
            s.stamped = false;
            hole(s);
            s.pass(peer(ACK, 301, 1, 100));
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201), (301, 401)]));
        },
        good: |s| {
            s.stamped = false;
            hole(s);
            s.pass(peer(ACK, 301, 1, 100));
            s.pass(host(ACK, 1, 1, 0).sack(&[(301, 401), (101, 201)]));
        },
    },
    Case {
        id: "O4.tcp.dsack",
        bad: |s| {
            s.stamped = false;
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 101, 0).sack(&[(1, 101)]));
        },
        good: |s| {
            s.stamped = false;
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 101, 0).sack(&[(1, 101)]));
        },
    },
    Case {
        id: "O4.tcp.dsack",
        bad: |s| {
            s.stamped = false;
            hole(s);
            s.pass(peer(ACK, 101, 1, 50));
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 160), (101, 201)]));
        },
        good: |s| {
            s.stamped = false;
            hole(s);
            s.pass(peer(ACK, 101, 1, 50));
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 151), (101, 201)]));
        },
    },
    Case {
        id: "O4.tcp.sack-kept",
        bad: |s| {
            s.stamped = false;
            hole(s);
            s.pass(peer(ACK, 101, 1, 100));
            s.pass(host(ACK, 1, 1, 0));
        },
        good: |s| {
            s.stamped = false;
            hole(s);
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 201, 0));
        },
    },
    Case {
        id: "O4.ecn.unagreed",
        bad: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 100).tweak(|packet| packet.tos = 2));
        },
        good: |s| {
            open_with_ecn(s);
            s.pass(host(ACK, 1, 1, 100).tweak(|packet| packet.tos = 2));
        },
    },
    Case {
        id: "O4.ecn.unagreed",
        bad: |s| {
            s.open();
            s.pass(host(ACK | ECE, 1, 1, 100));
        },
        good: plain,
    },
    Case {
        id: "O4.ecn.field",
        bad: |s| {
            open_with_ecn(s);
            s.pass(host(ACK, 1, 1, 100).tweak(|packet| packet.tos = 2));
            s.ms(1_000);
            s.pass(host(ACK, 1, 1, 100).tweak(|packet| packet.tos = 2));
        },
        good: |s| {
            open_with_ecn(s);
            s.pass(host(ACK, 1, 1, 100).tweak(|packet| packet.tos = 2));
            s.ms(1_000);
            s.pass(host(ACK, 1, 1, 100));
        },
    },
    Case {
        id: "O4.ecn.field",
        bad: |s| {
            open_with_ecn(s);
            s.pass(host(ACK, 1, 1, 100).tweak(|packet| packet.tos = 3));
        },
        good: |s| {
            open_with_ecn(s);
            s.pass(host(ACK | CWR, 1, 1, 100).tweak(|packet| packet.tos = 1));
        },
    },
    Case {
        id: "O4.ecn.syn-ack",
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            s.pass(host(SYN | ACK | ECE, 0, 1, 0));
        },
        good: |s| {
            s.pass(peer(SYN | ECE | CWR, 0, 0, 0));
            s.pass(host(SYN | ACK | ECE, 0, 1, 0));
        },
    },
    Case {
        id: "O4.ecn.echo",
        bad: |s| {
            open_with_ecn(s);
            s.pass(peer(ACK, 1, 1, 100).tweak(|packet| packet.tos = 3));
            s.pass(host(ACK, 1, 101, 0));
        },
        good: |s| {
            open_with_ecn(s);
            s.pass(peer(ACK, 1, 1, 100).tweak(|packet| packet.tos = 3));
            s.pass(host(ACK | ECE, 1, 101, 0));
            s.pass(peer(ACK | CWR, 101, 1, 100));
            s.pass(host(ACK, 1, 201, 0));
        },
    },
    Case {
        id: "O4.ecn.echo",
        bad: |s| {
            open_with_ecn(s);
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK | ECE, 1, 101, 0));
        },
        good: |s| {
            open_with_ecn(s);
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(host(ACK, 1, 101, 0));
        },
    },
];
