//! Polled programs over the channel of production: each has a channel of its own, and does with it what the client library does.
//!
//! Between two turns a program sleeps on its bell, armed, as a process would.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;

use causeway_channel::{AppChannel, ChannelFault, Grant, MapError, Room};
use causeway_core::port::{ChannelId, Completion, Op, SocketId};

use super::bells::ProgramBells;
use super::hostile;
use super::net::NetError;
use super::socket::{Parcel, Table};

/// One connection's share of the TX pool, as the client library has it: one in so many.
const POOL_SHARE: u64 = 4;
/// Bytes that are copied at a time.
const PIECE_BYTES: usize = 16 << 10;
/// The longest payload of UDP over IPv4.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// The channel of one program.
#[derive(Debug)]
struct Attached {
    channel: AppChannel,
    id: ChannelId,
    /// Sockets that the program is done with and the stack is not, with their rings.
    leaving: BTreeMap<SocketId, u32>,
    /// By slot: where each message ends that the daemon has not released.
    unreleased: BTreeMap<u32, VecDeque<u64>>,
    /// The program waits for TX chunks.
    wants_pool: bool,
    /// The channel's memory, as a hostile program has it.
    memory: Option<OwnedFd>,
    /// The program does nothing any more.
    hangs: bool,
}

/// The application side of every program of a host.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    programs: Vec<Option<Attached>>,
    pub(super) bells: ProgramBells,
    scratch: Vec<u8>,
}

impl Attached {
    /// As much of the pool as one connection may take.
    fn window(&self) -> u64 {
        let g = self.channel.geometry();
        let pool = u64::from(g.tx_chunks()) * u64::from(g.chunk_bytes());
        (pool / POOL_SHARE).clamp(1, g.window_bytes_max())
    }

    /// Whether `bytes` fit into a stream now; if not, arranges for a ring when they may.
    fn room_for(&mut self, slot: u32, bytes: u64, window: u64) -> Result<bool, ChannelFault> {
        let room = self.channel.await_room(slot, bytes, window)?;
        self.wants_pool |= room == Room::Pooled;
        Ok(room == Room::Here)
    }

    /// Whether the daemon takes one more message, however short; if not, arranges for a ring when it may.
    fn may_queue(&mut self, slot: u32) -> Result<bool, ChannelFault> {
        let Self { channel, unreleased, .. } = self;
        channel.may_queue(slot, unreleased.entry(slot).or_default())
    }

    /// Input: everything that the daemon has said.
    fn pump(&mut self, app: u32, sockets: &mut Table) -> Result<(), ChannelFault> {
        while let Some((_, decoded)) = self.channel.pop_completion()? {
            match decoded.completion {
                Completion::Connecting { socket, stream, .. }
                | Completion::Bound { socket, stream, .. }
                | Completion::Incoming { socket, stream, .. } => {
                    self.channel.stream_attach(stream.slot, socket)?;
                }
                Completion::Ended { socket, .. } => {
                    if let Some(slot) = self.leaving.remove(&socket) {
                        self.release(slot)?;
                    }
                }
                _ => {}
            }
            sockets.complete(app, decoded.completion);
            self.leave_unwanted(sockets)?;
        }
        Ok(())
    }

    /// Command: what was opened for a handle that is closed meanwhile goes, before its end is heard.
    fn leave_unwanted(&mut self, sockets: &mut Table) -> Result<(), ChannelFault> {
        while let Some((_, socket, stream)) = sockets.unwanted.pop() {
            let slot = (stream.channel != super::NO_CHANNEL).then_some(stream.slot);
            self.channel.push_command(0, 0, &Op::Abort { socket }, slot)?;
            self.leaving.extend(slot.map(|slot| (socket, slot)));
        }
        Ok(())
    }

    fn release(&mut self, slot: u32) -> Result<(), ChannelFault> {
        self.unreleased.remove(&slot);
        self.channel.stream_release(slot)
    }

    /// Command, at the end of a turn. False: there is something to do at once.
    fn sleep(&mut self) -> Result<bool, ChannelFault> {
        self.channel.flush()?;
        self.channel.arm(self.wants_pool)
    }
}

impl Lanes {
    /// Channels that suffer what `bells` say.
    pub(super) fn new(bells: ProgramBells) -> Self {
        Self { bells, ..Self::default() }
    }

