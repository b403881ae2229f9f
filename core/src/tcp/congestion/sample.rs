//! What congestion control is told: plain values, filled by the input and by recovery.

use crate::tcp::seq::SeqNumber;
use crate::time::{Duration, Instant};

/// Where recovery stood when an acknowledgement arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckPhase {
    /// No loss is known.
    Open,
    /// Fast recovery is on. Window-based algorithms leave the window to it; those that have a model of the path learn
    /// from the sample.
    Recovery,
    /// Slow start after the retransmission timer expired.
    Loss,
}

/// What one acknowledgement that moved something says. For each of them, in and out of recovery.
///
/// Bytes are of the sequence space that data takes; "in flight" is what is believed to be in the network:
/// sent, not delivered, not lost (pipe of RFC 6675).
#[derive(Clone, Copy, Debug)]
pub struct AckSample {
    /// When it arrived.
    pub now: Instant,
    /// Where recovery stands.
    pub phase: AckPhase,
    /// Bytes that the acknowledgement number newly covers.
    pub acked_bytes: u32,
    /// Acknowledgements that came at one moment and are told of together; the round trip is that of each.
    pub acks: u32,
    /// Bytes that the window may grow by: newly known to have arrived with an acknowledgement number that advanced, or on a path
    /// that reorders. What earlier acknowledgements told of out of order counts no more, though the number covers it only now.
    pub progress_bytes: u32,
    /// Bytes newly known to have arrived: newly covered and not selectively acknowledged before, or newly
    /// selectively acknowledged.
    pub delivered_bytes: u32,
    /// Bytes newly believed lost since the last sample.
    pub lost_bytes: u32,
    /// Bytes in flight before this acknowledgement.
    pub in_flight_before: u32,
    /// Bytes in flight after it.
    pub in_flight: u32,
    /// Sender maximum segment size in bytes (RFC 5681 §2).
    pub mss: u32,
    /// The round trip that this acknowledgement measured, if it measured one.
    pub rtt: Option<Duration>,
    /// Smoothed round-trip time, zero before the first sample.
    pub srtt: Duration,
    /// The least round-trip time of the path as far as is known, zero before the first sample.
    pub min_rtt: Duration,
    /// SND.UNA after it.
    pub snd_una: SeqNumber,
    /// One past the highest sequence number ever sent.
    pub snd_max: SeqNumber,
    /// One past the last byte of the segment that was sent last, of those that are newly delivered.
    pub delivered_seq: SeqNumber,
    /// The peer echoes congestion (ECE of RFC 3168 §6.1.3). The bytes of this sample count as marked.
    pub ece: bool,
    /// The window, and not the application or the peer, limited what was sent (RFC 7661).
    pub cwnd_limited: bool,
}

/// A data segment leaves.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When.
    pub now: Instant,
    /// Its first sequence number.
    pub seq: SeqNumber,
    /// One past its last.
    pub next: SeqNumber,
    /// Payload bytes.
    pub len: u32,
    /// Bytes in flight before it.
    pub in_flight: u32,
    /// The congestion window in bytes.
    pub cwnd: u32,
    /// Sender maximum segment size in bytes.
    pub mss: u32,
    /// Smoothed round-trip time, zero before the first sample.
    pub srtt: Duration,
    /// It was sent before.
    pub again: bool,
    /// The application has written more that was never sent, and the peer's window has room for it.
    pub more_waits: bool,
}

/// What left at once, a segment or a burst, is believed lost.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// When that was noticed.
    pub now: Instant,
    /// One past its last byte.
    pub end: SeqNumber,
    /// Its bytes.
    pub len: u32,
    /// Bytes in flight without it.
    pub in_flight: u32,
    /// Sender maximum segment size in bytes.
    pub mss: u32,
}

/// Something went wrong on the path, or is over.
#[derive(Clone, Copy, Debug)]
pub struct LossEvent {
    /// When that was noticed.
    pub now: Instant,
    /// Bytes sent and not acknowledged (FlightSize of RFC 5681 §2).
    pub flight: u32,
    /// Sender maximum segment size in bytes.
    pub mss: u32,
    /// SND.UNA.
    pub snd_una: SeqNumber,
    /// One past the highest sequence number ever sent.
    pub snd_max: SeqNumber,
}
