//! Fragments: kept until their datagram is whole, which is then received like any other.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::composition::Stack;
use super::icmp_out::Complaint;
use super::payload::Payload;
use super::rx::Packet;
use crate::event::DropReason;
use crate::ip::{Expired, Fragment, FragmentKey, Reassembled, Whole};
use crate::nic::{Frame, FrameMeta};
use crate::port::AppPort;
use crate::time::Instant;
use crate::wire::IpProtocol;
use crate::wire::ipv4::Ipv4Header;

/// A datagram that was put together, as a frame without a link header. Nobody vouches for its checksum.
#[derive(Debug)]
pub(super) struct WholeFrame {
    bytes: Vec<u8>,
    meta: FrameMeta,
}

impl WholeFrame {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, meta: FrameMeta::default() }
    }
}

impl Frame for WholeFrame {
    fn meta(&self) -> &FrameMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut FrameMeta {
        &mut self.meta
    }

    fn segment_count(&self) -> usize {
        1
    }

    fn segment(&self, _index: usize) -> &[u8] {
        &self.bytes
    }

    fn segment_mut(&mut self, _index: usize) -> &mut [u8] {
        &mut self.bytes
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}

impl Stack {
    /// A fragment of an IPv4 datagram (RFC 791 §3.2).
    pub(super) fn handle_fragment_v4<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        ip: &Ipv4Header,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let key = FragmentKey {
            interface: packet.interface,
            src: packet.src,
            dst: packet.dst,
            protocol: ip.protocol.0,
            identification: u32::from(ip.identification),
        };
        let start = usize::from(ip.fragment_offset) * 8;
        let Some(whole) = self.add_fragment(frame, packet, key, start, ip.more_fragments)? else {
            return Ok(());
        };
        let Whole { mut bytes, header_len, ecn } = whole;
        let len = bytes.len() - header_len;
        Ipv4Header::make_whole(&mut bytes, header_len);
        let packet =
            Packet { ecn, ip_at: 0, at: header_len, len, verified: false, gso_size: 0, ..*packet };
        self.deliver(&WholeFrame::new(bytes), &packet, ip.protocol, port)
    }

    /// `None`: others are still missing. The fragment's bytes are those of `packet` in `frame`, its header what is in front
    /// of them.
    pub(super) fn add_fragment<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        key: FragmentKey,
        start: usize,
        more: bool,
    ) -> Result<Option<Whole>, DropReason> {
        let payload = Payload::of(frame, packet.at, packet.len);
        let header = frame.segment(0).get(packet.ip_at..packet.at).ok_or(DropReason::Malformed)?;
        let fragment = Fragment { header, start, bytes: payload.slices(), more, ecn: packet.ecn };
        self.stats.fragments_in += 1;
        match self.reassembly.add(packet.now, key, &fragment) {
            Reassembled::Kept | Reassembled::Duplicate => Ok(None),
            Reassembled::Whole(whole) => {
                self.stats.datagrams_reassembled += 1;
                Ok(Some(whole))
            }
            Reassembled::Length | Reassembled::TooLong => Err(DropReason::Malformed),
            Reassembled::Overlap | Reassembled::Tiny | Reassembled::Ecn => {
                Err(DropReason::Fragment)
            }
            Reassembled::NoRoom => Err(DropReason::Limit),
        }
    }

    /// Gives up the datagrams whose time is over, `max` at most. Returns how many.
    pub(super) fn handle_reassembly_timeouts(&mut self, now: Instant, max: u32) -> u32 {
        let mut count = 0;
        while count < max
            && let Some(expired) = self.reassembly.poll_expired(now)
        {
            count += 1;
            self.stats.reassembly_timeouts += 1;
            self.tell_of_missing_fragments(now, expired);
        }
        count
    }

    /// RFC 792, RFC 4443 §3.3: time exceeded, if the first fragment has come: it is what the error quotes.
    fn tell_of_missing_fragments(&mut self, now: Instant, expired: Expired) {
        let FragmentKey { interface, src, dst, protocol, .. } = expired.key;
        let Some(Whole { bytes, header_len, .. }) = expired.first else { return };
        let packet = Packet {
            now,
            interface,
            src,
            dst,
            ttl: 0,
            ecn: 0,
            ip_at: 0,
            at: header_len,
            len: bytes.len() - header_len,
            verified: false,
            gso_size: 0,
        };
        let protocol = match src {
            IpAddr::V4(_) => IpProtocol(protocol),
            // What the last header in front of the fragments names.
            IpAddr::V6(_) => fragmented_protocol(&bytes, header_len),
        };
        let complaint = Complaint::ReassemblyTimeExceeded;
        self.complain(&WholeFrame::new(bytes), &packet, protocol, complaint);
    }
}

/// What an IPv6 fragment carries, by the fragment header that ends at `header_len`.
fn fragmented_protocol(bytes: &[u8], header_len: usize) -> IpProtocol {
    IpProtocol(header_len.checked_sub(8).and_then(|at| bytes.get(at)).copied().unwrap_or(0))
}
