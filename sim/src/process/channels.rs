//! The daemon of a guest's processes: attach over a connection, doorbells, and the end of a connection.
//!
//! Everything is the handshake and the channel of production, but for who looks: the world does, between two turns.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use causeway_channel::handshake::{self, HandshakeError, Refusal};
use causeway_channel::{BellWait, Doorbell, Grant, Wake};
use causeway_core::port::ChannelId;
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

use super::baton;
use super::launch::packet_pair;
use crate::guest::{AttachRequest, Bells, GuestId};
use crate::world::HostEngine;

/// A connection of the C library to its daemon.
#[derive(Debug)]
struct Connection {
    control: OwnedFd,
    /// The virtual number of the process that connected.
    process: u64,
    channel: Option<Channel>,
}

/// A granted channel.
#[derive(Debug)]
struct Channel {
    id: ChannelId,
    bell: Arc<ProcessBell>,
    /// What the process rings, and what the engine hears then.
    lanes: Vec<(Arc<OwnedFd>, Doorbell)>,
}

/// The bell of the application's side of a channel.
#[derive(Debug)]
struct ProcessBell {
    far_end: OwnedFd,
    bells: Arc<Bells>,
    guest: GuestId,
    rung: AtomicBool,
}

impl Wake for ProcessBell {
    fn wake(&self) {
        // As the daemon's bell: full is as good as rung.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let _ = rustix::net::send(&self.far_end, &[1], flags);
        if !self.rung.swap(true, Ordering::Relaxed) {
            self.bells.ring_guest(self.guest);
        }
    }
}

/// All connections of a guest.
#[derive(Debug)]
pub(super) struct Channels {
    guest: GuestId,
    bells: Arc<Bells>,
    connections: Vec<Connection>,
    tokens: u64,
}

impl Channels {
    pub(super) const fn new(guest: GuestId, bells: Arc<Bells>) -> Self {
        Self { guest, bells, connections: Vec::new(), tokens: 0 }
    }

    /// Command: a connection to the daemon, for a process. Its end.
    pub(super) fn connect(&mut self, process: u64) -> io::Result<OwnedFd> {
        let (control, theirs) = packet_pair()?;
        self.connections.push(Connection { control, process, channel: None });
        Ok(theirs)
    }

    /// Output: whether a bell of the guest was rung since the last call.
    pub(super) fn take_rung(&self) -> bool {
        let channels = self.connections.iter().filter_map(|one| one.channel.as_ref());
        // Each is looked at: they are forgotten together.
        channels.filter(|channel| channel.bell.rung.swap(false, Ordering::Relaxed)).count() > 0
    }

    /// Command: what the daemon does when it wakes: hears bells, grants channels, lets go of those whose connection is
    /// closed. True when a process may have waited for it.
    pub(super) fn serve(&mut self, engine: &mut dyn HostEngine) -> bool {
        let mut news = false;
        let mut index = 0;
        while let Some(one) = self.connections.get_mut(index) {
            if let Some(channel) = &one.channel {
                for (eventfd, lane) in &channel.lanes {
                    if rustix::io::read(eventfd, &mut [0; 8]).is_ok() {
                        lane.ring();
                    }
                }
            }
            if !baton::readable(one.control.as_fd(), Duration::ZERO) {
                index += 1;
                continue;
            }
            news = true;
            if self.hear(index, engine) {
                index += 1;
            } else if let Some(channel) = self.connections.remove(index).channel {
                engine.detach_channel(self.guest, channel.id);
                self.bells.ring_host();
            }
        }
        news
    }

    /// Hears what a process says on a connection. False: the connection is over.
    fn hear(&mut self, index: usize, engine: &mut dyn HostEngine) -> bool {
        let one = &self.connections[index];
        match (handshake::recv_hello(one.control.as_fd()), &one.channel) {
            (Ok(hello), None) => {
                if let Err(refusal) = handshake::negotiate(&hello) {
                    let _ = handshake::send_refusal(one.control.as_fd(), refusal);
                    return false;
                }
                let process = one.process;
                match self.grant(process, engine) {
                    Ok((channel, grant)) => {
                        let one = &mut self.connections[index];
                        one.channel = Some(channel);
                        handshake::send_grant(one.control.as_fd(), &grant).is_ok()
                    }
                    Err(_) => {
                        let control = self.connections[index].control.as_fd();
                        let _ = handshake::send_refusal(control, Refusal::LimitReached);
                        false
                    }
                }
            }
            // Nothing travels after the grant, as the daemon sees it.
            (Ok(_) | Err(HandshakeError::Malformed), Some(_)) => true,
            (Err(_), _) => false,
        }
    }

    fn grant(
        &mut self,
        process: u64,
        engine: &mut dyn HostEngine,
    ) -> Result<(Channel, Grant), String> {
        let words = |error: io::Error| error.to_string();
        let flags = SocketFlags::CLOEXEC;
        let (far_end, wait) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
                .map_err(|error| words(error.into()))?;
        let bell = Arc::new(ProcessBell {
            far_end,
            bells: Arc::clone(&self.bells),
            guest: self.guest,
            rung: AtomicBool::new(false),
        });
        let token = (self.guest.0 as u64) << 32 | self.tokens;
        self.tokens += 1;
        let app = Arc::<ProcessBell>::clone(&bell);
        let request = AttachRequest { guest: self.guest, process: process as u32, token, app };
        let mut grant = engine.attach(request)?;
        // As an order to a sleeping daemon does: a new channel is served without having rung.
        self.bells.ring_host();
        grant.app_wait = BellWait::Fd(wait);
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let mut lanes = Vec::new();
        for lane in &mut grant.lane_bells {
            let fd = Arc::new(eventfd(0, flags).map_err(|error| words(error.into()))?);
            let inner = std::mem::replace(lane, Doorbell::EventFd(Arc::clone(&fd)));
            lanes.push((fd, inner));
        }
        Ok((Channel { id: grant.channel, bell, lanes }, grant))
    }
}
