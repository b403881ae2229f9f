//! Fragments of IPv6 datagrams (RFC 8200 §4.5): what must be in the first one, and what a datagram put together is like.

use super::composition::Stack;
use super::icmp_out::Complaint;
use super::rx::Packet;
use super::rx_fragment::WholeFrame;
use super::rx_ipv6::is_upper_layer;
use crate::event::DropReason;
use crate::ip::{FragmentKey, Whole};
use crate::nic::Frame;
use crate::planted::{self, Bug};
use crate::port::AppPort;
use crate::wire::IpProtocol;
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::ipv6_ext::{
    ExtensionEnd, FRAGMENT, FRAGMENT_HEADER_LEN, Ipv6Fragment, find_upper, walk_extensions,
};
use crate::wire::tcp::TCP_HEADER_LEN;

/// Where the fixed header says how long the payload is, and the fragment header where the fragment belongs.
const PAYLOAD_LENGTH_AT: usize = 4;
const OFFSET_AT: usize = 2;
/// The least of a transport header that all decisions are made by: UDP's and ICMPv6's whole ones.
const UPPER_HEADER_MIN: usize = 8;

impl Stack {
    /// A fragment that is not the whole datagram. `packet.at` is where the fragment header ends, `whole` the packet from its
    /// fixed header on.
    pub(super) fn handle_fragment_v6<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        whole: &[u8],
        fragment: Ipv6Fragment,
        port: &mut P,
    ) -> Result<(), DropReason> {
        // RFC 7112 §5: all headers are in the first fragment.
        let whole_chain = has_whole_chain(whole) || planted::is(Bug::ChainInPieces);
        if fragment.offset == 0 && !whole_chain {
            self.tell_of_fragment(frame, packet, whole, &fragment, Complaint::HeadersInPieces);
            return Err(DropReason::Fragment);
        }
        let key = FragmentKey {
            interface: packet.interface,
            src: packet.src,
            dst: packet.dst,
            // RFC 8200 §4.5: the protocol does not name the datagram.
            protocol: 0,
            identification: fragment.identification,
        };
        let start = usize::from(fragment.offset);
        let added = self.add_fragment(frame, packet, key, start, fragment.more);
        if let Err(DropReason::Malformed) = added
            && let Some(complaint) = wrong_field(packet, &fragment)
        {
            self.tell_of_fragment(frame, packet, whole, &fragment, complaint);
        }
        let Some(whole) = added? else { return Ok(()) };
        let Whole { mut bytes, header_len, ecn } = whole;
        make_atomic(&mut bytes, header_len);
        let (ip, _) = Ipv6Header::parse(&bytes)?;
        // A datagram in pieces within a datagram in pieces has no honest use.
        let Ok(ExtensionEnd::Upper { protocol, at, .. }) = walk_extensions(&bytes, ip.next_header)
        else {
            return Err(DropReason::Fragment);
        };
        if !is_upper_layer(protocol) {
            return Err(DropReason::Protocol);
        }
        let len = bytes.len() - at;
        let packet = Packet { ecn, ip_at: 0, at, len, verified: false, gso_size: 0, ..*packet };
        self.handle_ipv6_payload(&WholeFrame::new(bytes), &packet, protocol, port)
    }

    /// RFC 8200 §4.5: the sender of a fragment that cannot be is told. What a later fragment of ICMPv6 is about nobody knows, and
    /// no error is about an error (RFC 4443 §2.4 e.1).
    fn tell_of_fragment<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        whole: &[u8],
        fragment: &Ipv6Fragment,
        complaint: Complaint,
    ) {
        let later = fragment.offset != 0;
        let untold = (later && fragment.next_header == IpProtocol::ICMPV6)
            || planted::is(Bug::BadFragmentsUntold);
        if untold {
            return;
        }
        let first = Ipv6Header::parse_prefix(whole, usize::MAX).ok();
        let upper = first.and_then(|(ip, _)| find_upper(whole, ip.next_header));
        // Without the header of the upper layer the complaint is about the fragment as such.
        let (protocol, skipped) = upper.map_or((FRAGMENT, 0), |(protocol, at)| {
            (protocol, (packet.ip_at + at).saturating_sub(packet.at).min(packet.len))
        });
        let about = Packet { at: packet.at + skipped, len: packet.len - skipped, ..*packet };
        self.complain(frame, &about, protocol, complaint);
    }
}

/// Which field of a fragment cannot be: the length that its header says, if more are to follow and it is no multiple of 8 bytes;
/// else the place at which it would end. `None` for one that only holds nothing.
fn wrong_field(packet: &Packet, fragment: &Ipv6Fragment) -> Option<Complaint> {
    let at = if fragment.more && !packet.len.is_multiple_of(8) {
        PAYLOAD_LENGTH_AT
    } else {
        packet.at - packet.ip_at - FRAGMENT_HEADER_LEN + OFFSET_AT
    };
    (packet.len > 0).then_some(Complaint::ParameterProblem { at: at as u16 })
}

/// The fragment holds every header up to and including the upper layer's.
fn has_whole_chain(packet: &[u8]) -> bool {
    let Ok((ip, _)) = Ipv6Header::parse_prefix(packet, usize::MAX) else { return false };
    find_upper(packet, ip.next_header).is_some_and(|(protocol, at)| {
        let least = if protocol == IpProtocol::TCP { TCP_HEADER_LEN } else { UPPER_HEADER_MIN };
        packet.len() >= at + least
    })
}

/// Makes the fragment header that ends at `header_len` say that nothing is missing, and the fixed one how long all is.
fn make_atomic(bytes: &mut [u8], header_len: usize) {
    // The fragment header, which stays, may be what does not fit.
    let payload_len = u16::try_from(bytes.len() - IPV6_HEADER_LEN).unwrap_or(u16::MAX);
    bytes[4..6].copy_from_slice(&payload_len.to_be_bytes());
    let at = header_len - FRAGMENT_HEADER_LEN;
    bytes[at + 2..at + 4].fill(0);
}
