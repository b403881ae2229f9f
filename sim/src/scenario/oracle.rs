//! `[oracle]`: what a scenario of long transfers has to reach (oracle O9).

use causeway_core::time::Duration;
use causeway_server::config::ConfigError;
use causeway_server::config::document::{Integer, Source};
use serde::Deserialize;
use toml::Spanned;

use super::link::LinkSpec;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOracle {
    bottleneck: Spanned<String>,
    settle_ms: Option<Spanned<i128>>,
    use_percent: Option<Spanned<i128>>,
    fairness_percent: Option<Spanned<i128>>,
}

/// What the flows over a bottleneck have to reach while all of them have something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OracleSpec {
    /// The link and the direction (0 or 1) that is the bottleneck, by position.
    pub bottleneck: (usize, usize),
    /// After the last flow has begun, this much time is not looked at.
    pub settle: Duration,
    /// Of the rate, in percent: new bytes with their headers.
    pub use_percent: u32,
    /// Jain's index over the flows' new bytes, in percent; 0 where it is not judged.
    pub fairness_percent: u32,
}

const SETTLE_MS: Integer = Integer {
    key: "oracle.settle_ms",
    default: 1_000,
    range: 0..=86_400_000,
    unit: "milliseconds",
};
const USE: Integer =
    Integer { key: "oracle.use_percent", default: 90, range: 0..=100, unit: "percent" };
const FAIRNESS: Integer =
    Integer { key: "oracle.fairness_percent", default: 0, range: 0..=100, unit: "percent" };

impl RawOracle {
    pub(super) fn build(
        self,
        source: &Source<'_>,
        links: &[LinkSpec],
    ) -> Result<OracleSpec, ConfigError> {
        let named =
            |at: usize| (0..2).find(|side| &links[at].names[*side] == self.bottleneck.get_ref());
        let found = (0..links.len()).find_map(|at| named(at).map(|side| (at, side)));
        let bottleneck = found.ok_or_else(|| {
            let problem = format!("{:?} is no direction of a link", self.bottleneck.get_ref());
            let advice = "name one like \"a->b\"";
            source.error("oracle.bottleneck", self.bottleneck.span(), problem, advice)
        })?;
        let settle = SETTLE_MS.check_u64(source, self.settle_ms.as_ref())?;
        Ok(OracleSpec {
            bottleneck,
            settle: Duration::from_millis(settle),
            use_percent: USE.check_u32(source, self.use_percent.as_ref())?,
            fairness_percent: FAIRNESS.check_u32(source, self.fairness_percent.as_ref())?,
        })
    }
}
