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
pub mod packet;
pub mod polled;
pub mod process;
pub mod queue;
pub mod relay;
pub mod report;
pub mod rules;
pub mod scenario;
pub mod swarm;
pub mod tap;
pub mod trace;
pub mod trial;
pub mod workload;
pub mod world;
