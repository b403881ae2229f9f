//! TCP: RFC 9293 and its companions.

mod seq;
mod state;

pub use seq::SeqNumber;
pub use state::State;
