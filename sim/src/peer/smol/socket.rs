//! A socket of smoltcp as a connection of the workload.

use causeway_core::error::EndReason;
use causeway_core::time::Instant;
use smoltcp::socket::tcp::{RecvError, Socket, State};

use super::super::talk::{Connection, Read, Status};

/// A socket, and what it does not remember itself.
pub(super) struct Conn<'a, 's> {
    pub(super) socket: &'a mut Socket<'s>,
    /// It calls.
    pub(super) is_client: bool,
    /// Its handshake was completed once.
    pub(super) was_open: &'a mut bool,
}

impl Conn<'_, '_> {
    /// smoltcp gives no reason for an end: a reset in answer to a SYN is a refusal, an end without the peer's FIN a reset.
    fn over(&mut self) -> Status {
        if !*self.was_open && self.is_client {
            return Status::Over(EndReason::Refused);
        }
        match self.socket.recv_slice(&mut []) {
            // What came before the end is read first.
            Ok(_) | Err(RecvError::Finished) => Status::Open,
            Err(RecvError::InvalidState) => Status::Over(EndReason::Reset),
        }
    }
}

impl Connection for Conn<'_, '_> {
    fn status(&mut self) -> Status {
        match self.socket.state() {
            State::Listen | State::SynSent | State::SynReceived => Status::Opening,
            State::Closed => self.over(),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => {
                *self.was_open = true;
                Status::Open
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.socket.send_slice(bytes).unwrap_or(0)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Read {
        match self.socket.recv_slice(bytes) {
            Ok(0) | Err(RecvError::InvalidState) => Read::Later,
            Ok(count) => Read::Bytes(count),
            Err(RecvError::Finished) => Read::End,
        }
    }

    fn shutdown(&mut self) {
        self.socket.close();
    }

    fn close(&mut self, _: Instant) {
        self.socket.close();
    }
}
