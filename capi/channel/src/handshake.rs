//! How a channel comes to be: one packet each way over a unix socket of type `SOCK_SEQPACKET`.
//!
//! ```text
//! application                          daemon
//! connect(path)                        listen(path), accept
//! send_hello(sock)         ------->    recv_hello(sock), negotiate(&hello)
//! recv_reply(sock)         <-------    send_grant(sock, &grant) or send_refusal(sock, why)
//! ```
//!
//! The grant carries the descriptors (memory, the application's bell, one bell per lane) as `SCM_RIGHTS`. Afterwards nothing
//! travels on the socket: its end of file tells the daemon that the application let go of the channel, and the end of the
//! process that connected ([`peer_process`]) that it died, if a child that it forked still holds the socket. The bytes
//! ([`Hello::encode`], [`Reply::encode`]) can be had without a socket: the simulator attaches in memory and fuzz targets feed them.
//!
//! A major that differs is refused. The minor that both speak is the lower one; a daemon serves every
//! minor of its major, an application needs at least its own. Feature bits: what both have.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use causeway_core::planted::{self, Bug};
use causeway_core::port::ChannelId;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

pub use crate::credentials::{PeerCredentials, peer_credentials, peer_groups, peer_process};
use crate::doorbell::{BellWait, Doorbell};
use crate::geometry::Geometry;
use crate::layout::{FEATURES, LAYOUT_HASH, MAJOR, MINOR};
use crate::mapping::Grant;

/// First bytes of every packet.
const MAGIC: [u8; 4] = *b"CWHS";
const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const REFUSED: u8 = 3;
/// The longest packet.
pub const PACKET_BYTES_MAX: usize = 128;
/// Most descriptors in a welcome: memory, the application's bell, 64 lanes.
const DESCRIPTORS_MAX: usize = 66;

/// What an application says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Major version of its library.
    pub major: u16,
    /// Minor version of its library.
    pub minor: u16,
    /// Feature bits that it can use.
    pub features: u64,
}

/// What the daemon answers, apart from the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Here is a channel.
    Welcome(Welcome),
    /// No.
    Refused(Refusal),
}

/// The particulars of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Major version of the channel.
    pub major: u16,
    /// Minor version of the daemon.
    pub minor: u16,
    /// Feature bits in use.
    pub features: u64,
    /// [`LAYOUT_HASH`] of the daemon.
    pub layout_hash: u64,
    /// The channel's name in stream ids.
    pub channel: ChannelId,
    /// Sizes.
    pub geometry: Geometry,
}

/// Why the daemon refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another major version.
    #[error("the daemon speaks another major version of the channel")]
    Version,
    /// Its limit of channels is reached.
    #[error("the daemon has no room for another channel")]
    LimitReached,
    /// The peer's credentials do not allow it.
    #[error("the daemon does not serve this user")]
    Denied,
    /// It is going down.
    #[error("the daemon is shutting down")]
    ShuttingDown,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Not a packet of ours.
    #[error("the peer does not speak the channel handshake")]
    Malformed,
    /// The daemon said no.
    #[error("{0}")]
    Refused(Refusal),
    /// The daemon's build lays the memory out in another way under the same version.
    #[error("daemon and library disagree about the layout of the channel")]
    Layout,
    /// The peer went away.
    #[error("the peer closed the connection in the handshake")]
    Closed,
    /// A system call failed.
    #[error("handshake: {0}")]
    Os(#[from] std::io::Error),
}

impl From<rustix::io::Errno> for HandshakeError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.into())
    }
}

/// Reads a packet from its front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], HandshakeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(HandshakeError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Result<u16, HandshakeError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, HandshakeError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, HandshakeError> {
        self.take().map(u64::from_le_bytes)
    }

    /// Magic and kind.
    fn kind(&mut self) -> Result<u8, HandshakeError> {
        if self.take()? != MAGIC {
            return Err(HandshakeError::Malformed);
        }
        self.take::<1>().map(|[kind]| kind)
    }

    fn end(&self) -> Result<(), HandshakeError> {
        if self.0.is_empty() { Ok(()) } else { Err(HandshakeError::Malformed) }
    }
}

fn packet(kind: u8) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(kind);
    bytes
}

impl Hello {
    /// What this build says.
    pub const fn ours() -> Self {
        Self { major: MAJOR, minor: MINOR, features: FEATURES }
    }

