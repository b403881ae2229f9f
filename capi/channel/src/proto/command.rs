//! Commands: the application asks.

use std::net::SocketAddr;

use causeway_core::port::{Op, SocketId, SocketOption};
use causeway_core::tcp::congestion::Algorithm;

use super::ProtoError;
use super::codes::{transport, transport_code};
use super::datagram;
use super::fields::{
    HAS_LOCAL, HAS_SOCKET, Head, LOCAL_V6, NO_SLOT, REMOTE_V6, narrow, narrow16, pack_ip, scope,
    unpack_ip, with_scope, zero_from,
};
use crate::ring::Entry;

const LISTEN: u8 = 1;
const CONNECT: u8 = 2;
const ACCEPTED: u8 = 3;
const KICK: u8 = 4;
const SEND_MESSAGE: u8 = 5;
const SHUTDOWN_WRITE: u8 = 6;
const CLOSE: u8 = 7;
const ABORT: u8 = 8;
const PING: u8 = 9;
const INFO: u8 = 10;
const RELEASE: u8 = 11;
const SET_OPTION: u8 = 12;
const BIND_UDP: u8 = 13;
const CONNECT_UDP: u8 = 14;
const SEND_DATAGRAM: u8 = 15;
const MARK_URGENT: u8 = 16;
const END_RECORD: u8 = 17;
const SHUTDOWN_READ: u8 = 18;
const BACKLOG: u8 = 19;

/// What an application can say: a command for the stack, or word about its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppCommand {
    /// For the stack. Never [`Op::Detach`].
    Op(Op),
    /// The application no longer uses the memory of a stream: the slot may serve another once the daemon has closed it too.
    Release {
        /// Whose stream it was.
        socket: SocketId,
    },
}

/// An entry from an application, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedCommand {
    /// Chosen by the application, echoed in the completion.
    pub tag: u64,
    /// The stream that the application says it is about. The lane checks it against the socket.
    pub slot: Option<u32>,
    /// What is asked.
    pub command: AppCommand,
}

/// Command: an operation as an entry. `slot` is the stream of the socket that it names, if it has one, so
/// that the daemon finds the offsets to snapshot. `None` for [`Op::Detach`], which nobody sends.
pub fn encode_command(tag: u64, op: &Op, slot: Option<u32>) -> Option<Entry> {
    let head = |kind| Head::new(kind, slot.unwrap_or(NO_SLOT));
    let numbered = |kind, socket: SocketId, number: u64| {
        [head(kind).pack(), tag, socket.to_bits(), number, 0, 0, 0, 0]
    };
    let plain = |kind, socket| numbered(kind, socket, 0);
    Some(match *op {
        Op::Listen { transport, local, backlog } => {
            let (ip, v6) = pack_ip(local.ip());
            let flags = if v6 { LOCAL_V6 } else { 0 };
            let head = head(LISTEN).small(local.port()).flags(flags).pack();
            let scope = u64::from(scope(local));
            let transport = u64::from(transport_code(transport));
            [head, tag, ip[0], ip[1], u64::from(backlog), transport, scope, 0]
        }
        Op::Connect { transport, local, remote } => {
            let (from, from_v6) = local.map_or(([0; 2], false), pack_ip);
            let (to, to_v6) = pack_ip(remote.ip());
            let flags = if local.is_some() { HAS_LOCAL } else { 0 }
                | if from_v6 { LOCAL_V6 } else { 0 }
                | if to_v6 { REMOTE_V6 } else { 0 };
            let head = head(CONNECT).small(remote.port()).flags(flags).pack();
            let last = u64::from(scope(remote)) | u64::from(transport_code(transport)) << 32;
            [head, tag, from[0], from[1], to[0], to[1], last, 0]
        }
        Op::Accepted { listener, count } => numbered(ACCEPTED, listener, count.into()),
        Op::Backlog { listener, backlog } => numbered(BACKLOG, listener, backlog.into()),
        Op::Kick { socket } => plain(KICK, socket),
        Op::SendMessage { socket, offset, len, message } => {
            let len = u64::from(len);
            [head(SEND_MESSAGE).pack(), tag, socket.to_bits(), offset, len, message, 0, 0]
        }
        Op::BindUdp { local } => datagram::encode_bind(head(BIND_UDP), tag, local),
        Op::ConnectUdp { socket, remote } => {
            datagram::encode_connect(head(CONNECT_UDP), tag, socket, remote)
        }
        Op::SendDatagram { socket, offset, len, remote } => {
            datagram::encode_send(head(SEND_DATAGRAM), tag, socket, (offset, len), remote)
        }
        Op::MarkUrgent { socket, offset } => numbered(MARK_URGENT, socket, offset),
        Op::EndRecord { socket, offset } => numbered(END_RECORD, socket, offset),
        Op::ShutdownWrite { socket } => plain(SHUTDOWN_WRITE, socket),
        Op::ShutdownRead { socket } => plain(SHUTDOWN_READ, socket),
        Op::Close { socket } => plain(CLOSE, socket),
        Op::Abort { socket } => plain(ABORT, socket),
        Op::Ping { remote, sequence, len } => {
            let (ip, v6) = pack_ip(remote);
            let flags = if v6 { REMOTE_V6 } else { 0 };
            let head = head(PING).small(sequence).flags(flags).pack();
            [head, tag, ip[0], ip[1], u64::from(len), 0, 0, 0]
        }
        Op::Info { socket } => plain(INFO, socket),
        Op::SetOption { socket, option } => {
            let flags = if socket.is_some() { HAS_SOCKET } else { 0 };
            let (number, value) = option.to_parts();
            let name = if let SocketOption::Congestion(algorithm) = option {
                pack_name(algorithm.name())
            } else {
                [0; 2]
            };
            let head = head(SET_OPTION).small(number).flags(flags).pack();
            [head, tag, socket.map_or(0, SocketId::to_bits), value, name[0], name[1], 0, 0]
        }
        Op::Detach { .. } => return None,
    })
}

