//! The congestion control of one connection: any algorithm, its window, and what undoes its last reduction.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::bbr::Bbr;
use super::control::CongestionControl;
use super::cubic::Cubic;
use super::dctcp::Dctcp;
use super::figures::CongestionFigures;
use super::reno::Reno;
use super::sample::{AckSample, LossEvent, Lost, Sent};
use super::usage::Usage;
use super::window::{CWND_MAX, Window, initial_window};
use crate::planted::{self, Bug};
use crate::tcp::pacing::{Pacing, RATE_UNLIMITED};
use crate::tcp::seq::SeqNumber;

/// The congestion control of a connection. Sixteen bytes until a window fills for the first time: most
/// connections never get there, and idle ones must cost little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Congestion {
    /// The window is still the initial one, and nothing was lost.
    Fresh {
        /// What will govern it.
        algorithm: Algorithm,
        /// The initial window in bytes.
        cwnd: u32,
    },
    /// An algorithm is at work.
    Attached(Box<Attached>),
}

/// What is needed once a window has filled, or something was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    window: Window,
    /// The window before the last reduction.
    prior: Window,
    /// The window before the reduction before that one.
    earlier: Window,
    usage: Usage,
    /// One reduction in a round trip: until this is acknowledged congestion that is echoed was answered already.
    reduced_at: Option<SeqNumber>,
    /// The last reduction answered an echo of congestion, not a loss.
    echoed: bool,
    /// CWR is due.
    cwr_due: bool,
    pacing: Option<Pacing>,
    /// The last sample of the delivery rate, in bytes a second, and whether the application limited it: kept while nothing is in
    /// flight.
    delivery_rate: (u64, bool),
    machine: Machine,
}

/// One match instead of a virtual call, and plain data that can be written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Machine {
    Cubic(Cubic),
    Reno(Reno),
    Dctcp(Dctcp),
    Bbr(Box<Bbr>),
}

/// Calls a method of whichever algorithm it is.
macro_rules! each {
    ($machine:expr, $control:ident => $call:expr) => {
        match $machine {
            Machine::Cubic($control) => $call,
            Machine::Reno($control) => $call,
            Machine::Dctcp($control) => $call,
            Machine::Bbr($control) => $call,
        }
    };
}

impl Machine {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Cubic => Self::Cubic(Cubic::default()),
            Algorithm::Reno => Self::Reno(Reno::default()),
            Algorithm::Dctcp => Self::Dctcp(Dctcp::default()),
            Algorithm::Bbr => Self::Bbr(Box::default()),
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Cubic(_) => Algorithm::Cubic,
            Self::Reno(_) => Algorithm::Reno,
            Self::Dctcp(_) => Algorithm::Dctcp,
            Self::Bbr(_) => Algorithm::Bbr,
        }
    }
}

impl Attached {
    /// The window is being reduced: CWR follows, whatever the reason was (RFC 3168 §6.1.2).
    const fn reduced(&mut self, event: &LossEvent) {
        self.reduced_at = Some(event.snd_max);
        self.echoed = false;
        self.cwr_due = true;
    }

    #[inline(never)]
    fn on_sent(&mut self, sent: &Sent) {
        let Self { window, machine, pacing, .. } = self;
        each!(machine, control => control.on_sent(window, sent));
        let Some(pacing) = pacing else { return };
        if pacing.rate() == 0 {
            match each!(machine, control => control.pacing_rate()) {
                Some(rate) => pacing.set_rate(rate),
                None => pacing.follow_window(window.cwnd, window.ssthresh, sent.srtt),
            }
        }
        pacing.on_sent(sent.now, sent.len);
    }
}

impl Congestion {
    /// The state of `algorithm` for a new connection. `syn_lost`: the SYN had to be sent again.
    pub fn new(algorithm: Algorithm, mss: u32, syn_lost: bool) -> Self {
        let mut fresh = Self::Fresh { algorithm, cwnd: initial_window(mss, syn_lost) };
        if algorithm.needs_pacing() {
            fresh.attach();
        }
        fresh
    }

