//! Packets sent and not yet acknowledged: at most [`IN_FLIGHT_MAX`], and what is known of each.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::IN_FLIGHT_MAX;
use super::message::Fragment;
use super::rack::{Arrival, Rack, Sent};
use super::sack::SackView;
use crate::event::RetransmitCause;
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};
use crate::wire::machnet::{MsgFlags, PAYLOAD_MAX};

/// Repetitions of an acknowledgement that make the packet lost which they ask for (RFC 5681 §3.2).
const DUPLICATES: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Fate {
    /// In the network, as far as is known.
    InFlight,
    /// With the peer, by its own word; may be taken back.
    Held,
    /// Lost, for this reason: to be sent again.
    Lost(RetransmitCause),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    offset: u64,
    message: u64,
    sent: Sent,
    len: u16,
    flags: MsgFlags,
    fate: Fate,
}

/// A packet to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transmission {
    pub(super) seqno: u32,
    pub(super) offset: u64,
    pub(super) len: u16,
    pub(super) flags: MsgFlags,
}

/// What a cumulative acknowledgement took out of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) packets: u8,
    pub(super) bytes: u64,
    /// Bytes of the TX ring below this are free.
    pub(super) release: u64,
    /// The last message that ended among them.
    pub(super) message: Option<u64>,
}

/// What an acknowledgement said of packets that were not known to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Round-trip time of the latest packet among them that was sent once only (Karn).
    pub(super) rtt: Option<Duration>,
    /// Repetitions that turned out needless.
    pub(super) needless: u8,
}

/// The outcome of a search for lost packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Losses {
    /// One is newly lost.
    pub(super) found: bool,
    /// Others were overtaken and may still arrive: look again then.
    pub(super) look_again: Option<Instant>,
}

/// What is needed once a packet was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Flight {
    /// Packet `n` lies at `n % 32`.
    slots: [Slot; IN_FLIGHT_MAX as usize],
    rack: Rack,
}

/// The sender's window. Its slots are allocated when the first packet is sent, and kept until [`TxWindow::rest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TxWindow {
    iss: u32,
    snd_una: u32,
    snd_nxt: u32,
    flight: Option<Box<Flight>>,
    /// Transmissions so far.
    order: u64,
    /// Bit `i`: the last acknowledgement spoke of packet snd_una + i.
    known: u32,
    in_flight: u8,
    lost: u8,
    duplicates: u8,
}

impl TxWindow {
    /// `iss` is the number of the SYN.
    pub(super) const fn new(iss: u32) -> Self {
        let first = iss.wrapping_add(1);
        Self {
            iss,
            snd_una: first,
            snd_nxt: first,
            flight: None,
            order: 0,
            known: 0,
            in_flight: 0,
            lost: 0,
            duplicates: 0,
        }
    }

    pub(super) const fn iss(&self) -> u32 {
        self.iss
    }

    pub(super) const fn snd_una(&self) -> u32 {
        self.snd_una
    }

    pub(super) const fn snd_nxt(&self) -> u32 {
        self.snd_nxt
    }

    /// Packets between `snd_una` and `snd_nxt`.
    pub(super) const fn outstanding(&self) -> u8 {
        // At most IN_FLIGHT_MAX: `send_new` sees to it.
        self.snd_nxt.wrapping_sub(self.snd_una) as u8
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.snd_nxt == self.snd_una
    }

    /// The peer has acknowledged DATA before.
    pub(super) const fn is_advanced(&self) -> bool {
        self.snd_una != self.iss.wrapping_add(1)
    }

    /// The network takes another packet of a window of `cwnd`.
    pub(super) const fn has_room(&self, cwnd: u8) -> bool {
        self.in_flight < cwnd
    }

    /// A packet waits to be sent again.
    pub(super) const fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// The first packet is lost: it is sent again whatever the window says, because everything waits for it (RFC 6675 §5 (4.3)).
    pub(super) fn has_urgent(&self) -> bool {
        self.lost > 0 && matches!(self.slot(self.snd_una).fate, Fate::Lost(_))
    }

