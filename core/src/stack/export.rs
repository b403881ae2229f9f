//! Connections written out and read back, and a hash over everything: recording, hot restart, determinism checks.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use siphasher::sip::SipHasher24;

use super::composition::Stack;
use super::lookup::NewSocket;
use super::sock::{Kind, StreamSlot};
use crate::port::{AppPort, ChannelId, SocketId, StreamId};
use crate::socket::FourTuple;
use crate::tcp::{Connection, StateError};
use crate::time::Instant;

/// Version of the four-tuple in front of a connection's own state.
const VERSION: u8 = 1;

/// Why a connection cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestoreError {
    /// Written by another version, or not a connection at all.
    Format,
    /// The connection's own state is refused.
    State(StateError),
    /// Its local address is none of ours any more.
    Address,
    /// There is no route to its peer.
    NoRoute,
    /// The four-tuple is taken, or the socket table is full.
    Taken,
}

impl Stack {
    /// Output: the four-tuple and the whole state of TCP connection `id`; the contents of its rings are the port's to
    /// keep. `None` for everything that is not a TCP connection.
    pub fn write_connection(&self, id: SocketId) -> Option<Vec<u8>> {
        let socket = self.sockets.get(id)?;
        let Kind::Tcp { connection, .. } = &socket.kind else { return None };
        let mut out = postcard::to_extend(&socket.tuple, Vec::from([VERSION])).ok()?;
        connection.write_state(&mut out);
        Some(out)
    }

    /// Command: writes a connection out and forgets it without a word to its peer or its application: it goes on
    /// elsewhere. The rings stay open.
    pub fn take_connection(&mut self, id: SocketId) -> Option<Vec<u8>> {
        let state = self.write_connection(id)?;
        self.drop_silently(id);
        Some(state)
    }

    /// Command: a connection from what [`Stack::write_connection`] wrote, for `channel` and with the rings `stream`, which
    /// hold the same bytes at the same offsets. Its timers go on from the same instants. The application is told
    /// what happens from now on, nothing of the past.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing is changed then. The bytes are not trusted.
    pub fn read_connection<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        stream: Option<StreamId>,
        bytes: &[u8],
        port: &mut P,
    ) -> Result<SocketId, RestoreError> {
        debug_assert!(stream.is_none_or(|stream| stream.channel == channel), "rings of `channel`");
        let (version, rest) = bytes.split_first().ok_or(RestoreError::Format)?;
        if *version != VERSION {
            return Err(RestoreError::Format);
        }
        let (tuple, rest) =
            postcard::take_from_bytes::<FourTuple>(rest).map_err(|_| RestoreError::Format)?;
        let connection = Connection::read_state(rest).map_err(RestoreError::State)?;
        let (local, remote) = (tuple.local.address.ip(), tuple.remote.address.ip());
        if !self.is_local(local) || local.is_ipv4() != remote.is_ipv4() {
            return Err(RestoreError::Address);
        }
        let hop = self.next_hop(remote).ok_or(RestoreError::NoRoute)?;
        let kind = Kind::Tcp { connection };
        let id = self
            .insert(now, NewSocket { channel, tuple, hop, listener: None, kind })
            .ok_or(RestoreError::Taken)?;
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.stream = stream.map_or(StreamSlot::NONE, StreamSlot::from);
            socket.announced = true;
            if let Kind::Tcp { connection, .. } = &socket.kind {
                connection.bring_memory(&mut self.receive_memory);
            }
        }
        self.settle(now, id, None, port);
        Ok(id)
    }

    /// Getter: a hash over the state of every socket and all counters. Two runs with the same inputs have the same hash at
    /// the same step, on every machine. Visits all sockets and allocates: for checks, not for every step.
    pub fn state_hash(&self) -> u64 {
        let mut hasher = SipHasher24::new();
        for (id, socket) in self.sockets.iter() {
            hasher.write_u64(id.to_bits().to_le());
            if let Ok(tuple) = postcard::to_allocvec(&socket.tuple) {
                hasher.write(&tuple);
            }
            match &socket.kind {
                Kind::Listener(listener) => listener.hash(&mut hasher),
                Kind::Udp(udp) => udp.hash(&mut hasher),
                Kind::Tcp { connection, .. } => {
                    let mut state = Vec::new();
                    connection.write_state(&mut state);
                    hasher.write(&state);
                }
                Kind::Machnet { flow, .. } => {
                    if let Ok(state) = flow.write_state() {
                        hasher.write(&state);
                    }
                }
            }
        }
        self.stats.hash(&mut hasher);
        hasher.finish()
    }
}
