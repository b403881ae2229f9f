//! How much the peer takes, and how a window is written.
//!
//! A window below 32 KiB is said in bytes: the last bytes of the ring may be those that a message lacks to be whole, and its reader
//! would wait for ever for what rounding took away. A greater one counts 4 KiB, rounded down.

use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};

/// Of the field: what is below counts [`UNIT`]s.
const COARSE: u16 = 1 << 15;
/// Bytes.
const UNIT: u64 = 4_096;
/// What a peer takes that has not said anything yet.
const INITIAL: u64 = 64 << 10;

/// The field for a window of `bytes`.
pub(in crate::machnet) fn encode(bytes: u64) -> u16 {
    match u16::try_from(bytes) {
        Ok(bytes) if bytes < COARSE => bytes,
        _ => COARSE | (bytes / UNIT).min(u64::from(COARSE - 1)) as u16,
    }
}

/// The bytes that a field means.
pub(in crate::machnet) const fn decode(field: u16) -> u64 {
    if field < COARSE { field as u64 } else { (field - COARSE) as u64 * UNIT }
}

/// Where in the TX stream the peer's window ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::machnet) struct PeerWindow {
    end: u64,
}

impl PeerWindow {
    /// Towards a peer of which nothing was heard.
    pub(in crate::machnet) const fn new() -> Self {
        Self { end: INITIAL }
    }

    /// Input: the peer says `field`, in a packet that no later one overtook; `from` is where the first byte lies that it has not
    /// acknowledged.
    pub(in crate::machnet) fn tell(&mut self, field: u16, from: u64) {
        self.end = from.saturating_add(decode(field));
    }

    /// Getter: one past the last byte that may be sent.
    pub(in crate::machnet) fn end(&self) -> u64 {
        if planted::is(Bug::MachnetWindowIgnored) { u64::MAX } else { self.end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_never_says_more_than_there_is_and_below_32_kib_no_less(bytes in 0u64..200 << 20) {
            let said = decode(encode(bytes));
            prop_assert!(said <= bytes);
            prop_assert!(bytes >= 1 << 15 || said == bytes);
            prop_assert!(bytes >= 127 << 20 || bytes - said < UNIT);
        }
    }

    #[test]
    fn what_was_said_last_counts_also_if_it_is_less() {
        let mut window = PeerWindow::new();
        assert_eq!(window.end(), INITIAL);
        window.tell(500, 1_000);
        assert_eq!(window.end(), 1_500);
        window.tell(0, 1_200);
        assert_eq!(window.end(), 1_200);
    }
}
