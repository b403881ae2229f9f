//! `[metrics]`: the Prometheus endpoint.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    listen: Option<Spanned<String>>,
    connections_max: Option<Spanned<i128>>,
}

/// Where the endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A loopback address of the operating system's, and a port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The endpoint, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    listen: Option<MetricsAddress>,
    connections_max: u32,
}

impl MetricsConfig {
    /// Getter: where it listens; `None`, the default: nowhere.
    pub fn listen(&self) -> Option<&MetricsAddress> {
        self.listen.as_ref()
    }

    /// Getter: connections at a time, default 16; the others wait.
    pub fn connections_max(&self) -> u32 {
        self.connections_max
    }
}

const CONNECTIONS_MAX: Integer = Integer::new("metrics.connections_max", 16, 1, 256, "connections");

impl RawMetrics {
    pub(super) fn build(self, source: &Source<'_>) -> Result<MetricsConfig, ConfigError> {
        Ok(MetricsConfig {
            listen: self.listen.map(|listen| address(source, &listen)).transpose()?,
            connections_max: CONNECTIONS_MAX.check_u32(source, self.connections_max.as_ref())?,
        })
    }
}

fn address(source: &Source<'_>, value: &Spanned<String>) -> Result<MetricsAddress, ConfigError> {
    let text = value.get_ref();
    // sun_path has 108 bytes with the final NUL.
    if text.starts_with('/') && text.len() <= 107 && !text.contains('\0') {
        return Ok(MetricsAddress::Unix(PathBuf::from(text)));
    }
    let problem = match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => "has no port".to_owned(),
        Ok(address) if address.ip().is_loopback() => return Ok(MetricsAddress::Tcp(address)),
        Ok(_) => "is no loopback address".to_owned(),
        Err(_) => "is neither an address with a port nor an absolute path".to_owned(),
    };
    let advice = "give one like \"127.0.0.1:9464\" or \"/run/causeway/metrics.sock\"";
    Err(source.error("metrics.listen", value.span(), format!("{text:?} {problem}"), advice))
}
