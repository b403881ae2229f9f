//! The memory for received data that all connections share.

use super::composition::Stack;
use super::no_stream::rings;
use super::sock::Kind;
use crate::port::{AppPort, SocketId};
use crate::tcp::ReceiveMemory;

impl Stack {
    /// Settles what a connection holds and has use for, if it has news about that.
    pub(super) fn settle_receive_memory<P: AppPort>(&mut self, id: SocketId, port: &mut P) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return };
        if connection.takes_memory_news() && !socket.ended {
            let io = rings(port, socket.stream.of(socket.channel));
            connection.settle_memory(&mut self.receive_memory, &io);
        }
    }

    /// Getter: the account of what connections hold of received data.
    pub const fn receive_memory(&self) -> &ReceiveMemory {
        &self.receive_memory
    }
}
