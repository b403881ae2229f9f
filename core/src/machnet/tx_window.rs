//! Packets sent and not yet acknowledged, and what is known of each: at most [`IN_FLIGHT_MAX`] towards upstream, 256 in the
//! extended profile.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::IN_FLIGHT_MAX;
use super::bits::{BITS, Bits};
use super::message::Fragment;
use super::rack::{Arrival, Rack, Sent};
use super::sack::SackView;
use crate::event::RetransmitCause;
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};
use crate::wire::machnet::MsgFlags;

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
    framing: Framing,
}

/// What a packet of the extended profile carries beside the bytes of messages, as it is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Framing {
    /// Of the message that begins with it, or of the first of several.
    pub(super) id: u32,
    /// Bytes of the message that begins with it; with [`PACKED`] set, how many messages are in it.
    pub(super) length: u32,
    /// Where their lengths are, counted over all that were ever noted.
    pub(super) lengths_at: u32,
    /// What ends the message: known once the packet was written.
    pub(super) crc: u32,
}

/// Of [`Framing::length`], as on the wire: it counts messages.
pub(super) const PACKED: u32 = 1 << 31;

impl Framing {
    /// Messages whose lengths are noted elsewhere.
    pub(super) const fn packed(&self) -> u32 {
        if self.length & PACKED == 0 { 0 } else { self.length & !PACKED }
    }
}

/// A packet to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transmission {
    pub(super) seqno: u32,
    pub(super) offset: u64,
    pub(super) len: u16,
    pub(super) flags: MsgFlags,
    pub(super) framing: Framing,
}

/// What a cumulative acknowledgement took out of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) packets: u16,
    pub(super) bytes: u64,
    /// Bytes of the TX ring below this are free.
    pub(super) release: u64,
    /// The last message that ended among them.
    pub(super) message: Option<u64>,
    /// Lengths of packed messages that nobody needs any more.
    pub(super) lengths: u32,
}

/// What an acknowledgement said of packets that were not known to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Round-trip time of the latest packet among them that was sent once only (Karn).
    pub(super) rtt: Option<Duration>,
    /// Repetitions that turned out needless.
    pub(super) needless: u16,
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
    /// Packet `n` lies at `n % slots.len()`, a power of two.
    slots: Vec<Slot>,
    rack: Rack,
    /// Packets that are known to have arrived, counted again where that was taken back.
    delivered: u64,
    /// Of packet snd_una + i: the last acknowledgement spoke of it; it is [`Fate::Held`]; it is [`Fate::Lost`].
    known: Bits,
    held: Bits,
    lost: Bits,
}

impl Flight {
    const fn index(&self, seqno: u32) -> usize {
        seqno as usize & (self.slots.len() - 1)
    }

    /// Twice as many slots: `count` packets from `first` on move to their new places, as they lie `count` apart.
    fn grow(&mut self, limit: usize) {
        let len = self.slots.len();
        self.slots.reserve_exact(len.min(limit - len));
        self.slots.extend_from_within(..);
    }
}

/// The sender's window. Its slots are allocated when the first packet is sent, become more as more packets are outstanding, and are
/// kept until [`TxWindow::rest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TxWindow {
    iss: u32,
    snd_una: u32,
    snd_nxt: u32,
    /// Most packets outstanding.
    limit: u16,
    flight: Option<Box<Flight>>,
    /// Transmissions so far.
    order: u64,
    in_flight: u16,
    lost: u16,
    duplicates: u8,
}

/// What an acknowledgement says of the packets from the first unacknowledged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    /// These are with the peer.
    pub(super) held: Bits,
    /// Of these we know; those not in `held` had not arrived.
    pub(super) known: Bits,
}

impl From<SackView> for Spoken {
    fn from(view: SackView) -> Self {
        Self { held: view.held.into(), known: view.known.into() }
    }
}

impl TxWindow {
    /// `iss` is the number of the SYN; at most [`IN_FLIGHT_MAX`] packets are outstanding.
    pub(super) const fn new(iss: u32) -> Self {
        Self::with_limit(iss, IN_FLIGHT_MAX as u16)
    }

