//! Packetization layer path MTU discovery (RFC 4821, RFC 8899), for paths that swallow what is too big without a word: segments
//! become smaller when nothing else gets through, and probes made of real data find out what does. Its settings, and when it
//! does what, are those of Linux (tcp_mtu_probing).

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::options::MSS_MIN;
use super::output::{Sendable, TxLimits};
use super::recovery::{Phase, Resend, Sent};
use super::seq::SeqNumber;
use super::timer::TimerReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::time::{Duration, Instant};

/// When the path is probed (tcp_mtu_probing, with Linux's numbers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MtuProbing {
    /// 0: never; only ICMP says what is too big.
    #[default]
    Off,
    /// 1: once timeouts say that the path swallows big segments.
    OnBlackHole,
    /// 2: from the beginning, with segments of the base size (RFC 4821 §7.2).
    Always,
}

impl MtuProbing {
    /// Linux's number; `None` for any other.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Off),
            1 => Some(Self::OnBlackHole),
            2 => Some(Self::Always),
            _ => None,
        }
    }
}

/// Timeouts of one segment after which its size may be why (tcp_retries1; RFC 4821 §7.7).
const BLACK_HOLE_TIMEOUTS: u8 = 3;
/// A probe's loss must not empty the window: there are that many segments at least (Linux).
const CWND_SEGMENTS_MIN: u32 = 11;

/// The search: sizes are bytes behind a bare TCP header, as in [`TxLimits::mss_ip`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct MtuSearch {
    /// What the path carries, as far as is known.
    low: u16,
    /// What it may carry: what the way out and the peer take, less what got lost.
    high: u16,
    /// What the way out takes.
    path: u16,
    /// The probe under way; 0 for none. It is `probe_start .. probe_end` of the stream.
    probe: u16,
    probe_start: u64,
    probe_end: u64,
    /// When the search began.
    since: Instant,
}

impl MtuSearch {
    const fn begin(now: Instant, low: u16, high: u16, path: u16) -> Self {
        let low = if low < high { low } else { high };
        Self { low, high, path, probe: 0, probe_start: 0, probe_end: 0, since: now }
    }

    /// Getter: the size that a probe would have.
    const fn middle(&self) -> u16 {
        self.low + (self.high - self.low) / 2
    }

    /// Getter: where in the stream the probe under way begins and ends.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::tcp) fn probed(&self) -> Option<(u64, u64)> {
        (self.probe > 0).then_some((self.probe_start, self.probe_end))
    }

    /// Getter: bytes that the way out takes.
    pub(in crate::tcp) const fn path(&self) -> u16 {
        self.path
    }

    const fn holds(&self, start: u64, end: u64) -> bool {
        self.probe > 0 && start < self.probe_end && end > self.probe_start
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        self.low <= self.high
            && (self.probe == 0 || (self.low..=self.high).contains(&self.probe))
            && self.probe_start <= self.probe_end
            && self.probe_end < 1 << 62
    }
}

impl Connection {
    /// Command: the connection is established. Where probing is always on it begins with segments of the base size.
    pub(in crate::tcp) fn start_mtu_search(&mut self, now: Instant) {
        if self.config.mtu_probing == MtuProbing::Always {
            self.begin_mtu_search(now, self.config.base_mss);
        }
    }

    /// `payload` is what is known to pass.
    fn begin_mtu_search(&mut self, now: Instant, payload: u16) {
        let path = self.options.mss_ip;
        let high = path.min(self.options.peer_mss);
        let low = payload.saturating_add(self.options.each_segment_len());
        let search = MtuSearch::begin(now, low, high, path);
        self.options.mss_ip = search.low;
        self.seldom.set_mtu_search(search);
    }

    /// Getter: what segments may take, where the way out takes `path`: to be asked before each is made.
    #[cold]
    pub(in crate::tcp) fn searched_mss_ip(&mut self, path: u16) -> u16 {
        let una = self.snd.anchor.offset;
        let Some(search) = self.seldom.mtu_search_mut() else { return path };
        search.path = path;
        if path < search.high {
            search.high = path;
            search.low = search.low.min(path);
            search.probe = 0;
        }
        if search.probe > 0 && una >= search.probe_end {
            search.low = search.probe;
            search.probe = 0;
        }
        path.min(search.low)
    }

