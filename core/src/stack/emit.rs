//! Writes packets into frames: payload straight from the rings, summed on the way, then the headers in front of it.

use core::net::IpAddr;

use causeway_checksum::{Implementation, finish};

use super::datagram::ip_header_len;
use crate::machnet::{PREFIX_LEN_MAX, PacketOut, Trailer};
use crate::nic::{Frame, GsoType, HEADER_CONTIGUOUS, MacAddr, Offload};
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::socket::FourTuple;
use crate::tcp::SegmentOut;
use crate::wire::checksum::{RunningSum, pseudo_header};
use crate::wire::ipv4::Ipv4Header;
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::machnet::HEADER_LEN as MACHNET_HEADER_LEN;
use crate::wire::tcp::{TCP_HEADER_LEN, TCP_OPTIONS_MAX};
use crate::wire::{
    ETHERNET_HEADER_LEN, EtherType, EthernetHeader, IpProtocol, UDP_HEADER_LEN, UdpHeader,
    VLAN_TAG_LEN, VlanTag,
};

/// Where the checksum lies in a TCP header.
pub(super) const TCP_CHECKSUM_AT: usize = 16;
/// What upstream Machnet writes into the identification of its datagrams. DF is clear in all of them.
const MACHNET_IDENTIFICATION: u16 = 0x1513;

/// The longest link-layer header: Ethernet's, and a tag.
pub(super) const LINK_HEADER_MAX: usize = ETHERNET_HEADER_LEN + VLAN_TAG_LEN;

/// Which 802.1Q tag a frame carries (its TCI), and who writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// None.
    None,
    /// We do, in front of the type.
    Written(u16),
    /// The NIC does: it is told beside the frame.
    Left(u16),
}

/// The link-layer header of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum LinkHeader {
    /// Bare IP.
    None,
    /// Ethernet II, with an 802.1Q tag where the interface is a VLAN's.
    Ethernet { src: MacAddr, dst: MacAddr, ether_type: EtherType, tag: Tag },
}

impl LinkHeader {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Ethernet { tag: Tag::Written(_), .. } => LINK_HEADER_MAX,
            Self::Ethernet { .. } => ETHERNET_HEADER_LEN,
        }
    }

    pub(super) fn emit(&self, out: &mut [u8]) -> usize {
        match *self {
            Self::None => 0,
            Self::Ethernet { src, dst, ether_type, tag: Tag::Written(tci) } => {
                let len = EthernetHeader { dst, src, ethertype: EtherType::VLAN }.emit(out);
                len + VlanTag { tci, ethertype: ether_type }.emit(&mut out[len..])
            }
            Self::Ethernet { src, dst, ether_type, tag: Tag::None | Tag::Left(_) } => {
                EthernetHeader { dst, src, ethertype: ether_type }.emit(out)
            }
        }
    }

    /// The tag that the NIC shall write is told to it.
    pub(super) fn mark<F: Frame>(&self, frame: &mut F) {
        if let Self::Ethernet { tag: Tag::Left(tci), .. } = *self {
            frame.meta_mut().vlan_tci = Some(tci);
        }
    }
}

/// Writes a whole network-layer packet behind its link-layer header.
pub(super) fn emit_reply<F: Frame>(frame: &mut F, link: &LinkHeader, packet: &[u8]) {
    link.mark(frame);
    let mut link_bytes = [0; LINK_HEADER_MAX];
    let link_len = link.emit(&mut link_bytes);
    let mut bytes = link_bytes[..link_len].iter().chain(packet);
    for index in 0..frame.segment_count() {
        for (to, from) in frame.segment_mut(index).iter_mut().zip(&mut bytes) {
            *to = *from;
        }
    }
}

/// Copies ring bytes behind `header_len` bytes of header, over as many segments as the frame has.
pub(super) fn fill_payload<F: Frame>(
    frame: &mut F,
    header_len: usize,
    mut offset: u64,
    io: &impl StreamIo,
) -> RunningSum {
    let mut sum = RunningSum::new();
    for index in 0..frame.segment_count() {
        let start = if index == 0 { header_len } else { 0 };
        let Some(room) = frame.segment_mut(index).get_mut(start..).filter(|room| !room.is_empty())
        else {
            continue;
        };
        sum.add_sum(io.tx_copy_out_sum(offset, room), room.len());
        offset += room.len() as u64;
    }
    sum
}

/// The addresses of a tuple, ours first. They are of one family.
fn addresses(tuple: &FourTuple) -> (IpAddr, IpAddr) {
    (tuple.local.address.ip(), tuple.remote.address.ip())
}

/// Writes the IP header of a packet of a socket. Flow label and hop limit of IPv6 are [`stamp_ipv6`]'s.
fn emit_ip(
    out: &mut [u8],
    src: IpAddr,
    dst: IpAddr,
    (protocol, traffic_class): (IpProtocol, u8),
    payload_len: u16,
) {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = Ipv4Header::new(src, dst, protocol, payload_len);
            let machnet = protocol == IpProtocol::UDP;
            let identification =
                if machnet { MACHNET_IDENTIFICATION } else { header.identification };
            Ipv4Header {
                identification,
                dont_fragment: !machnet && !planted::is(Bug::DfNotSet),
                traffic_class,
                ..header
            }
            .emit(out);
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = Ipv6Header::new(src, dst, protocol, payload_len);
            Ipv6Header { traffic_class, ..header }.emit(out);
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
    }
}

