//! A box between two hosts that changes what passes, and forges what does not.

use std::collections::VecDeque;
use std::rc::Rc;

use causeway_core::nic::{MacAddr, Nic};
use causeway_core::rng::Stream;
use causeway_core::time::Instant;
use causeway_sim::frame::SimFrame;
use causeway_sim::nic::{NicConfig, NicPort, SimNic};
use causeway_sim::packet::{Flags, Packet};
use causeway_sim::world::HostEngine;

/// What it does; each with its own random subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// SYNs lose options, some of them only now and then, and their MSS is rewritten.
    Options,
    /// Segments are cut in two.
    Split,
    /// Of pure acknowledgements every second is dropped.
    ThinAcks,
    /// RST, SYN, data and acknowledgements are forged, near the numbers in use.
    Forge,
    /// Routers say that packets are too big, and mean it.
    TooBig,
    /// Packets that can be marked are, now and then; others lose their marks.
    Marks,
}

impl Meddling {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Options, Self::Split, Self::ThinAcks, Self::Forge, Self::TooBig, Self::Marks];
}

const IP: usize = 14;
const TCP: usize = 34;

/// The box: what comes at one NIC leaves by the other.
pub struct Middlebox {
    nics: [SimNic; 2],
    out: [VecDeque<SimFrame>; 2],
    meddling: Meddling,
    random: Stream,
    drawn: u64,
}

impl Middlebox {
    /// A box whose decisions come from `seed`, and the link-facing halves of its NICs.
    pub fn new(seed: u64, meddling: Meddling) -> (Self, [Rc<NicPort>; 2]) {
        let make = |last| SimNic::new(&NicConfig::new(MacAddr([2, 0, 0, 0, 1, last])));
        let ((nic_a, port_a), (nic_b, port_b)) = (make(1), make(2));
        let random = Stream::new(seed, 77);
        let out = [VecDeque::new(), VecDeque::new()];
        (Self { nics: [nic_a, nic_b], out, meddling, random, drawn: 0 }, [port_a, port_b])
    }

    /// One of `n`.
    fn draw(&mut self, n: u64) -> u64 {
        self.drawn += 1;
        self.random.at(self.drawn) % n
    }

    fn push(&mut self, side: usize, bytes: &[u8]) {
        if let Some(mut frame) = self.nics[side].alloc(bytes.len()) {
            frame.bytes_mut().copy_from_slice(bytes);
            self.out[side].push_back(frame);
        }
    }

    /// `frame` came from the other side, and is to leave by `side`.
    fn pass(&mut self, side: usize, frame: &[u8]) {
        let mut bytes = frame.to_vec();
        let Some((flags, payload)) = tcp(frame) else { return self.push(side, frame) };
        match self.meddling {
            Meddling::Options if flags.has(Flags::SYN) => self.strip(&mut bytes),
            Meddling::Options => {}
            Meddling::Split if payload.len() > 2 && flags.0 & Flags::SYN.0 == 0 => {
                return self.split(side, frame, payload);
            }
            Meddling::Split => {}
            Meddling::ThinAcks => {
                let odd = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0;
                if payload.is_empty() && flags.0 & odd == 0 && self.draw(2) == 0 {
                    return;
                }
            }
            Meddling::Forge => self.forge(side, frame),
            Meddling::TooBig => {
                if bytes.len() - IP > 1_100 && flags.has(Flags::ACK) {
                    return self.refuse(1 - side, frame);
                }
            }
            Meddling::Marks => {
                let marked = if self.draw(40) == 0 { 0 } else { 3 };
                if bytes[IP + 1] & 3 != 0 && self.draw(25) == 0 {
                    bytes[IP + 1] = bytes[IP + 1] & !3 | marked;
                }
            }
        }
        repair(&mut bytes);
        self.push(side, &bytes);
    }

    /// Options become NOPs.
    fn strip(&mut self, bytes: &mut [u8]) {
        let end = TCP + usize::from(bytes[TCP + 12] >> 4) * 4;
        let mut at = TCP + 20;
        while at + 1 < end && bytes[at] != 0 {
            let (kind, len) = (bytes[at], usize::from(bytes[at + 1]));
            if kind == 1 || len < 2 {
                at += 1;
                continue;
            }
            if matches!(kind, 3 | 4 | 8) && self.draw(3) == 0 {
                bytes[at..at + len].fill(1);
            }
            if kind == 2 && self.draw(2) == 0 {
                bytes[at + 2..at + 4].copy_from_slice(&900_u16.to_be_bytes());
            }
            at += len;
        }
    }

