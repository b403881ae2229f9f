//! The segments that are nearly all: IPv4, no TCP options but timestamps, in one piece of memory. The headers are written
//! field by field into the frame and summed as words on the way; nothing is built elsewhere and copied.

use super::emit::{LinkHeader, Tag};
use crate::nic::Frame;
use crate::port::StreamIo;
use crate::socket::FourTuple;
use crate::tcp::SegmentOut;
use crate::wire::checksum::{finish, fold};
use crate::wire::ipv4::{IPV4_HEADER_LEN, TTL_DEFAULT};
use crate::wire::tcp::{NOP_NOP_TIMESTAMPS, TCP_HEADER_LEN, TcpFlags, TcpOptions, Timestamps};
use crate::wire::{ETHERNET_HEADER_LEN, EthernetHeader};

const HEADERS_LEN: usize = IPV4_HEADER_LEN + TCP_HEADER_LEN;
/// Bytes of the timestamps option with its padding.
const TIMESTAMPS_LEN: usize = 12;
const PROTOCOL_TCP: u64 = 6;
/// Version 4, five words of header, no special service; identification 0, don't fragment; TTL and protocol.
const IP_WORDS: [u32; 3] = [0x4500_0000, 0x0000_4000, (TTL_DEFAULT as u32) << 24 | 0x0006_0000];

/// What is the same in every frame of a connection.
#[derive(Debug)]
pub(super) struct PlainHeaders {
    link: [u8; ETHERNET_HEADER_LEN],
    link_len: usize,
    /// Source and destination address.
    addresses: [u32; 2],
    /// Source and destination port.
    ports: u32,
}

impl PlainHeaders {
    /// `None` for any other family than IPv4, and for frames with a tag.
    #[inline]
    pub(super) fn new(link: &LinkHeader, tuple: &FourTuple) -> Option<Self> {
        let (src, dst) = (tuple.local.address.v4()?, tuple.remote.address.v4()?);
        let mut bytes = [0; ETHERNET_HEADER_LEN];
        if let LinkHeader::Ethernet { src, dst, ether_type, tag } = *link {
            if tag != Tag::None {
                return None;
            }
            EthernetHeader { dst, src, ethertype: ether_type }.emit(&mut bytes);
        }
        Some(Self {
            link: bytes,
            link_len: link.len(),
            addresses: [u32::from_be_bytes(src), u32::from_be_bytes(dst)],
            ports: u32::from(tuple.local.port) << 16 | u32::from(tuple.remote.port),
        })
    }

    /// Writes `segment` into `frame`, if it is of this kind. `None`: nothing was written.
    #[inline]
    pub(super) fn emit<F: Frame>(
        &self,
        frame: &mut F,
        segment: &SegmentOut,
        io: &impl StreamIo,
    ) -> Option<()> {
        let timestamps = plain_options(segment)?;
        if frame.segment_count() != 1 {
            return None;
        }
        let options_len = if timestamps.is_some() { TIMESTAMPS_LEN } else { 0 };
        let header_len = self.link_len + HEADERS_LEN + options_len;
        frame.truncate(header_len + segment.payload_len as usize);
        let (headers, payload) = frame.segment_mut(0).split_at_mut_checked(header_len)?;
        let payload_sum = match payload.len() {
            0 => 0,
            _ => io.tx_copy_out_sum(segment.payload_offset, payload),
        };
        let (link, out) = headers.split_at_mut_checked(self.link_len)?;
        if let Some(link) = link.first_chunk_mut() {
            *link = self.link;
        }
        let (out, options) = out.split_first_chunk_mut::<HEADERS_LEN>()?;
        let mut sum = u64::from(payload_sum);
        if let Some(Timestamps { value, echo }) = timestamps {
            let words = [u32::from_be_bytes(NOP_NOP_TIMESTAMPS), value, echo];
            sum += put(options.first_chunk_mut::<TIMESTAMPS_LEN>()?, 0, words);
        }
        let segment_len = TCP_HEADER_LEN + options_len + segment.payload_len as usize;
        sum +=
            self.put_ip(out, segment.ecn.bits(), segment_len) + PROTOCOL_TCP + segment_len as u64;
        let header = &segment.header;
        let offset = ((TCP_HEADER_LEN + options_len) / 4) as u32;
        let control = offset << 28 | u32::from(header.flags.0) << 16 | u32::from(header.window);
        let urgent = u32::from(header.urgent);
        let words = [self.ports, header.seq.0, header.ack.0, control, urgent];
        sum += put(out, IPV4_HEADER_LEN, words);
        out[36..38].copy_from_slice(&finish(fold(sum)).to_be_bytes());
        Some(())
    }

    /// The IPv4 header of a segment of `segment_len` bytes. Returns the sum of its addresses.
    #[inline]
    fn put_ip(&self, out: &mut [u8; HEADERS_LEN], ecn: u8, segment_len: usize) -> u64 {
        let first = IP_WORDS[0] | u32::from(ecn) << 16 | (IPV4_HEADER_LEN + segment_len) as u32;
        let addresses = put(out, 12, self.addresses);
        let sum = put(out, 0, [first, IP_WORDS[1], IP_WORDS[2]]) + addresses;
        out[10..12].copy_from_slice(&finish(fold(sum)).to_be_bytes());
        addresses
    }
}

/// The timestamps of a segment that has no other option; `None` when it has.
#[inline]
const fn plain_options(segment: &SegmentOut) -> Option<Option<Timestamps>> {
    let TcpOptions { mss, window_scale, sack_permitted, timestamps, sack } =
        &segment.header.options;
    let other = mss.is_some() || window_scale.is_some() || *sack_permitted || sack.len > 0;
    if other || segment.header.flags.contains(TcpFlags::SYN) { None } else { Some(*timestamps) }
}

/// Writes words one behind the other at `at`, and returns their sum.
#[inline]
fn put<const N: usize, const M: usize>(out: &mut [u8; M], at: usize, words: [u32; N]) -> u64 {
    let mut sum = 0;
    for (i, word) in words.into_iter().enumerate() {
        out[at + i * 4..at + i * 4 + 4].copy_from_slice(&word.to_be_bytes());
        sum += u64::from(word);
    }
    sum
}
