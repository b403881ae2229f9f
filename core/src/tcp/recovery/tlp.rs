//! Tail loss probe (RFC 8985 §7): the end of a flight has nothing behind it that could show its loss, so something is sent.

use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};
use crate::time::Duration;

/// TLP.end_seq and TLP.is_retrans of RFC 8985 §7.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Tlp {
    /// `snd_max` when the probe was sent; `None`: no probe is under way.
    end: Option<u64>,
    /// The probe was a retransmission.
    retransmission: bool,
    /// The timer expired: a probe is to be sent.
    pub(in crate::tcp) due: bool,
}

/// What an acknowledgement says about the probe (§7.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum ProbeOutcome {
    /// Nothing yet.
    Pending,
    /// Nothing was lost.
    Harmless,
    /// The probe repaired a loss: the window has to answer it.
    Repaired,
}

/// What an acknowledgement has that tells about a probe.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct ProbeAck {
    /// The position that it acknowledges.
    pub(in crate::tcp) ack: u64,
    /// It reports the probe as a duplicate.
    pub(in crate::tcp) dsack: bool,
    /// It is a plain duplicate: no progress, no window, no SACK.
    pub(in crate::tcp) duplicate: bool,
}

impl Tlp {
    /// Getter: a probe is under way; there is one a tail.
    pub(in crate::tcp) fn is_under_way(&self) -> bool {
        self.end.is_some()
    }

    /// Getter: where the flight ended when the probe that is under way was sent, if it was a retransmission.
    pub(in crate::tcp) fn retransmitted_end(&self) -> Option<u64> {
        self.end.filter(|_| self.retransmission)
    }

    /// Command: a probe was sent.
    pub(in crate::tcp) fn sent(&mut self, max: u64, retransmission: bool) {
        *self = Self { end: Some(max), retransmission, due: false };
    }

    /// Command: recovery takes over, or there is nothing left to probe for.
    pub(in crate::tcp) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Input: an acknowledgement (TLP_process_ack).
    pub(in crate::tcp) fn on_ack(&mut self, ack: ProbeAck) -> ProbeOutcome {
        let Some(end) = self.end else { return ProbeOutcome::Pending };
        if ack.ack < end {
            return ProbeOutcome::Pending;
        }
        if !self.retransmission || ack.dsack || (ack.ack == end && ack.duplicate) {
            // New data was the probe, or both, the original and the probe, arrived.
            self.reset();
            return ProbeOutcome::Harmless;
        }
        if ack.ack > end && planted::is(Bug::RepairedUnseen) {
            self.reset();
            return ProbeOutcome::Harmless;
        }
        if ack.ack > end {
            self.reset();
            return ProbeOutcome::Repaired;
        }
        ProbeOutcome::Pending
    }
}

/// PTO (§7.2). `delayed_ack`: what the peer may wait with the acknowledgement of a lone segment.
pub(in crate::tcp) fn probe_timeout(
    srtt: Duration,
    lone: bool,
    delayed_ack: Duration,
    rto: Duration,
) -> Duration {
    // "If there is no RTT estimate, 1 second."
    if srtt == Duration::ZERO {
        return Duration::from_secs(1).min(rto);
    }
    let doubled = Duration::from_nanos(2 * srtt.as_nanos());
    let pto = if lone && !planted::is(Bug::LoneProbeInHaste) {
        doubled + delayed_ack
    } else {
        doubled + SLACK
    };
    pto.min(rto)
}

/// What an acknowledgement may be late by without being lost: two ticks of a kernel's clock, as Linux has it.
const SLACK: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRESS: ProbeAck = ProbeAck { ack: 1_000, dsack: false, duplicate: false };

    fn retransmitted() -> Tlp {
        let mut tlp = Tlp::default();
        tlp.sent(1_000, true);
        tlp
    }

    #[test]
    fn a_probe_that_repaired_a_loss_shows_when_more_than_the_tail_is_acknowledged() {
        let mut tlp = retransmitted();
        assert_eq!(tlp.on_ack(ProbeAck { ack: 900, ..PROGRESS }), ProbeOutcome::Pending);
        assert_eq!(tlp.on_ack(PROGRESS), ProbeOutcome::Pending);
        assert_eq!(tlp.on_ack(ProbeAck { ack: 1_500, ..PROGRESS }), ProbeOutcome::Repaired);
        assert!(!tlp.is_under_way());
    }

    #[test]
    fn a_duplicate_or_new_data_as_the_probe_means_that_nothing_was_lost() {
        let dsack = ProbeAck { dsack: true, ..PROGRESS };
        assert_eq!(retransmitted().on_ack(dsack), ProbeOutcome::Harmless);
        let duplicate = ProbeAck { duplicate: true, ..PROGRESS };
        assert_eq!(retransmitted().on_ack(duplicate), ProbeOutcome::Harmless);
        let mut new_data = Tlp::default();
        new_data.sent(1_000, false);
        assert_eq!(new_data.on_ack(ProbeAck { ack: 1_500, ..PROGRESS }), ProbeOutcome::Harmless);
    }

    #[test]
    fn the_timeout_is_two_round_trips_and_for_a_lone_segment_the_peers_delay_more() {
        let ms = Duration::from_millis;
        assert_eq!(probe_timeout(ms(20), false, ms(200), ms(500)), ms(42));
        assert_eq!(probe_timeout(ms(20), true, ms(200), ms(500)), ms(240));
        assert_eq!(probe_timeout(ms(20), true, ms(200), ms(220)), ms(220));
        assert_eq!(probe_timeout(Duration::ZERO, false, ms(200), ms(3_000)), ms(1_000));
    }
}
