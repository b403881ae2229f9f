//! What a lane does to frames, told by what goes in, what comes out, and what watches.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::time::{Duration, Instant};

use super::super::rewrite::tests::segment;
use super::super::rewrite::{is_sound, repair, set_len};
use super::super::{Decider, Lane, LinkConfig, Observers, Sink};
use crate::fault::{Condition, Decision, FaultPlan, FaultSource, Place, TcpOption};
use crate::frame::FramePool;
use crate::hash::RollingHash;
use crate::tap::{Delivery, DirectionId, Fate, Tap};

/// Everything that a tap was told.
#[derive(Clone, Debug, Default)]
struct Told {
    sent: Rc<RefCell<Vec<Vec<u8>>>>,
    injected: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Tap for Told {
    fn sent(&mut self, _: Instant, _: DirectionId, frame: &[u8], _: Fate<'_>) {
        self.sent.borrow_mut().push(frame.to_vec());
    }
    fn injected(&mut self, _: Instant, _: DirectionId, frame: &[u8], _: Fate<'_>) {
        self.injected.borrow_mut().push(frame.to_vec());
    }
    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}
}

/// A lane between two switches under a plan of faults, with conditions that hold all the time.
struct Bench {
    lane: Lane,
    pool: FramePool,
    told: Told,
    now: Instant,
}

impl Bench {
    fn new(faults: &str, conditions: &[Condition]) -> Self {
        let plan: FaultPlan = format!("causeway fault plan 2\n{faults}").parse().expect("a plan");
        let decider = Decider::new(&FaultSource::Planned(plan), "s->t", 0, 0);
        let physics = LinkConfig::cable(1_000_000_000, Duration::from_micros(1));
        let id = DirectionId(0);
        let mut lane = Lane::new(id, "s->t".to_owned(), physics, decider, None, Sink::Relay);
        conditions.iter().for_each(|condition| lane.begin(Instant::ZERO, *condition));
        let pool = FramePool::new(2_048, 64);
        Self { lane, pool, told: Told::default(), now: Instant::ZERO }
    }

    /// What arrives of a frame, in the order of time.
    fn send(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.burst(&[bytes.to_vec()])
    }

    /// What arrives of frames that are sent at once, in the order of time.
    fn burst(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut hash = RollingHash::new(0);
        let mut taps: [Box<dyn Tap>; 1] = [Box::new(self.told.clone())];
        let mut observers = Observers { hash: &mut hash, taps: &mut taps };
        let mut flights = Vec::new();
        for bytes in frames {
            let mut frame = self.pool.alloc(bytes.len()).expect("the pool holds it");
            frame.bytes_mut().copy_from_slice(bytes);
            self.lane.relay(self.now, frame, &mut observers, &mut flights);
        }
        self.now += Duration::from_secs(1);
        while let Some(flight) = self.lane.poll_arrival(self.now) {
            flights.push(flight);
        }
        flights.sort_by_key(|flight| flight.at);
        let delivered = flights.into_iter().filter_map(|flight| {
            self.lane.deliver(self.now, flight, &mut Observers { hash: &mut hash, taps: &mut taps })
        });
        delivered.map(|frame| frame.bytes().to_vec()).collect()
    }
}

/// What arrives of one segment under one fault.
fn under(fault: &str, original: &[u8]) -> (Vec<Vec<u8>>, super::super::FaultCounters) {
    let mut bench = Bench::new(&format!("{fault}\n"), &[]);
    let arrived = bench.send(original);
    assert_eq!(bench.told.sent.borrow().as_slice(), [original], "what was sent is not changed");
    (arrived, bench.lane.fault_counters())
}

fn place(frame: &[u8]) -> Place {
    Place::of(frame).expect("a segment")
}

#[test]
fn a_frame_is_cut_and_padded() {
    let original = segment(false, Place::ACK);
    let (arrived, counters) = under("truncate s->t 1 to 40", &original);
    assert_eq!((arrived.as_slice(), counters.changed), ([original[..40].to_vec()].as_slice(), 1));
    let (arrived, counters) = under("pad s->t 1 by 7", &original);
    assert_eq!((arrived[0].len(), counters.changed), (original.len() + 7, 1));
    assert_eq!(arrived[0][..original.len()], original);
}

