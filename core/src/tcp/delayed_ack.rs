//! How long an acknowledgement waits for company (RFC 9293 §3.8.6.3), and when it does not wait at all: quick acknowledgements,
//! interactive connections and the adaptive delay, as Linux has them.
//!
//! Two full segments are acknowledged at once whatever stands here ([`RecvBuffer::acknowledge_in_order`]), and the delay is never more
//! than 500 ms.
//!
//! [`RecvBuffer::acknowledge_in_order`]: super::recv_buffer::RecvBuffer::acknowledge_in_order

use serde::{Deserialize, Serialize};

use super::chrono::coarse;
use super::connection::{Connection, millis};
use super::options::MSS_DEFAULT;
use super::recv_buffer::AckDue;
use super::seq::SeqNumber;
use super::state::State;
use super::timer::TimerReason;
use crate::planted::{self, Bug};
use crate::port::{QuickAck, StreamIo};
use crate::time::{Duration, Instant};

/// Most segments in a row that are acknowledged at once (TCP_MAX_QUICKACKS).
pub(in crate::tcp) const QUICK_ACKS_MAX: u8 = 16;
/// The same after something that has to do with congestion.
pub(in crate::tcp) const QUICK_ACKS_OF_ECN: u8 = 2;
/// The longest delay that is adapted to, in ms (TCP_DELACK_MAX). What is configured may be longer.
const DELAY_MS_MAX: u32 = 200;

/// What the delay of the next acknowledgement follows from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct AckPace {
    /// What is expected to pass until something carries the acknowledgement along (Linux's `ato`), in ms; 0 before the first data.
    ato_ms: u16,
    /// Data that follows the last within fewer ticks of [`coarse`] changes nothing. 0: any may.
    calm: u8,
    /// Acknowledgements that do not wait, unless `interactive` says otherwise.
    quick: u8,
    /// Segments smaller than the peer's full ones since the last acknowledgement, up to two.
    pub(in crate::tcp) pushed: u8,
    /// What we send answers what we receive, so that it carries acknowledgements (Linux's pingpong mode).
    pub(in crate::tcp) interactive: bool,
}

impl AckPace {
    /// Getter: the next acknowledgement does not wait (tcp_in_quickack_mode).
    #[inline(always)]
    pub(in crate::tcp) fn is_quick(&self) -> bool {
        self.quick > 0 && !self.interactive && !planted::is(Bug::NoQuickAcks)
    }

    /// Command: the delay. `min_ms`: what is configured.
    fn set_ato(&mut self, ms: u32, min_ms: u32) {
        self.ato_ms = u16::try_from(ms).unwrap_or(u16::MAX);
        // Data that comes soon brings the delay towards the least: once it is there, nothing is left to be done.
        let soon = coarse(Instant::ZERO + millis(min_ms / 2)) + 1;
        self.calm = if ms == min_ms { u8::try_from(soon).unwrap_or(u8::MAX) } else { 0 };
    }

    pub(in crate::tcp) const fn is_valid(self) -> bool {
        self.quick <= QUICK_ACKS_MAX && self.pushed <= 2
    }
}

impl Connection {
    /// Input: `segments` with data were taken in order at once (tcp_event_data_recv).
    #[inline(always)]
    pub(in crate::tcp) fn data_arrived(&mut self, now: Instant, segments: u32) {
        let tick = coarse(now);
        if tick.wrapping_sub(self.rcv.last_data) >= u32::from(self.rcv.pace.calm) {
            self.adapt_to_arrival(now, segments);
        }
        self.rcv.last_data = tick;
    }

    /// The delay follows the spans between arrivals; after one longer than RTO the sender has shrunk its window, and
    /// needs each acknowledgement to grow it.
    #[cold]
    #[inline(never)]
    fn adapt_to_arrival(&mut self, now: Instant, segments: u32) {
        let min = self.config.delayed_ack_ms;
        let rto = clamp_ms(self.rto());
        let pause = clamp_ms(self.since_data(now));
        let mut ato = u32::from(self.rcv.pace.ato_ms);
        if ato == 0 {
            self.add_quick(QUICK_ACKS_MAX);
            ato = min;
        } else if pause <= min / 2 {
            ato = sooner(ato, min);
        } else if pause < ato {
            ato = if planted::is(Bug::DelayStands) { ato } else { (ato / 2 + pause).min(rto) };
        } else if pause > rto && !planted::is(Bug::PausesForgotten) {
            self.add_quick(QUICK_ACKS_MAX);
        }
        for _ in 1..segments.min(16) {
            ato = sooner(ato, min);
        }
        self.rcv.pace.set_ato(ato, min);
        if self.rcv.pace.is_quick() && self.rcv.ack_due == AckDue::Delayed {
            self.rcv.ack_due = AckDue::Now;
        }
    }

    /// tcp_incr_quickack: as many as half of the window has segments, two at least, `most` at most.
    fn add_quick(&mut self, most: u8) {
        let wnd = self.rcv.rcv_adv.distance_from(self.rcv.last_ack_sent).cast_unsigned();
        let segments = wnd / (2 * u32::from(self.rcv.rcv_mss.max(MSS_DEFAULT)));
        let wanted = if segments == 0 { 2 } else { u8::try_from(segments).unwrap_or(u8::MAX) };
        let pace = &mut self.rcv.pace;
        pace.quick = pace.quick.max(wanted.min(most));
    }

