//! A capture of the same traffic at both of its ends becomes a case: what was sent, and what the network did to it.
//!
//! The frames of a run of ours are not those of the capture: another stack cuts, acknowledges and repeats otherwise. So what happened to a
//! frame is remembered by what that frame was ([`names`]), and the case's plan is made by running its scenario once, deciding about
//! each frame while it is sent ([`resolve`]). What is written down are the numbers that those frames had.

mod clock;
mod differences;
mod events;
mod matching;
mod names;
#[cfg(test)]
mod parcel_tests;
mod parcels;
mod points;
mod resolve;
mod scenario;
#[cfg(test)]
mod tests;
mod text;
mod turns;

use std::collections::BTreeMap;

use crate::trial::TrialError;

use super::ReadError;
pub use text::{Imported, Read};

/// One capture file.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What comments call it.
    pub name: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
}

/// Why nothing can be made of captures.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{name}: {error}")]
    Read {
        /// Which.
        name: String,
        /// Why.
        error: ReadError,
    },
    /// There are not two places.
    #[error(
        "the traffic has to be captured at two places, and there are {found} ({names}); give one capture of each host, or one with two interfaces"
    )]
    Places {
        /// How many.
        found: usize,
        /// Their names; of none what was read.
        names: String,
    },
    /// No segment or datagram is in both.
    #[error(
        "no packet of TCP or UDP is in both captures; they have to be of the same traffic, without address translation in between ({read})"
    )]
    Strangers {
        /// What was read of each file.
        read: String,
    },
    /// Only one direction is in both.
    #[error(
        "packets from {from} to {to} are in both captures, but none of the other direction: the clocks cannot be compared"
    )]
    OneWay {
        /// Who sent them.
        from: std::net::IpAddr,
        /// To whom.
        to: std::net::IpAddr,
    },
    /// No connection is between the two hosts.
    #[error("there is no connection or conversation between the two hosts that sent anything")]
    Nothing,
    /// What was made of it cannot be run.
    #[error("the case cannot be run: {0}")]
    Trial(#[from] TrialError),
}

/// How often each kind of event was found.
pub type Kinds = BTreeMap<&'static str, u64>;

/// Makes a case of `inputs`: two files, or one with two interfaces.
///
/// # Errors
/// [`ImportError`].
pub fn import(inputs: &[Input<'_>]) -> Result<Imported, ImportError> {
    let mut captures = Vec::with_capacity(inputs.len());
    for input in inputs {
        let read = super::Capture::read(input.bytes);
        let read =
            read.map_err(|error| ImportError::Read { name: input.name.to_owned(), error })?;
        captures.push((input.name, read));
    }
    let (read, points) = points::points(&captures)?;
    let strangers = || ImportError::Strangers { read: points::told(&read) };
    let clock = clock::Clock::of(&points, strangers)?;
    let lanes = (matching::lanes(&points, &clock), matching::roads(&points, &clock));
    let observed = events::Observed::of(&points, &clock, &lanes);
    let scenario = scenario::Described::of(&clock, &lanes, &observed)?;
    let resolved = resolve::resolve(&scenario, &observed)?;
    Ok(text::imported(read, &points, &clock, &scenario, &observed, resolved))
}
