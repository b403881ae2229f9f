//! The figures of recovery, as Linux's `struct tcp_info` counts them.

use super::sent::Marks;
use super::state::Phase;
use crate::planted::{self, Bug};
use crate::port::SocketInfo;
use crate::tcp::connection::{Connection, millis};

/// `enum tcp_ca_state`.
const CA_OPEN: u8 = 0;
const CA_DISORDER: u8 = 1;
const CA_CWR: u8 = 2;
const CA_RECOVERY: u8 = 3;
const CA_LOSS: u8 = 4;

impl Connection {
    /// Getter: fills in the figures of recovery. Costs a look at each record of what is in flight. Segments are counted as they were
    /// sent; of a burst, as the NIC cut it.
    pub(in crate::tcp) fn recovery_info(&self, info: &mut SocketInfo) {
        let mss = self.options.mss();
        info.ca_state = self.ca_state();
        info.timeouts = self.recovery.retries;
        info.backoff = self.rtt.backoff();
        info.retransmits = u64::from(self.counters.retransmits);
        let trouble = self.recovery.trouble.as_deref().cloned().unwrap_or_default();
        info.bytes_retrans = trouble.bytes_retrans;
        info.reordering = u32::from(trouble.reordering);
        info.reord_seen = trouble.reord_seen;
        info.dsack_dups = trouble.dsack_dups;
        info.rcv_ooopack = trouble.out_of_order;
        info.delivered = self.recovery.delivered;
        info.delivered_ce = trouble.delivered_ce;
        (info.total_rto, info.total_rto_recoveries) =
            (trouble.timeouts, trouble.timeout_recoveries);
        info.total_rto_time = millis(trouble.timeout_ms);
        info.min_rtt = self.rtt.min_rtt();
        (info.delivery_rate, info.delivery_rate_app_limited) = self.congestion.delivery_rate();
        let Some(flight) = self.recovery.flight.as_deref() else { return };
        info.unacked = 0;
        for record in flight.sent.iter() {
            let segments = record.segments(mss);
            let count = |mark: u16| if record.marks.has(mark) { segments } else { 0 };
            info.unacked += segments;
            info.sacked += count(Marks::SACKED);
            info.lost += count(Marks::LOST);
            let probe = record.marks.has(Marks::PROBE) && !planted::is(Bug::ProbeIsRetransmission);
            info.retrans += if probe { 0 } else { count(Marks::RETRANS) };
        }
        info.sacked += u32::from(flight.dup_acks);
        if let Some(sample) = flight.rate.bytes_per_second() {
            (info.delivery_rate, info.delivery_rate_app_limited) = sample;
        }
    }

    fn ca_state(&self) -> u8 {
        let flight = self.recovery.flight.as_deref();
        match self.recovery.phase {
            Phase::Fast => CA_RECOVERY,
            Phase::Loss => CA_LOSS,
            Phase::Open if self.congestion.is_in_cwr(self.snd.snd_una) => CA_CWR,
            Phase::Open if flight.is_some_and(|f| f.sacked_bytes > 0 || f.dup_acks > 0) => {
                CA_DISORDER
            }
            Phase::Open => CA_OPEN,
        }
    }
}
