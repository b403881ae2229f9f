//! TCP Fast Open (RFC 7413) between the machine of a connection, its listener and the host's cache of cookies.

use super::composition::Stack;
use super::no_stream::rings;
use super::payload::Payload;
use super::sock::Kind;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::{AppPort, SocketId, Transport};
use crate::socket::FourTuple;
use crate::tcp::{Connection, FastOpenKeys, FastOpenVerdict, IsnSecret, SharedConfig};
use crate::time::Instant;
use crate::wire::tcp::TcpHeader;

impl Stack {
    /// Getter: what `listener` makes of the option of a SYN. Where its queue is full the SYN is an ordinary one.
    pub(super) fn judge_fast_open(
        &mut self,
        now: Instant,
        listener: SocketId,
        tuple: &FourTuple,
        (syn, data): (&TcpHeader, usize),
    ) -> FastOpenVerdict {
        let secret = IsnSecret(*self.config.secret());
        let Some(listener) = self.listener_mut(listener) else { return FastOpenVerdict::Ordinary };
        if planted::is(Bug::SynDataTaken) && data > 0 {
            return FastOpenVerdict::Take(None);
        }
        let required = listener.config.fast_open_needs_cookie();
        if (syn.options.fast_open.is_none() && required) || !listener.may_fast_open(now) {
            return FastOpenVerdict::Ordinary;
        }
        let keys = FastOpenKeys::new(listener.config.fast_open_key_set(), &secret, now);
        let (client, server) = (tuple.remote.address.ip(), tuple.local.address.ip());
        keys.judge(client, server, syn.options.fast_open, data, required)
    }

    /// Does what was judged to the half-open connection `id`, whose SYN,ACK has not left: it gets rings, takes the data and is its
    /// application's, or tells its peer a cookie.
    pub(super) fn begin_fast_open<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        verdict: FastOpenVerdict,
        payload: &Payload<'_>,
        port: &mut P,
    ) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let (channel, before, listener) =
            (socket.channel, socket.tcp_state(), socket.listener.get());
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return };
        let renewed = match verdict {
            FastOpenVerdict::Ordinary => return,
            FastOpenVerdict::Grant(cookie) => return connection.grant_fast_open(cookie),
            FastOpenVerdict::Take(renewed) => renewed,
        };
        let Some(stream) = port.stream_open(channel, id, Transport::Tcp) else { return };
        let taken = {
            let io = &mut rings(port, Some(stream));
            connection.take_syn_data(payload.slices(), payload.len() as u32, renewed, io)
        };
        if taken.is_err() {
            return port.stream_close(stream);
        }
        socket.stream = stream.into();
        if let Some(listener) = listener.and_then(|id| self.listener_mut(id)) {
            listener.begin_fast_open();
        }
        self.stats.fast_opens += 1;
        self.announce(now, id, port);
        self.settle(now, id, before, port);
    }

    /// The handshake of socket `id` is done, or the socket is at its end for `ended`: a queue of its listener has room again, or
    /// the host has learnt something of a server. True: the application knew of the connection before.
    pub(super) fn settle_fast_open(
        &mut self,
        now: Instant,
        id: SocketId,
        ended: Option<EndReason>,
    ) -> bool {
        let Some(socket) = self.sockets.get_mut(id) else { return false };
        let (listener, server) = (socket.listener.get(), socket.tuple.remote.address.ip());
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return false };
        if let Some(lesson) = connection.take_fast_open_lesson() {
            self.fast_open.learn(now, server, lesson);
        }
        let Some(socket) = self.sockets.get_mut(id) else { return false };
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return false };
        if !connection.settle_fast_child() {
            return false;
        }
        if let Some(listener) = listener.and_then(|id| self.listener_mut(id)) {
            listener.end_fast_open(now, ended == Some(EndReason::Reset));
        }
        true
    }

    /// An active open with these settings: what its SYN tries.
    pub(super) fn try_fast_open(
        &self,
        now: Instant,
        config: &SharedConfig,
        tuple: &FourTuple,
        connection: &mut Connection,
    ) {
        let (on, cookieless) = config.fast_open_client();
        if on {
            let server = tuple.remote.address.ip();
            connection.offer_fast_open(self.fast_open.offer(now, server, cookieless));
        }
    }
}
