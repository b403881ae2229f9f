//! The two queues of a listener: half-open connections, and those handed over and not accepted; and what happens when
//! they are full: SYN cookies for the first, silence for the second.

use super::composition::Stack;
use super::datagram::Datagram;
use super::lookup::NewSocket;
use super::no_stream::rings;
use super::payload::Payload;
use super::rx::Packet;
use super::sock::{Kind, Listener, Socket};
use crate::error::CommandError;
use crate::event::DropReason;
use crate::machnet::FlowState;
use crate::planted::{self, Bug};
use crate::port::{AppPort, ChannelId, SocketId, Transport};
use crate::reach::reach;
use crate::socket::FourTuple;
use crate::tcp::{COOKIE_LIFE, Connection, CookieTuple, IsnSecret, TxLimits};
use crate::time::Instant;
use crate::wire::IpProtocol;
use crate::wire::tcp::TcpHeader;

/// Flows that have their answer and may stand among those that wait for it, besides as many as wait.
const HALF_OPEN_SLACK: usize = 16;

/// Who waits for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimant {
    /// Its application, or its listener.
    Here,
    /// Nobody: it was half-open when its listener was closed.
    Gone,
}

impl Stack {
    /// Getter: the backlog of a listener that `asked` for one. A queue of TCP holds one more, so that nothing is enough there.
    pub(super) fn backlog(&self, transport: Transport, asked: u32) -> u32 {
        let least = match transport {
            Transport::Tcp if !planted::is(Bug::BacklogOfOne) => 0,
            Transport::Tcp | Transport::Udp | Transport::Machnet => 1,
        };
        asked.clamp(least, self.config.backlog_max())
    }

    /// Another backlog for a listener that is there.
    pub(super) fn set_backlog(
        &mut self,
        channel: ChannelId,
        id: SocketId,
        asked: u32,
    ) -> Result<(), CommandError> {
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let transport = socket.transport();
        let backlog = self.backlog(transport, asked);
        let listener = self.listener_mut(id).ok_or(CommandError::WrongState)?;
        if !planted::is(Bug::FirstBacklogStays) {
            listener.set_backlog(backlog);
        }
        Ok(())
    }

