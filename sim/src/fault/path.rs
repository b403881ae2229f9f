//! How often frames wait for others, have damaged headers, or meet a middlebox that meddles with flows.

use causeway_core::rng::Stream;
use causeway_core::time::Duration;

use super::fields::{Field, fields_of};
use super::meddling::Meddling;
use super::place::Place;
use super::plan::{Fault, Forgery, ForgeryKind};

/// Parts per million of frames. The default does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathProfile {
    /// Frames that wait until others have passed.
    pub hold_ppm: u32,
    /// How many others at most.
    pub hold_frames_max: u32,
    /// For how long at most.
    pub hold_max: Duration,
    /// Frames with damage to a header's field.
    pub header_ppm: u32,
    /// The same under checksums that fit.
    pub header_repaired_ppm: u32,
    /// Segments that are joined with the one in front.
    pub join_ppm: u32,
    /// Bytes of the longest packet that may come of it.
    pub join_within: u16,
    /// Pure acknowledgements that take the place of the one in front.
    pub thin_ppm: u32,
    /// Pure acknowledgements that become several.
    pub divide_ppm: u32,
    /// Frames that a storm of pure acknowledgements follows.
    pub storm_ppm: u32,
}

/// Most acknowledgements of a storm that is drawn.
const STORM_MAX: u64 = 100;
/// Most parts of an acknowledgement that are drawn.
const PARTS_MAX: u64 = 16;
/// Flows whose last acknowledgement is remembered.
const FLOWS: usize = 64;
/// Nobody acknowledges more at once; what seems so is another flow.
const ACKNOWLEDGED_MAX: u32 = 1 << 20;
/// What separates the draws of this file from those of others for the same direction.
const ENTITY_PATH: u64 = 21 << 32;
/// Draws set aside for one frame.
const DRAWS_PER_FRAME: u64 = 32;

/// One draw of a frame: each has a place of its own, so that no kind of fault moves another.
#[derive(Clone, Copy)]
enum Draw {
    Hold,
    HoldFrames,
    Header,
    HeaderField,
    HeaderByte,
    HeaderBits,
    Repaired,
    RepairedField,
    RepairedByte,
    RepairedBits,
    Join,
    Thin,
    Divide,
    DivideParts,
    Storm,
    StormCount,
    StormAhead,
}

/// Draws the decisions about the frames of one direction, in order.
#[derive(Clone, Debug)]
pub(super) struct PathDrawer {
    profile: PathProfile,
    stream: Stream,
    fields: Vec<Field>,
    acks: Vec<Option<u32>>,
}

impl PathDrawer {
    /// The draws of direction `entity` under `seed`; `None` where nothing is to be drawn.
    pub(super) fn new(profile: PathProfile, seed: u64, entity: u64) -> Option<Self> {
        let PathProfile { hold_ppm, header_ppm, header_repaired_ppm, join_ppm, .. } = profile;
        let PathProfile { thin_ppm, divide_ppm, storm_ppm, .. } = profile;
        let all = [hold_ppm, header_ppm, header_repaired_ppm, join_ppm];
        let others = [thin_ppm, divide_ppm, storm_ppm];
        if all.iter().chain(&others).all(|ppm| *ppm == 0) {
            return None;
        }
        let stream = Stream::new(seed, entity | ENTITY_PATH);
        Some(Self { profile, stream, fields: Vec::new(), acks: vec![None; FLOWS] })
    }

    fn value(&self, number: u64, draw: Draw) -> u64 {
        self.stream.at(number.wrapping_mul(DRAWS_PER_FRAME).wrapping_add(draw as u64))
    }

    fn below(&self, number: u64, draw: Draw, bound: u64) -> u64 {
        ((u128::from(self.value(number, draw)) * u128::from(bound)) >> 64) as u64
    }

    fn hits(&self, number: u64, draw: Draw, ppm: u32) -> bool {
        ppm > 0 && self.below(number, draw, 1_000_000) < u64::from(ppm)
    }

    /// Output: the decisions about frame `number`, appended to `out`.
    pub(super) fn draw(&mut self, number: u64, bytes: &[u8], out: &mut Vec<Fault>) {
        let profile = self.profile;
        if self.hits(number, Draw::Header, profile.header_ppm) {
            let draws = [Draw::HeaderField, Draw::HeaderByte, Draw::HeaderBits];
            out.extend(self.damage(number, bytes, draws, false));
        }
        if self.hits(number, Draw::Repaired, profile.header_repaired_ppm) {
            let draws = [Draw::RepairedField, Draw::RepairedByte, Draw::RepairedBits];
            out.extend(self.damage(number, bytes, draws, true));
        }
        if let Some(place) = Place::of(bytes) {
            self.meddle(number, &place, out);
        }
        if self.hits(number, Draw::Hold, profile.hold_ppm) {
            let most = u64::from(profile.hold_frames_max.max(1));
            let frames = 1 + self.below(number, Draw::HoldFrames, most) as u32;
            out.push(Fault::Hold { frames, at_most: profile.hold_max });
        }
    }

    /// Each field is as likely as another.
    fn damage(
        &mut self,
        number: u64,
        bytes: &[u8],
        [field, byte, bits]: [Draw; 3],
        repaired: bool,
    ) -> Option<Fault> {
        fields_of(bytes, &mut self.fields);
        let field = self.below(number, field, self.fields.len() as u64) as usize;
        let draws = [self.value(number, byte), self.value(number, bits)];
        let (offset, mask) = self.fields.get(field)?.damage(draws);
        Some(Fault::Corrupt { offset, mask, repaired })
    }

