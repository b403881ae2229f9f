//! The control socket.

mod socket;

pub use socket::{BindError, ControlSocket};
