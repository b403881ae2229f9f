//! Bugs planted on purpose, to prove that the tests notice them (`cargo xtask bite`).
//!
//! A build with `--cfg planted` has them all and suffers from the one that `plant` names, for the whole process: this is
//! the one static of the core, and it exists in no other build. Without the cfg [`is`] is `false` at compile time, and
//! nothing of this is left.
//!
//! Each bug is planted in one place of at most five lines. `tests/conformance/CHECKLIST.md` says which tests it must fail, and
//! `docs/planted.md` which the simulator's swarm finds. A file here has those of an area.

#[macro_use]
mod channel;
#[macro_use]
mod congestion;
#[macro_use]
mod connection;
#[macro_use]
mod engine;
#[macro_use]
mod machnet;
#[macro_use]
mod network;
#[macro_use]
mod recovery;
#[macro_use]
mod transfer;

/// Each file adds its bugs to the list and hands it to the next; this is the last one.
macro_rules! bugs {
    ([$($(#[$doc:meta])* $name:ident $id:literal,)*]) => {
        /// A bug, with what it re-enacts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $name,)*
        }

        #[cfg(planted)]
        const IDS: &[(&str, Bug)] = &[$(($id, Bug::$name)),*];
    };
}

connection! { transfer recovery congestion machnet network engine channel bugs [] }

#[cfg(planted)]
mod switch {
    use core::sync::atomic::{AtomicU16, Ordering};

    use super::{Bug, IDS};

    /// One more than the bug's number; zero for none.
    #[cfg(not(test))]
    static PLANTED: AtomicU16 = AtomicU16::new(0);

    /// Nobody plants in the core's own tests: `CAUSEWAY_PLANT` says which bug they suffer from.
    #[cfg(test)]
    static PLANTED: std::sync::LazyLock<AtomicU16> = std::sync::LazyLock::new(|| {
        let number = std::env::var("CAUSEWAY_PLANT").map_or(0, |id| {
            let found = IDS.iter().find(|(known, _)| *known == id);
            found.map_or_else(|| panic!("there is no bug `{id}`"), |(_, bug)| *bug as u16 + 1)
        });
        AtomicU16::new(number)
    });

    /// Command: from now on the process suffers from the bug `id`. False when there is none of that name.
    pub fn plant(id: &str) -> bool {
        let found = IDS.iter().find(|(known, _)| *known == id);
        if let Some((_, bug)) = found {
            PLANTED.store(*bug as u16 + 1, Ordering::Relaxed);
        }
        found.is_some()
    }

    /// Getter: the process suffers from `bug`.
    pub fn is(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u16 + 1
    }
}

#[cfg(planted)]
pub use switch::{is, plant};

/// Getter: false, in every build that anybody runs.
#[cfg(not(planted))]
#[inline(always)]
pub const fn is(_: Bug) -> bool {
    false
}
