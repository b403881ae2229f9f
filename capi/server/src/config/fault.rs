//! `[interface.fault]`: what the fault decorator does to an interface's frames.

use serde::Deserialize;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFault {
    seed: Option<Spanned<i64>>,
    loss_ppm: Option<Spanned<i64>>,
    duplicate_ppm: Option<Spanned<i64>>,
    reorder_ppm: Option<Spanned<i64>>,
    reorder_frames: Option<Spanned<i64>>,
    corrupt_ppm: Option<Spanned<i64>>,
}

/// Faults in both directions of one interface, drawn from a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultConfig {
    seed: u64,
    loss_ppm: u32,
    duplicate_ppm: u32,
    reorder_ppm: u32,
    reorder_frames: u32,
    corrupt_ppm: u32,
}

impl FaultConfig {
    /// Getter: equal seeds draw equal faults, default 1.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Getter: frames lost per million, default 0.
    pub fn loss_ppm(&self) -> u32 {
        self.loss_ppm
    }

    /// Getter: frames delivered twice per million, default 0.
    pub fn duplicate_ppm(&self) -> u32 {
        self.duplicate_ppm
    }

    /// Getter: frames held back per million, default 0.
    pub fn reorder_ppm(&self) -> u32 {
        self.reorder_ppm
    }

    /// Getter: how many later frames overtake one that is held back, 1 to 64, default 3.
    pub fn reorder_frames(&self) -> u32 {
        self.reorder_frames
    }

    /// Getter: frames with one byte changed per million, default 0.
    pub fn corrupt_ppm(&self) -> u32 {
        self.corrupt_ppm
    }
}

const fn ppm(key: &'static str) -> Integer {
    Integer { key, default: 0, range: 0..=1_000_000, unit: "parts per million" }
}

const SEED: Integer =
    Integer { key: "interface.fault.seed", default: 1, range: 0..=i64::MAX, unit: "" };
const REORDER_FRAMES: Integer =
    Integer { key: "interface.fault.reorder_frames", default: 3, range: 1..=64, unit: "frames" };

impl RawFault {
    pub(super) fn build(self, source: &Source<'_>) -> Result<FaultConfig, ConfigError> {
        let chance = |key, value: &Option<Spanned<i64>>| ppm(key).check_u32(source, value.as_ref());
        Ok(FaultConfig {
            seed: SEED.check_u64(source, self.seed.as_ref())?,
            loss_ppm: chance("interface.fault.loss_ppm", &self.loss_ppm)?,
            duplicate_ppm: chance("interface.fault.duplicate_ppm", &self.duplicate_ppm)?,
            reorder_ppm: chance("interface.fault.reorder_ppm", &self.reorder_ppm)?,
            reorder_frames: REORDER_FRAMES.check_u32(source, self.reorder_frames.as_ref())?,
            corrupt_ppm: chance("interface.fault.corrupt_ppm", &self.corrupt_ppm)?,
        })
    }
}
