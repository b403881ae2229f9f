//! Several connections through one bottleneck: a queue in front of a rate, and marks or drops when it is long.

use std::collections::BTreeMap;
use std::vec::Vec;

use crate::port::{RingError, StreamIo};
use crate::rng::Stream;
use crate::tcp::{
    Config, Connection, Disposition, Ecn, ListenDecision, SegmentIn, SegmentOut, TxLimits, listen,
};
use crate::time::{Duration, Instant};
use crate::wire::tcp::TcpHeader;

pub const MSS: u32 = 1_448;
/// Bytes of headers that each segment takes on the link.
const HEADERS: u32 = 52;
static ZEROS: [u8; 65_536] = [0; 65_536];

/// A stream without contents: only where it ends counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endless {
    pub tx_end: u64,
    pub received: u64,
}

impl StreamIo for Endless {
    fn tx_end(&self) -> u64 {
        self.tx_end
    }

    fn tx_copy_out_sum(&self, _offset: u64, _dst: &mut [u8]) -> u16 {
        0
    }

    fn tx_release(&mut self, _offset: u64) {}

    fn rx_limit(&self) -> u64 {
        self.received + (8 << 20)
    }

    fn rx_consumed(&self) -> u64 {
        self.received
    }

    fn rx_copy_in(&mut self, _offset: u64, _src: &[u8]) -> Result<(), RingError> {
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        self.received = offset;
    }
}

/// A sender and a receiver.
pub struct Flow {
    pub ends: [Option<Connection>; 2],
    pub io: [Endless; 2],
    config: Config,
}

impl Flow {
    pub fn sender(&mut self) -> &mut Connection {
        self.ends[0].as_mut().expect("it was opened")
    }

    pub fn cwnd(&self) -> u32 {
        self.ends[0].as_ref().map_or(0, |tcp| tcp.info().cwnd_bytes)
    }
}

struct Arrival {
    flow: usize,
    to: usize,
    header: TcpHeader,
    len: u32,
    ecn: Ecn,
}

/// The world: senders on one side, receivers on the other.
pub struct Bottleneck {
    pub now: Instant,
    pub flows: Vec<Flow>,
    /// Bytes a second from the senders to the receivers.
    rate: u64,
    delay: Duration,
    /// Bytes that the queue holds.
    pub buffer: u64,
    /// Bytes in the queue above which segments are marked.
    pub mark_above: u64,
    pub loss_ppm: u32,
    pub drops: u64,
    pub marks: u64,
    pub backlog_max: u64,
    /// The most bytes that one flow sent at one instant.
    pub burst_max: u32,
    /// Timers run out at multiples of it.
    pub granularity: Duration,
    busy_until: Instant,
    rng: Stream,
    count: u64,
    queue: BTreeMap<(Instant, u64), Arrival>,
}

impl Bottleneck {
    /// `mbit` a second, `rtt_ms` of delay there and back, a queue of `buffer_percent` of the product of both.
    pub fn new(mbit: u64, rtt_ms: u64, buffer_percent: u64) -> Self {
        let rate = mbit * 125_000;
        Self {
            now: Instant::from_nanos(1_000_000_000),
            flows: Vec::new(),
            rate,
            delay: Duration::from_micros(rtt_ms * 500),
            buffer: rate * rtt_ms / 1_000 * buffer_percent / 100,
            mark_above: u64::MAX,
            loss_ppm: 0,
            drops: 0,
            marks: 0,
            backlog_max: 0,
            burst_max: 0,
            granularity: Duration::from_nanos(1),
            busy_until: Instant::ZERO,
            rng: Stream::new(7, 1),
            count: 0,
            queue: BTreeMap::new(),
        }
    }

    /// Opens a flow that sends `bytes`, now.
    pub fn open(&mut self, config: Config, bytes: u64) {
        let iss = 77_000 * (self.flows.len() as u32 + 1);
        let sender = Connection::connect(self.now, &config, iss, 0);
        let io = [Endless { tx_end: bytes, received: 0 }, Endless::default()];
        self.flows.push(Flow { ends: [Some(sender), None], io, config });
        self.flush();
    }

    pub fn received(&self) -> Vec<u64> {
        self.flows.iter().map(|flow| flow.io[1].received).collect()
    }

