//! What goes wrong how often, and the pure function that says what happens to one frame.

use causeway_core::nic::Frame;
use causeway_core::rng::Stream;
use causeway_core::time::Duration;

/// Parts per million that mean "every frame".
const PPM_ALL: u32 = 1_000_000;
/// Draws set aside for one frame: one for each [`Draw`], rounded up to a power of two.
const DRAWS_PER_FRAME: u64 = 8;

/// How often which fault happens to the frames of one direction. Immutable; made by
/// [`FaultProfile::builder`]. The default does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultProfile {
    loss_ppm: u32,
    duplicate_ppm: u32,
    reorder_ppm: u32,
    reorder_frames_max: u32,
    reorder_delay_max: Duration,
    corrupt_ppm: u32,
}

impl FaultProfile {
    /// A profile under which every frame passes.
    pub const NONE: Self = Self {
        loss_ppm: 0,
        duplicate_ppm: 0,
        reorder_ppm: 0,
        reorder_frames_max: 0,
        reorder_delay_max: Duration::ZERO,
        corrupt_ppm: 0,
    };

    /// Start of a new profile; every setting is off, and a reordered frame is overtaken by up to 3
    /// frames or for up to 1 ms.
    pub const fn builder() -> FaultProfileBuilder {
        FaultProfileBuilder {
            profile: Self {
                reorder_frames_max: 3,
                reorder_delay_max: Duration::from_millis(1),
                ..Self::NONE
            },
        }
    }

    /// Getter: frames lost, per million.
    pub const fn loss_ppm(&self) -> u32 {
        self.loss_ppm
    }

    /// Getter: frames delivered twice, per million.
    pub const fn duplicate_ppm(&self) -> u32 {
        self.duplicate_ppm
    }

    /// Getter: frames held back, per million.
    pub const fn reorder_ppm(&self) -> u32 {
        self.reorder_ppm
    }

    /// Getter: the most later frames that overtake a held one.
    pub const fn reorder_frames_max(&self) -> u32 {
        self.reorder_frames_max
    }

    /// Getter: the longest a frame is held, where there is a clock.
    pub const fn reorder_delay_max(&self) -> Duration {
        self.reorder_delay_max
    }

    /// Getter: frames with one bit flipped, per million.
    pub const fn corrupt_ppm(&self) -> u32 {
        self.corrupt_ppm
    }

    /// Getter: true when no fault can happen.
    pub const fn is_none(&self) -> bool {
        self.loss_ppm == 0
            && self.duplicate_ppm == 0
            && self.reorder_ppm == 0
            && self.corrupt_ppm == 0
    }
}

/// Why a profile was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A rate is above one million.
    #[error("a fault rate is in parts per million: 0 to 1000000")]
    RateOutOfRange,
    /// Reordering without a distance.
    #[error("reordering needs a distance of at least 1 frame and a delay above 0")]
    ReorderWithoutDistance,
    /// Frames would be held for longer than a minute.
    #[error("a reordered frame is held for at most 60 s and 64 frames")]
    ReorderTooFar,
}

/// Settings of a [`FaultProfile`] being made. Rates are in parts per million of the frames, 0 to
/// 1,000,000, default 0.
#[derive(Clone, Copy, Debug)]
pub struct FaultProfileBuilder {
    profile: FaultProfile,
}

impl FaultProfileBuilder {
    /// Command: how many frames are lost, per million.
    pub const fn loss_ppm(mut self, ppm: u32) -> Self {
        self.profile.loss_ppm = ppm;
        self
    }

    /// Command: how many frames arrive twice, per million.
    pub const fn duplicate_ppm(mut self, ppm: u32) -> Self {
        self.profile.duplicate_ppm = ppm;
        self
    }

    /// Command: how many frames are held back, per million.
    pub const fn reorder_ppm(mut self, ppm: u32) -> Self {
        self.profile.reorder_ppm = ppm;
        self
    }

    /// Command: at most how many later frames overtake a held one; 1 to 64, default 3. What a backend
    /// without a clock goes by.
    pub const fn reorder_frames_max(mut self, frames: u32) -> Self {
        self.profile.reorder_frames_max = frames;
        self
    }

