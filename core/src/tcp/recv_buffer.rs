//! The receive sequence space (RFC 9293 §3.3.1) over the RX ring: window, reassembly, acknowledgements due.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::assembler::Assembler;
use super::delayed_ack::AckPace;
use super::options::{MSS_DEFAULT, Negotiated};
use super::receive_autotune::Autotune;
use super::seq::{Anchor, SeqNumber, StreamEnd};
use crate::planted::{self, Bug};
use crate::port::{RingError, StreamIo};
use crate::reach::reach;
use crate::wire::tcp::SackBlocks;

/// Most duplicate acknowledgements that wait to be sent.
const DUPLICATE_ACKS_MAX: u8 = 64;
/// A window of so many bytes is enough for whatever the peer begins with.
const ENOUGH_TO_BEGIN: u32 = 32_768;
/// Units of the window scale held back from the advertised edge.
const SLACK_UNITS: u64 = 4;

/// Whether an acknowledgement is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) enum AckDue {
    No,
    /// When the delayed-ACK timer expires, or with the next segment.
    Delayed,
    /// At once.
    Now,
}

/// RCV.* of RFC 9293 §3.3.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct RecvBuffer {
    pub(in crate::tcp) rcv_nxt: SeqNumber,
    /// The right window edge as last advertised; never goes back (RFC 9293 §3.8.6).
    pub(in crate::tcp) rcv_adv: SeqNumber,
    /// Last.ACK.sent (RFC 7323 §4.3).
    pub(in crate::tcp) last_ack_sent: SeqNumber,
    /// The next data byte in order.
    pub(in crate::tcp) anchor: Anchor,
    /// Where the peer's stream ends, once its FIN was seen, in order or not.
    pub(in crate::tcp) fin_offset: StreamEnd,
    /// Made with the first segment out of order, then kept.
    pub(in crate::tcp) assembler: Option<Box<Assembler>>,
    /// TS.Recent (RFC 7323 §4.3) and when it was taken, in seconds: the 24 days of PAWS do not fit a millisecond clock for long.
    pub(in crate::tcp) ts_recent: u32,
    pub(in crate::tcp) ts_recent_s: u32,
    /// The largest payload seen: what the peer's full segment is.
    pub(in crate::tcp) rcv_mss: u16,
    pub(in crate::tcp) ack_due: AckDue,
    /// Duplicate acknowledgements due, one for each segment out of order (RFC 5681 §4.2).
    pub(in crate::tcp) duplicate_acks: u8,
    /// How soon the others leave.
    pub(in crate::tcp) pace: AckPace,
    /// When data last came in order, by `chrono::coarse`.
    pub(in crate::tcp) last_data: u32,
    /// SO_RCVBUF and TCP_WINDOW_CLAMP, or what autotuning has come to: most bytes between what was consumed and the right window
    /// edge.
    pub(in crate::tcp) buffer_max: u32,
    /// Attached while data comes.
    pub(in crate::tcp) autotune: Option<Box<Autotune>>,
    /// All connections together hold too much, and this one more than its floor: it takes nothing beyond that.
    pub(in crate::tcp) choked: bool,
}

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Stored {
    /// The in-order edge advanced; `filled` when it met bytes that were there already.
    InOrder { filled: bool },
    /// Kept beyond a gap.
    OutOfOrder,
    /// All of it was there already.
    Duplicate,
    /// No room; dropped.
    Refused,
}

impl RecvBuffer {
    pub(in crate::tcp) fn new() -> Self {
        let zero = SeqNumber(0);
        Self {
            rcv_nxt: zero,
            rcv_adv: zero,
            last_ack_sent: zero,
            anchor: Anchor { seq: zero, offset: 0 },
            fin_offset: StreamEnd::UNKNOWN,
            assembler: None,
            ts_recent: 0,
            ts_recent_s: 0,
            rcv_mss: 0,
            ack_due: AckDue::No,
            duplicate_acks: 0,
            pace: AckPace::default(),
            last_data: 0,
            buffer_max: u32::MAX,
            autotune: None,
            choked: false,
        }
    }

    /// Input: the peer's SYN.
    pub(in crate::tcp) fn begin(&mut self, irs: SeqNumber) {
        // What the window field of our own SYN promised, if it was sent already.
        let promised = self.rcv_wnd();
        self.rcv_nxt = irs + 1;
        self.rcv_adv = self.rcv_nxt + promised;
        self.last_ack_sent = self.rcv_nxt;
        self.anchor = Anchor::after_syn(irs);
    }

