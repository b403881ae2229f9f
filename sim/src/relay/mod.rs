//! What stands between hosts: switches and routers.

mod icmp;
mod neighbors;
mod router;
mod switch;

pub use icmp::{Told, error};
pub use router::{Route, Router, RouterPort};
pub use switch::Switch;

#[cfg(test)]
mod tests;
