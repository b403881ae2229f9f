//! Receive-buffer autotuning: dynamic right-sizing (Fisk and Feng 2001), as Linux's tcp_rcv_space_adjust does it.
//!
//! What the application reads in a round trip is what the sender got through in the one before. The window is kept at twice that,
//! so that a loss does not stop the sender, and at more while it grows, so that a sender in slow start is never in its way. A receiver
//! knows its round trip from the timestamps that come back with full segments, and from how long a whole window takes.
//!
//! Nothing of this is done for each segment: once in a millisecond, when a whole window has arrived, and when 16 KiB more are
//! unread than last time is looked at. What a connection has use for, and what it holds, is settled with the account of all connections ([`super::ReceiveMemory`]), which may refuse.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::event::Events;
use super::mtu_probing::MtuSearch;
use super::options::{MSS_DEFAULT, TIMESTAMPS_LEN};
use super::receive_memory::ReceiveMemory;
use super::recv_buffer::AckDue;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::{Duration, Instant};
use crate::wire::tcp::Timestamps;

/// Between two looks; how much may become unread without one.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_BYTES: u64 = 16 << 10;
/// The share of a connection that has read nothing yet: TCP_INIT_CWND segments.
const SPACE_SEGMENTS: u32 = 10;

/// Attached with the first full segment, or once more has arrived than the least a connection is left; let go of when it is idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Autotune {
    /// When there is something to be seen again; with how many bytes that are unread; not before this byte.
    look_at: Instant,
    look_unread: u64,
    look_offset: u64,
    /// The receiver's estimate of the round trip, in eighths of a microsecond; 0 before the first sample.
    rcv_rtt_us_8: u32,
    /// The echo of the last sample: one sample each.
    last_echo: u32,
    /// A whole window will have arrived with this offset, beginning then.
    window_end: u64,
    window_since: Instant,
    /// Bytes that the application read in the best round trip so far (rcvq_space of Linux), and where the present one began.
    space: u32,
    space_from: u64,
    space_since: Instant,
    /// What the window should be; more than it is, if it may grow.
    wanted: u32,
    /// What the account of all connections holds for this one: bytes unread, or beyond a gap, above its floor.
    accounted: u32,
    /// The limit while it is choked is the floor; this is what it will be again.
    limit: Option<u32>,
}

impl Autotune {
    fn new(now: Instant, space: u32, consumed: u64) -> Self {
        Self {
            look_at: now,
            look_unread: 0,
            look_offset: 0,
            rcv_rtt_us_8: 0,
            last_echo: 0,
            window_end: 0,
            window_since: now,
            space: space.max(1),
            space_from: consumed,
            space_since: now,
            wanted: 0,
            accounted: 0,
            limit: None,
        }
    }

    /// tcp_rcv_rtt_update: smoothed from timestamps; from windows the least counts, as a window takes longer if the sender pauses.
    fn rtt_sample(&mut self, us: u32, of_window: bool) {
        let sample_8 = us.min(u32::MAX >> 3) << 3;
        self.rcv_rtt_us_8 = match (self.rcv_rtt_us_8, of_window) {
            (0, _) => sample_8,
            (old, true) => old.min(sample_8),
            (old, false) => old - (old >> 3) + (sample_8 >> 3),
        }
        .max(1);
    }

    /// A window is a round trip at least: tcp_rcv_rtt_measure.
    fn measure_window(&mut self, now: Instant, received: u64, rcv_wnd: u32) {
        if received < self.window_end {
            return;
        }
        if self.window_end > 0 {
            let us = now.saturating_since(self.window_since).as_micros().max(1);
            self.rtt_sample(u32::try_from(us).unwrap_or(u32::MAX), true);
        }
        self.window_end = received + u64::from(rcv_wnd);
        self.window_since = now;
    }

    /// Getter: the round trip in which reading is counted is over.
    #[inline]
    fn is_round_over(&self, now: Instant) -> bool {
        let us = u64::from(self.rcv_rtt_us_8 >> 3);
        us > 0 && now.saturating_since(self.space_since) >= Duration::from_micros(us)
    }

