//! What an algorithm tells of itself: the data of Linux's TCP_CC_INFO.

use super::algorithm::Algorithm;
use super::bbr::Bbr;
use super::dctcp::Dctcp;
use crate::time::Duration;

/// The algorithm of a connection, with its own figures where Linux has a structure for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CongestionFigures {
    /// RFC 9438.
    Cubic,
    /// RFC 5681.
    Reno,
    /// `struct tcp_dctcp_info`.
    Dctcp {
        /// Both sides agreed on ECN. Without it the algorithm is Reno's, and Linux has zeros below.
        enabled: bool,
        /// The last data that came was marked.
        ce: bool,
        /// The estimated share of marked bytes, in 1/1024.
        alpha: u32,
        /// Marked bytes of this window.
        bytes_marked: u32,
        /// All bytes acknowledged in this window.
        bytes_acked: u32,
    },
    /// `struct tcp_bbr_info`.
    Bbr {
        /// The estimated bandwidth in bytes a second.
        bandwidth: u64,
        /// The estimated round trip of the empty path; zero before the first sample.
        min_rtt: Duration,
        /// In percent.
        pacing_gain: u32,
        /// In percent.
        cwnd_gain: u32,
    },
}

impl CongestionFigures {
    /// Getter: which algorithm it is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Cubic => Algorithm::Cubic,
            Self::Reno => Algorithm::Reno,
            Self::Dctcp { .. } => Algorithm::Dctcp,
            Self::Bbr { .. } => Algorithm::Bbr,
        }
    }

    /// Getter: what an algorithm tells that has not begun.
    pub fn of_fresh(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Cubic => Self::Cubic,
            Algorithm::Reno => Self::Reno,
            Algorithm::Dctcp => Dctcp::default().figures(),
            Algorithm::Bbr => Bbr::default().figures(),
        }
    }

    /// Getter: the same where both sides have agreed on ECN or not (`agreed`), and the last data that came was marked or not.
    pub(super) const fn with_ecn(self, agreed: bool, marked: bool) -> Self {
        match self {
            Self::Dctcp { alpha, bytes_marked, bytes_acked, .. } => {
                Self::Dctcp { enabled: agreed, ce: marked, alpha, bytes_marked, bytes_acked }
            }
            Self::Cubic | Self::Reno | Self::Bbr { .. } => self,
        }
    }
}
