//! One flow: its life, its commands and its getters. Input is in `input`, output in `output`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::IN_FLIGHT_MAX;
use super::ack::AckState;
use super::config::Config;
use super::extended::{EXTENDED_TIMERS, Extended};
use super::message::SendQueue;
use super::packet::{FlowEvent, FlowState, FlowTimer, Profile, SendError};
use super::rto::Rto;
use super::rx_window::{MessageSink, RxWindow};
use super::tx_window::TxWindow;
use super::window::Window;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::{SocketInfo, StreamIo};
use crate::reach::{self, Happening, reach};
use crate::time::{Duration, Instant};
use crate::wire::machnet::{MachnetHeader, PAYLOAD_MAX};

/// Events waiting beyond which no message is taken from the network.
const EVENTS_MAX: usize = 128;
/// Kinds of timers that every flow has: those before [`FlowTimer::Ack`].
const TIMERS: usize = 6;
/// A flow that is still for so long gives back what it needs for packets under way. Longer than upstream tries to repeat one.
const IDLE: Duration = Duration::from_secs(60);

/// One flow of messages to one peer, in both directions: exactly once and in order.
///
/// Plain data. The owner calls `handle_*` for what comes, then takes `poll_event` until `None` and `poll_transmit` while
/// `has_output`, and calls `handle_timeout` when `poll_timeout` says so. The flow may be forgotten when `is_finished`.
///
/// **Never more than the peer can take.** An upstream peer crashes on more than 255 messages that its application has not received, and
/// cannot say how many there are. At most 32 packets, hence 32 messages, are unacknowledged at any time; what lies acknowledged in
/// the peer is beyond the sight of this profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    #[serde(skip)]
    pub(super) config: Config,
    pub(super) state: FlowState,
    pub(super) profile: Profile,
    /// We sent the SYN.
    pub(super) active: bool,
    pub(super) closing: bool,
    pub(super) tx: TxWindow,
    pub(super) queue: SendQueue,
    pub(super) window: Window,
    pub(super) rto: Rto,
    pub(super) rx: RxWindow,
    pub(super) ack: AckState,
    /// A SYN or SYN-ACK is to be sent.
    pub(super) handshake_due: bool,
    /// When it was sent first, and how often.
    pub(super) handshake_at: Instant,
    pub(super) attempts: u8,
    /// RSTs to be sent; see [`Flow::end`].
    pub(super) rsts_due: u8,
    /// Timeouts since the peer was last heard.
    pub(super) retries: u8,
    /// When a packet came in or a new one left last, of those for which something is kept.
    pub(super) active_at: Instant,
    pub(super) timers: [Option<Instant>; TIMERS],
    pub(super) events: VecDeque<FlowEvent>,
    pub(super) writable_pending: bool,
    pub(super) figures: Figures,
    /// Where the clock of the extended profile begins.
    pub(super) clock_start: u32,
    /// What only the extended profile has, once it is agreed on.
    pub(super) extended: Option<Box<Extended>>,
}

/// Counters of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) retransmits: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) message_acked: u64,
}

impl FlowTimer {
    const ALL: [Self; TIMERS + EXTENDED_TIMERS] = [
        Self::Handshake,
        Self::Reordering,
        Self::Retransmission,
        Self::Linger,
        Self::Stall,
        Self::Idle,
        Self::Ack,
        Self::Pacing,
        Self::Probe,
        Self::Keepalive,
    ];
}

impl MessageSink for VecDeque<FlowEvent> {
    fn has_room(&self) -> bool {
        self.len() < EVENTS_MAX
    }

    fn message(&mut self, offset: u64, len: u32) {
        self.push_back(FlowEvent::Message { offset, len });
    }
}

impl Flow {
    /// Command: opens a flow; a SYN is due. `iss` is the number of the SYN: 0 towards upstream.
    pub fn connect(now: Instant, config: &Config, iss: u32) -> Self {
        Self::new(now, config, FlowState::SynSent, iss, 0)
    }

    /// Command: answers `syn`, for which a listener decided [`super::ListenDisposition::Accept`]; a SYN-ACK is due.
    pub fn accept(now: Instant, config: &Config, iss: u32, syn: &MachnetHeader) -> Self {
        let rcv_nxt = syn.seqno.wrapping_add(1);
        let mut flow = Self::new(now, config, FlowState::SynReceived, iss, rcv_nxt);
        flow.agree(now, syn.timestamp, rcv_nxt);
        flow
    }

