//! Frames by hand, and any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// The textbook's checksum, 16 bits at a time.
fn textbook(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

fn v4(protocol: u8, l4: &[u8], tag: Option<u16>) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    if let Some(tag) = tag {
        frame.extend([0x81, 0x00]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([8, 0]);
    let [high, low] = (20 + l4.len() as u16).to_be_bytes();
    let mut ip =
        vec![0x45, 2, high, low, 0, 7, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let sum = textbook(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    frame.extend(ip);
    frame.extend(l4);
    frame
}

fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    frame.extend([0x86, 0xdd, 0x60, 0x30, 0, 0]);
    frame.extend((rest.len() as u16).to_be_bytes());
    frame.extend([next, 255]);
    for last in [1, 2] {
        frame.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).octets());
    }
    frame.extend(rest);
    frame
}

fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut l4 = vec![0x9c, 0x40, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8];
    l4.extend([((20 + options.len()) as u8 / 4) << 4, 0x58, 0x12, 0x34, 0, 0, 0, 9]);
    l4.extend(options);
    l4.extend(payload);
    l4
}

/// Sets the checksum at `at` of `l4`, which goes from the first to the second address of `pseudo`.
fn summed(mut l4: Vec<u8>, at: usize, pseudo: &[u8]) -> Vec<u8> {
    let mut all = pseudo.to_vec();
    all.extend(&l4);
    let sum = textbook(&all).to_be_bytes();
    l4[at..at + 2].copy_from_slice(&sum);
    l4
}

fn pseudo_v4(protocol: u8, len: usize) -> Vec<u8> {
    let [high, low] = (len as u16).to_be_bytes();
    vec![10, 0, 0, 1, 10, 0, 0, 2, 0, protocol, high, low]
}

fn parse(frame: &[u8]) -> Packet<'_> {
    Packet::parse(frame).expect("the frame is right")
}

