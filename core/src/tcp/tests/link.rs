//! The link between two connections, and rings in plain memory.

use std::collections::BTreeMap;
use std::vec::Vec;

use crate::port::{RingError, StreamIo};
use crate::rng::Stream;
use crate::tcp::{Ecn, SegmentOut};
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// Rings of one end. TX keeps everything, so that a test can compare streams.
#[derive(Clone, Debug, Default)]
pub struct MemoryIo {
    pub tx: Vec<u8>,
    pub released: u64,
    pub rx: Vec<u8>,
    pub rx_capacity: u64,
    pub consumed: u64,
    pub committed: u64,
    pub gone: bool,
}

impl MemoryIo {
    pub fn new(rx_capacity: u64) -> Self {
        Self { rx_capacity, ..Self::default() }
    }
}

impl StreamIo for MemoryIo {
    fn tx_end(&self) -> u64 {
        self.tx.len() as u64
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        let at = offset as usize;
        dst.copy_from_slice(&self.tx[at..at + dst.len()]);
        0
    }

    fn tx_release(&mut self, offset: u64) {
        assert!(offset >= self.released && offset <= self.tx_end());
        self.released = offset;
    }

    fn rx_limit(&self) -> u64 {
        if self.gone { 0 } else { self.consumed + self.rx_capacity }
    }

    fn rx_consumed(&self) -> u64 {
        self.consumed
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let end = offset + src.len() as u64;
        assert!(offset >= self.committed, "in-order bytes are never written again");
        if end > self.rx_limit() {
            return Err(RingError::OutOfRange);
        }
        if self.rx.len() < end as usize {
            self.rx.resize(end as usize, 0);
        }
        self.rx[offset as usize..end as usize].copy_from_slice(src);
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        assert!(offset >= self.committed && offset <= self.rx.len() as u64);
        self.committed = offset;
    }
}

/// A segment under way.
#[derive(Clone, Debug)]
pub struct InFlight {
    pub to: usize,
    pub header: TcpHeader,
    pub payload: Vec<u8>,
    pub ecn: Ecn,
}

/// Both directions of a link.
#[derive(Clone, Debug)]
pub struct Link {
    pub delay: Duration,
    /// Bits a microsecond (Mbit/s) of each direction; 0 for no limit. What does not fit waits, and nothing is dropped for it.
    pub rate_bit_us: u64,
    /// When either direction is free again.
    free_at: [Instant; 2],
    pub loss_ppm: u32,
    pub duplicate_ppm: u32,
    pub reorder_ppm: u32,
    /// What a reordered segment is late by, at most.
    pub reorder_us_max: u64,
    pub rng: Stream,
    pub queue: BTreeMap<(Instant, u64), InFlight>,
    /// Transmissions of payload, counted from 0, by end 0, to be dropped.
    pub drop_data: Vec<u64>,
    pub data_sent: u64,
    /// Transmissions of payload, counted likewise, that meet congestion.
    pub mark_data: Vec<u64>,
    /// SYNs that ask for ECN are dropped.
    pub drops_ecn_syn: bool,
    /// What is longer than that behind a bare TCP header is swallowed.
    pub swallows_above: usize,
    /// The ECN field is cleared on the way.
    pub bleaches: bool,
    count: u64,
}

impl Link {
    pub fn new(seed: u64) -> Self {
        Self {
            delay: Duration::from_millis(10),
            rate_bit_us: 0,
            free_at: [Instant::ZERO; 2],
            loss_ppm: 0,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            reorder_us_max: 20_000,
            rng: Stream::new(seed, 1),
            queue: BTreeMap::new(),
            drop_data: Vec::new(),
            data_sent: 0,
            mark_data: Vec::new(),
            drops_ecn_syn: false,
            swallows_above: usize::MAX,
            bleaches: false,
            count: 0,
        }
    }

    /// Cuts `segment` as a NIC would and puts the parts under way.
    pub fn send(&mut self, now: Instant, from: usize, segment: &SegmentOut, io: &MemoryIo) {
        let mut payload = std::vec![0; segment.payload_len as usize];
        io.tx_copy_out_sum(segment.payload_offset, &mut payload);
        let size = match segment.gso_size {
            0 => payload.len().max(1),
            size => usize::from(size),
        };
        let parts = payload.chunks(size).count().max(1);
        for part in 0..parts {
            let mut header = segment.header;
            header.seq += (part * size) as u32;
            if part + 1 < parts {
                header.flags.0 &= !(TcpFlags::FIN.0 | TcpFlags::PSH.0);
            }
            let chunk = payload.chunks(size).nth(part).unwrap_or(&[]).to_vec();
            self.put(now, InFlight { to: 1 - from, header, payload: chunk, ecn: segment.ecn });
        }
    }

    /// When the last bit of `segment` has left.
    fn leaves_at(&mut self, now: Instant, segment: &InFlight) -> Instant {
        if self.rate_bit_us == 0 {
            return now;
        }
        // Ethernet and IPv4 headers, preamble and gap.
        let bytes = (segment.payload.len() + segment.header.header_len() + 58) as u64;
        let free_at = &mut self.free_at[segment.to];
        *free_at = now.max(*free_at) + Duration::from_nanos(bytes * 8_000 / self.rate_bit_us);
        *free_at
    }

    fn put(&mut self, now: Instant, mut segment: InFlight) {
        let flags = segment.header.flags;
        if self.drops_ecn_syn && flags.contains(TcpFlags(TcpFlags::SYN.0 | TcpFlags::CWR.0)) {
            return;
        }
        if segment.header.header_len() - 20 + segment.payload.len() > self.swallows_above {
            return;
        }
        if self.bleaches {
            segment.ecn = Ecn::NotEct;
        }
        if segment.to == 1 && !segment.payload.is_empty() {
            let number = self.data_sent;
            self.data_sent += 1;
            if self.drop_data.contains(&number) {
                return;
            }
            if self.mark_data.contains(&number) && segment.ecn != Ecn::NotEct {
                segment.ecn = Ecn::Ce;
            }
        }
        if self.rng.chance_ppm(self.loss_ppm) {
            return;
        }
        let copies = if self.rng.chance_ppm(self.duplicate_ppm) { 2 } else { 1 };
        for _ in 0..copies {
            let mut at = self.leaves_at(now, &segment) + self.delay;
            if self.rng.chance_ppm(self.reorder_ppm) {
                at += Duration::from_micros(self.rng.below(self.reorder_us_max));
            }
            self.count += 1;
            self.queue.insert((at, self.count), segment.clone());
        }
    }
}
