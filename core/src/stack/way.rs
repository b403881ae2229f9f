//! The way of the socket that sent last: whom its frames are addressed to, and what is in front of each of them. Bulk transfer and
//! its acknowledgements ask for the same way turn after turn.

use super::composition::Stack;
use super::emit::LinkHeader;
use super::emit_plain::PlainHeaders;
use crate::nic::NicCaps;
use crate::port::{AppPort, SocketId};
use crate::time::Instant;
use crate::wire::EtherType;

/// See the module. It holds until the neighbour table or the routes change.
#[derive(Debug)]
pub(super) struct Way {
    id: SocketId,
    /// Of the neighbour table and of the routes.
    epochs: (u32, u16),
    /// The neighbour, `None` where there is none to be resolved.
    neighbor: u32,
    pub(super) v6: bool,
    pub(super) link: LinkHeader,
    /// What every segment without unusual options begins with; IPv4 only.
    pub(super) plain: Option<PlainHeaders>,
}

impl Way {
    /// Nobody's.
    pub(super) const NONE: Self = Self {
        id: SocketId { index: u32::MAX, generation: u32::MAX },
        epochs: (0, 0),
        neighbor: 0,
        v6: false,
        link: LinkHeader::None,
        plain: None,
    };
}

impl Way {
    /// Getter: whose it is.
    #[inline]
    pub(super) const fn id(&self) -> SocketId {
        self.id
    }
}

impl Stack {
    /// Getter: `way` is that of the socket at `index`, and still good.
    #[inline]
    pub(super) fn is_way_of(&mut self, index: u32) -> bool {
        let epochs = (self.neighbors.epoch(), self.routing.epoch());
        let same = self.way.id.index == index && self.way.epochs == epochs;
        if same {
            self.neighbors.touch(self.way.neighbor);
        }
        same
    }

    /// Sees to it that `way` is that of socket `id`. False: it has none now, and waits for its neighbour or is gone.
    #[inline]
    pub(super) fn find_way<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        caps: &NicCaps,
        port: &mut P,
    ) -> bool {
        let epochs = (self.neighbors.epoch(), self.routing.epoch());
        if self.way.id == id && self.way.epochs == epochs {
            self.neighbors.touch(self.way.neighbor);
            return true;
        }
        self.look_for_way(now, id, caps, port)
    }

    fn look_for_way<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        caps: &NicCaps,
        port: &mut P,
    ) -> bool {
        self.way = Way::NONE;
        let Some(station) = self.resolve_for(now, id, port) else { return false };
        let Some(socket) = self.sockets.get(id) else { return false };
        let v6 = socket.tuple.remote.address.v4().is_none();
        let ether_type = if v6 { EtherType::IPV6 } else { EtherType::IPV4 };
        let link = self.link_header(socket.interface, caps, station, ether_type);
        let plain = if caps.tx_checksum { None } else { PlainHeaders::new(&link, &socket.tuple) };
        // A neighbour that is not confirmed is looked up each time: it has to be asked.
        let (id, neighbor) = match self.neighbors.confirmed(&socket.neighbor()) {
            Some(neighbor) => (id, neighbor),
            None => (Way::NONE.id, 0),
        };
        let epochs = (self.neighbors.epoch(), self.routing.epoch());
        self.way = Way { id, epochs, neighbor, v6, link, plain };
        true
    }
}