    /// A new packet may be numbered.
    pub(super) const fn has_number(&self) -> bool {
        self.outstanding() < IN_FLIGHT_MAX
    }

    /// Numbers a new packet. The caller asked `has_number`.
    pub(super) fn send_new(&mut self, now: Instant, fragment: Fragment) -> Transmission {
        debug_assert!(self.has_number());
        let Fragment { offset, len, flags, message } = fragment;
        let sent = Sent { order: self.order, at: now, before: None };
        let slot = Slot { offset, message, sent, len, flags, fate: Fate::InFlight };
        let flight = self.flight.get_or_insert_with(|| {
            Box::new(Flight { slots: [slot; IN_FLIGHT_MAX as usize], rack: Rack::default() })
        });
        let seqno = self.snd_nxt;
        flight.slots[index(seqno)] = slot;
        self.order += 1;
        self.in_flight += 1;
        self.snd_nxt = seqno.wrapping_add(1);
        Transmission { seqno, offset, len, flags }
    }

    /// The first lost packet, as sent again now, and why.
    pub(super) fn send_lost(&mut self, now: Instant) -> Option<(Transmission, RetransmitCause)> {
        if self.lost == 0 {
            return None;
        }
        let (seqno, cause) = self.numbers().find_map(|n| match self.slot(n).fate {
            Fate::Lost(cause) => Some((n, cause)),
            Fate::InFlight | Fate::Held => None,
        })?;
        let order = self.order;
        self.order += 1;
        self.set_fate(seqno, Fate::InFlight);
        if seqno == self.snd_una {
            self.duplicates = 0;
        }
        let slot = self.slot_mut(seqno);
        slot.sent = Sent { order, at: now, before: Some(slot.sent.at) };
        Some((Transmission { seqno, offset: slot.offset, len: slot.len, flags: slot.flags }, cause))
    }

    /// Takes out everything below `ackno`, which lies in `snd_una + 1 ..= snd_nxt`.
    pub(super) fn acknowledge(&mut self, now: Instant, ackno: u32, news: &mut News) -> Acked {
        let packets = ackno.wrapping_sub(self.snd_una) as u8;
        let mut acked = Acked { packets, bytes: 0, release: 0, message: None };
        for _ in 0..packets {
            self.arrived(now, self.snd_una, news);
            let slot = self.slot(self.snd_una);
            acked.bytes += u64::from(slot.len);
            acked.release = slot.offset + u64::from(slot.len);
            if slot.flags.contains(MsgFlags::LAST) {
                acked.message = Some(slot.message);
            }
            self.snd_una = self.snd_una.wrapping_add(1);
        }
        if planted::is(Bug::MachnetReleasedBeforeAcked) {
            let last = self.slot(self.snd_nxt.wrapping_sub(1));
            acked.release = last.offset + u64::from(last.len);
        }
        self.duplicates = 0;
        acked
    }

    /// Takes in what an acknowledgement of `snd_una` says of the packets above.
    pub(super) fn hold(&mut self, now: Instant, view: SackView, news: &mut News) {
        self.known = view.known;
        if view.held == 0 {
            return;
        }
        for (i, seqno) in self.numbers().enumerate() {
            if view.held >> i & 1 == 1 {
                self.arrived(now, seqno, news);
            }
        }
    }

