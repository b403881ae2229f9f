//! From ready sockets and queued replies to frames.

use alloc::collections::VecDeque;

use super::composition::Stack;
use super::emit::{
    Ipv6Fields, LINK_HEADER_MAX, LinkHeader, Tag, emit_machnet, emit_reply, emit_tcp, stamp_ipv6,
};
use super::emit_plain::PlainHeaders;
use super::no_stream::rings;
use super::replies::{LinkTarget, Reply};
use super::sock::Kind;
use super::stamp::Stamp;
use super::stats::Stats;
use crate::ip::neighbor::Lookup;
use crate::machnet::Flow;
use crate::nic::{Frame, IfIndex, MacAddr, Medium, Nic, NicCaps};
use crate::planted::{self, Bug};
use crate::port::{AppPort, SocketId, StreamIo};
use crate::socket::FourTuple;
use crate::tcp::{Connection, SegmentOut, TxLimits};
use crate::time::Instant;
use crate::wire::EtherType;
use crate::wire::ipv4::IPV4_HEADER_LEN;
use crate::wire::ipv6::IPV6_HEADER_LEN;
use crate::wire::tcp::{TCP_HEADER_LEN, TCP_OPTIONS_MAX, TcpFlags};
use causeway_checksum::Implementation;

/// Frames that one socket may send before the next one has its turn.
const QUANTUM_FRAMES: usize = 8;
/// The longest datagram that an IPv4 header can say.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Frames on their way to one NIC.
#[derive(Debug)]
pub struct TxQueue<F> {
    pub(super) frames: VecDeque<F>,
    /// Allocated and not needed, ordinary and super-segment: frames are allocated before it is known whether there is
    /// something to send, so that a failed allocation loses nothing.
    spares: [Option<F>; 2],
}

impl<F: Frame> TxQueue<F> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { frames: VecDeque::new(), spares: [None, None] }
    }

    /// Getter: true when every frame was accepted by the NIC.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Getter: frames that no NIC has taken yet.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Getter: these frames but for the first `n`.
    pub fn behind(&self, n: usize) -> impl Iterator<Item = &F> {
        self.frames.iter().skip(n)
    }

    /// Output: offers the frames to `nic`, returns how many it took.
    pub fn send<N: Nic<Frame = F>>(&mut self, nic: &mut N) -> usize {
        nic.tx_burst(&mut self.frames)
    }

    /// A frame of `len` bytes.
    #[inline]
    pub(super) fn alloc<N: Nic<Frame = F>>(&mut self, nic: &mut N, len: usize) -> Option<F> {
        if self.spares[0].is_none() && self.spares[1].is_none() {
            return nic.alloc(len);
        }
        let fits = |spare: &mut F| spare.len() == len;
        match self.spares[size_class(nic.caps(), len)].take_if(fits) {
            Some(frame) => Some(frame),
            None => nic.alloc(len),
        }
    }

    /// Appends `count` frames of `len` bytes, to be written. Returns how many: the NIC may not have as many.
    fn alloc_all<N: Nic<Frame = F>>(&mut self, nic: &mut N, len: usize, count: usize) -> usize {
        self.frames.reserve(count);
        let first = self.frames.len();
        self.frames.extend(self.spares[size_class(nic.caps(), len)].take_if(|f| f.len() == len));
        while self.frames.len() < first + count {
            let Some(frame) = nic.alloc(len) else { break };
            self.frames.push_back(frame);
        }
        self.frames.len() - first
    }

    /// Takes a frame back that was not needed. One of each class is kept.
    fn keep(&mut self, caps: &NicCaps, frame: F) {
        let class = size_class(caps, frame.len());
        self.spares[class] = Some(frame);
    }
}

impl<F: Frame> Default for TxQueue<F> {
    fn default() -> Self {
        Self::new()
    }
}

/// Which of the spare frames has about this length: 0 for what the MTU allows, 1 for super-segments.
fn size_class(caps: &NicCaps, len: usize) -> usize {
    usize::from(len > usize::from(caps.mtu) + LINK_HEADER_MAX)
}

/// Why [`Stack::poll_transmit`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStop {
    /// There is nothing to send now.
    Idle,
    /// The queue has as many frames as were asked for; there may be more to send.
    Full,
    /// The NIC has no memory or no room.
    NicFull,
}

