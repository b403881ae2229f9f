//! The state machine of Machnet flows, as a table: what may happen in each state, and where that may lead.

#[cfg(planted)]
use crate::machnet::FlowState;
use crate::machnet::FlowTimer;
use crate::wire::machnet::NetFlags;

macro_rules! happenings {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What happens to a flow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Happening {
            $($(#[$doc])* $name,)*
        }

        impl Happening {
            /// All of them.
            #[cfg(planted)]
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

happenings! {
    /// A packet comes.
    Syn,
    /// A packet comes.
    SynAck,
    /// A packet comes.
    Ack,
    /// A packet comes.
    Data,
    /// A packet comes.
    Rst,
    /// A timer expires.
    Handshake,
    /// A timer expires.
    Reordering,
    /// A timer expires.
    Retransmission,
    /// A timer expires.
    Linger,
    /// A timer expires.
    Stall,
    /// A timer expires.
    Idle,
    /// A timer expires.
    AckDelay,
    /// A timer expires.
    Pacing,
    /// A timer expires.
    Probe,
    /// A timer expires.
    Keepalive,
    /// The application closes.
    Close,
    /// The application, or what serves it, aborts.
    Abort,
    /// ICMP says that nobody is there.
    Refuse,
    /// The application is gone.
    Detach,
}

impl Happening {
    /// The arrival of a packet.
    #[inline(always)]
    pub const fn packet(flags: NetFlags) -> Self {
        match flags {
            NetFlags::Syn => Self::Syn,
            NetFlags::SynAck => Self::SynAck,
            NetFlags::Ack => Self::Ack,
            NetFlags::Data => Self::Data,
            NetFlags::Rst => Self::Rst,
        }
    }

    /// The end of a timer.
    #[inline(always)]
    pub const fn timer(timer: FlowTimer) -> Self {
        match timer {
            FlowTimer::Handshake => Self::Handshake,
            FlowTimer::Reordering => Self::Reordering,
            FlowTimer::Retransmission => Self::Retransmission,
            FlowTimer::Linger => Self::Linger,
            FlowTimer::Stall => Self::Stall,
            FlowTimer::Idle => Self::Idle,
            FlowTimer::Ack => Self::AckDelay,
            FlowTimer::Pacing => Self::Pacing,
            FlowTimer::Probe => Self::Probe,
            FlowTimer::Keepalive => Self::Keepalive,
        }
    }
}

/// Every state.
#[cfg(planted)]
pub(super) const STATES: [FlowState; 5] = [
    FlowState::SynSent,
    FlowState::SynReceived,
    FlowState::Established,
    FlowState::Closing,
    FlowState::Closed,
];

/// Getter: whether `what` may lead from one state to the other. Nothing happens to a flow that is closed.
#[cfg(planted)]
pub(super) const fn leads(from: FlowState, what: Happening, to: FlowState) -> bool {
    use FlowState as S;
    use Happening as H;
    let stays = from as u8 == to as u8;
    let is_closed = matches!(to, S::Closed);
    match from {
        S::SynSent => match what {
            H::SynAck => !matches!(to, S::SynReceived),
            H::Rst | H::Handshake | H::Close | H::Detach => stays || is_closed,
            H::Syn | H::Ack | H::Data => stays,
            H::Linger | H::Abort | H::Refuse => is_closed,
            H::Reordering | H::Retransmission | H::Stall | H::Idle => false,
            H::AckDelay | H::Pacing | H::Probe | H::Keepalive => false,
        },
        S::SynReceived => match what {
            H::Ack => stays || matches!(to, S::Established),
            // FIN, where the acknowledgement in front of it was lost.
            H::Data => stays || matches!(to, S::Established | S::Closed),
            H::Rst | H::Handshake => stays || is_closed,
            H::Syn | H::SynAck => stays,
            H::Close | H::Abort | H::Detach | H::Refuse => is_closed,
            H::Reordering | H::Retransmission | H::Linger | H::Stall | H::Idle => false,
            H::AckDelay | H::Pacing | H::Probe | H::Keepalive => false,
        },
        S::Established => match what {
            H::Data | H::Rst | H::Retransmission | H::Stall => stays || is_closed,
            H::Probe | H::Keepalive => stays || is_closed,
            H::AckDelay | H::Pacing => stays,
            H::Close | H::Detach => matches!(to, S::Closing | S::Closed),
            H::Syn | H::SynAck | H::Ack | H::Reordering | H::Idle | H::Refuse => stays,
            H::Abort => is_closed,
            H::Handshake | H::Linger => false,
        },
        S::Closing => match what {
            H::Ack | H::Data | H::Rst | H::Retransmission | H::Stall | H::Detach => {
                stays || is_closed
            }
            H::Probe | H::Keepalive => stays || is_closed,
            H::AckDelay | H::Pacing => stays,
            H::Syn | H::SynAck | H::Reordering | H::Idle | H::Refuse => stays,
            H::Linger | H::Abort => is_closed,
            H::Handshake | H::Close => false,
        },
        S::Closed => false,
    }
}
