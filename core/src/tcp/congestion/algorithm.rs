//! The algorithms, by the names that Linux gives them.

use serde::{Deserialize, Serialize};

/// The algorithms, chosen by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RFC 5681, with the recovery of RFC 6582.
    #[default]
    Reno,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 1] = [Self::Reno];

    /// The algorithm that Linux calls `name` in tcp_congestion_control; `None` for one that is not built in.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Getter: its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reno => "reno",
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
        assert_eq!(Algorithm::from_name("vegas"), None);
    }
}
