//! The port itself.

use std::collections::VecDeque;
use std::io;

use causeway_channel::{LaneHolds, LaneStream, Poison};
use causeway_core::planted::{self, Bug};
use causeway_core::port::{
    AppPort, ChannelId, Command, Completion, Op, SocketId, StreamId, Transport,
};
use causeway_core::time::Instant;

use super::bells::Bells;
use super::channel::{Attached, Channel, Life};

/// Commands in a row from one channel before it is another's turn.
const TURN_COMMANDS: u32 = 8;
/// A hot channel that brought nothing in so many steps becomes idle.
const EMPTY_LOOKS_MAX: u32 = 256;
/// While channels are hot, the bells of the idle ones are asked every so many steps: asking is a system call.
pub(super) const BELLS_PERIOD: u32 = 8;

/// Bounds of a [`ChannelPort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Channels at a time; the numbers of granted channels are below it.
    pub channels_max: u32,
    /// Commands of one channel per step, at least 1.
    pub commands_per_step: u32,
    /// Bytes that may lie in one RX ring; what a connection advertises at most.
    pub rx_window_bytes: u64,
}

/// A channel that the port put out, and why. Its owner should be hung up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Which.
    pub channel: ChannelId,
    /// What its application did.
    pub poison: Poison,
}

/// Every channel's lane for one engine.
///
/// Call order: [`ChannelPort::attach`] and [`ChannelPort::detach`] between two steps of the engine,
/// [`ChannelPort::prepare_sleep`] before the driver sleeps, [`ChannelPort::poll_eviction`] after a step.
#[derive(Debug)]
pub struct ChannelPort {
    config: PortConfig,
    bells: Bells,
    pub(super) channels: Vec<Option<Box<Channel>>>,
    /// Looked at in each step.
    pub(super) hot: Vec<u32>,
    /// Have commands of this snapshot, in turn.
    ready: VecDeque<u32>,
    /// Not hot, and the stack had something for them in this step.
    touched: Vec<u32>,
    /// Their applications are gone, and left commands that the stack is given first.
    leaving: Vec<u32>,
    /// The stack must be told that they are gone, or that they may not deliver what they left.
    drained: VecDeque<u32>,
    evictions: VecDeque<Eviction>,
    rung: Vec<u32>,
    steps_until_bells: u32,
    attached: usize,
}

impl ChannelPort {
    /// A port without channels, whose idle channels are heard through `bells`.
    pub fn new(config: PortConfig, bells: Bells) -> Self {
        let most = config.channels_max as usize;
        Self {
            config,
            bells,
            channels: (0..most).map(|_| None).collect(),
            hot: Vec::with_capacity(most),
            ready: VecDeque::with_capacity(most),
            touched: Vec::with_capacity(most),
            leaving: Vec::with_capacity(most),
            drained: VecDeque::with_capacity(most),
            evictions: VecDeque::new(),
            rung: Vec::with_capacity(most),
            steps_until_bells: 0,
            attached: 0,
        }
    }

    /// Command: most commands of one channel per step from now on, at least 1.
    pub fn set_commands_per_step(&mut self, n: u32) {
        self.config.commands_per_step = n;
    }

    /// Command: serves a channel from the next step on.
    ///
    /// # Errors
    /// Its doorbell is of another kind than the port's, or cannot be watched. The channel is dropped.
    pub fn attach(&mut self, attached: Attached) -> io::Result<()> {
        let index = attached.id().index;
        let Some(place @ None) = self.channels.get_mut(index as usize) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.bells.add(index, attached.lane.bell())?;
        *place = Some(Box::new(Channel::new(attached)));
        self.attached += 1;
        // Commands may have been there before its bell was heard.
        self.make_hot(index);
        Ok(())
    }

