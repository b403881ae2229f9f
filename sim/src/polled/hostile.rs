//! What a program does to the memory of its channel that no library does: it dies in the midst of something, or writes what it likes.
//!
//! The memory is written through its descriptor, which every application has.

use std::os::fd::OwnedFd;

use causeway_channel::{AppChannel, Geometry, Places, proto};
use causeway_core::port::{Op, SocketId};
use causeway_core::rng::Stream;
use rustix::io::{pread, pwrite};

/// Separates these draws from those of a run.
const ENTITY: u64 = 0x0e00_0000;
/// Sockets of a host: those of others are worth a try.
const SOCKETS: u64 = 24;
const ENTRY_BYTES: u64 = 64;

struct Writer<'a> {
    memory: &'a OwnedFd,
    places: Places,
    draw: Stream,
}

impl<'a> Writer<'a> {
    fn new(geometry: &Geometry, memory: &'a OwnedFd, seed: u64) -> Self {
        Self { memory, places: geometry.places(), draw: Stream::new(seed, ENTITY) }
    }

    fn word(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        // Memory that is there can be read.
        let _ = pread(self.memory, &mut bytes, at);
        u32::from_le_bytes(bytes)
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let room = self.places.total.saturating_sub(at).min(bytes.len() as u64) as usize;
        let _ = pwrite(self.memory, &bytes[..room], at);
    }

    /// A value that somebody who knows the channel would write in place of `old`.
    fn value(&mut self, old: u32) -> u32 {
        match self.draw.below(6) {
            0 => self.draw.below(1 << 32) as u32,
            1 => self.draw.below(64) as u32,
            2 => u32::MAX - self.draw.below(3) as u32,
            3 => old ^ 1 << self.draw.below(32),
            4 => old.wrapping_sub(1 + self.draw.below(8) as u32),
            _ => old.wrapping_add(1 + self.draw.below(2_000) as u32),
        }
    }

    fn disturb(&mut self, at: u64) {
        let at = at & !3;
        let value = self.value(self.word(at));
        self.write(at, &value.to_le_bytes());
    }

    /// One place, drawn: mostly one that means something.
    fn scribble(&mut self) {
        let Places { lane, streams, tables, chunks, total, .. } = self.places;
        match self.draw.below(16) {
            0 => self.disturb_within(0, lane),
            // Indices and the armed word, each on a cache line of its own.
            1..=3 => {
                let line = self.draw.below(5);
                self.disturb(lane + 64 * line);
            }
            4..=5 => self.disturb_within(lane, streams),
            // Those of the first streams, which are in use.
            6..=9 => {
                let slot = self.draw.below(3);
                let field = [0, 4, 8, 12, 64, 72, 128, 136, 144, 192][self.draw.below(10) as usize];
                self.disturb(streams + 256 * slot + field);
            }
            10..=11 => self.disturb_within(tables, (tables + 4096).min(chunks)),
            12 => self.disturb_within(chunks, total),
            _ => self.forge(),
        }
    }

    fn disturb_within(&mut self, from: u64, until: u64) {
        let at = from + self.draw.below(until - from);
        self.disturb(at);
    }

    /// A command that nobody gave: of words that mean nothing, or about sockets of which some are others'.
    fn forge(&mut self) {
        let socket = SocketId {
            index: self.draw.below(SOCKETS) as u32,
            generation: self.draw.below(3) as u32,
        };
        let number = self.draw.below(1 << 20);
        let len = number as u32;
        let op = match self.draw.below(10) {
            0 => Op::Close { socket },
            1 => Op::Abort { socket },
            2 => Op::Kick { socket },
            3 => Op::ShutdownWrite { socket },
            4 => Op::ShutdownRead { socket },
            5 => Op::SendMessage { socket, offset: number, len, message: 1 },
            6 => Op::SendDatagram { socket, offset: number, len, remote: None },
            7 => Op::Accepted { listener: socket, count: len },
            8 => Op::Backlog { listener: socket, backlog: len },
            _ => Op::EndRecord { socket, offset: number },
        };
        let slot = (self.draw.below(2) == 0).then(|| self.draw.below(4) as u32);
        let Some(mut entry) = proto::encode_command(7, &op, slot) else { return };
        if self.draw.below(4) == 0 {
            let word = self.draw.below(entry.len() as u64) as usize;
            entry[word] ^= 1 << self.draw.below(64);
        }
        self.append(&entry, entry.len());
        self.publish();
    }

