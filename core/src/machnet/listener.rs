//! What a listener answers to a packet for which there is no flow.

use crate::wire::machnet::{MachnetHeader, NetFlags};

/// What to do with a packet that no flow takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListenDisposition {
    /// Make a flow with [`super::Flow::accept`].
    Accept,
    /// The backlog is full: stay silent, the peer asks again.
    Full,
    /// Not the beginning of a flow; upstream stays silent, and so do we.
    Ignore,
}

/// Getter: the decision of a listener with `free` places in its backlog.
pub const fn listen(header: &MachnetHeader, free: u32) -> ListenDisposition {
    match header.net_flags {
        NetFlags::Syn if free == 0 => ListenDisposition::Full,
        NetFlags::Syn => ListenDisposition::Accept,
        NetFlags::Data | NetFlags::Ack | NetFlags::SynAck | NetFlags::Rst => {
            ListenDisposition::Ignore
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_syn_with_a_free_place_becomes_a_flow() {
        let of = |kind, free| listen(&MachnetHeader::new(kind, 0, 0), free);
        assert_eq!(of(NetFlags::Syn, 1), ListenDisposition::Accept);
        assert_eq!(of(NetFlags::Syn, 0), ListenDisposition::Full);
        for kind in [NetFlags::Data, NetFlags::Ack, NetFlags::SynAck, NetFlags::Rst] {
            assert_eq!(of(kind, 9), ListenDisposition::Ignore);
        }
    }
}
