//! MSG_MORE: what was written is not the end of a message. Its tail waits for more, but not longer than for the next segment of the peer.

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::timer::TimerReason;

/// Whether the last write announced more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) enum More {
    /// What was written ends a message: its last byte is pushed.
    #[default]
    No,
    /// A small tail is held back, as by TCP_CORK.
    Held,
    /// A small tail goes by the same rules as any, but it is not pushed.
    Released,
}

impl More {
    /// Getter: more was announced.
    pub(in crate::tcp) fn is_on(self) -> bool {
        self != Self::No
    }
}

impl Connection {
    /// Command: what is written from now on announces more, or does not.
    pub(in crate::tcp) fn announce_more(&mut self, on: bool) {
        if !on {
            self.release_more();
        }
        self.snd.more = if on { More::Held } else { More::No };
    }

    /// Input: a segment of the peer, or TCP_NODELAY: a hold is for the call that asked for it (Linux's tcp_push).
    pub(in crate::tcp) fn release_more(&mut self) {
        if self.snd.more == More::Held {
            self.snd.more = More::Released;
            if self.snd.snd_wnd > 0 && !self.config.cork {
                self.timers.stop(TimerReason::Persist);
            }
        }
    }
}