    /// Writes the first `words` of an entry behind those of the command ring, where nobody looks yet.
    fn append(&self, entry: &[u64], words: usize) {
        let slot = u64::from(self.word(self.places.lane) & (self.places.command_entries - 1));
        let at = self.places.commands + slot * ENTRY_BYTES;
        let bytes: Vec<u8> = entry[..words].iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(at, &bytes);
    }

    /// Shows one more entry of the command ring.
    fn publish(&self) {
        let tail = self.word(self.places.lane).wrapping_add(1);
        self.write(self.places.lane, &tail.to_le_bytes());
    }
}

/// Command: writes into a channel's memory what `seed` says.
pub(super) fn scribble(geometry: &Geometry, memory: &OwnedFd, seed: u64) {
    let mut writer = Writer::new(geometry, memory, seed);
    for _ in 0..1 + writer.draw.below(6) {
        writer.scribble();
    }
}

/// Command: leaves something half done, as `seed` says: bytes that are not shown, bytes without a command, half a command that is shown
/// or is not.
pub(super) fn stop_midway(channel: &mut AppChannel, memory: &OwnedFd, seed: u64) {
    let mut writer = Writer::new(channel.geometry(), memory, seed);
    let slots: Vec<u32> = channel.slots().collect();
    if let Some(count) = std::num::NonZero::new(slots.len() as u64) {
        let slot = slots[writer.draw.below(count.get()) as usize];
        let len = 1 + writer.draw.below(3_000) as usize;
        let staged = channel.tx_stage(slot, &vec![0xdd; len], u64::MAX);
        if staged.is_ok() && writer.draw.below(2) == 0 {
            channel.tx_publish(slot);
        }
    }
    let words = writer.draw.below(8) as usize;
    let entry = std::array::from_fn::<u64, 8, _>(|_| writer.draw.below(1 << 40));
    writer.append(&entry, words);
    if writer.draw.below(3) == 0 {
        writer.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory of a channel that was not used yet.
    fn memory(places: &Places) -> OwnedFd {
        let memory = rustix::fs::memfd_create("hostile", rustix::fs::MemfdFlags::CLOEXEC);
        let memory = memory.expect("there is memory for a test");
        rustix::fs::ftruncate(&memory, places.total).expect("it is its own");
        memory
    }

    fn read(memory: &OwnedFd, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert_eq!(pread(memory, &mut bytes, at).expect("it is there"), len);
        bytes
    }

    #[test]
    fn many_seeds_write_everywhere_and_forge_commands_that_mean_something() {
        let small = Geometry::builder().streams_per_lane(8).table_slots(16).chunk_bytes(4096);
        let small = small.ring_entries(64, 64).chunks(16, 16).message_bytes_max(16_384);
        let geometry = small.build().expect("it has everything");
        let places = geometry.places();
        let Places { lane, streams, tables, chunks, total, .. } = places;
        let areas = [(0, lane), (lane, places.commands), (streams, tables), (tables, chunks)];
        let (mut reached, mut forged, mut decoded) = ([0; 5], 0, 0);
        for seed in 0..400 {
            let memory = memory(&places);
            let mut writer = Writer::new(&geometry, &memory, seed);
            writer.scribble();
            for (area, (from, until)) in areas.into_iter().chain([(chunks, total)]).enumerate() {
                let bytes = read(&memory, from, (until - from) as usize);
                reached[area] += usize::from(bytes.iter().any(|byte| *byte != 0));
            }
            // A forged command lies where the tail was, and the tail is one further; nothing else sets it to one, but by a great chance.
            let entry = read(&memory, places.commands, ENTRY_BYTES as usize);
            if writer.word(lane) == 1 && entry.iter().any(|byte| *byte != 0) {
                forged += 1;
                let words = |at: usize| entry[8 * at..8 * at + 8].try_into().expect("8 bytes");
                let entry = std::array::from_fn(|at| u64::from_le_bytes(words(at)));
                decoded += usize::from(proto::decode_command(&entry).is_ok());
            }
        }
        assert!(reached.iter().all(|times| *times >= 5), "{reached:?}");
        // Three of sixteen places are commands; a quarter of those has a wrong bit.
        assert!((40..=120).contains(&forged), "{forged} of 400");
        assert!((forged / 2..forged).contains(&decoded), "{decoded} of {forged}");
    }
}
