//! Bugs of what TCP carries: options, windows, buffers, acknowledgements.

macro_rules! transfer {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// Every segment sets the send window, however old (smoltcp).
            WindowFromOldSegments "window-from-old-segments",
            /// Any MSS is believed (CVE-2019-11479).
            TinyMss "tiny-mss",
            /// A window scale above 14 is believed (RFC 7323 §2.3 forbids it).
            ScaleAbove14 "scale-above-14",
            /// Nothing waits for Nagle's algorithm (RFC 9293 MUST-17 wants it by default).
            NoNagle "no-nagle",
            /// PSH is never set (RFC 9293 MUST-60).
            NoPush "no-push",
            /// SACK blocks go to peers that did not offer SACK (RFC 2018 §2).
            SackUnasked "sack-unasked",
            /// An ACK of what was never sent is taken (RFC 9293 §3.10.7.4).
            AckOfTheFuture "ack-of-the-future",
            /// A segment out of order is not acknowledged at once (RFC 5681 §4.2).
            LazyDuplicateAcks "lazy-duplicate-acks",
            /// A FIN beyond a gap is forgotten, and not asked for again (RFC 9293 §3.10.7.4, eighth; gVisor issue 8320).
            ForgottenFin "forgotten-fin",
            /// The urgent pointer is that of the urgent byte itself (RFC 1122 §4.2.2.4 said so; RFC 6093 §3.1 took it back).
            UrgentPointsAtTheByte "urgent-points-at-the-byte",
            /// SYN-RECEIVED takes an unacceptable ACK (RFC 9293 §3.10.7.4, fifth; smoltcp pull request 538).
            AnyAckInSynReceived "any-ack-in-syn-received",
            /// Bytes beyond the window are not cut off (RFC 9293 §3.10.7.4, first; smoltcp pull request 1079).
            PastTheWindow "past-the-window",
            /// After a half close nothing more is received (RFC 9293 §3.6; smoltcp pull request 350).
            DeafAfterShutdown "deaf-after-shutdown",
            /// The announced MSS is reduced by the options (RFC 6691).
            MssLessOptions "mss-less-options",
            /// A full segment does not leave room for its options (RFC 2525 §2.18; smoltcp pull request 1161).
            OptionsNotCounted "options-not-counted",
            /// Our scale is used though the peer offers none (RFC 7323 §2.2).
            OneSidedScale "one-sided-scale",
            /// The right window edge moves back (RFC 9293 SHLD-14).
            EdgeGoesBack "edge-goes-back",
            /// Each byte that is read opens the window (RFC 9293 MUST-39; gVisor issue 1522).
            SillyReceiver "silly-receiver",
            /// Every window is filled, however small (RFC 9293 MUST-38).
            SillySender "silly-sender",
            /// The second full segment waits for the timer (RFC 9293 SHLD-19; smoltcp pull request 530; RFC 2525 §2.13).
            AckByTimerOnly "ack-by-timer-only",
            /// What LRO joined is taken for one segment of the sender's (RFC 9293 SHLD-19).
            JoinedIsOne "joined-is-one",
            /// A window that opens is not told (RFC 9293 §3.8.6.2.2; smoltcp issue 199; smoltcp pull request 935).
            NoWindowUpdate "no-window-update",
            /// The first SACK block is not of what arrived last (RFC 2018 §4).
            OldestBlockFirst "oldest-block-first",
            /// Duplicates are not reported (RFC 2883).
            NoDsack "no-dsack",
            /// Data comes in with an ACK however old (RFC 5961 §5.2).
            AncientAcks "ancient-acks",
            /// A FIN beyond a gap is not in the SACK block before it (RFC 2018 §3).
            FinNotSacked "fin-not-sacked",
            /// Data leaves without the SACK blocks that it has room for (RFC 2018 §4).
            NoSackOnData "no-sack-on-data",
            /// Full segments leave no room for SACK blocks (RFC 6691 §3; RFC 2525 §2.18).
            NoRoomForSack "no-room-for-sack",
            /// Any number of gaps is remembered (CVE-2018-5390).
            EndlessGaps "endless-gaps",
            /// Of overlapping bytes the last stay.
            LastBytesWin "last-bytes-win",
            /// A segment that was sent twice gives a sample (Karn).
            NoKarn "no-karn",
            /// Timestamps are sent to a peer that offered none (RFC 7323 §3.2).
            OneSidedTimestamps "one-sided-timestamps",
            /// Receive windows stay as they begin (checklist 47).
            FixedWindow "fixed-window",
            /// The echo of the first SYN,ACK is a round trip, although it was sent again (RFC 6298 §3, Karn's algorithm).
            EchoOfTheFirst "echo-of-the-first",
            /// A corked tail waits for ever (tcp(7): 200 ms).
            CorkForEver "cork-for-ever",
            /// TCP_MAXSEG bounds nothing.
            MaxsegIgnored "maxseg-ignored",
            /// Data on the ACK that completes the handshake is acknowledged, and dropped.
            ThirdAckDataLost "third-ack-data-lost",
            /// A segment with an ACK of the future sets window and TS.Recent (RFC 9293 §3.10.7.4 drops it; CVE-2005-0356).
            FutureAcksCount "future-acks-count",
            /// A FIN beyond a gap is told as the end (RFC 9293 §3.10.7.4, eighth; smoltcp issue 111).
            FinBeforeItsTurn "fin-before-its-turn",
            /// Text beyond the FIN is taken.
            TextAfterFin "text-after-fin",
            /// In CLOSE-WAIT nothing is sent (RFC 9293 §3.10.2).
            MuteInCloseWait "mute-in-close-wait",
            /// Data for a socket that is closed is acknowledged (RFC 9293 §3.6.1, RFC 2525 §2.17).
            LateDataTaken "late-data-taken",
            /// Data in TIME-WAIT gets no answer.
            LateDataInSilence "late-data-in-silence",
            /// No window is greater than 65,535 bytes (RFC 7323 §2 is there for them).
            WindowOfSixteenBits "window-of-sixteen-bits",
            /// Nobody is told of urgent data (RFC 9293 MUST-32).
            UrgentUntold "urgent-untold",
            /// A pointer into what was received is news.
            OldPointersCount "old-pointers-count",
            /// A peer without the option is sent 1460 bytes (RFC 9293 MUST-15: 536).
            NoMssMeans1460 "no-mss-means-1460",
            /// An MSS of zero is one.
            ZeroMssBelieved "zero-mss-believed",
            /// What the scale cuts off the window loses (RFC 7323 §2.4).
            WindowRoundedDown "window-rounded-down",
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
            /// A closed window ends a connection, though its probes are answered (RFC 9293 MUST-37, RFC 6429).
            AnsweredProbesCount "answered-probes-count",
            /// A probe has the next sequence number, which needs no answer (RFC 9293 §3.8.4).
            ProbeAtSndNxt "probe-at-snd-nxt",
            /// All connections together may hold any amount.
            MemoryWithoutLimit "memory-without-limit",
            /// Where others hold all memory a connection has no floor.
            ChokedTakesNothing "choked-takes-nothing",
            /// A SYN that was sent again tells no round trip, though its timestamp comes back (RFC 7323 §4).
            EchoOfTheSynUnread "echo-of-the-syn-unread",
            /// Echoes of timestamps tell no round trip (RFC 7323 §4).
            EchoesUnread "echoes-unread",
            /// What is sent starts no timer (RFC 6298 §5.1; smoltcp pull request 1025).
            TimerNeverStarts "timer-never-starts",
            /// tcp_slow_start_after_idle has no effect.
            RestartsAnyway "restarts-anyway",
            /// Of two duplicates in one segment the one beyond a gap is told (RFC 2883 4).
            UpperDuplicateTold "upper-duplicate-told",
            /// What comes beyond a gap again is not counted again (tcpi_rcv_ooopack).
            LateTwiceCountsOnce "late-twice-counts-once",
            /// Data that was waited for is taken for the answer to the SYN,ACK (RFC 6298 3).
            DataAnswersTheSyn "data-answers-the-syn",
            /// A FIN leaves before the handshake of a Fast Open is done (RFC 9293 §3.10.4).
            FinOfAChildEarly "fin-of-a-child-early",
            /// Two SACK blocks are told at most (RFC 2018 §4: as many as fit).
            TwoBlocks "two-blocks",
            /// Blocks that touch are told as two (RFC 2018 §3; FreeBSD review D16626: "does not coalesce properly").
            BlocksNeverMeet "blocks-never-meet",
            /// A duplicate beyond a gap is not reported (RFC 2883 §4.2).
            DsackBelowOnly "dsack-below-only",
            /// Blocks of a late acknowledgement are not looked at (RFC 6675 §2).
            LateBlocksIgnored "late-blocks-ignored",
            /// Acknowledgements carry no timestamps (RFC 7323 §3.2).
            BareAcksWithout "bare-acks-without",
            /// A RST carries no timestamps (RFC 7323 §3.2: it should).
            ResetWithout "reset-without",
            /// Reading what came with a SYN sends a window update although nobody waits for one.
            UpdateForSynData "update-for-syn-data",
            /// The window of a segment that the peer sends again is not taken, though it acknowledges more.
            WindowOfARepetitionUnheard "window-of-a-repetition-unheard",
            /// FIN leaves with data that fills the window, beyond its edge (RFC 9293 §3.8.6).
            FinBeyondTheWindow "fin-beyond-the-window",
            /// A FIN in its turn is no end if anything was received beyond it.
            ContradictedFinIgnored "contradicted-fin-ignored",
            /// A window that is smaller than a segment, since segments grew, sends nothing ever again.
            WindowBelowASegment "window-below-a-segment",
            /// A window that shrinks below what is under way is an underflow (smoltcp pull request 490).
            ShrunkenWindowPanics "shrunken-window-panics",
            /// What is under way does not count against the window (smoltcp pull request 387).
            WindowForEachSegment "window-for-each-segment",
            /// Segments are as long as the peer takes, whatever our link carries (smoltcp pull request 384).
            MtuUnheeded "mtu-unheeded",
            /// With four gaps nothing more is taken, not even what is next (smoltcp pull request 735).
            FullSetRefusesTheNext "full-set-refuses-the-next",
            /// What comes out of order counts as next (demikernel/inetstack pull request 145: "a potential data corruption bug").
            EverythingIsNext "everything-is-next",
            /// A segment some bytes behind the handshake brings a SYN cookie back, and what was lost before it is never missed (as in
            /// Linux, whose sum of cookie and sequence number is the same).
            CookieOfLaterBytes "cookie-of-later-bytes",
            /// What lies beyond gaps may fill a quarter of the buffer, no more (gVisor issue 9153).
            QuarterBeyondGaps "quarter-beyond-gaps",
            /// Whatever else is sent opens the window by each byte that was read (gVisor issue 5984).
            SillyWhenAsked "silly-when-asked",
        ] }
    };
}
