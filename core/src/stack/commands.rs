//! What applications ask for.

use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};

use super::composition::Stack;
use super::datagram::{Datagram, datagram_len_max, ip_header_len};
use super::lookup::NewSocket;
use super::no_stream::{MaybeStream, rings};
use super::open::Asked;
use super::ping::Ping;
use super::routing::Hop;
use super::sock::{Kind, Listener, Socket};
use crate::error::CommandError;
use crate::machnet::SendError;
use crate::nic::IfIndex;
use crate::planted::{self, Bug};
use crate::port::{
    AppPort, ChannelId, Command, Completion, Op, SocketId, SocketInfo, StreamIo, Transport,
};
use crate::socket::FourTuple;
use crate::tcp::Connection;
use crate::time::Instant;
use crate::wire::icmpv4::{ICMP_HEADER_LEN, Icmpv4Header};
use crate::wire::{Icmpv6Header, IpProtocol, TTL_DEFAULT};

impl From<SendError> for CommandError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Length | SendError::NotContiguous | SendError::BeyondRing => {
                Self::InvalidArgument
            }
            SendError::QueueFull => Self::LimitReached,
            SendError::Closed => Self::WrongState,
        }
    }
}

impl Stack {
    /// Command: does what an application asks. The answer, if the operation has one, goes to `port`. A socket that does
    /// not exist, or is another channel's, fails with [`CommandError::UnknownSocket`]; the operations that may
    /// cross a socket's end on their way (kicks, accepted counts, closing) are then without effect.
    pub fn handle_command<P: AppPort>(&mut self, now: Instant, command: Command, port: &mut P) {
        let Command { channel, tag, op } = command;
        if let Err(error) = self.execute(now, channel, tag, op, port) {
            port.complete(channel, Completion::Failed { tag, error });
        }
    }

