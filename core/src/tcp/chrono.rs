//! How long the connection was busy, what held it back meanwhile, and when data last came: figures for `struct tcp_info`, as
//! Linux's tcp_chrono_start and tcp_chrono_stop have them.

use alloc::boxed::Box;

use super::connection::Connection;
use super::recovery::{Flight, OFF, Trouble};
use crate::port::{SocketInfo, StreamIo};
use crate::time::{Duration, Instant};

/// Nanoseconds of a tick of the coarse clock, as a shift: about a millisecond, for one instruction.
const COARSE_SHIFT: u32 = 20;

/// A clock of about a millisecond that wraps after 52 days.
#[inline]
pub(in crate::tcp) const fn coarse(now: Instant) -> u32 {
    (now.as_nanos() >> COARSE_SHIFT) as u32
}

/// The span since `then` of [`coarse`].
const fn since(now: Instant, then: u32) -> Duration {
    Duration::from_nanos((coarse(now).wrapping_sub(then) as u64) << COARSE_SHIFT)
}

/// Adds what has passed since `since`, if that is a time, to `sum`.
fn stop(since: &mut Instant, sum: &mut Duration, now: Instant) {
    if *since != OFF {
        *sum += now.saturating_since(*since);
        *since = OFF;
    }
}

impl Trouble {
    /// Input: the send buffer has room.
    #[inline]
    pub(in crate::tcp) fn has_room(&mut self, now: Instant) {
        stop(&mut self.sndbuf_since, &mut self.sndbuf_limited, now);
    }
}

impl Connection {
    /// Input: the peer's window lets nothing of what waits through.
    pub(in crate::tcp) fn limited_by_window(&mut self, now: Instant) {
        let trouble = Trouble::of(&mut self.recovery.trouble);
        if trouble.rwnd_since == OFF {
            trouble.rwnd_since = now;
        }
        // What waits for a window keeps the connection busy, though nothing is in flight, or ever was.
        let start = self.snd.offset_of(self.snd.snd_max);
        let flight = self.recovery.flight.get_or_insert_with(|| Box::new(Flight::new(start)));
        if flight.busy_since == OFF {
            flight.busy_since = now;
        }
    }

    /// Input: something new leaves: nothing holds it back.
    #[inline]
    pub(in crate::tcp) fn not_limited(&mut self, now: Instant) {
        if let Some(trouble) = self.recovery.trouble.as_deref_mut() {
            stop(&mut trouble.rwnd_since, &mut trouble.rwnd_limited, now);
            trouble.has_room(now);
        }
    }

    /// Input: all that was written has left. What keeps the connection from sending is its send buffer if that is full and the
    /// congestion window is not, by the rules of Linux's tcp_cwnd_validate: in slow start less than twice what is in flight
    /// counts as full.
    #[inline]
    pub(in crate::tcp) fn all_has_left(&mut self, now: Instant, io: &impl StreamIo) {
        let (in_flight, buffer) = (self.snd.outstanding(), self.config.snd_buffer);
        // Nothing waits, so that all which the buffer holds is in flight.
        let full = io.tx_is_full() || (buffer > 0 && in_flight >= buffer);
        if full && !self.snd.is_shut() {
            self.limited_by_send_buffer(now, in_flight);
        }
    }

    /// Input: bytes were acknowledged, so that there is room for more.
    #[inline]
    pub(in crate::tcp) fn has_room(&mut self, now: Instant) {
        if let Some(trouble) = self.recovery.trouble.as_deref_mut() {
            trouble.has_room(now);
        }
    }

    #[cold]
    fn limited_by_send_buffer(&mut self, now: Instant, in_flight: u32) {
        let (cwnd, ssthresh) = (self.congestion.cwnd(), self.congestion.ssthresh());
        let window = if cwnd < ssthresh { cwnd / 2 } else { cwnd };
        if in_flight <= window {
            let trouble = Trouble::of(&mut self.recovery.trouble);
            if trouble.sndbuf_since == OFF {
                trouble.sndbuf_since = now;
            }
        }
    }

    /// Input: nothing is in flight any more.
    pub(in crate::tcp) fn not_busy(&mut self, now: Instant) {
        if let Some(flight) = self.recovery.flight.as_deref_mut()
            && flight.busy_since != OFF
        {
            flight.busy += now.saturating_since(flight.busy_since);
            flight.busy_since = OFF;
        }
    }

    /// Command: recovery's memory is about to go; what it knows of busy times stays.
    pub(in crate::tcp) fn keep_busy_time(&mut self, now: Instant) {
        self.not_busy(now);
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            let ms = core::mem::take(&mut flight.busy).as_millis();
            let ms = u32::try_from(ms).unwrap_or(u32::MAX);
            self.counters.busy_ms = self.counters.busy_ms.saturating_add(ms);
        }
    }

    /// Getter: since when no data has come.
    pub(in crate::tcp) const fn since_data(&self, now: Instant) -> Duration {
        since(now, self.rcv.last_data)
    }

    /// Getter: fills in the times.
    pub(in crate::tcp) fn chrono_info(&self, now: Instant, info: &mut SocketInfo) {
        let running = |from: Instant| match from {
            OFF => Duration::ZERO,
            from => now.saturating_since(from),
        };
        info.last_data_recv = self.since_data(now);
        info.busy_time = Duration::from_millis(u64::from(self.counters.busy_ms));
        if let Some(flight) = self.recovery.flight.as_deref() {
            info.busy_time = info.busy_time + flight.busy + running(flight.busy_since);
        }
        if let Some(trouble) = self.recovery.trouble.as_deref() {
            info.rwnd_limited = trouble.rwnd_limited + running(trouble.rwnd_since);
            info.sndbuf_limited = trouble.sndbuf_limited + running(trouble.sndbuf_since);
        }
    }
}
