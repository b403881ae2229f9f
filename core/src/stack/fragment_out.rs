//! Datagrams of ours that are longer than what the path carries: cut at the source (RFC 791 §3.2, RFC 8200 §4.5).

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Range;

use super::composition::Stack;
use super::datagram::{Datagram, ip_header_len};
use super::replies::{LinkTarget, Reply};
use super::routing::Hop;
use crate::nic::IfIndex;
use crate::planted::{self, Bug};
use crate::time::Instant;
use crate::wire::ethernet::EtherType;
use crate::wire::ipv4::Ipv4Header;
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::ipv6_ext::{FRAGMENT, FRAGMENT_HEADER_LEN, Ipv6Fragment};

/// Where a payload of `len` bytes is cut for datagrams of `mtu` bytes to `dst`. Nowhere, if it fits; else every piece but
/// the last is a multiple of 8 bytes long.
pub(super) fn cuts(len: usize, mtu: u16, dst: IpAddr) -> impl Iterator<Item = Range<usize>> {
    let mtu = usize::from(mtu);
    let whole = ip_header_len(dst) + len <= mtu;
    let mask = if planted::is(Bug::OddPieces) { 0 } else { 7 };
    let piece = mtu.saturating_sub(headers_of_piece(dst, true)) & !mask;
    let size = if whole { len.max(1) } else { piece.max(8) };
    (0..len).step_by(size).map(move |start| start..(start + size).min(len))
}

/// Bytes in front of a piece: the IP header, and in IPv6 that of a fragment.
pub(super) const fn headers_of_piece(dst: IpAddr, fragment: bool) -> usize {
    match dst {
        IpAddr::V6(_) if fragment => IPV6_HEADER_LEN + FRAGMENT_HEADER_LEN,
        IpAddr::V4(_) | IpAddr::V6(_) => ip_header_len(dst),
    }
}

impl Stack {
    /// Like [`Stack::send_ip`], and what is too long for its path, or its first link, goes in pieces (RFC 8201 §4).
    pub(super) fn send_ip_or_pieces(
        &mut self,
        now: Instant,
        datagram: &Datagram,
        bytes: Vec<u8>,
    ) -> bool {
        if let Some(hop) = self.next_hop_on(datagram.dst, datagram.link) {
            let mtu = self.path_mtu_to(now, datagram.dst, hop.interface);
            if bytes.len() > usize::from(mtu) {
                return self.send_in_pieces(datagram, (hop, mtu), bytes);
            }
        }
        self.send_ip(datagram, bytes)
    }

    /// The longest datagram, in bytes, that goes to `dst` through `interface` in one piece.
    fn path_mtu_to(&mut self, now: Instant, dst: IpAddr, interface: IfIndex) -> u16 {
        let link_mtu = match dst {
            IpAddr::V4(_) => self.links[interface.index()].mtu,
            // A router may have said less than the link carries (RFC 4861 §6.3.4).
            IpAddr::V6(_) => self.ipv6[interface.index()].mtu(),
        };
        if planted::is(Bug::RepliesOfAnySize) {
            return link_mtu;
        }
        self.paths.mtu(now, || dst, link_mtu)
    }

    /// Queues the datagram in `bytes`, whose header is not written yet, in pieces. False when some found no buffer.
    fn send_in_pieces(
        &mut self,
        datagram: &Datagram,
        (hop, mtu): (Hop, u16),
        bytes: Vec<u8>,
    ) -> bool {
        let header_len = datagram.header_len();
        let room = headers_of_piece(datagram.dst, true);
        let number = self.identifications.next(datagram.src, datagram.dst, datagram.protocol);
        let payload_len = bytes.len() - header_len;
        let mut complete = true;
        for cut in cuts(payload_len, mtu, datagram.dst) {
            let Some(mut piece) = self.replies.buffer() else {
                self.stats.replies_lost += 1;
                complete = false;
                break;
            };
            piece.resize(room, 0);
            piece.extend_from_slice(&bytes[header_len..][cut.clone()]);
            let more = cut.end < payload_len;
            let Some(ether_type) = emit_piece(datagram, &cut, more, number, &mut piece) else {
                self.replies.discard(piece);
                complete = false;
                break;
            };
            self.stats.fragments_out += 1;
            let target = LinkTarget::Neighbor(hop.address);
            let reply = Reply { target, ether_type, piece_of: Some(number), bytes: piece };
            self.replies.push(hop.interface, reply);
        }
        self.replies.discard(bytes);
        complete
    }
}

/// Writes the headers of the piece `cut`. `None` when the addresses are of two families.
fn emit_piece(
    datagram: &Datagram,
    cut: &Range<usize>,
    more: bool,
    number: u32,
    piece: &mut [u8],
) -> Option<EtherType> {
    let protocol = datagram.protocol;
    match (datagram.src, datagram.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = Ipv4Header {
                identification: number as u16,
                dont_fragment: false,
                more_fragments: more,
                fragment_offset: (cut.start / 8) as u16,
                ttl: datagram.hop_limit,
                traffic_class: datagram.traffic_class,
                ..Ipv4Header::new(src, dst, protocol, cut.len() as u16)
            };
            header.emit(piece);
            Some(EtherType::IPV4)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let (offset, identification) = (cut.start as u16, number);
            let fragment = Ipv6Fragment { next_header: protocol, offset, more, identification };
            fragment.emit(piece.get_mut(IPV6_HEADER_LEN..)?);
            let payload_len = (FRAGMENT_HEADER_LEN + cut.len()) as u16;
            let header = Ipv6Header::new(src, dst, FRAGMENT, payload_len);
            let (hop_limit, traffic_class) = (datagram.hop_limit, datagram.traffic_class);
            Ipv6Header { hop_limit, traffic_class, ..header }.emit(piece);
            Some(EtherType::IPV6)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::IPV4_HEADER_LEN;
    use core::net::Ipv4Addr;

    #[test]
    fn every_piece_but_the_last_is_a_multiple_of_eight_and_none_is_too_long() {
        for (len, mtu) in
            [(1, 576), (1_480, 1_500), (1_479, 1_499), (1_481, 1_500), (65_515, 577), (100, 28)]
        {
            let pieces: Vec<_> = cuts(len, mtu, IpAddr::V4(Ipv4Addr::LOCALHOST)).collect();
            let (last, others) = pieces.split_last().unwrap();
            assert!(others.iter().all(|cut| cut.len() % 8 == 0 && cut.len() == others[0].len()));
            assert!(pieces.iter().all(|cut| cut.len() + IPV4_HEADER_LEN <= usize::from(mtu)));
            assert_eq!((pieces[0].start, last.end), (0, len));
            assert!(pieces.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
