//! The edge to the applications: the twin of [`crate::nic::Nic`].
//!
//! An [`AppPort`] is the application side of one engine: every channel's lane for that engine behind
//! one value. It is implemented by the shared-memory channel, by in-process embedding and by tests.
//!
//! Everything that an application can change is frozen by [`AppPort::snapshot`] once per step, so
//! that a log of an engine's inputs replays bit for bit.

use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};

use causeway_checksum::Implementation;
use serde::{Deserialize, Serialize};

use crate::error::{CommandError, EndReason};
use crate::time::{Duration, Instant};

pub use crate::socket::{QuickAck, SocketInfo, SocketOption};

/// One application's channel. The port checks that it is alive; the generation makes reuse safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId {
    /// Slot in the port's table.
    pub index: u32,
    /// Which occupant of the slot.
    pub generation: u32,
}

/// A socket of the stack: listener, connection or flow. Unique for the life of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SocketId {
    /// Slot in the socket table.
    pub index: u32,
    /// Which occupant of the slot.
    pub generation: u32,
}

impl SocketId {
    /// The id as one number, as it crosses the channel.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The inverse of [`SocketId::to_bits`]. Any number is an id; whether it names a socket is the stack's to check.
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// A pair of byte rings (TX and RX) inside a channel, lent to one connection or flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// The channel whose memory it is.
    pub channel: ChannelId,
    /// Slot in the channel's stream table.
    pub slot: u32,
}

/// The transport of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// Reliable messages.
    Machnet,
    /// Datagrams (RFC 768).
    Udp,
}

/// What an application asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Accept connections or flows on an address. An unspecified address means each of ours.
    Listen {
        /// Transport to listen for.
        transport: Transport,
        /// Address and port.
        local: SocketAddr,
        /// Most connections handed over and not yet taken by the application, and most whose handshake is not done. TCP holds one
        /// more of either, as Linux does: one where this is 0. Machnet has a backlog of at least 1.
        backlog: u32,
    },
    /// Another backlog for a listener that is there (listen() again). Who waits already is not turned away. Answered only where it is
    /// refused.
    Backlog {
        /// The listener.
        listener: SocketId,
        /// As of [`Op::Listen`].
        backlog: u32,
    },
    /// Open a connection or flow.
    Connect {
        /// Transport to use.
        transport: Transport,
        /// Address to send from, chosen by the route when `None`.
        local: Option<IpAddr>,
        /// The peer.
        remote: SocketAddr,
    },
    /// The application took `count` incoming connections of a listener: that much backlog is free again.
    Accepted {
        /// The listener.
        listener: SocketId,
        /// How many.
        count: u32,
    },
    /// The rings of this socket changed: bytes were written to TX or consumed from RX.
    Kick {
        /// The connection or flow.
        socket: SocketId,
    },
    /// The TX ring's bytes `offset .. offset + len` are one message (Machnet only).
    SendMessage {
        /// The flow.
        socket: SocketId,
        /// Where the message begins in the TX stream.
        offset: u64,
        /// Its length in bytes, at least 1.
        len: u32,
        /// The id that acknowledgements are reported with.
        message: u64,
    },
    /// A UDP socket on an address; completes with [`Completion::Bound`]. Port 0 for any that is free, the unspecified address
    /// for each of ours.
    BindUdp {
        /// Address and port.
        local: SocketAddr,
    },
    /// Connect a UDP socket: it sends to `remote` where a datagram names nobody, and receives from there alone. Completes
    /// with [`Completion::Bound`].
    ConnectUdp {
        /// The socket.
        socket: SocketId,
        /// The peer; `None` for anybody again.
        remote: Option<SocketAddr>,
    },
    /// The TX ring's bytes `offset .. offset + len` are one datagram (UDP only). Answered only where it is refused; what
    /// becomes of it later nobody knows.
    SendDatagram {
        /// The socket.
        socket: SocketId,
        /// Where the datagram begins in the TX stream.
        offset: u64,
        /// Its length in bytes, 0 to 65,507.
        len: u32,
        /// Whom it is for; `None` for the peer that the socket is connected to.
        remote: Option<SocketAddr>,
    },
    /// The byte of the TX ring before `offset` is urgent (MSG_OOB; TCP only). A [`Op::Kick`] as well: what was written leaves.
    MarkUrgent {
        /// The connection.
        socket: SocketId,
        /// One past the urgent byte in the TX stream, at least 1.
        offset: u64,
    },
    /// The byte of the TX ring before `offset` ends a record (MSG_EOR; TCP only): no segment has bytes from both sides of it. A
    /// [`Op::Kick`] as well. Answered only where it is refused.
    EndRecord {
        /// The connection.
        socket: SocketId,
        /// One past the record's last byte in the TX stream.
        offset: u64,
    },
    /// No more bytes will be written: send FIN after the last (RFC 9293 §3.10.4, half close).
    ShutdownWrite {
        /// The connection.
        socket: SocketId,
    },
    /// No more bytes will be read (SHUT_RD). What still comes is acknowledged; once both directions are shut it is answered by RST,
    /// as on Linux (RFC 9293 §3.6.1).
    ShutdownRead {
        /// The connection.
        socket: SocketId,
    },
    /// The application is done with the socket: deliver what is queued, then close.
    Close {
        /// Listener, connection or flow.
        socket: SocketId,
    },
    /// End at once, telling the peer with RST.
    Abort {
        /// Connection or flow.
        socket: SocketId,
    },
    /// Send one ICMP echo request of `len` payload bytes; completes with [`Completion::EchoReply`].
    Ping {
        /// Whom.
        remote: IpAddr,
        /// Sequence number of the request.
        sequence: u16,
        /// Payload bytes.
        len: u16,
    },
    /// Set an option. Answered only where it is refused.
    SetOption {
        /// Listener or connection; `None` for what the channel's next [`Op::Listen`] or [`Op::Connect`] opens. These take what
        /// was set so, and the one after begins from the stack's defaults again, whatever became of the first.
        socket: Option<SocketId>,
        /// Which, and its value.
        option: SocketOption,
    },
    /// Ask for a socket's figures; completes with [`Completion::Info`].
    Info {
        /// Connection or flow.
        socket: SocketId,
    },
    /// The application is gone. Not sent by applications: the port says it of a dead channel, after the commands that
    /// the application had given. It may say it again, when it no longer trusts the memory that it lent out for delivery.
    Detach {
        /// What the application had handed over is delivered, for at most [`crate::stack::ORPHAN_LINGER`], from rings
        /// that stay until then. False: their memory is not to be trusted, so every socket ends at once.
        deliver: bool,
    },
}

