//! Settings by Linux's names.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use causeway_core::tcp::congestion::Algorithm;
use causeway_core::tcp::{Config, ConfigBuilder, EcnMode, MtuProbing};
use causeway_core::time::Duration;

use super::port::RxWindow;
use super::settings::{FIXED, NUMBERS, WITHOUT_MEANING};

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysctlError {
    /// No setting of this stack has that name.
    Unknown(String),
    /// The setting cannot have that value: it is no number, too few of them or too many, or out of range.
    Value(String, String),
    /// The stack does always what the last number of this setting stands for, never what the second does.
    Fixed(String, String, u64),
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "this stack has no setting `{name}`"),
            Self::Value(name, value) => write!(f, "this stack cannot have `{name}` = `{value}`"),
            Self::Fixed(name, value, always) => {
                write!(f, "this stack cannot have `{name}` = `{value}`: it is `{always}` always")
            }
        }
    }
}

impl std::error::Error for SysctlError {}

const CONGESTION: &str = "net.ipv4.tcp_congestion_control";

/// A setting of ours: Linux has no choice. The default of the scripts' host is Linux's way, that of a connection is not.
const FIN_ACK_DELAYED: &str = "net.causeway.fin_ack_delayed";

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

/// A number as the kernel reads it: decimal, octal behind a zero, hexadecimal behind 0x.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(number).collect()
}

/// The settings of a host.
#[derive(Clone, Debug)]
pub(super) struct Sysctl {
    /// Those of [`NUMBERS`].
    values: BTreeMap<&'static str, Vec<u64>>,
    congestion: Algorithm,
    fast_open_keys: [Option<[u8; 16]>; 2],
}

impl Default for Sysctl {
    fn default() -> Self {
        let first = |(name, value, ..): &(&'static str, &str, u64, u64)| {
            (*name, numbers(value).expect("the table has numbers"))
        };
        // All zero is what a host begins with: no key of its own, as cookies must not differ from run to run.
        let keys = [Some([0; 16]), None];
        Self {
            values: NUMBERS.iter().map(first).collect(),
            congestion: Algorithm::default(),
            fast_open_keys: keys,
        }
    }
}

