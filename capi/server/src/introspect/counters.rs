//! The stack's counters by their names.

use causeway_core::stack::{Drops, Stats};

use super::{Kind, Metric};

/// What the stack has done, each counter by the name that tools and the Prometheus endpoint give it.
pub(crate) fn stack_metrics(stats: &Stats) -> Vec<Metric> {
    let counters =
        [frames, packets, handshakes, sockets].map(|some| some(stats)).into_iter().flatten();
    let counter = |(name, help, value)| Metric::new(name, Kind::Counter, help, value);
    counters.map(counter).chain(drops(&stats.drops)).collect()
}

type Counter = (&'static str, &'static str, u64);

/// What went in and out.
fn frames(s: &Stats) -> Vec<Counter> {
    vec![
        ("causeway_rx_frames_total", "Frames received.", s.rx_frames),
        ("causeway_rx_bytes_total", "Their bytes, link header included.", s.rx_bytes),
        ("causeway_tx_frames_total", "Frames handed to a NIC.", s.tx_frames),
        ("causeway_tx_bytes_total", "Their bytes, link header included.", s.tx_bytes),
        (
            "causeway_tcp_segments_in_total",
            "TCP segments that found their connection.",
            s.tcp_segments_in,
        ),
        (
            "causeway_tcp_segments_out_total",
            "TCP segments sent by connections (a super-segment counts once).",
            s.tcp_segments_out,
        ),
        (
            "causeway_tcp_resets_out_total",
            "RST segments sent for segments without a connection.",
            s.tcp_resets_out,
        ),
        (
            "causeway_machnet_packets_in_total",
            "Machnet packets that found their flow.",
            s.machnet_packets_in,
        ),
        (
            "causeway_udp_checksums_overlooked_total",
            "Datagrams taken although their UDP checksum is wrong, from peers of whom the configuration expects it.",
            s.udp_checksums_overlooked,
        ),
        (
            "causeway_machnet_packets_out_total",
            "Machnet packets sent by flows.",
            s.machnet_packets_out,
        ),
    ]
}

/// Packets, fragments, errors.
fn packets(s: &Stats) -> Vec<Counter> {
    vec![
        (
            "causeway_udp_datagrams_in_total",
            "Datagrams that UDP sockets received.",
            s.udp_datagrams_in,
        ),
        (
            "causeway_udp_datagrams_out_total",
            "Datagrams that UDP sockets sent, or left waiting for a neighbour.",
            s.udp_datagrams_out,
        ),
        (
            "causeway_udp_receive_drops_total",
            "Datagrams dropped because the application of their UDP socket reads too slowly.",
            s.udp_receive_drops,
        ),
        (
            "causeway_udp_send_drops_total",
            "Datagrams of UDP sockets that were not sent: no route, no neighbour, or too many that wait for one.",
            s.udp_send_drops,
        ),
        ("causeway_retransmits_total", "Segments and packets sent again.", s.retransmits),
        (
            "causeway_icmp_errors_in_total",
            "ICMP errors received that were believed: they quote what a socket of ours has under way.",
            s.icmp_errors_in,
        ),
        ("causeway_icmp_errors_out_total", "ICMP errors sent.", s.icmp_errors_out),
        ("causeway_fragments_in_total", "Fragments received.", s.fragments_in),
        (
            "causeway_fragments_out_total",
            "Fragments sent, of datagrams of ours that were too long for their path.",
            s.fragments_out,
        ),
        (
            "causeway_datagrams_reassembled_total",
            "Datagrams put together of received fragments.",
            s.datagrams_reassembled,
        ),
    ]
}

