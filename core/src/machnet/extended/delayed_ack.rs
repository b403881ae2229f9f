//! When a packet is acknowledged that nothing goes back for.

use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};

/// Packets that are acknowledged at the latest together.
const PACKETS_MAX: u8 = 8;
/// Full packets that are worth an acknowledgement of their own.
const FULL_MAX: u8 = 2;

/// What is not acknowledged yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::machnet) struct DelayedAck {
    packets: u8,
    full: u8,
    /// Something does not wait.
    at_once: bool,
}

impl DelayedAck {
    /// Input: a packet in order. `full`: its message goes on.
    pub(in crate::machnet) const fn note(&mut self, full: bool) {
        self.packets = self.packets.saturating_add(1);
        self.full = self.full.saturating_add(full as u8);
    }

    /// Command: acknowledge at once.
    pub(in crate::machnet) const fn hurry(&mut self) {
        self.at_once = true;
    }

    /// Command: the delay is over.
    pub(in crate::machnet) fn expire(&mut self) {
        self.at_once |= self.packets > 0 && !planted::is(Bug::MachnetDelayedForEver);
    }

    /// Getter: something is to be acknowledged now.
    pub(in crate::machnet) const fn is_due(&self) -> bool {
        self.at_once || self.full >= FULL_MAX || self.packets >= PACKETS_MAX
    }

    /// Getter: something is to be acknowledged, and waits for company.
    pub(in crate::machnet) const fn is_waiting(&self) -> bool {
        self.packets > 0
    }

    /// Input: a packet left, which acknowledges everything.
    pub(in crate::machnet) fn sent(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_full_packets_eight_of_any_length_or_one_that_hurries_are_acknowledged() {
        let mut ack = DelayedAck::default();
        ack.note(true);
        assert!(!ack.is_due() && ack.is_waiting());
        ack.note(true);
        assert!(ack.is_due());
        ack.sent();
        assert!(!ack.is_due() && !ack.is_waiting());
        for n in 1..=8 {
            ack.note(false);
            assert_eq!(ack.is_due(), n == 8, "{n}");
        }
        ack.sent();
        ack.expire();
        assert!(!ack.is_due(), "there is nothing");
        ack.note(false);
        ack.expire();
        assert!(ack.is_due());
        ack.sent();
        ack.hurry();
        assert!(ack.is_due());
    }
}
