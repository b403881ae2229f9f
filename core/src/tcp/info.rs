//! The figures of a connection.

use super::congestion::{CWND_MAX, CongestionFigures};
use super::connection::{Connection, Counters, millis};
use super::mtu_probing::MtuSearch;
use super::output::SegmentOut;
use super::recv_buffer::AckDue;
use super::state::State;
use crate::planted::{self, Bug};
use crate::port::{SocketInfo, StreamIo};
use crate::time::Instant;
use crate::wire::tcp::TCP_HEADER_LEN;

impl State {
    /// Getter: Linux's number of the state (`tcpi_state`).
    pub const fn linux_number(self) -> u8 {
        match self {
            Self::Established => 1,
            Self::SynSent => 2,
            Self::SynReceived => 3,
            Self::FinWait1 => 4,
            Self::FinWait2 => 5,
            Self::TimeWait => 6,
            Self::Closed => 7,
            Self::CloseWait => 8,
            Self::LastAck => 9,
            Self::Closing => 11,
        }
    }
}

impl Counters {
    /// Input: segments of the connection arrived, `data` of them with payload.
    #[inline]
    pub(in crate::tcp) fn count_received(&mut self, segments: u32, data: u32) {
        self.segs_in = self.segs_in.wrapping_add(segments);
        self.data_segs_in = self.data_segs_in.wrapping_add(data);
    }

    /// Input: `segment` leaves, as however many the NIC will cut it into.
    #[inline]
    pub(in crate::tcp) fn count_sent(&mut self, segment: &SegmentOut) {
        let count = match segment.gso_size {
            0 => 1,
            size => segment.payload_len.div_ceil(u32::from(size)),
        };
        self.segs_out = self.segs_out.wrapping_add(count);
        if segment.payload_len > 0 {
            self.data_segs_out = self.data_segs_out.wrapping_add(count);
        }
    }
}

/// RCV.MSS before anything has arrived: what every host can send (RFC 9293 §3.7.1; Linux's TCP_MSS_DEFAULT).
const RCV_MSS_INITIAL: u32 = 536;
/// What Linux shows for a threshold that was never set (TCP_INFINITE_SSTHRESH).
const SSTHRESH_INFINITE: u32 = 0x7fff_ffff;

impl Connection {
    /// Getter: all figures, as of `now`; the path MTU without the IP header.
    pub fn info_at(&self, now: Instant, io: &impl StreamIo) -> SocketInfo {
        let sent = self.snd.offset_of(self.snd.snd_max);
        let notsent = self.snd.end(io).saturating_sub(sent);
        let mut info = SocketInfo {
            last_data_sent: now.saturating_since(self.counters.last_tx),
            last_ack_recv: now.saturating_since(self.counters.last_rx),
            notsent_bytes: u32::try_from(notsent).unwrap_or(u32::MAX),
            ..self.info()
        };
        if let Some(trouble) = self.recovery.trouble.as_deref() {
            info.total_rto_time = millis(trouble.timeout_ms_at(now));
        }
        self.chrono_info(now, &mut info);
        info
    }

    /// Getter: the figures of a connection that has just ended, as Linux keeps them until close: nothing waits for an
    /// acknowledgement any more, and what is due at once, as that of the peer's FIN, has left.
    pub fn last_info_at(&self, now: Instant, io: &impl StreamIo) -> SocketInfo {
        let info = self.info_at(now, io);
        let counted = !planted::is(Bug::LastAckUncounted);
        let acknowledgements = u32::from(self.rcv.ack_due == AckDue::Now && counted);
        let segs_out = info.segs_out.wrapping_add(acknowledgements);
        SocketInfo { state: State::Closed.linux_number(), unacked: 0, backoff: 0, segs_out, ..info }
    }

