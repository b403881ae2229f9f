//! One direction of a link: a transmitter with a queue, then a wire.

use std::collections::VecDeque;

use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};

use super::codel::{CoDel, CoDelConfig};
use super::cost::wire_bytes;
use super::red::{Managed, Red, RedConfig};

/// The frame by whose length RED measures how long a link had nothing to send.
const TYPICAL_FRAME: usize = 1_514;

/// How much may wait for the transmitter; the frame being sent is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLimit {
    /// Frames.
    Frames(usize),
    /// Bytes of frames, without the wire's overhead.
    Bytes(u64),
}

/// Where frames wait while the transmitter is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// In the NIC's own transmit ring: a cable between two hosts. A full ring pushes back on the
    /// engine, nothing is lost.
    Ring,
    /// In a router or switch, which drops what does not fit (drop-tail).
    DropTail(QueueLimit),
    /// In a router with random early detection.
    Red(RedConfig),
    /// In a router with controlled delay.
    CoDel(CoDelConfig),
}

/// The physics of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Line rate in bit/s, at least 1.
    pub rate_bps: u64,
    /// Propagation delay.
    pub delay: Duration,
    /// Where frames wait.
    pub queue: Queue,
}

impl LinkConfig {
    /// A cable: frames wait in the sender's ring.
    pub const fn cable(rate_bps: u64, delay: Duration) -> Self {
        Self { rate_bps, delay, queue: Queue::Ring }
    }

    /// A path through a router with a drop-tail queue.
    pub const fn routed(rate_bps: u64, delay: Duration, limit: QueueLimit) -> Self {
        Self { rate_bps, delay, queue: Queue::DropTail(limit) }
    }
}

/// What one direction has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that were offered, dropped ones included.
    pub offered_frames: u64,
    /// Frames that were serialised.
    pub sent_frames: u64,
    /// Their bytes, Ethernet header to payload.
    pub sent_bytes: u64,
    /// Their cost in link time ([`wire_bytes`]).
    pub sent_wire_bytes: u64,
    /// Frames that did not fit into the queue.
    pub queue_drops: u64,
    /// Frames that the queue's management dropped.
    pub early_drops: u64,
    /// Frames that it marked.
    pub queue_marks: u64,
}

/// What became of an offered frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Its last bit reaches the other end at this time.
    Arrives(Instant),
    /// The same, and the queue's management has marked it: congestion experienced.
    ArrivesMarked(Instant),
    /// The queue was full.
    QueueFull,
    /// The queue's management dropped it.
    DroppedEarly,
}

/// What manages the queue.
#[derive(Debug)]
enum Manager {
    Nobody,
    Red(Red),
    CoDel(CoDel),
}

/// The state of one direction.
///
/// The transmitter's time is kept as nanoseconds plus a fraction in units of 1/rate ns, so that a
/// train of frames takes exactly bits / rate, whatever a single frame rounds to.
#[derive(Debug)]
pub struct Direction {
    config: LinkConfig,
    /// Those that hold now.
    rate_bps: u64,
    delay: Duration,
    free_at: Instant,
    free_at_fraction: u64,
    waiting: VecDeque<(Instant, u64)>,
    waiting_bytes: u64,
    manager: Manager,
    /// What a manager draws from, at the number of the frame that is offered.
    random: Stream,
    counters: Counters,
}

impl Direction {
    /// An idle direction.
    pub fn new(config: LinkConfig) -> Self {
        let config = LinkConfig { rate_bps: config.rate_bps.max(1), ..config };
        let manager = match config.queue {
            Queue::Ring | Queue::DropTail(_) => Manager::Nobody,
            Queue::Red(red) => Manager::Red(Red::new(red)),
            Queue::CoDel(codel) => Manager::CoDel(CoDel::new(codel)),
        };
        Self {
            config,
            rate_bps: config.rate_bps,
            delay: config.delay,
            free_at: Instant::ZERO,
            free_at_fraction: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            manager,
            random: Stream::new(0, 0),
            counters: Counters::default(),
        }
    }

    /// Command: what is random in the queue's management is drawn from `random`.
    pub fn draw_from(&mut self, random: Stream) {
        self.random = random;
    }

    /// Input: a frame of `frame_len` bytes is offered at `now`. Times must not run backwards.
    pub fn offer(&mut self, now: Instant, frame_len: usize) -> Sent {
        self.offer_packet(now, frame_len, false)
    }