    /// tcp_rcv_space_adjust: `None`: the round trip is not over, or no more was read in it than in the best one so far. Else
    /// the window that the sender has use for.
    fn space_adjust(&mut self, now: Instant, consumed: u64, advmss: u32) -> Option<u64> {
        if !self.is_round_over(now) {
            return None;
        }
        let copied = consumed.saturating_sub(self.space_from);
        self.space_from = consumed;
        self.space_since = now;
        let more = copied.checked_sub(u64::from(self.space)).filter(|more| *more > 0)?;
        let window = copied.saturating_mul(2).saturating_add(16 * u64::from(advmss));
        let grow = window.saturating_mul(more) / u64::from(self.space);
        self.space = u32::try_from(copied).unwrap_or(u32::MAX);
        Some(window.saturating_add(grow.saturating_mul(2)))
    }

    /// With which byte a window will have arrived, or more be unread than may be without a look.
    fn look_again(&mut self, received: u64, unread: u64) {
        let more = self.look_unread.saturating_sub(unread);
        self.look_offset = received.saturating_add(more).min(self.window_end);
    }

    /// Getter: whether what was read back can be. What it says of the account is bounded by a window.
    pub(in crate::tcp) fn is_valid(&self) -> bool {
        self.space > 0 && self.accounted <= 1 << 30
    }
}

impl Connection {
    /// Input: `len` bytes arrived in order. Cheap unless something is to be seen.
    #[inline(always)]
    pub(in crate::tcp) fn tune_receive(
        &mut self,
        now: Instant,
        timestamps: Option<Timestamps>,
        len: u32,
        io: &impl StreamIo,
    ) {
        let received = self.rcv.anchor.offset;
        let due = match self.rcv.autotune.as_deref() {
            Some(tune) => now >= tune.look_at || received >= tune.look_offset,
            None => len >= u32::from(MSS_DEFAULT) || received > u64::from(self.config.tcp_rmem[0]),
        };
        if due {
            self.look_at_receive(now, timestamps, len, io);
        }
    }

    #[inline(never)]
    fn look_at_receive(
        &mut self,
        now: Instant,
        timestamps: Option<Timestamps>,
        len: u32,
        io: &impl StreamIo,
    ) {
        let (received, rcv_wnd) = (self.rcv.anchor.offset, self.rcv.rcv_wnd());
        let unread = received.saturating_sub(io.rx_consumed());
        if let Some(tune) = self.rcv.autotune.as_deref_mut()
            && now < tune.look_at
            && received < tune.window_end
            && unread < tune.look_unread
        {
            // The application has read meanwhile.
            tune.look_again(received, unread);
            return;
        }
        let echo = timestamps.filter(|_| self.options.timestamps).map(|t| t.echo);
        let rtt_us =
            echo.map(|echo| u64::from(self.timestamp(now).wrapping_sub(echo).max(1)) * 1_000);
        let full = u32::from(self.rcv.rcv_mss.max(MSS_DEFAULT)).min(self.options.mss());
        let tune = self.attach_autotune(now, io);
        tune.look_at = now + LOOK;
        if let (Some(echo), Some(us)) = (echo, rtt_us)
            && echo != tune.last_echo
        {
            tune.last_echo = echo;
            // An echo of more than half an hour ago is none of ours.
            if let Some(us) = u32::try_from(us).ok().filter(|us| *us < 1 << 31 && len >= full) {
                tune.rtt_sample(us, false);
            }
        }
        tune.measure_window(now, received, rcv_wnd);
        self.adjust_receive_space(now, io);
    }

    fn attach_autotune(&mut self, now: Instant, io: &impl StreamIo) -> &mut Autotune {
        let space = match self.rcv.autotune {
            Some(_) => 0,
            None => self.receive_space_initial(),
        };
        self.rcv
            .autotune
            .get_or_insert_with(|| Box::new(Autotune::new(now, space, io.rx_consumed())))
    }

    /// tcp_init_buffer_space.
    fn receive_space_initial(&self) -> u32 {
        let segments = SPACE_SEGMENTS * self.advmss();
        segments.min(self.rcv.limit_told(self.options.rcv_wscale)).max(1)
    }

    /// Getter: what we tell the peer to send at most, less the options that it will carry (tcpi_advmss).
    pub(in crate::tcp) fn advmss(&self) -> u32 {
        let options = if self.options.timestamps { TIMESTAMPS_LEN } else { 0 };
        let path = self.seldom.mtu_search().map_or(self.options.mss_ip, MtuSearch::path);
        let announced = path.min(self.config.max_segment_or_all());
        u32::from(announced.saturating_sub(options))
    }

