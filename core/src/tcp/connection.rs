//! One TCP connection: its parts, its beginning, the application's commands, its getters.

use serde::{Deserialize, Serialize};

use super::congestion::Congestion;
use super::ecn::EcnState;
use super::event::{ConnectionEvent, Events};
use super::options::Negotiated;
use super::recovery::{OFF, Recovery};
use super::recv_buffer::{AckDue, RecvBuffer};
use super::rto::RttEstimator;
use super::seldom::Seldom;
use super::send_buffer::SendBuffer;
use super::seq::SeqNumber;
use super::shared_config::SharedConfig;
use super::state::State;
use super::timer::{TimerReason, Timers};
use super::transition::Trigger;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// One TCP connection, from SYN to the end of TIME-WAIT: plain data, no references, no addresses.
///
/// Call order: [`Connection::connect`] or [`Connection::accept`]; then whenever there is news one of
/// `handle_segment`, `handle_timeout`, `handle_app` or a command, and after each `poll_transmit` and
/// `poll_event` until they give `None`, and `poll_timeout` for the next deadline. Forget the connection
/// once [`Connection::state`] is [`State::Closed`] and nothing is left to transmit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub(in crate::tcp) state: State,
    pub(in crate::tcp) flags: Flags,
    pub(in crate::tcp) config: SharedConfig,
    pub(in crate::tcp) ecn: EcnState,
    pub(in crate::tcp) options: Negotiated,
    pub(in crate::tcp) snd: SendBuffer,
    pub(in crate::tcp) rcv: RecvBuffer,
    pub(in crate::tcp) rtt: RttEstimator,
    pub(in crate::tcp) congestion: Congestion,
    pub(in crate::tcp) recovery: Recovery,
    pub(in crate::tcp) timers: Timers,
    pub(in crate::tcp) events: Events,
    pub(in crate::tcp) counters: Counters,
    pub(in crate::tcp) seldom: Seldom,
}

/// What becomes of what the peer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) enum Reader {
    /// The application reads it.
    #[default]
    Here,
    /// It will, once there is data: the SYN,ACK was acknowledged, and that counts for nothing yet (TCP_DEFER_ACCEPT).
    Later,
    /// The application reads no more (SHUT_RD).
    Shut,
    /// The application is gone.
    Gone,
}

impl Reader {
    /// Getter: nobody has the connection any more.
    pub(in crate::tcp) const fn is_gone(self) -> bool {
        matches!(self, Self::Gone)
    }
}

/// What is either so or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Flags {
    /// We sent the first SYN.
    pub(in crate::tcp) active: bool,
    /// Who reads.
    pub(in crate::tcp) reader: Reader,
    /// A RST is to be sent.
    pub(in crate::tcp) rst_due: bool,
    /// A probe that asks for an acknowledgement is to be sent.
    pub(in crate::tcp) probe_due: bool,
    /// The persist timer expired: what the window allows may be sent, however little.
    pub(in crate::tcp) override_due: bool,
    /// `Ended` was told, or is about to be.
    pub(in crate::tcp) end_told: bool,
}

/// Counters and times of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Counters {
    pub(in crate::tcp) bytes_sent: u64,
    pub(in crate::tcp) last_rx: Instant,
    pub(in crate::tcp) last_tx: Instant,
    pub(in crate::tcp) retransmits: u32,
    /// Segments, and those among them that carried data (tcpi_segs_in and so on).
    pub(in crate::tcp) segs_in: u32,
    pub(in crate::tcp) segs_out: u32,
    pub(in crate::tcp) data_segs_in: u32,
    pub(in crate::tcp) data_segs_out: u32,
    /// How long something was in flight, without what `Flight` knows.
    pub(in crate::tcp) busy_ms: u32,
    /// When the last challenge or out-of-window acknowledgement was granted, in ms, and how many since.
    pub(in crate::tcp) challenge_ms: u32,
    pub(in crate::tcp) challenges: u8,
    /// Probes (zero window or keepalive) without an answer.
    pub(in crate::tcp) probes: u8,
    /// Our SYN or SYN,ACK had to be sent again: its timer expired.
    pub(in crate::tcp) syn_lost: bool,
    /// Our SYN or SYN,ACK was sent once, so its round trip can be told (Karn's algorithm).
    pub(in crate::tcp) syn_timed: bool,
}