    /// Lets `span` pass, and returns what each flow received in it.
    pub fn run(&mut self, span: Duration) -> Vec<u64> {
        let before = self.received();
        let end = self.now + span;
        loop {
            let arrival = self.queue.first_key_value().map(|(key, _)| key.0);
            let ends = self.flows.iter().flat_map(|flow| flow.ends.iter().flatten());
            let timeout = ends.filter_map(|tcp| Some(tcp.poll_timeout()?.0)).min();
            let tick = self.granularity.as_nanos();
            let timeout =
                timeout.map(|at| Instant::from_nanos(at.as_nanos().next_multiple_of(tick)));
            let Some(next) = [arrival, timeout].into_iter().flatten().min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if arrival.is_some_and(|at| at <= self.now) {
                if let Some((_, arrival)) = self.queue.pop_first() {
                    self.deliver(&arrival);
                }
            } else {
                self.time_out();
            }
            self.flush();
        }
        self.now = end;
        self.received().iter().zip(before).map(|(after, before)| after - before).collect()
    }

    /// The share of the rate that `bytes` in `span` are, headers counted.
    pub fn utilisation(&self, bytes: u64, span: Duration) -> f64 {
        let wire = bytes as f64 * f64::from(MSS + HEADERS) / f64::from(MSS);
        wire / (self.rate as f64 * span.as_millis() as f64 / 1e3)
    }

    fn time_out(&mut self) {
        for flow in &mut self.flows {
            for (tcp, io) in flow.ends.iter_mut().zip(&mut flow.io) {
                if let Some(tcp) = tcp {
                    tcp.handle_timeout(self.now, io);
                }
            }
        }
    }

    fn deliver(&mut self, arrival: &Arrival) {
        let flow = &mut self.flows[arrival.flow];
        let Some(tcp) = flow.ends[arrival.to].as_mut() else {
            if listen(&arrival.header) == ListenDecision::Accept {
                let accepted = Connection::accept(self.now, &flow.config, 5, 0, &arrival.header);
                flow.ends[arrival.to] = Some(accepted);
            }
            return;
        };
        let segment = SegmentIn {
            header: &arrival.header,
            payload: &[&ZEROS[..arrival.len as usize]],
            payload_len: arrival.len,
            gso_size: 0,
            ecn: arrival.ecn,
        };
        let disposition = tcp.handle_segment(self.now, &segment, &mut flow.io[arrival.to]);
        assert!(!matches!(disposition, Disposition::SendRst(_)), "{disposition:?}");
    }

    /// Everything that any end has to send goes under way.
    pub fn flush(&mut self) {
        for flow in 0..self.flows.len() {
            for from in 0..2 {
                let mut burst = 0;
                while let Some(segment) = self.poll(flow, from) {
                    if from == 0 {
                        burst += segment.payload_len;
                    }
                    self.send(flow, from, &segment);
                }
                self.burst_max = self.burst_max.max(burst);
            }
        }
    }

    fn poll(&mut self, flow: usize, from: usize) -> Option<SegmentOut> {
        let flow = &mut self.flows[flow];
        let tcp = flow.ends[from].as_mut()?;
        while tcp.poll_event().is_some() {}
        tcp.poll_transmit(
            self.now,
            &TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max: 0 },
            &flow.io[from],
        )
    }

    fn send(&mut self, flow: usize, from: usize, segment: &SegmentOut) {
        let mut ecn = segment.ecn;
        let mut at = self.now;
        if from == 0 {
            let len = u64::from(segment.payload_len + HEADERS);
            let waiting = self.busy_until.saturating_since(self.now);
            let backlog = waiting.as_nanos() * self.rate / 1_000_000_000;
            self.backlog_max = self.backlog_max.max(backlog);
            if backlog + len > self.buffer || self.rng.chance_ppm(self.loss_ppm) {
                self.drops += 1;
                return;
            }
            if backlog > self.mark_above && ecn != Ecn::NotEct {
                ecn = Ecn::Ce;
                self.marks += 1;
            }
            let time = Duration::from_nanos(len * 1_000_000_000 / self.rate);
            self.busy_until = self.busy_until.max(self.now) + time;
            at = self.busy_until;
        }
        self.count += 1;
        let arrival =
            Arrival { flow, to: 1 - from, header: segment.header, len: segment.payload_len, ecn };
        self.queue.insert((at + self.delay, self.count), arrival);
    }
}

/// Jain's index of fairness: 1 for equal shares.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|s| *s as f64).sum();
    let squares: f64 = shares.iter().map(|s| (*s as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}
