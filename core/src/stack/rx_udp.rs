//! UDP datagrams: Machnet packets, or answered with port unreachable.

use core::net::{IpAddr, Ipv4Addr};

use super::composition::Stack;
use super::icmp_out::Complaint;
use super::no_stream::rings;
use super::open::First;
use super::payload::Payload;
use super::rx::Packet;
use super::sock::Kind;
use crate::event::DropReason;
use crate::machnet::{Disposition, ListenDisposition, PacketIn};
use crate::nic::Frame;
use crate::planted::{self, Bug};
use crate::port::{AppPort, SocketId, Transport};
use crate::wire::machnet::{HEADER_LEN, MachnetHeader};
use crate::wire::{IpProtocol, UDP_HEADER_LEN, UdpHeader};

impl Stack {
    pub(super) fn handle_udp<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let contiguous = packet.contiguous(frame);
        let (udp, _) = UdpHeader::parse_prefix(contiguous, packet.len)?;
        let at = packet.at + UDP_HEADER_LEN;
        let datagram_len = usize::from(udp.payload_len);
        self.verify_udp(frame, packet, &udp)?;
        let tuple = packet.tuple(udp.dst_port, udp.src_port);
        let flow = self.machnet.connection(&self.sockets, &tuple);
        if flow.is_none()
            && let Some(id) = self.udp_socket(&tuple)
        {
            let payload = (at, datagram_len);
            return self.handle_datagram(id, frame, payload, udp.src_port, packet, port);
        }
        let listener = self.machnet.listener(&self.sockets, &tuple);
        if flow.is_none() && listener.is_none() && planted::is(Bug::ClosedPortsAreSilent) {
            return Err(DropReason::NoSocket);
        }
        // What is behind the datagram is IP's padding, if anything.
        let datagram = &contiguous[UDP_HEADER_LEN..];
        let datagram = &datagram[..datagram.len().min(datagram_len)];
        if flow.is_none() && listener.is_none() {
            if let Ok((header, _)) = MachnetHeader::parse(datagram)
                && self.refuse_extended(packet, (&udp, &header))
            {
                return Err(DropReason::NoSocket);
            }
            self.complain(frame, packet, IpProtocol::UDP, Complaint::PortUnreachable);
            return Err(DropReason::NoSocket);
        }
        let (header, _) = MachnetHeader::parse(datagram)?;
        match (flow, listener) {
            (Some(flow), _) => {
                let payload = Payload::of(frame, at + HEADER_LEN, datagram_len - HEADER_LEN);
                match self.handle_packet(flow, &header, &payload, packet, port)? {
                    Disposition::Forgotten => {
                        self.refuse_extended(packet, (&udp, &header));
                        Ok(())
                    }
                    Disposition::Accept | Disposition::Duplicate | Disposition::Ignore => Ok(()),
                    Disposition::NoRoom => Err(DropReason::Limit),
                    Disposition::Blind => Err(DropReason::Blind),
                    Disposition::Malformed | Disposition::Violation => Err(DropReason::Malformed),
                }
            }
            (None, Some(listener)) => match crate::machnet::listen(&header, 1) {
                // Whether the backlog is full is `open_passive`'s to say.
                ListenDisposition::Accept | ListenDisposition::Full => {
                    self.stats.machnet_packets_in += 1;
                    let first = First::Machnet(&header);
                    self.open_passive(packet.now, listener, tuple, first, packet.interface, port)
                        .map(drop)
                }
                ListenDisposition::Ignore => {
                    self.refuse_extended(packet, (&udp, &header));
                    Err(DropReason::NoSocket)
                }
            },
            (None, None) => Err(DropReason::NoSocket),
        }
    }

    fn verify_udp<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        udp: &UdpHeader,
    ) -> Result<(), DropReason> {
        if packet.verified {
            return Ok(());
        }
        let datagram_len = usize::from(udp.payload_len);
        let sum = self.sum(&Payload::of(frame, packet.at + UDP_HEADER_LEN, datagram_len));
        let verdict = udp.verify(packet.src, packet.dst, sum);
        let overlooked =
            matches!(packet.src, IpAddr::V4(peer) if self.overlooks_checksums_of(peer));
        if verdict.is_err() && overlooked {
            self.stats.udp_checksums_overlooked += 1;
            return Ok(());
        }
        Ok(verdict?)
    }

    /// The configuration says that this peer's UDP checksums may be wrong.
    pub(super) fn overlooks_checksums_of(&self, peer: Ipv4Addr) -> bool {
        self.config.accept_bad_udp_checksum().binary_search(&peer).is_ok()
    }

    fn handle_packet<P: AppPort>(
        &mut self,
        id: SocketId,
        header: &MachnetHeader,
        payload: &Payload<'_>,
        packet: &Packet,
        port: &mut P,
    ) -> Result<Disposition, DropReason> {
        self.stats.machnet_packets_in += 1;
        self.stats.socket_visits += 1;
        let Some(socket) = self.sockets.get_mut(id) else { return Err(DropReason::NoSocket) };
        let Kind::Machnet { flow, .. } = &mut socket.kind else {
            return Err(DropReason::NoSocket);
        };
        if socket.stream.is_none() && !socket.ended && flow.completes_handshake(header) {
            // As for TCP: the rings come before the payload.
            let Some(stream) = port.stream_open(socket.channel, id, Transport::Machnet) else {
                return Err(DropReason::Limit);
            };
            socket.stream = stream.into();
        }
        flow.note_ttl(packet.ttl);
        let input = PacketIn { header, payload: payload.slices() };
        let disposition = flow.handle_packet(
            packet.now,
            &input,
            &mut rings(port, socket.stream.of(socket.channel)),
        );
        self.settle(packet.now, id, None, port);
        Ok(disposition)
    }
}
