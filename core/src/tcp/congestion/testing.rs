//! Samples and events for the tests of the algorithms.

use super::{AckPhase, AckSample, LossEvent};
use crate::tcp::seq::SeqNumber;
use crate::time::{Duration, Instant};

pub const MSS: u32 = 1_000;

/// An acknowledgement of `acked_bytes` to a sender that the window limits.
pub fn ack(acked_bytes: u32) -> AckSample {
    AckSample {
        now: Instant::ZERO,
        phase: AckPhase::Open,
        acked_bytes,
        progress_bytes: acked_bytes,
        acks: 1,
        delivered_bytes: acked_bytes,
        lost_bytes: 0,
        in_flight_before: 0,
        in_flight: 0,
        mss: MSS,
        rtt: None,
        srtt: Duration::ZERO,
        min_rtt: Duration::ZERO,
        snd_una: SeqNumber(0),
        snd_max: SeqNumber(0),
        delivered_seq: SeqNumber(0),
        ece: false,
        cwnd_limited: true,
    }
}

/// A loss with `flight` bytes outstanding.
pub fn loss(flight: u32) -> LossEvent {
    LossEvent {
        now: Instant::ZERO,
        flight,
        mss: MSS,
        snd_una: SeqNumber(0),
        snd_max: SeqNumber(flight),
    }
}