    /// Input: as [`Direction::offer`]; `capable`: it is a packet that can be marked (RFC 3168 §5).
    pub fn offer_packet(&mut self, now: Instant, frame_len: usize, capable: bool) -> Sent {
        self.advance(now);
        self.counters.offered_frames += 1;
        let busy = self.is_busy(now);
        if busy && self.is_full(frame_len) {
            self.counters.queue_drops += 1;
            return Sent::QueueFull;
        }
        let managed = self.manage(now, busy, capable);
        if managed == Managed::Dropped {
            self.counters.early_drops += 1;
            if busy && matches!(self.manager, Manager::CoDel(_)) {
                // It goes when its turn comes.
                self.waiting.push_back((self.free_at_rounded(), frame_len as u64));
                self.waiting_bytes += frame_len as u64;
            }
            return Sent::DroppedEarly;
        }
        if busy {
            self.waiting.push_back((self.free_at_rounded(), frame_len as u64));
            self.waiting_bytes += frame_len as u64;
        } else {
            self.free_at = now;
            self.free_at_fraction = 0;
        }
        self.serialise(wire_bytes(frame_len));
        self.counters.sent_frames += 1;
        self.counters.sent_bytes += frame_len as u64;
        self.counters.sent_wire_bytes += wire_bytes(frame_len);
        let arrives_at = self.free_at_rounded() + self.delay;
        if managed == Managed::Marked {
            self.counters.queue_marks += 1;
            return Sent::ArrivesMarked(arrives_at);
        }
        Sent::Arrives(arrives_at)
    }

    /// What the queue's management does with a frame that is offered.
    fn manage(&mut self, now: Instant, busy: bool, capable: bool) -> Managed {
        let leaves_at = if busy { self.free_at_rounded() } else { now };
        match &mut self.manager {
            Manager::Nobody => Managed::Passes,
            Manager::Red(red) => {
                let idle = now.saturating_since(self.free_at).as_nanos();
                let frame_bits = u128::from(wire_bytes(TYPICAL_FRAME)) * 8;
                let idle = u128::from(idle) * u128::from(self.rate_bps);
                let idle_frames = u64::try_from(idle / (frame_bits * 1_000_000_000));
                let draw = (self.random.at(self.counters.offered_frames) >> 32) as u32;
                let waiting = self.waiting.len();
                red.arrive(waiting, idle_frames.unwrap_or(u64::MAX), capable, draw)
            }
            Manager::CoDel(codel) => {
                let sojourn = leaves_at.saturating_since(now);
                codel.leave(leaves_at, sojourn, self.waiting_bytes, capable)
            }
        }
    }

    /// Command: another rate and delay from here on; those of the configuration where they are `None`.
    pub fn override_with(&mut self, rate_bps: Option<u64>, delay: Option<Duration>) {
        self.rate_bps = rate_bps.unwrap_or(self.config.rate_bps).max(1);
        self.delay = delay.unwrap_or(self.config.delay);
        // The fraction is one of the old rate's.
        self.free_at_fraction = 0;
    }

    /// Getter: frames that wait for the transmitter at `now`.
    pub fn waiting_at(&mut self, now: Instant) -> usize {
        self.advance(now);
        self.waiting.len()
    }

    /// Getter: when `slots` of the frames that wait now will have left the queue.
    pub fn room_at(&self, slots: usize) -> Option<Instant> {
        let last = slots.min(self.waiting.len()).checked_sub(1)?;
        self.waiting.get(last).map(|&(start, _)| start)
    }

