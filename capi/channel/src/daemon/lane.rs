//! One engine's lane of one channel, seen from the daemon.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as StdOrdering};

use causeway_core::planted::{self, Bug};
use causeway_core::port::{ChannelId, Completion, Op, SocketId, Transport};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::budget::{RxBudget, RxShare};
use super::stream::{LaneStream, StreamState};
use super::{Owner, Poison};
use crate::armed;
use crate::coalesce;
use crate::cursor;
use crate::doorbell::Doorbell;
use crate::layout;
use crate::mapping::{MappedRing, Mapping};
use crate::proto::{self, AppCommand};
use crate::ring::{Consumer, Entry, Producer, RingPoisoned};
use crate::rx_chunks::RxChunks;
use crate::sync::Ordering;

/// Above this many entries that the application has not taken, no more of its commands are read
/// and no more message bytes are stored: it is slow, and the peer is made to wait.
const OUTBOX_SOFT: usize = 8 << 10;
/// Above this many the channel is killed. Between the two lies everything that cannot be held
/// back: ends, incoming connections, readiness of each stream.
const OUTBOX_HARD: usize = 512 << 10;

/// What all lanes of a channel share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dead: Arc<AtomicBool>,
    pub(super) app_bell: Doorbell,
}

/// What streams hold of a lane: all zeros when none is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneHolds {
    /// Slots.
    pub streams: u32,
    /// RX chunks that are promised to them, those with bytes included.
    pub rx_promised: u32,
}

/// One channel's commands, completions and byte rings for one engine.
///
/// Call order in one step: [`snapshot`](Self::snapshot), any number of the others, [`flush`](Self::flush).
/// After a [`poison`](Self::poison) every method does nothing.
#[derive(Debug)]
pub struct DaemonLane {
    pub(super) mapping: Arc<Mapping>,
    lane: u32,
    channel: ChannelId,
    owner: Owner,
    shared: Shared,
    bell: Doorbell,
    commands: Consumer<MappedRing>,
    completions: Producer<MappedRing>,
    inbox: VecDeque<(u64, Op)>,
    outbox: VecDeque<Entry>,
    pub(super) first_slot: u32,
    pub(super) streams: Vec<Option<StreamState>>,
    free_slots: Vec<u32>,
    slots_by_socket: HashMap<SocketId, u32, FixedState>,
    dirty: Vec<u32>,
    pub(super) released_any: bool,
    popped_any: bool,
    pub(super) rx_chunks: RxChunks,
    pub(super) rx_budget: RxBudget,
    pub(super) chunk_bytes: u64,
    pub(super) table_slots: u64,
    poison: Cell<Option<Poison>>,
}

impl DaemonLane {
    pub(super) fn new(
        mapping: &Arc<Mapping>,
        lane: u32,
        channel: ChannelId,
        owner: Owner,
        shared: Shared,
        bell: Doorbell,
    ) -> Self {
        let g = mapping.geometry;
        let streams = g.streams_per_lane();
        let first_slot = lane * streams;
        Self {
            lane,
            channel,
            owner,
            shared,
            bell,
            commands: Consumer::new(MappedRing::commands(mapping, lane), g.command_entries()),
            completions: Producer::new(
                MappedRing::completions(mapping, lane),
                g.completion_entries(),
            ),
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            first_slot,
            streams: vec![None; streams as usize],
            free_slots: (first_slot..first_slot + streams).rev().collect(),
            slots_by_socket: HashMap::with_hasher(FixedState::default()),
            dirty: Vec::with_capacity(streams as usize),
            released_any: false,
            popped_any: false,
            rx_chunks: RxChunks::new(
                streams,
                (lane * g.rx_chunks_per_lane(), g.rx_chunks_per_lane()),
                g.chunk_bytes(),
                g.table_slots(),
            ),
            rx_budget: RxBudget::new(streams, g.rx_chunks_per_lane(), g.message_chunks()),
            chunk_bytes: u64::from(g.chunk_bytes()),
            table_slots: u64::from(g.table_slots()),
            poison: Cell::new(None),
            mapping: mapping.clone(),
        }
    }

    /// Getter: which engine it belongs to.
    pub const fn lane(&self) -> u32 {
        self.lane
    }

