//! Linux's `struct tcp_info`, byte for byte.

use causeway_core::port::{Completion, Op, SocketId, SocketInfo};
use causeway_core::tcp::congestion::CongestionFigures;

use super::host::Host;

/// Bytes of the structure.
pub const TCP_INFO_LEN: usize = 248;
/// Bytes of `union tcp_cc_info`: those of its longest member.
pub const TCP_CC_INFO_LEN: usize = 20;

/// Each field of the structure: its name, where it begins and how many bytes it has. Those of less than a byte are in
/// [`tcp_info_fields`].
pub const TCP_INFO_FIELDS: &[(&str, usize, usize)] = &[
    ("tcpi_state", 0, 1),
    ("tcpi_ca_state", 1, 1),
    ("tcpi_retransmits", 2, 1),
    ("tcpi_probes", 3, 1),
    ("tcpi_backoff", 4, 1),
    ("tcpi_options", 5, 1),
    ("tcpi_rto", 8, 4),
    ("tcpi_ato", 12, 4),
    ("tcpi_snd_mss", 16, 4),
    ("tcpi_rcv_mss", 20, 4),
    ("tcpi_unacked", 24, 4),
    ("tcpi_sacked", 28, 4),
    ("tcpi_lost", 32, 4),
    ("tcpi_retrans", 36, 4),
    ("tcpi_fackets", 40, 4),
    ("tcpi_last_data_sent", 44, 4),
    ("tcpi_last_ack_sent", 48, 4),
    ("tcpi_last_data_recv", 52, 4),
    ("tcpi_last_ack_recv", 56, 4),
    ("tcpi_pmtu", 60, 4),
    ("tcpi_rcv_ssthresh", 64, 4),
    ("tcpi_rtt", 68, 4),
    ("tcpi_rttvar", 72, 4),
    ("tcpi_snd_ssthresh", 76, 4),
    ("tcpi_snd_cwnd", 80, 4),
    ("tcpi_advmss", 84, 4),
    ("tcpi_reordering", 88, 4),
    ("tcpi_rcv_rtt", 92, 4),
    ("tcpi_rcv_space", 96, 4),
    ("tcpi_total_retrans", 100, 4),
    ("tcpi_pacing_rate", 104, 8),
    ("tcpi_max_pacing_rate", 112, 8),
    ("tcpi_bytes_acked", 120, 8),
    ("tcpi_bytes_received", 128, 8),
    ("tcpi_segs_out", 136, 4),
    ("tcpi_segs_in", 140, 4),
    ("tcpi_notsent_bytes", 144, 4),
    ("tcpi_min_rtt", 148, 4),
    ("tcpi_data_segs_in", 152, 4),
    ("tcpi_data_segs_out", 156, 4),
    ("tcpi_delivery_rate", 160, 8),
    ("tcpi_busy_time", 168, 8),
    ("tcpi_rwnd_limited", 176, 8),
    ("tcpi_sndbuf_limited", 184, 8),
    ("tcpi_delivered", 192, 4),
    ("tcpi_delivered_ce", 196, 4),
    ("tcpi_bytes_sent", 200, 8),
    ("tcpi_bytes_retrans", 208, 8),
    ("tcpi_dsack_dups", 216, 4),
    ("tcpi_reord_seen", 220, 4),
    ("tcpi_rcv_ooopack", 224, 4),
    ("tcpi_snd_wnd", 228, 4),
    ("tcpi_rcv_wnd", 232, 4),
    ("tcpi_rehash", 236, 4),
    ("tcpi_total_rto", 240, 2),
    ("tcpi_total_rto_recoveries", 242, 2),
    ("tcpi_total_rto_time", 244, 4),
];

