//! Streams longer than 4 GiB: sequence numbers wrap again and again, and no offset fits into 32 bits. Nothing keeps the bytes: a block
//! of a stream is one value that follows from its place, and whoever is given a block looks at both its ends.

use std::collections::BTreeMap;

use causeway_core::port::{RingError, StreamIo};
use causeway_core::rng::Stream;
use causeway_core::tcp::congestion::Algorithm;
use causeway_core::tcp::{
    Config, Connection, ConnectionEvent, Ecn, SegmentIn, SegmentOut, State, TxLimits,
};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::TcpHeader;

const GIB: u64 = 1 << 30;
/// What each side sends: one direction wraps its numbers three times, the other twice.
const TOTAL: [u64; 2] = [(8 * GIB) + 70_001, (4 * GIB) + 50_003];
/// The SYN of one is just before the wrap, of the other just before the sign changes.
const ISS: [u32; 2] = [u32::MAX - 900, (1 << 31) - 900];
const RING: u64 = 8 << 20;
const BLOCK: u64 = 4 << 10;
const LIMITS: TxLimits = TxLimits { mss_ip: 65_495, mss_link: 65_495, gso_bytes_max: 0 };
/// Where the application says that something is urgent and that a record ends, beside the end of all.
const MARKS: [u64; 2] = [(4 * GIB) + 9, (4 * GIB) - 9];
const DELAY: Duration = Duration::from_micros(200);
/// Of a million segments so many are lost, and so many come late.
const LOSS_PPM: u32 = 1_500;
const LATE_PPM: u32 = 3_000;

/// What the block with this number holds, on all its places.
fn value(side: usize, block: u64) -> u8 {
    let mixed = (block + 1 + ((side as u64) << 60)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

/// The parts of a range that lie in one block each: where, and how long.
fn blocks(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset + len as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        let block = at / BLOCK;
        let next = ((block + 1) * BLOCK).min(end);
        let part = (block, (at - offset) as usize, (next - offset) as usize);
        (at < end).then(|| {
            at = next;
            part
        })
    })
}

/// Rings that keep nothing but which ranges have come.
#[derive(Debug)]
struct Rings {
    side: usize,
    released: u64,
    committed: u64,
    beyond: BTreeMap<u64, u64>,
}

impl Rings {
    /// One past what came in order, as the copies say it.
    fn whole(&mut self, mut end: u64) -> u64 {
        while let Some(entry) = self.beyond.first_entry().filter(|entry| *entry.key() <= end) {
            end = end.max(entry.remove());
        }
        end
    }
}

impl StreamIo for Rings {
    fn tx_end(&self) -> u64 {
        TOTAL[self.side].min(self.released + RING)
    }

    fn tx_copy_out_sum(&self, _: u64, _: &mut [u8]) -> u16 {
        unreachable!("the link makes the bytes")
    }

    fn tx_release(&mut self, offset: u64) {
        assert!(offset >= self.released && offset <= self.tx_end());
        self.released = offset;
    }

    fn rx_limit(&self) -> u64 {
        self.committed + RING
    }

    fn rx_consumed(&self) -> u64 {
        self.committed
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let end = offset + src.len() as u64;
        assert!(offset >= self.committed && end <= self.rx_limit(), "{offset} to {end}");
        for (block, from, to) in blocks(offset, src.len()) {
            let right = value(1 - self.side, block);
            assert!(src[from] == right && src[to - 1] == right, "other bytes at {offset}");
        }
        let held = self.beyond.entry(offset).or_default();
        *held = end.max(*held);
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        assert_eq!(self.whole(self.committed), offset, "what is committed has come");
        self.committed = offset;
    }
}

struct End {
    tcp: Connection,
    rings: Rings,
    /// Offsets that are still to be marked: urgent, and as the end of a record.
    marks: Vec<u64>,
    urgent: Option<u64>,
}

struct World {
    now: Instant,
    ends: [Option<End>; 2],
    link: BTreeMap<(Instant, u64), (usize, SegmentOut)>,
    count: u64,
    random: Stream,
    payload: Vec<u8>,
    config: Config,
}

fn config(algorithm: Algorithm) -> Config {
    let builder = Config::builder().congestion(algorithm).time_wait(Duration::from_millis(100));
    builder.tcp_rmem(4_096, RING as u32, RING as u32).build().expect("a right configuration")
}

impl World {
    fn new(algorithm: Algorithm) -> Self {
        let config = config(algorithm);
        let now = Instant::from_nanos(1_000_000_000);
        let client = End::new(0, Connection::connect(now, &config, ISS[0], 0));
        Self {
            now,
            ends: [Some(client), None],
            link: BTreeMap::new(),
            count: 0,
            random: Stream::new(4, 32),
            payload: vec![0; LIMITS.mss_ip.into()],
            config,
        }
    }

