//! Receiving: packets in order go straight into the RX ring; those ahead of a hole wait.
//!
//! Where the payload of a packet behind a hole belongs is not known, because the last packet of a message is short and may be
//! the one that is missing. So packets out of order wait in buffers of [`PAYLOAD_MAX`] bytes, at most one less than [`REASSEMBLY`] of
//! them, which are allocated when first needed and then used again until the flow rests. A flow that never sees
//! reordering has none.
//!
//! `rx_commit` is called at the ends of messages only: what the application may read is always whole messages.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::message::Assembly;
use super::packet::Disposition;
use crate::planted::{self, Bug};
use crate::port::{RingError, StreamIo};
use crate::reach::reach;
use crate::wire::machnet::{MsgFlags, PAYLOAD_MAX};

/// Packets from `rcv_nxt` that are taken: upstream's reassembly window.
pub(super) const REASSEMBLY: u32 = 64;

/// A packet that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    seqno: u32,
    flags: MsgFlags,
    payload: Vec<u8>,
}

/// Buffers for packets out of order: some in use, some free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Store {
    /// Of the packet with number `n`, at `n % 64`: its buffer plus one, or 0.
    index: Vec<u8>,
    buffers: Vec<Held>,
    free: Vec<u8>,
}

impl Store {
    fn put(&mut self, seqno: u32, flags: MsgFlags, payload: &[&[u8]]) {
        if self.index.is_empty() {
            self.index.resize(REASSEMBLY as usize, 0);
            self.free.reserve_exact(REASSEMBLY as usize);
        }
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                let payload = Vec::with_capacity(PAYLOAD_MAX as usize);
                self.buffers.push(Held { seqno, flags, payload });
                // At most REASSEMBLY packets are held at once, so the number of buffers fits.
                (self.buffers.len() - 1) as u8
            }
        };
        let held = &mut self.buffers[at as usize];
        held.seqno = seqno;
        if held.payload.is_empty() || !planted::is(Bug::MachnetFlagsOfBefore) {
            held.flags = flags;
        }
        if !planted::is(Bug::MachnetPayloadAppended) {
            held.payload.clear();
        }
        for part in payload {
            held.payload.extend_from_slice(part);
        }
        self.index[(seqno % REASSEMBLY) as usize] = at + 1;
    }

    fn get(&self, seqno: u32) -> Option<&Held> {
        let at = self.index.get((seqno % REASSEMBLY) as usize)?.checked_sub(1)?;
        self.buffers.get(at as usize).filter(|held| held.seqno == seqno)
    }

    fn remove(&mut self, seqno: u32) {
        let index = &mut self.index[(seqno % REASSEMBLY) as usize];
        if let Some(at) = core::mem::take(index).checked_sub(1) {
            self.free.push(at);
        }
    }

    /// Consistency of a state read back: exactly the packets of `bitmap` are held, each in its own buffer.
    fn is_valid(&self, rcv_nxt: u32, bitmap: u64) -> bool {
        let Self { index, buffers, free } = self;
        if buffers.len() > REASSEMBLY as usize
            || !(index.len() == REASSEMBLY as usize || index.is_empty() && buffers.is_empty())
        {
            return false;
        }
        let mut used = [false; REASSEMBLY as usize];
        let mut claim = |at: usize| at < buffers.len() && !core::mem::replace(&mut used[at], true);
        let numbers = (0..REASSEMBLY).filter(|i| bitmap >> i & 1 == 1);
        let entries = index.iter().filter(|at| **at != 0).count();
        entries == bitmap.count_ones() as usize
            && free.len() + entries == buffers.len()
            && free.iter().all(|at| claim(*at as usize))
            && index.iter().all(|at| *at == 0 || claim(*at as usize - 1))
            && numbers.map(|i| rcv_nxt.wrapping_add(i)).all(|n| {
                self.get(n).is_some_and(|held| {
                    held.payload.len() <= PAYLOAD_MAX as usize && held.flags.is_data_place()
                })
            })
    }
}

/// What happened to a DATA packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) disposition: Disposition,
    /// Payload bytes that came into order.
    pub(super) bytes: u64,
}

/// Takes whole messages, in order. Returns false when it cannot take another at present.
pub(super) trait MessageSink {
    fn has_room(&self) -> bool;
    fn message(&mut self, offset: u64, len: u32);
}

/// The receiver's window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RxWindow {
    rcv_nxt: u32,
    /// One past the highest packet seen inside the window.
    rcv_max: u32,
    /// Bit `i`: packet rcv_nxt + i is held. Bit 0 when it waits for room in the ring only.
    held: u64,
    store: Option<Box<Store>>,
    assembly: Assembly,
    /// A packet in order was turned away for want of room.
    starved: bool,
}

impl RxWindow {
    pub(super) const fn new(rcv_nxt: u32) -> Self {
        Self {
            rcv_nxt,
            rcv_max: rcv_nxt,
            held: 0,
            store: None,
            assembly: Assembly::new(),
            starved: false,
        }
    }

    pub(super) const fn rcv_nxt(&self) -> u32 {
        self.rcv_nxt
    }

    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// A packet at or above `rcv_nxt` was seen: the peer has it outstanding.
    pub(super) const fn is_ahead(&self) -> bool {
        self.rcv_max != self.rcv_nxt
    }

    /// There are buffers for packets out of order.
    pub(super) const fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// Gives the buffers back, and what lies in them up.
    pub(super) fn rest(&mut self) {
        self.store = None;
        self.held = 0;
    }

    /// No room will come from the application: the message in progress is all that the ring holds.
    pub(super) fn is_stuck(&self, io: &impl StreamIo) -> bool {
        self.starved && self.assembly.is_alone(io.rx_consumed())
    }

