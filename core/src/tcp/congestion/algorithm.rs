//! The algorithms, by the names that Linux gives them.

use serde::{Deserialize, Serialize};

/// The algorithms, chosen by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RFC 9438, with the slow start of RFC 9406.
    #[default]
    Cubic,
    /// RFC 5681.
    Reno,
    /// RFC 8257: for data centers whose switches mark early (ECN).
    Dctcp,
    /// draft-ietf-ccwg-bbr (version 3): follows a model of the path. It is paced.
    Bbr,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Cubic, Self::Reno, Self::Dctcp, Self::Bbr];

    /// The algorithm that Linux calls `name` in tcp_congestion_control; `None` for one that is not built in.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Getter: it reacts to how much is marked, and not to whether: ECN is asked for and granted whatever the
    /// configuration says, and every packet but SYN may be marked (RFC 8257 §3, as tcp_ca_needs_ecn in Linux).
    pub const fn needs_ecn(self) -> bool {
        match self {
            Self::Dctcp => true,
            Self::Cubic | Self::Reno | Self::Bbr => false,
        }
    }

    /// Getter: it sends at a rate, and what it measures counts from the first segment.
    pub const fn needs_pacing(self) -> bool {
        match self {
            Self::Bbr => true,
            Self::Cubic | Self::Reno | Self::Dctcp => false,
        }
    }

    /// Getter: its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Reno => "reno",
            Self::Dctcp => "dctcp",
            Self::Bbr => "bbr",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_is_found_by_its_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name("reno"), Some(Algorithm::Reno));
        assert_eq!(Algorithm::from_name("cubic"), Some(Algorithm::default()));
        assert_eq!(Algorithm::from_name("vegas"), None);
    }
}
