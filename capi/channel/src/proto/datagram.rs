//! UDP sockets' commands and completions.

use std::net::SocketAddr;

use causeway_core::port::{Completion, Op, SocketId};

use super::ProtoError;
use super::fields::{
    HAS_REMOTE, Head, LOCAL_V6, REMOTE_V6, narrow, pack_ip, scope, unpack_ip, with_scope, zero_from,
};
use crate::ring::Entry;

/// The longest datagram's payload (RFC 768 in IPv4).
const DATAGRAM_BYTES_MAX: u32 = 65_507;

/// A head that says who the remote end is, its address, and its scope.
fn with_remote(head: Head, remote: Option<SocketAddr>) -> (u64, [u64; 2], u64) {
    let Some(remote) = remote else { return (head.pack(), [0; 2], 0) };
    let (ip, v6) = pack_ip(remote.ip());
    let flags = HAS_REMOTE | if v6 { REMOTE_V6 } else { 0 };
    (head.small(remote.port()).flags(flags).pack(), ip, u64::from(scope(remote)))
}

fn remote_of(head: Head, ip: [u64; 2], scope: u32) -> Result<Option<SocketAddr>, ProtoError> {
    head.only(HAS_REMOTE | REMOTE_V6)?;
    if head.flags & HAS_REMOTE == 0 {
        let nothing = head.flags == 0 && head.small == 0 && ip == [0; 2] && scope == 0;
        return if nothing { Ok(None) } else { Err(ProtoError::Argument) };
    }
    let ip = unpack_ip(ip, head.flags & REMOTE_V6 != 0)?;
    with_scope(ip, head.small, scope).map(Some)
}

/// [`Op::BindUdp`].
pub(super) fn encode_bind(head: Head, tag: u64, local: SocketAddr) -> Entry {
    let (ip, v6) = pack_ip(local.ip());
    let head = head.small(local.port()).flags(if v6 { LOCAL_V6 } else { 0 });
    [head.pack(), tag, ip[0], ip[1], u64::from(scope(local)), 0, 0, 0]
}

/// The inverse of [`encode_bind`].
pub(super) fn decode_bind(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    head.only(LOCAL_V6)?;
    zero_from(entry, 5)?;
    let ip = unpack_ip([entry[2], entry[3]], head.flags & LOCAL_V6 != 0)?;
    Ok(Op::BindUdp { local: with_scope(ip, head.small, narrow(entry[4])?)? })
}

/// [`Op::ConnectUdp`].
pub(super) fn encode_connect(
    head: Head,
    tag: u64,
    socket: SocketId,
    remote: Option<SocketAddr>,
) -> Entry {
    let (head, ip, scope) = with_remote(head, remote);
    [head, tag, socket.to_bits(), ip[0], ip[1], scope, 0, 0]
}

/// The inverse of [`encode_connect`].
pub(super) fn decode_connect(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    zero_from(entry, 6)?;
    let remote = remote_of(head, [entry[3], entry[4]], narrow(entry[5])?)?;
    Ok(Op::ConnectUdp { socket: SocketId::from_bits(entry[2]), remote })
}

/// [`Op::SendDatagram`].
pub(super) fn encode_send(
    head: Head,
    tag: u64,
    socket: SocketId,
    (offset, len): (u64, u32),
    remote: Option<SocketAddr>,
) -> Entry {
    let (head, ip, scope) = with_remote(head, remote);
    [head, tag, socket.to_bits(), offset, u64::from(len) | scope << 32, ip[0], ip[1], 0]
}

/// The inverse of [`encode_send`].
pub(super) fn decode_send(head: Head, entry: &Entry) -> Result<Op, ProtoError> {
    zero_from(entry, 7)?;
    let [_, _, socket, offset, len_and_scope, a, b, _] = *entry;
    let len = len_and_scope as u32;
    if len > DATAGRAM_BYTES_MAX || offset.checked_add(u64::from(len)).is_none() {
        return Err(ProtoError::Argument);
    }
    let remote = remote_of(head, [a, b], (len_and_scope >> 32) as u32)?;
    Ok(Op::SendDatagram { socket: SocketId::from_bits(socket), offset, len, remote })
}

