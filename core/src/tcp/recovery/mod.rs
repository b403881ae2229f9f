//! Loss recovery: what is lost, and what to send again first. How fast is `congestion`'s to say.
//!
//! Everything that only matters while something is in flight lives in a [`Flight`], which a connection makes when it sends and lets
//! go of when it has been idle: `sent` (what is in flight), `scoreboard` (SACK), `dsack`, `rack`, `tlp`, `prr`, `newreno` (peers without
//! SACK), `frto` and `undo` (losses that were none), `rate` (delivery rate). `on_ack`, `on_timeout` and `retransmit` make one
//! machine of them; `info` has its figures.

mod dsack;
mod flight;
mod frto;
mod info;
mod newreno;
mod on_ack;
mod on_timeout;
mod plain_ack;
mod prr;
mod rack;
mod rate;
mod retransmit;
mod scoreboard;
mod sent;
mod state;
mod timers;
mod tlp;
mod undo;

pub(in crate::tcp) use flight::{Delivery, Flight};
pub(in crate::tcp) use retransmit::Resend;
pub(in crate::tcp) use sent::{Marks, Sent};
pub(in crate::tcp) use state::{Phase, Recovery, Trouble};
pub(in crate::tcp) use timers::OFF;
