//! The process lane: shipped programs with the shipped C library, as processes under virtual time.
//!
//! A preload object (`sim/vtime`) sits in each process and asks the world for every turn, over a socket pair; the world
//! is also the daemon that the C library attaches to, with the handshake, memory and doorbells of production.
//!
//! | module | what it does |
//! |---|---|
//! | `config` | what to run, where its output goes, where the preload object is |
//! | `launch` | the first process of a guest |
//! | `baton` | questions and answers |
//! | `member` | one process of a guest |
//! | `channels` | the daemon's side: attach, bells, detach |
//! | `tree` | the guest: which of its processes runs, who is born and who ends |
//!
//! Equal seeds give equal network events. Nothing is promised about data races inside a program: between two calls a
//! thread runs alone, so most of them do not show, but what a program reads from outside the world (files that change,
//! its real process number by way of `/proc`) is its own.

mod baton;
mod channels;
mod config;
mod launch;
mod member;
#[path = "../../vtime/src/names.rs"]
mod names;
mod tree;
#[path = "../../vtime/src/wire.rs"]
mod wire;

pub use config::{Captured, Output, PRELOAD_VARIABLE, ProcessConfig, find_preload, set_preload};
pub use tree::ProcessGuest;