impl Connection {
    /// Command: an active open. The SYN is due: ask `poll_transmit`. `iss` and `ts_offset` come from
    /// [`super::initial_sequence`] and [`super::timestamp_offset`].
    pub fn connect(
        now: Instant,
        config: impl Into<SharedConfig>,
        iss: u32,
        ts_offset: u32,
    ) -> Self {
        let mut connection = Self::new(now, config.into(), iss, ts_offset, State::SynSent);
        connection.flags.active = true;
        connection
    }

    /// Command: a passive open, for a segment that [`super::listen`] said to accept. The SYN,ACK is due.
    pub fn accept(
        now: Instant,
        config: impl Into<SharedConfig>,
        iss: u32,
        ts_offset: u32,
        syn: &TcpHeader,
    ) -> Self {
        let mut connection = Self::new(now, config.into(), iss, ts_offset, State::SynReceived);
        connection.take_syn(now, syn);
        connection.counters.segs_in = 1;
        connection
    }

    fn new(now: Instant, config: SharedConfig, iss: u32, ts_offset: u32, state: State) -> Self {
        let iss = SeqNumber(iss);
        let options = Negotiated::offer(&config, ts_offset);
        Self {
            state,
            flags: Flags::default(),
            ecn: EcnState::default(),
            congestion: Congestion::new(config.congestion, options.mss(), false),
            options,
            snd: SendBuffer::new(iss),
            rcv: RecvBuffer { buffer_max: config.receive_initial(), ..RecvBuffer::new() },
            rtt: RttEstimator::new(&config),
            config,
            recovery: Recovery::new(),
            timers: Timers::new(),
            events: Events::default(),
            counters: Counters { last_rx: now, last_tx: now, ..Counters::default() },
            seldom: Seldom::default(),
        }
    }

    /// Command: no more bytes will be written; FIN follows the last one that is in the TX ring now (RFC 9293 §3.10.4, half close).
    /// Ignored where it was said before.
    pub fn shutdown_write(&mut self, now: Instant, io: &impl StreamIo) {
        if self.snd.is_shut() {
            return;
        }
        match self.state {
            // The handshake comes first; FIN follows it. RFC 9293 §3.10.4 queues the CLOSE of SYN-RECEIVED so; that of SYN-SENT is
            // `close` here, and half of it waits likewise: what was written is to arrive.
            State::SynSent | State::SynReceived => self.snd.shut(io),
            State::Established | State::CloseWait => {
                self.snd.shut(io);
                self.advance(now, Trigger::Close);
            }
            State::Closed
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait => {}
        }
    }

    /// Command: no more bytes will be read (SHUT_RD). Alone it changes nothing on the wire.
    pub const fn shutdown_read(&mut self) {
        if matches!(self.flags.reader, Reader::Here) {
            self.flags.reader = Reader::Shut;
        }
    }

    /// Getter: data that still comes is answered with RST (RFC 9293 §3.6.1): nobody will read it, and the peer must know.
    pub(in crate::tcp) const fn resets_late_data(&self) -> bool {
        match self.flags.reader {
            Reader::Here | Reader::Later => false,
            Reader::Shut => matches!(self.state, State::FinWait1 | State::FinWait2),
            Reader::Gone => true,
        }
    }

