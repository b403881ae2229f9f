//! Explicit congestion notification (RFC 3168): what the SYNs agree on, the receiver's echo, the sender's answer.

use serde::{Deserialize, Serialize};

use super::congestion::{Algorithm, LossEvent};
use super::connection::Connection;
use super::delayed_ack::QUICK_ACKS_OF_ECN;
use super::event::Events;
use super::input::SegmentIn;
use super::recovery::Phase;
use super::recv_buffer::AckDue;
use crate::planted::{self, Bug};
use crate::reach::reach;
use crate::time::Instant;
use crate::wire::tcp::TcpFlags;

/// The ECN field of the IP header (RFC 3168 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct,
    /// ECT(1).
    Ect1,
    /// ECT(0).
    Ect0,
    /// Congestion experienced.
    Ce,
}

impl Ecn {
    /// The field whose two bits are the lowest of `bits`: of IPv4's type of service, or of IPv6's traffic class.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 0b11 {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// Getter: its two bits.
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0b00,
            Self::Ect1 => 0b01,
            Self::Ect0 => 0b10,
            Self::Ce => 0b11,
        }
    }
}

/// When ECN is used (tcp_ecn, with Linux's numbers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EcnMode {
    /// 0: never.
    Off,
    /// 1: asked for by our SYNs, granted to the peer's.
    Request,
    /// 2: granted to the peer's SYNs, not asked for.
    #[default]
    Accept,
}

/// ECE and CWR together on a SYN ask for ECN (RFC 3168 §6.1.1).
const ASKS: TcpFlags = TcpFlags::ECE.union(TcpFlags::CWR);

/// The connection's part in ECN, but for the sender's reaction, which is `congestion`'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct EcnState(u8);

impl EcnState {
    /// Our SYN asked for it.
    const REQUESTED: u8 = 1;
    /// Both sides can.
    const AGREED: u8 = 2;
    /// Our acknowledgements carry ECE.
    const ECHO: u8 = 4;
    /// The echo follows each packet's mark (RFC 8257 §3.2) instead of lasting until CWR (RFC 3168 §6.1.3), and every
    /// packet may be marked.
    const EXACT: u8 = 8;
    /// The acknowledgement that is being handled carries ECE.
    const ECHOED: u8 = 16;
    /// The peer has sent data that is ECN-capable.
    const SEEN: u8 = 32;

    fn set(&mut self, bit: u8, on: bool) {
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Getter: both sides can.
    pub(in crate::tcp) const fn is_agreed(self) -> bool {
        self.has(Self::AGREED)
    }

    /// Getter: a data segment with this field changes what is echoed.
    pub(in crate::tcp) const fn is_news(self, field: Ecn) -> bool {
        let marked = matches!(field, Ecn::Ce);
        self.is_agreed() && marked != self.has(Self::ECHO) && (marked || self.has(Self::EXACT))
    }

    /// Getter: a data segment with this field leads to something here.
    #[inline]
    pub(in crate::tcp) const fn is_looked_at(self, field: Ecn) -> bool {
        self.is_agreed()
            && (self.is_news(field) || self.has(Self::SEEN) == matches!(field, Ecn::NotEct))
    }

    /// Getter: the peer has sent ECN-capable data.
    pub(in crate::tcp) const fn has_seen(self) -> bool {
        self.has(Self::SEEN)
    }

    /// Getter: our acknowledgements carry ECE.
    pub(in crate::tcp) const fn is_echoing(self) -> bool {
        self.has(Self::ECHO)
    }

    /// Getter: the acknowledgement that is being handled carries ECE.
    pub(in crate::tcp) const fn is_echoed(self) -> bool {
        self.has(Self::ECHOED)
    }

    /// Getter: the flags that belong on every segment with an acknowledgement.
    pub(in crate::tcp) const fn echo(self) -> TcpFlags {
        if self.has(Self::ECHO) { TcpFlags::ECE } else { TcpFlags(0) }
    }

    /// Getter: the field of what is no new data. RFC 3168 §6.1.4 and §6.1.5: not ECN-capable.
    pub(in crate::tcp) const fn field(self) -> Ecn {
        if self.is_agreed() && self.has(Self::EXACT) { Ecn::Ect0 } else { Ecn::NotEct }
    }
}

impl Connection {
    /// The flags of our SYN (RFC 3168 §6.1.1). One that is sent `again` asks no more: a middlebox may have dropped the
    /// first for asking (§6.1.1.1, tcp_ecn_fallback).
    pub(in crate::tcp) fn ecn_of_syn(&mut self, again: bool) -> TcpFlags {
        let asks = self.config.ecn == EcnMode::Request || self.congestion.algorithm().needs_ecn();
        let falls_back = self.config.ecn_fallback && !planted::is(Bug::AsksAgain);
        if !asks || (again && falls_back) {
            return TcpFlags(0);
        }
        self.ecn.set(EcnState::REQUESTED, true);
        ASKS
    }

    /// The flags of our SYN,ACK.
    pub(in crate::tcp) const fn ecn_of_syn_ack(&self) -> TcpFlags {
        if self.ecn.is_agreed() { TcpFlags::ECE } else { TcpFlags(0) }
    }

