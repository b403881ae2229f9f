//! `[[router]]`: what passes packets on from link to link.

use std::collections::BTreeSet;

use causeway_server::config::document::{self, Interfaces, Routes, Settings, Source};
use causeway_server::config::{Config, ConfigError};
use serde::Deserialize;
use toml::Spanned;

use super::unique;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRouter {
    name: Spanned<String>,
    interface: Interfaces,
    #[serde(default)]
    route: Routes,
}

/// A router: interfaces and routes as a host has them.
#[derive(Clone, Debug)]
pub struct RouterSpec {
    /// Its name.
    pub name: String,
    /// Its interfaces and routes.
    pub config: Config,
}

impl RawRouter {
    pub(super) fn build(
        self,
        source: &Source<'_>,
        names: &mut BTreeSet<String>,
    ) -> Result<RouterSpec, ConfigError> {
        let name = unique(source, "router.name", &self.name, names)?;
        let config = document::host(source, self.interface, self.route, Settings::default())?;
        Ok(RouterSpec { name, config })
    }
}
