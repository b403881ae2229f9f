//! UDP sockets of applications: bound, connected, given datagrams to send (RFC 768, RFC 1122 §4.1).

use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};

use super::composition::Stack;
use super::lookup::NewSocket;
use super::no_stream::rings;
use super::routing::Hop;
use super::sock::{Kind, Socket};
use crate::error::CommandError;
use crate::event::DropReason;
use crate::nic::{Frame, IfIndex};
use crate::port::{AppPort, ChannelId, Completion, SocketId, Transport};
use crate::socket::{Endpoint, FourTuple};
use crate::time::Instant;
use crate::udp::{Outgoing, SendError, UdpSocket};

use super::payload::Payload;
use super::rx::Packet;

/// The longest payload: what IPv4's total length leaves behind an IP and a UDP header.
pub(super) const DATAGRAM_PAYLOAD_MAX: u32 = 65_507;

impl From<SendError> for CommandError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::BeyondRing => Self::InvalidArgument,
            SendError::QueueFull => Self::LimitReached,
            SendError::Closed => Self::WrongState,
        }
    }
}

/// The remote end of a socket that is connected to nobody.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0);

impl Stack {
    /// A socket on `local`; port 0 for any that is free. Its application is told by [`Completion::Bound`].
    pub(super) fn bind_udp<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        tag: u64,
        local: SocketAddr,
        port: &mut P,
    ) -> Result<(), CommandError> {
        if !local.ip().is_unspecified() && !self.is_local(local.ip()) {
            return Err(CommandError::AddressNotAvailable);
        }
        let local = self.choose_udp_port(channel, local, port)?;
        let new = NewSocket {
            channel,
            tuple: FourTuple::new(local, NOBODY),
            hop: Hop { interface: IfIndex::LOOPBACK, address: NOBODY.ip(), source: None },
            listener: None,
            kind: Kind::Udp(Box::new(UdpSocket::new())),
        };
        let socket = self.insert(now, new).ok_or(CommandError::LimitReached)?;
        let Some(stream) = port.stream_open(channel, socket, Transport::Udp) else {
            self.drop_silently(socket);
            return Err(CommandError::LimitReached);
        };
        if let Some(socket) = self.sockets.get_mut(socket) {
            socket.stream = stream.into();
            socket.announced = true;
        }
        port.complete(channel, Completion::Bound { tag, socket, stream, local });
        Ok(())
    }

    /// Ports are one space for UDP sockets and Machnet listeners: both are UDP on the wire. One application may bind all
    /// addresses and single ones beside; nobody can take another's datagrams.
    fn choose_udp_port<P: AppPort>(
        &mut self,
        channel: ChannelId,
        local: SocketAddr,
        app: &P,
    ) -> Result<SocketAddr, CommandError> {
        let at = |port| SocketAddr::new(local.ip(), port);
        let Self { sockets, udp, machnet, ports, random, .. } = self;
        let on = |port| {
            let local = Endpoint::from(at(port));
            udp.overlapping(sockets, local).chain(machnet.overlapping(sockets, local))
        };
        let may_share = |other: &Socket| {
            let process = app.process(other.channel);
            let same = process.is_none() || process == app.process(channel);
            same && other.tuple.local.address != local.ip().into()
        };
        let port = match local.port() {
            0 => ports
                .choose(random, |port| on(port).next().is_none())
                .ok_or(CommandError::PortsExhausted)?,
            port if on(port).all(may_share) => port,
            _ => return Err(CommandError::AddressInUse),
        };
        Ok(at(port))
    }

    /// From now on the socket sends to `remote` where it is told nothing else, and receives from there alone; `None`: to
    /// and from anybody again. Answered by [`Completion::Bound`] with the local end as it is then.
    pub(super) fn connect_udp<P: AppPort>(
        &mut self,
        channel: ChannelId,
        tag: u64,
        id: SocketId,
        remote: Option<SocketAddr>,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let (Kind::Udp(_), Some(stream)) = (&socket.kind, socket.stream.of(socket.channel)) else {
            return Err(CommandError::WrongState);
        };
        let old = socket.tuple;
        let local = SocketAddr::from(old.local);
        let tuple = match remote {
            None => FourTuple::new(local, NOBODY),
            Some(remote) => {
                let hop = self.check_remote(remote)?;
                let source = match local.ip() {
                    any if any.is_unspecified() => self
                        .source_for(hop, remote.ip())
                        .ok_or(CommandError::AddressNotAvailable)?,
                    own if own.is_ipv4() == remote.is_ipv4() => own,
                    _ => return Err(CommandError::InvalidArgument),
                };
                FourTuple::new(SocketAddr::new(source, local.port()), remote)
            }
        };
        if !self.rebind_udp(id, tuple) {
            self.rebind_udp(id, old);
            return Err(CommandError::AddressInUse);
        }
        let local = tuple.local.into();
        port.complete(channel, Completion::Bound { tag, socket: id, stream, local });
        Ok(())
    }

    /// Moves a socket to another place in the table of addresses. False when that is taken.
    fn rebind_udp(&mut self, id: SocketId, tuple: FourTuple) -> bool {
        let Some(socket) = self.sockets.get(id) else { return false };
        self.udp.remove(id, socket);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.tuple = tuple;
        }
        self.udp.insert(&self.sockets, id)
    }

    /// Queues a datagram. What becomes of it later is nobody's to know, as with all datagrams. The bytes of one that is refused are
    /// given back.
    pub(super) fn send_udp<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        id: SocketId,
        bytes: (u64, u32),
        remote: Option<SocketAddr>,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let queued = self.queue_udp(channel, id, bytes, remote, port);
        let Some(socket) = self.owned(channel, id) else { return queued };
        if let (Err(_), Kind::Udp(udp)) = (&queued, &mut socket.kind) {
            udp.pass_over(bytes, &mut rings(port, socket.stream.of(socket.channel)));
        }
        self.settle(now, id, None, port);
        queued
    }

    fn queue_udp<P: AppPort>(
        &mut self,
        channel: ChannelId,
        id: SocketId,
        (offset, len): (u64, u32),
        remote: Option<SocketAddr>,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let hop = match remote {
            Some(remote) => Some(self.check_remote(remote)?),
            None => None,
        };
        let len = u16::try_from(len)
            .ok()
            .filter(|len| u32::from(*len) <= DATAGRAM_PAYLOAD_MAX)
            .ok_or(CommandError::InvalidArgument)?;
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let (connected, own) = (socket.tuple.remote.port != 0, socket.tuple.local.address.ip());
        let Kind::Udp(udp) = &mut socket.kind else { return Err(CommandError::WrongState) };
        if remote.is_none() && !connected {
            return Err(CommandError::InvalidArgument);
        }
        if remote.is_some_and(|remote| remote.is_ipv4() != own.is_ipv4()) {
            return Err(CommandError::InvalidArgument);
        }
        let datagram = Outgoing { offset, len, remote: remote.map(Endpoint::from) };
        udp.send(datagram, &rings(port, socket.stream.of(socket.channel)))?;
        if let Some(hop) = hop
            && udp.next_to_send() == Some(datagram)
        {
            socket.interface = hop.interface;
        }
        Ok(())
    }

    /// The socket that a datagram is for: the one that is connected to its sender, else one that is bound to its address,
    /// else one that is bound to the port alone.
    pub(super) fn udp_socket(&self, tuple: &FourTuple) -> Option<SocketId> {
        let connected = self.udp.connection(&self.sockets, tuple);
        connected.or_else(|| self.udp.listener(&self.sockets, tuple))
    }

    /// A datagram for socket `id`: into its ring, or dropped and counted where its application reads too slowly.
    pub(super) fn handle_datagram<F: Frame, P: AppPort>(
        &mut self,
        id: SocketId,
        frame: &F,
        (at, len): (usize, usize),
        remote_port: u16,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        self.stats.socket_visits += 1;
        let Some(socket) = self.sockets.get_mut(id) else { return Err(DropReason::NoSocket) };
        let (channel, stream) = (socket.channel, socket.stream.of(socket.channel));
        let Kind::Udp(udp) = &mut socket.kind else { return Err(DropReason::NoSocket) };
        let payload = Payload::of(frame, at, len);
        let received = udp.receive(payload.slices(), &mut rings(port, stream));
        let Ok(offset) = received else {
            self.stats.udp_receive_drops += 1;
            return Err(DropReason::Limit);
        };
        self.stats.udp_datagrams_in += 1;
        let remote = SocketAddr::new(packet.src, remote_port);
        let len = len as u32;
        port.complete(channel, Completion::Datagram { socket: id, offset, len, remote });
        Ok(())
    }
}
