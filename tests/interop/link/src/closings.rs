//! Which connections closed from both sides at once, as their segments at the link's ends show it.
//!
//! A side goes from FIN-WAIT-1 to CLOSING (RFC 9293 §3.6, figure 13) when the peer's FIN comes, the next number that it expects, while its own
//! FIN has left and nothing that acknowledges it has come. Each of these can be seen from outside: what leaves a side passes its end of
//! the link later, and what it gets has passed there before.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use causeway_core::tcp::SeqNumber;
use causeway_core::wire::checksum::verify;
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};
use causeway_core::wire::{EtherType, EthernetHeader, IpProtocol, Ipv4Header, Ipv6Header};

/// What is known of one side of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Side {
    /// No FIN of its own has left.
    #[default]
    Open,
    /// FIN-WAIT-1 or LAST-ACK: its FIN has this number, and it expects that one next.
    Fin { seq: SeqNumber, rcv_nxt: SeqNumber },
    /// CLOSING, or what follows.
    Closing,
    /// Its FIN was acknowledged first, or the peer's came first.
    Otherwise,
}

/// The connections that were seen, by their left and their right end.
#[derive(Debug, Default)]
pub struct Closings {
    connections: BTreeMap<[SocketAddr; 2], [Side; 2]>,
}

impl Closings {
    /// Input: a frame of `side` (0 is the left one) comes to the link.
    pub fn leaves(&mut self, side: usize, frame: &[u8]) {
        let Some((from, to, header, end)) = open(frame) else { return };
        let ends = if side == 0 { [from, to] } else { [to, from] };
        let has = |flag| header.flags.contains(flag);
        if has(TcpFlags::SYN) && !has(TcpFlags::ACK) {
            // Another connection between the same ends.
            self.connections.insert(ends, [Side::Open; 2]);
        }
        let sides = self.connections.entry(ends).or_default();
        if has(TcpFlags::FIN) && sides[side] == Side::Open {
            sides[side] = Side::Fin { seq: end - 1, rcv_nxt: header.ack };
        }
    }

    /// Input: a frame goes from the link to `side`.
    pub fn arrives(&mut self, side: usize, frame: &[u8]) {
        let Some((from, to, header, end)) = open(frame) else { return };
        let ends = if side == 0 { [to, from] } else { [from, to] };
        let Some(sides) = self.connections.get_mut(&ends) else { return };
        let fin = header.flags.contains(TcpFlags::FIN);
        match sides[side] {
            Side::Open if fin => sides[side] = Side::Otherwise,
            Side::Fin { seq, .. } if header.ack > seq => sides[side] = Side::Otherwise,
            Side::Fin { rcv_nxt, .. } if fin && end - 1 == rcv_nxt => sides[side] = Side::Closing,
            Side::Open | Side::Fin { .. } | Side::Closing | Side::Otherwise => {}
        }
    }
}

impl fmt::Display for Closings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let through = |side: usize| {
            self.connections.values().filter(|sides| sides[side] == Side::Closing).count()
        };
        let connections = self.connections.len();
        write!(f, "CLOSING: {} left, {} right, of {connections}", through(0), through(1))
    }
}

/// Who sends a segment to whom, its header, and the number behind its last; `None` for whatever nobody would take for a segment.
fn open(frame: &[u8]) -> Option<(SocketAddr, SocketAddr, TcpHeader, SeqNumber)> {
    let (ethernet, at) = EthernetHeader::parse(frame).ok()?;
    let packet = frame.get(at..)?;
    let (src, dst, protocol, body): (IpAddr, IpAddr, IpProtocol, &[u8]) = match ethernet.ethertype {
        EtherType::IPV4 => {
            let (header, at) = Ipv4Header::parse(packet).ok()?;
            let body = packet.get(at..at + usize::from(header.payload_len))?;
            (header.src.into(), header.dst.into(), header.protocol, body)
        }
        EtherType::IPV6 => {
            let (header, at) = Ipv6Header::parse(packet).ok()?;
            let body = packet.get(at..at + usize::from(header.payload_len))?;
            (header.src.into(), header.dst.into(), header.next_header, body)
        }
        _ => return None,
    };
    if protocol != IpProtocol::TCP || verify(src, dst, protocol, body).is_err() {
        return None;
    }
    let (header, at) = TcpHeader::parse(body).ok()?;
    let controls =
        header.flags.contains(TcpFlags::SYN) as u32 + header.flags.contains(TcpFlags::FIN) as u32;
    let end = header.seq + u32::try_from(body.len() - at).ok()? + controls;
    let ends = (SocketAddr::new(src, header.src_port), SocketAddr::new(dst, header.dst_port));
    Some((ends.0, ends.1, header, end))
}