    /// Command: the application of `channel` is gone. In the next steps the stack is given the commands that it left in
    /// its ring, then told of the end; the memory goes with the last of its streams, which is within
    /// [`causeway_core::stack::ORPHAN_LINGER`] of that. Nothing happens for a channel that is gone already.
    pub fn detach(&mut self, channel: ChannelId) {
        if self.alive(channel).is_some() {
            self.leave(channel.index);
        }
    }

    /// Command: every channel's application is gone, because the daemon stops.
    pub fn detach_all(&mut self) {
        for index in 0..self.config.channels_max {
            self.leave(index);
        }
    }

    /// Output: the next channel that was put out since the last call.
    pub fn poll_eviction(&mut self) -> Option<Eviction> {
        self.evictions.pop_front()
    }

    /// Command, before the driver sleeps: arms every doorbell. False: there is something to do now.
    /// After true, [`Bells::fd`] becomes readable (or the queue's wake is called) when an application has news.
    pub fn prepare_sleep(&mut self) -> bool {
        if !(self.ready.is_empty() && self.leaving.is_empty() && self.drained.is_empty()) {
            return false;
        }
        self.hear_bells();
        let mut all = true;
        let mut kept = 0;
        for place in 0..self.hot.len() {
            let index = self.hot[place];
            let idle = self.channels[index as usize].as_mut().is_none_or(|channel| {
                // One that does not become idle has news: the others wait for the next time.
                channel.hot = !(all && channel.life == Life::Alive && channel.attached.lane.arm());
                !channel.hot
            });
            if !idle {
                all = false;
                self.hot[kept] = index;
                kept += 1;
            }
        }
        self.hot.truncate(kept);
        all
    }

    /// Getter: what the driver sleeps on.
    pub fn bells(&self) -> &Bells {
        &self.bells
    }

    /// Getter: channels whose memory is still there.
    pub fn channels(&self) -> usize {
        self.attached
    }

    /// Getter: what streams hold of a channel's lane; `None` for a channel that is gone.
    pub fn held(&self, channel: ChannelId) -> Option<LaneHolds> {
        let place = self.channels.get(channel.index as usize)?;
        let known = place.as_deref().filter(|known| known.id() == channel)?;
        Some(known.attached.lane.held())
    }

    fn alive(&mut self, channel: ChannelId) -> Option<&mut Channel> {
        self.known(channel).filter(|c| c.life == Life::Alive)
    }

    fn known(&mut self, channel: ChannelId) -> Option<&mut Channel> {
        let place = self.channels.get_mut(channel.index as usize)?;
        place.as_deref_mut().filter(|c| c.id() == channel)
    }

    fn make_hot(&mut self, index: u32) {
        let Some(Some(channel)) = self.channels.get_mut(index as usize) else { return };
        channel.empty_looks = 0;
        if channel.life == Life::Alive && !channel.hot {
            channel.hot = true;
            channel.attached.lane.disarm();
            self.hot.push(index);
        }
    }

    /// Marks that the stack had something for a channel, so that the flush looks at it.
    fn touch(&mut self, index: u32) {
        let Some(Some(channel)) = self.channels.get_mut(index as usize) else { return };
        if !channel.hot && !channel.touched {
            channel.touched = true;
            self.touched.push(index);
        }
    }

    /// Decides a channel's end. The stack hears of it when it has the commands that the application left.
    fn leave(&mut self, index: u32) {
        let Some(Some(channel)) = self.channels.get_mut(index as usize) else { return };
        if channel.life == Life::Alive {
            self.bells.remove(channel.attached.lane.bell());
            channel.attached.lane.hang_up();
            // Who shares its memory may go on writing: a ring's worth is what it can have left.
            channel.life = Life::Leaving { commands: channel.attached.lane.commands_max() };
            self.leaving.push(index);
        }
    }

