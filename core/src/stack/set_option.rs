//! Socket options: of a socket that is there, or of the next one that its channel opens.

use super::composition::Stack;
use super::no_stream::rings;
use super::sock::Kind;
use crate::error::CommandError;
use crate::port::{AppPort, ChannelId, SocketId, SocketOption};
use crate::tcp::SharedConfig;
use crate::time::Instant;

impl Stack {
    pub(super) fn set_option<P: AppPort>(
        &mut self,
        now: Instant,
        channel: ChannelId,
        id: Option<SocketId>,
        option: SocketOption,
        port: &mut P,
    ) -> Result<(), CommandError> {
        let Some(id) = id else {
            let staged = self.channels.staged.entry(channel);
            return staged.or_insert_with(|| self.tcp_config.clone()).set(option);
        };
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let before = socket.tcp_state();
        match &mut socket.kind {
            Kind::Listener(listener) => return listener.config.set(option),
            Kind::Tcp { connection, .. } => {
                if option == SocketOption::NoDelay(true) {
                    let io = rings(port, socket.stream.of(socket.channel));
                    connection.push_corked(&io);
                }
                connection.set_option(now, option)?;
            }
            Kind::Machnet { .. } | Kind::Udp(_) => return Err(CommandError::WrongState),
        }
        self.settle(now, id, before, port);
        Ok(())
    }

    /// Output: the settings of the socket that `channel` opens now.
    pub(super) fn take_staged(&mut self, channel: ChannelId) -> SharedConfig {
        self.channels.staged.remove(&channel).unwrap_or_else(|| self.tcp_config.clone())
    }
}
