//! What an operator sees of each socket.

use alloc::boxed::Box;

use super::Stack;
use super::channels::Stage;
use super::sock::{Kind, Socket};
use crate::machnet::{FlowState, Profile};
use crate::nic::IfIndex;
use crate::port::{AppPort, ChannelId, SocketId, SocketInfo, Transport};
use crate::socket::Endpoint;
use crate::tcp::State;
use crate::time::Instant;

/// What a socket is, and where it is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketRole {
    /// Waits for connections or flows.
    Listener {
        /// Whose handshakes are not done.
        half_open: u32,
        /// That wait to be accepted.
        waiting: u32,
        /// Most that may wait.
        backlog: u32,
    },
    /// A TCP connection.
    Connection(State),
    /// A UDP socket.
    Datagrams,
    /// A Machnet flow.
    Flow(FlowState, Profile),
}

/// One socket as it is at one moment.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// Its name.
    pub id: SocketId,
    /// Whose it is.
    pub channel: ChannelId,
    /// The application is gone; it delivers what it was given.
    pub orphan: bool,
    /// Its transport.
    pub transport: Transport,
    /// What it is.
    pub role: SocketRole,
    /// Our end.
    pub local: Endpoint,
    /// The other end, if there is one.
    pub remote: Option<Endpoint>,
    /// Where its packets leave, of sockets with another end.
    pub interface: Option<IfIndex>,
    /// The figures of connections and flows.
    pub info: Option<Box<SocketInfo>>,
}

impl Stack {
    /// Getter: slots of the socket table: [`Stack::survey`] has something to say of slots below this only.
    pub fn socket_slots(&self) -> u32 {
        u32::try_from(self.sockets.slots()).unwrap_or(u32::MAX)
    }

    /// Getter: whose socket is in slot `index`.
    pub fn channel_at(&self, index: u32) -> Option<ChannelId> {
        self.sockets.at(index).map(|socket| socket.channel)
    }

    /// Getter: the socket in slot `index`, as of `now`.
    pub fn survey<P: AppPort>(&self, now: Instant, index: u32, port: &mut P) -> Option<Surveyed> {
        let socket = self.sockets.at(index)?;
        let (transport, role) = socket.role();
        let connected = socket.tuple.remote.port != 0;
        Some(Surveyed {
            id: self.sockets.id_at(index)?,
            channel: socket.channel,
            orphan: socket.stage == Stage::Orphan,
            transport,
            role,
            local: socket.tuple.local,
            remote: connected.then_some(socket.tuple.remote),
            interface: connected.then_some(socket.interface),
            info: match &socket.kind {
                Kind::Tcp { .. } => socket.tcp_info(now, socket.ended, port),
                Kind::Machnet { flow } => Some(Box::new(flow.info())),
                Kind::Listener(_) | Kind::Udp(_) => None,
            },
        })
    }

    /// Getter: sockets of a channel whose application is there.
    pub fn sockets_of(&self, channel: ChannelId) -> u32 {
        self.channels.count(channel)
    }
}

impl Socket {
    fn role(&self) -> (Transport, SocketRole) {
        match &self.kind {
            Kind::Listener(listener) => {
                let (half_open, waiting, backlog) = listener.queues();
                (listener.transport, SocketRole::Listener { half_open, waiting, backlog })
            }
            Kind::Tcp { connection } => {
                (Transport::Tcp, SocketRole::Connection(connection.state()))
            }
            Kind::Udp(_) => (Transport::Udp, SocketRole::Datagrams),
            Kind::Machnet { flow } => {
                (Transport::Machnet, SocketRole::Flow(flow.state(), flow.profile()))
            }
        }
    }
}
