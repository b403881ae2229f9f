use super::*;
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;

const NOW: Instant = Instant::from_nanos(7);
const UDP: u8 = 17;
const TCP: u8 = 6;

fn key(host: u32, identification: u32) -> FragmentKey {
    FragmentKey {
        interface: IfIndex(1),
        src: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host)),
        dst: IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)),
        protocol: UDP,
        identification,
    }
}

fn add(
    reassembly: &mut Reassembly,
    key: FragmentKey,
    start: usize,
    bytes: &[u8],
    more: bool,
) -> Reassembled {
    let header = &[0x45; 20];
    reassembly.add(NOW, key, &Fragment { header, start, bytes: &[bytes], more, ecn: 0 })
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

#[test]
fn the_first_fragment_s_header_stands_in_front_of_the_whole() {
    let mut r = Reassembly::new(1 << 20);
    let bytes = payload(24);
    let fragment =
        |header, start: usize, end: usize, more| (header, start, [&bytes[start..end]], more);
    for (header, start, slices, more) in
        [fragment(&[9; 24], 16, 24, false), fragment(&[1; 24], 0, 8, true)]
    {
        let fragment = Fragment { header, start, bytes: &slices, more, ecn: 2 };
        assert_eq!(r.add(NOW, key(1, 1), &fragment), Reassembled::Kept);
    }
    let (left, right) = bytes[8..16].split_at(3);
    let last = Fragment { header: &[8; 20], start: 8, bytes: &[left, right], more: true, ecn: 3 };
    let Reassembled::Whole(whole) = r.add(NOW, key(1, 1), &last) else { panic!("it is whole") };
    assert_eq!((whole.header_len, whole.ecn), (24, 3));
    assert_eq!(whole.bytes, [&[1; 24][..], &bytes].concat());
    assert!(r.is_empty() && r.shares.is_empty());
}

#[test]
fn overlapping_fragments_lose_the_datagram_and_what_still_comes_of_it() {
    let bytes = payload(64);
    for (start, end, more) in [(8, 24, true), (0, 24, true), (16, 40, true), (0, 64, false)] {
        let mut r = Reassembly::new(1 << 20);
        assert_eq!(add(&mut r, key(1, 1), 0, &bytes[..16], true), Reassembled::Kept);
        assert_eq!(add(&mut r, key(1, 1), 32, &bytes[32..48], true), Reassembled::Kept);
        let overlap = add(&mut r, key(1, 1), start, &bytes[start..end], more);
        assert_eq!(overlap, Reassembled::Overlap, "{start}..{end}");
        assert_eq!(add(&mut r, key(1, 1), 48, &bytes[48..], false), Reassembled::Overlap);
        assert_eq!(r.cost(), DATAGRAM_COST, "no byte is kept");
        // Another datagram is not concerned.
        assert_eq!(add(&mut r, key(1, 2), 0, &bytes[..16], true), Reassembled::Kept);
    }
}

#[test]
fn two_ends_or_bytes_beyond_the_end_lose_the_datagram() {
    let bytes = payload(64);
    let mut r = Reassembly::new(1 << 20);
    assert_eq!(add(&mut r, key(1, 1), 16, &bytes[16..24], false), Reassembled::Kept);
    assert_eq!(add(&mut r, key(1, 1), 24, &bytes[24..32], false), Reassembled::Overlap);
    assert_eq!(add(&mut r, key(1, 2), 16, &bytes[16..24], false), Reassembled::Kept);
    assert_eq!(add(&mut r, key(1, 2), 24, &bytes[24..32], true), Reassembled::Overlap);
    assert_eq!(add(&mut r, key(1, 3), 24, &bytes[24..32], true), Reassembled::Kept);
    assert_eq!(add(&mut r, key(1, 3), 0, &bytes[..8], false), Reassembled::Overlap);
}

#[test]
fn a_repeated_fragment_is_ignored_and_one_with_other_bytes_is_an_overlap() {
    let bytes = payload(64);
    let mut r = Reassembly::new(1 << 20);
    assert_eq!(add(&mut r, key(1, 1), 0, &bytes[..16], true), Reassembled::Kept);
    let cost = r.cost();
    assert_eq!(add(&mut r, key(1, 1), 0, &bytes[..16], true), Reassembled::Duplicate);
    assert_eq!(r.cost(), cost);
    assert_eq!(add(&mut r, key(1, 1), 0, &bytes[1..17], true), Reassembled::Overlap);
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let mut r = Reassembly::new(1 << 20);
    let bytes = payload(64);
    assert_eq!(add(&mut r, key(1, 1), 0, &[], true), Reassembled::Length);
    assert_eq!(add(&mut r, key(1, 1), 0, &bytes[..12], true), Reassembled::Length);
    assert_eq!(add(&mut r, key(1, 1), 65_504, &bytes[..16], false), Reassembled::TooLong);
    assert_eq!(add(&mut r, key(1, 1), 65_504, &bytes[..11], false), Reassembled::Kept);
    let tcp = FragmentKey { protocol: TCP, ..key(1, 1) };
    assert_eq!(add(&mut r, tcp, 0, &bytes[..16], true), Reassembled::Tiny);
    assert_eq!(add(&mut r, tcp, 8, &bytes[..16], true), Reassembled::Tiny);
    assert_eq!(add(&mut r, tcp, 16, &bytes[..16], true), Reassembled::Tiny);
    assert_eq!(add(&mut r, tcp, 0, &bytes[..24], true), Reassembled::Kept);
}

#[test]
fn congestion_marks_of_some_fragments_are_the_datagram_s_unless_others_cannot_have_them() {
    let mut r = Reassembly::new(1 << 20);
    let mut two = |first, second| {
        let fragment = |start, more, ecn| Fragment {
            header: &[0x45; 20],
            start,
            bytes: &[&[1; 8]],
            more,
            ecn,
        };
        r.add(NOW, key(1, 1), &fragment(0, true, first));
        match r.add(NOW, key(1, 1), &fragment(8, false, second)) {
            Reassembled::Whole(whole) => Some(whole.ecn),
            _ => None,
        }
    };
    assert_eq!((two(2, 3), two(3, 1), two(1, 1)), (Some(3), Some(3), Some(1)));
    assert_eq!((two(0, 0), two(0, 3)), (Some(0), None));
}

#[test]
fn a_datagram_that_stays_incomplete_expires_and_tells_its_first_fragment() {
    let mut r = Reassembly::new(1 << 20);
    let bytes = payload(16);
    add(&mut r, key(1, 1), 0, &bytes, true);
    add(&mut r, key(1, 2), 16, &bytes, true);
    let v6 = |host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host));
    let six = FragmentKey { src: v6(1), dst: v6(2), protocol: 0, ..key(0, 1) };
    add(&mut r, six, 0, &bytes, true);
    assert_eq!(r.poll_timeout(), Some(NOW + REASSEMBLY_TIMEOUT_V4));
    assert_eq!(r.poll_expired(NOW + Duration::from_secs(29)), None);
    let late = NOW + REASSEMBLY_TIMEOUT_V4;
    let first = r.poll_expired(late).unwrap().first.unwrap();
    assert_eq!(first.bytes, [&[0x45; 20][..], &bytes].concat());
    assert_eq!(r.poll_expired(late), Some(Expired { key: key(1, 2), first: None }));
    assert_eq!(r.poll_expired(late), None);
    assert_eq!(r.poll_expired(NOW + REASSEMBLY_TIMEOUT_V6).unwrap().key, six);
    assert_eq!(r.poll_timeout(), None);
    assert!(r.shares.is_empty());
}

