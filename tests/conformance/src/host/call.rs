//! System calls as values.

use std::net::SocketAddr;

use causeway_core::time::Instant;

use super::errno::Errno;

/// A call that began. Unique for the life of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// One entry of poll(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollFd {
    /// The descriptor.
    pub fd: i32,
    /// What is asked for.
    pub events: i16,
    /// What is so.
    pub revents: i16,
}

/// One entry of epoll(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpollEvent {
    /// Which events.
    pub events: u32,
    /// The application's own.
    pub data: u64,
}

/// Ancillary data of sendmsg(2) and recvmsg(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    /// cmsg_level.
    pub level: i32,
    /// cmsg_type.
    pub kind: i32,
    /// What follows the header.
    pub data: Vec<u8>,
}

/// What a sending call is given to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A buffer that is no memory of the process, and not empty.
    Nowhere,
}

/// The address that a sending call is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// None.
    Peer,
    /// One of AF_UNSPEC.
    Unspecified,
    /// This one.
    To(SocketAddr),
}

impl Destination {
    /// Getter: the address.
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::To(address) => Some(address),
            Self::Peer | Self::Unspecified => None,
        }
    }
}

/// A system call with its arguments. Descriptors are the host's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "section 2 of the manual documents each field")]
pub enum Call {
    Socket {
        domain: i32,
        kind: i32,
        protocol: i32,
    },
    Bind {
        fd: i32,
        address: SocketAddr,
    },
    Listen {
        fd: i32,
        backlog: i32,
    },
    Accept {
        fd: i32,
        flags: i32,
    },
    /// `None`: AF_UNSPEC, which undoes a connection.
    Connect {
        fd: i32,
        address: Option<SocketAddr>,
    },
    /// read, readv, recv, recvfrom and recvmsg. `nowhere`: the buffer is no memory of the process.
    Receive {
        fd: i32,
        len: usize,
        flags: i32,
        nowhere: bool,
    },
    /// write, writev, send, sendto and sendmsg.
    Send {
        fd: i32,
        payload: Payload,
        flags: i32,
        to: Destination,
        control: Vec<ControlMessage>,
    },
    Shutdown {
        fd: i32,
        how: i32,
    },
    Close {
        fd: i32,
    },
    Fcntl {
        fd: i32,
        command: i32,
        argument: i64,
    },
    Ioctl {
        fd: i32,
        request: u64,
    },
    GetOption {
        fd: i32,
        level: i32,
        name: i32,
        len: usize,
    },
    SetOption {
        fd: i32,
        level: i32,
        name: i32,
        value: Vec<u8>,
    },
    Poll {
        fds: Vec<PollFd>,
        timeout_ms: i32,
    },
    EpollCreate,
    EpollCtl {
        epfd: i32,
        operation: i32,
        fd: i32,
        event: EpollEvent,
    },
    EpollWait {
        epfd: i32,
        max: usize,
        timeout_ms: i32,
    },
    Pipe {
        flags: i32,
    },
    Splice {
        from: i32,
        to: i32,
        len: usize,
        flags: i32,
    },
}

/// What a receiving call took besides its count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The sender (datagrams).
    pub from: Option<SocketAddr>,
    /// msg_flags.
    pub flags: i32,
    /// Ancillary data.
    pub control: Vec<ControlMessage>,
}

/// What a call that succeeded returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A number only.
    Number(i64),
    /// accept: the descriptor and the peer.
    Accepted(i32, SocketAddr),
    /// A receiving call; the count may be more than the bytes (MSG_TRUNC).
    Received(i64, Received),
    /// ioctl: the number behind its pointer.
    Ioctl(i32),
    /// getsockopt.
    Option(Vec<u8>),
    /// poll: how many, and all entries.
    Polled(i64, Vec<PollFd>),
    /// epoll_wait.
    Events(Vec<EpollEvent>),
    /// pipe: the end to read and the end to write.
    Pipe(i32, i32),
}

impl Reply {
    /// Getter: what the call itself returns.
    pub fn number(&self) -> i64 {
        match self {
            Self::Number(n) | Self::Received(n, _) | Self::Polled(n, _) => *n,
            Self::Accepted(fd, _) => i64::from(*fd),
            Self::Events(events) => events.len() as i64,
            Self::Ioctl(_) | Self::Option(_) | Self::Pipe(..) => 0,
        }
    }
}

/// How a call ended.
pub type CallResult = Result<Reply, Errno>;

/// How far a call is that could not end at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Not the first attempt.
    pub(super) begun: bool,
    /// Bytes sent so far.
    pub(super) sent: usize,
    /// MSG_FASTOPEN was heeded.
    pub(super) opened: bool,
    /// What it sent connects: it waits for the handshake.
    pub(super) on_syn: bool,
    /// When it gives up.
    pub(super) deadline: Option<Instant>,
}
