//! What LISTEN and CLOSED make of a segment (RFC 9293 §3.10.7.1 and §3.10.7.2).

use super::disposition::Rst;
use super::seq::SeqNumber;
use crate::planted::{self, Bug};
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// A listener's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenDecision {
    /// Drop it.
    Ignore,
    /// Answer with this RST.
    Rst(Rst),
    /// A new connection: give the header to [`super::Connection::accept`].
    Accept,
}

/// RFC 9293 §3.10.7.2: a segment for a port in LISTEN that belongs to no connection.
pub fn listen(header: &TcpHeader) -> ListenDecision {
    let flags = header.flags;
    let silent = planted::is(Bug::SilentListener) && flags.contains(TcpFlags::ACK);
    let reset = flags.contains(TcpFlags::RST) && !planted::is(Bug::RstAtAListener);
    if reset || silent {
        ListenDecision::Ignore
    } else if flags.contains(TcpFlags::ACK) {
        ListenDecision::Rst(Rst { seq: header.ack, ack: SeqNumber(0), with_ack: false })
    } else if flags.contains(TcpFlags::SYN)
        && (!flags.contains(TcpFlags::FIN) || planted::is(Bug::ListenerTakesFin))
    {
        // SYN with FIN is no way to begin: Linux drops it too, and scanners send it.
        ListenDecision::Accept
    } else {
        ListenDecision::Ignore
    }
}

/// RFC 9293 §3.10.7.1: a segment that belongs to nobody. `None` for a RST, which is never answered.
pub fn closed(header: &TcpHeader, payload_len: u32) -> Option<Rst> {
    let flags = header.flags;
    if flags.contains(TcpFlags::RST) && !planted::is(Bug::RstForRst) {
        return None;
    }
    if flags.contains(TcpFlags::SYN.union(TcpFlags::ACK)) && planted::is(Bug::LateSynAckIgnored) {
        return None;
    }
    if flags.contains(TcpFlags::ACK) && !planted::is(Bug::RstFromZero) {
        return Some(Rst { seq: header.ack, ack: SeqNumber(0), with_ack: false });
    }
    let len = if planted::is(Bug::RstWithoutLen) { 0 } else { segment_len(flags, payload_len) };
    let ack = header.seq + len;
    Some(Rst { seq: SeqNumber(0), ack, with_ack: true })
}

/// SEG.LEN of RFC 9293 §3.4: payload, SYN and FIN counted.
pub(in crate::tcp) const fn segment_len(flags: TcpFlags, payload_len: u32) -> u32 {
    payload_len + (flags.0 & 1) as u32 + (flags.0 >> 1 & 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8) -> TcpHeader {
        TcpHeader {
            seq: SeqNumber(100),
            ack: SeqNumber(700),
            flags: TcpFlags(flags),
            ..TcpHeader::default()
        }
    }

    const FIN: u8 = TcpFlags::FIN.0;
    const SYN: u8 = TcpFlags::SYN.0;
    const RST: u8 = TcpFlags::RST.0;
    const ACK: u8 = TcpFlags::ACK.0;

    #[test]
    fn a_listener_accepts_a_syn_resets_an_ack_and_drops_the_rest() {
        let rst = Rst { seq: SeqNumber(700), ack: SeqNumber(0), with_ack: false };
        assert_eq!(listen(&header(SYN)), ListenDecision::Accept);
        assert_eq!(listen(&header(RST)), ListenDecision::Ignore);
        assert_eq!(listen(&header(RST | ACK)), ListenDecision::Ignore);
        assert_eq!(listen(&header(ACK)), ListenDecision::Rst(rst));
        assert_eq!(listen(&header(SYN | ACK)), ListenDecision::Rst(rst));
        assert_eq!(listen(&header(FIN)), ListenDecision::Ignore);
        assert_eq!(listen(&header(SYN | FIN)), ListenDecision::Ignore);
        assert_eq!(listen(&header(0)), ListenDecision::Ignore);
    }

    #[test]
    fn a_segment_for_nobody_is_reset_unless_it_is_a_reset() {
        assert_eq!(closed(&header(RST), 0), None);
        assert_eq!(
            closed(&header(ACK), 5),
            Some(Rst { seq: SeqNumber(700), ack: SeqNumber(0), with_ack: false })
        );
        assert_eq!(
            closed(&header(SYN | FIN), 5),
            Some(Rst { seq: SeqNumber(0), ack: SeqNumber(107), with_ack: true })
        );
    }
}