#[test]
fn a_sender_keeps_a_quarter_of_the_memory_at_most_and_takes_nothing_from_others() {
    let mut r = Reassembly::new(64 * 1_024);
    let bytes = payload(1_024);
    assert_eq!(add(&mut r, key(7, 1), 0, &bytes, true), Reassembled::Kept);
    for identification in 0..1_000 {
        assert_eq!(add(&mut r, key(1, identification), 0, &bytes, true), Reassembled::Kept);
        assert!(r.shares.of(key(1, 0).src) <= 16 * 1_024 && r.cost() <= 64 * 1_024);
    }
    assert_eq!(
        add(&mut r, key(1, 0), 1_024, &bytes, false),
        Reassembled::Kept,
        "the old half went"
    );
    let whole = add(&mut r, key(7, 1), 1_024, &bytes[..8], false);
    assert!(matches!(whole, Reassembled::Whole(_)), "the other sender's is there");
}

#[test]
fn when_memory_is_short_the_heaviest_sender_loses_its_oldest() {
    let mut r = Reassembly::new(64 * 1_024);
    let bytes = payload(1_024);
    for identification in 0..10 {
        assert_eq!(add(&mut r, key(1, identification), 0, &bytes, true), Reassembled::Kept);
    }
    for host in 2..200 {
        assert_eq!(add(&mut r, key(host, 1), 0, &bytes, true), Reassembled::Kept);
        assert!(r.cost() <= 64 * 1_024);
    }
    let last = add(&mut r, key(1, 0), 1_024, &bytes, false);
    assert_eq!(last, Reassembled::Kept, "the heavy sender's first half is gone");
    assert!(matches!(add(&mut r, key(199, 1), 1_024, &bytes, false), Reassembled::Whole(_)));
}

