//! What an operator or an application can set about a connection.

use serde::{Deserialize, Serialize};

use super::congestion::Algorithm;
use super::ecn::EcnMode;
use super::fast_open::setting;
use super::mtu_probing::MtuProbing;
use super::options::MSS_MIN;
use crate::planted::{self, Bug};
use crate::socket::MtuDiscover;
use crate::time::Duration;

/// Settings of connections. Made by [`ConfigBuilder`]; a connection keeps its own copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    pub(in crate::tcp) rto_ms_initial: u32,
    pub(in crate::tcp) rto_ms_min: u32,
    pub(in crate::tcp) rto_ms_max: u32,
    pub(in crate::tcp) delayed_ack_ms: u32,
    pub(in crate::tcp) time_wait_ms: u32,
    pub(in crate::tcp) fin_wait2_ms: u32,
    pub(in crate::tcp) keepalive_idle_ms: u32,
    pub(in crate::tcp) keepalive_interval_ms: u32,
    pub(in crate::tcp) rcv_wnd_initial: u32,
    pub(in crate::tcp) keepalive_probes: u8,
    pub(in crate::tcp) retries_max: u8,
    pub(in crate::tcp) syn_retries_max: u8,
    pub(in crate::tcp) syn_ack_retries_max: u8,
    pub(in crate::tcp) timestamps_required: bool,
    pub(in crate::tcp) fin_ack_delayed: bool,
    pub(in crate::tcp) window_scale: u8,
    pub(in crate::tcp) window_scaling: bool,
    pub(in crate::tcp) timestamps: bool,
    pub(in crate::tcp) sack: bool,
    pub(in crate::tcp) nodelay: bool,
    pub(in crate::tcp) congestion: Algorithm,
    /// Socket options, see [`super::set_option`].
    pub(in crate::tcp) keepalive: bool,
    pub(in crate::tcp) cork: bool,
    pub(in crate::tcp) oob_inline: bool,
    pub(in crate::tcp) fast_open_connect: bool,
    /// TCP_MAXSEG, 0 for none.
    pub(in crate::tcp) max_segment: u16,
    /// SO_LINGER in seconds.
    pub(in crate::tcp) linger_s: Option<u16>,
    /// TCP_USER_TIMEOUT, 0 for none.
    pub(in crate::tcp) user_timeout_ms: u32,
    pub(in crate::tcp) defer_accept_s: u32,
    /// TCP_NOTSENT_LOWAT, `u32::MAX` for none.
    pub(in crate::tcp) notsent_lowat: u32,
    /// TCP_WINDOW_CLAMP, 0 for none.
    pub(in crate::tcp) window_clamp: u32,
    /// SO_RCVBUF, 0 for what the rings give.
    pub(in crate::tcp) rcv_buffer: u32,
    /// SO_SNDBUF, 0 for what the rings give.
    pub(in crate::tcp) snd_buffer: u32,
    /// TCP_FASTOPEN of a listener.
    pub(in crate::tcp) fast_open_queue: u32,
    /// Bits of tcp_fastopen, and tcp_fastopen_key.
    pub(in crate::tcp) fast_open: u16,
    pub(in crate::tcp) fast_open_keys: [Option<[u8; 16]>; 2],
    /// SO_MAX_PACING_RATE in bytes a second, `u64::MAX` for none.
    pub(in crate::tcp) max_pacing_rate: u64,
    /// Least, first and greatest receive buffer in bytes; `u32::MAX` of the second for what the rings give.
    pub(in crate::tcp) tcp_rmem: [u32; 3],
    pub(in crate::tcp) moderate_rcvbuf: bool,
    /// IP_TOS or IPV6_TCLASS without its ECN bits, and IP_TTL or IPV6_UNICAST_HOPS, 0 for the default.
    pub(in crate::tcp) traffic_class: u8,
    pub(in crate::tcp) hops: u8,
    pub(in crate::tcp) mtu_discover: MtuDiscover,
    pub(in crate::tcp) slow_start_after_idle: bool,
    pub(in crate::tcp) ecn: EcnMode,
    pub(in crate::tcp) ecn_fallback: bool,
    pub(in crate::tcp) pacing: bool,
    pub(in crate::tcp) burst_segments_min: u8,
    pub(in crate::tcp) mtu_probing: MtuProbing,
    pub(in crate::tcp) base_mss: u16,
    pub(in crate::tcp) probe_threshold: u16,
    pub(in crate::tcp) probe_interval_s: u32,
}

