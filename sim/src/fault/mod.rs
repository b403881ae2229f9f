//! Faults are data: explicit decisions, drawn from a seed or read from a text, then executed.

mod clock;
mod dice;
mod draw;
mod fields;
mod ipc;
mod live;
mod meddling;
mod neighbor;
mod nic;
mod path;
mod place;
mod plan;
mod profile;
mod text;

pub use causeway_backends::adapt::fault::FaultProfile;
pub use clock::ClockTrouble;
pub use dice::Dice;
pub use draw::{Drawer, FaultSource};
pub use ipc::{AttachFault, IPC_EVENTS, IpcDice};
pub use live::{Decide, Live};
pub use meddling::Meddling;
pub use neighbor::NeighborTrouble;
pub use nic::NicTrouble;
pub use path::PathProfile;
pub use place::{IP, Place};
pub use plan::{
    Condition, Counted, Decision, Event, Fault, FaultPlan, Forgery, ForgeryKind, Line, TargetKind,
    TcpOption,
};
pub use profile::{Bursts, Kind, LinkProfile};
pub use text::{HEADER, PlanError, condition_words, exact, fault_words, write_fault};
