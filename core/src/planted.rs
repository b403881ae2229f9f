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
    /// ECE counts though nobody agreed on ECN (RFC 3168 §6.1.1).
    EceUnasked "ece-unasked",
    /// Reserved bits are not zero (RFC 9293 §3.1).
    ReservedBitsSent "reserved-bits-sent",
    /// A segment with reserved bits is dropped (RFC 9293 §3.1: ignored; RFC 3168 was kept out so).
    ReservedBitsRefused "reserved-bits-refused",
    /// A corked tail waits for ever (tcp(7): 200 ms).
    CorkForEver "cork-for-ever",
    /// BBR does not leave Startup when the bandwidth grows no more.
    StartupForEver "startup-for-ever",
    /// BBR does not drain the queue of Startup.
    NoDrain "no-drain",
    /// BBR never probes for more bandwidth.
    NoProbeUp "no-probe-up",
    /// BBR never empties the path to see its round trip.
    NoProbeRtt "no-probe-rtt",
    /// BBR bounds nothing that is in flight by what loss has told.
    InflightUncapped "inflight-uncapped",
    /// BBR takes any share of loss for harmless (2 % is the bound of its draft).
    LossMeansNothing "loss-means-nothing",
    /// Nothing waits for its release time.
    Unpaced "unpaced",
    /// A quantum is as much as a NIC takes at once.
    GreatQuantum "great-quantum",
    /// A loss leaves a quarter of the window, and the link idle.
    QuarterWindow "quarter-window",
    /// A change of the mark waits for the next acknowledgement (RFC 8257 §3.2).
    MarksToldLate "marks-told-late",
    /// DCTCP halves its window whatever the share of marks (RFC 8257 §3.3).
    AlphaIsOne "alpha-is-one",
    /// DCTCP believes the last window alone (g is 1/16, RFC 8257 §4.2).
    QuickAlpha "quick-alpha",
    /// DCTCP answers a loss as it does a mark (RFC 8257 §3.5).
    LossByAlpha "loss-by-alpha",
    /// What was learned of a path is never forgotten (RFC 1191 §6.3).
    PmtuForEver "pmtu-for-ever",
    /// What a connection learns of a path is lost with it.
    PmtuOfNobody "pmtu-of-nobody",
    /// What no socket sends is as long as the link allows, whatever is known of the path (RFC 8201 §4).
    RepliesOfAnySize "replies-of-any-size",
    /// An address comes into use without a word (RFC 5227 §2.3).
    UnannouncedAddress "unannounced-address",
    /// An IPv4 address is used at once, though everybody was to be asked first (RFC 5227 §2.1).
    Ipv4Unprobed "ipv4-unprobed",
    /// An IPv4 address is used though somebody else has it (RFC 5227 §2.1.1).
    Ipv4DuplicateUsed "ipv4-duplicate-used",
    /// An address is not defended (RFC 5227 §2.4).
    UndefendedAddress "undefended-address",
    /// Every claim is answered: two that defend flood the link (RFC 5227 §2.4 c).
    EndlessDefence "endless-defence",
    /// An answer counts only in the states that wait for one (RFC 4861 §7.2.5).
    AnswersDoubted "answers-doubted",
    /// Fragments that cannot be are dropped without a word (RFC 8200 §4.5).
    BadFragmentsUntold "bad-fragments-untold",
    /// What is said to all changes no entry (RFC 826 merges).
    GratuitousIgnored "gratuitous-ignored",
    /// Neighbour discovery is believed from beyond the link (RFC 4861 §6.1, §7.1).
    NdpThroughRouters "ndp-through-routers",
    /// An option of length zero is taken for the last one (RFC 4861 §4.6).
    EmptyNdpOption "empty-ndp-option",
    /// The checksum of ICMPv6 is not looked at (RFC 4443 §2.3).
    Icmpv6SumUnchecked "icmpv6-sum-unchecked",
    /// Any advertisement replaces what is known (RFC 4861 §7.2.5: with the override flag).
    EveryAdvertOverrides "every-advert-overrides",
    /// A neighbour that was reached once is never asked again (RFC 4861 §7.3).
    NeverUnreachable "never-unreachable",
    /// Any router may redirect (RFC 4861 §8.1: the one in use).
    RedirectsFromAnybody "redirects-from-anybody",
    /// Any address may advertise a router (RFC 4861 §6.1.2: link-local ones).
    RoutersFromAfar "routers-from-afar",
    /// A neighbour is asked for by all stations, not by its solicited-node group (RFC 4861 §7.2.2).
    AsksEverybody "asks-everybody",
    /// An address is used without asking who has it (RFC 4862 §5.4).
    NoDad "no-dad",
    /// An address that somebody has is used all the same (RFC 4862 §5.4.5).
    DuplicateUsed "duplicate-used",
    /// A router may end an address at once (RFC 4862 §5.5.3 e: not below two hours).
    LifetimesCut "lifetimes-cut",
    /// No address is ever deprecated (RFC 4862 §5.5.4).
    PreferredForEver "preferred-for-ever",
    /// The interface identifier is the same on every network (RFC 7217 is there against it).
    SameIdentifier "same-identifier",
    /// Routers are asked for once (RFC 4861 §6.3.7: three times).
    AsksOnce "asks-once",
    /// A router that is silent stays in use (RFC 4861 §6.3.6).
    OneRouter "one-router",
    /// A router may name any MTU (RFC 8200 §5: 1280 at least; RFC 4861 §6.3.4).
    AnyMtu "any-mtu",
    /// Every prefix is on the link (RFC 4861 §6.3.4: with the L flag).
    PrefixOnLink "prefix-on-link",
    /// Name servers are not told to anybody (RFC 8106 §6.1).
    NoResolvers "no-resolvers",
    /// No router learns which groups are listened to (RFC 3810 §6.1).
    UnreportedGroups "unreported-groups",
    /// Packets are sent from the first address (RFC 6724 §5).
    FirstSource "first-source",
    /// The flow label stays when the path seems dead (RFC 6437 §3).
    OneLabel "one-label",
    /// What the NIC knows of checksums is not used.
    NicUnheard "nic-unheard",
    /// TCP_MAXSEG bounds nothing.
    MaxsegIgnored "maxseg-ignored",
    /// A loss reduces no window of over sixty segments: who came first keeps the link.
    GreedyWindow "greedy-window",
    /// Frames of any VLAN are taken (IEEE 802.1Q §6.9).
    AnyVlan "any-vlan",
    /// No segment is longer than an ordinary frame holds, whatever the link carries.
    ShortFrames "short-frames",
    /// MSG_MORE holds nothing back.
    MoreIgnored "more-ignored",
    /// TCP_NOTSENT_LOWAT holds nobody up.
    LowWaterIgnored "low-water-ignored",
    /// TCP_INQ says nothing of the FIN (tcp(7)).
    InqOfTheBuffer "inq-of-the-buffer",
    /// The RST for a segment with ACK has the sequence number zero (RFC 9293 §3.10.7.1).
    RstFromZero "rst-from-zero",
    /// A listener takes a RST with ACK for an ACK (RFC 9293 §3.10.7.2, first).
    RstAtAListener "rst-at-a-listener",
    /// A listener takes SYN with FIN.
    ListenerTakesFin "listener-takes-fin",
    /// In SYN-SENT a RST with a bad ACK is answered with RST (RFC 9293 §3.10.7.3, first).
    ResetOfAReset "reset-of-a-reset",
    /// A refusal is ECONNRESET (RFC 9293 §3.10.7.3, second: "connection refused").
    RefusalIsAReset "refusal-is-a-reset",
    /// Data of any SYN is delivered at once (RFC 9293 §3.10.7.2 queues it).
    SynDataTaken "syn-data-taken",
    /// Data on the ACK that completes the handshake is acknowledged, and dropped.
    ThirdAckDataLost "third-ack-data-lost",
    /// A half-open connection does not hear RST (RFC 9293 §3.10.7.4, second).
    DeafInSynReceived "deaf-in-syn-received",
    /// A backlog of nothing is one of 1 (Linux's queue of listen(0) holds one).
    BacklogOfOne "backlog-of-one",
    /// listen() again leaves the backlog of a listener as it was.
    FirstBacklogStays "first-backlog-stays",
    /// TCP_DEFER_ACCEPT: whoever has acknowledged the SYN,ACK is asked again all the same.
    DeferredIsAskedAgain "deferred-is-asked-again",
    /// A SYN that comes again is left to the timer (RFC 9293 §3.10.7.4, fourth).
    SynAgainIgnored "syn-again-ignored",
    /// In SYN-RECEIVED of a passive open another SYN is challenged (RFC 9293 §3.10.7.4, fourth).
    OtherSynChallenged "other-syn-challenged",
    /// A SYN,ACK completes the handshake of a passive open (RFC 9293 §3.10.7.4, first: it is outside of the window).
    SynAckCompletes "syn-ack-completes",
    /// Any empty segment is acceptable to a closed window (RFC 9293 table 6).
    EmptyAtAClosedWindow "empty-at-a-closed-window",
    /// Any empty segment is acceptable (RFC 9293 table 6).
    EmptyAnywhere "empty-anywhere",
    /// A peer that has filled the window is not heard (two full windows that are lost together stall both ends).
    DeafAtTheRightEdge "deaf-at-the-right-edge",
    /// A segment that begins before the window is not acceptable (RFC 9293 table 6).
    OnlyWhatBeginsInside "only-what-begins-inside",
    /// A RST outside of the window is answered (RFC 9293 §3.10.7.4, first).
    AcknowledgesAnyRst "acknowledges-any-rst",
    /// A segment with an ACK of the future sets window and TS.Recent (RFC 9293 §3.10.7.4 drops it).
    FutureAcksCount "future-acks-count",
    /// A FIN beyond a gap is told as the end (RFC 9293 §3.10.7.4, eighth).
    FinBeforeItsTurn "fin-before-its-turn",
    /// Text beyond the FIN is taken.
    TextAfterFin "text-after-fin",
    /// In CLOSE-WAIT nothing is sent (RFC 9293 §3.10.2).
    MuteInCloseWait "mute-in-close-wait",
    /// A FIN in FIN-WAIT-1 leads to TIME-WAIT, whether ours is acknowledged or not (RFC 9293 figure 5).
    NoClosing "no-closing",
    /// TIME-WAIT lasts one MSL (RFC 9293 §3.6.1: two).
    ShortTimeWait "short-time-wait",
    /// No SYN ends TIME-WAIT (RFC 6191).
    TimeWaitNeverReopens "time-wait-never-reopens",
    /// A port is taken from TIME-WAIT at once, whatever is said of how long it keeps it.
    TimeWaitReusedAtOnce "time-wait-reused-at-once",
    /// Nobody listens where a connection is in TIME-WAIT, SO_REUSEADDR or not.
    ReuseIgnored "reuse-ignored",
    /// Data for a socket that is closed is acknowledged (RFC 9293 §3.6.1, RFC 2525 §2.17).
    LateDataTaken "late-data-taken",
    /// Without SACK, what is acknowledged along with a retransmission counts as the original's arrival.
    HeldTakenForOriginal "held-taken-for-original",
    /// Data in TIME-WAIT gets no answer.
    LateDataInSilence "late-data-in-silence",
    /// A tail loss probe goes out beyond a window that was taken back.
    ProbesBeyondTheWindow "probes-beyond-the-window",
    /// A peer that shows a stale connection on our port makes us wait for the timer of the SYN.
    StalePeerWaits "stale-peer-waits",
    /// close returns at once, SO_LINGER or not.
    LingerDoesNotWait "linger-does-not-wait",
    /// close in SYN-SENT sends RST (RFC 9293 §3.10.4: nothing).
    ResetOfASyn "reset-of-a-syn",
    /// Any number of connections is half-open (CERT CA-1996-21).
    EndlessHalfOpen "endless-half-open",
    /// A RST in CLOSING or LAST-ACK is an error (RFC 9293 §3.10.7.4, second: the stream is complete).
    LateResetIsAnError "late-reset-is-an-error",
    /// Any number of connections takes data from a SYN (RFC 7413 §5.1).
    EndlessFastOpens "endless-fast-opens",
    /// Offsets in a stream have 32 bits.
    StreamOfFourGibibytes "stream-of-four-gibibytes",
    /// No window is greater than 65,535 bytes (RFC 7323 §2 is there for them).
    WindowOfSixteenBits "window-of-sixteen-bits",
    /// An option that is not known ends them all (RFC 9293 MUST-6).
    UnknownOptionEnds "unknown-option-ends",
    /// An option of length 0 or 1 counts as one of two bytes (RFC 9293 MUST-7).
    OptionOfNoLength "option-of-no-length",
    /// The checksum of ICMP is not looked at (RFC 1122 §3.2.2).
    IcmpSumUnchecked "icmp-sum-unchecked",
    /// What seems to come from ourselves is taken (CVE-1999-0016, LAND).
    LandTaken "land-taken",
    /// A SYN is sent again for ever (RFC 9293 MUST-23 sets R2).
    SynForEver "syn-for-ever",
    /// TCP_USER_TIMEOUT does not count for keepalive (tcp(7)).
    ProbesCountedAnyway "probes-counted-anyway",
    /// ICMP errors do not end an attempt to connect (RFC 5461 §4.1).
    IcmpUnheard "icmp-unheard",
    /// Nobody is told of urgent data (RFC 9293 MUST-32).
    UrgentUntold "urgent-untold",
    /// A pointer into what was received is news.
    OldPointersCount "old-pointers-count",
    /// A peer without the option is sent 1460 bytes (RFC 9293 MUST-15: 536).
    NoMssMeans1460 "no-mss-means-1460",
    /// A peer without the option is sent 536 bytes over IPv6 too (RFC 9293 MUST-15: 1220).
    NoMssMeans536Everywhere "no-mss-means-536-everywhere",
    /// An MSS of zero is one.
    ZeroMssBelieved "zero-mss-believed",
    /// What the scale cuts off the window loses (RFC 7323 §2.4).
    WindowRoundedDown "window-rounded-down",
    /// What sender silly window avoidance holds back stays so (RFC 9293 §3.8.6.2.1 has a timer).
    NoOverride "no-override",
    /// TCP_NODELAY changes nothing (RFC 9293 MUST-17).
    NodelayIgnored "nodelay-ignored",
    /// An acknowledgement is delayed for a second (RFC 9293 MUST-40: half of one at most).
    AckAfterASecond "ack-after-a-second",
    /// What fills a gap is acknowledged like anything else (RFC 5681 §4.2: at once).
    GapFillWaits "gap-fill-waits",
    /// The acknowledgement of a FIN waits (RFC 9293 §3.10.7.4, eighth).
    FinAckedLate "fin-acked-late",
    /// The first segments wait for the second, or the timer (Linux acknowledges them at once).
    NoQuickAcks "no-quick-acks",
    /// A pause does not bring quick acknowledgements back (Linux's tcp_event_data_recv).
    PausesForgotten "pauses-forgotten",
    /// What came before does not bring quick acknowledgements back (Linux's tcp_enter_quickack_mode).
    DuplicatesAckedOnce "duplicates-acked-once",
    /// The delayed-acknowledgement timer does not end an interactive phase (Linux's tcp_delack_timer_handler).
    AlwaysInteractive "always-interactive",
    /// The delay of acknowledgements is always the least (Linux adapts it).
    DelayStands "delay-stands",
    /// An acknowledgement waits however soon its timer expires (Linux's tcp_send_delayed_ack).
    NearTimerWaits "near-timer-waits",
    /// A closed window is probed at one pace (RFC 9293 SHLD-30).
    SteadyProbes "steady-probes",
    /// A closed window ends a connection, though its probes are answered (RFC 9293 MUST-37, RFC 6429).
    AnsweredProbesCount "answered-probes-count",
    /// Keepalive is on by default (RFC 9293 MUST-25: off).
    KeepaliveByDefault "keepalive-by-default",
    /// A connection is probed though it is not idle (RFC 9293 MUST-26).
    KeepaliveInHaste "keepalive-in-haste",
    /// A probe has the next sequence number, which needs no answer (RFC 9293 §3.8.4).
    ProbeAtSndNxt "probe-at-snd-nxt",
    /// What comes without PSH is not delivered (RFC 9293 §3.9.1.2).
    WaitsForPush "waits-for-push",
    /// All connections together may hold any amount.
    MemoryWithoutLimit "memory-without-limit",
    /// The first timeout is 3 s (RFC 6298 §2.1: one).
    FirstTimeout3S "first-timeout-3-s",
    /// A SYN that was sent again tells no round trip, though its timestamp comes back (RFC 7323 §4).
    EchoOfTheSynUnread "echo-of-the-syn-unread",
    /// SRTT is the last sample (RFC 6298 §2.3).
    LastSampleCounts "last-sample-counts",
    /// The timeout has no minimum (RFC 6298 §2.4).
    NoLeastTimeout "no-least-timeout",
    /// The timeout has no maximum (RFC 6298 §2.5).
    NoLongestTimeout "no-longest-timeout",
    /// Echoes of timestamps tell no round trip (RFC 7323 §4).
    EchoesUnread "echoes-unread",
    /// What is sent starts no timer (RFC 6298 §5.1).
    TimerNeverStarts "timer-never-starts",
    /// An acknowledgement of new data does not start the timer anew (RFC 6298 §5.3).
    TimerNotRestarted "timer-not-restarted",
    /// A valid sample does not end the backoff (RFC 6298 §5.7).
    BackoffStays "backoff-stays",
    /// There is no F-RTO (RFC 5682).
    NoFRto "no-f-rto",
    /// Echoes do not tell late segments from lost ones (RFC 3522).
    NoEifel "no-eifel",
    /// Duplicates that the peer reports undo nothing (RFC 3708).
    NoDsackUndo "no-dsack-undo",
    /// After a lost SYN the initial window is the usual one (RFC 5681 §3.1: one segment).
    LostSynForgotten "lost-syn-forgotten",
    /// Slow start grows by half of what is acknowledged (RFC 5681 §3.1).
    SlowStartCreeps "slow-start-creeps",
    /// tcp_slow_start_after_idle has no effect.
    RestartsAnyway "restarts-anyway",
    /// The threshold may fall to nothing (RFC 5681 §3.1: two segments at least).
    ThresholdOfNothing "threshold-of-nothing",
    /// A duplicate that the network made undoes a reduction (RFC 3708 §2).
    AnyDsackUndoes "any-dsack-undoes",
    /// The next window probe goes by when the last one went, not by its answer.
    ProbesInHaste "probes-in-haste",
    /// A loss that was none takes back what an echo of congestion reduced (RFC 4015 §3.2).
    EchoUndone "echo-undone",
    /// The probe of several small segments waits as that of a lone one (RFC 8985 §7.2).
    SmallOnesAreOne "small-ones-are-one",
    /// A peer that takes its window back and answers is given up after so many retransmissions (RFC 9293 §3.8.6.1).
    ShutWindowIsLoss "shut-window-is-loss",
    /// SACK blocks do not put off the timeout of what was sent again.
    SackedInVain "sacked-in-vain",
    /// Duplicate acknowledgements of a peer without SACK deliver nothing (tcpi_delivered).
    DuplicatesNotDelivered "duplicates-not-delivered",
    /// The acknowledgement that ends a recovery lets the window grow by nothing.
    LastGrowsNothing "last-grows-nothing",
    /// After a timeout duplicates of a peer without SACK say nothing (RFC 5682 2.1 step 3a).
    DeafInLoss "deaf-in-loss",
    /// A segment that is acknowledged in part counts as delivered.
    PartIsASegment "part-is-a-segment",
    /// What comes after the peer took back what it held has overtaken something.
    RenegedOvertaken "reneged-overtaken",
    /// Of two duplicates in one segment the one beyond a gap is told (RFC 2883 4).
    UpperDuplicateTold "upper-duplicate-told",
    /// What comes beyond a gap again is not counted again (tcpi_rcv_ooopack).
    LateTwiceCountsOnce "late-twice-counts-once",
    /// The acknowledgement of the FIN that ended a connection is missing in its figures.
    LastAckUncounted "last-ack-uncounted",
    /// The figures of a connection are gone once it has ended.
    FiguresForgotten "figures-forgotten",
    /// Stragglers are waited for as long as what left with the newest that arrived (RFC 8985 6.2 step 5).
    StragglersWaitLong "stragglers-wait-long",
    /// Of a peer that took back what it held, only what had its time is lost (RFC 2018 8).
    RenegedInPart "reneged-in-part",
    /// What may have been the original's arrival hides what arrived for certain (RFC 8985 §6.2 step 2).
    DoubtHidesTheCertain "doubt-hides-the-certain",
    /// What a peer says that takes back what it held is believed to tell of losses (RFC 2018 §8).
    RenegedJudged "reneged-judged",
    /// A recovery that a timer begins has nothing that clocks it (RFC 9937).
    TimerClocksNothing "timer-clocks-nothing",
    /// The timers of probe and timeout go on while stragglers are waited for (RFC 8985 §8).
    TimersRace "timers-race",
    /// What undoes a reduction restarts the retransmission timer, though it acknowledges nothing (RFC 6298 5.3).
    UndoRestartsTimers "undo-restarts-timers",
    /// A FIN that comes again is not told as a duplicate (RFC 2883 §4).
    FinAgainUntold "fin-again-untold",
    /// Data that was waited for is taken for the answer to the SYN,ACK (RFC 6298 3).
    DataAnswersTheSyn "data-answers-the-syn",
    /// The user timeout ends a connection that waits for data (TCP_DEFER_ACCEPT).
    SpansBurnAtOnce "spans-burn-at-once",
    /// A FIN leaves before the handshake of a Fast Open is done (RFC 9293 §3.10.4).
    FinOfAChildEarly "fin-of-a-child-early",
    /// A tail loss probe counts as a retransmission under way (tcpi_retrans).
    ProbeIsRetransmission "probe-is-retransmission",
    /// Without SACK duplicates count however few segments are in flight.
    EveryDuplicateCounts "every-duplicate-counts",
    /// Without SACK a recovery is over when all of its window is acknowledged, and nothing beyond (RFC 6582 §3.2).
    OverTooSoon "over-too-soon",
    /// Duplicates of a window that was treated begin another recovery (RFC 6582 §3.2 step 1).
    TreatedAgain "treated-again",
    /// Two SACK blocks are told at most (RFC 2018 §4: as many as fit).
    TwoBlocks "two-blocks",
    /// Blocks that touch are told as two (RFC 2018 §3).
    BlocksNeverMeet "blocks-never-meet",
    /// A duplicate beyond a gap is not reported (RFC 2883 §4.2).
    DsackBelowOnly "dsack-below-only",
    /// What the peer holds counts as in the network (RFC 6675 §4).
    PipeCountsTheSacked "pipe-counts-the-sacked",
    /// Blocks of a late acknowledgement are not looked at (RFC 6675 §2).
    LateBlocksIgnored "late-blocks-ignored",
    /// A peer that takes back what it held is believed (RFC 2018 §8).
    RenegingUnseen "reneging-unseen",
    /// A block of anything is believed (RFC 2018 §4).
    AnyBlockCounts "any-block-counts",
    /// What left before something that has arrived is lost, as soon as that has (RFC 8985 §6.2).
    RackWithoutTime "rack-without-time",
    /// There is no reordering window (RFC 8985 §6.2 step 4).
    NoReorderingWindow "no-reordering-window",
    /// The reordering window stays, whatever the peer reports (RFC 8985 §6.2 step 4).
    WindowNotWidened "window-not-widened",
    /// A lone segment is probed before its acknowledgement can have come (RFC 8985 §7.2).
    LoneProbeInHaste "lone-probe-in-haste",
    /// A loss that the probe repaired has no consequence (RFC 8985 §7.4).
    RepairedUnseen "repaired-unseen",
    /// Below the threshold as much is sent as that allows, in one burst (RFC 9937 §6).
    UnboundedRate "unbounded-rate",
    /// Each timeout of one flight reduces the threshold (RFC 5681 §3.1: the first).
    ThresholdEachTime "threshold-each-time",
    /// C is 0.8 (RFC 9438 §5: 0.4).
    SteepCubic "steep-cubic",
    /// CUBIC has no Reno-friendly region (RFC 9438 §4.3).
    SlowerThanReno "slower-than-reno",
    /// A flow that did not get back to where it was gives no way (RFC 9438 §4.7).
    NoFastConvergence "no-fast-convergence",
    /// Slow start ends with a loss only (RFC 9406).
    NoHystart "no-hystart",
    /// A SYN-ACK that reflects our bits grants ECN (RFC 3168 §6.1.1).
    ReflectionGrants "reflection-grants",
    /// What is sent again is ECN-capable (RFC 3168 §6.1.5).
    EverythingIsEct "everything-is-ect",
    /// Each echo reduces the window (RFC 3168 §6.1.2: once a round trip).
    ReducedByEachEcho "reduced-by-each-echo",
    /// A SYN that is sent again asks for ECN again (RFC 3168 §6.1.1.1).
    AsksAgain "asks-again",
    /// Acknowledgements carry no timestamps (RFC 7323 §3.2).
    BareAcksWithout "bare-acks-without",
    /// A segment without the agreed timestamps is dropped, whatever the policy.
    TimestampsDemanded "timestamps-demanded",
    /// A RST needs a timestamp, and a new one (RFC 7323 §5.2: none).
    PawsForRst "paws-for-rst",
    /// TS.Recent is believed however old it is (RFC 7323 §5.5).
    PawsForEver "paws-for-ever",
    /// A timestamp of 0 on the SYN is compared with what follows.
    ZeroIsATime "zero-is-a-time",
    /// All timestamps are of one clock, which tells how long the host is up (RFC 7323 §5.4).
    OffsetForAll "offset-for-all",
    /// A RST carries no timestamps (RFC 7323 §3.2: it should).
    ResetWithout "reset-without",
    /// A RST in the window is dropped in silence (RFC 5961 §3.2: challenged).
    RstInSilence "rst-in-silence",
    /// Initial sequence numbers of a four-tuple are always the same (RFC 6528 §3).
    IsnWithoutClock "isn-without-clock",
    /// A port is taken though its connection is still there.
    TakenPortsAgain "taken-ports-again",
    /// A SYN beyond the queue gets no answer (RFC 4987 §3.6).
    NoCookies "no-cookies",
    /// A cookie keeps nothing of the options.
    CookieOfNoOptions "cookie-of-no-options",
    /// A cookie is not kept (RFC 7413 §4.1.3).
    CookieForgotten "cookie-forgotten",
    /// Data on a SYN that was not taken waits for the timer (RFC 7413 §4.2.2).
    SynDataNotResent "syn-data-not-resent",
    /// A SYN that is sent again carries cookie and data again (RFC 7413 §4.1.3.1).
    DataOnEverySyn "data-on-every-syn",
    /// A SYN with data that a router says was too big waits for its timer (RFC 1191 §6.4).
    SynTooBigWaits "syn-too-big-waits",
    /// Reading what came with a SYN sends a window update although nobody waits for one.
    UpdateForSynData "update-for-syn-data",
    /// Data on the SYN,ACK of Fast Open is not taken (RFC 7413 §4.2.2).
    SynAckDataWaits "syn-ack-data-waits",
    /// A SYN,ACK may echo any timestamp (Linux refuses those of no SYN of ours).
    AnyEchoInSynSent "any-echo-in-syn-sent",
    /// What is sent again does not stop at the peer's window (RFC 9293 §3.8.6).
    ResentPastTheWindow "resent-past-the-window",
    /// The window of a segment that the peer sends again is not taken, though it acknowledges more.
    WindowOfARepetitionUnheard "window-of-a-repetition-unheard",
    /// FIN leaves with data that fills the window, beyond its edge (RFC 9293 §3.8.6).
    FinBeyondTheWindow "fin-beyond-the-window",
    /// A FIN in its turn is no end if anything was received beyond it.
    ContradictedFinIgnored "contradicted-fin-ignored",
    /// A window that is smaller than a segment, since segments grew, sends nothing ever again.
    WindowBelowASegment "window-below-a-segment",
    /// TCP may be fragmented on the way (RFC 1191 §3).
    DfNotSet "df-not-set",
    /// "Too big" changes nothing (a black hole of our own; RFC 1191 §6).
    TooBigUnheard "too-big-unheard",
    /// A router may say that a path has grown (RFC 8201 §4).
    PmtuGrows "pmtu-grows",
    /// An IPv6 path may carry less than 1280 bytes (RFC 8201 §4).
    PmtuBelow1280 "pmtu-below-1280",
    /// Segments that nobody answers stay as long as they are (RFC 4821 §7.7).
    BlackHoleUnseen "black-hole-unseen",
    /// The size of segments is never probed for (RFC 4821 §7.2).
    NoMtuProbes "no-mtu-probes",
    /// A datagram may be longer than its frame (CVE-2020-11896 and its like).
    AnyTotalLength "any-total-length",
    /// What stands behind a datagram is its end (RFC 894).
    PaddingIsPayload "padding-is-payload",
    /// What is for another host is taken (RFC 1122 §3.2.1.3).
    ForAnybody "for-anybody",
    /// Fragments have to come in their order.
    OnlyInOrder "only-in-order",
    /// What stays incomplete is kept for an hour (RFC 1122 §3.3.2: a minute or two).
    FragmentsForEver "fragments-for-ever",
    /// Fragments may end beyond 65,535 (CVE-1999-0128, the ping of death).
    DatagramsWithoutEnd "datagrams-without-end",
    /// A first fragment may cut the TCP header (RFC 1858 §3).
    TinyFragments "tiny-fragments",
    /// An atomic fragment waits for others (RFC 6946 §4).
    AtomicFragmentsWait "atomic-fragments-wait",
    /// One extension header is passed over, and no more.
    OneExtension "one-extension",
    /// An option that is not known is passed over, whatever its bits say (RFC 8200 §4.2).
    ActionBitsIgnored "action-bits-ignored",
    /// A header has any number of options (RFC 8504 §5.3).
    EndlessChains "endless-chains",
    /// An error quotes all of the packet (RFC 1812 §4.3.2.3, RFC 4443 §2.4 c).
    QuotesEverything "quotes-everything",
    /// A header that is not known is dropped in silence (RFC 8200 §4).
    UnknownHeaderUntold "unknown-header-untold",
    /// A group that is pinged answers (RFC 1122 §3.2.2.6: it may be silent; smurf).
    EchoesForGroups "echoes-for-groups",
    /// A datagram for a closed port is dropped in silence (RFC 1122 §4.1.3.1).
    ClosedPortsAreSilent "closed-ports-are-silent",
    /// What ICMP says of a datagram its socket does not learn (RFC 1122 §4.1.3.3).
    RefusalsUntold "refusals-untold",
    /// Nobody is told our station (RFC 826).
    UnansweredRequests "unanswered-requests",
    /// A reply whose neighbour is not known is lost (RFC 1122 §2.3.2.2).
    NothingWaits "nothing-waits",
    /// Each packet asks for its neighbour (RFC 1122 §2.3.2.1: once a second).
    AsksEachTime "asks-each-time",
    /// What has expired is asked for by broadcast (RFC 1122 §2.3.2.1: its station first).
    AsksAllAgain "asks-all-again",
    /// The table of neighbours has no end.
    EndlessNeighbours "endless-neighbours",
    /// A frame with a hash counts as judged by the NIC.
    HashIsBelieved "hash-is-believed",
}

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
