//! A polled host: the production engine over simulated NICs, with programs that are values.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use causeway_channel::Grant;
use causeway_core::engine::{Engine, Reason};
use causeway_core::event::Stamped;
use causeway_core::nic::{IfIndex, Nic as _};
use causeway_core::port::ChannelId;
use causeway_core::rng::Stream;
use causeway_core::socket::EphemeralPorts;
use causeway_core::stack::{ConfigError, StackConfigBuilder};
use causeway_core::time::{Duration, Instant};

use super::bells::ProgramBells;
use super::describe::brings_nothing;
use super::host_port::HostPort;
use super::net::Net;
use super::port::{PolledPort, PortFaults};
use super::rings::Fate;
use super::witness::Witness;
use crate::fault::{Decision, Event, FaultPlan};
use crate::guest::{AttachRequest, GuestId};
use crate::nic::{NicConfig, NicFaults, NicPort, SimNic};
use crate::world::{Described, HostEngine};

/// A program of a polled host: called when one of its sockets has news and when its time has come.
pub trait Program {
    /// Input: does what can be done without waiting. Returns when to be called again if nothing happens earlier, by the host's
    /// clock.
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant>;

    /// Input: the host was restarted: every socket is gone, and nothing was told to the peers.
    fn restarted(&mut self) {}

    /// Input: the daemon was restarted: the program lives, and what it handed over may not have been delivered.
    fn daemon_restarted(&mut self) {}

    /// Input: something is wrong with the program itself: nothing is expected of what it does any more.
    fn struck(&mut self) {}
}

impl<F: FnMut(&mut Net<'_>) -> Option<Instant>> Program for F {
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant> {
        self(net)
    }
}

/// What a polled host is made of.
#[derive(Clone, Debug)]
pub struct PolledConfig {
    /// Its NICs: interfaces 1, 2, ...
    pub nics: Vec<NicConfig>,
    /// Bytes of each ring, a power of two.
    pub ring_bytes: usize,
    /// Most connections and flows at once.
    pub streams_max: usize,
    /// The engine's timers are seen at multiples of this only. Zero: exactly.
    pub granularity: Duration,
}

/// Makes the stack's configuration from a seed and a secret; called again at each restart.
pub type MakeStack = Box<dyn Fn(u64, [u8; 16]) -> StackConfigBuilder>;

struct Slot {
    program: Box<dyn Program>,
    wake_at: Option<Instant>,
    /// It was killed, or has quit.
    over: bool,
    /// It does nothing any more.
    hangs: bool,
    /// Something was wrong with it.
    struck: bool,
    /// It has quit, and ends then what has not ended by itself. Zero: it has not looked at its clock yet.
    quits_at: Option<Instant>,
}

impl Slot {
    /// Command: nothing is expected of it any more.
    fn strike(&mut self) {
        self.struck = true;
        self.program.struck();
    }
}

/// See the module.
pub struct PolledHost<P: HostPort = PolledPort> {
    config: PolledConfig,
    make: MakeStack,
    seed: u64,
    /// How often it was switched on.
    boots: u64,
    engine: Engine<SimNic, P>,
    programs: Vec<Slot>,
    wakes: BinaryHeap<Reverse<(Instant, u32)>>,
    clock: Clock,
    /// The engine's own deadline after the last step.
    next: Option<(Instant, Reason)>,
    /// Programs do nothing before.
    stalled_until: Instant,
    ports: EphemeralPorts,
}

/// What programs of the host believe the time to be.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    ahead: Duration,
}

