//! From a profile's probabilities to explicit decisions.

use causeway_backends::adapt::fault::{Verdict, decide};
use causeway_core::rng::Stream;
use causeway_core::time::Duration;

use super::live::Live;
use super::path::PathDrawer;
use super::place::Place;
use super::plan::{Fault, FaultPlan, Forgery, ForgeryKind, TcpOption};
use super::profile::{Kind, LinkProfile};

const ETHERNET_HEADER: usize = 14;
/// What separates the draws of this file from those of [`decide`] for the same direction.
const ENTITY_COPIES: u64 = 1 << 32;
const ENTITY_MORE: u64 = 2 << 32;
/// Draws set aside for one frame.
const DRAWS_PER_FRAME: u64 = 32;
/// Flows whose highest sequence number is remembered, to know what was seen before.
const FLOWS: usize = 64;

/// Where the decisions of a run come from.
#[derive(Clone, Debug)]
pub enum FaultSource {
    /// Drawn from the world's seed with these probabilities, and recorded.
    Drawn(LinkProfile),
    /// Read from a plan.
    Planned(FaultPlan),
    /// Made while frames are sent.
    Live(Live),
}

impl FaultSource {
    /// No faults.
    pub fn clean() -> Self {
        Self::Drawn(LinkProfile::default())
    }
}

/// One draw of a frame: each has a place of its own, so that no kind of fault moves another.
#[derive(Clone, Copy)]
enum Draw {
    Burst,
    BurstLoss,
    Kind,
    Repaired,
    RepairedBit,
    Truncate,
    TruncateAt,
    Pad,
    PadBy,
    Mark,
    Bleach,
    Strip,
    StripWhat,
    Split,
    SplitAt,
    Forge,
    ForgeWhat,
    ForgeAhead,
    ForgeValue,
    Neighbor,
    NeighborWhere,
}

/// Draws the decisions about the frames of one direction, in order.
#[derive(Clone, Debug)]
pub struct Drawer {
    profile: LinkProfile,
    seed: u64,
    entity: u64,
    more: Stream,
    /// Anything beyond the base profile is on.
    has_more: bool,
    in_burst: bool,
    highest: Vec<u32>,
    path: Option<PathDrawer>,
}

impl Drawer {
    /// The draws of direction `entity` under `seed`.
    pub fn new(profile: LinkProfile, seed: u64, entity: u64) -> Self {
        let shared = LinkProfile { path: profile.path, ..LinkProfile::from(profile.base) };
        let has_more = profile != shared;
        let more = Stream::new(seed, entity | ENTITY_MORE);
        let highest = if has_more { vec![0; FLOWS] } else { Vec::new() };
        let path = PathDrawer::new(profile.path, seed, entity);
        Self { profile, seed, entity, more, has_more, in_burst: false, highest, path }
    }

    /// Output: the decisions about frame `number` (counted from 1), appended to `out`.
    pub fn draw(&mut self, number: u64, bytes: &[u8], out: &mut Vec<Fault>) {
        out.extend(self.base(number, bytes));
        if self.has_more {
            self.draw_more(number, bytes, out);
        }
        if let Some(path) = &mut self.path {
            path.draw(number, bytes, out);
        }
    }

    /// The shared profile's verdict with all that it leaves open filled in.
    ///
    /// Corruption strikes IP packets only: every one of their bytes is under some checksum, while an ARP packet has none, so that
    /// changing one is an attack and no link fault. A second copy follows within `reorder_delay_max`.
    fn base(&self, frame: u64, bytes: &[u8]) -> Option<Fault> {
        let profile = &self.profile.base;
        match decide(profile, self.seed, self.entity, frame) {
            Verdict::Pass => None,
            Verdict::Drop => Some(Fault::Drop),
            Verdict::Corrupt { selector } => bit_of(selector, bytes, false),
            Verdict::Duplicate => {
                let draw = Stream::new(self.seed, self.entity | ENTITY_COPIES).at(frame);
                let span = profile.reorder_delay_max().as_nanos();
                let after = 1 + ((u128::from(draw) * u128::from(span)) >> 64) as u64;
                Some(Fault::Duplicate { after: Duration::from_nanos(after) })
            }
            Verdict::Reorder { frames: _, delay } => Some(Fault::Delay { by: delay }),
        }
    }

    fn value(&self, number: u64, draw: Draw) -> u64 {
        self.more.at(number.wrapping_mul(DRAWS_PER_FRAME).wrapping_add(draw as u64))
    }