#[test]
fn without_memory_nothing_is_kept() {
    let mut r = Reassembly::new(0);
    assert_eq!(add(&mut r, key(1, 1), 0, &[1; 8], true), Reassembled::NoRoom);
    assert!(r.is_empty());
}

proptest! {
    /// Any cut, any order, with repetitions: the whole comes out once, as it was.
    #[test]
    fn fragments_in_any_order_with_duplicates_make_the_datagram_once(
        len in 1usize..3_000,
        cuts in proptest::collection::btree_set(1usize..375, 0..20),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let bytes = payload(len);
        let mut edges: Vec<usize> = cuts.into_iter().map(|cut| cut * 8).filter(|at| *at < len).collect();
        edges.insert(0, 0);
        edges.push(len);
        let pieces: Vec<(usize, usize)> = edges.windows(2).map(|w| (w[0], w[1])).collect();
        let mut r = Reassembly::new(1 << 20);
        let mut wholes = Vec::new();
        let random = order.iter().map(|index| *index.get(&pieces));
        for (start, end) in random.chain(pieces.iter().copied()) {
            match add(&mut r, key(1, 1), start, &bytes[start..end], end < len) {
                Reassembled::Whole(whole) => wholes.push(whole),
                Reassembled::Kept | Reassembled::Duplicate => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert!(!wholes.is_empty());
        for whole in wholes {
            prop_assert_eq!(&whole.bytes[20..], &bytes[..]);
        }
    }

    #[test]
    fn whatever_comes_the_accounts_are_right_and_the_limit_holds(
        fragments in proptest::collection::vec(
            (
                0u32..4, 0u32..3, prop_oneof![Just(0), 0usize..8_192], 0usize..80, any::<bool>(), 0u64..40,
            ), 0..200,
        ),
    ) {
        let mut r = Reassembly::new(4_096);
        let mut now = NOW;
        for (host, identification, start, len, more, pause) in fragments {
            now += Duration::from_secs(pause);
            while r.poll_expired(now).is_some() {}
            let bytes = payload(len);
            let fragment =
                Fragment { header: &[0x45; 20], start: start * 8, bytes: &[&bytes], more, ecn: 0 };
            r.add(now, key(host, identification), &fragment);
            prop_assert!(r.cost() <= 4_096);
            let sum: usize = r.datagrams.values().map(|datagram| datagram.cost).sum();
            prop_assert_eq!(r.cost(), sum);
        }
        while r.poll_expired(now + Duration::from_secs(100)).is_some() {}
        prop_assert!(r.is_empty() && r.shares.is_empty());
    }
}