    /// Command: the application is done with the connection. What is queued is delivered, then FIN.
    /// With `unread` bytes in the RX ring the peer is reset instead: it must not believe that they were
    /// read (RFC 2525 §2.17), not even after both sides have sent FIN, as long as ours is not acknowledged (tcp_close).
    pub fn close(&mut self, now: Instant, unread: bool, io: &impl StreamIo) {
        if self.state == State::SynSent {
            // RFC 9293 §3.10.4: nothing was promised to anybody.
            self.flags.rst_due = planted::is(Bug::ResetOfASyn);
            return self.end(EndReason::Aborted);
        }
        let unread = unread && !planted::is(Bug::FinOverUnread);
        let closing = matches!(self.state, State::Closing | State::LastAck);
        if unread && closing && !planted::is(Bug::ClosingOverUnread) {
            self.flags.rst_due = true;
            return self.end(EndReason::Aborted);
        }
        // SO_LINGER with a timeout of zero is how sockets ask for an abort.
        let abrupt = self.config.linger_s == Some(0);
        let opening = self.state == State::SynReceived && self.is_fast_child();
        let open = opening || self.state.may_receive() || self.state == State::CloseWait;
        if (unread || abrupt) && open || abrupt && closing {
            return self.abort(now);
        }
        self.flags.reader = Reader::Gone;
        self.shutdown_write(now, io);
        if self.state == State::FinWait2 {
            self.timers.set_no_later(TimerReason::Orphan, now + millis(self.config.fin_wait2_ms));
        }
    }

    /// Command: end at once. The RST, where one is called for (RFC 9293 §3.10.5), is due: ask `poll_transmit`.
    pub fn abort(&mut self, _now: Instant) {
        self.flags.rst_due = match self.state {
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait => !planted::is(Bug::SilentAbort),
            // As long as FIN has not left these are FIN-WAIT-1 and CLOSE-WAIT to the peer (RFC 9293 §3.10.4; tcp_disconnect).
            State::Closing | State::LastAck => {
                !self.snd.fin_sent() && !planted::is(Bug::SilentBeforeFin)
            }
            State::Closed | State::SynSent | State::TimeWait => false,
        };
        self.end(EndReason::Aborted);
    }

    /// Input: the rings changed: bytes were written to TX, or consumed from RX. A window update may be due.
    pub fn handle_app(&mut self, now: Instant, io: &impl StreamIo) {
        if self.has_receive_news(now) {
            self.adjust_receive_space(now, io);
        }
        if self.rcv.ack_due == AckDue::Delayed && self.rcv.read_asks_for_ack(io) {
            self.rcv.ack_due = AckDue::Now;
        }
        if self.state.may_receive() && self.rcv.window_update_due(self.options.rcv_wscale, io) {
            self.rcv.ack_due = AckDue::Now;
        }
    }

