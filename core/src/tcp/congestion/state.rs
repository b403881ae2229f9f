//! The congestion control of one connection: any algorithm, its window, and what undoes its last reduction.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::control::CongestionControl;
use super::cubic::Cubic;
use super::dctcp::Dctcp;
use super::reno::Reno;
use super::sample::{AckSample, LossEvent};
use super::usage::Usage;
use super::window::{CWND_MAX, Window, initial_window};

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
    usage: Usage,
    machine: Machine,
}

/// One match instead of a virtual call, and plain data that can be written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Machine {
    Cubic(Cubic),
    Reno(Reno),
    Dctcp(Dctcp),
}

/// Calls a method of whichever algorithm it is.
macro_rules! each {
    ($machine:expr, $control:ident => $call:expr) => {
        match $machine {
            Machine::Cubic($control) => $call,
            Machine::Reno($control) => $call,
            Machine::Dctcp($control) => $call,
        }
    };
}

impl Machine {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Cubic => Self::Cubic(Cubic::default()),
            Algorithm::Reno => Self::Reno(Reno::default()),
            Algorithm::Dctcp => Self::Dctcp(Dctcp::default()),
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Cubic(_) => Algorithm::Cubic,
            Self::Reno(_) => Algorithm::Reno,
            Self::Dctcp(_) => Algorithm::Dctcp,
        }
    }
}

impl Congestion {
    /// The state of `algorithm` for a new connection. `syn_lost`: the SYN had to be sent again.
    pub const fn new(algorithm: Algorithm, mss: u32, syn_lost: bool) -> Self {
        Self::Fresh { algorithm, cwnd: initial_window(mss, syn_lost) }
    }

    /// Getter: which algorithm it is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Fresh { algorithm, .. } => *algorithm,
            Self::Attached(attached) => attached.machine.algorithm(),
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
    }

    /// Input: something was delivered; call it for each acknowledgement that moved something, whatever the phase.
    #[inline]
    pub fn on_ack(&mut self, ack: &AckSample) {
        // RFC 7661: a window that was not used says nothing about the path.
        if matches!(self, Self::Fresh { cwnd, .. } if !Usage::new(ack).may_grow(&Window::new(*cwnd)))
        {
            return;
        }
        let Attached { window, usage, machine, .. } = self.attach();
        usage.on_ack(ack);
        window.validated = usage.may_grow(window);
        each!(machine, control => control.on_ack(window, ack));
    }

    /// Input: a loss was found by acknowledgements, and recovery begins (RFC 5681 §3.2). Returns the threshold that
    /// recovery shall bring the window to; the window is that at once, unless recovery says otherwise with
    /// [`Congestion::set_cwnd`].
    pub fn on_loss(&mut self, event: &LossEvent) -> u32 {
        let Attached { window, prior, machine, .. } = self.attach();
        *prior = *window;
        each!(machine, control => control.on_loss(window, event));
        window.ssthresh
    }

    /// Command: the window while recovery governs it (RFC 6937): not for anything else.
    pub fn set_cwnd(&mut self, cwnd: u32) {
        self.attach().window.cwnd = cwnd.clamp(1, CWND_MAX);
    }

    /// Input: recovery ended: everything outstanding at the loss is acknowledged.
    pub fn on_recovered(&mut self, event: &LossEvent) {
        let Attached { window, machine, .. } = self.attach();
        each!(machine, control => control.on_recovered(window, event));
    }

    /// Input: the retransmission timer expired; `again` when it did for data that it had expired for.
    pub fn on_timeout(&mut self, event: &LossEvent, again: bool) {
        let Attached { window, prior, machine, .. } = self.attach();
        if !again {
            *prior = *window;
        }
        each!(machine, control => control.on_timeout(window, event, again));
    }

    /// Input: the peer echoes congestion for the first time in this round trip (RFC 3168 §6.1.2).
    pub fn on_ecn(&mut self, event: &LossEvent) {
        let Attached { window, machine, .. } = self.attach();
        each!(machine, control => control.on_ecn(window, event));
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
            let Attached { window, prior, machine, .. } = &mut **attached;
            window.cwnd = window.cwnd.max(prior.cwnd);
            window.ssthresh = window.ssthresh.max(prior.ssthresh);
            each!(machine, control => control.on_spurious());
        }
    }

    fn attach(&mut self) -> &mut Attached {
        if let Self::Fresh { algorithm, cwnd } = *self {
            let window = Window::new(cwnd);
            let machine = Machine::new(algorithm);
            let usage = Usage::default();
            *self = Self::Attached(Box::new(Attached { window, prior: window, usage, machine }));
        }
        match self {
            Self::Attached(attached) => attached,
            Self::Fresh { .. } => unreachable!("attached above"),
        }
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        match self {
            Self::Fresh { cwnd, .. } => Window::new(*cwnd).is_valid(),
            Self::Attached(attached) => attached.window.is_valid() && attached.prior.is_valid(),
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
