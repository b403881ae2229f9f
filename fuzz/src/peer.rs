//! The other end of a fuzzed connection: it makes segments out of a script, and watches what comes back.

use causeway_core::tcp::SeqNumber;
use causeway_core::time::Instant;
use causeway_core::wire::tcp::{FastOpenCookie, SackBlocks, TcpFlags, TcpHeader, Timestamps};

use crate::content::{self, Way};
use crate::script::{Points, Segment, Setup, Stamp};

/// The least MSS that a stack lets itself be told.
pub const MSS_LEAST: u32 = 48;
/// The most, and what it sends without GSO.
pub const MSS_MOST: u32 = 1_460;
/// Ends of records that are looked for: a few less than the stack remembers.
const RECORDS_MAX: usize = 1_000;
/// The greatest shift (RFC 7323 §2.3).
const SCALE_MAX: u8 = 14;

/// A peer that keeps to no rule.
#[derive(Clone, Debug)]
pub struct Peer {
    setup: Setup,
    /// Its initial sequence number.
    pub irs: SeqNumber,
    /// The stack's, once its SYN was seen.
    pub iss: Option<SeqNumber>,
    /// The greatest acknowledgement of the stack's: what it expects.
    pub expected: SeqNumber,
    /// The greatest right edge that the stack has told.
    edge: Option<SeqNumber>,
    /// One past the highest number that the stack has sent.
    seen: SeqNumber,
    /// The greatest number that the peer has acknowledged and that was sent.
    acked: SeqNumber,
    /// One past the highest number that the peer has sent, as a distance from `irs`.
    highest: u32,
    /// What the segment before had.
    before: (SeqNumber, SeqNumber),
    /// The shift of the stack's windows, and of the peer's.
    scales: (u8, u8),
    /// The stack sends timestamps.
    timestamps: bool,
    /// The latest of the stack's timestamps.
    echo: u32,
    /// The greatest window that the peer ever told, in bytes.
    window_max: u32,
    window: u16,
    /// The stack's SYN may have data, of which so many bytes were there.
    syn_data: Option<u32>,
    /// The greatest right edge of the stack's SACK blocks.
    pub told: Option<SeqNumber>,
    /// One past what the SYN carried.
    syn_end: SeqNumber,
    /// The SYN was seen more than once.
    syn_again: bool,
    /// A SYN with other numbers was sent: what answers it is another connection's.
    other_syn: bool,
    /// Where the application's records end that no segment may reach across, and the texts seen since they were looked at.
    records: Vec<u32>,
    texts: Vec<(u32, u32)>,
    /// The stack sent RST, or began another connection: this peer has nothing more to say about it.
    pub is_over: bool,
}

impl Peer {
    /// A peer that has not said a word yet.
    pub fn new(setup: &Setup) -> Self {
        let irs = SeqNumber(setup.irs.number());
        Self {
            setup: *setup,
            irs,
            iss: None,
            expected: irs,
            edge: None,
            seen: SeqNumber(0),
            acked: SeqNumber(0),
            highest: 0,
            before: (irs, SeqNumber(0)),
            scales: (0, 0),
            timestamps: false,
            echo: 0,
            window_max: u32::from(setup.window),
            window: setup.window,
            syn_data: None,
            told: None,
            syn_end: SeqNumber(0),
            syn_again: false,
            other_syn: false,
            records: Vec::new(),
            texts: Vec::new(),
            is_over: false,
        }
    }

    /// Output: its SYN with as much data as it has, or its SYN,ACK once it has seen one. `cookie`: what the host gives with Fast Open.
    pub fn syn(&mut self, now: Instant, cookie: FastOpenCookie) -> (TcpHeader, u32) {
        let mut header = TcpHeader {
            seq: self.irs,
            flags: TcpFlags::SYN,
            window: self.setup.window,
            ..TcpHeader::default()
        };
        if self.iss.is_some() {
            header.flags = TcpFlags::SYN.union(TcpFlags::ACK);
            header.ack = self.seen;
        }
        let len = self.fast_open(&mut header, cookie);
        header.options.mss = self.setup.mss;
        header.options.window_scale = self.setup.peer_scale;
        header.options.sack_permitted = self.setup.peer_sack;
        header.options.timestamps = self.setup.peer_timestamps.map(|_| self.stamp(now));
        self.sent(&header, len);
        (header, len)
    }

    /// What Fast Open adds to its SYN or SYN,ACK. The option takes the room of the others (RFC 9293 §3.1).
    fn fast_open(&mut self, header: &mut TcpHeader, cookie: FastOpenCookie) -> u32 {
        let Some(fast_open) = self.setup.fast_open else { return 0 };
        let Some(iss) = self.iss else {
            header.options.fast_open = fast_open.option(cookie);
            return fast_open.bytes();
        };
        if fast_open.granted {
            let bytes = cookie.bytes();
            header.options.fast_open = FastOpenCookie::new(bytes, fast_open.experimental);
        }
        let sent = self.seen.distance_from(iss + 1).cast_unsigned();
        header.ack = iss + 1 + u32::from(fast_open.taken).min(sent);
        0
    }