    /// Output: the next piece of news. Bounded: flags and latest values, not a queue.
    ///
    /// `Ended(Closed)` comes when both sides have closed, which may be while TIME-WAIT lasts.
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.urgent_event().or_else(|| self.events.poll())
    }

    /// Output: like `poll_event` until it gives `None`, when there is no news but `Readable`, `Writable` and, unless
    /// `keep_congestion`, `CongestionChanged`: whether one of the first two is among them. `None`: nothing was taken.
    #[inline]
    pub const fn take_readiness(&mut self, keep_congestion: bool) -> Option<bool> {
        self.events.take_readiness(keep_congestion)
    }

    /// Getter: the next deadline and its reason. Call `handle_timeout` then, or later.
    pub fn poll_timeout(&self) -> Option<(Instant, TimerReason)> {
        let earliest = self.timers.earliest();
        let Some(flight) = self.recovery.flight.as_deref() else { return earliest };
        let (at, reason) = flight.timers.earliest();
        match earliest {
            Some(other) if other.0 < at => Some(other),
            other => {
                if at == OFF {
                    other
                } else {
                    Some((at, reason))
                }
            }
        }
    }

    /// Getter: the time of [`Connection::poll_timeout`], at the end of time if there is none.
    #[inline]
    pub fn deadline(&self) -> Instant {
        let earliest = self.timers.earliest_at();
        match self.recovery.flight.as_deref() {
            None => earliest,
            Some(flight) => earliest.min(flight.timers.earliest().0),
        }
    }

    /// Getter: the settings, socket options included.
    pub fn config(&self) -> &SharedConfig {
        &self.config
    }

    /// Getter: the state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Getter: nothing is in flight, due, or waiting beyond a gap.
    pub fn is_idle(&self) -> bool {
        self.snd.outstanding() == 0
            && self.rcv.ack_due == AckDue::No
            && !self.rcv.has_gap()
            && !self.flags.rst_due
            && !self.flags.probe_due
    }

    /// Getter: the peer sent the first SYN, and the handshake is not done (RFC 9293: back to LISTEN on RST).
    pub fn is_half_open(&self) -> bool {
        self.state == State::SynReceived && !self.flags.active
    }

    /// Getter: CLOSED, and no RST is owed: the connection may be forgotten. What `poll_event` has is lost then.
    pub fn is_finished(&self) -> bool {
        self.state == State::Closed && !self.flags.rst_due
    }

    /// Getter: `header` acknowledges our SYN,ACK, as far as numbers tell (RFC 9293 §3.10.7.4, fifth): time to attach
    /// the rings, before `handle_segment` takes the payload that may come with it.
    pub fn completes_handshake(&self, header: &TcpHeader) -> bool {
        let expected = TcpFlags::ACK.0;
        let relevant = expected | TcpFlags::SYN.0 | TcpFlags::RST.0;
        self.is_half_open()
            && header.flags.0 & relevant == expected
            && header.ack == self.snd.iss + 1
    }

    /// Command: makes the transition that the table has for `trigger`, if any, and what follows from it.
    pub(in crate::tcp) fn advance(&mut self, now: Instant, trigger: Trigger) {
        let Some(next) = self.state.next(trigger) else { return };
        let no_closing = planted::is(Bug::NoClosing) && next == State::Closing;
        let next = if no_closing { State::TimeWait } else { next };
        crate::reach::tcp_went(self.state, trigger);
        self.state = next;
        match next {
            State::FinWait2 if self.flags.reader.is_gone() => {
                self.timers
                    .set_no_later(TimerReason::Orphan, now + millis(self.config.fin_wait2_ms));
            }
            State::TimeWait => self.enter_time_wait(now),
            State::Closed
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => {}
        }
    }

    /// Command: CLOSED, for `reason`.
    pub(in crate::tcp) fn end(&mut self, reason: EndReason) {
        let reason = if reason == EndReason::TimedOut { self.timeout_reason() } else { reason };
        self.state = State::Closed;
        self.timers.stop_all();
        self.recovery.stop_timers();
        self.tell_end(reason);
    }

    /// The end is told once.
    pub(in crate::tcp) fn tell_end(&mut self, reason: EndReason) {
        if !self.flags.end_told {
            self.flags.end_told = true;
            self.events.ended(reason);
        }
    }

    /// Getter: our timestamp clock: 1 ms (RFC 7323 §5.4).
    pub(in crate::tcp) fn timestamp(&self, now: Instant) -> u32 {
        let moving = !planted::is(Bug::ClockStands) as u32;
        (clock_ms(now) * moving).wrapping_add(self.options.ts_offset)
    }

    pub(in crate::tcp) fn rto(&self) -> Duration {
        self.rtt.rto(&self.config)
    }
}

/// A millisecond clock that wraps every 49.7 days.
pub(in crate::tcp) const fn clock_ms(now: Instant) -> u32 {
    now.as_millis() as u32
}

/// A clock of seconds that wraps after 136 years.
pub(in crate::tcp) const fn clock_s(now: Instant) -> u32 {
    (now.as_millis() / 1_000) as u32
}

pub(in crate::tcp) const fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_fits_into_376_bytes() {
        let size = size_of::<Connection>();
        assert!(size <= 376, "{size} bytes");
    }
}
