//! What programs do with sockets, and what they are told.

use std::net::{IpAddr, SocketAddr};

use causeway_core::port::{SocketOption, Transport};

use crate::polled::{NetError, Sock};

/// A call of [`crate::polled::Net`] and its result.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// `listen`.
    Listen {
        /// The new handle.
        sock: Sock,
        /// For what.
        transport: Transport,
        /// Where.
        local: SocketAddr,
        /// How many may wait.
        backlog: u32,
    },
    /// `connect`.
    Connect {
        /// The new handle.
        sock: Sock,
        /// By what.
        transport: Transport,
        /// From where.
        local: Option<IpAddr>,
        /// Whither.
        remote: SocketAddr,
    },
    /// `bind_udp`.
    Bind {
        /// The new handle.
        sock: Sock,
        /// Where.
        local: SocketAddr,
    },
    /// `accept`.
    Accept {
        /// Of which listener.
        sock: Sock,
        /// The connection's handle.
        result: Result<Sock, NetError>,
    },
    /// `send`, `send_with`.
    Send {
        /// On which.
        sock: Sock,
        /// Bytes that were to be sent.
        len: usize,
        /// Those that there was room for.
        result: Result<usize, NetError>,
    },
    /// `recv`, `recv_with`.
    Recv {
        /// On which.
        sock: Sock,
        /// Bytes that were asked for.
        len: usize,
        /// Those that came; 0 is the end.
        result: Result<usize, NetError>,
    },
    /// `send_parcel`.
    SendParcel {
        /// On which.
        sock: Sock,
        /// Bytes of it.
        len: usize,
        /// To whom, where it is a datagram.
        to: Option<SocketAddr>,
        /// Whether it was taken.
        result: Result<(), NetError>,
    },
    /// `recv_parcel`.
    RecvParcel {
        /// On which.
        sock: Sock,
        /// Its bytes, and who sent it, where it is a datagram.
        result: Result<(usize, Option<SocketAddr>), NetError>,
    },
    /// `shutdown_write`.
    ShutdownWrite {
        /// On which.
        sock: Sock,
        /// Whether it was taken.
        result: Result<(), NetError>,
    },
    /// `shutdown_read`.
    ShutdownRead {
        /// On which.
        sock: Sock,
        /// Whether it was taken.
        result: Result<(), NetError>,
    },
    /// `set_option`.
    SetOption {
        /// On which.
        sock: Sock,
        /// Which, and its value.
        option: SocketOption,
        /// Whether it was taken.
        result: Result<(), NetError>,
    },
    /// `close`, or `abort`.
    Close {
        /// On which.
        sock: Sock,
        /// At once.
        abort: bool,
        /// Whether there was one.
        result: Result<(), NetError>,
    },
    /// `take_ready`.
    TakeReady {
        /// Who has news.
        result: Option<Sock>,
    },
}
