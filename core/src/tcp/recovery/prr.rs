//! Proportional rate reduction (draft-ietf-tcpm-prr-rfc6937bis): what may be sent in fast recovery, and in the round trip after an echo of
//! congestion, one acknowledgement after the other.

use crate::planted::{self, Bug};
use serde::{Deserialize, Serialize};

/// prr_delivered, prr_out and RecoverFS of the draft, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Prr {
    delivered: u32,
    out: u32,
    recover_fs: u32,
    /// It is an echo of congestion that is answered, and no loss (TCP_CA_CWR).
    of_echo: bool,
}

impl Prr {
    /// Command: recovery begins; `recover_fs` bytes were in flight, without those delivered before.
    pub(in crate::tcp) fn begin(&mut self, recover_fs: u32) {
        *self = Self { recover_fs: recover_fs.max(1), ..Self::default() };
    }

    /// Command: the window, which was `cwnd`, goes down to the threshold because the peer echoes congestion.
    pub(in crate::tcp) fn begin_for_echo(&mut self, cwnd: u32) {
        self.begin(cwnd);
        self.of_echo = true;
    }

    /// Getter: an echo of congestion is being answered.
    pub(in crate::tcp) const fn is_of_echo(&self) -> bool {
        self.of_echo
    }

    /// Command: it is over.
    pub(in crate::tcp) const fn end(&mut self) {
        self.of_echo = false;
    }

    /// Input: `len` bytes were sent, new or again.
    pub(in crate::tcp) fn sent(&mut self, len: u32) {
        self.out = self.out.saturating_add(len);
    }

    /// Input: `delivered` bytes were delivered and `pipe` are in the network. `safe`: `snd_una` advanced and no further loss
    /// was found (SafeACK). Returns the window: what is in the network and what may join it.
    pub(in crate::tcp) fn window(
        &mut self,
        delivered: u32,
        pipe: u32,
        ssthresh: u32,
        mss: u32,
        safe: bool,
    ) -> u32 {
        self.delivered = self.delivered.saturating_add(delivered);
        let mut count = if pipe > ssthresh {
            let share = u64::from(self.delivered) * u64::from(ssthresh);
            let share = share.div_ceil(u64::from(self.recover_fs));
            // Rounded upwards to whole segments, of which Linux counts.
            let share = share.div_ceil(mss.max(1).into()) * u64::from(mss);
            u32::try_from(share).unwrap_or(u32::MAX).saturating_sub(self.out)
        } else {
            // Slow start reduction bound: back up to the threshold, one segment faster than packet conservation at most.
            let bound = self.delivered.saturating_sub(self.out).max(delivered);
            let bound = bound.saturating_add(if safe { mss } else { 0 });
            if planted::is(Bug::UnboundedRate) {
                ssthresh - pipe
            } else {
                bound.min(ssthresh - pipe)
            }
        };
        if planted::is(Bug::NoProportion) {
            return self.recover_fs.saturating_mul(2);
        }
        if self.out == 0 {
            // Fast retransmit, however little was delivered.
            count = count.max(mss);
        }
        pipe.saturating_add(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1_000;

    /// Each acknowledgement delivers a segment of `flight`; what the window lets out is sent. Returns the sizes sent.
    fn recovery(flight: u32, lost: u32, ssthresh: u32) -> (std::vec::Vec<u32>, u32) {
        let mut prr = Prr::default();
        prr.begin(flight);
        let mut pipe = flight - lost;
        let mut sent = std::vec::Vec::new();
        for _ in 0..(flight - lost) / MSS {
            pipe -= MSS;
            let window = prr.window(MSS, pipe, ssthresh, MSS, false);
            let out = (window - pipe) / MSS * MSS;
            pipe += out;
            prr.sent(out);
            sent.push(out / MSS);
        }
        (sent, pipe)
    }

    #[test]
    fn the_flight_converges_to_the_threshold_without_a_pause_and_without_a_burst() {
        let (sent, pipe) = recovery(20 * MSS, MSS, 10 * MSS);
        // "sends one segment for every two that are delivered" (RFC 6937 §4).
        assert!(sent.iter().all(|n| *n <= 1), "{sent:?}");
        assert!(sent.windows(3).all(|w| w.iter().sum::<u32>() >= 1), "{sent:?}");
        assert!((9 * MSS..=10 * MSS).contains(&pipe), "{pipe}");
    }

    #[test]
    fn after_heavy_loss_packets_are_conserved_and_safe_acknowledgements_gain_one_segment() {
        let (sent, pipe) = recovery(20 * MSS, 15 * MSS, 10 * MSS);
        assert_eq!(sent, [1; 5], "one out for one in");
        assert_eq!(pipe, 5 * MSS);
        let mut prr = Prr::default();
        prr.begin(20 * MSS);
        prr.sent(MSS);
        assert_eq!(prr.window(MSS, 4 * MSS, 10 * MSS, MSS, true), 6 * MSS);
    }

    #[test]
    fn the_first_acknowledgement_lets_one_segment_out_however_little_it_delivered() {
        let mut prr = Prr::default();
        prr.begin(20 * MSS);
        assert_eq!(prr.window(0, 15 * MSS, 10 * MSS, MSS, false), 16 * MSS);
        prr.sent(MSS);
        assert_eq!(prr.window(0, 16 * MSS, 10 * MSS, MSS, false), 16 * MSS);
    }
}
