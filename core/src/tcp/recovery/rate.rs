//! Delivery rate (draft-cheng-iccrg-delivery-rate-estimation-02): how fast what was sent together arrived.

use serde::{Deserialize, Serialize};

use super::sent::{Marks, Sent};
use crate::time::{Duration, Instant};

/// C.* of the draft, §3.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Rate {
    /// Bytes delivered so far (C.delivered).
    pub(in crate::tcp) delivered: u64,
    /// When that last grew (C.delivered_time).
    delivered_time: Instant,
    /// When the segment left whose delivery was told last (C.first_sent_time).
    first_sent_time: Instant,
    /// Until so many bytes are delivered, samples are limited by the application; 0: they are not (C.app_limited).
    app_limited_until: u64,
    /// Bytes found lost so far, modulo 2^32 (C.lost).
    pub(in crate::tcp) lost: u32,
    /// Transmissions so far, modulo 2^32.
    transmissions: u32,
    /// The latest sample that the application did not limit, or a faster one that it did.
    last: Option<(u32, Duration, bool)>,
}

impl Rate {
    /// Command: stamps a segment that leaves now (§3.2). `idle`: nothing is in flight.
    #[inline]
    pub(in crate::tcp) fn stamp(&mut self, now: Instant, idle: bool, sent: &mut Sent) {
        if idle {
            self.first_sent_time = now;
            self.delivered_time = now;
        }
        sent.xmit_time = now;
        self.transmissions = self.transmissions.wrapping_add(1);
        sent.serial = self.transmissions;
        sent.delivered = self.delivered as u32;
        sent.delivered_time = self.delivered_time;
        sent.first_sent_time = self.first_sent_time;
        if self.app_limited_until > 0 {
            sent.marks.set(Marks::APP_LIMITED);
        } else {
            sent.marks.clear(Marks::APP_LIMITED);
        }
    }

    /// Input: the application has no more to send, and the window would let it (§3.4).
    pub(in crate::tcp) fn app_limited(&mut self, pipe: u32) {
        self.app_limited_until = (self.delivered + u64::from(pipe)).max(1);
    }

    /// Input: `bytes` were delivered, of which `newest` left last. A sample, if the time for one was long enough (§3.3).
    #[inline]
    pub(in crate::tcp) fn deliver(
        &mut self,
        now: Instant,
        bytes: u32,
        newest: &Sent,
        min_rtt: Duration,
    ) {
        self.delivered += u64::from(bytes);
        self.delivered_time = now;
        if self.app_limited_until > 0 && self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        self.first_sent_time = newest.xmit_time;
        let send_elapsed = newest.xmit_time.saturating_since(newest.first_sent_time);
        let ack_elapsed = now.saturating_since(newest.delivered_time);
        let interval = send_elapsed.max(ack_elapsed);
        // Shorter than a round trip: acknowledgements were compressed, or it was an original's, not the retransmission's.
        if interval < min_rtt || interval == Duration::ZERO {
            return;
        }
        let delivered = (self.delivered as u32).wrapping_sub(newest.delivered);
        let app_limited = newest.marks.has(Marks::APP_LIMITED);
        if !app_limited || !self.last.is_some_and(|last| is_faster(last, delivered, interval)) {
            self.last = Some((delivered, interval, app_limited));
        }
    }

    /// Getter: `tcpi_delivery_rate` and `tcpi_delivery_rate_app_limited`; `None` before the first sample.
    pub(in crate::tcp) fn bytes_per_second(&self) -> Option<(u64, bool)> {
        let (delivered, interval, app_limited) = self.last?;
        let rate = u64::from(delivered) * 1_000_000 / interval.as_micros().max(1);
        Some((rate, app_limited))
    }
}

/// Whether `last` is a higher rate than `delivered` bytes over `interval`.
fn is_faster(last: (u32, Duration, bool), delivered: u32, interval: Duration) -> bool {
    u64::from(last.0).saturating_mul(interval.as_micros())
        > u64::from(delivered).saturating_mul(last.1.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn what_one_flight_delivered_counts_over_the_longer_of_sending_and_acknowledging() {
        let mut rate = Rate::default();
        let mut sent = [Sent { len: 1_000, ..Sent::default() }; 3];
        for (i, record) in sent.iter_mut().enumerate() {
            rate.stamp(at(i as u64), i == 0, record);
        }
        let ms = Duration::from_millis;
        rate.deliver(at(10), 1_000, &sent[0], ms(10));
        assert_eq!(rate.last, Some((1_000, ms(10), false)));
        rate.deliver(at(12), 2_000, &sent[2], ms(10));
        assert_eq!(rate.last, Some((3_000, ms(12), false)));
        assert_eq!(rate.bytes_per_second(), Some((250_000, false)));
        // Too short to be a round trip.
        rate.stamp(at(12), true, &mut sent[0]);
        rate.deliver(at(13), 1_000, &sent[0], ms(10));
        assert_eq!(rate.last, Some((3_000, ms(12), false)));
    }

    #[test]
    fn what_left_while_the_application_had_nothing_counts_only_if_it_was_faster() {
        let mut rate = Rate::default();
        let mut sent = Sent { len: 1_000, ..Sent::default() };
        rate.app_limited(0);
        rate.stamp(at(0), true, &mut sent);
        rate.deliver(at(10), 1_000, &sent, Duration::ZERO);
        assert_eq!(rate.bytes_per_second(), Some((100_000, true)));
        rate.stamp(at(10), true, &mut sent);
        rate.deliver(at(30), 1_000, &sent, Duration::ZERO);
        assert_eq!(
            rate.bytes_per_second(),
            Some((50_000, false)),
            "slower, but not for want of data"
        );
        rate.app_limited(0);
        rate.stamp(at(30), true, &mut sent);
        rate.deliver(at(60), 1_000, &sent, Duration::ZERO);
        assert_eq!(rate.bytes_per_second(), Some((50_000, false)));
    }
}