    /// Getter: IRS, the peer's initial sequence number: its SYN lies in front of the stream.
    pub(in crate::tcp) const fn irs(&self) -> SeqNumber {
        SeqNumber(self.anchor.seq_of(0).0.wrapping_sub(1))
    }

    /// Getter: RCV.WND: what the peer was promised and has not used.
    pub(in crate::tcp) fn rcv_wnd(&self) -> u32 {
        u32::try_from(self.rcv_adv.distance_from(self.rcv_nxt)).unwrap_or(0)
    }

    /// Getter: something lies beyond a gap.
    pub(in crate::tcp) fn has_gap(&self) -> bool {
        self.assembler.as_ref().is_some_and(|a| !a.is_empty())
    }

    /// Getter: bytes that the application has not read, or that lie beyond a gap.
    pub(in crate::tcp) fn held(&self, io: &impl StreamIo) -> u64 {
        let beyond_gaps = self.assembler.as_deref().map_or(0, Assembler::bytes);
        self.anchor.offset.saturating_sub(io.rx_consumed()) + beyond_gaps
    }

    /// Getter: what the window may be with an empty buffer, as far as the limits say (tcpi_rcv_ssthresh).
    pub(in crate::tcp) fn limit_told(&self, scale: u8) -> u32 {
        match self.buffer_max {
            u32::MAX => self.rcv_wnd(),
            max => max - max.min((SLACK_UNITS as u32) << scale).min(max / 8),
        }
    }

    /// Getter: one past the highest byte that was received, in order or not.
    pub(in crate::tcp) fn stored_end(&self) -> u64 {
        let last = self.assembler.as_ref().and_then(|a| a.intervals().last());
        last.map_or(self.anchor.offset, |interval| interval.end)
    }

    /// Input: payload whose first byte has the offset `start`, in the window, not below the in-order edge.
    pub(in crate::tcp) fn store(
        &mut self,
        start: u64,
        payload: Payload<'_>,
        io: &mut impl StreamIo,
    ) -> Stored {
        let end = start + u64::from(payload.len);
        let next = start == self.anchor.offset || planted::is(Bug::EverythingIsNext);
        if next && !self.has_gap() {
            if payload.copy_in(start, end, start, io).is_err() {
                reach!(Refused);
                return Stored::Refused;
            }
            self.advance(u64::from(payload.len), io);
            return Stored::InOrder { filled: false };
        }
        self.store_with_gap(start, end, payload, io)
    }

