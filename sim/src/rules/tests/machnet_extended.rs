//! Machnet flows in the extended profile.

use super::Case;
use super::frame::{V4, udp};
use super::story::Story;

const DATA: u8 = 0x00;
const SYN: u8 = 0x01;
const ACK: u8 = 0x02;
const SYN_ACK: u8 = 0x03;
const RST: u8 = 0x80;
/// Version 1, no features, 1,418 bytes.
const OFFER: u64 = 0x4357_5901_0000_058a;
/// A clock and an echo.
const CLOCK: u64 = 7 << 32 | 9;
const FIRST: u8 = 0x01;
const MORE: u8 = 0x02;
const LAST: u8 = 0x04;
const LONE: u8 = FIRST | LAST;
const FIN: u8 = 0x10;
/// Of the window's field: 4 KiB each.
const COARSE: u16 = 1 << 15;

/// What the peer says: which packets behind a hole are here, and how much it takes.
#[derive(Clone, Copy, Default)]
struct Said {
    held: [u64; 4],
    window: u16,
}

fn packet(
    mine: bool,
    (kind, flags): (u8, u8),
    (seq, ack): (u32, u32),
    said: Said,
    timestamp: u64,
    body: &[u8],
) -> V4 {
    let mut bytes = vec![0x4e, 0x53, kind, flags];
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    said.held.iter().for_each(|word| bytes.extend(word.to_be_bytes()));
    bytes.extend(said.window.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(body);
    udp(mine, &bytes)
}

fn pass(s: &mut Story, mine: bool, kind: (u8, u8), numbers: (u32, u32), said: Said, body: &[u8]) {
    s.pass_frame(mine, &packet(mine, kind, numbers, said, CLOCK, body).frame());
}

fn syn(s: &mut Story, mine: bool, kind: u8, numbers: (u32, u32), offer: u64) {
    s.pass_frame(mine, &packet(mine, (kind, 0), numbers, Said::default(), offer, &[]).frame());
}

/// The host connects; its peer begins at 501.
fn open(s: &mut Story) {
    syn(s, true, SYN, (0, 0), OFFER);
    s.ms(5);
    syn(s, false, SYN_ACK, (500, 1), OFFER);
    pass(s, true, (ACK, 0), (1, 501), Said::default(), &[]);
}

/// Number, length and CRC around `len` bytes of a message.
fn lone(len: u8) -> Vec<u8> {
    [&[0, 0, 0, 0, 0, 0, 0, len][..], &vec![b'm'; len.into()], &[1, 2, 3, 4]].concat()
}

fn mine(s: &mut Story, flags: u8, seq: u32, body: &[u8]) {
    pass(s, true, (DATA, flags), (seq, 501), Said::default(), body);
}

fn theirs(s: &mut Story, seq: u32) {
    pass(s, false, (DATA, LONE), (seq, 1), Said::default(), &lone(1));
}

fn ack(s: &mut Story, ack: u32, bit: Option<u32>) {
    let mut held = [0; 4];
    bit.into_iter().for_each(|bit| held[bit as usize / 64] |= 1 << (bit % 64));
    pass(s, true, (ACK, 0), (1, ack), Said { held, window: 0 }, &[]);
}

fn told(s: &mut Story, ack: u32, window: u16) {
    pass(s, false, (ACK, 0), (501, ack), Said { window, ..Said::default() }, &[]);
}

/// The beginning of a long message: `count` packets.
fn long(s: &mut Story, count: u32) {
    for number in 1..=count {
        mine(s, if number == 1 { FIRST | MORE } else { MORE }, number, &[0; 1_418]);
    }
}

pub(super) const CASES: &[Case] = &[
    Case {
        id: "O4.machnet.form",
        bad: |s| {
            open(s);
            mine(s, LONE, 1, &lone(1)[..11]);
        },
        good: |s| {
            open(s);
            mine(s, LONE, 1, &lone(1));
            mine(s, FIN, 2, &[]);
        },
    },
    Case {
        id: "O4.machnet.form",
        bad: |s| {
            open(s);
            mine(s, FIRST | MORE, 1, &[0; 1_414]);
        },
        good: |s| {
            open(s);
            mine(s, FIRST | MORE, 1, &[0; 1_415]);
            // The CRC alone.
            mine(s, LAST, 2, &[1, 2, 3, 4]);
        },
    },
    Case {
        id: "O4.machnet.form",
        bad: |s| {
            open(s);
            ack(s, 501, Some(0));
        },
        good: |s| {
            open(s);
            ack(s, 501, None);
        },
    },
    Case {
        id: "O4.machnet.order",
        bad: |s| {
            open(s);
            mine(s, FIN, 1, &[]);
            mine(s, LONE, 2, &lone(1));
        },
        good: |s| {
            open(s);
            mine(s, LONE, 1, &lone(1));
            mine(s, FIN, 2, &[]);
        },
    },
    Case {
        id: "O4.machnet.same",
        bad: |s| {
            open(s);
            mine(s, LONE, 1, &lone(5));
            s.ms(50);
            mine(s, LONE, 1, &lone(6));
        },
        good: |s| {
            open(s);
            mine(s, LONE, 1, &lone(5));
            theirs(s, 501);
            s.ms(50);
            // What it acknowledges beside is news.
            pass(s, true, (DATA, LONE), (1, 502), Said::default(), &lone(5));
        },
    },
    Case {
        id: "O4.machnet.ack",
        bad: |s| {
            open(s);
            theirs(s, 501);
            mine(s, LONE, 1, &lone(1));
            pass(s, true, (DATA, LONE), (2, 503), Said::default(), &lone(1));
        },
        good: |s| {
            open(s);
            theirs(s, 501);
            pass(s, true, (DATA, LONE), (1, 502), Said::default(), &lone(1));
        },
    },
    Case {
        id: "O4.machnet.ack",
        bad: |s| {
            open(s);
            theirs(s, 701);
            ack(s, 501, Some(199));
        },
        good: |s| {
            open(s);
            theirs(s, 701);
            ack(s, 501, Some(200));
        },
    },
    Case {
        id: "O4.machnet.ack-back",
        bad: |s| {
            open(s);
            theirs(s, 501);
            ack(s, 502, None);
            mine(s, LONE, 1, &lone(1));
        },
        good: |s| {
            open(s);
            mine(s, LONE, 1, &lone(1));
            theirs(s, 501);
            // As often as it likes.
            (0..9).for_each(|_| ack(s, 502, None));
        },
    },
    Case {
        id: "O4.machnet.window",
        bad: |s| {
            open(s);
            (1..=257).for_each(|number| mine(s, LONE, number, &lone(1)));
        },
        good: |s| {
            open(s);
            (1..=256).for_each(|number| mine(s, LONE, number, &lone(1)));
            told(s, 2, 1_000);
            mine(s, LONE, 257, &lone(1));
        },
    },
    Case {
        id: "O4.machnet.room",
        bad: |s| {
            open(s);
            // 65,536 bytes before the peer has said anything.
            long(s, 47);
        },
        good: |s| {
            open(s);
            told(s, 1, COARSE | 17);
            long(s, 47);
        },
    },
    Case {
        id: "O4.machnet.room",
        bad: |s| {
            open(s);
            long(s, 46);
            told(s, 47, 1_000);
            mine(s, MORE, 47, &[0; 1_418]);
        },
        good: |s| {
            open(s);
            long(s, 46);
            told(s, 47, 1_418);
            mine(s, MORE, 47, &[0; 1_418]);
        },
    },
    Case {
        id: "O4.machnet.handshake",
        bad: |s| {
            syn(s, false, SYN, (0, 0), 0);
            syn(s, true, SYN_ACK, (500, 1), OFFER);
        },
        good: |s| {
            syn(s, false, SYN, (0, 0), OFFER);
            syn(s, true, SYN_ACK, (500, 1), OFFER);
        },
    },
    Case {
        id: "O4.machnet.reset",
        bad: |s| {
            open(s);
            pass(s, true, (RST, 0), (2, 501), Said::default(), &[]);
        },
        good: |s| {
            // It has forgotten a flow under the same ports.
            syn(s, true, SYN, (0, 0), OFFER);
            pass(s, false, (ACK, 0), (900, 77), Said::default(), &[]);
            pass(s, true, (RST, 0), (77, 900), Said::default(), &[]);
            syn(s, false, SYN_ACK, (500, 1), OFFER);
            mine(s, LONE, 1, &lone(1));
            pass(s, true, (RST, 0), (2, 501), Said::default(), &[]);
            // And answers what comes late, a copy of a SYN as well.
            pass(s, true, (RST, 0), (1, 501), Said::default(), &[]);
            syn(s, true, RST, (0, 1), 0);
        },
    },
];
