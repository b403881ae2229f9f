//! Packets sent and not yet acknowledged: at most [`IN_FLIGHT_MAX`], and what is known of each.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::IN_FLIGHT_MAX;
use super::message::Fragment;
use super::sack::SackView;
use crate::time::{Duration, Instant};
use crate::wire::machnet::{MsgFlags, PAYLOAD_MAX};

/// A packet counts as lost when one arrived that was sent this many transmissions later (RFC 5681 §3.2's three duplicates,
/// counted in the order of sending, so that a lost retransmission is found too), or after so many duplicates.
const DUPLICATES: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Fate {
    /// In the network, as far as is known.
    InFlight,
    /// With the peer, by its own word; may be taken back.
    Held,
    /// Lost: to be sent again.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    offset: u64,
    message: u64,
    /// The number of its latest transmission.
    order: u64,
    sent_at: Instant,
    len: u16,
    flags: MsgFlags,
    fate: Fate,
    retransmitted: bool,
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
    /// Round-trip time, of packets sent once only (Karn).
    pub(super) rtt: Option<Duration>,
    /// The last message that ended among them.
    pub(super) message: Option<u64>,
}

/// The sender's window. Its slots are allocated when the first packet is sent, and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TxWindow {
    iss: u32,
    snd_una: u32,
    snd_nxt: u32,
    slots: Vec<Slot>,
    /// Transmissions so far.
    order: u64,
    /// The latest transmission that is known to have arrived, plus one; 0 for none.
    delivered: u64,
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
            slots: Vec::new(),
            order: 0,
            delivered: 0,
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
        self.lost > 0 && self.slot(self.snd_una).fate == Fate::Lost
    }

    /// A new packet may be numbered.
    pub(super) const fn has_number(&self) -> bool {
        self.outstanding() < IN_FLIGHT_MAX
    }

    /// Numbers a new packet. The caller asked `has_number`.
    pub(super) fn send_new(&mut self, now: Instant, fragment: Fragment) -> Transmission {
        debug_assert!(self.has_number());
        let Fragment { offset, len, flags, message } = fragment;
        let slot = Slot {
            offset,
            message,
            order: self.order,
            sent_at: now,
            len,
            flags,
            fate: Fate::InFlight,
            retransmitted: false,
        };
        if self.slots.is_empty() {
            self.slots.resize(IN_FLIGHT_MAX as usize, slot);
        }
        let seqno = self.snd_nxt;
        *self.slot_mut(seqno) = slot;
        self.order += 1;
        self.in_flight += 1;
        self.snd_nxt = seqno.wrapping_add(1);
        Transmission { seqno, offset, len, flags }
    }

    /// The first lost packet, as sent again now.
    pub(super) fn send_lost(&mut self, now: Instant) -> Option<Transmission> {
        if self.lost == 0 {
            return None;
        }
        let seqno = self.numbers().find(|n| self.slot(*n).fate == Fate::Lost)?;
        let order = self.order;
        self.order += 1;
        self.lost -= 1;
        self.in_flight += 1;
        if seqno == self.snd_una {
            self.duplicates = 0;
        }
        let slot = self.slot_mut(seqno);
        slot.fate = Fate::InFlight;
        slot.retransmitted = true;
        slot.order = order;
        slot.sent_at = now;
        Some(Transmission { seqno, offset: slot.offset, len: slot.len, flags: slot.flags })
    }

    /// Takes out everything below `ackno`, which lies in `snd_una + 1 ..= snd_nxt`.
    pub(super) fn acknowledge(&mut self, now: Instant, ackno: u32) -> Acked {
        let packets = ackno.wrapping_sub(self.snd_una) as u8;
        let mut acked = Acked { packets, bytes: 0, release: 0, rtt: None, message: None };
        let mut once = true;
        for _ in 0..packets {
            let slot = *self.slot(self.snd_una);
            self.set_fate(self.snd_una, Fate::Held);
            self.delivered = self.delivered.max(slot.order + 1);
            once &= !slot.retransmitted;
            acked.bytes += u64::from(slot.len);
            acked.release = slot.offset + u64::from(slot.len);
            acked.rtt = once.then(|| now.saturating_since(slot.sent_at));
            if slot.flags.contains(MsgFlags::LAST) {
                acked.message = Some(slot.message);
            }
            self.snd_una = self.snd_una.wrapping_add(1);
        }
        self.duplicates = 0;
        acked
    }

    /// An acknowledgement repeated `snd_una`. True when that makes the first packet lost. One sent again less than `settle` ago
    /// is not judged: what was in the network before it still makes duplicates.
    pub(super) fn duplicate(&mut self, now: Instant, settle: Duration) -> bool {
        if self.is_empty() {
            return false;
        }
        self.duplicates = self.duplicates.saturating_add(1);
        let first = self.slot(self.snd_una);
        let settled = !first.retransmitted || now.saturating_since(first.sent_at) >= settle;
        if self.duplicates < DUPLICATES || !settled || first.fate != Fate::InFlight {
            return false;
        }
        self.set_fate(self.snd_una, Fate::Lost);
        true
    }

    /// Takes in what an acknowledgement of `snd_una` says of the packets above. True when one is newly lost.
    pub(super) fn judge(&mut self, view: SackView) -> bool {
        for (i, seqno) in self.numbers().enumerate() {
            if view.held >> i & 1 == 1 && self.slot(seqno).fate != Fate::Held {
                self.delivered = self.delivered.max(self.slot(seqno).order + 1);
                self.set_fate(seqno, Fate::Held);
            }
        }
        let mut found = false;
        for (i, seqno) in self.numbers().enumerate() {
            let slot = self.slot(seqno);
            let overtaken = self.delivered > slot.order + u64::from(DUPLICATES);
            let missing = view.known >> i & 1 == 1 && view.held >> i & 1 == 0;
            if slot.fate == Fate::InFlight && overtaken && missing {
                self.set_fate(seqno, Fate::Lost);
                found = true;
            }
        }
        found
    }

    /// The timer expired: everything outstanding is lost, also what the peer said it holds (it may have thrown it
    /// away, or we misread it). With a window of one packet the next acknowledgement corrects what is wrong in that.
    pub(super) fn lose_all(&mut self) {
        for seqno in self.numbers() {
            self.set_fate(seqno, Fate::Lost);
        }
    }

    /// The first unacknowledged packet was sent more than once.
    pub(super) fn first_was_retransmitted(&self) -> bool {
        !self.is_empty() && self.slot(self.snd_una).retransmitted
    }

    fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let (una, count) = (self.snd_una, u32::from(self.outstanding()));
        (0..count).map(move |i| una.wrapping_add(i))
    }

    fn set_fate(&mut self, seqno: u32, fate: Fate) {
        match core::mem::replace(&mut self.slot_mut(seqno).fate, fate) {
            Fate::InFlight => self.in_flight -= 1,
            Fate::Lost => self.lost -= 1,
            Fate::Held => {}
        }
        match fate {
            Fate::InFlight => self.in_flight += 1,
            Fate::Lost => self.lost += 1,
            Fate::Held => {}
        }
    }

    fn slot(&self, seqno: u32) -> &Slot {
        &self.slots[(seqno % u32::from(IN_FLIGHT_MAX)) as usize]
    }

    fn slot_mut(&mut self, seqno: u32) -> &mut Slot {
        &mut self.slots[(seqno % u32::from(IN_FLIGHT_MAX)) as usize]
    }

    /// Consistency of a state read back; `next_offset` is where the next new packet will begin.
    pub(super) fn is_valid(&self, next_offset: u64) -> bool {
        let Self {
            iss: _,
            snd_una,
            snd_nxt,
            slots,
            order,
            delivered,
            in_flight,
            lost,
            duplicates: _,
        } = self;
        let outstanding = snd_nxt.wrapping_sub(*snd_una);
        if outstanding > u32::from(IN_FLIGHT_MAX)
            || !(slots.len() == IN_FLIGHT_MAX as usize || slots.is_empty() && outstanding == 0)
            || *delivered > *order
            || *order > u64::MAX / 2
        {
            return false;
        }
        let mut counts = (0, 0);
        let mut end = None;
        for seqno in self.numbers() {
            let slot = self.slot(seqno);
            counts.0 += u8::from(slot.fate == Fate::InFlight);
            counts.1 += u8::from(slot.fate == Fate::Lost);
            let contiguous = end.is_none_or(|end| end == slot.offset);
            let shaped = (1..=PAYLOAD_MAX).contains(&slot.len) && slot.flags.is_data_place();
            if !contiguous || !shaped || slot.order >= *order || slot.offset > next_offset {
                return false;
            }
            end = Some(slot.offset + u64::from(slot.len));
        }
        counts == (*in_flight, *lost) && end.is_none_or(|end| end == next_offset)
    }
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

    const NOTHING: SackView = SackView { held: 0, known: u32::MAX };

    #[test]
    fn three_duplicates_lose_the_first_packet_and_only_that() {
        let mut tx = window(5);
        assert!(!tx.duplicate(Instant::ZERO, Duration::ZERO));
        assert!(!tx.duplicate(Instant::ZERO, Duration::ZERO));
        assert!(tx.duplicate(Instant::ZERO, Duration::ZERO));
        assert_eq!(tx.send_lost(Instant::ZERO).map(|t| t.seqno), Some(u32::MAX - 1));
        assert_eq!(tx.send_lost(Instant::ZERO), None);
    }

    #[test]
    fn holes_that_were_overtaken_by_three_are_lost_and_held_packets_are_not() {
        let mut tx = window(8);
        assert!(tx.judge(SackView { held: 0b1011_0110, known: u32::MAX }));
        let again: std::vec::Vec<_> =
            core::iter::from_fn(|| tx.send_lost(Instant::ZERO)).map(|t| t.offset).collect();
        assert_eq!(again, [0, 30], "packet 6 was overtaken by one only");
    }

    #[test]
    fn what_the_peer_does_not_speak_of_is_not_lost() {
        let mut tx = window(12);
        assert!(tx.judge(SackView { held: 0x80, known: 0x81 }));
        assert_eq!(tx.lost, 1);
    }

    #[test]
    fn a_retransmitted_packet_gives_no_round_trip_sample() {
        let mut tx = window(2);
        tx.lose_all();
        tx.send_lost(Instant::from_nanos(50));
        let una = tx.snd_una();
        let acked = tx.acknowledge(Instant::from_nanos(60), una.wrapping_add(1));
        assert_eq!((acked.rtt, acked.release, acked.message), (None, 10, Some(0)));
        let acked = tx.acknowledge(Instant::from_nanos(70), una.wrapping_add(2));
        assert_eq!(acked.rtt, Some(Duration::from_nanos(69)), "the second was sent once");
        assert!(tx.is_empty() && tx.is_valid(20));
    }

    #[test]
    fn a_timeout_forgets_what_the_peer_said_it_holds() {
        let mut tx = window(3);
        tx.judge(SackView { held: 0b110, known: u32::MAX });
        tx.lose_all();
        assert_eq!((tx.lost, tx.in_flight), (3, 0));
        assert!(!tx.judge(NOTHING));
        assert!(tx.is_valid(30));
    }
}