    /// Getter: what the application has read may change something.
    #[inline]
    pub(in crate::tcp) fn has_receive_news(&self, now: Instant) -> bool {
        let news = |tune: &Autotune| tune.accounted > 0 || tune.is_round_over(now);
        self.rcv.choked || self.rcv.autotune.as_deref().is_some_and(news)
    }

    /// Input: the application has read, or bytes have arrived: whether a round trip is over, and what it says.
    pub(in crate::tcp) fn adjust_receive_space(&mut self, now: Instant, io: &impl StreamIo) {
        let (advmss, most) = (self.advmss(), self.config.receive_tuned_max());
        let floor = u64::from(self.config.tcp_rmem[0]);
        let held = self.rcv.held(io);
        let (received, consumed) = (self.rcv.anchor.offset, io.rx_consumed());
        let Some(tune) = self.rcv.autotune.as_deref_mut() else { return };
        if let Some(window) = tune.space_adjust(now, consumed, advmss)
            && !planted::is(Bug::FixedWindow)
        {
            tune.wanted = u32::try_from(window).unwrap_or(u32::MAX).min(most);
        }
        let unread = received.saturating_sub(consumed);
        tune.look_unread = unread.max(floor).saturating_add(LOOK_BYTES);
        tune.look_again(received, unread);
        let grows = tune.wanted > tune.limit.unwrap_or(self.rcv.buffer_max);
        if grows || tune.accounted > 0 || held > floor || self.rcv.choked {
            self.events.raise(Events::MEMORY);
        }
    }

    /// Input: bytes lie beyond a gap, or were refused: what is held may have to be told.
    pub(crate) fn note_receive_memory(&mut self, now: Instant, io: &impl StreamIo) {
        let span = self.rcv.stored_end().saturating_sub(io.rx_consumed());
        if span > u64::from(self.config.tcp_rmem[0]) || self.rcv.choked {
            self.attach_autotune(now, io);
            self.events.raise(Events::MEMORY);
        }
    }

    /// Getter: one past the last byte that a choked connection takes.
    pub(in crate::tcp) fn receive_floor_end(&self, io: &impl StreamIo) -> u64 {
        match planted::is(Bug::ChokedTakesNothing) {
            true => 0,
            false => io.rx_consumed() + u64::from(self.config.tcp_rmem[0]),
        }
    }

    /// Getter: [`Connection::settle_memory`] is to be called. Said once.
    #[inline]
    pub fn takes_memory_news(&mut self) -> bool {
        self.events.take(Events::MEMORY)
    }

    /// Command: [`Connection::settle_memory`], if it is to be called.
    #[inline]
    pub fn settle_memory_news(&mut self, memory: &mut ReceiveMemory, io: &impl StreamIo) {
        if self.takes_memory_news() {
            self.settle_memory(memory, io);
        }
    }

    /// Command: tells `memory` what the connection holds, and takes what it leaves: a greater window, if one is of use; or no
    /// more than the floor (tcp_rmem's first number), if the connection holds more than what is free for all.
    /// What lies beyond a gap is given up first then: it was only promised by SACK, which may take back (RFC 2018 §8).
    pub fn settle_memory(&mut self, memory: &mut ReceiveMemory, io: &impl StreamIo) {
        let floor = self.config.tcp_rmem[0];
        let beyond = |held: u64| u32::try_from(held).unwrap_or(u32::MAX).saturating_sub(floor);
        let mut held = beyond(self.rcv.held(io));
        let Some(tune) = self.rcv.autotune.as_deref_mut() else { return };
        memory.exchange(tune.accounted, held);
        if u64::from(held) > memory.free()
            && let Some(assembler) = self.rcv.assembler.as_deref_mut()
        {
            let keep = io.rx_consumed() + u64::from(floor);
            assembler.discard_from(keep.max(self.rcv.anchor.offset));
            let left = beyond(self.rcv.held(io));
            memory.exchange(held, left);
            held = left;
        }
        let Some(tune) = self.rcv.autotune.as_deref_mut() else { return };
        tune.accounted = held;
        self.rcv.choked = u64::from(held) > memory.free() && !planted::is(Bug::MemoryWithoutLimit);
        let limit = tune.limit.unwrap_or(self.rcv.buffer_max);
        // Of what is free, one connection may be promised as much as stays for the others.
        let free = u32::try_from(memory.free()).unwrap_or(u32::MAX).saturating_add(floor);
        let limit = limit.max(tune.wanted.min(free));
        tune.limit = self.rcv.choked.then_some(limit);
        self.rcv.buffer_max = if self.rcv.choked { limit.min(floor) } else { limit };
        if self.state.may_receive() && self.rcv.window_update_due(self.options.rcv_wscale, io) {
            self.rcv.ack_due = AckDue::Now;
        }
    }