/// One command with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who asks.
    pub channel: ChannelId,
    /// Echoed in the completion; chosen by the application.
    pub tag: u64,
    /// What is asked.
    pub op: Op,
}

/// What became of a command, or news of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The command named by `tag` was refused or failed.
    Failed {
        /// Of the command.
        tag: u64,
        /// Why.
        error: CommandError,
    },
    /// A listener exists.
    Listening {
        /// Of the command.
        tag: u64,
        /// The new listener.
        socket: SocketId,
        /// Its address, the port filled in where it was 0.
        local: SocketAddr,
    },
    /// A connection or flow is being opened; `Connected` or `Ended` follows.
    Connecting {
        /// Of the command.
        tag: u64,
        /// The new socket.
        socket: SocketId,
        /// Its rings.
        stream: StreamId,
        /// The local end.
        local: SocketAddr,
    },
    /// The handshake is done.
    Connected {
        /// Which.
        socket: SocketId,
    },
    /// A listener received a connection or flow.
    Incoming {
        /// The listener.
        listener: SocketId,
        /// The new socket.
        socket: SocketId,
        /// Its rings.
        stream: StreamId,
        /// The local end.
        local: SocketAddr,
        /// The peer.
        remote: SocketAddr,
    },
    /// Bytes became readable or writable where there were none. Coalesced by the port.
    Ready {
        /// Which.
        socket: SocketId,
    },
    /// A whole message lies in the RX ring at `offset .. offset + len` (Machnet only).
    Message {
        /// The flow.
        socket: SocketId,
        /// Where it begins in the RX stream.
        offset: u64,
        /// Its length in bytes.
        len: u32,
    },
    /// A UDP socket exists, or its ends changed.
    Bound {
        /// Of the command.
        tag: u64,
        /// Which.
        socket: SocketId,
        /// Its rings.
        stream: StreamId,
        /// Its local end, as it is now.
        local: SocketAddr,
    },
    /// A datagram lies in the RX ring at `offset .. offset + len` (UDP only). An empty one takes one byte there.
    Datagram {
        /// The socket.
        socket: SocketId,
        /// Where it begins in the RX stream.
        offset: u64,
        /// Its length in bytes.
        len: u32,
        /// Who sent it.
        remote: SocketAddr,
    },
    /// ICMP says that what a connected UDP socket sent was not taken. The socket goes on.
    DatagramRefused {
        /// The socket.
        socket: SocketId,
        /// Why.
        reason: EndReason,
    },
    /// The peer says that a byte is urgent (TCP only); it supersedes what was said before. The byte is part of the RX stream:
    /// an application that reads it out of line passes it over there. Once it is committed it lies in the ring.
    Urgent {
        /// Which.
        socket: SocketId,
        /// Where the urgent byte lies, or will lie, in the RX stream.
        offset: u64,
        /// The byte, if it has come; told also where those in front of it have not.
        byte: Option<u8>,
    },
    /// The peer's FIN: what lies in the RX ring is all there will be.
    PeerClosed {
        /// Which.
        socket: SocketId,
    },
    /// The figures of a TCP connection as they were when it ended: [`Completion::Ended`] follows, and from then on the stack knows
    /// nothing of it. Of them only the times since something happened go on. A port may drop it for an application that does
    /// not keep up.
    LastInfo {
        /// Which.
        socket: SocketId,
        /// The figures.
        info: Box<SocketInfo>,
    },
    /// The socket is at its end. What lies in the RX ring may still be read; nothing follows.
    Ended {
        /// Which.
        socket: SocketId,
        /// Why.
        reason: EndReason,
    },
    /// Answer to [`Op::Ping`].
    EchoReply {
        /// Of the command.
        tag: u64,
        /// Sequence number of the request.
        sequence: u16,
        /// Payload bytes of the reply.
        len: u16,
        /// From the request's departure to the reply's arrival.
        rtt: Duration,
        /// Time to live (hop limit) of the reply.
        ttl: u8,
    },
    /// Answer to [`Op::Info`].
    Info {
        /// Of the command.
        tag: u64,
        /// The figures.
        info: Box<SocketInfo>,
    },
}