/// Why a [`ConfigBuilder`] refuses to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigError {
    /// A retransmission timeout of zero or over 120 s, or a minimum or a first one above the maximum.
    RtoRange,
    /// The delayed acknowledgement may be at most 500 ms (RFC 9293 MUST-40).
    DelayedAckRange,
    /// A span that is zero or over 2^32 ms.
    SpanRange,
    /// A window scale above 14 (RFC 7323 §2.3).
    WindowScaleRange,
    /// An initial receive window below 536 or above 65,535 bytes.
    WindowRange,
    /// A number of retries of zero.
    RetriesRange,
    /// A base size below 48 bytes.
    BaseMssRange,
    /// Receive buffers of less than 4,096 bytes, or not in ascending order.
    ReceiveBufferRange,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rto_ms_initial: 1_000,
            rto_ms_min: 200,
            rto_ms_max: 120_000,
            delayed_ack_ms: 40,
            time_wait_ms: 60_000,
            fin_wait2_ms: 60_000,
            keepalive_idle_ms: 7_200_000,
            keepalive_interval_ms: 75_000,
            rcv_wnd_initial: 65_535,
            keepalive_probes: 9,
            retries_max: 15,
            syn_retries_max: 6,
            syn_ack_retries_max: 5,
            timestamps_required: false,
            fin_ack_delayed: false,
            window_scale: 8,
            window_scaling: true,
            timestamps: true,
            sack: true,
            nodelay: false,
            congestion: Algorithm::Cubic,
            keepalive: planted::is(Bug::KeepaliveByDefault),
            cork: false,
            oob_inline: false,
            fast_open_connect: false,
            max_segment: 0,
            linger_s: None,
            user_timeout_ms: 0,
            defer_accept_s: 0,
            notsent_lowat: u32::MAX,
            window_clamp: 0,
            rcv_buffer: 0,
            snd_buffer: 0,
            fast_open_queue: 0,
            fast_open: setting::CLIENT,
            fast_open_keys: [None; 2],
            max_pacing_rate: u64::MAX,
            tcp_rmem: [4_096, u32::MAX, u32::MAX],
            moderate_rcvbuf: true,
            traffic_class: 0,
            hops: 0,
            mtu_discover: MtuDiscover::Want,
            slow_start_after_idle: true,
            ecn: EcnMode::Accept,
            ecn_fallback: true,
            pacing: false,
            burst_segments_min: 2,
            mtu_probing: MtuProbing::Off,
            base_mss: 1_024,
            probe_threshold: 8,
            probe_interval_s: 600,
        }
    }
}

