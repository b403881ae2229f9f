//! CUBIC (RFC 9438): a window that is a cubic function of the time since the last congestion event.

use serde::{Deserialize, Serialize};

use super::control::CongestionControl;
use super::hystart::HyStart;
use super::sample::{AckPhase, AckSample, LossEvent};
use super::window::Window;
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// beta_cubic = 0.7 (RFC 9438 §4.6), in tenths.
const BETA_TENTHS: u64 = 7;
/// alpha_cubic = 3 (1 - beta) / (1 + beta) = 9 / 17 (RFC 9438 §4.3).
const ALPHA: (u64, u64) = (9, 17);
/// Times beyond this many ms from K say no more: the target is bounded by 1.5 cwnd long before.
const SPAN_MS_MAX: u64 = 1 << 20;

/// The state of RFC 9438 §4.1.2 beside the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cubic {
    curve: Curve,
    /// What `curve` was before the last congestion event (RFC 9438 §4.9), and before the one before that.
    prior: Curve,
    earlier: Curve,
    hystart: HyStart,
    /// When the last acknowledgement came: time in which the application had nothing to send does not count.
    last_ack: Instant,
    /// Bytes x bytes that are not yet a whole byte of `cwnd`.
    credit: u64,
    /// The same for `w_est`, times 17.
    credit_est: u64,
}

/// Where the window is heading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Curve {
    /// Bytes just before the last reduction, or less by fast convergence; 0 where the next stage begins flat.
    w_max: u32,
    /// Bytes when the threshold was last set (cwnd_prior).
    cwnd_prior: u32,
    epoch: Option<Epoch>,
}

/// One congestion avoidance stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Epoch {
    start: Instant,
    /// Milliseconds after `start` at which the curve is back at `w_max`.
    k_ms: u64,
    /// What Reno would have, in bytes (RFC 9438 §4.3).
    w_est: u32,
    /// `W_cubic(t)` and `W_cubic(t + RTT)` in bytes at `computed_ms`.
    w_cubic: u32,
    target: u32,
    /// Milliseconds after `start` for which the two were computed.
    computed_ms: u64,
}

impl Epoch {
    /// RFC 9438 §4.2: the beginning of a stage with `cwnd`.
    fn begin(now: Instant, curve_max: &mut u32, cwnd: u32, mss: u32) -> Self {
        if *curve_max < cwnd {
            *curve_max = cwnd;
        }
        let k_ms = k_ms(*curve_max - cwnd, mss);
        Self { start: now, k_ms, w_est: cwnd, w_cubic: 0, target: 0, computed_ms: u64::MAX }
    }

    /// Computes the curve for `now`, once a millisecond.
    fn compute(&mut self, now: Instant, rtt: Duration, w_max: u32, mss: u32) {
        let t = now.saturating_since(self.start).as_millis();
        if t != self.computed_ms {
            self.computed_ms = t;
            self.w_cubic = w_cubic(t, self.k_ms, w_max, mss);
            self.target = w_cubic(t + rtt.as_millis(), self.k_ms, w_max, mss);
        }
    }
}

/// RFC 9438 figure 2: K = cbrt((W_max - cwnd_epoch) / C) with windows in segments and C = 0.4, in ms.
fn k_ms(below: u32, mss: u32) -> u64 {
    cube_root(u64::from(below) * 2_500_000_000 / u64::from(mss.max(1)))
}

/// RFC 9438 figure 1: W_cubic(t) = C (t - K)^3 + W_max, in bytes.
fn w_cubic(t_ms: u64, k_ms: u64, w_max: u32, mss: u32) -> u32 {
    let span = t_ms.abs_diff(k_ms).min(SPAN_MS_MAX);
    // C span^3 in thousandths of a segment: 0.4 x (ms / 1000)^3 x 1000.
    let steeper = 1 + u64::from(planted::is(Bug::SteepCubic));
    let milli_segments = steeper * (span * span * span / 2_500_000);
    let bytes = u32::try_from(milli_segments * u64::from(mss) / 1_000).unwrap_or(u32::MAX);
    if t_ms < k_ms { w_max.saturating_sub(bytes) } else { w_max.saturating_add(bytes) }
}

/// The integer cube root, rounded down: one bit of the result a turn, as in Hacker's Delight §11-2.
const fn cube_root(mut x: u64) -> u64 {
    let mut root: u64 = 0;
    let mut shift = 63;
    loop {
        root <<= 1;
        let bit = 3 * root * (root + 1) + 1;
        if x >> shift >= bit {
            x -= bit << shift;
            root += 1;
        }
        if shift == 0 {
            return root;
        }
        shift -= 3;
    }
}

