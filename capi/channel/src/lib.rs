//! The shared-memory channel between an application and the daemon.
//!
//! One sealed memfd per channel, mapped by both sides: a *lane* of rings per engine (commands one way, completions the other), and for each
//! stream two byte rings mapped onto chunks of the same memory. This crate is the only one that touches that
//! memory, and the only place of the client side with `unsafe` in it.
//!
//! | who | what |
//! |---|---|
//! | daemon | [`DaemonChannel::create`] gives one [`DaemonLane`] per engine (commands out, completions in, [`LaneStream`]s that are `StreamIo`) and a [`Grant`] to hand over |
//! | application | [`AppChannel::map`] takes the [`Grant`]: commands in, completions out, byte rings |
//! | both | [`handshake`]: how the grant crosses a unix socket; [`Doorbell`]: how a sleeper is woken |
//!
//! ## Trust
//!
//! The daemon trusts nothing that it reads here. Its geometry, tables, indices and offsets are private; entries are
//! copied out before they are decoded; every index and offset of the application must advance and stay in range.
//! What breaks a rule is a [`Poison`]: the lane goes silent and the server detaches the channel. Bytes in TX chunks are payload
//! and may be anything at any time. A hostile application can spoil its own streams, nothing else.
//!
//! The application trusts the daemon with its data, but its side checks what would make *it* read out of bounds.
//!
//! Messages (Machnet) ride in the command and completion rings: [`causeway_core::port::Op::SendMessage`] and
//! [`causeway_core::port::Completion::Message`], so that their order against the end of a flow needs no second ring.
#![deny(missing_docs)]

pub mod armed;
pub mod coalesce;
pub mod cursor;
pub mod ring;
#[cfg_attr(loom, allow(dead_code, reason = "the models use the part that races"))]
mod rx_chunks;
pub mod sync;
mod table;
#[cfg_attr(loom, allow(dead_code, reason = "the models use the part that races"))]
mod tx_chunks;

#[cfg(not(loom))]
mod app;
#[cfg(not(loom))]
mod credentials;
#[cfg(not(loom))]
mod daemon;
#[cfg(not(loom))]
mod doorbell;
#[cfg(not(loom))]
mod fork;
#[cfg(not(loom))]
mod geometry;
#[cfg(not(loom))]
pub mod handshake;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod mapping;
#[cfg(not(loom))]
pub mod proto;

#[cfg(not(loom))]
pub use app::{AppChannel, ChannelFault, Piece, Room};
#[cfg(not(loom))]
pub use daemon::{DaemonChannel, DaemonLane, LaneHolds, LaneStream, Owner, Poison};
#[cfg(not(loom))]
pub use doorbell::{BellWait, Doorbell, Doorbells, Wake};
#[cfg(not(loom))]
pub use geometry::{Geometry, GeometryBuilder, GeometryError};
#[cfg(not(loom))]
pub use layout::{FEATURES, LAYOUT_HASH, MAJOR, MINOR, Places};
#[cfg(not(loom))]
pub use mapping::{Grant, MapError};

#[cfg(all(test, loom))]
mod loom_tests;