/// What became of one socket's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has nothing more to send, or waits for its neighbour.
    Done,
    /// It sent an acknowledgement and had nothing else to send: nothing has changed that would have to be settled.
    Acknowledged,
    /// Its quantum, or the burst, is used up.
    Yield,
    /// The NIC has no memory.
    NoMemory,
}

/// What a socket may send in one turn.
pub(super) struct Allowance {
    /// In front of each frame.
    pub(super) link: LinkHeader,
    /// The longest datagram, in bytes, that reaches the peer in one piece, as far as is known.
    pub(super) path_mtu: u16,
    /// `None` in IPv4.
    pub(super) v6: Option<Ipv6Fields>,
    /// Frames.
    pub(super) quantum: usize,
}

/// What a frame for this socket may look like.
#[derive(Clone, Copy, Debug)]
struct Room {
    frame_len: usize,
    limits: TxLimits,
}

impl Stack {
    /// Getter: a socket or a reply waits to be sent on `interface`.
    #[inline]
    pub fn has_output(&self, interface: IfIndex) -> bool {
        !self.ready[interface.index()].is_empty() || self.replies.has_some(interface)
    }

    /// Output: appends frames for `interface` to `tx` until it has `frames_max`, taking turns between the sockets
    /// that are ready. Headers and payload are written straight into the NIC's memory.
    pub fn poll_transmit<N: Nic, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
        port: &mut P,
        frames_max: usize,
    ) -> TxStop {
        while tx.frames.len() < frames_max {
            if let Some(reply) = self.replies.pop(interface) {
                if !self.send_reply(now, interface, reply, nic, tx) {
                    return TxStop::NicFull;
                }
                continue;
            }
            let Some(index) = self.ready[interface.index()].pop() else { return TxStop::Idle };
            self.stats.socket_visits += 1;
            let turn = match self.serve_ack(now, index, nic, tx, port) {
                Some(turn) => turn,
                None => {
                    let Some(id) = self.sockets.id_at(index) else { continue };
                    if self.is_udp(id) {
                        self.serve_udp(now, (interface, id), nic, tx, port, frames_max)
                    } else {
                        self.serve(now, id, nic, tx, port, frames_max)
                    }
                }
            };
            if turn == Turn::NoMemory {
                self.stats.alloc_failures += 1;
                self.ready[interface.index()].push(index);
                return TxStop::NicFull;
            }
        }
        TxStop::Full
    }

    /// False when the NIC has no memory for it; it stays first in its queue then.
    fn send_reply<N: Nic>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        reply: Reply,
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
    ) -> bool {
        let station = match reply.target {
            LinkTarget::Station(station) => station,
            LinkTarget::Neighbor(neighbor) => {
                match self.look_up_for_reply(now, interface, neighbor) {
                    Lookup::Resolved(station) => station,
                    Lookup::Pending => {
                        if !self.replies.park(interface, neighbor, reply) {
                            self.stats.replies_lost += 1;
                        }
                        return true;
                    }
                    Lookup::Failed => {
                        self.replies.discard(reply.bytes);
                        self.stats.replies_lost += 1;
                        return true;
                    }
                }
            }
        };
        let link = self.link_header(interface, nic.caps(), station, reply.ether_type);
        let Some(mut frame) = tx.alloc(nic, link.len() + reply.bytes.len()) else {
            self.stats.alloc_failures += 1;
            self.replies.unpop(interface, reply);
            return false;
        };
        emit_reply(&mut frame, &link, &reply.bytes);
        self.count_sent(&frame);
        tx.frames.push_back(frame);
        self.replies.discard(reply.bytes);
        true
    }

    pub(super) fn link_header(
        &self,
        interface: IfIndex,
        caps: &NicCaps,
        dst: MacAddr,
        ether_type: EtherType,
    ) -> LinkHeader {
        let vlan = self.links.get(interface.index()).and_then(|link| link.vlan);
        match caps.medium {
            Medium::Ethernet => {
                let tag = match vlan {
                    None => Tag::None,
                    Some(tci) if caps.vlan => Tag::Left(tci),
                    Some(tci) => Tag::Written(tci),
                };
                LinkHeader::Ethernet { src: caps.mac, dst, ether_type, tag }
            }
            Medium::Ip => LinkHeader::None,
        }
    }

    fn count_sent<F: Frame>(&mut self, frame: &F) {
        self.stats.tx_frames += 1;
        self.stats.tx_bytes += frame.len() as u64;
    }

    /// The turn of the socket that sent last, if it owes an acknowledgement and has nothing else to send. `None`: nothing happened.
    #[inline]
    fn serve_ack<N: Nic, P: AppPort>(
        &mut self,
        now: Instant,
        index: u32,
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
        port: &mut P,
    ) -> Option<Turn> {
        if !self.is_way_of(index) {
            return None;
        }
        let plain = self.way.plain.as_ref()?;
        let socket = self.sockets.get_mut(self.way.id())?;
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return None };
        let io = rings(port, socket.stream.of(socket.channel));
        if !connection.owes_bare_ack(&io) || Stamp::of(connection).is_some() {
            return None;
        }
        let len = self.way.link.len() + usize::from(nic.caps().mtu);
        let Some(mut frame) = tx.alloc(nic, len) else { return Some(Turn::NoMemory) };
        if frame.segment_count() != 1 {
            tx.keep(nic.caps(), frame);
            return None;
        }
        if plain.write_ack(&mut frame, &connection.transmit_bare_ack(now, &io)).is_none() {
            tx.keep(nic.caps(), frame);
            return Some(Turn::Acknowledged);
        }
        self.stats.count_segments_sent(1, frame.len());
        tx.frames.push_back(frame);
        Some(Turn::Acknowledged)
    }

    #[inline(never)]
    fn serve<N: Nic, P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
        port: &mut P,
        frames_max: usize,
    ) -> Turn {
        if !self.find_way(now, id, nic.caps(), port) {
            return Turn::Done;
        }
        let v6 = if self.way.v6 { self.sockets.get(id).map(|s| self.ipv6_fields(s)) } else { None };
        let Some(socket) = self.sockets.get_mut(id) else { return Turn::Done };
        let link_mtu = v6.map_or(nic.caps().mtu, |fields| fields.link_mtu);
        let path_mtu = self.paths.mtu(now, || socket.tuple.remote.address.ip(), link_mtu);
        // Nobody else waits: no need to stop and begin again.
        let alone = self.ready[socket.interface.index()].is_empty();
        let room = frames_max.saturating_sub(tx.frames.len());
        let quantum = if alone { room } else { room.min(QUANTUM_FRAMES) };
        let before = socket.tcp_state();
        let io = rings(port, socket.stream.of(socket.channel));
        let out = Outlet {
            now,
            allowance: &Allowance { link: self.way.link, path_mtu, v6, quantum },
            tuple: &socket.tuple,
            plain: self.way.plain.as_ref(),
            checksum: self.config.checksum(),
            stats: &mut self.stats,
        };
        let turn = match &mut socket.kind {
            Kind::Listener(_) | Kind::Udp(_) => Turn::Done,
            Kind::Tcp { connection, .. } => out.send_segments(connection, &io, nic, tx),
            Kind::Machnet { flow, .. } => out.send_packets(flow, &io, nic, tx),
        };
        drop(io);
        if turn != Turn::Acknowledged {
            self.settle_transmitted(now, id, before, turn == Turn::Yield, port);
        }
        turn
    }
}

