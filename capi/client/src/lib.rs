//! Safe Rust client of the Causeway daemon: TCP streams, messages, echo requests over a channel.
//!
//! ```no_run
//! use causeway_client::{Channel, TcpStream, Wait};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let channel = Channel::attach()?;
//! let stream = TcpStream::connect(&channel, None, "10.0.1.5:7".parse()?, Wait::Forever)?;
//! stream.write_all(b"hello", Wait::Forever)?;
//! let mut reply = [0; 5];
//! let n = stream.read(&mut reply, Wait::Forever)?;
//! # Ok(()) }
//! ```
//!
//! * [`Channel`]: the connection to the daemon; messages ([`Channel::send`], [`Channel::recv`]) and [`Channel::ping`].
//! * [`TcpListener`], [`TcpStream`], [`UdpSocket`].
//! * [`Wait`]: what each call does when it would have to wait: wait, return at once, wait until a time.
//! * [`Env`]: where the library runs: an operating system ([`OsEnv`]) or the simulator. Every piece of state hangs
//!   off the environment and the channel; nothing is global to the process, because several simulated hosts live in one.
//!
//! Errors are typed, one enum for each question; numbers (`errno`) are made in the C libraries only.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod channel;
mod env;
mod error;
mod events;
mod in_place;
mod message;
mod os;
mod ping;
mod polled;
mod sleep;
mod state;
mod tcp;
mod udp;
pub mod words;

pub use causeway_channel::handshake::Refusal;
pub use causeway_channel::{BellWait, Grant, Piece};
pub use causeway_core::error::{CommandError, EndReason};
pub use causeway_core::port::{SocketInfo, SocketOption};
pub use causeway_core::tcp::congestion::Algorithm;
pub use causeway_core::time::{Duration, Instant};
pub use channel::Channel;
pub use env::{
    ApiCall, Attachment, Env, WaitOutcome, current_env, current_env_addr, set_thread_env,
    with_thread_env,
};
pub use error::{
    AttachError, BindError, CallError, ConnectError, DatagramError, FdError, InfoError,
    ListenError, OptionError, PingError, ReadError, RecvError, ReleaseError, SendError, WriteError,
};
pub use in_place::Borrowed;
pub use message::{Flow, MsgId};
pub use os::{DEFAULT_SOCKET, OsEnv, SOCKET_VARIABLE};
pub use ping::Pong;
pub use sleep::Wait;
pub use tcp::{TCP_CLOSED, TcpListener, TcpStream};
pub use udp::{DATAGRAM_BYTES_MAX, UdpSocket};