impl Clock {
    fn shown(self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// The true time at which the clock shows `shown`.
    fn truth(self, shown: Instant) -> Instant {
        Instant::from_nanos(shown.as_nanos().saturating_sub(self.ahead.as_nanos()))
    }
}

/// How long a program that has quit waits for what it closed: longer than TIME-WAIT, which ends by itself.
const LINGER: Duration = Duration::from_secs(300);

/// Between two attempts of a program to get a channel.
const ATTACH_RETRY: Duration = Duration::from_millis(50);

/// The random stream of seeds of later starts.
const ENTITY_BOOTS: u64 = 1;

/// Keys of a host's stack, and whatever else it draws, from the host's seed.
fn keys(seed: u64) -> (u64, [u8; 16]) {
    let stream = Stream::new(seed, 0);
    let mut secret = [0; 16];
    secret[..8].copy_from_slice(&stream.at(1).to_le_bytes());
    secret[8..].copy_from_slice(&stream.at(2).to_le_bytes());
    (stream.at(0), secret)
}

impl PolledHost {
    /// A host whose random numbers come from `seed`, and the link-facing halves of its NICs.
    ///
    /// # Errors
    /// The stack refuses its configuration.
    pub fn new(
        config: &PolledConfig,
        make: MakeStack,
        seed: u64,
        faults: PortFaults,
    ) -> Result<(Self, Vec<Rc<NicPort>>), ConfigError> {
        let port = PolledPort::new(config.ring_bytes, config.streams_max, faults);
        Self::with_port(config, make, seed, port)
    }
}

impl<P: HostPort> PolledHost<P> {
    /// The same with a port of one's own, whose rings and streams are those of `config`.
    ///
    /// # Errors
    /// As [`PolledHost::new`].
    pub fn with_port(
        config: &PolledConfig,
        make: MakeStack,
        seed: u64,
        port: P,
    ) -> Result<(Self, Vec<Rc<NicPort>>), ConfigError> {
        let (stack_seed, secret) = keys(seed);
        let stack = make(stack_seed, secret).build()?;
        let (nics, ports): (Vec<_>, Vec<_>) = config.nics.iter().map(SimNic::new).unzip();
        let engine = Engine::new(stack, nics, port)?;
        let host = Self {
            config: config.clone(),
            make,
            seed,
            boots: 0,
            engine,
            programs: Vec::new(),
            wakes: BinaryHeap::new(),
            clock: Clock::default(),
            next: None,
            stalled_until: Instant::ZERO,
            ports: EphemeralPorts::default(),
        };
        Ok((host, ports))
    }

    /// Command: a program, called for the first time at `starts_at`. Its number on this host.
    pub fn add_program(&mut self, program: Box<dyn Program>, starts_at: Instant) -> u32 {
        let app = self.engine.port_mut().polled_mut().add_program();
        let (wake_at, over, hangs, struck) = (Some(starts_at), false, false, false);
        self.programs.push(Slot { program, wake_at, over, hangs, struck, quits_at: None });
        self.wakes.push(Reverse((starts_at, app)));
        app
    }

    /// Getter: the engine.
    pub const fn engine(&self) -> &Engine<SimNic, P> {
        &self.engine
    }

    /// Command: a program dies without a word.
    pub fn kill(&mut self, app: u32) {
        let slot = &mut self.programs[app as usize];
        if !std::mem::replace(&mut slot.over, true) {
            slot.wake_at = None;
            self.engine.port_mut().kill(app);
        }
    }

    /// Command: `witness` is told what its programs call and hear.
    pub fn set_witness(&mut self, witness: Witness) {
        self.engine.port_mut().polled_mut().set_witness(witness);
    }

    /// Command: the ports of sockets that name none, from now on and after each restart.
    pub fn set_ephemeral_ports(&mut self, ports: EphemeralPorts) {
        self.ports = ports;
        self.engine.stack_mut().set_ephemeral_ports(ports);
    }

    /// Command: what may go wrong in its NICs.
    pub fn set_nic_faults(&mut self, interface: IfIndex, faults: NicFaults) {
        if let Some(nic) = self.engine.nic_mut(interface) {
            nic.set_faults(faults);
        }
    }

    /// The engine's own deadline after the last step, and what it is for.
    pub(super) const fn deadline(&self) -> Option<(Instant, Reason)> {
        self.next
    }

    /// Getter: how many interfaces it has beside the loopback.
    pub fn interfaces(&self) -> usize {
        self.config.nics.len()
    }

    fn each_interface(&self) -> impl Iterator<Item = IfIndex> + use<P> {
        (1..=self.config.nics.len()).map(|index| IfIndex(index as u8))
    }

    /// Another engine over the same NICs.
    fn boot(&mut self, port: P) {
        self.boots += 1;
        let (seed, secret) = keys(Stream::new(self.seed, ENTITY_BOOTS).at(self.boots));
        let nics = self.engine.nics().map(SimNic::rebooted).collect();
        let stack = (self.make)(seed, secret).build();
        let engine = stack.and_then(|stack| Engine::new(stack, nics, port));
        self.engine = engine.expect("what was right at the first start is right again");
        self.engine.stack_mut().set_ephemeral_ports(self.ports);
    }

