//! Bugs of how a connection of TCP begins and ends, of what it accepts, and of its socket.

macro_rules! connection {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// Any RST in the window ends the connection (CVE-2004-0230; gVisor pull request 13165; smoltcp does so).
            RstAnywhere "rst-anywhere",
            /// Old timestamps are no reason to drop a segment (RFC 7323 §5 is there for them; smoltcp has no PAWS).
            NoPaws "no-paws",
            /// A RST ends TIME-WAIT (RFC 1337; the default of Linux and gVisor).
            TimeWaitAssassinated "time-wait-assassinated",
            /// The window of a SYN is scaled (RFC 7323 §2.2 forbids it; smoltcp pull request 500).
            ScaledSynWindow "scaled-syn-window",
            /// A SYN on a connection is dropped in silence (RFC 5961 §4; smoltcp).
            SilentOnSyn "silent-on-syn",
            /// close with unread data sends FIN (RFC 2525 §2.17).
            FinOverUnread "fin-over-unread",
            /// After both FINs close with unread data sends no RST (RFC 2525 §2.17).
            ClosingOverUnread "closing-over-unread",
            /// What is half-open outlives its listener (RFC 9293 §3.10.4; gVisor issue 6671).
            HalfOpenOutlives "half-open-outlives",
            /// A listener does not answer an ACK (RFC 9293 §3.10.7.2).
            SilentListener "silent-listener",
            /// A segment without ACK is taken on a connection (RFC 9293 §3.10.7.4, fifth).
            NoAckNeeded "no-ack-needed",
            /// The loss of a probe that was too big cuts the window (RFC 4821 §7.6.2 forbids it).
            ProbeLossIsCongestion "probe-loss-is-congestion",
            /// A RST for nobody is answered (RFC 9293 §3.10.7.1 says never).
            RstForRst "rst-for-rst",
            /// The RST for a segment without ACK acknowledges its beginning only (picotcp issue 56).
            RstWithoutLen "rst-without-len",
            /// SYN-SENT takes an ACK of what was not sent (RFC 9293 §3.10.7.3, first; smoltcp pull request 522).
            AnyAckInSynSent "any-ack-in-syn-sent",
            /// In SYN-SENT a RST without ACK refuses (RFC 9293 §3.10.7.3, second).
            RefusedByBareRst "refused-by-bare-rst",
            /// A SYN without ACK in SYN-SENT is dropped (RFC 9293 MUST-10).
            NoSimultaneousOpen "no-simultaneous-open",
            /// An unacceptable segment is dropped without an ACK (RFC 9293 §3.10.7.4, first; smoltcp issue 21).
            SilentOnUnacceptable "silent-on-unacceptable",
            /// With a closed window nothing is acceptable (RFC 9293 MUST-66).
            DeafWithZeroWindow "deaf-with-zero-window",
            /// The FIN again does not begin 2 MSL anew (RFC 9293 §3.10.7.4, eighth).
            TimeWaitNotRestarted "time-wait-not-restarted",
            /// Any SYN begins anew in TIME-WAIT (RFC 6191 §2).
            ReopenedByOldSyn "reopened-by-old-syn",
            /// An abort tells the peer nothing (RFC 9293 §3.10.5).
            SilentAbort "silent-abort",
            /// An abort in CLOSING or LAST-ACK tells the peer nothing, though FIN has not left.
            SilentBeforeFin "silent-before-fin",
            /// A RST reads like the end of the stream.
            ResetIsTheEnd "reset-is-the-end",
            /// Sequence numbers are compared like numbers (RFC 9293 §3.4; smoltcp pull request 538).
            NoWrap "no-wrap",
            /// The checksum of TCP is not looked at (Linux commit ce8c839b74e3, where veth took it for good).
            TcpSumUnchecked "tcp-sum-unchecked",
            /// An ICMP error ends an established connection (RFC 5461 §4.2).
            IcmpEndsConnections "icmp-ends-connections",
            /// TS.Recent is of whatever came last (RFC 7323 §4.3; CVE-2005-0356).
            EchoOfTheLatest "echo-of-the-latest",
            /// TSval does not move.
            ClockStands "clock-stands",
            /// A connection challenges without limit (RFC 5961 §7; smoltcp pull request 542).
            EndlessChallenges "endless-challenges",
            /// Each second has the same number of challenges (CVE-2016-5696).
            CountableChallenges "countable-challenges",
            /// Initial sequence numbers are the clock (RFC 6528; smoltcp pull request 547).
            GuessableIsn "guessable-isn",
            /// Ports follow each other (RFC 6056).
            NeighbouringPorts "neighbouring-ports",
            /// Any number is a cookie (RFC 4987 §3.6).
            EveryCookieGood "every-cookie-good",
            /// "Too big" is believed whatever it quotes (RFC 5927 §7.2).
            PmtuFromAnybody "pmtu-from-anybody",
            /// Data on a SYN-ACK is acknowledged, and dropped.
            SynAckDataLost "syn-ack-data-lost",
            /// A SYN-ACK for a connection that is gone is not reset.
            LateSynAckIgnored "late-syn-ack-ignored",
            /// Of duplicate options the first counts.
            FirstOptionWins "first-option-wins",
            /// Any Fast Open cookie is good (RFC 7413 §5.1: data from forged addresses).
            AnyCookie "any-cookie",
            /// Reserved bits are not zero (RFC 9293 §3.1).
            ReservedBitsSent "reserved-bits-sent",
            /// A segment with reserved bits is dropped (RFC 9293 §3.1: ignored; RFC 3168 was kept out so).
            ReservedBitsRefused "reserved-bits-refused",
            /// MSG_MORE holds nothing back.
            MoreIgnored "more-ignored",
            /// Where records end is forgotten with what recovery keeps, after five seconds without anything in flight.
            RecordsOfTheIdle "records-of-the-idle",
            /// TCP_NOTSENT_LOWAT holds nobody up.
            LowWaterIgnored "low-water-ignored",
            /// TCP_INQ says nothing of the FIN (tcp(7)).
            InqOfTheBuffer "inq-of-the-buffer",
            /// The RST for a segment with ACK has the sequence number zero (RFC 9293 §3.10.7.1; smoltcp issue 20).
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
            /// A segment that begins before the window is not acceptable (RFC 9293 table 6; smoltcp pull request 749).
            OnlyWhatBeginsInside "only-what-begins-inside",
            /// A RST outside of the window is answered (RFC 9293 §3.10.7.4, first; smoltcp issue 338).
            AcknowledgesAnyRst "acknowledges-any-rst",
            /// A FIN in FIN-WAIT-1 leads to TIME-WAIT, whether ours is acknowledged or not (RFC 9293 figure 5; smoltcp pull request 398).
            NoClosing "no-closing",
            /// TIME-WAIT lasts one MSL (RFC 9293 §3.6.1: two).
            ShortTimeWait "short-time-wait",
            /// No SYN ends TIME-WAIT (RFC 6191).
            TimeWaitNeverReopens "time-wait-never-reopens",
            /// A port is taken from TIME-WAIT at once, whatever is said of how long it keeps it.
            TimeWaitReusedAtOnce "time-wait-reused-at-once",
            /// A peer that shows a stale connection on our port makes us wait for the timer of the SYN.
            StalePeerWaits "stale-peer-waits",
            /// close returns at once, SO_LINGER or not.
            LingerDoesNotWait "linger-does-not-wait",
            /// close in SYN-SENT sends RST (RFC 9293 §3.10.4: nothing).
            ResetOfASyn "reset-of-a-syn",
            /// A RST in CLOSING or LAST-ACK is an error (RFC 9293 §3.10.7.4, second: the stream is complete).
            LateResetIsAnError "late-reset-is-an-error",
            /// Offsets in a stream have 32 bits.
            StreamOfFourGibibytes "stream-of-four-gibibytes",
            /// An option that is not known ends them all (RFC 9293 MUST-6).
            UnknownOptionEnds "unknown-option-ends",
            /// An option of length 0 or 1 counts as one of two bytes (RFC 9293 MUST-7).
            OptionOfNoLength "option-of-no-length",
            /// ICMP errors do not end an attempt to connect (RFC 5461 §4.1).
            IcmpUnheard "icmp-unheard",
            /// A peer without the option is sent 536 bytes over IPv6 too (RFC 9293 MUST-15: 1220).
            NoMssMeans536Everywhere "no-mss-means-536-everywhere",
            /// Keepalive is on by default (RFC 9293 MUST-25: off).
            KeepaliveByDefault "keepalive-by-default",
            /// What comes without PSH is not delivered (RFC 9293 §3.9.1.2).
            WaitsForPush "waits-for-push",
            /// The acknowledgement of the FIN that ended a connection is missing in its figures.
            LastAckUncounted "last-ack-uncounted",
            /// A FIN that comes again is not told as a duplicate (RFC 2883 §4).
            FinAgainUntold "fin-again-untold",
            /// A segment without the agreed timestamps is dropped, whatever the policy (gVisor issue 11536).
            TimestampsDemanded "timestamps-demanded",
            /// A RST needs a timestamp, and a new one (RFC 7323 §5.2: none).
            PawsForRst "paws-for-rst",
            /// TS.Recent is believed however old it is (RFC 7323 §5.5).
            PawsForEver "paws-for-ever",
            /// A timestamp of 0 on the SYN is compared with what follows.
            ZeroIsATime "zero-is-a-time",
            /// All timestamps are of one clock, which tells how long the host is up (RFC 7323 §5.4).
            OffsetForAll "offset-for-all",
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
            /// A SYN that is sent again carries cookie and data again (RFC 7413 §4.1.3.1).
            DataOnEverySyn "data-on-every-syn",
            /// A SYN with data that a router says was too big waits for its timer (RFC 1191 §6.4).
            SynTooBigWaits "syn-too-big-waits",
            /// Data on the SYN,ACK of Fast Open is not taken (RFC 7413 §4.2.2).
            SynAckDataWaits "syn-ack-data-waits",
            /// A SYN,ACK may echo any timestamp (Linux refuses those of no SYN of ours).
            AnyEchoInSynSent "any-echo-in-syn-sent",
            /// "Too big" changes nothing (a black hole of our own; RFC 1191 §6).
            TooBigUnheard "too-big-unheard",
            /// Segments that nobody answers stay as long as they are (RFC 4821 §7.7).
            BlackHoleUnseen "black-hole-unseen",
            /// The size of segments is never probed for (RFC 4821 §7.2).
            NoMtuProbes "no-mtu-probes",
            /// LAST-ACK ends with any acknowledgement (smoltcp pull request 477; zephyr pull request 70507).
            LastAckEndsWithAnyAck "last-ack-ends-with-any-ack",
            /// In FIN-WAIT-2 nothing is acknowledged (smoltcp pull request 388).
            MuteInFinWait2 "mute-in-fin-wait-2",
            /// A SYN is sent again with the number behind it (machnet pull request 56; FreeBSD review D25000).
            SynAgainBeyond "syn-again-beyond",
        ] }
    };
}
