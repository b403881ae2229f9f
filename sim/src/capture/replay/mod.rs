//! A capture of one host is played to our stack in its place, and what the two answer is compared.
//!
//! The stack opens and takes the connections that the host had, sends the bytes that it sent, when it sent them, and gets the segments that
//! arrived, when they arrived. Numbers that speak of its own stream are translated: acknowledgements, selective ones, echoes of
//! timestamps, and the port where it is the stack that calls. What arrives was meant for another sender: an acknowledgement of
//! what our stack has not sent yet is cut down, and made up for when it has.

mod compare;
mod drive;
mod player;
mod script;
mod stand_in;
mod station;
#[cfg(test)]
mod tests;
mod text;
mod translate;

use std::net::IpAddr;

use causeway_server::config::ConfigError;

use super::units::units;
use super::{Capture, ReadError, Skipped, Trace};
pub use compare::{Item, Line, Sameness};
pub use text::Replayed;

/// Most connections that are replayed.
pub const CONNECTIONS_MAX: usize = 1_000;

/// Why nothing can be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// Nothing in it goes to the host.
    #[error(
        "no TCP segment of the capture goes to {0}; name the host whose place the stack is to take, by the addresses that it has in the capture"
    )]
    Absent(String),
    /// No connection of the host begins in it.
    #[error(
        "no connection of {0} begins in the capture: of those that had begun before the SYN is missing"
    )]
    Begun(String),
    /// The addresses cannot be a host's.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The stack refuses its configuration.
    #[error("{0}")]
    Stack(causeway_core::stack::ConfigError),
}

/// Replays what arrives at the host with these addresses. `name` is what errors call the file.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(name: &str, file: &[u8], addresses: &[IpAddr]) -> Result<Replayed, ReplayError> {
    let capture = Capture::read(file)?;
    let trace = Trace::of(&capture);
    let (udp, icmp) = (trace.parcels.len() as u64, trace.notices.len() as u64);
    let mut skipped: Skipped = trace.skipped.clone();
    // Only TCP is replayed.
    skipped.udp += udp;
    skipped.icmp += icmp;
    let (units, _) = units(trace.frames);
    let of = || addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let scripts = script::Scripts::of(&units, addresses);
    if scripts.arrivals == 0 {
        return Err(ReplayError::Absent(of()));
    }
    if scripts.all.is_empty() {
        return Err(ReplayError::Begun(of()));
    }
    let stand_in = stand_in::StandIn::new(name, addresses, &scripts)?;
    let played = drive::play(stand_in, &scripts);
    Ok(Replayed::new(of(), skipped, &scripts, played))
}
