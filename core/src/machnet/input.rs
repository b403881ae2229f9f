//! Input: what each kind of packet does to a flow.

use super::flow::Flow;
use super::packet::{Disposition, FlowEvent, FlowState, FlowTimer, PacketIn};
use super::rx_window::RxWindow;
use super::tx_window::News;
use super::{ack::AckState, sack};
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::{self, Happening, reach};
use crate::time::Instant;
use crate::wire::machnet::{MachnetHeader, NetFlags};

impl Flow {
    /// Input: a packet of this flow. Output and events may be due afterwards.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        packet: &PacketIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        if self.state == FlowState::Closed {
            return Disposition::Ignore;
        }
        let from = self.state;
        let disposition = match packet.header.net_flags {
            NetFlags::Syn => self.on_syn(packet.header),
            NetFlags::SynAck => self.on_syn_ack(now, packet.header),
            NetFlags::Ack | NetFlags::Data | NetFlags::Rst if self.extended.is_some() => {
                self.handle_extended(now, packet, io)
            }
            NetFlags::Ack | NetFlags::Data if self.is_of_before(packet.header) => {
                Disposition::Forgotten
            }
            NetFlags::Ack => self.on_ack(now, packet.header, io),
            NetFlags::Data => self.on_data(now, packet, io),
            NetFlags::Rst => self.on_rst(packet.header),
        };
        reach::machnet_went(from, Happening::packet(packet.header.net_flags), self.state);
        disposition
    }

    /// Getter: whether `header`, as [`Flow::handle_packet`]'s next packet, establishes a passive open: it answers our SYN-ACK,
    /// or the answer was lost or overtaken, and data comes already, which only a peer sends that has our SYN-ACK.
    pub fn completes_handshake(&self, header: &MachnetHeader) -> bool {
        let acknowledges = header.ackno == self.tx.snd_nxt();
        self.state == FlowState::SynReceived
            && match header.net_flags {
                NetFlags::Ack => acknowledges,
                NetFlags::Data if self.extended.is_some() => acknowledges,
                NetFlags::Data => header.seqno == self.rx.rcv_nxt(),
                NetFlags::Syn | NetFlags::SynAck | NetFlags::Rst => false,
            }
    }

    /// The peer speaks of a flow under the same ports that we have forgotten.
    fn is_of_before(&self, header: &MachnetHeader) -> bool {
        self.state == FlowState::SynSent && self.config.extended && header.timestamp != 0
    }

    /// A passive open is over: the peer has our SYN-ACK.
    pub(super) fn complete(&mut self, now: Instant) {
        if self.attempts == 1 {
            let took = now.saturating_since(self.handshake_at);
            self.rto.sample(took);
            if let Some(extended) = &mut self.extended {
                extended.on_handshake(now, took);
            }
        }
        self.establish(now);
    }

    /// A SYN that comes again: our SYN-ACK was lost. For an established flow it is dropped, as upstream does, but in the extended profile.
    fn on_syn(&mut self, header: &MachnetHeader) -> Disposition {
        let open = matches!(self.state, FlowState::Established | FlowState::Closing);
        if open {
            return self.answer_syn(header);
        }
        // A peer that offers something else than before begins anew; it comes again when we have given up.
        let same = self.config.agree(header.timestamp).is_some() == self.extended.is_some();
        if self.state != FlowState::SynReceived
            || header.seqno.wrapping_add(1) != self.rx.rcv_nxt()
            || !same
        {
            return Disposition::Ignore;
        }
        // It is answered as often as it comes, but the answer does not wait longer because of it.
        self.handshake_due = true;
        Disposition::Duplicate
    }

    fn on_syn_ack(&mut self, now: Instant, header: &MachnetHeader) -> Disposition {
        if header.ackno != self.tx.iss().wrapping_add(1) || !self.active {
            return Disposition::Ignore;
        }
        let first = header.seqno.wrapping_add(1);
        match self.state {
            FlowState::SynSent => {
                self.rx = RxWindow::new(first);
                self.ack = AckState::new(first);
                self.agree(now, header.timestamp, first);
                self.complete(now);
                self.repeat_final(now, false);
                Disposition::Accept
            }
            // The final acknowledgement was lost; later than that it is an old copy.
            FlowState::Established | FlowState::Closing if first == self.rx.rcv_nxt() => {
                self.retries = 0;
                self.repeat_final(now, self.rx.is_ahead());
                Disposition::Duplicate
            }
            FlowState::Established
            | FlowState::Closing
            | FlowState::SynReceived
            | FlowState::Closed => Disposition::Ignore,
        }
    }

    /// The final acknowledgement of the handshake.
    fn repeat_final(&mut self, now: Instant, ahead: bool) {
        match &self.extended {
            Some(_) => self.hurry(),
            None => self.ack.answer_old(now, ahead),
        }
    }

    fn establish(&mut self, now: Instant) {
        self.state = if self.closing { FlowState::Closing } else { FlowState::Established };
        self.handshake_due = false;
        self.set_timer(FlowTimer::Handshake, None);
        if self.extended.is_some() {
            self.set_timer(FlowTimer::Keepalive, Some(now + self.config.keepalive()));
        }
        self.events.push_back(FlowEvent::Established);
        self.finish_close();
    }

    fn on_ack(
        &mut self,
        now: Instant,
        header: &MachnetHeader,
        io: &mut impl StreamIo,
    ) -> Disposition {
        match self.state {
            FlowState::SynReceived if self.completes_handshake(header) => {
                self.complete(now);
                return Disposition::Accept;
            }
            FlowState::SynReceived | FlowState::SynSent | FlowState::Closed => {
                return Disposition::Ignore;
            }
            FlowState::Established | FlowState::Closing => {}
        }
        let acked = header.ackno.wrapping_sub(self.tx.snd_una());
        if acked > u32::from(self.tx.outstanding()) {
            return Disposition::Ignore;
        }
        self.retries = 0;
        let mut news = News::default();
        let packets = if acked > 0 {
            self.on_progress(now, header.ackno, &mut news, io)
        } else {
            self.on_duplicate(now);
            0
        };
        let outstanding = self.tx.outstanding() as u8;
        let view = sack::view(&header.sack, self.tx.is_advanced(), outstanding);
        self.tx.hold(now, view, &mut news);
        self.take_news(now, news, packets);
        self.detect_loss(now);
        self.finish_close();
        if acked > 0 { Disposition::Accept } else { Disposition::Duplicate }
    }

    /// `ackno` acknowledges something new: so many packets.
    pub(super) fn on_progress(
        &mut self,
        now: Instant,
        ackno: u32,
        news: &mut News,
        io: &mut impl StreamIo,
    ) -> u16 {
        let acked = self.tx.acknowledge(now, ackno, news);
        if let Some(extended) = &mut self.extended {
            extended.drop_lengths(acked.lengths);
        }
        self.figures.bytes_acked += acked.bytes;
        if let Some(message) = acked.message {
            self.figures.message_acked = self.figures.message_acked.max(message);
        }
        if acked.bytes > 0 {
            io.tx_release(acked.release);
            self.push_writable();
        }
        acked.packets
    }

    /// An acknowledgement says again which packet it waits for.
    fn on_duplicate(&mut self, now: Instant) {
        let stragglers = self.tx.reordering_window(self.rto.srtt());
        let settle = self.rto.settle(&self.config) + stragglers;
        if self.tx.duplicate(now, settle) {
            reach!(MachnetDuplicates);
            self.window.on_loss(self.tx.snd_nxt());
        }
    }

    /// What an acknowledgement says of the path; it took `packets` out of the window.
    fn take_news(&mut self, now: Instant, news: News, packets: u16) {
        if let Some(rtt) = news.rtt {
            self.rto.sample(rtt);
        }
        if news.needless > 0 {
            reach!(MachnetNeedless);
            self.window.on_needless(news.needless as u8);
            self.tx.acquit();
        }
        if packets > 0 {
            if self.window.on_ack(packets as u8, self.tx.snd_una()) {
                self.tx.recovered();
            }
            self.rto.progress();
            self.restart_rto(now);
            if planted::is(Bug::MachnetTimerEndsWithAnyAck) {
                self.set_timer(FlowTimer::Retransmission, None);
            }
        }
    }

    /// Finds packets that are lost by now, and sets the timer for those that may turn out so.
    pub(super) fn detect_loss(&mut self, now: Instant) {
        let losses = self.tx.detect_loss(now, self.rto.srtt());
        if losses.found {
            reach!(MachnetOvertaken);
            match &self.extended {
                Some(_) => self.extended_loss(now, false),
                None => self.window.on_loss(self.tx.snd_nxt()),
            }
        }
        self.set_timer(FlowTimer::Reordering, losses.look_again);
    }

    fn on_data(
        &mut self,
        now: Instant,
        packet: &PacketIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        let header = packet.header;
        match self.state {
            FlowState::SynReceived if self.completes_handshake(header) => {
                reach!(MachnetDataCompletes);
                self.establish(now);
            }
            FlowState::SynReceived | FlowState::SynSent | FlowState::Closed => {
                return Disposition::Ignore;
            }
            FlowState::Established | FlowState::Closing => {}
        }
        if self.state == FlowState::Closed {
            return Disposition::Ignore;
        }
        let place = (header.seqno, header.msg_flags.upstream());
        let before = self.rx.rcv_nxt();
        let received =
            self.rx.data(&self.config, None, place, packet.payload, io, &mut self.events);
        self.figures.bytes_received += received.bytes;
        match received.disposition {
            Disposition::Accept if self.rx.rcv_nxt() != before => self.ack.advance(),
            Disposition::Accept | Disposition::NoRoom => self.ack.answer_ahead(),
            Disposition::Duplicate => self.ack.answer_old(now, self.rx.is_ahead()),
            Disposition::Ignore
            | Disposition::Malformed
            | Disposition::Blind
            | Disposition::Forgotten => return received.disposition,
            Disposition::Violation => {
                self.end(EndReason::Reset);
                return Disposition::Violation;
            }
        }
        self.retries = 0;
        self.watch_stall(now, io);
        if self.rx.has_store() {
            self.touch(now);
        }
        received.disposition
    }

    /// Takes what waited for room in the ring.
    pub(super) fn drain(&mut self, now: Instant, io: &mut impl StreamIo) {
        let before = self.rx.rcv_nxt();
        let inbound = self.extended.as_deref_mut().map(|extended| &mut extended.inbound);
        let (disposition, bytes) = self.rx.drain(&self.config, inbound, io, &mut self.events);
        self.figures.bytes_received += bytes;
        if disposition == Disposition::Violation {
            self.end(EndReason::Reset);
            return;
        }
        if self.rx.rcv_nxt() != before {
            match &self.extended {
                Some(_) => self.hurry(),
                None => self.ack.advance(),
            }
        }
        self.watch_stall(now, io);
    }

    /// A message that alone is larger than the ring would wait for ever.
    pub(super) fn watch_stall(&mut self, now: Instant, io: &impl StreamIo) {
        let timer = FlowTimer::Stall;
        if !self.is_stuck(io) {
            self.set_timer(timer, None);
        } else if self.timer(timer).is_none() {
            self.set_timer(timer, Some(now + self.config.stall));
        }
    }

    /// The message that is being received does not fit into the ring.
    pub(super) fn is_stuck(&self, io: &impl StreamIo) -> bool {
        let inbound = self.extended.as_ref().map(|extended| &extended.inbound);
        self.rx.is_stuck(inbound, io)
    }

    /// An RST counts only with the number that is expected next; before the handshake is done, if it acknowledges our SYN.
    fn on_rst(&mut self, header: &MachnetHeader) -> Disposition {
        let (valid, reason) = match self.state {
            FlowState::SynSent => (header.ackno == self.tx.snd_nxt(), EndReason::Refused),
            FlowState::SynReceived | FlowState::Established | FlowState::Closing => {
                (header.seqno == self.rx.rcv_nxt(), EndReason::Reset)
            }
            FlowState::Closed => (false, EndReason::Reset),
        };
        if !valid {
            reach!(MachnetStrangeRst);
            return Disposition::Ignore;
        }
        self.end(reason);
        // An RST is not answered.
        self.rsts_due = 0;
        Disposition::Accept
    }
}
