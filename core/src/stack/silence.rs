//! Neighbours that answer nobody, and what becomes of the sockets whose packets would go through them.
//!
//! What a packet would have begun does not begin where the packet cannot leave: no timer of a handshake's runs before its first
//! packet, and none of a connection's while nothing of it is under way. So this is where both are begun, or ended.
//!
//! | the socket | what becomes of it |
//! |---|---|
//! | its handshake is not done | it ends at once ([`EndReason::HostUnreachable`]) |
//! | bytes or a FIN are under way | its timers judge; it tries again each second |
//! | bytes or a FIN wait, and nothing is under way | what comes next counts as sent, and is lost: from then on as above |
//! | a RST is all it has to say | the RST is lost, and it ends |

use super::composition::Stack;
use super::no_stream::rings;
use super::sock::Kind;
use crate::error::EndReason;
use crate::machnet::FlowState;
use crate::port::{AppPort, SocketId};
use crate::tcp::State;
use crate::time::{Duration, Instant};

/// A socket that could not be parked, or whose neighbour fell silent, tries again after this long.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Stack {
    /// The next hop of socket `id` was asked for, and did not answer.
    pub(super) fn handle_silent_neighbor<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        port: &mut P,
    ) {
        if self.is_opening(id) {
            return self.give_up_opening(now, id, port);
        }
        // An established connection outlives its neighbour's silence (RFC 1122 §4.2.3.9): its own timers judge.
        self.lose_next(now, id, port);
        if self.sockets.get(id).is_some() {
            self.retry_later(now, id);
        }
    }

    /// Nobody is where the handshake's packet would go. A passive open ends without a word to its listener's application,
    /// which has not heard of it: that is what a forged SYN comes to.
    fn give_up_opening<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        self.end(now, id, EndReason::HostUnreachable, port);
        self.forget(now, id, port);
    }

    /// The handshake is not done.
    fn is_opening(&self, id: SocketId) -> bool {
        self.sockets.get(id).is_some_and(|socket| match &socket.kind {
            Kind::Listener(_) | Kind::Udp(_) => false,
            Kind::Tcp { connection, .. } => {
                connection.state() == State::SynSent || connection.is_half_open()
            }
            Kind::Machnet { flow, .. } => {
                matches!(flow.state(), FlowState::SynSent | FlowState::SynReceived)
            }
        })
    }

    /// The timers of a connection or flow judge only what is under way. Where nothing is, what comes next counts as sent, and is
    /// lost: else bytes, or a FIN, written after the neighbour went away would wait for ever.
    fn lose_next<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let before = socket.tcp_state();
        match &mut socket.kind {
            Kind::Listener(_) | Kind::Udp(_) => return,
            Kind::Tcp { connection, .. } => {
                connection.lose_next(now, &rings(port, socket.stream.of(socket.channel)));
            }
            Kind::Machnet { flow, .. } => {
                flow.lose_next(now, &rings(port, socket.stream.of(socket.channel)));
            }
        }
        self.settle_transmitted(now, id, before, false, port);
    }

    /// The socket's timer brings it back into the ready list; its own deadline does so too, if it is earlier.
    pub(super) fn retry_later(&mut self, now: Instant, id: SocketId) {
        let at = now + RETRY_INTERVAL;
        let at = self.wheel.deadline(id.index).map_or(at, |own| own.min(at));
        self.wheel.schedule(id.index, at);
    }
}