/// Getter: every field of a structure that getsockopt filled in, by name.
pub fn tcp_info_fields(bytes: &[u8]) -> Vec<(&'static str, u64)> {
    let read = |at: usize, len: usize| {
        let part = bytes.get(at..at + len).unwrap_or(&[]);
        part.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let mut fields: Vec<_> =
        TCP_INFO_FIELDS.iter().map(|(name, at, len)| (*name, read(*at, *len))).collect();
    fields.push(("tcpi_snd_wscale", read(6, 1) & 15));
    fields.push(("tcpi_rcv_wscale", read(6, 1) >> 4));
    fields.push(("tcpi_delivery_rate_app_limited", read(7, 1) & 1));
    fields.push(("tcpi_fastopen_client_fail", read(7, 1) >> 1 & 3));
    fields
}

/// Linux's number of the state in which nothing goes on.
pub(super) const CLOSED: u8 = 7;

/// The structure under construction.
struct Writer([u8; TCP_INFO_LEN]);

impl Writer {
    fn put(&mut self, name: &str, value: impl Into<u64>) {
        let found = TCP_INFO_FIELDS.iter().find(|(known, ..)| *known == name);
        let (_, at, len) = found.expect("the names below are those of the table");
        let value = value.into().min(u64::MAX >> (64 - 8 * len));
        self.0[*at..at + len].copy_from_slice(&value.to_le_bytes()[..*len]);
    }
}

/// The structure that the figures make.
pub(super) fn tcp_info(info: &SocketInfo) -> [u8; TCP_INFO_LEN] {
    let us = |span: causeway_core::time::Duration| span.as_micros();
    let ms = |span: causeway_core::time::Duration| span.as_millis();
    let mut out = Writer([0; TCP_INFO_LEN]);
    put_state(&mut out, info);
    out.put("tcpi_rto", us(info.rto));
    out.put("tcpi_ato", us(info.ato));
    out.put("tcpi_snd_mss", info.snd_mss);
    out.put("tcpi_rcv_mss", info.rcv_mss);
    out.put("tcpi_unacked", info.unacked);
    out.put("tcpi_sacked", info.sacked);
    out.put("tcpi_lost", info.lost);
    out.put("tcpi_retrans", info.retrans);
    out.put("tcpi_last_data_sent", ms(info.last_data_sent));
    out.put("tcpi_last_data_recv", ms(info.last_data_recv));
    out.put("tcpi_last_ack_recv", ms(info.last_ack_recv));
    out.put("tcpi_pmtu", info.pmtu);
    out.put("tcpi_rcv_ssthresh", info.rcv_ssthresh);
    out.put("tcpi_rtt", us(info.srtt));
    out.put("tcpi_rttvar", us(info.rttvar));
    out.put("tcpi_snd_ssthresh", info.snd_ssthresh);
    out.put("tcpi_snd_cwnd", info.snd_cwnd);
    out.put("tcpi_advmss", info.advmss);
    out.put("tcpi_reordering", info.reordering);
    out.put("tcpi_rcv_rtt", us(info.rcv_rtt));
    out.put("tcpi_rcv_space", info.rcv_space);
    put_counts(&mut out, info);
    out.0
}

fn put_state(out: &mut Writer, info: &SocketInfo) {
    out.put("tcpi_state", info.state);
    out.put("tcpi_ca_state", info.ca_state);
    out.put("tcpi_retransmits", info.timeouts);
    out.put("tcpi_probes", info.probes);
    out.put("tcpi_backoff", info.backoff);
    out.put("tcpi_options", info.options);
    // Bit fields, from the lowest bit on.
    out.0[6] = info.snd_wscale & 15 | info.rcv_wscale << 4;
    out.0[7] = u8::from(info.delivery_rate_app_limited) | (info.fastopen_client_fail & 3) << 1;
}

fn put_counts(out: &mut Writer, info: &SocketInfo) {
    let us = |span: causeway_core::time::Duration| span.as_micros();
    out.put("tcpi_total_retrans", info.retransmits);
    out.put("tcpi_pacing_rate", info.pacing_rate);
    out.put("tcpi_max_pacing_rate", info.max_pacing_rate);
    out.put("tcpi_bytes_acked", info.bytes_acked);
    out.put("tcpi_bytes_received", info.bytes_received);
    out.put("tcpi_segs_out", info.segs_out);
    out.put("tcpi_segs_in", info.segs_in);
    out.put("tcpi_notsent_bytes", info.notsent_bytes);
    out.put("tcpi_min_rtt", us(info.min_rtt));
    out.put("tcpi_data_segs_in", info.data_segs_in);
    out.put("tcpi_data_segs_out", info.data_segs_out);
    out.put("tcpi_delivery_rate", info.delivery_rate);
    out.put("tcpi_busy_time", us(info.busy_time));
    out.put("tcpi_rwnd_limited", us(info.rwnd_limited));
    out.put("tcpi_sndbuf_limited", us(info.sndbuf_limited));
    out.put("tcpi_delivered", info.delivered);
    out.put("tcpi_delivered_ce", info.delivered_ce);
    out.put("tcpi_bytes_sent", info.bytes_sent);
    out.put("tcpi_bytes_retrans", info.bytes_retrans);
    out.put("tcpi_dsack_dups", info.dsack_dups);
    out.put("tcpi_reord_seen", info.reord_seen);
    out.put("tcpi_rcv_ooopack", info.rcv_ooopack);
    out.put("tcpi_snd_wnd", info.snd_wnd);
    out.put("tcpi_rcv_wnd", info.rcv_wnd);
    out.put("tcpi_rehash", info.rehash);
    out.put("tcpi_total_rto", info.total_rto);
    out.put("tcpi_total_rto_recoveries", info.total_rto_recoveries);
    out.put("tcpi_total_rto_time", info.total_rto_time.as_millis());
}

/// The members of `union tcp_cc_info`: name, where it begins and how many bytes it has.
const BBR_FIELDS: &[(&str, usize, usize)] = &[
    ("bbr_bw_lo", 0, 4),
    ("bbr_bw_hi", 4, 4),
    ("bbr_min_rtt", 8, 4),
    ("bbr_pacing_gain", 12, 4),
    ("bbr_cwnd_gain", 16, 4),
];
const DCTCP_FIELDS: &[(&str, usize, usize)] = &[
    ("dctcp_enabled", 0, 2),
    ("dctcp_ce_state", 2, 2),
    ("dctcp_alpha", 4, 4),
    ("dctcp_ab_ecn", 8, 4),
    ("dctcp_ab_tot", 12, 4),
];

/// `union tcp_cc_info` as TCP_CC_INFO gives it: as many bytes as the member of the algorithm has, none for most.
pub(super) fn tcp_cc_info(figures: &CongestionFigures) -> Vec<u8> {
    // Gains in 1/256.
    let gain = |percent: u32| percent * 256 / 100;
    match *figures {
        CongestionFigures::Cubic | CongestionFigures::Reno => Vec::new(),
        CongestionFigures::Bbr { bandwidth, min_rtt, pacing_gain, cwnd_gain } => {
            let min_rtt = u32::try_from(min_rtt.as_micros()).unwrap_or(u32::MAX);
            // Linux's number of a round trip that was not seen is all ones.
            let min_rtt = if min_rtt == 0 { u32::MAX } else { min_rtt };
            let mut out = bandwidth.to_le_bytes().to_vec();
            let rest = [min_rtt, gain(pacing_gain), gain(cwnd_gain)];
            out.extend(rest.into_iter().flat_map(u32::to_le_bytes));
            out
        }
        CongestionFigures::Dctcp { enabled: false, .. } => vec![0; 16],
        CongestionFigures::Dctcp { ce, alpha, bytes_marked, bytes_acked, .. } => {
            let mut out =
                [1, u16::from(ce)].into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
            out.extend([alpha, bytes_marked, bytes_acked].into_iter().flat_map(u32::to_le_bytes));
            out
        }
    }
}

/// Getter: every field of what TCP_CC_INFO gave for `algorithm`, by name.
pub fn tcp_cc_info_fields(algorithm: &str, bytes: &[u8]) -> Vec<(&'static str, u64)> {
    let table = match algorithm {
        "bbr" => BBR_FIELDS,
        "dctcp" => DCTCP_FIELDS,
        _ => &[],
    };
    let read = |at: usize, len: usize| {
        let part = bytes.get(at..at + len).unwrap_or(&[]);
        part.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    table.iter().map(|(name, at, len)| (*name, read(*at, *len))).collect()
}

impl Host {
    /// Getter: the figures of a connection, or those that it had at its end; `None` where there never was one.
    pub(super) fn info(&mut self, socket: SocketId) -> Option<SocketInfo> {
        let now = self.now();
        let last = self.endpoints.get(&socket).and_then(|endpoint| endpoint.last_info.as_ref());
        if let Some((then, info)) = last {
            return Some(info.after(now.saturating_since(*then)));
        }
        match self.ask(Op::Info { socket }) {
            Some(Completion::Info { info, .. }) => Some(*info),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_has_no_hole_but_the_ones_linux_has() {
        let mut end = 0;
        for (name, at, len) in TCP_INFO_FIELDS {
            let gap = at - end;
            assert!(gap == 0 || *name == "tcpi_rto", "{gap} bytes before {name}");
            assert_eq!(at % len, 0, "{name} is aligned");
            end = at + len;
        }
        assert_eq!(end, TCP_INFO_LEN);
    }

    #[test]
    fn a_figure_is_read_back_by_its_name() {
        let info =
            SocketInfo { snd_wscale: 7, rcv_wscale: 8, snd_cwnd: 10, ..SocketInfo::default() };
        let fields = tcp_info_fields(&tcp_info(&info));
        let value = |name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert_eq!(value("tcpi_snd_cwnd"), Some(10));
        assert_eq!((value("tcpi_snd_wscale"), value("tcpi_rcv_wscale")), (Some(7), Some(8)));
    }
}
