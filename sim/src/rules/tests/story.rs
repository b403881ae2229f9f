//! A capture in the making: segments with offsets from their SYN, times and timestamps of their own.

use causeway_core::time::{Duration, Instant};

use super::frame::{ACK, SYN, V4, addresses};
use crate::content;
use crate::packet::Packet;
use crate::rules::{HostRules, WireRules};

/// First numbers.
const ISS: u32 = 0xffff_fc00;
const IRS: u32 = 77_000;
/// The scales that both sides offer.
const SCALE: u8 = 7;

/// A segment: whose, flags, offset of its number, of its acknowledgement, bytes of payload.
#[derive(Clone, Debug)]
pub(super) struct Seg {
    mine: bool,
    pub(super) flags: u8,
    pub(super) seq: i64,
    ack: i64,
    len: usize,
    window: u16,
    options: Option<Vec<u8>>,
    stamps: Option<(u32, u32)>,
    flow: u64,
    iss: u32,
    irs: u32,
    tweak: fn(&mut V4),
    spoil: fn(&mut Vec<u8>),
}

fn seg(mine: bool, flags: u8, seq: i64, ack: i64, len: usize) -> Seg {
    let window = if flags & SYN != 0 { 30_000 } else { 500 };
    let (options, stamps) = (None, None);
    let (iss, irs) = (ISS, IRS);
    Seg {
        mine,
        flags,
        seq,
        ack,
        len,
        window,
        options,
        stamps,
        flow: 1,
        iss,
        irs,
        tweak: |_| {},
        spoil: |_| {},
    }
}

/// A segment of the host that is judged.
pub(super) fn host(flags: u8, seq: i64, ack: i64, len: usize) -> Seg {
    seg(true, flags, seq, ack, len)
}

/// A segment of its peer.
pub(super) fn peer(flags: u8, seq: i64, ack: i64, len: usize) -> Seg {
    seg(false, flags, seq, ack, len)
}

impl Seg {
    pub(super) fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// Exactly these options.
    pub(super) fn options(mut self, options: &[u8]) -> Self {
        self.options = Some(options.to_vec());
        self
    }

    /// These timestamps.
    pub(super) fn stamps(mut self, value: u32, echo: u32) -> Self {
        self.stamps = Some((value, echo));
        self
    }

    /// Other content.
    pub(super) fn flow(mut self, flow: u64) -> Self {
        self.flow = flow;
        self
    }

    /// Other first numbers: the host's and the peer's.
    pub(super) fn numbers(mut self, iss: u32, irs: u32) -> Self {
        (self.iss, self.irs) = (ISS.wrapping_add(iss), IRS.wrapping_add(irs));
        self
    }

    /// A change of the packet before its checksums.
    pub(super) fn tweak(mut self, tweak: fn(&mut V4)) -> Self {
        self.tweak = tweak;
        self
    }

    /// A change of the frame after its checksums.
    pub(super) fn spoil(mut self, spoil: fn(&mut Vec<u8>)) -> Self {
        self.spoil = spoil;
        self
    }

    /// SACK blocks, as offsets of the receiver's numbers.
    pub(super) fn sack(self, blocks: &[(u32, u32)]) -> Seg {
        let first = if self.mine { self.irs } else { self.iss };
        let mut options = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
        for (left, right) in blocks {
            options.extend(first.wrapping_add(*left).to_be_bytes());
            options.extend(first.wrapping_add(*right).to_be_bytes());
        }
        self.options(&options)
    }
}

/// What has happened so far.
pub(super) struct Story {
    pub(super) rules: WireRules,
    pub(super) now: Instant,
    /// Whether segments get timestamps.
    pub(super) stamped: bool,
    /// The last TSvals of host and peer.
    last: [u32; 2],
}

impl Story {
    pub(super) fn new() -> Self {
        Self::with(HostRules::new(addresses()))
    }

    pub(super) fn with(host: HostRules) -> Self {
        let now = Instant::from_nanos(5_000_000_000);
        Self { rules: WireRules::new(vec![host]), now, stamped: true, last: [0; 2] }
    }