/// What an IPv6 header says besides addresses and lengths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ipv6Fields {
    /// 20 bits (RFC 6437).
    pub(super) flow_label: u32,
    pub(super) hop_limit: u8,
    /// What routers say that the link carries.
    pub(super) link_mtu: u16,
}

/// Writes flow label and hop limit into a packet that is complete otherwise: no checksum covers them.
pub(super) fn stamp_ipv6<F: Frame>(frame: &mut F, link: &LinkHeader, fields: Ipv6Fields) {
    let Some(header) = frame.segment_mut(0).get_mut(link.len()..link.len() + 8) else { return };
    let [_, high, low @ ..] = fields.flow_label.to_be_bytes();
    header[1] = (header[1] & 0xf0) | (high & 0x0f);
    header[2..4].copy_from_slice(&low);
    header[7] = fields.hop_limit;
}

/// Writes a segment of a connection. With `offload` the NIC completes the checksum, and cuts a super-segment. False: it is longer
/// than the frame, which is as it was and must not leave.
pub(super) fn emit_tcp<F: Frame>(
    frame: &mut F,
    link: &LinkHeader,
    tuple: &FourTuple,
    segment: &SegmentOut,
    io: &impl StreamIo,
    checksum: Implementation,
    offload: bool,
) -> bool {
    let mut header = segment.header;
    (header.src_port, header.dst_port) = (tuple.local.port, tuple.remote.port);
    let (src, dst) = addresses(tuple);
    let ip_at = link.len();
    let tcp_at = ip_at + ip_header_len(dst);
    let tcp_len = header.header_len();
    let header_len = tcp_at + tcp_len;
    let segment_len = tcp_len + segment.payload_len as usize;
    if frame.len() < tcp_at + segment_len && !planted::is(Bug::OldBytesLeave) {
        return false;
    }
    link.mark(frame);
    frame.truncate(tcp_at + segment_len);
    let payload = fill_payload(frame, header_len, segment.payload_offset, io);

    let pseudo = pseudo_header(src, dst, IpProtocol::TCP, segment_len);
    let pseudo = pseudo.unwrap_or(0);
    let mut bytes = [0; LINK_HEADER_MAX + IPV6_HEADER_LEN + TCP_HEADER_LEN + TCP_OPTIONS_MAX];
    link.emit(&mut bytes);
    let class = segment.ecn.bits();
    emit_ip(&mut bytes[ip_at..], src, dst, (IpProtocol::TCP, class), segment_len as u16);
    header.emit(&mut bytes[tcp_at..]);
    let field = if offload {
        pseudo
    } else {
        let mut sum = RunningSum::new();
        sum.add_sum(pseudo, 0);
        sum.add_sum(checksum.sum(&bytes[tcp_at..header_len]), tcp_len);
        sum.add_sum(payload.sum(), segment.payload_len as usize);
        finish(sum.sum())
    };
    let at = tcp_at + TCP_CHECKSUM_AT;
    bytes[at..at + 2].copy_from_slice(&field.to_be_bytes());
    put_header(frame, &bytes[..header_len]);
    if offload {
        frame.meta_mut().offload = tcp_offload(segment, dst, tcp_at, header_len);
    }
    true
}

/// The fields of virtio_net_hdr for a segment whose checksum, and cutting, is left to the NIC.
fn tcp_offload(segment: &SegmentOut, dst: IpAddr, tcp_at: usize, header_len: usize) -> Offload {
    let cut = segment.gso_size > 0 && segment.payload_len > u32::from(segment.gso_size);
    let kind = if dst.is_ipv4() { GsoType::TcpV4 } else { GsoType::TcpV6 };
    Offload {
        gso_type: if cut { kind } else { GsoType::None },
        gso_size: if cut { segment.gso_size } else { 0 },
        hdr_len: header_len as u16,
        csum_start: tcp_at as u16,
        csum_offset: TCP_CHECKSUM_AT as u16,
        needs_csum: true,
    }
}

/// Headers go into the first segment, which every NIC makes long enough for them.
pub(super) fn put_header<F: Frame>(frame: &mut F, bytes: &[u8]) {
    debug_assert!(bytes.len() <= HEADER_CONTIGUOUS);
    if let Some(out) = frame.segment_mut(0).get_mut(..bytes.len()) {
        out.copy_from_slice(bytes);
    }
}

/// Copies `bytes` to the place `at` of a frame, over as many segments as it takes.
fn put_at<F: Frame>(frame: &mut F, at: usize, bytes: &[u8]) {
    let (mut skip, mut left) = (at, bytes);
    for index in 0..frame.segment_count() {
        let segment = frame.segment_mut(index);
        let from = skip.min(segment.len());
        skip -= from;
        let room = &mut segment[from..];
        let count = room.len().min(left.len());
        room[..count].copy_from_slice(&left[..count]);
        left = &left[count..];
    }
}