    /// Command: as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = packet(HELLO);
        bytes.extend(self.major.to_le_bytes());
        bytes.extend(self.minor.to_le_bytes());
        bytes.extend(self.features.to_le_bytes());
        bytes
    }

    /// Input: from bytes of an application.
    pub fn decode(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader(bytes);
        if reader.kind()? != HELLO {
            return Err(HandshakeError::Malformed);
        }
        let hello = Self { major: reader.u16()?, minor: reader.u16()?, features: reader.u64()? };
        // A later minor may append fields; an earlier one must not have fewer.
        if hello.major == MAJOR && (0..=MINOR).contains(&hello.minor) {
            reader.end()?;
        }
        Ok(hello)
    }
}

impl Reply {
    /// Command: as bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Welcome(welcome) => {
                let mut bytes = packet(WELCOME);
                bytes.extend(welcome.major.to_le_bytes());
                bytes.extend(welcome.minor.to_le_bytes());
                bytes.extend(welcome.features.to_le_bytes());
                bytes.extend(welcome.layout_hash.to_le_bytes());
                bytes.extend(welcome.channel.index.to_le_bytes());
                bytes.extend(welcome.channel.generation.to_le_bytes());
                bytes.extend(welcome.geometry.to_words().iter().flat_map(|w| w.to_le_bytes()));
                bytes
            }
            Self::Refused(refusal) => {
                let mut bytes = packet(REFUSED);
                bytes.push(match refusal {
                    Refusal::Version => 1,
                    Refusal::LimitReached => 2,
                    Refusal::Denied => 3,
                    Refusal::ShuttingDown => 4,
                });
                bytes
            }
        }
    }

    /// Input: from bytes of a daemon.
    pub fn decode(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader(bytes);
        match reader.kind()? {
            WELCOME => Welcome::decode(&mut reader).map(Self::Welcome),
            REFUSED => {
                let refusal = match reader.take()? {
                    [1] => Refusal::Version,
                    [2] => Refusal::LimitReached,
                    [3] => Refusal::Denied,
                    [4] => Refusal::ShuttingDown,
                    _ => return Err(HandshakeError::Malformed),
                };
                reader.end()?;
                Ok(Self::Refused(refusal))
            }
            _ => Err(HandshakeError::Malformed),
        }
    }
}

impl Welcome {
    /// The welcome for a grant.
    pub const fn of(grant: &Grant) -> Self {
        Self {
            major: MAJOR,
            minor: MINOR,
            features: FEATURES,
            layout_hash: LAYOUT_HASH,
            channel: grant.channel,
            geometry: grant.geometry,
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, HandshakeError> {
        let (major, minor, features) = (reader.u16()?, reader.u16()?, reader.u64()?);
        if major != MAJOR || !(MINOR..).contains(&minor) {
            return Err(HandshakeError::Refused(Refusal::Version));
        }
        let layout_hash = reader.u64()?;
        if layout_hash != LAYOUT_HASH {
            return Err(HandshakeError::Layout);
        }
        let channel = ChannelId { index: reader.u32()?, generation: reader.u32()? };
        let mut words = [0; 9];
        for word in &mut words {
            *word = reader.u32()?;
        }
        let geometry = Geometry::from_words(words).map_err(|_| HandshakeError::Malformed)?;
        Ok(Self { major, minor, features, layout_hash, channel, geometry })
    }
}

/// Getter (daemon): whether an application can be served.
pub fn negotiate(hello: &Hello) -> Result<(), Refusal> {
    let is_ours = hello.major == MAJOR || planted::is(Bug::AnyVersionServed);
    if is_ours && (0..=MINOR).contains(&hello.minor) { Ok(()) } else { Err(Refusal::Version) }
}

fn socket() -> std::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Command (application): a connection to the daemon's socket.
pub fn connect(path: &Path) -> std::io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Command (daemon): a listening socket at `path`, where nothing must exist. Accept with `rustix::net::accept_with`.
pub fn listen(path: &Path) -> std::io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, 128)?;
    Ok(socket)
}

