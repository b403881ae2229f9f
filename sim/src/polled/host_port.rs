//! What a polled host wants of the port of its engine.

use causeway_channel::Grant;
use causeway_core::port::{AppPort, ChannelId};

use super::port::PolledPort;
use crate::guest::{AttachRequest, GuestId};

/// A port with polled programs behind it, and maybe with channels.
pub trait HostPort: AppPort + Sized + 'static {
    /// Getter: the side of the polled programs.
    fn polled(&self) -> &PolledPort;

    /// Getter: the same, to change it.
    fn polled_mut(&mut self) -> &mut PolledPort;

    /// Output: a port like this one after a restart: without programs and channels, and with the same dice, which go on.
    fn rebooted(&self) -> Self;

    /// Output: a port like this one after a restart of the daemon: polled programs are told that what they had is gone.
    fn after_daemon_restart(&mut self) -> Self;

    /// Command: a channel for a guest.
    ///
    /// # Errors
    /// In words, when there is no room or channels are not served.
    fn attach(&mut self, request: AttachRequest) -> Result<Grant, String> {
        let _ = request;
        Err("this host serves no channels".to_owned())
    }

    /// Command: a guest has let go of one of its channels.
    fn detach_channel(&mut self, guest: GuestId, channel: ChannelId) {
        let _ = (guest, channel);
    }

    /// Command: a guest is over; its channels go.
    fn detach(&mut self, guest: GuestId) {
        let _ = guest;
    }

    /// Command: a polled program is about to have its turn. False: it cannot, for want of a channel; later.
    fn turn_begins(&mut self, app: u32) -> bool {
        self.polled_mut().wake(app);
        true
    }

    /// Command: a polled program dies without a word.
    fn kill(&mut self, app: u32) {
        self.polled_mut().kill(app);
    }

    /// Command: a polled program ends everything that it has. True: its channel stays, so that what is left in it can be seen. False: it
    /// has none, and died.
    fn quit(&mut self, app: u32) -> bool {
        self.kill(app);
        false
    }

    /// Command: after a step of the engine: what it put out is put out.
    fn look_after(&mut self) {}

    /// Command: before the host sleeps. False: there is something to do now.
    fn prepare_sleep(&mut self) -> bool {
        true
    }

    /// Getter: channels whose memory is still there, but for those of programs that have quit.
    fn channels(&self) -> usize {
        0
    }

    /// Getter: what is held of the channels of programs that have quit: slots of streams and chunks.
    fn held(&self) -> u64 {
        0
    }
}

impl HostPort for PolledPort {
    fn polled(&self) -> &PolledPort {
        self
    }

    fn polled_mut(&mut self) -> &mut PolledPort {
        self
    }

    fn rebooted(&self) -> Self {
        self.after_restart()
    }

    fn after_daemon_restart(&mut self) -> Self {
        Self::after_daemon_restart(self)
    }
}
