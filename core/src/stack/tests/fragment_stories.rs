//! Fragments: put together, refused, or given up.

use core::net::Ipv4Addr;
use std::vec::Vec;

use crate::error::CommandError;
use crate::ip::reassembly::REASSEMBLY_TIMEOUT_V4;
use crate::nic::MacAddr;
use crate::port::{Completion, Op};
use crate::stack::{Drops, Stats};
use crate::testing::{Duo, Host};
use crate::time::Duration;
use crate::wire::icmpv4::CODE_REASSEMBLY;
use crate::wire::{
    ETHERNET_HEADER_LEN, EtherType, EthernetHeader, IPV4_HEADER_LEN, Icmpv4Header, IpProtocol,
    Ipv4Header,
};

const PAYLOAD_AT: usize = ETHERNET_HEADER_LEN + IPV4_HEADER_LEN;
const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The fragments of a datagram from host 1 to host 2, cut every `size` bytes.
fn fragments(
    protocol: IpProtocol,
    identification: u16,
    payload: &[u8],
    size: usize,
) -> Vec<Vec<u8>> {
    let cut = |(index, piece): (usize, &[u8])| {
        let mut bytes = std::vec![0; PAYLOAD_AT];
        let (dst, src) = (MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]));
        EthernetHeader { dst, src, ethertype: EtherType::IPV4 }.emit(&mut bytes);
        let header = Ipv4Header {
            identification,
            dont_fragment: false,
            more_fragments: (index + 1) * size < payload.len(),
            fragment_offset: (index * size / 8) as u16,
            ..Ipv4Header::new(PEER, US, protocol, piece.len() as u16)
        };
        header.emit(&mut bytes[ETHERNET_HEADER_LEN..]);
        bytes.extend_from_slice(piece);
        bytes
    };
    payload.chunks(size).enumerate().map(cut).collect()
}

fn echo_request(len: usize) -> Vec<u8> {
    let mut message: Vec<u8> = (0..len).map(|i| i as u8).collect();
    Icmpv4Header::EchoRequest { identifier: 5, sequence: 6 }.emit(&mut message);
    message
}

fn stats(duo: &Duo) -> Stats {
    *duo.b.engine.stack().stats()
}

/// Host 2 knows the station of host 1.
fn acquainted() -> Duo {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.settle();
    duo
}

/// What `b` sends after these frames have come.
fn answers(duo: &mut Duo, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    for frame in frames {
        duo.b.nic().inject(frame);
    }
    let now = duo.now;
    duo.b.engine.step(now);
    duo.b.nic().outbound.drain(..).map(|frame| frame.bytes().to_vec()).collect()
}

#[test]
fn an_echo_request_in_pieces_out_of_order_is_answered_once_it_is_whole() {
    let mut duo = acquainted();
    let request = echo_request(1_200);
    let mut pieces = fragments(IpProtocol::ICMP, 77, &request, 256);
    pieces.reverse();
    let last = pieces.pop().unwrap();
    pieces.push(pieces[0].clone());
    assert_eq!(answers(&mut duo, &pieces), Vec::<Vec<u8>>::new());
    let answers = answers(&mut duo, &[last]);
    assert_eq!(answers.len(), 1);
    let message = &answers[0][PAYLOAD_AT..];
    let reply = Icmpv4Header::EchoReply { identifier: 5, sequence: 6 };
    assert_eq!(Icmpv4Header::parse(message), Ok((reply, 8)));
    assert_eq!(message[8..], request[8..], "the data comes back as it came");
    assert_eq!((stats(&duo).fragments_in, stats(&duo).datagrams_reassembled), (6, 1));
    assert_eq!(stats(&duo).drops, Drops::default());
}

#[test]
fn a_reply_that_is_longer_than_the_link_carries_goes_back_in_pieces() {
    let mut duo = acquainted();
    let request = echo_request(5_000);
    let numbers: Vec<u16> = [1, 2]
        .into_iter()
        .map(|identification| {
            let pieces = fragments(IpProtocol::ICMP, identification, &request, 1_480);
            let answers = answers(&mut duo, &pieces);
            assert_eq!(answers.len(), 4);
            let mut whole = Vec::new();
            let mut number = 0;
            for answer in answers {
                let (ip, _) = Ipv4Header::parse(&answer[ETHERNET_HEADER_LEN..]).unwrap();
                assert_eq!(usize::from(ip.fragment_offset) * 8, whole.len());
                assert_eq!(ip.more_fragments, whole.len() < 4_440);
                whole.extend_from_slice(&answer[PAYLOAD_AT..]);
                number = ip.identification;
            }
            assert!(Icmpv4Header::parse(&whole).is_ok());
            assert_eq!(whole[8..], request[8..]);
            number
        })
        .collect();
    assert_ne!(numbers[0], numbers[1], "RFC 6864: none twice while the other is about");
}

