//! Which socket an address belongs to, and how a new socket gets its place.

use alloc::collections::BTreeSet;

use super::channels::Stage;
use super::composition::Stack;
use super::routing::Hop;
use super::sock::{Kind, Links, Socket, Sockets, StreamSlot};
use crate::event::Event;
use crate::port::{ChannelId, SocketId, StreamId, Transport};
use crate::socket::{Address, ConnectionDemux, Endpoint, FourTuple, ListenerDemux};
use crate::time::Instant;

/// The tables of one transport.
#[derive(Debug)]
pub(super) struct Demux {
    connections: ConnectionDemux,
    listeners: ListenerDemux,
    /// Port and slot of every listener, for asking who else is on a port. Never looked at for a packet.
    ports: BTreeSet<(u16, u32)>,
}

/// No socket's tuple.
const NOBODY: FourTuple = FourTuple {
    local: Endpoint { address: Address::V4_ANY, port: 0 },
    remote: Endpoint { address: Address::V4_ANY, port: 0 },
};

/// The tuple of a slot that stands in a table. A slot without a socket has none that could match.
fn tuple_of(sockets: &Sockets, slot: u32) -> FourTuple {
    sockets.at(slot).map_or(NOBODY, |socket| socket.tuple)
}

impl Demux {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            connections: ConnectionDemux::new(seed),
            listeners: ListenerDemux::new(seed),
            ports: BTreeSet::new(),
        }
    }

    pub(super) fn connection(&self, sockets: &Sockets, tuple: &FourTuple) -> Option<SocketId> {
        let slot = self.connections.lookup(tuple, |slot| tuple_of(sockets, slot))?;
        sockets.id_at(slot)
    }

    pub(super) fn listener(&self, sockets: &Sockets, tuple: &FourTuple) -> Option<SocketId> {
        let slot = self.listeners.lookup(tuple, |slot| tuple_of(sockets, slot).local)?;
        sockets.id_at(slot)
    }

    /// Getter: those whose first segments a listener on `local` would also get, or take away: on the same port, and on
    /// the same address or one of the two on all addresses.
    pub(super) fn overlapping<'a>(
        &'a self,
        sockets: &'a Sockets,
        local: Endpoint,
    ) -> impl Iterator<Item = &'a Socket> {
        let on_port = self.ports.range((local.port, 0)..=(local.port, u32::MAX));
        let any = local.address.unspecified();
        on_port.filter_map(|&(_, slot)| sockets.at(slot)).filter(move |other| {
            let address = other.tuple.local.address;
            // `::` listens for both families.
            let both = address == Address::V6_ANY || local.address == Address::V6_ANY;
            both || address == local.address || address == any || local.address == any
        })
    }

    pub(super) fn insert(&mut self, sockets: &Sockets, id: SocketId) -> bool {
        let Some(socket) = sockets.get(id) else { return false };
        let tuple_of = |slot| tuple_of(sockets, slot);
        let entered = match socket.kind {
            Kind::Listener(_) | Kind::Udp(_) if socket.is_bound() => {
                let local = &socket.tuple.local;
                let entered = self.listeners.insert(local, id.index, |slot| tuple_of(slot).local);
                if entered.is_ok() {
                    self.ports.insert((local.port, id.index));
                }
                entered
            }
            Kind::Listener(_) | Kind::Udp(_) | Kind::Tcp { .. } | Kind::Machnet { .. } => {
                self.connections.insert(&socket.tuple, id.index, tuple_of)
            }
        };
        entered.is_ok()
    }

    pub(super) fn remove(&mut self, id: SocketId, socket: &Socket) {
        match socket.kind {
            Kind::Listener(_) | Kind::Udp(_) if socket.is_bound() => {
                self.ports.remove(&(socket.tuple.local.port, id.index));
                self.listeners.remove(&socket.tuple.local, id.index)
            }
            Kind::Listener(_) | Kind::Udp(_) | Kind::Tcp { .. } | Kind::Machnet { .. } => {
                self.connections.remove(&socket.tuple, id.index)
            }
        };
    }
}

/// What a new socket is made of.
#[derive(Debug)]
pub(super) struct NewSocket {
    pub(super) channel: ChannelId,
    pub(super) tuple: FourTuple,
    pub(super) hop: Hop,
    /// The listener that it came from.
    pub(super) listener: Option<SocketId>,
    pub(super) kind: Kind,
}

impl Stack {
    const fn demux_mut(&mut self, transport: Transport) -> &mut Demux {
        match transport {
            Transport::Tcp => &mut self.tcp,
            Transport::Machnet => &mut self.machnet,
            Transport::Udp => &mut self.udp,
        }
    }

    /// Enters a socket into every table. `None` when the table is full, its address is taken or its channel has as many
    /// as it may.
    pub(super) fn insert(&mut self, now: Instant, new: NewSocket) -> Option<SocketId> {
        let NewSocket { channel, tuple, hop, listener, kind } = new;
        if self.channels.count(channel) >= self.config.sockets_per_channel_max() {
            return None;
        }
        let socket = Socket {
            channel,
            links: Links::default(),
            stage: Stage::Served,
            stream: StreamSlot::NONE,
            listener: listener.into(),
            tuple,
            interface: hop.interface,
            next_hop: hop.address.into(),
            announced: false,
            ended: false,
            label_turn: 0,
            route_epoch: self.routing.epoch(),
            kind,
        };
        let transport = socket.transport();
        let is_listener = matches!(socket.kind, Kind::Listener(_));
        let id = self.sockets.insert(socket).ok()?;
        let demux = match transport {
            Transport::Tcp => &mut self.tcp,
            Transport::Machnet => &mut self.machnet,
            Transport::Udp => &mut self.udp,
        };
        if !demux.insert(&self.sockets, id) {
            self.sockets.remove(id);
            return None;
        }
        self.channels.link(&mut self.sockets, id);
        self.stats.sockets_opened += 1;
        if !is_listener && self.events.is_on() {
            let (local, remote) = (tuple.local.into(), tuple.remote.into());
            self.events.push(now, Event::Opened { socket: id, transport, local, remote });
        }
        Some(id)
    }

    /// Takes a socket, which is out of its slot already, out of the tables of addresses.
    pub(super) fn unbind(&mut self, id: SocketId, socket: &Socket) {
        self.demux_mut(socket.transport()).remove(id, socket);
    }

    /// The socket `id`, if it belongs to `channel`.
    pub(super) fn owned(&mut self, channel: ChannelId, id: SocketId) -> Option<&mut Socket> {
        self.sockets.get_mut(id).filter(|socket| socket.channel == channel)
    }

    /// Getter: the rings of a socket, for who embeds the stack. `None` for sockets without.
    pub fn stream_of(&self, id: SocketId) -> Option<StreamId> {
        self.sockets.get(id).and_then(|socket| socket.stream.of(socket.channel))
    }
}
