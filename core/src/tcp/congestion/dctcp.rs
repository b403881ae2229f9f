//! DCTCP (RFC 8257): the window is reduced in proportion to the share of bytes that met congestion.

use serde::{Deserialize, Serialize};

use super::control::CongestionControl;
use super::figures::CongestionFigures;
use super::reno::Reno;
use super::sample::{AckSample, LossEvent};
use super::window::Window;
use crate::planted::{self, Bug};
use crate::tcp::seq::SeqNumber;

/// Alpha is in 1/1024.
const ONE: u32 = 1 << 10;
/// g = 1/16 (RFC 8257 §4.2).
const G_SHIFT: u32 = 4;

/// The sender of RFC 8257 §3.3. Growth, loss and timeouts are Reno's (§3.4, §3.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dctcp {
    reno: Reno,
    /// DCTCP.Alpha in 1/1024: the estimated share of marked bytes. Begins at 1, the cautious end.
    alpha: u32,
    bytes_acked: u32,
    bytes_marked: u32,
    /// The observation window ends when this is acknowledged.
    window_end: Option<SeqNumber>,
}

impl Default for Dctcp {
    fn default() -> Self {
        Self {
            reno: Reno::default(),
            alpha: ONE,
            bytes_acked: 0,
            bytes_marked: 0,
            window_end: None,
        }
    }
}

impl Dctcp {
    /// Getter: the share of bytes that met congestion, in 1/1024.
    pub const fn alpha(&self) -> u32 {
        self.alpha
    }

    /// Getter: what TCP_CC_INFO tells; what ECN says of it is the connection's to add.
    pub(super) const fn figures(&self) -> CongestionFigures {
        let Self { alpha, bytes_acked, bytes_marked, .. } = *self;
        CongestionFigures::Dctcp { enabled: false, ce: false, alpha, bytes_marked, bytes_acked }
    }

    /// RFC 8257 §3.3 steps 5 to 8: alpha = alpha (1 - g) + g M.
    fn end_window(&mut self, snd_max: SeqNumber) {
        let marked = u64::from(self.bytes_marked) << (10 - G_SHIFT);
        let share = (marked / u64::from(self.bytes_acked.max(1))) as u32;
        // At least one step down, or rounding would keep the last fifteen for ever.
        let less = (self.alpha >> G_SHIFT).max(1).min(self.alpha);
        self.alpha = (self.alpha - less + share).min(ONE);
        if planted::is(Bug::QuickAlpha) {
            self.alpha = (share << G_SHIFT).min(ONE);
        }
        (self.bytes_acked, self.bytes_marked) = (0, 0);
        self.window_end = Some(snd_max);
    }
}

impl CongestionControl for Dctcp {
    fn on_ack(&mut self, window: &mut Window, ack: &AckSample) {
        self.bytes_acked = self.bytes_acked.saturating_add(ack.acked_bytes);
        if ack.ece {
            self.bytes_marked = self.bytes_marked.saturating_add(ack.acked_bytes);
        }
        let window_end = *self.window_end.get_or_insert(ack.snd_max);
        if ack.snd_una >= window_end {
            self.end_window(ack.snd_max);
        }
        self.reno.on_ack(window, ack);
    }

    fn on_loss(&mut self, window: &mut Window, event: &LossEvent) {
        // RFC 8257 §3.5: as any other TCP.
        if planted::is(Bug::LossByAlpha) {
            return self.on_ecn(window, event);
        }
        self.reno.on_loss(window, event);
    }

    fn on_timeout(&mut self, window: &mut Window, event: &LossEvent, again: bool) {
        self.reno.on_timeout(window, event, again);
    }

    fn on_ecn(&mut self, window: &mut Window, event: &LossEvent) {
        // RFC 8257 §3.3 step 9: cwnd = cwnd (1 - alpha / 2), at most once a window.
        let alpha = if planted::is(Bug::AlphaIsOne) { ONE } else { self.alpha };
        let cut = (u64::from(window.cwnd) * u64::from(alpha) / u64::from(2 * ONE)) as u32;
        window.ssthresh = (window.cwnd - cut).max(2 * event.mss);
        window.cwnd = window.ssthresh;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::tcp::congestion::testing::{MSS, ack, loss};

    /// One observation window of a hundred segments, of which the first `marked` met congestion.
    fn window(dctcp: &mut Dctcp, una: &mut u32, marked: u32) {
        let mut window = Window::new(100 * MSS);
        for segment in 0..100 {
            *una += MSS;
            let end = *una - (segment + 1) * MSS + 200 * MSS;
            let (snd_una, snd_max) = (SeqNumber(*una), SeqNumber(end));
            dctcp.on_ack(
                &mut window,
                &AckSample { ece: segment < marked, snd_una, snd_max, ..ack(MSS) },
            );
        }
    }

    #[test]
    fn alpha_follows_the_share_of_marked_bytes_with_a_weight_of_one_sixteenth() {
        let (mut dctcp, mut una) =
            (Dctcp { window_end: Some(SeqNumber(100 * MSS)), ..Dctcp::default() }, 0);
        let mut alpha = 1.0;
        for marked in [100, 0, 0, 0, 50, 50, 50, 10, 0, 0] {
            window(&mut dctcp, &mut una, marked);
            alpha = alpha * 15.0 / 16.0 + f64::from(marked) / 100.0 / 16.0;
            let ours = f64::from(dctcp.alpha()) / 1024.0;
            assert!((ours - alpha).abs() < 0.01, "{ours} against {alpha}");
        }
        for _ in 0..200 {
            window(&mut dctcp, &mut una, 0);
        }
        assert_eq!(dctcp.alpha(), 0, "a path without congestion is known as such in the end");
    }

    #[test]
    fn the_window_is_cut_by_half_of_alpha() {
        for (alpha, left) in [(ONE, 50), (ONE / 2, 75), (ONE / 10, 95), (0, 100)] {
            let mut dctcp = Dctcp { alpha, ..Dctcp::default() };
            let mut window = Window::new(100 * MSS);
            dctcp.on_ecn(&mut window, &loss(100 * MSS));
            assert!(window.cwnd.abs_diff(left * MSS) < MSS / 10, "{alpha}: {}", window.cwnd);
        }
    }

    #[test]
    fn a_loss_halves_the_window_whatever_alpha_is() {
        let mut dctcp = Dctcp { alpha: 0, ..Dctcp::default() };
        let mut window = Window::new(100 * MSS);
        dctcp.on_loss(&mut window, &loss(100 * MSS));
        assert_eq!(window.cwnd, 50 * MSS);
    }
}