    fn execute<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        tag: u64,
        op: Op,
        port: &mut P,
    ) -> Result<(), CommandError> {
        match op {
            Op::Listen { transport, local, backlog } => {
                let config = self.take_staged(channel);
                let backlog = self.backlog(transport, backlog);
                let listener = Listener::new(transport, config, backlog);
                let (socket, local) = self.listen(now, channel, listener, local, port)?;
                port.complete(channel, Completion::Listening { tag, socket, local });
                Ok(())
            }
            Op::Connect { transport, local, remote } => {
                self.open_active(now, &Asked { channel, tag, transport, local, remote }, port)
            }
            Op::Backlog { listener, backlog } => self.set_backlog(channel, listener, backlog),
            Op::Accepted { listener, count } => {
                if self.owned(channel, listener).is_some()
                    && let Some(listener) = self.listener_mut(listener)
                {
                    listener.accepted(count);
                }
                Ok(())
            }
            Op::Kick { socket } => {
                self.kick(now, channel, socket, port);
                Ok(())
            }
            Op::SendMessage { socket, offset, len, message } => {
                self.send_message(now, channel, socket, (offset, len, message), port)
            }
            Op::BindUdp { local } => self.bind_udp(now, channel, tag, local, port),
            Op::ConnectUdp { socket, remote } => {
                self.connect_udp(channel, tag, socket, remote, port)
            }
            Op::SendDatagram { socket, offset, len, remote } => {
                self.send_udp(now, channel, socket, (offset, len), remote, port)
            }
            Op::MarkUrgent { .. } | Op::EndRecord { .. } => self.mark(now, channel, &op, port),
            Op::ShutdownWrite { .. } | Op::ShutdownRead { .. } => {
                self.shutdown(now, channel, &op, port)
            }
            Op::Close { socket } => {
                self.close(now, channel, socket, port);
                Ok(())
            }
            Op::Abort { socket } => {
                if self.owned(channel, socket).is_some() {
                    self.abort(now, socket, port);
                }
                Ok(())
            }
            Op::Ping { remote, sequence, len } => {
                self.ping(now, channel, tag, remote, sequence, len)
            }
            Op::SetOption { socket, option } => self.set_option(now, channel, socket, option, port),
            Op::Info { socket } => self.info(now, channel, tag, socket, port),
            Op::Detach { deliver } => {
                self.channels.staged.remove(&channel);
                self.pings.forget_channel(channel);
                self.channels.detached.push_back((channel, deliver));
                Ok(())
            }
        }
    }

    fn listen<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        listener: Listener,
        local: SocketAddr,
        app: &P,
    ) -> Result<(SocketId, SocketAddr), CommandError> {
        if matches!(local.ip(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
            return Err(CommandError::InvalidArgument);
        }
        if planted::is(Bug::ReuseIgnored) && !self.time_wait.is_empty() {
            return Err(CommandError::AddressInUse);
        }
        let ours = self.is_local(local.ip()) || self.is_ours_soon(local.ip());
        if !local.ip().is_unspecified() && !ours {
            return Err(CommandError::AddressNotAvailable);
        }
        if listener.transport == Transport::Machnet && !self.may_receive_machnet(local.ip()) {
            return Err(CommandError::MtuTooSmall);
        }
        let demux = match listener.transport {
            Transport::Tcp => &self.tcp,
            Transport::Machnet => &self.machnet,
            Transport::Udp => return Err(CommandError::InvalidArgument),
        };
        let at = |port| SocketAddr::new(local.ip(), port);
        // Machnet is UDP on the wire: its ports are those of UDP sockets.
        let udp = (listener.transport == Transport::Machnet).then_some(&self.udp);
        let sockets = &self.sockets;
        let overlapping = |port: u16| {
            let local = at(port).into();
            let on_udp = udp.into_iter().flat_map(move |udp| udp.overlapping(sockets, local));
            demux.overlapping(sockets, local).chain(on_udp)
        };
        let is_free = |port: u16| overlapping(port).next().is_none();
        // Several channels of one application may receive messages on one address; each gets a share of the flows.
        // One application may also listen on all addresses and on single ones, which then go to the latter. Nobody can
        // take another's traffic. A listener whose channel is gone is about to end, and holds its address
        // against nobody.
        let may_share = |other: &Socket| match app.process(other.channel) {
            None => true,
            process if process != app.process(channel) => false,
            _ => {
                other.tuple.local.address != at(0).ip().into()
                    || (other.transport() == Transport::Machnet && other.channel != channel)
            }
        };
        let port = match local.port() {
            0 => {
                self.ports.choose(&mut self.random, is_free).ok_or(CommandError::PortsExhausted)?
            }
            port if overlapping(port).all(may_share) => port,
            _ => return Err(CommandError::AddressInUse),
        };
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let new = NewSocket {
            channel,
            tuple: FourTuple::new(at(port), nobody),
            hop: Hop { interface: IfIndex::LOOPBACK, address: nobody.ip(), source: None },
            listener: None,
            kind: Kind::Listener(Box::new(listener)),
        };
        let id = self.insert(now, new).ok_or(CommandError::LimitReached)?;
        Ok((id, at(port)))
    }

    fn kick<P: AppPort>(&mut self, now: Instant, channel: ChannelId, id: SocketId, port: &mut P) {
        let Some(socket) = self.owned(channel, id) else { return };
        let before = socket.tcp_state();
        let mut io = rings(port, socket.stream.of(socket.channel));
        match &mut socket.kind {
            Kind::Listener(_) => return,
            Kind::Tcp { connection, .. } => {
                connection.waive_syn_data(&io);
                connection.handle_app(now, &io);
            }
            Kind::Machnet { flow, .. } => flow.handle_app(now, &mut io),
            Kind::Udp(_) => return,
        }
        drop(io);
        self.settle(now, id, before, port);
    }

    fn send_message<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        id: SocketId,
        (offset, len, message): (u64, u32, u64),
        port: &mut P,
    ) -> Result<(), CommandError> {
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let Kind::Machnet { flow, .. } = &mut socket.kind else {
            return Err(CommandError::WrongState);
        };
        flow.send_message(offset, len, message, &rings(port, socket.stream.of(socket.channel)))?;
        flow.watch(now);
        self.settle(now, id, None, port);
        Ok(())
    }

    /// What an application says of a place in its TX stream.
    fn mark<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        op: &Op,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let (Op::MarkUrgent { socket, offset } | Op::EndRecord { socket, offset }) = *op else {
            return Err(CommandError::InvalidArgument);
        };
        let urgent = matches!(op, Op::MarkUrgent { .. });
        self.with_connection(now, channel, socket, port, |connection, io| {
            if urgent {
                connection.mark_urgent(offset, io)?;
            } else {
                connection.end_record(offset, io)?;
            }
            connection.handle_app(now, io);
            Ok(())
        })
    }

    fn shutdown<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        op: &Op,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let (Op::ShutdownWrite { socket } | Op::ShutdownRead { socket }) = *op else {
            return Err(CommandError::InvalidArgument);
        };
        let write = matches!(op, Op::ShutdownWrite { .. });
        self.with_connection(now, channel, socket, port, |connection, io| {
            if write {
                connection.handle_app(now, io);
                connection.shutdown_write(now, io);
            } else {
                connection.shutdown_read();
            }
            Ok(())
        })
    }

    /// Lets `act` change the connection that `channel` has as `id`, and sees to what comes of it.
    fn with_connection<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        id: SocketId,
        port: &mut P,
        act: impl FnOnce(&mut Connection, &MaybeStream<P::Stream<'_>>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let before = socket.tcp_state();
        let Kind::Tcp { connection, .. } = &mut socket.kind else {
            return Err(CommandError::WrongState);
        };
        act(connection, &rings(port, socket.stream.of(socket.channel)))?;
        self.settle(now, id, before, port);
        Ok(())
    }

    fn close<P: AppPort>(&mut self, now: Instant, channel: ChannelId, id: SocketId, port: &mut P) {
        let Some(socket) = self.owned(channel, id) else { return };
        let before = socket.tcp_state();
        let mut io = rings(port, socket.stream.of(socket.channel));
        match &mut socket.kind {
            Kind::Listener(_) => {
                drop(io);
                self.forget(now, id, port);
                return;
            }
            Kind::Tcp { connection, .. } => {
                // What was written before the close is taken note of first: FIN comes after it.
                connection.handle_app(now, &io);
                let unread = connection.bytes_received() > io.rx_consumed();
                connection.close(now, unread, &io);
            }
            Kind::Udp(udp) => udp.close(),
            Kind::Machnet { flow, .. } => {
                flow.handle_app(now, &mut io);
                flow.close(now);
            }
        }
        drop(io);
        self.settle(now, id, before, port);
    }

    /// Ends a connection or flow at once; RST goes out if the peer knows of it.
    pub(super) fn abort<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let before = socket.tcp_state();
        match &mut socket.kind {
            Kind::Listener(_) => {
                self.forget(now, id, port);
                return;
            }
            Kind::Tcp { connection, .. } => connection.abort(now),
            Kind::Machnet { flow, .. } => flow.abort(),
            Kind::Udp(udp) => udp.abort(),
        }
        self.settle(now, id, before, port);
    }

    fn ping(
        &mut self,
        now: Instant,
        channel: ChannelId,
        tag: u64,
        remote: IpAddr,
        sequence: u16,
        len: u16,
    ) -> Result<(), CommandError> {
        // Port 1 stands for "any": an echo request has none.
        let hop = self.check_remote(SocketAddr::new(remote, 1))?;
        let at = ip_header_len(remote);
        let total = at + ICMP_HEADER_LEN + usize::from(len);
        if total > datagram_len_max(remote) {
            return Err(CommandError::InvalidArgument);
        }
        let source = self.source_for(hop, remote).ok_or(CommandError::AddressNotAvailable)?;
        let mut bytes = self.replies.buffer().ok_or(CommandError::LimitReached)?;
        let ping = Ping { channel, tag, remote, sequence, sent_at: now };
        let Some(identifier) = self.pings.begin(now, ping) else {
            self.replies.discard(bytes);
            return Err(CommandError::LimitReached);
        };
        bytes.resize(total, 0);
        for (index, byte) in bytes[at + ICMP_HEADER_LEN..].iter_mut().enumerate() {
            *byte = index as u8;
        }
        let protocol = emit_echo_request(&mut bytes[at..], source, remote, identifier, sequence);
        let link = Some(hop.interface);
        let hop_limit = TTL_DEFAULT;
        let traffic_class = 0;
        let datagram =
            Datagram { src: source, dst: remote, protocol, hop_limit, traffic_class, link };
        if !self.send_ip_or_pieces(now, &datagram, bytes) {
            // Not all of it is on its way: no reply will come.
            self.pings.finish(identifier, sequence, remote);
            return Err(CommandError::LimitReached);
        }
        Ok(())
    }

    fn info<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        tag: u64,
        id: SocketId,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let info = match &socket.kind {
            Kind::Machnet { flow, .. } => Some(Box::new(flow.info())),
            Kind::Listener(_) | Kind::Udp(_) | Kind::Tcp { .. } => {
                socket.tcp_info(now, false, port)
            }
        };
        let info = info.ok_or(CommandError::WrongState)?;
        port.complete(channel, Completion::Info { tag, info });
        Ok(())
    }
}