    /// Command: nothing is held any more: the connection is over, or goes on elsewhere.
    pub fn release_memory(&self, memory: &mut ReceiveMemory) {
        memory.exchange(self.receive_accounted(), 0);
    }

    /// Command: a connection that was read back brings what it holds along.
    pub fn bring_memory(&self, memory: &mut ReceiveMemory) {
        memory.exchange(0, self.receive_accounted());
    }

    fn receive_accounted(&self) -> u32 {
        self.rcv.autotune.as_deref().map_or(0, |tune| tune.accounted)
    }

    /// Command: the application set SO_RCVBUF or TCP_WINDOW_CLAMP.
    pub(in crate::tcp) fn follow_receive_setting(&mut self) {
        let set = match self.config.rcv_buffer {
            0 => self.rcv.buffer_max.min(self.config.receive_max()),
            _ => self.config.receive_max(),
        };
        match self.rcv.autotune.as_deref_mut() {
            Some(tune) => {
                tune.wanted = 0;
                match &mut tune.limit {
                    Some(limit) => *limit = set,
                    None => self.rcv.buffer_max = set,
                }
            }
            None => self.rcv.buffer_max = set,
        }
    }

    /// Command: nothing was in flight for a while: what was learnt of the receiver's round trips is out of date.
    pub(in crate::tcp) fn let_go_of_autotune(&mut self) {
        if self.receive_accounted() == 0 && !self.rcv.choked {
            self.rcv.autotune = None;
        }
    }

    /// Getter: tcpi_rcv_rtt and tcpi_rcv_space.
    pub(in crate::tcp) fn receive_figures(&self) -> (Duration, u32) {
        match self.rcv.autotune.as_deref() {
            Some(tune) => (Duration::from_micros(u64::from(tune.rcv_rtt_us_8 >> 3)), tune.space),
            None => (Duration::ZERO, self.receive_space_initial()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn timestamps_are_smoothed_and_of_windows_the_least_counts() {
        let mut tune = Autotune::new(Instant::ZERO, 14_600, 0);
        tune.rtt_sample(100_000, false);
        assert_eq!(tune.rcv_rtt_us_8 >> 3, 100_000);
        tune.rtt_sample(20_000, false);
        assert_eq!(tune.rcv_rtt_us_8 >> 3, 90_000);
        tune.rtt_sample(200_000, true);
        assert_eq!(tune.rcv_rtt_us_8 >> 3, 90_000, "the sender had paused");
        tune.rtt_sample(40_000, true);
        assert_eq!(tune.rcv_rtt_us_8 >> 3, 40_000);
    }

    #[test]
    fn a_window_is_twice_what_was_read_in_a_round_trip_and_more_while_that_grows() {
        let mut tune = Autotune::new(Instant::ZERO, 10_000, 0);
        let at = |ms: u64| Instant::ZERO + MS.saturating_mul(ms);
        assert_eq!(tune.space_adjust(at(50), 20_000, 1_000), None, "no round trip is known");
        tune.rtt_sample(50_000, false);
        assert_eq!(tune.space_adjust(at(49), 20_000, 1_000), None, "it is not over");
        // 2 x 20,000 + 16,000, and twice as much again as was read more than before.
        assert_eq!(tune.space_adjust(at(50), 20_000, 1_000), Some(56_000 * 3));
        assert_eq!(tune.space_adjust(at(100), 40_000, 1_000), None, "as much as before");
        assert_eq!(tune.space_adjust(at(150), 65_000, 1_000), Some(66_000 + 66_000 / 4 * 2));
    }

    #[test]
    fn a_window_that_has_arrived_is_a_round_trip() {
        let mut tune = Autotune::new(Instant::ZERO, 10_000, 0);
        tune.measure_window(Instant::ZERO + MS, 1_000, 60_000);
        tune.measure_window(Instant::ZERO + MS.saturating_mul(30), 60_999, 60_000);
        assert_eq!(tune.rcv_rtt_us_8, 0, "a byte is missing");
        tune.measure_window(Instant::ZERO + MS.saturating_mul(31), 61_000, 60_000);
        assert_eq!(tune.rcv_rtt_us_8 >> 3, 30_000);
    }
}
