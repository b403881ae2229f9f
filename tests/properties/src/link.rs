//! A link between two connections, and its weather.

use std::collections::BTreeMap;

use causeway_core::rng::Stream;
use causeway_core::tcp::{Ecn, SegmentOut};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::TcpHeader;

use crate::content;
use crate::world::marked;

const DELAY: Duration = Duration::from_millis(10);
const LATE_US_MAX: u64 = 20_000;

/// What a link does to segments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// All that happens follows from it.
    pub seed: u64,
    /// Of a million segments so many are lost,
    pub loss_ppm: u32,
    /// come twice,
    pub duplicate_ppm: u32,
    /// or are late.
    pub reorder_ppm: u32,
    /// Of those that may be marked so many are (RFC 3168).
    pub mark_ppm: u32,
    /// Segments with more payload are lost without a word; 0: none is.
    pub payload_max: u32,
}

/// A segment under way.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Whom it is for.
    pub to: usize,
    /// Its header.
    pub header: TcpHeader,
    /// Its payload.
    pub payload: Vec<u8>,
    /// The ECN field of its IP header.
    pub ecn: Ecn,
}

/// Both directions.
#[derive(Clone, Debug)]
pub struct Link {
    weather: Weather,
    random: Stream,
    queue: BTreeMap<(Instant, u64), Packet>,
    count: u64,
}

impl Link {
    /// An empty link.
    pub const fn new(weather: Weather) -> Self {
        let random = Stream::new(weather.seed, 1);
        Self { weather, random, queue: BTreeMap::new(), count: 0 }
    }

    /// Command: the weather changes; chance goes on where it is.
    pub const fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Input: `from` sends a segment.
    pub fn send(&mut self, now: Instant, from: usize, segment: &SegmentOut) {
        let Weather { payload_max, .. } = self.weather;
        let swallowed = payload_max > 0 && segment.payload_len > payload_max;
        if self.random.chance_ppm(self.weather.loss_ppm) || swallowed {
            return;
        }
        let ecn = match self.random.chance_ppm(self.weather.mark_ppm) {
            true => marked(segment.ecn),
            false => segment.ecn,
        };
        let mut payload = vec![0; segment.payload_len as usize];
        content::fill(from, segment.payload_offset, &mut payload);
        let packet = Packet { to: 1 - from, header: segment.header, payload, ecn };
        for _ in 0..=u32::from(self.random.chance_ppm(self.weather.duplicate_ppm)) {
            let mut at = now + DELAY;
            if self.random.chance_ppm(self.weather.reorder_ppm) {
                at += Duration::from_micros(self.random.below(LATE_US_MAX));
            }
            self.count += 1;
            self.queue.insert((at, self.count), packet.clone());
        }
    }

    /// Getter: when the next segment arrives.
    pub fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Output: the segment that arrives at `now`.
    pub fn arrive(&mut self, now: Instant) -> Option<Packet> {
        let due = self.next().is_some_and(|at| at <= now);
        due.then(|| self.queue.pop_first()).flatten().map(|(_, packet)| packet)
    }
}
