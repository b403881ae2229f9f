//! The settings of a host by Linux's names: what each is at first, and what it may be.

/// The greatest number of a setting of Linux's that is an `int`.
const INT_MAX: u64 = 0x7fff_ffff;
const U32_MAX: u64 = 0xffff_ffff;

/// Settings of numbers: name, value at first, the least and the greatest that each number may be.
pub(super) const NUMBERS: &[(&str, &str, u64, u64)] = &[
    ("net.causeway.fin_ack_delayed", "1", 0, 1),
    ("net.ipv4.tcp_timestamps", "1", 0, 2),
    ("net.ipv4.tcp_sack", "1", 0, 1),
    ("net.ipv4.tcp_window_scaling", "1", 0, 1),
    ("net.ipv4.tcp_fin_timeout", "60", 0, INT_MAX),
    ("net.ipv4.tcp_retries2", "15", 0, 255),
    ("net.ipv4.tcp_syn_retries", "6", 1, 127),
    ("net.ipv4.tcp_synack_retries", "5", 0, 255),
    ("net.ipv4.tcp_rto_min_us", "200000", 1, INT_MAX),
    ("net.ipv4.tcp_rto_max_ms", "120000", 1_000, 120_000),
    ("net.ipv4.tcp_keepalive_time", "7200", 0, INT_MAX),
    ("net.ipv4.tcp_keepalive_intvl", "75", 0, INT_MAX),
    ("net.ipv4.tcp_keepalive_probes", "9", 0, 255),
    ("net.ipv4.tcp_ecn", "2", 0, 2),
    ("net.ipv4.tcp_ecn_fallback", "1", 0, 1),
    ("net.ipv4.tcp_slow_start_after_idle", "1", 0, 255),
    ("net.ipv4.tcp_mtu_probing", "0", 0, 2),
    ("net.ipv4.tcp_base_mss", "1024", 0, 65_535),
    ("net.ipv4.tcp_probe_interval", "600", 0, U32_MAX),
    ("net.ipv4.tcp_probe_threshold", "8", 0, 65_535),
    ("net.ipv4.tcp_moderate_rcvbuf", "1", 0, 1),
    ("net.ipv4.tcp_fastopen", "1", 0, INT_MAX),
    ("net.ipv4.tcp_rmem", "4096 131072 15728640", 1, INT_MAX),
    ("net.ipv4.tcp_wmem", "4096 16384 4194304", 1, INT_MAX),
    ("net.ipv4.tcp_syncookies", "1", 0, 1),
    ("net.ipv4.tcp_challenge_ack_limit", "1000", 0, INT_MAX),
    ("net.ipv4.tcp_notsent_lowat", "4294967295", 1, U32_MAX),
    ("net.ipv4.tcp_min_tso_segs", "2", 1, 65_535),
    ("net.ipv4.ip_no_pmtu_disc", "0", 0, 1),
    ("net.ipv4.tcp_tw_reuse", "2", 0, 2),
    ("net.ipv4.tcp_tw_reuse_delay", "1000", 1, 60_000),
    ("net.ipv4.ip_local_port_range", "32768 60999", 1, 65_535),
    ("net.core.somaxconn", "4096", 0, INT_MAX),
    ("net.core.rmem_max", "212992", 2_304, INT_MAX),
    ("net.core.wmem_max", "212992", 4_608, INT_MAX),
];

/// Settings that nothing on the wire depends on here: how the kernel cuts what it hands to a NIC; waiting for what lies below the
/// socket, where nothing does; and FACK, which Linux has forgotten, too. Any number will do.
pub(super) const WITHOUT_MEANING: &[&str] =
    &["net.ipv4.tcp_tso_win_divisor", "net.ipv4.tcp_autocorking", "net.ipv4.tcp_fack"];

/// Settings of which the stack has some values only: what it does, first the value that Linux has for that. Each other value
/// asks for something that it never does.
pub(super) const FIXED: &[(&str, &[u64])] = &[
    ("net.ipv4.tcp_abc", &[0]),
    ("net.ipv4.tcp_adv_win_scale", &[1]),
    ("net.ipv4.tcp_no_metrics_save", &[1]),
    ("net.ipv4.tcp_fwmark_accept", &[0]),
    ("net.ipv4.tcp_abort_on_overflow", &[0]),
    // Tail loss probes.
    ("net.ipv4.tcp_early_retrans", &[3, 4]),
    // RACK with a window that adapts.
    ("net.ipv4.tcp_recovery", &[1]),
    ("net.ipv4.tcp_frto", &[2, 1]),
    ("net.ipv4.tcp_dsack", &[1]),
    ("net.ipv4.tcp_reordering", &[3]),
    ("net.ipv4.tcp_max_reordering", &[300]),
    ("net.ipv4.tcp_pacing_ss_ratio", &[200]),
    ("net.ipv4.tcp_pacing_ca_ratio", &[120]),
    ("net.ipv4.tcp_retries1", &[3]),
    ("net.ipv4.tcp_retrans_collapse", &[1]),
    ("net.ipv4.tcp_min_snd_mss", &[48]),
    ("net.ipv4.tcp_invalid_ratelimit", &[500]),
    ("net.ipv4.tcp_stdurg", &[0]),
    ("net.ipv4.tcp_thin_linear_timeouts", &[0]),
    ("net.ipv4.tcp_shrink_window", &[0]),
];
