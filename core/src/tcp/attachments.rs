//! What a connection has about it at one moment, for tests that claim to have met it so.

use super::connection::Connection;
use super::recovery::{Flight, OFF, Phase, Trouble};
use super::state::State;
use super::timer::TimerReason;

/// Something that a connection has only at times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attachment {
    /// Something is in flight, or was a moment ago.
    Flight,
    /// Fast recovery (RFC 6675, RFC 8985, RFC 6582).
    FastRecovery,
    /// After a retransmission timeout.
    LossRecovery,
    /// The peer holds what it does not acknowledge.
    Scoreboard,
    /// Lost records wait for their turn.
    LostWaiting,
    /// Retransmissions are under way.
    Retransmissions,
    /// Duplicates are counted, without SACK.
    Duplicates,
    /// RACK waits for stragglers.
    ReorderTimer,
    /// The tail will be probed.
    ProbeTimer,
    /// A tail loss probe is under way.
    TailProbe,
    /// Proportional rate reduction is counting.
    Prr,
    /// A reduction may be undone.
    Undo,
    /// F-RTO is undecided.
    Frto,
    /// Ends of records wait.
    Records,
    /// Pacing holds something back.
    PacingTimer,
    /// Nothing is in flight, and the memory for it is there yet.
    IdleTimer,
    /// The path's MTU is searched for.
    MtuSearch,
    /// A probe of the path's MTU is under way.
    MtuProbe,
    /// Fast Open has a part in the handshake.
    FastOpen,
    /// Data of a SYN was taken, and the handshake is not done.
    FastOpenChild,
    /// Something that was written is urgent.
    UrgentSent,
    /// The peer has said that something is urgent.
    UrgentReceived,
    /// ECN was agreed on.
    Ecn,
    /// Congestion is echoed.
    EcnEcho,
    /// Timestamps were agreed on.
    Timestamps,
    /// Segments lie beyond a gap.
    Reassembly,
    /// An acknowledgement is delayed.
    DelayedAck,
    /// The receive buffer is tuned.
    Autotune,
    /// Keepalive is waiting.
    KeepaliveTimer,
    /// Probes are without an answer.
    Probes,
    /// A stall is measured against the user timeout.
    UserTimeout,
    /// The window is closed, and is probed.
    Persist,
    /// An ICMP error was heard.
    SoftError,
    /// The application is gone.
    Orphan,
    /// TIME-WAIT.
    TimeWait,
}

impl Attachment {
    /// All of them.
    pub const ALL: [Self; 35] = [
        Self::Flight,
        Self::FastRecovery,
        Self::LossRecovery,
        Self::Scoreboard,
        Self::LostWaiting,
        Self::Retransmissions,
        Self::Duplicates,
        Self::ReorderTimer,
        Self::ProbeTimer,
        Self::TailProbe,
        Self::Prr,
        Self::Undo,
        Self::Frto,
        Self::Records,
        Self::PacingTimer,
        Self::IdleTimer,
        Self::MtuSearch,
        Self::MtuProbe,
        Self::FastOpen,
        Self::FastOpenChild,
        Self::UrgentSent,
        Self::UrgentReceived,
        Self::Ecn,
        Self::EcnEcho,
        Self::Timestamps,
        Self::Reassembly,
        Self::DelayedAck,
        Self::Autotune,
        Self::KeepaliveTimer,
        Self::Probes,
        Self::UserTimeout,
        Self::Persist,
        Self::SoftError,
        Self::Orphan,
        Self::TimeWait,
    ];
}

impl Connection {
    /// Getter: the connection has `attachment` now.
    pub fn has_attachment(&self, attachment: Attachment) -> bool {
        let flight = |has: fn(&Flight) -> bool| self.recovery.flight.as_deref().is_some_and(has);
        let timer = |reason| self.timers.is_set(reason);
        match attachment {
            Attachment::Flight => flight(|_| true),
            Attachment::FastRecovery => self.recovery.phase == Phase::Fast,
            Attachment::LossRecovery => self.recovery.phase == Phase::Loss,
            Attachment::Scoreboard => flight(|f| f.sacked_bytes > 0),
            Attachment::LostWaiting => flight(|f| !f.lost.is_empty() && f.lost_bytes > 0),
            Attachment::Retransmissions => flight(|f| f.retrans_bytes > 0),
            Attachment::Duplicates => flight(|f| f.dup_acks > 0),
            Attachment::ReorderTimer => flight(|f| f.timers.reorder != OFF),
            Attachment::ProbeTimer => flight(|f| f.timers.probe != OFF),
            Attachment::TailProbe => flight(|f| f.tlp.is_under_way()),
            Attachment::Prr => {
                self.recovery.phase == Phase::Fast && flight(|f| f.prr != Default::default())
            }
            Attachment::Undo => flight(|f| f.undo != Default::default()),
            Attachment::Frto => flight(|f| f.frto),
            Attachment::Records => flight(|f| !f.records.is_empty()),
            Attachment::PacingTimer => flight(|f| f.timers.pacing != OFF),
            Attachment::IdleTimer => flight(|f| f.timers.idle != OFF),
            Attachment::MtuSearch => self.seldom.mtu_search().is_some(),
            Attachment::MtuProbe => self.seldom.mtu_search().is_some_and(|s| s.probed().is_some()),
            Attachment::FastOpen => self.seldom.fast_open().is_some(),
            Attachment::FastOpenChild => self.is_fast_child(),
            Attachment::UrgentSent => self.is_urgent(),
            Attachment::UrgentReceived => self.seldom.urgent().is_some_and(|u| u.is_told()),
            Attachment::Ecn => self.ecn.is_agreed(),
            Attachment::EcnEcho => self.ecn.is_echoing(),
            Attachment::Timestamps => self.options.timestamps,
            Attachment::Reassembly => self.rcv.has_gap(),
            Attachment::DelayedAck => timer(TimerReason::DelayedAck),
            Attachment::Autotune => self.rcv.autotune.is_some(),
            Attachment::KeepaliveTimer => timer(TimerReason::Keepalive),
            Attachment::Probes => self.counters.probes > 0,
            Attachment::UserTimeout => {
                let stalls = |t: &Trouble| t.stalled_ms > 0;
                self.config.user_timeout_ms > 0
                    && self.recovery.retries > 0
                    && self.recovery.trouble.as_deref().is_some_and(stalls)
            }
            Attachment::Persist => timer(TimerReason::Persist),
            Attachment::SoftError => self.events.soft_error.is_some(),
            Attachment::Orphan => self.flags.reader.is_gone() && timer(TimerReason::Orphan),
            Attachment::TimeWait => self.state == State::TimeWait,
        }
    }
}
