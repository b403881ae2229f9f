//! TCP and IPv4 options, most of them nearly right, and IPv6 extension headers: parsed as a naive reader of the RFCs would, and
//! what parses is written out and parses to the same again.
#![no_main]

use arbitrary::Arbitrary;
use causeway_core::tcp::SeqNumber;
use causeway_core::wire::checksum::{finish, sum};
use causeway_core::wire::ipv6_ext::{ExtensionEnd, find_upper, walk_extensions};
use causeway_core::wire::tcp::{
    FastOpenCookie, SACK_BLOCKS_MAX, SackBlocks, TCP_HEADER_LEN, TCP_OPTIONS_MAX, TcpFlags,
    TcpHeader, TcpOptions, Timestamps,
};
use causeway_core::wire::{IPV4_HEADER_LEN, IpProtocol, Ipv4Header};
use libfuzzer_sys::fuzz_target;

/// One option: its kind, how far the length that it says is off, and its value.
#[derive(Arbitrary, Debug)]
struct Piece {
    kind: u8,
    known: bool,
    off_by: i8,
    value: [u8; 8],
    len: u8,
}

#[derive(Arbitrary, Debug)]
enum Input {
    Tcp { syn: bool, pieces: Vec<Piece> },
    Ipv4 { pieces: Vec<Piece> },
    Ipv6 { first: u8, pieces: Vec<Piece> },
}

/// Kinds that the stack knows, with the length of each.
const TCP_KINDS: [(u8, u8); 10] =
    [(0, 1), (1, 1), (2, 4), (3, 3), (4, 2), (5, 10), (8, 10), (5, 18), (34, 10), (34, 2)];
/// End, nop, record route, strict and loose source route, timestamp, router alert, security.
const IPV4_KINDS: [(u8, u8); 8] =
    [(0, 1), (1, 1), (7, 7), (137, 7), (131, 7), (68, 8), (148, 4), (130, 11)];

/// The options one behind the other, as many as fit into `max` bytes, filled up to a multiple of four.
fn written(pieces: &[Piece], kinds: &[(u8, u8)], max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        let (kind, len) = match piece.known {
            true => kinds[usize::from(piece.kind) % kinds.len()],
            false => (piece.kind, piece.len % 12),
        };
        if kind <= 1 {
            bytes.push(kind);
            continue;
        }
        bytes.push(kind);
        // Mostly right.
        let off_by = if piece.off_by.rem_euclid(4) == 0 { piece.off_by / 16 } else { 0 };
        bytes.push(len.wrapping_add_signed(off_by));
        let value = piece.value.iter().cycle();
        bytes.extend(value.take(usize::from(len.saturating_sub(2))));
    }
    bytes.truncate(max);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// RFC 7413 §4.1.1: a cookie, or nothing, which asks for one.
fn cookie(value: &[u8], experimental: bool) -> Option<FastOpenCookie> {
    match value.len() {
        0 => Some(FastOpenCookie::request(experimental)),
        4 | 6 | 8 | 10 | 12 | 14 | 16 => FastOpenCookie::new(value, experimental),
        _ => None,
    }
}

