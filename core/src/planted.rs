//! Bugs planted on purpose, to prove that the tests notice them (`cargo xtask bite`).
//!
//! A build with `--cfg planted` has them all and suffers from the one that `plant` names, for the whole process: this is
//! the one static of the core, and it exists in no other build. Without the cfg [`is`] is `false` at compile time, and
//! nothing of this is left.
//!
//! Each bug is planted in one place of at most five lines. `tests/conformance/CHECKLIST.md` says which tests it must fail.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident $id:literal,)*) => {
        /// A bug, with what it re-enacts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $name,)*
        }

        #[cfg(planted)]
        const IDS: &[(&str, Bug)] = &[$(($id, Bug::$name)),*];
    };
}

bugs! {
    /// Any RST in the window ends the connection (CVE-2004-0230; smoltcp does so).
    RstAnywhere "rst-anywhere",
    /// Old timestamps are no reason to drop a segment (RFC 7323 §5 is there for them; smoltcp has no PAWS).
    NoPaws "no-paws",
    /// A RST ends TIME-WAIT (RFC 1337; the default of Linux and gVisor).
    TimeWaitAssassinated "time-wait-assassinated",
    /// Every segment sets the send window, however old (smoltcp).
    WindowFromOldSegments "window-from-old-segments",
    /// Any MSS is believed (CVE-2019-11479).
    TinyMss "tiny-mss",
    /// A window scale above 14 is believed (RFC 7323 §2.3 forbids it).
    ScaleAbove14 "scale-above-14",
    /// The window of a SYN is scaled (RFC 7323 §2.2 forbids it).
    ScaledSynWindow "scaled-syn-window",
    /// A SYN on a connection is dropped in silence (RFC 5961 §4; smoltcp).
    SilentOnSyn "silent-on-syn",
    /// Nothing waits for Nagle's algorithm (RFC 9293 MUST-17 wants it by default).
    NoNagle "no-nagle",
    /// PSH is never set (RFC 9293 MUST-60).
    NoPush "no-push",
    /// close with unread data sends FIN (RFC 2525 §2.17).
    FinOverUnread "fin-over-unread",
    /// SACK blocks go to peers that did not offer SACK (RFC 2018 §2).
    SackUnasked "sack-unasked",
    /// Timeouts are not doubled (RFC 6298 §5.5; RFC 2525 §2.3).
    NoBackoff "no-backoff",
    /// An ACK of what was never sent is taken (RFC 9293 §3.10.7.4).
    AckOfTheFuture "ack-of-the-future",
    /// A listener does not answer an ACK (RFC 9293 §3.10.7.2).
    SilentListener "silent-listener",
    /// A segment without ACK is taken on a connection (RFC 9293 §3.10.7.4, fifth).
    NoAckNeeded "no-ack-needed",
    /// A segment out of order is not acknowledged at once (RFC 5681 §4.2).
    LazyDuplicateAcks "lazy-duplicate-acks",
    /// A FIN beyond a gap is forgotten, and not asked for again (RFC 9293 §3.10.7.4, eighth).
    ForgottenFin "forgotten-fin",
    /// The urgent pointer is that of the urgent byte itself (RFC 1122 §4.2.2.4 said so; RFC 6093 §3.1 took it back).
    UrgentPointsAtTheByte "urgent-points-at-the-byte",
    /// Keepalive probes never end a connection (smoltcp has no count).
    EndlessKeepalive "endless-keepalive",
}

#[cfg(planted)]
mod switch {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::{Bug, IDS};

    /// One more than the bug's number; zero for none.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Command: from now on the process suffers from the bug `id`. False when there is none of that name.
    pub fn plant(id: &str) -> bool {
        let found = IDS.iter().find(|(known, _)| *known == id);
        if let Some((_, bug)) = found {
            PLANTED.store(*bug as u8 + 1, Ordering::Relaxed);
        }
        found.is_some()
    }

    /// Getter: the process suffers from `bug`.
    pub fn is(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8 + 1
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
