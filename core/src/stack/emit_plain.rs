//! The segments that are nearly all: IPv4, no TCP options but timestamps, in one piece of memory. Their headers are made once
//! for all segments of a burst, which differ in sequence number and checksum only.

use super::emit::{LinkHeader, Tag};
use crate::nic::Frame;
use crate::port::StreamIo;
use crate::socket::FourTuple;
use crate::tcp::{BareAck, SegmentOut, SeqNumber};
use crate::wire::checksum::{finish, fold};
use crate::wire::ipv4::{IPV4_HEADER_LEN, TTL_DEFAULT};
use crate::wire::tcp::{NOP_NOP_TIMESTAMPS, TCP_HEADER_LEN, TcpFlags, TcpOptions, Timestamps};
use crate::wire::{ETHERNET_HEADER_LEN, EthernetHeader};

/// Bytes of the timestamps option with its padding.
const TIMESTAMPS_LEN: usize = 12;
const PROTOCOL_TCP: u64 = 6;
const HEADERS_MAX: usize = ETHERNET_HEADER_LEN + IPV4_HEADER_LEN + TCP_HEADER_LEN + TIMESTAMPS_LEN;
/// Where things are behind an Ethernet header.
const IP_AT: usize = ETHERNET_HEADER_LEN;
const IP_SUM_AT: usize = IP_AT + 10;
const TCP_AT: usize = IP_AT + IPV4_HEADER_LEN;
const SEQ_AT: usize = TCP_AT + 4;
const FLAGS_AT: usize = TCP_AT + 13;
const SUM_AT: usize = TCP_AT + 16;
const OPTIONS_AT: usize = TCP_AT + TCP_HEADER_LEN;
/// Version 4, five words of header, no special service; identification 0, don't fragment; TTL and protocol.
const IP_WORDS: [u32; 3] = [0x4500_0000, 0x0000_4000, (TTL_DEFAULT as u32) << 24 | 0x0006_0000];

/// What is the same in every frame of a connection.
#[derive(Debug)]
pub(super) struct PlainHeaders {
    /// With everything that is always the same.
    bytes: [u8; HEADERS_MAX],
    /// Where in `bytes` they begin: behind the Ethernet header, where the link has none.
    at: usize,
    /// Of the IPv4 header.
    ip_sum: u64,
    /// Of pseudo-header and ports.
    tcp_sum: u64,
}

impl PlainHeaders {
    /// `None` for any other family than IPv4, and for frames with a tag.
    pub(super) fn new(link: &LinkHeader, tuple: &FourTuple) -> Option<Self> {
        let (src, dst) = (tuple.local.address.v4()?, tuple.remote.address.v4()?);
        let mut bytes = [0; HEADERS_MAX];
        if let LinkHeader::Ethernet { src, dst, ether_type, tag } = *link {
            if tag != Tag::None {
                return None;
            }
            EthernetHeader { dst, src, ethertype: ether_type }.emit(&mut bytes);
        }
        let addresses = [u32::from_be_bytes(src), u32::from_be_bytes(dst)];
        let ports = [u32::from(tuple.local.port) << 16 | u32::from(tuple.remote.port)];
        let sum = put(&mut bytes, IP_AT + 12, addresses);
        let ip_sum = put(&mut bytes, IP_AT, IP_WORDS) + sum;
        let tcp_sum = put(&mut bytes, TCP_AT, ports) + sum + PROTOCOL_TCP;
        put(&mut bytes, OPTIONS_AT, [u32::from_be_bytes(NOP_NOP_TIMESTAMPS)]);
        Some(Self { bytes, at: ETHERNET_HEADER_LEN - link.len(), ip_sum, tcp_sum })
    }

    /// The headers of `segment`, or of all segments that it is to be cut into, with `payload_len` bytes each; without PSH where it
    /// is to be cut. `None` where it has other options.
    #[inline]
    pub(super) fn template(&self, segment: &SegmentOut, payload_len: usize) -> Option<Template> {
        let SegmentOut { header, gso_size, ecn, .. } = segment;
        let timestamps = plain_options(segment)?;
        // PSH of what is to be cut is the last segment's.
        let cut = if *gso_size > 0 { TcpFlags::PSH.0 } else { 0 };
        let flags = TcpFlags(header.flags.0 & !cut);
        let (seq, ack, window, ecn) = (header.seq, header.ack, header.window, *ecn);
        let plain = BareAck { seq, ack, flags, window, timestamps, ecn };
        Some(self.fill(&plain, header.urgent, payload_len))
    }

    /// Writes `ack` into `frame`. `None`: its memory is not in one piece or too little, and nothing was written.
    #[inline(always)]
    pub(super) fn write_ack<F: Frame>(&self, frame: &mut F, ack: &BareAck) -> Option<()> {
        let mut template = self.fill(ack, 0, 0);
        let (headers, _) = template.headers(frame)?;
        let sum = template.sum;
        template.put(headers, ack.seq, sum)
    }

