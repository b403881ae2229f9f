//! What of a frame is drawn: which flow, which sequence numbers. A frame that is anything else is not drawn.

use std::net::SocketAddr;

use causeway_core::port::Transport;

use crate::packet::{self, Flags, Machnet, MachnetKind, Network, Packet, Tcp};

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
    /// TCP: the window that it offers, not scaled.
    pub window: Option<u16>,
    /// TCP, if it opens: the window scale that it says.
    pub window_scale: Option<u8>,
    /// Where its payload lies in the frame.
    pub payload: (usize, usize),
    /// Machnet: the message's first packet, and its last.
    pub message_ends: (bool, bool),
    /// Machnet: of a flow in the extended profile, where something stands around a message.
    pub extended: bool,
}

/// Getter: the segment in an Ethernet frame; `None` for everything that is not TCP or Machnet.
pub fn parse(frame: &[u8]) -> Option<Segment> {
    Segment::of(&Packet::parse(frame).ok()?)
}

impl Segment {
    /// Getter: the segment in a packet; `None` for everything that is not TCP or Machnet, and for fragments.
    pub fn of(packet: &Packet<'_>) -> Option<Self> {
        let Network::Ip(ip, transport) = &packet.network else { return None };
        if ip.fragment.is_some() {
            return None;
        }
        let ends = |source, destination| {
            [SocketAddr::new(ip.source, source), SocketAddr::new(ip.destination, destination)]
        };
        let payload = packet.payload_range();
        let payload = (payload.start, payload.end);
        match transport {
            packet::Transport::Tcp(header) => {
                Some(tcp(header, ends(header.source_port, header.destination_port), payload))
            }
            packet::Transport::Udp(udp) => {
                let ends = ends(udp.source_port, udp.destination_port);
                udp.machnet.as_ref().map(|header| machnet(header, ends, payload))
            }
            packet::Transport::Icmp(_)
            | packet::Transport::LaterFragment
            | packet::Transport::Other => None,
        }
    }
}

fn tcp(header: &Tcp, [from, to]: [SocketAddr; 2], payload: (usize, usize)) -> Segment {
    let flags = header.flags;
    let controls = u32::from(flags.has(Flags::SYN)) + u32::from(flags.has(Flags::FIN));
    Segment {
        transport: Transport::Tcp,
        from,
        to,
        seq: header.seq,
        // A packet of IP is shorter than 2^32 bytes.
        len: (payload.1 - payload.0) as u32 + controls,
        ack: flags.has(Flags::ACK).then_some(header.ack),
        opens: flags.has(Flags::SYN),
        window: Some(header.window),
        window_scale: header.options.window_scale,
        payload,
        message_ends: (false, false),
        extended: false,
    }
}

fn machnet(header: &Machnet, [from, to]: [SocketAddr; 2], payload: (usize, usize)) -> Segment {
    let kind = header.kind;
    let has = |flag: u8| header.message_flags & flag != 0;
    Segment {
        transport: Transport::Machnet,
        from,
        to,
        seq: header.seq,
        len: u32::from(matches!(kind, MachnetKind::Data | MachnetKind::Syn | MachnetKind::SynAck)),
        ack: (matches!(kind, MachnetKind::Ack | MachnetKind::SynAck)
            || kind == MachnetKind::Data && header.is_extended())
        .then_some(header.ack),
        opens: matches!(kind, MachnetKind::Syn | MachnetKind::SynAck),
        window: None,
        window_scale: None,
        payload: if kind == MachnetKind::Data { payload } else { (payload.1, payload.1) },
        message_ends: (has(Machnet::FIRST), has(Machnet::LAST)),
        extended: header.is_extended(),
    }
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
        l4[5] = 8 + 54;
        l4[8..10].copy_from_slice(&0x4e53_u16.to_be_bytes());
        l4[15] = 9;
        let segment = parse(&frame(17, &l4)).expect("it is Machnet");
        assert_eq!((segment.seq, segment.len, segment.ack), (9, 1, None));
        l4[10] = 0x02;
        l4[19] = 4;
        let segment = parse(&frame(17, &l4)).expect("it is Machnet");
        assert_eq!((segment.len, segment.ack), (0, Some(4)));
    }

    #[test]
    fn a_segment_over_ipv6_is_read_and_a_fragment_is_not() {
        let mut six = vec![0; 14];
        six[12..14].copy_from_slice(&0x86dd_u16.to_be_bytes());
        six.extend([0x60, 0, 0, 0, 0, 23, 6, 64]);
        six.extend([0; 32]);
        six.extend([0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 0x02, 0, 0, 0, 0, 0, 0, 7, 7, 7]);
        let segment = parse(&six).expect("it is TCP");
        assert_eq!((segment.seq, segment.len, segment.opens), (9, 4, true));
        assert_eq!(segment.from.to_string(), "[::]:1");
        let mut part = frame(6, &[0x50; 40]);
        assert!(parse(&part).is_some());
        part[20] = 0x20;
        assert_eq!(parse(&part), None);
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