impl Socket {
    /// Getter: all figures of a TCP connection, `ended` or not; `None` for anything else.
    pub(super) fn tcp_info<P: AppPort>(
        &self,
        now: Instant,
        ended: bool,
        port: &mut P,
    ) -> Option<Box<SocketInfo>> {
        let Kind::Tcp { connection, .. } = &self.kind else { return None };
        let ip_header = ip_header_len(self.tuple.remote.address.ip()) as u32;
        let io = rings(port, self.stream.of(self.channel));
        let info = match ended {
            true => connection.last_info_at(now, &io),
            false => connection.info_at(now, &io),
        };
        let rehash = u32::from(self.label_turn);
        Some(Box::new(SocketInfo { pmtu: info.pmtu + ip_header, rehash, ..info }))
    }
}

/// Completes an echo request of either family; `message` has its data already.
fn emit_echo_request(
    message: &mut [u8],
    src: IpAddr,
    dst: IpAddr,
    identifier: u16,
    sequence: u16,
) -> IpProtocol {
    match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            Icmpv6Header::EchoRequest { identifier, sequence }.emit(message, src, dst);
            IpProtocol::ICMPV6
        }
        (IpAddr::V4(_), _) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            Icmpv4Header::EchoRequest { identifier, sequence }.emit(message);
            IpProtocol::ICMP
        }
    }
}