    /// Input: a DATA packet.
    pub(super) fn data(
        &mut self,
        config: &Config,
        (seqno, flags): (u32, MsgFlags),
        payload: &[&[u8]],
        io: &mut impl StreamIo,
        sink: &mut impl MessageSink,
    ) -> Received {
        let refuse = |disposition| Received { disposition, bytes: 0 };
        let ahead = seqno.wrapping_sub(self.rcv_nxt);
        let next = (ahead.cast_signed() > 0 && planted::is(Bug::MachnetHoleIgnored))
            || (ahead.cast_signed() < 0 && planted::is(Bug::MachnetOldTaken));
        let ahead = if next { 0 } else { ahead };
        if ahead.cast_signed() < 0 {
            return refuse(Disposition::Duplicate);
        }
        if ahead >= REASSEMBLY {
            return refuse(Disposition::Ignore);
        }
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let Some(len) = u16::try_from(len).ok().filter(|len| *len <= PAYLOAD_MAX) else {
            return refuse(Disposition::Malformed);
        };
        if !flags.is_data_place() {
            return refuse(Disposition::Malformed);
        }
        if self.rcv_max.wrapping_sub(self.rcv_nxt) <= ahead {
            self.rcv_max = seqno.wrapping_add(1);
        }
        if self.held >> ahead & 1 == 1 {
            return refuse(Disposition::Duplicate);
        }
        if ahead > 0 {
            reach!(MachnetBehindHole);
            self.store.get_or_insert_default().put(seqno, flags, payload);
            self.held |= 1 << ahead;
            return refuse(Disposition::Accept);
        }
        match place(&mut self.assembly, config, (flags, len), payload, io, sink) {
            Disposition::Accept => {
                self.step();
                let (disposition, bytes) = self.drain(config, io, sink);
                Received { disposition, bytes: bytes + u64::from(len) }
            }
            other => {
                reach!(MachnetNoRoom);
                self.starved |= other == Disposition::NoRoom;
                refuse(other)
            }
        }
    }

    /// Places what is held and now in order; the application may have made room. `Accept`, or `Violation`.
    pub(super) fn drain(
        &mut self,
        config: &Config,
        io: &mut impl StreamIo,
        sink: &mut impl MessageSink,
    ) -> (Disposition, u64) {
        let mut bytes = 0;
        while self.held & 1 == 1 {
            let Some(store) = self.store.as_deref_mut() else { break };
            let Some(held) = store.get(self.rcv_nxt) else { break };
            // At most PAYLOAD_MAX: `data` checked it.
            let len = held.payload.len() as u16;
            let flags = held.flags;
            match place(&mut self.assembly, config, (flags, len), &[&held.payload], io, sink) {
                Disposition::Accept => {}
                Disposition::NoRoom => {
                    self.starved = true;
                    break;
                }
                other => return (other, bytes),
            }
            store.remove(self.rcv_nxt);
            bytes += u64::from(len);
            self.step();
        }
        (Disposition::Accept, bytes)
    }

    /// True, once, when packets were turned away and there is room for one again.
    pub(super) fn take_recovered(&mut self, io: &impl StreamIo) -> bool {
        let limit = self.assembly.next_offset().saturating_add(u64::from(PAYLOAD_MAX));
        let room = limit <= io.rx_limit() && !self.assembly.is_crowded(io.rx_consumed());
        self.starved && room && {
            reach!(MachnetRoomAgain);
            self.starved = false;
            true
        }
    }

    fn step(&mut self) {
        self.rcv_nxt = self.rcv_nxt.wrapping_add(1);
        self.held >>= 1;
        self.starved = false;
        if self.rcv_max.wrapping_sub(self.rcv_nxt).cast_signed() < 0 {
            self.rcv_max = self.rcv_nxt;
        }
    }

    /// Consistency of a state read back.
    pub(super) fn is_valid(&self, config: &Config) -> bool {
        let Self { rcv_nxt, rcv_max, held, store, assembly, starved: _ } = self;
        let seen = rcv_max.wrapping_sub(*rcv_nxt);
        seen <= REASSEMBLY
            && u64::from(64 - held.leading_zeros()) <= u64::from(seen)
            && assembly.is_valid(config)
            && match store {
                Some(store) => store.is_valid(*rcv_nxt, *held),
                None => *held == 0,
            }
    }
}

/// Puts the payload of the next packet in order into the ring: all or nothing.
fn place(
    assembly: &mut Assembly,
    config: &Config,
    (flags, len): (MsgFlags, u16),
    payload: &[&[u8]],
    io: &mut impl StreamIo,
    sink: &mut impl MessageSink,
) -> Disposition {
    if assembly.check(config, flags, len).is_err() {
        return Disposition::Violation;
    }
    let mut offset = assembly.next_offset();
    let fits = offset.checked_add(u64::from(len)).is_some_and(|end| end <= io.rx_limit());
    if !fits || !sink.has_room() || assembly.is_crowded(io.rx_consumed()) {
        return Disposition::NoRoom;
    }
    for part in payload.iter().filter(|part| !part.is_empty()) {
        match io.rx_copy_in(offset, part) {
            Ok(()) => offset += part.len() as u64,
            // Nothing is committed, so what was stored already will be stored again.
            Err(RingError::OutOfRange | RingError::NoMemory | RingError::Gone) => {
                return Disposition::NoRoom;
            }
        }
    }
    if let Some((start, len)) = assembly.push(flags, len) {
        io.rx_commit(start + u64::from(len));
        sink.message(start, len);
    }
    Disposition::Accept
}