#[test]
fn fragments_that_overlap_or_cut_a_tcp_header_are_dropped_without_a_word() {
    let mut duo = acquainted();
    let request = echo_request(64);
    let mut pieces = fragments(IpProtocol::ICMP, 1, &request, 32);
    let teardrop = fragments(IpProtocol::ICMP, 1, &request, 24)[1].clone();
    pieces.insert(1, teardrop);
    let mut tiny = fragments(IpProtocol::TCP, 2, &[0; 48], 16);
    pieces.append(&mut tiny);
    assert_eq!(answers(&mut duo, &pieces), Vec::<Vec<u8>>::new());
    let drops = stats(&duo).drops;
    assert_eq!(drops, Drops { fragment: 4, ..Drops::default() });
}

#[test]
fn a_sender_is_told_that_fragments_are_missing_only_if_the_first_has_come() {
    let mut duo = acquainted();
    let request = echo_request(64);
    let with_first = fragments(IpProtocol::UDP, 1, &request, 32).remove(0);
    let without = fragments(IpProtocol::UDP, 2, &request, 32).remove(1);
    assert_eq!(answers(&mut duo, &[with_first.clone(), without]), Vec::<Vec<u8>>::new());
    duo.now += REASSEMBLY_TIMEOUT_V4.saturating_sub(Duration::from_nanos(1));
    assert_eq!(answers(&mut duo, &[]), Vec::<Vec<u8>>::new());
    duo.now += Duration::from_nanos(1);
    duo.b.nic().outbound.clear();
    let told = answers(&mut duo, &[]);
    let is_icmp = |frame: &&Vec<u8>| frame[12] == 8 && frame[ETHERNET_HEADER_LEN + 9] == 1;
    let told: Vec<_> = told.iter().filter(is_icmp).collect();
    assert_eq!(told.len(), 1);
    let message = &told[0][PAYLOAD_AT..];
    let error = Icmpv4Header::TimeExceeded { code: CODE_REASSEMBLY };
    assert_eq!(Icmpv4Header::parse(message), Ok((error, 8)));
    assert_eq!(message[8..], with_first[ETHERNET_HEADER_LEN..]);
    assert_eq!(stats(&duo).reassembly_timeouts, 2);
}

#[test]
fn the_longest_echo_request_goes_in_pieces_and_its_reply_comes_back_whole_even_from_a_station_that_had_to_be_found()
 {
    let mut duo = Duo::over_ipv6(4_096, &|_| {}, &|config| config);
    for (remote, len) in [
        (Host::address(2), 65_507),
        (Host::address(2), 1_473),
        (Host::address_v6(2), 65_507),
        (Host::address_v6(2), 65_527),
        (Host::address_v6(2), 1_453),
    ] {
        duo.a.ask(Op::Ping { remote, sequence: 9, len });
        duo.settle();
        let news = duo.a.take(|news| Some(news.clone()));
        let Some(Completion::EchoReply { sequence, len: came, .. }) = news else {
            panic!("{remote} {len}: {news:?}")
        };
        assert_eq!((sequence, came), (9, len), "{remote}");
    }
    let stats = *duo.a.engine.stack().stats();
    assert!(stats.fragments_out > 135 && stats.replies_lost == 0);
    assert_eq!(stats.datagrams_reassembled, 5);
}

#[test]
fn an_echo_request_for_whose_pieces_there_is_no_memory_is_refused_at_once_and_leaves_no_trace() {
    let mut duo = Duo::with(4_096, &|_| {}, &|config| config.replies_max(16).pings_max(1));
    for len in [65_507, 65_507, 1_000] {
        duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 9, len });
        duo.settle();
        let news = duo.a.take(|news| Some(news.clone()));
        match news {
            Some(Completion::Failed { error, .. }) if len > 1_000 => {
                assert_eq!(error, CommandError::LimitReached);
            }
            Some(Completion::EchoReply { .. }) if len == 1_000 => {}
            other => panic!("{len}: {other:?}"),
        }
    }
}