    /// Output: a probe, where one is due and the windows let it out with enough behind it that its loss shows (RFC 4821 §7.4).
    #[cold]
    pub(in crate::tcp) fn transmit_mtu_probe(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Resend {
        let mss = self.options.mss();
        let each = self.options.each_segment_len();
        let cwnd = self.congestion.cwnd();
        let records = self.recovery.flight.as_deref().is_some_and(|f| !f.records.is_empty());
        let calm =
            self.recovery.phase == Phase::Open && cwnd >= CWND_SEGMENTS_MIN * mss && !records;
        let calm = calm && !planted::is(Bug::NoMtuProbes);
        let Some(search) = self.seldom.mtu_search().filter(|search| calm && search.probe == 0)
        else {
            return Resend::Nothing;
        };
        if search.high - search.low < self.config.probe_threshold {
            self.search_again(now);
            return Resend::Nothing;
        }
        let size = search.middle();
        let len = u32::from(size.saturating_sub(each));
        let reordering = self.recovery.trouble.as_deref().map_or(3, |t| u32::from(t.reordering));
        let needed = len + (reordering + 1) * mss;
        let start = self.snd.offset_of(self.snd.snd_max);
        let waiting = self.snd.end(io).saturating_sub(start);
        if len <= mss || waiting < u64::from(needed) || self.snd.snd_wnd < needed {
            return Resend::Nothing;
        }
        if self.snd.fin_sent() || self.is_urgent() || self.is_cwr_due() || self.current_mss() < mss
        {
            return Resend::Nothing;
        }
        let in_flight = self.snd.outstanding();
        let pipe = self.pipe(mss);
        if self.snd.snd_wnd - in_flight.min(self.snd.snd_wnd) < needed || pipe + 2 * mss > cwnd {
            // What is under way makes room. With nothing under way nothing is to be waited for.
            return if in_flight > 0 { Resend::Wait } else { Resend::Nothing };
        }
        let small = self.snd.snd_sml;
        let sendable = Sendable::part(len);
        let mut segment = self.transmit_new(now, sendable, limits, io);
        // One packet, however much a NIC would like to cut it; nor is it a small one that others have to wait for.
        segment.gso_size = 0;
        reach!(MtuProbe);
        self.snd.snd_sml = small;
        if let Some(search) = self.seldom.mtu_search_mut() {
            search.probe = size;
            (search.probe_start, search.probe_end) = (start, start + u64::from(len));
        }
        Resend::Segment(segment)
    }

    /// Paths change: after a while the search begins again from what is known to pass (tcp_probe_interval).
    fn search_again(&mut self, now: Instant) {
        let interval = Duration::from_secs(u64::from(self.config.probe_interval_s));
        let peer_mss = self.options.peer_mss;
        if let Some(search) = self.seldom.mtu_search_mut()
            && now.saturating_since(search.since) >= interval
        {
            *search = MtuSearch::begin(now, search.low, search.path.min(peer_mss), search.path);
        }
    }

    /// Input: something was found lost. True if it is the probe alone: it was too big, is sent again at once in pieces, and says
    /// nothing about the network's load (RFC 4821 §7.6.2). With other losses the probe says nothing at all.
    #[cold]
    pub(in crate::tcp) fn mtu_probe_lost(&mut self) -> bool {
        let Some(search) = self.seldom.mtu_search_mut().filter(|search| search.probe > 0) else {
            return false;
        };
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return false };
        let (start, end) = (search.probe_start, search.probe_end);
        let alone = flight.una == start && flight.lost.back().is_some_and(|last| *last < end);
        if alone {
            reach!(MtuProbeLost);
            search.high = search.probe - 1;
        }
        search.probe = 0;
        if !alone || planted::is(Bug::ProbeLossIsCongestion) {
            return false;
        }
        flight.lose_range(start, end);
        flight.blameless();
        self.recovery.phase = Phase::Loss;
        true
    }

    /// Input: a router says of the segment at `seq`, which was a probe, that it was too big, and that `mss_ip` is not.
    pub(in crate::tcp) fn mtu_probe_too_big(
        &mut self,
        now: Instant,
        seq: SeqNumber,
        mss_ip: u16,
    ) -> bool {
        let start = self.snd.offset_of(seq);
        let Some(search) = self.seldom.mtu_search_mut().filter(|s| s.holds(start, start + 1))
        else {
            return false;
        };
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return false };
        search.high = mss_ip.min(search.probe - 1).max(search.low);
        search.probe = 0;
        flight.lose_range(search.probe_start, search.probe_end);
        flight.blameless();
        self.recovery.phase = Phase::Loss;
        self.timers.set(TimerReason::Retransmit, now + self.rto());
        true
    }

    /// Input: `record` is sent again. Whatever becomes of it now says nothing about the size of a probe.
    pub(in crate::tcp) fn mtu_probe_resent(&mut self, record: &Sent) {
        if let Some(search) = self.seldom.mtu_search_mut()
            && search.holds(record.start(), record.end)
        {
            search.probe = 0;
        }
    }

    /// Input: the retransmission timer expired, and the segment at `snd_una` was sent `retries` times without an answer: from the
    /// third time on it may be too big (RFC 4821 §7.7). Segments of the base size follow, then of half of what they had.
    #[cold]
    pub(in crate::tcp) fn suspect_black_hole(&mut self, now: Instant) {
        let off = self.config.mtu_probing == MtuProbing::Off;
        let unseen = planted::is(Bug::BlackHoleUnseen);
        if off || unseen || self.recovery.retries < BLACK_HOLE_TIMEOUTS {
            return;
        }
        let mss = self.options.mss();
        let each = self.options.each_segment_len();
        let front = self.recovery.flight.as_deref().and_then(|flight| flight.sent.front());
        let sent = front.map_or(0, |record| record.len).min(mss);
        let next = match self.seldom.mtu_search() {
            None => self.config.base_mss,
            Some(search) => (search.low.saturating_sub(each) / 2).min(self.config.base_mss),
        };
        let next = next.max(MSS_MIN);
        if sent <= u32::from(next) {
            // It was small enough before.
            return;
        }
        reach!(BlackHole);
        match self.seldom.mtu_search_mut() {
            None => self.begin_mtu_search(now, next),
            Some(search) => {
                search.low = (next + each).min(search.high);
                search.probe = 0;
                self.options.mss_ip = search.low;
            }
        }
    }
}
