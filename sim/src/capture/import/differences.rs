//! What happened to a frame on its way, from its bytes at both ends.

use super::super::Segment;
use super::super::units::Unit;
use crate::fault::TcpOption;
use crate::packet::{TcpOptions, Verdict};

/// Where a byte lies, so that it is found in a frame of other lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// So far behind the begin of the IP header.
    Ip(usize),
    /// Of the TCP header.
    Tcp(usize),
    /// Of the payload.
    Payload(usize),
}

/// What the network did to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Drop,
    /// A second copy came so many nanoseconds after the first.
    Duplicate(u64),
    /// It came so many nanoseconds late, behind what was sent after it.
    Delay(u64),
    Corrupt {
        part: Part,
        mask: u8,
        /// Under checksums that fit.
        repaired: bool,
    },
    /// So many bytes are missing at its end.
    Truncate(u32),
    /// So many came behind it.
    Pad(u32),
    Mark,
    Bleach,
    Strip(TcpOption),
    /// Another MSS.
    Clamp(u16),
    /// It became two; the first has so many bytes.
    Split(u32),
    /// Behind it came the news that the receiver's peer cannot be reached, about the segment at this place of the receiver's stream.
    Unreachable(i64),
}

impl Change {
    /// Getter: what plans call it.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Duplicate(_) => "duplicate",
            Self::Delay(_) => "delay",
            Self::Corrupt { .. } => "corrupt",
            Self::Truncate(_) => "truncate",
            Self::Pad(_) => "pad",
            Self::Mark => "mark",
            Self::Bleach => "bleach",
            Self::Strip(_) => "strip",
            Self::Clamp(_) => "mss-clamp",
            Self::Split(_) => "split",
            Self::Unreachable(_) => "forge",
        }
    }
}

/// The least that an Ethernet frame carries: shorter packets are filled up.
const ETHERNET_LEAST: usize = 46;
/// More bytes of a frame are not damaged at a time; frames that differ in more are two.
const DAMAGED_MAX: usize = 4;
/// The least that is compared.
const COMPARED_LEAST: usize = 20;

/// The bytes of a segment's packet, as far as they were kept.
fn packet<'a>(unit: &Unit<'a>) -> Option<(&'a [u8], Segment)> {
    let segment = unit.segment.filter(|_| unit.part.is_none())?;
    let bytes = unit.frame.bytes;
    Some((&bytes[..bytes.len().min(segment.end())], segment))
}

/// Getter: `received` may be what became of `sent`: a few bytes are others, or its end is missing.
pub(super) fn alike(sent: &Unit<'_>, received: &Unit<'_>) -> bool {
    let Some((whole, segment)) = packet(sent) else { return false };
    let there = received.frame.bytes;
    let lost = received.frame.whole_len < segment.end();
    let fits = lost || received.frame.whole_len <= sent.frame.whole_len.max(ETHERNET_LEAST);
    let compared = whole.len().min(there.len());
    if received.part.is_some() || !fits || compared < COMPARED_LEAST {
        return false;
    }
    let different = whole.iter().zip(there).filter(|(a, b)| a != b).count();
    different <= if lost { 0 } else { DAMAGED_MAX }
}

/// What happened to `sent`, of which `received` arrived.
pub(super) fn changes(sent: &Unit<'_>, received: &Unit<'_>) -> Vec<Change> {
    let mut all = Vec::new();
    if let (Some(before), Some(after)) = (&sent.segment, &received.segment) {
        all.extend(ecn(before.ecn, after.ecn));
        options(&before.tcp.options, &after.tcp.options, &mut all);
    }
    let Some((whole, segment)) = packet(sent).filter(|_| received.part.is_none()) else {
        all.extend(payload(sent, received));
        return all;
    };
    let (end, arrived) = (segment.end(), received.frame.whole_len);
    if arrived < end {
        all.push(Change::Truncate((end - arrived) as u32));
    } else if arrived > sent.frame.whole_len.max(ETHERNET_LEAST) {
        all.push(Change::Pad((arrived - sent.frame.whole_len) as u32));
    }
    let rewritten =
        all.iter().any(|change| !matches!(change, Change::Pad(_) | Change::Truncate(_)));
    all.extend(damage((whole, &segment), received, rewritten));
    all
}