/// A ring could not take the bytes; nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// Beyond `rx_limit`.
    OutOfRange,
    /// No chunk of memory is free.
    NoMemory,
    /// The stream is gone.
    Gone,
}

/// The two byte rings of one connection, by stream offset. Offset 0 is the first byte of the stream;
/// offsets never wrap.
///
/// No slice of application memory is ever handed out: another process may change it at any time.
pub trait StreamIo {
    /// Getter: one past the last byte that the application had written at the last snapshot.
    fn tx_end(&self) -> u64;
    /// Getter: the application has written all that there is room for, and can write no more before bytes are released
    /// ([`StreamIo::tx_release`]). For tcpi_sndbuf_limited alone; rings that do not know are never full.
    fn tx_is_full(&self) -> bool {
        false
    }
    /// Output: copies the TX bytes from `offset` into `dst` and returns their partial Internet
    /// checksum (big-endian 16-bit words, not complemented, folded to 16 bits, counted from an even
    /// position). Bytes outside the stream come out as zero.
    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16;
    /// Command: bytes below `offset` are acknowledged; the application may reuse their room.
    fn tx_release(&mut self, offset: u64);
    /// Getter: one past the highest offset that may be stored at present: what the application has
    /// consumed plus what the rings may hold. Never decreases.
    fn rx_limit(&self) -> u64;
    /// Getter: the offset up to which the application had consumed at the last snapshot.
    fn rx_consumed(&self) -> u64;
    /// Input: stores `src` at `offset`, in order or not. Bytes already stored may be stored again.
    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError>;
    /// Input: like `rx_copy_in`, and returns the partial Internet checksum of `src`, best in the same pass. What is stored may turn
    /// out to be wrong: it is not committed then, and stored again.
    ///
    /// # Errors
    /// Those of `rx_copy_in`.
    fn rx_copy_in_sum(
        &mut self,
        offset: u64,
        src: &[u8],
        checksum: Implementation,
    ) -> Result<u16, RingError> {
        self.rx_copy_in(offset, src)?;
        Ok(checksum.sum(src))
    }
    /// Command: every byte below `offset` is in order; the application may read it.
    fn rx_commit(&mut self, offset: u64);
}

/// The application side of an engine.
///
/// Call order in one step: `snapshot`, then any number of `poll_command`, `stream`, `complete`, then `flush`.
pub trait AppPort {
    /// The rings of one stream.
    type Stream<'a>: StreamIo
    where
        Self: 'a;

    /// Input: freezes everything that applications can change until the next call.
    fn snapshot(&mut self, now: Instant);
    /// Output: the next command. The port bounds and weighs what one channel may have done per step.
    fn poll_command(&mut self) -> Option<Command>;
    /// Input: an answer or news for a channel. Never refused: the port keeps what does not fit yet
    /// (bounded: commands in flight, sockets and backlog are). Ignored for a dead channel.
    fn complete(&mut self, channel: ChannelId, completion: Completion);
    /// Getter: the process behind a channel, `None` once the channel is gone. Channels with equal numbers are one
    /// application and may share an address that they receive messages on.
    fn process(&self, channel: ChannelId) -> Option<u64>;
    /// Command: a pair of rings for a new socket. What a TCP window promises must be backed; a flow must be able to
    /// hold one longest message. `None` when the channel has no room or is gone.
    fn stream_open(
        &mut self,
        channel: ChannelId,
        socket: SocketId,
        transport: Transport,
    ) -> Option<StreamId>;
    /// Command: the socket is gone; bytes already committed stay readable until the application
    /// lets go of the stream.
    fn stream_close(&mut self, stream: StreamId);
    /// Getter: the rings of a stream. The end of its application leaves them as they were, until `stream_close`. For a
    /// stream that is gone, rings that are empty and take nothing.
    fn stream(&mut self, stream: StreamId) -> Self::Stream<'_>;
    /// Output: makes everything since `snapshot` visible and wakes the applications that sleep. At most
    /// one wake per channel and call.
    fn flush(&mut self);
}
