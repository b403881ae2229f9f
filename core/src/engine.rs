//! One stack, its network interfaces and its applications, moved forward one iteration at a time.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::frame_tap::{Direction, FrameTap};
use crate::loopback::Loopback;
use crate::nic::{BURST_MAX, Frame, IfIndex, Nic};
use crate::planted::{self, Bug};
use crate::port::AppPort;
use crate::reach::reach;
use crate::stack::{ConfigError, Stack, StackConfig, TxQueue, TxStop};
use crate::time::{Duration, Instant};

/// Most commands of all channels that one step takes.
const COMMANDS_PER_STEP: u32 = 256;
/// Most frames that one step sends on one interface.
const TRANSMIT_PER_STEP: usize = 2 * BURST_MAX;
/// A NIC that takes no more frames is asked again after this long; it has no way to say when it has room.
const NIC_FULL_RETRY: Duration = Duration::from_micros(20);

/// Why the engine wants to be stepped again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A bound of this step was reached, or frames wait in the loopback: there is more to do now.
    Busy,
    /// A NIC had no memory or no room.
    NicFull,
    /// The timer of a connection or flow.
    Socket,
    /// Address resolution repeats or gives up, or an address of our own comes or goes.
    Neighbor,
    /// An echo request is given up.
    Ping,
    /// A datagram is given up of which fragments are missing.
    Reassembly,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Commands, frames and timers that were handled. Zero: nothing happened, the driver may sleep.
    pub work: u32,
    /// When to step again if nothing arrives earlier, and why. `None`: only a frame or an application can bring news.
    pub next: Option<(Instant, Reason)>,
}

/// What went through a NIC queue since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames received.
    pub rx_frames: u64,
    /// Their bytes, link header included.
    pub rx_bytes: u64,
    /// Frames that the NIC took.
    pub tx_frames: u64,
    /// Bytes of the frames that were made for it.
    pub tx_bytes: u64,
}

/// Somebody who looks at the frames, or nobody.
type Tapped = Option<Box<dyn FrameTap>>;

/// One NIC queue with the frames that are on their way in and out.
struct Queue<N: Nic> {
    nic: N,
    rx: Vec<N::Frame>,
    tx: TxQueue<N::Frame>,
    /// Frames that it moves at a time.
    burst: usize,
    traffic: Traffic,
}

impl<N: Nic> Queue<N> {
    fn new(nic: N) -> Self {
        let burst = usize::from(nic.caps().burst).clamp(1, BURST_MAX);
        Self {
            nic,
            rx: Vec::with_capacity(BURST_MAX),
            tx: TxQueue::new(),
            burst,
            traffic: Traffic::default(),
        }
    }

    /// Receives one burst; `rx` holds it afterwards. True when there may be more.
    fn receive<P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        stack: &mut Stack,
        port: &mut P,
        tap: &mut Tapped,
    ) -> (u32, bool) {
        let count = self.nic.rx_burst(&mut self.rx, self.burst);
        if count == 0 {
            return (0, false);
        }
        if let Some(tap) = tap {
            show(&mut **tap, now, (interface, Direction::In), self.rx.iter());
        }
        let before = stack.stats().rx_bytes;
        stack.handle_rx(now, interface, &self.rx, port);
        self.traffic.rx_frames += count as u64;
        self.traffic.rx_bytes += stack.stats().rx_bytes - before;
        (count as u32, count >= self.burst && !planted::is(Bug::OneBurstIsAll))
    }

    /// Fills and sends bursts until there is nothing to send, the NIC is full, or the step's bound is reached.
    #[inline]
    fn transmit<P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        stack: &mut Stack,
        port: &mut P,
        tap: &mut Tapped,
    ) -> (u32, TxStop) {
        if self.tx.is_empty() && !stack.has_output(interface) {
            return (0, TxStop::Idle);
        }
        match tap {
            None => self.transmit_bursts(now, interface, stack, port, |_, _| ()),
            Some(tap) => self.transmit_bursts(now, interface, stack, port, |tx, known| {
                show(&mut **tap, now, (interface, Direction::Out), tx.behind(known));
            }),
        }
    }

    /// `look` is shown the frames, of which the first so many were there before.
    fn transmit_bursts<P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        stack: &mut Stack,
        port: &mut P,
        mut look: impl FnMut(&TxQueue<N::Frame>, usize),
    ) -> (u32, TxStop) {
        let before = stack.stats().tx_bytes;
        let mut sent = 0;
        let stop = loop {
            let known = self.tx.len();
            let stop =
                stack.poll_transmit(now, interface, &mut self.nic, &mut self.tx, port, BURST_MAX);
            look(&self.tx, known);
            if self.tx.is_empty() {
                break stop;
            }
            sent += self.tx.send(&mut self.nic);
            if !self.tx.is_empty() {
                break TxStop::NicFull;
            }
            if stop != TxStop::Full || sent >= TRANSMIT_PER_STEP {
                break stop;
            }
        };
        self.traffic.tx_frames += sent as u64;
        self.traffic.tx_bytes += stack.stats().tx_bytes - before;
        (sent as u32, stop)
    }
}

