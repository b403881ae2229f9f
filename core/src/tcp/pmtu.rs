//! Path MTU discovery at a connection (RFC 1191 §6.4, RFC 8201 §5.4): smaller segments at once, and what was too big
//! again, as no fault of the network's load.

use super::connection::Connection;
use super::recovery::Trouble;
use super::seq::SeqNumber;
use super::state::State;
use super::timer::TimerReason;
use crate::planted::{self, Bug};
use crate::time::Instant;

impl Connection {
    /// Command: the path carries less than the least that is believed: DF is no help to anybody any more, and packets are cut on
    /// the way.
    pub fn let_be_cut(&mut self) {
        Trouble::of(&mut self.recovery.trouble).may_be_cut = true;
    }

    /// Getter: packets are sent without DF (IPv4).
    #[inline]
    pub fn may_be_cut(&self) -> bool {
        self.recovery.trouble.as_deref().is_some_and(|trouble| trouble.may_be_cut)
            || self.config.mtu_discover().may_be_cut()
    }

    /// Input: a router dropped the segment that began at `seq` because it was too big. Of the path it is now known that it
    /// carries `mss_ip` (see [`super::TxLimits`]). What is in flight is sent again in segments of that size, from
    /// the first that is not acknowledged, without a cut of the congestion window: nothing was lost to congestion
    /// (RFC 1191 §6.4, RFC 8201 §5.4).
    ///
    /// False when the connection does not believe it: `seq` is not in flight (RFC 5927 §7.2), or its segments are
    /// smaller already.
    pub fn handle_packet_too_big(&mut self, now: Instant, seq: SeqNumber, mss_ip: u16) -> bool {
        let heard = self.has_in_flight(seq) && !planted::is(Bug::TooBigUnheard);
        if heard && self.state == State::SynSent {
            return self.resend_syn_bare(now);
        }
        if !self.state.is_synchronized() || !heard {
            return false;
        }
        let mss_before = self.options.mss();
        self.options.mss_ip = mss_ip.min(self.options.mss_ip);
        if self.options.mss() >= mss_before {
            return self.mtu_probe_too_big(now, seq, mss_ip);
        }
        self.resend_too_big();
        self.timers.set(TimerReason::Retransmit, now + self.rto());
        true
    }

    /// A SYN with data was too big: one without goes at once (tcp_simple_retransmit). No SYN is too big without data.
    fn resend_syn_bare(&mut self, now: Instant) -> bool {
        let again = self.counters.retransmits > 0 || planted::is(Bug::SynTooBigWaits);
        if self.syn_data_len() == 0 || again {
            return false;
        }
        self.snd.snd_nxt = self.snd.iss;
        self.timers.set(TimerReason::Retransmit, now + self.rto());
        true
    }
}
