//! One self-contained HTML page: time-sequence graph, windows, round-trip time, states, faults, and single frames between their hosts.

mod flow;
mod frames;
mod json;
mod page;
mod recorder;
mod segment;
mod thin;

pub use flow::{Flow, Offer, StateChange, Unit, WindowSample};
pub use frames::{FrameFate, FrameKind, FrameLog, FrameMark};
pub(crate) use json::push_text;
pub use page::{LegPage, Page, SpanMark, Verdict};
pub use recorder::{FaultMark, Recorder, Recording};
pub use segment::{Segment, parse};