    /// Getter: the channel.
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Getter: why the channel must be killed, if it must. The server then gives the stack an [`Op::Detach`] and drops the lane.
    pub fn poison(&self) -> Option<Poison> {
        if self.poison.get().is_none() && self.shared.dead.load(StdOrdering::Relaxed) {
            self.poison.set(Some(Poison::OtherLane));
        }
        self.poison.get()
    }

    /// Getter: the bell that wakes this lane's engine; its descriptor is what the engine polls, [`Doorbell::drain`] what it does after.
    pub const fn bell(&self) -> &Doorbell {
        &self.bell
    }

    pub(super) fn poison_by(&self, poison: Poison) {
        if self.poison.get().is_none() {
            self.poison.set(Some(poison));
        }
        self.shared.dead.store(true, StdOrdering::Relaxed);
    }

    pub(super) fn state(&self, slot: u32) -> Option<&StreamState> {
        let local = slot.checked_sub(self.first_slot)? as usize;
        self.streams.get(local)?.as_ref()
    }

    pub(super) fn state_mut(&mut self, slot: u32) -> Option<&mut StreamState> {
        let local = slot.checked_sub(self.first_slot)? as usize;
        self.streams.get_mut(local)?.as_mut()
    }

    pub(super) fn mark_dirty(&mut self, slot: u32) {
        if let Some(state) = self.state_mut(slot)
            && !std::mem::replace(&mut state.dirty, true)
        {
            self.dirty.push(slot);
        }
    }

    pub(super) fn message_room(&self) -> bool {
        self.outbox.len() < OUTBOX_SOFT
    }

    /// Input: takes up to `budget` commands out of the shared memory, and with each the offsets of
    /// its stream. What the application changes later is seen at the next call. Returns how many were taken.
    pub fn snapshot(&mut self, budget: u32) -> Result<u32, Poison> {
        if let Some(poison) = self.poison() {
            return Err(poison);
        }
        let mut taken = 0;
        // An application that does not take its answers is not asked for more commands.
        while taken < budget && self.outbox.len() < OUTBOX_SOFT {
            match self.take_command() {
                Ok(true) => taken += 1,
                Ok(false) => break,
                Err(poison) => {
                    self.inbox.clear();
                    self.poison_by(poison);
                    return Err(poison);
                }
            }
        }
        self.popped_any |= taken > 0;
        Ok(taken)
    }

    /// Command: the application is gone. What it left in the command ring is still read, whether or not it had taken its
    /// answers; nobody will take those that are left.
    pub fn hang_up(&mut self) {
        self.outbox.clear();
    }

    /// Getter: the most commands that its ring holds.
    pub fn commands_max(&self) -> u32 {
        self.mapping.geometry.command_entries()
    }

    /// Getter: what streams hold of the lane.
    pub fn held(&self) -> LaneHolds {
        let g = &self.mapping.geometry;
        LaneHolds {
            streams: g.streams_per_lane() - self.free_slots.len() as u32,
            rx_promised: g.rx_chunks_per_lane() - self.rx_budget.left(),
        }
    }

    /// Getter: every command of the snapshots was polled.
    pub fn is_drained(&self) -> bool {
        self.inbox.is_empty()
    }

    fn take_command(&mut self) -> Result<bool, Poison> {
        let Some(entry) = self.commands.pop()? else { return Ok(false) };
        let decoded = proto::decode_command(&entry).map_err(Poison::Command)?;
        let op = match decoded.command {
            AppCommand::Release { socket } => {
                self.release(decoded.slot, socket);
                return Ok(true);
            }
            AppCommand::Op(op) => op,
        };
        let stream = decoded
            .slot
            .filter(|slot| self.state(*slot).is_some_and(|s| Some(s.socket) == socket_of(&op)));
        if let Some(slot) = stream {
            self.snapshot_stream(slot)?;
        }
        match &op {
            Op::SendMessage { offset, len, .. } => self.check_message(stream, *offset, *len)?,
            // A kick for rings that the stack let go of is only about chunks, and those are back.
            Op::Kick { .. } if !stream.and_then(|s| self.state(s)).is_some_and(|s| s.open) => {
                return Ok(true);
            }
            _ => {}
        }
        self.inbox.push_back((decoded.tag, op));
        Ok(true)
    }

