//! The daemon as a library: channel server, control socket, engine loop, configuration.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod config;
pub mod control;

use std::path::PathBuf;
/// tmp
pub fn default_socket_path() -> PathBuf {
    PathBuf::from("/run/causeway/causeway.sock")
}