    /// A window of `limit` packets: a power of two, 32 to 256.
    pub(super) const fn with_limit(iss: u32, limit: u16) -> Self {
        let first = iss.wrapping_add(1);
        Self {
            iss,
            snd_una: first,
            snd_nxt: first,
            limit,
            flight: None,
            order: 0,
            in_flight: 0,
            lost: 0,
            duplicates: 0,
        }
    }

    pub(super) const fn limit(&self) -> u16 {
        self.limit
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
    pub(super) const fn outstanding(&self) -> u16 {
        // At most the limit: `send_new` sees to it.
        self.snd_nxt.wrapping_sub(self.snd_una) as u16
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.snd_nxt == self.snd_una
    }

    /// The peer has acknowledged DATA before.
    pub(super) const fn is_advanced(&self) -> bool {
        self.snd_una != self.iss.wrapping_add(1)
    }

    /// The network takes another packet of a window of `cwnd`.
    pub(super) const fn has_room(&self, cwnd: u16) -> bool {
        self.in_flight < cwnd
    }

    /// A packet waits to be sent again.
    pub(super) const fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// The first packet is lost: it is sent again whatever the window says, because everything waits for it (RFC 6675 §5 (4.3)).
    pub(super) fn has_urgent(&self) -> bool {
        self.lost > 0 && self.flight.as_ref().is_some_and(|flight| flight.lost.get(0))
    }

    /// A new packet may be numbered.
    pub(super) const fn has_number(&self) -> bool {
        self.outstanding() < self.limit
    }

    /// Numbers a new packet. The caller asked `has_number`.
    pub(super) fn send_new(&mut self, now: Instant, fragment: Fragment) -> Transmission {
        self.send_framed(now, fragment, Framing::default())
    }

    /// Numbers a new packet that carries more than bytes of a message. The caller asked `has_number`.
    pub(super) fn send_framed(
        &mut self,
        now: Instant,
        fragment: Fragment,
        framing: Framing,
    ) -> Transmission {
        debug_assert!(self.has_number());
        let Fragment { offset, len, flags, message } = fragment;
        let sent = Sent { order: self.order, at: now, before: None };
        let slot = Slot { offset, message, sent, len, flags, fate: Fate::InFlight, framing };
        let flight = self.flight.get_or_insert_with(|| {
            let slots = alloc::vec![slot; IN_FLIGHT_MAX as usize];
            let none = Bits::default();
            let (rack, delivered) = (Rack::default(), 0);
            Box::new(Flight { slots, rack, delivered, known: none, held: none, lost: none })
        });
        let seqno = self.snd_nxt;
        if seqno.wrapping_sub(self.snd_una) as usize == flight.slots.len() {
            flight.grow(self.limit.into());
        }
        let at = flight.index(seqno);
        flight.slots[at] = slot;
        self.order += 1;
        self.in_flight += 1;
        self.snd_nxt = seqno.wrapping_add(1);
        Transmission { seqno, offset, len, flags, framing }
    }

    /// Something that needs no number leaves; returns its place among all transmissions.
    pub(super) const fn take_order(&mut self) -> u64 {
        self.order += 1;
        self.order - 1
    }

    /// Getter: a transmission of that number has left.
    pub(super) const fn has_order(&self, order: u64) -> bool {
        order < self.order
    }

    /// What has no number arrived: see [`Rack::overtaken_by`].
    pub(super) fn overtaken_by(&mut self, order: u64) {
        if let Some(flight) = &mut self.flight {
            flight.rack.overtaken_by(order);
        }
    }

    /// The acknowledgement that follows: see [`Rack::told`].
    pub(super) fn told(&mut self, echoed_at: Option<Instant>) {
        if let Some(flight) = &mut self.flight {
            flight.rack.told(echoed_at);
        }
    }

    /// Getter: what its difference counts are packets that have arrived meanwhile.
    pub(super) fn delivered(&self) -> u64 {
        self.flight.as_ref().map_or(0, |flight| flight.delivered)
    }

    /// Where the first unacknowledged byte lies.
    pub(super) fn first_offset(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.slot(self.snd_una).offset)
    }