impl Cubic {
    /// RFC 9438 §4.6 and §4.7.
    fn reduce(&mut self, window: &mut Window, event: &LossEvent) {
        self.earlier = core::mem::replace(&mut self.prior, self.curve.clone());
        let cwnd = window.cwnd;
        // Fast convergence: a flow that did not get back to where it was makes room for new ones.
        let gives_way = cwnd < self.curve.w_max && !planted::is(Bug::NoFastConvergence);
        self.curve.w_max = if gives_way { (u64::from(cwnd) * 17 / 20) as u32 } else { cwnd };
        self.curve.cwnd_prior = cwnd;
        self.curve.epoch = None;
        (self.credit, self.credit_est) = (0, 0);
        // Not a window that the application did not use (RFC 9438 §4.6, RFC 7661).
        let used = u64::from(if window.validated { cwnd } else { event.flight.min(cwnd) });
        window.ssthresh = ((used * BETA_TENTHS / 10) as u32).max(2 * event.mss);
    }

    fn avoid_congestion(&mut self, window: &mut Window, ack: &AckSample, acked: u32) {
        let Curve { w_max, cwnd_prior, epoch } = &mut self.curve;
        let epoch = epoch.get_or_insert_with(|| Epoch::begin(ack.now, w_max, window.cwnd, ack.mss));
        epoch.compute(ack.now, ack.srtt, *w_max, ack.mss);
        let (cwnd, acked) = (u64::from(window.cwnd), u64::from(acked));
        // RFC 9438 figure 4: W_est += alpha segments_acked / cwnd; from cwnd_prior on as Reno does.
        let (alpha, unit) = if epoch.w_est < *cwnd_prior { ALPHA } else { (ALPHA.1, ALPHA.1) };
        self.credit_est += acked * u64::from(ack.mss) * alpha;
        let grown = self.credit_est / (cwnd * unit);
        self.credit_est -= grown * cwnd * unit;
        epoch.w_est = epoch.w_est.saturating_add(u32::try_from(grown).unwrap_or(u32::MAX));
        if epoch.w_cubic < epoch.w_est && !planted::is(Bug::SlowerThanReno) {
            // The Reno-friendly region (RFC 9438 §4.3).
            return window.grow(epoch.w_est.saturating_sub(window.cwnd));
        }
        // The concave and convex regions (RFC 9438 §4.4, §4.5): (target - cwnd) / cwnd for each segment.
        let target = u64::from(epoch.target).clamp(cwnd, cwnd + cwnd / 2);
        self.credit += (target - cwnd) * acked;
        let grown = self.credit / cwnd;
        self.credit -= grown * cwnd;
        window.grow(u32::try_from(grown).unwrap_or(u32::MAX));
    }
}

impl CongestionControl for Cubic {
    fn on_ack(&mut self, window: &mut Window, ack: &AckSample) {
        let silent = ack.now.saturating_since(self.last_ack);
        self.last_ack = ack.now;
        let initial = window.is_initial();
        if initial {
            self.hystart.on_ack(ack);
        }
        // RFC 3168 §6.1.2: an acknowledgement with ECE makes no window grow.
        let told = ack.ece && !planted::is(Bug::GrowsWithEce);
        if ack.phase == AckPhase::Recovery || told {
            return;
        }
        if !window.validated {
            // RFC 9438 §5.8: time that the application left unused moves nothing along the curve.
            if let Some(epoch) = self.curve.epoch.as_mut() {
                epoch.start += silent;
            }
            return;
        }
        let mut acked = ack.progress_bytes;
        if window.in_slow_start() {
            let divisor = if initial { self.hystart.growth_divisor() } else { 1 };
            acked = window.slow_start(acked / divisor);
            if initial && self.hystart.is_over() {
                // RFC 9406 §4.2: "enter congestion avoidance by setting the ssthresh to the current cwnd."
                window.ssthresh = window.cwnd;
            }
        }
        if acked > 0 {
            self.avoid_congestion(window, ack, acked);
        }
    }

    fn on_loss(&mut self, window: &mut Window, event: &LossEvent) {
        self.reduce(window, event);
        if planted::is(Bug::HalvingCubic) {
            window.ssthresh = window.cwnd / 2;
        }
        window.cwnd = window.ssthresh;
    }

    fn on_timeout(&mut self, window: &mut Window, event: &LossEvent, again: bool) {
        if !again {
            self.reduce(window, event);
            // RFC 9438 §4.8: the first stage after a timeout begins flat, at the window that it finds.
            self.curve.w_max = 0;
        }
        window.cwnd = event.mss;
    }

