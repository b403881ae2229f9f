//! The application side of a polled host: every program's sockets in ordinary memory, no channel and no thread.

use std::collections::VecDeque;

use causeway_checksum::Implementation;
use causeway_core::port::{
    AppPort, ChannelId, Command, Completion, Op, SocketId, StreamId, Transport,
};
use causeway_core::time::Instant;

use super::bells::ProgramBells;
use super::lanes::Lanes;
use super::socket::{State, Table};
use super::stream::{PolledStream, Stream};
use super::witness::Witness;
use crate::fault::{Dice, IpcDice};

/// Commands of all programs that one step takes.
const COMMANDS_PER_STEP: usize = 256;

/// What may go wrong between stack and application, each on its own dice: the n-th request is refused.
#[derive(Debug, Default)]
pub struct PortFaults {
    /// A pair of rings for a new socket.
    pub stream: Dice,
    /// Memory for received bytes.
    pub memory: Dice,
}

/// See the module. Programs reach it through [`super::Net`].
#[derive(Debug)]
pub struct PolledPort {
    pub(super) ring_bytes: usize,
    pub(super) streams_max: usize,
    checksum: Implementation,
    pub(super) streams: Vec<Option<Stream>>,
    free: Vec<u32>,
    streams_open: usize,
    /// Ring memory that nobody uses.
    spare: Vec<Vec<u8>>,
    commands: VecDeque<Command>,
    commands_seen: usize,
    pub(super) kicked: Vec<u32>,
    pub(super) sockets: Table,
    /// Where programs reach the stack over channels instead of the memory here.
    pub(super) lanes: Option<Lanes>,
    /// Which occupant of each program's slot lives; `None` after its end.
    generations: Vec<Option<u32>>,
    pub(super) faults: PortFaults,
    /// Is told what programs call and hear.
    pub(super) witness: Option<Witness>,
}

impl PolledPort {
    /// A port whose rings hold `ring_bytes` (a power of two) in each direction, of at most `streams_max` pairs.
    pub fn new(ring_bytes: usize, streams_max: usize, faults: PortFaults) -> Self {
        assert!(ring_bytes.is_power_of_two(), "the size of a ring is a power of two");
        Self {
            ring_bytes,
            streams_max,
            checksum: Implementation::detect(),
            streams: Vec::new(),
            free: Vec::new(),
            streams_open: 0,
            spare: Vec::new(),
            commands: VecDeque::new(),
            commands_seen: 0,
            kicked: Vec::new(),
            sockets: Table::default(),
            lanes: None,
            generations: Vec::new(),
            faults,
            witness: None,
        }
    }

    /// Command, before there are programs: theirs are channels, which [`super::ServedPort`] gives them, and with which this goes wrong.
    #[must_use]
    pub fn over_channels(mut self, faults: IpcDice) -> Self {
        self.lanes = Some(Lanes::new(ProgramBells::new(faults)));
        self
    }

    /// Output: a port like this one after a restart: without programs, and with the same dice, which go on.
    pub(super) fn after_restart(&self) -> Self {
        let faults =
            PortFaults { stream: self.faults.stream.clone(), memory: self.faults.memory.clone() };
        let witness = self.witness.clone();
        let port = Self { witness, ..Self::new(self.ring_bytes, self.streams_max, faults) };
        match &self.lanes {
            Some(lanes) => port.over_channels(lanes.bells.dice()),
            None => port,
        }
    }

    /// Output: a port like this one after a restart of the daemon: its programs live, and are told that their channels are gone.
    pub(super) fn after_daemon_restart(&mut self) -> Self {
        let mut port = self.after_restart();
        port.generations = std::mem::take(&mut self.generations);
        port.sockets = std::mem::take(&mut self.sockets);
        for app in 0..port.generations.len() as u32 {
            port.sockets.cut_program(app, State::HungUp);
        }
        port
    }

    /// Command: `witness` is told what programs call and hear.
    pub fn set_witness(&mut self, witness: Witness) {
        self.witness = Some(witness);
    }

    /// Command: so late it is.
    pub(super) fn set_now(&mut self, now: Instant) {
        if let Some(witness) = &mut self.witness {
            witness.set_now(now);
        }
    }

