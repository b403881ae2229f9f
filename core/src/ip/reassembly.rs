//! Fragments put together again, for both families (RFC 791 §3.2, RFC 815; RFC 8200 §4.5, RFC 5722).
//!
//! Fragments are the cheapest way to make a host keep something for a stranger, so everything here is bounded: the
//! memory in all, each sender's part of it, and the work of a fragment, which is logarithmic in what is kept
//! (CVE-2018-5391). Nothing is allocated before the first fragment comes. What is kept is plain data: no frame of a
//! NIC waits here.

mod share;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use share::Shares;

use crate::nic::IfIndex;
use crate::planted::{self, Bug};
use crate::reach::reach;
use crate::time::{Duration, Instant};
use crate::wire::IpProtocol;
use crate::wire::ipv6::IPV6_HEADER_LEN;
use crate::wire::ipv6_ext::FRAGMENT_HEADER_LEN;

/// How long an IPv4 datagram may take to arrive whole (Linux's `ipfrag_time`; RFC 1122 §3.3.2 asks for a minute or two,
/// of networks that were slower).
pub const REASSEMBLY_TIMEOUT_V4: Duration = Duration::from_secs(30);
/// The same for IPv6 (RFC 8200 §4.5).
pub const REASSEMBLY_TIMEOUT_V6: Duration = Duration::from_secs(60);
/// The longest datagram that a length field can say.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// What a datagram and a fragment cost beside their bytes. Charged, so that many small ones are bounded too.
const DATAGRAM_COST: usize = 256;
const FRAGMENT_COST: usize = 96;
/// The first fragment of a TCP segment holds at least its header without options, so that no filter on the way can be
/// passed by a header in pieces (RFC 1858 §3, RFC 3128).
const TCP_FIRST_MIN: usize = 20;

/// What the fragments of one datagram have in common (RFC 791 §3.2; RFC 8200 §4.5 leaves the protocol out: zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FragmentKey {
    /// The link that they came by.
    pub interface: IfIndex,
    /// Its sender.
    pub src: IpAddr,
    /// Whom it is for.
    pub dst: IpAddr,
    /// The protocol in IPv4, 0 in IPv6.
    pub protocol: u8,
    /// Given by the sender: 16 bits in IPv4, 32 in IPv6.
    pub identification: u32,
}

/// A piece of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// The IP header in front of it, with what of it stands in front of every fragment. Kept of the first one.
    pub header: &'a [u8],
    /// Where in the datagram's payload the piece begins, in bytes.
    pub start: usize,
    /// Its bytes, in as many slices as the frame has.
    pub bytes: &'a [&'a [u8]],
    /// It is not the last one.
    pub more: bool,
    /// The ECN field of its header.
    pub ecn: u8,
}

impl Fragment<'_> {
    fn len(&self) -> usize {
        self.bytes.iter().map(|slice| slice.len()).sum()
    }
}

/// A datagram that has arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The first fragment's header, as it was, and the payload behind it.
    pub bytes: Vec<u8>,
    /// Bytes of the header.
    pub header_len: usize,
    /// The ECN field for all of it: congestion experienced if one fragment did (RFC 3168 §5.3).
    pub ecn: u8,
}

/// What became of a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reassembled {
    /// Kept until the others come.
    Kept,
    /// The last that was missing.
    Whole(Whole),
    /// Exactly what had come before (RFC 8200 §4.5 lets a host ignore those).
    Duplicate,
    /// It overlaps another, or contradicts what was known of the datagram's end: the datagram is lost, with what still comes of
    /// it (RFC 5722 §4, and the same for IPv4: nobody sends that in good faith).
    Overlap,
    /// Its length cannot be: zero, or no multiple of 8 though more follows (RFC 8200 §4.5).
    Length,
    /// It would end beyond the longest datagram.
    TooLong,
    /// A TCP header in pieces.
    Tiny,
    /// Some fragments say that they experienced congestion, others that they are of no such transport (RFC 3168 §5.3).
    Ecn,
    /// There is no room for it.
    NoRoom,
}

/// A datagram whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which.
    pub key: FragmentKey,
    /// The first fragment, header and bytes, if it has come: the sender is told then, and only then (RFC 1122 §3.3.2).
    pub first: Option<Whole>,
}

/// What is kept of a datagram.
#[derive(Debug)]
struct Datagram {
    header: Vec<u8>,
    /// By where they begin. No two overlap.
    pieces: BTreeMap<u32, Vec<u8>>,
    received: usize,
    /// Where the last fragment ends, once it has come.
    total: Option<usize>,
    /// One bit for each ECN field seen.
    ecn: u8,
    /// Fragments overlapped: nothing of it is taken any more.
    refused: bool,
    /// In order of arrival, over all datagrams.
    serial: u64,
    deadline: Instant,
    /// What it is charged with.
    cost: usize,
}

