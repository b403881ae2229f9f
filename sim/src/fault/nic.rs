//! What is so for a while with a NIC, beside its carrier: as data, and as text.

use causeway_core::time::Duration;

use super::text::{exact, number, span};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NicTrouble {
    /// It takes no frame of any burst.
    TxStalled,
    /// It has no buffer for a frame to send.
    NoBuffers,
    /// The slots of what left are given back so much later.
    LateCompletion(Duration),
    /// Its receive ring has only so many slots.
    RxRing(u32),
    /// The host sees received frames at multiples of this only: interrupts are held back.
    Coalesced(Duration),
}

impl NicTrouble {
    /// The verb of a plan's line, and what stands behind the time.
    pub(super) fn words(self) -> (&'static str, String) {
        match self {
            Self::TxStalled => ("tx-stalled", String::new()),
            Self::NoBuffers => ("no-buffers", String::new()),
            Self::LateCompletion(by) => ("late-completion", format!(" {}", exact(by))),
            Self::RxRing(slots) => ("rx-ring", format!(" {slots}")),
            Self::Coalesced(interval) => ("coalesced", format!(" {}", exact(interval))),
        }
    }

    /// What a line says; `None` where it is not about a NIC.
    pub(super) fn parse(verb: &str, rest: &[&str]) -> Option<Result<Self, String>> {
        Some(match (verb, rest) {
            ("tx-stalled", []) => Ok(Self::TxStalled),
            ("no-buffers", []) => Ok(Self::NoBuffers),
            ("late-completion", [by]) => span(by).map(Self::LateCompletion),
            ("rx-ring", [slots]) => number(slots).map(Self::RxRing),
            ("coalesced", [interval]) => match span(interval) {
                Ok(Duration::ZERO) => Err("an interval is at least 1ns".to_owned()),
                interval => interval.map(Self::Coalesced),
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any of them.
    pub fn any_trouble() -> impl Strategy<Value = NicTrouble> {
        prop_oneof![
            Just(NicTrouble::TxStalled),
            Just(NicTrouble::NoBuffers),
            any::<u64>().prop_map(|n| NicTrouble::LateCompletion(Duration::from_nanos(n))),
            any::<u32>().prop_map(NicTrouble::RxRing),
            (1_u64..).prop_map(|n| NicTrouble::Coalesced(Duration::from_nanos(n))),
        ]
    }
}