impl Config {
    /// The builder, with every setting at its default.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder { config: Self::default(), error: None }
    }

    /// Getter: true when small segments are sent without waiting (TCP_NODELAY).
    pub const fn nodelay(&self) -> bool {
        self.nodelay
    }

    /// Getter: the congestion control of whoever is opened with these settings.
    pub const fn congestion(&self) -> Algorithm {
        self.congestion
    }

    /// Getter: the first, the least and the greatest retransmission timeout.
    pub const fn rto(&self) -> [Duration; 3] {
        [
            Duration::from_millis(self.rto_ms_initial as u64),
            Duration::from_millis(self.rto_ms_min as u64),
            Duration::from_millis(self.rto_ms_max as u64),
        ]
    }

    /// Getter: true when connections that are idle are probed (SO_KEEPALIVE).
    pub const fn keepalive(&self) -> bool {
        self.keepalive
    }

    /// Getter: timestamps are offered (RFC 7323 §3).
    pub const fn offers_timestamps(&self) -> bool {
        self.timestamps
    }

    /// Getter: whether a larger MTU is searched for by probes.
    pub const fn mtu_probing(&self) -> MtuProbing {
        self.mtu_probing
    }

    /// Getter: the DS field of the packets' IP headers; its ECN bits are zero (IP_TOS, IPV6_TCLASS).
    pub const fn traffic_class(&self) -> u8 {
        self.traffic_class
    }

    /// Getter: time to live or hop limit of the packets (IP_TTL, IPV6_UNICAST_HOPS), where the application has set one.
    pub const fn hops(&self) -> Option<u8> {
        if self.hops == 0 { None } else { Some(self.hops) }
    }

    /// Getter: how the path MTU is discovered (IP_MTU_DISCOVER).
    pub const fn mtu_discover(&self) -> MtuDiscover {
        self.mtu_discover
    }

    /// Getter: most bytes a second (SO_MAX_PACING_RATE); `u64::MAX` for no limit.
    pub const fn max_pacing_rate(&self) -> u64 {
        self.max_pacing_rate
    }

    /// Getter: most bytes that may lie unread, or be promised: SO_RCVBUF and TCP_WINDOW_CLAMP, `u32::MAX` for neither.
    pub(in crate::tcp) fn receive_max(&self) -> u32 {
        let set = [self.rcv_buffer, self.window_clamp].into_iter().filter(|bytes| *bytes > 0);
        set.min().unwrap_or(u32::MAX)
    }

    /// Getter: what the receive buffer begins with: what was set, else half of tcp_rmem's default (as with Linux's
    /// tcp_adv_win_scale of 1), and a little for the rounding of the window scale; `u32::MAX` for what the rings give.
    pub(in crate::tcp) fn receive_initial(&self) -> u32 {
        if self.rcv_buffer > 0 || self.tcp_rmem[1] == u32::MAX {
            return self.receive_max();
        }
        let slack = 4 << self.window_scale_offered();
        self.receive_max().min(self.tcp_rmem[1] / 2 + slack)
    }

    /// Getter: what autotuning may come to: half of tcp_rmem's greatest; 0 where it is switched off, or locked by SO_RCVBUF.
    pub(in crate::tcp) fn receive_tuned_max(&self) -> u32 {
        if !self.moderate_rcvbuf || self.rcv_buffer > 0 {
            return 0;
        }
        let most = if self.tcp_rmem[2] == u32::MAX { u32::MAX } else { self.tcp_rmem[2] / 2 };
        if self.window_clamp == 0 { most } else { most.min(self.window_clamp) }
    }

    /// Getter: the bits of tcp_fastopen.
    pub const fn fast_open_bits(&self) -> u16 {
        self.fast_open & setting::ALL
    }

    /// Command: TCP_FASTOPEN_NO_COOKIE.
    pub(in crate::tcp) const fn set_fast_open_without_cookie(&mut self, on: bool) {
        self.fast_open &= !setting::SOCKET_NO_COOKIE;
        if on {
            self.fast_open |= setting::SOCKET_NO_COOKIE;
        }
    }

    /// Getter: a listener's queue of connections that took data from a SYN; 0: it takes none. `backlog` is the listener's.
    pub(crate) fn fast_open_queue(&self, backlog: u32) -> u32 {
        match (self.fast_open & setting::SERVER != 0, self.fast_open & setting::SERVER_ALL != 0) {
            (false, _) => 0,
            (true, true) if self.fast_open_queue == 0 => backlog,
            (true, _) => self.fast_open_queue,
        }
    }

    /// Getter: data of a SYN is taken with a cookie only.
    pub(crate) const fn fast_open_needs_cookie(&self) -> bool {
        self.fast_open & (setting::SERVER_NO_COOKIE | setting::SOCKET_NO_COOKIE) == 0
    }

    /// Getter: an active open with these settings uses Fast Open, and (second) sends data without a cookie, too.
    pub(crate) const fn fast_open_client(&self) -> (bool, bool) {
        let on = self.fast_open_connect && self.fast_open & setting::CLIENT != 0;
        (on, self.fast_open & (setting::CLIENT_NO_COOKIE | setting::SOCKET_NO_COOKIE) != 0)
    }

    /// Getter: tcp_fastopen_key.
    pub(crate) const fn fast_open_key_set(&self) -> [Option<[u8; 16]>; 2] {
        self.fast_open_keys
    }

    /// Getter: the window scale to offer: no more than a receive buffer of the application's choice needs.
    pub(in crate::tcp) fn window_scale_offered(&self) -> u8 {
        let mut shift = 0;
        while shift < self.window_scale && self.receive_max() >> shift > 65_535 {
            shift += 1;
        }
        shift
    }

    /// Getter: TCP_MAXSEG.
    pub(in crate::tcp) const fn max_segment_or_all(&self) -> u16 {
        if self.max_segment == 0 { u16::MAX } else { self.max_segment }
    }

    pub(in crate::tcp) fn check(&self) -> Result<(), ConfigError> {
        let rto = 1..=120_000;
        if ![self.rto_ms_initial, self.rto_ms_min, self.rto_ms_max]
            .iter()
            .all(|ms| rto.contains(ms))
            || self.rto_ms_min.max(self.rto_ms_initial) > self.rto_ms_max
        {
            return Err(ConfigError::RtoRange);
        }
        if self.delayed_ack_ms > 500 {
            return Err(ConfigError::DelayedAckRange);
        }
        if self.time_wait_ms == 0 || self.keepalive_idle_ms == 0 || self.keepalive_interval_ms == 0
        {
            return Err(ConfigError::SpanRange);
        }
        if self.window_scale > 14 {
            return Err(ConfigError::WindowScaleRange);
        }
        if !(536..=65_535).contains(&self.rcv_wnd_initial) {
            return Err(ConfigError::WindowRange);
        }
        if self.base_mss < MSS_MIN {
            return Err(ConfigError::BaseMssRange);
        }
        let counts = [
            self.retries_max,
            self.syn_retries_max,
            self.syn_ack_retries_max,
            self.keepalive_probes,
        ];
        if counts.contains(&0) {
            return Err(ConfigError::RetriesRange);
        }
        if self.tcp_rmem[0] < 4_096 || !self.tcp_rmem.is_sorted() {
            return Err(ConfigError::ReceiveBufferRange);
        }
        Ok(())
    }
}

