//! The decorator that makes a real NIC a bad one.

use std::collections::VecDeque;

use causeway_core::nic::{BURST_MAX, Frame, Nic, NicCaps, Offload, RxChecksum, WaitSource};
use causeway_core::wire::checksum::{RunningSum, finish};

use super::{FaultProfile, Verdict, corrupt, decide};

/// The most frames one direction holds back at a time: a profile lets at most so many frames overtake one, and each
/// that comes by lets go what it was the last to overtake.
pub const HELD_MAX: usize = 64;
/// After this many polls in a row that brought no frame, what is held back is let go.
pub const IDLE_POLLS_MAX: u32 = 256;

const ENTITY_RX: u64 = 0;
const ENTITY_TX: u64 = 1;

/// A NIC whose frames are lost, duplicated, reordered and corrupted as [`decide`] says, in each direction
/// by its own profile.
///
/// A held frame is never stuck. It is let go when as many later frames of its direction have passed as its
/// verdict says, or after [`IDLE_POLLS_MAX`] polls (`rx_burst`) without any frame. While something is held,
/// `wait_source` is [`WaitSource::Poll`], so that the driver goes on polling until then.
#[derive(Debug)]
pub struct Fault<N: Nic> {
    inner: N,
    rx: Direction<N::Frame>,
    tx: Direction<N::Frame>,
    /// Room for the inner NIC's burst, kept so that no burst allocates.
    scratch: Vec<N::Frame>,
    idle_polls: u32,
}

impl<N: Nic> Fault<N> {
    /// A decorator around `inner` with one profile for received and one for sent frames.
    pub fn new(inner: N, seed: u64, rx: FaultProfile, tx: FaultProfile) -> Self {
        Self {
            inner,
            rx: Direction::new(rx, seed, ENTITY_RX),
            tx: Direction::new(tx, seed, ENTITY_TX),
            scratch: Vec::with_capacity(BURST_MAX),
            idle_polls: 0,
        }
    }

    /// Getter: what it decorates.
    pub const fn inner(&self) -> &N {
        &self.inner
    }

    fn holds_frames(&self) -> bool {
        !(self.rx.is_idle() && self.tx.is_idle())
    }
}

impl<N: Nic> Nic for Fault<N> {
    type Frame = N::Frame;

    fn caps(&self) -> &NicCaps {
        self.inner.caps()
    }

    fn link_up(&self) -> bool {
        self.inner.link_up()
    }

    fn rx_burst(&mut self, out: &mut Vec<Self::Frame>, max: usize) -> usize {
        let room = max.saturating_sub(self.rx.ready.len()).min(BURST_MAX);
        let received = self.inner.rx_burst(&mut self.scratch, room);
        for frame in self.scratch.drain(..) {
            self.rx.admit(frame, &mut self.inner);
        }
        self.idle_polls = if received > 0 { 0 } else { self.idle_polls.saturating_add(1) };
        if self.idle_polls >= IDLE_POLLS_MAX {
            self.rx.release_all();
            self.tx.release_all();
        }
        if !self.tx.ready.is_empty() {
            self.inner.tx_burst(&mut self.tx.ready);
        }
        let delivered = self.rx.ready.len().min(max);
        out.extend(self.rx.ready.drain(..delivered));
        delivered
    }

    fn alloc(&mut self, len: usize) -> Option<Self::Frame> {
        self.inner.alloc(len)
    }

    fn tx_burst(&mut self, frames: &mut VecDeque<Self::Frame>) -> usize {
        let mut accepted = 0;
        while self.tx.ready.len() < BURST_MAX {
            let Some(frame) = frames.pop_front() else { break };
            self.tx.admit(frame, &mut self.inner);
            accepted += 1;
        }
        if accepted > 0 {
            self.idle_polls = 0;
        }
        if !self.tx.ready.is_empty() {
            self.inner.tx_burst(&mut self.tx.ready);
        }
        accepted
    }

    fn wait_source(&self) -> WaitSource {
        if self.holds_frames() { WaitSource::Poll } else { self.inner.wait_source() }
    }
}

/// A frame held back until frame number `release_at` has passed.
#[derive(Debug)]
struct Held<F> {
    release_at: u64,
    frame: F,
}

/// The frames of one direction on their way through.
#[derive(Debug)]
struct Direction<F> {
    profile: FaultProfile,
    seed: u64,
    entity: u64,
    /// The number of the next frame.
    counter: u64,
    /// In the order in which they were held; at most [`HELD_MAX`].
    held: Vec<Held<F>>,
    /// To be handed on; at most a burst, its duplicates and what was held.
    ready: VecDeque<F>,
}