    /// What the peer's SYN or SYN,ACK says (RFC 3168 §6.1.1).
    pub(in crate::tcp) fn settle_ecn(&mut self, flags: TcpFlags) {
        let needed = self.congestion.algorithm().needs_ecn();
        let agreed = if flags.contains(TcpFlags::ACK) {
            // ECE alone. A peer that reflects reserved bits sends both back.
            let granted = flags.0 & ASKS.0 == TcpFlags::ECE.0 || planted::is(Bug::ReflectionGrants);
            self.ecn.has(EcnState::REQUESTED) && granted && flags.contains(TcpFlags::ECE)
        } else {
            flags.contains(ASKS) && (needed || self.config.ecn != EcnMode::Off)
        };
        self.ecn.set(EcnState::AGREED, agreed);
        self.ecn.set(EcnState::EXACT, needed);
    }

    /// Follows a change of the congestion control.
    pub(in crate::tcp) fn ecn_follows_algorithm(&mut self) {
        self.ecn.set(EcnState::EXACT, self.congestion.algorithm().needs_ecn());
    }

    /// The receiver (RFC 3168 §6.1.3, RFC 8257 §3.2): `segment` was in the window and has been taken.
    pub(in crate::tcp) fn receive_ecn(&mut self, segment: &SegmentIn<'_>) {
        if !self.ecn.is_agreed() || segment.payload_len == 0 {
            return;
        }
        if segment.header.flags.contains(TcpFlags::CWR) && !self.ecn.has(EcnState::EXACT) {
            self.ecn.set(EcnState::ECHO, false);
            // The sender reduced and waits for what follows, as tcp_ecn_accept_cwr of Linux has it.
            self.rcv.ack_due = AckDue::Now;
        }
        if segment.ecn != Ecn::NotEct {
            self.ecn.set(EcnState::SEEN, true);
        } else if self.ecn.has_seen() && !planted::is(Bug::MarksToldLate) {
            // What is sent again is not ECN-capable (RFC 3168 §6.1.5): something was lost.
            self.enter_quick(QUICK_ACKS_OF_ECN);
        }
        if self.ecn.is_news(segment.ecn) {
            if !self.ecn.has(EcnState::EXACT) && !planted::is(Bug::MarksToldLate) {
                // The sender may have a very small window.
                self.enter_quick(QUICK_ACKS_OF_ECN);
            }
            self.ecn.set(EcnState::ECHO, segment.ecn == Ecn::Ce);
            // RFC 8257 §3.2: a change is told at once. The first mark likewise: the sooner the sender knows the better.
            if !planted::is(Bug::MarksToldLate) {
                self.rcv.ack_due = AckDue::Now;
            }
        }
    }

    /// Remembers for [`Connection::receive_echo`] and for the sample what flags an acceptable acknowledgement has.
    pub(in crate::tcp) fn note_echo(&mut self, flags: TcpFlags) {
        let agreed = self.ecn.is_agreed() || planted::is(Bug::EceUnasked);
        if agreed && flags.contains(TcpFlags::ECE) {
            self.ecn.set(EcnState::ECHOED, true);
        }
    }

    /// The sender (RFC 3168 §6.1.2): an acknowledgement with ECE reduces the window once in a round trip. In recovery
    /// it is reduced already.
    pub(in crate::tcp) fn receive_echo(&mut self, now: Instant) {
        if !self.ecn.is_echoed() {
            return;
        }
        self.answer_echo(now);
        self.ecn.set(EcnState::ECHOED, false);
    }

    /// Command: reduces the window, unless it is reduced already. Where something is in flight it goes down step by step.
    pub(in crate::tcp) fn answer_echo(&mut self, now: Instant) {
        if !self.ecn.is_echoed() || self.recovery.phase != Phase::Open {
            return;
        }
        // It is the window that is halved: what is in flight this very acknowledgement has just made less.
        let cwnd = self.congestion.cwnd();
        let event = LossEvent { flight: cwnd, ..self.loss_event(now) };
        if !self.congestion.on_ecn(&event) {
            return;
        }
        self.events.raise(Events::CONGESTION);
        reach!(EchoAnswered);
        let by_window = self.congestion.algorithm() != Algorithm::Bbr;
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            // What was reduced before for a loss stays reduced (tcp_enter_cwr of Linux).
            flight.undo.congested();
            if by_window {
                flight.prr.begin_for_echo(cwnd);
            }
        }
    }

    /// Getter: CWR is due with the next new data (RFC 3168 §6.1.2). That segment must be one segment: a NIC that cuts
    /// it would repeat the flag.
    pub(in crate::tcp) fn is_cwr_due(&self) -> bool {
        self.ecn.is_agreed() && self.congestion.is_cwr_due()
    }

    /// The flags and the field of a data segment; `new` when none of it was sent before (RFC 3168 §6.1.5: what is sent
    /// again is not ECN-capable, so that an attacker's guess cannot be told from it).
    pub(in crate::tcp) fn ecn_of_data(&mut self, new: bool) -> (TcpFlags, Ecn) {
        if !self.ecn.is_agreed() {
            return (TcpFlags(0), Ecn::NotEct);
        }
        if !new && !planted::is(Bug::EverythingIsEct) {
            return (TcpFlags(0), self.ecn.field());
        }
        let reduced = self.congestion.take_cwr();
        (if reduced { TcpFlags::CWR } else { TcpFlags(0) }, Ecn::Ect0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_the_field_are_those_of_the_standard() {
        for bits in 0..4 {
            assert_eq!(Ecn::from_bits(bits | 0b1010_1000).bits(), bits);
        }
        assert_eq!((Ecn::Ect0.bits(), Ecn::Ect1.bits(), Ecn::Ce.bits()), (2, 1, 3));
    }
}
