//! Every parser takes any bytes; what parses is written out and parses to the same again.
#![no_main]

use std::net::Ipv6Addr;

use causeway_core::tcp::{Config, Connection, Ecn, SegmentIn, SeqNumber, State, TxLimits};
use causeway_core::time::Instant;
use causeway_core::wire::ipv6_ext::{ExtensionEnd, Ipv6Fragment, find_upper, walk_extensions};
use causeway_core::wire::machnet::MachnetHeader;
use causeway_core::wire::mld::MldQuery;
use causeway_core::wire::ndp::NdpMessage;
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};
use causeway_core::wire::{
    ArpPacket, EthernetHeader, Icmpv4Header, Icmpv6Header, IpProtocol, Ipv4Header, Ipv6Header,
    QuotedPacket, UdpHeader, VlanTag,
};
use causeway_fuzz::{Bytes, CheckedRings};
use libfuzzer_sys::fuzz_target;

/// Magic and version of a connection's state.
const HEADER_LEN: usize = 6;

/// The state of an established connection with bytes under way, a hole in what it received, and options.
fn written_connection() -> Vec<u8> {
    let now = Instant::from_nanos(1_000_000_000);
    let mut rings = CheckedRings::new(64 << 10);
    let mut tcp = Connection::connect(now, &Config::default(), 1_000, 7);
    let limits = TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max: 0 };
    let syn = tcp.poll_transmit(now, &limits, &rings).expect("a SYN comes first").header;
    let mut header = TcpHeader {
        flags: TcpFlags::SYN.union(TcpFlags::ACK),
        seq: SeqNumber(5_000),
        ack: syn.seq + 1,
        window: 60_000,
        ..TcpHeader::default()
    };
    header.options.mss = Some(1_460);
    header.options.window_scale = Some(7);
    header.options.sack_permitted = true;
    handle(&mut tcp, now, &header, &[], &mut rings);
    header = TcpHeader { flags: TcpFlags::ACK, seq: SeqNumber(5_101), ..header };
    header.options = TcpHeader::default().options;
    handle(&mut tcp, now, &header, &[0; 500], &mut rings);
    rings.write(20_000);
    tcp.handle_app(now, &rings);
    while tcp.poll_transmit(now, &limits, &rings).is_some() {}
    assert_eq!(tcp.state(), State::Established);
    let mut state = Vec::new();
    tcp.write_state(&mut state);
    state
}

fn handle(
    tcp: &mut Connection,
    now: Instant,
    header: &TcpHeader,
    payload: &[u8],
    rings: &mut CheckedRings,
) {
    let payload_len = payload.len() as u32;
    let segment =
        SegmentIn { header, payload: &[payload], payload_len, gso_size: 0, ecn: Ecn::NotEct };
    let _ = tcp.handle_segment(now, &segment, rings);
}

