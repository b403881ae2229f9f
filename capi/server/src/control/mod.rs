//! The control socket: where applications attach, and whose hang-up says that they are gone.

mod inquirers;
mod path;
mod server;
#[cfg(test)]
mod server_tests;
mod socket;

pub use path::default_socket_path;
pub use server::ControlServer;
pub(crate) use socket::accept;
pub use socket::{BindError, ListeningSocket};
