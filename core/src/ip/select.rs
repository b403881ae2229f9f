//! Which of our IPv6 addresses a packet is sent from (RFC 6724 §5).

use crate::planted::{self, Bug};
use core::cmp::Ordering;
use core::net::Ipv6Addr;

/// An address to send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceCandidate {
    /// The address: assigned to the interface that the packet leaves by, and not tentative.
    pub address: Ipv6Addr,
    /// Bits of its prefix.
    pub prefix_len: u8,
    /// Its preferred lifetime is over: for what has begun already, and for want of another.
    pub deprecated: bool,
}

/// Getter: the best of `candidates` to send to `destination` from; the first of equals. The rules of RFC 6724 §5 in their
/// order, without those about mobility (4) and temporary addresses (7), of which there are none. Rule 5 is the caller's: it
/// offers the addresses of one interface.
pub fn select_source(
    candidates: impl Iterator<Item = SourceCandidate>,
    destination: Ipv6Addr,
) -> Option<Ipv6Addr> {
    let better = |best: SourceCandidate, other: SourceCandidate| {
        let worse = compare(&best, &other, destination) == Ordering::Less;
        if worse && !planted::is(Bug::FirstSource) { other } else { best }
    };
    candidates.reduce(better).map(|best| best.address)
}

/// `Greater` where `a` is to be preferred.
fn compare(a: &SourceCandidate, b: &SourceCandidate, destination: Ipv6Addr) -> Ordering {
    let same = |c: &SourceCandidate| c.address == destination;
    let labelled = |c: &SourceCandidate| label(c.address) == label(destination);
    let common = |c: &SourceCandidate| {
        let shared = (c.address.to_bits() ^ destination.to_bits()).leading_zeros();
        shared.min(u32::from(c.prefix_len))
    };
    // Rule 1: the destination itself. Rule 2: a scope that fits. Rule 3: not deprecated. Rule 6: the label of the
    // destination. Rule 8: the longest prefix in common.
    same(a)
        .cmp(&same(b))
        .then_with(|| compare_scopes(scope(a.address), scope(b.address), scope(destination)))
        .then_with(|| b.deprecated.cmp(&a.deprecated))
        .then_with(|| labelled(a).cmp(&labelled(b)))
        .then_with(|| common(a).cmp(&common(b)))
}

/// Rule 2: the smaller scope, if it reaches the destination.
fn compare_scopes(a: u8, b: u8, destination: u8) -> Ordering {
    match a.cmp(&b) {
        Ordering::Less if a < destination => Ordering::Less,
        Ordering::Less => Ordering::Greater,
        Ordering::Greater if b < destination => Ordering::Greater,
        Ordering::Greater => Ordering::Less,
        Ordering::Equal => Ordering::Equal,
    }
}

/// RFC 6724 §3.1: 2 within the link, 5 within a site, 14 everywhere.
fn scope(address: Ipv6Addr) -> u8 {
    let [first, second, ..] = address.octets();
    match (first, second) {
        (0xff, flags_and_scope) => flags_and_scope & 0xf,
        (0xfe, 0x80..=0xbf) => 2,
        (0xfe, 0xc0..) => 5,
        _ if address.is_loopback() => 2,
        _ => 14,
    }
}

/// RFC 6724 §2.1: the labels of the default policy table, the longest prefix first.
fn label(address: Ipv6Addr) -> u8 {
    let bits = address.to_bits();
    let starts = |prefix: u128, len: u32| bits >> (128 - len) == prefix;
    match () {
        () if address.is_loopback() => 0,
        () if starts(0xffff, 96) => 4,
        () if starts(0, 96) => 3,
        () if starts(0x2001_0000, 32) => 5,
        () if starts(0x2002, 16) => 2,
        () if starts(0x3ffe, 16) => 12,
        () if starts(0xfec0 >> 6, 10) => 11,
        () if starts(0xfc >> 1, 7) => 13,
        () => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The choice between addresses, a deprecated one with a `!` behind it, all of /64 prefixes.
    fn choose(candidates: &[&str], destination: &str) -> Ipv6Addr {
        let candidate = |text: &&str| SourceCandidate {
            address: text.trim_end_matches('!').parse().unwrap(),
            prefix_len: 64,
            deprecated: text.ends_with('!'),
        };
        let forwards: Vec<_> = candidates.iter().map(candidate).collect();
        let chosen = select_source(forwards.iter().copied(), destination.parse().unwrap());
        let backwards = forwards.iter().rev().copied();
        assert_eq!(chosen, select_source(backwards, destination.parse().unwrap()), "any order");
        chosen.unwrap()
    }

    #[test]
    fn the_examples_of_rfc_6724_come_out_as_it_says() {
        // RFC 6724 §10.1, as far as one interface goes.
        for (candidates, destination, expected) in [
            (["2001:db8:1::1", "fe80::1"], "2001:db8:1::9", "2001:db8:1::1"),
            (["fe80::1", "2001:db8:3::1"], "2001:db8:2::1", "2001:db8:3::1"),
            (["2001:db8:1::1", "fe80::1"], "fe80::9", "fe80::1"),
            (["2001:db8:1::1", "2001:db8:3::1"], "2001:db8:1::9", "2001:db8:1::1"),
            (["2001:db8:1::1!", "2001:db8:3::1"], "2001:db8:1::9", "2001:db8:3::1"),
            (["2001:db8:1::1!", "fe80::1"], "2001:db8:2::1", "2001:db8:1::1"),
            (["2002:c633:6401::1", "2001:db8:1::1"], "2002:c633:6401::9", "2002:c633:6401::1"),
            (["fd00::1", "2001:db8:1::1"], "2001:db9::1", "2001:db8:1::1"),
            (["fd00::1", "2001:db8:1::1"], "fd11::1", "fd00::1"),
            (["2001:db8:1::1", "fe80::1"], "ff02::1", "fe80::1"),
            (["2001:db8:1::1!", "2001:db8:1::2"], "2001:db8:1::1", "2001:db8:1::1"),
        ] {
            let chosen = choose(&candidates, destination);
            assert_eq!(
                chosen,
                expected.parse::<Ipv6Addr>().unwrap(),
                "{candidates:?} to {destination}"
            );
        }
    }

    #[test]
    fn a_prefix_in_common_counts_no_further_than_the_candidate_s_own() {
        // The same 64 bits in common, whatever the interface identifiers: the first one stays.
        let of = |text: &str| SourceCandidate {
            address: text.parse().unwrap(),
            prefix_len: 64,
            deprecated: false,
        };
        let pair = [of("2001:db8::8000:0:0:1"), of("2001:db8::1")];
        let chosen = select_source(pair.into_iter(), "2001:db8::2".parse().unwrap());
        assert_eq!(chosen, Some(pair[0].address));
        assert_eq!(select_source([].into_iter(), Ipv6Addr::LOCALHOST), None);
    }
}
