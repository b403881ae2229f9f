//! What a listener answers to a packet for which there is no flow.

use crate::wire::machnet::{MachnetHeader, NetFlags, Offer};

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

/// Getter: the RST that answers `header`, for which there is no flow; `None` where it gets none: it is no packet of the extended
/// profile, or a RST.
pub fn answer_nobody(header: &MachnetHeader) -> Option<MachnetHeader> {
    let offers = Offer::parse(header.timestamp).is_some();
    let (extended, next) = match header.net_flags {
        NetFlags::Syn | NetFlags::SynAck => (offers, 1),
        NetFlags::Data => (header.timestamp != 0, 1),
        NetFlags::Ack => (header.timestamp != 0, 0),
        NetFlags::Rst => (false, 0),
    };
    let ackno = header.seqno.wrapping_add(next);
    let echo = if offers && next == 1 { 0 } else { header.timestamp >> 32 };
    extended.then(|| MachnetHeader {
        timestamp: echo,
        ..MachnetHeader::new(NetFlags::Rst, header.ackno, ackno)
    })
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