impl<F: Frame> Direction<F> {
    fn new(profile: FaultProfile, seed: u64, entity: u64) -> Self {
        Self {
            profile,
            seed,
            entity,
            counter: 0,
            held: Vec::with_capacity(HELD_MAX),
            ready: VecDeque::with_capacity(2 * BURST_MAX + HELD_MAX),
        }
    }

    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.ready.is_empty()
    }

    /// Takes one frame in: it ends up in `ready`, in `held` or nowhere.
    fn admit<N: Nic<Frame = F>>(&mut self, mut frame: F, nic: &mut N) {
        let number = self.counter;
        self.counter = self.counter.wrapping_add(1);
        match decide(&self.profile, self.seed, self.entity, number) {
            Verdict::Drop => {}
            Verdict::Corrupt { selector } => {
                lay_bare(&mut frame);
                corrupt(&mut frame, selector);
                self.ready.push_back(frame);
            }
            Verdict::Duplicate => {
                // Without memory for the copy the frame arrives once, which a network may do as well.
                let twin = copy_of(&frame, nic);
                self.ready.push_back(frame);
                self.ready.extend(twin);
            }
            Verdict::Reorder { frames, .. } => {
                let release_at = number.saturating_add(u64::from(frames));
                self.held.push(Held { release_at, frame });
            }
            Verdict::Pass => self.ready.push_back(frame),
        }
        self.release_until(number);
    }

    fn release_until(&mut self, number: u64) {
        let ready = &mut self.ready;
        ready.extend(self.held.extract_if(.., |h| h.release_at <= number).map(|h| h.frame));
    }

    fn release_all(&mut self) {
        self.ready.extend(self.held.drain(..).map(|h| h.frame));
    }
}

