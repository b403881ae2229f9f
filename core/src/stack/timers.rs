//! What time brings: due timers of sockets, neighbours that do not answer, echo requests without a reply.

use super::composition::Stack;
use super::no_stream::rings;
use super::sock::Kind;
use crate::engine::Reason;
use crate::error::CommandError;
use crate::port::{AppPort, Completion, SocketId};
use crate::tcp::TimerReason;
use crate::time::Instant;

/// Timers that one step serves.
const TIMERS_PER_STEP: u32 = 256;

impl Stack {
    /// Input: the time. Serves what is due at `now`, within a bound. Returns how many timers were served, and true
    /// when more are due.
    #[inline]
    pub fn handle_timeout<P: AppPort>(&mut self, now: Instant, port: &mut P) -> (u32, bool) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut count = 0;
        if is_due(self.neighbors.poll_timeout()) {
            count += self.handle_neighbor_timeouts(now);
        }
        if is_due(self.autoconf_at) {
            count += self.handle_autoconf_timeouts(now);
        }
        if is_due(self.reassembly.poll_timeout()) {
            count += self.handle_reassembly_timeouts(now, TIMERS_PER_STEP - count);
        }
        while let Some(ping) = self.pings.poll_expired(now) {
            count += 1;
            let error = CommandError::TimedOut;
            port.complete(ping.channel, Completion::Failed { tag: ping.tag, error });
        }
        while let Some(index) = self.wheel.poll_expired(now) {
            count += 1;
            if let Some(id) = self.sockets.id_at(index) {
                self.stats.socket_visits += 1;
                self.handle_socket_timeout(now, id, port);
            }
            if count >= TIMERS_PER_STEP {
                return (count, true);
            }
        }
        (count, false)
    }

    fn handle_socket_timeout<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        if self.is_abandoned(id) {
            return self.forget(now, id, port);
        }
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let before = socket.tcp_state();
        let mut io = rings(port, socket.stream.of(socket.channel));
        match &mut socket.kind {
            Kind::Listener(_) | Kind::Udp(_) => return,
            Kind::Tcp { connection, .. } => {
                let due = connection.poll_timeout();
                let silent =
                    due.is_some_and(|(at, why)| why == TimerReason::Retransmit && at <= now);
                socket.label_turn = socket.label_turn.wrapping_add(u8::from(silent));
                connection.handle_timeout(now, &mut io);
            }
            Kind::Machnet { flow, .. } => flow.handle_timeout(now, &mut io),
        }
        drop(io);
        self.settle(now, id, before, port);
    }

    /// Getter: the next deadline and whose it is. Nothing happens in the stack before it unless a frame or a
    /// command comes in.
    #[inline]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        // Of deadlines at the same time the first counts; at the end of time there is none.
        let mut next = (Instant::MAX, Reason::Socket);
        let mut consider = |at: Option<Instant>, reason| {
            if let Some(at) = at
                && at < next.0
            {
                next = (at, reason);
            }
        };
        consider(self.wheel.next_deadline(), Reason::Socket);
        consider(self.neighbors.poll_timeout(), Reason::Neighbor);
        consider(self.autoconf_at, Reason::Neighbor);
        consider(self.pings.poll_timeout(), Reason::Ping);
        consider(self.reassembly.poll_timeout(), Reason::Reassembly);
        (next.0 != Instant::MAX).then_some(next)
    }

    /// Getter: the next deadline of a socket or an echo request, whatever else is due before: nothing else that happens by itself brings an
    /// application on.
    pub fn poll_sockets_timeout(&self) -> Option<Instant> {
        let sockets = self.wheel.next_deadline().filter(|at| *at != Instant::MAX);
        sockets.into_iter().chain(self.pings.poll_timeout()).min()
    }
}