/// Nearly always nobody looks: this is out of the way of what is done for every burst.
#[cold]
#[inline(never)]
fn show<'a, F: Frame + 'a>(
    tap: &mut dyn FrameTap,
    now: Instant,
    (interface, way): (IfIndex, Direction),
    frames: impl Iterator<Item = &'a F>,
) {
    frames.for_each(|frame| tap.frame(now, interface, way, frame));
}

/// Why transmission stopped, over all interfaces.
#[derive(Clone, Copy, Debug, Default)]
struct Stops {
    full: bool,
    nic_full: bool,
}

impl Stops {
    const fn note(&mut self, stop: TxStop) {
        match stop {
            TxStop::Idle => {}
            TxStop::Full => self.full = true,
            TxStop::NicFull => self.nic_full = true,
        }
    }
}

/// A stack with the NIC queues it drives and the applications it serves.
///
/// Call order: [`Engine::step`] whenever a frame or a command may have arrived and at the latest at
/// [`Progress::next`]. Everything else is getters, and access to the parts between two steps.
pub struct Engine<N: Nic, P: AppPort> {
    stack: Stack,
    port: P,
    loopback: Queue<Loopback>,
    /// Interface `i` is at `i - 1`: interface 0 is the loopback.
    queues: Vec<Queue<N>>,
    tap: Tapped,
}

impl<N: Nic, P: AppPort> Engine<N, P> {
    /// An engine over `nics`, which become interfaces 1, 2, ... in this order, and must be as many as `config` has.
    ///
    /// # Errors
    /// [`ConfigError::InterfaceCount`] when they are not.
    pub fn new(config: StackConfig, nics: Vec<N>, port: P) -> Result<Self, ConfigError> {
        let loopback = Loopback::new();
        let caps: Vec<_> =
            core::iter::once(loopback.caps()).chain(nics.iter().map(Nic::caps)).cloned().collect();
        let stack = Stack::new(config, &caps)?;
        Ok(Self {
            stack,
            port,
            loopback: Queue::new(loopback),
            queues: nics.into_iter().map(Queue::new).collect(),
            tap: None,
        })
    }

    /// Input and output: one iteration. Takes the applications' commands, one burst of each interface and the
    /// timers that are due, sends what is ready, and shows the applications what changed. Never blocks, and does a
    /// bounded amount of work: what is left over is in [`Progress::next`] as [`Reason::Busy`].
    pub fn step(&mut self, now: Instant) -> Progress {
        self.port.snapshot(now);
        let (commands, mut busy) = self.take_commands(now);
        let (received, more) = self.receive(now);
        let (timers, timers_left) = self.stack.handle_timeout(now, &mut self.port);
        let (sent, stops) = self.transmit(now);
        self.port.flush();
        busy |= more || timers_left || stops.full || self.loopback.nic.has_frames();
        busy &= !planted::is(Bug::NeverBusy);
        let work = commands + received + timers + sent;
        Progress { work, next: self.next(now, busy, stops.nic_full) }
    }

