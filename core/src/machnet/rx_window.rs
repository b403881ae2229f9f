//! Receiving: packets in order go straight into the RX ring; those ahead of a hole wait.
//!
//! Where the payload of a packet behind a hole belongs is not known, because the last packet of a message is short and may be
//! the one that is missing. So packets out of order wait in buffers of their own, at most one less than the window has packets,
//! which are allocated when first needed and then used again until the flow rests. A flow that never sees
//! reordering has none.
//!
//! `rx_commit` is called at the ends of messages only: what the application may read is always whole messages.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::bits::{BITS, Bits};
use super::config::Config;
use super::extended::Inbound;
use super::message::Assembly;
use super::packet::Disposition;
use crate::planted::{self, Bug};
use crate::port::{RingError, StreamIo};
use crate::reach::reach;
use crate::wire::machnet::{MsgFlags, PAYLOAD_MAX};

/// Packets from `rcv_nxt` that are taken, and the most payload bytes of one. `packets` is a power of two, at most 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RxLimits {
    pub(super) packets: u16,
    pub(super) payload: u16,
}

/// Bytes around those of messages in all packets behind a hole.
const AROUND_MAX: u64 = 64 << 10;

impl RxLimits {
    /// Upstream's reassembly window.
    pub(super) const UPSTREAM: Self = Self { packets: 64, payload: PAYLOAD_MAX };
}

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
    /// Of the packet with number `n`, at `n` modulo the window's packets: its buffer plus one, or 0.
    index: Vec<u16>,
    buffers: Vec<Held>,
    free: Vec<u16>,
    /// Payload bytes that are held.
    bytes: u64,
    /// Bit `i`: packet rcv_nxt + i is held. Bit 0 when it waits for room in the ring only.
    held: Bits,
}

impl Store {
    const fn place(&self, seqno: u32) -> usize {
        seqno as usize & (self.index.len() - 1)
    }

    fn put(&mut self, limits: RxLimits, seqno: u32, flags: MsgFlags, payload: &[&[u8]]) {
        if self.index.is_empty() {
            self.index.resize(limits.packets.into(), 0);
        }
        let len = payload.iter().map(|part| part.len()).sum::<usize>();
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.buffers.push(Held { seqno, flags, payload: Vec::new() });
                // At most as many packets are held at once as the window has, so the number of buffers fits.
                (self.buffers.len() - 1) as u16
            }
        };
        let held = &mut self.buffers[usize::from(at)];
        held.seqno = seqno;
        if held.payload.is_empty() || !planted::is(Bug::MachnetFlagsOfBefore) {
            held.flags = flags;
        }
        if !planted::is(Bug::MachnetPayloadAppended) {
            held.payload.clear();
        }
        // A buffer that was used for a full packet fits every one.
        held.payload.reserve_exact(len);
        for part in payload {
            held.payload.extend_from_slice(part);
        }
        self.bytes += len as u64;
        let place = self.place(seqno);
        self.index[place] = at + 1;
    }

    fn get(&self, seqno: u32) -> Option<&Held> {
        let at = self.index.get(seqno as usize & self.index.len().checked_sub(1)?)?;
        let at = usize::from(at.checked_sub(1)?);
        self.buffers.get(at).filter(|held| held.seqno == seqno)
    }

    fn remove(&mut self, seqno: u32) {
        let place = self.place(seqno);
        if let Some(at) = core::mem::take(&mut self.index[place]).checked_sub(1) {
            self.bytes -= self.buffers[usize::from(at)].payload.len() as u64;
            self.free.push(at);
        }
    }

    /// Consistency of a state read back: exactly the packets of `bitmap` are held, each in its own buffer.
    fn is_valid(&self, limits: RxLimits, rcv_nxt: u32) -> bool {
        let Self { index, buffers, free, bytes, held } = self;
        let packets = usize::from(limits.packets);
        if buffers.len() > packets
            || !(index.len() == packets || index.is_empty() && buffers.is_empty())
        {
            return false;
        }
        let mut used = [false; BITS as usize];
        let mut claim = |at: usize| at < buffers.len() && !core::mem::replace(&mut used[at], true);
        let entries = index.iter().filter(|at| **at != 0).count();
        let mut held_bytes = 0;
        let is_held = |n: u32| {
            self.get(rcv_nxt.wrapping_add(n)).is_some_and(|held| {
                held_bytes += held.payload.len() as u64;
                held.payload.len() <= usize::from(limits.payload) && held.flags.is_place()
            })
        };
        entries == { *held }.count()
            && free.len() + entries == buffers.len()
            && free.iter().all(|at| claim(usize::from(*at)))
            && index.iter().all(|at| *at == 0 || claim(usize::from(*at) - 1))
            && { *held }.all(is_held)
            && held_bytes == *bytes
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
    limits: RxLimits,
    rcv_nxt: u32,
    /// One past the highest packet seen inside the window.
    rcv_max: u32,
    store: Option<Box<Store>>,
    assembly: Assembly,
    /// A packet in order was turned away for want of room.
    starved: bool,
}

impl RxWindow {
    /// The window of a flow that speaks as upstream does.
    pub(super) const fn new(rcv_nxt: u32) -> Self {
        Self::with_limits(rcv_nxt, RxLimits::UPSTREAM)
    }

    pub(super) const fn with_limits(rcv_nxt: u32, limits: RxLimits) -> Self {
        Self {
            limits,
            rcv_nxt,
            rcv_max: rcv_nxt,
            store: None,
            assembly: Assembly::new(),
            starved: false,
        }
    }

