//! From the queues of UDP sockets to frames: each datagram finds its own way, and is cut where the way is too narrow.

use core::net::IpAddr;

use super::composition::Stack;
use super::datagram::Datagram;
use super::emit::{LINK_HEADER_MAX, LinkHeader, fill_payload, put_header, stamp_ipv6};
use super::fragment_out::{cuts, headers_of_piece};
use super::no_stream::rings;
use super::routing::Hop;
use super::sock::Kind;
use super::stamp::Stamp;
use super::tx::{Allowance, Turn, TxQueue};
use crate::ip::neighbor::Lookup;
use crate::nic::{Frame, IfIndex, Nic};
use crate::port::{AppPort, SocketId, StreamId, StreamIo};
use crate::socket::FourTuple;
use crate::time::Instant;
use crate::udp::{Outgoing, UdpSocket};
use crate::wire::checksum::RunningSum;
use crate::wire::ipv4::Ipv4Header;
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::ipv6_ext::{FRAGMENT, FRAGMENT_HEADER_LEN, Ipv6Fragment};
use crate::wire::{EtherType, IpProtocol, TTL_DEFAULT, UDP_HEADER_LEN, UdpHeader};

/// Datagrams that one socket may send before the next one has its turn.
const QUANTUM_DATAGRAMS: usize = 8;

/// A datagram with its way.
#[derive(Clone, Copy, Debug)]
struct Leg {
    datagram: Outgoing,
    /// Both ends, ours with the address that it is sent from.
    tuple: FourTuple,
    hop: Hop,
}

impl Leg {
    fn ends(&self) -> (IpAddr, IpAddr) {
        (self.tuple.local.address.ip(), self.tuple.remote.address.ip())
    }

    fn udp_header(&self, payload_sum: u16) -> UdpHeader {
        let (src, dst) = self.ends();
        let header = UdpHeader {
            src_port: self.tuple.local.port,
            dst_port: self.tuple.remote.port,
            payload_len: self.datagram.len,
            checksum: 0,
        };
        header.with_checksum(src, dst, payload_sum)
    }
}

impl Stack {
    /// Getter: the socket is a UDP socket, whose turns are served here.
    #[inline]
    pub(super) fn is_udp(&self, id: SocketId) -> bool {
        self.sockets.get(id).is_some_and(|socket| matches!(socket.kind, Kind::Udp(_)))
    }

    /// Getter: a UDP socket, and the rings of its application.
    fn udp_of(&self, id: SocketId) -> Option<(&UdpSocket, Option<StreamId>)> {
        let socket = self.sockets.get(id)?;
        match &socket.kind {
            Kind::Udp(udp) => Some((udp, socket.stream.of(socket.channel))),
            Kind::Listener(_) | Kind::Tcp { .. } | Kind::Machnet { .. } => None,
        }
    }

    /// One UDP socket's turn on `interface`.
    #[inline(never)]
    pub(super) fn serve_udp<N: Nic, P: AppPort>(
        &mut self,
        now: Instant,
        (interface, id): (IfIndex, SocketId),
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
        port: &mut P,
        frames_max: usize,
    ) -> Turn {
        let mut turn = Turn::Yield;
        for _ in 0..QUANTUM_DATAGRAMS {
            if tx.frames.len() >= frames_max {
                break;
            }
            turn = self.send_next_datagram(now, (interface, id), nic, tx, port);
            if turn != Turn::Yield {
                break;
            }
        }
        self.settle_transmitted(now, id, None, turn == Turn::Yield, port);
        turn
    }

