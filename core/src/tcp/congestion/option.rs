//! What an application sets and asks about a connection's congestion control.

use super::algorithm::Algorithm;
use crate::tcp::connection::Connection;

impl Connection {
    /// Follows the settings: another algorithm from here on (TCP_CONGESTION), in any state. The window and the
    /// threshold stay.
    pub(in crate::tcp) fn follow_congestion_setting(&mut self) {
        self.congestion.switch(self.config.congestion);
        self.ecn_follows_algorithm();
        self.follow_pacing_setting();
    }

    /// Getter: the algorithm in force.
    pub const fn congestion_algorithm(&self) -> Algorithm {
        self.congestion.algorithm()
    }
}
