//! The figures of a socket: what Linux's `struct tcp_info` tells, and what Machnet flows have of it.

use crate::time::Duration;

/// A field that crosses the channel as one word.
trait Word: Copy {
    /// What stands behind its name where the type says the unit.
    const SUFFIX: &str = "";
    fn to_word(self) -> u64;
    fn from_word(word: u64) -> Self;
}

impl Word for u64 {
    fn to_word(self) -> u64 {
        self
    }
    fn from_word(word: u64) -> Self {
        word
    }
}

impl Word for u32 {
    fn to_word(self) -> u64 {
        self.into()
    }
    fn from_word(word: u64) -> Self {
        word as Self
    }
}

impl Word for u16 {
    fn to_word(self) -> u64 {
        self.into()
    }
    fn from_word(word: u64) -> Self {
        word as Self
    }
}

impl Word for u8 {
    fn to_word(self) -> u64 {
        self.into()
    }
    fn from_word(word: u64) -> Self {
        word as Self
    }
}

impl Word for bool {
    fn to_word(self) -> u64 {
        self.into()
    }
    fn from_word(word: u64) -> Self {
        word != 0
    }
}

impl Word for Duration {
    const SUFFIX: &str = "_ns";
    fn to_word(self) -> u64 {
        self.as_nanos()
    }
    fn from_word(word: u64) -> Self {
        Self::from_nanos(word)
    }
}

macro_rules! figures {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        /// Figures of one connection or flow at one moment. Field for field Linux's `struct tcp_info`, with units in the
        /// names; a figure that a Machnet flow does not have is zero there.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct SocketInfo {
            $($(#[$doc])* pub $field: $type,)*
        }

        /// Words of [`SocketInfo::to_words`].
        pub const INFO_WORDS: usize = [$(stringify!($field)),*].len();

        impl SocketInfo {
            /// Getter: every field as a word, as it crosses the channel.
            pub fn to_words(&self) -> [u64; INFO_WORDS] {
                [$(self.$field.to_word()),*]
            }

            /// The inverse of [`SocketInfo::to_words`]. Any words are figures.
            pub fn from_words(words: &[u64; INFO_WORDS]) -> Self {
                let [$($field),*] = *words;
                Self { $($field: Word::from_word($field)),* }
            }

            /// Getter: what each word of [`SocketInfo::to_words`] is called: the field, and the unit where the type says it (`_ns`
            /// for spans).
            pub fn names() -> [(&'static str, &'static str); INFO_WORDS] {
                [$((stringify!($field), <$type as Word>::SUFFIX)),*]
            }
        }
    };
}

