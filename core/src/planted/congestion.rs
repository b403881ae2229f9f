//! Bugs of congestion control, ECN and pacing.

macro_rules! congestion {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// The initial window is twenty segments (RFC 6928 §2 allows ten; RFC 2525 §2.1).
            InitialWindow20 "initial-window-20",
            /// Slow start grows by a segment for each ACK (RFC 3465 counts bytes).
            AcksCounted "acks-counted",
            /// Reno grows as in slow start always (RFC 5681 §3.1).
            AlwaysSlowStart "always-slow-start",
            /// A window that is not used grows (RFC 7661).
            UnusedWindowGrows "unused-window-grows",
            /// After idle the whole window leaves at once (RFC 5681 §4.1).
            BurstAfterIdle "burst-after-idle",
            /// CUBIC halves its window (RFC 9438 §4.6 wants 0.7).
            HalvingCubic "halving-cubic",
            /// An ACK with ECE makes the window grow before it is reduced (RFC 3168 §6.1.2).
            GrowsWithEce "grows-with-ece",
            /// ECE counts though nobody agreed on ECN (RFC 3168 §6.1.1).
            EceUnasked "ece-unasked",
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
            /// What is paced waits for a timer behind each segment.
            PacedOneByOne "paced-one-by-one",
            /// A quantum is as much as a NIC takes at once.
            GreatQuantum "great-quantum",
            /// What a peer's small window lets through is taken for the rate of the path.
            WindowTakenForPath "window-taken-for-path",
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
            /// A loss reduces no window of over sixty segments: who came first keeps the link.
            GreedyWindow "greedy-window",
            /// After a lost SYN the initial window is the usual one (RFC 5681 §3.1: one segment).
            LostSynForgotten "lost-syn-forgotten",
            /// Slow start grows by half of what is acknowledged (RFC 5681 §3.1).
            SlowStartCreeps "slow-start-creeps",
            /// The threshold may fall to nothing (RFC 5681 §3.1: two segments at least).
            ThresholdOfNothing "threshold-of-nothing",
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
            /// The congestion window bounds each segment, not what is under way (seastar issue 1015).
            CwndForEachSegment "cwnd-for-each-segment",
        ] }
    };
}
