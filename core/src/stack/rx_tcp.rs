//! TCP segments: to their connection, to a listener, or answered with RST.

use causeway_checksum::finish;

use super::composition::Stack;
use super::datagram::Datagram;
use super::emit::TCP_CHECKSUM_AT;
use super::no_stream::rings;
use super::open::First;
use super::payload::Payload;
use super::rx::Packet;
use super::sock::Kind;
use crate::event::DropReason;
use crate::nic::Frame;
use crate::port::{AppPort, SocketId, Transport};
use crate::socket::FourTuple;
use crate::tcp::{Disposition, Ecn, ListenDecision, Rst, SegmentIn};
use crate::wire::IpProtocol;
use crate::wire::checksum::{RunningSum, pseudo_header, verify_sum};
use crate::wire::tcp::{TCP_HEADER_LEN, TcpFlags, TcpHeader};

impl Stack {
    pub(super) fn handle_tcp<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let (header, header_len) = TcpHeader::parse(packet.contiguous(frame))?;
        if !packet.verified {
            let segment = Payload::of(frame, packet.at, packet.len);
            let sum = self.sum(&segment);
            verify_sum(packet.src, packet.dst, IpProtocol::TCP, segment.len(), sum)?;
        }
        let payload = Payload::of(frame, packet.at + header_len, packet.len - header_len);
        let tuple = packet.tuple(header.dst_port, header.src_port);
        match self.tcp.connection(&self.sockets, &tuple) {
            Some(id) => self.handle_segment(id, &tuple, &header, &payload, packet, port),
            None => self.handle_unbound_segment(&tuple, &header, &payload, packet, port),
        }
    }

    /// The partial sum over all pieces.
    pub(super) fn sum(&self, payload: &Payload<'_>) -> u16 {
        let mut sum = RunningSum::new();
        for slice in payload.slices() {
            sum.add_sum(self.config.checksum().sum(slice), slice.len());
        }
        sum.sum()
    }

    fn handle_segment<P: AppPort>(
        &mut self,
        id: SocketId,
        tuple: &FourTuple,
        header: &TcpHeader,
        payload: &Payload<'_>,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        self.stats.tcp_segments_in += 1;
        self.stats.socket_visits += 1;
        let Some(socket) = self.sockets.get_mut(id) else { return Err(DropReason::NoSocket) };
        let before = socket.tcp_state();
        let Kind::Tcp { connection, .. } = &mut socket.kind else {
            return Err(DropReason::NoSocket);
        };
        if socket.stream.is_none() && !socket.ended && connection.completes_handshake(header) {
            // The rings come before the payload that may ride on this ACK. Without room for them the
            // segment is as good as lost: the peer sends it again.
            let Some(stream) = port.stream_open(socket.channel, id, Transport::Tcp) else {
                return Err(DropReason::Limit);
            };
            socket.stream = Some(stream);
        }
        let segment = SegmentIn {
            header,
            payload: payload.slices(),
            payload_len: payload.len() as u32,
            ecn: Ecn::from_bits(packet.ecn),
        };
        let disposition =
            connection.handle_segment(packet.now, &segment, &mut rings(port, socket.stream));
        if disposition == Disposition::Reopen {
            // RFC 6191: TIME-WAIT gives way to a SYN that is provably newer.
            self.forget(packet.now, id, port);
            return self.handle_unbound_segment(tuple, header, payload, packet, port);
        }
        self.settle(packet.now, id, before, port);
        match disposition {
            Disposition::SendRst(rst) => {
                self.reply_rst(tuple, rst, packet);
                Ok(())
            }
            Disposition::Accept
            | Disposition::Ignore
            | Disposition::SendAck
            | Disposition::ChallengeAck
            | Disposition::Reopen => Ok(()),
        }
    }

    fn handle_unbound_segment<P: AppPort>(
        &mut self,
        tuple: &FourTuple,
        header: &TcpHeader,
        payload: &Payload<'_>,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let Some(listener) = self.tcp.listener(&self.sockets, tuple) else {
            let Some(rst) = crate::tcp::closed(header, payload.len() as u32) else {
                return Err(DropReason::NoSocket);
            };
            self.reply_rst(tuple, rst, packet);
            return Ok(());
        };
        match crate::tcp::listen(header) {
            ListenDecision::Ignore => Err(DropReason::NoSocket),
            ListenDecision::Rst(rst) => {
                self.reply_rst(tuple, rst, packet);
                Ok(())
            }
            ListenDecision::Accept => {
                self.open_passive(packet.now, listener, *tuple, First::Tcp(header), port)?;
                Ok(())
            }
        }
    }

    /// Queues the RST that answers a segment (RFC 9293 §3.10.7.1), if the rate allows it.
    fn reply_rst(&mut self, tuple: &FourTuple, rst: Rst, packet: &Packet) {
        let ack = if rst.with_ack { TcpFlags::ACK.0 } else { 0 };
        let header = TcpHeader {
            src_port: tuple.local.port,
            dst_port: tuple.remote.port,
            seq: rst.seq,
            ack: rst.ack,
            flags: TcpFlags(TcpFlags::RST.0 | ack),
            ..TcpHeader::default()
        };
        if !self.rate.allow(packet.now) {
            self.stats.replies_lost += 1;
            return;
        }
        let mut bytes = [0; TCP_HEADER_LEN];
        header.emit(&mut bytes);
        let reply = Datagram::answer(packet, IpProtocol::TCP);
        let pseudo = pseudo_header(reply.src, reply.dst, IpProtocol::TCP, bytes.len());
        let pseudo = pseudo.unwrap_or(0);
        let mut sum = RunningSum::new();
        sum.add_sum(pseudo, 0);
        sum.add_sum(self.config.checksum().sum(&bytes), bytes.len());
        bytes[TCP_CHECKSUM_AT..TCP_CHECKSUM_AT + 2]
            .copy_from_slice(&finish(sum.sum()).to_be_bytes());
        if self.send_datagram(&reply, &[&bytes]) {
            self.stats.tcp_resets_out += 1;
        }
    }
}
