//! `[channel]`: what applications may have.

use serde::Deserialize;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChannel {
    channels_max: Option<Spanned<i64>>,
}

/// What applications may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    channels_max: u32,
}

impl ChannelConfig {
    /// Getter: most applications attached at once, default 256.
    pub fn channels_max(&self) -> u32 {
        self.channels_max
    }
}

const CHANNELS_MAX: Integer =
    Integer { key: "channel.channels_max", default: 256, range: 1..=4096, unit: "channels" };

impl RawChannel {
    pub(super) fn build(self, source: &Source<'_>) -> Result<ChannelConfig, ConfigError> {
        Ok(ChannelConfig {
            channels_max: CHANNELS_MAX.check_u32(source, self.channels_max.as_ref())?,
        })
    }
}