    fn on_idle_restart(&mut self, window: &mut Window, mss: u32) {
        window.restart_after_idle(mss);
        // The next stage finds its place on the curve by the window.
        self.curve.epoch = None;
    }

    fn on_spurious(&mut self) {
        // RFC 9438 §4.9.
        self.curve = core::mem::replace(&mut self.prior, self.earlier.clone());
    }

    fn on_earlier_spurious(&mut self) {
        if !planted::is(Bug::EarlierCurveForgotten) {
            self.prior = self.earlier.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::tcp::congestion::testing::{MSS, ack, loss};
    use crate::tcp::seq::SeqNumber;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn an_acknowledgement_that_echoes_congestion_makes_no_window_grow() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(10 * MSS));
        for (ece, grown) in [(true, 0), (false, MSS)] {
            let before = window.cwnd;
            cubic.on_ack(&mut window, &AckSample { ece, cwnd_limited: true, ..ack(MSS) });
            assert_eq!(window.cwnd - before, grown);
        }
    }

    #[test]
    fn the_cube_root_is_the_greatest_integer_whose_cube_is_not_above() {
        for x in (0..2_000).chain([u64::MAX, 1 << 60, (1 << 60) - 1, 999_999_999_999]) {
            let root = u128::from(cube_root(x));
            assert!(root.pow(3) <= u128::from(x) && (root + 1).pow(3) > u128::from(x), "{x}");
        }
    }

    #[test]
    fn the_curve_is_that_of_the_formula_within_a_thousandth_of_a_segment() {
        for (w_max, cwnd) in [(100, 70), (1_000, 700), (10, 7), (5_000, 3_500)] {
            let k = f64::cbrt(f64::from(w_max - cwnd) / 0.4);
            let k_ms = k_ms((w_max - cwnd) * MSS, MSS);
            assert!((k * 1e3 - k_ms as f64).abs() <= 1.0);
            for t_ms in (0..60_000).step_by(97) {
                let exact = (0.4 * (t_ms as f64 / 1e3 - k).powi(3) + f64::from(w_max)).max(0.0);
                let ours = f64::from(w_cubic(t_ms, k_ms, w_max * MSS, MSS)) / f64::from(MSS);
                // A millisecond of K is worth at most the slope 3 C (t - K)^2 of it.
                let slope = 1.2 * (t_ms as f64 / 1e3 - k).powi(2) / 1e3;
                assert!((exact - ours).abs() <= slope + 0.002, "{t_ms} ms: {exact} {ours}");
            }
        }
    }

    /// Acknowledges whole windows, one RTT apart, and returns the windows in segments.
    fn rounds(
        cubic: &mut Cubic,
        window: &mut Window,
        rtt_ms: u64,
        count: u64,
    ) -> std::vec::Vec<f64> {
        let mut windows = std::vec::Vec::new();
        for round in 0..count {
            let segments = window.cwnd / MSS;
            for segment in 0..segments {
                let ns = rtt_ms * 1_000_000 * u64::from(segment) / u64::from(segments);
                let now = at(1_000 + round * rtt_ms) + Duration::from_nanos(ns);
                let srtt = Duration::from_millis(rtt_ms);
                cubic.on_ack(window, &AckSample { now, srtt, ..ack(MSS) });
            }
            windows.push(f64::from(window.cwnd) / f64::from(MSS));
        }
        windows
    }

