//! From a profile's probabilities to explicit decisions.

use causeway_backends::adapt::fault::{FaultProfile, Verdict, decide};
use causeway_core::rng::Stream;
use causeway_core::time::Duration;

use super::plan::{Fault, FaultPlan};

const ETHERNET_HEADER: usize = 14;
/// What separates the draws of this file from those of [`decide`] for the same direction.
const ENTITY_COPIES: u64 = 1 << 32;

/// Where the decisions of a run come from.
#[derive(Clone, Debug)]
pub enum FaultSource {
    /// Drawn from the world's seed with these probabilities, and recorded.
    Drawn(FaultProfile),
    /// Read from a plan.
    Planned(FaultPlan),
}

impl FaultSource {
    /// No faults.
    pub const CLEAN: Self = Self::Drawn(FaultProfile::NONE);
}

/// Getter: the decision about one frame: the shared profile's verdict with all that it leaves open filled in.
///
/// `frame` counts from 1. Corruption strikes IP packets only: every one of their bytes is under some
/// checksum, while an ARP packet has none, so that changing one is an attack and no link fault. A
/// second copy follows within `reorder_delay_max`.
pub fn draw(
    profile: &FaultProfile,
    seed: u64,
    entity: u64,
    frame: u64,
    bytes: &[u8],
) -> Option<Fault> {
    match decide(profile, seed, entity, frame) {
        Verdict::Pass => None,
        Verdict::Drop => Some(Fault::Drop),
        Verdict::Corrupt { selector } => {
            if !carries_ip(bytes) {
                return None;
            }
            let bit = selector % ((bytes.len() - ETHERNET_HEADER) as u64 * 8);
            let offset = u32::try_from(ETHERNET_HEADER as u64 + bit / 8).ok()?;
            Some(Fault::Corrupt { offset, mask: 1 << (bit % 8) })
        }
        Verdict::Duplicate => {
            let draw = Stream::new(seed, entity | ENTITY_COPIES).at(frame);
            let span = profile.reorder_delay_max().as_nanos();
            let after = 1 + ((u128::from(draw) * u128::from(span)) >> 64) as u64;
            Some(Fault::Duplicate { after: Duration::from_nanos(after) })
        }
        Verdict::Reorder { frames: _, delay } => Some(Fault::Delay { by: delay }),
    }
}

/// True for IPv4 and IPv6 by the EtherType.
fn carries_ip(bytes: &[u8]) -> bool {
    bytes.len() > ETHERNET_HEADER
        && (bytes[12..14] == [0x08, 0x00] || bytes[12..14] == [0x86, 0xdd])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 100];
        frame[12] = 8;
        frame
    }

    fn draw_all(profile: &FaultProfile, seed: u64) -> Vec<Option<Fault>> {
        (1..=20_000).map(|number| draw(profile, seed, 9, number, &frame())).collect()
    }

    #[test]
    fn each_kind_of_fault_is_drawn_with_everything_that_it_needs() {
        let most = Duration::from_micros(100);
        let profile = FaultProfile::builder()
            .loss_ppm(50_000)
            .duplicate_ppm(50_000)
            .reorder_ppm(50_000)
            .corrupt_ppm(50_000)
            .reorder_delay_max(most)
            .build()
            .expect("the rates are in range");
        let mut counts = [0; 4];
        for fault in draw_all(&profile, 1).into_iter().flatten() {
            match fault {
                Fault::Drop => counts[0] += 1,
                Fault::Corrupt { offset, mask } => {
                    assert!((14..100).contains(&offset) && mask.count_ones() == 1);
                    counts[1] += 1;
                }
                Fault::Delay { by } => {
                    assert!(by > Duration::ZERO && by <= most);
                    counts[2] += 1;
                }
                Fault::Duplicate { after } => {
                    assert!(after > Duration::ZERO && after <= most);
                    counts[3] += 1;
                }
            }
        }
        assert!(counts.iter().all(|count| (750..1_150).contains(count)), "{counts:?}");
        assert_ne!(draw_all(&profile, 1), draw_all(&profile, 2));
    }

    #[test]
    fn corruption_leaves_address_resolution_alone() {
        let profile = FaultProfile::builder().corrupt_ppm(1_000_000).build().expect("in range");
        let mut arp = frame();
        arp[13] = 6;
        assert_eq!(draw(&profile, 1, 1, 1, &arp), None);
        assert!(matches!(draw(&profile, 1, 1, 1, &frame()), Some(Fault::Corrupt { .. })));
    }
}