#[cfg(test)]
mod tests {
    use causeway_core::wire::checksum::{combine, finish, pseudo_header, sum};

    use super::*;

    const HOSTS: [IpAddr; 2] = [
        IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
        IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
    ];

    /// A segment of `side`, both of whose numbers begin at 0: its own, and what it acknowledges.
    fn segment(side: usize, flags: TcpFlags, seq: u32, ack: u32) -> Vec<u8> {
        let header = TcpHeader {
            src_port: 1 + side as u16,
            dst_port: 2 - side as u16,
            seq: SeqNumber(seq),
            ack: SeqNumber(ack),
            flags: flags.union(TcpFlags::ACK),
            ..TcpHeader::default()
        };
        let (src, dst) = (HOSTS[side], HOSTS[1 - side]);
        let mut body = vec![0; header.header_len()];
        header.emit(&mut body);
        let pseudo = pseudo_header(src, dst, IpProtocol::TCP, body.len()).unwrap();
        let checksum = finish(combine(pseudo, sum(&body), false));
        body[16..18].copy_from_slice(&checksum.to_be_bytes());
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (src, dst) else { unreachable!() };
        let mut frame = vec![0; 34];
        let mac = causeway_core::nic::MacAddr([2, 0, 0, 0, 0, 0]);
        EthernetHeader { dst: mac, src: mac, ethertype: EtherType::IPV4 }.emit(&mut frame);
        Ipv4Header::new(src, dst, IpProtocol::TCP, body.len() as u16).emit(&mut frame[14..]);
        frame.extend(body);
        frame
    }

    #[test]
    fn fins_that_cross_lead_both_through_closing() {
        let mut closings = Closings::default();
        let fins = [0, 1].map(|side| segment(side, TcpFlags::FIN, 7, 7));
        closings.leaves(0, &fins[0]);
        closings.leaves(1, &fins[1]);
        closings.arrives(1, &fins[0]);
        closings.arrives(0, &fins[1]);
        assert_eq!(closings.to_string(), "CLOSING: 1 left, 1 right, of 1");
    }

    #[test]
    fn a_fin_that_answers_another_or_comes_with_its_acknowledgement_does_not() {
        let mut closings = Closings::default();
        let first = segment(0, TcpFlags::FIN, 7, 7);
        closings.leaves(0, &first);
        closings.arrives(1, &first);
        let second = segment(1, TcpFlags::FIN, 7, 8);
        closings.leaves(1, &second);
        closings.arrives(0, &second);
        assert_eq!(closings.to_string(), "CLOSING: 0 left, 0 right, of 1");
    }

    #[test]
    fn a_fin_that_was_lost_and_comes_again_with_the_acknowledgement_leads_one_side_past_closing() {
        let mut closings = Closings::default();
        let fins = [0, 1].map(|side| segment(side, TcpFlags::FIN, 7, 7));
        closings.leaves(0, &fins[0]);
        closings.leaves(1, &fins[1]);
        closings.arrives(1, &fins[0]);
        let again = segment(1, TcpFlags::FIN, 7, 8);
        closings.leaves(1, &again);
        closings.arrives(0, &again);
        assert_eq!(closings.to_string(), "CLOSING: 0 left, 1 right, of 1");
    }

    #[test]
    fn a_damaged_segment_shows_nothing() {
        let mut closings = Closings::default();
        let fins = [0, 1].map(|side| segment(side, TcpFlags::FIN, 7, 7));
        closings.leaves(0, &fins[0]);
        let mut damaged = fins[1].clone();
        damaged[40] ^= 1;
        closings.arrives(0, &damaged);
        assert_eq!(closings.to_string(), "CLOSING: 0 left, 0 right, of 1");
    }
}