    pub(super) fn ms(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// The segment passes the host's NIC.
    pub(super) fn pass(&mut self, seg: Seg) {
        let frame = self.frame(&seg);
        self.pass_frame(seg.mine, &frame);
    }

    pub(super) fn pass_frame(&mut self, mine: bool, frame: &[u8]) {
        let packet = Packet::parse(frame).expect("the frame can be read");
        if mine {
            self.rules.sent(self.now, 0, &packet);
        } else {
            self.rules.received(self.now, 0, &packet);
        }
    }

    pub(super) fn frame(&mut self, seg: &Seg) -> Vec<u8> {
        let (own, other) = if seg.mine { (seg.iss, seg.irs) } else { (seg.irs, seg.iss) };
        let ports: [u16; 2] = if seg.mine { [1_000, 2_000] } else { [2_000, 1_000] };
        let options = self.options(seg);
        let mut tcp = ports.map(u16::to_be_bytes).concat();
        tcp.extend(own.wrapping_add(seg.seq as u32).to_be_bytes());
        let acks = seg.flags & ACK != 0;
        let ack = if acks { other.wrapping_add(seg.ack as u32) } else { seg.ack as u32 };
        tcp.extend(ack.to_be_bytes());
        tcp.extend([(5 + options.len() as u8 / 4) << 4, seg.flags]);
        tcp.extend(seg.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(options);
        let mut payload = vec![0; seg.len];
        let from = seg.seq + i64::from(seg.flags & SYN != 0);
        content::fill(seg.flow, 0, from as u64, &mut payload);
        tcp.extend(payload);
        let mut packet = V4::new(seg.mine, 6, tcp);
        (seg.tweak)(&mut packet);
        if packet.protocol == 6 {
            packet = packet.summed(16, true);
        }
        let mut frame = packet.frame();
        (seg.spoil)(&mut frame);
        frame
    }

    fn options(&mut self, seg: &Seg) -> Vec<u8> {
        let clock = self.now.as_millis() as u32;
        let side = usize::from(!seg.mine);
        let value = clock + if seg.mine { 0 } else { 1_000_000 };
        let echo = if seg.flags & ACK != 0 { self.last[1 - side] } else { 0 };
        let (value, echo) = seg.stamps.unwrap_or((value, echo));
        if let Some(options) = &seg.options {
            return self.stamp(side, options.clone(), value, echo, seg);
        }
        let mut options = Vec::new();
        if seg.flags & SYN != 0 {
            options.extend([2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, SCALE]);
        }
        self.stamp(side, options, value, echo, seg)
    }

    fn stamp(
        &mut self,
        side: usize,
        mut options: Vec<u8>,
        value: u32,
        echo: u32,
        seg: &Seg,
    ) -> Vec<u8> {
        let reset = seg.flags & super::frame::RST != 0;
        if self.stamped && !reset && options.last() != Some(&0) {
            options.extend([1, 1, 8, 10]);
            options.extend(value.to_be_bytes());
            options.extend(echo.to_be_bytes());
            self.last[side] = value;
        }
        options
    }

    /// The host connects.
    pub(super) fn open(&mut self) {
        self.pass(host(SYN, 0, 0, 0));
        self.ms(5);
        self.pass(peer(SYN | ACK, 0, 1, 0));
        self.pass(host(ACK, 1, 1, 0));
        self.ms(100);
    }

    /// The host is connected to, and speaks `len` bytes, which are acknowledged.
    pub(super) fn accept(&mut self, len: usize) {
        self.pass(peer(SYN, 0, 0, 0));
        self.pass(host(SYN | ACK, 0, 1, 0));
        self.ms(5);
        self.pass(peer(ACK, 1, 1, 0));
        self.pass(host(ACK, 1, 1, len));
        self.ms(5);
        self.pass(peer(ACK, 1, 1 + len as i64, 0));
        self.ms(100);
    }

    /// `len` bytes of the host are acknowledged, so that its window is open.
    pub(super) fn open_with(&mut self, len: usize) {
        self.open();
        self.pass(host(ACK, 1, 1, len));
        self.ms(5);
        self.pass(peer(ACK, 1, 1 + len as i64, 0));
        self.ms(100);
    }
}