    /// Getter: which algorithm it is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Fresh { algorithm, .. } => *algorithm,
            Self::Attached(attached) => attached.machine.algorithm(),
        }
    }

    /// Getter: which algorithm it is and what it tells of itself. `ecn`: both sides agreed on ECN; `ce`: the last data that came was
    /// marked.
    pub fn figures(&self, ecn: bool, ce: bool) -> CongestionFigures {
        let figures = match self {
            Self::Fresh { algorithm, .. } => CongestionFigures::of_fresh(*algorithm),
            Self::Attached(attached) => match &attached.machine {
                Machine::Cubic(_) => CongestionFigures::Cubic,
                Machine::Reno(_) => CongestionFigures::Reno,
                Machine::Bbr(bbr) => bbr.figures(),
                Machine::Dctcp(dctcp) => dctcp.figures(),
            },
        };
        figures.with_ecn(ecn, ce)
    }

    /// Command: nothing is in flight any more; the last sample of the delivery rate is kept, if there was one and there is room
    /// for it: where no window ever filled, every sample was the application's.
    pub(in crate::tcp) fn keep_delivery_rate(&mut self, sample: Option<(u64, bool)>) {
        if let (Self::Attached(attached), Some(sample)) = (self, sample) {
            attached.delivery_rate = sample;
        }
    }

    /// Getter: what was kept.
    pub(in crate::tcp) fn delivery_rate(&self) -> (u64, bool) {
        match self {
            Self::Fresh { .. } => (0, false),
            Self::Attached(attached) => attached.delivery_rate,
        }
    }

    /// Getter: the congestion window in bytes.
    pub const fn cwnd(&self) -> u32 {
        match self {
            Self::Fresh { cwnd, .. } => *cwnd,
            Self::Attached(attached) => attached.window.cwnd,
        }
    }

    /// Getter: the slow start threshold in bytes; [`CWND_MAX`] before anything was lost.
    pub const fn ssthresh(&self) -> u32 {
        match self {
            Self::Fresh { .. } => CWND_MAX,
            Self::Attached(attached) => attached.window.ssthresh,
        }
    }

    /// Getter: the congestion window and the slow start threshold.
    #[inline]
    pub const fn window(&self) -> (u32, u32) {
        match self {
            Self::Fresh { cwnd, .. } => (*cwnd, CWND_MAX),
            Self::Attached(attached) => (attached.window.cwnd, attached.window.ssthresh),
        }
    }

    /// Command: another algorithm from here on (TCP_CONGESTION on a connection that lives). The window and the
    /// threshold stay.
    pub fn switch(&mut self, to: Algorithm) {
        match self {
            Self::Fresh { algorithm, .. } => *algorithm = to,
            Self::Attached(attached) => {
                if attached.machine.algorithm() != to {
                    attached.machine = Machine::new(to);
                }
            }
        }
        if to.needs_pacing() {
            let attached = self.attach();
            attached.pacing.get_or_insert_with(|| Pacing::new(RATE_UNLIMITED));
        }
    }

    /// Input: something was delivered; call it for each acknowledgement that moved something, whatever the phase.
    #[inline]
    pub fn on_ack(&mut self, ack: &AckSample) {
        // RFC 7661: a window that was not used says nothing about the path.
        if matches!(self, Self::Fresh { cwnd, .. } if !Usage::new(ack).may_grow(&Window::new(*cwnd)))
        {
            return;
        }
        let Attached { window, usage, machine, reduced_at, pacing, .. } = self.attach();
        if reduced_at.is_some_and(|at| ack.snd_una > at) {
            *reduced_at = None;
        }
        usage.on_ack(ack);
        window.validated = usage.may_grow(window);
        each!(machine, control => control.on_ack(window, ack));
        if let Some(pacing) = pacing {
            match each!(machine, control => control.pacing_rate()) {
                Some(rate) => pacing.set_rate(rate),
                None => pacing.follow_window(window.cwnd, window.ssthresh, ack.srtt),
            }
        }
    }

    /// Input: a data segment leaves.
    #[inline]
    pub fn on_sent(&mut self, sent: &Sent) {
        if let Self::Attached(attached) = self
            && attached.pacing.is_some()
        {
            attached.on_sent(sent);
        }
    }

    /// Getter: bytes a second at which segments leave; 0 where they are not paced.
    pub(in crate::tcp) fn pacing_rate(&self) -> u64 {
        match self {
            Self::Attached(attached) => attached.pacing.as_ref().map_or(0, Pacing::rate),
            Self::Fresh { .. } => 0,
        }
    }

    /// Command: segments are released one after the other, at most `rate_max` bytes a second.
    pub(in crate::tcp) fn pace(&mut self, rate_max: u64) {
        let pacing = &mut self.attach().pacing;
        pacing.get_or_insert_with(|| Pacing::new(rate_max)).set_rate_max(rate_max);
    }

    /// Getter: the release times, where segments are paced.
    #[inline]
    pub(in crate::tcp) fn pacing(&self) -> Option<&Pacing> {
        match self {
            Self::Fresh { .. } => None,
            Self::Attached(attached) => attached.pacing.as_ref(),
        }
    }

    /// Input: a loss was found by acknowledgements, and recovery begins (RFC 5681 §3.2). Returns the threshold that
    /// recovery shall bring the window to; the window is that at once, unless recovery says otherwise with
    /// [`Congestion::set_cwnd`].
    pub fn on_loss(&mut self, event: &LossEvent) -> u32 {
        let attached = self.attach();
        attached.reduced(event);
        let Attached { window, prior, earlier, machine, .. } = attached;
        *earlier = core::mem::replace(prior, *window);
        each!(machine, control => control.on_loss(window, event));
        if planted::is(Bug::QuarterWindow) {
            (window.cwnd, window.ssthresh) = (prior.cwnd / 4, prior.cwnd / 4);
        }
        if planted::is(Bug::GreedyWindow) && prior.cwnd > 60 * event.mss {
            (window.cwnd, window.ssthresh) = (prior.cwnd, prior.cwnd);
        }
        window.ssthresh
    }

    /// Input: a segment is believed lost.
    pub fn on_lost(&mut self, lost: &Lost) {
        let Attached { window, machine, .. } = self.attach();
        each!(machine, control => control.on_lost(window, lost));
    }

    /// Command: the window while recovery governs it (RFC 6937): not for anything else.
    pub fn set_cwnd(&mut self, cwnd: u32) {
        let attached = self.attach();
        // A model of the path has its own view of recovery.
        if !matches!(attached.machine, Machine::Bbr(_)) {
            attached.window.cwnd = cwnd.clamp(1, CWND_MAX);
        }
    }

    /// Command: the window holds one full segment at least (RFC 5681 §3.1), whatever it was when segments were smaller: the path
    /// may carry larger ones again.
    #[cold]
    pub fn hold_a_segment(&mut self, mss: u32) {
        match self {
            Self::Fresh { cwnd, .. } => *cwnd = mss.max(*cwnd),
            Self::Attached(attached) => attached.window.cwnd = mss.max(attached.window.cwnd),
        }
    }

    /// Input: recovery ended: everything outstanding at the loss is acknowledged.
    pub fn on_recovered(&mut self, event: &LossEvent) {
        let Attached { window, machine, .. } = self.attach();
        each!(machine, control => control.on_recovered(window, event));
    }

    /// Input: the retransmission timer expired; `again` when it did for data that it had expired for.
    pub fn on_timeout(&mut self, event: &LossEvent, again: bool) {
        let attached = self.attach();
        attached.reduced(event);
        let Attached { window, prior, machine, .. } = attached;
        if !again {
            *prior = *window;
        }
        each!(machine, control => control.on_timeout(window, event, again));
    }

    /// Input: the peer echoes congestion (RFC 3168 §6.1.2), outside of recovery. False when it was answered already in
    /// this round trip.
    pub fn on_ecn(&mut self, event: &LossEvent) -> bool {
        let attached = self.attach();
        let reduced = attached.reduced_at.is_some_and(|at| event.snd_una <= at);
        if reduced && !planted::is(Bug::ReducedByEachEcho) {
            return false;
        }
        attached.reduced(event);
        attached.echoed = true;
        let Attached { window, machine, .. } = attached;
        each!(machine, control => control.on_ecn(window, event));
        true
    }

    /// Input: nothing was sent for longer than the RTO (RFC 5681 §4.1).
    pub fn on_idle_restart(&mut self, mss: u32) {
        if let Self::Attached(attached) = self {
            let Attached { window, machine, .. } = &mut **attached;
            each!(machine, control => control.on_idle_restart(window, mss));
        }
    }

    /// Input: the last reduction answered a loss that was none (RFC 4015 §3.2): window and threshold are again at
    /// least what they were before.
    pub fn on_spurious(&mut self) {
        if let Self::Attached(attached) = self {
            let Attached { window, prior, earlier, machine, .. } = &mut **attached;
            window.cwnd = window.cwnd.max(prior.cwnd);
            window.ssthresh = window.ssthresh.max(prior.ssthresh);
            *prior = *earlier;
            each!(machine, control => control.on_spurious());
        }
    }

    /// Input: the reduction before the last one answered a loss that was none. What the last one found is not what it would have
    /// found: if that is undone too, both are.
    pub fn on_earlier_spurious(&mut self) {
        if let Self::Attached(attached) = self {
            let Attached { prior, earlier, machine, .. } = &mut **attached;
            prior.cwnd = prior.cwnd.max(earlier.cwnd);
            prior.ssthresh = prior.ssthresh.max(earlier.ssthresh);
            each!(machine, control => control.on_earlier_spurious());
        }
    }

    /// Getter: the window was reduced for an echo of congestion, and nothing sent since is acknowledged (TCP_CA_CWR).
    pub fn is_in_cwr(&self, snd_una: SeqNumber) -> bool {
        let Self::Attached(attached) = self else { return false };
        attached.echoed && attached.reduced_at.is_some_and(|at| snd_una <= at)
    }

    /// Getter: the window was reduced and the peer was not told (RFC 3168 §6.1.2).
    pub const fn is_cwr_due(&self) -> bool {
        matches!(self, Self::Attached(attached) if attached.cwr_due)
    }

    /// Command: says whether CWR is due; the next segment carries it.
    pub fn take_cwr(&mut self) -> bool {
        match self {
            Self::Fresh { .. } => false,
            Self::Attached(attached) => core::mem::take(&mut attached.cwr_due),
        }
    }

    fn attach(&mut self) -> &mut Attached {
        if let Self::Fresh { algorithm, cwnd } = *self {
            let window = Window::new(cwnd);
            let machine = Machine::new(algorithm);
            let usage = Usage::default();
            *self = Self::Attached(Box::new(Attached {
                window,
                prior: window,
                earlier: window,
                usage,
                reduced_at: None,
                echoed: false,
                cwr_due: false,
                delivery_rate: (0, false),
                pacing: algorithm.needs_pacing().then(|| Pacing::new(RATE_UNLIMITED)),
                machine,
            }));
        }
        match self {
            Self::Attached(attached) => attached,
            Self::Fresh { .. } => unreachable!("attached above"),
        }
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        match self {
            Self::Fresh { cwnd, .. } => Window::new(*cwnd).is_valid(),
            Self::Attached(attached) => {
                let Attached { window, prior, earlier, .. } = &**attached;
                [window, prior, earlier].into_iter().all(Window::is_valid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::testing::{MSS, loss};

    #[test]
    fn a_connection_whose_window_never_filled_costs_sixteen_bytes() {
        assert_eq!(size_of::<Congestion>(), 16);
        assert!(matches!(Congestion::new(Algorithm::Reno, MSS, false), Congestion::Fresh { .. }));
    }

    #[test]
    fn a_loss_that_was_none_is_undone() {
        let mut congestion = Congestion::new(Algorithm::Reno, MSS, false);
        congestion.on_loss(&loss(10 * MSS));
        assert_eq!((congestion.cwnd(), congestion.ssthresh()), (5 * MSS, 5 * MSS));
        congestion.on_spurious();
        assert_eq!((congestion.cwnd(), congestion.ssthresh()), (10 * MSS, CWND_MAX));
    }

    #[test]
    fn two_timeouts_in_a_row_are_undone_to_before_the_first() {
        let mut congestion = Congestion::new(Algorithm::Reno, MSS, false);
        congestion.on_timeout(&loss(10 * MSS), false);
        congestion.on_timeout(&loss(MSS), true);
        assert_eq!((congestion.cwnd(), congestion.ssthresh()), (MSS, 5 * MSS));
        congestion.on_spurious();
        assert_eq!((congestion.cwnd(), congestion.ssthresh()), (10 * MSS, CWND_MAX));
    }
}