    /// Command: how long a frame is held at most; above 0, up to 60 s, default 1 ms. What the simulator
    /// goes by.
    pub const fn reorder_delay_max(mut self, delay: Duration) -> Self {
        self.profile.reorder_delay_max = delay;
        self
    }

    /// Command: how many frames get one bit flipped, per million.
    pub const fn corrupt_ppm(mut self, ppm: u32) -> Self {
        self.profile.corrupt_ppm = ppm;
        self
    }

    /// Output: the profile, if every setting is within its range.
    pub fn build(self) -> Result<FaultProfile, ProfileError> {
        let FaultProfile {
            loss_ppm,
            duplicate_ppm,
            reorder_ppm,
            reorder_frames_max,
            reorder_delay_max,
            corrupt_ppm,
        } = self.profile;
        if [loss_ppm, duplicate_ppm, reorder_ppm, corrupt_ppm].into_iter().any(|r| r > PPM_ALL) {
            return Err(ProfileError::RateOutOfRange);
        }
        if reorder_ppm > 0 && (reorder_frames_max == 0 || reorder_delay_max == Duration::ZERO) {
            return Err(ProfileError::ReorderWithoutDistance);
        }
        if reorder_frames_max > 64 || reorder_delay_max > Duration::from_secs(60) {
            return Err(ProfileError::ReorderTooFar);
        }
        Ok(self.profile)
    }
}

/// What happens to one frame. One fault a frame; the first that strikes, in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is lost.
    Drop,
    /// One bit is flipped: see [`corrupt`].
    Corrupt {
        /// Selects the bit; any number will do for any frame.
        selector: u64,
    },
    /// It arrives twice.
    Duplicate,
    /// It is overtaken.
    Reorder {
        /// By how many later frames, at least 1.
        frames: u32,
        /// Or for how long, above 0.
        delay: Duration,
    },
    /// Nothing.
    Pass,
}

/// The place of each draw within a frame's own. A kind of fault never uses another's, so that changing
/// one rate leaves the other faults where they are.
#[derive(Clone, Copy)]
enum Draw {
    Loss = 0,
    Corrupt = 1,
    CorruptWhere = 2,
    Duplicate = 3,
    Reorder = 4,
    ReorderFrames = 5,
    ReorderDelay = 6,
}

/// Getter: what happens to frame number `counter` of the direction `entity` under `seed`. A pure function.
pub const fn decide(profile: &FaultProfile, seed: u64, entity: u64, counter: u64) -> Verdict {
    let draws = Draws { stream: Stream::new(seed, entity), counter };
    if draws.strikes(Draw::Loss, profile.loss_ppm) {
        return Verdict::Drop;
    }
    if draws.strikes(Draw::Corrupt, profile.corrupt_ppm) {
        return Verdict::Corrupt { selector: draws.value(Draw::CorruptWhere) };
    }
    if draws.strikes(Draw::Duplicate, profile.duplicate_ppm) {
        return Verdict::Duplicate;
    }
    if draws.strikes(Draw::Reorder, profile.reorder_ppm) {
        let frames = draws.below(Draw::ReorderFrames, profile.reorder_frames_max as u64) as u32;
        let nanos = draws.below(Draw::ReorderDelay, profile.reorder_delay_max.as_nanos());
        return Verdict::Reorder { frames: frames + 1, delay: Duration::from_nanos(nanos + 1) };
    }
    Verdict::Pass
}

/// The random numbers of one frame.
struct Draws {
    stream: Stream,
    counter: u64,
}

impl Draws {
    const fn value(&self, draw: Draw) -> u64 {
        self.stream.at(self.counter.wrapping_mul(DRAWS_PER_FRAME).wrapping_add(draw as u64))
    }

    const fn below(&self, draw: Draw, bound: u64) -> u64 {
        ((self.value(draw) as u128 * bound as u128) >> 64) as u64
    }

    const fn strikes(&self, draw: Draw, ppm: u32) -> bool {
        ppm > 0 && self.below(draw, PPM_ALL as u64) < ppm as u64
    }
}

