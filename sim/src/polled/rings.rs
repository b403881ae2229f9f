//! What programs do with their rings: in ordinary memory, or over a channel.

use causeway_core::port::{Op, SocketId};
use causeway_core::time::Instant;

use super::bells::ProgramBells;
use super::lanes::Lanes;
use super::net::{Net, NetError};
use super::port::PolledPort;
use super::socket::{Parcel, State};
use crate::fault::Event;

impl PolledPort {
    /// Command: `op` for the stack. `slot`: the rings of the socket that it names.
    pub(super) fn command(&mut self, app: u32, tag: u64, op: Op, slot: Option<u32>) {
        match &mut self.lanes {
            Some(lanes) => lanes.command(app, tag, &op, slot),
            None => self.queue_command(app, tag, op),
        }
    }

    /// Command: the rings of `slot` changed.
    pub(super) fn kick(&mut self, app: u32, slot: u32) {
        if let Some(lanes) = &mut self.lanes {
            return lanes.kick(app, slot);
        }
        let Some(stream) = &mut self.streams[slot as usize] else { return };
        if !std::mem::replace(&mut stream.kicked, true) {
            let socket = stream.socket;
            self.kicked.push(slot);
            if stream.in_stack {
                self.queue_command(app, 0, Op::Kick { socket });
            }
        }
    }

    /// Command: the application is done with the rings of the socket `id`, or of one that has ended.
    pub(super) fn let_go(&mut self, app: u32, id: Option<SocketId>, slot: u32) {
        if let Some(lanes) = &mut self.lanes {
            return lanes.let_go(app, id, slot);
        }
        if let Some(stream) = &mut self.streams[slot as usize] {
            stream.in_app = false;
        }
        self.free_if_unused(slot);
    }

    /// Getter: bytes of a stream that can be read now.
    pub(super) fn readable(&self, app: u32, slot: u32) -> usize {
        match &self.lanes {
            Some(lanes) => lanes.readable(app, slot),
            None => {
                let rings = self.streams[slot as usize].as_ref();
                rings.map_or(0, super::stream::Stream::readable)
            }
        }
    }

    /// Command: up to `len` bytes, which `fill` writes in place. Returns how many, at least one of one or more.
    pub(super) fn write_with(
        &mut self,
        (app, slot): (u32, u32),
        len: usize,
        mut fill: impl FnMut(u64, &mut [u8]),
    ) -> Result<usize, NetError> {
        if let Some(lanes) = &mut self.lanes {
            return lanes.write_with((app, slot), len, fill);
        }
        let size = self.ring_bytes;
        let rings = self.stream_to_write(slot).ok_or(NetError::BadSocket)?;
        let count = len.min(rings.room(size));
        if count == 0 {
            return if len == 0 { Ok(0) } else { Err(NetError::WouldBlock) };
        }
        if rings.tx_released == rings.tx_written {
            rings.tx.forget_before(rings.tx_written);
        }
        let mut done = 0;
        while done < count {
            let offset = rings.tx_written + done as u64;
            let piece = rings.tx.piece_mut(offset, count - done);
            done += piece.len();
            fill(offset, piece);
        }
        rings.tx_written += count as u64;
        self.kick(app, slot);
        Ok(count)
    }

    /// Output: up to `len` bytes, which `take` reads in place. Returns how many; 0 when there are none.
    pub(super) fn read_with(
        &mut self,
        (app, slot): (u32, u32),
        len: usize,
        mut take: impl FnMut(u64, &[u8]),
    ) -> Result<usize, NetError> {
        if let Some(lanes) = &mut self.lanes {
            return lanes.read_with((app, slot), len, take);
        }
        let Some(rings) = &mut self.streams[slot as usize] else { return Ok(0) };
        let count = len.min(rings.readable());
        if count == 0 {
            return Ok(0);
        }
        let mut done = 0;
        while done < count {
            let offset = rings.rx_consumed + done as u64;
            let piece = rings.rx.piece(offset, count - done);
            take(offset, piece);
            done += piece.len();
        }
        rings.rx_consumed += count as u64;
        rings.rx.forget_before(rings.rx_consumed);
        self.kick(app, slot);
        Ok(count)
    }

