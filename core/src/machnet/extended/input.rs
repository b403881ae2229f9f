//! Input: packets of the extended profile.

use crate::error::EndReason;
use crate::machnet::bits::Bits;
use crate::machnet::flow::Flow;
use crate::machnet::packet::{Disposition, FlowState, FlowTimer, PacketIn};
use crate::machnet::tx_window::{News, Spoken};
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::time::{Duration, Instant};
use crate::wire::machnet::{MachnetHeader, MsgFlags, NetFlags};

use super::WINDOW_PACKETS;
use super::clock::Echo;

/// Clocks tick in microseconds: two moments that are closer may be one.
const TICK: Duration = Duration::from_micros(1);

impl Flow {
    /// ACK, DATA or RST for a flow in the extended profile.
    pub(in crate::machnet) fn handle_extended(
        &mut self,
        now: Instant,
        packet: &PacketIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        let header = packet.header;
        let Some(extended) = &mut self.extended else { return Disposition::Ignore };
        let Some(echo) = extended.clock.judge(now, header.timestamp) else {
            reach!(MachnetBlind);
            return Disposition::Blind;
        };
        if header.net_flags == NetFlags::Rst {
            return self.on_extended_rst(header);
        }
        // What was never sent cannot be acknowledged, nor does a peer take so much back.
        let acked = header.ackno.wrapping_sub(self.tx.snd_una()).cast_signed();
        if acked > i32::from(self.tx.outstanding()) || acked < -i32::from(WINDOW_PACKETS) {
            return Disposition::Ignore;
        }
        if self.state == FlowState::SynReceived {
            // Nothing was sent but SYN-ACK, whose number only its receiver knows.
            if acked != 0 {
                return Disposition::Ignore;
            }
            self.complete(now);
        }
        let Some(extended) = &mut self.extended else { return Disposition::Ignore };
        let newest = extended.clock.hear(now, header.timestamp);
        extended.heard_at = now;
        self.retries = 0;
        let mut disposition = if acked > 0 { Disposition::Accept } else { Disposition::Duplicate };
        if acked >= 0 {
            self.take_acknowledgement(now, header, (echo, newest), io);
        }
        if header.net_flags == NetFlags::Data && self.state != FlowState::Closed {
            disposition = self.take_data(now, packet, io);
        }
        if self.state != FlowState::Closed {
            self.after_packet(now, header.msg_flags.contains(MsgFlags::ASK), io);
        }
        disposition
    }

    /// What is to be seen to after every packet.
    fn after_packet(&mut self, now: Instant, asked: bool, io: &impl StreamIo) {
        let opened = self.look_for_room(io);
        let Some(extended) = &mut self.extended else { return };
        if asked || opened {
            extended.ack.hurry();
        }
        let waits = extended.ack.is_waiting() && !extended.ack.is_due();
        if waits && self.timer(FlowTimer::Ack).is_none() {
            self.set_timer(FlowTimer::Ack, Some(now + self.config.ack_delay()));
        }
        self.finish_close();
        if self.state != FlowState::Closed {
            self.watch(now);
        }
    }

    /// What the packet says of those that we sent: it acknowledges no less than what we know. `newest`: no later one overtook it.
    fn take_acknowledgement(
        &mut self,
        now: Instant,
        header: &MachnetHeader,
        (echo, newest): (Echo, bool),
        io: &mut impl StreamIo,
    ) {
        let before = (self.tx.outstanding(), self.tx.delivered());
        let echoed_at = echo.rtt.map(|rtt| now - rtt);
        self.tx.told(echoed_at);
        let mut news = News::default();
        let packets = if header.ackno == self.tx.snd_una() {
            0
        } else {
            self.on_progress(now, header.ackno, &mut news, io)
        };
        let mut held = Bits(header.sack.words);
        held.set(0, false);
        self.tx.hold(now, Spoken { held, known: Bits::ALL }, &mut news);
        let from = self.tx.first_offset().unwrap_or(self.queue.next_offset());
        if newest && let Some(extended) = &mut self.extended {
            extended.peer.tell(header.sack.count, from);
        }
        self.take_extended_news(now, news, packets, before, echo);
        self.match_probe(echoed_at);
        self.detect_loss(now);
        if packets > 0 {
            self.watch_tail(now);
        }
    }

    /// The next packet waits, and the window is another one now, or a look has begun: it waits for `gap` at most.
    fn pace_anew(&mut self, now: Instant, gap: Option<Duration>) {
        let Some(gap) = gap else {
            self.on_pacing_timer();
            return self.set_timer(FlowTimer::Pacing, None);
        };
        let at = now + gap;
        if self.timer(FlowTimer::Pacing).is_some_and(|later| later > at) {
            self.set_timer(FlowTimer::Pacing, Some(at));
        }
    }

