//! Stories of two flows.

mod bottleneck;
mod delivery;
mod extended_delivery;
mod extended_life;
mod extended_recovery;
mod flow_control;
mod guards;
mod hostile;
mod life;
mod negotiation;
pub(in crate::machnet) mod pair;
mod recovery;
