//! Just enough parsing to draw a frame: which flow, which sequence numbers. A frame that is anything else is not drawn.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use causeway_core::port::Transport;

/// What a frame says about its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The protocol.
    pub transport: Transport,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Sequence number: of the first byte (TCP) or of the packet (Machnet).
    pub seq: u32,
    /// How many sequence numbers it takes; 0 for a pure acknowledgement.
    pub len: u32,
    /// The acknowledgement that it carries.
    pub ack: Option<u32>,
    /// It opens its direction: SYN, SYN-ACK.
    pub opens: bool,
    /// Where its payload lies in the frame.
    pub payload: (usize, usize),
    /// Machnet: the message's first packet, and its last.
    pub message_ends: (bool, bool),
}

const ETHERNET: usize = 14;
const MACHNET_MAGIC: u16 = 0x4e53;
const MACHNET_HEADER: usize = 54;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Getter: the segment in an Ethernet frame; `None` for everything that is not TCP or Machnet over IPv4.
pub fn parse(frame: &[u8]) -> Option<Segment> {
    if u16_at(frame, 12)? != 0x0800 {
        return None;
    }
    let ip = frame.get(ETHERNET..)?;
    let header = usize::from(ip.first()? & 0x0f) * 4;
    let total = usize::from(u16_at(ip, 2)?);
    let address = |at: usize| {
        let octets: [u8; 4] = ip.get(at..at + 4)?.try_into().ok()?;
        Some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    let (from, to) = (address(12)?, address(16)?);
    let l4 = ip.get(header..)?;
    let from = SocketAddr::new(from, u16_at(l4, 0)?);
    let to = SocketAddr::new(to, u16_at(l4, 2)?);
    match ip.get(9)? {
        6 => tcp(l4, (ETHERNET + header, ETHERNET + total), from, to),
        17 => machnet(l4.get(8..)?, (ETHERNET + header + 8, ETHERNET + total), from, to),
        _ => None,
    }
}

/// `place` is where the TCP segment begins and ends in the frame.
fn tcp(l4: &[u8], place: (usize, usize), from: SocketAddr, to: SocketAddr) -> Option<Segment> {
    let offset = usize::from(l4.get(12)? >> 4) * 4;
    let flags = *l4.get(13)?;
    let payload = u32::try_from(place.1.checked_sub(place.0 + offset)?).ok()?;
    let controls = u32::from(flags & 0x02 != 0) + u32::from(flags & 0x01 != 0);
    Some(Segment {
        transport: Transport::Tcp,
        from,
        to,
        seq: u32_at(l4, 4)?,
        len: payload + controls,
        ack: if flags & 0x10 != 0 { u32_at(l4, 8) } else { None },
        opens: flags & 0x02 != 0,
        payload: (place.0 + offset, place.1),
        message_ends: (false, false),
    })
}

/// The packet types of the wire format: DATA 0x00, SYN 0x01, ACK 0x02, SYN-ACK 0x03; the flags of DATA: first 0x01, last 0x04.
/// `place` is where the packet begins and ends in the frame.
fn machnet(
    packet: &[u8],
    place: (usize, usize),
    from: SocketAddr,
    to: SocketAddr,
) -> Option<Segment> {
    if u16_at(packet, 0)? != MACHNET_MAGIC {
        return None;
    }
    let (kind, flags) = (*packet.get(2)?, *packet.get(3)?);
    Some(Segment {
        transport: Transport::Machnet,
        from,
        to,
        seq: u32_at(packet, 4)?,
        len: u32::from(matches!(kind, 0x00 | 0x01 | 0x03)),
        ack: if matches!(kind, 0x02 | 0x03) { u32_at(packet, 8) } else { None },
        opens: matches!(kind, 0x01 | 0x03),
        payload: if kind == 0x00 {
            (place.0 + MACHNET_HEADER, place.1.max(place.0 + MACHNET_HEADER))
        } else {
            (place.1, place.1)
        },
        message_ends: (flags & 0x01 != 0, flags & 0x04 != 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(protocol: u8, l4: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 14];
        frame[12] = 8;
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let total = (ip.len() + l4.len()) as u16;
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        frame.extend(ip);
        frame.extend(l4);
        frame
    }

    #[test]
    fn a_tcp_segment_is_read_with_its_length_even_when_padded() {
        let mut l4 = vec![0; 20 + 5];
        l4[0..4].copy_from_slice(&[0x1f, 0x90, 0, 80]);
        l4[4..12].copy_from_slice(&[0, 0, 1, 0, 0, 0, 2, 0]);
        l4[12] = 0x50;
        l4[13] = 0x11;
        let mut padded = frame(6, &l4);
        padded.resize(80, 0);
        let segment = parse(&padded).expect("it is TCP");
        assert_eq!((segment.seq, segment.len, segment.ack), (256, 6, Some(512)));
        assert_eq!(segment.from.to_string(), "10.0.0.1:8080");
    }

    #[test]
    fn a_machnet_packet_takes_one_number() {
        let mut l4 = vec![0; 8 + 54];
        l4[8..10].copy_from_slice(&MACHNET_MAGIC.to_be_bytes());
        l4[15] = 9;
        let segment = parse(&frame(17, &l4)).expect("it is Machnet");
        assert_eq!((segment.seq, segment.len, segment.ack), (9, 1, None));
        l4[10] = 0x02;
        l4[19] = 4;
        let segment = parse(&frame(17, &l4)).expect("it is Machnet");
        assert_eq!((segment.len, segment.ack), (0, Some(4)));
    }

    #[test]
    fn no_frame_makes_the_parser_panic() {
        let whole = frame(6, &[0xff; 40]);
        for len in 0..whole.len() {
            parse(&whole[..len]);
        }
        assert_eq!(parse(&[0xff; 60]), None);
    }
}
