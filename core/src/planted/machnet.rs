//! Bugs of Machnet flows.

macro_rules! machnet {
    ($next:ident $($rest:ident)* [$($bugs:tt)*]) => {
        $next! { $($rest)* [ $($bugs)*
            /// An acknowledgement stops the timer of the packets behind it (smoltcp pull request 662, where TCP did so).
            MachnetTimerEndsWithAnyAck "machnet-timer-ends-with-any-ack",
            /// A buffer that is used again keeps the flags of the packet before.
            MachnetFlagsOfBefore "machnet-flags-of-before",
            /// A buffer that is used again keeps the payload of the packet before.
            MachnetPayloadAppended "machnet-payload-appended",
            /// A flow that closes does not wait for its last acknowledgements.
            MachnetTailForgotten "machnet-tail-forgotten",
            /// A timeout sends nothing again (machnet pull request 55: "No data retransmission").
            MachnetNothingAgain "machnet-nothing-again",
            /// Timeouts are not doubled (RFC 2525 §2.10 and smoltcp pull request 1023, of TCP).
            MachnetNoBackoff "machnet-no-backoff",
            /// Memory is given back when it was sent, not when it is acknowledged (machnet pull request 55).
            MachnetReleasedBeforeAcked "machnet-released-before-acked",
            /// An acknowledgement of less than all has the bitmap of all.
            MachnetBitmapUnmoved "machnet-bitmap-unmoved",
            /// Each old packet is answered, and three of the answers crash upstream.
            MachnetEachDuplicateAnswered "machnet-each-duplicate-answered",
            /// A packet behind a hole counts as next.
            MachnetHoleIgnored "machnet-hole-ignored",
            /// A packet that was taken before is taken again.
            MachnetOldTaken "machnet-old-taken",
            /// With a packet behind a hole the one in the hole is acknowledged.
            MachnetAheadAcknowledged "machnet-ahead-acknowledged",
            /// A packet is believed whatever it echoes.
            MachnetEchoUnchecked "machnet-echo-unchecked",
            /// The peer's window is not looked at.
            MachnetWindowIgnored "machnet-window-ignored",
            /// Nobody asks whether a window has opened.
            MachnetNoWindowProbe "machnet-no-window-probe",
            /// FIN is not acknowledged.
            MachnetFinUnanswered "machnet-fin-unanswered",
            /// A message is delivered whatever its CRC says.
            MachnetCrcUnchecked "machnet-crc-unchecked",
            /// The lengths of packed messages are off by one.
            MachnetLengthsOff "machnet-lengths-off",
            /// What was received behind a hole is said to be one packet lower.
            MachnetSackOffByOne "machnet-sack-off-by-one",
            /// Packets of a window below one leave as fast as they may.
            MachnetUnpaced "machnet-unpaced",
            /// Delay does not make the window smaller.
            MachnetDelayIgnored "machnet-delay-ignored",
            /// A delayed acknowledgement waits for ever.
            MachnetDelayedForEver "machnet-delayed-for-ever",
            /// A peer that begins anew is not told of the flow that it forgot.
            MachnetRebornIgnored "machnet-reborn-ignored",
        ] }
    };
}