    /// Command: the stack's SYN may carry the first bytes of what its application has written.
    pub const fn allow_syn_data(&mut self, written: u32) {
        self.syn_data = Some(written);
    }

    /// Getter: nothing was sent of the stream from the byte before `offset` on: it can still end a record there.
    pub fn may_end_record(&self, offset: u64) -> bool {
        self.iss.is_some_and(|iss| offset as i64 > i64::from(self.seen.distance_from(iss + 1)))
    }

    /// Command: the application has ended a record at `offset`, and the stack has taken it.
    pub fn end_record(&mut self, offset: u64) {
        let Some(iss) = self.iss else { return };
        let acked = self.acked.distance_from(iss + 1);
        self.records.retain(|end| i64::from(*end) > i64::from(acked));
        if self.records.len() < RECORDS_MAX {
            self.records.push(offset as u32);
        }
    }

    /// Command: looks at the texts that have come since the last time. Panics when one reaches across the end of a record.
    pub fn look_at_texts(&mut self) {
        for (from, to) in self.texts.drain(..) {
            let cut = self.records.iter().find(|end| from < **end && **end < to);
            assert!(cut.is_none(), "{from} to {to} reaches across the end of a record: {cut:?}");
        }
    }

    /// Output: an acknowledgement of everything.
    pub fn acknowledgement(&mut self, now: Instant) -> TcpHeader {
        let mut header = TcpHeader {
            seq: self.expected,
            ack: self.seen,
            flags: TcpFlags::ACK,
            window: self.window,
            ..TcpHeader::default()
        };
        header.options.timestamps = self.timestamps.then(|| self.stamp(now));
        self.sent(&header, 0);
        header
    }

    /// Output: the segment that the script describes, and how many bytes of payload it has.
    pub fn segment(&mut self, now: Instant, segment: &Segment) -> (TcpHeader, u32) {
        let (seqs, acks) = self.points();
        let mss = seqs.mss;
        self.window = segment.window.unwrap_or(self.window);
        let mut header = TcpHeader {
            seq: segment.seq.resolve(&seqs),
            ack: segment.ack.resolve(&acks),
            flags: segment.flags.bits(),
            window: self.window,
            ..TcpHeader::default()
        };
        if let Some(pointer) = segment.urgent {
            header.flags = header.flags.union(TcpFlags::URG);
            header.urgent = pointer;
        }
        header.options.timestamps = match segment.stamp {
            Stamp::Right => self.timestamps.then(|| self.stamp(now)),
            Stamp::Missing => None,
            Stamp::Old(by) => {
                let Timestamps { value, echo } = self.stamp(now);
                Some(Timestamps { value: value.wrapping_sub(u32::from(by) << 4), echo })
            }
            Stamp::Any(value, echo) => Some(Timestamps { value, echo }),
        };
        if let Some(blocks) = segment.sack {
            let mut sack = SackBlocks::NONE;
            for (left, len) in blocks {
                let left = left.resolve(&Points { expected: header.ack + mss, ..acks });
                sack.push(left, left + u32::from(len));
            }
            header.options.sack = sack;
        }
        let len = segment.len.bytes(mss);
        self.sent(&header, len);
        (header, len)
    }

    /// Getter: the payload of a segment: what the stream holds there.
    pub fn payload(&self, header: &TcpHeader, len: u32) -> Vec<u8> {
        let mut payload = vec![0; len as usize];
        let syn = u32::from(header.flags.contains(TcpFlags::SYN));
        let first = (header.seq + syn).0.wrapping_sub(self.irs.0).wrapping_sub(1);
        // Modulo 2^32, as the content is: a hostile segment may begin before the stream does.
        content::fill(Way::In, u64::from(first), &mut payload);
        payload
    }

    fn points(&self) -> (Points, Points) {
        let mss = u32::from(self.setup.mss.unwrap_or(536)).clamp(MSS_LEAST, MSS_MOST);
        let seqs = Points {
            expected: self.expected,
            edge: self.edge.unwrap_or(self.expected),
            highest: self.irs + self.highest,
            initial: self.irs,
            before: self.before.0,
            mss,
        };
        let acks = Points {
            expected: self.seen,
            edge: self.acked,
            highest: self.seen,
            initial: self.iss.unwrap_or_default(),
            before: self.before.1,
            mss,
        };
        (seqs, acks)
    }

    fn stamp(&self, now: Instant) -> Timestamps {
        let start = self.setup.peer_timestamps.unwrap_or_default();
        let value = start.wrapping_add((now.as_nanos() / 1_000_000) as u32);
        Timestamps { value, echo: self.echo }
    }

    fn sent(&mut self, header: &TcpHeader, len: u32) {
        let syn = header.flags.contains(TcpFlags::SYN);
        let controls = u32::from(syn) + u32::from(header.flags.contains(TcpFlags::FIN));
        self.other_syn |= syn && header.seq != self.irs;
        self.before = (header.seq + len, header.ack);
        let end = (header.seq + len + controls).0.wrapping_sub(self.irs.0);
        if end < 1 << 31 {
            self.highest = self.highest.max(end);
        }
        let scale = if syn { 0 } else { self.scales.1 };
        self.window_max = self.window_max.max(u32::from(header.window) << scale);
        // By distances from what was acknowledged: a number may be just as far behind as ahead.
        let ahead = header.ack.0.wrapping_sub(self.acked.0);
        if header.flags.contains(TcpFlags::ACK) && ahead <= self.seen.0.wrapping_sub(self.acked.0) {
            self.acked = header.ack;
        }
    }

