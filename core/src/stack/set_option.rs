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
                if let SocketOption::QuickAck(quick) = option {
                    connection.set_quick_ack(quick, &rings(port, socket.stream.of(socket.channel)));
                }
            }
            Kind::Udp(udp) => return udp.set_option(option),
            Kind::Machnet { .. } => return Err(CommandError::WrongState),
        }
        self.settle(now, id, before, port);
        Ok(())
    }

    /// Command: the keys that cookies of a listener of `channel` are made with (TCP_FASTOPEN_KEY): the first, and the one before
    /// it; of the next listener that is opened where `id` is `None`. They are too long for a [`SocketOption`].
    ///
    /// # Errors
    /// [`CommandError::UnknownSocket`], and [`CommandError::WrongState`] for what is no listener.
    pub fn set_fast_open_keys(
        &mut self,
        channel: ChannelId,
        id: Option<SocketId>,
        keys: [Option<[u8; 16]>; 2],
    ) -> Result<(), CommandError> {
        let Some(id) = id else {
            let staged = self.channels.staged.entry(channel);
            staged.or_insert_with(|| self.tcp_config.clone()).set_fast_open_keys(keys);
            return Ok(());
        };
        let socket = self.owned(channel, id).ok_or(CommandError::UnknownSocket)?;
        let Kind::Listener(listener) = &mut socket.kind else {
            return Err(CommandError::WrongState);
        };
        listener.config.set_fast_open_keys(keys);
        Ok(())
    }

    /// Output: the settings of the socket that `channel` opens now.
    pub(super) fn take_staged(&mut self, channel: ChannelId) -> SharedConfig {
        self.channels.staged.remove(&channel).unwrap_or_else(|| self.tcp_config.clone())
    }
}