    /// Input: something says that the sender waits for acknowledgements: what comes next is acknowledged at once
    /// (tcp_enter_quickack_mode).
    #[cold]
    pub(in crate::tcp) fn enter_quick(&mut self, most: u8) {
        self.add_quick(most);
        self.rcv.pace.interactive = false;
        let min = self.config.delayed_ack_ms;
        self.rcv.pace.set_ato(min, min);
        if self.rcv.pace.is_quick() && self.rcv.ack_due == AckDue::Delayed {
            self.rcv.ack_due = AckDue::Now;
        }
    }

    /// Input: a segment that ends at `end` and brought nothing came again, or probes the edge of the window: the peer waits for
    /// acknowledgements (tcp_send_dupack, and tcp_data_queue for what comes close behind them).
    pub(in crate::tcp) fn told_nothing_new(&mut self, end: SeqNumber) {
        if planted::is(Bug::DuplicatesAckedOnce) {
            return;
        }
        self.enter_quick(QUICK_ACKS_MAX);
        let nothing_new =
            self.rcv.rcv_nxt == self.rcv.last_ack_sent && self.rcv.duplicate_acks == 0;
        if nothing_new && end >= self.rcv.last_ack_sent {
            // The one that answers it counts, though it acknowledges nothing.
            self.use_up_quick();
        }
    }

    /// Output: what leaves now acknowledges everything in order.
    #[inline(always)]
    pub(in crate::tcp) fn acknowledge_all(&mut self) {
        if self.rcv.pace.quick > 0 {
            self.count_quick();
        }
        self.rcv.last_ack_sent = self.rcv.rcv_nxt;
    }

    /// tcp_dec_quickack_mode: only what acknowledges something that arrived counts.
    #[cold]
    #[inline(never)]
    fn count_quick(&mut self) {
        if self.rcv.rcv_nxt != self.rcv.last_ack_sent || self.rcv.duplicate_acks > 0 {
            self.use_up_quick();
        }
    }

    /// One of the quick acknowledgements leaves. After the last the delay is the least again.
    pub(in crate::tcp) fn use_up_quick(&mut self) {
        let min = self.config.delayed_ack_ms;
        let pace = &mut self.rcv.pace;
        pace.quick = pace.quick.saturating_sub(1);
        if pace.quick == 0 && pace.ato_ms > 0 {
            pace.set_ato(min, min);
        }
    }

    /// Output: data leaves. Soon after data came it is an answer, and answers will carry acknowledgements (tcp_event_data_sent).
    #[inline]
    pub(in crate::tcp) fn note_answer(&mut self, now: Instant) {
        let ato_ms = self.rcv.pace.ato_ms;
        if ato_ms > 0 && !self.rcv.pace.interactive {
            self.rcv.pace.interactive = self.since_data(now) < millis(ato_ms.into());
        }
    }

    /// Input: an acknowledgement may be due. If it waits, the timer runs.
    #[inline]
    pub(in crate::tcp) fn delay_ack(&mut self, now: Instant) {
        if self.rcv.ack_due != AckDue::Delayed {
            return;
        }
        if self.timers.is_set(TimerReason::DelayedAck) {
            return self.delay_ack_again(now);
        }
        let late = 1 + 24 * u64::from(planted::is(Bug::AckAfterASecond));
        let delay = Duration::from_millis(u64::from(self.ack_delay_ms()) * late);
        self.timers.set(TimerReason::DelayedAck, now + delay);
    }

    /// The acknowledgement of something else waits already. One that would be sent in a moment is sent now
    /// (tcp_send_delayed_ack).
    #[cold]
    #[inline(never)]
    fn delay_ack_again(&mut self, now: Instant) {
        let ms = self.ack_delay_ms();
        let soon = self.timers.deadline(TimerReason::DelayedAck) <= now + millis(ms / 4);
        if soon && !planted::is(Bug::NearTimerWaits) {
            self.rcv.ack_due = AckDue::Now;
            return;
        }
        self.timers.set_no_later(TimerReason::DelayedAck, now + millis(ms));
    }

    /// Getter: how long the next acknowledgement waits: not longer than the round trip, where one is known.
    #[inline]
    fn ack_delay_ms(&self) -> u32 {
        match self.rcv.pace.calm {
            0 => self.adapted_delay_ms(),
            _ => self.rcv.pace.ato_ms.into(),
        }
    }

    #[cold]
    fn adapted_delay_ms(&self) -> u32 {
        let min = self.config.delayed_ack_ms;
        let ato = u32::from(self.rcv.pace.ato_ms).max(min).min(self.ack_delay_ms_max());
        if !self.rtt.has_sample() {
            return ato;
        }
        let srtt_us = u64::from(clamp_ms(self.rtt.srtt())) * 1_000;
        let rtt = clamp_ms(self.rtt.srtt()) + u32::from(self.rtt.srtt().as_micros() > srtt_us);
        ato.min(rtt.max(min))
    }

