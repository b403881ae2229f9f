//! Reassembly against a map with a byte for each place of each datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_core::ip::{Fragment, FragmentKey, Reassembled, Reassembly};
use causeway_core::nic::IfIndex;
use causeway_core::testing::ReassemblyModel;
use causeway_core::time::{Duration, Instant};
use proptest::prelude::*;

/// A fragment: of which datagram, where it begins and ends in units of 8 bytes, the bytes beyond, whether more follow, its ECN
/// field, a change to its bytes, and the seconds before it comes.
#[derive(Clone, Debug)]
struct Piece {
    datagram: u8,
    units: (usize, usize),
    tail: usize,
    more: bool,
    ecn: u8,
    lies: bool,
    pause_s: u64,
}

fn key(datagram: u8) -> FragmentKey {
    let host = |n: u8| match datagram & 1 {
        0 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)),
        _ => IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n.into())),
    };
    let protocol = [17, 6][usize::from(datagram >> 1 & 1)];
    let identification = u32::from(datagram >> 2);
    FragmentKey { interface: IfIndex(1), src: host(2), dst: host(1), protocol, identification }
}

/// IPv4's, or IPv6's with the fragment header.
fn header(datagram: u8) -> &'static [u8] {
    &[0x45; 48][..[20, 48][usize::from(datagram & 1)]]
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    // Near the beginning, or where the longest datagram ends.
    let start = prop_oneof![7 => 0usize..12, 1 => 8_180usize..8_192];
    let shape = (0u8..6, (start, 0usize..6), 0usize..9, proptest::bool::weighted(0.7));
    let mood = (0u8..4, proptest::bool::weighted(0.05), prop_oneof![9 => Just(0), 1 => 0u64..70]);
    let piece = (shape, mood).prop_map(|((datagram, units, tail, more), (ecn, lies, pause_s))| {
        let tail = if tail < 6 { 0 } else { tail };
        Piece { datagram, units, tail, more, ecn, lies, pause_s }
    });
    proptest::collection::vec(piece, 1..80)
}

proptest! {
    #[test]
    fn each_fragment_is_judged_as_a_byte_map_would(pieces in pieces()) {
        let (mut real, mut model) = (Reassembly::new(8 << 20), ReassemblyModel::default());
        let mut now = Instant::from_nanos(1);
        for piece in pieces {
            now += Duration::from_secs(piece.pause_s);
            let expired = std::iter::from_fn(|| real.poll_expired(now)).count();
            prop_assert_eq!(expired, model.expire(now));
            let (start, len) = (piece.units.0 * 8, piece.units.1 * 8 + piece.tail);
            let flip = u8::from(piece.lies);
            let bytes: Vec<u8> =
                (start..start + len).map(|at| (at * 7) as u8 ^ piece.datagram ^ flip).collect();
            let (left, right) = bytes.split_at(len / 2);
            let header = header(piece.datagram);
            let fragment = Fragment {
                header,
                start,
                bytes: &[left, right],
                more: piece.more,
                ecn: piece.ecn,
            };
            let found = real.add(now, key(piece.datagram), &fragment);
            prop_assert_eq!(&found, &model.add(now, key(piece.datagram), &fragment));
            if let Reassembled::Whole(whole) = found {
                prop_assert_eq!(&whole.bytes[..header.len()], header);
            }
            prop_assert_eq!(real.len(), model.len());
        }
    }
}
