//! Stories of two flows.

mod delivery;
mod guards;
mod life;
mod pair;
mod recovery;