    /// The packet was written, and its message has this CRC.
    pub(super) fn note_crc(&mut self, seqno: u32, crc: u32) {
        if seqno.wrapping_sub(self.snd_una) < u32::from(self.outstanding()) {
            self.slot_mut(seqno).framing.crc = crc;
        }
    }

    /// The first lost packet, as sent again now, and why.
    pub(super) fn send_lost(&mut self, now: Instant) -> Option<(Transmission, RetransmitCause)> {
        if self.lost == 0 {
            return None;
        }
        let seqno = self.snd_una.wrapping_add(self.flight.as_ref()?.lost.lowest()?);
        let Fate::Lost(cause) = self.slot(seqno).fate else { return None };
        let order = self.order;
        self.order += 1;
        self.set_fate(seqno, Fate::InFlight);
        if seqno == self.snd_una {
            self.duplicates = 0;
        }
        let slot = self.slot_mut(seqno);
        slot.sent = Sent { order, at: now, before: Some(slot.sent.at) };
        let Slot { offset, len, flags, framing, .. } = *slot;
        Some((Transmission { seqno, offset, len, flags, framing }, cause))
    }

    /// Takes out everything below `ackno`, which lies in `snd_una + 1 ..= snd_nxt`.
    pub(super) fn acknowledge(&mut self, now: Instant, ackno: u32, news: &mut News) -> Acked {
        let packets = ackno.wrapping_sub(self.snd_una) as u16;
        let mut acked = Acked { packets, bytes: 0, release: 0, message: None, lengths: 0 };
        for i in 0..u32::from(packets) {
            let seqno = self.snd_una.wrapping_add(i);
            self.arrived(now, seqno, news);
            let slot = self.slot(seqno);
            acked.bytes += u64::from(slot.len);
            acked.release = slot.offset + u64::from(slot.len);
            if slot.flags.contains(MsgFlags::LAST) {
                acked.message = Some(slot.message);
            }
            acked.lengths += slot.framing.packed();
        }
        self.snd_una = ackno;
        if let Some(flight) = &mut self.flight {
            flight.held.shift(packets.into());
            flight.lost.shift(packets.into());
        }
        if planted::is(Bug::MachnetReleasedBeforeAcked) {
            let last = self.slot(self.snd_nxt.wrapping_sub(1));
            acked.release = last.offset + u64::from(last.len);
        }
        self.duplicates = 0;
        acked
    }

    /// Takes in what an acknowledgement of `snd_una` says of the packets above. Only what it brings news of is looked at.
    pub(super) fn hold(&mut self, now: Instant, spoken: impl Into<Spoken>, news: &mut News) {
        let Spoken { held, known } = spoken.into();
        let outstanding = Bits::first(self.outstanding().into());
        let Some(flight) = &mut self.flight else { return };
        flight.known = known;
        for i in held.without(flight.held).and(outstanding) {
            self.arrived(now, self.snd_una.wrapping_add(i), news);
        }
    }

