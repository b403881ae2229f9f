//! The state machine of RFC 9293 §3.3.2 (figure 5), written once.

use super::state::State;

/// What moves a connection from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A SYN without ACK arrived in SYN-SENT: simultaneous open.
    RecvSyn,
    /// A SYN that acknowledges ours arrived in SYN-SENT.
    RecvSynAck,
    /// Our SYN,ACK is acknowledged.
    RecvAckOfSyn,
    /// The peer's FIN is next in order.
    RecvFin,
    /// Our FIN is acknowledged.
    RecvAckOfFin,
    /// A valid RST arrived.
    RecvRst,
    /// The application will write no more (CLOSE, or a half close).
    Close,
    /// The application aborts.
    Abort,
    /// 2 MSL passed in TIME-WAIT, or FIN-WAIT-2 was waited out.
    Expire,
    /// Retransmissions or probes were given up.
    GiveUp,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 10] = [
        Self::RecvSyn,
        Self::RecvSynAck,
        Self::RecvAckOfSyn,
        Self::RecvFin,
        Self::RecvAckOfFin,
        Self::RecvRst,
        Self::Close,
        Self::Abort,
        Self::Expire,
        Self::GiveUp,
    ];
}

impl State {
    /// Getter: the state after `trigger`, or `None` where the trigger means nothing in this state.
    pub const fn next(self, trigger: Trigger) -> Option<Self> {
        use State as S;
        use Trigger as T;
        let next = match (self, trigger) {
            (S::Closed, _) => return None,
            // RFC 1337: a RST does not end TIME-WAIT.
            (S::TimeWait, T::RecvRst) => return None,
            (_, T::RecvRst | T::Abort | T::GiveUp) => S::Closed,
            (S::FinWait2 | S::TimeWait, T::Expire) => S::Closed,
            (S::SynSent, T::RecvSyn) => S::SynReceived,
            (S::SynSent, T::RecvSynAck) => S::Established,
            (S::SynSent, T::Close) => S::Closed,
            (S::SynReceived, T::RecvAckOfSyn) => S::Established,
            (S::SynReceived | S::Established, T::RecvFin) => S::CloseWait,
            (S::SynReceived | S::Established, T::Close) => S::FinWait1,
            (S::FinWait1, T::RecvFin) => S::Closing,
            (S::FinWait1, T::RecvAckOfFin) => S::FinWait2,
            (S::FinWait2, T::RecvFin) => S::TimeWait,
            (S::CloseWait, T::Close) => S::LastAck,
            (S::Closing, T::RecvAckOfFin) => S::TimeWait,
            (S::LastAck, T::RecvAckOfFin) => S::Closed,
            (
                S::SynSent
                | S::SynReceived
                | S::Established
                | S::FinWait1
                | S::FinWait2
                | S::CloseWait
                | S::Closing
                | S::LastAck
                | S::TimeWait,
                T::RecvSyn
                | T::RecvSynAck
                | T::RecvAckOfSyn
                | T::RecvFin
                | T::RecvAckOfFin
                | T::Close
                | T::Expire,
            ) => return None,
        };
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write as _;
    use std::string::String;

    use super::*;

    #[test]
    fn the_transition_table_is_the_one_of_rfc_9293() {
        let mut table = String::new();
        write!(table, "{:<13}", "").unwrap();
        for trigger in Trigger::ALL {
            write!(table, "{:<13}", std::format!("{trigger:?}")).unwrap();
        }
        table.push('\n');
        for state in State::ALL {
            write!(table, "{:<13}", std::format!("{state:?}")).unwrap();
            for trigger in Trigger::ALL {
                let next = state.next(trigger).map_or("-".into(), |s| std::format!("{s:?}"));
                write!(table, "{next:<13}").unwrap();
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn every_state_reaches_closed_and_closed_is_final() {
        for state in State::ALL {
            if state == State::Closed {
                assert!(Trigger::ALL.iter().all(|t| state.next(*t).is_none()));
            } else {
                assert_eq!(state.next(Trigger::Abort), Some(State::Closed));
            }
        }
    }
}