    fn take_extended_news(
        &mut self,
        now: Instant,
        news: News,
        packets: u16,
        (outstanding, delivered): (u16, u64),
        echo: Echo,
    ) {
        // Less than 2^16 packets can be outstanding.
        let arrived = (self.tx.delivered() - delivered) as u16;
        let Some(extended) = &mut self.extended else { return };
        if news.needless > 0 {
            reach!(MachnetNeedless);
            extended.swift.on_needless(news.needless);
            self.tx.acquit();
        }
        // A packet that brings no news may have waited for anything: its round trip is not one of ours.
        if arrived > 0
            && let Some(rtt) = echo.rtt
        {
            self.rto.sample(rtt);
            let used = 2 * outstanding >= extended.swift.packets();
            extended.swift.on_ack(now, arrived, rtt, &self.config.delays(), used);
            if extended.paced {
                let gap = extended.swift.gap(rtt);
                self.pace_anew(now, gap);
            }
        }
        if packets > 0 {
            if let Some(extended) = &mut self.extended
                && extended.swift.on_progress(self.tx.snd_una())
            {
                self.tx.recovered();
            }
            self.rto.progress();
            self.restart_rto(now);
        }
    }

    /// An answer that left after a probe arrived says what is missing of all that left before the probe.
    fn match_probe(&mut self, echoed_at: Option<Instant>) {
        let Some(extended) = &mut self.extended else { return };
        let answered = |at: Instant| echoed_at.is_some_and(|echoed| echoed + TICK >= at);
        if let Some(probe) = extended.probe.take_if(|probe| answered(probe.at)) {
            reach!(MachnetProbeAnswered);
            self.tx.overtaken_by(probe.order);
        }
    }

    fn take_data(
        &mut self,
        now: Instant,
        packet: &PacketIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        let header = packet.header;
        let flags = header.msg_flags.without(MsgFlags::ASK);
        let Some(extended) = self.extended.as_deref_mut() else { return Disposition::Ignore };
        let before = self.rx.rcv_nxt();
        let hole = self.rx.is_ahead();
        let place = (header.seqno, flags);
        let inbound = Some(&mut extended.inbound);
        let received =
            self.rx.data(&self.config, inbound, place, packet.payload, io, &mut self.events);
        self.figures.bytes_received += received.bytes;
        match received.disposition {
            Disposition::Accept if self.rx.rcv_nxt() != before && !hole => {
                let full = flags.contains(MsgFlags::MORE);
                extended.ack.note(full || packet.payload_len() >= usize::from(extended.payload));
            }
            Disposition::Accept | Disposition::NoRoom | Disposition::Duplicate => {
                extended.ack.hurry();
            }
            Disposition::Violation => self.end(EndReason::Reset),
            Disposition::Ignore
            | Disposition::Malformed
            | Disposition::Blind
            | Disposition::Forgotten => return received.disposition,
        }
        if self.is_finished_by_fin() {
            self.on_fin();
        }
        if self.state != FlowState::Closed {
            self.watch_stall(now, io);
            if self.rx.has_store() {
                self.touch(now);
            }
        }
        received.disposition
    }

    fn is_finished_by_fin(&self) -> bool {
        self.state != FlowState::Closed
            && self.extended.as_ref().is_some_and(|extended| extended.inbound.finished)
    }

    /// Input: the application has read or written.
    pub(in crate::machnet) fn handle_extended_app(&mut self, now: Instant, io: &mut impl StreamIo) {
        if self.state == FlowState::SynReceived {
            return;
        }
        self.drain(now, io);
        if self.is_finished_by_fin() {
            self.on_fin();
        }
        if self.state != FlowState::Closed {
            self.after_packet(now, false, io);
        }
    }

    /// A SYN for a flow that is open: its peer is told what the flow is at, and if it has forgotten that, answers with RST.
    pub(in crate::machnet) fn answer_syn(&mut self, header: &MachnetHeader) -> Disposition {
        let offered = self.config.agree(header.timestamp).is_some();
        match &mut self.extended {
            Some(extended) if offered && !planted::is(Bug::MachnetRebornIgnored) => {
                reach!(MachnetReborn);
                extended.ack.hurry();
                Disposition::Duplicate
            }
            Some(_) | None => Disposition::Ignore,
        }
    }

    /// The final acknowledgement of the handshake is due, or due again.
    pub(in crate::machnet) fn hurry(&mut self) {
        if let Some(extended) = &mut self.extended {
            extended.ack.hurry();
        }
    }

    /// Losses were found, by a timeout or by acknowledgements.
    pub(in crate::machnet) fn extended_loss(&mut self, now: Instant, timeout: bool) {
        let snd_nxt = self.tx.snd_nxt();
        let Some(extended) = &mut self.extended else { return };
        if timeout {
            extended.swift.on_timeout(now, snd_nxt);
            // Timeouts are far enough apart.
            extended.paced = false;
        } else {
            extended.swift.on_loss(now, self.rto.srtt(), snd_nxt);
        }
        self.set_timer(FlowTimer::Probe, None);
    }
}