/// Copies `len` ring bytes to the place `at` of a frame. Returns their sum, and the CRC-32C of bytes that have `crc` and then these, if
/// one is asked for: each piece is read again right after it was written.
fn fill_body<F: Frame>(
    frame: &mut F,
    (at, len): (usize, usize),
    mut offset: u64,
    mut crc: Option<u32>,
    io: &impl StreamIo,
    checksum: Implementation,
) -> (RunningSum, u32) {
    let mut sum = RunningSum::new();
    let (mut skip, mut left) = (at, len);
    for index in 0..frame.segment_count() {
        let segment = frame.segment_mut(index);
        let from = skip.min(segment.len());
        skip -= from;
        let room = &mut segment[from..];
        let count = room.len().min(left);
        let room = &mut room[..count];
        if room.is_empty() {
            continue;
        }
        sum.add_sum(io.tx_copy_out_sum(offset, room), count);
        crc = crc.map(|crc| checksum.crc32c(crc, room));
        offset += count as u64;
        left -= count;
    }
    (sum, crc.unwrap_or(0))
}

/// Writes what stands behind the header of a packet of the extended profile. Returns its sum, and the CRC that the trailer asks for.
fn fill_extended<F: Frame>(
    frame: &mut F,
    header_len: usize,
    (packet, prefix): (&PacketOut, &[u8]),
    io: &impl StreamIo,
    checksum: Implementation,
) -> (RunningSum, u32) {
    let mut sum = RunningSum::new();
    debug_assert!(prefix.len() <= PREFIX_LEN_MAX);
    put_at(frame, header_len, prefix);
    sum.add_sum(checksum.sum(prefix), prefix.len());
    let (from, ends, known) = match packet.trailer {
        Trailer::None => (None, false, None),
        Trailer::Continues(crc) => (Some(crc), false, None),
        Trailer::Ends(crc) => (Some(crc), true, None),
        Trailer::Known(crc) => (None, true, Some(crc)),
    };
    let at = header_len + prefix.len();
    let len = usize::from(packet.payload_len);
    let (body, crc) = fill_body(frame, (at, len), packet.payload_offset, from, io, checksum);
    sum.add_sum(body.sum(), len);
    if ends {
        let trailer = known.unwrap_or(crc).to_be_bytes();
        put_at(frame, at + len, &trailer);
        sum.add_sum(checksum.sum(&trailer), trailer.len());
    }
    (sum, crc)
}

/// Writes a packet of a Machnet flow, as upstream does: identification constant, DF clear, UDP checksum present. Returns the CRC that its
/// trailer asks for. `None`: it is longer than the frame, which is as it was and must not leave.
pub(super) fn emit_machnet<F: Frame>(
    frame: &mut F,
    link: &LinkHeader,
    tuple: &FourTuple,
    (packet, prefix): (&PacketOut, &[u8]),
    io: &impl StreamIo,
    checksum: Implementation,
) -> Option<u32> {
    let (src, dst) = addresses(tuple);
    let ip_at = link.len();
    let udp_at = ip_at + ip_header_len(dst);
    let machnet_at = udp_at + UDP_HEADER_LEN;
    let header_len = machnet_at + MACHNET_HEADER_LEN;
    let payload_len = packet.body_len();
    if frame.len() < header_len + payload_len {
        return None;
    }
    link.mark(frame);
    frame.truncate(header_len + payload_len);
    let plain = prefix.is_empty() && packet.trailer == Trailer::None;
    let (payload, crc) = if plain {
        (fill_payload(frame, header_len, packet.payload_offset, io), 0)
    } else {
        fill_extended(frame, header_len, (packet, prefix), io, checksum)
    };

    let datagram_len = MACHNET_HEADER_LEN + payload_len;
    let mut bytes = [0; LINK_HEADER_MAX + IPV6_HEADER_LEN + UDP_HEADER_LEN + MACHNET_HEADER_LEN];
    link.emit(&mut bytes);
    let ip_len = (UDP_HEADER_LEN + datagram_len) as u16;
    emit_ip(&mut bytes[ip_at..], src, dst, (IpProtocol::UDP, 0), ip_len);
    packet.header.emit(&mut bytes[machnet_at..]);
    let mut sum = RunningSum::new();
    sum.add_sum(checksum.sum(&bytes[machnet_at..header_len]), MACHNET_HEADER_LEN);
    sum.add_sum(payload.sum(), payload_len);
    let udp = UdpHeader {
        src_port: tuple.local.port,
        dst_port: tuple.remote.port,
        payload_len: datagram_len as u16,
        checksum: 0,
    };
    udp.with_checksum(src, dst, sum.sum()).emit(&mut bytes[udp_at..]);
    put_header(frame, &bytes[..header_len]);
    Some(crc)
}