/// Collects settings; [`ConfigBuilder::build`] validates them together.
#[derive(Clone, Debug)]
pub struct ConfigBuilder {
    config: Config,
    error: Option<ConfigError>,
}

impl ConfigBuilder {
    fn millis(&mut self, span: Duration) -> u32 {
        u32::try_from(span.as_millis()).unwrap_or_else(|_| {
            self.error = Some(ConfigError::SpanRange);
            0
        })
    }

    /// Retransmission timeout before the first sample. Default 1 s (RFC 6298 §2.1), 1 ms to 120 s, at most [`Self::rto_max`].
    #[must_use]
    pub fn rto_initial(mut self, span: Duration) -> Self {
        self.config.rto_ms_initial = self.millis(span);
        self
    }

    /// Least retransmission timeout. Default 200 ms, 1 ms to 120 s. Lower recovers sooner from the
    /// loss of a whole flight and retransmits needlessly when the peer delays acknowledgements.
    #[must_use]
    pub fn rto_min(mut self, span: Duration) -> Self {
        self.config.rto_ms_min = self.millis(span);
        self
    }

    /// Greatest retransmission timeout, backoff included. Default 120 s, 1 ms to 120 s.
    #[must_use]
    pub fn rto_max(mut self, span: Duration) -> Self {
        self.config.rto_ms_max = self.millis(span);
        self
    }

