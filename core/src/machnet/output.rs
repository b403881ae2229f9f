//! Output: the next packet of a flow. RST first, then the handshake, acknowledgements, and data.

use super::flow::Flow;
use super::packet::{FlowEvent, FlowState, FlowTimer, PacketOut, Trailer};
use super::sack;
use super::tx_window::Transmission;
use crate::port::StreamIo;
use crate::time::Instant;
use crate::wire::machnet::{DATA_ACKNO, MachnetHeader, NetFlags};

/// Events waiting beyond which retransmissions are not reported.
const REPORTED_MAX: usize = 96;

impl Flow {
    /// Getter: [`Flow::poll_transmit`] has a packet. Ask before allocating a frame; no packet is longer than
    /// the header and [`crate::wire::machnet::PAYLOAD_MAX`] bytes.
    pub fn has_output(&self) -> bool {
        if let Some(extended) = &self.extended {
            return self.has_extended_output(extended);
        }
        self.rsts_due > 0
            || self.state != FlowState::Closed
                && (self.handshake_due || self.ack.is_due() || self.can_send_data())
    }

    /// Output: the next packet. It counts as sent: the caller has a frame ready for it.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<PacketOut> {
        if self.extended.is_some() {
            return self.transmit_extended(now);
        }
        if self.rsts_due > 0 {
            self.rsts_due -= 1;
            let seqno = self.tx.snd_nxt().wrapping_sub(u32::from(self.rsts_due));
            return Some(bare(NetFlags::Rst, seqno, self.rx.rcv_nxt()));
        }
        if self.state == FlowState::Closed {
            return None;
        }
        if self.handshake_due {
            return Some(self.handshake_packet(now));
        }
        if let Some(ack) = self.ack.next(now, self.rx.rcv_nxt(), self.rx.held().0[0]) {
            let mut packet = bare(NetFlags::Ack, self.tx.snd_nxt(), ack.ackno);
            packet.header.sack = sack::field(ack.held);
            return Some(packet);
        }
        if !self.can_send_data() {
            return None;
        }
        let packet = self.lost_packet(now).or_else(|| self.new_packet(now))?;
        if self.timers[FlowTimer::Retransmission as usize].is_none() {
            self.restart_rto(now);
        }
        Some(packet)
    }

    /// Command: the next hop does not answer, so what is due cannot be sent. Where no timer runs the next packet counts as sent,
    /// and is lost, so that the timers that give a flow up begin with it.
    pub fn lose_next(&mut self, now: Instant, io: &impl StreamIo) {
        let idle = self.timers[FlowTimer::Retransmission as usize].is_none();
        let sends = match &self.extended {
            Some(extended) => self.has_extended_output(extended),
            None => self.can_send_data(),
        };
        if (self.rsts_due > 0 || (idle && sends))
            && let Some(packet) = self.poll_transmit(now)
        {
            self.skip(&packet, io);
        }
    }

    pub(super) fn handshake_packet(&mut self, now: Instant) -> PacketOut {
        self.handshake_due = false;
        if self.attempts == 0 {
            self.handshake_at = now;
        }
        // A SYN-ACK that answers a repeated SYN leaves the timer as it is: the peer does not decide how long we wait.
        if self.timers[FlowTimer::Handshake as usize].is_none() {
            self.attempts += 1;
            let at = now + self.handshake_wait();
            self.set_timer(FlowTimer::Handshake, Some(at));
        } else {
            // Karn: the answer may be to either.
            self.attempts = self.attempts.max(2);
        }
        let mut packet = if self.active {
            bare(NetFlags::Syn, self.tx.iss(), 0)
        } else {
            bare(NetFlags::SynAck, self.tx.iss(), self.rx.rcv_nxt())
        };
        if (self.active || self.extended.is_some())
            && let Some(offer) = self.config.offer()
        {
            packet.header.timestamp = offer.to_wire();
        }
        packet
    }

    fn lost_packet(&mut self, now: Instant) -> Option<PacketOut> {
        let sent = self.take_lost(now)?;
        Some(self.data_packet(sent))
    }

    /// The next packet that is sent again.
    pub(super) fn take_lost(&mut self, now: Instant) -> Option<Transmission> {
        let (sent, cause) = self.tx.send_lost(now)?;
        self.figures.retransmits += 1;
        match &mut self.extended {
            Some(extended) => extended.sent_again(),
            None => self.window.sent_again(),
        }
        if sent.seqno == self.tx.snd_una() {
            // The repetition gets a timeout of its own; what is left of the original's would often end before its answer.
            self.restart_rto(now);
        }
        if self.events.len() < REPORTED_MAX {
            let Transmission { seqno, len, .. } = sent;
            self.events.push_back(FlowEvent::Retransmit { seqno, len, cause });
        }
        Some(sent)
    }

    fn new_packet(&mut self, now: Instant) -> Option<PacketOut> {
        if !self.tx.has_number() {
            return None;
        }
        let fragment = self.queue.pop(&self.config)?;
        let sent = self.tx.send_new(now, fragment);
        self.touch(now);
        Some(self.data_packet(sent))
    }

    fn data_packet(&mut self, sent: Transmission) -> PacketOut {
        let Transmission { seqno, offset, len, flags, .. } = sent;
        self.figures.bytes_sent += u64::from(len);
        let mut header = MachnetHeader::new(NetFlags::Data, seqno, DATA_ACKNO);
        header.msg_flags = flags;
        PacketOut {
            header,
            payload_offset: offset,
            payload_len: len,
            prefix_len: 0,
            trailer: Trailer::None,
        }
    }
}

/// A packet without payload.
const fn bare(net_flags: NetFlags, seqno: u32, ackno: u32) -> PacketOut {
    PacketOut::bare(MachnetHeader::new(net_flags, seqno, ackno))
}