/// RFC 9293 §3.2: one option after the other until the end, or until one makes no sense.
fn read_naively(mut bytes: &[u8], syn: bool) -> TcpOptions {
    let mut options = TcpOptions::default();
    let word = |bytes: &[u8], at: usize| {
        u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    while let [kind, rest @ ..] = bytes {
        match kind {
            0 => break,
            1 => {
                bytes = rest;
                continue;
            }
            _ => {}
        }
        let Some(len) = rest.first().map(|len| usize::from(*len)) else { break };
        if len < 2 || len > bytes.len() {
            break;
        }
        let value = &bytes[2..len];
        match (kind, value.len()) {
            (2, 2) if syn => options.mss = Some(u16::from_be_bytes([value[0], value[1]])),
            (3, 1) if syn => options.window_scale = Some(value[0]),
            (4, 0) if syn => options.sack_permitted = true,
            (8, 8) => {
                let (value, echo) = (word(value, 0), word(value, 4));
                options.timestamps = Some(Timestamps { value, echo });
            }
            (5, len) if len % 8 == 0 => {
                options.sack = SackBlocks::NONE;
                for block in value.chunks_exact(8).take(SACK_BLOCKS_MAX) {
                    options.sack.push(SeqNumber(word(block, 0)), SeqNumber(word(block, 4)));
                }
            }
            (34, _) if syn => options.fast_open = cookie(value, false).or(options.fast_open),
            // The drafts' option: the other one counts where both are.
            (254, 2..) if syn && value[..2] == [0xf9, 0x89] => {
                options.fast_open = options.fast_open.or(cookie(&value[2..], true));
            }
            _ => {}
        }
        bytes = &bytes[len..];
    }
    options
}

fn tcp(syn: bool, pieces: &[Piece]) {
    let options = written(pieces, &TCP_KINDS, TCP_OPTIONS_MAX);
    let mut bytes = vec![0; TCP_HEADER_LEN];
    bytes[12] = ((TCP_HEADER_LEN + options.len()) / 4) as u8 * 16;
    bytes[13] = if syn { TcpFlags::SYN.0 } else { TcpFlags::ACK.0 };
    bytes.extend_from_slice(&options);
    let (header, len) = TcpHeader::parse(&bytes).expect("the lengths are right");
    assert_eq!(len, bytes.len());
    assert_eq!(header.options, read_naively(&options, syn), "{options:x?}");
    let mut out = [0; TCP_HEADER_LEN + TCP_OPTIONS_MAX];
    let len = header.emit(&mut out);
    assert_eq!(len, header.header_len());
    let (again, _) = TcpHeader::parse(&out[..len]).expect("what was written parses");
    let mut expected = header;
    // What does not fit beside the others is left out.
    expected.options.sack.len = again.options.sack.len.min(header.options.sack.len);
    let sacks = |header: &TcpHeader| header.options.sack.as_slice().to_vec();
    assert_eq!(sacks(&again), sacks(&expected));
    expected.options.sack = again.options.sack;
    assert_eq!(again, expected);
}

fn ipv4(pieces: &[Piece]) {
    let options = written(pieces, &IPV4_KINDS, 40);
    let (src, dst) = ([10, 0, 0, 2].into(), [10, 0, 0, 1].into());
    let mut bytes = vec![0; IPV4_HEADER_LEN];
    Ipv4Header::new(src, dst, IpProtocol::UDP, options.len() as u16).emit(&mut bytes);
    bytes.extend_from_slice(&options);
    bytes[0] = 0x40 | (bytes.len() / 4) as u8;
    bytes[10..12].fill(0);
    let checksum = finish(sum(&bytes)).to_be_bytes();
    bytes[10..12].copy_from_slice(&checksum);
    let (header, len, bad) =
        Ipv4Header::parse_past_options(&bytes, bytes.len()).expect("the lengths are right");
    assert_eq!((header.src, header.dst, len), (src, dst, bytes.len()));
    assert_eq!(bad.is_none(), Ipv4Header::parse(&bytes).is_ok(), "one way to read options");
    if options.iter().all(|byte| *byte <= 1) {
        assert!(bad.is_none(), "nothing can be wrong with no-operations");
    }
}

/// Extension headers of any kind, each with a length of its own.
fn ipv6(first: u8, pieces: &[Piece]) {
    const KINDS: [u8; 6] = [0, 43, 44, 60, 17, 59];
    let kind = |raw: u8, known: bool| if known { KINDS[usize::from(raw) % 6] } else { raw };
    let mut packet = vec![0; 40];
    let first = IpProtocol(kind(first, true));
    for piece in pieces.iter().take(32) {
        let blocks = usize::from(piece.len % 4);
        let mut header = vec![0; 8 + 8 * blocks];
        header[0] = kind(piece.kind, piece.known);
        header[1] = (blocks as u8).wrapping_add_signed(piece.off_by / 64);
        header[2..8].copy_from_slice(&piece.value[..6]);
        packet.extend(header);
    }
    packet[0] = 0x60;
    if let Ok(ExtensionEnd::Upper { at, named_at, protocol, .. }) = walk_extensions(&packet, first)
    {
        assert!(named_at < at && at <= packet.len());
        assert_eq!(find_upper(&packet, first), Some((protocol, at)), "one way to walk");
    }
}

fuzz_target!(|input: Input| {
    match input {
        Input::Tcp { syn, pieces } => tcp(syn, &pieces),
        Input::Ipv4 { pieces } => ipv4(&pieces),
        Input::Ipv6 { first, pieces } => ipv6(first, &pieces),
    }
});