    fn arrived(&mut self, now: Instant, seqno: u32, news: &mut News) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        let Slot { sent, fate, .. } = flight.slots[index(seqno)];
        if fate == Fate::Held {
            return;
        }
        match flight.rack.arrived(now, seqno, &sent) {
            Arrival::Once(rtt) => news.rtt = Some(rtt),
            Arrival::Again => {}
            Arrival::Earlier => news.needless += 1,
        }
        self.set_fate(seqno, Fate::Held);
    }

    /// An acknowledgement repeated `snd_una`. True when that makes the first packet lost. While it was sent less than `settle` ago,
    /// what was in the network before it still makes duplicates, and so does reordering: those do not count.
    pub(super) fn duplicate(&mut self, now: Instant, settle: Duration) -> bool {
        let Some(flight) = self.flight.as_deref().filter(|_| !self.is_empty()) else {
            return false;
        };
        let Slot { sent, fate, .. } = flight.slots[index(self.snd_una)];
        let ambiguous = sent.before.is_some() || flight.rack.reorders();
        if ambiguous && now.saturating_since(sent.at) < settle {
            return false;
        }
        self.duplicates = self.duplicates.saturating_add(1);
        if self.duplicates < DUPLICATES || matches!(fate, Fate::Lost(_)) {
            return false;
        }
        // Held or not: the peer asks for it again and again.
        self.set_fate(self.snd_una, Fate::Lost(RetransmitCause::Fast));
        true
    }

    /// Finds what is lost by now. Of packets that the last acknowledgement did not speak of nothing is known.
    pub(super) fn detect_loss(&mut self, now: Instant, srtt: Duration) -> Losses {
        let mut losses = Losses { found: false, look_again: None };
        for (i, seqno) in self.numbers().enumerate() {
            let Some(flight) = self.flight.as_deref() else { break };
            let slot = &flight.slots[index(seqno)];
            if slot.fate != Fate::InFlight || self.known >> i & 1 == 0 {
                continue;
            }
            match flight.rack.deadline(&slot.sent, srtt) {
                Some(at) if at <= now => {
                    self.set_fate(seqno, Fate::Lost(RetransmitCause::Fast));
                    losses.found = true;
                }
                // One look for all stragglers (RFC 8985 §6.2 step 5).
                Some(at) => losses.look_again = losses.look_again.max(Some(at)),
                // What was sent once left in order: nothing later was overtaken either.
                None if slot.sent.before.is_none() => break,
                None => {}
            }
        }
        losses
    }

    /// A repetition was needless, so waiting was too short: what counts as lost and did not leave again is given more time.
    pub(super) fn acquit(&mut self) {
        for seqno in self.numbers() {
            if matches!(self.slot(seqno).fate, Fate::Lost(_)) {
                self.set_fate(seqno, Fate::InFlight);
            }
        }
    }

    /// The timer expired: the first packet is lost, and what left long enough ago (RFC 8985 §6.3). What the peer
    /// holds is not sent again, unless that is the first: then it threw it away or we misread it, and nothing it said is believed.
    pub(super) fn lose_late(&mut self, now: Instant, srtt: Duration) {
        let Some(flight) = self.flight.as_deref() else { return };
        let believed = flight.slots[index(self.snd_una)].fate != Fate::Held;
        for seqno in self.numbers() {
            let Some(flight) = self.flight.as_deref() else { return };
            let slot = &flight.slots[index(seqno)];
            let kept = match slot.fate {
                Fate::InFlight => !flight.rack.had_its_time(&slot.sent, now, srtt),
                Fate::Held => believed,
                Fate::Lost(_) => true,
            };
            if seqno == self.snd_una || !kept {
                self.set_fate(seqno, Fate::Lost(RetransmitCause::Timeout));
            }
        }
    }

    /// Forgets what is known of the path, and gives back the slots. The caller asked `is_empty`.
    pub(super) fn rest(&mut self) {
        debug_assert!(self.is_empty());
        self.flight = None;
    }

    /// A recovery ended.
    pub(super) fn recovered(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.rack.recovered();
        }
    }

    /// How long stragglers are waited for.
    pub(super) fn reordering_window(&self, srtt: Duration) -> Duration {
        self.flight.as_ref().map_or(Duration::ZERO, |flight| flight.rack.reordering_window(srtt))
    }

    /// The first unacknowledged packet was sent more than once.
    pub(super) fn first_was_retransmitted(&self) -> bool {
        !self.is_empty() && self.slot(self.snd_una).sent.before.is_some()
    }

    fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let (una, count) = (self.snd_una, u32::from(self.outstanding()));
        (0..count).map(move |i| una.wrapping_add(i))
    }

    fn set_fate(&mut self, seqno: u32, fate: Fate) {
        match core::mem::replace(&mut self.slot_mut(seqno).fate, fate) {
            Fate::InFlight => self.in_flight -= 1,
            Fate::Lost(_) => self.lost -= 1,
            Fate::Held => {}
        }
        match fate {
            Fate::InFlight => self.in_flight += 1,
            Fate::Lost(_) => self.lost += 1,
            Fate::Held => {}
        }
    }

    fn slot(&self, seqno: u32) -> &Slot {
        let flight = self.flight.as_ref().expect("made when the first packet was numbered");
        &flight.slots[index(seqno)]
    }

    fn slot_mut(&mut self, seqno: u32) -> &mut Slot {
        let flight = self.flight.as_mut().expect("made when the first packet was numbered");
        &mut flight.slots[index(seqno)]
    }

    /// Consistency of a state read back; `next_offset` is where the next new packet will begin.
    pub(super) fn is_valid(&self, next_offset: u64) -> bool {
        let Self {
            iss: _,
            snd_una,
            snd_nxt,
            flight,
            order,
            known: _,
            in_flight,
            lost,
            duplicates: _,
        } = self;
        let outstanding = snd_nxt.wrapping_sub(*snd_una);
        let rack = flight.as_ref().map_or(outstanding == 0, |flight| flight.rack.is_valid(*order));
        if outstanding > u32::from(IN_FLIGHT_MAX) || !rack || *order > u64::MAX / 2 {
            return false;
        }
        let mut counts = (0, 0);
        let mut end = None;
        for seqno in self.numbers() {
            let slot = self.slot(seqno);
            counts.0 += u8::from(slot.fate == Fate::InFlight);
            counts.1 += u8::from(matches!(slot.fate, Fate::Lost(_)));
            let contiguous = end.is_none_or(|end| end == slot.offset);
            let shaped = (1..=PAYLOAD_MAX).contains(&slot.len) && slot.flags.is_data_place();
            if !contiguous || !shaped || slot.sent.order >= *order || slot.offset > next_offset {
                return false;
            }
            end = Some(slot.offset + u64::from(slot.len));
        }
        counts == (*in_flight, *lost) && end.is_none_or(|end| end == next_offset)
    }
}

