//! Bugs of the timers and the loss recovery of TCP.

macro_rules! recovery {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// Timeouts are not doubled (RFC 6298 §5.5; RFC 2525 §2.10; smoltcp pull request 1023).
            NoBackoff "no-backoff",
            /// Keepalive probes never end a connection (smoltcp has no count).
            EndlessKeepalive "endless-keepalive",
            /// What lies beyond a window that shrank is not sent again (RFC 9293 SHLD-15; gVisor issue 10312).
            StrandedByTheWindow "stranded-by-the-window",
            /// In CLOSING and LAST-ACK the FIN is not sent again (smoltcp pull request 1025; CVE-2015-5358).
            FinSentOnce "fin-sent-once",
            /// A closed connection waits for the peer for ever.
            EternalFinWait2 "eternal-fin-wait-2",
            /// A SYN-ACK is not sent again.
            OneSynAck "one-syn-ack",
            /// Data is sent again for ever.
            NeverGivesUp "never-gives-up",
            /// TCP_USER_TIMEOUT has no effect on data.
            NoUserTimeout "no-user-timeout",
            /// A closed window is not probed (RFC 9293 MUST-36; smoltcp pull request 1025; RFC 2525 §2.12).
            NoPersist "no-persist",
            /// After a lost SYN data begins with 1 s (RFC 6298 §5.7).
            EagerAfterLostSyn "eager-after-lost-syn",
            /// The variation is no part of the timeout (RFC 6298 §2.3).
            NoVariation "no-variation",
            /// A reduction is never undone.
            NoUndo "no-undo",
            /// A reduction that another one follows is never undone.
            EarlierForgotten "earlier-forgotten",
            /// Nor is one of which something sent again is under way as the other begins.
            EarlierForgottenUnderWay "earlier-forgotten-under-way",
            /// A reduction that another one follows gives back the window, and CUBIC's curve stays where the two have left it.
            EarlierCurveForgotten "earlier-curve-forgotten",
            /// What was lost in short segments goes again in as many.
            ShortSegmentsStayShort "short-segments-stay-short",
            /// The fifth duplicate means a loss, not the third (RFC 5681 §3.2).
            FiveDuplicates "five-duplicates",
            /// The first two duplicates let nothing out (RFC 3042).
            NoLimitedTransmit "no-limited-transmit",
            /// A partial ACK sends nothing again (RFC 6582 §3.2 step 3).
            PartialAckWaits "partial-ack-waits",
            /// Stragglers are not waited for by a timer (RFC 8985 §6.3).
            NoReorderTimer "no-reorder-timer",
            /// A lost retransmission is found by a timeout only.
            LostTwiceUnseen "lost-twice-unseen",
            /// There is no tail loss probe (RFC 8985 §7).
            NoTailProbe "no-tail-probe",
            /// Recovery begins with a burst up to the old window.
            NoProportion "no-proportion",
            /// A timeout leaves the window as it is (RFC 5681 §3.1; inet issue 3; RFC 2525 §2.2).
            WindowSurvivesTimeout "window-survives-timeout",
            /// A closed connection probes a shut window, and sends again, for ever (RFC 6429).
            EndlessOrphan "endless-orphan",
            /// After a timeout what the peer holds is sent again too.
            SackForgotten "sack-forgotten",
            /// Any number of ranges that the peer holds is remembered (CVE-2019-11478).
            EndlessRanges "endless-ranges",
            /// Without SACK, what is acknowledged along with a retransmission counts as the original's arrival.
            HeldTakenForOriginal "held-taken-for-original",
            /// A tail loss probe goes out beyond a window that was taken back.
            ProbesBeyondTheWindow "probes-beyond-the-window",
            /// A SYN is sent again for ever (RFC 9293 MUST-23 sets R2).
            SynForEver "syn-for-ever",
            /// TCP_USER_TIMEOUT does not count for keepalive (tcp(7)).
            ProbesCountedAnyway "probes-counted-anyway",
            /// What sender silly window avoidance holds back stays so (RFC 9293 §3.8.6.2.1 has a timer).
            NoOverride "no-override",
            /// A closed window is probed at one pace (RFC 9293 SHLD-30).
            SteadyProbes "steady-probes",
            /// A connection is probed though it is not idle (RFC 9293 MUST-26).
            KeepaliveInHaste "keepalive-in-haste",
            /// The first timeout is 3 s (RFC 6298 §2.1: one).
            FirstTimeout3S "first-timeout-3-s",
            /// SRTT is the last sample (RFC 6298 §2.3).
            LastSampleCounts "last-sample-counts",
            /// The timeout has no minimum (RFC 6298 §2.4).
            NoLeastTimeout "no-least-timeout",
            /// The timeout has no maximum (RFC 6298 §2.5).
            NoLongestTimeout "no-longest-timeout",
            /// An acknowledgement of new data does not start the timer anew (RFC 6298 §5.3; smoltcp pull request 1018).
            TimerNotRestarted "timer-not-restarted",
            /// A valid sample does not end the backoff (RFC 6298 §5.7; nuttx pull request 19011).
            BackoffStays "backoff-stays",
            /// There is no F-RTO (RFC 5682).
            NoFRto "no-f-rto",
            /// Echoes do not tell late segments from lost ones (RFC 3522).
            NoEifel "no-eifel",
            /// Duplicates that the peer reports undo nothing (RFC 3708).
            NoDsackUndo "no-dsack-undo",
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
            /// The user timeout ends a connection that waits for data (TCP_DEFER_ACCEPT).
            SpansBurnAtOnce "spans-burn-at-once",
            /// A tail loss probe counts as a retransmission under way (tcpi_retrans).
            ProbeIsRetransmission "probe-is-retransmission",
            /// Without SACK duplicates count however few segments are in flight.
            EveryDuplicateCounts "every-duplicate-counts",
            /// Without SACK a recovery is over when all of its window is acknowledged, and nothing beyond (RFC 6582 §3.2).
            OverTooSoon "over-too-soon",
            /// Duplicates of a window that was treated begin another recovery (RFC 6582 §3.2 step 1).
            TreatedAgain "treated-again",
            /// What the peer holds counts as in the network (RFC 6675 §4).
            PipeCountsTheSacked "pipe-counts-the-sacked",
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
            /// Data on a SYN that was not taken waits for the timer (RFC 7413 §4.2.2).
            SynDataNotResent "syn-data-not-resent",
            /// What is sent again does not stop at the peer's window (RFC 9293 §3.8.6).
            ResentPastTheWindow "resent-past-the-window",
            /// An acknowledgement stops the timer of what is behind it (smoltcp pull request 662).
            TimerEndsWithAnyAck "timer-ends-with-any-ack",
            /// Nobody is told of room that an acknowledgement makes in recovery (gVisor issue 10243).
            RoomUntoldInRecovery "room-untold-in-recovery",
            /// A FIN is not sent again (demikernel issue 203; demikernel issue 1537).
            FinNeverResent "fin-never-resent",
            /// A FIN is sent again with the number behind it (warp17 issue 15).
            FinResentBeyond "fin-resent-beyond",
            /// Duplicates are counted in a byte (smoltcp issue 224: "attempt to add with overflow").
            DuplicatesOverflow "duplicates-overflow",
            /// What was acknowledged selectively, and then by number, is in flight for ever (gVisor issue 14092).
            AckedStaysInFlight "acked-stays-in-flight",
        ] }
    };
}
