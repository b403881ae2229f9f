//! How connections and flows begin: passively, for a listener, or actively, for an application.

use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};

use super::composition::Stack;
use super::datagram::ip_header_len;
use super::lookup::NewSocket;
use super::routing::Hop;
use super::sock::{Kind, Listener, Sockets};
use crate::error::CommandError;
use crate::event::DropReason;
use crate::machnet::{self, Flow};
use crate::nic::IfIndex;
use crate::planted::{self, Bug};
use crate::port::{AppPort, ChannelId, Completion, SocketId, Transport};
use crate::socket::FourTuple;
use crate::tcp::{
    Before, Connection, IsnSecret, SeqNumber, State, initial_sequence, timestamp_offset,
};
use crate::time::{Duration, Instant};
use crate::wire::machnet::{MTU_MIN, MachnetHeader};
use crate::wire::tcp::TcpHeader;

/// How far behind the numbers of a connection in TIME-WAIT those of the next one begin, as on Linux: what of the old one's window
/// may still come is not in the new one's.
const BEYOND_TIME_WAIT: u32 = 65_537;

/// The packet that begins a connection or flow.
#[derive(Clone, Copy, Debug)]
pub(super) enum First<'a> {
    /// A SYN, and the last sequence number of the connection in TIME-WAIT that it follows, if there is one.
    Tcp(&'a TcpHeader, Option<SeqNumber>),
    Machnet(&'a MachnetHeader),
}

impl Stack {
    /// Opens what a listener was asked for on `link`, if its backlog and the limits allow it.
    pub(super) fn open_passive<P: AppPort>(
        &mut self,
        now: Instant,
        listener_id: SocketId,
        tuple: FourTuple,
        first: First<'_>,
        link: IfIndex,
        port: &mut P,
    ) -> Result<SocketId, DropReason> {
        let remote = tuple.remote.address.ip();
        let Some(hop) = self.next_hop_on(remote, Some(link)) else {
            return Err(DropReason::NoSocket);
        };
        if matches!(first, First::Machnet(_)) && !self.carries_machnet(hop.interface) {
            return Err(DropReason::Protocol);
        }
        let Some(listener) = self.listener_mut(listener_id) else {
            return Err(DropReason::NoSocket);
        };
        let config = listener.config.clone();
        if !listener.begin() {
            let First::Machnet(_) = first else { return Err(DropReason::Limit) };
            self.stats.backlog_overflows += 1;
            if !self.evict_half_open(now, listener_id, port) {
                return Err(DropReason::Limit);
            }
        }
        let channel = self.sockets.get(listener_id).map(|socket| socket.channel);
        let kind = match first {
            First::Tcp(syn, beyond) => {
                let (iss, ts_offset) = self.sequence_start(now, &tuple);
                // RFC 9293 MAY-2: the clock may be behind what a fast connection has used up.
                let iss = match beyond {
                    Some(last) if SeqNumber(iss) <= last => (last + BEYOND_TIME_WAIT).0,
                    Some(_) | None => iss,
                };
                let connection = Connection::accept(now, config, iss, ts_offset, syn);
                Kind::Tcp { connection }
            }
            First::Machnet(syn) => {
                let config = self.machnet_on(hop, remote);
                let (iss, clock) = self.machnet_start(now, &tuple);
                // To whom offers nothing the first number is 0, as upstream's is.
                let iss = if config.agree(syn.timestamp).is_some() { iss } else { 0 };
                let mut flow = Flow::accept(now, &config, iss, syn);
                flow.start_clock(now, clock);
                Kind::Machnet { flow: Box::new(flow) }
            }
        };
        let listener = Some(listener_id);
        let opened = channel.and_then(|channel| {
            self.insert(now, NewSocket { channel, tuple, hop, listener, kind })
        });
        let Some(id) = opened else {
            if let Some(listener) = self.listener_mut(listener_id) {
                listener.give_up();
            }
            return Err(DropReason::Limit);
        };
        if let First::Machnet(_) = first {
            self.remember_half_open(listener_id, id);
        }
        self.settle(now, id, Some(State::Closed), port);
        Ok(id)
    }

    /// The account of a listener.
    pub(super) fn listener_mut(&mut self, id: SocketId) -> Option<&mut Listener> {
        match &mut self.sockets.get_mut(id)?.kind {
            Kind::Listener(listener) => Some(listener),
            Kind::Tcp { .. } | Kind::Machnet { .. } | Kind::Udp(_) => None,
        }
    }

    /// RFC 6528 and RFC 7323 §5.4: where a connection's numbers begin.
    fn sequence_start(&self, now: Instant, tuple: &FourTuple) -> (u32, u32) {
        let secret = IsnSecret(*self.config.secret());
        let (local, remote) = (tuple.local.into(), tuple.remote.into());
        let iss = initial_sequence(&secret, now, local, remote);
        (iss, timestamp_offset(&secret, local, remote))
    }

    /// The settings of flows with `remote` over `hop`.
    fn machnet_on(&self, hop: Hop, remote: IpAddr) -> machnet::Config {
        let config = *self.config.machnet_for(remote);
        let mtu = match remote {
            IpAddr::V4(_) => self.links[hop.interface.index()].mtu,
            IpAddr::V6(_) => self.ipv6[hop.interface.index()].mtu(),
        };
        // What lies behind a router may carry less, and a flow does not look for that.
        let mtu = if hop.address == remote { mtu } else { mtu.min(MTU_MIN) };
        if config.extended() { config.on_link(mtu, ip_header_len(remote) as u16) } else { config }
    }

    /// Where the numbers of a flow in the extended profile begin, and its clock, which goes on from one flow of a four-tuple to the
    /// next.
    fn machnet_start(&self, now: Instant, tuple: &FourTuple) -> (u32, u32) {
        let (iss, offset) = self.sequence_start(now, tuple);
        (iss, offset.wrapping_add(now.as_micros() as u32))
    }

    /// Opens a connection or flow for `channel`.
    pub(super) fn open_active<P: AppPort>(
        &mut self,
        now: Instant,
        asked: &Asked,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let config = self.take_staged(asked.channel);
        let hop = self.check_remote(asked.remote)?;
        if asked.transport == Transport::Machnet && !self.carries_machnet(hop.interface) {
            return Err(CommandError::MtuTooSmall);
        }
        let local = self.source_address(asked, hop)?;
        let tuple = self.choose_tuple(now, asked, local)?;
        let kind = match asked.transport {
            Transport::Tcp => {
                let (iss, ts_offset) = self.sequence_start(now, &tuple);
                let before = self.end_time_wait(now, &tuple, port);
                let iss = before.map_or(iss, |before| (before.last + BEYOND_TIME_WAIT).0);
                let mut connection = Connection::connect(now, &config, iss, ts_offset);
                // Who bound the port takes it over at once and begins anew: its SYN echoes nothing (RFC 7323 §3.2), and the peer's
                // SYN,ACK brings the timestamp that what is older falls behind.
                if let Some(before) = before
                    && self.time_wait_reuse.is_some_and(|after| after > Duration::ZERO)
                {
                    connection.go_on(before);
                }
                self.try_fast_open(now, &config, &tuple, &mut connection);
                Kind::Tcp { connection }
            }
            Transport::Udp => return Err(CommandError::InvalidArgument),
            // The first number is 0 towards upstream, whose peers assume it.
            Transport::Machnet => {
                let config = self.machnet_on(hop, asked.remote.ip());
                let mut flow = Flow::connect(now, &config, 0);
                flow.start_clock(now, self.machnet_start(now, &tuple).1);
                Kind::Machnet { flow: Box::new(flow) }
            }
        };
        let new = NewSocket { channel: asked.channel, tuple, hop, listener: None, kind };
        let id = self.insert(now, new).ok_or(CommandError::LimitReached)?;
        let Some(stream) = port.stream_open(asked.channel, id, asked.transport) else {
            self.drop_silently(id);
            return Err(CommandError::LimitReached);
        };
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.stream = stream.into();
            // Its application knows of it from the first moment.
            socket.announced = true;
        }
        let (tag, local) = (asked.tag, tuple.local.into());
        port.complete(asked.channel, Completion::Connecting { tag, socket: id, stream, local });
        self.settle(now, id, Some(State::Closed), port);
        Ok(())
    }

    /// Machnet's full packets fit the link.
    fn carries_machnet(&self, interface: IfIndex) -> bool {
        self.links.get(interface.index()).is_some_and(|link| link.mtu >= MTU_MIN)
    }

    /// Machnet can arrive at this address from other hosts. At the unspecified one it can if any link carries it, or if
    /// there is none but the loopback.
    pub(super) fn may_receive_machnet(&self, local: IpAddr) -> bool {
        let mut links = (1..self.links.len()).map(|index| IfIndex(index as u8));
        if local.is_unspecified() {
            return self.links.len() == 1 || links.any(|link| self.carries_machnet(link));
        }
        let has_it =
            |link: &IfIndex| self.routing.addresses(*link).iter().any(|own| own.addr() == local);
        links.find(has_it).is_none_or(|link| self.carries_machnet(link))
    }

    /// RFC 1122 §3.2.1.3 and RFC 9293 MUST-46: a connection goes to one host.
    pub(super) fn check_remote(&self, remote: SocketAddr) -> Result<Hop, CommandError> {
        let address = remote.ip();
        let one_host = match address {
            IpAddr::V4(v4) => !v4.is_broadcast(),
            // RFC 4942 §2.2: an IPv4 address in IPv6's clothes never goes onto a link.
            IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none(),
        };
        if remote.port() == 0 || address.is_unspecified() || address.is_multicast() || !one_host {
            return Err(CommandError::InvalidArgument);
        }
        // RFC 4007 §11: the number of an interface may stand beside a link-local address.
        let link = match remote {
            SocketAddr::V6(v6) => u8::try_from(v6.scope_id()).ok().filter(|scope| *scope > 0),
            SocketAddr::V4(_) => None,
        };
        let link = link.map(IfIndex).filter(|link| link.index() < self.links.len());
        self.next_hop_on(address, link).ok_or(CommandError::NoRoute)
    }

    fn source_address(&self, asked: &Asked, hop: Hop) -> Result<IpAddr, CommandError> {
        let remote = asked.remote.ip();
        match asked.local.filter(|local| !local.is_unspecified()) {
            None => self.source_for(hop, remote).ok_or(CommandError::AddressNotAvailable),
            Some(local) if local.is_ipv4() != remote.is_ipv4() => {
                Err(CommandError::InvalidArgument)
            }
            Some(local) if self.is_local(local) => Ok(local),
            Some(_) => Err(CommandError::AddressNotAvailable),
        }
    }

    /// A connection in TIME-WAIT that has this four-tuple makes room for the next one, which [`Stack::choose_tuple`] saw that it may.
    fn end_time_wait<P: AppPort>(
        &mut self,
        now: Instant,
        tuple: &FourTuple,
        port: &mut P,
    ) -> Option<Before> {
        let id = self.tcp.connection(&self.sockets, tuple)?;
        let before = before(&self.sockets, id)?;
        self.forget(now, id, port);
        Some(before)
    }

    /// A port that makes the four-tuple unique, connections in TIME-WAIT included unless they give way.
    fn choose_tuple(
        &mut self,
        now: Instant,
        asked: &Asked,
        local: IpAddr,
    ) -> Result<FourTuple, CommandError> {
        let Self { sockets, port_sequence, ports, time_wait_reuse, .. } = self;
        let over = |id: SocketId| {
            let since = before(sockets, id).map(|before| before.since);
            since.zip(*time_wait_reuse).is_some_and(|(since, after)| {
                now >= since + after || planted::is(Bug::TimeWaitReusedAtOnce)
            })
        };
        let demux = match asked.transport {
            Transport::Tcp => &self.tcp,
            Transport::Machnet => &self.machnet,
            Transport::Udp => &self.udp,
        };
        // A flow's datagrams must not be a UDP socket's.
        let udp = (asked.transport == Transport::Machnet).then_some(&self.udp);
        let tuple_with = |port: u16| FourTuple::new(SocketAddr::new(local, port), asked.remote);
        let is_free = |port: u16| {
            let tuple = tuple_with(port);
            // A socket cannot be its own peer: the machine has one end.
            tuple.local != tuple.remote
                && demux.connection(sockets, &tuple).is_none_or(over)
                && udp.is_none_or(|udp| udp.overlapping(sockets, tuple.local).next().is_none())
        };
        let port = ports.choose_towards(port_sequence, &tuple_with(0), is_free);
        let port = port.ok_or(CommandError::PortsExhausted)?;
        Ok(tuple_with(port))
    }

    /// Takes a socket out of every table; nobody is told.
    pub(super) fn drop_silently(&mut self, id: SocketId) {
        self.channels.unlink(&mut self.sockets, id);
        self.wheel.cancel(id.index);
        if let Some(socket) = self.sockets.remove(id) {
            if let Kind::Tcp { connection, .. } = &socket.kind
                && !socket.ended
            {
                connection.release_memory(&mut self.receive_memory);
            }
            self.stats.sockets_closed += 1;
            self.unbind(id, &socket);
        }
    }
}

/// What is known of the connection in TIME-WAIT, if `id` is one whose place another may take.
fn before(sockets: &Sockets, id: SocketId) -> Option<Before> {
    match &sockets.get(id)?.kind {
        Kind::Tcp { connection } => connection.before(),
        Kind::Listener(_) | Kind::Udp(_) | Kind::Machnet { .. } => None,
    }
}

/// An application's wish for a connection or flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) channel: ChannelId,
    pub(super) tag: u64,
    pub(super) transport: Transport,
    pub(super) local: Option<IpAddr>,
    pub(super) remote: SocketAddr,
}
