//! The daemon as a library: channel server, control socket, engine loop, configuration.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | TOML in, checked values out |
//! | [`attach`] | granting a channel, without a socket: what the control socket and the simulator share |
//! | [`port`] | [`port::ChannelPort`]: every channel of one engine behind one `AppPort` |
//! | [`capture`] | live capture of frames |
//! | [`control`] | the unix socket: handshakes, credentials, hang-ups |
//! | [`engine_loop`] | the loop around `Engine::step`: spin, sleep, stop |
//! | [`introspect`] | what an operator asks a running daemon, and what it answers |
//! | [`metrics`] | the Prometheus endpoint |
//! | [`links`] | what goes between the threads |
//! | [`confine`] | what the daemon gives up once it serves |
//! | [`supervisor`] | the service manager: ready, reloading, stopping, the watchdog |
//! | [`tenants`] | whose an application is, by its user |
//! | [`daemon`] | all of it together |
//!
//! The simulator uses [`attach`] and [`port`]; the rest is an operating system's.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod assembly;
pub mod attach;
pub mod capture;
pub mod config;
pub mod confine;
pub mod control;
pub mod daemon;
pub mod engine_loop;
pub mod introspect;
pub mod links;
pub mod metrics;
pub mod port;
pub mod supervisor;
pub mod tenants;

pub use assembly::{AssemblyError, stack_builder};
pub use control::default_socket_path;