    /// tcp_delack_max: a sender whose least RTO is ours must not time out. What is configured stands above that.
    fn ack_delay_ms_max(&self) -> u32 {
        let before_rto = self.config.rto_ms_min.max(2) - 1;
        DELAY_MS_MAX.min(before_rto).max(self.config.delayed_ack_ms)
    }

    /// Getter: tcpi_ato.
    pub(in crate::tcp) fn ato(&self) -> Duration {
        millis(u32::from(self.rcv.pace.ato_ms).min(self.ack_delay_ms_max()))
    }

    /// Input: the timer of the delayed acknowledgement expired (tcp_delack_timer_handler): nothing was there to carry it along,
    /// so the application does not answer what it reads; or, if that was known, it may be waited for longer.
    pub(in crate::tcp) fn delayed_ack_timeout(&mut self) {
        if self.rcv.ack_due != AckDue::Delayed {
            return;
        }
        self.rcv.ack_due = AckDue::Now;
        let (min, rto) = (self.config.delayed_ack_ms, clamp_ms(self.rto()));
        let pace = &mut self.rcv.pace;
        let ato = u32::from(pace.ato_ms);
        if pace.interactive {
            pace.interactive = planted::is(Bug::AlwaysInteractive);
            pace.set_ato(min, min);
        } else if !planted::is(Bug::DelayStands) {
            pace.set_ato((ato * 2).min(rto).max(min), min);
        }
    }

    /// Command: TCP_QUICKACK (__tcp_sock_set_quickack). Ask `poll_transmit` afterwards: it may send what waits.
    pub fn set_quick_ack(&mut self, quick: QuickAck, io: &impl StreamIo) {
        self.rcv.pace.interactive = quick == QuickAck::Off;
        let waits = self.rcv.ack_due == AckDue::Delayed
            && matches!(self.state, State::Established | State::CloseWait);
        if quick == QuickAck::Off || !waits {
            return;
        }
        self.rcv.pace.pushed = self.rcv.pace.pushed.max(1);
        if self.rcv.read_asks_for_ack(io) {
            self.rcv.ack_due = AckDue::Now;
        }
        self.rcv.pace.interactive = quick == QuickAck::Once;
    }
}

/// Half of the delay goes, but for the least one.
const fn sooner(ato: u32, min: u32) -> u32 {
    let next = ato / 2 + min / 2;
    if next > min { next } else { min }
}

/// Whole milliseconds.
fn clamp_ms(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::{Config, SeqNumber};

    const MS: Duration = Duration::from_millis(1);

    fn delay_ms(delayed_ack_ms: u64, rto_ms_min: u64, rtt_us: u64, ato_ms: u32) -> (u32, u64) {
        let config = Config::builder()
            .delayed_ack(MS.saturating_mul(delayed_ack_ms))
            .rto_min(MS.saturating_mul(rto_ms_min))
            .build()
            .unwrap();
        let mut tcp = Connection::connect(Instant::ZERO, &config, 0, 0);
        if rtt_us > 0 {
            let rtt = Duration::from_micros(rtt_us);
            tcp.rtt.sample(rtt, SeqNumber(1), SeqNumber(1), &config);
        }
        tcp.rcv.pace.set_ato(ato_ms, delayed_ack_ms as u32);
        (tcp.ack_delay_ms(), tcp.ato().as_millis())
    }

    #[test]
    fn the_delay_is_bounded_by_the_round_trip_and_by_the_least_timeout() {
        assert_eq!(delay_ms(40, 200, 0, 40), (40, 40));
        assert_eq!(delay_ms(40, 200, 100_000, 80), (80, 80));
        assert_eq!(delay_ms(40, 200, 60_000, 80), (60, 80));
        assert_eq!(delay_ms(40, 200, 60_001, 80), (61, 80), "a round trip is rounded up");
        assert_eq!(delay_ms(40, 200, 10_000, 80), (40, 80), "the least");
        assert_eq!(delay_ms(40, 200, 0, 640), (199, 199), "no round trip is known");
        assert_eq!(delay_ms(40, 300, 0, 640), (200, 200));
        assert_eq!(delay_ms(40, 20, 0, 640), (40, 40), "what is configured stands above both");
        assert_eq!(delay_ms(500, 200, 10_000, 500), (500, 500));
        assert_eq!(delay_ms(0, 200, 10_000, 0), (0, 0));
    }

    #[test]
    fn data_is_calm_within_half_of_the_least_delay_and_only_while_the_delay_is_the_least() {
        let mut pace = AckPace::default();
        assert_eq!(pace.calm, 0, "the first data is looked at");
        for min in [1, 10, 40, 41, 500] {
            pace.set_ato(min, min);
            let last_calm = Instant::from_nanos(u64::from(pace.calm - 1) << 20);
            assert!(last_calm <= Instant::ZERO + millis(min / 2), "{min}");
            assert!(
                Instant::from_nanos(u64::from(pace.calm) << 20) > Instant::ZERO + millis(min / 2)
            );
            pace.set_ato(min + 1, min);
            assert_eq!(pace.calm, 0);
        }
    }
}
