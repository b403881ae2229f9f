//! The daemon as a library: channel server, control socket, engine loop, configuration.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod attach;

pub mod config;
pub mod control;
pub mod links;

pub mod port;

pub use control::default_socket_path;