    /// The peer has said `timestamp` in its part of the handshake: if that is an offer, and we make one, the extended profile is spoken from
    /// now on. Nothing was sent or received in the other one.
    pub(super) fn agree(&mut self, now: Instant, timestamp: u64, rcv_nxt: u32) {
        let Some(offer) = self.config.agree(timestamp) else { return };
        let extended = Box::new(Extended::new(now, &self.config, offer, self.clock_start));
        self.profile = Profile::Extended;
        self.tx = Extended::tx_window(self.tx.iss());
        self.rx = extended.rx_window(rcv_nxt);
        self.extended = Some(extended);
    }

    fn new(now: Instant, config: &Config, state: FlowState, iss: u32, rcv_nxt: u32) -> Self {
        Self {
            config: *config,
            state,
            profile: Profile::Upstream,
            active: state == FlowState::SynSent,
            closing: false,
            tx: TxWindow::new(iss),
            queue: SendQueue::new(),
            window: Window::new(config.window_initial),
            rto: Rto::new(),
            rx: RxWindow::new(rcv_nxt),
            ack: AckState::new(rcv_nxt),
            handshake_due: true,
            handshake_at: now,
            attempts: 0,
            rsts_due: 0,
            retries: 0,
            active_at: now,
            timers: [None; TIMERS],
            events: VecDeque::new(),
            writable_pending: false,
            figures: Figures::default(),
            clock_start: 0,
            extended: None,
        }
    }

    /// Command: the TX ring's bytes `offset .. offset + len` are one message with the id `message`. May be called before the
    /// flow is established. Output may be due afterwards.
    ///
    /// # Errors
    /// See [`SendError`]; nothing is changed then.
    pub fn send_message(
        &mut self,
        offset: u64,
        len: u32,
        message: u64,
        io: &impl StreamIo,
    ) -> Result<(), SendError> {
        if self.closing || self.state == FlowState::Closed {
            return Err(SendError::Closed);
        }
        self.queue.push(&self.config, offset, len, message, io.tx_end())
    }

    /// Command: delivers what is queued, for at most the configured `linger`, then sends RST, or FIN in the extended profile, and ends
    /// with `Closed`.
    pub fn close(&mut self, now: Instant) {
        if self.state == FlowState::Closed || self.closing {
            return;
        }
        let from = self.state;
        self.closing = true;
        self.set_timer(FlowTimer::Linger, Some(now + self.config.linger));
        if self.state == FlowState::Established {
            self.state = FlowState::Closing;
        }
        self.finish_close();
        reach::machnet_went(from, Happening::Close, self.state);
    }

    /// Command: ends with `Aborted` at once; an established peer is told with RST.
    pub fn abort(&mut self) {
        reach::machnet_went(self.state, Happening::Abort, FlowState::Closed);
        self.end(EndReason::Aborted);
    }

    /// Input: ICMP says that nobody takes this flow, for `reason`. False when that is not believed: a flow that its peer
    /// has answered lives until its own timers end it (RFC 5927 §5.2).
    pub fn refuse(&mut self, reason: EndReason) -> bool {
        let from = self.state;
        let opening = matches!(from, FlowState::SynSent | FlowState::SynReceived);
        if opening {
            self.end(reason);
            // Who says that nobody is there is not told the same.
            self.rsts_due = 0;
        }
        reach::machnet_went(from, Happening::Refuse, self.state);
        opening
    }

    /// Command: the application is gone. A flow with messages that the peer does not have yet is closed as by
    /// [`Flow::close`], within `deadline` at the latest; any other one ends at once.
    pub fn detach(&mut self, now: Instant, deadline: Instant) {
        let from = self.state;
        if !self.closing && self.queue.is_empty() && self.tx.is_empty() {
            return self.abort();
        }
        self.close(now);
        reach::machnet_went(from, Happening::Detach, self.state);
        if self.state != FlowState::Closed {
            let linger = self.timer(FlowTimer::Linger);
            self.set_timer(FlowTimer::Linger, Some(linger.map_or(deadline, |at| at.min(deadline))));
        }
    }

    /// Input: the application consumed from the RX ring, or wrote to the TX ring.
    pub fn handle_app(&mut self, now: Instant, io: &mut impl StreamIo) {
        if self.state == FlowState::Closed {
            return;
        }
        if self.extended.is_some() {
            return self.handle_extended_app(now, io);
        }
        self.drain(now, io);
        if self.rx.take_recovered(io) {
            self.set_timer(FlowTimer::Stall, None);
            // Three repetitions, while the peer has something outstanding, make it send again without its timeout.
            for _ in 0..3 {
                self.ack.answer_old_if_ahead(self.rx.is_ahead());
            }
        }
    }