    /// Input: a segment of the stack's with a right checksum. Panics when it breaks a rule.
    pub fn see(&mut self, header: &TcpHeader, payload: &[u8], len: u32) {
        if header.flags.contains(TcpFlags::RST) {
            self.is_over = true;
            return;
        }
        if header.flags.contains(TcpFlags::SYN) {
            self.see_syn(header);
        }
        if self.is_over {
            return;
        }
        if let Some(timestamps) = header.options.timestamps {
            self.echo = timestamps.value;
        }
        self.see_text(header, payload, len);
        if header.flags.contains(TcpFlags::ACK) {
            self.see_acknowledgement(header);
        }
    }

    fn see_syn(&mut self, header: &TcpHeader) {
        if let Some(iss) = self.iss {
            // Other numbers, where it was listening: another connection, at the same moment with the same one of its own.
            let acks = header.flags.contains(TcpFlags::ACK);
            let taken = header.ack.0.wrapping_sub(self.irs.0);
            let own = (1..=self.highest).contains(&taken);
            self.is_over |= iss != header.seq || (acks && !own) || self.other_syn;
            self.syn_again = true;
            return;
        }
        self.iss = Some(header.seq);
        (self.seen, self.acked, self.syn_end) = (header.seq, header.seq, header.seq);
        let offered = header.options.window_scale.filter(|_| self.setup.peer_scale.is_some());
        if let Some(scale) = offered {
            assert!(scale <= SCALE_MAX);
            self.scales = (scale, self.setup.peer_scale.unwrap_or_default().min(SCALE_MAX));
        }
        self.timestamps =
            header.options.timestamps.is_some() && self.setup.peer_timestamps.is_some();
    }

    fn see_text(&mut self, header: &TcpHeader, payload: &[u8], len: u32) {
        let Some(iss) = self.iss else { return };
        let controls = u32::from(header.flags.contains(TcpFlags::SYN))
            + u32::from(header.flags.contains(TcpFlags::FIN));
        let end = header.seq + len + controls;
        if header.flags.contains(TcpFlags::SYN) && len > 0 {
            self.see_syn_data(header, payload, len);
            self.syn_end = end;
        } else if len > 0 {
            let first = header.seq.0.wrapping_sub(iss.0).wrapping_sub(1);
            assert!(first < 1 << 31, "bytes from before the stream");
            assert!(content::is_there(Way::Out, first.into(), payload), "other bytes were sent");
            self.texts.push((first, first + len));
            // What the SYN carried was sent before there was a window, and may come again (RFC 7413 §4.2.2).
            let limit = (self.acked.max(iss + 1) + self.window_max).max(self.syn_end);
            assert!(
                header.seq + len <= limit,
                "{len} bytes at {:?} beyond the peer's window, which ends at {limit:?}",
                header.seq
            );
        }
        if header.seq > self.seen {
            panic!("a gap between {:?} and {:?} was never sent", self.seen, header.seq);
        }
        self.seen = self.seen.max(end);
    }

    /// RFC 7413 §4.2: data on a SYN where that was asked for, and on the first one only (§4.1.3.1); never on a SYN,ACK of the
    /// stack's.
    fn see_syn_data(&self, header: &TcpHeader, payload: &[u8], len: u32) {
        assert!(!self.syn_again, "a SYN that comes again has data");
        assert!(!header.flags.contains(TcpFlags::ACK), "a SYN,ACK has data");
        let written = self.syn_data.unwrap_or_default();
        assert!(len <= written, "{len} bytes on a SYN, of {written}");
        assert!(content::is_there(Way::Out, 0, payload), "other bytes are on the SYN");
    }

    fn see_acknowledgement(&mut self, header: &TcpHeader) {
        let syn = header.flags.contains(TcpFlags::SYN);
        for (_, right) in header.options.sack.as_slice() {
            self.told = Some(self.told.map_or(*right, |told| told.max(*right)));
        }
        assert!(header.ack >= self.expected, "an acknowledgement was taken back");
        let taken = header.ack.0.wrapping_sub(self.irs.0);
        assert!(taken <= self.highest, "acknowledged what was never sent");
        self.expected = header.ack;
        let scale = if syn { 0 } else { self.scales.0 };
        let edge = header.ack + (u32::from(header.window) << scale);
        if let Some(before) = self.edge {
            // RFC 7323 §2.4: what the scale cuts off may be missing, less than one unit of it, when the rings are nearly
            // full, and from a SYN that comes again.
            let unit = 1 << self.scales.0;
            assert!(
                edge + (unit - 1) >= before,
                "the right edge of the window was retracted from {before:?} to {edge:?}"
            );
        }
        self.edge = Some(self.edge.map_or(edge, |before| before.max(edge)));
    }
}
