//! What a NIC does to a frame on its way out: it completes the checksum, inserts the VLAN tag, and cuts super-segments (TSO).

use causeway_checksum::{combine, finish, sum};
use causeway_core::nic::{Frame as _, GsoType, Offload};

use crate::fault::{IP, Place};
use crate::frame::{FramePool, SimFrame};

/// Bytes of an 802.1Q tag, and where it stands.
pub(super) const TAG_LEN: usize = 4;
pub(super) const TAG_AT: usize = 12;
pub(super) const TAG_TYPE: [u8; 2] = [0x81, 0];

const CWR: u8 = 0x80;
const IPV6_HEADER_LEN: usize = 40;

/// How much of a super-segment has left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Bytes of its payload.
    bytes: usize,
    /// Segments.
    pieces: u16,
    /// Bytes of each segment but the last.
    size: usize,
    /// All of it.
    pub(super) is_over: bool,
}

impl Progress {
    /// Nothing of `whole` has left. Its segments are `shorter` than the stack says, though not by more than half.
    pub(super) fn of(whole: &SimFrame, shorter: u64) -> Self {
        let size = usize::from(whole.meta().offload.gso_size);
        let odd = size.saturating_sub(usize::try_from(shorter).unwrap_or(usize::MAX));
        Self { size: odd.max(size / 2).max(1), ..Self::default() }
    }

    /// Getter: of none at all.
    pub(super) const fn is_new(&self) -> bool {
        self.size == 0
    }
}

/// Getter: the frame has to be cut.
pub(super) fn is_super(frame: &SimFrame) -> bool {
    frame.meta().offload.gso_type != GsoType::None
}

/// Command: does what was left to the NIC: afterwards the frame is as it goes onto the wire. One that computes no checksums sends what the
/// stack left in the field.
#[inline]
pub(super) fn complete(frame: &mut SimFrame, computes_checksums: bool) {
    let meta = std::mem::take(frame.meta_mut());
    if meta.offload.needs_csum && computes_checksums {
        complete_checksum(frame.bytes_mut(), &meta.offload);
    }
    if let Some(tci) = meta.vlan_tci {
        insert_tag(frame, tci);
    }
    frame.chain(usize::MAX);
}

/// The field holds the sum of the pseudo-header, and counts with the bytes that it is about.
fn complete_checksum(bytes: &mut [u8], offload: &Offload) {
    let start = usize::from(offload.csum_start);
    let at = start + usize::from(offload.csum_offset);
    let value = finish(sum(bytes.get(start..).unwrap_or_default()));
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

fn insert_tag(frame: &mut SimFrame, tci: u16) {
    let len = frame.bytes().len();
    if len < IP || !frame.set_len(len + TAG_LEN) {
        return;
    }
    let bytes = frame.bytes_mut();
    bytes.copy_within(TAG_AT..len, TAG_AT + TAG_LEN);
    bytes[TAG_AT..TAG_AT + 2].copy_from_slice(&TAG_TYPE);
    bytes[TAG_AT + 2..TAG_AT + TAG_LEN].copy_from_slice(&tci.to_be_bytes());
}

/// Output: the next segment of a super-segment, complete, from `pool`.
pub(super) fn next_piece(
    whole: &SimFrame,
    progress: &mut Progress,
    pool: &FramePool,
) -> Option<SimFrame> {
    let offload = whole.meta().offload;
    let header_len = usize::from(offload.hdr_len);
    let payload = whole.bytes().get(header_len + progress.bytes..).unwrap_or_default();
    let len = progress.size.min(payload.len());
    let (first, last) = (progress.bytes == 0, len == payload.len());
    let piece = pool.alloc(header_len + len).map(|mut piece| {
        let bytes = piece.bytes_mut();
        bytes[..header_len].copy_from_slice(&whole.bytes()[..header_len]);
        bytes[header_len..].copy_from_slice(&payload[..len]);
        renumber(bytes, progress);
        set_flags(bytes, &offload, first, last);
        set_lengths(bytes, &offload, whole.bytes().len());
        *piece.meta_mut() = *whole.meta();
        complete(&mut piece, true);
        piece
    });
    progress.bytes += len;
    progress.pieces += 1;
    progress.is_over = last;
    piece
}

/// Bytes of the tag that the stack wrote itself.
fn tag_len(bytes: &[u8]) -> usize {
    if bytes.get(TAG_AT..TAG_AT + 2) == Some(&TAG_TYPE) { TAG_LEN } else { 0 }
}

fn add_u16(bytes: &mut [u8], at: usize, more: u16) {
    let value = u16::from_be_bytes([bytes[at], bytes[at + 1]]).wrapping_add(more);
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// The segment's place among those of the super-segment: sequence number, and the identification of IPv4 (RFC 6864 lets it be anything
/// under DF; hardware counts).
fn renumber(bytes: &mut [u8], progress: &Progress) {
    let ip = IP + tag_len(bytes);
    let tcp = if bytes[ip] >> 4 == 4 {
        add_u16(bytes, ip + 4, progress.pieces);
        ip + usize::from(bytes[ip] & 15) * 4
    } else {
        ip + IPV6_HEADER_LEN
    };
    let at = tcp + 4;
    let seq = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let seq = seq.wrapping_add(progress.bytes as u32);
    bytes[at..at + 4].copy_from_slice(&seq.to_be_bytes());
}

/// The congestion window was reduced once (RFC 3168 §6.1.2), and what ends or is pushed ends with the last byte.
fn set_flags(bytes: &mut [u8], offload: &Offload, first: bool, last: bool) {
    let flags = &mut bytes[usize::from(offload.csum_start) + 13];
    if !first {
        *flags &= !CWR;
    }
    if !last {
        *flags &= !(Place::FIN | Place::PSH);
    }
}

/// Lengths of the IP header, and that of the pseudo-header in the checksum field, which was that of a super-segment in a frame of
/// `whole` bytes.
fn set_lengths(bytes: &mut [u8], offload: &Offload, whole: usize) {
    let ip = IP + tag_len(bytes);
    let (end, tcp) = (bytes.len(), usize::from(offload.csum_start));
    if bytes[ip] >> 4 == 4 {
        bytes[ip + 2..ip + 4].copy_from_slice(&((end - ip) as u16).to_be_bytes());
        bytes[ip + 10..ip + 12].fill(0);
        let header = finish(sum(&bytes[ip..tcp]));
        bytes[ip + 10..ip + 12].copy_from_slice(&header.to_be_bytes());
    } else {
        let len = (end - ip - IPV6_HEADER_LEN) as u16;
        bytes[ip + 4..ip + 6].copy_from_slice(&len.to_be_bytes());
    }
    let at = tcp + usize::from(offload.csum_offset);
    let pseudo = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let less = combine(pseudo, !((whole - tcp) as u16), false);
    let pseudo = combine(less, (end - tcp) as u16, false);
    bytes[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
}
