//! TCP_DEFER_ACCEPT (tcp(7)): a passive open is handed over with its first data, or when it has waited long enough.
//!
//! As on Linux (tcp_check_req, syn_ack_recalc) time is counted in spans of the SYN,ACK's timer, which double. An acknowledgement that
//! only completes the handshake (RFC 9293 §3.10.7.4, fifth) counts for nothing meanwhile, and the peer, which has what it asked for, is
//! not asked again. When the last span begins to end it is: the next acknowledgement completes the handshake.

use super::connection::{Connection, Reader};
use crate::planted::{self, Bug};
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// TCP_TIMEOUT_INIT and TCP_RTO_MAX, in ms.
const RTO_MS_INITIAL: u32 = 1_000;
const RTO_MS_MAX: u32 = 120_000;

/// Getter: how many seconds the option lasts that was set to `seconds`: whole spans of the SYN,ACK's timer, 255 of them at most.
pub fn defer_accept_lasts(seconds: u32) -> u32 {
    (spans(seconds, RTO_MS_INITIAL, RTO_MS_MAX).1 / 1_000) as u32
}

/// As many spans, of which the first lasts `initial_ms` and none more than `max_ms`, as last `seconds`, and how many ms that is.
fn spans(seconds: u32, initial_ms: u32, max_ms: u32) -> (u8, u64) {
    let asked = u64::from(seconds) * 1_000;
    let (mut count, mut span, mut all) = (0_u8, u64::from(initial_ms), 0);
    while all < asked && count < u8::MAX {
        count += 1;
        all += span;
        span = (span * 2).min(max_ms.into());
    }
    (count, all)
}

impl Connection {
    /// Spans of the SYN,ACK's timer that the connection waits for data.
    pub(in crate::tcp) fn deferred_spans(&self) -> u8 {
        let config = &self.config;
        match config.defer_accept_s {
            0 => 0,
            seconds => spans(seconds, config.rto_ms_initial, config.rto_ms_max).0,
        }
    }

    /// Getter: `header` does nothing but complete the handshake, and the application wants no connection without data yet. One that
    /// took data with its SYN (Fast Open) it has.
    pub fn defers_accept(&self, header: &TcpHeader, payload_len: u32) -> bool {
        payload_len == 0
            && !header.flags.contains(TcpFlags::FIN)
            && header.seq == self.rcv.rcv_nxt
            && self.is_half_open()
            && !self.is_fast_child()
            && self.recovery.retries < self.deferred_spans()
    }

    /// Getter: the peer has acknowledged the SYN,ACK, without data.
    pub(in crate::tcp) fn is_deferred(&self) -> bool {
        self.flags.reader == Reader::Later
    }

    /// Getter: the peer has acknowledged the SYN,ACK, and has time to send data: the connection is not given up.
    pub(in crate::tcp) fn waits_for_data(&self) -> bool {
        self.is_deferred() && self.is_half_open() && self.recovery.retries < self.deferred_spans()
    }

    /// Getter: likewise, and this is not the last span: the SYN,ACK is not sent again.
    pub(in crate::tcp) fn rests(&self) -> bool {
        let asks = planted::is(Bug::DeferredIsAskedAgain);
        self.waits_for_data() && self.recovery.retries + 1 < self.deferred_spans() && !asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_to_spans_that_double_as_on_linux() {
        let seen = [(0, 0), (1, 1), (2, 3), (3, 3), (5, 7), (8, 15), (127, 127), (128, 247)];
        for (asked, lasts) in seen {
            assert_eq!(defer_accept_lasts(asked), lasts, "{asked}");
        }
        assert_eq!(defer_accept_lasts(300), 367);
        assert_eq!(defer_accept_lasts(u32::MAX), 29_887, "255 spans");
        assert_eq!(spans(5, 500, 1_000), (6, 5_500));
    }
}
