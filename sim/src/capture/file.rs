//! A capture file of either format.

use super::link::LinkKind;
use super::{ReadError, pcap, pcapng};

/// Most packets of a file.
pub const PACKETS_MAX: usize = 500_000;
/// Most interfaces of a file, over all of its sections.
pub(super) const INTERFACES_MAX: usize = 1_024;
/// The longest packet that any capture has (MAXIMUM_SNAPLEN of libpcap).
pub(super) const PACKET_BYTES_MAX: u32 = 262_144;

/// Where packets were captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What the file calls it; empty where it does not say.
    pub name: String,
    /// What its packets begin with.
    pub link: LinkKind,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Counted from 1, as Wireshark does.
    pub number: u32,
    /// Nanoseconds since 1970, by the clock of whoever captured it.
    pub at: u64,
    /// Which of [`Capture::interfaces`].
    pub interface: usize,
    /// What was kept of it, link header first.
    pub bytes: &'a [u8],
    /// How long it was, at least what was kept.
    pub original_len: u32,
}

/// A capture file, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture<'a> {
    /// Its interfaces, in order.
    pub interfaces: Vec<Interface>,
    /// Its packets, in order of the file, which need not be that of time.
    pub records: Vec<Record<'a>>,
    /// The file ends inside of a packet: that one is missing. Where.
    pub cut_at: Option<usize>,
}

impl<'a> Capture<'a> {
    /// Reads a file, which stays where it is. Takes memory for its packets' times and places, 64 bytes each.
    ///
    /// # Errors
    /// [`ReadError`]: it is no capture, or one whose lengths cannot be.
    pub fn read(file: &'a [u8]) -> Result<Self, ReadError> {
        let Some((magic, _)) = file.split_first_chunk::<4>() else {
            return Err(ReadError::Unknown);
        };
        match pcap::Format::of(*magic) {
            Some(format) => pcap::read(file, format),
            None if *magic == pcapng::SECTION => pcapng::read(file),
            None => Err(ReadError::Unknown),
        }
    }

    pub(super) fn push(&mut self, record: Record<'a>) -> Result<(), ReadError> {
        if self.records.len() == PACKETS_MAX {
            return Err(ReadError::Packets { most: PACKETS_MAX });
        }
        self.records.push(record);
        Ok(())
    }

    pub(super) fn next_number(&self) -> u32 {
        self.records.len() as u32 + 1
    }
}

/// Bytes that are read from front to back, in the file's order of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big: bool,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8], big: bool) -> Self {
        Self { bytes, big }
    }

    /// Output: the next `count` bytes; nothing is taken where there are not so many.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let bytes = self.take(8)?.try_into().ok()?;
        Some(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }
}
