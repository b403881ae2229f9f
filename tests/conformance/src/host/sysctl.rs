//! Settings by Linux's names.

use std::collections::BTreeMap;
use std::fmt;

use causeway_core::tcp::congestion::Algorithm;
use causeway_core::tcp::{Config, ConfigBuilder, EcnMode, MtuProbing};
use causeway_core::time::Duration;

use super::port::RxWindow;

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// No setting of this stack has that name.
    Unknown(String),
    /// The setting cannot have that value here.
    Value(String, String),
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "this stack has no setting `{name}`"),
            Self::Value(name, value) => write!(f, "this stack cannot have `{name}` = `{value}`"),
        }
    }
}

impl std::error::Error for SysctlError {}

const CONGESTION: &str = "net.ipv4.tcp_congestion_control";

const FAST_OPEN_KEY: &str = "net.ipv4.tcp_fastopen_key";

/// One key, or two with a comma between, of four words in hexadecimal digits each; they lie in memory as on a little-endian
/// machine.
fn fast_open_keys(text: &str) -> Option<[Option<[u8; 16]>; 2]> {
    let key = |text: &str| {
        let words = text.split('-').map(|word| u32::from_str_radix(word, 16).ok());
        let words: Vec<u32> = words.collect::<Option<_>>()?;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        <[u8; 16]>::try_from(bytes).ok()
    };
    Some(match text.split_once(',') {
        Some((first, second)) => [Some(key(first)?), Some(key(second)?)],
        None => [Some(key(text)?), None],
    })
}

/// Settings that one value of has a meaning here: what this stack always does.
const FIXED: &[(&str, &[&str])] = &[
    ("net.ipv4.tcp_abc", &["0"]),
    ("net.ipv4.tcp_adv_win_scale", &["1"]),
    ("net.ipv4.tcp_no_metrics_save", &["1"]),
    ("net.ipv4.tcp_fwmark_accept", &["0"]),
    ("net.ipv4.tcp_autocorking", &["0", "1"]),
    ("net.ipv4.tcp_tso_win_divisor", &["3"]),
    ("net.ipv4.tcp_abort_on_overflow", &["0"]),
];

/// The settings of a host.
#[derive(Clone, Debug)]
pub(super) struct Sysctl {
    values: BTreeMap<String, String>,
}

impl Default for Sysctl {
    fn default() -> Self {
        let values = [
            ("net.ipv4.tcp_timestamps", "1"),
            ("net.ipv4.tcp_sack", "1"),
            ("net.ipv4.tcp_window_scaling", "1"),
            ("net.ipv4.tcp_fin_timeout", "60"),
            ("net.ipv4.tcp_retries2", "15"),
            ("net.ipv4.tcp_syn_retries", "6"),
            ("net.ipv4.tcp_synack_retries", "5"),
            ("net.ipv4.tcp_rto_min_us", "200000"),
            ("net.ipv4.tcp_rto_max_ms", "120000"),
            ("net.ipv4.tcp_keepalive_time", "7200"),
            ("net.ipv4.tcp_keepalive_intvl", "75"),
            ("net.ipv4.tcp_keepalive_probes", "9"),
            ("net.ipv4.tcp_ecn", "2"),
            ("net.ipv4.tcp_ecn_fallback", "1"),
            ("net.ipv4.tcp_slow_start_after_idle", "1"),
            ("net.ipv4.tcp_mtu_probing", "0"),
            ("net.ipv4.tcp_base_mss", "1024"),
            ("net.ipv4.tcp_probe_interval", "600"),
            ("net.ipv4.tcp_probe_threshold", "8"),
            (CONGESTION, Algorithm::default().name()),
            ("net.ipv4.tcp_moderate_rcvbuf", "1"),
            ("net.ipv4.tcp_fastopen", "1"),
            (FAST_OPEN_KEY, "00000000-00000000-00000000-00000000"),
            ("net.ipv4.tcp_rmem", "4096 131072 15728640"),
            ("net.ipv4.tcp_wmem", "4096 16384 4194304"),
        ];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { values: values.into_iter().map(own).collect() }
    }
}