    /// Ends a channel whose memory is nonsense, whether its application is there or not. The stack hears of it by the next
    /// `poll_command`, and once only.
    fn evict(&mut self, index: u32, poison: Poison) {
        let Some(Some(channel)) = self.channels.get_mut(index as usize) else { return };
        if !std::mem::replace(&mut channel.trusted, false) {
            return;
        }
        let life = channel.life;
        match life {
            Life::Alive => {
                self.evictions.push_back(Eviction { channel: channel.id(), poison });
                self.bells.remove(channel.attached.lane.bell());
                if planted::is(Bug::EvictedStays) {
                    return;
                }
            }
            Life::Leaving { .. } => self.leaving.retain(|i| *i != index),
            Life::Drained => return,
            Life::Gone => {}
        }
        if life != Life::Gone {
            channel.life = Life::Drained;
        }
        self.drained.push_back(index);
    }

    /// Says the next channel's end to the stack.
    fn say_end(&mut self) -> Option<Command> {
        let index = self.drained.pop_front()?;
        let channel = self.channels[index as usize].as_mut()?;
        channel.life = Life::Gone;
        let (id, deliver) = (channel.id(), channel.trusted);
        self.forget_if_over(index);
        Some(Command { channel: id, tag: 0, op: Op::Detach { deliver } })
    }

    /// Takes what an application left. True when there may be more of it.
    fn look_at_leaving(&mut self, index: u32) -> bool {
        let Some(channel) = self.channels[index as usize].as_mut() else { return false };
        let Life::Leaving { commands } = channel.life else { return false };
        if !channel.attached.lane.is_drained() {
            // What the last snapshots brought was more than one step does.
            return true;
        }
        let budget = commands.min(self.config.commands_per_step);
        match channel.attached.lane.snapshot(budget) {
            Ok(0) => {
                channel.life = Life::Drained;
                self.drained.push_back(index);
                false
            }
            Ok(taken) => {
                channel.life = Life::Leaving { commands: commands - taken };
                if !std::mem::replace(&mut channel.ready, true) {
                    channel.turn = TURN_COMMANDS;
                    self.ready.push_back(index);
                }
                true
            }
            Err(poison) => {
                self.evict(index, poison);
                false
            }
        }
    }

    /// Unmaps the memory of a channel that the stack has let go of.
    fn forget_if_over(&mut self, index: u32) {
        let Some(place) = self.channels.get_mut(index as usize) else { return };
        if place.as_ref().is_some_and(|c| c.life == Life::Gone && c.streams_open == 0) {
            *place = None;
            self.attached -= 1;
            // The number may have another occupant before the lists are looked at next.
            self.hot.retain(|i| *i != index);
            self.ready.retain(|i| *i != index);
            self.touched.retain(|i| *i != index);
            self.drained.retain(|i| *i != index);
        }
    }

    fn hear_bells(&mut self) {
        self.steps_until_bells = BELLS_PERIOD;
        let mut rung = std::mem::take(&mut self.rung);
        self.bells.rang(&mut rung);
        let heard = if planted::is(Bug::OneBellIsHeard) { 1 } else { usize::MAX };
        for index in rung.drain(..).take(heard) {
            self.make_hot(index);
        }
        self.rung = rung;
    }

    /// Takes the commands of one hot channel. False when it is hot no more.
    fn look(&mut self, index: u32) -> bool {
        let Some(channel) = self.channels[index as usize].as_mut() else { return false };
        if channel.life != Life::Alive {
            channel.hot = false;
            return false;
        }
        if channel.ready {
            // What the last snapshot brought was more than one step does.
            return true;
        }
        match channel.attached.lane.snapshot(self.config.commands_per_step) {
            Ok(0) => {
                channel.empty_looks += 1;
                if channel.empty_looks >= EMPTY_LOOKS_MAX && channel.attached.lane.arm() {
                    channel.hot = false;
                    return false;
                }
                true
            }
            Ok(_) => {
                channel.empty_looks = 0;
                channel.ready = true;
                channel.turn = TURN_COMMANDS;
                self.ready.push_back(index);
                true
            }
            Err(poison) => {
                channel.hot = false;
                self.evict(index, poison);
                false
            }
        }
    }

