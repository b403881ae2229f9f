//! The main job: two hosts, a bad link and a good one, programs in C and Rust, every byte verified.

mod figures;
mod leg;
mod programs;
mod run;
mod stream;
mod table;

pub use figures::{Figures, LegReport};
pub use leg::{LegSpec, MessageSpec, StreamSpec};
pub use programs::{MESSAGES, reply_size, request_size};
pub use run::{DemoOptions, DemoReport, Progress, run};
