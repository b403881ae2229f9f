//! Machnet: reliable messages, one flow at a time. It sees packets, never frames, addresses or sockets.
//!
//! The shape of a flow, and the order of calls:
//!
//! ```text
//! Flow::connect(now, &Config, iss: u32) -> Flow                       SYN is due; iss is 0 towards upstream
//! Flow::accept(now, &Config, iss: u32, syn: &MachnetHeader) -> Flow   SYN-ACK is due
//! start_clock(now, u32)                                               once, at random, for the extended profile
//! handle_packet(now, &PacketIn, &mut impl StreamIo) -> Disposition
//! handle_timeout(now, &mut impl StreamIo)
//! handle_app(now, &mut impl StreamIo)                                 the rings changed (Kick)
//! send_message(offset, len, message, &impl StreamIo) -> Result<(), SendError>, then watch(now)
//! close(now) / abort()
//! has_output() -> bool, poll_transmit(now) -> Option<PacketOut>
//! prefix(&PacketOut) -> &[u8], note_written(&PacketOut, crc: u32) or skip(&PacketOut, &impl StreamIo)    after each packet
//! poll_timeout() -> Option<(Instant, FlowTimer)>
//! poll_event() -> Option<FlowEvent>
//! getters: state(), profile(), info() -> SocketInfo, is_idle(), is_finished()
//! write_state() -> Result<Vec<u8>, StateError>, Flow::read_state(&[u8], &Config) -> Result<Flow, StateError>
//! ```

mod ack;
mod bits;
mod config;
mod extended;
mod flow;
mod input;
mod listener;
mod message;
mod output;
mod packet;
mod rack;
mod rto;
mod rx_window;
mod sack;
#[cfg(test)]
mod tests;
mod tx_window;
mod window;
mod write_out;

pub use config::{Config, ConfigBuilder, ConfigError, MESSAGES_QUEUED_MAX};
pub use extended::PREFIX_LEN_MAX;
pub use flow::Flow;
pub use listener::{ListenDisposition, answer_nobody, listen};
pub use packet::{
    Disposition, FlowEvent, FlowState, FlowTimer, PacketIn, PacketOut, Profile, SendError,
    StateError, Trailer,
};

/// Most packets between the first unacknowledged and the next new one: upstream crashes on more.
pub const IN_FLIGHT_MAX: u8 = 32;