    fn run(&mut self, app: u32, now: Instant) {
        let slot = &mut self.programs[app as usize];
        if slot.hangs {
            return;
        }
        if slot.over {
            return self.look_on(app, now);
        }
        let wake_at = if self.engine.port_mut().turn_begins(app) {
            let port = self.engine.port_mut().polled_mut();
            let mut net = Net { port, app, now: self.clock.shown(now) };
            let wake_at = slot.program.poll(&mut net).map(|at| self.clock.truth(at).max(now));
            match port.sleep(app) {
                Fate::Sleeps => {}
                Fate::Scribbles => slot.strike(),
                Fate::Hangs => {
                    slot.strike();
                    slot.hangs = true;
                }
                Fate::Dies => {
                    slot.strike();
                    return self.kill(app);
                }
            }
            wake_at
        } else {
            Some(now + ATTACH_RETRY)
        };
        if let Some(at) = wake_at
            && slot.wake_at != wake_at
        {
            self.wakes.push(Reverse((at, app)));
        }
        slot.wake_at = wake_at;
    }

    /// A program that has quit hears how what it had ends, and ends it itself after a while.
    fn look_on(&mut self, app: u32, now: Instant) {
        let slot = &mut self.programs[app as usize];
        let port = self.engine.port_mut().polled_mut();
        match slot.quits_at {
            None => return,
            Some(Instant::ZERO) => {
                let at = now + LINGER;
                (slot.quits_at, slot.wake_at) = (Some(at), Some(at));
                self.wakes.push(Reverse((at, app)));
            }
            Some(at) if at <= now => port.abort_leaving(app),
            Some(_) => {}
        }
        port.look_on(app);
    }

    /// Programs whose time has come.
    fn run_due(&mut self, now: Instant) {
        while let Some(&Reverse((at, app))) = self.wakes.peek() {
            let current = self.programs[app as usize].wake_at == Some(at);
            if current && at > now {
                return;
            }
            self.wakes.pop();
            if current {
                self.programs[app as usize].wake_at = None;
                self.run(app, now);
            }
        }
    }

    /// What the engine said goes to programs, which have their turns.
    fn tell_programs(&mut self, now: Instant, stalled: bool) {
        let port = self.engine.port_mut();
        port.look_after();
        while let Some(app) = port.polled().bells().and_then(ProgramBells::take_lost) {
            self.programs[app as usize].strike();
        }
        if !stalled {
            let port = port.polled_mut();
            port.hear_bells();
            port.drop_unwanted();
            self.run_told(now);
        }
    }

    /// Programs with news.
    fn run_told(&mut self, now: Instant) {
        // One round: what they cause comes with the next step.
        let mut told =
            std::mem::take(&mut self.engine.port_mut().polled_mut().sockets.programs_ready);
        for app in told.drain(..) {
            self.run(app, now);
        }
        let queue = &mut self.engine.port_mut().polled_mut().sockets.programs_ready;
        if queue.is_empty() {
            *queue = told;
        }
    }
}

impl<P: HostPort> HostEngine for PolledHost<P> {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        self.engine.port_mut().polled_mut().set_now(now);
        let stalled = now < self.stalled_until;
        if let Some(bells) = self.engine.port().polled().bells() {
            bells.tick(now);
        }
        if !stalled {
            self.run_due(now);
        }
        self.next = self.engine.step(now).next;
        let next = self.next.map(|(at, _)| at);
        self.tell_programs(now, stalled);
        if self.engine.port().polled().has_commands() {
            return Some(now);
        }
        if !stalled && self.engine.port().polled().has_news() {
            return Some(now);
        }
        let bells = self.engine.port().polled().bells();
        let late = bells.and_then(ProgramBells::next_at);
        if next.is_none_or(|at| at > now) && !self.engine.port_mut().prepare_sleep() {
            return Some(now);
        }
        let wake = self.wakes.peek().map(|&Reverse((at, _))| at);
        let wake = if stalled { Some(self.stalled_until) } else { wake };
        let wake = [wake, late].into_iter().flatten().min();
        let coarse = |at: Instant| {
            let step = self.config.granularity.as_nanos();
            if step == 0 || at <= now {
                at
            } else {
                Instant::from_nanos(at.as_nanos().next_multiple_of(step))
            }
        };
        match (next.map(coarse), wake) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn attach(&mut self, request: AttachRequest) -> Result<Grant, String> {
        self.engine.port_mut().attach(request)
    }

    fn detach_channel(&mut self, guest: GuestId, channel: ChannelId) {
        self.engine.port_mut().detach_channel(guest, channel);
    }

    fn detach(&mut self, guest: GuestId) {
        self.engine.port_mut().detach(guest);
    }

