//! Rings, streams and doorbells of the application's side.

use std::collections::VecDeque;
use std::sync::Arc;

use causeway_core::planted::{self, Bug};
use causeway_core::port::{ChannelId, Op, SocketId};

use crate::armed;
use crate::coalesce;
use crate::doorbell::{BellWait, Doorbell};
use crate::fork::ForkGuard;
use crate::geometry::Geometry;
use crate::layout;
use crate::mapping::{Grant, MapError, MappedRing, Mapping};
use crate::proto::{self, CompletionDecoder, DecodedCompletion, ProtoError};
use crate::ring::{Consumer, Entry, Producer, RingPoisoned};
use crate::tx_chunks::TxChunks;
use causeway_core::port::Completion;

/// The daemon's side of the channel is broken. Nothing more can be done with the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelFault {
    /// A ring index.
    #[error("the daemon wrote an impossible ring index")]
    Ring,
    /// An entry.
    #[error("the daemon wrote an impossible completion: {0}")]
    Completion(ProtoError),
    /// A stream offset, slot or chunk index.
    #[error("the daemon wrote an impossible stream offset or chunk index")]
    Stream,
}

impl From<RingPoisoned> for ChannelFault {
    fn from(_: RingPoisoned) -> Self {
        Self::Ring
    }
}

#[derive(Debug)]
struct AppLane {
    bell: Doorbell,
    commands: Producer<MappedRing>,
    completions: Consumer<MappedRing>,
    decoder: CompletionDecoder,
    /// Commands that the ring had no room for.
    overflow: VecDeque<Entry>,
    popped_any: bool,
}

/// What the application knows about one slot.
#[derive(Debug)]
pub(super) struct AppStream {
    pub(super) socket: SocketId,
    /// Bytes in the TX chunks, published or not.
    pub(super) tx_staged: u64,
    pub(super) tx_published: u64,
    pub(super) tx_released: u64,
    /// Bytes behind the staged ones that the application fills where they lie.
    pub(super) tx_reserved: u64,
    pub(super) tx_chunks: TxChunks,
    pub(super) rx_consumed: u64,
}

/// The application's view of a channel. One thread uses it.
#[derive(Debug)]
pub struct AppChannel {
    pub(super) mapping: Arc<Mapping>,
    channel: ChannelId,
    wait: Arc<BellWait>,
    lanes: Vec<AppLane>,
    /// Which lane's completion is looked at next.
    turn: usize,
    pub(super) streams: Vec<Option<AppStream>>,
    fork: ForkGuard,
    /// TX chunks that hold nothing.
    pub(super) tx_free: Vec<u32>,
    pub(super) chunk_bytes: u64,
    pub(super) table_slots: u64,
}

impl AppChannel {
    /// Command: maps what the daemon granted.
    pub fn map(grant: Grant) -> Result<Self, MapError> {
        let g = grant.geometry;
        if grant.lane_bells.len() != g.lanes() as usize {
            return Err(MapError::Mismatch);
        }
        let mapping = Arc::new(Mapping::open(&grant.memory, g)?);
        let lanes = (0..g.lanes()).zip(grant.lane_bells).map(|(lane, bell)| AppLane {
            bell,
            commands: Producer::new(MappedRing::commands(&mapping, lane), g.command_entries()),
            completions: Consumer::new(
                MappedRing::completions(&mapping, lane),
                g.completion_entries(),
            ),
            decoder: CompletionDecoder::default(),
            overflow: VecDeque::new(),
            popped_any: false,
        });
        Ok(Self {
            lanes: lanes.collect(),
            fork: ForkGuard::new()?,
            channel: grant.channel,
            wait: Arc::new(grant.app_wait),
            turn: 0,
            streams: (0..g.streams()).map(|_| None).collect(),
            tx_free: (0..g.tx_chunks()).rev().collect(),
            chunk_bytes: u64::from(g.chunk_bytes()),
            table_slots: u64::from(g.table_slots()),
            mapping,
        })
    }

