//! The recovery state of a connection: what stays when it is idle.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::flight::Flight;
use super::timers::{OFF, RecoveryTimers};
use crate::tcp::Connection;
use crate::tcp::connection::clock_ms;
use crate::tcp::send_buffer::SendBuffer;
use crate::time::{Duration, Instant};

/// Where recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) enum Phase {
    /// No loss is known.
    Open,
    /// Fast recovery (RFC 6582, RFC 6675, RFC 8985).
    Fast,
    /// After the retransmission timer expired (RFC 6298 §5.4 to 5.6).
    Loss,
}

/// Recovery state of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Recovery {
    pub(in crate::tcp) phase: Phase,
    /// Timeouts since the last progress, for R2.
    pub(in crate::tcp) retries: u8,
    /// Made when data is sent, dropped when nothing was in flight for a while.
    pub(in crate::tcp) flight: Option<Box<Flight>>,
    /// Segments delivered, SYN included.
    pub(in crate::tcp) delivered: u32,
    /// Made when something is sent again, is late, is marked, or comes to nothing.
    pub(in crate::tcp) trouble: Option<Box<Trouble>>,
}

/// What is kept of connections that lose, reorder, duplicate or wait in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Trouble {
    /// Segments delivered with congestion experienced.
    pub(in crate::tcp) delivered_ce: u32,
    /// Payload bytes sent again.
    pub(in crate::tcp) bytes_retrans: u64,
    /// Segments that the peer reported as duplicates (RFC 2883).
    pub(in crate::tcp) dsack_dups: u32,
    /// Times that reordering was seen.
    pub(in crate::tcp) reord_seen: u32,
    /// How far, in segments, the network was seen to reorder; 3 before it was.
    pub(in crate::tcp) reordering: u16,
    /// How long the peer's window held data back, and since when it does; `OFF`: it does not.
    pub(in crate::tcp) rwnd_limited: Duration,
    pub(in crate::tcp) rwnd_since: Instant,
    /// The same of the send buffer: all that it has room for has left, and the application has more.
    pub(in crate::tcp) sndbuf_limited: Duration,
    pub(in crate::tcp) sndbuf_since: Instant,
    /// Segments that arrived beyond a gap (tcpi_rcv_ooopack).
    pub(in crate::tcp) out_of_order: u32,
    /// Since when what is outstanding, or what waits for a window, made no progress; kept while a timer backs off, in ms.
    pub(in crate::tcp) stalled_ms: u32,
    /// Retransmission timeouts, and how often one was the first of a row.
    pub(in crate::tcp) timeouts: u16,
    pub(in crate::tcp) timeout_recoveries: u16,
    /// How long what followed of them took, and since when it does; 0: it is over.
    pub(in crate::tcp) timeout_ms: u32,
    timeout_since_ms: u32,
    /// A router on the path carries less than any segment of ours: it has to cut them (IPv4).
    pub(in crate::tcp) may_be_cut: bool,
}

impl Default for Trouble {
    fn default() -> Self {
        Self {
            delivered_ce: 0,
            bytes_retrans: 0,
            dsack_dups: 0,
            reord_seen: 0,
            reordering: REORDERING,
            rwnd_limited: Duration::ZERO,
            rwnd_since: OFF,
            sndbuf_limited: Duration::ZERO,
            sndbuf_since: OFF,
            out_of_order: 0,
            stalled_ms: 0,
            timeouts: 0,
            timeout_recoveries: 0,
            timeout_ms: 0,
            timeout_since_ms: 0,
            may_be_cut: false,
        }
    }
}

/// Reordering that every path is taken to have, in segments (tcp_reordering).
const REORDERING: u16 = 3;
/// The most reordering that is remembered, in segments (tcp_max_reordering).
const REORDERING_MAX: u32 = 300;

impl Connection {
    /// Getter: the sender's half, made if there is none.
    pub(in crate::tcp) fn flight_or_new(&mut self) -> &mut Flight {
        let next = self.snd.offset_of(self.snd.snd_max);
        self.recovery.flight.get_or_insert_with(|| Box::new(Flight::new(next)))
    }
}

impl Recovery {
    pub(in crate::tcp) fn new() -> Self {
        Self { phase: Phase::Open, retries: 0, flight: None, delivered: 0, trouble: None }
    }

    /// Command: nothing will be in flight any more.
    pub(in crate::tcp) fn let_go(&mut self) {
        self.flight = None;
        self.phase = Phase::Open;
    }

    /// Command: the connection is over; what is known of its flight stays for the figures.
    pub(in crate::tcp) fn stop_timers(&mut self) {
        if let Some(flight) = self.flight.as_deref_mut() {
            flight.timers = RecoveryTimers::new();
        }
    }

    /// Getter: the network was seen to reorder.
    pub(in crate::tcp) fn reorders(&self) -> bool {
        self.trouble.as_deref().is_some_and(|trouble| trouble.reord_seen > 0)
    }

    /// Getter: so much reordering was seen that segments which arrive out of order are nothing special.
    pub(in crate::tcp) fn reorders_much(&self) -> bool {
        self.trouble.as_deref().is_some_and(|trouble| trouble.reordering > REORDERING)
    }

    /// Getter: a tail loss probe is under way: the stall, if it is one, began before it.
    pub(in crate::tcp) fn probed(&self) -> bool {
        self.flight.as_deref().is_some_and(|flight| flight.tlp.is_under_way())
    }

    /// Getter: whether what was read back fits to `snd`; `synchronized`: data may be in flight.
    pub(in crate::tcp) fn is_valid(&self, snd: &SendBuffer, synchronized: bool) -> bool {
        let (una, max) = (snd.offset_of(snd.snd_una), snd.offset_of(snd.snd_max));
        match self.flight.as_deref() {
            Some(flight) => flight.is_valid(una, max),
            None => self.phase == Phase::Open && (!synchronized || una == max),
        }
    }
}

impl Trouble {
    /// Command: there is trouble, to be counted.
    pub(in crate::tcp) fn of(trouble: &mut Option<Box<Self>>) -> &mut Self {
        trouble.get_or_insert_default()
    }

    /// Input: a retransmission timeout; `first`: the one before was answered.
    pub(in crate::tcp) fn timed_out(&mut self, now: Instant, first: bool) {
        self.timeouts = self.timeouts.saturating_add(1);
        if first {
            self.timeout_recoveries = self.timeout_recoveries.saturating_add(1);
        }
        if self.timeout_since_ms == 0 {
            self.timeout_since_ms = clock_ms(now).max(1);
        }
    }

    /// Input: what a timeout began is over.
    pub(in crate::tcp) fn timeout_repaired(&mut self, now: Instant) {
        self.timeout_ms = self.timeout_ms_at(now);
        self.timeout_since_ms = 0;
    }

    /// Getter: how long repair after timeouts took, until now where it goes on.
    pub(in crate::tcp) fn timeout_ms_at(&self, now: Instant) -> u32 {
        match self.timeout_since_ms {
            0 => self.timeout_ms,
            since => self.timeout_ms.saturating_add(clock_ms(now).wrapping_sub(since)),
        }
    }

    /// Input: something arrived `distance` bytes behind what it was sent before.
    pub(in crate::tcp) fn reordered(&mut self, distance: u64, mss: u32) {
        self.reord_seen = self.reord_seen.saturating_add(1);
        let segments = distance.div_ceil(u64::from(mss)).min(u64::from(REORDERING_MAX));
        self.reordering = self.reordering.max(segments as u16);
    }
}
