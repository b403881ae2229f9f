//! The application's side of a channel.
//!
//! ```text
//! AppChannel::map(grant)
//! push_command(lane, tag, &op, slot)      queued without bound in private memory, sent by flush
//! flush()                                 publishes commands, rings engines that sleep
//! pop_completion()                        merges the lanes round-robin
//! stream_attach(slot, socket)             on Connecting and Incoming; stream_release(slot) when done
//! tx_stage / tx_publish / tx_room         write; then push Op::Kick if kick(slot) says so (tx_commit does all of it)
//! rx_available / rx_peek / rx_consume     read
//! tx_reserve / tx_fill, rx_pieces         the same without copies: addresses in the shared memory
//! arm(..) -> bool, sleep on wait_end(), disarm()
//! ```

mod channel;
mod in_place;
mod rx;
mod tx;

pub use channel::{AppChannel, ChannelFault};
pub use in_place::Piece;
pub use tx::Room;
