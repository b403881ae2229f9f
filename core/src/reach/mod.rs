//! Marks at rare code paths, and the transitions of the state machines: what a campaign has been through.
//!
//! A build with `--cfg planted` counts them, for the whole process. In any other build a mark is nothing at all: the macro checks its
//! name and leaves no code.

mod machnet;

pub use machnet::Happening;

macro_rules! marks {
    ($($(#[$doc:meta])* $name:ident $id:literal,)*) => {
        /// A rare place in the code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mark {
            $($(#[$doc])* $name,)*
        }

        #[cfg(planted)]
        const MARKS: &[&str] = &[$($id),*];
    };
}

marks! {
    /// Acknowledgements show a loss (RFC 5681 §3.2, RFC 8985 §6.2).
    FastRecovery "tcp.fast-recovery",
    /// A timeout shows one (RFC 5681 §3.1).
    TimeoutLoss "tcp.timeout",
    /// The second timeout of one segment (RFC 6298 §5.5).
    TimeoutAgain "tcp.timeout-again",
    /// Retransmissions were given up (RFC 9293 §3.8.3).
    GivenUp "tcp.given-up",
    /// A timeout was spurious, by new data (F-RTO, RFC 5682).
    FrtoSpurious "tcp.f-rto-spurious",
    /// A reduction was undone (RFC 4015).
    Undone "tcp.undone",
    /// All retransmissions were reported as duplicates (RFC 3708).
    AllDuplicates "tcp.all-duplicates",
    /// An echo is older than the first retransmission (RFC 3522).
    OlderEcho "tcp.older-echo",
    /// The timer for stragglers found a loss (RFC 8985 §6.3).
    ReorderTimeout "tcp.reorder-timeout",
    /// A tail loss probe with new data (RFC 8985 §7.3).
    ProbeWithNewData "tcp.tail-probe-new",
    /// A tail loss probe with the last segment.
    ProbeWithOldData "tcp.tail-probe-old",
    /// A tail loss probe that the window forbids.
    ProbeBeyondWindow "tcp.tail-probe-forbidden",
    /// A tail loss probe repaired a loss (RFC 8985 §7.4).
    ProbeRepaired "tcp.tail-probe-repaired",
    /// A partial acknowledgement (RFC 6582 §3.2).
    PartialAck "tcp.partial-ack",
    /// Recovery without SACK waits for more than its window (RFC 6582 §3.2).
    RecoveryHeld "tcp.recovery-held",
    /// The peer took back what it held (RFC 2018 §8).
    Reneged "tcp.reneged",
    /// An acknowledgement of less than is known tells by SACK.
    LateBlocks "tcp.late-blocks",
    /// A SACK block that cannot be (RFC 2018 §4).
    ImpossibleBlock "tcp.impossible-block",
    /// A closed window is probed (RFC 9293 §3.8.6.1).
    WindowProbe "tcp.window-probe",
    /// The window closed over what is under way.
    ShutOverFlight "tcp.shut-over-flight",
    /// What sender silly window avoidance held back leaves by its timer (RFC 9293 §3.8.6.2.1).
    SillyOverride "tcp.silly-override",
    /// A stale timestamp (RFC 7323 §5.3).
    PawsDrop "tcp.paws",
    /// A segment outside of the window (RFC 9293 §3.10.7.4, first).
    Unacceptable "tcp.unacceptable",
    /// A challenge acknowledgement (RFC 5961).
    Challenge "tcp.challenge",
    /// One that the limit withholds (RFC 5961 §7).
    ChallengeLimit "tcp.challenge-limit",
    /// An acknowledgement of what was not sent (RFC 9293 §3.10.7.4, fifth).
    FutureAck "tcp.future-ack",
    /// An acknowledgement that is too old (RFC 5961 §5.2).
    AncientAck "tcp.ancient-ack",
    /// A SYN begins anew in TIME-WAIT (RFC 6191).
    Reopened "tcp.reopened",
    /// The FIN again in TIME-WAIT.
    TimeWaitAgain "tcp.time-wait-again",
    /// Both ends opened at once (RFC 9293 §3.5).
    SimultaneousOpen "tcp.simultaneous-open",
    /// A FIN beyond a gap.
    FinBeyondGap "tcp.fin-beyond-gap",
    /// Data beyond the window, or beyond the FIN.
    BeyondTheEdge "tcp.beyond-the-edge",
    /// An acceptable segment begins with what was received before.
    OldBytes "tcp.old-bytes",
    /// Data for a connection that nobody reads (RFC 2525 §2.17).
    LateData "tcp.late-data",
    /// The rings refuse what is in the window.
    Refused "tcp.refused",
    /// A keepalive probe (RFC 9293 §3.8.4).
    KeepaliveProbe "tcp.keepalive-probe",
    /// A probe of the path's MTU (RFC 4821).
    MtuProbe "tcp.mtu-probe",
    /// The loss of one.
    MtuProbeLost "tcp.mtu-probe-lost",
    /// Segments become smaller since nobody answers (RFC 4821 §7.7).
    BlackHole "tcp.black-hole",
    /// What is in flight is too big now (RFC 1191 §6.4).
    TooBig "tcp.too-big",
    /// An ICMP error about a connection in use (RFC 5461).
    SoftError "tcp.soft-error",
    /// The peer echoes congestion (RFC 3168 §6.1.2).
    EchoAnswered "tcp.echo-answered",
    /// Data on a SYN that the peer did not take (RFC 7413 §4.2.2).
    SynDataAgain "tcp.syn-data-again",
    /// A connection without an application ran out of time.
    OrphanTimeout "tcp.orphan-timeout",
    /// A SYN was answered with a cookie (RFC 4987 §3.6).
    CookieSent "tcp.cookie-sent",
    /// A RST in the window that is not at its edge (RFC 5961 §3.2).
    RstInWindow "tcp.rst-in-window",
    /// A fragment that contradicts others (RFC 5722).
    FragmentsOverlap "ip.fragments-overlap",
    /// A datagram whose fragments did not all come.
    ReassemblyTimeout "ip.reassembly-timeout",
    /// A datagram that came in fragments.
    Reassembled "ip.reassembled",
    /// A fragment that came again.
    FragmentAgain "ip.fragment-again",
    /// A NIC that takes no more frames.
    NicFull "engine.nic-full",
    /// A step that left something over.
    Busy "engine.busy",
    /// Timers that share a slot are spread over a lower level.
    Cascade "engine.cascade",
    /// A socket outlives its program.
    Orphaned "engine.orphaned",
    /// A SYN or SYN-ACK again.
    MachnetHandshakeAgain "machnet.handshake-again",
    /// Duplicates mean a loss.
    MachnetDuplicates "machnet.duplicates",
    /// A packet was overtaken for too long.
    MachnetOvertaken "machnet.overtaken",
    /// A timeout.
    MachnetTimeout "machnet.timeout",
    /// A repetition was needless.
    MachnetNeedless "machnet.needless",
    /// A packet behind a hole.
    MachnetBehindHole "machnet.behind-hole",
    /// The ring has no room for what is next.
    MachnetNoRoom "machnet.no-room",
    /// Room came back.
    MachnetRoomAgain "machnet.room-again",
    /// Data completes the handshake.
    MachnetDataCompletes "machnet.data-completes",
    /// A RST of another number.
    MachnetStrangeRst "machnet.strange-rst",
    /// What was kept for packets under way is given back.
    MachnetIdle "machnet.idle",
    /// An acknowledgement waited for company in vain.
    MachnetAckDelayed "machnet.ack-delayed",
    /// A closed window is asked after.
    MachnetWindowProbe "machnet.window-probe",
    /// The tail of what was sent is asked after.
    MachnetTailProbe "machnet.tail-probe",
    /// The answer to that says what is missing.
    MachnetProbeAnswered "machnet.probe-answered",
    /// A silent peer is asked whether it lives.
    MachnetKeepalive "machnet.keepalive",
    /// FIN in order.
    MachnetFin "machnet.fin",
    /// A packet of somebody who does not see the flow.
    MachnetBlind "machnet.blind",
    /// A SYN for a flow that is open.
    MachnetReborn "machnet.reborn",
}

/// Marks a place: `reach!(FastRecovery);`. Nothing but its name is checked where nothing is counted.
macro_rules! reach {
    ($mark:ident) => {{
        #[cfg(planted)]
        $crate::reach::hit($crate::reach::Mark::$mark);
        #[cfg(not(planted))]
        const _: $crate::reach::Mark = $crate::reach::Mark::$mark;
    }};
}
pub(crate) use reach;

#[cfg(planted)]
mod counted {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::machnet::{Happening, STATES, leads};
    use super::{MARKS, Mark};
    use crate::machnet::FlowState;
    use crate::tcp::{State, Trigger};

    type Count = AtomicU64;

    static COUNTS: [Count; MARKS.len()] = [const { Count::new(0) }; MARKS.len()];
    static TCP: [[Count; Trigger::ALL.len()]; State::ALL.len()] =
        [const { [const { Count::new(0) }; Trigger::ALL.len()] }; State::ALL.len()];
    /// By state, by what happened, by the next state.
    static MACHNET: [[[Count; STATES.len()]; Happening::ALL.len()]; STATES.len()] =
        [const { [const { [const { Count::new(0) }; STATES.len()] }; Happening::ALL.len()] };
            STATES.len()];

    /// Input: the place was reached.
    pub fn hit(mark: Mark) {
        COUNTS[mark as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Input: a connection went on from `state` by `trigger`.
    pub fn tcp_went(state: State, trigger: Trigger) {
        TCP[state as usize][trigger as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Input: a flow was in state `from`, and is in state `to` after what happened.
    pub fn machnet_went(from: FlowState, what: Happening, to: FlowState) {
        MACHNET[from as usize][what as usize][to as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Getter: every mark and every transition that there may be, and how often the process was there.
    pub fn counts() -> Vec<(String, u64)> {
        let read = |count: &Count| count.load(Ordering::Relaxed);
        let marks = MARKS.iter().zip(&COUNTS).map(|(id, count)| ((*id).to_string(), read(count)));
        let mut all: Vec<(String, u64)> = marks.collect();
        for from in State::ALL {
            for what in Trigger::ALL {
                if let Some(to) = from.next(what) {
                    let count = &TCP[from as usize][what as usize];
                    all.push((format!("tcp {from:?} {what:?} {to:?}"), read(count)));
                }
            }
        }
        for from in STATES {
            for what in Happening::ALL {
                for to in STATES.into_iter().filter(|to| leads(from, *what, *to)) {
                    let count = &MACHNET[from as usize][*what as usize][to as usize];
                    all.push((format!("machnet {from:?} {what:?} {to:?}"), read(count)));
                }
            }
        }
        all
    }
}

#[cfg(planted)]
pub use counted::{counts, hit, machnet_went, tcp_went};

/// Input: nothing, where nothing is counted.
#[cfg(not(planted))]
#[inline(always)]
pub(crate) const fn tcp_went(_: crate::tcp::State, _: crate::tcp::Trigger) {}

/// Input: nothing, where nothing is counted.
#[cfg(not(planted))]
#[inline(always)]
pub(crate) const fn machnet_went(
    _: crate::machnet::FlowState,
    _: Happening,
    _: crate::machnet::FlowState,
) {
}