    /// How long an acknowledgement waits for company, at least: where that is in vain the wait grows, to a round trip and 199 ms at
    /// most. Default 40 ms, 0 (none waits) to 500 ms.
    #[must_use]
    pub fn delayed_ack(mut self, span: Duration) -> Self {
        self.config.delayed_ack_ms = self.millis(span);
        self
    }

    /// 2 MSL, the time spent in TIME-WAIT. Default 60 s, at least 1 ms.
    #[must_use]
    pub fn time_wait(mut self, span: Duration) -> Self {
        self.config.time_wait_ms = self.millis(span);
        self
    }

    /// How long a closed connection waits in FIN-WAIT-2 for the peer's FIN (tcp_fin_timeout). Default
    /// 60 s; zero does not wait at all (TCP_LINGER2 below zero).
    #[must_use]
    pub fn fin_wait2(mut self, span: Duration) -> Self {
        self.config.fin_wait2_ms = self.millis(span);
        self
    }

    /// Whether silent peers are probed (SO_KEEPALIVE). Default false (RFC 9293 MUST-25).
    #[must_use]
    pub fn keepalive(mut self, on: bool) -> Self {
        self.config.keepalive = on;
        self
    }

    /// Silence after which probes begin where keepalive is on (TCP_KEEPIDLE). Default 2 hours, at least 1 ms.
    #[must_use]
    pub fn keepalive_idle(mut self, span: Duration) -> Self {
        self.config.keepalive_idle_ms = self.millis(span);
        self
    }

    /// Time between keepalive probes (TCP_KEEPINTVL). Default 75 s, at least 1 ms.
    #[must_use]
    pub fn keepalive_interval(mut self, span: Duration) -> Self {
        self.config.keepalive_interval_ms = self.millis(span);
        self
    }

    /// Unanswered keepalive probes before giving up (TCP_KEEPCNT). Default 9, at least 1.
    #[must_use]
    pub fn keepalive_probes(mut self, probes: u8) -> Self {
        self.config.keepalive_probes = probes;
        self
    }

    /// Retransmissions of data before giving up (R2 of RFC 9293 §3.8.3; tcp_retries2). Default 15, at least 1.
    #[must_use]
    pub fn retries_max(mut self, retries: u8) -> Self {
        self.config.retries_max = retries;
        self
    }

    /// Retransmissions of a SYN,ACK before a half-open connection is given up (tcp_synack_retries). Default 5, at least 1.
    #[must_use]
    pub fn syn_ack_retries_max(mut self, retries: u8) -> Self {
        self.config.syn_ack_retries_max = retries;
        self
    }

    /// Whether segments without a timestamp are dropped where both sides have agreed on timestamps (RFC 7323 §3.2 "SHOULD").
    /// Default false, as on Linux: boxes on the way, and keepalives of some peers, leave them out.
    #[must_use]
    pub fn timestamps_required(mut self, on: bool) -> Self {
        self.config.timestamps_required = on;
        self
    }

    /// Milliseconds that data or probes may stay unacknowledged before the connection ends (TCP_USER_TIMEOUT, RFC 5482).
    /// Default zero: [`ConfigBuilder::retries_max`] and [`ConfigBuilder::keepalive_probes`] decide.
    #[must_use]
    pub fn user_timeout(mut self, span: Duration) -> Self {
        self.config.user_timeout_ms = self.millis(span);
        self
    }

    /// Retransmissions of a SYN before giving up (tcp_syn_retries). Default 6, at least 1.
    #[must_use]
    pub fn syn_retries_max(mut self, retries: u8) -> Self {
        self.config.syn_retries_max = retries;
        self
    }

    /// The window scale shift that we ask for. Default 8 (windows up to 16 MiB), 0 to 14. Greater
    /// allows more memory and makes the window's steps coarser.
    #[must_use]
    pub fn window_scale(mut self, shift: u8) -> Self {
        self.config.window_scale = shift;
        self
    }