#[test]
fn a_tcp_segment_is_read_with_all_its_fields_and_without_padding() {
    let l4 = tcp(&[1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 2, 0], b"hello");
    let mut frame = v4(6, &summed(l4.clone(), 16, &pseudo_v4(6, l4.len())), None);
    frame.resize(frame.len() + 9, 0xee);
    let packet = parse(&frame);
    let (ip, tcp) = (packet.ip().expect("IP"), packet.tcp().expect("TCP"));
    assert_eq!(ip.source, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!((ip.hops, ip.ecn(), ip.dont_fragment, ip.total_len()), (64, 2, true, 57));
    assert_eq!((tcp.source_port, tcp.destination_port), (40_000, 7));
    assert_eq!((tcp.seq, tcp.ack, tcp.window, tcp.urgent), (0x0102_0304, 0x0506_0708, 0x1234, 9));
    assert!(tcp.flags.has(Flags::ACK) && tcp.flags.has(Flags::ECE) && !tcp.flags.has(Flags::CWR));
    assert_eq!(tcp.options.timestamps, Some((256, 512)));
    assert_eq!(packet.payload(), b"hello");
    assert!(packet.checksums_right());
}

#[test]
fn a_tag_and_extension_headers_are_passed_over() {
    let tagged = v4(6, &tcp(&[], b"x"), Some(0x2005));
    assert_eq!(parse(&tagged).link.vlan, Some(0x2005));
    assert_eq!(parse(&tagged).payload(), b"x");
    let mut rest = vec![60, 0, 1, 4, 0, 0, 0, 0];
    rest.extend([6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    rest.extend(tcp(&[], b"yz"));
    let frame = v6(0, &rest);
    let packet = parse(&frame);
    assert_eq!(packet.payload(), b"yz");
    assert_eq!(packet.ip().map(|ip| (ip.options_len, ip.ecn(), ip.hops)), Some((24, 3, 255)));
}

#[test]
fn fragments_say_where_they_belong_and_later_ones_have_no_ports() {
    let mut rest = vec![17, 0, 0, 1, 0, 0, 0, 77];
    rest.extend([0, 1, 0, 2, 0, 100, 0, 0]);
    let first = v6(44, &rest);
    let packet = parse(&first);
    assert_eq!(packet.ip().and_then(|ip| ip.fragment), Some(Fragment { offset: 0, more: true }));
    assert_eq!(packet.udp().map(|udp| udp.len), Some(100));
    assert_eq!(packet.ip().map(|ip| ip.identification), Some(77));
    rest[2..4].copy_from_slice(&[0, 64]);
    let later = v6(44, &rest);
    assert!(matches!(parse(&later).network, Network::Ip(_, Transport::LaterFragment)));
    assert_eq!(parse(&later).checksums().transport, Verdict::Absent);
    let mut frame = v4(17, &[0; 16], None);
    frame[14 + 6] = 0x20;
    frame[14 + 7] = 2;
    let ip = *parse(&frame).ip().expect("IP");
    assert_eq!(ip.fragment, Some(Fragment { offset: 16, more: true }));
    assert!(!ip.dont_fragment);
}

#[test]
fn all_options_are_read_in_any_order_and_mistakes_are_marked() {
    let read = |options: &[u8]| {
        let frame = v4(6, &tcp(options, &[]), None);
        parse(&frame).tcp().expect("TCP").options
    };
    let syn = read(&[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 14]);
    assert_eq!((syn.mss, syn.window_scale, syn.sack_permitted), (Some(1_460), Some(14), true));
    assert_eq!((syn.timestamps, syn.malformed, syn.repeated), (Some((1, 2)), false, false));
    let sack = read(&[1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]);
    assert_eq!(sack.sack.as_slice(), [(1, 2), (3, 4)]);
    let cookie = read(&[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]);
    assert_eq!(cookie.fast_open, Some(FastOpen { cookie_len: 8 }));
    assert_eq!(read(&[34, 2, 1, 1]).fast_open, Some(FastOpen { cookie_len: 0 }));
    assert_eq!(read(&[77, 3, 1, 0]).unknown, 1);
    assert!(read(&[3, 3, 1, 3, 3, 2, 0, 0]).repeated);
    for bad in [[8, 0, 0, 0], [8, 1, 0, 0], [8, 40, 0, 0], [2, 3, 1, 0], [5, 3, 0, 0], [8, 2, 1, 1]]
    {
        assert!(read(&bad).malformed, "{bad:?}");
    }
    assert!(!read(&[0, 8, 0, 0]).malformed, "nothing counts behind the end of the list");
}

#[test]
fn an_error_is_read_with_the_ends_of_what_it_is_about() {
    let quoted = v4(6, &tcp(&[], &[]), None);
    let mut message = vec![3, 4, 0, 0, 0, 0, 5, 0];
    message.extend(&quoted[14..14 + 28]);
    let frame = v4(1, &summed(message, 2, &[]), None);
    let packet = parse(&frame);
    let icmp = packet.icmp().expect("ICMP");
    assert!(icmp.is_error() && packet.checksums_right());
    let quote = icmp.quote.expect("it quotes");
    assert_eq!((quote.ports, quote.seq), (Some((40_000, 7)), Some(0x0102_0304)));
    assert_eq!((quote.len, quote.payload_len, quote.is_about_error()), (28, 8, false));
    let mut about = vec![11, 0, 0, 0, 0, 0, 0, 0];
    about.extend(&frame[14..]);
    let frame = v4(1, &about, None);
    let packet = parse(&frame);
    assert!(packet.icmp().and_then(|icmp| icmp.quote).is_some_and(|quote| quote.is_about_error()));
}

#[test]
fn a_machnet_packet_is_read_behind_udp() {
    let mut l4 = vec![4, 0, 0x1f, 0x90, 0, 66, 0, 0];
    let mut header = vec![0x4e, 0x53, 0x02, 0, 0, 0, 0, 9, 0, 0, 0, 7];
    header.extend([0; 7]);
    header.extend([0x81]);
    header.extend([0; 15]);
    header.extend([0x04]);
    header.extend([0; 7]);
    header.extend([0x02, 0, 4]);
    header.resize(54, 0);
    l4.extend(header);
    l4.extend(b"data");
    let frame = v4(17, &summed(l4.clone(), 6, &pseudo_v4(17, l4.len())), None);
    let packet = parse(&frame);
    let machnet = packet.udp().and_then(|udp| udp.machnet).expect("it has the magic");
    assert_eq!((machnet.kind, machnet.seq, machnet.ack), (MachnetKind::Ack, 9, 7));
    assert_eq!((machnet.bitmap_count, machnet.held()), (4, 0x8100_0402));
    assert_eq!(packet.payload(), b"data");
    assert!(packet.checksums_right());
}

#[test]
fn arp_and_discovery_name_their_targets() {
    let mut frame = MACS.to_vec();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    let Network::Arp(arp) = parse(&frame).network else { panic!("it is ARP") };
    assert_eq!((arp.operation, arp.target), (Arp::REQUEST, Ipv4Addr::new(10, 0, 0, 2)));
    assert!(!arp.is_probe() && !arp.is_announcement());
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    let target = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9);
    message.extend(target.octets());
    let frame = v6(58, &message);
    assert_eq!(parse(&frame).icmp().and_then(|icmp| icmp.target), Some(target));
}

#[test]
fn what_lies_behind_a_datagram_is_no_part_of_it() {
    let mut udp = vec![0, 1, 0, 2, 0, 9, 0, 0, 7];
    let mut sums = |behind: &[u8], checksum: [u8; 2]| {
        udp[6..8].copy_from_slice(&checksum);
        let packet = v4(17, &[udp.as_slice(), behind].concat(), None);
        let parsed = Packet::parse(&packet).expect("it can be read");
        parsed.checksums().transport
    };
    let right = (0..=u16::MAX).find(|sum| sums(&[], sum.to_be_bytes()) == Verdict::Right);
    let right = right.expect("some checksum is right").to_be_bytes();
    assert_eq!(sums(b"abc", right), Verdict::Right);
}

#[test]
fn lengths_that_do_not_fit_are_named() {
    let whole = v4(6, &tcp(&[], b"x"), None);
    assert_eq!(Packet::parse(&whole[..13]).err(), Some(ParseError::EthernetShort));
    assert_eq!(Packet::parse(&whole[..20]).err(), Some(ParseError::Ipv4Short));
    assert_eq!(Packet::parse(&whole[..50]).err(), Some(ParseError::Ipv4TotalLength));
    let with = |at: usize, value: u8| {
        let mut frame = whole.clone();
        frame[at] = value;
        Packet::parse(&frame).err()
    };
    assert_eq!(with(14, 0x44), Some(ParseError::Ipv4Header));
    assert_eq!(with(14 + 20 + 12, 0x40), Some(ParseError::Tcp));
    assert_eq!(with(14 + 20 + 12, 0x60), Some(ParseError::Tcp));
    let udp = v4(17, &[0, 1, 0, 2, 0, 9, 0, 0], None);
    assert_eq!(Packet::parse(&udp).err(), Some(ParseError::Udp));
    assert_eq!(
        Packet::parse(&v6(0, &[6, 3, 0, 0, 0, 0, 0, 0])).err(),
        Some(ParseError::Ipv6Extension)
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(
        kind in prop::sample::select(vec![0x0800_u16, 0x0806, 0x86dd, 0x8100]),
        protocol in prop::sample::select(vec![0_u8, 1, 6, 17, 43, 44, 51, 58, 60]),
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        tame: bool,
    ) {
        if tame && bytes.len() > 34 {
            bytes[12..14].copy_from_slice(&kind.to_be_bytes());
            let version = if kind == 0x0800 { 0x45 } else { 0x60 };
            bytes[14] = version;
            bytes[16] = 0;
            bytes[17] = 30;
            bytes[18] = 0;
            bytes[19] = 40;
            bytes[20] = protocol;
            bytes[23] = protocol;
        }
        if let Ok(packet) = Packet::parse(&bytes) {
            let range = packet.payload_range();
            prop_assert!(range.start <= bytes.len() && range.end <= bytes.len());
            packet.checksums();
        }
    }

    #[test]
    fn checksums_agree_with_the_textbook_and_a_flipped_bit_is_seen(
        payload in prop::collection::vec(any::<u8>(), 0..200), at: usize, bit in 0_u8..8
    ) {
        let l4 = tcp(&[], &payload);
        let mut frame = v4(6, &summed(l4.clone(), 16, &pseudo_v4(6, l4.len())), None);
        prop_assert!(Packet::parse(&frame).is_ok_and(|packet| packet.checksums_right()));
        let at = 14 + 20 + 13 + at % (frame.len() - 14 - 20 - 13);
        frame[at] ^= 1 << bit;
        prop_assert!(Packet::parse(&frame).is_ok_and(|packet| !packet.checksums_right()));
    }

    #[test]
    fn sums_of_neighbours_add_up_wherever_they_are_cut(
        bytes in prop::collection::vec(any::<u8>(), 1..300), cut: usize, from in 0_i64..9
    ) {
        let (left, right) = bytes.split_at(cut % bytes.len());
        let whole = PayloadSum::of(&bytes).at(from);
        let parts = PayloadSum::of(left).at(from)
            .and(PayloadSum::of(right).at(from + left.len() as i64));
        prop_assert!(whole.same(parts));
    }
}
