//! The channel: attach, and what belongs to no single socket.

use std::net::SocketAddr;
use std::sync::Arc;

use causeway_channel::AppChannel;
use causeway_core::error::CommandError;
use causeway_core::port::{Op, SocketId, SocketInfo, SocketOption, Transport};
use causeway_core::time::Duration;

use crate::env::{ApiCall, Env, WaitOutcome, current_env};
use crate::error::{AttachError, CallError, ConnectError, InfoError, ListenError};
use crate::sleep::{Shared, Wait};
use crate::state::{Answer, Asked, State};

/// One channel to the daemon. A handle: cloning it gives another to the same channel.
///
/// Give each thread a channel of its own: calls on one take turns, and a call that waits lets the
/// others go on. When the last handle, listener and stream of a channel is dropped, everything on it is closed; the drop then waits up
/// to a second until what was sent has been delivered.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(crate) inner: Arc<Inner>,
}

/// What handles share.
pub(crate) struct Inner {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) shared: Shared,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

impl Channel {
    /// Command: attaches to the daemon of this thread's environment ([`current_env`]).
    pub fn attach() -> Result<Self, AttachError> {
        Self::attach_in(current_env())
    }

    /// Command: attaches to the daemon of an environment.
    pub fn attach_in(env: Arc<dyn Env>) -> Result<Self, AttachError> {
        env.enter(ApiCall::Attach);
        let attachment = env.attach()?;
        let channel = AppChannel::map(attachment.grant)?;
        let mut state = State::new(channel, attachment.control);
        state.probed_at = env.now();
        Ok(Self { inner: Arc::new(Inner { env, shared: Shared::new(state) }) })
    }

    /// Getter: the environment.
    pub fn env(&self) -> &Arc<dyn Env> {
        &self.inner.env
    }

    /// Getter: the longest message, in bytes.
    pub fn message_bytes_max(&self) -> u32 {
        self.inner.shared.lock().channel.geometry().message_bytes_max()
    }
}

/// How long the last handle's dropping waits for what was sent to arrive.
const LINGER: Duration = Duration::from_secs(1);

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to be told of an error.
        let _ = self.linger();
    }
}

impl Inner {
    /// Closes everything and waits, for a bounded time, until the daemon has delivered it. Once the channel is gone the
    /// daemon delivers on its own, but for half a second only and out of caution: it cannot tell a program that is done
    /// from one that died, and resets connections that were not closed. A slow peer gets more time from us.
    fn linger(&self) -> Result<(), CallError> {
        let mut state = self.shared.lock();
        state.check()?;
        if state.daemon_gone {
            return Ok(());
        }
        state.close_all()?;
        let deadline = self.env.now() + LINGER;
        let bell = state.channel.wait_end();
        loop {
            state.pump()?;
            state.flush()?;
            if state.sockets.is_empty() || self.env.now() >= deadline {
                return Ok(());
            }
            if state.channel.arm(false)? {
                match self.env.wait(&bell, Some(deadline)) {
                    WaitOutcome::Woken | WaitOutcome::TimedOut => state.channel.disarm(),
                    WaitOutcome::Interrupted | WaitOutcome::DaemonGone => return Ok(()),
                }
            }
        }
    }
}

impl Inner {
    /// Listens on every lane. Returns the listeners and the address, its port filled in.
    pub(crate) fn listen(
        &self,
        transport: Transport,
        local: SocketAddr,
        backlog: u32,
        options: &[SocketOption],
    ) -> Result<(Vec<SocketId>, SocketAddr), ListenError> {
        self.env.enter(ApiCall::Listen);
        options.iter().try_for_each(SocketOption::check).map_err(ListenError::Refused)?;
        let lanes = self.shared.lock().channel.geometry().lanes();
        let mut listeners = Vec::new();
        let mut local = local;
        for lane in 0..lanes {
            match self.listen_on(lane, transport, local, backlog, options) {
                Ok((id, at)) => {
                    listeners.push(id);
                    // The port that the first lane chose is the one for all.
                    local = at;
                }
                Err(error) => {
                    self.close_listeners(&listeners);
                    return Err(error);
                }
            }
        }
        Ok((listeners, local))
    }