    /// Whether window scaling is offered (tcp_window_scaling). Default true.
    #[must_use]
    pub fn window_scaling(mut self, on: bool) -> Self {
        self.config.window_scaling = on;
        self
    }

    /// Whether timestamps are offered (tcp_timestamps). Default true; 12 bytes a segment.
    #[must_use]
    pub fn timestamps(mut self, on: bool) -> Self {
        self.config.timestamps = on;
        self
    }

    /// Whether selective acknowledgements are offered (tcp_sack). Default true.
    #[must_use]
    pub fn sack(mut self, on: bool) -> Self {
        self.config.sack = on;
        self
    }

    /// Send small segments at once (TCP_NODELAY). Default false: Nagle's algorithm.
    #[must_use]
    pub fn nodelay(mut self, on: bool) -> Self {
        self.config.nodelay = on;
        self
    }

    /// The window promised while a half-open connection has no rings yet, in bytes. Default 65,535,
    /// at least 536. The rings must hold it, or data will be sent twice.
    #[must_use]
    pub fn rcv_wnd_initial(mut self, bytes: u32) -> Self {
        self.config.rcv_wnd_initial = bytes;
        self
    }

    /// Receive buffers in bytes (tcp_rmem), in ascending order: the least, which each connection may fill even where all together
    /// hold too much (at least 4,096); the first one; and the greatest that autotuning may come to. Half of a buffer is window, as
    /// with Linux's tcp_adv_win_scale of 1. Default: 4,096, and no bounds but the rings'. More lets a sender fill a longer path, and
    /// costs memory where applications are slow to read.
    #[must_use]
    pub const fn tcp_rmem(mut self, min: u32, default: u32, max: u32) -> Self {
        self.config.tcp_rmem = [min, default, max];
        self
    }

    /// Whether the peer's FIN, once it has sent data, waits to be acknowledged for what the application sends in return, or for the
    /// delayed acknowledgement, as it does on Linux. Default false: it is acknowledged at once. True suits hosts that are compared
    /// with Linux ones, packet by packet; a peer learns later then that all of its stream has arrived.
    #[must_use]
    pub const fn fin_ack_delayed(mut self, on: bool) -> Self {
        self.config.fin_ack_delayed = on;
        self
    }

    /// Whether receive buffers grow with what applications read in a round trip (tcp_moderate_rcvbuf). Default true; false keeps
    /// the first one.
    #[must_use]
    pub const fn moderate_rcvbuf(mut self, on: bool) -> Self {
        self.config.moderate_rcvbuf = on;
        self
    }

    /// What of Fast Open is done (tcp_fastopen, RFC 7413): the bits of [`super::fast_open_setting`], with Linux's values. Default 1:
    /// clients that ask for it. Data on a SYN may arrive twice, so that only requests that may be repeated should go there.
    #[must_use]
    pub const fn fast_open(mut self, bits: u16) -> Self {
        self.config.fast_open = bits & setting::ALL;
        self
    }

    /// The key that Fast Open cookies are made with, and the one before it, whose cookies are still good (tcp_fastopen_key): for
    /// hosts that share an address. Default none: the host's own, another one each hour.
    #[must_use]
    pub const fn fast_open_keys(mut self, keys: [Option<[u8; 16]>; 2]) -> Self {
        self.config.fast_open_keys = keys;
        self
    }

    /// The congestion control. Default CUBIC (RFC 9438).
    #[must_use]
    pub fn congestion(mut self, algorithm: Algorithm) -> Self {
        self.config.congestion = algorithm;
        self
    }

    /// Whether the window falls to the initial one after silence longer than the retransmission timeout
    /// (tcp_slow_start_after_idle, RFC 5681 §4.1). Default true; false keeps what may be out of date.
    #[must_use]
    pub fn slow_start_after_idle(mut self, on: bool) -> Self {
        self.config.slow_start_after_idle = on;
        self
    }