    /// Command: the program dies in the midst of what `seed` says, which its channel shows.
    pub(super) fn stop_midway(&mut self, app: u32, seed: u64) {
        let Ok(Attached { channel, memory: Some(memory), .. }) = self.of(app) else { return };
        hostile::stop_midway(channel, memory, seed);
    }

    /// Command: the program writes what `seed` says into the memory of its channel.
    pub(super) fn scribble(&mut self, app: u32, seed: u64) {
        let Ok(Attached { channel, memory: Some(memory), .. }) = self.of(app) else { return };
        hostile::scribble(channel.geometry(), memory, seed);
    }

    /// Command: the program does nothing any more.
    pub(super) fn hang(&mut self, app: u32) {
        if let Ok(one) = self.of(app) {
            one.hangs = true;
        }
    }

    fn of(&mut self, app: u32) -> Result<&mut Attached, NetError> {
        let found = self.programs.get_mut(app as usize).and_then(Option::as_mut);
        found.ok_or(NetError::BadSocket)
    }

    /// Getter: the program has a channel.
    pub(super) fn is_attached(&self, app: u32) -> bool {
        self.programs.get(app as usize).is_some_and(Option::is_some)
    }

    /// Getter: the program whose channel it is.
    pub(super) fn owner_of(&self, channel: ChannelId) -> Option<u32> {
        let is_it = |one: &Option<Attached>| one.as_ref().is_some_and(|one| one.id == channel);
        self.programs.iter().position(is_it).map(|app| app as u32)
    }

    /// Getter: the channels of all programs.
    pub(super) fn ids(&self) -> impl Iterator<Item = ChannelId> {
        self.programs.iter().flatten().map(|one| one.id)
    }

    /// Getter: TX chunks with bytes of programs.
    pub(super) fn chunks_held(&self) -> u64 {
        self.programs.iter().flatten().map(|one| one.channel.tx_chunks_held() as u64).sum()
    }

    /// Command: what the program was done with, and the stack was not, ends at once.
    pub(super) fn abort_leaving(&mut self, app: u32) {
        let Ok(one) = self.of(app) else { return };
        let all: Vec<_> = one.leaving.iter().map(|(id, slot)| (*id, *slot)).collect();
        for (socket, slot) in all {
            self.command(app, 0, &Op::Abort { socket }, Some(slot));
        }
    }

    /// Getter: rings that programs hold.
    pub(super) fn streams_held(&self) -> usize {
        let held = |one: &Attached| one.channel.slots().count();
        self.programs.iter().flatten().map(held).sum()
    }

    /// Command: the channel that the daemon granted to a program.
    pub(super) fn attach(&mut self, app: u32, grant: Grant) -> Result<(), MapError> {
        let id = grant.channel;
        let memory = grant.memory.try_clone().ok();
        let attached = Attached {
            channel: AppChannel::map(grant)?,
            id,
            leaving: BTreeMap::new(),
            unreleased: BTreeMap::new(),
            wants_pool: false,
            memory,
            hangs: false,
        };
        if self.programs.len() <= app as usize {
            self.programs.resize_with(app as usize + 1, || None);
        }
        self.programs[app as usize] = Some(attached);
        Ok(())
    }

    /// Command: the program lets go of its channel, which is returned.
    pub(super) fn detach(&mut self, app: u32) -> Option<ChannelId> {
        let gone = self.programs.get_mut(app as usize)?.take()?;
        Some(gone.id)
    }

    /// Input: the program is awake: what the daemon said goes to its sockets. `Err`: the channel is broken.
    pub(super) fn wake(&mut self, app: u32, sockets: &mut Table) -> Result<(), ChannelFault> {
        let Ok(one) = self.of(app) else { return Ok(()) };
        if one.hangs {
            return Ok(());
        }
        one.channel.disarm();
        one.wants_pool = false;
        one.pump(app, sockets)
    }

    /// Command: the program has nothing more to do: what it said is shown, and it sleeps. `Err`: the channel is broken.
    pub(super) fn sleep(&mut self, app: u32) -> Result<(), ChannelFault> {
        let Ok(one) = self.of(app) else { return Ok(()) };
        if !one.sleep()? {
            self.bells.ring(app);
        }
        Ok(())
    }

    pub(super) fn command(&mut self, app: u32, tag: u64, op: &Op, slot: Option<u32>) {
        if let Ok(one) = self.of(app) {
            // It fails for lanes that do not exist only.
            let _ = one.channel.push_command(0, tag, op, slot);
        }
    }

