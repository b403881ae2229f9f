//! Machnet on a calm network.

use std::collections::VecDeque;

use causeway_core::time::{Duration, Instant};

use super::super::connection::unwrap;
use super::super::registry::{CALM_MACHNET_AGAIN, CALM_MACHNET_RST, CALM_MACHNET_SACK};
use super::super::report::{Report, Scene};
use super::Seen;
use crate::packet::{Machnet, MachnetKind};

/// Most packets that are remembered of one direction: the window is 32.
const PACKETS_MAX: usize = 256;
/// Times are rounded.
const TICK: Duration = Duration::from_millis(1);

/// A packet that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: i64,
    at: Instant,
    arrived_at: Option<Instant>,
}

/// What one end sends.
#[derive(Debug, Default)]
struct Way {
    iss: Option<u32>,
    next: i64,
    arrived: i64,
    told: i64,
    sent: VecDeque<Sent>,
    /// The highest packet that this end has told of by a bit, and when: soon it has to acknowledge it by its number.
    ahead: Option<(i64, Instant)>,
    least_rtt: Option<Duration>,
}

/// A flow.
#[derive(Debug, Default)]
pub(super) struct Pair {
    ways: [Way; 2],
    /// It is not judged any more.
    free: bool,
    /// It speaks the extended profile: data acknowledges, too.
    extended: bool,
}

impl Pair {
    /// Input: something happened to one of its frames.
    pub(super) fn disturbed(&mut self) {
        self.free = true;
    }

    /// Input: an end sends a packet; `first` says which.
    pub(super) fn sent(
        &mut self,
        first: bool,
        seen: &Seen<'_>,
        machnet: &Machnet,
        scene: &Scene,
        out: &mut Report,
    ) {
        if self.free {
            return;
        }
        let [a, b] = &mut self.ways;
        let (way, back) = if first { (a, b) } else { (b, a) };
        if let Some((number, at)) = way.ahead
            && seen.at > at + seen.settles_in
        {
            way.ahead = None;
            let words = format!("{number} by its bit at {at}, and what came was in order");
            out.broken(CALM_MACHNET_SACK, scene, words);
        }
        if machnet.kind == MachnetKind::Ack || self.extended && machnet.kind == MachnetKind::Data {
            tell(way, back, seen, machnet, self.extended);
        }
        match machnet.kind {
            MachnetKind::Syn | MachnetKind::SynAck => {
                if way.iss.is_some_and(|iss| iss != machnet.seq) {
                    // Another flow between the same ends.
                    self.free = true;
                    return;
                }
                way.iss = Some(machnet.seq);
                self.free = way.send(0, seen, seen.host.machnet_syn_rto, scene, out);
                if machnet.kind == MachnetKind::SynAck {
                    back.told = 1;
                    self.extended = machnet.offer().is_some();
                }
            }
            MachnetKind::Data => {
                let Some(iss) = way.iss else { return };
                let number = unwrap(machnet.seq, iss, way.next);
                self.free = way.send(number, seen, seen.host.machnet_rto.0, scene, out);
            }
            MachnetKind::Ack => {}
            MachnetKind::Rst if way.iss.is_none() || back.iss.is_none() => {
                let words = "RST before there is a flow".to_owned();
                out.broken(CALM_MACHNET_RST, scene, words);
            }
            // It is how a flow ends: what is under way towards it is answered by RST, too.
            MachnetKind::Rst => self.free = true,
            MachnetKind::Unknown(_) => {}
        }
    }

    /// Input: a whole packet reached an end; `first` says whether the first end sent it.
    pub(super) fn received(&mut self, first: bool, at: Instant, machnet: &Machnet) {
        if self.free {
            return;
        }
        let [a, b] = &mut self.ways;
        let (way, back) = if first { (a, b) } else { (b, a) };
        let Some(iss) = way.iss else { return };
        let number = match machnet.kind {
            MachnetKind::Syn | MachnetKind::SynAck => 0,
            MachnetKind::Data => unwrap(machnet.seq, iss, way.arrived),
            MachnetKind::Ack | MachnetKind::Rst | MachnetKind::Unknown(_) => -1,
        };
        if number > way.arrived {
            // What lay between went astray where nobody looks.
            self.free = true;
            return;
        }
        if let Some(sent) = way.sent.iter_mut().find(|sent| sent.number == number) {
            sent.arrived_at = sent.arrived_at.or(Some(at));
            way.arrived = way.arrived.max(number + 1);
        }
        let acknowledges = match machnet.kind {
            MachnetKind::Ack | MachnetKind::SynAck => true,
            MachnetKind::Data => self.extended,
            MachnetKind::Syn | MachnetKind::Rst | MachnetKind::Unknown(_) => false,
        };
        if acknowledges && let Some(iss) = back.iss {
            let ack = unwrap(machnet.ack, iss, back.next);
            while let Some(sent) = back.sent.front().filter(|sent| sent.number < ack) {
                let rtt = at.saturating_since(sent.at);
                back.least_rtt = Some(back.least_rtt.map_or(rtt, |least| least.min(rtt)));
                back.sent.pop_front();
            }
        }
    }
}

/// The end of `way` acknowledges what `back` sent.
fn tell(way: &mut Way, back: &mut Way, seen: &Seen<'_>, machnet: &Machnet, extended: bool) {
    let Some(iss) = back.iss else { return };
    let ack = unwrap(machnet.ack, iss, back.next);
    back.told = back.told.max(ack);
    // Of several packets that come at once the first acknowledgement may tell of all.
    let highest = if extended {
        machnet.held_extended().last()
    } else {
        machnet.held().checked_ilog2().map(i64::from)
    };
    way.ahead = match (way.ahead, highest) {
        (Some((number, _)), _) if number < back.told => None,
        (None, Some(bit)) => Some((ack + bit, seen.at)),
        (other, _) => other,
    };
}

impl Way {
    /// Packet `number` is sent. True where the flow is not judged any further.
    fn send(
        &mut self,
        number: i64,
        seen: &Seen<'_>,
        least: Duration,
        scene: &Scene,
        out: &mut Report,
    ) -> bool {
        let before = self.sent.iter().find(|sent| sent.number == number);
        let Some(before) = before else {
            if number < self.next {
                // Its acknowledgement came in this moment.
                return true;
            }
            self.next = self.next.max(number + 1);
            self.sent.push_back(Sent { number, at: seen.at, arrived_at: None });
            return self.sent.len() > PACKETS_MAX;
        };
        let age = seen.at.saturating_since(before.at);
        let timer = self.least_rtt.map_or(least, |rtt| rtt.min(least));
        // What waited in a ring left later than its timer began.
        if age + TICK + seen.host.slack < timer {
            let words = format!("{number} again after {age}, at least {timer}");
            out.broken(CALM_MACHNET_AGAIN, scene, words);
        }
        let settled = seen.settles_in + seen.settles_in;
        if let Some(arrived_at) = before.arrived_at
            && self.told <= number
            && seen.at > arrived_at + settled
            && !seen.held_up(arrived_at)
        {
            let words = format!("{number} again, its peer has it since {arrived_at}");
            out.broken(CALM_MACHNET_AGAIN, scene, words);
        }
        true
    }
}