    /// Input: the next `len` bytes in order, in the window, while nothing lies beyond a gap.
    #[inline]
    pub(in crate::tcp) fn store_next(
        &mut self,
        slices: &[&[u8]],
        len: u32,
        io: &mut impl StreamIo,
    ) -> Result<(), RingError> {
        let mut offset = self.anchor.offset;
        for slice in slices {
            io.rx_copy_in(offset, slice)?;
            offset += slice.len() as u64;
        }
        if offset != self.anchor.offset + u64::from(len) {
            // Other than `len` claims: what is missing was not received.
            return Err(RingError::OutOfRange);
        }
        self.advance(u64::from(len), io);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn store_with_gap(
        &mut self,
        start: u64,
        end: u64,
        payload: Payload<'_>,
        io: &mut impl StreamIo,
    ) -> Stored {
        let anchor = self.anchor;
        let assembler = self.assembler.get_or_insert_default();
        if planted::is(Bug::LastBytesWin) {
            let _ = payload.copy_in(start, end, start, io);
        }
        // Only gaps are written: of overlapping bytes the first stay, so that the stream is the same
        // however segments are ordered from here on.
        let (mut stored, mut refused) = (false, false);
        let mut from = start;
        let mut edge = self.anchor.offset;
        let mut again = None;
        let much = planted::is(Bug::QuarterBeyondGaps)
            && assembler.bytes() > io.rx_limit().saturating_sub(io.rx_consumed()) / 4;
        while let Some(gap) = assembler.first_gap(from, end) {
            if from < gap.start {
                again = again.or(Some((from, gap.start)));
            }
            let full = planted::is(Bug::FullSetRefusesTheNext) && assembler.intervals().len() >= 4;
            refused = full || payload.copy_in(gap.start, gap.end, start, io).is_err();
            if gap.start == edge {
                // What is next in order needs no place in the set: it must be taken however full that is, or
                // nothing would ever be taken again.
                edge = if refused { edge } else { gap.end };
            } else {
                refused = refused || much || assembler.insert(gap.start, gap.end).is_err();
            }
            if refused {
                break;
            }
            stored = true;
            from = gap.end;
        }
        if !refused && from < end {
            again = again.or(Some((from, end)));
        }
        if let Some((from, to)) = again.filter(|_| !planted::is(Bug::DsackBelowOnly)) {
            // The block that holds it comes next (RFC 2883 §4 (3)).
            assembler.touch(from);
            // Of two the one below the edge is told, which is another's to say no more (RFC 2883 §4 (4)).
            if assembler.duplicate.0 == assembler.duplicate.1
                || planted::is(Bug::UpperDuplicateTold)
            {
                assembler.duplicate = (anchor.seq_of(from), anchor.seq_of(to));
            }
        }
        let edge = assembler.advance(edge);
        match (edge > self.anchor.offset, stored, refused) {
            (true, _, _) => {
                self.advance(edge - self.anchor.offset, io);
                Stored::InOrder { filled: true }
            }
            (false, true, _) => Stored::OutOfOrder,
            (false, false, true) => Stored::Refused,
            (false, false, false) => Stored::Duplicate,
        }
    }

    #[inline]
    pub(in crate::tcp) fn advance(&mut self, bytes: u64, io: &mut impl StreamIo) {
        self.anchor.advance(bytes);
        self.rcv_nxt = self.anchor.seq;
        io.rx_commit(self.anchor.offset);
    }

    /// Input: an in-order payload of `len` bytes was taken; [`RecvBuffer::acknowledge_in_order`] says what is due. LRO joins segments:
    /// `gso_size`, where it is not 0, is the length of one of them (as on Linux, tcp_measure_rcv_mss). `mss` bounds what is believed
    /// to be one segment.
    #[inline]
    pub(in crate::tcp) fn note_in_order(
        &mut self,
        len: u32,
        gso_size: impl FnOnce() -> u16,
        mss: impl FnOnce() -> u32,
    ) {
        // As long as the longest: nothing to learn.
        if len != u32::from(self.rcv_mss) || self.rcv_mss < MSS_DEFAULT {
            let part = match u32::from(gso_size()) {
                size if size == 0 || planted::is(Bug::JoinedIsOne) => len,
                size => len.min(size),
            };
            let segment = u16::try_from(part.min(mss())).unwrap_or(u16::MAX);
            self.rcv_mss = self.rcv_mss.max(segment);
            if segment < self.rcv_mss.max(MSS_DEFAULT) {
                self.pace.pushed = (self.pace.pushed + 1).min(2);
            }
        }
    }

    /// Command: what was taken in order is to be acknowledged: RFC 9293 §3.8.6.3, and at once while acknowledgements are quick.
    #[inline]
    pub(in crate::tcp) fn acknowledge_in_order(&mut self) {
        let unacknowledged = match planted::is(Bug::AckByTimerOnly) {
            true => 0,
            false => self.rcv_nxt.0.wrapping_sub(self.last_ack_sent.0),
        };
        let second = unacknowledged >= 2 * u32::from(self.rcv_mss.max(MSS_DEFAULT));
        if second || self.pace.is_quick() {
            self.ack_due = AckDue::Now;
        } else if self.ack_due == AckDue::No {
            self.ack_due = AckDue::Delayed;
        }
    }

    /// Input: a segment out of order arrived: an acknowledgement for each (RFC 5681 §4.2).
    pub(in crate::tcp) fn acknowledge_out_of_order(&mut self) {
        if planted::is(Bug::LazyDuplicateAcks) {
            self.ack_due = AckDue::Delayed;
            return;
        }
        self.ack_due = AckDue::Now;
        self.duplicate_acks = self.duplicate_acks.saturating_add(1).min(DUPLICATE_ACKS_MAX);
    }

    /// Getter: more than a segment is unacknowledged.
    pub(in crate::tcp) fn has_more_than_a_segment(&self) -> bool {
        let unacknowledged = self.rcv_nxt.0.wrapping_sub(self.last_ack_sent.0);
        unacknowledged > u32::from(self.rcv_mss.max(MSS_DEFAULT))
    }

    /// Getter: the application has read everything, and the peer, who sends small segments, waits for an acknowledgement
    /// that nothing will carry: one way writes must not wait for the delayed one each.
    pub(in crate::tcp) fn read_asks_for_ack(&self, io: &impl StreamIo) -> bool {
        let AckPace { pushed, interactive, .. } = self.pace;
        let pushed = pushed == 2 || (pushed == 1 && !interactive);
        (pushed || self.has_more_than_a_segment()) && io.rx_consumed() >= self.anchor.offset
    }

    /// Getter: what may be promised: what the rings hold, within the application's limits.
    #[inline]
    fn rings(&self, io: &impl StreamIo) -> Rings {
        let (limit, consumed) = (io.rx_limit(), io.rx_consumed());
        let limit = if self.buffer_max == u32::MAX {
            limit
        } else {
            limit.min(consumed + u64::from(self.buffer_max))
        };
        Rings { limit, capacity: limit.saturating_sub(consumed) }
    }

    /// Getter: the edge that may be advertised. A few units of the scale are held back for the rounding
    /// in `advertise`.
    #[inline]
    fn edge_allowed(&self, scale: u8, rings: Rings) -> SeqNumber {
        let room = rings.limit.saturating_sub(rings.slack(scale) + self.anchor.offset);
        // At most 2^30, so it fits.
        self.rcv_nxt + room.min(65_535 << scale) as u32
    }

    /// Getter: whether the window should move on by itself because the application has consumed bytes
    /// (RFC 9293 §3.8.6.2.2), and enough that the peer will want to know.
    pub(in crate::tcp) fn window_update_due(&self, scale: u8, io: &impl StreamIo) -> bool {
        let rings = self.rings(io);
        let new = self.edge_allowed(scale, rings);
        let gain = new.distance_from(self.rcv_adv);
        let threshold = i32::try_from(self.edge_step(rings)).unwrap_or(i32::MAX);
        // A SYN could tell no more than 65,535, which is enough until the peer sends something after its own: the acknowledgement
        // tells it all.
        let begun = self.rcv_mss > 0
            || self.rcv_wnd() < ENOUGH_TO_BEGIN
            || (self.anchor.offset > 0 && planted::is(Bug::UpdateForSynData));
        gain >= threshold
            && begun
            && !planted::is(Bug::NoWindowUpdate)
            && new.0.wrapping_sub(self.rcv_nxt.0) / 2 >= self.rcv_wnd()
    }

    /// min(RCV.BUFF / 2, MSS): the least step of the right edge.
    #[inline]
    fn edge_step(&self, rings: Rings) -> u32 {
        if planted::is(Bug::SillyReceiver) {
            return 1;
        }
        let half = u32::try_from(rings.capacity / 2).unwrap_or(u32::MAX);
        half.min(u32::from(self.rcv_mss.max(536))).max(1)
    }

    /// Command: the window field of a segment that leaves now. Moves the advertised edge.
    #[inline(always)]
    pub(in crate::tcp) fn advertise(&mut self, scale: u8, io: &impl StreamIo) -> u16 {
        let rings = self.rings(io);
        let new = self.edge_allowed(scale, rings);
        let gain = new.distance_from(self.rcv_adv);
        let back = planted::is(Bug::EdgeGoesBack) && gain < 0;
        let any = planted::is(Bug::SillyWhenAsked);
        if back || (gain > 0 && (any || gain.unsigned_abs() >= self.edge_step(rings))) {
            self.rcv_adv = new;
        }
        let promised = self.rcv_wnd();
        let room = rings.limit.saturating_sub(self.anchor.offset);
        // Upwards, so that the edge does not go back by what the scale cuts off; downwards only where
        // the rings could not keep the promise. `rcv_adv` stays at the greatest edge ever told, as
        // RFC 7323 §2.4 demands: a segment that was in the window once is in the window.
        let up = (promised + ((1 << scale) - 1)) >> scale;
        // Rings of a few units cannot say anything in between: there the promise is rounded up all the
        // same, and what does not fit is refused and comes again. Rings that went when all had come say nothing more: in TIME-WAIT
        // the edge stands where it was told (RFC 9293 §3.8.6.2.2).
        let gone = rings.limit == 0 && self.fin_offset.is_known();
        let coarse = rings.capacity < 8 << scale && !gone;
        let may_round_up = coarse || u64::from(up) << scale <= room;
        let rounds_up = may_round_up && !planted::is(Bug::WindowRoundedDown);
        let units = if rounds_up { up } else { promised >> scale };
        let field = u16::try_from(units).unwrap_or(u16::MAX);
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt + (u32::from(field) << scale));
        field
    }