#[test]
fn a_frame_is_marked_bleached_and_loses_an_option() {
    let original = segment(false, Place::ACK);
    let (marked, _) = under("mark s->t 1", &original);
    assert!(marked[0][15] & 3 == 3 && is_sound(&marked[0]));
    let (bleached, counters) = under("bleach s->t 1", &marked[0]);
    assert!(bleached[0][15] & 3 == 0 && is_sound(&bleached[0]) && counters.changed == 1);
    let (stripped, counters) = under("strip s->t 1 timestamps", &original);
    assert!(stripped[0] != original && is_sound(&stripped[0]) && counters.changed == 1);
}

#[test]
fn a_segment_that_is_split_arrives_as_two_that_say_the_same() {
    let original = segment(false, Place::ACK);
    let whole = place(&original);
    let (mut arrived, counters) = under("split s->t 1 at 4", &original);
    arrived.sort_by_key(|frame| place(frame).seq);
    let [first, second] = arrived.as_slice() else { panic!("{} frames", arrived.len()) };
    let (first, second) = (place(first), place(second));
    assert_eq!((first.seq, first.payload_len()), (whole.seq, 4));
    assert_eq!(second.seq, whole.seq + 4);
    assert_eq!(first.payload_len() + second.payload_len(), whole.payload_len());
    assert_eq!(counters.changed, 1);
    assert!(arrived.iter().all(|frame| is_sound(frame)));
}

#[test]
fn what_is_forged_comes_beside_what_was_sent() {
    let original = segment(false, Place::ACK);
    let (arrived, counters) = under("forge s->t 1 rst 5", &original);
    let forged: Vec<_> = arrived.iter().filter(|frame| **frame != original).collect();
    assert_eq!((arrived.len(), forged.len(), counters.forged), (2, 1, 1));
    assert_eq!(place(forged[0]).flags, Place::RST);
    let (arrived, counters) = under("forge s->t 1 storm 0 of 20", &original);
    assert_eq!((arrived.len(), counters.forged), (21, 20));
}

/// The example with another number, acknowledgement and length.
fn changed(seq: u32, ack: u32, len: usize) -> Vec<u8> {
    let mut frame = segment(false, Place::ACK);
    let at = place(&frame);
    frame.truncate(at.payload + len);
    frame[at.tcp + 4..at.tcp + 8].copy_from_slice(&seq.to_be_bytes());
    frame[at.tcp + 8..at.tcp + 12].copy_from_slice(&ack.to_be_bytes());
    set_len(&mut frame, at.payload + len);
    repair(&mut frame);
    frame
}

#[test]
fn a_held_frame_arrives_behind_those_that_pass_it() {
    let mut bench = Bench::new("hold s->t 1 for 2 at-most 50ms\ndrop s->t 3\n", &[]);
    let frames: Vec<Vec<u8>> = (0..5).map(|seq| changed(seq * 10, 0, 10)).collect();
    let arrived = bench.burst(&frames);
    // The third one is lost, and passes nothing.
    let order: Vec<u32> = arrived.iter().map(|frame| place(frame).seq / 10).collect();
    assert_eq!(order, [1, 3, 0, 4]);
    assert_eq!(bench.lane.fault_counters().delayed, 1);
}

#[test]
fn a_held_frame_arrives_by_itself_where_nothing_passes() {
    let mut bench = Bench::new("hold s->t 1 for 2 at-most 50ms\n", &[]);
    let original = segment(false, Place::ACK);
    assert!(bench.send(&original).is_empty());
    let due = bench.lane.poll_deadline().expect("it was held");
    assert!(bench.lane.poll_deadline().is_none());
    assert!(bench.lane.poll_due(Instant::from_nanos(due.as_nanos() - 1)).is_none());
    let flight = bench.lane.poll_due(due).expect("its time is over");
    assert_eq!(flight.frame.bytes(), original);
    // A microsecond of propagation, 108 bytes at a bit a nanosecond.
    assert_eq!(flight.at.as_nanos(), 1_000 + 8 * (original.len() as u64 + 24));
    assert_eq!(due, flight.at + Duration::from_millis(50));
    assert!(bench.lane.poll_due(due).is_none());
}

