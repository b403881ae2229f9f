//! What an operator asks a running daemon, and what it answers: sockets, counters.
//!
//! ```text
//! tool                                   control thread                       engine
//! Inquiry::ask(question)   ------->      one at a time of each connection --> Order::Ask
//!                          <-------      Answer as one packet          <----- a page: bounded work in one step
//! ```
//!
//! Questions travel on the control socket, as the first packet of a connection in the place of a hello. One question is one packet
//! and so is its answer; what does not fit is asked for again from where the last page ended. Root and the user of the daemon see
//! everything, others the sockets and channels of their own user.

mod ask;
mod counters;
mod inquiry;
mod words;

pub use ask::{Ask, Viewer, Way};
pub(crate) use counters::stack_metrics;
pub use inquiry::{Inquiry, InquiryError};
pub use words::{
    ANSWER_BYTES_MAX, Answer, Kind, ListenerRow, Metric, Owner, QUESTION_BYTES_MAX, Question,
    SocketRow, WordsError, is_question,
};
