//! The figures of a connection.

use super::connection::Connection;
use crate::port::SocketInfo;

impl Connection {
    /// Getter: figures for the application and for the observer.
    pub fn info(&self) -> SocketInfo {
        SocketInfo {
            srtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            cwnd_bytes: self.congestion.cwnd(),
            ssthresh_bytes: self.congestion.ssthresh(),
            retransmits: u64::from(self.counters.retransmits),
            bytes_sent: self.counters.bytes_sent,
            bytes_acked: self.snd.anchor.offset,
            bytes_received: self.rcv.anchor.offset,
            message_acked: 0,
        }
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