const fn index(seqno: u32) -> usize {
    (seqno % IN_FLIGHT_MAX as u32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(n: u64) -> Fragment {
        Fragment { offset: n * 10, len: 10, flags: MsgFlags::place(true, true), message: n }
    }

    fn window(packets: u64) -> TxWindow {
        let mut tx = TxWindow::new(u32::MAX - 2);
        for n in 0..packets {
            tx.send_new(Instant::from_nanos(n), fragment(n));
        }
        assert!(tx.is_valid(packets * 10));
        tx
    }

    const SRTT: Duration = Duration::from_micros(100);

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    fn hold(tx: &mut TxWindow, now: u64, held: u32) -> News {
        let mut news = News::default();
        tx.hold(at(now), SackView { held, known: u32::MAX }, &mut news);
        news
    }

    fn offsets(tx: &mut TxWindow, now: u64) -> std::vec::Vec<u64> {
        core::iter::from_fn(|| tx.send_lost(at(now))).map(|(sent, _)| sent.offset).collect()
    }

    #[test]
    fn three_duplicates_lose_the_first_packet_and_only_that() {
        let mut tx = window(5);
        assert!(!tx.duplicate(Instant::ZERO, Duration::ZERO));
        assert!(!tx.duplicate(Instant::ZERO, Duration::ZERO));
        assert!(tx.duplicate(Instant::ZERO, Duration::ZERO));
        assert_eq!(offsets(&mut tx, 10), [0]);
        for _ in 0..9 {
            assert!(!tx.duplicate(at(50), Duration::from_nanos(41)), "it was sent again just now");
        }
    }

    #[test]
    fn holes_that_were_overtaken_by_three_are_lost_and_held_packets_are_not() {
        let mut tx = window(8);
        hold(&mut tx, 1_000, 0b1011_0110);
        let losses = tx.detect_loss(at(1_000), SRTT);
        assert!(losses.found);
        assert_eq!(offsets(&mut tx, 1_000), [0, 30], "packet 6 was overtaken by one only");
        let look_again = losses.look_again.unwrap();
        assert!(look_again > at(1_000), "and is given a quarter of a round trip");
        assert!(tx.detect_loss(look_again, SRTT).found);
        assert_eq!(offsets(&mut tx, 1_300), [60]);
    }

    #[test]
    fn the_same_hole_is_not_sent_again_by_further_acknowledgements() {
        let mut tx = window(16);
        for n in 1..16 {
            hold(&mut tx, 1_000 + n, ((1 << n) - 1) << 1);
            tx.detect_loss(at(1_000 + n), SRTT);
            let again = offsets(&mut tx, 1_000 + n);
            assert_eq!(again.len(), usize::from(n == 3), "acknowledgement {n}");
        }
    }

    #[test]
    fn a_repetition_that_is_lost_too_is_found_by_what_left_after_it() {
        let mut tx = window(5);
        hold(&mut tx, 1_000, 0b1_1110);
        assert!(tx.detect_loss(at(1_000), SRTT).found);
        assert_eq!(offsets(&mut tx, 1_000), [0]);
        for n in 5..9 {
            tx.send_new(at(1_000 + n), fragment(n));
        }
        hold(&mut tx, 2_005, 0b1_1111_1110);
        assert!(tx.detect_loss(at(2_010), SRTT).found);
        assert_eq!(offsets(&mut tx, 2_010), [0]);
    }

    #[test]
    fn what_the_peer_does_not_speak_of_is_not_lost() {
        let mut tx = window(12);
        let mut news = News::default();
        tx.hold(at(1_000), SackView { held: 0x80, known: 0x81 }, &mut news);
        assert!(tx.detect_loss(at(9_000), SRTT).found);
        assert_eq!(tx.lost, 1);
    }

    #[test]
    fn a_retransmitted_packet_gives_no_round_trip_sample() {
        let mut tx = window(2);
        tx.lose_late(at(0), SRTT);
        tx.send_lost(at(50));
        let (una, mut news) = (tx.snd_una(), News::default());
        let acked = tx.acknowledge(at(60), una.wrapping_add(1), &mut news);
        assert_eq!((news.rtt, acked.release, acked.message), (None, 10, Some(0)));
        tx.acknowledge(at(70), una.wrapping_add(2), &mut news);
        assert_eq!(news.rtt, Some(Duration::from_nanos(69)), "the second was sent once");
        assert!(tx.is_empty() && tx.is_valid(20));
    }

    #[test]
    fn what_arrived_after_all_is_a_needless_repetition_and_acquits_the_rest() {
        let mut tx = window(8);
        hold(&mut tx, 1_000, 0b1000_0000);
        assert!(tx.detect_loss(at(1_000), SRTT).found);
        assert_eq!(tx.send_lost(at(1_000)).map(|(sent, _)| sent.offset), Some(0));
        let (una, mut news) = (tx.snd_una(), News::default());
        tx.acknowledge(at(1_020), una.wrapping_add(1), &mut news);
        assert_eq!(news, News { rtt: None, needless: 1 });
        tx.acquit();
        assert!(!tx.has_lost() && tx.is_valid(80));
        assert!(!tx.detect_loss(at(1_020), SRTT).found, "they are given the time that it took");
    }

    #[test]
    fn a_timeout_repeats_what_the_peer_does_not_hold() {
        let mut tx = window(4);
        hold(&mut tx, 1_000, 0b1010);
        tx.lose_late(at(9_000), SRTT);
        assert_eq!((tx.lost, tx.in_flight), (2, 0));
        assert_eq!(offsets(&mut tx, 9_000), [0, 20]);
        let una = tx.snd_una();
        tx.acknowledge(at(10_500), una.wrapping_add(1), &mut News::default());
        tx.lose_late(at(20_000), SRTT);
        assert_eq!((tx.lost, tx.in_flight), (3, 0), "it said that it held the first");
        assert!(tx.is_valid(40));
    }
}
