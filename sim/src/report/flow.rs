//! One direction of one connection as it was seen on the wire, and as its sender saw it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use causeway_core::event::RetransmitCause;
use causeway_core::port::Transport;
use causeway_core::time::Instant;
use hdrhistogram::Histogram;

use crate::tap::DirectionId;

/// The longest round trip that is told apart: 100 s.
const RTT_NANOS_MAX: u64 = 100_000_000_000;

/// What a flow's sequence numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of the stream (TCP).
    Bytes,
    /// Packets (Machnet).
    Packets,
}

/// A sender's own figures at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSample {
    /// When.
    pub at: Instant,
    /// Congestion window in bytes.
    pub cwnd_bytes: u32,
    /// Slow-start threshold in bytes.
    pub ssthresh_bytes: u32,
    /// Bytes in flight.
    pub flight_bytes: u32,
    /// Smoothed round-trip time in nanoseconds, 0 before the first sample.
    pub srtt_nanos: u64,
}

/// A piece of the sequence space that was sent at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// First number, relative to the flow's first.
    pub from: u64,
    /// One past the last.
    pub to: u64,
    /// Part of it had been sent before.
    pub again: bool,
    /// The link lost or damaged it.
    pub lost: bool,
    /// The frame that carried it: its direction, and its number there.
    pub frame: Option<(DirectionId, u64)>,
}

/// What the receiver offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// When the sender heard of it.
    pub at: Instant,
    /// One past the last number that may be sent.
    pub edge: u64,
    /// How many beyond what is acknowledged.
    pub window: u32,
}

/// The state of the sender's end from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// When.
    pub at: Instant,
    /// Its name: of TCP as in RFC 9293 §3.3.2.
    pub to: String,
}

/// One direction of one connection. Bounded: beyond [`Flow::SAMPLES_MAX`] samples nothing more is kept, and
/// `truncated` says so.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Protocol.
    pub transport: Transport,
    /// The sender of the sequence numbers.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// What was sent, in order of time.
    pub sent: Vec<Sent>,
    /// Acknowledgements as they arrived at the sender.
    pub acked: Vec<(Instant, u64)>,
    /// The sender's window.
    pub windows: Vec<WindowSample>,
    /// What the receiver offered.
    pub offers: Vec<Offer>,
    /// The states of the sender's end.
    pub states: Vec<StateChange>,
    /// The window scale in the sender's SYN (RFC 7323 §2).
    pub window_scale: Option<u8>,
    /// Retransmissions as the sender logged them.
    pub retransmits: Vec<(Instant, RetransmitCause)>,
    /// Samples are missing at the end.
    pub truncated: bool,
    first: Option<u32>,
    sent_to: u64,
    again: u64,
    lost: u64,
    needless: u64,
    /// Packets of which a copy was not lost, if packets are what is counted.
    carried: Vec<bool>,
    /// First transmissions whose acknowledgement is awaited: (one past the last number, when).
    timed: VecDeque<(u64, Instant)>,
    rtt: Option<Histogram<u64>>,
}

impl Flow {
    /// The most samples of each kind.
    pub const SAMPLES_MAX: usize = 400_000;
    /// The most changes of state.
    pub const STATES_MAX: usize = 1_000;
    /// What an end is in while nobody has told more.
    const OPENED: &'static str = "Opened";
    /// Among so many of the last segments is the one that was lost beyond the first link.
    const UNDER_WAY_MAX: usize = 4_096;

