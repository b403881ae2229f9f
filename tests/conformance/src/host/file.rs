//! What a descriptor stands for.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

use causeway_core::port::{SocketId, SocketInfo, StreamId};
use causeway_core::time::Instant;

use super::datagram::UdpFile;
use super::errno::Errno;
use super::errors::ZeroCopies;
use super::stamps::Stamps;
use super::urgent::Mark;

/// How often there was news of each kind: what edge-triggered epoll goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Something can be read that could not.
    pub(super) input: u64,
    /// There is room again that somebody missed.
    pub(super) output: u64,
    /// Connected, closed by the peer, over.
    pub(super) state: u64,
    /// Something joined the error queue.
    pub(super) errors: u64,
}

/// A connection, from the moment its application could know of it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) stream: StreamId,
    pub(super) remote: SocketAddr,
    pub(super) connected: bool,
    /// The SYN waits for the first write (TCP Fast Open).
    pub(super) fast_open: bool,
    pub(super) peer_closed: bool,
    pub(super) ended: bool,
    /// The figures at its end, and when that was: the stack forgets what has ended.
    pub(super) last_info: Option<(Instant, Box<SocketInfo>)>,
    /// SO_ERROR: told once.
    pub(super) error: Option<Errno>,
    pub(super) news: News,
    /// Bytes that had arrived in order at the last look.
    pub(super) committed: u64,
    /// Somebody found no room for what was to be sent (SOCK_NOSPACE).
    pub(super) no_space: bool,
    /// When the last bytes in order came.
    pub(super) arrived: Option<Instant>,
    /// TCP_SAVED_SYN.
    pub(super) saved_syn: Option<Vec<u8>>,
    /// Of the peer's urgent data.
    pub(super) mark: Option<Mark>,
}

/// What a TCP socket is at present.
#[derive(Debug)]
pub(super) enum Role {
    /// Neither listening nor connected.
    Fresh,
    /// Listening; `queue` waits for accept.
    Listener { socket: SocketId, queue: VecDeque<SocketId>, backlog: u32 },
    /// Connecting, connected, or at its end.
    Stream { socket: SocketId },
}

/// Values of socket options that the application side keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// By level and name, as the application set them.
    pub(super) set: BTreeMap<(i32, i32), Vec<u8>>,
}

/// A TCP socket.
#[derive(Debug)]
pub(super) struct TcpFile {
    pub(super) v6: bool,
    pub(super) nonblocking: bool,
    pub(super) bound: Option<SocketAddr>,
    pub(super) role: Role,
    pub(super) values: Values,
    pub(super) shut_read: bool,
    pub(super) shut_write: bool,
    /// A connect is under way whose success nobody was told.
    pub(super) connecting: bool,
    /// The last send said MSG_MORE.
    pub(super) more: bool,
    /// The error of a connect that failed before there was a connection.
    pub(super) error: Option<Errno>,
    pub(super) zero_copies: ZeroCopies,
    pub(super) stamps: Stamps,
    /// Connections that came for a listener.
    pub(super) arrived: u64,
}

impl TcpFile {
    pub(super) fn new(v6: bool, nonblocking: bool) -> Self {
        Self {
            v6,
            nonblocking,
            bound: None,
            role: Role::Fresh,
            values: Values::default(),
            shut_read: false,
            shut_write: false,
            connecting: false,
            more: false,
            error: None,
            zero_copies: ZeroCopies::default(),
            stamps: Stamps::default(),
            arrived: 0,
        }
    }
}

/// The bytes in a pipe.
#[derive(Debug, Default)]
pub(super) struct PipeBuffer {
    pub(super) bytes: VecDeque<u8>,
    /// Bytes that ever went in and out.
    pub(super) written: u64,
    pub(super) read: u64,
    pub(super) readers: u32,
    pub(super) writers: u32,
}

/// One descriptor that an epoll instance watches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) events: u32,
    pub(super) data: u64,
    /// EPOLLONESHOT was served.
    pub(super) disarmed: bool,
    /// The news that were told (EPOLLET).
    pub(super) told: Option<News>,
}

/// What a descriptor stands for.
#[derive(Debug)]
pub(super) enum File {
    Tcp(Box<TcpFile>),
    Udp(Box<UdpFile>),
    Epoll(BTreeMap<i32, Watch>),
    PipeRead(Rc<RefCell<PipeBuffer>>, bool),
    PipeWrite(Rc<RefCell<PipeBuffer>>, bool),
}

impl File {
    /// Getter: the options of a socket.
    pub(super) fn values_mut(&mut self) -> Option<&mut Values> {
        match self {
            Self::Tcp(tcp) => Some(&mut tcp.values),
            Self::Udp(udp) => Some(&mut udp.values),
            Self::Epoll(_) | Self::PipeRead(..) | Self::PipeWrite(..) => None,
        }
    }
}
