//! Packets of somebody who is not on the path: made of what can be guessed of a flow.

use super::neighbor::claim;
use super::rewrite::{repair, set_len};
use crate::fault::{Forgery, ForgeryKind, IP, Place};

/// Bytes of a quoted packet behind its IP header.
const QUOTED: usize = 8;

/// Output: the `index`-th frame of a forgery that follows `frame`; `None` after the last, and where `frame` is no segment.
pub fn forged(frame: &[u8], forgery: Forgery, index: u16) -> Option<Vec<u8>> {
    if forgery.kind == ForgeryKind::Neighbor {
        return claim(frame, forgery.ahead).filter(|_| index == 0);
    }
    let place = Place::of(frame)?;
    let seq = place.next_seq().wrapping_add(forgery.ahead);
    match forgery.kind {
        ForgeryKind::SynStorm(count) if index < count => {
            let port = 1_024 + index.wrapping_mul(7_919) % 60_000;
            let mut syn = segment(frame, &place, seq.wrapping_add(index.into()), Place::SYN, 0);
            syn[place.tcp..place.tcp + 2].copy_from_slice(&port.to_be_bytes());
            repair(&mut syn);
            Some(syn)
        }
        ForgeryKind::AckStorm(count) if index < count => {
            Some(segment(frame, &place, seq, Place::ACK, 0))
        }
        _ if index > 0 => None,
        ForgeryKind::SynStorm(_) | ForgeryKind::AckStorm(_) | ForgeryKind::Neighbor => None,
        ForgeryKind::Rst => Some(segment(frame, &place, seq, Place::RST, 0)),
        ForgeryKind::Syn => Some(segment(frame, &place, seq, Place::SYN, 0)),
        ForgeryKind::Ack => Some(segment(frame, &place, seq, Place::ACK, 0)),
        ForgeryKind::Data => Some(segment(frame, &place, seq, Place::ACK, 1)),
        ForgeryKind::TooBig(mtu) => Some(icmp(frame, &place, Some(mtu), forgery.ahead)),
        ForgeryKind::Unreachable => Some(icmp(frame, &place, None, forgery.ahead)),
    }
}

/// A segment of the same flow without options.
fn segment(frame: &[u8], place: &Place, seq: u32, flags: u8, len: usize) -> Vec<u8> {
    let mut bytes = frame[..place.tcp + 20].to_vec();
    bytes.resize(place.tcp + 20 + len, 0xfa);
    bytes[place.tcp + 4..place.tcp + 8].copy_from_slice(&seq.to_be_bytes());
    bytes[place.tcp + 12] = 0x50;
    bytes[place.tcp + 13] = flags;
    bytes[place.tcp + 18..place.tcp + 20].fill(0);
    let end = bytes.len();
    set_len(&mut bytes, end);
    repair(&mut bytes);
    bytes
}

/// An ICMP error to the receiver of `frame` about a segment that it might have sent: with `mtu`, that it was too big, else that its
/// peer cannot be reached.
fn icmp(frame: &[u8], place: &Place, mtu: Option<u16>, ahead: u32) -> Vec<u8> {
    let is_v4 = place.version == 4;
    let (source, target) = if is_v4 { (IP + 12, IP + 16) } else { (IP + 8, IP + 24) };
    let width = if is_v4 { 4 } else { 16 };
    // What the receiver may have sent: the same flow, the other way round.
    let mut quoted = frame[IP..place.tcp + QUOTED].to_vec();
    quoted[source - IP..source - IP + width].copy_from_slice(&frame[target..target + width]);
    quoted[target - IP..target - IP + width].copy_from_slice(&frame[source..source + width]);
    let tcp = place.tcp - IP;
    quoted[tcp..tcp + 2].copy_from_slice(&place.ports.1.to_be_bytes());
    quoted[tcp + 2..tcp + 4].copy_from_slice(&place.ports.0.to_be_bytes());
    let seq = place.ack.wrapping_add(ahead);
    quoted[tcp + 4..tcp + 8].copy_from_slice(&seq.to_be_bytes());
    let mut bytes = frame[..place.tcp].to_vec();
    let (kind, code) = match (is_v4, mtu) {
        (true, Some(_)) => (3, 4),
        (true, None) => (3, 1),
        (false, Some(_)) => (2, 0),
        (false, None) => (1, 3),
    };
    let value = u32::from(mtu.unwrap_or(0));
    bytes.extend([kind, code, 0, 0]);
    bytes.extend(value.to_be_bytes());
    bytes.extend(quoted);
    bytes[if is_v4 { IP + 9 } else { IP + 6 }] = if is_v4 { 1 } else { 58 };
    let end = bytes.len();
    set_len(&mut bytes, end);
    repair(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::tests::segment as example;
    use super::*;

    #[test]
    fn a_forged_segment_is_of_the_flow_and_its_numbers_are_as_far_away_as_was_asked() {
        for v6 in [false, true] {
            let frame = example(v6, Place::ACK);
            let original = Place::of(&frame).expect("a segment");
            for (kind, flags, len) in [
                (ForgeryKind::Rst, Place::RST, 0),
                (ForgeryKind::Syn, Place::SYN, 0),
                (ForgeryKind::Data, Place::ACK, 1),
            ] {
                let forged_frame = forged(&frame, Forgery { kind, ahead: 100 }, 0).expect("one");
                let place = Place::of(&forged_frame).expect("a segment");
                assert_eq!((place.flags, place.payload_len()), (flags, len));
                assert_eq!(place.seq, original.next_seq() + 100);
                assert_eq!(place.ports, original.ports);
                assert!(super::super::rewrite::is_sound(&forged_frame));
                assert_eq!(forged(&frame, Forgery { kind, ahead: 100 }, 1), None);
            }
        }
    }

    #[test]
    fn a_storm_comes_from_many_ports() {
        let frame = example(false, Place::ACK);
        let storm = Forgery { kind: ForgeryKind::SynStorm(50), ahead: 0 };
        let ports: std::collections::BTreeSet<u16> = (0..)
            .map_while(|index| forged(&frame, storm, index))
            .map(|frame| Place::of(&frame).expect("a SYN").ports.0)
            .collect();
        assert_eq!(ports.len(), 50);
        let storm = Forgery { kind: ForgeryKind::AckStorm(50), ahead: 9 };
        let acks: Vec<_> = (0..).map_while(|index| forged(&frame, storm, index)).collect();
        let one = Place::of(&acks[0]).expect("an acknowledgement");
        let original = Place::of(&frame).expect("a segment");
        assert!(one.is_pure_ack() && one.ports == original.ports && acks.len() == 50);
        assert_eq!((one.seq, one.ack), (original.next_seq() + 9, original.ack));
    }

    #[test]
    fn an_icmp_error_quotes_what_its_receiver_might_have_sent() {
        for v6 in [false, true] {
            let frame = example(v6, Place::ACK);
            let place = Place::of(&frame).expect("a segment");
            let forgery = Forgery { kind: ForgeryKind::TooBig(600), ahead: 5 };
            let error = forged(&frame, forgery, 0).expect("an error");
            let quoted = place.tcp + 8 + (place.tcp - IP);
            assert_eq!(error[quoted..quoted + 4], [0, 80, 0x9c, 0x40]);
            assert_eq!(error[quoted + 4..quoted + 8], (place.ack + 5).to_be_bytes());
        }
    }
}