/// Command (application): says hello.
pub fn send_hello(socket: BorrowedFd<'_>, hello: &Hello) -> Result<(), HandshakeError> {
    rustix::net::send(socket, &hello.encode(), SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Input (daemon): the hello of an accepted connection. With a non-blocking socket `Os(WouldBlock)` means: not there yet.
pub fn recv_hello(socket: BorrowedFd<'_>) -> Result<Hello, HandshakeError> {
    let mut bytes = [0; PACKET_BYTES_MAX];
    match rustix::net::recv(socket, &mut bytes[..], RecvFlags::empty())?.1 {
        0 => Err(HandshakeError::Closed),
        len => Hello::decode(bytes.get(..len).ok_or(HandshakeError::Malformed)?),
    }
}

/// Command (daemon): refuses.
pub fn send_refusal(socket: BorrowedFd<'_>, refusal: Refusal) -> Result<(), HandshakeError> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::send(socket, &Reply::Refused(refusal).encode(), flags)?;
    Ok(())
}

/// Command (daemon): hands a channel over. Only grants with real bells can travel; the descriptors may be dropped afterwards.
pub fn send_grant(socket: BorrowedFd<'_>, grant: &Grant) -> Result<(), HandshakeError> {
    let unreal = || HandshakeError::Os(std::io::ErrorKind::InvalidInput.into());
    let BellWait::Fd(wait) = &grant.app_wait else { return Err(unreal()) };
    let mut fds = vec![grant.memory.as_fd(), wait.as_fd()];
    for bell in &grant.lane_bells {
        fds.push(bell.fd().ok_or_else(unreal)?);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(unreal());
    }
    let bytes = Reply::Welcome(Welcome::of(grant)).encode();
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags)?;
    Ok(())
}

/// Input (application): the daemon's answer.
pub fn recv_reply(socket: BorrowedFd<'_>) -> Result<Grant, HandshakeError> {
    let mut bytes = [0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let len = rustix::net::recvmsg(socket, &mut slices, &mut control, flags)?.bytes;
    if len == 0 {
        return Err(HandshakeError::Closed);
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    match Reply::decode(&bytes[..len])? {
        Reply::Refused(refusal) => Err(HandshakeError::Refused(refusal)),
        Reply::Welcome(welcome) => assemble(&welcome, fds),
    }
}

/// A grant from its particulars and its descriptors in their order.
fn assemble(welcome: &Welcome, fds: Vec<OwnedFd>) -> Result<Grant, HandshakeError> {
    if fds.len() != 2 + welcome.geometry.lanes() as usize {
        return Err(HandshakeError::Malformed);
    }
    let mut fds = fds.into_iter();
    let (Some(memory), Some(wait)) = (fds.next(), fds.next()) else {
        return Err(HandshakeError::Malformed);
    };
    Ok(Grant {
        memory,
        geometry: welcome.geometry,
        channel: welcome.channel,
        app_wait: BellWait::Fd(wait),
        lane_bells: fds.map(|fd| Doorbell::EventFd(Arc::new(fd))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_survive_their_encoding_and_no_prefix_of_one_is_accepted() {
        let hello = Hello::ours();
        assert_eq!(Hello::decode(&hello.encode()).unwrap(), hello);
        let welcome = Reply::Welcome(Welcome {
            major: MAJOR,
            minor: MINOR,
            features: FEATURES,
            layout_hash: LAYOUT_HASH,
            channel: ChannelId { index: 3, generation: 9 },
            geometry: Geometry::default(),
        });
        for reply in [welcome, Reply::Refused(Refusal::Denied)] {
            let bytes = reply.encode();
            assert!(bytes.len() <= PACKET_BYTES_MAX);
            assert_eq!(Reply::decode(&bytes).unwrap(), reply);
            for len in 0..bytes.len() {
                assert!(Reply::decode(&bytes[..len]).is_err());
            }
        }
        for len in 0..hello.encode().len() {
            assert!(Hello::decode(&hello.encode()[..len]).is_err());
        }
    }

    #[test]
    fn another_major_is_refused_and_an_older_minor_is_served() {
        let hello = Hello::ours();
        assert_eq!(negotiate(&hello), Ok(()));
        assert_eq!(negotiate(&Hello { major: MAJOR + 1, ..hello }), Err(Refusal::Version));
        assert_eq!(negotiate(&Hello { minor: MINOR + 1, ..hello }), Err(Refusal::Version));
    }

    #[test]
    fn a_welcome_with_another_layout_is_an_error_of_its_own() {
        let mut bytes = Reply::Welcome(Welcome {
            major: MAJOR,
            minor: MINOR,
            features: 0,
            layout_hash: LAYOUT_HASH ^ 1,
            channel: ChannelId { index: 0, generation: 0 },
            geometry: Geometry::default(),
        })
        .encode();
        assert!(matches!(Reply::decode(&bytes), Err(HandshakeError::Layout)));
        bytes[0] ^= 1;
        assert!(matches!(Reply::decode(&bytes), Err(HandshakeError::Malformed)));
    }
}