#[test]
fn segments_that_follow_each_other_become_one() {
    let frames = [changed(0, 5, 10), changed(10, 6, 4), changed(14, 6, 8), changed(30, 6, 8)];
    let plan = "join s->t 2 within 1500\njoin s->t 3 within 1500\njoin s->t 4 within 1500\n";
    let mut bench = Bench::new(plan, &[]);
    let arrived = bench.burst(&frames);
    let told: Vec<_> = arrived.iter().map(|f| (place(f).seq, place(f).payload_len())).collect();
    assert_eq!(told, [(0, 22), (30, 8)], "the last one does not follow");
    assert!(arrived.iter().all(|frame| is_sound(frame)));
    assert_eq!(bench.lane.fault_counters().changed, 2);
    let mut bench = Bench::new("join s->t 2 within 60\n", &[]);
    assert_eq!(bench.burst(&frames[..2]).len(), 2, "too long");
    assert_eq!(bench.told.sent.borrow().as_slice(), &frames[..2], "what was sent is not changed");
}

#[test]
fn acknowledgements_are_thinned_and_divided() {
    let frames = [changed(0, 100, 0), changed(0, 200, 0), changed(0, 300, 0)];
    let acks = |plan: &str| {
        let mut bench = Bench::new(plan, &[]);
        let arrived = bench.burst(&frames);
        let acks: Vec<u32> = arrived.iter().map(|frame| place(frame).ack).collect();
        (acks, bench.lane.fault_counters())
    };
    let (thinned, counters) = acks("thin s->t 1\nthin s->t 2\n");
    assert_eq!((thinned, counters.dropped), (vec![200, 300], 1));
    let (divided, counters) = acks("divide s->t 2 of 100 into 4\n");
    assert_eq!((divided, counters.changed), (vec![100, 125, 150, 175, 200, 300], 1));
    // Thinned first, then divided; the second of both is a pure acknowledgement in front of the third.
    let (both, _) = acks("thin s->t 3\ndivide s->t 3 of 100 into 2\n");
    assert_eq!(both, [100, 250, 300]);
}

#[test]
fn a_storm_of_acknowledgements_follows_a_frame() {
    let original = segment(false, Place::ACK);
    let (arrived, counters) = under("forge s->t 1 ack-storm -7 of 30", &original);
    assert_eq!((arrived.len(), counters.forged), (31, 30));
}

#[test]
fn two_errors_do_not_cancel() {
    let original = segment(false, Place::ACK);
    // A seven of the payload and a zero of an option, as far from the beginning of their words.
    let twice = "corrupt s->t 1 byte 83 xor 0x01\ncorrupt s->t 1 byte 67 xor 0x01";
    let (arrived, counters) = under(twice, &original);
    assert_eq!(counters.corrupted, 2);
    assert!(!is_sound(&arrived[0]));
}

#[test]
fn conditions_change_what_arrives_and_not_what_is_seen() {
    let original = segment(false, Place::ACK);
    for condition in [Condition::Window(1), Condition::Stripped(TcpOption::Timestamps)] {
        let mut bench = Bench::new("", &[condition]);
        assert_ne!(bench.send(&original), std::slice::from_ref(&original), "{condition:?}");
        assert_eq!(*bench.told.sent.borrow(), std::slice::from_ref(&original));
        // Swallowed as well.
        let mut bench = Bench::new("", &[condition, Condition::Partition]);
        assert!(bench.send(&original).is_empty());
        assert_eq!(
            (bench.lane.fault_counters().dropped, bench.lane.fault_counters().arrived),
            (1, 0)
        );
        assert_eq!(*bench.told.sent.borrow(), std::slice::from_ref(&original));
    }
}

#[test]
fn a_packet_that_is_too_long_is_told_of_if_the_router_tells() {
    let original = segment(false, Place::ACK);
    let bytes = original.len() as u16 - 15;
    for told in [false, true] {
        let mut bench = Bench::new("", &[Condition::Mtu { bytes, told }]);
        assert!(bench.send(&original).is_empty());
        assert_eq!(bench.lane.poll_reply().is_some(), told);
        assert!(bench.lane.poll_reply().is_none());
    }
}

#[test]
fn what_is_executed_is_what_is_recorded() {
    let mut bench = Bench::new("drop s->t 2\ndrop s->t 9\n", &[]);
    let original = segment(false, Place::ACK);
    assert_eq!((bench.send(&original).len(), bench.send(&original).len()), (1, 0));
    let mut executed = FaultPlan::default();
    bench.lane.record_into(&mut executed);
    let decisions: Vec<_> = executed.decisions().collect();
    assert!(matches!(decisions.as_slice(), [Decision::Frame { frame: 2, .. }]), "{decisions:?}");
}
