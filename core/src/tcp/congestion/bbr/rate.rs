//! Delivery rate estimation (draft-ietf-ccwg-bbr §4.1): how much was delivered in which time, as seen from the segment
//! that was delivered last.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::super::sample::{AckSample, Lost, Sent};
use crate::tcp::seq::SeqNumber;
use crate::time::{Duration, Instant};

/// Segments in flight that are remembered one by one. Of more the last entry stands for several.
const LOG_MAX: usize = 8_192;

/// What is remembered of a segment in flight (P.* of the draft).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    /// One past its last byte.
    end: SeqNumber,
    sent_at: Instant,
    first_sent_at: Instant,
    delivered: u64,
    delivered_at: Instant,
    lost: u64,
    tx_in_flight: u32,
    app_limited: bool,
    /// Sent more than once: no round trip can be told from it.
    again: bool,
    /// Selectively acknowledged, and counted then.
    taken: bool,
}

/// C.* of the draft.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RateEstimator {
    delivered: u64,
    delivered_at: Instant,
    lost: u64,
    first_sent_at: Instant,
    /// The application had nothing more to send; until so much is delivered samples say nothing about the path. 0: no.
    app_limited: u64,
    /// In the order of sequence numbers.
    log: VecDeque<Stamp>,
}

/// RS.* of the draft: what one acknowledgement says. Rates in bytes a second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RateSample {
    /// 0 for no sample.
    pub(super) delivery_rate: u64,
    /// Bytes delivered between the sending of the segment and its delivery.
    pub(super) delivered: u64,
    pub(super) prior_delivered: u64,
    pub(super) is_app_limited: bool,
    /// Bytes in flight right after the segment was sent.
    pub(super) tx_in_flight: u32,
    /// Bytes lost between.
    pub(super) lost: u64,
    pub(super) newly_acked: u32,
    pub(super) newly_lost: u32,
    pub(super) rtt: Option<Duration>,
    /// All that was delivered so far (C.delivered).
    pub(super) total_delivered: u64,
}

impl RateEstimator {
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) const fn is_app_limited(&self) -> bool {
        self.app_limited != 0
    }

    /// MarkConnectionAppLimited.
    pub(super) fn mark_app_limited(&mut self, in_flight: u32) {
        self.app_limited = (self.delivered + u64::from(in_flight)).max(1);
    }

    /// Input: a data segment is sent.
    pub(super) fn on_sent(&mut self, sent: &Sent) {
        if sent.in_flight == 0 {
            self.first_sent_at = sent.now;
            self.delivered_at = sent.now;
        }
        let stamp = Stamp {
            end: sent.next,
            sent_at: sent.now,
            first_sent_at: self.first_sent_at,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            lost: self.lost,
            tx_in_flight: sent.in_flight.saturating_add(sent.len),
            app_limited: self.is_app_limited(),
            again: sent.again,
            taken: false,
        };
        if sent.again {
            let first = self.log.partition_point(|s| s.end <= sent.seq);
            for old in self.log.iter_mut().skip(first).take_while(|s| s.end <= sent.next) {
                *old = Stamp { end: old.end, ..stamp };
            }
        } else {
            let full = self.log.len() >= LOG_MAX;
            match self.log.back_mut().filter(|_| full) {
                Some(last) => last.end = sent.next,
                None => self.log.push_back(stamp),
            }
        }
        if !sent.more_waits && stamp.tx_in_flight < sent.cwnd {
            self.mark_app_limited(stamp.tx_in_flight);
        }
    }

    /// Input: a segment is lost. What its sending and its loss say, of a segment that is remembered.
    pub(super) fn on_lost(&mut self, lost: &Lost) -> Option<RateSample> {
        self.lost = self.lost.saturating_add(lost.len.into());
        let index = self.log.partition_point(|s| s.end < lost.end);
        let stamp = self.log.get(index)?;
        Some(RateSample {
            tx_in_flight: stamp.tx_in_flight,
            lost: self.lost.saturating_sub(stamp.lost),
            is_app_limited: stamp.app_limited,
            total_delivered: self.delivered,
            ..RateSample::default()
        })
    }

    /// Input: something was delivered. GenerateRateSample.
    pub(super) fn on_ack(&mut self, ack: &AckSample, min_rtt_us: u64) -> RateSample {
        self.delivered = self.delivered.saturating_add(ack.delivered_bytes.into());
        self.delivered_at = ack.now;
        let mut rs = RateSample {
            newly_acked: ack.delivered_bytes,
            newly_lost: ack.lost_bytes,
            rtt: ack.rtt,
            total_delivered: self.delivered,
            ..RateSample::default()
        };
        if self.app_limited != 0 && self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        let Some(stamp) = self.take_latest(ack) else { return rs };
        self.first_sent_at = stamp.sent_at;
        rs.prior_delivered = stamp.delivered;
        rs.is_app_limited = stamp.app_limited;
        rs.tx_in_flight = stamp.tx_in_flight;
        rs.lost = self.lost.saturating_sub(stamp.lost);
        rs.delivered = self.delivered.saturating_sub(stamp.delivered);
        if !stamp.again {
            rs.rtt = Some(ack.now.saturating_since(stamp.sent_at));
        }
        let send_elapsed = stamp.sent_at.saturating_since(stamp.first_sent_at);
        let ack_elapsed = self.delivered_at.saturating_since(stamp.delivered_at);
        let interval = send_elapsed.max(ack_elapsed);
        // Shorter than any round trip: acknowledgements that were held back and came together.
        if interval.as_micros() >= min_rtt_us.max(1) {
            rs.delivery_rate = rate(rs.delivered, interval);
        }
        rs
    }

    /// The segment that was sent last of those newly delivered. Everything acknowledged is forgotten.
    fn take_latest(&mut self, ack: &AckSample) -> Option<Stamp> {
        let mut latest: Option<Stamp> = None;
        let mut consider = |stamp: Stamp| {
            let newer =
                latest.is_none_or(|l| (stamp.delivered, stamp.sent_at) >= (l.delivered, l.sent_at));
            if newer && !stamp.taken {
                latest = Some(stamp);
            }
        };
        while let Some(front) = self.log.front().filter(|s| s.end <= ack.snd_una) {
            consider(*front);
            self.log.pop_front();
        }
        if ack.delivered_seq > ack.snd_una {
            let index = self.log.partition_point(|s| s.end < ack.delivered_seq);
            if let Some(stamp) = self.log.get_mut(index) {
                consider(*stamp);
                stamp.taken = true;
            }
        }
        latest
    }
}

/// Bytes a second.
pub(super) fn rate(bytes: u64, interval: Duration) -> u64 {
    let nanos = interval.as_nanos().max(1);
    bytes.min(1 << 33).saturating_mul(1_000_000_000) / nanos
}
