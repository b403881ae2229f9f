//! The short way of received frames: the next segments of a connection that is established or half closed, in IPv4 without options and TCP with
//! none but timestamps. Whatever is not exactly that takes the long way (`rx`), which decides alone about drops: nothing
//! is changed before it is known that the whole segment is in order.

use super::composition::{Link, Stack};
use super::lifecycle::arm;
use super::recent::Recent;
use super::sock::Kind;
use crate::nic::{Frame, IfIndex};
use crate::port::{AppPort, Completion};
use crate::time::Instant;

impl Stack {
    /// Takes as many of `frames`, from the first one on, as come next on one connection; what they lead to is settled once. Returns
    /// how many: 0 means that nothing happened.
    #[inline]
    pub(super) fn take_run<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        link: &Link,
        frames: &[F],
        port: &mut P,
    ) -> usize {
        if self.receive_memory.is_pressed() {
            // Each segment is looked at: whether there is room for it.
            return 0;
        }
        let taken = self.take_alike(now, interface, link, frames, port);
        if taken > 0 || !frames.first().is_some_and(|frame| self.recall(link, frame)) {
            return taken;
        }
        self.take_alike(now, interface, link, frames, port)
    }

    /// The same for frames that look like those of the recent connection.
    #[inline(never)]
    fn take_alike<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        link: &Link,
        frames: &[F],
        port: &mut P,
    ) -> usize {
        let (recent, checksum) = (&self.recent, self.config.checksum());
        let Some(socket) = self.sockets.get_mut(recent.id) else {
            self.recent = Recent::NONE;
            return 0;
        };
        // Its addresses were judged when it was opened; they are right on its own interface.
        let here = socket.interface == interface;
        let Some(stream) = socket.stream.of(socket.channel).filter(|_| here) else { return 0 };
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return 0 };
        let Some(mut run) = connection.begin_run(recent.ecn()) else { return 0 };
        let (before, mut io) = (connection.state(), port.stream(stream));
        let (mut taken, mut bytes) = (0, 0);
        for frame in frames {
            let Some(parsed) = recent.parse(link, frame) else { break };
            let (header, payload) = (&parsed.header, parsed.payload);
            let payload_len = payload.len() as u32;
            if !connection.fits(&run, header, payload_len) {
                break;
            }
            let joined = || frame.meta().offload.joined_size();
            if parsed.verified || payload.is_empty() {
                if !parsed.verified && !recent.is_intact(&parsed, 0) {
                    break;
                }
                connection.take(&mut run, header, &[payload], payload_len, joined, &mut io);
            } else {
                let store = recent.storing(&parsed, checksum);
                if !connection.take_summed(&mut run, header, payload_len, store, joined, &mut io) {
                    break;
                }
            }
            bytes += frame.len();
            taken += 1;
        }
        if taken == 0 {
            return 0;
        }
        let rearm = connection.end_run(now, &run, &mut io);
        connection.settle_memory_news(&mut self.receive_memory, &io);
        let more = !connection.is_quiet(&io);
        drop(io);
        self.stats.rx_frames += taken as u64;
        self.stats.rx_bytes += bytes as u64;
        self.stats.tcp_segments_in += taken as u64;
        self.stats.socket_visits += taken as u64;
        let id = self.recent.id;
        // Nearly always there is nothing to tell but readiness.
        let Some(ready) = connection.take_readiness(self.events.is_on()) else {
            self.settle(now, id, Some(before), port);
            return taken;
        };
        if ready && socket.announced {
            port.complete(socket.channel, Completion::Ready { socket: id });
        }
        if more {
            self.ready[interface.index()].push(id.index);
        }
        if rearm {
            arm(&mut self.wheel, id, connection);
        }
        taken
    }

    /// Makes the connection that `frame` is of the recent one. False: it is already, or there is none.
    fn recall<F: Frame>(&mut self, link: &Link, frame: &F) -> bool {
        let Some((mut recent, tuple)) = Recent::of(link, frame) else { return false };
        if recent.is_like(&self.recent) {
            return false;
        }
        let Some(id) = self.tcp.connection(&self.sockets, &tuple) else { return false };
        recent.id = id;
        self.recent = recent;
        true
    }
}
