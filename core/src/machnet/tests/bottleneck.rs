//! Extended profile: flows that share one link of a given rate.

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use super::negotiation::extended;
use super::pair::{Side, written};
use crate::machnet::{Config, Flow, FlowState, PacketIn};
use crate::port::StreamIo;
use crate::time::{Duration, Instant};
use crate::wire::machnet::{HEADER_LEN, MachnetHeader};

/// One way, without the queue.
const DELAY: Duration = Duration::from_micros(10);

/// A packet of a flow: to its receiver or back.
struct InTheAir {
    flow: usize,
    forward: bool,
    header: MachnetHeader,
    payload: Vec<u8>,
}

/// Senders and their receivers; what goes to receivers goes through one queue.
struct Shared {
    now: Instant,
    senders: Vec<Side>,
    receivers: Vec<Option<Side>>,
    wire: BTreeMap<(Instant, u64), InTheAir>,
    count: u64,
    /// When the link has sent what waits.
    free_at: Instant,
    nanos_per_byte: u64,
    /// Packets that are waiting at most.
    queue_max: Duration,
    lost: u32,
    /// The time spent in the queue: by how many, and how long in all.
    waited: (u64, u64),
    config: Config,
}

impl Shared {
    fn new(flows: usize, nanos_per_byte: u64, queue_max: Duration) -> Self {
        let (now, config) = (Instant::from_nanos(1_000), extended());
        let sender = |n: usize| {
            let mut flow = Flow::connect(now, &config, 0);
            flow.start_clock(now, n as u32 * 1_000_003);
            Side::new(flow, 4 << 20)
        };
        Self {
            now,
            senders: (0..flows).map(sender).collect(),
            receivers: (0..flows).map(|_| None).collect(),
            wire: BTreeMap::new(),
            count: 0,
            free_at: now,
            nanos_per_byte,
            queue_max,
            lost: 0,
            waited: (0, 0),
            config,
        }
    }

    fn put(&mut self, flow: usize, forward: bool, header: MachnetHeader, payload: Vec<u8>) {
        let mut at = self.now + DELAY;
        if forward {
            let begin = self.free_at.max(self.now);
            let wait = begin.saturating_since(self.now);
            if wait > self.queue_max {
                self.lost += 1;
                return;
            }
            self.waited.0 += 1;
            self.waited.1 += wait.as_nanos();
            let bytes = (HEADER_LEN + 42 + payload.len()) as u64;
            self.free_at = begin + Duration::from_nanos(bytes * self.nanos_per_byte);
            at = self.free_at + DELAY;
        }
        self.count += 1;
        self.wire.insert((at, self.count), InTheAir { flow, forward, header, payload });
    }