/// [`Completion::Datagram`].
pub(super) fn encode_arrival(
    head: Head,
    socket: SocketId,
    (offset, len): (u64, u32),
    remote: SocketAddr,
) -> Entry {
    let (head, ip, scope) = with_remote(head, Some(remote));
    [head, 0, socket.to_bits(), offset, u64::from(len) | scope << 32, ip[0], ip[1], 0]
}

/// The inverse of [`encode_arrival`].
pub(super) fn decode_arrival(head: Head, entry: &Entry) -> Result<Completion, ProtoError> {
    let [_, _, socket, offset, len_and_scope, a, b, _] = *entry;
    let remote = remote_of(head, [a, b], (len_and_scope >> 32) as u32)?;
    let remote = remote.ok_or(ProtoError::Argument)?;
    let socket = SocketId::from_bits(socket);
    Ok(Completion::Datagram { socket, offset, len: len_and_scope as u32, remote })
}

#[cfg(test)]
mod tests {
    use super::super::{
        AppCommand, CompletionDecoder, decode_command, encode_command, encode_completion,
    };
    use super::*;
    use causeway_core::error::EndReason;
    use causeway_core::port::{ChannelId, StreamId};

    const SOCKET: SocketId = SocketId { index: 7, generation: 3 };

    fn remotes() -> [Option<SocketAddr>; 4] {
        let scoped =
            SocketAddr::V6(std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 2));
        let parse = |text: &str| Some(text.parse().unwrap());
        [None, parse("10.0.0.1:53"), parse("[2001:db8::1]:65535"), Some(scoped)]
    }

    #[test]
    fn every_command_comes_back_as_it_was() {
        let mut ops = vec![Op::BindUdp { local: "0.0.0.0:0".parse().unwrap() }];
        for remote in remotes() {
            ops.push(Op::ConnectUdp { socket: SOCKET, remote });
            ops.push(Op::SendDatagram { socket: SOCKET, offset: 9, len: 65_507, remote });
            ops.extend(remote.map(|local| Op::BindUdp { local }));
        }
        for op in ops {
            let entry = encode_command(5, &op, Some(4)).unwrap();
            let decoded = decode_command(&entry).unwrap();
            assert_eq!((decoded.tag, decoded.slot), (5, Some(4)));
            assert_eq!(decoded.command, AppCommand::Op(op));
        }
    }

    #[test]
    fn what_no_honest_application_writes_is_refused() {
        let remote = remotes()[1];
        let send = |offset, len| {
            let op = Op::SendDatagram { socket: SOCKET, offset, len, remote };
            decode_command(&encode_command(0, &op, None).unwrap())
        };
        assert!(send(0, 65_507).is_ok());
        assert_eq!(send(0, 65_508), Err(ProtoError::Argument));
        assert_eq!(send(u64::MAX, 1), Err(ProtoError::Argument));
        let mut nobody =
            encode_command(0, &Op::ConnectUdp { socket: SOCKET, remote: None }, None).unwrap();
        nobody[3] = 1;
        assert_eq!(decode_command(&nobody), Err(ProtoError::Argument));
    }

    #[test]
    fn every_completion_comes_back_as_it_was() {
        let channel = ChannelId { index: 1, generation: 1 };
        let stream = StreamId { channel, slot: 6 };
        let local = "10.0.0.1:53".parse().unwrap();
        let mut all = vec![
            Completion::Bound { tag: 8, socket: SOCKET, stream, local },
            Completion::DatagramRefused { socket: SOCKET, reason: EndReason::Refused },
        ];
        for remote in remotes().into_iter().flatten() {
            all.push(Completion::Datagram { socket: SOCKET, offset: 11, len: 12, remote });
        }
        for completion in all {
            let encoded = encode_completion(&completion, Some(6));
            let [entry] = encoded.entries() else { panic!("one entry") };
            let decoded = CompletionDecoder::default().decode(entry, channel).unwrap().unwrap();
            assert_eq!(decoded.completion, completion);
        }
    }
}
