//! A connection's state, written out and read back: hot restart, recording and replay.

use alloc::vec::Vec;

use super::connection::Connection;

/// Version of the layout. Changes whenever a field does.
pub const STATE_VERSION: u16 = 23;
/// First bytes of a connection's state.
const MAGIC: [u8; 4] = *b"CWTC";

/// Why bytes are not a connection's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateError {
    /// They do not begin as a connection's state does.
    NotAConnection,
    /// Written by another version.
    Version,
    /// Too short, too long, or not decodable.
    Encoding,
    /// Decodable, but no connection can be in this state.
    Impossible,
}

impl Connection {
    /// Output: appends the state to `out`.
    pub fn write_state(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&STATE_VERSION.to_le_bytes());
        if let Ok(bytes) = postcard::to_allocvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    /// Command: a connection from what [`Connection::write_state`] wrote.
    ///
    /// # Errors
    /// [`StateError`], for whatever bytes; nothing panics, and what is allocated is bounded.
    pub fn read_state(bytes: &[u8]) -> Result<Self, StateError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(StateError::NotAConnection)?;
        let (version, rest) = rest.split_first_chunk::<2>().ok_or(StateError::Encoding)?;
        if u16::from_le_bytes(*version) != STATE_VERSION {
            return Err(StateError::Version);
        }
        let (connection, left) =
            postcard::take_from_bytes::<Self>(rest).map_err(|_| StateError::Encoding)?;
        if !left.is_empty() {
            return Err(StateError::Encoding);
        }
        if connection.is_possible() { Ok(connection) } else { Err(StateError::Impossible) }
    }

    /// Every field is named, so that a new one forces a look.
    fn is_possible(&self) -> bool {
        let Self {
            state,
            flags: _,
            ecn: _,
            config,
            options,
            snd,
            rcv,
            rtt,
            congestion,
            recovery,
            timers: _,
            events: _,
            counters,
            seldom,
        } = self;
        config.check().is_ok()
            && options.is_valid()
            && snd.is_valid()
            && rcv.is_valid()
            && rtt.is_valid()
            && congestion.is_valid()
            && recovery.is_valid(snd, state.is_synchronized())
            && counters.bytes_sent < 1 << 62
            && seldom.is_valid()
    }
}