    /// Command: the window field of a SYN or SYN,ACK: never scaled (RFC 7323 §2.2).
    /// What later windows hold back for the rounding, this one does too: the first scaled one must not fall behind it.
    pub(in crate::tcp) fn advertise_on_syn(
        &mut self,
        initial: u32,
        scale: u8,
        io: &impl StreamIo,
    ) -> u16 {
        let rings = self.rings(io);
        let room = match rings.limit {
            // No rings yet.
            0 => u64::from(initial),
            limit => limit.saturating_sub(rings.slack(scale) + self.anchor.offset),
        };
        let room = room.min(u64::from(self.buffer_max));
        // What was promised stays so: rings that came meanwhile hold back more for the rounding than was known of.
        let field = u16::try_from(room.max(self.rcv_wnd().into())).unwrap_or(u16::MAX);
        // An acknowledgement that went out meanwhile, scaled, may have promised a little more.
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt + u32::from(field));
        field
    }

    /// Input: `left .. right` arrived for the second time. Reported by the next pure acknowledgement.
    pub(in crate::tcp) fn note_duplicate(&mut self, left: SeqNumber, right: SeqNumber) {
        if !planted::is(Bug::NoDsack) {
            self.assembler.get_or_insert_default().duplicate = (left, right);
        }
    }

    /// Input: the stream ends at `end`, with a FIN that came without what is before it.
    pub(in crate::tcp) fn note_lone_fin(&mut self, end: u64) {
        self.assembler.get_or_insert_default().touch(end);
    }

    /// Input: a segment from `from` to `to` has a FIN behind it. One in its turn, with nothing missing in front of it, ends the stream
    /// whatever was received beyond: bytes and another end that somebody forged are forgotten before they could join what is right (as
    /// on Linux), and do not keep the connection for ever. Returns whether memory is free again.
    pub(in crate::tcp) fn end_at(&mut self, from: SeqNumber, to: SeqNumber) -> bool {
        let in_turn = from <= self.rcv_nxt && to >= self.rcv_nxt && to <= self.rcv_adv;
        if !in_turn || planted::is(Bug::ContradictedFinIgnored) {
            return false;
        }
        let Some(end) = self.anchor.offset_of(to) else { return false };
        self.fin_offset = StreamEnd::at(end);
        self.assembler.as_mut().is_some_and(|assembler| assembler.cut_at(end))
    }

    /// Command: no duplicate is to be told of.
    pub(in crate::tcp) fn forget_duplicate(&mut self) {
        if let Some(assembler) = self.assembler.as_mut() {
            assembler.duplicate = Default::default();
        }
    }

    /// Getter: `seq` is one past all that arrived, FIN among it: where a peer that knows of a gap from our SACK blocks would begin
    /// its RST. No easier to guess than RCV.NXT.
    pub(in crate::tcp) fn is_sacked_edge(&self, seq: SeqNumber) -> bool {
        // FIN lies behind all bytes that are here, and has a block of its own if it touches none.
        let fin = self.fin_offset.known().filter(|fin| *fin > self.anchor.offset);
        let last = self.assembler.as_deref().and_then(|a| a.intervals().last());
        let edge = fin.map(|fin| fin + 1).or(last.map(|last| last.end));
        edge.is_some_and(|edge| self.anchor.seq_of(edge) == seq)
    }

    /// Output: SACK blocks for the next segment (RFC 2018 §4), for which it has `room` bytes: a duplicate first, told once
    /// (RFC 2883 §4).
    pub(in crate::tcp) fn sack_blocks(&mut self, options: &Negotiated, room: u32) -> SackBlocks {
        let mut blocks = SackBlocks::default();
        let fit = (room.saturating_sub(SACK_HEADER_LEN) / SACK_BLOCK_LEN) as usize;
        if fit == 0 {
            return blocks;
        }
        if let Some(assembler) =
            self.assembler.as_mut().filter(|_| options.sack || planted::is(Bug::SackUnasked))
        {
            let mut max = fit.min(sack_blocks_max(options));
            max = if planted::is(Bug::TwoBlocks) { 2 } else { max };
            let (left, right) = core::mem::take(&mut assembler.duplicate);
            if left != right {
                blocks.push(left, right);
                max -= 1;
            }
            // FIN takes the number behind the last byte.
            let fin = self.fin_offset.known().filter(|_| !planted::is(Bug::FinNotSacked));
            let beyond = fin.filter(|fin| *fin > self.anchor.offset);
            assembler.sack_blocks(max, beyond, |interval| {
                let end = interval.end + u64::from(fin == Some(interval.end));
                blocks.push(self.anchor.seq_of(interval.start), self.anchor.seq_of(end));
            });
        }
        blocks
    }

    /// Getter: bytes of options that [`RecvBuffer::sack_blocks`] takes of a segment that has room for all that may be told.
    #[inline]
    pub(in crate::tcp) fn sack_len(&self, options: &Negotiated) -> u32 {
        match self.assembler.as_deref() {
            Some(assembler) if options.sack => self.len_of_blocks(assembler, options),
            Some(_) | None => 0,
        }
    }

    fn len_of_blocks(&self, assembler: &Assembler, options: &Negotiated) -> u32 {
        let last = assembler.intervals().last().map(|last| last.end);
        let fin = self.fin_offset.known().filter(|fin| *fin > self.anchor.offset);
        let lone = fin.is_some() && fin != last;
        let duplicate = assembler.duplicate.0 != assembler.duplicate.1;
        let blocks = assembler.intervals().len() + usize::from(lone) + usize::from(duplicate);
        match blocks.min(sack_blocks_max(options)) as u32 {
            0 => 0,
            blocks => SACK_HEADER_LEN + blocks * SACK_BLOCK_LEN,
        }
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        // The anchor is rcv_nxt, but for the peer's FIN.
        let fin_taken = self.rcv_nxt == self.anchor.seq + 1;
        (self.rcv_nxt == self.anchor.seq || fin_taken)
            && self.anchor.offset < 1 << 62
            && self.rcv_adv.distance_from(self.rcv_nxt) <= 1 << 30
            && self.fin_offset.known().is_none_or(|end| end >= self.stored_end() && end < 1 << 62)
            && self.assembler.as_ref().is_none_or(|a| a.is_valid(self.anchor.offset))
            && self.autotune.as_ref().is_none_or(|tune| tune.is_valid())
            && (self.autotune.is_some() || !self.choked)
            && self.pace.is_valid()
    }
}