    /// Getter: the slots of streams whose rings the application has not let go of.
    pub fn slots(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.streams).filter_map(|(slot, stream)| stream.is_some().then_some(slot))
    }

    /// Getter: TX chunks that hold bytes of a stream.
    pub fn tx_chunks_held(&self) -> usize {
        self.mapping.geometry.tx_chunks() as usize - self.tx_free.len()
    }

    /// Getter: the sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.mapping.geometry
    }

    /// Getter: whether this is a child of the process that mapped the channel. The child must not use it: the memory
    /// is not even there. Costs one load.
    pub fn is_forked(&self) -> bool {
        self.fork.is_child()
    }

    /// Getter: what to sleep on once [`AppChannel::arm`] returned true.
    pub fn wait_end(&self) -> Arc<BellWait> {
        self.wait.clone()
    }

    /// Getter: the lane that a stream lives on.
    pub fn lane_of(&self, slot: u32) -> u32 {
        slot / self.mapping.geometry.streams_per_lane()
    }

    /// Command: queues a command for an engine; [`AppChannel::flush`] sends it. `slot` is the stream of the socket that
    /// the command names, where it has one: the daemon then looks at its offsets. What the ring cannot take waits in private memory.
    /// [`Op::Detach`] is not an application's to send and is ignored.
    pub fn push_command(
        &mut self,
        lane: u32,
        tag: u64,
        op: &Op,
        slot: Option<u32>,
    ) -> Result<(), ChannelFault> {
        match proto::encode_command(tag, op, slot) {
            Some(entry) => self.push_entry(lane, entry),
            None => Ok(()),
        }
    }

    fn push_entry(&mut self, lane: u32, entry: Entry) -> Result<(), ChannelFault> {
        let lane = self.lanes.get_mut(lane as usize).ok_or(ChannelFault::Stream)?;
        // Order: nothing overtakes what waits.
        if !lane.overflow.is_empty() || !lane.commands.push(&entry)? {
            lane.overflow.push_back(entry);
        }
        Ok(())
    }

    /// Command: makes commands visible and rings the engines that sleep. Call it after pushing and after popping.
    pub fn flush(&mut self) -> Result<(), ChannelFault> {
        for (index, lane) in (0_u32..).zip(&mut self.lanes) {
            while let Some(entry) = lane.overflow.front() {
                if !lane.commands.push(entry)? {
                    break;
                }
                lane.overflow.pop_front();
            }
            let mut interest = if lane.commands.publish() { armed::EVENTS } else { 0 };
            if std::mem::take(&mut lane.popped_any) {
                interest |= armed::SPACE;
            }
            let word = self.mapping.u32_at(self.mapping.layout.lane(index) + layout::LANE_ARMED);
            if interest != 0 && armed::claim(word, interest) {
                lane.bell.ring();
            }
        }
        Ok(())
    }

    /// Output: the next completion of any lane, and the lane.
    pub fn pop_completion(&mut self) -> Result<Option<(u32, DecodedCompletion)>, ChannelFault> {
        for _ in 0..self.lanes.len() {
            let turn = self.turn;
            self.turn = (turn + 1) % self.lanes.len();
            if let Some(decoded) = self.pop_lane(turn)? {
                return Ok(Some((turn as u32, decoded)));
            }
        }
        Ok(None)
    }

    fn pop_lane(&mut self, index: usize) -> Result<Option<DecodedCompletion>, ChannelFault> {
        let lane = &mut self.lanes[index];
        while let Some(entry) = lane.completions.pop()? {
            lane.popped_any = true;
            let decoded =
                lane.decoder.decode(&entry, self.channel).map_err(ChannelFault::Completion)?;
            let Some(decoded) = decoded else { continue };
            if let (Completion::Ready { .. }, Some(slot)) = (&decoded.completion, decoded.slot) {
                self.check_slot(slot)?;
                // Before the offsets are read: what changes from now on makes a new entry.
                let at = self.mapping.layout.stream(slot) + layout::STREAM_READY;
                if !planted::is(Bug::ReadyStaysRaised) {
                    coalesce::lower(self.mapping.u32_at(at));
                }
            }
            return Ok(Some(decoded));
        }
        Ok(None)
    }

    fn check_slot(&self, slot: u32) -> Result<(), ChannelFault> {
        if slot < self.mapping.geometry.streams() { Ok(()) } else { Err(ChannelFault::Stream) }
    }

    /// Command: a `Connecting` or `Incoming` named this slot: its rings are ours now.
    pub fn stream_attach(&mut self, slot: u32, socket: SocketId) -> Result<(), ChannelFault> {
        self.check_slot(slot)?;
        let free = &mut self.streams[slot as usize];
        if free.is_some() {
            return Err(ChannelFault::Stream);
        }
        *free = Some(AppStream {
            socket,
            tx_staged: 0,
            tx_published: 0,
            tx_reserved: 0,
            tx_released: 0,
            tx_chunks: TxChunks::default(),
            rx_consumed: 0,
        });
        Ok(())
    }

    /// Command: the stream is over ([`Completion::Ended`] was seen, or it never came to be) and its received bytes are no longer wanted. Its TX
    /// chunks are free again; the daemon may use the slot for another.
    pub fn stream_release(&mut self, slot: u32) -> Result<(), ChannelFault> {
        self.check_slot(slot)?;
        let Some(stream) = self.streams[slot as usize].take() else { return Ok(()) };
        stream.tx_chunks.free_all(&mut self.tx_free);
        let lane = self.lane_of(slot);
        self.push_entry(lane, proto::encode_release(slot, stream.socket))
    }

    /// Command: the offsets of a stream changed; tells the engine unless it has been told and did not look yet.
    pub fn kick(&mut self, slot: u32) -> Result<(), ChannelFault> {
        let stream = self.streams.get(slot as usize).and_then(Option::as_ref);
        let Some(AppStream { socket, .. }) = stream else { return Ok(()) };
        let op = Op::Kick { socket: *socket };
        let flag = self.mapping.u32_at(self.mapping.layout.stream(slot) + layout::STREAM_KICK);
        if coalesce::raise(flag) {
            let lane = self.lane_of(slot);
            self.push_command(lane, 0, &op, Some(slot))?;
        }
        Ok(())
    }

    /// Command, before sleeping: declares what is waited for (besides completions): with `pool`, any
    /// TX chunk. True: nothing is there, sleep on [`AppChannel::wait_end`]. False: look again; the bell
    /// is not armed. For the room of one stream use [`AppChannel::want_tx`] as well.
    pub fn arm(&mut self, pool: bool) -> Result<bool, ChannelFault> {
        let (mapping, bits) = (self.mapping.clone(), self.wanted_bits(pool));
        let word = mapping.u32_at(layout::HEADER_APP_ARMED);
        armed::arm_and_look(word, bits, || self.is_idle(pool))
    }

    /// Command: as [`AppChannel::arm`], while another thread sleeps already: the bell stays armed in
    /// any case.
    pub fn rearm(&mut self, pool: bool) -> Result<bool, ChannelFault> {
        let bits = self.wanted_bits(pool);
        armed::arm(self.mapping.u32_at(layout::HEADER_APP_ARMED), bits);
        self.is_idle(pool)
    }

    fn wanted_bits(&self, pool: bool) -> u32 {
        let stuck = self.lanes.iter().any(|lane| !lane.overflow.is_empty());
        armed::EVENTS | if stuck { armed::SPACE } else { 0 } | if pool { armed::POOL } else { 0 }
    }

    /// The second look.
    fn is_idle(&mut self, pool: bool) -> Result<bool, ChannelFault> {
        let mut idle = true;
        for lane in &mut self.lanes {
            idle &= lane.completions.is_empty()?;
            idle &= lane.overflow.is_empty() || !lane.commands.has_room()?;
        }
        // Only a release since the caller's last look counts; chunks free then did not suffice.
        Ok(idle && !(pool && self.tx_any_released()?))
    }

    /// Command: awake.
    pub fn disarm(&self) {
        armed::disarm(self.mapping.u32_at(layout::HEADER_APP_ARMED));
    }
}
