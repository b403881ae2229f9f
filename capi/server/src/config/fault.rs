//! `[interface.fault]`: what the fault decorator does to an interface's frames.

use causeway_backends::fault::FaultProfile;
use serde::Deserialize;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFault {
    seed: Option<Spanned<i128>>,
    loss_ppm: Option<Spanned<i128>>,
    duplicate_ppm: Option<Spanned<i128>>,
    reorder_ppm: Option<Spanned<i128>>,
    reorder_frames_max: Option<Spanned<i128>>,
    corrupt_ppm: Option<Spanned<i128>>,
}

/// Faults in both directions of one interface, drawn from a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultConfig {
    seed: u64,
    profile: FaultProfile,
}

impl FaultConfig {
    /// Getter: equal seeds draw equal faults, default 1.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Getter: how often what happens, the same in both directions.
    pub fn profile(&self) -> FaultProfile {
        self.profile
    }
}

const fn ppm(key: &'static str) -> Integer {
    Integer { key, default: 0, range: 0..=1_000_000, unit: "parts per million" }
}

const SEED: Integer =
    Integer { key: "interface.fault.seed", default: 1, range: 0..=i64::MAX, unit: "" };
const REORDER_FRAMES_MAX: Integer = Integer {
    key: "interface.fault.reorder_frames_max",
    default: 3,
    range: 1..=64,
    unit: "frames",
};

impl RawFault {
    pub(super) fn build(self, source: &Source<'_>) -> Result<FaultConfig, ConfigError> {
        let chance =
            |key, value: &Option<Spanned<i128>>| ppm(key).check_u32(source, value.as_ref());
        let seed = SEED.check_u64(source, self.seed.as_ref())?;
        let built = FaultProfile::builder()
            .loss_ppm(chance("interface.fault.loss_ppm", &self.loss_ppm)?)
            .duplicate_ppm(chance("interface.fault.duplicate_ppm", &self.duplicate_ppm)?)
            .reorder_ppm(chance("interface.fault.reorder_ppm", &self.reorder_ppm)?)
            .reorder_frames_max(
                REORDER_FRAMES_MAX.check_u32(source, self.reorder_frames_max.as_ref())?,
            )
            .corrupt_ppm(chance("interface.fault.corrupt_ppm", &self.corrupt_ppm)?)
            .build();
        let profile =
            built.expect("the range of each setting is the profile's, and each stands alone");
        Ok(FaultConfig { seed, profile })
    }
}