    /// Command: nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.faults.stream.heal();
        self.faults.memory.heal();
        self.lanes.iter().for_each(|lanes| lanes.bells.heal());
    }

    /// Command: room for one more program; its number.
    pub fn add_program(&mut self) -> u32 {
        self.generations.push(Some(0));
        self.sockets.add_program();
        (self.generations.len() - 1) as u32
    }

    /// Command: program `app` dies without a word: what it handed over is delivered, as the daemon does for a process that is gone.
    pub fn kill(&mut self, app: u32) {
        if self.lanes.is_some() {
            return self.sockets.forget_program(app);
        }
        let channel = self.channel(app);
        self.commands.push_back(Command { channel, tag: 0, op: Op::Detach { deliver: true } });
        self.generations[app as usize] = None;
        for slot in 0..self.streams.len() as u32 {
            let of_app = self.streams[slot as usize].as_ref().is_some_and(|s| s.in_app)
                && self.sockets.owner_of_stream(slot) == Some(app);
            if of_app {
                self.let_go(app, None, slot);
            }
        }
        self.sockets.forget_program(app);
    }

    /// Getter: pairs of rings that the stack holds.
    pub const fn streams_open(&self) -> usize {
        self.streams_open
    }

    /// Getter: pairs of rings that anybody holds.
    pub fn streams_held(&self) -> usize {
        let over_channels = self.lanes.as_ref().map_or(0, Lanes::streams_held);
        self.streams.len() - self.free.len() + over_channels
    }

    /// Getter: true while commands wait for the next step.
    pub fn has_commands(&self) -> bool {
        !self.commands.is_empty()
    }

    /// Getter: true while a program is to have a turn.
    pub(super) fn has_news(&self) -> bool {
        !self.sockets.programs_ready.is_empty() || self.bells().is_some_and(|b| !b.is_empty())
    }

    /// Getter: the bells of programs, where they have channels.
    pub(super) fn bells(&self) -> Option<&ProgramBells> {
        self.lanes.as_ref().map(|lanes| &lanes.bells)
    }

    /// Getter: what was decided about the port so far.
    pub const fn faults(&self) -> &PortFaults {
        &self.faults
    }

    pub(super) fn channel(&self, app: u32) -> ChannelId {
        ChannelId { index: app, generation: self.generations[app as usize].unwrap_or(0) }
    }

    pub(super) fn queue_command(&mut self, app: u32, tag: u64, op: Op) {
        let channel = self.channel(app);
        self.commands.push_back(Command { channel, tag, op });
    }

    /// Memory for what the application writes.
    pub(super) fn stream_to_write(&mut self, slot: u32) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(slot as usize)?.as_mut()?;
        stream.tx.attach(self.ring_bytes, &mut self.spare);
        Some(stream)
    }

    pub(super) fn free_if_unused(&mut self, slot: u32) {
        let unused = |stream: &mut Stream| !stream.in_app && !stream.in_stack;
        if let Some(mut stream) = self.streams[slot as usize].take_if(unused) {
            stream.tx.detach(&mut self.spare);
            stream.rx.detach(&mut self.spare);
            self.free.push(slot);
        }
    }
}

impl AppPort for PolledPort {
    type Stream<'a> = PolledStream<'a>;

    fn snapshot(&mut self, _: Instant) {
        self.commands_seen = self.commands.len().min(COMMANDS_PER_STEP);
        // Only streams with a kick have changed.
        for slot in self.kicked.drain(..) {
            if let Some(stream) = &mut self.streams[slot as usize] {
                stream.kicked = false;
                stream.tx_seen = stream.tx_written;
                stream.rx_seen = stream.rx_consumed;
            }
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands_seen = self.commands_seen.checked_sub(1)?;
        self.commands.pop_front()
    }

    fn complete(&mut self, channel: ChannelId, completion: Completion) {
        if self.generations.get(channel.index as usize) == Some(&Some(channel.generation)) {
            let app = channel.index;
            let Some(witness) = &self.witness else {
                self.sockets.complete(app, completion);
                return;
            };
            // What comes to a listener has no handle before.
            if let Completion::Incoming { .. } = completion {
                let child = self.sockets.complete(app, completion.clone());
                return witness.told(app, &completion, child);
            }
            witness.told(app, &completion, None);
            self.sockets.complete(app, completion);
        }
    }

    fn process(&self, channel: ChannelId) -> Option<u64> {
        let alive = *self.generations.get(channel.index as usize)? == Some(channel.generation);
        alive.then_some(u64::from(channel.index))
    }

    fn stream_open(
        &mut self,
        channel: ChannelId,
        socket: SocketId,
        _: Transport,
    ) -> Option<StreamId> {
        self.process(channel)?;
        if self.streams_open >= self.streams_max || self.faults.stream.roll().is_some() {
            return None;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() as u32 - 1
        });
        self.streams[slot as usize] = Some(Stream::new(socket));
        self.streams_open += 1;
        Some(StreamId { channel, slot })
    }

    fn stream_close(&mut self, stream: StreamId) {
        let closed = self.streams.get_mut(stream.slot as usize).and_then(Option::as_mut);
        if let Some(rings) = closed.filter(|rings| rings.in_stack) {
            rings.in_stack = false;
            self.streams_open -= 1;
            // What no program ever heard of, nobody else lets go.
            if self.sockets.owner_of_stream(stream.slot).is_none() {
                rings.in_app = false;
            }
            self.free_if_unused(stream.slot);
        }
    }

    fn stream(&mut self, stream: StreamId) -> PolledStream<'_> {
        let held = self.streams.get_mut(stream.slot as usize).and_then(Option::as_mut);
        PolledStream {
            size: self.ring_bytes,
            checksum: self.checksum,
            spare: &mut self.spare,
            memory: &mut self.faults.memory,
            stream: held.filter(|rings| rings.in_stack),
        }
    }

    fn flush(&mut self) {}
}
