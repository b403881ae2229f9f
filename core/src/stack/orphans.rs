//! The sockets of channels that are gone: what was handed over is delivered, within a deadline; the rest ends at once.

use super::channels::Stage;
use super::composition::Stack;
use super::no_stream::rings;
use super::sock::Kind;
use crate::planted::{self, Bug};
use crate::port::{AppPort, ChannelId, SocketId};
use crate::reach::reach;
use crate::tcp::State;
use crate::time::{Duration, Instant};

/// How long a connection or flow whose application is gone may take to deliver what it was given. Then the peer is
/// reset, whatever it has acknowledged, and with the last one the memory of the channel is free: a peer that keeps
/// its window shut, or is silent, holds it no longer than this.
pub const ORPHAN_LINGER: Duration = Duration::from_millis(500);
/// Sockets of dead channels that one step looks at.
const DETACHED_PER_STEP: u32 = 64;

impl Stack {
    /// Command: lets go of some sockets of channels that are gone, found by the channels' own lists. Returns how
    /// many, and true when more are left.
    #[inline]
    pub fn handle_detached<P: AppPort>(&mut self, now: Instant, port: &mut P) -> (u32, bool) {
        if self.channels.detached.is_empty() {
            return (0, false);
        }
        self.let_go_of_detached(now, port)
    }

    fn let_go_of_detached<P: AppPort>(&mut self, now: Instant, port: &mut P) -> (u32, bool) {
        let mut count = 0;
        while let Some(&(channel, deliver)) = self.channels.detached.front() {
            let Some(id) = self.next_to_leave(channel, deliver) else {
                self.channels.detached.pop_front();
                continue;
            };
            if planted::is(Bug::OneSocketLeaves) && count == 1 {
                self.channels.detached.pop_front();
                break;
            }
            if count >= DETACHED_PER_STEP {
                return (count, true);
            }
            count += 1;
            self.stats.socket_visits += 1;
            if deliver {
                self.orphan(now, id, port);
            } else {
                self.cut_off(now, id, port);
            }
        }
        (count, false)
    }

    /// Sockets that deliver already are done with, unless nothing is to be delivered.
    fn next_to_leave(&self, channel: ChannelId, deliver: bool) -> Option<SocketId> {
        let served = self.channels.first(channel, Stage::Served);
        served.or_else(|| if deliver { None } else { self.channels.first(channel, Stage::Orphan) })
    }

    /// Leaves a socket to itself. It keeps its rings until it has ended, and its place in the channel's other list.
    fn orphan<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        self.channels.unlink(&mut self.sockets, id);
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.stage = Stage::Orphan;
        reach!(Orphaned);
        let before = socket.tcp_state();
        let deadline = now + ORPHAN_LINGER;
        match &mut socket.kind {
            Kind::Listener(_) => return self.forget(now, id, port),
            Kind::Tcp { connection, .. } => {
                connection.detach(now, deadline, &rings(port, socket.stream.of(socket.channel)));
            }
            Kind::Machnet { flow, .. } => flow.detach(now, deadline),
            Kind::Udp(udp) => udp.close(),
        }
        self.channels.link(&mut self.sockets, id);
        self.settle(now, id, before, port);
    }

    /// Ends a socket at once: it leaves the channel's lists, and what it owes its peer (RST) it sends on its own.
    fn cut_off<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        self.channels.unlink(&mut self.sockets, id);
        let state = self.sockets.get(id).and_then(super::sock::Socket::tcp_state);
        // TIME-WAIT has no rings any more, and is there for the peer's sake.
        if state != Some(State::TimeWait) {
            self.abort(now, id, port);
        }
    }
}