/// What became of the ECN field.
pub(super) const fn ecn(before: u8, after: u8) -> Option<Change> {
    match after {
        _ if before == after => None,
        3 => Some(Change::Mark),
        0 => Some(Change::Bleach),
        _ => None,
    }
}

/// Options that are gone, or say something else.
fn options(before: &TcpOptions, after: &TcpOptions, all: &mut Vec<Change>) {
    let gone = [
        (TcpOption::Mss, before.mss.is_some() && after.mss.is_none()),
        (TcpOption::WindowScale, before.window_scale.is_some() && after.window_scale.is_none()),
        (TcpOption::SackPermitted, before.sack_permitted && !after.sack_permitted),
        (TcpOption::Sack, !before.sack.is_empty() && after.sack.is_empty()),
        (TcpOption::Timestamps, before.timestamps.is_some() && after.timestamps.is_none()),
        (TcpOption::FastOpen, before.fast_open.is_some() && after.fast_open.is_none()),
    ];
    let well_formed = !after.malformed && !before.malformed;
    let gone = gone.into_iter().filter(|(_, gone)| *gone && well_formed);
    all.extend(gone.map(|(option, _)| Change::Strip(option)));
    if let (Some(before), Some(after)) = (before.mss, after.mss)
        && before > after
    {
        all.push(Change::Clamp(after));
    }
}

/// The first byte that is another, of those that no router has to change. `rewritten`: options and checksums may be others.
fn damage(
    (whole, segment): (&[u8], &Segment),
    received: &Unit<'_>,
    rewritten: bool,
) -> Option<Change> {
    let there = received.frame.bytes;
    let is_v4 = segment.source.is_ipv4();
    let hops = if is_v4 { 8 } else { 7 };
    let same_hops = whole.get(hops) == there.get(hops);
    let tcp_sum = segment.tcp_at + 16..segment.tcp_at + 18;
    // A checksum that the NIC computes later is none.
    let sums_count = segment.checksum == Verdict::Right && !rewritten;
    let compared = |at: usize| match at {
        _ if at == hops => false,
        10 | 11 if is_v4 => same_hops && sums_count,
        _ if tcp_sum.contains(&at) => sums_count,
        _ if (segment.tcp_at + 20..segment.payload_at).contains(&at) => !rewritten,
        _ => true,
    };
    let ecn = |at: usize| {
        if at != 1 {
            0
        } else if is_v4 {
            0x03
        } else {
            0x30
        }
    };
    let mut bytes = whole.iter().zip(there).enumerate();
    let found = bytes.find_map(|(at, (a, b))| {
        let mask = (a ^ b) & !ecn(at);
        (mask != 0 && compared(at)).then_some((at, mask))
    });
    let (at, mask) = found?;
    let right = received.segment.is_some_and(|segment| segment.checksum == Verdict::Right);
    let part = if at >= segment.payload_at {
        Part::Payload(at - segment.payload_at)
    } else if at >= segment.tcp_at {
        Part::Tcp(at - segment.tcp_at)
    } else {
        Part::Ip(at)
    };
    Some(Change::Corrupt { part, mask, repaired: right })
}

/// The first byte of the payload that is another.
fn payload(sent: &Unit<'_>, received: &Unit<'_>) -> Option<Change> {
    let (before, after) = (sent.segment.as_ref()?, received.segment.as_ref()?);
    let of = |unit: &Unit<'_>, segment: &Segment| {
        let bytes = unit.frame.bytes;
        bytes.get(segment.payload_at..segment.end().min(bytes.len())).map(<[u8]>::to_vec)
    };
    let (a, b) = (of(sent, before)?, of(received, after)?);
    let mut bytes = a.iter().zip(&b).enumerate();
    let (at, mask) = bytes.find_map(|(at, (a, b))| (a != b).then_some((at, a ^ b)))?;
    let repaired = after.checksum != Verdict::Wrong;
    Some(Change::Corrupt { part: Part::Payload(at), mask, repaired })
}
