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
    /// The loss of a probe that was too big cuts the window (RFC 4821 §7.6.2 forbids it).
    ProbeLossIsCongestion "probe-loss-is-congestion",
    /// The urgent pointer is that of the urgent byte itself (RFC 1122 §4.2.2.4 said so; RFC 6093 §3.1 took it back).
    UrgentPointsAtTheByte "urgent-points-at-the-byte",
    /// Keepalive probes never end a connection (smoltcp has no count).
    EndlessKeepalive "endless-keepalive",
    /// A RST for nobody is answered (RFC 9293 §3.10.7.1 says never).
    RstForRst "rst-for-rst",
    /// The RST for a segment without ACK acknowledges its beginning only.
    RstWithoutLen "rst-without-len",
    /// SYN-SENT takes an ACK of what was not sent (RFC 9293 §3.10.7.3, first).
    AnyAckInSynSent "any-ack-in-syn-sent",
    /// In SYN-SENT a RST without ACK refuses (RFC 9293 §3.10.7.3, second).
    RefusedByBareRst "refused-by-bare-rst",
    /// A SYN without ACK in SYN-SENT is dropped (RFC 9293 MUST-10).
    NoSimultaneousOpen "no-simultaneous-open",
    /// SYN-RECEIVED takes an unacceptable ACK (RFC 9293 §3.10.7.4, fifth).
    AnyAckInSynReceived "any-ack-in-syn-received",
    /// Bytes beyond the window are not cut off (RFC 9293 §3.10.7.4, first).
    PastTheWindow "past-the-window",
    /// An unacceptable segment is dropped without an ACK (RFC 9293 §3.10.7.4, first).
    SilentOnUnacceptable "silent-on-unacceptable",
    /// With a closed window nothing is acceptable (RFC 9293 MUST-66).
    DeafWithZeroWindow "deaf-with-zero-window",
    /// What lies beyond a window that shrank is not sent again (RFC 9293 SHLD-15).
    StrandedByTheWindow "stranded-by-the-window",
    /// After a half close nothing more is received (RFC 9293 §3.6).
    DeafAfterShutdown "deaf-after-shutdown",
    /// In CLOSING and LAST-ACK the FIN is not sent again.
    FinSentOnce "fin-sent-once",
    /// The FIN again does not begin 2 MSL anew (RFC 9293 §3.10.7.4, eighth).
    TimeWaitNotRestarted "time-wait-not-restarted",
    /// Any SYN begins anew in TIME-WAIT (RFC 6191 §2).
    ReopenedByOldSyn "reopened-by-old-syn",
    /// A closed connection waits for the peer for ever.
    EternalFinWait2 "eternal-fin-wait-2",
    /// An abort tells the peer nothing (RFC 9293 §3.10.5).
    SilentAbort "silent-abort",
    /// A SYN-ACK is not sent again.
    OneSynAck "one-syn-ack",
    /// The queue of accepted connections has no end.
    EndlessBacklog "endless-backlog",
    /// A RST reads like the end of the stream.
    ResetIsTheEnd "reset-is-the-end",
    /// Sequence numbers are compared like numbers (RFC 9293 §3.4).
    NoWrap "no-wrap",
    /// The checksum of TCP is not looked at.
    TcpSumUnchecked "tcp-sum-unchecked",
    /// The checksum of UDP is not looked at.
    UdpSumUnchecked "udp-sum-unchecked",
    /// What came by link-layer broadcast is taken like anything else (RFC 1122 §3.3.6).
    BroadcastForUs "broadcast-for-us",
    /// Data is sent again for ever.
    NeverGivesUp "never-gives-up",
    /// TCP_USER_TIMEOUT has no effect on data.
    NoUserTimeout "no-user-timeout",
    /// An ICMP error ends an established connection (RFC 5461 §4.2).
    IcmpEndsConnections "icmp-ends-connections",
    /// The announced MSS is reduced by the options (RFC 6691).
    MssLessOptions "mss-less-options",
    /// A full segment does not leave room for its options.
    OptionsNotCounted "options-not-counted",
    /// Our scale is used though the peer offers none (RFC 7323 §2.2).
    OneSidedScale "one-sided-scale",
    /// The right window edge moves back (RFC 9293 SHLD-14).
    EdgeGoesBack "edge-goes-back",
    /// Each byte that is read opens the window (RFC 9293 MUST-39).
    SillyReceiver "silly-receiver",
    /// Every window is filled, however small (RFC 9293 MUST-38).
    SillySender "silly-sender",
    /// The second full segment waits for the timer (RFC 9293 SHLD-19).
    AckByTimerOnly "ack-by-timer-only",
    /// A closed window is not probed (RFC 9293 MUST-36).
    NoPersist "no-persist",
    /// A window that opens is not told (RFC 9293 §3.8.6.2.2).
    NoWindowUpdate "no-window-update",
    /// After a lost SYN data begins with 1 s (RFC 6298 §5.7).
    EagerAfterLostSyn "eager-after-lost-syn",
    /// The variation is no part of the timeout (RFC 6298 §2.3).
    NoVariation "no-variation",
    /// A reduction is never undone.
    NoUndo "no-undo",
    /// The initial window is twenty segments (RFC 6928 §2 allows ten).
    InitialWindow20 "initial-window-20",
    /// Slow start grows by a segment for each ACK (RFC 3465 counts bytes).
    AcksCounted "acks-counted",
    /// Reno grows as in slow start always (RFC 5681 §3.1).
    AlwaysSlowStart "always-slow-start",
    /// A window that is not used grows (RFC 7661).
    UnusedWindowGrows "unused-window-grows",
    /// After idle the whole window leaves at once (RFC 5681 §4.1).
    BurstAfterIdle "burst-after-idle",
    /// The fifth duplicate means a loss, not the third (RFC 5681 §3.2).
    FiveDuplicates "five-duplicates",
    /// The first two duplicates let nothing out (RFC 3042).
    NoLimitedTransmit "no-limited-transmit",
    /// A partial ACK sends nothing again (RFC 6582 §3.2 step 3).
    PartialAckWaits "partial-ack-waits",
    /// The first SACK block is not of what arrived last (RFC 2018 §4).
    OldestBlockFirst "oldest-block-first",
    /// Duplicates are not reported (RFC 2883).
    NoDsack "no-dsack",
    /// Stragglers are not waited for by a timer (RFC 8985 §6.3).
    NoReorderTimer "no-reorder-timer",
    /// A lost retransmission is found by a timeout only.
    LostTwiceUnseen "lost-twice-unseen",
    /// There is no tail loss probe (RFC 8985 §7).
    NoTailProbe "no-tail-probe",
    /// Recovery begins with a burst up to the old window.
    NoProportion "no-proportion",
    /// A timeout leaves the window as it is (RFC 5681 §3.1).
    WindowSurvivesTimeout "window-survives-timeout",
    /// CUBIC halves its window (RFC 9438 §4.6 wants 0.7).
    HalvingCubic "halving-cubic",
    /// TS.Recent is of whatever came last (RFC 7323 §4.3).
    EchoOfTheLatest "echo-of-the-latest",
    /// TSval does not move.
    ClockStands "clock-stands",
    /// Data comes in with an ACK however old (RFC 5961 §5.2).
    AncientAcks "ancient-acks",
    /// A connection challenges without limit (RFC 5961 §7).
    EndlessChallenges "endless-challenges",
    /// Each second has the same number of challenges (CVE-2016-5696).
    CountableChallenges "countable-challenges",
    /// Initial sequence numbers are the clock (RFC 6528).
    GuessableIsn "guessable-isn",
    /// A closed connection probes a shut window, and sends again, for ever (RFC 6429).
    EndlessOrphan "endless-orphan",
    /// Neighbour discovery in fragments is believed (RFC 6980).
    NdpInPieces "ndp-in-pieces",
    /// Redirects to a router that is gone are followed (RFC 4861 §7.3.3).
    RedirectedForEver "redirected-for-ever",
    /// A FIN beyond a gap is not in the SACK block before it (RFC 2018 §3).
    FinNotSacked "fin-not-sacked",
    /// Data leaves without the SACK blocks that it has room for (RFC 2018 §4).
    NoSackOnData "no-sack-on-data",
    /// Questions about strangers push neighbours in use out (RFC 6583).
    StrangersFirst "strangers-first",
    /// What has to be cut below 552 bytes has DF (RFC 791).
    NeverCut "never-cut",
    /// Ports follow each other (RFC 6056).
    NeighbouringPorts "neighbouring-ports",
    /// Any number is a cookie (RFC 4987 §3.6).
    EveryCookieGood "every-cookie-good",
    /// Any number of gaps is remembered (CVE-2018-5390).
    EndlessGaps "endless-gaps",
    /// Of overlapping bytes the last stay.
    LastBytesWin "last-bytes-win",
    /// A path may carry as little as a router says (RFC 1191 §3).
    PmtuWithoutFloor "pmtu-without-floor",
    /// "Too big" is believed whatever it quotes (RFC 5927 §7.2).
    PmtuFromAnybody "pmtu-from-anybody",
    /// The checksum of the IPv4 header is not looked at.
    IpSumUnchecked "ip-sum-unchecked",
    /// Source routes are options like others (RFC 7126 §4.3).
    SourceRoutes "source-routes",
    /// Any source is believed (RFC 1122 §3.2.1.3).
    Martians "martians",
    /// Every datagram has the same identification (RFC 6864).
    OneIdentification "one-identification",
    /// A routing header is passed over (RFC 5095).
    RoutingHeaders "routing-headers",
    /// An echo reply lacks the request's last byte (RFC 1122 §3.2.2.6).
    EchoCutShort "echo-cut-short",
    /// UDP without a checksum is taken over IPv6 (RFC 8200 §8.1).
    ZeroSumInV6 "zero-sum-in-v6",
    /// What is overheard makes an entry (RFC 826 merges only).
    LearnsFromAnybody "learns-from-anybody",
    /// Data on a SYN-ACK is acknowledged, and dropped.
    SynAckDataLost "syn-ack-data-lost",
    /// A SYN-ACK for a connection that is gone is not reset.
    LateSynAckIgnored "late-syn-ack-ignored",
    /// Of duplicate options the first counts.
    FirstOptionWins "first-option-wins",
    /// A segment that was sent twice gives a sample (Karn).
    NoKarn "no-karn",
    /// After a timeout what the peer holds is sent again too.
    SackForgotten "sack-forgotten",
    /// Any number of ranges that the peer holds is remembered (CVE-2019-11478).
    EndlessRanges "endless-ranges",
    /// Timestamps are sent to a peer that offered none (RFC 7323 §3.2).
    OneSidedTimestamps "one-sided-timestamps",
    /// An ACK with ECE makes the window grow before it is reduced (RFC 3168 §6.1.2).
    GrowsWithEce "grows-with-ece",
    /// Fragments may overlap (CVE-1999-0015, teardrop).
    OverlapsTaken "overlaps-taken",
    /// One sender may fill the memory for fragments (CVE-2018-5391).
    OneSenderTakesAll "one-sender-takes-all",
    /// The chain of headers may be spread over fragments (RFC 7112 §5).
    ChainInPieces "chain-in-pieces",
    /// Pieces have any length (RFC 791 §3.2 wants multiples of 8).
    OddPieces "odd-pieces",
    /// ICMP errors are sent at any rate (RFC 1812 §4.3.2.8).
    EndlessErrors "endless-errors",
    /// Receive windows stay as they begin (checklist 47).
    FixedWindow "fixed-window",
    /// The echo of the first SYN,ACK is a round trip, although it was sent again (RFC 6298 §3, Karn's algorithm).
    EchoOfTheFirst "echo-of-the-first",
    /// Any Fast Open cookie is good (RFC 7413 §5.1: data from forged addresses).
    AnyCookie "any-cookie",
}

#[cfg(planted)]
mod switch {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::{Bug, IDS};

    /// One more than the bug's number; zero for none.
    #[cfg(not(test))]
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Nobody plants in the core's own tests: `CAUSEWAY_PLANT` says which bug they suffer from.
    #[cfg(test)]
    static PLANTED: std::sync::LazyLock<AtomicU8> = std::sync::LazyLock::new(|| {
        let number = std::env::var("CAUSEWAY_PLANT").map_or(0, |id| {
            let found = IDS.iter().find(|(known, _)| *known == id);
            found.map_or_else(|| panic!("there is no bug `{id}`"), |(_, bug)| *bug as u8 + 1)
        });
        AtomicU8::new(number)
    });

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
