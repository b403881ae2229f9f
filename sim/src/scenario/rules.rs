//! `[run]`: when faults end, and when the run has to.

use causeway_core::time::{Duration, Instant};
use causeway_server::config::ConfigError;
use causeway_server::config::document::{Integer, Source};
use serde::Deserialize;
use toml::Spanned;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRun {
    heal_ms: Option<Spanned<i128>>,
    limit_s: Option<Spanned<i128>>,
    poll_ns: Option<Spanned<i128>>,
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRules {
    /// From here on nothing goes wrong.
    pub heal_at: Instant,
    /// After the faults have ended, everything must be done within this.
    pub limit: Duration,
    /// What an iteration of a host's loop costs.
    pub poll_interval: Duration,
}

const HEAL_MS: Integer =
    Integer { key: "run.heal_ms", default: 10_000, range: 0..=86_400_000, unit: "milliseconds" };
/// The default is what TCP may wait at most between two attempts (RFC 6298 §2.5), five times.
const LIMIT_S: Integer =
    Integer { key: "run.limit_s", default: 600, range: 1..=86_400, unit: "seconds" };
const POLL_NS: Integer =
    Integer { key: "run.poll_ns", default: 500, range: 1..=10_000_000, unit: "nanoseconds" };

impl RawRun {
    pub(super) fn build(self, source: &Source<'_>) -> Result<RunRules, ConfigError> {
        let heal = HEAL_MS.check_u64(source, self.heal_ms.as_ref())?;
        let limit = LIMIT_S.check_u64(source, self.limit_s.as_ref())?;
        let poll = POLL_NS.check_u64(source, self.poll_ns.as_ref())?;
        Ok(RunRules {
            heal_at: Instant::ZERO + Duration::from_millis(heal),
            limit: Duration::from_secs(limit),
            poll_interval: Duration::from_nanos(poll),
        })
    }
}
