//! What a world is made of.

use std::rc::Rc;

use causeway_channel::Grant;
use causeway_core::event::Stamped;
use causeway_core::port::ChannelId;
use causeway_core::time::{Duration, Instant};

use super::rest::Described;
use crate::fault::FaultPlan;
use crate::frame::SimFrame;
use crate::guest::{AttachRequest, GuestId};
use crate::nic::NicPort;

/// A host of a world, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// A switch or router of a world, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayId(pub usize);

/// What hands frames on: a switch, a router.
pub trait Relay {
    /// Input: a frame arrived at `port`. What it sends, and where, goes to `out`; it takes no time.
    fn handle(
        &mut self,
        now: Instant,
        port: usize,
        frame: SimFrame,
        out: &mut Vec<(usize, SimFrame)>,
    );

    /// Getter: the port of the interface of this name, of a router.
    fn port_of(&self, interface: &str) -> Option<usize> {
        let _ = interface;
        None
    }

    /// Command: routes through `port` are used, or not.
    fn set_usable(&mut self, port: usize, usable: bool) {
        let _ = (port, usable);
    }
}

/// One end of a link.
#[derive(Clone, Debug)]
pub enum End {
    /// A NIC of a host.
    Nic {
        /// The host.
        host: HostId,
        /// The half of the NIC that faces the link.
        nic: Rc<NicPort>,
    },
    /// The next port of a switch or router, in the order in which they are connected.
    Relay(RelayId),
}

/// What a host runs: the production engine, or a stand-in of a test.
pub trait HostEngine {
    /// Input and output: one iteration, as `Engine::step`. Returns when to step again if nothing
    /// arrives earlier; `None` when only a frame or a guest can bring news.
    fn step(&mut self, now: Instant) -> Option<Instant>;

    /// Output: the next entry of the host's event log.
    fn poll_event(&mut self) -> Option<Stamped> {
        None
    }

    /// Command: a channel for a guest.
    ///
    /// # Errors
    /// In words, when the host has no room or serves no channels.
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

    /// Command: the host's power comes back: everything that it knew is gone. What cannot restart goes on.
    fn restart(&mut self, now: Instant) {
        let _ = now;
    }

    /// Command: another daemon is there, and the one before with its engine is gone: polled programs, which live, are told so.
    fn restart_daemon(&mut self, now: Instant) {
        let _ = now;
    }

    /// Command: polled programs do nothing before `until`.
    fn stall_programs(&mut self, until: Instant) {
        let _ = until;
    }

    /// Command: the clock that its programs see is ahead by so much more from now on.
    fn advance_clock(&mut self, by: Duration) {
        let _ = by;
    }

    /// Command: nothing goes wrong on the host itself from here on.
    fn heal(&mut self) {}

    /// Command: its programs are over.
    fn end_programs(&mut self) {}

    /// Getter: what is left of connections and frames, in words; empty where nothing is.
    fn leftovers(&self) -> String {
        String::new()
    }

    /// Output: what it holds beyond its bounds, in words. Asked now and then while it runs.
    fn beyond_bounds(&self) -> Option<String> {
        None
    }

    /// Getter: nothing happens on it by itself that a flow could wait for, though it may have a deadline.
    fn is_at_rest(&self, now: Instant) -> bool {
        let _ = now;
        false
    }

    /// Output: its sockets in words.
    fn describe(&self) -> Vec<Described> {
        Vec::new()
    }

    /// Output: the decisions about the host itself that were executed; it is called `name`.
    fn record_into(&self, name: &str, plan: &mut FaultPlan) {
        let _ = (name, plan);
    }
}

/// The rules of a world.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// What every random decision is drawn from.
    pub seed: u64,
    /// Virtual time between two iterations of a host's loop: what an iteration costs. At least 1 ns.
    pub poll_interval: Duration,
    /// Virtual time from the ring of a bell to the first instruction of the guest that slept on it.
    pub wake_latency: Duration,
    /// The run fails when the virtual clock passes this.
    pub end_at: Instant,
    /// The run fails after this many events.
    pub events_max: u64,
    /// The run fails when a guest neither calls nor ends within this much wall-clock time. The only
    /// use of a wall clock; it cannot influence a run that succeeds.
    pub guest_wall_limit: std::time::Duration,
    /// How guests end is told to the taps ([`crate::tap::Tap::program_ended`]), and no end of one fails the run.
    pub tells_ends: bool,
}

impl WorldConfig {
    /// Iterations of 500 ns, wake-ups of 10 us, one hour of virtual time, a billion events, a minute of wall clock for a guest's turn;
    /// the end of a guest with another status than 0 fails the run.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            poll_interval: Duration::from_nanos(500),
            wake_latency: Duration::from_micros(10),
            end_at: Instant::ZERO + Duration::from_secs(3_600),
            events_max: 1_000_000_000,
            guest_wall_limit: std::time::Duration::from_secs(60),
            tells_ends: false,
        }
    }
}
