//! Switches that learn.

use std::collections::BTreeMap;

use causeway_core::time::Instant;

use crate::frame::SimFrame;
use crate::world::Relay;

/// Addresses that a switch remembers.
const ADDRESSES_MAX: usize = 4_096;

/// A switch that learns at which port who is (IEEE 802.1D §7.8), and sends to all where it does not know.
#[derive(Debug)]
pub struct Switch {
    ports: usize,
    places: BTreeMap<[u8; 6], usize>,
}

impl Switch {
    /// A switch of so many ports that knows nobody.
    pub const fn new(ports: usize) -> Self {
        Self { ports, places: BTreeMap::new() }
    }
}

impl Relay for Switch {
    fn handle(
        &mut self,
        _: Instant,
        port: usize,
        frame: SimFrame,
        out: &mut Vec<(usize, SimFrame)>,
    ) {
        let mut ends = [[0; 6]; 2];
        let Some(header) = frame.bytes().get(..12) else { return };
        ends[0].copy_from_slice(&header[..6]);
        ends[1].copy_from_slice(&header[6..]);
        let [to, from] = ends;
        let is_group = |address: [u8; 6]| address[0] & 1 != 0;
        if !is_group(from) && (self.places.len() < ADDRESSES_MAX || self.places.contains_key(&from))
        {
            self.places.insert(from, port);
        }
        match self.places.get(&to).filter(|_| !is_group(to)) {
            Some(&place) if place == port => {}
            Some(&place) => out.push((place, frame)),
            None => {
                for other in (0..self.ports).filter(|other| *other != port) {
                    out.extend(frame.duplicate().map(|copy| (other, copy)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FramePool;

    #[test]
    fn a_switch_learns_from_who_sends_and_floods_before() {
        let pool = FramePool::new(100, 100);
        let mut switch = Switch::new(3);
        let mut send = |port: usize, to: u8, from: u8| {
            let mut frame = pool.alloc(60).expect("room");
            frame.bytes_mut().fill(0);
            frame.bytes_mut()[..6].fill(to);
            frame.bytes_mut()[6..12].fill(from);
            let mut out = Vec::new();
            switch.handle(Instant::ZERO, port, frame, &mut out);
            out.iter().map(|(port, _)| *port).collect::<Vec<_>>()
        };
        assert_eq!(send(0, 4, 2), [1, 2], "nobody knows 4");
        assert_eq!(send(1, 2, 4), [0], "2 has spoken");
        assert_eq!(send(0, 4, 2), [1]);
        assert_eq!(send(0, 0xff, 2), [1, 2], "everybody");
        assert_eq!(send(1, 4, 6), Vec::<usize>::new(), "it is on that side");
        assert_eq!(send(2, 2, 4), [0]);
        assert_eq!(send(0, 4, 2), [2], "4 has moved");
    }
}