/// Addresses, answers, queues.
fn handshakes(s: &Stats) -> Vec<Counter> {
    vec![
        (
            "causeway_reassembly_timeouts_total",
            "Datagrams given up because fragments did not come in time.",
            s.reassembly_timeouts,
        ),
        (
            "causeway_path_mtus_lowered_total",
            "Times that a router's word made a path's MTU smaller.",
            s.path_mtus_lowered,
        ),
        (
            "causeway_icmp_ignored_total",
            "ICMP errors, and messages of other types, that were received and had no effect.",
            s.icmp_ignored,
        ),
        (
            "causeway_address_conflicts_total",
            "ARP packets whose sender claims an address of ours (RFC 5227 §2.4), and addresses that are not used because somebody has them.",
            s.address_conflicts,
        ),
        ("causeway_echo_replies_out_total", "Echo requests answered.", s.echo_replies_out),
        (
            "causeway_echo_replies_limited_total",
            "Echo requests that found the limit of replies a second used up.",
            s.echo_replies_limited,
        ),
        (
            "causeway_replies_lost_total",
            "Replies without a socket (RST, echo, ARP) that found the queue full, or no route or neighbour.",
            s.replies_lost,
        ),
        (
            "causeway_backlog_overflows_total",
            "SYNs that found a listener's queue of half-open connections full.",
            s.backlog_overflows,
        ),
        (
            "causeway_accept_overflows_total",
            "Handshakes that could not be completed because the application had not accepted enough.",
            s.accept_overflows,
        ),
        (
            "causeway_syn_cookies_sent_total",
            "SYNs answered with a cookie because of that.",
            s.syn_cookies_sent,
        ),
    ]
}

/// The rest.
fn sockets(s: &Stats) -> Vec<Counter> {
    vec![
        (
            "causeway_syn_cookies_redeemed_total",
            "Connections that came of cookies.",
            s.syn_cookies_redeemed,
        ),
        (
            "causeway_syn_cookies_failed_total",
            "Acknowledgements that brought something back that is no cookie.",
            s.syn_cookies_failed,
        ),
        (
            "causeway_challenges_withheld_total",
            "Challenge acknowledgements withheld because all connections together had sent enough (RFC 5961 §7).",
            s.challenges_withheld,
        ),
        (
            "causeway_fast_opens_total",
            "Connections that took data from a SYN (RFC 7413).",
            s.fast_opens,
        ),
        ("causeway_sockets_opened_total", "Sockets opened, listeners included.", s.sockets_opened),
        ("causeway_sockets_closed_total", "Sockets forgotten.", s.sockets_closed),
        (
            "causeway_alloc_failures_total",
            "Times that a transmission had to wait because the NIC had no memory.",
            s.alloc_failures,
        ),
        (
            "causeway_socket_visits_total",
            "Socket slots looked at while handling frames, timers and transmissions. The work per segment must not depend on how many sockets exist: tests hold this against the number of segments.",
            s.socket_visits,
        ),
    ]
}

fn drops(drops: &Drops) -> impl Iterator<Item = Metric> {
    let by_reason = [
        ("malformed", drops.malformed),
        ("checksum", drops.checksum),
        ("not_ours", drops.not_ours),
        ("martian", drops.martian),
        ("protocol", drops.protocol),
        ("no_socket", drops.no_socket),
        ("limit", drops.limit),
        ("fragment", drops.fragment),
        ("blind", drops.blind),
    ];
    by_reason.into_iter().map(|(reason, value)| {
        let help = "Frames received and dropped, by reason.";
        Metric::new("causeway_rx_dropped_frames_total", Kind::Counter, help, value)
            .with("reason", reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_of_the_stack_is_told_with_its_value() {
        let fields = format!("{:?}", Stats::default());
        let fields = fields.replace("Stats {", "").replace("drops: Drops {", "");
        let mut names: Vec<&str> =
            fields.split(',').filter_map(|f| f.split(':').next()).map(str::trim).collect();
        names.sort_unstable();
        let metrics = stack_metrics(&Stats::default());
        let told = metrics.iter().map(|m| match m.labels.first() {
            Some((_, reason)) => reason.as_str(),
            None => m.name.strip_prefix("causeway_").unwrap().strip_suffix("_total").unwrap(),
        });
        let mut told: Vec<&str> = told.collect();
        told.sort_unstable();
        assert_eq!(told, names);
        let stats = Stats { retransmits: 7, ..Stats::default() };
        let told = stack_metrics(&stats);
        let nonzero: Vec<&Metric> = told.iter().filter(|m| m.value != 0).collect();
        assert_eq!((nonzero.len(), &*nonzero[0].name), (1, "causeway_retransmits_total"));
    }
}
