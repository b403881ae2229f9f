//! Fragments in any number, order and overlap: what is put together is what was sent, the accounts are right, and the
//! memory is bounded.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_core::ip::{Fragment, FragmentKey, Reassembled, Reassembly};
use causeway_core::nic::IfIndex;
use causeway_core::time::{Duration, Instant};
use causeway_fuzz::Bytes;
use libfuzzer_sys::fuzz_target;

/// Small, so that senders get into each other's way.
const BYTES_MAX: usize = 256 << 10;
const HEADER: [u8; 20] = [0x45; 20];

/// The byte at `at` of datagram `number`.
fn expected(number: u8, at: usize) -> u8 {
    number.wrapping_mul(31).wrapping_add(at as u8).wrapping_add((at >> 8) as u8)
}

fn key(host: u8, number: u8) -> FragmentKey {
    let (src, dst) = if host & 4 == 0 {
        let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        (ip(host + 1), ip(100))
    } else {
        let ip = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        (ip(u16::from(host) + 1), ip(100))
    };
    let protocol = if host & 8 == 0 { 17 } else { 6 };
    let identification = u32::from(number);
    FragmentKey { interface: IfIndex(1), src, dst, protocol, identification }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes(data);
    let mut reassembly = Reassembly::new(BYTES_MAX);
    let mut now = Instant::from_nanos(1);
    while !input.is_empty() {
        let (who, flags) = (input.u8(), input.u8());
        let (host, number) = (who & 15, who >> 4);
        now += Duration::from_millis(u64::from(flags >> 3) * 200);
        while reassembly.poll_expired(now).is_some() {}
        let start = usize::from(input.u16()) & !7;
        let len = usize::from(input.u16()) & 0x07ff;
        let bytes: Vec<u8> = (start..start + len).map(|at| expected(number, at)).collect();
        let (left, right) = bytes.split_at(len / 3);
        let fragment = Fragment {
            header: &HEADER,
            start,
            bytes: &[left, right],
            more: flags & 1 != 0,
            ecn: flags >> 1 & 3,
        };
        if let Reassembled::Whole(whole) = reassembly.add(now, key(host, number), &fragment) {
            assert!(whole.bytes.len() <= 65_535);
            let payload = &whole.bytes[whole.header_len..];
            assert!(payload.iter().enumerate().all(|(at, byte)| *byte == expected(number, at)));
        }
        assert!(reassembly.cost() <= BYTES_MAX);
        assert_eq!(reassembly.is_empty(), reassembly.cost() == 0);
    }
    now += Duration::from_secs(100);
    while reassembly.poll_expired(now).is_some() {}
    assert!(reassembly.is_empty() && reassembly.cost() == 0 && reassembly.poll_timeout().is_none());
});