/// What every frame of a turn has in common.
struct Outlet<'a> {
    now: Instant,
    allowance: &'a Allowance,
    tuple: &'a FourTuple,
    /// Where headers are of the usual kind, and the NIC leaves checksums to us.
    plain: Option<&'a PlainHeaders>,
    checksum: Implementation,
    stats: &'a mut Stats,
}

impl Outlet<'_> {
    fn send_segments<N: Nic>(
        self,
        connection: &mut Connection,
        io: &impl StreamIo,
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
    ) -> Turn {
        let allowance = self.allowance;
        let mut out = SegmentOutlet {
            stamp: Stamp::of(connection),
            offload: nic.caps().tx_checksum || planted::is(Bug::SumsLeftToAnyNic),
            outlet: self,
        };
        if connection.owes_bare_ack(io) {
            let len = allowance.link.len() + usize::from(nic.caps().mtu);
            let Some(frame) = tx.alloc(nic, len) else { return Turn::NoMemory };
            let segment = connection.transmit_bare_ack(out.outlet.now, io).into();
            out.send(frame, &segment, io, nic, tx);
            return Turn::Acknowledged;
        }
        let mut left = allowance.quantum;
        while left > 0 {
            let room = tcp_room(nic.caps(), allowance, || connection.unacknowledged(io));
            let count = connection.burst_len(&room.limits, io, left as u32) as usize;
            if count > 0 {
                let count = tx.alloc_all(nic, room.frame_len, count);
                if count == 0 {
                    return Turn::NoMemory;
                }
                let now = out.outlet.now;
                let burst = connection.transmit_burst(now, &room.limits, io, count as u32);
                let first = tx.frames.len() - count;
                if !out.emit_burst(tx.frames.range_mut(first..), &burst, io) {
                    tx.frames.truncate(first);
                }
                left -= count;
                continue;
            }
            if connection.is_quiet(io) {
                return Turn::Done;
            }
            let Some(frame) = tx.alloc(nic, room.frame_len) else { return Turn::NoMemory };
            let Some(segment) = connection.poll_transmit(out.outlet.now, &room.limits, io) else {
                tx.keep(nic.caps(), frame);
                return Turn::Done;
            };
            out.send(frame, &segment, io, nic, tx);
            left -= 1;
        }
        Turn::Yield
    }

    fn send_packets<N: Nic>(
        self,
        flow: &mut Flow,
        io: &impl StreamIo,
        nic: &mut N,
        tx: &mut TxQueue<N::Frame>,
    ) -> Turn {
        let Self { now, allowance, tuple, plain: _, checksum, stats } = self;
        let Allowance { link, v6, .. } = allowance;
        for _ in 0..allowance.quantum {
            let frame_len = link.len() + usize::from(nic.caps().mtu);
            let Some(mut frame) = tx.alloc(nic, frame_len) else { return Turn::NoMemory };
            let Some(packet) = flow.poll_transmit(now) else {
                tx.keep(nic.caps(), frame);
                return Turn::Done;
            };
            let body = (&packet, flow.prefix(&packet));
            let Some(crc) = emit_machnet(&mut frame, link, tuple, body, io, checksum) else {
                flow.skip(&packet, io);
                tx.keep(nic.caps(), frame);
                continue;
            };
            flow.note_written(&packet, crc);
            if let Some(fields) = v6 {
                stamp_ipv6(&mut frame, link, *fields);
            }
            stats.machnet_packets_out += 1;
            stats.tx_frames += 1;
            stats.tx_bytes += frame.len() as u64;
            tx.frames.push_back(frame);
        }
        Turn::Yield
    }
}

