//! TCP segments: to their connection, to a listener, or answered with RST.

use causeway_checksum::finish;

use super::backlog::Claimant;
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
use crate::planted::{self, Bug};
use crate::port::{AppPort, SocketId};
use crate::socket::FourTuple;
use crate::tcp::{Disposition, Ecn, ListenDecision, Rst, SegmentIn, SeqNumber, State};
use crate::wire::IpProtocol;
use crate::wire::checksum::{RunningSum, pseudo_header, verify_sum};
use crate::wire::tcp::{TCP_HEADER_LEN, TCP_OPTIONS_MAX, TcpFlags, TcpHeader};

/// What a peer that sends no MSS option may be sent over IPv6 (RFC 9293 §3.7.1, MUST-15).
const MSS_DEFAULT_V6: u16 = 1_220;

impl Stack {
    pub(super) fn handle_tcp<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let (mut header, header_len) = TcpHeader::parse(packet.contiguous(frame))?;
        if !packet.verified && !planted::is(Bug::TcpSumUnchecked) {
            let segment = Payload::of(frame, packet.at, packet.len);
            let sum = self.sum(&segment);
            verify_sum(packet.src, packet.dst, IpProtocol::TCP, segment.len(), sum)?;
        }
        let payload = Payload::of(frame, packet.at + header_len, packet.len - header_len);
        let tuple = packet.tuple(header.dst_port, header.src_port);
        let v6 = packet.src.is_ipv6() && !planted::is(Bug::NoMssMeans536Everywhere);
        if header.flags.contains(TcpFlags::SYN) && v6 {
            // RFC 9293 MUST-15: what IPv6 carries without an option; the machine itself knows IPv4's number.
            header.options.mss = header.options.mss.filter(|mss| *mss > 0).or(Some(MSS_DEFAULT_V6));
        }
        match self.tcp.connection(&self.sockets, &tuple) {
            Some(id) => self.handle_segment(id, &tuple, &header, &payload, packet, port),
            None => self.handle_unbound_segment(&tuple, &header, &payload, packet, None, port),
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

    pub(super) fn handle_segment<P: AppPort>(
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
        if self.complete_handshake(id, (header, payload.len()), port)? == Claimant::Gone {
            self.forget(packet.now, id, port);
            return self.handle_unbound_segment(tuple, header, payload, packet, None, port);
        }
        let Some(socket) = self.sockets.get_mut(id) else { return Err(DropReason::NoSocket) };
        let before = socket.tcp_state();
        let Kind::Tcp { connection, .. } = &mut socket.kind else {
            return Err(DropReason::NoSocket);
        };
        let segment = SegmentIn {
            header,
            payload: payload.slices(),
            payload_len: payload.len() as u32,
            gso_size: packet.gso_size,
            ecn: Ecn::from_bits(packet.ecn),
        };
        let mut io = rings(port, socket.stream.of(socket.channel));
        let disposition = connection.handle_segment(packet.now, &segment, &mut io);
        if self.receive_memory.is_pressed() {
            connection.note_receive_memory(packet.now, &io);
        }
        drop(io);
        if disposition == Disposition::ChallengeAck && !self.challenges.allow(packet.now) {
            connection.withhold_challenge();
            self.stats.challenges_withheld += 1;
        }
        if disposition == Disposition::Reopen {
            return self.reopen(id, tuple, (header, &segment), payload, packet, port);
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

    /// RFC 6191: TIME-WAIT gives way to a SYN that is provably newer, if somebody listens for it.
    fn reopen<P: AppPort>(
        &mut self,
        id: SocketId,
        tuple: &FourTuple,
        (header, segment): (&TcpHeader, &SegmentIn<'_>),
        payload: &Payload<'_>,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let listener = self.tcp.listener(&self.sockets, tuple);
        let listener = listener.and_then(|id| self.listener_mut(id));
        let is_heard = listener.is_some_and(|listener| listener.may_begin());
        let Some(socket) = self.sockets.get_mut(id) else { return Err(DropReason::NoSocket) };
        let Kind::Tcp { connection, .. } = &mut socket.kind else {
            return Err(DropReason::NoSocket);
        };
        if is_heard {
            let beyond = Some(connection.last_sequence());
            self.forget(packet.now, id, port);
            return self.handle_unbound_segment(tuple, header, payload, packet, beyond, port);
        }
        let mut io = rings(port, socket.stream.of(socket.channel));
        connection.handle_refused_syn(packet.now, segment, &mut io);
        drop(io);
        self.settle(packet.now, id, Some(State::TimeWait), port);
        Ok(())
    }

    /// `beyond`: a connection of this four-tuple was in TIME-WAIT, and the numbers of the next one begin behind its last.
    fn handle_unbound_segment<P: AppPort>(
        &mut self,
        tuple: &FourTuple,
        header: &TcpHeader,
        payload: &Payload<'_>,
        packet: &Packet,
        beyond: Option<SeqNumber>,
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
                if self.redeem_cookie(listener, tuple, (header, payload), packet, port) {
                    return Ok(());
                }
                self.reply_rst(tuple, rst, packet);
                Ok(())
            }
            ListenDecision::Accept => {
                let first = First::Tcp(header, beyond);
                let (now, link) = (packet.now, packet.interface);
                let verdict = self.judge_fast_open(now, listener, tuple, (header, payload.len()));
                match self.open_passive(now, listener, *tuple, first, link, port) {
                    Ok(id) => {
                        self.begin_fast_open(now, id, verdict, payload, port);
                        Ok(())
                    }
                    Err(DropReason::Limit) => {
                        self.answer_with_cookie(listener, tuple, header, packet, port)
                    }
                    Err(reason) => Err(reason),
                }
            }
        }
    }

    /// Queues the RST that answers a segment (RFC 9293 §3.10.7.1), if the rate allows it.
    fn reply_rst(&mut self, tuple: &FourTuple, rst: Rst, packet: &Packet) {
        let ack = if rst.with_ack { TcpFlags::ACK.0 } else { 0 };
        let header = TcpHeader {
            seq: rst.seq,
            ack: rst.ack,
            flags: TcpFlags(TcpFlags::RST.0 | ack),
            ..TcpHeader::default()
        };
        if !self.reset_rate.allow_uncounted(packet.now, &mut self.reply_random) {
            self.stats.replies_lost += 1;
            return;
        }
        let reply = Datagram::answer(packet, IpProtocol::TCP);
        if self.reply_tcp(tuple, header, &reply) {
            self.stats.tcp_resets_out += 1;
        }
    }

    /// Queues a segment without payload that no connection sends. False when there was no room or no route.
    pub(super) fn reply_tcp(
        &mut self,
        tuple: &FourTuple,
        mut header: TcpHeader,
        reply: &Datagram,
    ) -> bool {
        (header.src_port, header.dst_port) = (tuple.local.port, tuple.remote.port);
        let mut buffer = [0; TCP_HEADER_LEN + TCP_OPTIONS_MAX];
        let len = header.emit(&mut buffer);
        let bytes = &mut buffer[..len];
        let pseudo = pseudo_header(reply.src, reply.dst, IpProtocol::TCP, bytes.len());
        let pseudo = pseudo.unwrap_or(0);
        let mut sum = RunningSum::new();
        sum.add_sum(pseudo, 0);
        sum.add_sum(self.config.checksum().sum(bytes), bytes.len());
        bytes[TCP_CHECKSUM_AT..TCP_CHECKSUM_AT + 2]
            .copy_from_slice(&finish(sum.sum()).to_be_bytes());
        self.send_datagram(reply, &[bytes])
    }
}