/// Command: flips the bit of `frame` that `selector` names. An empty frame stays as it is.
pub fn corrupt<F: Frame>(frame: &mut F, selector: u64) {
    let bits = frame.len() as u64 * 8;
    if bits == 0 {
        return;
    }
    let bit = selector % bits;
    let mut byte = (bit / 8) as usize;
    for index in 0..frame.segment_count() {
        let segment = frame.segment_mut(index);
        if let Some(target) = segment.get_mut(byte) {
            *target ^= 1 << (bit % 8);
            return;
        }
        byte -= segment.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(loss: u32, duplicate: u32, reorder: u32, corrupt: u32) -> FaultProfile {
        FaultProfile::builder()
            .loss_ppm(loss)
            .duplicate_ppm(duplicate)
            .reorder_ppm(reorder)
            .corrupt_ppm(corrupt)
            .build()
            .unwrap()
    }

    #[test]
    fn a_verdict_depends_only_on_profile_seed_entity_and_frame_number() {
        let p = profile(100_000, 100_000, 100_000, 100_000);
        let run = |seed, entity| (0..500).map(|n| decide(&p, seed, entity, n)).collect::<Vec<_>>();
        assert_eq!(run(1, 1), run(1, 1));
        assert_ne!(run(1, 1), run(2, 1));
        assert_ne!(run(1, 1), run(1, 2));
    }

    #[test]
    fn each_rate_comes_out_near_what_was_asked() {
        let p = profile(100_000, 50_000, 20_000, 10_000);
        let (mut lost, mut twice, mut late, mut spoilt) = (0, 0, 0, 0);
        for n in 0..100_000 {
            match decide(&p, 9, 0, n) {
                Verdict::Drop => lost += 1,
                Verdict::Duplicate => twice += 1,
                Verdict::Reorder { frames, delay } => {
                    assert!((1..=3).contains(&frames));
                    assert!(delay > Duration::ZERO && delay <= Duration::from_millis(1));
                    late += 1;
                }
                Verdict::Corrupt { .. } => spoilt += 1,
                Verdict::Pass => {}
            }
        }
        assert!((9_500..10_500).contains(&lost), "lost {lost}");
        assert!((4_200..4_800).contains(&twice), "duplicated {twice}");
        assert!((1_550..1_850).contains(&late), "reordered {late}");
        assert!((800..1_000).contains(&spoilt), "corrupted {spoilt}");
    }

    #[test]
    fn taking_one_fault_away_leaves_the_others_where_they_were() {
        let both = profile(50_000, 50_000, 0, 0);
        let alone = profile(0, 50_000, 0, 0);
        for n in 0..10_000 {
            if decide(&both, 3, 4, n) == Verdict::Duplicate {
                assert_eq!(decide(&alone, 3, 4, n), Verdict::Duplicate);
            }
        }
    }

    #[test]
    fn nothing_happens_under_the_empty_profile_and_everything_is_lost_at_a_million() {
        let all = profile(1_000_000, 0, 0, 0);
        assert!((0..1_000).all(|n| decide(&FaultProfile::NONE, 1, 1, n) == Verdict::Pass));
        assert!((0..1_000).all(|n| decide(&all, 1, 1, n) == Verdict::Drop));
    }

    #[test]
    fn a_setting_outside_its_range_is_refused_with_its_reason() {
        let b = FaultProfile::builder;
        assert_eq!(b().loss_ppm(1_000_001).build(), Err(ProfileError::RateOutOfRange));
        assert_eq!(
            b().reorder_ppm(1).reorder_frames_max(0).build(),
            Err(ProfileError::ReorderWithoutDistance)
        );
        assert_eq!(b().reorder_frames_max(65).build(), Err(ProfileError::ReorderTooFar));
    }

    #[test]
    fn corruption_flips_exactly_one_bit() {
        let pool = crate::Pool::new(1, 64);
        let mut frame = pool.alloc(64).unwrap();
        for selector in [0, 7, 8, 511, 512, u64::MAX] {
            frame.segment_mut(0).fill(0);
            corrupt(&mut frame, selector);
            let ones: u32 = frame.segment(0).iter().map(|b| b.count_ones()).sum();
            assert_eq!(ones, 1, "selector {selector}");
        }
    }
}
