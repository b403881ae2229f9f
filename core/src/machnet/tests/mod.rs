//! Stories of two flows.

mod delivery;
mod life;
mod pair;
mod recovery;