    /// Copies the offsets that the application moves, validates them, then uses them.
    fn snapshot_stream(&mut self, slot: u32) -> Result<(), Poison> {
        let window = self.mapping.geometry.window_bytes_max();
        let at = self.mapping.layout.stream(slot);
        let Some(state) = self.state(slot) else { return Ok(()) };
        // Before the offsets: a notice given from now on makes a new entry.
        if !planted::is(Bug::KickStaysRaised) {
            coalesce::lower(self.mapping.u32_at(at + layout::STREAM_KICK));
        }
        let written = cursor::observe(
            self.mapping.u64_at(at + layout::STREAM_TX_WRITTEN),
            state.tx_written,
            // What was seen may already reach the ceiling; after the end of a release it can only grow.
            (state.tx_released + window).max(state.tx_written),
        )?;
        let consumed = cursor::observe(
            self.mapping.u64_at(at + layout::STREAM_RX_CONSUMED),
            state.rx_consumed,
            state.rx_committed,
        )?;
        let before = state.rx_consumed;
        if let Some(state) = self.state_mut(slot) {
            state.tx_written = written;
            state.rx_consumed = consumed;
        }
        self.rx_recycle(slot, before, consumed);
        self.rx_promise(slot);
        Ok(())
    }

    fn check_message(&mut self, slot: Option<u32>, offset: u64, len: u32) -> Result<(), Poison> {
        let len_max = self.mapping.geometry.message_bytes_max();
        // A stream that ended meanwhile: the stack answers that the socket is unknown.
        let Some(state) = slot.and_then(|slot| self.state_mut(slot)) else { return Ok(()) };
        let end = offset.saturating_add(u64::from(len));
        if len > len_max || offset < state.message_end || end > state.tx_written {
            return Err(Poison::Message);
        }
        state.message_end = end;
        Ok(())
    }

    /// Output: the next command of the last snapshot, with its tag.
    pub fn poll_command(&mut self) -> Option<(u64, Op)> {
        self.inbox.pop_front()
    }

    /// Input: an answer or news for the application. Kept when the ring is full; readiness of one stream is kept once, and the
    /// figures of what has ended only while the application keeps up.
    pub fn push_completion(&mut self, completion: &Completion) {
        let drops = match completion {
            // Clients read urgent data in line, as RFC 6093 §6 recommends, and a peer may send a mark with each segment.
            Completion::Urgent { .. } => true,
            // Ends cannot be held back, and these take ten times their room.
            Completion::LastInfo { .. } => self.outbox.len() >= OUTBOX_SOFT,
            _ => false,
        };
        if drops || self.poison().is_some() {
            return;
        }
        let slot = completion_socket(completion)
            .and_then(|socket| self.slots_by_socket.get(&socket).copied());
        if let Completion::Ready { .. } = completion {
            let Some(slot) = slot else { return };
            let at = self.mapping.layout.stream(slot) + layout::STREAM_READY;
            if !coalesce::raise(self.mapping.u32_at(at)) {
                return;
            }
        }
        if let Completion::Connecting { stream, .. }
        | Completion::Incoming { stream, .. }
        | Completion::Bound { stream, .. } = completion
            && let Some(state) = self.state_mut(stream.slot)
        {
            state.told = true;
        }
        let encoded = proto::encode_completion(completion, slot);
        self.outbox.extend(encoded.entries());
        if self.outbox.len() > OUTBOX_HARD {
            self.poison_by(Poison::Backlog);
        }
    }

