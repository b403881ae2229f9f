//! TCP: RFC 9293 and its companions. One connection ([`Connection`]) and one listener's decisions
//! ([`listen`], [`closed`]); no addresses, no frames, no sockets.
//!
//! Reading order: `seq`, `state`, `transition`, then `connection`, `input`, `output`, `timeout`.

pub mod assembler;
#[cfg(any(test, feature = "testing"))]
pub mod attachments;
pub mod congestion;

mod burst;
mod challenge;
mod chrono;
mod config;
mod connection;
mod cork;
mod defer_accept;
mod delayed_ack;
mod disposition;
mod ecn;
mod event;
mod fast_open;
mod fast_open_cache;
mod icmp;
mod info;
mod input;
mod isn;
mod listener;
mod more;
mod mtu_probing;
mod options;
mod orphan;
mod output;
mod pacing;
mod pmtu;
mod receive_autotune;
mod receive_memory;
mod records;
mod recovery;
mod recv_buffer;
mod rto;
mod seldom;
mod send_buffer;
mod seq;
mod set_option;
mod shared_config;
mod silence;
mod state;
mod syn_cookie;
mod time_wait;
mod timeout;
mod timer;
mod transition;
mod urgent;
mod user_timeout;
mod write_out;

pub use challenge::ChallengeBudget;
pub use config::{Config, ConfigBuilder, ConfigError};
pub use connection::Connection;
pub use defer_accept::defer_accept_lasts;
pub use disposition::{Disposition, Rst};
pub use ecn::{Ecn, EcnMode};
pub use event::ConnectionEvent;
pub use fast_open::{
    FastOpenKeys, FastOpenLesson, FastOpenOffer, FastOpenVerdict, setting as fast_open_setting,
};
pub use fast_open_cache::{FAST_OPEN_SERVERS_MAX, FastOpenCache};
pub use icmp::IcmpError;
pub use input::{PlainHeader, SegmentIn, SegmentRun};
pub use isn::{IsnSecret, initial_sequence, timestamp_offset};
pub use listener::{ListenDecision, closed, listen};
pub use mtu_probing::MtuProbing;
pub use options::{MSS_DEFAULT, MSS_MIN, WINDOW_SCALE_MAX};
pub use output::{BareAck, SegmentOut, TxLimits};
pub use receive_memory::ReceiveMemory;
pub use seq::{Anchor, SeqNumber};
pub use shared_config::SharedConfig;
pub use state::State;
pub use syn_cookie::{COOKIE_LIFE, CookieTuple, MSS_TABLE};
pub use time_wait::Before;
pub use timer::TimerReason;
pub use transition::Trigger;
pub use write_out::{STATE_VERSION, StateError};

#[cfg(test)]
mod tests;
