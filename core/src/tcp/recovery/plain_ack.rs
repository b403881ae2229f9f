//! An acknowledgement that makes progress while nothing is out of the ordinary: nearly all. It comes to what
//! [`Connection::take_ack`] comes to, without asking what could be.

use super::flight::Flight;
use super::sent::{Marks, Sent};
use crate::port::StreamIo;
use crate::tcp::congestion::{AckPhase, AckSample};
use crate::tcp::connection::{Connection, clock_ms};
use crate::tcp::event::Events;
use crate::tcp::seq::SeqNumber;
use crate::time::{Duration, Instant};

/// What it delivered.
struct Delivered {
    bytes: u32,
    segments: u32,
    /// When the first segment left.
    first: Instant,
    /// The record that left last.
    newest: Sent,
}

impl Flight {
    /// Getter: everything below `una`, which is not beyond `max`, was sent once, and nothing else is known of it.
    #[inline]
    fn is_fresh_below(&self, una: u64) -> bool {
        let known = Marks::SACKED | Marks::LOST | Marks::RETRANS | Marks::EVER;
        for record in self.sent.iter() {
            if record.marks.has(known) {
                return false;
            }
            if record.end >= una {
                break;
            }
        }
        self.sacked.is_empty() && self.lost.is_empty() && self.again.is_empty()
    }

    /// Input: like [`Flight::acknowledge`], where [`Flight::is_fresh_below`] `una`.
    #[inline]
    fn acknowledge_fresh(&mut self, una: u64, mss: u32) -> Delivered {
        let bytes = (una - self.una) as u32;
        let (mut newest, left) = self.sent.take_below(una).unwrap_or_default();
        let first = newest.xmit_time;
        let mut segments = newest.segments_before(left, mss);
        while newest.end < una
            && let Some((record, left)) = self.sent.take_below(una)
        {
            segments += record.segments_before(left, mss);
            newest = record;
        }
        self.una = una;
        self.fack = self.fack.max(una);
        self.rack.judged = self.rack.judged.max(una);
        Delivered { bytes, segments, first, newest }
    }
}

impl Connection {
    /// Input: an acknowledgement of `ack`, beyond `snd_una` and not beyond `snd_max`, without blocks, in the phase in which nothing
    /// is lost; the last of `acks` that made progress at this moment. False: it is not that simple, and nothing happened.
    #[inline]
    pub(in crate::tcp) fn take_plain_ack(
        &mut self,
        now: Instant,
        ack: SeqNumber,
        acks: u32,
        io: &mut impl StreamIo,
    ) -> bool {
        let mss = self.options.mss();
        let una = self.snd.offset_of(ack);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return false };
        if self.snd.fin_sent() || !flight.is_plain() || !flight.is_fresh_below(una) {
            return false;
        }
        let in_flight_before = flight.outstanding();
        let acked = self.snd.acknowledge(ack, io);
        let delivered = flight.acknowledge_fresh(una, mss);
        self.recovery.retries = 0;
        self.recovery.delivered = self.recovery.delivered.wrapping_add(delivered.segments);
        let newest = &delivered.newest;
        let path = now.saturating_since(newest.xmit_time);
        self.rtt.path_sample(path, clock_ms(now));
        let rtt = now.saturating_since(delivered.first);
        self.rtt.sample(rtt, self.snd.snd_una, self.snd.snd_max, &self.config);
        let min_rtt = self.rtt.min_rtt();
        flight.rate.deliver(now, delivered.bytes, newest, min_rtt);
        // A timeout goes by the round trip of now (RFC 8985 §6.3), not by that of the last trouble.
        flight.rack.took(path);
        let in_flight = flight.outstanding();
        self.tell_plain_ack(now, (acked, acks), &delivered, path, in_flight_before, in_flight);
        self.has_room(now);
        self.events.raise(Events::WRITABLE);
        self.restart_timers(now);
        true
    }

    #[inline]
    fn tell_plain_ack(
        &mut self,
        now: Instant,
        (acked_bytes, acks): (u32, u32),
        delivered: &Delivered,
        path: Duration,
        in_flight_before: u32,
        in_flight: u32,
    ) {
        let before = self.congestion.window();
        self.congestion.on_ack(&AckSample {
            now,
            phase: AckPhase::Open,
            acked_bytes,
            progress_bytes: acked_bytes,
            acks,
            delivered_bytes: delivered.bytes,
            lost_bytes: 0,
            in_flight_before,
            in_flight,
            mss: self.options.mss(),
            rtt: Some(path),
            srtt: self.rtt.srtt(),
            min_rtt: self.rtt.min_rtt(),
            snd_una: self.snd.snd_una,
            snd_max: self.snd.snd_max,
            delivered_seq: self.snd.snd_una,
            ece: false,
            cwnd_limited: self.snd.cwnd_limited,
        });
        if before != self.congestion.window() {
            self.events.raise(Events::CONGESTION);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_twice_or_is_held_or_lost_does_not_go_the_short_way() {
        let mut flight = Flight::new(0);
        let at = Instant::from_nanos;
        for end in [1_000, 2_000, 3_000] {
            flight.push(at(5), end, false);
        }
        assert!(flight.is_fresh_below(3_000));
        for mark in [Marks::EVER, Marks::SACKED, Marks::LOST, Marks::RETRANS] {
            let mut other = flight.clone();
            if let Some(record) = other.sent.get_mut(1) {
                record.marks.set(mark);
            }
            assert!(other.is_fresh_below(1_000), "{mark}: it lies beyond");
            assert!(!other.is_fresh_below(1_001), "{mark}");
        }
    }

    #[test]
    fn the_newest_is_the_last_one_below_or_the_part_of_it_that_is() {
        let mut flight = Flight::new(0);
        for (end, at) in [(1_000, 5), (4_000, 7)] {
            flight.push(Instant::from_nanos(at), end, false);
        }
        let delivered = flight.acknowledge_fresh(3_500, 1_000);
        assert_eq!((delivered.bytes, delivered.segments), (3_500, 3), "of the last one a half");
        assert_eq!(delivered.first, Instant::from_nanos(5));
        assert_eq!(delivered.newest.xmit_time, Instant::from_nanos(7));
        assert!(flight.is_valid(3_500, 4_000));
    }
}