    fn send(&mut self, side: usize) {
        let Some(end) = &mut self.ends[side] else { return };
        end.mark();
        end.tcp.handle_app(self.now, &end.rings);
        while let Some(event) = end.tcp.poll_event() {
            if let ConnectionEvent::Urgent { offset, byte: Some(byte) } = event {
                assert_eq!(byte, value(1 - side, offset / BLOCK), "the urgent byte itself");
                end.urgent = Some(offset);
            }
        }
        while let Some(segment) = end.tcp.poll_transmit(self.now, &LIMITS, &end.rings) {
            let (from, len) = (segment.payload_offset, u64::from(segment.payload_len));
            let cuts = |mark: u64| from < mark && mark < from + len;
            assert!(!MARKS.into_iter().any(cuts), "a record's end amid a segment at {from}");
            if self.random.chance_ppm(LOSS_PPM) {
                continue;
            }
            let late = if self.random.chance_ppm(LATE_PPM) { self.random.below(900) } else { 0 };
            let at = self.now + DELAY + Duration::from_micros(late);
            self.count += 1;
            self.link.insert((at, self.count), (1 - side, segment));
        }
    }

    fn deliver(&mut self, to: usize, segment: &SegmentOut) {
        let header: &TcpHeader = &segment.header;
        let Some(end) = &mut self.ends[to] else {
            let tcp = Connection::accept(self.now, &self.config, ISS[1], 0, header);
            self.ends[to] = Some(End::new(to, tcp));
            return;
        };
        let payload = &mut self.payload[..segment.payload_len as usize];
        for (block, from, to_place) in blocks(segment.payload_offset, payload.len()) {
            payload[from..to_place].fill(value(1 - to, block));
        }
        let segment_in = SegmentIn {
            header,
            payload: &[payload],
            payload_len: segment.payload_len,
            gso_size: 0,
            ecn: Ecn::NotEct,
        };
        let _ = end.tcp.handle_segment(self.now, &segment_in, &mut end.rings);
    }

    fn step(&mut self) {
        let timer = |end: &Option<End>| end.as_ref()?.tcp.poll_timeout().map(|(at, _)| at);
        let timers = self.ends.iter().filter_map(timer).min();
        let arrival = self.link.first_key_value().map(|((at, _), _)| *at);
        let next = [timers, arrival].into_iter().flatten().min().expect("something is due");
        self.now = self.now.max(next);
        if arrival.is_some_and(|at| at <= self.now) {
            let (_, (to, segment)) = self.link.pop_first().expect("it is there");
            self.deliver(to, &segment);
            return self.send(to);
        }
        for side in [0, 1] {
            if let Some(end) = &mut self.ends[side] {
                end.tcp.handle_timeout(self.now, &mut end.rings);
            }
            self.send(side);
        }
    }

    fn is_over(&self) -> bool {
        let closed = |end: &Option<End>| {
            let state = end.as_ref().map(|end| end.tcp.state());
            matches!(state, Some(State::Closed | State::TimeWait))
        };
        self.ends.iter().all(closed)
    }
}

impl End {
    fn new(side: usize, tcp: Connection) -> Self {
        let rings = Rings { side, released: 0, committed: 0, beyond: BTreeMap::new() };
        Self { tcp, rings, marks: vec![TOTAL[side], MARKS[0], MARKS[1]], urgent: None }
    }

    /// What the application does as it goes on: marks, a hot restart with each, and its end.
    fn mark(&mut self) {
        let Some(&mark) = self.marks.last().filter(|mark| **mark <= self.rings.tx_end()) else {
            return;
        };
        self.marks.pop();
        self.tcp.mark_urgent(mark, &self.rings).expect("it was written");
        self.tcp.end_record(mark, &self.rings).expect("it was written");
        let mut state = Vec::new();
        self.tcp.write_state(&mut state);
        self.tcp = Connection::read_state(&state).expect("what was written out reads back");
        if mark == TOTAL[self.rings.side] {
            self.tcp.shutdown_write(Instant::ZERO, &self.rings);
        }
    }
}

#[test]
fn streams_of_more_than_four_gib_arrive_whole_both_ways() {
    Algorithm::ALL.iter().for_each(|algorithm| converse(*algorithm));
}

fn converse(algorithm: Algorithm) {
    let mut world = World::new(algorithm);
    world.send(0);
    while !world.is_over() {
        world.step();
    }
    let again = |end: &End| end.tcp.info().retransmits;
    let retransmits: Vec<u64> = world.ends.iter().flatten().map(again).collect();
    for (side, end) in world.ends.iter().flatten().enumerate() {
        assert_eq!(end.rings.committed, TOTAL[1 - side], "everything came");
        assert_eq!(end.tcp.bytes_received(), TOTAL[1 - side]);
        assert_eq!(end.tcp.bytes_acked(), TOTAL[side]);
        assert_eq!(end.urgent, Some(TOTAL[1 - side] - 1), "the latest urgent byte");
        assert!(end.rings.beyond.is_empty());
    }
    assert!(retransmits.iter().all(|count| *count > 100), "something was lost: {retransmits:?}");
}