    fn listen_on(
        &self,
        lane: u32,
        transport: Transport,
        local: SocketAddr,
        backlog: u32,
        options: &[SocketOption],
    ) -> Result<(SocketId, SocketAddr), ListenError> {
        let mut tag = None;
        let result = self.resume(Wait::Forever, |state| {
            let Some(tag) = tag else {
                state.stage_options(lane, options)?;
                let op = Op::Listen { transport, local, backlog };
                tag = Some(state.request(lane, Asked::Listen(transport), &op, None)?);
                return Ok(None);
            };
            match state.answer(tag) {
                Some(Answer::Listening(id, at)) => Ok(Some((id, at))),
                Some(Answer::Failed(error)) => Err(ListenError::Refused(error)),
                Some(_) => Err(broken().into()),
                None => Ok(None),
            }
        });
        if let (Err(_), Some(tag)) = (&result, tag) {
            self.shared.lock().forget(tag);
        }
        result
    }

    pub(crate) fn close_listeners(&self, listeners: &[SocketId]) {
        let _ = self.call(ApiCall::Close, |state| {
            listeners.iter().try_for_each(|id| state.close_listener(*id)).map_err(CallError::from)
        });
    }

    /// Opens a connection or flow and waits for its peer.
    pub(crate) fn connect(
        &self,
        transport: Transport,
        local: Option<std::net::IpAddr>,
        remote: SocketAddr,
        options: &[SocketOption],
        wait: Wait,
    ) -> Result<SocketId, ConnectError> {
        options.iter().try_for_each(SocketOption::check).map_err(ConnectError::Refused)?;
        if options.contains(&SocketOption::FastOpenConnect(true)) {
            // The SYN would wait for data, and this call for the SYN.
            return Err(ConnectError::Refused(CommandError::Unsupported));
        }
        let mut tag = None;
        let mut socket = None;
        let result = self.wait_for(ApiCall::Connect, wait, |state| {
            let Some(tag) = tag else {
                let lane = state.pick_lane();
                state.stage_options(lane, options)?;
                let op = Op::Connect { transport, local, remote };
                tag = Some(state.request(lane, Asked::Connect(transport, remote), &op, None)?);
                return Ok(None);
            };
            match state.answer(tag) {
                Some(Answer::Connecting(id)) => socket = Some(id),
                Some(Answer::Failed(error)) => return Err(ConnectError::Refused(error)),
                Some(_) => return Err(broken().into()),
                None => {}
            }
            let Some((id, s)) = socket.and_then(|id| Some((id, state.sockets.get(&id)?))) else {
                return Ok(None);
            };
            // It may have been established and ended since: then its end is told where it is used.
            if s.connected {
                return Ok(Some(id));
            }
            match s.ended {
                Some(reason) => Err(ConnectError::Ended(reason)),
                None => Ok(None),
            }
        });
        if result.is_err() {
            self.give_up(tag, socket);
        }
        result
    }

    fn give_up(&self, tag: Option<u64>, socket: Option<SocketId>) {
        let _ = self.call(ApiCall::Close, |state| {
            if let Some(tag) = tag {
                state.forget(tag);
            }
            socket.map_or(Ok(()), |id| state.close(id, true)).map_err(CallError::from)
        });
    }

    /// Asks the stack for a socket's figures; of a connection that has ended they are those that it had then, its times as well.
    pub(crate) fn info(&self, id: SocketId, wait: Wait) -> Result<SocketInfo, InfoError> {
        let mut tag = None;
        let result = self.wait_for(ApiCall::Info, wait, |state| {
            let Some(tag) = tag else {
                let socket = state.sockets.get(&id);
                if let Some(info) = socket.and_then(|s| s.last_info.as_deref()) {
                    return Ok(Some(*info));
                }
                let lane = socket.map_or(0, |s| s.lane);
                tag = Some(state.request(lane, Asked::Info, &Op::Info { socket: id }, None)?);
                return Ok(None);
            };
            match state.answer(tag) {
                Some(Answer::Info(info)) => Ok(Some(*info)),
                Some(Answer::Failed(error)) => Err(InfoError::Refused(error)),
                Some(_) => Err(broken().into()),
                None => Ok(None),
            }
        });
        if let (Err(_), Some(tag)) = (&result, tag) {
            self.shared.lock().forget(tag);
        }
        result
    }
}

/// An answer to another question than was asked.
pub(crate) const fn broken() -> CallError {
    CallError::Broken(causeway_channel::ChannelFault::Stream)
}
