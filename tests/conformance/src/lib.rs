//! The stack held to scripts: [`host`] puts POSIX calls, raw datagrams and a virtual clock around the engine,
//! [`script`] reads packetdrill's language, [`run`] plays a script against a host and compares.
//!
//! Nothing here sleeps, needs root or touches the network: a script takes milliseconds whatever time it spans.
#![forbid(unsafe_code)]

pub mod host;
pub mod run;
pub mod script;
