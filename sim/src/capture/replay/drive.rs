//! The run: frames in at their times, frames out as they come, and a judge.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;

use causeway_core::time::{Duration, Instant};

use super::super::{Connections, Role, frame as reading};
use super::compare::Item;
use super::script::{Arrival, Script, Scripts};
use super::stand_in::{MAC, StandIn};
use super::station::answer;
use super::translate::{self, Ours};
use crate::frame::FramePool;
use crate::packet::{Flags, Packet};
use crate::polled::PolledHost;
use crate::rules::WireRules;
use crate::trial::catch;
use crate::workload::Violation;
use crate::world::HostEngine as _;

/// What an iteration of the host's loop costs.
const STEP: Duration = Duration::from_nanos(500);
/// What arrives between two iterations: less than a burst.
const BURST: usize = 16;
/// After the last captured segment.
const GRACE: Duration = Duration::from_millis(500);
/// More frames than this, and four times those of the capture, are no answer any more.
const FRAMES_LEAST: u64 = 100_000;
const STEPS_MAX: u64 = 20_000_000;

/// What our stack did.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// By connection: what it sent.
    pub(super) items: Vec<Vec<Item>>,
    /// Segments that were handed to it.
    pub(super) delivered: u64,
    /// Segments of connections that it had not opened.
    pub(super) undelivered: u64,
    /// Acknowledgements of what it had not sent.
    pub(super) ahead: u64,
    /// Acknowledgements that were made for what it sent later.
    pub(super) made_up: u64,
    pub(super) violation: Option<Violation>,
    /// It sent more than anybody reads.
    pub(super) stopped: bool,
}

/// A frame for the stack that is not from the capture.
type Extra = Reverse<(Instant, Vec<u8>)>;

struct Run<'a> {
    scripts: &'a Scripts<'a>,
    host: PolledHost,
    port: std::rc::Rc<crate::nic::NicPort>,
    pool: FramePool,
    begin: Instant,
    addresses: Vec<std::net::IpAddr>,
    rules: WireRules,
    next: usize,
    extra: BinaryHeap<Extra>,
    ours: Vec<Ours>,
    /// What was acknowledged of what is not sent yet: with the arrival that said it.
    owed: Vec<Option<(i64, usize)>>,
    /// Scripts by ends (ours first), the present one.
    by_ends: HashMap<(SocketAddr, SocketAddr), usize>,
    /// Calls of ours that have no port yet, by whom they call.
    calling: HashMap<SocketAddr, VecDeque<usize>>,
    connections: Connections,
    sent: u64,
    scratch: Vec<u8>,
    played: Played,
}

/// Plays it to its end.
pub(super) fn play(stand_in: StandIn, scripts: &Scripts<'_>) -> Played {
    let StandIn { host, port, rules, begin, mtu } = stand_in;
    let count = scripts.all.len();
    let mut calling: HashMap<SocketAddr, VecDeque<usize>> = HashMap::new();
    for (index, script) in scripts.all.iter().enumerate() {
        if script.role == Role::Client {
            calling.entry(script.remote).or_default().push_back(index);
        }
    }
    let mut run = Run {
        scripts,
        host,
        port,
        pool: FramePool::new(usize::from(mtu) + 18, 4_096),
        begin,
        addresses: rules.addresses.clone(),
        rules: WireRules::new(vec![rules]),
        next: 0,
        extra: BinaryHeap::new(),
        ours: vec![Ours::default(); count],
        owed: vec![None; count],
        by_ends: HashMap::new(),
        calling,
        connections: Connections::new(),
        sent: 0,
        scratch: Vec::new(),
        played: Played { items: vec![Vec::new(); count], ..Played::default() },
    };
    let mut now = Instant::ZERO;
    let ended = catch(|| run.run(&mut now));
    if let Err(caught) = ended {
        let words = format!("panic at {}: {}", caught.place, caught.message);
        let signature = format!("O13.{}", caught.place);
        run.played.violation = Some(Violation { signature, at: now, words });
    } else {
        run.rules.finish(now);
        let first = run.rules.violations().first();
        run.played.violation = first.map(|first| Violation {
            signature: first.rule.id.to_owned(),
            at: first.at,
            words: first.to_string(),
        });
    }
    // What panicked once may do so again.
    let Run { played, host, .. } = run;
    let _ = catch(|| drop(host));
    played
}

