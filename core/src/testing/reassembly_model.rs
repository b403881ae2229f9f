//! Reassembly as a child would write it: a byte for each place of each datagram, and no bound on memory.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ip::{Fragment, FragmentKey, Reassembled, Whole};
use crate::time::{Duration, Instant};

/// How long a datagram may take to come, IPv4's and IPv6's (RFC 8200 §4.5).
const TIMEOUTS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(60)];

#[derive(Debug, Default)]
struct Datagram {
    bytes: BTreeMap<usize, u8>,
    /// Where pieces begin and end.
    pieces: Vec<(usize, usize)>,
    header: Vec<u8>,
    end: Option<usize>,
    refused: bool,
    ecn: [bool; 4],
    deadline: Instant,
}

/// Everything of which some fragments have come.
#[derive(Debug, Default)]
pub struct ReassemblyModel {
    datagrams: BTreeMap<FragmentKey, Datagram>,
}

impl ReassemblyModel {
    /// Input: time passes. Returns how many datagrams are given up.
    pub fn expire(&mut self, now: Instant) -> usize {
        let before = self.datagrams.len();
        self.datagrams.retain(|_, datagram| datagram.deadline > now);
        before - self.datagrams.len()
    }

    /// Getter: datagrams that wait.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Getter: none does.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Input: a fragment; what is to become of it.
    pub fn add(&mut self, now: Instant, key: FragmentKey, fragment: &Fragment<'_>) -> Reassembled {
        let bytes = fragment.bytes.concat();
        let (start, end) = (fragment.start, fragment.start + bytes.len());
        if bytes.is_empty() || (fragment.more && bytes.len() % 8 != 0) {
            return Reassembled::Length;
        }
        // The fixed header of IPv6 and the fragment header are not counted in the datagram's length (RFC 8200 §4.5).
        let uncounted = if key.src.is_ipv6() { 40 + 8 } else { 0 };
        if end + fragment.header.len().saturating_sub(uncounted) > 65_535 {
            return Reassembled::TooLong;
        }
        // RFC 1858, RFC 3128: no TCP header in pieces.
        let cut = (start == 0 && bytes.len() < 20) || (1..20).contains(&start);
        if key.protocol == 6 && cut {
            return Reassembled::Tiny;
        }
        let timeout = TIMEOUTS[usize::from(key.src.is_ipv6())];
        let datagram = self
            .datagrams
            .entry(key)
            .or_insert_with(|| Datagram { deadline: now + timeout, ..Datagram::default() });
        if let Some(verdict) = datagram.refuses(start, &bytes, fragment.more) {
            return verdict;
        }
        datagram.bytes.extend((start..).zip(bytes));
        datagram.pieces.push((start, end));
        datagram.ecn[usize::from(fragment.ecn & 3)] = true;
        if start == 0 {
            datagram.header = fragment.header.to_vec();
        }
        if !fragment.more {
            datagram.end = Some(end);
        }
        if datagram.end != Some(datagram.bytes.len()) {
            return Reassembled::Kept;
        }
        self.datagrams.remove(&key).map_or(Reassembled::Kept, Datagram::into_whole)
    }
}

impl Datagram {
    fn refuses(&mut self, start: usize, bytes: &[u8], more: bool) -> Option<Reassembled> {
        let end = start + bytes.len();
        let known = self.bytes.last_key_value().map_or(0, |(at, _)| at + 1);
        let contradicts = match self.end {
            Some(total) => {
                if more {
                    end >= total
                } else {
                    end != total
                }
            }
            None => !more && end < known,
        };
        let held = |(at, byte): (usize, &u8)| self.bytes.get(&at) == Some(byte);
        let again = self.pieces.contains(&(start, end)) && (start..).zip(bytes).all(held);
        if again && !contradicts && !self.refused {
            return Some(Reassembled::Duplicate);
        }
        let overlaps = self.bytes.range(start..end).next().is_some();
        if self.refused || overlaps || contradicts {
            let deadline = self.deadline;
            *self = Self { refused: true, deadline, ..Self::default() };
            return Some(Reassembled::Overlap);
        }
        None
    }

    /// RFC 3168 §5.3: congestion that one fragment experienced was experienced by all.
    fn into_whole(self) -> Reassembled {
        let [not_capable, _, _, congested] = self.ecn;
        if not_capable && congested {
            return Reassembled::Ecn;
        }
        let ecn = if congested { 3 } else { self.ecn.iter().position(|seen| *seen).unwrap_or(0) };
        let header_len = self.header.len();
        let mut bytes = self.header;
        bytes.extend(self.bytes.values());
        Reassembled::Whole(Whole { bytes, header_len, ecn: ecn as u8 })
    }
}
