//! The extended profile (docs/machnet.md): what a flow between two Causeways has that one with upstream does not.
//!
//! All of it is one attachment of the flow. Packet windows, RACK and the retransmission timer are the flow's own.

mod clock;
mod close;
mod delayed_ack;
mod inbound;
mod input;
mod outbound;
mod output;
mod peer_window;
mod swift;
mod timers;

use serde::{Deserialize, Serialize};

use clock::Clock;
use delayed_ack::DelayedAck;
pub(super) use inbound::Inbound;
use outbound::Outbound;
pub use outbound::PREFIX_LEN_MAX;
use peer_window::PeerWindow;
use swift::Swift;
pub(super) use timers::EXTENDED_TIMERS;

use super::config::Config;
use super::flow::Flow;
use super::rx_window::{RxLimits, RxWindow};
use super::tx_window::TxWindow;
use crate::port::StreamIo;
use crate::time::{Duration, Instant};
use crate::wire::machnet::{Offer, PAYLOAD_OFFER_MAX, PAYLOAD_OFFER_MIN};

/// Packets of either window: as many as the selective acknowledgement can speak of.
pub(super) const WINDOW_PACKETS: u16 = 256;

/// What the extended profile adds to a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extended {
    /// The most payload bytes of a packet, agreed in the handshake.
    payload: u16,
    clock: Clock,
    ack: DelayedAck,
    peer: PeerWindow,
    swift: Swift,
    pub(super) inbound: Inbound,
    outbound: Outbound,
    room: Room,
    /// A packet is due that asks for an answer.
    asking: bool,
    /// Questions in a row after a window that stays closed.
    questions: u8,
    /// One that left behind everything else, and was not answered.
    probe: Option<Probe>,
    fin_sent: bool,
    /// The peer's FIN is to be acknowledged, by a flow that has ended with it.
    pub(super) last_ack: bool,
    /// The next packet waits for the pacing timer.
    paced: bool,
    /// When the peer was heard last.
    heard_at: Instant,
    pub(super) timers: [Option<Instant>; EXTENDED_TIMERS],
}

/// A packet without a number that tells by its answer what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Probe {
    /// Its place among all transmissions.
    order: u64,
    at: Instant,
}

/// What the receive ring takes, as it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Room {
    /// Bytes may be stored below this.
    limit: u64,
    /// All that it may hold.
    capacity: u64,
    /// The application has too many messages to take.
    crowded: bool,
    /// Where the window ended that the peer was told last.
    told: u64,
}

impl Room {
    /// Bytes behind `next` that the peer may send.
    const fn window(&self, next: u64) -> u64 {
        if self.crowded { 0 } else { self.limit.saturating_sub(next) }
    }
}

impl Extended {
    /// A flow agreed on `offer` at `now`, when its clock shows `clock_start`.
    pub(super) fn new(now: Instant, config: &Config, offer: Offer, clock_start: u32) -> Self {
        Self {
            payload: offer.payload,
            clock: Clock::new(clock_start, now),
            ack: DelayedAck::default(),
            peer: PeerWindow::new(),
            swift: Swift::new(config.window_initial),
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            room: Room::default(),
            asking: false,
            questions: 0,
            probe: None,
            fin_sent: false,
            last_ack: false,
            paced: false,
            heard_at: now,
            timers: [None; EXTENDED_TIMERS],
        }
    }

    /// Command: the clock shows `start` now. Nothing was sent that tells of it.
    pub(super) fn start_clock(&mut self, now: Instant, start: u32) {
        self.clock = Clock::new(start, now);
    }

    /// The window that packets are sent in, for a flow whose SYN or SYN-ACK had the number `iss`.
    pub(super) const fn tx_window(iss: u32) -> TxWindow {
        TxWindow::with_limit(iss, WINDOW_PACKETS)
    }

    /// The window that packets are taken in.
    pub(super) const fn rx_window(&self, rcv_nxt: u32) -> RxWindow {
        RxWindow::with_limits(rcv_nxt, self.rx_limits())
    }

    const fn rx_limits(&self) -> RxLimits {
        RxLimits { packets: WINDOW_PACKETS, payload: self.payload }
    }

    /// Getter: the congestion window and the threshold of its growth, in bytes. None was found while it starts.
    pub(super) fn window_bytes(&self) -> (u32, u32) {
        let bytes = self.swift.bytes(self.payload);
        let all = u32::from(WINDOW_PACKETS) * u32::from(self.payload);
        (bytes, if self.swift.is_starting() { all } else { bytes })
    }

    /// The handshake's packet was sent once, and answered after so long.
    pub(super) fn on_handshake(&mut self, now: Instant, took: Duration) {
        self.swift.on_handshake(now, took);
    }

    /// Packets with so many lengths of packed messages were acknowledged.
    pub(super) fn drop_lengths(&mut self, count: u32) {
        if count > 0 {
            self.outbound.drop_lengths(count);
        }
    }

    /// A packet was sent again.
    pub(super) const fn sent_again(&mut self) {
        self.swift.sent_again();
    }

    /// The flow has ended: nothing more is asked, and no timer runs.
    pub(super) fn end(&mut self) {
        self.asking = false;
        self.probe = None;
        self.timers = [None; EXTENDED_TIMERS];
    }

    /// Gives back what only packets under way need.
    pub(super) fn rest(&mut self) {
        self.outbound.rest();
    }
}

impl Flow {
    /// Command: where the clock of the extended profile begins, which nobody may guess. To be called once, before anything else.
    pub fn start_clock(&mut self, now: Instant, start: u32) {
        self.clock_start = start;
        if let Some(extended) = &mut self.extended {
            extended.start_clock(now, start);
        }
    }

    /// Command: packets of the peer come with this time to live. Only the extended profile makes use of it.
    pub fn note_ttl(&mut self, ttl: u8) {
        if let Some(extended) = &mut self.extended {
            extended.swift.note_ttl(ttl);
        }
    }

    /// Getter: routers between the peer and here, as its packets tell.
    #[cfg(test)]
    pub(crate) fn hops(&self) -> Option<u8> {
        self.extended.as_ref().map(|extended| extended.swift.hops())
    }

    /// Looks how much room there is. True when the peer should hear of it without being asked: a window of less than a packet, or than
    /// half the ring, became greater.
    pub(super) fn look_for_room(&mut self, io: &impl StreamIo) -> bool {
        let Some(extended) = &mut self.extended else { return false };
        let (limit, capacity, crowded, next) = self.rx.room(io);
        let room = &mut extended.room;
        (room.limit, room.capacity, room.crowded) = (limit, capacity, crowded);
        let (told, now) = (room.told.saturating_sub(next), room.window(next));
        let passed = |edge: u64| told < edge && now >= edge;
        passed(extended.payload.into()) || passed(capacity / 2) || (told == 0 && now > 0)
    }

    /// Consistency of a state read back, of what the extended profile has.
    pub(super) fn is_valid_extended(&self, extended: &Extended) -> bool {
        let Extended { payload, swift, inbound, outbound, .. } = extended;
        (PAYLOAD_OFFER_MIN..=PAYLOAD_OFFER_MAX).contains(payload)
            && self.tx.limit() == WINDOW_PACKETS
            && self.tx.is_sound(self.queue.next_offset(), (0, *payload))
            && self.queue.is_valid_extended(&self.config)
            && self.rx.limits() == extended.rx_limits()
            && swift.is_valid()
            && inbound.is_valid(self.rx.assembly(), &self.config)
            && outbound.is_valid(self.tx.lengths())
            && extended.probe.is_none_or(|probe| self.tx.has_order(probe.order))
    }
}
