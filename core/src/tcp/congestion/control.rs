//! The interface of an algorithm.

use super::sample::{AckSample, LossEvent, Lost, Sent};
use super::window::Window;

/// What an algorithm decides. Every method says which event of RFC 5681 or of its successors it answers, and
/// changes `window`.
pub trait CongestionControl {
    /// Input: something was delivered.
    fn on_ack(&mut self, window: &mut Window, ack: &AckSample);

    /// Input: a loss was found by acknowledgements, and recovery begins (RFC 5681 §3.2): the threshold, and the
    /// window that holds once recovery is over. How fast the window gets there is recovery's (RFC 6937).
    fn on_loss(&mut self, window: &mut Window, event: &LossEvent);

    /// Input: one of the segments that are believed lost, before the acknowledgement that told of it, or after the timeout.
    fn on_lost(&mut self, window: &mut Window, lost: &Lost) {
        let _ = (window, lost);
    }

    /// Input: recovery ended: everything outstanding at the loss is acknowledged.
    fn on_recovered(&mut self, window: &mut Window, event: &LossEvent) {
        let _ = event;
        window.cwnd = window.ssthresh;
    }

    /// Input: the retransmission timer expired; `again` when it did for data that it had expired for
    /// (RFC 5681 §3.1: the threshold is held constant then).
    fn on_timeout(&mut self, window: &mut Window, event: &LossEvent, again: bool);

    /// Input: the peer echoes congestion for the first time in this round trip (RFC 3168 §6.1.2). As a loss, but
    /// nothing is to be sent again.
    fn on_ecn(&mut self, window: &mut Window, event: &LossEvent) {
        self.on_loss(window, event);
    }

    /// Input: nothing was sent for longer than the RTO (RFC 5681 §4.1).
    fn on_idle_restart(&mut self, window: &mut Window, mss: u32) {
        window.restart_after_idle(mss);
    }

    /// Input: the last loss was none (RFC 4015, RFC 5682, RFC 3708): what an algorithm keeps beside the window
    /// goes back to what it was before. The window itself [`super::Congestion`] restores.
    fn on_spurious(&mut self) {}

    /// Input: the loss before the last was none. If the last one was none either, what is kept goes back to what it was before both.
    fn on_earlier_spurious(&mut self) {}

    /// Input: a data segment leaves. Called where pacing is on.
    fn on_sent(&mut self, window: &mut Window, sent: &Sent) {
        let _ = (window, sent);
    }

    /// Getter: the rate to send at, in bytes a second, of an algorithm that has one of its own; 0 while it knows none.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
}
