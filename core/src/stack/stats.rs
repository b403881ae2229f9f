//! Counters of the whole stack. They only grow, and say nothing about single sockets.

use crate::event::DropReason;

/// Drops by reason, one field for each [`DropReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Drops {
    /// [`DropReason::Malformed`].
    pub malformed: u64,
    /// [`DropReason::Checksum`].
    pub checksum: u64,
    /// [`DropReason::NotOurs`].
    pub not_ours: u64,
    /// [`DropReason::Martian`].
    pub martian: u64,
    /// [`DropReason::Protocol`].
    pub protocol: u64,
    /// [`DropReason::NoSocket`].
    pub no_socket: u64,
    /// [`DropReason::Limit`].
    pub limit: u64,
    /// [`DropReason::Fragment`].
    pub fragment: u64,
    /// [`DropReason::Blind`].
    pub blind: u64,
}

impl Drops {
    pub(super) const fn count(&mut self, reason: DropReason) {
        match reason {
            DropReason::Malformed => self.malformed += 1,
            DropReason::Checksum => self.checksum += 1,
            DropReason::NotOurs => self.not_ours += 1,
            DropReason::Martian => self.martian += 1,
            DropReason::Protocol => self.protocol += 1,
            DropReason::NoSocket => self.no_socket += 1,
            DropReason::Limit => self.limit += 1,
            DropReason::Fragment => self.fragment += 1,
            DropReason::Blind => self.blind += 1,
        }
    }

    /// Getter: all of them together.
    pub const fn total(&self) -> u64 {
        self.malformed
            + self.checksum
            + self.not_ours
            + self.martian
            + self.protocol
            + self.no_socket
            + self.limit
            + self.fragment
            + self.blind
    }
}

/// What the stack has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats {
    /// Frames received.
    pub rx_frames: u64,
    /// Their bytes, link header included.
    pub rx_bytes: u64,
    /// Frames received and dropped, by reason.
    pub drops: Drops,
    /// Frames handed to a NIC.
    pub tx_frames: u64,
    /// Their bytes, link header included.
    pub tx_bytes: u64,
    /// TCP segments that found their connection.
    pub tcp_segments_in: u64,
    /// TCP segments sent by connections (a super-segment counts once).
    pub tcp_segments_out: u64,
    /// RST segments sent for segments without a connection.
    pub tcp_resets_out: u64,
    /// Machnet packets that found their flow.
    pub machnet_packets_in: u64,
    /// Datagrams taken although their UDP checksum is wrong, from peers of whom the configuration expects it.
    pub udp_checksums_overlooked: u64,
    /// Machnet packets sent by flows.
    pub machnet_packets_out: u64,
    /// Datagrams that UDP sockets received.
    pub udp_datagrams_in: u64,
    /// Datagrams that UDP sockets sent, or left waiting for a neighbour.
    pub udp_datagrams_out: u64,
    /// Datagrams dropped because the application of their UDP socket reads too slowly.
    pub udp_receive_drops: u64,
    /// Datagrams of UDP sockets that were not sent: no route, no neighbour, or too many that wait for one.
    pub udp_send_drops: u64,
    /// Segments and packets sent again.
    pub retransmits: u64,
    /// ICMP errors received that were believed: they quote what a socket of ours has under way.
    pub icmp_errors_in: u64,
    /// ICMP errors sent.
    pub icmp_errors_out: u64,
    /// Fragments received.
    pub fragments_in: u64,
    /// Fragments sent, of datagrams of ours that were too long for their path.
    pub fragments_out: u64,
    /// Datagrams put together of received fragments.
    pub datagrams_reassembled: u64,
    /// Datagrams given up because fragments did not come in time.
    pub reassembly_timeouts: u64,
    /// Times that a router's word made a path's MTU smaller.
    pub path_mtus_lowered: u64,
    /// ICMP errors, and messages of other types, that were received and had no effect.
    pub icmp_ignored: u64,
    /// ARP packets whose sender claims an address of ours (RFC 5227 §2.4), and addresses that are not used because somebody has them.
    pub address_conflicts: u64,
    /// Echo requests answered.
    pub echo_replies_out: u64,
    /// Echo requests that found the limit of replies a second used up.
    pub echo_replies_limited: u64,
    /// Replies without a socket (RST, echo, ARP) that found the queue full, or no route or neighbour.
    pub replies_lost: u64,
    /// SYNs that found a listener's queue of half-open connections full.
    pub backlog_overflows: u64,
    /// Handshakes that could not be completed because the application had not accepted enough.
    pub accept_overflows: u64,
    /// SYNs answered with a cookie because of that.
    pub syn_cookies_sent: u64,
    /// Connections that came of cookies.
    pub syn_cookies_redeemed: u64,
    /// Acknowledgements that brought something back that is no cookie.
    pub syn_cookies_failed: u64,
    /// Challenge acknowledgements withheld because all connections together had sent enough (RFC 5961 §7).
    pub challenges_withheld: u64,
    /// Connections that took data from a SYN (RFC 7413).
    pub fast_opens: u64,
    /// Sockets opened, listeners included.
    pub sockets_opened: u64,
    /// Sockets forgotten.
    pub sockets_closed: u64,
    /// Times that a transmission had to wait because the NIC had no memory.
    pub alloc_failures: u64,
    /// Socket slots looked at while handling frames, timers and transmissions. The work per segment must not
    /// depend on how many sockets exist: tests hold this against the number of segments.
    pub socket_visits: u64,
}

impl Stats {
    /// Command: `count` TCP segments were written, one a frame, `bytes` in all.
    #[inline]
    pub(super) const fn count_segments_sent(&mut self, count: u64, bytes: usize) {
        self.tcp_segments_out += count;
        self.tx_frames += count;
        self.tx_bytes += bytes as u64;
    }

    /// Getter: sockets that exist now, listeners and TIME-WAIT included.
    pub const fn sockets_live(&self) -> u64 {
        self.sockets_opened - self.sockets_closed
    }
}