    fn split(&mut self, side: usize, frame: &[u8], payload: std::ops::Range<usize>) {
        let cut = payload.start + 1 + self.draw(payload.len() as u64 - 1) as usize;
        let mut first = frame[..cut].to_vec();
        first[TCP + 13] &= !(Flags::FIN.0 | Flags::PSH.0);
        let mut second = [&frame[..payload.start], &frame[cut..payload.end]].concat();
        add(&mut second, TCP + 4, (cut - payload.start) as u32);
        for part in [&mut first, &mut second] {
            let len = (part.len() - IP) as u16;
            part[IP + 2..IP + 4].copy_from_slice(&len.to_be_bytes());
            repair(part);
            self.push(side, part);
        }
    }

    /// A segment from beside the path, for the receiver of `frame`.
    fn forge(&mut self, side: usize, frame: &[u8]) {
        if self.draw(30) != 0 {
            return;
        }
        let mut forged = frame.to_vec();
        let near = self.draw(200_000) as u32;
        add(&mut forged, TCP + 4, near.wrapping_sub(100_000));
        let kind = self.draw(4) as usize;
        let flags = [Flags::RST.0, Flags::SYN.0, Flags::ACK.0, Flags::RST.0 | Flags::ACK.0][kind];
        forged[TCP + 13] = flags;
        if self.draw(3) == 0 {
            add(&mut forged, TCP + 8, near);
        }
        // Data would be other data: it stays away from what the receiver may take.
        let header = TCP + usize::from(forged[TCP + 12] >> 4) * 4;
        forged.truncate(header);
        let len = (forged.len() - IP) as u16;
        forged[IP + 2..IP + 4].copy_from_slice(&len.to_be_bytes());
        repair(&mut forged);
        self.push(side, &forged);
    }

    /// The sender of `frame` is told that it is too big.
    fn refuse(&mut self, side: usize, frame: &[u8]) {
        let mut error = [&frame[6..12], &frame[..6], &[8, 0]].concat();
        error.extend([0x45, 0, 0, 56, 0, 0, 0x40, 0, 64, 1, 0, 0]);
        error.extend(&frame[IP + 16..IP + 20]);
        error.extend(&frame[IP + 12..IP + 16]);
        error.extend([3, 4, 0, 0, 0, 0, 0x04, 0x4c]);
        error.extend(&frame[IP..IP + 28]);
        let sum = checksum(&[&error[TCP..]]);
        error[TCP + 2..TCP + 4].copy_from_slice(&sum);
        repair(&mut error);
        self.push(side, &error);
    }
}

impl HostEngine for Middlebox {
    fn step(&mut self, _: Instant) -> Option<Instant> {
        let mut received: Vec<SimFrame> = Vec::new();
        for from in 0..2 {
            while self.nics[from].rx_burst(&mut received, 32) > 0 {}
            for frame in received.drain(..) {
                self.pass(1 - from, frame.bytes());
            }
        }
        for (nic, out) in self.nics.iter_mut().zip(&mut self.out) {
            while nic.tx_burst(out) > 0 {}
            // What does not fit is lost, as in any box.
            out.clear();
        }
        None
    }
}

/// The flags and payload of a TCP segment over IPv4 that is whole.
fn tcp(frame: &[u8]) -> Option<(Flags, std::ops::Range<usize>)> {
    let packet = Packet::parse(frame).ok()?;
    let plain = packet.ip()?.is_v4() && packet.ip()?.payload_at == TCP;
    // What was damaged passes as it is: a checksum made right would make the damage true.
    let whole = plain && packet.checksums_right();
    Some((packet.tcp().filter(|_| whole)?.flags, packet.payload_range()))
}

fn add(bytes: &mut [u8], at: usize, more: u32) {
    let field: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
    let sum = u32::from_be_bytes(field).wrapping_add(more);
    bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
}

fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    (!(sum as u16)).to_be_bytes()
}

/// Right checksums of IPv4 and TCP.
fn repair(bytes: &mut [u8]) {
    bytes[IP + 10..IP + 12].fill(0);
    let sum = checksum(&[&bytes[IP..TCP]]);
    bytes[IP + 10..IP + 12].copy_from_slice(&sum);
    let end = IP + usize::from(u16::from_be_bytes([bytes[IP + 2], bytes[IP + 3]]));
    if bytes[IP + 9] == 6 {
        bytes[TCP + 16..TCP + 18].fill(0);
        let [high, low] = ((end - TCP) as u16).to_be_bytes();
        let sum = checksum(&[&bytes[IP + 12..TCP], &[0, 6, high, low], &bytes[TCP..end]]);
        bytes[TCP + 16..TCP + 18].copy_from_slice(&sum);
    }
}