    pub(super) const fn rcv_nxt(&self) -> u32 {
        self.rcv_nxt
    }

    pub(super) const fn limits(&self) -> RxLimits {
        self.limits
    }

    /// Bit `i`: packet rcv_nxt + i is held.
    pub(super) fn held(&self) -> Bits {
        self.store.as_ref().map_or(Bits::default(), |store| store.held)
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
    }

    /// No room will come from the application: the message in progress is all that the ring holds. Who says how long its messages
    /// are need not send what does not fit.
    pub(super) fn is_stuck(&self, inbound: Option<&Inbound>, io: &impl StreamIo) -> bool {
        let end = self.assembly.next_offset() + inbound.map_or(0, |i| i.lacks(&self.assembly));
        (self.starved || end > io.rx_limit()) && self.assembly.is_alone(io.rx_consumed())
    }

    /// Getter: bytes may be stored below the first number; the second is what the ring holds in all; the application has as many messages
    /// to take as it may; the last is where the next byte goes.
    pub(super) fn room(&mut self, io: &impl StreamIo) -> (u64, u64, bool, u64) {
        let (limit, consumed) = (io.rx_limit(), io.rx_consumed());
        let crowded = self.assembly.is_crowded(consumed);
        (limit, limit.saturating_sub(consumed), crowded, self.assembly.next_offset())
    }

    pub(super) const fn next_offset(&self) -> u64 {
        self.assembly.next_offset()
    }

    pub(super) const fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// Input: a DATA packet. `inbound` knows what is around the bytes of messages in the extended profile.
    pub(super) fn data(
        &mut self,
        config: &Config,
        inbound: Option<&mut Inbound>,
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
        if ahead >= u32::from(self.limits.packets) {
            return refuse(Disposition::Ignore);
        }
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let Some(len) = u16::try_from(len).ok().filter(|len| *len <= self.limits.payload) else {
            return refuse(Disposition::Malformed);
        };
        if !flags.is_place() || (flags == MsgFlags::FIN && len > 0) {
            return refuse(Disposition::Malformed);
        }
        if self.rcv_max.wrapping_sub(self.rcv_nxt) <= ahead {
            self.rcv_max = seqno.wrapping_add(1);
        }
        if self.store.as_ref().is_some_and(|store| store.held.get(ahead)) {
            return refuse(Disposition::Duplicate);
        }
        if ahead > 0 {
            reach!(MachnetBehindHole);
            let store = self.store.get_or_insert_default();
            let room = io.rx_limit().saturating_sub(self.assembly.next_offset());
            // Who was told of a window sends no more than that, and what is around it.
            if inbound.is_some() && store.bytes + u64::from(len) > room + AROUND_MAX {
                return refuse(Disposition::Ignore);
            }
            store.put(self.limits, seqno, flags, payload);
            store.held.set(ahead, true);
            return refuse(Disposition::Accept);
        }
        let mut inbound = inbound;
        let assembly = &mut self.assembly;
        match place(assembly, config, inbound.as_deref_mut(), (flags, len), payload, io, sink) {
            Disposition::Accept => {
                self.step();
                let (disposition, bytes) = self.drain(config, inbound, io, sink);
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
        mut inbound: Option<&mut Inbound>,
        io: &mut impl StreamIo,
        sink: &mut impl MessageSink,
    ) -> (Disposition, u64) {
        let mut bytes = 0;
        while let Some(store) = self.store.as_deref_mut().filter(|store| store.held.get(0)) {
            let Some(held) = store.get(self.rcv_nxt) else { break };
            // At most what the limits say: `data` checked it.
            let len = held.payload.len() as u16;
            let flags = held.flags;
            let payload: &[&[u8]] = &[&held.payload];
            let assembly = &mut self.assembly;
            match place(assembly, config, inbound.as_deref_mut(), (flags, len), payload, io, sink) {
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
        let limit = self.assembly.next_offset().saturating_add(u64::from(self.limits.payload));
        let room = limit <= io.rx_limit() && !self.assembly.is_crowded(io.rx_consumed());
        self.starved && room && {
            reach!(MachnetRoomAgain);
            self.starved = false;
            true
        }
    }

    fn step(&mut self) {
        self.rcv_nxt = self.rcv_nxt.wrapping_add(1);
        if let Some(store) = &mut self.store {
            store.held.shift(1);
        }
        self.starved = false;
        if self.rcv_max.wrapping_sub(self.rcv_nxt).cast_signed() < 0 {
            self.rcv_max = self.rcv_nxt;
        }
    }

    /// Consistency of a state read back.
    pub(super) fn is_valid(&self, config: &Config) -> bool {
        let Self { limits, rcv_nxt, rcv_max, store, assembly, starved: _ } = self;
        let seen = rcv_max.wrapping_sub(*rcv_nxt);
        let packets = u32::from(limits.packets);
        packets.is_power_of_two()
            && packets <= BITS
            && seen <= packets
            && self.held().end() <= seen
            && assembly.is_valid(config)
            && store.as_ref().is_none_or(|store| store.is_valid(*limits, *rcv_nxt))
    }
}

/// Puts the payload of the next packet in order into the ring: all or nothing.
fn place(
    assembly: &mut Assembly,
    config: &Config,
    inbound: Option<&mut Inbound>,
    (flags, len): (MsgFlags, u16),
    payload: &[&[u8]],
    io: &mut impl StreamIo,
    sink: &mut impl MessageSink,
) -> Disposition {
    if let Some(inbound) = inbound {
        return inbound.place(assembly, config, (flags, len), payload, io, sink);
    }
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