    /// The headers of a segment that has in common with `plain` what that has.
    #[inline(always)]
    fn fill(&self, plain: &BareAck, urgent: u16, payload_len: usize) -> Template {
        let BareAck { seq: _, ack, flags, window, timestamps, ecn } = *plain;
        let mut bytes = self.bytes;
        let mut sum = self.tcp_sum;
        let mut end = OPTIONS_AT;
        if let Some(Timestamps { value, echo }) = timestamps {
            end = HEADERS_MAX;
            sum += u64::from(u32::from_be_bytes(NOP_NOP_TIMESTAMPS));
            sum += put(&mut bytes, OPTIONS_AT + 4, [value, echo]);
        }
        let segment_len = (end - TCP_AT + payload_len) as u32;
        let class_and_len = u32::from(ecn.bits()) << 16 | (segment_len + IPV4_HEADER_LEN as u32);
        let ip_sum = self.ip_sum + u64::from(class_and_len);
        put(&mut bytes, IP_AT, [IP_WORDS[0] | class_and_len]);
        bytes[IP_SUM_AT..IP_SUM_AT + 2].copy_from_slice(&finish(fold(ip_sum)).to_be_bytes());
        let offset = ((end - TCP_AT) / 4) as u32;
        let control = offset << 28 | u32::from(flags.0) << 16 | u32::from(window);
        sum += put(&mut bytes, TCP_AT + 8, [ack.0, control, u32::from(urgent)]);
        sum += u64::from(segment_len);
        Template { bytes, at: self.at, end, payload_len, sum }
    }
}

/// The headers of segments that are alike.
#[derive(Debug)]
pub(super) struct Template {
    bytes: [u8; HEADERS_MAX],
    /// Where in `bytes` they begin, and end.
    at: usize,
    end: usize,
    payload_len: usize,
    /// Of everything that the checksum covers but sequence number and payload.
    sum: u64,
}

impl Template {
    /// Command: PSH from here on.
    pub(super) fn push(&mut self) {
        if self.bytes[FLAGS_AT] & TcpFlags::PSH.0 == 0 {
            self.bytes[FLAGS_AT] |= TcpFlags::PSH.0;
            self.sum += u64::from(TcpFlags::PSH.0);
        }
    }

    /// Writes the segment at `seq` into `frame`. `None`: its memory is not in one piece or too little, and
    /// nothing was written.
    #[inline]
    pub(super) fn write<F: Frame>(
        &mut self,
        frame: &mut F,
        seq: SeqNumber,
        payload_offset: u64,
        io: &impl StreamIo,
    ) -> Option<()> {
        let (headers, payload) = self.headers(frame)?;
        let mut sum = self.sum;
        if !payload.is_empty() {
            sum += u64::from(io.tx_copy_out_sum(payload_offset, payload));
        }
        self.put(headers, seq, sum)
    }

    /// Where headers and payload belong.
    #[inline(always)]
    fn headers<'f, F: Frame>(&self, frame: &'f mut F) -> Option<(&'f mut [u8], &'f mut [u8])> {
        if frame.segment_count() != 1 {
            return None;
        }
        let header_len = self.end - self.at;
        if frame.len() < header_len + self.payload_len {
            return None;
        }
        frame.truncate(header_len + self.payload_len);
        frame.segment_mut(0).split_at_mut_checked(header_len)
    }

    /// Writes the headers. `sum` is of everything but the sequence number.
    #[inline(always)]
    fn put(&mut self, headers: &mut [u8], seq: SeqNumber, sum: u64) -> Option<()> {
        let sum = finish(fold(sum + u64::from(seq.0)));
        self.bytes[SEQ_AT..SEQ_AT + 4].copy_from_slice(&seq.0.to_be_bytes());
        self.bytes[SUM_AT..SUM_AT + 2].copy_from_slice(&sum.to_be_bytes());
        // Of a length that the compiler knows, where it is the usual one.
        match (self.at, self.end) {
            (0, OPTIONS_AT) => {
                *headers.first_chunk_mut::<OPTIONS_AT>()? = *self.bytes.first_chunk()?
            }
            (0, HEADERS_MAX) => *headers.first_chunk_mut::<HEADERS_MAX>()? = self.bytes,
            (at, end) => headers.copy_from_slice(self.bytes.get(at..end)?),
        }
        Some(())
    }
}

/// The timestamps of a segment that has no other option; `None` when it has.
#[inline]
const fn plain_options(segment: &SegmentOut) -> Option<Option<Timestamps>> {
    // Fast Open is on SYNs only.
    let TcpOptions { mss, window_scale, sack_permitted, timestamps, sack, fast_open: _ } =
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