    fn flush_channel(&mut self, index: u32) {
        let Some(Some(channel)) = self.channels.get_mut(index as usize) else { return };
        if channel.life == Life::Alive {
            channel.attached.lane.flush();
        }
        if let Some(poison) = channel.attached.lane.poison() {
            self.evict(index, poison);
        }
    }
}

impl AppPort for ChannelPort {
    type Stream<'a> = LaneStream<'a>;

    fn snapshot(&mut self, _now: Instant) {
        if self.hot.is_empty() || self.steps_until_bells == 0 {
            self.hear_bells();
        }
        self.steps_until_bells -= 1;
        let mut hot = std::mem::take(&mut self.hot);
        hot.retain(|index| self.look(*index));
        self.hot = hot;
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|index| self.look_at_leaving(*index));
        self.leaving = leaving;
    }

    fn poll_command(&mut self) -> Option<Command> {
        if let Some(command) = self.say_end() {
            return Some(command);
        }
        while let Some(&index) = self.ready.front() {
            let channel = self.channels[index as usize].as_mut();
            let gives =
                |c: &&mut Box<Channel>| matches!(c.life, Life::Alive | Life::Leaving { .. });
            let Some(channel) = channel.filter(gives) else {
                self.ready.pop_front();
                continue;
            };
            if channel.turn == 0 {
                channel.turn = TURN_COMMANDS;
                self.ready.rotate_left(1);
                continue;
            }
            if let Some((tag, op)) = channel.attached.lane.poll_command() {
                channel.turn -= 1;
                return Some(Command { channel: channel.id(), tag, op });
            }
            channel.ready = false;
            self.ready.pop_front();
        }
        None
    }

    fn complete(&mut self, channel: ChannelId, completion: Completion) {
        if let Some(known) = self.alive(channel) {
            known.attached.lane.push_completion(&completion);
            self.touch(channel.index);
        }
    }

    fn process(&self, channel: ChannelId) -> Option<u64> {
        let known = self.channels.get(channel.index as usize)?.as_ref()?;
        let serves = known.id() == channel && known.life == Life::Alive;
        serves.then(|| known.process())
    }

    fn stream_open(
        &mut self,
        channel: ChannelId,
        socket: SocketId,
        transport: Transport,
    ) -> Option<StreamId> {
        let window = self.config.rx_window_bytes;
        let known = self.alive(channel)?;
        let slot = known.attached.lane.stream_open(socket, transport, window)?;
        known.streams_open += 1;
        self.touch(channel.index);
        Some(StreamId { channel, slot })
    }

    fn stream_close(&mut self, stream: StreamId) {
        if let Some(known) = self.known(stream.channel) {
            known.attached.lane.stream_close(stream.slot);
            known.streams_open = known.streams_open.saturating_sub(1);
            self.touch(stream.channel.index);
            if planted::is(Bug::MemoryOutlivesStreams) {
                return;
            }
            self.forget_if_over(stream.channel.index);
        }
    }

    fn stream(&mut self, stream: StreamId) -> LaneStream<'_> {
        self.touch(stream.channel.index);
        match self.known(stream.channel) {
            Some(known) => known.attached.lane.stream(stream.slot),
            None => LaneStream::gone(),
        }
    }

    fn flush(&mut self) {
        for place in 0..self.hot.len() {
            self.flush_channel(self.hot[place]);
        }
        let mut touched = std::mem::take(&mut self.touched);
        for index in touched.drain(..) {
            if let Some(Some(channel)) = self.channels.get_mut(index as usize) {
                channel.touched = false;
            }
            self.flush_channel(index);
            // It is likely to answer, and its ring may have been too full for all of the news.
            self.make_hot(index);
        }
        self.touched = touched;
    }
}
