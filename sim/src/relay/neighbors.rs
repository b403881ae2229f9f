//! The stations that a router knows, and what waits for those that it has asked for.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use causeway_core::time::{Duration, Instant};

/// Neighbours that are known, and that are asked for.
const NEIGHBORS_MAX: usize = 4_096;
/// Packets that wait for one (RFC 4861 §7.2.2 asks for one at least).
const WAITING_MAX: usize = 16;
/// Between two questions for the same address (RFC 1122 §2.3.2.1).
const PACE: Duration = Duration::from_secs(1);

/// What a neighbour said is believed for so long, then used while it is asked again (RFC 1122 §2.3.2.1 asks for a minute at most).
const BELIEF: Duration = Duration::from_secs(10);

/// Where the stations of the links are.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    known: BTreeMap<(usize, IpAddr), Known>,
    asked: BTreeMap<(usize, IpAddr), Asked>,
}

/// A neighbour that said where it is.
#[derive(Debug)]
struct Known {
    station: [u8; 6],
    /// When it said so, or was asked whether that is so still.
    at: Instant,
}

#[derive(Debug)]
struct Asked {
    at: Instant,
    /// IP packets with room for an Ethernet header, copied: a frame of a host is not kept.
    waiting: VecDeque<Vec<u8>>,
}

impl Neighbors {
    /// Getter: the station of an address on the link of `port`.
    pub(super) fn station(&self, port: usize, address: IpAddr) -> Option<[u8; 6]> {
        self.known.get(&(port, address)).map(|known| known.station)
    }

    /// Output: true when it is time to ask a neighbour that is known where it is: what it said may be wrong by now.
    pub(super) fn is_due(&mut self, now: Instant, port: usize, address: IpAddr) -> bool {
        let known = self.known.get_mut(&(port, address));
        let Some(known) = known.filter(|known| now >= known.at + BELIEF) else { return false };
        known.at = now;
        true
    }

    /// Input: a neighbour said where it is. Returns what waited for it.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        (port, address): (usize, IpAddr),
        station: [u8; 6],
    ) -> VecDeque<Vec<u8>> {
        let key = (port, address);
        if self.known.len() < NEIGHBORS_MAX || self.known.contains_key(&key) {
            self.known.insert(key, Known { station, at: now });
        }
        self.asked.remove(&key).map(|asked| asked.waiting).unwrap_or_default()
    }

    /// Input: a packet waits for a neighbour; the oldest gives way. True when it is time to ask.
    pub(super) fn wait(
        &mut self,
        now: Instant,
        port: usize,
        address: IpAddr,
        packet: &[u8],
    ) -> bool {
        let key = (port, address);
        if self.asked.len() >= NEIGHBORS_MAX && !self.asked.contains_key(&key) {
            return false;
        }
        let mut first = false;
        let asked = self.asked.entry(key).or_insert_with(|| {
            first = true;
            Asked { at: now, waiting: VecDeque::new() }
        });
        if asked.waiting.len() == WAITING_MAX {
            asked.waiting.pop_front();
        }
        asked.waiting.push_back(packet.to_vec());
        let again = now >= asked.at + PACE;
        if again {
            asked.at = now;
        }
        first || again
    }
}
