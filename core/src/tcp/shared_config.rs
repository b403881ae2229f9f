//! One [`Config`] for all connections that have the same: a connection's own copy begins with its first socket option.

use alloc::sync::Arc;
use core::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::config::Config;

/// A pointer to settings. Cloning it copies no settings; changing it does, once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SharedConfig(Arc<Config>);

impl SharedConfig {
    /// Command: settings of its own, to be changed.
    pub(in crate::tcp) fn own(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.0)
    }
}

impl Deref for SharedConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

impl From<&Config> for SharedConfig {
    fn from(config: &Config) -> Self {
        Self(Arc::new(*config))
    }
}

impl From<&Self> for SharedConfig {
    fn from(config: &Self) -> Self {
        config.clone()
    }
}

impl Serialize for SharedConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Config::deserialize(deserializer).map(|config| Self(Arc::new(config)))
    }
}