    /// Input: a deadline from [`Flow::poll_timeout`] has passed. Harmless when none has.
    pub fn handle_timeout(&mut self, now: Instant, io: &mut impl StreamIo) {
        for timer in FlowTimer::ALL {
            let due = self.timer(timer).is_some_and(|at| at <= now);
            if !due || self.state == FlowState::Closed {
                continue;
            }
            self.set_timer(timer, None);
            let from = self.state;
            match timer {
                FlowTimer::Handshake => self.on_handshake_timeout(),
                FlowTimer::Reordering => self.detect_loss(now),
                FlowTimer::Retransmission => self.on_retransmission_timeout(now),
                FlowTimer::Linger => self.end(EndReason::TimedOut),
                FlowTimer::Stall if self.is_stuck(io) => self.end(EndReason::NoMemory),
                FlowTimer::Stall => {}
                FlowTimer::Idle => self.on_idle(now),
                FlowTimer::Ack => self.on_ack_timer(),
                FlowTimer::Pacing => self.on_pacing_timer(),
                FlowTimer::Probe => self.on_probe_timer(now),
                FlowTimer::Keepalive => self.on_keepalive_timer(now),
            }
            reach::machnet_went(from, Happening::timer(timer), self.state);
        }
    }

    /// Output: the earliest deadline and its reason.
    pub fn poll_timeout(&self) -> Option<(Instant, FlowTimer)> {
        let set = FlowTimer::ALL.into_iter().filter_map(|t| Some((self.timer(t)?, t)));
        set.min_by_key(|(at, _)| *at)
    }

    /// Output: the next piece of news.
    pub fn poll_event(&mut self) -> Option<FlowEvent> {
        let event = self.events.pop_front();
        if event == Some(FlowEvent::Writable) {
            self.writable_pending = false;
        }
        event
    }

    /// Getter: where the flow is in its life.
    pub fn state(&self) -> FlowState {
        self.state
    }

