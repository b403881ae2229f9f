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
        self.state == FlowState::SynReceived
            && match header.net_flags {
                NetFlags::Ack => header.ackno == self.tx.snd_nxt(),
                NetFlags::Data => header.seqno == self.rx.rcv_nxt(),
                NetFlags::Syn | NetFlags::SynAck | NetFlags::Rst => false,
            }
    }

    /// A SYN that comes again: our SYN-ACK was lost. For an established flow it is dropped, as upstream does.
    fn on_syn(&mut self, header: &MachnetHeader) -> Disposition {
        if self.state != FlowState::SynReceived || header.seqno.wrapping_add(1) != self.rx.rcv_nxt()
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
                if self.attempts == 1 {
                    self.rto.sample(now.saturating_since(self.handshake_at));
                }
                self.establish();
                self.ack.answer_old(now, false);
                Disposition::Accept
            }
            // The final acknowledgement was lost; later than that it is an old copy.
            FlowState::Established | FlowState::Closing if first == self.rx.rcv_nxt() => {
                self.retries = 0;
                self.ack.answer_old(now, self.rx.is_ahead());
                Disposition::Duplicate
            }
            FlowState::Established
            | FlowState::Closing
            | FlowState::SynReceived
            | FlowState::Closed => Disposition::Ignore,
        }
    }

    fn establish(&mut self) {
        self.state = if self.closing { FlowState::Closing } else { FlowState::Established };
        self.handshake_due = false;
        self.set_timer(FlowTimer::Handshake, None);
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
                if self.attempts == 1 {
                    self.rto.sample(now.saturating_since(self.handshake_at));
                }
                self.establish();
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
    fn on_progress(
        &mut self,
        now: Instant,
        ackno: u32,
        news: &mut News,
        io: &mut impl StreamIo,
    ) -> u16 {
        let acked = self.tx.acknowledge(now, ackno, news);
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
            self.window.on_loss(self.tx.snd_nxt());
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
                self.establish();
            }
            FlowState::SynReceived | FlowState::SynSent | FlowState::Closed => {
                return Disposition::Ignore;
            }
            FlowState::Established | FlowState::Closing => {}
        }
        if self.state == FlowState::Closed {
            return Disposition::Ignore;
        }
        let place = (header.seqno, header.msg_flags);
        let before = self.rx.rcv_nxt();
        let received = self.rx.data(&self.config, place, packet.payload, io, &mut self.events);
        self.figures.bytes_received += received.bytes;
        match received.disposition {
            Disposition::Accept if self.rx.rcv_nxt() != before => self.ack.advance(),
            Disposition::Accept | Disposition::NoRoom => self.ack.answer_ahead(),
            Disposition::Duplicate => self.ack.answer_old(now, self.rx.is_ahead()),
            Disposition::Ignore | Disposition::Malformed => return received.disposition,
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
        let (disposition, bytes) = self.rx.drain(&self.config, io, &mut self.events);
        self.figures.bytes_received += bytes;
        if disposition == Disposition::Violation {
            self.end(EndReason::Reset);
            return;
        }
        if self.rx.rcv_nxt() != before {
            self.ack.advance();
        }
        self.watch_stall(now, io);
    }

    /// A message that alone is larger than the ring would wait for ever.
    fn watch_stall(&mut self, now: Instant, io: &impl StreamIo) {
        let timer = FlowTimer::Stall;
        if !self.rx.is_stuck(io) {
            self.set_timer(timer, None);
        } else if self.timers[timer as usize].is_none() {
            self.set_timer(timer, Some(now + self.config.stall));
        }
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