    fn poll_event(&mut self) -> Option<Stamped> {
        self.engine.stack_mut().poll_event()
    }

    fn restart(&mut self, now: Instant) {
        let mut port = self.engine.port().rebooted();
        if let Some(witness) = &port.polled().witness {
            witness.restarted(now);
        }
        self.wakes.clear();
        for slot in &mut self.programs {
            let app = port.polled_mut().add_program();
            if slot.over || slot.hangs {
                continue;
            }
            slot.program.restarted();
            slot.wake_at = Some(now);
            self.wakes.push(Reverse((now, app)));
        }
        self.boot(port);
    }

    fn restart_daemon(&mut self, _: Instant) {
        let port = self.engine.port_mut().after_daemon_restart();
        self.programs.iter_mut().for_each(|slot| slot.program.daemon_restarted());
        self.boot(port);
    }

    fn stall_programs(&mut self, until: Instant) {
        self.stalled_until = self.stalled_until.max(until);
    }

    fn advance_clock(&mut self, by: Duration) {
        let ahead = self.clock.ahead.as_nanos().saturating_add(by.as_nanos());
        self.clock.ahead = Duration::from_nanos(ahead);
    }

    fn heal(&mut self) {
        self.engine.port_mut().polled_mut().heal();
        for interface in self.each_interface() {
            if let Some(nic) = self.engine.nic_mut(interface) {
                nic.heal();
            }
        }
    }

    fn end_programs(&mut self) {
        // Who goes in peace hears how it ends.
        self.engine.port().polled().bells().into_iter().for_each(ProgramBells::heal);
        for app in 0..self.programs.len() as u32 {
            // Both ways to go, and what each leaves behind.
            let slot = &mut self.programs[app as usize];
            if app % 2 == 0 || slot.struck {
                self.kill(app);
            } else if !std::mem::replace(&mut slot.over, true) {
                slot.wake_at = None;
                if self.engine.port_mut().quit(app) {
                    (slot.quits_at, slot.wake_at) = (Some(Instant::ZERO), Some(Instant::ZERO));
                    self.wakes.push(Reverse((Instant::ZERO, app)));
                }
            }
        }
    }

    fn leftovers(&self) -> String {
        // The engine keeps one frame of each NIC at hand, and a super-segment where it cuts them.
        let kept = |nic: &SimNic| 1 + usize::from(nic.caps().tso_bytes_max > 0);
        let spare =
            |nic: &SimNic| nic.frames_in_use().saturating_sub(kept(nic) + nic.port().stuck());
        let frames: usize = self.engine.nics().map(spare).sum();
        let port = self.engine.port().polled();
        let counts = [
            (self.engine.stack().stats().sockets_live(), "sockets"),
            (port.streams_held() as u64, "rings"),
            (port.sockets.len() as u64, "handles"),
            (self.engine.port().channels() as u64, "channels"),
            (self.engine.port().held(), "slots and chunks of channels"),
            (frames as u64, "frames"),
            (self.engine.stack().reassembly_bytes() as u64, "bytes of fragments"),
            (self.engine.stack().receive_memory().held(), "bytes of received data"),
        ];
        let left = counts.iter().filter(|(count, _)| *count > 0);
        left.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }

    fn beyond_bounds(&self) -> Option<String> {
        Self::beyond_bounds(self)
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        let asks = !self.wakes.is_empty() || self.engine.port().polled().has_commands();
        let sockets = self.engine.stack().poll_sockets_timeout();
        !asks && brings_nothing(now, self.next, sockets)
    }

    fn describe(&self) -> Vec<Described> {
        self.sockets_in_words()
    }

    fn record_into(&self, name: &str, plan: &mut FaultPlan) {
        let mut push = |target: &str, event, decided: &[(u64, u64)]| {
            for &(number, value) in decided {
                plan.push(Decision::Counted { target: target.to_owned(), event, number, value });
            }
        };
        let port = self.engine.port().polled().faults();
        push(name, Event::NoRings, port.stream.decided());
        push(name, Event::NoMemory, port.memory.decided());
        if let Some(bells) = self.engine.port().polled().bells() {
            for (event, decided) in bells.dice().decided() {
                push(name, event, decided);
            }
        }
        for (index, nic) in self.engine.nics().enumerate() {
            let target = format!("{name}.eth{index}");
            for (event, decided) in nic.decided() {
                push(&target, event, &decided);
            }
        }
    }
}