figures! {
    /// tcpi_state: Linux's number of the state: 1 ESTABLISHED, 2 SYN-SENT, 3 SYN-RECEIVED, 4 FIN-WAIT-1, 5 FIN-WAIT-2,
    /// 6 TIME-WAIT, 7 CLOSED, 8 CLOSE-WAIT, 9 LAST-ACK, 10 LISTEN, 11 CLOSING.
    state: u8,
    /// tcpi_ca_state: 0 Open, 1 Disorder, 2 CWR, 3 Recovery, 4 Loss.
    ca_state: u8,
    /// tcpi_retransmits: timeouts in a row without progress.
    timeouts: u8,
    /// tcpi_probes: window or keepalive probes without an answer.
    probes: u8,
    /// tcpi_backoff: doublings of the RTO.
    backoff: u8,
    /// tcpi_options: 1 timestamps, 2 SACK, 4 window scaling, 8 ECN, 16 ECN seen, 32 data on SYN was acknowledged.
    options: u8,
    /// tcpi_snd_wscale.
    snd_wscale: u8,
    /// tcpi_rcv_wscale.
    rcv_wscale: u8,
    /// tcpi_delivery_rate_app_limited: the last rate sample was bounded by the application.
    delivery_rate_app_limited: bool,
    /// tcpi_fastopen_client_fail.
    fastopen_client_fail: u8,
    /// tcpi_rto: the retransmission timeout, backoff included.
    rto: Duration,
    /// tcpi_ato: the delayed-acknowledgement timeout.
    ato: Duration,
    /// tcpi_snd_mss in bytes, options taken off.
    snd_mss: u32,
    /// tcpi_rcv_mss in bytes.
    rcv_mss: u32,
    /// tcpi_unacked: segments sent and not acknowledged.
    unacked: u32,
    /// tcpi_sacked: of these, selectively acknowledged.
    sacked: u32,
    /// tcpi_lost: of these, deemed lost.
    lost: u32,
    /// tcpi_retrans: of these, retransmitted and not yet acknowledged.
    retrans: u32,
    /// tcpi_last_data_sent: since data was last sent.
    last_data_sent: Duration,
    /// tcpi_last_data_recv: since data was last received.
    last_data_recv: Duration,
    /// tcpi_last_ack_recv: since an acknowledgement was last received.
    last_ack_recv: Duration,
    /// tcpi_pmtu in bytes.
    pmtu: u32,
    /// tcpi_rcv_ssthresh in bytes.
    rcv_ssthresh: u32,
    /// tcpi_rtt: smoothed round-trip time; zero before the first sample.
    srtt: Duration,
    /// tcpi_rttvar: round-trip time variation.
    rttvar: Duration,
    /// tcpi_snd_ssthresh in segments.
    snd_ssthresh: u32,
    /// tcpi_snd_cwnd in segments.
    snd_cwnd: u32,
    /// The congestion window in bytes (packets x payload for Machnet).
    cwnd_bytes: u32,
    /// The slow-start threshold in bytes.
    ssthresh_bytes: u32,
    /// tcpi_advmss in bytes.
    advmss: u32,
    /// tcpi_reordering in segments.
    reordering: u32,
    /// tcpi_rcv_rtt: the receiver's estimate of the round-trip time.
    rcv_rtt: Duration,
    /// tcpi_rcv_space in bytes.
    rcv_space: u32,
    /// tcpi_total_retrans: segments or packets that were sent again.
    retransmits: u64,
    /// tcpi_pacing_rate in bytes a second.
    pacing_rate: u64,
    /// tcpi_max_pacing_rate in bytes a second.
    max_pacing_rate: u64,
    /// tcpi_bytes_acked: sequence numbers acknowledged by the peer: payload bytes, FIN, and the SYN of an active open.
    bytes_acked: u64,
    /// tcpi_bytes_received: payload bytes received in order, and FIN.
    bytes_received: u64,
    /// tcpi_segs_out.
    segs_out: u32,
    /// tcpi_segs_in.
    segs_in: u32,
    /// tcpi_notsent_bytes: written and never sent.
    notsent_bytes: u32,
    /// tcpi_min_rtt; zero before the first sample.
    min_rtt: Duration,
    /// tcpi_data_segs_in.
    data_segs_in: u32,
    /// tcpi_data_segs_out.
    data_segs_out: u32,
    /// tcpi_delivery_rate in bytes a second.
    delivery_rate: u64,
    /// tcpi_busy_time: with data outstanding or waiting.
    busy_time: Duration,
    /// tcpi_rwnd_limited: of the busy time, held back by the peer's window.
    rwnd_limited: Duration,
    /// tcpi_sndbuf_limited: of the busy time, held back by the send buffer.
    sndbuf_limited: Duration,
    /// tcpi_delivered: segments delivered.
    delivered: u32,
    /// tcpi_delivered_ce: of these, with congestion experienced.
    delivered_ce: u32,
    /// tcpi_bytes_sent: payload bytes sent, retransmissions included.
    bytes_sent: u64,
    /// tcpi_bytes_retrans: payload bytes sent again.
    bytes_retrans: u64,
    /// tcpi_dsack_dups: duplicates that the peer reported (RFC 2883).
    dsack_dups: u32,
    /// tcpi_reord_seen: times that reordering was seen.
    reord_seen: u32,
    /// tcpi_rcv_ooopack: segments received out of order.
    rcv_ooopack: u32,
    /// tcpi_snd_wnd: the peer's window in bytes.
    snd_wnd: u32,
    /// tcpi_rcv_wnd: our window in bytes.
    rcv_wnd: u32,
    /// tcpi_rehash: times that the flow label or queue was changed for a stuck path.
    rehash: u32,
    /// tcpi_total_rto: retransmission timeouts, those of SYN and SYN,ACK included.
    total_rto: u16,
    /// tcpi_total_rto_recoveries: how often a first timeout was followed by repair, under way or done.
    total_rto_recoveries: u16,
    /// tcpi_total_rto_time: how long those took.
    total_rto_time: Duration,
    /// Highest message id acknowledged by the peer (Machnet).
    message_acked: u64,
}

impl SocketInfo {
    /// Getter: the figures `span` after they were taken, of a connection to which nothing happened meanwhile: an idle one, or one
    /// that has ended ([`Completion::LastInfo`](crate::port::Completion::LastInfo)).
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self {
            last_data_sent: self.last_data_sent + span,
            last_data_recv: self.last_data_recv + span,
            last_ack_recv: self.last_ack_recv + span,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_comes_back_from_its_word() {
        let mut words = [0; INFO_WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            *word = index as u64 + 3;
        }
        // The one flag.
        words[8] = 1;
        let info = SocketInfo::from_words(&words);
        assert_eq!((info.state, info.message_acked), (3, INFO_WORDS as u64 + 2));
        assert_eq!(info.to_words(), words);
    }

    #[test]
    fn every_word_has_the_name_of_its_field_and_spans_their_unit() {
        let names = SocketInfo::names();
        assert_eq!((names[0], names[INFO_WORDS - 1]), (("state", ""), ("message_acked", "")));
        let srtt = names.iter().position(|name| *name == ("srtt", "_ns")).unwrap();
        let info = SocketInfo { srtt: Duration::from_micros(3), ..SocketInfo::default() };
        assert_eq!(info.to_words()[srtt], 3_000);
    }

    #[test]
    fn later_the_times_since_something_happened_are_longer_and_nothing_else_is_other() {
        let mut words = [0; INFO_WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            *word = index as u64 + 3;
        }
        words[8] = 1;
        let then = SocketInfo::from_words(&words);
        let span = Duration::from_millis(1_234);
        let now = then.after(span);
        assert_eq!(now.last_data_sent, then.last_data_sent + span);
        assert_eq!(now.last_data_recv, then.last_data_recv + span);
        assert_eq!(now.last_ack_recv, then.last_ack_recv + span);
        let words = now.to_words();
        let other = words.iter().zip(then.to_words()).filter(|(now, then)| *now != then).count();
        assert_eq!(other, 3);
    }
}