    /// Getter: the configuration.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Getter: what was carried so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn is_busy(&self, now: Instant) -> bool {
        (self.free_at, self.free_at_fraction) > (now, 0)
    }

    fn is_full(&self, frame_len: usize) -> bool {
        match self.config.queue {
            Queue::Ring => false,
            Queue::DropTail(QueueLimit::Frames(max))
            | Queue::Red(RedConfig { limit_frames: max, .. })
            | Queue::CoDel(CoDelConfig { limit_frames: max, .. }) => self.waiting.len() >= max,
            Queue::DropTail(QueueLimit::Bytes(max)) => self.waiting_bytes + frame_len as u64 > max,
        }
    }

    /// Frames whose transmission has begun by `now` no longer wait.
    fn advance(&mut self, now: Instant) {
        while let Some(&(start, bytes)) = self.waiting.front() {
            if start > now {
                break;
            }
            self.waiting.pop_front();
            self.waiting_bytes -= bytes;
        }
    }

    fn serialise(&mut self, bytes: u64) {
        let rate = u128::from(self.rate_bps);
        let total = u128::from(bytes) * 8 * 1_000_000_000 + u128::from(self.free_at_fraction);
        let nanos = u64::try_from(total / rate).unwrap_or(u64::MAX);
        self.free_at += Duration::from_nanos(nanos);
        // The remainder of a division by a u64 fits one.
        self.free_at_fraction = (total % rate) as u64;
    }

    /// The first whole nanosecond at which the transmitter is free.
    fn free_at_rounded(&self) -> Instant {
        self.free_at + Duration::from_nanos(u64::from(self.free_at_fraction > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GBIT: u64 = 1_000_000_000;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn an_idle_link_takes_serialisation_plus_propagation() {
        let mut link = Direction::new(LinkConfig::cable(GBIT, Duration::from_micros(5)));
        // 1538 bytes x 8 bit at 1 bit/ns.
        assert_eq!(link.offer(at(100), 1_514), Sent::Arrives(at(100 + 12_304 + 5_000)));
        let later = 1_000_000;
        assert_eq!(link.offer(at(later), 60), Sent::Arrives(at(later + 672 + 5_000)));
    }

    #[test]
    fn a_second_frame_waits_for_the_first() {
        let mut link = Direction::new(LinkConfig::cable(GBIT, Duration::ZERO));
        assert_eq!(link.offer(at(0), 1_514), Sent::Arrives(at(12_304)));
        assert_eq!(link.offer(at(1), 60), Sent::Arrives(at(12_304 + 672)));
        assert_eq!(link.waiting_at(at(12_303)), 1);
        assert_eq!(link.waiting_at(at(12_304)), 0);
    }

    #[test]
    fn a_train_of_frames_takes_exactly_its_bits_over_the_rate() {
        // 1230.4 ns a frame: rounding each one would drift by 0.6 ns.
        let mut link = Direction::new(LinkConfig::cable(10 * GBIT, Duration::ZERO));
        let mut last = Sent::QueueFull;
        for _ in 0..1_000 {
            last = link.offer(at(0), 1_514);
        }
        assert_eq!(last, Sent::Arrives(at(1_230_400)));
        assert_eq!(link.counters().sent_wire_bytes, 1_538_000);
    }

    #[test]
    fn drop_tail_counts_waiting_frames_only() {
        let config = LinkConfig::routed(GBIT, Duration::ZERO, QueueLimit::Frames(2));
        let mut link = Direction::new(config);
        let fates: Vec<bool> =
            (0..5).map(|_| matches!(link.offer(at(0), 1_000), Sent::Arrives(_))).collect();
        assert_eq!(fates, [true, true, true, false, false], "one on the wire, two in the queue");
        assert_eq!(link.counters().queue_drops, 2);
        assert!(matches!(link.offer(at(8_192), 1_000), Sent::Arrives(_)), "one has begun");
    }

    #[test]
    fn a_byte_limit_lets_a_small_frame_in_where_a_large_one_does_not_fit() {
        let config = LinkConfig::routed(GBIT, Duration::ZERO, QueueLimit::Bytes(1_500));
        let mut link = Direction::new(config);
        assert!(matches!(link.offer(at(0), 1_000), Sent::Arrives(_)));
        assert!(matches!(link.offer(at(0), 1_000), Sent::Arrives(_)));
        assert_eq!(link.offer(at(0), 1_000), Sent::QueueFull);
        assert!(matches!(link.offer(at(0), 500), Sent::Arrives(_)));
    }

    #[test]
    fn room_is_announced_for_the_moment_at_which_transmission_begins() {
        let mut link = Direction::new(LinkConfig::cable(GBIT, Duration::ZERO));
        for _ in 0..4 {
            link.offer(at(0), 1_514);
        }
        assert_eq!(link.room_at(1), Some(at(12_304)));
        assert_eq!(link.room_at(2), Some(at(24_608)));
        assert_eq!(link.room_at(99), Some(at(36_912)), "never more than wait");
    }
}