    fn below(&self, number: u64, draw: Draw, bound: u64) -> u64 {
        ((u128::from(self.value(number, draw)) * u128::from(bound)) >> 64) as u64
    }

    fn hits(&self, number: u64, draw: Draw, ppm: u32) -> bool {
        ppm > 0 && self.below(number, draw, 1_000_000) < u64::from(ppm)
    }

    fn draw_more(&mut self, number: u64, bytes: &[u8], out: &mut Vec<Fault>) {
        let LinkProfile { bursts, nth, .. } = self.profile;
        let turn = if self.in_burst { bursts.leave_ppm } else { bursts.enter_ppm };
        self.in_burst ^= self.hits(number, Draw::Burst, turn);
        let burst_loss = self.in_burst && self.hits(number, Draw::BurstLoss, bursts.loss_ppm);
        let place = Place::of(bytes);
        let kind = place.as_ref().and_then(|place| self.kind(place));
        let kind_ppm = kind.map_or(0, |kind| self.profile.kinds_ppm[kind as usize]);
        if burst_loss
            || nth > 0 && number.is_multiple_of(nth)
            || self.hits(number, Draw::Kind, kind_ppm)
        {
            out.push(Fault::Drop);
        }
        self.damage(number, bytes, out);
        if let Some(place) = place {
            self.middleboxes(number, &place, out);
        }
        if self.hits(number, Draw::Neighbor, self.profile.neighbor_ppm) && carries_ip(bytes) {
            let ahead = (self.value(number, Draw::NeighborWhere) >> 32) as u32;
            out.push(Fault::Forge(Forgery { kind: ForgeryKind::Neighbor, ahead }));
        }
    }

    /// What kind of segment it is, and remembers how far the flow is.
    fn kind(&mut self, place: &Place) -> Option<Kind> {
        let slot = usize::from(place.ports.0.wrapping_mul(31) ^ place.ports.1) % FLOWS;
        let highest = &mut self.highest[slot];
        if place.flags & Place::SYN != 0 {
            *highest = place.seq;
            return Some(Kind::Syn);
        }
        if place.flags & Place::FIN != 0 {
            return Some(Kind::Fin);
        }
        if place.payload_len() == 0 {
            return Some(Kind::PureAck);
        }
        let end = place.seq.wrapping_add(place.payload_len() as u32);
        let is_new = end.wrapping_sub(*highest).cast_signed() > 0;
        if is_new {
            *highest = end;
        }
        (!is_new).then_some(Kind::Retransmission)
    }

    fn damage(&self, number: u64, bytes: &[u8], out: &mut Vec<Fault>) {
        let profile = &self.profile;
        if self.hits(number, Draw::Repaired, profile.repaired_ppm) {
            out.extend(bit_of(self.value(number, Draw::RepairedBit), bytes, true));
        }
        if self.hits(number, Draw::Truncate, profile.truncate_ppm) && carries_ip(bytes) {
            let len = self.below(number, Draw::TruncateAt, bytes.len() as u64) as u32;
            out.push(Fault::Truncate { len: len.max(ETHERNET_HEADER as u32) });
        }
        if self.hits(number, Draw::Pad, profile.pad_ppm) {
            out.push(Fault::Pad { bytes: 1 + self.below(number, Draw::PadBy, 40) as u32 });
        }
        if self.hits(number, Draw::Mark, profile.mark_ppm) {
            out.push(Fault::Mark);
        }
        if self.hits(number, Draw::Bleach, profile.bleach_ppm) {
            out.push(Fault::Bleach);
        }
    }

    fn middleboxes(&self, number: u64, place: &Place, out: &mut Vec<Fault>) {
        let profile = &self.profile;
        if self.hits(number, Draw::Strip, profile.strip_ppm) {
            let all = [
                TcpOption::Mss,
                TcpOption::WindowScale,
                TcpOption::SackPermitted,
                TcpOption::Sack,
                TcpOption::Timestamps,
                TcpOption::FastOpen,
            ];
            let which = self.below(number, Draw::StripWhat, all.len() as u64);
            out.push(Fault::Strip(all[which as usize]));
        }
        if place.payload_len() > 1 && self.hits(number, Draw::Split, profile.split_ppm) {
            let at = 1 + self.below(number, Draw::SplitAt, place.payload_len() as u64 - 1) as u32;
            out.push(Fault::Split { at });
        }
        if self.hits(number, Draw::Forge, profile.forge_ppm) {
            out.push(Fault::Forge(self.forgery(number)));
        }
    }