/// All datagrams of which some fragments have come.
///
/// Call order: [`Reassembly::add`] for each fragment, and [`Reassembly::poll_expired`] until `None` at
/// [`Reassembly::poll_timeout`].
#[derive(Debug)]
pub struct Reassembly {
    datagrams: BTreeMap<FragmentKey, Datagram>,
    shares: Shares,
    bytes_max: usize,
    serial: u64,
}

impl Reassembly {
    /// Keeps at most `bytes_max` bytes, its own records included, and a quarter of that for one sender. 0: nothing is kept.
    pub const fn new(bytes_max: usize) -> Self {
        Self { datagrams: BTreeMap::new(), shares: Shares::new(), bytes_max, serial: 0 }
    }

    /// Getter: datagrams that wait for fragments.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Getter: true when none does.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Getter: bytes that are charged at present.
    pub const fn cost(&self) -> usize {
        self.shares.total()
    }

    /// Input: a fragment. Where memory is short the sender that uses most of it loses its oldest datagram.
    pub fn add(&mut self, now: Instant, key: FragmentKey, fragment: &Fragment<'_>) -> Reassembled {
        if let Err(verdict) = check(&key, fragment) {
            return verdict;
        }
        // Of the first one the header is kept, too.
        let header_len = if fragment.start == 0 { fragment.header.len() } else { 0 };
        let cost = FRAGMENT_COST + fragment.len() + header_len;
        if !self.datagrams.contains_key(&key) && !self.begin(now, key, cost) {
            return Reassembled::NoRoom;
        }
        let verdict = self.datagrams.get_mut(&key).map_or(Some(Reassembled::NoRoom), |datagram| {
            datagram.judge(fragment).map(|verdict| {
                if verdict == Reassembled::Overlap {
                    reach!(FragmentsOverlap);
                    datagram.refuse();
                }
                verdict
            })
        });
        if let Some(verdict) = verdict {
            reach!(FragmentAgain);
            self.recharge(&key);
            return verdict;
        }
        if !self.make_room(&key, cost) {
            return Reassembled::NoRoom;
        }
        let Some(datagram) = self.datagrams.get_mut(&key) else { return Reassembled::NoRoom };
        datagram.keep(fragment);
        if datagram.total != Some(datagram.received) {
            self.recharge(&key);
            return Reassembled::Kept;
        }
        match self.forget(&key).map(Datagram::into_whole) {
            Some(Some(whole)) => {
                reach!(Reassembled);
                Reassembled::Whole(whole)
            }
            Some(None) => Reassembled::Ecn,
            None => Reassembled::NoRoom,
        }
    }

    /// Getter: when the next datagram's time is over.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.shares.next_deadline()
    }

    /// Output: a datagram whose time is over at `now`.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Expired> {
        let key = self.shares.expired(now)?;
        let mut datagram = self.forget(&key)?;
        reach!(ReassemblyTimeout);
        let first = datagram.pieces.remove(&0).map(|piece| {
            let header_len = datagram.header.len();
            let mut bytes = datagram.header;
            bytes.extend_from_slice(&piece);
            Whole { bytes, header_len, ecn: 0 }
        });
        Some(Expired { key, first })
    }

    /// The first fragment of a datagram, whichever it is.
    fn begin(&mut self, now: Instant, key: FragmentKey, cost: usize) -> bool {
        if !self.make_room(&key, DATAGRAM_COST + cost) {
            return false;
        }
        self.serial += 1;
        let timeout = match key.src {
            IpAddr::V4(_) => REASSEMBLY_TIMEOUT_V4,
            IpAddr::V6(_) => REASSEMBLY_TIMEOUT_V6,
        };
        let datagram = Datagram {
            header: Vec::new(),
            pieces: BTreeMap::new(),
            received: 0,
            total: None,
            ecn: 0,
            refused: false,
            serial: self.serial,
            deadline: now
                + Duration::from_secs(if planted::is(Bug::FragmentsForEver) { 3_600 } else { 0 })
                + timeout,
            cost: DATAGRAM_COST,
        };
        self.shares.enter(key, datagram.serial, datagram.deadline, datagram.cost);
        self.datagrams.insert(key, datagram);
        true
    }

    /// Throws out what must go for `cost` more bytes of `key`'s sender. False when that cannot be, or `key` itself went.
    fn make_room(&mut self, key: &FragmentKey, cost: usize) -> bool {
        let share = if planted::is(Bug::OneSenderTakesAll) { 1 } else { 4 };
        let per_sender = self.bytes_max / share;
        if cost > per_sender {
            return false;
        }
        let held = self.datagrams.contains_key(key);
        while self.shares.of(key.src) + cost > per_sender {
            let Some(oldest) = self.shares.oldest_of(key.src) else { return false };
            self.forget(&oldest);
        }
        while self.shares.total() + cost > self.bytes_max {
            let Some(oldest) = self.shares.oldest_of_heaviest() else { return false };
            self.forget(&oldest);
        }
        held == self.datagrams.contains_key(key)
    }

    /// The charge follows what the datagram holds.
    fn recharge(&mut self, key: &FragmentKey) {
        if let Some(datagram) = self.datagrams.get_mut(key) {
            let pieces = datagram.received + datagram.header.len();
            let cost = DATAGRAM_COST + FRAGMENT_COST * datagram.pieces.len() + pieces;
            self.shares.change(key.src, datagram.cost, cost);
            datagram.cost = cost;
        }
    }

    fn forget(&mut self, key: &FragmentKey) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.shares.leave(*key, datagram.serial, datagram.deadline, datagram.cost);
        Some(datagram)
    }
}