impl Sysctl {
    /// Command: sets `name`; with dots or slashes, with or without `/proc/sys/` in front.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), SysctlError> {
        let name = name.trim().trim_start_matches("/proc/sys/").replace('/', ".");
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let wrong = || SysctlError::Value(name.clone(), value.clone());
        let mut next = self.clone();
        if name == CONGESTION {
            next.congestion = Algorithm::from_name(&value).ok_or_else(wrong)?;
        } else if name == FAST_OPEN_KEY {
            next.fast_open_keys = fast_open_keys(&value).ok_or_else(wrong)?;
        } else if WITHOUT_MEANING.contains(&name.as_str()) {
            return number(&value).map(|_| ()).ok_or_else(wrong);
        } else if let Some((_, always)) = FIXED.iter().find(|(known, _)| *known == name) {
            let asked = number(&value).ok_or_else(wrong)?;
            return if always.contains(&asked) {
                Ok(())
            } else {
                Err(SysctlError::Fixed(name, value, always[0]))
            };
        } else if let Some((known, _, least, most)) = NUMBERS.iter().find(|row| row.0 == name) {
            let asked = numbers(&value).ok_or_else(wrong)?;
            let before = next.values.insert(known, asked.clone()).unwrap_or_default();
            if asked.len() != before.len() || asked.iter().any(|n| !(least..=most).contains(&n)) {
                return Err(wrong());
            }
        } else {
            return Err(SysctlError::Unknown(name));
        }
        if next.builder().build().is_err() || next.local_ports().is_empty() {
            return Err(wrong());
        }
        *self = next;
        Ok(())
    }

    fn numbers(&self, name: &str) -> &[u64] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    fn number(&self, name: &str) -> u64 {
        self.numbers(name).first().copied().unwrap_or(0)
    }

    fn short(&self, name: &str) -> u32 {
        u32::try_from(self.number(name)).unwrap_or(u32::MAX)
    }

    fn builder(&self) -> ConfigBuilder {
        let seconds = |name: &str| Duration::from_secs(self.number(name));
        let byte = |name: &str| u8::try_from(self.number(name)).unwrap_or(u8::MAX);
        let short = |name: &str| u16::try_from(self.number(name)).unwrap_or(u16::MAX);
        // Linux: as many bits as the greatest receive buffer has above 16, 14 at most (tcp_select_initial_window).
        let [least, first, most] = self.rmem();
        let max = most.max(self.short("net.core.rmem_max"));
        let scale = u8::try_from(max.ilog2().saturating_sub(15).min(14)).unwrap_or(14);
        Config::builder()
            .fin_ack_delayed(self.number(FIN_ACK_DELAYED) != 0)
            .congestion(self.congestion)
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
            .fast_open_keys(self.fast_open_keys)
            .slow_start_after_idle(self.number("net.ipv4.tcp_slow_start_after_idle") != 0)
            .burst_segments_min(byte("net.ipv4.tcp_min_tso_segs"))
            .mtu_probing(
                MtuProbing::from_code(byte("net.ipv4.tcp_mtu_probing")).unwrap_or_default(),
            )
            .base_mss(short("net.ipv4.tcp_base_mss"))
            .probe_interval(seconds("net.ipv4.tcp_probe_interval"))
            .probe_threshold(short("net.ipv4.tcp_probe_threshold"))
    }

    /// Bits without a meaning are not looked at, as on Linux.
    fn fast_open_bits(&self) -> u16 {
        self.number("net.ipv4.tcp_fastopen") as u16
    }

    /// Getter: the keys of Fast Open's cookies.
    pub(super) const fn fast_open_keys(&self) -> [Option<[u8; 16]>; 2] {
        self.fast_open_keys
    }

    /// Getter: the name of the congestion control.
    pub(super) fn congestion(&self) -> &str {
        self.congestion.name()
    }

    /// Getter: half-open connections beyond the backlog get cookies.
    pub(super) fn syn_cookies(&self) -> bool {
        self.number("net.ipv4.tcp_syncookies") != 0
    }

    /// Getter: challenge acknowledgements of all connections in a second.
    pub(super) fn challenges(&self) -> u32 {
        self.short("net.ipv4.tcp_challenge_ack_limit")
    }

    /// Getter: what ports of sockets that are bound to none are chosen from.
    pub(super) fn local_ports(&self) -> RangeInclusive<u16> {
        let port = |at: usize| {
            let numbers = self.numbers("net.ipv4.ip_local_port_range");
            numbers.get(at).map_or(0, |port| u16::try_from(*port).unwrap_or(u16::MAX))
        };
        port(0)..=port(1)
    }

    /// Getter: after how long a connection that is opened may take the port of one in TIME-WAIT. 2 means by way of the loopback
    /// only, which is no way out of this host.
    pub(super) fn time_wait_reuse(&self) -> Option<Duration> {
        let delay = Duration::from_millis(self.number("net.ipv4.tcp_tw_reuse_delay"));
        (self.number("net.ipv4.tcp_tw_reuse") == 1).then_some(delay)
    }

    /// Getter: new sockets do not ask for the path MTU (IP_PMTUDISC_DONT).
    pub(super) fn no_pmtu_disc(&self) -> bool {
        self.number("net.ipv4.ip_no_pmtu_disc") != 0
    }

    /// Getter: the longest queue of a listener.
    pub(super) fn somaxconn(&self) -> u32 {
        self.short("net.core.somaxconn")
    }

    /// Getter: what SO_RCVBUF may come to.
    pub(super) fn rmem_max(&self) -> u32 {
        self.short("net.core.rmem_max")
    }

    /// Getter: what SO_SNDBUF may come to.
    pub(super) fn wmem_max(&self) -> u32 {
        self.short("net.core.wmem_max")
    }

    /// Getter: TCP_NOTSENT_LOWAT of sockets that do not set it.
    pub(super) fn not_sent_low_water(&self) -> u32 {
        self.short("net.ipv4.tcp_notsent_lowat")
    }

    /// Getter: the settings of connections.
    pub(super) fn tcp(&self) -> Config {
        self.builder().build().expect("what `set` took was built once")
    }

    /// Getter: bytes that a new stream may queue for sending.
    pub(super) fn tx_limit(&self) -> u64 {
        self.numbers("net.ipv4.tcp_wmem").get(2).copied().unwrap_or(0).max(4_096)
    }

    /// Getter: what a new socket may hold of data to be sent.
    pub(super) fn send_buffer(&self) -> u64 {
        self.numbers("net.ipv4.tcp_wmem").get(1).copied().unwrap_or(0)
    }

    /// Getter: TCP_KEEPIDLE of sockets that do not set it, in seconds.
    pub(super) fn keepalive_time(&self) -> u64 {
        self.number("net.ipv4.tcp_keepalive_time")
    }

    /// Getter: TCP_KEEPINTVL of sockets that do not set it, in seconds.
    pub(super) fn keepalive_interval(&self) -> u64 {
        self.number("net.ipv4.tcp_keepalive_intvl")
    }

    /// Getter: TCP_KEEPCNT of sockets that do not set it.
    pub(super) fn keepalive_probes(&self) -> u64 {
        self.number("net.ipv4.tcp_keepalive_probes")
    }

    /// Getter: TCP_SYNCNT of sockets that do not set it.
    pub(super) fn syn_retries(&self) -> u64 {
        self.number("net.ipv4.tcp_syn_retries")
    }

    /// Getter: TCP_LINGER2 of sockets that do not set it, in seconds.
    pub(super) fn fin_timeout(&self) -> u64 {
        self.number("net.ipv4.tcp_fin_timeout")
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
        for (name, value) in [
            ("tcp_sack", "x"),
            ("tcp_sack", ""),
            ("tcp_sack", "0x"),
            ("tcp_sack", "1 1"),
            ("tcp_sack", "2"),
            ("tcp_rmem", "4096 0x 8192"),
            ("tcp_rmem", "4096 8192"),
            ("tcp_retries2", "0"),
            ("tcp_retries2", "256"),
            ("tcp_ecn", "7"),
            ("tcp_fastopen", "-1"),
            ("tcp_fastopen", "0x1ffffffff"),
            ("tcp_fastopen_key", "1-2-3"),
            ("tcp_congestion_control", "none"),
            ("tcp_recovery", "one"),
            ("ip_local_port_range", "6000 5000"),
        ] {
            let set = sysctl.set(&format!("net.ipv4.{name}"), value);
            assert!(matches!(set, Err(SysctlError::Value(..))), "{name} = {value}: {set:?}");
        }
        assert_eq!(sysctl.number("net.ipv4.tcp_retries2"), 15, "what is refused changes nothing");
    }

    #[test]
    fn numbers_are_read_as_the_kernel_does() {
        let mut sysctl = Sysctl::default();
        for (text, read) in [("10", 10), ("0x1f", 31), ("010", 8), ("0", 0)] {
            assert_eq!(number(text), Some(read));
            if read > 0 {
                assert_eq!(sysctl.set("net.ipv4.tcp_retries2", text), Ok(()));
                assert_eq!(sysctl.number("net.ipv4.tcp_retries2"), read);
            }
        }
        for text in ["", "0x", "09", "+1", "0x+1", "-1", "1e3"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn bits_of_fast_open_that_mean_nothing_here_do_not_take_the_others_away() {
        let mut sysctl = Sysctl::default();
        for (value, bits) in [("0x70403", 0x403), ("0x70400", 0x400), ("1027", 0x403), ("0", 0)] {
            assert_eq!(sysctl.set("net.ipv4.tcp_fastopen", value), Ok(()), "{value}");
            assert_eq!(sysctl.tcp().fast_open_bits(), bits, "{value}");
        }
    }

    #[test]
    fn what_the_stack_always_does_can_be_asked_for_and_nothing_else() {
        let mut sysctl = Sysctl::default();
        assert_eq!(sysctl.set("net.ipv4.tcp_recovery", "0x1"), Ok(()));
        let error = sysctl.set("net.ipv4.tcp_recovery", "0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "this stack cannot have `net.ipv4.tcp_recovery` = `0`: it is `1` always"
        );
    }

    #[test]
    fn the_settings_of_scripts_that_are_run_against_linux_are_taken() {
        let mut sysctl = Sysctl::default();
        for setting in [
            "tcp_rmem=4096 540000 15728640",
            "tcp_wmem=4096 262144 4194304",
            "tcp_timestamps=1",
            "tcp_syn_retries=5",
            "tcp_synack_retries=5",
            "tcp_frto=2",
            "tcp_sack=1",
            "tcp_dsack=1",
            "tcp_fack=0",
            "tcp_reordering=3",
            "tcp_congestion_control=cubic",
            "tcp_slow_start_after_idle=0",
            "tcp_early_retrans=4",
            "tcp_recovery=1",
            "tcp_tso_win_divisor=3",
            "tcp_ecn=0",
            "tcp_pacing_ss_ratio=200",
            "tcp_pacing_ca_ratio=120",
            "tcp_notsent_lowat=4294967295",
            "tcp_fastopen=0x70403",
            "tcp_fastopen_key=a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4",
            "tcp_syncookies=1",
        ] {
            let (name, value) = setting.split_once('=').expect("each has a value");
            assert_eq!(sysctl.set(&format!("net.ipv4.{name}"), value), Ok(()));
        }
    }

    /// What the scripts show of this host they show of a connection with the default configuration: every script is played without
    /// the late acknowledgement of FIN as well. The sizes of buffers are Linux's, where a default one has what its rings have, and
    /// cookies have a key that does not change.
    #[test]
    fn the_host_begins_with_the_default_configuration_but_for_what_is_named_here() {
        let mut sysctl = Sysctl::default();
        sysctl.set(FIN_ACK_DELAYED, "0").expect("it is a setting");
        let config = sysctl.builder().build().expect("a right configuration");
        let named = Config::builder()
            .tcp_rmem(4_096, 131_072, 15_728_640)
            .fast_open_keys([Some([0; 16]), None]);
        assert_eq!(config, named.build().expect("a right configuration"));
    }
}