    /// [`Turn::Yield`]: done with one datagram, there may be more.
    fn send_next_datagram<N: Nic, P: AppPort>(
        &mut self,
        now: Instant,
        (interface, id): (IfIndex, SocketId),
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
        port: &mut P,
    ) -> Turn {
        let leg = match self.next_leg(id) {
            None => return Turn::Done,
            Some(None) => {
                self.stats.udp_send_drops += 1;
                self.count_out(id, port);
                return Turn::Yield;
            }
            Some(Some(leg)) => leg,
        };
        if leg.hop.interface != interface {
            if let Some(socket) = self.sockets.get_mut(id) {
                socket.interface = leg.hop.interface;
                self.ready[leg.hop.interface.index()].push(id.index);
            }
            return Turn::Done;
        }
        match self.look_up(now, interface, leg.hop.address) {
            Lookup::Resolved(station) => {
                let (_, dst) = leg.ends();
                let ether_type = if dst.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
                let link = self.link_header(interface, nic.caps(), station, ether_type);
                let socket = self.sockets.get(id).filter(|_| dst.is_ipv6());
                let v6 = socket.map(|socket| self.ipv6_fields(socket));
                let link_mtu = v6.map_or(nic.caps().mtu, |fields| fields.link_mtu);
                let path_mtu = self.paths.mtu(now, || dst, link_mtu);
                let allowance = Allowance { link, path_mtu, v6, quantum: 1 };
                if !self.emit_datagram(id, &leg, &allowance, nic, tx, port) {
                    return Turn::NoMemory;
                }
                self.stats.udp_datagrams_out += 1;
            }
            // Only this datagram waits; others may go elsewhere meanwhile (RFC 1122 §2.3.2.2).
            Lookup::Pending => self.park_datagram(now, id, &leg, port),
            Lookup::Failed => self.stats.udp_send_drops += 1,
        }
        self.count_out(id, port);
        Turn::Yield
    }

    /// The first datagram of the socket's queue; `Some(None)` when there is no way for it.
    fn next_leg(&self, id: SocketId) -> Option<Option<Leg>> {
        let socket = self.sockets.get(id)?;
        let Kind::Udp(udp) = &socket.kind else { return None };
        let datagram = udp.next_to_send()?;
        let remote = datagram.remote.unwrap_or(socket.tuple.remote);
        let mut tuple = FourTuple { local: socket.tuple.local, remote };
        let hop = self.next_hop(remote.address.ip());
        if tuple.local.address == tuple.local.address.unspecified() {
            match hop.and_then(|hop| self.source_for(hop, remote.address.ip())) {
                Some(source) => tuple.local.address = source.into(),
                None => return Some(None),
            }
        }
        Some(hop.map(|hop| Leg { datagram, tuple, hop }))
    }