/// An [`Outlet`] for TCP segments.
struct SegmentOutlet<'a> {
    outlet: Outlet<'a>,
    stamp: Option<Stamp>,
    /// The NIC computes checksums.
    offload: bool,
}

impl SegmentOutlet<'_> {
    /// The segments that `burst` is cut into, one a frame. False: they are longer than the frames, none of which may leave.
    #[inline]
    fn emit_burst<'f, F: Frame + 'f>(
        &mut self,
        frames: impl Iterator<Item = &'f mut F>,
        burst: &SegmentOut,
        io: &impl StreamIo,
    ) -> bool {
        let size = u32::from(burst.gso_size);
        let pushed = burst.header.flags.contains(TcpFlags::PSH);
        let mut template = self.outlet.plain.and_then(|p| p.template(burst, size as usize));
        let (mut start, mut bytes) = (0, 0);
        for frame in frames {
            let last = start + size >= burst.payload_len;
            let mut written = None;
            if let Some(template) = &mut template {
                if pushed && last {
                    template.push();
                }
                let offset = burst.payload_offset + u64::from(start);
                written = template.write(frame, burst.header.seq + start, offset, io);
            }
            if written.is_none() && !self.emit_any(frame, &burst.cut(start / size), io) {
                return false;
            }
            if let Some(stamp) = &self.stamp {
                stamp.put(frame, self.outlet.allowance.link.len());
            }
            bytes += frame.len();
            start += size;
        }
        self.outlet.stats.count_segments_sent(u64::from(start / size), bytes);
        true
    }

    /// Writes `segment` into `frame` and sends it. What is too long for the link is not sent: as good as lost.
    #[inline]
    fn send<N: Nic>(
        &mut self,
        mut frame: N::Frame,
        segment: &SegmentOut,
        io: &impl StreamIo,
        nic: &N,
        tx: &mut TxQueue<N::Frame>,
    ) {
        if self.emit(&mut frame, segment, io) {
            tx.frames.push_back(frame);
        } else {
            tx.keep(nic.caps(), frame);
        }
    }

    /// False: it does not fit.
    #[inline]
    fn emit<F: Frame>(&mut self, frame: &mut F, segment: &SegmentOut, io: &impl StreamIo) -> bool {
        let payload_len = segment.payload_len as usize;
        let template = self.outlet.plain.and_then(|p| p.template(segment, payload_len));
        let written = template
            .and_then(|mut t| t.write(frame, segment.header.seq, segment.payload_offset, io));
        if written.is_none() && !self.emit_any(frame, segment, io) {
            return false;
        }
        if let Some(stamp) = &self.stamp {
            stamp.put(frame, self.outlet.allowance.link.len());
        }
        self.outlet.stats.count_segments_sent(1, frame.len());
        true
    }

    /// Of whatever kind it is. False: it does not fit.
    #[inline(never)]
    fn emit_any<F: Frame>(&self, frame: &mut F, segment: &SegmentOut, io: &impl StreamIo) -> bool {
        let Outlet { allowance, tuple, checksum, .. } = &self.outlet;
        let fits = emit_tcp(frame, &allowance.link, tuple, segment, io, *checksum, self.offload);
        if let Some(fields) = allowance.v6.filter(|_| fits) {
            stamp_ipv6(frame, &allowance.link, fields);
        }
        fits
    }
}

