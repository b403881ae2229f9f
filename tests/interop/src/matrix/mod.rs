//! The matrix: our stack on one side of a link, the Linux kernel on the other, in every combination of what they do, who
//! begins, what the link does to frames, its MTU, the congestion control of both sides and the family of addresses.
//!
//! * [`cell`] names one combination.
//! * [`cover`] chooses few cells in which every pair of values meets.
//! * [`conn`] is a connection of either stack, so that both are driven by the same code.
//! * [`pattern`] is what two peers do with their connections, [`crowd`] what they do with two thousand.
//! * [`scene`] sets up namespaces, link and daemon, and runs a cell.

pub mod cell;
pub mod conn;
pub mod cover;
pub mod crowd;
pub mod pattern;
pub mod scene;