    fn meddle(&mut self, number: u64, place: &Place, out: &mut Vec<Fault>) {
        let profile = self.profile;
        if place.payload_len() > 0 && self.hits(number, Draw::Join, profile.join_ppm) {
            out.push(Fault::Meddle(Meddling::Join { within: profile.join_within }));
        }
        let acknowledged = self.acknowledged(place);
        if place.is_pure_ack() {
            if self.hits(number, Draw::Thin, profile.thin_ppm) {
                out.push(Fault::Meddle(Meddling::Thin));
            }
            if acknowledged > 1 && self.hits(number, Draw::Divide, profile.divide_ppm) {
                let most = PARTS_MAX.min(u64::from(acknowledged));
                let parts = 2 + self.below(number, Draw::DivideParts, most - 1) as u16;
                out.push(Fault::Meddle(Meddling::Divide { parts, bytes: acknowledged }));
            }
        }
        if self.hits(number, Draw::Storm, profile.storm_ppm) {
            let count = 1 + self.below(number, Draw::StormCount, STORM_MAX) as u16;
            // At the number that is expected, or beside the window.
            let ahead = self.value(number, Draw::StormAhead);
            let ahead = if ahead.is_multiple_of(2) { 0 } else { (ahead >> 40) as u32 };
            out.push(Fault::Forge(Forgery { kind: ForgeryKind::AckStorm(count), ahead }));
        }
    }

    /// How many bytes it acknowledges beyond the segment before; 0 where none are known.
    fn acknowledged(&mut self, place: &Place) -> u32 {
        if place.flags & (Place::ACK | Place::RST) != Place::ACK {
            return 0;
        }
        let slot = usize::from(place.ports.0.wrapping_mul(31) ^ place.ports.1) % FLOWS;
        let before = self.acks[slot].replace(place.ack);
        let more = before.map_or(0, |before| place.ack.wrapping_sub(before));
        if more > ACKNOWLEDGED_MAX { 0 } else { more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A pure acknowledgement, or ten bytes.
    fn segment(ack: u32, len: u16) -> Vec<u8> {
        let mut frame = vec![0; 14 + 40 + usize::from(len)];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&(40 + len).to_be_bytes());
        frame[23] = 6;
        frame[42..46].copy_from_slice(&ack.to_be_bytes());
        frame[46] = 0x50;
        frame[47] = Place::ACK;
        frame
    }

    fn draw(profile: PathProfile) -> Vec<Fault> {
        let mut drawer = PathDrawer::new(profile, 5, 6).expect("something is drawn");
        let mut out = Vec::new();
        for number in 1..=4_000 {
            let len = if number % 2 == 0 { 10 } else { 0 };
            drawer.draw(number, &segment(number as u32 * 100, len), &mut out);
        }
        out
    }

    const ALL: PathProfile = PathProfile {
        hold_ppm: 100_000,
        hold_frames_max: 5,
        hold_max: Duration::from_millis(3),
        header_ppm: 100_000,
        header_repaired_ppm: 100_000,
        join_ppm: 100_000,
        join_within: 1_400,
        thin_ppm: 100_000,
        divide_ppm: 100_000,
        storm_ppm: 100_000,
    };

    #[test]
    fn each_kind_is_drawn_alone_with_what_it_needs_and_moves_no_other() {
        type Kind = (PathProfile, fn(&Fault) -> bool, usize);
        let kinds: [Kind; 7] = [
            (
                PathProfile { hold_ppm: 0, ..ALL },
                |f| matches!(f, Fault::Hold { frames: 1..=5, at_most } if at_most.as_nanos() == 3_000_000),
                400,
            ),
            (
                PathProfile { header_ppm: 0, ..ALL },
                |f| matches!(f, Fault::Corrupt { offset: 0..54, repaired: false, .. }),
                400,
            ),
            (
                PathProfile { header_repaired_ppm: 0, ..ALL },
                |f| matches!(f, Fault::Corrupt { offset: 0..54, repaired: true, .. }),
                400,
            ),
            (
                PathProfile { join_ppm: 0, ..ALL },
                |f| matches!(f, Fault::Meddle(Meddling::Join { within: 1_400 })),
                200,
            ),
            (
                PathProfile { thin_ppm: 0, ..ALL },
                |f| matches!(f, Fault::Meddle(Meddling::Thin)),
                200,
            ),
            (
                PathProfile { divide_ppm: 0, ..ALL },
                |f| matches!(f, Fault::Meddle(Meddling::Divide { parts: 2..=17, bytes: 100 })),
                200,
            ),
            (
                PathProfile { storm_ppm: 0, ..ALL },
                |f| matches!(f, Fault::Forge(Forgery { kind: ForgeryKind::AckStorm(1..=100), .. })),
                400,
            ),
        ];
        let everything = draw(ALL);
        for (without, is_it, expected) in kinds {
            let found = everything.iter().filter(|fault| is_it(fault)).count();
            assert!((expected * 3 / 4..expected * 5 / 4).contains(&found), "{found} {without:?}");
            let rest = everything.iter().filter(|fault| !is_it(fault)).copied();
            assert_eq!(draw(without), rest.collect::<Vec<_>>());
        }
    }

    #[test]
    fn damage_reaches_every_byte_of_the_headers_and_nothing_else() {
        let profile = PathProfile { header_ppm: 1_000_000, ..PathProfile::default() };
        let offsets: BTreeSet<u32> = draw(profile)
            .into_iter()
            .map(|fault| match fault {
                Fault::Corrupt { offset, .. } => offset,
                other => panic!("nobody asked for {other:?}"),
            })
            .collect();
        assert_eq!(offsets, (0..54).collect());
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_asked_for() {
        assert!(PathDrawer::new(PathProfile::default(), 1, 1).is_none());
    }
}