    /// Command: rings for a new socket. `rx_window_bytes` is the most that may lie in the RX ring at a time (at most
    /// [`crate::Geometry::window_bytes_max`]; for a flow at least one longest message). A TCP stream begins with
    /// [`crate::Geometry::rx_floor_bytes`] and gets more as its peer makes use of it. `None`: every slot or every floor is in use. Returns the slot.
    pub fn stream_open(
        &mut self,
        socket: SocketId,
        transport: Transport,
        rx_window_bytes: u64,
    ) -> Option<u32> {
        if self.poison().is_some() || self.free_slots.is_empty() {
            return None;
        }
        let rx_share = match transport {
            Transport::Tcp if !self.rx_budget.take_floor() => return None,
            Transport::Tcp => RxShare::Stream { limit: 0, elastic: 0 },
            Transport::Machnet => RxShare::Flow { elastic: 0, lent: 0 },
            Transport::Udp => RxShare::Datagrams { elastic: 0 },
        };
        let rx_window = match transport {
            Transport::Tcp | Transport::Udp => rx_window_bytes,
            Transport::Machnet => {
                rx_window_bytes.max(self.mapping.geometry.message_bytes_max().into())
            }
        };
        let slot = self.free_slots.pop()?;
        let at = self.mapping.layout.stream(slot);
        // The application learns of the slot by a completion, whose Release publishes these.
        for offset in [
            layout::STREAM_TX_WRITTEN,
            layout::STREAM_RX_CONSUMED,
            layout::STREAM_TX_RELEASED,
            layout::STREAM_RX_COMMITTED,
            layout::STREAM_TX_WANTED_AT,
        ] {
            self.mapping.u64_at(at + offset).store(0, Ordering::Relaxed);
        }
        for offset in [layout::STREAM_KICK, layout::STREAM_TX_WANTED, layout::STREAM_READY] {
            self.mapping.u32_at(at + offset).store(0, Ordering::Relaxed);
        }
        let local = (slot - self.first_slot) as usize;
        self.streams[local] = Some(StreamState {
            socket,
            owner: self.owner,
            open: true,
            told: false,
            released: false,
            dirty: false,
            tx_written: 0,
            tx_released: 0,
            rx_consumed: 0,
            rx_committed: 0,
            rx_high: 0,
            rx_window: rx_window.min(self.mapping.geometry.window_bytes_max()),
            rx_share,
            message_end: 0,
        });
        self.slots_by_socket.insert(socket, slot);
        self.rx_promise(slot);
        Some(slot)
    }

    /// Command: the stack is done with a stream. What was committed stays readable until the
    /// application lets go; only then is the slot used again. One that it was never told of is free at once.
    pub fn stream_close(&mut self, slot: u32) {
        let Some(state) = self.state_mut(slot) else { return };
        state.open = false;
        let (told, released, socket) = (state.told, state.released, state.socket);
        if released {
            self.stream_free(slot);
        } else if !told {
            self.release(Some(slot), socket);
        } else {
            self.rx_promise(slot);
        }
    }

