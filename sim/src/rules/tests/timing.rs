//! Timers, windows of congestion, acknowledgements that are due, and what answers something.

use super::Case;
use super::frame::{ACK, FIN, RST, SYN};
use super::story::{Story, host, peer};

/// Ten segments leave, and are acknowledged.
fn ten_segments(s: &mut Story) {
    s.open();
    for index in 0..10 {
        s.pass(host(ACK, 1 + index * 1_448, 1, 1_448));
    }
    s.ms(5);
    s.pass(peer(ACK, 1, 14_481, 0));
}

fn lost(s: &mut Story, waits_ms: &[u64]) {
    s.open();
    s.pass(host(ACK, 1, 1, 100));
    for wait_ms in waits_ms {
        s.ms(*wait_ms);
        s.pass(host(ACK, 1, 1, 100));
    }
}

fn syns(s: &mut Story, waits_ms: &[u64]) {
    s.pass(host(SYN, 0, 0, 0));
    for wait_ms in waits_ms {
        s.ms(*wait_ms);
        s.pass(host(SYN, 0, 0, 0));
    }
}

/// The peer's window is closed, and the host probes it.
fn probes(s: &mut Story, waits_ms: &[u64]) {
    s.open_with(100);
    s.pass(peer(ACK, 1, 101, 0).window(0));
    for wait_ms in waits_ms {
        s.ms(*wait_ms);
        s.pass(host(ACK, 100, 1, 0));
        s.pass(peer(ACK, 1, 101, 0).window(0));
    }
}