/// Makes a frame what it would be on a wire, where damage can be noticed: its checksum is complete, and nobody vouches for it. A
/// super-segment to be sent cannot be cut after that, and is lost.
fn lay_bare<F: Frame>(frame: &mut F) {
    let meta = frame.meta_mut();
    if meta.rx_checksum == RxChecksum::Verified {
        meta.rx_checksum = RxChecksum::Unknown;
    }
    let Offload { csum_start, csum_offset, .. } = meta.offload;
    if !std::mem::take(&mut meta.offload.needs_csum) {
        return;
    }
    let (mut skip, mut sum) = (usize::from(csum_start), RunningSum::new());
    for index in 0..frame.segment_count() {
        let segment = frame.segment(index);
        sum.add(segment.get(skip..).unwrap_or(&[]));
        skip = skip.saturating_sub(segment.len());
    }
    // To UDP zero means that there is none; all ones is the same number.
    let checksum = match finish(sum.sum()) {
        0 => 0xffff,
        other => other,
    };
    // Headers are in the first segment.
    let at = usize::from(csum_start) + usize::from(csum_offset);
    if let Some(field) = frame.segment_mut(0).get_mut(at..at + 2) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A copy of `frame` in the NIC's memory.
fn copy_of<N: Nic>(frame: &N::Frame, nic: &mut N) -> Option<N::Frame> {
    let mut copy = nic.alloc(frame.len())?;
    *copy.meta_mut() = *frame.meta();
    let mut source = (0..frame.segment_count()).flat_map(|i| frame.segment(i)).copied();
    for index in 0..copy.segment_count() {
        for byte in copy.segment_mut(index) {
            *byte = source.next()?;
        }
    }
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::{Loopback, LoopbackConfig};

    fn profile(
        ppm: impl FnOnce(super::super::FaultProfileBuilder) -> super::super::FaultProfileBuilder,
    ) -> FaultProfile {
        ppm(FaultProfile::builder()).build().unwrap()
    }

    fn send(nic: &mut impl Nic, numbers: std::ops::Range<u8>) {
        let mut frames = VecDeque::new();
        for n in numbers {
            let mut frame = nic.alloc(60).unwrap();
            frame.segment_mut(0).fill(n);
            frames.push_back(frame);
            nic.tx_burst(&mut frames);
            assert!(frames.is_empty());
        }
    }

    #[test]
    fn damage_to_a_frame_with_a_partial_checksum_can_be_noticed() {
        let bad = profile(|p| p.corrupt_ppm(1_000_000));
        for (rx, tx) in [(bad, FaultProfile::NONE), (FaultProfile::NONE, bad)] {
            for number in 0..50 {
                let mut nic = Fault::new(Loopback::new(&LoopbackConfig::default()), number, rx, tx);
                let mut frame = nic.alloc(61).unwrap();
                let bytes = frame.bytes_mut();
                bytes.fill(7);
                // What a pseudo-header might sum up to.
                bytes[30..32].copy_from_slice(&[0x12, 0x34]);
                let mut complete = bytes.to_vec();
                let checksum = finish(causeway_core::wire::checksum::sum(&bytes[14..]));
                complete[30..32].copy_from_slice(&checksum.to_be_bytes());
                let offload = Offload {
                    needs_csum: true,
                    csum_start: 14,
                    csum_offset: 16,
                    ..Offload::default()
                };
                let meta = frame.meta_mut();
                (meta.rx_checksum, meta.offload) = (RxChecksum::Verified, offload);
                nic.tx_burst(&mut VecDeque::from([frame]));
                let mut frames = Vec::new();
                assert_eq!(nic.rx_burst(&mut frames, BURST_MAX), 1);
                let meta = frames[0].meta();
                assert_eq!(
                    (meta.rx_checksum, meta.offload.needs_csum),
                    (RxChecksum::Unknown, false)
                );
                let pairs = frames[0].bytes().iter().zip(&complete);
                let wrong_bits: u32 = pairs.map(|(a, b)| (a ^ b).count_ones()).sum();
                assert_eq!(wrong_bits, 1, "complete but for the damage");
            }
        }
    }

    fn receive(nic: &mut impl Nic) -> Vec<u8> {
        let mut frames = Vec::new();
        nic.rx_burst(&mut frames, BURST_MAX);
        frames.iter().map(|f| f.segment(0)[0]).collect()
    }

    fn pair() -> (Loopback, Loopback) {
        Loopback::pair(&LoopbackConfig::default())
    }

    #[test]
    fn lost_frames_are_accepted_and_never_arrive() {
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 1, FaultProfile::NONE, profile(|p| p.loss_ppm(1_000_000)));
        send(&mut a, 0..10);
        assert_eq!(receive(&mut b), []);
    }

    #[test]
    fn duplicated_frames_arrive_twice_in_both_directions() {
        let twice = profile(|p| p.duplicate_ppm(1_000_000));
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 1, twice, twice);
        send(&mut a, 0..3);
        assert_eq!(receive(&mut b), [0, 0, 1, 1, 2, 2]);
        send(&mut b, 7..9);
        assert_eq!(receive(&mut a), [7, 7, 8, 8]);
    }

    #[test]
    fn a_burst_never_exceeds_what_was_asked_for_and_nothing_is_lost_by_that() {
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 1, profile(|p| p.duplicate_ppm(1_000_000)), FaultProfile::NONE);
        send(&mut b, 0..4);
        let mut got = Vec::new();
        for _ in 0..8 {
            let mut frames = Vec::new();
            let n = a.rx_burst(&mut frames, 1);
            assert!(n <= 1 && n == frames.len());
            got.extend(frames.iter().map(|f| f.segment(0)[0]));
        }
        assert_eq!(got, [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn a_slow_receiver_does_not_make_the_decorator_hoard_frames() {
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 1, profile(|p| p.duplicate_ppm(1_000_000)), FaultProfile::NONE);
        send(&mut b, 0..100);
        for _ in 0..50 {
            a.rx_burst(&mut Vec::new(), 1);
            assert!(a.rx.ready.len() <= 1, "{} frames wait", a.rx.ready.len());
        }
    }

    #[test]
    fn reordered_frames_are_overtaken_and_all_arrive() {
        let some = profile(|p| p.reorder_ppm(300_000).reorder_frames_max(3));
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 5, FaultProfile::NONE, some);
        send(&mut a, 0..50);
        let mut got = receive(&mut b);
        for _ in 0..IDLE_POLLS_MAX {
            receive(&mut a);
        }
        got.extend(receive(&mut b));
        assert_ne!(got, (0..50).collect::<Vec<_>>(), "some frame was overtaken");
        for (place, &n) in got.iter().enumerate() {
            assert!(place.abs_diff(usize::from(n)) <= 20, "frame {n} at place {place}");
        }
        got.sort_unstable();
        assert_eq!(got, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_held_frame_is_let_go_when_nothing_follows_and_the_driver_is_told_to_poll_meanwhile() {
        let all = profile(|p| p.reorder_ppm(1_000_000));
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 5, FaultProfile::NONE, all);
        send(&mut a, 0..1);
        assert_eq!(receive(&mut b), []);
        assert_eq!(a.wait_source(), WaitSource::Poll);
        for _ in 0..IDLE_POLLS_MAX {
            receive(&mut a);
        }
        assert_eq!(receive(&mut b), [0]);
        assert_eq!(a.wait_source(), WaitSource::Driver);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let all = profile(|p| p.reorder_ppm(1_000_000).reorder_frames_max(64));
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 5, FaultProfile::NONE, all);
        send(&mut a, 0..200);
        assert!(a.tx.held.len() <= HELD_MAX);
        let arrived: usize = (0..4).map(|_| receive(&mut b).len()).sum();
        assert_eq!(arrived, 200 - a.tx.held.len(), "what is not held has passed");
    }

    #[test]
    fn the_same_seed_does_the_same_and_another_seed_something_else() {
        let run = |seed| {
            let some = profile(|p| p.loss_ppm(200_000).duplicate_ppm(200_000).reorder_ppm(100_000));
            let (a, mut b) = pair();
            let mut a = Fault::new(a, seed, FaultProfile::NONE, some);
            send(&mut a, 0..50);
            receive(&mut b)
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_corrupted_frame_differs_in_one_bit() {
        let all = profile(|p| p.corrupt_ppm(1_000_000));
        let (a, mut b) = pair();
        let mut a = Fault::new(a, 5, FaultProfile::NONE, all);
        send(&mut a, 0..1);
        let mut frames = Vec::new();
        b.rx_burst(&mut frames, 1);
        let ones: u32 = frames[0].segment(0).iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(ones, 1);
    }
}
