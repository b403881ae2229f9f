//! Ephemeral ports, chosen at random (RFC 6056 §3.3.1).

use core::ops::RangeInclusive;

use crate::planted::{self, Bug};
use crate::rng::Stream;

/// Why a port range was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortRangeError {
    /// The first port is 0 or beyond the last.
    Empty,
}

/// The range of ephemeral ports, and how hard to look for a free one in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EphemeralPorts {
    first: u16,
    last: u16,
    probes_max: u16,
}

/// Most candidates that one [`EphemeralPorts::choose`] looks at.
pub const PROBES_MAX: u16 = 4_096;

impl Default for EphemeralPorts {
    /// 32768 to 60999, as on Linux.
    fn default() -> Self {
        Self { first: 32_768, last: 60_999, probes_max: PROBES_MAX }
    }
}

impl EphemeralPorts {
    /// Ports out of `range`, both ends included.
    pub const fn new(range: RangeInclusive<u16>) -> Result<Self, PortRangeError> {
        let (first, last) = (*range.start(), *range.end());
        if first == 0 || first > last {
            return Err(PortRangeError::Empty);
        }
        Ok(Self { first, last, probes_max: PROBES_MAX })
    }

    /// Getter: the range.
    pub const fn range(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Command: a port for which `is_free` says yes, or `None` after [`PROBES_MAX`] candidates (or the
    /// whole range, if smaller), so that an exhausted range costs a bounded time. With one port in 400
    /// free, the odds of missing them all are below 1 in 10,000.
    ///
    /// The first candidate and the stride are random, so that the next port can be guessed neither from
    /// the last one nor from what is taken. `is_free` looks at four-tuples for connections, so that one
    /// port serves many peers (and TIME-WAIT is respected, RFC 6056 §2.4); at ports for listeners. It may
    /// also accept only ports that hash to this engine's own queue.
    pub fn choose(&self, rng: &mut Stream, mut is_free: impl FnMut(u16) -> bool) -> Option<u16> {
        let size = u32::from(self.last - self.first) + 1;
        let mut offset = rng.below(u64::from(size)) as u32;
        if planted::is(Bug::NeighbouringPorts) {
            offset = 0;
        }
        let stride = coprime_stride(rng, size);
        for _ in 0..size.min(u32::from(self.probes_max)) {
            let port = self.first + offset as u16;
            if is_free(port) {
                return Some(port);
            }
            offset = (offset + stride) % size;
        }
        None
    }
}

/// A random stride that visits each of `size` candidates once before it returns to the first.
fn coprime_stride(rng: &mut Stream, size: u32) -> u32 {
    let mut stride = 1 + rng.below(u64::from(size)) as u32;
    // 65,535 has five prime factors; gaps between coprime numbers are short. 1 is always coprime.
    while gcd(stride, size) != 1 {
        stride = stride % size + 1;
    }
    stride
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_range_and_port_0_are_refused() {
        assert_eq!(EphemeralPorts::new(0..=9), Err(PortRangeError::Empty));
        #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
        let reversed = 9..=8;
        assert_eq!(EphemeralPorts::new(reversed), Err(PortRangeError::Empty));
        assert!(EphemeralPorts::new(9..=9).is_ok());
    }

    #[test]
    fn an_exhausted_range_costs_a_bounded_number_of_probes() {
        let mut probes = 0;
        let ports = EphemeralPorts::default();
        let choice = ports.choose(&mut Stream::new(1, 1), |_| {
            probes += 1;
            false
        });
        assert_eq!((choice, probes), (None, PROBES_MAX));
    }

    #[test]
    fn successive_ports_do_not_follow_each_other() {
        let ports = EphemeralPorts::default();
        let mut rng = Stream::new(5, 5);
        let chosen: std::vec::Vec<u16> =
            (0..1_000).map(|_| ports.choose(&mut rng, |_| true).unwrap()).collect();
        let near = chosen.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 28).count();
        assert!(near < 20, "{near} of 999 neighbours within 0.1 % of the range");
    }

    proptest! {
        #[test]
        fn each_port_of_a_small_range_is_found(seed: u64, first in 1u16..60_000, size in 1u16..700) {
            let ports = EphemeralPorts::new(first..=first + size - 1).unwrap();
            let mut rng = Stream::new(seed, 0);
            let mut taken = BTreeSet::new();
            for _ in 0..size {
                let port = ports.choose(&mut rng, |port| !taken.contains(&port)).unwrap();
                prop_assert!(ports.range().contains(&port));
                taken.insert(port);
            }
            prop_assert_eq!(ports.choose(&mut rng, |port| !taken.contains(&port)), None);
        }
    }
}
