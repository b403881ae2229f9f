//! One self-contained HTML page: time-sequence graph, congestion window, round-trip time and faults.

mod flow;
mod json;
mod page;
mod recorder;
mod segment;
mod thin;

pub use flow::{Flow, Unit, WindowSample};
pub use page::{LegPage, Page};
pub use recorder::{FaultMark, Recorder, Recording};
pub use segment::{Segment, parse};