/// How long a frame for a TCP segment has to be: a super-segment where the NIC cuts them and there is enough to fill
/// one, else what the MTU allows.
#[inline]
fn tcp_room(caps: &NicCaps, allowance: &Allowance, unacked: impl FnOnce() -> u64) -> Room {
    let Allowance { link, path_mtu, v6, .. } = allowance;
    let mtu = usize::from(caps.mtu);
    let ip_len = if v6.is_some() { IPV6_HEADER_LEN } else { IPV4_HEADER_LEN };
    let headers = (ip_len + TCP_HEADER_LEN) as u16;
    let path_mtu = if planted::is(Bug::ShortFrames) { 1_500 } else { *path_mtu };
    let mss_ip = path_mtu.saturating_sub(headers);
    let mss_link = v6.map_or(caps.mtu, |fields| fields.link_mtu).saturating_sub(headers);
    let limits = TxLimits { mss_ip, mss_link, gso_bytes_max: 0 };
    let ordinary = Room { frame_len: link.len() + mtu, limits };
    if !caps.tx_checksum || caps.tso_bytes_max == 0 {
        return ordinary;
    }
    let headers = ip_len + TCP_HEADER_LEN + TCP_OPTIONS_MAX;
    let super_max = (caps.tso_bytes_max as usize).min(DATAGRAM_BYTES_MAX + link.len());
    let wanted =
        usize::try_from(unacked()).unwrap_or(usize::MAX).saturating_add(headers + link.len());
    let super_len = super_max.min(wanted);
    if super_len <= link.len() + mtu {
        return ordinary;
    }
    let gso_bytes_max = (super_len - link.len() - headers) as u32;
    Room { frame_len: super_len, limits: TxLimits { gso_bytes_max, ..limits } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FramePool, MemNic, default_caps};

    #[test]
    fn a_frame_that_was_not_needed_survives_those_of_other_lengths() {
        let mut caps = default_caps(MacAddr::default());
        caps.tso_bytes_max = 40_000;
        let mut nic = MemNic::new(caps, FramePool::default());
        let mut tx = TxQueue::new();
        for len in [1_514, 30_000] {
            let unused = tx.alloc(&mut nic, len).unwrap();
            tx.keep(nic.caps(), unused);
        }
        let reply = tx.alloc(&mut nic, 60).unwrap();
        assert_eq!(nic.pool.outstanding(), 3);
        nic.memory = false;
        assert!(tx.alloc(&mut nic, 1_514).is_some(), "the NIC is not asked");
        assert!(tx.alloc(&mut nic, 30_000).is_some(), "nor for a super-segment");
        drop(reply);
    }
}