    /// A flow without samples.
    pub fn new(transport: Transport, from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            transport,
            from,
            to,
            sent: Vec::new(),
            acked: Vec::new(),
            windows: Vec::new(),
            offers: Vec::new(),
            states: Vec::new(),
            window_scale: None,
            retransmits: Vec::new(),
            truncated: false,
            first: None,
            sent_to: 0,
            again: 0,
            lost: 0,
            needless: 0,
            carried: Vec::new(),
            timed: VecDeque::new(),
            rtt: None,
        }
    }

    /// Getter: what its numbers count.
    pub fn unit(&self) -> Unit {
        match self.transport {
            Transport::Tcp => Unit::Bytes,
            Transport::Machnet | Transport::Udp => Unit::Packets,
        }
    }

    /// Getter: one past the highest number that was sent.
    pub fn sent_to(&self) -> u64 {
        self.sent_to
    }

    /// Input: `len` numbers from `seq` on were sent.
    pub fn on_sent(&mut self, at: Instant, seq: u32, len: u32, lost: bool) {
        let from = self.relative(seq);
        let to = from + u64::from(len);
        let again = from < self.sent_to;
        self.sent_to = self.sent_to.max(to);
        self.again += u64::from(again);
        self.lost += u64::from(lost);
        if self.unit() == Unit::Packets {
            self.carry(from, lost);
        }
        if again {
            // Karn: what is acknowledged from here on may be due to either transmission (RFC 6298 §3).
            self.timed.clear();
        } else if self.timed.len() < Self::SAMPLES_MAX {
            self.timed.push_back((to, at));
        }
        if self.sent.len() < Self::SAMPLES_MAX {
            self.sent.push(Sent { at, from, to, again, lost, frame: None });
        } else {
            self.truncated = true;
        }
    }

    /// Input: what was sent last is this frame.
    pub fn on_frame(&mut self, frame: (DirectionId, u64)) {
        if let Some(sent) = self.sent.last_mut().filter(|_| !self.truncated) {
            sent.frame = Some(frame);
        }
    }

    /// Input: the sender hears that `window` numbers beyond `ack` may be sent.
    pub fn on_offer(&mut self, at: Instant, ack: u32, window: u32) {
        if self.first.is_none() {
            return;
        }
        let edge = self.relative(ack) + u64::from(window);
        let is_new =
            self.offers.last().is_none_or(|last| (last.edge, last.window) != (edge, window));
        if is_new && self.offers.len() < Self::SAMPLES_MAX {
            self.offers.push(Offer { at, edge, window });
        }
    }

    /// Input: the sender's end exists.
    pub fn on_opened(&mut self, at: Instant) {
        self.on_state(at, None, Self::OPENED.to_owned());
    }

    /// Input: the sender's end is in the state `to`; before it was in `from`, where that is known.
    pub fn on_state(&mut self, at: Instant, from: Option<String>, to: String) {
        if let (Some(from), Some(last)) = (from, self.states.last_mut())
            && last.to == Self::OPENED
        {
            last.to = from;
        }
        let is_new = self.states.last().is_none_or(|last| last.to != to);
        if is_new && self.states.len() < Self::STATES_MAX {
            self.states.push(StateChange { at, to });
        }
    }

    /// Input: what was sent last from `seq` on is lost, or damaged, beyond the first link.
    pub fn on_lost(&mut self, seq: u32) {
        let from = self.relative(seq);
        let recent = self.sent.iter_mut().rev().take(Self::UNDER_WAY_MAX);
        if let Some(sent) = recent.into_iter().find(|sent| sent.from == from && !sent.lost) {
            sent.lost = true;
            self.lost += 1;
        }
    }

    /// Packet `number` goes onto the link.
    fn carry(&mut self, number: u64, lost: bool) {
        let Some(index) = usize::try_from(number).ok().filter(|n| *n < Self::SAMPLES_MAX) else {
            return;
        };
        if index >= self.carried.len() {
            self.carried.resize(index + 1, false);
        }
        let carried = &mut self.carried[index];
        self.needless += u64::from(*carried);
        *carried |= !lost;
    }

    /// Input: an acknowledgement arrived at the sender. Only new ones are kept.
    pub fn on_acked(&mut self, at: Instant, ack: u32) {
        if self.first.is_none() {
            return;
        }
        let ack = self.relative(ack);
        self.measure(at, ack);
        let is_new = self.acked.last().is_none_or(|&(_, last)| ack > last);
        if is_new && ack <= self.sent_to && self.acked.len() < Self::SAMPLES_MAX {
            self.acked.push((at, ack));
        }
    }

    /// The round trip of the newest segment that `ack` covers: one sample an acknowledgement.
    fn measure(&mut self, at: Instant, ack: u64) {
        let mut newest = None;
        while let Some((_, sent_at)) = self.timed.pop_front_if(|(to, _)| *to <= ack) {
            newest = Some(sent_at);
        }
        let Some(sent_at) = newest else { return };
        let nanos = at.saturating_since(sent_at).as_nanos().clamp(1, RTT_NANOS_MAX);
        if self.rtt.is_none() {
            // Fails only for bounds or digits out of range, which these are not.
            self.rtt = Histogram::new_with_bounds(1, RTT_NANOS_MAX, 3).ok();
        }
        if let Some(rtt) = &mut self.rtt {
            rtt.saturating_record(nanos);
        }
    }

    /// Getter: round trips in nanoseconds, from sending to the arrival of the acknowledgement, queues
    /// included, repeated segments left out. `None` before the first.
    pub fn rtt(&self) -> Option<&Histogram<u64>> {
        self.rtt.as_ref()
    }

    /// Getter: how many segments or packets carried something that had been sent before.
    pub fn sent_again(&self) -> u64 {
        self.again
    }

    /// Getter: how many segments or packets the link lost or damaged.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Getter: how many packets were sent again although an earlier copy was not lost; 0 if bytes are counted.
    pub fn needless(&self) -> u64 {
        self.needless
    }

    /// Input: the sender's figures.
    pub fn on_window(&mut self, sample: WindowSample) {
        if self.windows.len() < Self::SAMPLES_MAX {
            self.windows.push(sample);
        }
    }

    /// Input: the sender sends something again.
    pub fn on_retransmit(&mut self, at: Instant, cause: RetransmitCause) {
        if self.retransmits.len() < Self::SAMPLES_MAX {
            self.retransmits.push((at, cause));
        }
    }

    /// A 32-bit number as an offset from the flow's first one, by its distance from what was sent last
    /// (RFC 9293 §3.4: sequence arithmetic is modulo 2^32).
    fn relative(&mut self, seq: u32) -> u64 {
        let first = *self.first.get_or_insert(seq);
        let expected = first.wrapping_add(self.sent_to as u32);
        let distance = i64::from(seq.wrapping_sub(expected).cast_signed());
        self.sent_to.saturating_add_signed(distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        let address = "10.0.0.1:1".parse().expect("an address");
        Flow::new(Transport::Tcp, address, address)
    }

    #[test]
    fn numbers_unwrap_across_two_to_the_32() {
        let mut flow = flow();
        let at = Instant::ZERO;
        let mut seq = u32::MAX - 10;
        for _ in 0..5 {
            flow.on_sent(at, seq, 0x4000_0000, false);
            seq = seq.wrapping_add(0x4000_0000);
        }
        assert_eq!(flow.sent_to(), 5 * 0x4000_0000);
        flow.on_acked(at, seq);
        assert_eq!(flow.acked, [(at, 5 * 0x4000_0000)]);
    }

    #[test]
    fn what_was_sent_before_is_sent_again() {
        let mut flow = flow();
        flow.on_sent(Instant::ZERO, 100, 50, true);
        flow.on_sent(Instant::ZERO, 150, 50, false);
        flow.on_sent(Instant::ZERO, 100, 50, false);
        let again: Vec<bool> = flow.sent.iter().map(|sent| sent.again).collect();
        assert_eq!(again, [false, false, true]);
        assert!(flow.sent[0].lost);
    }

    #[test]
    fn what_a_later_link_loses_is_marked_once() {
        let mut flow = flow();
        flow.on_sent(Instant::ZERO, 100, 50, false);
        flow.on_sent(Instant::ZERO, 150, 50, false);
        flow.on_lost(100);
        flow.on_lost(170);
        let lost: Vec<bool> = flow.sent.iter().map(|sent| sent.lost).collect();
        assert_eq!((lost, flow.lost()), (vec![true, false], 1));
    }

    #[test]
    fn a_packet_that_was_not_lost_is_sent_again_needlessly() {
        let address = "10.0.0.1:1".parse().expect("an address");
        let mut flow = Flow::new(Transport::Machnet, address, address);
        for (seq, lost) in [(5, true), (6, false), (5, false), (6, false), (5, true)] {
            flow.on_sent(Instant::ZERO, seq, 1, lost);
        }
        assert_eq!((flow.sent_again(), flow.lost(), flow.needless()), (3, 2, 2));
    }

    #[test]
    fn states_follow_each_other_and_the_first_one_is_told_afterwards() {
        let mut flow = flow();
        flow.on_opened(Instant::ZERO);
        assert_eq!(flow.states[0].to, "Opened");
        for (from, to) in [("SynSent", "Established"), ("Established", "Established")] {
            flow.on_state(Instant::ZERO, Some(from.to_owned()), to.to_owned());
        }
        let states: Vec<&str> = flow.states.iter().map(|change| change.to.as_str()).collect();
        assert_eq!(states, ["SynSent", "Established"]);
    }

    #[test]
    fn an_offer_ends_so_far_beyond_what_is_acknowledged() {
        let mut flow = flow();
        flow.on_offer(Instant::ZERO, 7, 10);
        flow.on_sent(Instant::ZERO, 100, 50, false);
        flow.on_offer(Instant::ZERO, 120, 1_000);
        flow.on_offer(Instant::ZERO, 120, 1_000);
        assert_eq!(flow.offers, [Offer { at: Instant::ZERO, edge: 1_020, window: 1_000 }]);
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_not_drawn() {
        let mut flow = flow();
        flow.on_acked(Instant::ZERO, 5);
        flow.on_sent(Instant::ZERO, 100, 50, false);
        flow.on_acked(Instant::ZERO, 9_000);
        assert!(flow.acked.is_empty());
    }
}
