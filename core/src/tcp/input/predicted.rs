//! Header prediction: the next segment in order, or an acknowledgement that makes progress, with nothing else to it.

use super::super::connection::{Connection, clock_s};
use super::super::disposition::Disposition;
use super::super::ecn::Ecn;
use super::super::event::Events;
use super::super::more::More;
use super::super::recovery::Phase;
use super::super::recv_buffer::AckDue;
use super::super::state::State;
use super::SegmentIn;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::tcp::SeqNumber;
use crate::time::Instant;
use crate::wire::tcp::{SackBlocks, TcpFlags, Timestamps};

/// The header of a segment without options, or with timestamps only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainHeader {
    /// Sequence number of the first byte.
    pub seq: SeqNumber,
    /// Next sequence number expected.
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: TcpFlags,
    /// The window field, unscaled.
    pub window: u16,
    /// Timestamps (RFC 7323 §3).
    pub timestamps: Option<Timestamps>,
}

impl PlainHeader {
    /// Getter: ACK and nothing else but PSH.
    pub const fn is_plain(&self) -> bool {
        self.flags.0 | TcpFlags::PSH.0 == TcpFlags::ACK.0 | TcpFlags::PSH.0
    }
}

impl Connection {
    /// The short way for a segment that was parsed in full. `None`: the long way.
    pub(in crate::tcp) fn predicted(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Option<Disposition> {
        let header = segment.header;
        if header.options.sack.len > 0 {
            return None;
        }
        let plain = PlainHeader {
            seq: header.seq,
            ack: header.ack,
            flags: header.flags,
            window: header.window,
            timestamps: header.options.timestamps,
        };
        let mut run = self.begin_run(segment.ecn)?;
        if !self.fits(&run, &plain, segment.payload_len) {
            return None;
        }
        let SegmentIn { payload, payload_len, gso_size, .. } = *segment;
        let taken = self.take(&mut run, &plain, payload, payload_len, || gso_size, io);
        self.end_run(now, &run, io);
        Some(if taken { Disposition::Accept } else { Disposition::Ignore })
    }

    /// Getter: segments of this connection whose ECN field is `ecn` may come in a run: it is in ESTABLISHED or half closed, one side of it
    /// having sent all and its FIN, and nothing is out of the ordinary. `None`: each goes the long way.
    #[inline(always)]
    pub fn begin_run(&self, ecn: Ecn) -> Option<SegmentRun> {
        if planted::is(Bug::WaitsForPush) {
            return None;
        }
        if !matches!(self.state, State::Established | State::FinWait2 | State::CloseWait)
            || self.snd.snd_wnd == 0
            || self.recovery.phase != Phase::Open
            || self.snd.more == More::Held
            || self.ecn.is_looked_at(ecn)
        {
            return None;
        }
        Some(SegmentRun {
            ack: self.snd.snd_una,
            window: 0,
            last_seq: self.snd.snd_wl1,
            timestamp: self.rcv.ts_recent,
            echo: 0,
            recent: None,
            stored: false,
            segments: 0,
            data_segments: 0,
            acks: 0,
            takes_data: !self.flags.reader.is_gone()
                && !self.resets_late_data()
                && !self.rcv.choked
                && !self.rcv.has_gap()
                && !self.rcv.fin_offset.is_known(),
        })
    }

    /// Getter: the segment is what comes next in the run: in order, and with an acknowledgement that is no older. A bare one has
    /// to make progress. Asked before the checksum is known to be right.
    #[inline(always)]
    pub fn fits(&self, run: &SegmentRun, header: &PlainHeader, payload_len: u32) -> bool {
        if !header.is_plain() || header.seq != self.rcv.rcv_nxt || header.window == 0 {
            return false;
        }
        if self.options.timestamps {
            let Some(Timestamps { value, .. }) = header.timestamps else { return false };
            if value.wrapping_sub(run.timestamp).cast_signed() < 0 {
                return false;
            }
        }
        // Modulo 2^32, like every comparison of sequence numbers: how far the acknowledgement goes.
        let progress = header.ack.0.wrapping_sub(run.ack.0);
        if progress > self.snd.snd_max.0.wrapping_sub(run.ack.0) {
            return false;
        }
        if payload_len == 0 {
            return progress > 0;
        }
        run.takes_data && payload_len <= self.rcv.rcv_wnd()
    }

    /// Input: a segment of which [`Connection::fits`] says that it is next, with its payload in `payload_len` bytes of slices; its
    /// checksum is right. `gso_size` is [`SegmentIn::gso_size`], asked for where it may say something. What the segment acknowledges is
    /// taken by [`Connection::end_run`]. False: the payload could not be stored. It is not acknowledged then, so it comes again.
    #[inline(always)]
    pub fn take(
        &mut self,
        run: &mut SegmentRun,
        header: &PlainHeader,
        payload: &[&[u8]],
        payload_len: u32,
        gso_size: impl FnOnce() -> u16,
        io: &mut impl StreamIo,
    ) -> bool {
        self.note(run, header);
        if payload_len == 0 {
            return true;
        }
        run.data_segments += 1;
        let stored = self.rcv.store_next(payload, payload_len, io).is_ok();
        if stored {
            run.stored = true;
            self.rcv.note_in_order(payload_len, gso_size, || self.options.mss());
        }
        stored
    }

    /// Input: like [`Connection::take`], for a segment whose checksum is not known to be right, with a payload: `store` puts it at an
    /// offset of the stream, and tells whether it fits and the checksum is right. False: nothing happened.
    #[inline(always)]
    pub fn take_summed<I: StreamIo>(
        &mut self,
        run: &mut SegmentRun,
        header: &PlainHeader,
        payload_len: u32,
        store: impl FnOnce(&mut I, u64) -> bool,
        gso_size: impl FnOnce() -> u16,
        io: &mut I,
    ) -> bool {
        // What lies behind the in-order edge is not the application's, and nothing is beyond a gap that it could spoil.
        if !store(io, self.rcv.anchor.offset) {
            return false;
        }
        self.note(run, header);
        run.data_segments += 1;
        run.stored = true;
        self.rcv.advance(u64::from(payload_len), io);
        self.rcv.note_in_order(payload_len, gso_size, || self.options.mss());
        true
    }

    #[inline(always)]
    fn note(&self, run: &mut SegmentRun, header: &PlainHeader) {
        run.segments += 1;
        run.acks += u32::from(header.ack != run.ack);
        run.ack = header.ack;
        run.window = header.window;
        run.last_seq = header.seq;
        if let Some(timestamps) = header.timestamps.filter(|_| self.options.timestamps) {
            run.timestamp = timestamps.value;
            run.echo = timestamps.echo;
            // RFC 7323 §4.3 (2): only by a segment that the last acknowledgement asked for.
            if header.seq <= self.rcv.last_ack_sent {
                run.recent = Some(timestamps.value);
            }
        }
    }

    /// Input: the run is over: what its segments acknowledge together, and what they led to. False: no deadline is earlier than it
    /// was.
    #[inline(always)]
    pub fn end_run(&mut self, now: Instant, run: &SegmentRun, io: &mut impl StreamIo) -> bool {
        let progress = run.ack != self.snd.snd_una;
        self.counters.count_received(run.segments, run.data_segments);
        if progress && !self.take_plain_ack(now, run.ack, run.acks, io) {
            let timestamps = Some(Timestamps { value: run.timestamp, echo: run.echo });
            self.take_ack(now, run.ack, timestamps, &SackBlocks::NONE, false, io);
        }
        self.update_send_window(run.last_seq, run.ack, run.window);
        self.counters.probes = 0;
        self.counters.last_rx = now;
        if let Some(recent) = run.recent {
            self.rcv.ts_recent = recent;
            self.rcv.ts_recent_s = clock_s(now);
        }
        if run.stored {
            self.rcv.acknowledge_in_order();
            self.data_arrived(now, run.data_segments);
            self.events.raise(Events::READABLE);
            self.delay_ack(now);
            // The last one's length; none, if that was a bare acknowledgement.
            let len = self.rcv.rcv_nxt.0.wrapping_sub(run.last_seq.0);
            let timestamps = Timestamps { value: run.timestamp, echo: run.echo };
            self.tune_receive(now, Some(timestamps), len, io);
        }
        progress || self.rcv.ack_due == AckDue::Delayed
    }
}

/// Segments of one connection that were predicted, one after the other, and what they say together.
#[derive(Clone, Copy, Debug)]
pub struct SegmentRun {
    /// The acknowledgement and the window of the last one, and its sequence number.
    ack: SeqNumber,
    window: u16,
    last_seq: SeqNumber,
    /// Its timestamps, and what TS.Recent is to be.
    timestamp: u32,
    echo: u32,
    recent: Option<u32>,
    segments: u32,
    data_segments: u32,
    /// Acknowledgements that made progress.
    acks: u32,
    /// Payload may be stored in order.
    takes_data: bool,
    /// Some was.
    stored: bool,
}
