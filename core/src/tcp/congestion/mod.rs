//! Congestion control: when and how much the window changes. What was lost is `recovery`'s to know.
//!
//! `recovery` and the machine of RFC 9293 tell [`Congestion`] what happened, in an [`AckSample`] for each
//! acknowledgement that moves something and a [`LossEvent`] for what goes wrong; the algorithms behind it
//! implement [`CongestionControl`]. Integers only, so that every machine computes the same.

mod algorithm;
mod bbr;
mod control;
mod cubic;
mod dctcp;
mod figures;
mod hystart;
mod option;
mod reno;
mod sample;
mod state;
#[cfg(test)]
pub(in crate::tcp) mod testing;
mod usage;
mod window;

pub use algorithm::Algorithm;
pub use bbr::Bbr;
pub use control::CongestionControl;
pub use cubic::Cubic;
pub use dctcp::Dctcp;
pub use figures::CongestionFigures;
pub use reno::Reno;
pub use sample::{AckPhase, AckSample, LossEvent, Lost, Sent};
pub use state::Congestion;
pub use window::{CWND_MAX, Window, initial_window};
