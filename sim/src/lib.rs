//! Deterministic network simulator: the production engine, channel and client over simulated links.

pub mod baton;
pub mod content;
pub mod demo;
pub mod fault;
pub mod frame;
pub mod guest;
pub mod hash;
pub mod host;
pub mod link;
pub mod loader;
pub mod nic;
pub mod oracle;
pub mod process;
pub mod packet;
pub mod queue;
pub mod report;
pub mod rules;
pub mod tap;
pub mod trace;
pub mod world;
