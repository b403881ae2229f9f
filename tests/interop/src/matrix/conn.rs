//! A connection of either stack: the kernel's by `std::net`, ours by the client library.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use causeway_client::{
    Channel, ConnectError, ReadError, TCP_CLOSED, TcpListener, TcpStream, Wait, WriteError,
};
use causeway_core::error::EndReason;
use rustix::net::sockopt;

/// How long a connection that has ended waits for the acknowledgement of its end.
const LINGER: Duration = Duration::from_secs(30);

/// Which stack a peer uses.
#[derive(Clone, Debug)]
pub enum Stack {
    /// Ours, through this channel.
    Ours(Channel),
    /// The kernel's, with this congestion control.
    Kernel(String),
}

/// Why a connection gave no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer reset it.
    Reset,
    /// Something else, in words.
    Otherwise(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("the peer reset the connection"),
            Self::Otherwise(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Ended {}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset => Self::Reset,
            _ => Self::Otherwise(error.to_string()),
        }
    }
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Ended(EndReason::Reset) => Self::Reset,
            other => Self::Otherwise(other.to_string()),
        }
    }
}

impl From<WriteError> for Ended {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Ended(EndReason::Reset) => Self::Reset,
            other => Self::Otherwise(other.to_string()),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub enum Conn {
    /// Ours.
    Ours(TcpStream),
    /// The kernel's.
    Kernel(std::net::TcpStream),
}

/// One listening socket.
#[derive(Debug)]
pub enum Listening {
    /// Ours.
    Ours(TcpListener),
    /// The kernel's.
    Kernel(std::net::TcpListener),
}

impl Stack {
    /// Command: listens.
    pub fn listen(&self, at: SocketAddr, backlog: u16) -> Result<Listening> {
        match self {
            Self::Ours(channel) => {
                Ok(Listening::Ours(TcpListener::bind(channel, at, u32::from(backlog))?))
            }
            Self::Kernel(congestion) => {
                let listener = std::net::TcpListener::bind(at)?;
                rustix::net::listen(&listener, i32::from(backlog))?;
                // Connections inherit it.
                sockopt::set_tcp_congestion(&listener, congestion).context("TCP_CONGESTION")?;
                Ok(Listening::Kernel(listener))
            }
        }
    }

    /// Command: connects. The kernel's congestion control takes over with the first data at the latest.
    pub fn connect(&self, to: SocketAddr) -> Result<Conn> {
        match self {
            Self::Ours(channel) => {
                let stream = TcpStream::connect(channel, None, to, Wait::Forever);
                Ok(Conn::Ours(stream.map_err(|error: ConnectError| anyhow::anyhow!("{error}"))?))
            }
            Self::Kernel(congestion) => {
                let stream = std::net::TcpStream::connect(to)?;
                sockopt::set_tcp_congestion(&stream, congestion).context("TCP_CONGESTION")?;
                Ok(Conn::Kernel(stream))
            }
        }
    }
}

impl Listening {
    /// Output: the next connection.
    pub fn accept(&self) -> Result<Conn> {
        match self {
            Self::Ours(listener) => Ok(Conn::Ours(listener.accept(Wait::Forever)?)),
            Self::Kernel(listener) => Ok(Conn::Kernel(listener.accept()?.0)),
        }
    }
}

impl Conn {
    /// Output: at least one byte, or 0 at the end of the stream.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Ended> {
        match self {
            Self::Ours(stream) => Ok(stream.read(buffer, Wait::Forever)?),
            Self::Kernel(stream) => Ok((&*stream).read(buffer)?),
        }
    }

    /// Output: fills the whole buffer.
    pub fn read_exact(&self, buffer: &mut [u8]) -> Result<(), Ended> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => {
                    return Err(Ended::Otherwise(format!("the stream ended after {filled} bytes")));
                }
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Command: sends everything.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), Ended> {
        match self {
            Self::Ours(stream) => Ok(stream.write_all(bytes, Wait::Forever)?),
            Self::Kernel(stream) => Ok((&*stream).write_all(bytes)?),
        }
    }

    /// Command: ends our direction.
    pub fn shutdown_write(&self) -> Result<(), Ended> {
        match self {
            Self::Ours(stream) => Ok(stream.shutdown_write()?),
            Self::Kernel(stream) => Ok(stream.shutdown(Shutdown::Write)?),
        }
    }

    /// Command: resets the connection.
    pub fn abort(self) -> Result<()> {
        match self {
            Self::Ours(stream) => Ok(stream.abort()?),
            Self::Kernel(stream) => {
                sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
                Ok(())
            }
        }
    }

    /// Command: closes, both directions having ended, after the peer has acknowledged our end. The kernel sees to that
    /// whatever becomes of this process; the end of a channel does not wait as long.
    pub fn close(self) {
        if let Self::Ours(stream) = &self {
            let until = Instant::now() + LINGER;
            let under_way = |stream: &TcpStream| {
                stream.info(Wait::Forever).is_ok_and(|info| info.state != TCP_CLOSED)
            };
            while under_way(stream) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}
