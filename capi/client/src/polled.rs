//! A descriptor to poll: for programs with an event loop of their own.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use causeway_channel::BellWait;
use causeway_core::time::Instant;
use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::channel::{Channel, Inner};
use crate::env::{ApiCall, WaitOutcome};
use crate::error::{CallError, FdError};
use crate::state::State;

/// The descriptor and what makes it readable.
#[derive(Debug)]
pub(crate) struct Polled {
    /// Readable when one of the other two is: the bell, which the daemon rings, and `news`.
    epoll: OwnedFd,
    /// Counts 1 while there is something that no ring will tell.
    news: OwnedFd,
    has_news: bool,
    /// The bell is armed: it may have rung since.
    armed: bool,
}

impl Polled {
    fn new(bell: &BellWait) -> Result<Self, FdError> {
        let BellWait::Fd(bell) = bell else { return Err(FdError::Unsupported) };
        let os = |errno: rustix::io::Errno| FdError::Os(errno.into());
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let news = eventfd(0, flags).map_err(os)?;
        let group = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(os)?;
        for (fd, which) in [(bell.as_fd(), 0), (news.as_fd(), 1)] {
            let data = epoll::EventData::new_u64(which);
            epoll::add(&group, fd, data, epoll::EventFlags::IN).map_err(os)?;
        }
        Ok(Self { epoll: group, news, has_news: false, armed: false })
    }

    fn tell(&mut self, has_news: bool) {
        if self.has_news != has_news {
            self.has_news = has_news;
            // Neither can fail: there is room for a 1, and what is taken was put there.
            let _ = match has_news {
                true => rustix::io::write(&self.news, &1_u64.to_ne_bytes()),
                false => rustix::io::read(&self.news, &mut [0_u8; 8]),
            };
        }
    }
}

impl Channel {
    /// Getter: a descriptor for `poll`, `select` or `epoll` that is readable when [`Channel::recv`] has something to tell, or a
    /// call that would have waited may go on. It is not to be read from, and closes with the channel. From here on each call costs some system
    /// calls more; calls that wait, of other threads, take what it would have told.
    ///
    /// # Errors
    /// [`FdError`]: programs inside the simulator's own process have none.
    pub fn fd(&self) -> Result<RawFd, FdError> {
        self.inner.call(ApiCall::Info, |state| {
            if state.polled.is_none() {
                state.polled = Some(Polled::new(&state.channel.wait_end())?);
            }
            state.polled.as_ref().map(|polled| polled.epoll.as_raw_fd()).ok_or(FdError::Unsupported)
        })
    }
}

impl Inner {
    /// Input, at the beginning of a call: rings that the descriptor has told of.
    pub(crate) fn take_rings(&self, state: &mut State) {
        if state.sleeping || !state.polled.as_mut().is_some_and(|p| std::mem::take(&mut p.armed)) {
            return;
        }
        state.channel.disarm();
        let bell = state.channel.wait_end();
        if self.env.wait(&bell, Some(Instant::ZERO)) == WaitOutcome::DaemonGone {
            state.daemon_gone = true;
        }
    }

    /// Command, at the end of a call: the descriptor is readable if there is something, and told by the bell if there will be.
    pub(crate) fn settle(&self, state: &mut State) -> Result<(), CallError> {
        if state.polled.is_none() || state.sleeping {
            return Ok(());
        }
        let quiet = state.arrivals.is_empty() && !state.daemon_gone;
        let quiet = quiet && state.channel.arm(state.want_pool)?;
        if let Some(polled) = &mut state.polled {
            polled.armed = quiet;
            polled.tell(!quiet);
        }
        Ok(())
    }
}