/// Two connections that end, the host being the first to close.
fn closed_by_host(s: &mut Story) {
    s.accept(10);
    s.pass(host(ACK | FIN, 11, 1, 0));
    s.pass(peer(ACK | FIN, 1, 12, 0));
    s.pass(host(ACK, 12, 2, 0));
    s.ms(1_000);
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O4.tcp.syn-rto",
        bad: |s| syns(s, &[1_000, 1_500]),
        good: |s| syns(s, &[1_000, 2_000, 4_000]),
    },
    Case {
        id: "O4.tcp.rto",
        bad: |s| lost(s, &[50, 150]),
        good: |s| lost(s, &[50, 200, 400, 800]),
    },
    Case {
        // Timeouts that do not get longer, though none is too short.
        id: "O4.tcp.rto",
        bad: |s| lost(s, &[2_000, 2_000, 2_000]),
        good: |s| lost(s, &[2_000, 4_000, 8_000]),
    },
    Case {
        id: "O4.tcp.rto-burst",
        bad: |s| {
            s.open();
            (0..5).for_each(|index| s.pass(host(ACK, 1 + index * 100, 1, 100)));
            s.ms(300);
            (0..5).for_each(|index| s.pass(host(ACK, 1 + index * 100, 1, 100)));
        },
        good: |s| {
            s.open();
            (0..5).for_each(|index| s.pass(host(ACK, 1 + index * 100, 1, 100)));
            s.ms(300);
            s.pass(host(ACK, 1, 1, 100));
            s.pass(peer(ACK, 1, 101, 0));
            (1..5).for_each(|index| s.pass(host(ACK, 1 + index * 100, 1, 100)));
        },
    },
    Case {
        id: "O4.tcp.probe-pace",
        bad: |s| probes(s, &[200, 200, 200, 200]),
        good: |s| probes(s, &[200, 400, 800, 1_600]),
    },
    Case {
        id: "O4.tcp.initial-window",
        bad: |s| {
            s.open();
            (0..12).for_each(|index| s.pass(host(ACK, 1 + index * 1_448, 1, 1_448)));
        },
        good: ten_segments,
    },
    Case {
        id: "O4.tcp.flight",
        bad: |s| {
            ten_segments(s);
            (10..45).for_each(|index| s.pass(host(ACK, 1 + index * 1_448, 1, 1_448)));
        },
        good: |s| {
            ten_segments(s);
            (10..30).for_each(|index| s.pass(host(ACK, 1 + index * 1_448, 1, 1_448)));
        },
    },
    Case {
        id: "O4.tcp.ack-delay",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.ms(501);
            s.pass(host(ACK, 1, 101, 0));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.ms(499);
            s.pass(host(ACK, 1, 101, 0));
        },
    },
    Case {
        id: "O4.tcp.ack-delay",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.ms(2_000);
            s.pass(peer(RST, 101, 0, 0));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.pass(peer(RST, 101, 0, 0));
            s.ms(2_000);
        },
    },
    Case {
        id: "O4.tcp.ack-delay",
        bad: |s| {
            s.accept(10);
            s.pass(peer(ACK, 1, 11, 100));
            s.ms(501);
            s.pass(host(ACK, 11, 101, 0));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            s.pass(host(SYN | ACK, 0, 1, 0));
            // A probe is answered, which completes no handshake; and there is no room for what does.
            s.pass(peer(ACK, 0, 1, 0));
            s.pass(host(ACK, 1, 1, 0));
            s.pass(peer(FIN | ACK, 1, 1, 0));
            s.ms(900);
        },
    },
    Case {
        // Nothing more happens on the connection: the end of the run tells.
        id: "O4.tcp.ack-delay",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.ms(2_000);
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 100));
            s.rules.slack(0, causeway_core::time::Duration::from_secs(2));
            s.ms(2_000);
        },
    },
    Case {
        id: "O4.tcp.ack-at-once",
        bad: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 1_448));
            s.pass(peer(ACK, 1_449, 1, 1_448));
            s.ms(40);
            s.pass(host(ACK, 1, 2_897, 0));
        },
        good: |s| {
            s.open();
            s.pass(peer(ACK, 1, 1, 1_448));
            s.ms(40);
            s.pass(host(ACK, 1, 1_449, 0));
            s.pass(peer(ACK, 1_449, 1, 1_448));
            s.ms(40);
            s.pass(host(ACK, 1, 2_897, 0));
        },
    },
    Case {
        id: "O4.tcp.ack-at-once",
        bad: |s| {
            s.stamped = false;
            s.open();
            s.pass(peer(ACK, 101, 1, 100));
            s.ms(40);
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)]));
        },
        good: |s| {
            s.stamped = false;
            s.open();
            s.pass(peer(ACK, 101, 1, 100));
            s.ms(5);
            s.pass(host(ACK, 1, 1, 0).sack(&[(101, 201)]));
        },
    },
    Case {
        id: "O4.tcp.ack-loop",
        bad: |s| {
            s.open();
            // The SYN,ACK asked for one, that may have been this.
            s.pass(host(ACK, 1, 1, 0));
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(ACK, 1, 1, 0));
        },
        good: |s| {
            s.open();
            s.pass(host(ACK, 1, 1, 0));
            // A keepalive probe wants an answer.
            s.pass(peer(ACK, 0, 1, 0));
            s.pass(host(ACK, 1, 1, 0));
        },
    },
    Case {
        id: "O4.tcp.challenges",
        bad: |s| {
            s.stamped = false;
            s.open();
            for _ in 0..3 {
                s.pass(peer(SYN, 700, 0, 0));
                s.pass(host(ACK, 1, 1, 0));
                s.ms(10);
            }
        },
        good: |s| {
            s.stamped = false;
            s.open();
            for _ in 0..3 {
                s.pass(peer(SYN, 700, 0, 0));
                s.pass(host(ACK, 1, 1, 0));
                s.ms(500);
            }
        },
    },
    Case {
        id: "O4.tcp.reset-sequence",
        bad: |s| {
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(RST, 2, 0, 0));
        },
        good: |s| {
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(RST, 1, 0, 0));
        },
    },
    Case {
        id: "O4.tcp.reset-sequence",
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            // Sequence number zero, and the SYN is not counted.
            s.pass(host(RST | ACK, 0, 0, 0).numbers(0x400, 0));
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            s.pass(host(RST | ACK, 0, 1, 0).numbers(0x400, 0));
        },
    },
    Case {
        id: "O4.tcp.reset-sequence",
        bad: |s| {
            s.open_with(10);
            s.pass(host(RST | ACK, 15, 1, 0));
        },
        good: |s| {
            s.open_with(10);
            s.pass(host(RST | ACK, 11, 1, 0));
        },
    },
    Case {
        id: "O4.tcp.reset-unasked",
        bad: |s| {
            s.pass(peer(ACK, 1, 1, 0));
            s.pass(host(RST, 1, 0, 0));
            s.pass(peer(RST, 1, 0, 0));
            s.pass(host(RST, 1, 0, 0));
        },
        good: |s| {
            for _ in 0..2 {
                s.pass(peer(ACK, 1, 1, 0));
                s.pass(host(RST, 1, 0, 0));
            }
        },
    },
    Case {
        id: "O4.tcp.time-wait",
        bad: |s| {
            closed_by_host(s);
            s.pass(peer(SYN, 0, 0, 0).numbers(0, 0xffff_ff00).stamps(1_004_000, 0));
            s.pass(host(SYN | ACK, 0, 1, 0).numbers(9, 0xffff_ff00));
        },
        good: |s| {
            closed_by_host(s);
            s.pass(peer(SYN, 0, 0, 0).numbers(0, 0xffff_ff00));
            s.pass(host(SYN | ACK, 0, 1, 0).numbers(9, 0xffff_ff00));
        },
    },
    Case {
        id: "O11",
        bad: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            for _ in 0..30 {
                s.ms(120_000);
                s.pass(host(SYN | ACK, 0, 1, 0));
            }
        },
        good: |s| {
            s.pass(peer(SYN, 0, 0, 0));
            for _ in 0..6 {
                s.ms(120_000);
                s.pass(host(SYN | ACK, 0, 1, 0));
            }
        },
    },
];