/// Command: [`AppCommand::Release`] as an entry.
pub fn encode_release(slot: u32, socket: SocketId) -> Entry {
    [Head::new(RELEASE, slot).pack(), 0, socket.to_bits(), 0, 0, 0, 0, 0]
}

/// Input: an entry from an application, already copied to private memory.
pub fn decode_command(entry: &Entry) -> Result<DecodedCommand, ProtoError> {
    let head = Head::unpack(entry[0]);
    let command = match head.kind {
        LISTEN => AppCommand::Op(listen(head, entry)?),
        CONNECT => AppCommand::Op(connect(head, entry)?),
        PING => AppCommand::Op(ping(head, entry)?),
        ACCEPTED | BACKLOG => {
            plain_head(head)?;
            zero_from(entry, 4)?;
            let (listener, number) = (SocketId::from_bits(entry[2]), narrow(entry[3])?);
            AppCommand::Op(match head.kind {
                ACCEPTED => Op::Accepted { listener, count: number },
                _ => Op::Backlog { listener, backlog: number },
            })
        }
        SEND_MESSAGE => AppCommand::Op(send_message(head, entry)?),
        BIND_UDP => AppCommand::Op(datagram::decode_bind(head, entry)?),
        CONNECT_UDP => AppCommand::Op(datagram::decode_connect(head, entry)?),
        SEND_DATAGRAM => AppCommand::Op(datagram::decode_send(head, entry)?),
        MARK_URGENT | END_RECORD => {
            plain_head(head)?;
            zero_from(entry, 4)?;
            let (socket, offset) = (SocketId::from_bits(entry[2]), entry[3]);
            AppCommand::Op(match head.kind {
                MARK_URGENT => Op::MarkUrgent { socket, offset },
                _ => Op::EndRecord { socket, offset },
            })
        }
        SET_OPTION => AppCommand::Op(set_option(head, entry)?),
        KICK | SHUTDOWN_WRITE | SHUTDOWN_READ | CLOSE | ABORT | INFO | RELEASE => {
            plain(head, entry)?
        }
        _ => return Err(ProtoError::Kind),
    };
    Ok(DecodedCommand { tag: entry[1], slot: head.stream(), command })
}

fn plain_head(head: Head) -> Result<(), ProtoError> {
    head.only(0)?;
    if head.small == 0 { Ok(()) } else { Err(ProtoError::Argument) }
}

fn plain(head: Head, entry: &Entry) -> Result<AppCommand, ProtoError> {
    plain_head(head)?;
    zero_from(entry, 3)?;
    let socket = SocketId::from_bits(entry[2]);
    Ok(AppCommand::Op(match head.kind {
        KICK => Op::Kick { socket },
        SHUTDOWN_WRITE => Op::ShutdownWrite { socket },
        SHUTDOWN_READ => Op::ShutdownRead { socket },
        CLOSE => Op::Close { socket },
        ABORT => Op::Abort { socket },
        INFO => Op::Info { socket },
        RELEASE => return Ok(AppCommand::Release { socket }),
        _ => return Err(ProtoError::Kind),
    }))
}

fn listen(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    head.only(LOCAL_V6)?;
    zero_from(entry, 7)?;
    let ip = unpack_ip([entry[2], entry[3]], head.flags & LOCAL_V6 != 0)?;
    Ok(Op::Listen {
        transport: transport(entry[5])?,
        local: with_scope(ip, head.small, narrow(entry[6])?)?,
        backlog: narrow(entry[4])?,
    })
}

