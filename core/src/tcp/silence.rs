//! The next hop does not answer: nothing can be sent, and the timers must know that something was to be.

use super::connection::Connection;
use super::output::TxLimits;
use crate::port::StreamIo;
use crate::time::Instant;

impl Connection {
    /// Command: what is due cannot be sent. Where nothing is under way the next segment counts as sent, and is lost, so that the
    /// timers that give a connection up (RFC 1122 §4.2.3.5) begin with it. Then `poll_event` until it gives `None`.
    pub fn lose_next(&mut self, now: Instant, io: &impl StreamIo) {
        if self.flags.rst_due || (self.snd.outstanding() == 0 && self.has_unsent(io)) {
            let mss_ip = self.options.mss_ip;
            let limits = TxLimits { mss_ip, mss_link: mss_ip, gso_bytes_max: 0 };
            let _ = self.poll_transmit(now, &limits, io);
        }
    }
}