    fn next(&self, now: Instant, busy: bool, nic_full: bool) -> Option<(Instant, Reason)> {
        if busy {
            reach!(Busy);
            return Some((now, Reason::Busy));
        }
        let timer = self.stack.poll_timeout();
        if !nic_full || planted::is(Bug::FullNicForgotten) {
            return timer;
        }
        reach!(NicFull);
        let retry = (now + NIC_FULL_RETRY, Reason::NicFull);
        Some(timer.filter(|(at, _)| *at < retry.0).unwrap_or(retry))
    }

    /// Returns how many, and true when there may be more: a port gives each channel its share per step.
    fn take_commands(&mut self, now: Instant) -> (u32, bool) {
        let mut count = 0;
        while count < COMMANDS_PER_STEP
            && let Some(command) = self.port.poll_command()
        {
            self.stack.handle_command(now, command, &mut self.port);
            count += 1;
        }
        let (ended, more) = self.stack.handle_detached(now, &mut self.port);
        (count + ended, count > 0 || more)
    }

    fn receive(&mut self, now: Instant) -> (u32, bool) {
        let (stack, port) = (&mut self.stack, &mut self.port);
        let (mut work, mut busy) = (0, false);
        if self.loopback.nic.has_frames() {
            (work, busy) =
                self.loopback.receive(now, IfIndex::LOOPBACK, stack, port, &mut self.tap);
            for frame in self.loopback.rx.drain(..) {
                self.loopback.nic.recycle(frame);
            }
        }
        for (interface, queue) in (1..).map(IfIndex).zip(&mut self.queues) {
            let (count, more) = queue.receive(now, interface, stack, port, &mut self.tap);
            if count > 0 {
                queue.rx.clear();
            }
            work += count;
            busy |= more;
        }
        (work, busy)
    }

    fn transmit(&mut self, now: Instant) -> (u32, Stops) {
        let (stack, port) = (&mut self.stack, &mut self.port);
        let mut stops = Stops::default();
        let (mut work, stop) =
            self.loopback.transmit(now, IfIndex::LOOPBACK, stack, port, &mut None);
        stops.note(stop);
        for (interface, queue) in (1..).map(IfIndex).zip(&mut self.queues) {
            let (count, stop) = queue.transmit(now, interface, stack, port, &mut self.tap);
            work += count;
            stops.note(stop);
        }
        (work, stops)
    }

    /// Getter: the stack.
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Getter: the stack, to drain its events or write out a connection.
    pub const fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// Getter: the applications' side.
    pub const fn port(&self) -> &P {
        &self.port
    }

    /// Getter: the applications' side, to attach and detach channels.
    pub const fn port_mut(&mut self) -> &mut P {
        &mut self.port
    }

    /// Getter: stack and applications' side together, for commands of the stack that need both.
    pub const fn parts_mut(&mut self) -> (&mut Stack, &mut P) {
        (&mut self.stack, &mut self.port)
    }

    /// Getter: the NIC queue of `interface`; `None` for the loopback and for interfaces that do not exist.
    pub fn nic(&self, interface: IfIndex) -> Option<&N> {
        self.queues.get(interface.index().checked_sub(1)?).map(|queue| &queue.nic)
    }

    /// Getter: the NIC queue of `interface`, to feed and drain it where a driver does that.
    pub fn nic_mut(&mut self, interface: IfIndex) -> Option<&mut N> {
        self.queues.get_mut(interface.index().checked_sub(1)?).map(|queue| &mut queue.nic)
    }

    /// Command: `tap` looks at every frame from now on, or nobody does.
    pub fn set_tap(&mut self, tap: Option<Box<dyn FrameTap>>) {
        self.tap = tap;
    }

    /// Getter: what went through `interface`, the loopback included; `None` for one that does not exist.
    pub fn traffic(&self, interface: IfIndex) -> Option<Traffic> {
        let Some(place) = interface.index().checked_sub(1) else {
            return Some(self.loopback.traffic);
        };
        self.queues.get(place).map(|queue| queue.traffic)
    }

    /// Getter: every NIC queue, interface 1 first; for the wait sources.
    pub fn nics(&self) -> impl Iterator<Item = &N> {
        self.queues.iter().map(|queue| &queue.nic)
    }
}

impl<N: Nic, P: AppPort> core::fmt::Debug for Engine<N, P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine").field("stats", self.stack.stats()).finish_non_exhaustive()
    }
}