impl Sysctl {
    /// Command: sets `name`; with dots or slashes, with or without `/proc/sys/` in front.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let name = name.trim().trim_start_matches("/proc/sys/").replace('/', ".");
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let wrong = || SysctlError::Value(name.clone(), value.clone());
        if let Some((_, values)) = FIXED.iter().find(|(known, _)| *known == name) {
            return if values.contains(&value.as_str()) { Ok(()) } else { Err(wrong()) };
        }
        let Some(before) = self.values.get(&name).cloned() else {
            return Err(SysctlError::Unknown(name));
        };
        let number = |n: &str| n.parse::<u64>().is_ok() || n.starts_with("0x");
        let numbers = |text: &str| text.split(' ').filter(|n| number(n)).count();
        let known = match name.as_str() {
            CONGESTION => Algorithm::from_name(&value).is_some(),
            FAST_OPEN_KEY => fast_open_keys(&value).is_some(),
            _ => true,
        };
        if numbers(&value) != numbers(&before) || !known {
            return Err(wrong());
        }
        self.values.insert(name.clone(), value.clone());
        if self.builder().build().is_err() {
            self.values.insert(name.clone(), before);
            return Err(wrong());
        }
        Ok(())
    }

    fn numbers(&self, name: &str) -> Vec<u64> {
        let value = self.values.get(name).map_or("", String::as_str);
        value.split(' ').filter_map(|n| n.parse().ok()).collect()
    }

    fn number(&self, name: &str) -> u64 {
        self.numbers(name).first().copied().unwrap_or(0)
    }

    fn builder(&self) -> ConfigBuilder {
        let seconds = |name: &str| Duration::from_secs(self.number(name));
        let byte = |name: &str| u8::try_from(self.number(name)).unwrap_or(u8::MAX);
        let short = |name: &str| u16::try_from(self.number(name)).unwrap_or(u16::MAX);
        // Linux: as many bits as the greatest receive buffer has above 16, 14 at most (tcp_select_initial_window).
        let [least, first, most] = self.rmem();
        let max = most.max(212_992);
        let scale = u8::try_from(max.ilog2().saturating_sub(15).min(14)).unwrap_or(14);
        Config::builder()
            .congestion(Algorithm::from_name(self.congestion()).unwrap_or_default())
            .timestamps(self.number("net.ipv4.tcp_timestamps") != 0)
            .sack(self.number("net.ipv4.tcp_sack") != 0)
            .window_scaling(self.number("net.ipv4.tcp_window_scaling") != 0)
            .window_scale(scale)
            .tcp_rmem(least, first, most)
            .moderate_rcvbuf(self.number("net.ipv4.tcp_moderate_rcvbuf") != 0)
            .fin_wait2(seconds("net.ipv4.tcp_fin_timeout"))
            .retries_max(byte("net.ipv4.tcp_retries2"))
            .syn_retries_max(byte("net.ipv4.tcp_syn_retries"))
            .syn_ack_retries_max(byte("net.ipv4.tcp_synack_retries"))
            .rto_min(Duration::from_micros(self.number("net.ipv4.tcp_rto_min_us")))
            .rto_max(Duration::from_millis(self.number("net.ipv4.tcp_rto_max_ms")))
            .keepalive_idle(seconds("net.ipv4.tcp_keepalive_time"))
            .keepalive_interval(seconds("net.ipv4.tcp_keepalive_intvl"))
            .keepalive_probes(byte("net.ipv4.tcp_keepalive_probes"))
            .ecn(match self.number("net.ipv4.tcp_ecn") {
                0 => EcnMode::Off,
                1 => EcnMode::Request,
                _ => EcnMode::Accept,
            })
            .ecn_fallback(self.number("net.ipv4.tcp_ecn_fallback") != 0)
            .fast_open(self.fast_open_bits())
            .fast_open_keys(self.fast_open_keys())
            .slow_start_after_idle(self.number("net.ipv4.tcp_slow_start_after_idle") != 0)
            .mtu_probing(
                MtuProbing::from_code(byte("net.ipv4.tcp_mtu_probing")).unwrap_or_default(),
            )
            .base_mss(short("net.ipv4.tcp_base_mss"))
            .probe_interval(seconds("net.ipv4.tcp_probe_interval"))
            .probe_threshold(short("net.ipv4.tcp_probe_threshold"))
    }

    /// Values are decimal, or hexadecimal with 0x in front.
    fn fast_open_bits(&self) -> u16 {
        let value = self.values.get("net.ipv4.tcp_fastopen").map_or("", String::as_str);
        let hexadecimal = value.strip_prefix("0x").map(|digits| u16::from_str_radix(digits, 16));
        hexadecimal.unwrap_or_else(|| value.parse()).unwrap_or(0)
    }

    /// All zero is what a host begins with: no key of its own, as cookies must not differ from run to run.
    fn fast_open_keys(&self) -> [Option<[u8; 16]>; 2] {
        fast_open_keys(self.values.get(FAST_OPEN_KEY).map_or("", String::as_str))
            .unwrap_or([None; 2])
    }

    /// Getter: the name of the congestion control.
    pub(super) fn congestion(&self) -> &str {
        self.values.get(CONGESTION).map_or("", String::as_str)
    }

    /// Getter: the settings of connections.
    pub(super) fn tcp(&self) -> Config {
        self.builder().build().expect("what `set` took was built once")
    }

    /// Getter: bytes that a new stream may queue for sending.
    pub(super) fn tx_limit(&self) -> u64 {
        self.numbers("net.ipv4.tcp_wmem").get(2).copied().unwrap_or(0).max(4_096)
    }

    /// Getter: what a new socket may hold of received data.
    pub(super) fn receive_buffer(&self) -> u64 {
        self.rmem()[1].into()
    }

    /// tcp_rmem, in an order and with a least that the stack can have.
    fn rmem(&self) -> [u32; 3] {
        let numbers = self.numbers("net.ipv4.tcp_rmem");
        let number =
            |at: usize| numbers.get(at).map_or(0, |n| u32::try_from(*n).unwrap_or(1 << 31));
        let least = number(0).max(4_096);
        let first = number(1).max(least);
        [least, first, number(2).max(first)]
    }

    /// Getter: what the rings of a new stream can back. How much of it is promised is the stack's to say.
    pub(super) fn rx_window(&self) -> RxWindow {
        let bytes = u64::from(self.rmem()[2] / 2) + (4 << 14);
        RxWindow { initial: bytes, max: bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_known_by_its_name_and_its_value_is_checked() {
        let mut sysctl = Sysctl::default();
        assert_eq!(sysctl.set("net/ipv4/tcp_sack", "0"), Ok(()));
        assert_eq!(sysctl.number("net.ipv4.tcp_sack"), 0);
        assert!(matches!(sysctl.set("net.ipv4.tcp_frob", "0"), Err(SysctlError::Unknown(_))));
        assert!(matches!(sysctl.set("net.ipv4.tcp_sack", "x"), Err(SysctlError::Value(..))));
        assert!(matches!(sysctl.set("net.ipv4.tcp_retries2", "0"), Err(SysctlError::Value(..))));
        assert_eq!(sysctl.number("net.ipv4.tcp_retries2"), 15);
    }
}