/// What is written of `header` when `again` was read back: options are aligned, and where those of a SYN stand in front, which has
/// nothing to acknowledge selectively, the last blocks may find no room.
fn as_written(header: TcpHeader, again: &TcpHeader) -> TcpHeader {
    let mut written = header;
    if header.flags.contains(TcpFlags::SYN) {
        let blocks = again.options.sack.as_slice();
        assert!(header.options.sack.as_slice().starts_with(blocks));
        written.options.sack = again.options.sack;
    }
    written
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    let mut out = [0; 128];
    match kind % 13 {
        0 => {
            if let Ok((header, len)) = TcpHeader::parse(bytes) {
                assert!(len <= bytes.len());
                let written = header.emit(&mut out);
                let (again, len) = TcpHeader::parse(&out[..written]).expect("it was written");
                assert_eq!((again, len), (as_written(header, &again), written));
            }
        }
        1 => {
            if let Ok((header, len)) = MachnetHeader::parse(bytes)
                && let Some(written) = header.emit(&mut out)
            {
                assert!(len <= bytes.len());
                let again = MachnetHeader::parse(&out[..written]).map(|(h, _)| h);
                assert_eq!(again, Ok(header));
            }
        }
        2 => {
            if let Ok((header, len)) = EthernetHeader::parse(bytes) {
                assert!(len <= bytes.len());
                header.emit(&mut out);
                assert_eq!(EthernetHeader::parse(&out[..len]), Ok((header, len)));
            }
        }
        3 => {
            if let Ok((packet, _)) = ArpPacket::parse(bytes) {
                let written = packet.emit(&mut out);
                assert_eq!(ArpPacket::parse(&out[..written]).map(|(p, _)| p), Ok(packet));
            }
        }
        4 => {
            if let Ok((header, len)) = Ipv4Header::parse(bytes) {
                assert!(len + usize::from(header.payload_len) <= bytes.len());
                header.emit(&mut out);
                let again = Ipv4Header::parse_prefix(&out, usize::MAX).map(|(header, _)| header);
                // Options are not kept.
                assert_eq!(again, Ok(header));
            }
        }
        5 => {
            if let Ok((header, len)) = Ipv6Header::parse(bytes) {
                assert!(len + usize::from(header.payload_len) <= bytes.len());
                header.emit(&mut out);
                assert_eq!(Ipv6Header::parse_prefix(&out, usize::MAX), Ok((header, len)));
            }
        }
        6 => {
            if let Ok((header, len)) = Icmpv4Header::parse(bytes) {
                assert!(len <= bytes.len());
                // What is unused in a type is not kept, so that the words are compared and not the bytes.
                let message = &mut out[..8];
                header.emit(message);
                assert_eq!(Icmpv4Header::parse(message), Ok((header, len)));
            }
        }
        7 => {
            // The fuzzer cannot guess a checksum: what stands there is not looked at.
            if let Ok(header) = Icmpv6Header::parse_summed(bytes) {
                let (message, host) = (&mut out[..8], Ipv6Addr::LOCALHOST);
                header.emit(message, host, host);
                assert_eq!(Icmpv6Header::parse(message, host, host), Ok((header, 8)));
            }
        }
        8 => {
            if let Ok((header, len)) = UdpHeader::parse(bytes) {
                assert!(len <= bytes.len());
                header.emit(&mut out);
                let again = UdpHeader::parse_prefix(&out, usize::MAX).map(|(header, _)| header);
                assert_eq!(again, Ok(header));
            }
        }
        9 => {
            let _ = QuotedPacket::parse(bytes);
            if let Ok((tag, len)) = VlanTag::parse(bytes) {
                tag.emit(&mut out);
                assert_eq!(VlanTag::parse(&out), Ok((tag, len)));
            }
            if let Some(fragment) = Ipv6Fragment::parse(bytes) {
                fragment.emit(&mut out);
                assert_eq!(Ipv6Fragment::parse(&out), Some(fragment));
            }
        }
        10 => {
            // The bytes behind a fixed header, its next header in front of them.
            if let Some((first, _)) = bytes.split_first()
                && bytes.len() > 40
            {
                let first = IpProtocol(*first);
                let end = walk_extensions(bytes, first);
                if let Ok(ExtensionEnd::Upper { at, named_at, .. }) = end {
                    assert!(named_at < at && at <= bytes.len());
                    assert_eq!(find_upper(bytes, first).map(|(_, found)| found), Some(at));
                }
            }
        }
        11 => {
            if let Ok(header) = Icmpv6Header::parse_summed(bytes) {
                let body = &bytes[8..];
                let _ = MldQuery::parse(&header, body);
                if let Ok(NdpMessage::RouterAdvert(advert)) = NdpMessage::parse(&header, body) {
                    assert!(advert.options.iter().count() <= body.len() / 8);
                }
            }
        }
        _ => {
            // A written-out connection is hostile too: what is read back must hold together.
            let mut state = written_connection();
            let (header, body) = state.split_at_mut(HEADER_LEN);
            let mut bytes = Bytes(bytes);
            while !bytes.is_empty() {
                let at = usize::from(bytes.u16()) % body.len();
                body[at] = bytes.u8();
            }
            assert!(header.starts_with(b"CWTC"), "the changes lie behind magic and version");
            if let Ok(connection) = Connection::read_state(&state) {
                let mut again = Vec::new();
                connection.write_state(&mut again);
                assert!(
                    Connection::read_state(&again) == Ok(connection),
                    "read back once, read back twice"
                );
            }
        }
    }
});