    /// Rings for a connection whose handshake `header` completes, if the application's queue has room for it. Without either
    /// the segment is as good as lost: the SYN,ACK goes out again, and the peer acknowledges it again.
    pub(super) fn complete_handshake<P: AppPort>(
        &mut self,
        id: SocketId,
        (header, payload_len): (&TcpHeader, usize),
        port: &mut P,
    ) -> Result<Claimant, DropReason> {
        let Some(socket) = self.sockets.get(id) else { return Ok(Claimant::Here) };
        let Kind::Tcp { connection, .. } = &socket.kind else { return Ok(Claimant::Here) };
        if socket.announced || socket.ended || !connection.is_half_open() {
            return Ok(Claimant::Here);
        }
        if self.is_abandoned(id) {
            return Ok(Claimant::Gone);
        }
        if !connection.completes_handshake(header) {
            return Ok(Claimant::Here);
        }
        if connection.defers_accept(header, payload_len as u32) {
            // It counts for nothing yet, and needs no rings.
            return Ok(Claimant::Here);
        }
        // A segment that was not acceptable in the end left it half-open, with rings; the queue may have filled up since.
        let has_rings = socket.stream.is_some();
        let (channel, listener) = (socket.channel, socket.listener.get());
        if let Some(listener) = listener.and_then(|id| self.listener_mut(id))
            && !listener.may_hand_over()
        {
            self.stats.accept_overflows += 1;
            return Err(DropReason::Limit);
        }
        if has_rings {
            return Ok(Claimant::Here);
        }
        let stream = port.stream_open(channel, id, Transport::Tcp).ok_or(DropReason::Limit)?;
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.stream = stream.into();
        }
        Ok(Claimant::Here)
    }

    /// Getter: nobody will accept this half-open connection: its listener is gone. It ends with that (RFC 9293 §3.10.4: the TCB of
    /// LISTEN is deleted, and on other systems those of its SYNs hang on it), and is taken out when it would be next heard of.
    pub(super) fn is_abandoned(&self, id: SocketId) -> bool {
        let Some(socket) = self.sockets.get(id) else { return false };
        let (Kind::Tcp { connection }, Some(listener)) = (&socket.kind, socket.listener.get())
        else {
            return false;
        };
        let listener = self.sockets.get(listener).map(|socket| &socket.kind);
        connection.is_half_open()
            && !socket.announced
            && !planted::is(Bug::HalfOpenOutlives)
            && !matches!(listener, Some(Kind::Listener(_)))
    }

    /// The queue of half-open flows is full: whoever has not answered for the longest time makes room for one more, which
    /// is taken. Machnet has no cookies, and whoever forges addresses must not shut a listener. False: nobody is half-open.
    pub(super) fn evict_half_open<P: AppPort>(
        &mut self,
        now: Instant,
        listener_id: SocketId,
        port: &mut P,
    ) -> bool {
        loop {
            let Some(listener) = self.listener_mut(listener_id) else { return false };
            let Some(oldest) = listener.half_open_flows.pop_front() else { return false };
            if self.is_half_open_flow(oldest) {
                self.forget(now, oldest, port);
                return self.listener_mut(listener_id).is_some_and(Listener::begin);
            }
        }
    }

    /// A flow begins to wait for its peer's answer. Those that have it are taken out when they are the most.
    pub(super) fn remember_half_open(&mut self, listener_id: SocketId, flow: SocketId) {
        let Some(listener) = self.listener_mut(listener_id) else { return };
        let most = 2 * listener.half_open() as usize + HALF_OPEN_SLACK;
        let mut flows = core::mem::take(&mut listener.half_open_flows);
        if flows.len() >= most {
            flows.retain(|flow| self.is_half_open_flow(*flow));
        }
        flows.push_back(flow);
        if let Some(listener) = self.listener_mut(listener_id) {
            listener.half_open_flows = flows;
        }
    }

    fn is_half_open_flow(&self, id: SocketId) -> bool {
        let kind = self.sockets.get(id).map(|socket| &socket.kind);
        matches!(kind, Some(Kind::Machnet { flow, .. }) if flow.state() == FlowState::SynReceived)
    }

    fn cookie_tuple(tuple: &FourTuple) -> CookieTuple {
        CookieTuple { local: tuple.local.into(), remote: tuple.remote.into() }
    }

    /// Answers a SYN for which the queue of half-open connections has no room, and remembers nothing (RFC 4987 §3.6).
    pub(super) fn answer_with_cookie<P: AppPort>(
        &mut self,
        listener_id: SocketId,
        tuple: &FourTuple,
        syn: &TcpHeader,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        reach!(CookieSent);
        self.stats.backlog_overflows += 1;
        let now = packet.now;
        let Some(hop) = self.next_hop_on(packet.src, Some(packet.interface)) else {
            return Err(DropReason::NoSocket);
        };
        let reply = Datagram::answer(packet, IpProtocol::TCP);
        let mss_ip = self.links[hop.interface.index()]
            .mtu
            .saturating_sub((reply.header_len() + crate::wire::tcp::TCP_HEADER_LEN) as u16);
        let limits = TxLimits { mss_ip, mss_link: mss_ip, gso_bytes_max: 0 };
        let secret = IsnSecret(*self.config.secret());
        let cookies = self.config.syn_cookies() && !planted::is(Bug::NoCookies);
        let Some(listener) = self.listener_mut(listener_id) else {
            return Err(DropReason::NoSocket);
        };
        if !cookies || !listener.may_hand_over() {
            return Err(DropReason::Limit);
        }
        listener.cookies_until = now + COOKIE_LIFE;
        let tuple_of = Self::cookie_tuple(tuple);
        let way = (&limits, &rings(port, None));
        let header = Connection::cookie_answer(now, &listener.config, &secret, &tuple_of, syn, way);
        let header = header.ok_or(DropReason::Limit)?;
        if self.reply_tcp(tuple, header, &reply) {
            self.stats.syn_cookies_sent += 1;
        }
        Ok(())
    }

    /// An ACK for a listener that has sent cookies lately, and for no connection: true when it brought one back, and was
    /// handed to the connection that came of it.
    pub(super) fn redeem_cookie<P: AppPort>(
        &mut self,
        listener_id: SocketId,
        tuple: &FourTuple,
        (header, payload): (&TcpHeader, &Payload<'_>),
        packet: &Packet,
        port: &mut P,
    ) -> bool {
        let now = packet.now;
        let secret = IsnSecret(*self.config.secret());
        let channel = self.sockets.get(listener_id).map(|socket| socket.channel);
        let (Some(hop), Some(channel)) =
            (self.next_hop_on(packet.src, Some(packet.interface)), channel)
        else {
            return false;
        };
        let Some(listener) = self.listener_mut(listener_id) else { return false };
        if now > listener.cookies_until {
            return false;
        }
        let tuple_of = Self::cookie_tuple(tuple);
        let connection = Connection::from_cookie(now, &listener.config, &secret, &tuple_of, header);
        let Some(connection) = connection else {
            self.stats.syn_cookies_failed += 1;
            return false;
        };
        if !listener.may_hand_over() {
            // Silence: the peer will send again, and find room perhaps.
            self.stats.accept_overflows += 1;
            return true;
        }
        listener.begin_anyway();
        let kind = Kind::Tcp { connection };
        let Some(id) = self.insert(
            now,
            NewSocket { channel, tuple: *tuple, hop, listener: Some(listener_id), kind },
        ) else {
            if let Some(listener) = self.listener_mut(listener_id) {
                listener.give_up();
            }
            return true;
        };
        self.stats.syn_cookies_redeemed += 1;
        let _ = self.handle_segment(id, tuple, header, payload, packet, port);
        let open = |socket: &Socket| matches!(&socket.kind, Kind::Tcp { connection, .. } if connection.is_half_open());
        if self.sockets.get(id).is_some_and(open) {
            // No rings for it: it stays a cookie.
            self.forget(now, id, port);
        }
        true
    }
}
