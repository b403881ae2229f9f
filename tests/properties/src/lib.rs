//! What the properties share: two whole stacks on a wire that does what a test says, and two connections on a link with weather,
//! both with applications that know what every byte has to be.

mod cases;
mod content;
mod link;
mod rings;
mod two_stacks;
mod window;
mod world;

pub use cases::cases;
pub use content::{byte, fill, is_there};
pub use link::{Link, Packet, Weather};
pub use rings::Rings;
pub use two_stacks::{Action, SIDES, TwoStacks, Wrap};
pub use world::{End, Input, Plan, World};