    #[test]
    fn the_window_follows_the_curve_back_to_where_the_loss_was_and_beyond() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(1_000 * MSS));
        cubic.on_loss(&mut window, &loss(1_000 * MSS));
        assert_eq!((window.cwnd, window.ssthresh), (700 * MSS, 700 * MSS));
        let windows = rounds(&mut cubic, &mut window, 100, 150);
        let k = f64::cbrt(300.0 / 0.4);
        for (round, ours) in windows.iter().enumerate().skip(3) {
            let t = (round + 1) as f64 * 0.1;
            let exact = 0.4 * (t - k).powi(3) + 1_000.0;
            assert!((ours - exact).abs() / exact < 0.02, "{t} s: {ours} against {exact}");
        }
    }

    #[test]
    fn two_reductions_that_are_undone_leave_the_curve_as_it_was() {
        let lost =
            |cubic: &mut Cubic, window: &mut Window| cubic.on_loss(window, &loss(window.cwnd));
        let (mut plain, mut window) = (Cubic::default(), Window::new(300 * MSS));
        lost(&mut plain, &mut window);
        rounds(&mut plain, &mut window, 50, 20);
        let mut reduced = [plain.clone(), plain.clone()];
        for (cubic, in_turn) in reduced.iter_mut().zip([false, true]) {
            let mut other = window;
            lost(cubic, &mut other);
            lost(cubic, &mut other);
            if !in_turn {
                cubic.on_earlier_spurious();
            }
            cubic.on_spurious();
            if in_turn {
                cubic.on_spurious();
            }
            assert_eq!(cubic.curve, plain.curve, "{in_turn}");
        }
    }

    #[test]
    fn with_a_short_round_trip_the_window_is_what_reno_would_have() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(20 * MSS));
        cubic.on_loss(&mut window, &loss(20 * MSS));
        assert_eq!(window.cwnd, 14 * MSS);
        let windows = rounds(&mut cubic, &mut window, 2, 40);
        // alpha = 9/17 a round up to cwnd_prior (20), then one segment a round.
        let mut est = 14.0;
        for ours in windows {
            est += if est < 20.0 { 9.0 / 17.0 } else { 1.0 };
            assert!((ours - est).abs() < 1.0, "{ours} against {est}");
        }
        assert!(est > 35.0);
    }

    #[test]
    fn a_window_that_the_application_did_not_use_is_not_what_the_reduction_starts_from() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(100 * MSS));
        window.validated = false;
        cubic.on_loss(&mut window, &loss(20 * MSS));
        assert_eq!(window.ssthresh, 14 * MSS);
    }

    #[test]
    fn a_flow_that_did_not_get_back_gives_way() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(100 * MSS));
        cubic.on_loss(&mut window, &loss(100 * MSS));
        assert_eq!(cubic.curve.w_max, 100 * MSS);
        cubic.on_loss(&mut window, &loss(70 * MSS));
        assert_eq!(cubic.curve.w_max, 70 * MSS * 17 / 20);
        assert_eq!(window.cwnd, 49 * MSS);
    }

    #[test]
    fn the_stage_after_a_timeout_begins_flat() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(100 * MSS));
        cubic.on_timeout(&mut window, &loss(100 * MSS), false);
        assert_eq!((window.cwnd, window.ssthresh), (MSS, 70 * MSS));
        window.cwnd = window.ssthresh;
        cubic.on_ack(&mut window, &AckSample { now: at(5), ..ack(MSS) });
        assert_eq!(cubic.curve.w_max, 70 * MSS);
        assert_eq!(cubic.curve.epoch.as_ref().unwrap().k_ms, 0);
    }

    #[test]
    fn a_spurious_loss_leaves_the_curve_where_it_was() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(100 * MSS));
        cubic.on_loss(&mut window, &loss(100 * MSS));
        rounds(&mut cubic, &mut window, 50, 5);
        let before = cubic.curve.clone();
        cubic.on_loss(&mut window, &loss(70 * MSS));
        assert_ne!(cubic.curve, before);
        cubic.on_spurious();
        assert_eq!(cubic.curve, before);
    }

    #[test]
    fn an_application_without_data_does_not_let_the_window_jump_along_the_curve() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(100 * MSS));
        cubic.on_loss(&mut window, &loss(100 * MSS));
        rounds(&mut cubic, &mut window, 50, 3);
        let cwnd = window.cwnd;
        window.validated = false;
        for ms in 0..20_000 {
            cubic.on_ack(&mut window, &AckSample { now: at(1_200 + ms), ..ack(MSS) });
        }
        assert_eq!(window.cwnd, cwnd);
        window.validated = true;
        cubic.on_ack(&mut window, &AckSample { now: at(21_201), ..ack(MSS) });
        assert!(window.cwnd - cwnd < MSS, "{} after {cwnd}", window.cwnd);
    }

    #[test]
    fn slow_start_ends_where_hystart_says() {
        let (mut cubic, mut window) = (Cubic::default(), Window::new(10 * MSS));
        let (mut una, mut snd_max) = (0, 10 * MSS);
        for round in 0..12 {
            // The round trip grows by 8 ms a round: a queue builds up.
            let rtt = Some(Duration::from_millis(50 + 8 * round));
            let end = snd_max;
            while una < end {
                una += MSS;
                let (snd_una, max) = (SeqNumber(una), SeqNumber(snd_max));
                cubic.on_ack(&mut window, &AckSample { rtt, snd_una, snd_max: max, ..ack(MSS) });
                snd_max = snd_max.max(una + window.cwnd / MSS * MSS);
            }
        }
        assert!(!window.in_slow_start(), "{window:?}");
        assert!(window.cwnd < 500 * MSS, "{}", window.cwnd);
    }
}