    /// Getter: how the two ends speak.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Getter: nothing is queued or outstanding, and no output is due.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.tx.is_empty() && !self.has_output()
    }

    /// Getter: at its end, with no event or packet left to take.
    pub fn is_finished(&self) -> bool {
        let silent = self.extended.as_ref().is_none_or(|extended| !extended.last_ack);
        self.state == FlowState::Closed && self.rsts_due == 0 && silent && self.events.is_empty()
    }

    /// Getter: where what is acknowledged ends, and what was sent.
    pub(crate) const fn progress(&self) -> (u32, u32) {
        (self.tx.snd_una(), self.tx.snd_nxt())
    }

    /// Getter: the figures.
    pub fn info(&self) -> SocketInfo {
        let bytes = |packets: u8| u32::from(packets) * u32::from(PAYLOAD_MAX);
        let (cwnd_bytes, ssthresh_bytes) = match &self.extended {
            Some(extended) => extended.window_bytes(),
            None => (bytes(self.window.cwnd()), bytes(self.window.ssthresh())),
        };
        SocketInfo {
            srtt: self.rto.srtt(),
            rttvar: self.rto.rttvar(),
            cwnd_bytes,
            ssthresh_bytes,
            retransmits: self.figures.retransmits,
            bytes_sent: self.figures.bytes_sent,
            bytes_acked: self.figures.bytes_acked,
            bytes_received: self.figures.bytes_received,
            message_acked: self.figures.message_acked,
            ..SocketInfo::default()
        }
    }

    pub(super) fn set_timer(&mut self, timer: FlowTimer, at: Option<Instant>) {
        let index = timer as usize;
        if index < TIMERS {
            self.timers[index] = at;
        } else if let Some(extended) = &mut self.extended {
            extended.timers[index - TIMERS] = at;
        }
    }

    pub(super) fn timer(&self, timer: FlowTimer) -> Option<Instant> {
        let index = timer as usize;
        if index < TIMERS {
            return self.timers[index];
        }
        self.extended.as_ref().and_then(|extended| extended.timers[index - TIMERS])
    }

    /// The wait for an answer to the handshake's packet: doubled each time, up to four times itself.
    pub(super) fn handshake_wait(&self) -> Duration {
        self.config.syn_rto.saturating_mul(1 << self.attempts.saturating_sub(1).min(2))
    }

    fn on_handshake_timeout(&mut self) {
        if self.attempts >= self.config.syn_attempts_max {
            self.end(EndReason::TimedOut);
        } else {
            reach!(MachnetHandshakeAgain);
            self.handshake_due = true;
        }
    }

    /// Something is kept for packets under way, and was used now.
    pub(super) fn touch(&mut self, now: Instant) {
        self.active_at = now;
        if self.timer(FlowTimer::Idle).is_none() {
            self.set_timer(FlowTimer::Idle, Some(now + IDLE));
        }
    }

    /// Gives back the slots of packets sent, the buffers of packets out of order, and room for news. What waited behind a
    /// hole for so long is given up: it was never acknowledged, and a peer that still lives sends it again.
    fn on_idle(&mut self, now: Instant) {
        let since = now.saturating_since(self.active_at);
        if since < IDLE || !self.tx.is_empty() {
            let at = if since < IDLE { self.active_at } else { now };
            self.set_timer(FlowTimer::Idle, Some(at + IDLE));
            return;
        }
        reach!(MachnetIdle);
        self.tx.rest();
        self.rx.rest();
        if let Some(extended) = &mut self.extended {
            extended.rest();
        }
        self.events.shrink_to_fit();
        self.queue.shrink();
    }

    /// RFC 6298 (5.4) to (5.6).
    fn on_retransmission_timeout(&mut self, now: Instant) {
        if self.tx.is_empty() {
            return;
        }
        self.retries += 1;
        if self.retries > self.config.retries_max {
            self.end(EndReason::TimedOut);
            return;
        }
        reach!(MachnetTimeout);
        if self.extended.is_some() {
            self.extended_loss(now, true);
        } else {
            self.upstream_timeout();
        }
        if !planted::is(Bug::MachnetNothingAgain) {
            match &self.extended {
                // The answer to the repetition shows of the others what is missing.
                Some(_) => self.tx.lose_first(now, self.rto.srtt()),
                None => self.tx.lose_late(now, self.rto.srtt()),
            }
        }
        if !planted::is(Bug::MachnetNoBackoff) {
            self.rto.back_off();
        }
        self.restart_rto(now);
    }

    fn upstream_timeout(&mut self) {
        if self.active && !self.tx.is_advanced() {
            // Upstream drops DATA that comes before the final acknowledgement of the handshake.
            self.ack.repeat_unasked();
        }
        let first = !self.tx.first_was_retransmitted();
        self.window.on_timeout(self.tx.snd_nxt(), first);
    }

    pub(super) fn restart_rto(&mut self, now: Instant) {
        let mut at = now + self.rto.current(&self.config);
        if self.extended.is_some() {
            // Round trips are those of the network.
            at += self.config.ack_delay();
        }
        self.set_timer(FlowTimer::Retransmission, (!self.tx.is_empty()).then_some(at));
    }

    /// A closing flow that has delivered everything says so.
    pub(super) fn finish_close(&mut self) {
        let all = self.tx.is_empty() || planted::is(Bug::MachnetTailForgotten);
        if self.closing && self.queue.is_empty() && all {
            match &self.extended {
                Some(_) => self.finish_extended_close(),
                None => self.end(EndReason::Closed),
            }
        }
    }

    /// The end, once. Whether the peer is told depends on the state it ends in.
    ///
    /// A RST counts only with the number that the peer expects next. What that is, is not known while packets are outstanding: any of
    /// them may be missing there for ever now. So each of their numbers gets its RST: one of at most 33 counts.
    pub(super) fn end(&mut self, reason: EndReason) {
        self.rsts_due = match self.state {
            FlowState::SynReceived | FlowState::Established | FlowState::Closing
                if self.extended.is_some() =>
            {
                1
            }
            FlowState::SynReceived | FlowState::Established | FlowState::Closing => {
                // At most 32 are.
                1 + self.tx.outstanding() as u8
            }
            FlowState::SynSent => 0,
            FlowState::Closed => return,
        };
        self.state = FlowState::Closed;
        self.handshake_due = false;
        self.timers = [None; TIMERS];
        if let Some(extended) = &mut self.extended {
            extended.end();
        }
        self.queue.clear();
        self.events.push_back(FlowEvent::Ended(reason));
    }

    pub(super) fn push_writable(&mut self) {
        if !self.writable_pending {
            self.writable_pending = true;
            self.events.push_back(FlowEvent::Writable);
        }
    }

    /// Something may be sent now.
    pub(super) fn can_send_data(&self) -> bool {
        let window = u16::from(self.window.cwnd().min(IN_FLIGHT_MAX));
        let more = self.tx.has_lost() || self.tx.has_number() && !self.queue.is_empty();
        matches!(self.state, FlowState::Established | FlowState::Closing)
            && (self.tx.has_urgent() || self.tx.has_room(window) && more)
    }
}
