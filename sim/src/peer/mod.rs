//! Oracle O5: hosts that are not Causeway, to talk to those that are.
//!
//! [`TextbookHost`] is a plain reading of RFC 9293 with nothing else: no SACK, no timestamps, no window scale, go-back-N after a fixed
//! timeout that doubles, one fixed window. It shares no code with the stack. Both sides run the flows of a scenario, and both are held
//! to oracle O1: every byte once, in order, and the end where it belongs.

mod host;
mod segment;
mod talk;
#[cfg(test)]
mod tests;
mod textbook;

pub use host::{TextbookConfig, TextbookHost};
