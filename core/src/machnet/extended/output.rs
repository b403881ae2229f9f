//! Output: packets of the extended profile. Each of them acknowledges.

use causeway_checksum::Implementation;

use super::outbound::CRC_LEN;
use super::{Extended, Probe, peer_window};
use crate::machnet::flow::Flow;
use crate::machnet::message::Fragment;
use crate::machnet::packet::{FlowState, FlowTimer, PacketOut, Trailer};
use crate::machnet::tx_window::{Framing, Transmission};
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::Instant;
use crate::wire::machnet::{MachnetHeader, MsgFlags, NetFlags, SackField};

impl Flow {
    /// Getter: there is a packet to send.
    pub(in crate::machnet) fn has_extended_output(&self, extended: &Extended) -> bool {
        self.rsts_due > 0
            || extended.last_ack
            || self.state != FlowState::Closed
                && (self.handshake_due
                    || self.is_open() && (extended.asking || extended.ack.is_due())
                    || self.can_send_extended(extended))
    }

    fn can_send_extended(&self, extended: &Extended) -> bool {
        let room = || self.tx.has_room(extended.swift.packets());
        self.is_open()
            && !extended.paced
            && (self.tx.has_urgent() || room() && (self.tx.has_lost() || self.can_send_new()))
    }

    /// The handshake is over, and the end has not come.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, FlowState::Established | FlowState::Closing)
    }

    /// There is something new to send, and the peer's window takes it.
    pub(super) fn can_send_new(&self) -> bool {
        let Some(extended) = &self.extended else { return false };
        let fits = || extended.outbound.fits(&self.queue, extended.payload, extended.peer.end());
        self.tx.has_number() && (self.is_fin_due() || fits())
    }

    /// Output: the next packet.
    pub(in crate::machnet) fn transmit_extended(&mut self, now: Instant) -> Option<PacketOut> {
        if self.rsts_due > 0 {
            self.rsts_due = 0;
            return self.extended_bare(now, NetFlags::Rst, MsgFlags::NONE);
        }
        let extended = self.extended.as_deref_mut()?;
        if self.state == FlowState::Closed {
            let due = core::mem::take(&mut extended.last_ack);
            return due.then(|| self.extended_bare(now, NetFlags::Ack, MsgFlags::NONE))?;
        }
        if self.handshake_due {
            return Some(self.handshake_packet(now));
        }
        let asking = extended.asking;
        let sends = self.extended.as_deref().is_some_and(|e| self.can_send_extended(e));
        if sends && let Some(packet) = self.extended_data(now) {
            return Some(packet);
        }
        let due = self.extended.as_ref().is_some_and(|e| e.ack.is_due());
        if !self.is_open() || !asking && !due {
            return None;
        }
        if asking && !self.tx.is_empty() {
            let order = self.tx.take_order();
            self.set_probe(Probe { order, at: now });
        }
        let flags = if asking { MsgFlags::ASK } else { MsgFlags::NONE };
        self.extended_bare(now, NetFlags::Ack, flags)
    }

    fn set_probe(&mut self, probe: Probe) {
        if let Some(extended) = &mut self.extended {
            extended.probe = Some(probe);
        }
    }

    fn extended_data(&mut self, now: Instant) -> Option<PacketOut> {
        let (sent, again) = match self.take_lost(now) {
            Some(sent) => (sent, true),
            None => (self.take_new(now)?, false),
        };
        self.figures.bytes_sent += u64::from(sent.len);
        self.pace(now);
        self.watch_tail(now);
        let extended = self.extended.as_deref_mut()?;
        let Transmission { seqno, offset, len, flags, framing } = sent;
        let prefix_len = extended.outbound.put_prefix(flags, &framing);
        let last = flags.contains(MsgFlags::LAST);
        let begins = flags.contains(MsgFlags::FIRST);
        let crc = if begins { 0 } else { extended.outbound.crc };
        let trailer = match (last, again) {
            _ if flags == MsgFlags::FIN => Trailer::None,
            (true, true) => Trailer::Known(framing.crc),
            (true, false) => Trailer::Ends(crc),
            (false, true) => Trailer::None,
            (false, false) => Trailer::Continues(crc),
        };
        // With a window of one packet or less nothing comes behind it that would make the peer answer; nor does when we close.
        let lonely = extended.swift.packets() < 2;
        let ending = self.closing && self.queue.is_empty();
        let ask = if extended.asking || lonely || ending { MsgFlags::ASK } else { MsgFlags::NONE };
        let header = MachnetHeader {
            msg_flags: flags.with(ask),
            ..self.extended_header(now, NetFlags::Data, seqno)?
        };
        if self.timer(FlowTimer::Retransmission).is_none() {
            self.restart_rto(now);
        }
        Some(PacketOut { header, payload_offset: offset, payload_len: len, prefix_len, trailer })
    }

    /// A new packet: of messages, or FIN.
    fn take_new(&mut self, now: Instant) -> Option<Transmission> {
        if !self.tx.has_number() {
            return None;
        }
        let fin = self.is_fin_due();
        let extended = self.extended.as_deref_mut()?;
        let (fragment, framing) = if fin {
            extended.fin_sent = true;
            let offset = self.queue.next_offset();
            (Fragment { offset, len: 0, flags: MsgFlags::FIN, message: 0 }, Framing::default())
        } else {
            extended.outbound.cut(&mut self.queue, extended.payload, extended.peer.end())?
        };
        let sent = self.tx.send_framed(now, fragment, framing);
        self.touch(now);
        Some(sent)
    }

    /// With a window below one packet the next one waits.
    fn pace(&mut self, now: Instant) {
        let gap = self.extended.as_ref().and_then(|e| e.swift.gap(self.rto.srtt()));
        if let (Some(gap), Some(extended)) = (gap, &mut self.extended) {
            extended.paced = true;
            self.set_timer(FlowTimer::Pacing, Some(now + gap.min(self.config.rto_max)));
        }
    }

    /// A packet without payload.
    fn extended_bare(
        &mut self,
        now: Instant,
        kind: NetFlags,
        flags: MsgFlags,
    ) -> Option<PacketOut> {
        let header = self.extended_header(now, kind, self.tx.snd_nxt())?;
        Some(PacketOut::bare(MachnetHeader { msg_flags: flags, ..header }))
    }

    /// The header of a packet, which acknowledges all that is here.
    fn extended_header(
        &mut self,
        now: Instant,
        kind: NetFlags,
        seqno: u32,
    ) -> Option<MachnetHeader> {
        let (next, rcv_nxt) = (self.rx.next_offset(), self.rx.rcv_nxt());
        let extended = self.extended.as_deref_mut()?;
        let mut header = MachnetHeader::new(kind, seqno, rcv_nxt);
        header.timestamp = extended.clock.field(now);
        if kind != NetFlags::Rst {
            let mut held = self.rx.held();
            if planted::is(Bug::MachnetSackOffByOne) {
                held.shift(1);
            }
            held.set(0, false);
            let count = peer_window::encode(extended.room.window(next));
            header.sack = SackField { words: held.0, count };
            extended.room.told = next + peer_window::decode(count);
            extended.ack.sent();
            extended.asking = false;
            self.set_timer(FlowTimer::Ack, None);
        }
        Some(header)
    }

    /// Getter: the bytes that stand between the header of `packet`, the last one that [`Flow::poll_transmit`] gave, and its payload.
    pub fn prefix(&self, packet: &PacketOut) -> &[u8] {
        self.extended.as_ref().map_or(&[], |e| e.outbound.prefix.first(packet.prefix_len))
    }

    /// Command: `packet`, the last one that [`Flow::poll_transmit`] gave, was written. `crc` is the CRC-32C that its trailer asks
    /// for, continued over its payload.
    pub fn note_written(&mut self, packet: &PacketOut, crc: u32) {
        let Some(extended) = &mut self.extended else { return };
        match packet.trailer {
            Trailer::None | Trailer::Known(_) => {}
            Trailer::Continues(_) => extended.outbound.crc = crc,
            Trailer::Ends(_) => self.tx.note_crc(packet.header.seqno, crc),
        }
    }

    /// Command: `packet` does not leave, and counts as lost.
    pub fn skip(&mut self, packet: &PacketOut, io: &impl StreamIo) {
        let (Trailer::Continues(crc) | Trailer::Ends(crc)) = packet.trailer else { return };
        let crc = ring_crc(self.config.checksum, crc, packet, io);
        self.note_written(packet, crc);
    }
}

/// The CRC of a packet's payload, where the packet has no frame to be copied into.
fn ring_crc(checksum: Implementation, crc: u32, packet: &PacketOut, io: &impl StreamIo) -> u32 {
    let mut bytes = [0; 256];
    let end = packet.payload_offset + u64::from(packet.payload_len);
    let (mut at, mut crc) = (packet.payload_offset, crc);
    while at < end {
        let part = &mut bytes[..(end - at).min(256) as usize];
        io.tx_copy_out_sum(at, part);
        crc = checksum.crc32c(crc, part);
        at += part.len() as u64;
    }
    crc
}

impl PacketOut {
    /// Getter: bytes behind the header.
    pub fn body_len(&self) -> usize {
        let trailer = match self.trailer {
            Trailer::None | Trailer::Continues(_) => 0,
            Trailer::Ends(_) | Trailer::Known(_) => CRC_LEN,
        };
        usize::from(self.prefix_len) + usize::from(self.payload_len) + trailer
    }
}