    /// Every sender always has something to send.
    fn flush(&mut self) {
        let now = self.now;
        for n in 0..self.senders.len() {
            let sender = &mut self.senders[n];
            while sender.io.tx_end() - sender.io.released < 1 << 20 {
                sender.send(&vec![n as u8; 60_000]);
            }
            sender.flow.watch(now);
            let mut out = Vec::new();
            for (forward, side) in [(true, Some(sender)), (false, self.receivers[n].as_mut())] {
                let Some(side) = side else { continue };
                while let Some(packet) = side.flow.poll_transmit(now) {
                    let payload = written(&mut side.flow, &packet, &side.io);
                    out.push((forward, packet.header, payload));
                }
                side.take_events();
                side.messages.clear();
            }
            for (forward, header, payload) in out {
                self.put(n, forward, header, payload);
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.flush();
            let sides = self.senders.iter().chain(self.receivers.iter().flatten());
            let timer = sides.filter_map(|s| s.flow.poll_timeout()).map(|t| t.0).min();
            let wire = self.wire.keys().next().map(|key| key.0);
            let Some(next) = timer.into_iter().chain(wire).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let now = self.now;
            while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= now) {
                let packet = entry.remove();
                self.deliver(packet);
            }
            for side in self.senders.iter_mut().chain(self.receivers.iter_mut().flatten()) {
                side.flow.handle_app(now, &mut side.io);
                side.flow.handle_timeout(now, &mut side.io);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, packet: InTheAir) {
        let InTheAir { flow: n, forward, ref header, ref payload } = packet;
        let now = self.now;
        if forward && self.receivers[n].is_none() {
            let mut flow = Flow::accept(now, &self.config, 9, header);
            flow.start_clock(now, 77 * n as u32);
            self.receivers[n] = Some(Side::new(flow, 4 << 20));
            return;
        }
        let side = if forward { self.receivers[n].as_mut() } else { Some(&mut self.senders[n]) };
        let Some(side) = side else { return };
        let packet = PacketIn { header, payload: &[payload] };
        side.flow.handle_packet(now, &packet, &mut side.io);
    }

    /// Bytes that each flow brought over within `span`, and the mean time in the queue.
    fn measure(&mut self, span: Duration) -> (Vec<u64>, Duration) {
        let acked =
            |me: &Self| me.senders.iter().map(|s| s.flow.info().bytes_acked).collect::<Vec<_>>();
        let before = acked(self);
        self.waited = (0, 0);
        self.run(span);
        let after = acked(self);
        let moved = after.iter().zip(before).map(|(a, b)| a - b).collect();
        (moved, Duration::from_nanos(self.waited.1 / self.waited.0.max(1)))
    }
}

#[test]
fn two_flows_share_a_link_fairly_fill_it_and_keep_its_queue_near_the_target() {
    // 8 Gbit/s.
    let mut shared = Shared::new(2, 1, Duration::from_millis(5));
    shared.run(Duration::from_millis(400));
    let span = Duration::from_millis(400);
    let (moved, queue) = shared.measure(span);
    let all = moved.iter().sum::<u64>();
    assert!(all > span.as_nanos() * 85 / 100, "the link stands still: {moved:?}");
    let (least, most) = (moved[0].min(moved[1]), moved[0].max(moved[1]));
    assert!(most * 100 <= least * 150, "not fair: {moved:?}");
    // The target allows 300 us beyond the least round trip, and up to 200 for few packets.
    assert!(queue <= Duration::from_micros(600), "{queue} in the queue");
    assert_eq!(shared.lost, 0);
}

#[test]
fn a_flow_that_comes_later_gets_its_share() {
    let mut shared = Shared::new(2, 2, Duration::from_millis(5));
    let late = shared.senders.pop().unwrap();
    shared.receivers.pop();
    shared.run(Duration::from_millis(200));
    shared.senders.push(late);
    shared.receivers.push(None);
    shared.run(Duration::from_millis(800));
    let (moved, _) = shared.measure(Duration::from_millis(400));
    assert!(moved[1] * 100 >= moved[0] * 50, "{moved:?}");
    assert_eq!(shared.senders[1].flow.state(), FlowState::Established);
}

#[test]
fn dozens_of_flows_have_windows_below_one_packet_and_the_link_lives() {
    // 60 flows over 250 Mbit/s: a packet each would be 2.9 ms of queue.
    let mut shared = Shared::new(60, 32, Duration::from_millis(8));
    shared.run(Duration::from_millis(800));
    let span = Duration::from_millis(400);
    let (moved, queue) = shared.measure(span);
    let all = moved.iter().sum::<u64>();
    assert!(all * 32 > span.as_nanos() * 70 / 100, "{all} bytes");
    assert!(queue < Duration::from_micros(1_200), "{queue} in the queue");
    let payload = 1_418;
    let below = shared.senders.iter().filter(|s| s.flow.info().cwnd_bytes < payload).count();
    assert!(below > 45, "{below} of 60");
    assert!(moved.iter().all(|bytes| *bytes > 0), "nobody starves");
}

#[test]
fn a_queue_that_is_too_short_loses_little_and_the_link_is_used() {
    // What is beyond 100 us is lost: less than the target allows.
    let mut shared = Shared::new(2, 1, Duration::from_micros(100));
    shared.run(Duration::from_millis(200));
    let (lost, sent) = (shared.lost, shared.count);
    let (moved, _) = shared.measure(Duration::from_millis(200));
    assert!(moved.iter().sum::<u64>() > 200_000_000 * 60 / 100, "{moved:?}");
    let (lost, sent) = (u64::from(shared.lost - lost), shared.count - sent);
    assert!(lost * 20 < sent, "{lost} of {sent}");
}