    pub(super) fn kick(&mut self, app: u32, slot: u32) {
        if let Ok(one) = self.of(app) {
            let _ = one.channel.kick(slot);
        }
    }

    /// Command: the program is done with a socket and its rings. They stay while the stack needs them: it does while the socket has an `id`.
    pub(super) fn let_go(&mut self, app: u32, id: Option<SocketId>, slot: u32) {
        let Ok(one) = self.of(app) else { return };
        match id {
            Some(id) => {
                one.leaving.insert(id, slot);
            }
            None => {
                let _ = one.release(slot);
            }
        }
    }

    pub(super) fn readable(&self, app: u32, slot: u32) -> usize {
        let one = self.programs.get(app as usize).and_then(Option::as_ref);
        let bytes = one.and_then(|one| one.channel.rx_available(slot).ok()).unwrap_or(0);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn write_with(
        &mut self,
        (app, slot): (u32, u32),
        len: usize,
        mut fill: impl FnMut(u64, &mut [u8]),
    ) -> Result<usize, NetError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let one = self.of(app)?;
        let window = one.window();
        let mut done = 0;
        while done < len {
            let room = one.channel.tx_room(slot, window)?.min(PIECE_BYTES as u64) as usize;
            let count = room.min(len - done);
            if count == 0 {
                // Woken for a third of the window, not for each acknowledgement.
                if done > 0 || !one.room_for(slot, window / 3 + 1, window)? {
                    break;
                }
                continue;
            }
            scratch.resize(count, 0);
            fill(one.channel.tx_offset(slot), &mut scratch);
            done += one.channel.tx_stage(slot, &scratch, window)?;
        }
        if done > 0 {
            one.channel.tx_publish(slot);
            one.channel.kick(slot)?;
        }
        self.scratch = scratch;
        if done == 0 && len > 0 { Err(NetError::WouldBlock) } else { Ok(done) }
    }

    /// 0: there is nothing.
    pub(super) fn read_with(
        &mut self,
        (app, slot): (u32, u32),
        len: usize,
        mut take: impl FnMut(u64, &[u8]),
    ) -> Result<usize, NetError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let one = self.of(app)?;
        let mut done = 0;
        while done < len {
            scratch.resize(PIECE_BYTES.min(len - done), 0);
            let offset = one.channel.rx_consumed(slot);
            let count = one.channel.rx_peek(slot, 0, &mut scratch)?;
            if count == 0 {
                break;
            }
            take(offset, &scratch[..count]);
            one.channel.rx_consume(slot, count as u64)?;
            done += count;
        }
        if done > 0 {
            one.channel.kick(slot)?;
        }
        self.scratch = scratch;
        Ok(done)
    }

    /// Command: the bytes of a message (`queued`) or datagram; where they lie.
    pub(super) fn put_parcel(
        &mut self,
        (app, slot): (u32, u32),
        bytes: &[u8],
        queued: bool,
    ) -> Result<u64, NetError> {
        let one = self.of(app)?;
        let longest = one.channel.geometry().message_bytes_max() as usize;
        if bytes.len() > if queued { longest } else { DATAGRAM_BYTES_MAX } {
            return Err(NetError::TooLong);
        }
        let len = bytes.len() as u64;
        if !one.room_for(slot, len, u64::MAX)? || queued && !one.may_queue(slot)? {
            return Err(NetError::WouldBlock);
        }
        let offset = one.channel.tx_offset(slot);
        one.channel.tx_stage(slot, bytes, u64::MAX)?;
        one.channel.tx_publish(slot);
        if queued {
            one.unreleased.entry(slot).or_default().push_back(offset + len);
        }
        Ok(offset)
    }

    pub(super) fn take_parcel(
        &mut self,
        (app, slot): (u32, u32),
        parcel: Parcel,
        bytes: &mut [u8],
    ) -> Result<(), NetError> {
        let one = self.of(app)?;
        let broken = NetError::Broken(ChannelFault::Stream);
        let skip = parcel.offset.checked_sub(one.channel.rx_consumed(slot)).ok_or(broken)?;
        if one.channel.rx_peek(slot, skip, bytes)? != bytes.len() {
            return Err(broken);
        }
        // An empty datagram takes one byte of the ring.
        one.channel.rx_consume(slot, skip + u64::from(parcel.len.max(1)))?;
        Ok(one.channel.kick(slot)?)
    }
}
