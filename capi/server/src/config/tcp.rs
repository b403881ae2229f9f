//! `[tcp]`: settings of every TCP connection.

use std::ops::RangeInclusive;

use causeway_core::tcp::congestion::Algorithm;
use causeway_core::tcp::{self, EcnMode, MtuProbing, fast_open_setting};
use causeway_core::time::Duration;
use serde::Deserialize;
use toml::Spanned;

use super::channel::ChannelConfig;
use super::check::{Integer, first_given};
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTcp {
    rto_ms_initial: Option<Spanned<i128>>,
    rto_ms_min: Option<Spanned<i128>>,
    rto_ms_max: Option<Spanned<i128>>,
    delayed_ack_ms: Option<Spanned<i128>>,
    time_wait_ms: Option<Spanned<i128>>,
    keepalive_idle_ms: Option<Spanned<i128>>,
    retries_max: Option<Spanned<i128>>,
    syn_retries_max: Option<Spanned<i128>>,
    timestamps: Option<bool>,
    window_scaling: Option<bool>,
    sack: Option<bool>,
    moderate_rcvbuf: Option<bool>,
    congestion: Option<Spanned<String>>,
    slow_start_after_idle: Option<bool>,
    pacing: Option<bool>,
    ecn: Option<Spanned<i128>>,
    ecn_fallback: Option<bool>,
    mtu_probing: Option<Spanned<i128>>,
    base_mss: Option<Spanned<i128>>,
    probe_interval_s: Option<Spanned<i128>>,
    probe_threshold: Option<Spanned<i128>>,
    fast_open: Option<Spanned<i128>>,
}

const fn span(key: &'static str, default: i64, low: i64, high: i64) -> Integer {
    Integer { key, default, range: low..=high, unit: "milliseconds" }
}

const fn count(key: &'static str, default: i64) -> Integer {
    Integer { key, default, range: 1..=255, unit: "retransmissions" }
}

const RTO_MS_INITIAL: Integer = span("tcp.rto_ms_initial", 1_000, 1, 120_000);
const RTO_MS_MIN: Integer = span("tcp.rto_ms_min", 200, 1, 1_000);
const RTO_MS_MAX: Integer = span("tcp.rto_ms_max", 120_000, 60_000, 120_000);
const DELAYED_ACK_MS: Integer = span("tcp.delayed_ack_ms", 40, 0, 500);
const TIME_WAIT_MS: Integer = span("tcp.time_wait_ms", 60_000, 1, 240_000);
const KEEPALIVE_IDLE_MS: Integer = span("tcp.keepalive_idle_ms", 0, 0, 86_400_000);
const RETRIES_MAX: Integer = count("tcp.retries_max", 15);
const ECN: Integer = Integer { key: "tcp.ecn", default: 2, range: 0..=2, unit: "" };
const FAST_OPEN: Integer = Integer {
    key: "tcp.fast_open",
    default: fast_open_setting::CLIENT as i64,
    range: 0..=fast_open_setting::ALL as i64,
    unit: "",
};
const SYN_RETRIES_MAX: Integer = count("tcp.syn_retries_max", 6);
const MTU_PROBING: Integer = Integer { key: "tcp.mtu_probing", default: 0, range: 0..=2, unit: "" };
const BASE_MSS: Integer =
    Integer { key: "tcp.base_mss", default: 1_024, range: 48..=65_000, unit: "bytes" };
const PROBE_INTERVAL: Integer =
    Integer { key: "tcp.probe_interval_s", default: 600, range: 1..=86_400, unit: "seconds" };
const PROBE_THRESHOLD: Integer =
    Integer { key: "tcp.probe_threshold", default: 8, range: 1..=65_000, unit: "bytes" };

impl RawTcp {
    /// `channel` says how large a window may become, and what its memory backs from the first moment.
    pub(super) fn build(
        self,
        source: &Source<'_>,
        channel: &ChannelConfig,
    ) -> Result<tcp::Config, ConfigError> {
        let millis = |setting: &Integer, value: &Option<Spanned<i128>>| {
            setting.check_u64(source, value.as_ref()).map(Duration::from_millis)
        };
        let rto_initial = millis(&RTO_MS_INITIAL, &self.rto_ms_initial)?;
        let rto_min = millis(&RTO_MS_MIN, &self.rto_ms_min)?;
        let rto_max = millis(&RTO_MS_MAX, &self.rto_ms_max)?;
        let rto_range = rto_min.as_millis()..=rto_max.as_millis();
        self.check_rto(source, rto_initial.as_millis(), rto_range)?;
        let keepalive_idle = millis(&KEEPALIVE_IDLE_MS, &self.keepalive_idle_ms)?;
        let mut builder = tcp::Config::builder();
        if keepalive_idle > Duration::ZERO {
            builder = builder.keepalive(true).keepalive_idle(keepalive_idle);
        }
        let builder = builder
            .rcv_wnd_initial(channel.rcv_wnd_initial())
            .rto_initial(rto_initial)
            .rto_min(rto_min)
            .rto_max(rto_max)
            .delayed_ack(millis(&DELAYED_ACK_MS, &self.delayed_ack_ms)?)
            .time_wait(millis(&TIME_WAIT_MS, &self.time_wait_ms)?)
            .retries_max(RETRIES_MAX.check_u8(source, self.retries_max.as_ref())?)
            .syn_retries_max(SYN_RETRIES_MAX.check_u8(source, self.syn_retries_max.as_ref())?)
            .window_scale(scale_for(channel.rx_window_bytes()))
            .tcp_rmem(4_096, RMEM_DEFAULT, rmem_max(channel.rx_window_bytes()))
            .moderate_rcvbuf(self.moderate_rcvbuf.unwrap_or(true))
            .timestamps(self.timestamps.unwrap_or(true))
            .window_scaling(self.window_scaling.unwrap_or(true))
            .sack(self.sack.unwrap_or(true));
        let fast_open = FAST_OPEN.check_u16(source, self.fast_open.as_ref())?;
        let builder = self.congestion(source, builder.fast_open(fast_open))?;
        let builder = self.mtu_search(source, builder)?;
        Ok(builder.build().expect("each value is in its range, and the timeouts are in order"))
    }