    /// What an attacker who sees nothing tries: numbers anywhere, near the window more often.
    fn forgery(&self, number: u64) -> Forgery {
        let ahead = self.value(number, Draw::ForgeAhead);
        let ahead = match ahead % 4 {
            0 => (ahead >> 32) as u32,
            1 => (ahead >> 48) as u32,
            2 => ((ahead >> 48) as u32).wrapping_neg(),
            _ => 1 + (ahead >> 40) as u32 % 1_000,
        };
        let value = self.value(number, Draw::ForgeValue);
        let kind = match self.below(number, Draw::ForgeWhat, 8) {
            0 | 1 => ForgeryKind::Rst,
            2 => ForgeryKind::Syn,
            3 => ForgeryKind::Ack,
            4 => ForgeryKind::Data,
            5 => ForgeryKind::SynStorm(1 + (value % 100) as u16),
            6 => ForgeryKind::TooBig((value % 1_600) as u16),
            _ => ForgeryKind::Unreachable,
        };
        Forgery { kind, ahead }
    }
}

/// The bit of an IP packet that `selector` chooses.
fn bit_of(selector: u64, bytes: &[u8], repaired: bool) -> Option<Fault> {
    if !carries_ip(bytes) {
        return None;
    }
    let bit = selector % ((bytes.len() - ETHERNET_HEADER) as u64 * 8);
    let offset = u32::try_from(ETHERNET_HEADER as u64 + bit / 8).ok()?;
    Some(Fault::Corrupt { offset, mask: 1 << (bit % 8), repaired })
}

/// True for IPv4 and IPv6 by the EtherType.
fn carries_ip(bytes: &[u8]) -> bool {
    bytes.len() > ETHERNET_HEADER
        && (bytes[12..14] == [0x08, 0x00] || bytes[12..14] == [0x86, 0xdd])
}

#[cfg(test)]
mod tests {
    use super::super::profile::Bursts;
    use super::*;
    use causeway_backends::adapt::fault::FaultProfile;

    fn frame() -> Vec<u8> {
        let mut frame = vec![0; 100];
        frame[12] = 8;
        frame
    }