fn connect(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    head.only(HAS_LOCAL | LOCAL_V6 | REMOTE_V6)?;
    zero_from(entry, 7)?;
    let from = unpack_ip([entry[2], entry[3]], head.flags & LOCAL_V6 != 0)?;
    let to = unpack_ip([entry[4], entry[5]], head.flags & REMOTE_V6 != 0)?;
    let remote: SocketAddr = with_scope(to, head.small, entry[6] as u32)?;
    Ok(Op::Connect {
        transport: transport(entry[6] >> 32)?,
        local: (head.flags & HAS_LOCAL != 0).then_some(from),
        remote,
    })
}

fn send_message(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    plain_head(head)?;
    zero_from(entry, 6)?;
    let [_, _, socket, offset, len, message, _, _] = *entry;
    let len = narrow(len)?;
    if len == 0 || offset.checked_add(u64::from(len)).is_none() {
        return Err(ProtoError::Argument);
    }
    Ok(Op::SendMessage { socket: SocketId::from_bits(socket), offset, len, message })
}

fn set_option(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    head.only(HAS_SOCKET)?;
    zero_from(entry, 6)?;
    let [_, _, socket, value, first, second, _, _] = *entry;
    let named = head.flags & HAS_SOCKET != 0;
    if !named && socket != 0 {
        return Err(ProtoError::Argument);
    }
    let name = match [first, second] {
        [0, 0] => None,
        words => Some(unpack_name(words)?),
    };
    let option = SocketOption::from_parts(head.small, value, name);
    Ok(Op::SetOption {
        socket: named.then(|| SocketId::from_bits(socket)),
        option: option.ok_or(ProtoError::Argument)?,
    })
}

/// The longest name of a congestion control, as Linux's TCP_CA_NAME_MAX.
const NAME_MAX: usize = 16;

/// A name as two words, padded with zeros.
fn pack_name(name: &str) -> [u64; 2] {
    let mut bytes = [0; NAME_MAX];
    let len = name.len().min(NAME_MAX);
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    let bits = u128::from_le_bytes(bytes);
    [bits as u64, (bits >> 64) as u64]
}

fn unpack_name(words: [u64; 2]) -> Result<Algorithm, ProtoError> {
    let bits = u128::from(words[0]) | u128::from(words[1]) << 64;
    let bytes = bits.to_le_bytes();
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(NAME_MAX);
    if bytes[len..].iter().any(|byte| *byte != 0) {
        return Err(ProtoError::Argument);
    }
    let name = std::str::from_utf8(&bytes[..len]).map_err(|_| ProtoError::Argument)?;
    Algorithm::from_name(name).ok_or(ProtoError::Argument)
}

fn ping(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    head.only(REMOTE_V6)?;
    zero_from(entry, 5)?;
    let remote = unpack_ip([entry[2], entry[3]], head.flags & REMOTE_V6 != 0)?;
    Ok(Op::Ping { remote, sequence: head.small, len: narrow16(entry[4])? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_name_nothing_but_a_socket_read_back_as_they_were_written_and_take_no_more() {
        let socket = SocketId::from_bits(0x0000_0003_0000_0007);
        for op in [
            Op::Kick { socket },
            Op::ShutdownWrite { socket },
            Op::ShutdownRead { socket },
            Op::Close { socket },
            Op::Abort { socket },
            Op::Info { socket },
        ] {
            let entry = encode_command(9, &op, Some(4)).expect("an application says it");
            let read = decode_command(&entry).expect("it is whole");
            assert_eq!((read.tag, read.slot), (9, Some(4)), "{op:?}");
            assert_eq!(read.command, AppCommand::Op(op.clone()));
            let mut more = entry;
            more[3] = 1;
            assert!(decode_command(&more).is_err(), "{op:?}");
        }
    }

    #[test]
    fn commands_that_name_a_listener_and_a_number_read_back_as_they_were_written_and_take_no_more()
    {
        let listener = SocketId::from_bits(0x0000_0003_0000_0007);
        for op in [
            Op::Accepted { listener, count: u32::MAX },
            Op::Backlog { listener, backlog: 0 },
            Op::Backlog { listener, backlog: u32::MAX },
        ] {
            let entry = encode_command(9, &op, None).expect("an application says it");
            let read = decode_command(&entry).expect("it is whole");
            assert_eq!((read.tag, read.slot), (9, None), "{op:?}");
            assert_eq!(read.command, AppCommand::Op(op.clone()));
            for word in 3..8 {
                let mut more = entry;
                more[word] |= 1 << 32;
                assert!(decode_command(&more).is_err(), "{op:?} with more in word {word}");
            }
        }
    }
}