    /// Command: the bytes of a message (`queued`) or datagram. Returns where they lie.
    pub(super) fn put_parcel(
        &mut self,
        (app, slot): (u32, u32),
        bytes: &[u8],
        queued: bool,
    ) -> Result<u64, NetError> {
        if let Some(lanes) = &mut self.lanes {
            return lanes.put_parcel((app, slot), bytes, queued);
        }
        let size = self.ring_bytes;
        if bytes.len() > size {
            return Err(NetError::TooLong);
        }
        let rings = self.stream_to_write(slot).ok_or(NetError::BadSocket)?;
        if bytes.len() > rings.room(size) || (queued && !rings.may_queue()) {
            return Err(NetError::WouldBlock);
        }
        let offset = rings.tx_written;
        rings.tx.put(offset, bytes);
        rings.tx_written += bytes.len() as u64;
        rings.tx_seen = rings.tx_written;
        if queued {
            rings.unreleased.push_back(rings.tx_written);
        }
        Ok(offset)
    }

    /// Output: copies a message or datagram out, and gives its room back.
    pub(super) fn take_parcel(
        &mut self,
        (app, slot): (u32, u32),
        parcel: Parcel,
        bytes: &mut [u8],
    ) -> Result<(), NetError> {
        if let Some(lanes) = &mut self.lanes {
            return lanes.take_parcel((app, slot), parcel, bytes);
        }
        let rings = self.streams[slot as usize].as_mut().ok_or(NetError::BadSocket)?;
        rings.rx.take(parcel.offset, bytes);
        // An empty datagram takes one byte of the ring.
        rings.rx_consumed = parcel.offset + u64::from(parcel.len).max(1);
        self.kick(app, slot);
        Ok(())
    }

    /// Command: every socket that a program has not closed ends at once; the program stays.
    pub(super) fn quit(&mut self, app: u32) {
        let socks: Vec<_> = self.sockets.of_program(app).collect();
        let mut net = Net { port: self, app, now: Instant::ZERO };
        for sock in socks {
            // What a listener brought went with it.
            let _ = net.abort(sock);
        }
        self.look_on(app);
    }

    /// Command: what a program has closed, and what has not ended, ends at once.
    pub(super) fn abort_leaving(&mut self, app: u32) {
        if let Some(lanes) = &mut self.lanes {
            lanes.abort_leaving(app);
        }
    }

    /// Input: a program that has quit heard what there was.
    pub(super) fn look_on(&mut self, app: u32) {
        let Self { lanes: Some(lanes), sockets, .. } = self else { return };
        if let Err(fault) = lanes.sleep(app) {
            sockets.cut_program(app, State::Broken(fault));
        }
    }

    /// Input: what was rung for programs goes to their sockets.
    pub(super) fn hear_bells(&mut self) {
        while let Some(app) = self.bells().and_then(ProgramBells::take) {
            self.wake(app);
            self.sockets.tell_program(app);
        }
    }

    /// Input: the program is about to have its turn.
    pub(super) fn wake(&mut self, app: u32) {
        let Self { lanes: Some(lanes), sockets, .. } = self else { return };
        if let Err(fault) = lanes.wake(app, sockets) {
            sockets.cut_program(app, State::Broken(fault));
        }
        self.drop_unwanted();
    }

    /// Command: connections that came for listeners that are gone, and sockets for handles that are, end.
    pub(super) fn drop_unwanted(&mut self) {
        while let Some((app, id, stream)) = self.sockets.unwanted.pop() {
            let slot = (stream.channel != super::NO_CHANNEL).then_some(stream.slot);
            self.command(app, 0, Op::Abort { socket: id }, slot);
            if let Some(slot) = slot {
                self.let_go(app, Some(id), slot);
            }
        }
    }

    /// Input: the program's turn is over. Returns what becomes of it.
    pub(super) fn sleep(&mut self, app: u32) -> Fate {
        let Some(lanes) = &mut self.lanes else { return Fate::Sleeps };
        let fate = fate(lanes, app);
        if fate == Fate::Dies {
            // Nobody sees to it that what it said is shown.
            return fate;
        }
        self.look_on(app);
        fate
    }
}

/// What becomes of a program at the end of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing: it goes on.
    Sleeps,
    /// It goes on, and its channel's memory is not what it should be.
    Scribbles,
    /// It does nothing any more.
    Hangs,
    /// It is to be killed.
    Dies,
}

fn fate(lanes: &mut Lanes, app: u32) -> Fate {
    if !lanes.is_attached(app) {
        return Fate::Sleeps;
    }
    if let Some(seed) = lanes.bells.roll(Event::Dies) {
        lanes.stop_midway(app, seed);
        return Fate::Dies;
    }
    if lanes.bells.roll(Event::Hangs).is_some() {
        lanes.hang(app);
        return Fate::Hangs;
    }
    if let Some(seed) = lanes.bells.roll(Event::Scribbles) {
        lanes.scribble(app, seed);
        return Fate::Scribbles;
    }
    Fate::Sleeps
}