    fn arrived(&mut self, now: Instant, seqno: u32, news: &mut News) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        let Slot { sent, fate, .. } = flight.slots[flight.index(seqno)];
        if fate == Fate::Held {
            return;
        }
        match flight.rack.arrived(now, seqno, &sent) {
            Arrival::Once(rtt) => news.rtt = Some(rtt),
            Arrival::Again => {}
            Arrival::Earlier => news.needless += 1,
        }
        flight.delivered = flight.delivered.wrapping_add(1);
        self.set_fate(seqno, Fate::Held);
    }

    /// An acknowledgement repeated `snd_una`. True when that makes the first packet lost. While it was sent less than `settle` ago,
    /// what was in the network before it still makes duplicates, and so does reordering: those do not count.
    pub(super) fn duplicate(&mut self, now: Instant, settle: Duration) -> bool {
        let Some(flight) = self.flight.as_deref().filter(|_| !self.is_empty()) else {
            return false;
        };
        let Slot { sent, fate, .. } = flight.slots[flight.index(self.snd_una)];
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
        let outstanding = Bits::first(self.outstanding().into());
        let looked_at = self.flight.as_ref().map_or(Bits::default(), |flight| {
            outstanding.and(flight.known).without(flight.held.or(flight.lost))
        });
        for i in looked_at {
            let seqno = self.snd_una.wrapping_add(i);
            let Some(flight) = self.flight.as_deref() else { break };
            let slot = &flight.slots[flight.index(seqno)];
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
        let believed = flight.slots[flight.index(self.snd_una)].fate != Fate::Held;
        for seqno in self.numbers() {
            let Some(flight) = self.flight.as_deref() else { return };
            let slot = &flight.slots[flight.index(seqno)];
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

    /// The timer expired: the first packet alone is lost, unless the peer said that it holds that one, and nothing it said is believed.
    pub(super) fn lose_first(&mut self, now: Instant, srtt: Duration) {
        match self.slot(self.snd_una).fate {
            Fate::InFlight => self.set_fate(self.snd_una, Fate::Lost(RetransmitCause::Timeout)),
            Fate::Held => self.lose_late(now, srtt),
            Fate::Lost(_) => {}
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
        let i = seqno.wrapping_sub(self.snd_una);
        if let Some(flight) = &mut self.flight {
            flight.held.set(i, fate == Fate::Held);
            flight.lost.set(i, matches!(fate, Fate::Lost(_)));
        }
    }

    fn slot(&self, seqno: u32) -> &Slot {
        let flight = self.flight.as_ref().expect("made when the first packet was numbered");
        &flight.slots[flight.index(seqno)]
    }

    fn slot_mut(&mut self, seqno: u32) -> &mut Slot {
        let flight = self.flight.as_mut().expect("made when the first packet was numbered");
        {
            let at = flight.index(seqno);
            &mut flight.slots[at]
        }
    }

    /// Consistency of a state read back; `next_offset` is where the next new packet will begin, and no packet has more than `len_max`
    /// bytes of messages, nor fewer than `len_min`.
    pub(super) fn is_sound(&self, next_offset: u64, (len_min, len_max): (u16, u16)) -> bool {
        let Self { snd_una, snd_nxt, limit, flight, order, in_flight, lost, .. } = self;
        let outstanding = snd_nxt.wrapping_sub(*snd_una);
        if outstanding > u32::from(*limit) || u32::from(*limit) > BITS || *order > u64::MAX / 2 {
            return false;
        }
        let Some(flight) = flight else {
            return outstanding == 0 && (*in_flight, *lost) == (0, 0);
        };
        let slots = flight.slots.len();
        let fits = slots.is_power_of_two()
            && (outstanding as usize..=usize::from(*limit)).contains(&slots);
        let marked = flight.held.or(flight.lost).end();
        if !fits || !flight.rack.is_valid(*order) || marked > outstanding {
            return false;
        }
        let mut counts = (0, 0);
        let mut end = None;
        for (i, seqno) in self.numbers().enumerate() {
            let slot = self.slot(seqno);
            let (held, gone) = (slot.fate == Fate::Held, matches!(slot.fate, Fate::Lost(_)));
            counts.0 += u16::from(slot.fate == Fate::InFlight);
            counts.1 += u16::from(gone);
            let marked = (flight.held.get(i as u32), flight.lost.get(i as u32));
            let contiguous = end.is_none_or(|end| end == slot.offset);
            let shaped = (len_min..=len_max).contains(&slot.len) && slot.flags.is_place();
            if !contiguous
                || !shaped
                || marked != (held, gone)
                || slot.sent.order >= *order
                || slot.offset > next_offset
            {
                return false;
            }
            end = Some(slot.offset.saturating_add(u64::from(slot.len)));
        }
        counts == (*in_flight, *lost) && end.is_none_or(|end| end == next_offset)
    }

    /// Lengths of packed messages that what is outstanding needs, in order: where the first ones are noted, and how many there are.
    pub(super) fn lengths(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let framings = self.numbers().map(|seqno| self.slot(seqno).framing);
        framings.filter(|f| f.packed() > 0).map(|f| (f.lengths_at, f.packed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::machnet::PAYLOAD_MAX;

    impl TxWindow {
        fn is_valid(&self, next_offset: u64) -> bool {
            self.is_sound(next_offset, (1, PAYLOAD_MAX))
        }
    }

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
