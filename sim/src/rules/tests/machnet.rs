//! Machnet flows.

use super::Case;
use super::frame::{V4, udp};
use super::story::Story;

const DATA: u8 = 0x00;
const SYN: u8 = 0x01;
const ACK: u8 = 0x02;
const SYN_ACK: u8 = 0x03;
const RST: u8 = 0x80;
const NONE: u32 = u32::MAX;
/// A message of one packet.
const LONE: u8 = 0x05;

pub(super) fn packet(
    mine: bool,
    kind: u8,
    flags: u8,
    (seq, ack): (u32, u32),
    held: u32,
    payload: &[u8],
) -> V4 {
    let mut bytes = vec![0x4e, 0x53, kind, flags];
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    for byte in held.to_be_bytes() {
        bytes.extend(u64::from(byte).to_be_bytes());
    }
    bytes.extend((held.count_ones() as u16).to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(payload);
    udp(mine, &bytes)
}

fn pass(s: &mut Story, mine: bool, kind: u8, numbers: (u32, u32)) {
    s.pass_frame(mine, &packet(mine, kind, 0, numbers, 0, &[]).frame());
}

pub(super) fn data(s: &mut Story, mine: bool, flags: u8, seq: u32, payload: &[u8]) {
    s.pass_frame(mine, &packet(mine, DATA, flags, (seq, NONE), 0, payload).frame());
}

fn ack(s: &mut Story, ack: u32, held: u32) {
    s.pass_frame(true, &packet(true, ACK, 0, (1, ack), held, &[]).frame());
}

/// The host connects.
fn open(s: &mut Story) {
    pass(s, true, SYN, (0, 0));
    s.ms(5);
    pass(s, false, SYN_ACK, (0, 1));
    pass(s, true, ACK, (1, 1));
    s.ms(100);
}

/// The host connects and says so three times.
pub(super) fn acknowledge_thrice(s: &mut Story) {
    open(s);
    ack(s, 1, 0);
    ack(s, 1, 0);
}

fn lost(s: &mut Story, waits_ms: &[u64]) {
    open(s);
    data(s, true, LONE, 1, b"m");
    for wait_ms in waits_ms {
        s.ms(*wait_ms);
        data(s, true, LONE, 1, b"m");
    }
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O4.machnet.form",
        bad: |s| {
            open(s);
            data(s, true, 0x07, 1, b"m");
        },
        good: |s| {
            open(s);
            data(s, true, LONE, 1, b"m");
        },
    },
    Case {
        id: "O4.machnet.form",
        bad: |s| {
            open(s);
            data(s, true, 0x03, 1, &[0; 1_417]);
        },
        good: |s| {
            open(s);
            data(s, true, 0x03, 1, &[0; 1_418]);
            data(s, true, 0x04, 2, &[0; 3]);
        },
    },
    Case {
        id: "O4.machnet.order",
        bad: |s| {
            open(s);
            data(s, true, LONE, 2, b"m");
        },
        good: |s| {
            open(s);
            data(s, true, LONE, 1, b"m");
            data(s, true, LONE, 2, b"m");
        },
    },
    Case {
        id: "O4.machnet.order",
        bad: |s| {
            open(s);
            data(s, true, 0x04, 1, b"m");
        },
        good: |s| {
            open(s);
            data(s, true, LONE, 1, b"m");
        },
    },
    Case {
        id: "O4.machnet.same",
        bad: |s| {
            open(s);
            data(s, true, LONE, 1, b"m");
            s.ms(300);
            data(s, true, LONE, 1, b"n");
        },
        good: |s| lost(s, &[300]),
    },
    Case {
        id: "O4.machnet.ack",
        bad: |s| {
            open(s);
            data(s, false, LONE, 1, b"m");
            ack(s, 3, 0);
        },
        good: |s| {
            open(s);
            data(s, false, LONE, 1, b"m");
            ack(s, 2, 0);
        },
    },
    Case {
        id: "O4.machnet.ack",
        bad: |s| {
            open(s);
            data(s, false, LONE, 3, b"m");
            ack(s, 1, 0b1000);
        },
        good: |s| {
            open(s);
            data(s, false, LONE, 3, b"m");
            ack(s, 1, 0b100);
        },
    },
    Case {
        id: "O4.machnet.ack-back",
        bad: |s| {
            open(s);
            data(s, false, LONE, 1, b"m");
            ack(s, 2, 0);
            ack(s, 1, 0);
        },
        good: |s| {
            open(s);
            data(s, false, LONE, 1, b"m");
            ack(s, 1, 0);
            ack(s, 2, 0);
        },
    },
    Case {
        id: "O4.machnet.same-acks",
        bad: acknowledge_thrice,
        good: |s| {
            open(s);
            ack(s, 1, 0);
            s.ms(1_000);
            ack(s, 1, 0);
            // Now the peer has something under way.
            data(s, false, LONE, 2, b"m");
            (0..9).for_each(|_| ack(s, 1, 0b10));
        },
    },
    Case {
        id: "O4.machnet.window",
        bad: |s| {
            open(s);
            (1..=33).for_each(|number| data(s, true, LONE, number, b"m"));
        },
        good: |s| {
            open(s);
            (1..=32).for_each(|number| data(s, true, LONE, number, b"m"));
            pass(s, false, ACK, (1, 2));
            data(s, true, LONE, 33, b"m");
        },
    },
    Case {
        id: "O4.machnet.timeout",
        bad: |s| lost(s, &[50, 15]),
        good: |s| lost(s, &[15, 20, 40, 80]),
    },
    Case {
        id: "O4.machnet.timeout",
        bad: |s| {
            pass(s, true, SYN, (0, 0));
            s.ms(500);
            pass(s, true, SYN, (0, 0));
        },
        good: |s| {
            pass(s, true, SYN, (0, 0));
            for wait_ms in [1_000, 2_000, 4_000, 4_000] {
                s.ms(wait_ms);
                pass(s, true, SYN, (0, 0));
            }
        },
    },
    Case {
        id: "O4.machnet.handshake",
        bad: |s| {
            pass(s, false, SYN, (4, 0));
            pass(s, true, SYN_ACK, (0, 4));
        },
        good: |s| {
            pass(s, false, SYN, (4, 0));
            pass(s, true, SYN_ACK, (0, 5));
        },
    },
    Case {
        id: "O4.machnet.handshake",
        bad: |s| {
            pass(s, false, SYN, (4, 0));
            pass(s, true, SYN_ACK, (0, 5));
            pass(s, false, SYN, (9, 0));
            pass(s, true, SYN_ACK, (0, 7));
        },
        good: |s| {
            pass(s, false, SYN, (4, 0));
            pass(s, true, SYN_ACK, (0, 5));
            // Another SYN is answered as the first was.
            pass(s, false, SYN, (9, 0));
            pass(s, true, SYN_ACK, (0, 5));
        },
    },
    Case {
        id: "O4.machnet.handshake",
        bad: |s| {
            pass(s, true, SYN, (0, 0));
            data(s, true, LONE, 1, b"m");
        },
        good: open,
    },
    Case {
        id: "O4.machnet.reset",
        bad: |s| {
            open(s);
            pass(s, true, RST, (2, 1));
        },
        good: |s| {
            open(s);
            pass(s, true, RST, (1, 1));
        },
    },
    Case {
        id: "O4.machnet.reset",
        bad: |s| {
            open(s);
            pass(s, true, RST, (1, 1));
            data(s, true, LONE, 1, b"m");
        },
        good: |s| {
            open(s);
            data(s, true, LONE, 1, b"m");
            pass(s, true, RST, (2, 1));
        },
    },
];