/// Bytes of a SACK option with what aligns it, and of each of its blocks (RFC 2018 §3).
const SACK_HEADER_LEN: u32 = 4;
const SACK_BLOCK_LEN: u32 = 8;

/// Most blocks that the 40 bytes of options have room for (RFC 2018 §3).
const fn sack_blocks_max(options: &Negotiated) -> usize {
    if options.timestamps { 3 } else { 4 }
}

/// What the rings say, asked once.
#[derive(Clone, Copy)]
struct Rings {
    /// One past the highest offset that may be promised.
    limit: u64,
    /// RCV.BUFF: what may lie unread.
    capacity: u64,
}

impl Rings {
    /// What is held back so that rounding a window up to the next unit of the scale stays possible.
    #[inline]
    fn slack(self, scale: u8) -> u64 {
        if scale == 0 { 0 } else { (SLACK_UNITS << scale).min(self.capacity / 8) }
    }
}

/// Received payload, in the slices of the frame's memory it lies in.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Payload<'a> {
    pub(in crate::tcp) slices: &'a [&'a [u8]],
    /// Bytes of the slices in front of the first that counts.
    pub(in crate::tcp) skip: u32,
    /// Bytes that count.
    pub(in crate::tcp) len: u32,
}

impl Payload<'_> {
    /// Copies the bytes with the offsets `from .. to` into the ring; `start` is the first byte's offset.
    fn copy_in(
        &self,
        from: u64,
        to: u64,
        start: u64,
        io: &mut impl StreamIo,
    ) -> Result<(), RingError> {
        let mut skip = usize::try_from(from - start).unwrap_or(usize::MAX);
        skip = skip.saturating_add(self.skip as usize);
        let mut offset = from;
        for slice in self.slices {
            if offset >= to {
                break;
            }
            let rest = slice.get(skip..).unwrap_or(&[]);
            skip = skip.saturating_sub(slice.len());
            let wanted = usize::try_from(to - offset).unwrap_or(usize::MAX);
            let part = rest.get(..wanted).unwrap_or(rest);
            if !part.is_empty() {
                io.rx_copy_in(offset, part)?;
                offset += part.len() as u64;
            }
        }
        // Fewer bytes than `payload_len` claims: what is missing was not received.
        if offset < to { Err(RingError::OutOfRange) } else { Ok(()) }
    }
}