    /// Getter: the figures that neither time nor the rings have a part in; the others are zero.
    pub fn info(&self) -> SocketInfo {
        let mss = self.options.mss();
        let path = self.seldom.mtu_search().map_or(self.options.mss_ip, MtuSearch::path);
        let segments = |bytes: u32| bytes.div_ceil(mss.max(1));
        let (rcv_rtt, rcv_space) = self.receive_figures();
        let (cwnd, ssthresh) = (self.congestion.cwnd(), self.congestion.ssthresh());
        let mut info = SocketInfo {
            state: self.state.linux_number(),
            probes: self.counters.probes,
            fastopen_client_fail: self.fast_open_figures().1,
            options: self.option_bits(),
            snd_wscale: self.options.snd_wscale,
            rcv_wscale: self.options.rcv_wscale,
            rto: self.rto(),
            ato: self.ato(),
            snd_mss: self.mss_of_syn_data().map_or(mss, u32::from),
            rcv_mss: u32::from(self.rcv.rcv_mss).max(RCV_MSS_INITIAL.min(mss)),
            unacked: segments(self.snd.outstanding()),
            srtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            snd_cwnd: (cwnd / mss.max(1)).max(1),
            snd_ssthresh: if ssthresh >= CWND_MAX {
                SSTHRESH_INFINITE
            } else {
                ssthresh / mss.max(1)
            },
            cwnd_bytes: cwnd,
            ssthresh_bytes: ssthresh,
            advmss: self.advmss(),
            bytes_sent: self.counters.bytes_sent,
            bytes_acked: self.sequence_acked(),
            bytes_received: self.sequence_received(),
            pacing_rate: self.congestion.pacing_rate(),
            max_pacing_rate: self.config.max_pacing_rate,
            snd_wnd: self.snd.snd_wnd,
            rcv_wnd: self.rcv.rcv_wnd(),
            rcv_ssthresh: self.rcv.limit_told(self.options.rcv_wscale),
            rcv_rtt,
            rcv_space,
            // The IP layer adds its own header, which the machine does not know.
            pmtu: u32::from(path) + TCP_HEADER_LEN as u32,
            segs_in: self.counters.segs_in,
            segs_out: self.counters.segs_out,
            data_segs_in: self.counters.data_segs_in,
            data_segs_out: self.counters.data_segs_out,
            ..SocketInfo::default()
        };
        self.recovery_info(&mut info);
        info
    }

    fn option_bits(&self) -> u8 {
        u8::from(self.options.timestamps)
            | u8::from(self.options.sack) << 1
            | u8::from(self.options.window_scaling) << 2
            | u8::from(self.ecn.is_agreed()) << 3
            | u8::from(self.ecn.has_seen()) << 4
            | u8::from(self.fast_open_figures().0) << 5
    }

    /// Getter: tcpi_bytes_acked counts sequence numbers: with the bytes the SYN of an active open, and FIN.
    fn sequence_acked(&self) -> u64 {
        // A passive open sends its SYN,ACK before there is anything that counts.
        let syn = self.flags.active && self.snd.snd_una != self.snd.iss;
        self.snd.anchor.offset + u64::from(syn) + u64::from(self.snd.fin_acked())
    }

    /// Getter: tcpi_bytes_received: the bytes, and FIN once it was taken.
    fn sequence_received(&self) -> u64 {
        self.rcv.anchor.offset + u64::from(self.rcv.rcv_nxt != self.rcv.anchor.seq)
    }

    /// Getter: the congestion control that is at work, and what it tells of itself (TCP_CC_INFO).
    pub fn congestion_figures(&self) -> CongestionFigures {
        self.congestion.figures(self.ecn.is_agreed(), self.ecn.is_echoing())
    }

    /// Getter: payload bytes received in order.
    pub const fn bytes_received(&self) -> u64 {
        self.rcv.anchor.offset
    }

    /// Getter: payload bytes that the peer has acknowledged.
    pub const fn bytes_acked(&self) -> u64 {
        self.snd.anchor.offset
    }

    /// Getter: sequence numbers sent and not acknowledged.
    pub fn flight_bytes(&self) -> u32 {
        self.snd.outstanding()
    }

    /// Getter: the payload of a full segment in bytes, options taken off.
    pub fn mss(&self) -> u32 {
        self.options.mss()
    }
}
