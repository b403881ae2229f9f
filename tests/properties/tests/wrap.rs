//! Sequence numbers wrap, and change their sign, at every place of a conversation: for each place there is a run in which it lies just
//! there. That it does is counted by what is seen on the wire: each quantity that is compared has had the last number before and the first behind each
//! boundary as its value, first and again, and both streams came whole.

use std::collections::BTreeSet;

use causeway_core::tcp::{Config, SeqNumber};
use causeway_core::time::Duration;
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};
use causeway_properties::{Input, Plan, SIDES, Weather, World};

/// Where comparisons of plain numbers go wrong.
const BOUNDARIES: [u32; 2] = [0, 1 << 31];
/// Bytes that each side writes, in pieces of so many.
const BYTES: u32 = 60;
const PIECE: u64 = 3;
/// Rings that fill up, so that the right edge of the window is one of the numbers.
const RING: u64 = 32;
/// A retransmission timeout is at most two minutes, and a round takes four milliseconds.
const ROUNDS_MAX: usize = 200_000;
const SEEDS: u64 = 2;

/// A number that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quantity {
    /// SEG.SEQ of the first segment with it: SND.NXT.
    Next,
    /// SEG.SEQ of a segment that is sent again.
    Again,
    /// SEG.ACK: the receiver's RCV.NXT, and the sender's SND.UNA.
    Ack,
    /// The right edge of the window.
    Edge,
    /// The left and the right edges of SACK blocks.
    SackLeft,
    SackRight,
    /// A duplicate that is reported (RFC 2883).
    Dsack,
    /// SYN's number, FIN's, and where the urgent pointer points.
    Syn,
    Fin,
    Urgent,
}

use Quantity::{Ack, Again, Dsack, Edge, Fin, Next, SackLeft, SackRight, Syn, Urgent};

const QUANTITIES: [Quantity; 10] =
    [Next, Again, Ack, Edge, SackLeft, SackRight, Dsack, Syn, Fin, Urgent];

/// What was seen: a quantity of the numbers of a side, at a boundary, just before it or just behind.
type Seen = BTreeSet<(usize, Quantity, u32, bool)>;

#[derive(Default)]
struct Watcher {
    seen: Seen,
    /// One past the highest number of each side.
    highest: [Option<SeqNumber>; 2],
    scales: [u8; 2],
}

impl Watcher {
    fn note(&mut self, side: usize, quantity: Quantity, number: SeqNumber) {
        for boundary in BOUNDARIES {
            if number.0 == boundary || number.0 == boundary.wrapping_sub(1) {
                self.seen.insert((side, quantity, boundary, number.0 == boundary));
            }
        }
    }

    fn look(&mut self, side: usize, header: &TcpHeader, len: u32) {
        let has = |flag| header.flags.contains(flag);
        let end = header.seq + len + u32::from(has(TcpFlags::SYN)) + u32::from(has(TcpFlags::FIN));
        let before = *self.highest[side].get_or_insert(header.seq);
        if end > before {
            self.note(side, Next, header.seq);
            self.highest[side] = Some(end);
        } else if end != header.seq {
            self.note(side, Again, header.seq);
        }
        if has(TcpFlags::SYN) {
            self.note(side, Syn, header.seq);
            self.scales[side] = header.options.window_scale.unwrap_or(0);
        }
        if has(TcpFlags::FIN) {
            self.note(side, Fin, end - 1);
        }
        if has(TcpFlags::URG) {
            self.note(side, Urgent, header.seq + u32::from(header.urgent));
        }
        if !has(TcpFlags::ACK) {
            return;
        }
        // The others are the peer's numbers.
        let (side, scale) = (1 - side, if has(TcpFlags::SYN) { 0 } else { self.scales[side] });
        self.note(side, Ack, header.ack);
        self.note(side, Edge, header.ack + (u32::from(header.window) << scale));
        for (at, block) in header.options.sack.as_slice().iter().enumerate() {
            if at == 0 && block.0 < header.ack {
                self.note(side, Dsack, block.0);
            } else {
                self.note(side, SackLeft, block.0);
                self.note(side, SackRight, block.1);
            }
        }
    }
}

fn converse(watcher: &mut Watcher, iss: [u32; 2], seed: u64) {
    let config =
        Config::builder().retries_max(100).nodelay(true).window_scaling(seed.is_multiple_of(2));
    let config = config.build().expect("a right configuration");
    let weather = Weather {
        seed,
        loss_ppm: 120_000,
        duplicate_ppm: 80_000,
        reorder_ppm: 250_000,
        ..Weather::default()
    };
    let mut world = World::new(Plan { iss, ring: RING, ..Plan::new(&config, weather) });
    (watcher.highest, watcher.scales) = Default::default();
    let mut look = |world: &mut World| {
        for (side, header, len) in world.take_sent() {
            watcher.look(side, &header, len);
        }
    };
    let written = |world: &World, side: usize| world.end(side).map_or(0, |end| end.rings.written());
    let whole = |world: &World| SIDES.iter().all(|side| written(world, *side) == u64::from(BYTES));
    for round in 0.. {
        if whole(&world) {
            break;
        }
        assert!(round < ROUNDS_MAX, "no end");
        for side in SIDES {
            let left = u64::from(BYTES) - written(&world, side);
            world.give(side, Input::Reads(left.is_multiple_of(2)));
            world.give(side, Input::Write(PIECE.min(left)));
            if left.is_multiple_of(5) && left < u64::from(BYTES) {
                world.give(side, Input::Urgent);
            }
        }
        world.pass(Duration::from_millis(4), |_| {});
        look(&mut world);
    }
    SIDES.iter().for_each(|side| world.give(*side, Input::Reads(true)));
    world.finish();
    look(&mut world);
}

#[test]
fn numbers_wrap_and_change_their_sign_at_every_place_of_a_conversation_with_loss() {
    let mut watcher = Watcher::default();
    for boundary in BOUNDARIES {
        for before in 0..BYTES + RING as u32 + 4 {
            let here = boundary.wrapping_sub(before);
            for (seed, iss) in (0..SEEDS).flat_map(|seed| {
                // One side, the other, and both with different places.
                let other = boundary.wrapping_sub(BYTES.wrapping_sub(before) % 97);
                [(seed, [here, 5_000]), (seed, [5_000, here]), (seed, [here, other])]
            }) {
                converse(&mut watcher, iss, seed * 1_000 + u64::from(before));
            }
        }
    }
    let wanted = SIDES.into_iter().flat_map(|side| {
        let all =
            QUANTITIES.into_iter().flat_map(|q| BOUNDARIES.map(|b| [(q, b, false), (q, b, true)]));
        all.flatten().map(move |(quantity, boundary, behind)| (side, quantity, boundary, behind))
    });
    let missed: Vec<_> = wanted.filter(|what| !watcher.seen.contains(what)).collect();
    assert!(missed.is_empty(), "{missed:?} was never seen");
}