    /// What may be in the network, how it is spread over time, and how the network says that it is too much.
    fn congestion(
        &self,
        source: &Source<'_>,
        builder: tcp::ConfigBuilder,
    ) -> Result<tcp::ConfigBuilder, ConfigError> {
        let algorithm = match &self.congestion {
            None => Algorithm::default(),
            Some(name) => Algorithm::from_name(name.get_ref()).ok_or_else(|| {
                let names = Algorithm::ALL.map(Algorithm::name).join(", ");
                let problem = format!("{:?} is not known", name.get_ref());
                source.error("tcp.congestion", name.span(), problem, format!("give one of {names}"))
            })?,
        };
        let ecn = match ECN.check_u8(source, self.ecn.as_ref())? {
            0 => EcnMode::Off,
            1 => EcnMode::Request,
            _ => EcnMode::Accept,
        };
        Ok(builder
            .congestion(algorithm)
            .slow_start_after_idle(self.slow_start_after_idle.unwrap_or(true))
            .pacing(self.pacing.unwrap_or(false))
            .ecn(ecn)
            .ecn_fallback(self.ecn_fallback.unwrap_or(true)))
    }

    /// How large a segment the path carries.
    fn mtu_search(
        &self,
        source: &Source<'_>,
        builder: tcp::ConfigBuilder,
    ) -> Result<tcp::ConfigBuilder, ConfigError> {
        let short = |setting: &Integer, value: &Option<Spanned<i128>>| {
            setting.check_u16(source, value.as_ref())
        };
        let mode = MTU_PROBING.check_u8(source, self.mtu_probing.as_ref())?;
        let interval = PROBE_INTERVAL.check_u64(source, self.probe_interval_s.as_ref())?;
        Ok(builder
            .mtu_probing(MtuProbing::from_code(mode).expect("the range is that of the numbers"))
            .base_mss(short(&BASE_MSS, &self.base_mss)?)
            .probe_interval(Duration::from_secs(interval))
            .probe_threshold(short(&PROBE_THRESHOLD, &self.probe_threshold)?))
    }

    /// The bounds of the timeout hold for the first one too (RFC 6298 §2.4 has no exception for it).
    fn check_rto(
        &self,
        source: &Source<'_>,
        initial_ms: u64,
        range_ms: RangeInclusive<u64>,
    ) -> Result<(), ConfigError> {
        let (setting, value, bound_ms, side, other_way) = if initial_ms < *range_ms.start() {
            (&RTO_MS_MIN, &self.rto_ms_min, range_ms.start(), "below", "lower")
        } else if initial_ms > *range_ms.end() {
            (&RTO_MS_MAX, &self.rto_ms_max, range_ms.end(), "above", "raise")
        } else {
            return Ok(());
        };
        let settings = [(&RTO_MS_INITIAL, &self.rto_ms_initial), (setting, value)];
        let (key, span) = first_given(&settings).expect("the defaults are in order");
        let name = setting.key.trim_start_matches("tcp.");
        let problem =
            format!("an rto_ms_initial of {initial_ms} is {side} an {name} of {bound_ms}");
        let more_or_less = if side == "below" { "more" } else { "less" };
        let advice =
            format!("give {bound_ms} or {more_or_less} as rto_ms_initial, or {other_way} {name}");
        Err(source.error(key, span, problem, advice))
    }
}

/// The largest window that TCP can advertise: 16 bits, shifted by 14 at most (RFC 7323 §2.3).
pub(super) const WINDOW_BYTES_MAX: i64 = 65_535 << 14;

/// The first receive buffer, as on Linux: half of it is window.
const RMEM_DEFAULT: u32 = 131_072;

/// The receive buffer whose window is `window` bytes.
fn rmem_max(window: u64) -> u32 {
    u32::try_from(window.saturating_mul(2)).unwrap_or(u32::MAX).max(RMEM_DEFAULT)
}

/// The least shift with which `window` bytes can be advertised: the steps are as fine as they can be.
fn scale_for(window: u64) -> u8 {
    (0..14).find(|shift| 65_535 << shift >= window).unwrap_or(14)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_the_least_that_reaches_the_window() {
        let scales = [65_535, 65_536, 131_070, 131_071, 12 << 20, WINDOW_BYTES_MAX as u64];
        assert_eq!(scales.map(scale_for), [0, 1, 1, 2, 8, 14]);
    }
}