impl Run<'_> {
    fn run(&mut self, now: &mut Instant) {
        let end = self.begin + Duration::from_nanos(self.scripts.ends_at) + GRACE;
        let most = FRAMES_LEAST.max(4 * self.scripts.arrivals);
        for _ in 0..STEPS_MAX {
            self.deliver(*now);
            let wake = self.host.step(*now);
            self.collect(*now);
            let arrival = self.scripts.arriving.get(self.next);
            let arrival = arrival.map(|arrival| self.begin + Duration::from_nanos(arrival.at));
            let extra = self.extra.peek().map(|Reverse((at, _))| *at);
            let Some(next) = [wake, arrival, extra].into_iter().flatten().min() else { return };
            *now = next.max(*now + STEP);
            if *now > end {
                return;
            }
            if self.sent > most {
                break;
            }
        }
        self.played.stopped = true;
    }

    /// What has arrived by now, up to a burst.
    fn deliver(&mut self, now: Instant) {
        for _ in 0..BURST {
            if let Some(Reverse((at, _))) = self.extra.peek()
                && *at <= now
            {
                let Some(Reverse((_, bytes))) = self.extra.pop() else { return };
                self.hand_over(now, &bytes);
                continue;
            }
            let scripts = self.scripts;
            let Some(arrival) = scripts.arriving.get(self.next) else { return };
            if self.begin + Duration::from_nanos(arrival.at) > now {
                return;
            }
            self.next += 1;
            self.arrive(now, arrival);
        }
    }

    fn arrive(&mut self, now: Instant, arrival: &Arrival<'_>) {
        let index = arrival.script;
        let script = &self.scripts.all[index];
        let opens = arrival.segment.tcp.flags.has(Flags::SYN) && script.role == Role::Server;
        if opens && self.ours[index].local.is_none() {
            self.ours[index].local = Some(script.local);
            self.by_ends.insert((script.local, script.remote), index);
        }
        let made = translate::frame(arrival, script, &self.ours[index], MAC);
        let Some((bytes, bent)) = made else {
            self.played.undelivered += 1;
            return;
        };
        if let Some(ack) = bent.owed {
            self.played.ahead += 1;
            let known = self.owed[index].map_or(0, |(known, _)| known);
            if ack >= known {
                self.owed[index] = Some((ack, self.next - 1));
            }
        }
        self.played.delivered += 1;
        self.hand_over(now, &bytes);
    }

    fn hand_over(&mut self, now: Instant, bytes: &[u8]) {
        let Some(mut frame) = self.pool.alloc(bytes.len()) else { return };
        let Ok(packet) = Packet::parse(bytes) else { return };
        self.rules.received(now, 0, &packet);
        if let Some(segment) = self.read(bytes) {
            self.connections.take(&segment);
        }
        frame.bytes_mut().copy_from_slice(bytes);
        // The ring has room for what comes between two steps.
        let _ = self.port.deliver(frame);
    }

    fn read(&mut self, frame: &[u8]) -> Option<super::super::Segment> {
        let packet = frame.get(reading::ETHERNET_LEN..)?;
        match reading::read(packet, packet.len(), &mut self.scratch) {
            reading::Read::Segment(segment) => Some(segment),
            _ => None,
        }
    }

    /// What the stack sent.
    fn collect(&mut self, now: Instant) {
        while let Some(frame) = self.port.take_tx() {
            self.sent += 1;
            match Packet::parse(frame.bytes()) {
                Ok(packet) => {
                    self.rules.sent(now, 0, &packet);
                    if let Some(bytes) = answer(&packet, &self.addresses) {
                        self.extra.push(Reverse((now + STEP, bytes)));
                    }
                }
                Err(error) => self.rules.malformed(now, 0, error),
            }
            if let Some(segment) = self.read(frame.bytes()) {
                self.answered(now, &segment);
            }
        }
    }

    fn answered(&mut self, now: Instant, segment: &super::super::Segment) {
        let ends = (segment.source, segment.destination);
        let flags = segment.tcp.flags;
        let calls = flags.has(Flags::SYN) && !flags.has(Flags::ACK);
        if calls
            && !self.by_ends.contains_key(&ends)
            && let Some(index) = self.calling.get_mut(&ends.1).and_then(VecDeque::pop_front)
        {
            self.by_ends.insert(ends, index);
            self.ours[index].local = Some(ends.0);
        }
        let spot = self.connections.take(segment);
        let Some(&index) = self.by_ends.get(&ends) else { return };
        let ours = &mut self.ours[index];
        if flags.has(Flags::SYN) {
            ours.first = Some(segment.tcp.seq.wrapping_add(1));
        }
        if !flags.has(Flags::RST) && !flags.has(Flags::SYN) {
            let end =
                spot.offset + i64::from(segment.payload_len) + i64::from(flags.has(Flags::FIN));
            ours.sent = ours.sent.max(end);
        }
        if let Some((stamp, _)) = segment.tcp.options.timestamps {
            let first = ours.stamps.map_or(stamp, |(first, _)| first);
            ours.stamps = Some((first, stamp));
        }
        let at = now.saturating_since(self.begin).as_nanos();
        self.played.items[index].push(Item::new(at, 0, segment, spot.offset, spot.ack));
        self.settle(now, index);
    }

    /// What was acknowledged before it was sent is acknowledged when it is.
    fn settle(&mut self, now: Instant, index: usize) {
        let Some((ack, arrival)) = self.owed[index] else { return };
        let ours = self.ours[index];
        if ours.sent < ack {
            return;
        }
        self.owed[index] = None;
        let script: &Script = &self.scripts.all[index];
        let mut pure = self.scripts.arriving[arrival];
        let tcp = &mut pure.segment.tcp;
        let fin = u32::from(tcp.flags.has(Flags::FIN));
        tcp.seq = tcp.seq.wrapping_add(pure.segment.payload_len).wrapping_add(fin);
        tcp.flags = Flags::ACK;
        pure.segment.payload_len = 0;
        pure.ack = Some(ack);
        if let Some((bytes, _)) = translate::frame(&pure, script, &ours, MAC) {
            self.played.made_up += 1;
            self.extra.push(Reverse((now + STEP, bytes)));
        }
    }
}