    /// The first datagram is done with.
    fn count_out<P: AppPort>(&mut self, id: SocketId, port: &mut P) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        if let Kind::Udp(udp) = &mut socket.kind {
            udp.sent(&mut rings(port, socket.stream.of(socket.channel)));
        }
    }

    /// A datagram whose neighbour is being asked for waits among the replies that do, of which there are few.
    fn park_datagram<P: AppPort>(&mut self, now: Instant, id: SocketId, leg: &Leg, port: &mut P) {
        let (src, dst) = leg.ends();
        let protocol = IpProtocol::UDP;
        let Some((udp, stream)) = self.udp_of(id) else { return };
        let traffic_class = udp.traffic_class(dst);
        let hop_limit = udp.hops(dst).unwrap_or(TTL_DEFAULT);
        let Some(mut bytes) = self.replies.buffer() else {
            self.stats.udp_send_drops += 1;
            return;
        };
        let datagram = Datagram { src, dst, protocol, hop_limit, traffic_class, link: None };
        let udp_at = datagram.header_len();
        let payload_at = udp_at + UDP_HEADER_LEN;
        bytes.resize(payload_at + usize::from(leg.datagram.len), 0);
        let io = rings(port, stream);
        let sum = io.tx_copy_out_sum(leg.datagram.offset, &mut bytes[payload_at..]);
        leg.udp_header(sum).emit(&mut bytes[udp_at..]);
        drop(io);
        if self.send_ip_or_pieces(now, &datagram, bytes) {
            self.stats.udp_datagrams_out += 1;
        } else {
            self.stats.udp_send_drops += 1;
        }
    }

    /// Writes a datagram into as many frames as the path needs. False when the NIC has no memory: nothing is sent then.
    fn emit_datagram<N: Nic, P: AppPort>(
        &mut self,
        id: SocketId,
        leg: &Leg,
        allowance: &Allowance,
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
        port: &mut P,
    ) -> bool {
        let Allowance { link, path_mtu, v6, .. } = allowance;
        let (src, dst) = leg.ends();
        let number = self.identifications.next(src, dst, IpProtocol::UDP);
        let Some((udp, stream)) = self.udp_of(id) else { return true };
        let stamp = Stamp::of_udp(udp, dst);
        let io = rings(port, stream);
        let first = tx.frames.len();
        let whole = UDP_HEADER_LEN + usize::from(leg.datagram.len);
        let ip_at = link.len();
        let mut sum = RunningSum::new();
        for cut in cuts(whole, *path_mtu, dst) {
            let headers = ip_at + headers_of_piece(dst, cut.len() < whole);
            let Some(mut frame) = tx.alloc(nic, headers + cut.len()) else {
                tx.frames.truncate(first);
                return false;
            };
            let udp_len = if cut.start == 0 { UDP_HEADER_LEN } else { 0 };
            let at = leg.datagram.offset + (cut.start + udp_len - UDP_HEADER_LEN) as u64;
            let part = fill_payload(&mut frame, headers + udp_len, at, &io);
            sum.add_sum(part.sum(), cut.len() - udp_len);
            let piece = Piece { number, at: cut.start, len: cut.len(), more: cut.end < whole };
            emit_headers(&mut frame, link, leg, &piece, cut.len() < whole);
            if let Some(fields) = v6 {
                stamp_ipv6(&mut frame, link, *fields);
            }
            if let Some(stamp) = &stamp {
                stamp.put(&mut frame, ip_at);
            }
            self.stats.fragments_out += u64::from(cut.len() < whole);
            self.stats.tx_frames += 1;
            self.stats.tx_bytes += frame.len() as u64;
            tx.frames.push_back(frame);
        }
        let udp_at = ip_at + headers_of_piece(dst, tx.frames.len() > first + 1);
        let mut header = [0; UDP_HEADER_LEN];
        leg.udp_header(sum.sum()).emit(&mut header);
        if let Some(frame) = tx.frames.get_mut(first)
            && let Some(out) = frame.segment_mut(0).get_mut(udp_at..udp_at + UDP_HEADER_LEN)
        {
            out.copy_from_slice(&header);
        }
        true
    }
}

/// A part of a datagram: all of it, or a fragment.
struct Piece {
    number: u32,
    at: usize,
    len: usize,
    more: bool,
}

/// Writes link and IP header of a piece.
fn emit_headers<F: Frame>(
    frame: &mut F,
    link: &LinkHeader,
    leg: &Leg,
    piece: &Piece,
    fragment: bool,
) {
    let (src, dst) = leg.ends();
    let mut bytes = [0; LINK_HEADER_MAX + IPV6_HEADER_LEN + FRAGMENT_HEADER_LEN];
    link.mark(frame);
    let ip_at = link.emit(&mut bytes);
    let out = &mut bytes[ip_at..];
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = Ipv4Header {
                identification: piece.number as u16,
                dont_fragment: false,
                more_fragments: piece.more,
                fragment_offset: (piece.at / 8) as u16,
                ..Ipv4Header::new(src, dst, IpProtocol::UDP, piece.len as u16)
            };
            header.emit(out);
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let (next, extra) =
                if fragment { (FRAGMENT, FRAGMENT_HEADER_LEN) } else { (IpProtocol::UDP, 0) };
            Ipv6Header::new(src, dst, next, (piece.len + extra) as u16).emit(out);
            if fragment {
                let header = Ipv6Fragment {
                    next_header: IpProtocol::UDP,
                    offset: piece.at as u16,
                    more: piece.more,
                    identification: piece.number,
                };
                header.emit(&mut out[IPV6_HEADER_LEN..]);
            }
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
    }
    put_header(frame, &bytes[..ip_at + headers_of_piece(dst, fragment)]);
}