/// What can be said of a fragment alone.
fn check(key: &FragmentKey, fragment: &Fragment<'_>) -> Result<(), Reassembled> {
    let len = fragment.len();
    if len == 0 || (fragment.more && !len.is_multiple_of(8)) {
        return Err(Reassembled::Length);
    }
    // 16 bits say the length of the whole datagram in IPv4, in IPv6 that of what is behind the fixed header and without the
    // fragment header (RFC 8200 §4.5).
    let uncounted = match key.src {
        IpAddr::V4(_) => 0,
        IpAddr::V6(_) => IPV6_HEADER_LEN + FRAGMENT_HEADER_LEN,
    };
    let header_len = fragment.header.len().saturating_sub(uncounted);
    let end = fragment.start + len + header_len;
    if end > DATAGRAM_BYTES_MAX && !planted::is(Bug::DatagramsWithoutEnd) {
        return Err(Reassembled::TooLong);
    }
    // In IPv6 the whole chain of headers is in the first fragment (RFC 7112): whoever knows the chain has looked.
    let in_header = fragment.start > 0 && fragment.start < TCP_FIRST_MIN;
    let short = fragment.start == 0 && len < TCP_FIRST_MIN;
    let tiny = (in_header || short) && !planted::is(Bug::TinyFragments);
    if key.protocol == IpProtocol::TCP.0 && tiny {
        return Err(Reassembled::Tiny);
    }
    Ok(())
}

impl Datagram {
    /// Why a fragment is not kept, if it is not.
    fn judge(&self, fragment: &Fragment<'_>) -> Option<Reassembled> {
        if self.refused {
            return Some(Reassembled::Overlap);
        }
        let (start, end) = (fragment.start, fragment.start + fragment.len());
        if planted::is(Bug::OnlyInOrder) && start > self.received {
            return Some(Reassembled::Overlap);
        }
        let before = self.pieces.range(..=start as u32).next_back();
        if let Some((&at, piece)) = before {
            if at as usize == start && is_same(piece, fragment.bytes) && self.agrees(end, fragment)
            {
                return Some(Reassembled::Duplicate);
            }
            if at as usize + piece.len() > start {
                return Some(Reassembled::Overlap);
            }
        }
        let after = self.pieces.range(start as u32..).next();
        let overlaps = after.is_some_and(|(&at, _)| (at as usize) < end);
        let overlaps = overlaps && !planted::is(Bug::OverlapsTaken);
        (overlaps || !self.agrees(end, fragment)).then_some(Reassembled::Overlap)
    }

    /// A fragment that ends at `end` is possible with what is known of the datagram's end.
    fn agrees(&self, end: usize, fragment: &Fragment<'_>) -> bool {
        let last = self.pieces.last_key_value();
        let known_end = last.map_or(0, |(&at, piece)| at as usize + piece.len());
        match self.total {
            Some(total) if fragment.more => end < total,
            Some(total) => end == total,
            None => fragment.more || end >= known_end,
        }
    }

    fn keep(&mut self, fragment: &Fragment<'_>) {
        let piece = fragment.bytes.concat();
        let start = fragment.start;
        self.received += piece.len();
        if !fragment.more {
            self.total = Some(start + piece.len());
        }
        if start == 0 {
            self.header = fragment.header.to_vec();
        }
        self.ecn |= 1 << (fragment.ecn & 0b11);
        self.pieces.insert(start as u32, piece);
    }

    fn refuse(&mut self) {
        self.refused = true;
        self.pieces = BTreeMap::new();
        self.header = Vec::new();
        self.received = 0;
        self.total = None;
    }

    /// `None` when the ECN fields do not go together (RFC 3168 §5.3).
    fn into_whole(self) -> Option<Whole> {
        const CONGESTION: u8 = 1 << 0b11;
        const NOT_CAPABLE: u8 = 1 << 0b00;
        let congested = self.ecn & CONGESTION != 0;
        if congested && self.ecn & NOT_CAPABLE != 0 {
            return None;
        }
        let ecn = if congested { 0b11 } else { self.ecn.trailing_zeros() as u8 };
        let header_len = self.header.len();
        let mut bytes = self.header;
        bytes.reserve_exact(self.received);
        for piece in self.pieces.values() {
            bytes.extend_from_slice(piece);
        }
        Some(Whole { bytes, header_len, ecn })
    }
}

fn is_same(piece: &[u8], slices: &[&[u8]]) -> bool {
    let len: usize = slices.iter().map(|slice| slice.len()).sum();
    piece.len() == len && piece.iter().eq(slices.iter().copied().flatten())
}

#[cfg(test)]
mod tests;