    /// Getter: the rings of a stream that the stack has open.
    pub fn stream(&mut self, slot: u32) -> LaneStream<'_> {
        if self.poison().is_some() || !self.state(slot).is_some_and(|s| s.open) {
            return LaneStream::gone();
        }
        LaneStream(Some((self, slot)))
    }

    /// Getter: which process a stream is lent to.
    pub fn stream_owner(&self, slot: u32) -> Option<Owner> {
        self.state(slot).map(|s| s.owner)
    }

    fn release(&mut self, slot: Option<u32>, socket: SocketId) {
        let Some(slot) = slot else { return };
        let Some(state) = self.state_mut(slot).filter(|s| s.socket == socket) else { return };
        state.released = true;
        let closed = !state.open;
        self.rx_free_all(slot);
        self.rx_promise(slot);
        if closed {
            self.stream_free(slot);
        }
    }

    fn stream_free(&mut self, slot: u32) {
        let local = (slot - self.first_slot) as usize;
        if let Some(state) = self.streams[local].take() {
            self.slots_by_socket.remove(&state.socket);
            if let RxShare::Stream { .. } = state.rx_share
                && !planted::is(Bug::FloorKept)
            {
                self.rx_budget.give_floor();
            }
            if state.dirty {
                self.dirty.retain(|s| *s != slot);
            }
            self.free_slots.push(slot);
        }
    }

    /// Output: publishes everything since the snapshot and wakes the application if it sleeps.
    pub fn flush(&mut self) {
        if self.poison().is_some() {
            return;
        }
        self.wake_writers();
        self.outbox_to_ring();
        let published = self.completions.publish();
        let mut interest = if published { armed::EVENTS } else { 0 };
        if std::mem::take(&mut self.popped_any) {
            interest |= armed::SPACE;
        }
        if std::mem::take(&mut self.released_any) {
            interest |= armed::POOL;
        }
        let word = self.mapping.u32_at(layout::HEADER_APP_ARMED);
        if interest != 0 && armed::claim(word, interest) {
            self.shared.app_bell.ring();
        }
    }

    fn outbox_to_ring(&mut self) {
        while let Some(entry) = self.outbox.front() {
            match self.completions.push(entry) {
                Ok(true) => {
                    self.outbox.pop_front();
                }
                Ok(false) => break,
                Err(poison) => {
                    self.poison_by(poison.into());
                    break;
                }
            }
        }
    }

    /// Tells the streams whose writers wait for room that there is some.
    fn wake_writers(&mut self) {
        while let Some(slot) = self.dirty.pop() {
            let at = self.mapping.layout.stream(slot);
            let Some(state) = self.state_mut(slot) else { continue };
            state.dirty = false;
            let (socket, released) = (state.socket, state.tx_released);
            // Whatever the application writes there, it only decides when it is told.
            let wanted = self.mapping.u64_at(at + layout::STREAM_TX_WANTED_AT);
            let enough = || wanted.load(Ordering::Relaxed) <= released;
            if armed::claim_if(
                self.mapping.u32_at(at + layout::STREAM_TX_WANTED),
                armed::EVENTS,
                enough,
            ) {
                self.push_completion(&Completion::Ready { socket });
            }
        }
    }

    /// Command, before the engine sleeps: declares that a ring of the bell is wanted. False: there is something to do, do not sleep.
    pub fn arm(&mut self) -> bool {
        if self.poison().is_some() {
            return false;
        }
        let stuck = !self.outbox.is_empty();
        let bits = armed::EVENTS | if stuck { armed::SPACE } else { 0 };
        let mapping = self.mapping.clone();
        let word = mapping.u32_at(mapping.layout.lane(self.lane) + layout::LANE_ARMED);
        let idle = armed::arm_and_look(word, bits, || -> Result<bool, RingPoisoned> {
            let room = stuck && self.completions.has_room()?;
            // Commands that are not read for want of room are no reason to stay awake.
            let looks = self.outbox.len() < OUTBOX_SOFT && !planted::is(Bug::SleepsOnCommands);
            let asked = looks && !self.commands.is_empty()?;
            Ok(!room && !asked && self.inbox.is_empty())
        });
        // A broken ring counts as work: the next snapshot finds out.
        idle.unwrap_or(false)
    }

    /// Command, after the engine woke.
    pub fn disarm(&self) {
        let at = self.mapping.layout.lane(self.lane) + layout::LANE_ARMED;
        armed::disarm(self.mapping.u32_at(at));
    }
}

/// The socket whose rings an operation is about.
fn socket_of(op: &Op) -> Option<SocketId> {
    match op {
        Op::Kick { socket }
        | Op::SendMessage { socket, .. }
        | Op::ConnectUdp { socket, .. }
        | Op::SendDatagram { socket, .. }
        | Op::MarkUrgent { socket, .. }
        | Op::EndRecord { socket, .. }
        | Op::ShutdownWrite { socket }
        | Op::ShutdownRead { socket }
        | Op::Close { socket }
        | Op::Abort { socket }
        | Op::Info { socket } => Some(*socket),
        Op::SetOption { socket, .. } => *socket,
        Op::Listen { .. }
        | Op::Connect { .. }
        | Op::BindUdp { .. }
        | Op::Accepted { .. }
        | Op::Backlog { .. }
        | Op::Ping { .. }
        | Op::Detach { .. } => None,
    }
}

/// The socket that a completion is news of.
fn completion_socket(completion: &Completion) -> Option<SocketId> {
    match completion {
        Completion::Connected { socket }
        | Completion::Ready { socket }
        | Completion::Message { socket, .. }
        | Completion::Datagram { socket, .. }
        | Completion::DatagramRefused { socket, .. }
        | Completion::PeerClosed { socket }
        | Completion::Urgent { socket, .. }
        | Completion::LastInfo { socket, .. }
        | Completion::Ended { socket, .. } => Some(*socket),
        Completion::Failed { .. }
        | Completion::Listening { .. }
        | Completion::Connecting { .. }
        | Completion::Bound { .. }
        | Completion::Incoming { .. }
        | Completion::EchoReply { .. }
        | Completion::Info { .. } => None,
    }
}