    /// A segment of ten bytes from port 1 to 2.
    fn segment(seq: u32, flags: u8, len: u16) -> Vec<u8> {
        let mut frame = vec![0; 14 + 40 + usize::from(len)];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&(40 + len).to_be_bytes());
        frame[23] = 6;
        frame[35] = 1;
        frame[37] = 2;
        frame[38..42].copy_from_slice(&seq.to_be_bytes());
        frame[46] = 0x50;
        frame[47] = flags;
        frame
    }

    fn draw_all(profile: LinkProfile, seed: u64) -> Vec<Vec<Fault>> {
        let mut drawer = Drawer::new(profile, seed, 9);
        let mut draw = |number| {
            let mut out = Vec::new();
            drawer.draw(number, &frame(), &mut out);
            out
        };
        (1..=20_000).map(&mut draw).collect()
    }

    #[test]
    fn each_kind_of_fault_is_drawn_with_everything_that_it_needs() {
        let most = Duration::from_micros(100);
        let base = FaultProfile::builder()
            .loss_ppm(50_000)
            .duplicate_ppm(50_000)
            .reorder_ppm(50_000)
            .corrupt_ppm(50_000)
            .reorder_delay_max(most)
            .build()
            .expect("the rates are in range");
        let mut counts = [0; 4];
        for fault in draw_all(base.into(), 1).into_iter().flatten() {
            match fault {
                Fault::Drop => counts[0] += 1,
                Fault::Corrupt { offset, mask, repaired } => {
                    assert!((14..100).contains(&offset) && mask.count_ones() == 1 && !repaired);
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
                other => panic!("nobody asked for {other:?}"),
            }
        }
        assert!(counts.iter().all(|count| (750..1_150).contains(count)), "{counts:?}");
        assert_ne!(draw_all(base.into(), 1), draw_all(base.into(), 2));
    }

    #[test]
    fn corruption_leaves_address_resolution_alone() {
        let base = FaultProfile::builder().corrupt_ppm(1_000_000).build().expect("in range");
        let profile = LinkProfile { repaired_ppm: 1_000_000, ..base.into() };
        let (mut arp, mut out) = (frame(), Vec::new());
        arp[13] = 6;
        Drawer::new(profile, 1, 1).draw(1, &arp, &mut out);
        assert_eq!(out, []);
        Drawer::new(profile, 1, 1).draw(1, &frame(), &mut out);
        assert!(matches!(out[..], [Fault::Corrupt { .. }, Fault::Corrupt { repaired: true, .. }]));
    }

    #[test]
    fn losses_in_bursts_come_together() {
        let bursts = Bursts { enter_ppm: 10_000, leave_ppm: 100_000, loss_ppm: 900_000 };
        let lost: Vec<bool> = draw_all(LinkProfile { bursts, ..LinkProfile::default() }, 1)
            .iter()
            .map(|faults| !faults.is_empty())
            .collect();
        let (all, pairs) = (
            lost.iter().filter(|lost| **lost).count(),
            lost.windows(2).filter(|pair| pair[0] && pair[1]).count(),
        );
        // One frame in eleven is in a burst; whoever is lost has a lost neighbour in four of five cases.
        assert!((1_200..2_200).contains(&all) && pairs * 10 > all * 7, "{all} {pairs}");
    }

    #[test]
    fn kinds_of_segments_are_lost_as_the_profile_says() {
        for (kind, wanted) in [
            (Kind::Syn, [true, false, false, false, false]),
            (Kind::PureAck, [false, true, false, false, false]),
            (Kind::Retransmission, [false, false, false, true, false]),
            (Kind::Fin, [false, false, false, false, true]),
        ] {
            let mut profile = LinkProfile::default();
            profile.kinds_ppm[kind as usize] = 1_000_000;
            let mut drawer = Drawer::new(profile, 1, 1);
            let segments = [
                segment(u32::MAX, Place::SYN, 0),
                segment(0, Place::ACK, 0),
                segment(0, Place::ACK, 10),
                segment(0, Place::ACK, 10),
                segment(10, Place::FIN | Place::ACK, 0),
            ];
            let lost = segments.iter().zip(1..).map(|(segment, number)| {
                let mut out = Vec::new();
                drawer.draw(number, segment, &mut out);
                !out.is_empty()
            });
            assert_eq!(lost.collect::<Vec<_>>(), wanted, "{kind:?}");
        }
    }

    #[test]
    fn each_further_fault_is_drawn_alone_and_moves_no_other() {
        let all = LinkProfile {
            nth: 7,
            repaired_ppm: 100_000,
            truncate_ppm: 100_000,
            pad_ppm: 100_000,
            mark_ppm: 100_000,
            bleach_ppm: 100_000,
            strip_ppm: 100_000,
            split_ppm: 100_000,
            forge_ppm: 100_000,
            neighbor_ppm: 100_000,
            ..LinkProfile::default()
        };
        let draw = |profile| {
            let mut drawer = Drawer::new(profile, 3, 4);
            let mut out = Vec::new();
            let segment = segment(5, Place::ACK, 40);
            (1..2_000).for_each(|number| drawer.draw(number, &segment, &mut out));
            out
        };
        let everything = draw(all);
        let count = |wanted: fn(&Fault) -> bool| everything.iter().filter(|f| wanted(f)).count();
        assert_eq!(count(|f| matches!(f, Fault::Drop)), 1_999 / 7);
        let claims: fn(&Fault) -> bool =
            |f| matches!(f, Fault::Forge(Forgery { kind: ForgeryKind::Neighbor, .. }));
        let kinds: [fn(&Fault) -> bool; 8] = [
            |f| matches!(f, Fault::Corrupt { repaired: true, .. }),
            |f| matches!(f, Fault::Truncate { len: 14..94 }),
            |f| matches!(f, Fault::Pad { bytes: 1..=40 }),
            |f| matches!(f, Fault::Mark),
            |f| matches!(f, Fault::Strip(_)),
            |f| matches!(f, Fault::Split { at: 1..40 }),
            |f| matches!(f, Fault::Forge(forgery) if forgery.kind != ForgeryKind::Neighbor),
            claims,
        ];
        for (index, kind) in kinds.into_iter().enumerate() {
            assert!((140..260).contains(&count(kind)), "{index}: {}", count(kind));
        }
        let without = draw(LinkProfile { forge_ppm: 0, nth: 0, ..all });
        let rest =
            everything.iter().filter(|f| claims(f) || !matches!(f, Fault::Forge(_) | Fault::Drop));
        assert_eq!(without.iter().collect::<Vec<_>>(), rest.collect::<Vec<_>>());
    }
}
