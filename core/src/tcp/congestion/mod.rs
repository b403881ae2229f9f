//! Congestion control: when and how much the window changes. What was lost is `recovery`'s to know.
//!
//! Integers only, so that every machine computes the same.

mod newreno;

use serde::{Deserialize, Serialize};

use crate::time::{Duration, Instant};

pub use newreno::NewReno;

/// The algorithms, chosen by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RFC 5681 and RFC 6582.
    #[default]
    NewReno,
}

impl Algorithm {
    /// The algorithm that Linux calls `name` in tcp_congestion_control; `None` for one that is not built in.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "reno" => Some(Self::NewReno),
            _ => None,
        }
    }

    /// Getter: its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "reno",
        }
    }
}

/// What one acknowledgement that made progress says.
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// Bytes that it acknowledged.
    pub acked_bytes: u32,
    /// Sender maximum segment size in bytes (RFC 5681 §2).
    pub mss: u32,
    /// Smoothed round-trip time, zero before the first sample.
    pub srtt: Duration,
    /// The window, and not the application or the peer, limited what was sent (RFC 7661).
    pub cwnd_limited: bool,
}

/// What an algorithm decides. Every method says which event of RFC 5681 or of its successors it answers.
pub trait CongestionControl {
    /// Getter: the congestion window in bytes.
    fn cwnd(&self) -> u32;
    /// Getter: the slow start threshold in bytes.
    fn ssthresh(&self) -> u32;
    /// Input: new data was acknowledged outside of recovery.
    fn on_ack(&mut self, ack: &AckSample);
    /// Input: a loss was found by acknowledgements; `flight` bytes were outstanding (RFC 5681 §3.2).
    fn on_loss(&mut self, now: Instant, flight: u32, mss: u32);
    /// Input: recovery ended: everything outstanding at the loss is acknowledged; `flight` bytes are outstanding.
    fn on_recovered(&mut self, now: Instant, flight: u32, mss: u32);
    /// Input: the retransmission timer expired; `again` when it did for data that it had expired for (RFC 5681 §3.1).
    fn on_timeout(&mut self, now: Instant, flight: u32, mss: u32, again: bool);
    /// Input: nothing was sent for longer than the RTO (RFC 5681 §4.1).
    fn on_idle(&mut self, mss: u32);
}

/// Any algorithm: one match instead of a virtual call, and plain data that can be written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Congestion {
    /// RFC 5681 and RFC 6582.
    NewReno(NewReno),
}

impl Congestion {
    /// The state of `algorithm` for a new connection. `syn_lost`: the SYN had to be sent again.
    pub fn new(algorithm: Algorithm, mss: u32, syn_lost: bool) -> Self {
        let window = initial_window(mss, syn_lost);
        match algorithm {
            Algorithm::NewReno => Self::NewReno(NewReno::new(window)),
        }
    }

    /// Getter: which algorithm it is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::NewReno(_) => Algorithm::NewReno,
        }
    }

    pub(in crate::tcp) fn control(&mut self) -> &mut impl CongestionControl {
        match self {
            Self::NewReno(state) => state,
        }
    }

    /// Getter: the congestion window in bytes.
    pub fn cwnd(&self) -> u32 {
        match self {
            Self::NewReno(state) => state.cwnd(),
        }
    }

    /// Getter: the slow start threshold in bytes.
    pub fn ssthresh(&self) -> u32 {
        match self {
            Self::NewReno(state) => state.ssthresh(),
        }
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        self.cwnd() > 0 && self.cwnd() <= CWND_MAX
    }
}

/// The most a window may grow to, in bytes: half the sequence space would make comparisons ambiguous.
pub const CWND_MAX: u32 = 1 << 30;

/// RFC 6928: min(10 MSS, max(2 MSS, 14600)); one segment when the SYN was lost (RFC 5681 §3.1).
pub const fn initial_window(mss: u32, syn_lost: bool) -> u32 {
    if syn_lost {
        return mss;
    }
    let floor = if 2 * mss > 14_600 { 2 * mss } else { 14_600 };
    if 10 * mss < floor { 10 * mss } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_window_is_ten_segments_and_one_after_a_lost_syn() {
        assert_eq!(initial_window(1460, false), 14_600);
        assert_eq!(initial_window(536, false), 5_360);
        assert_eq!(initial_window(8_960, false), 17_920);
        assert_eq!(initial_window(1460, true), 1_460);
    }

    #[test]
    fn an_algorithm_is_found_by_its_name() {
        assert_eq!(Algorithm::from_name("reno"), Some(Algorithm::NewReno));
        assert_eq!(Algorithm::from_name("vegas"), None);
        assert_eq!(Algorithm::NewReno.name(), "reno");
    }
}