    /// When explicit congestion notification is used (tcp_ecn, RFC 3168). Default [`EcnMode::Accept`].
    #[must_use]
    pub fn ecn(mut self, mode: EcnMode) -> Self {
        self.config.ecn = mode;
        self
    }

    /// Whether a SYN that is sent again asks for ECN no more (tcp_ecn_fallback). Default true.
    #[must_use]
    pub fn ecn_fallback(mut self, on: bool) -> Self {
        self.config.ecn_fallback = on;
        self
    }

    /// Whether every connection is paced, whatever its congestion control (as with Linux's fq). Default false: only
    /// those that need it, or have a greatest rate (SO_MAX_PACING_RATE). Fewer bursts for more timers.
    #[must_use]
    pub fn pacing(mut self, on: bool) -> Self {
        self.config.pacing = on;
        self
    }

    /// Least segments of a burst, whose last one is pushed (tcp_min_tso_segs): as many as one would hand to a NIC at once, whatever
    /// the rate. Default 2, 1 to 255; half of the congestion window is the most in any case.
    #[must_use]
    pub fn burst_segments_min(mut self, segments: u8) -> Self {
        self.config.burst_segments_min = segments.max(1);
        self
    }

    /// When probes find out how large a segment the path carries (tcp_mtu_probing, RFC 4821). Default [`MtuProbing::Off`]: only
    /// ICMP says so. [`MtuProbing::OnBlackHole`] costs nothing where it does; [`MtuProbing::Always`] begins with small segments.
    #[must_use]
    pub fn mtu_probing(mut self, mode: MtuProbing) -> Self {
        self.config.mtu_probing = mode;
        self
    }

    /// Payload bytes of a segment that every path is believed to carry (tcp_base_mss). Default 1,024, at least 48.
    #[must_use]
    pub fn base_mss(mut self, bytes: u16) -> Self {
        self.config.base_mss = bytes;
        self
    }

    /// The search for the path's MTU ends when it is known to so many bytes (tcp_probe_threshold). Default 8.
    #[must_use]
    pub fn probe_threshold(mut self, bytes: u16) -> Self {
        self.config.probe_threshold = bytes;
        self
    }

    /// After so long a search begins anew (tcp_probe_interval), in whole seconds. Default 10 minutes (RFC 4821 §7.3).
    #[must_use]
    pub fn probe_interval(mut self, span: Duration) -> Self {
        self.config.probe_interval_s = u32::try_from(span.as_millis() / 1_000).unwrap_or(u32::MAX);
        self
    }

    /// The validated settings.
    ///
    /// # Errors
    /// The first setting found outside its range.
    pub fn build(self) -> Result<Config, ConfigError> {
        match self.error {
            Some(error) => Err(error),
            None => self.config.check().map(|()| self.config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outside_its_range_names_the_reason() {
        let build = |change: fn(ConfigBuilder) -> ConfigBuilder| change(Config::builder()).build();
        assert_eq!(build(|c| c), Ok(Config::default()));
        assert_eq!(build(|c| c.window_scale(15)), Err(ConfigError::WindowScaleRange));
        assert_eq!(build(|c| c.rto_min(Duration::ZERO)), Err(ConfigError::RtoRange));
        assert_eq!(
            build(|c| c.rto_initial(Duration::from_secs(3)).rto_max(Duration::from_secs(2))),
            Err(ConfigError::RtoRange)
        );
        assert_eq!(
            build(|c| c.rto_min(Duration::from_secs(3)).rto_max(Duration::from_secs(2))),
            Err(ConfigError::RtoRange)
        );
        assert_eq!(
            build(|c| c.delayed_ack(Duration::from_millis(501))),
            Err(ConfigError::DelayedAckRange)
        );
        assert_eq!(build(|c| c.time_wait(Duration::MAX)), Err(ConfigError::SpanRange));
        assert_eq!(build(|c| c.rcv_wnd_initial(100)), Err(ConfigError::WindowRange));
        assert_eq!(build(|c| c.retries_max(0)), Err(ConfigError::RetriesRange));
    }
}
