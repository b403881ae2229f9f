//! Fragments in any number, order and overlap, of both families. With room for all of them a naive model says what becomes of
//! each; with little room nothing comes out but what was sent, the accounts are right, and the memory is bounded.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_core::ip::{Fragment, FragmentKey, Reassembled, Reassembly};
use causeway_core::nic::IfIndex;
use causeway_core::time::{Duration, Instant};
use causeway_fuzz::{Bytes, ReassemblyModel};
use libfuzzer_sys::fuzz_target;

/// Small, so that senders get into each other's way.
const BYTES_FEW: usize = 256 << 10;
/// More than a quarter of it no input reaches with one sender.
const BYTES_MANY: usize = 64 << 20;
/// More make a run slow and find no more.
const FRAGMENTS_MAX: usize = 300;

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

/// What of a datagram's header its length does not count: IPv6's fixed header, and the fragment header (RFC 8200 §4.5).
fn uncounted(key: FragmentKey) -> usize {
    if key.src.is_ipv6() { 40 + 8 } else { 0 }
}

struct World {
    now: Instant,
    reassembly: Reassembly,
    bytes_max: usize,
    model: Option<ReassemblyModel>,
}

impl World {
    fn expire(&mut self, now: Instant) {
        self.now = now;
        let mut expired = 0;
        while self.reassembly.poll_expired(now).is_some() {
            expired += 1;
        }
        if let Some(model) = &mut self.model {
            assert_eq!(model.expire(now), expired, "given up");
            assert_eq!(model.len(), self.reassembly.len());
        }
        assert!(self.reassembly.poll_timeout().is_none_or(|at| at > now));
    }

    /// What lies near places that matter already: one number in eight is exactly a multiple of 1,480.
    fn step(&mut self, input: &mut Bytes<'_>) {
        let (who, flags) = (input.u8(), input.u8());
        let (host, number) = (who & 15, who >> 4);
        let key = key(host, number);
        if flags & 0x10 != 0 {
            self.expire(self.now + Duration::from_millis(u64::from(input.u8()) * 200));
        }
        let raw = input.u16();
        let start = if raw & 7 == 7 { usize::from(raw >> 12) * 1_480 } else { raw.into() } & !7;
        let raw = usize::from(input.u16());
        let len = if raw & 7 == 7 { 1_480 } else { raw & 0x07ff };
        let lies = flags & 0x20 != 0;
        let bytes: Vec<u8> =
            (start..start + len).map(|at| expected(number, at) ^ u8::from(lies)).collect();
        let (left, right) = bytes.split_at(len / 3);
        let header = &[0x45; 72][..uncounted(key).max(20) + usize::from(flags >> 6) * 8];
        let fragment = Fragment {
            header,
            start,
            bytes: &[left, right],
            more: flags & 1 != 0,
            ecn: flags >> 1 & 3,
        };
        let found = self.reassembly.add(self.now, key, &fragment);
        if let Some(model) = &mut self.model {
            assert_eq!(found, model.add(self.now, key, &fragment));
            assert_eq!(model.len(), self.reassembly.len());
        } else if let Reassembled::Whole(whole) = found {
            assert!(whole.bytes.len() <= 65_535 + uncounted(key));
            let payload = &whole.bytes[whole.header_len..];
            let right = |(at, byte): (usize, &u8)| *byte & !1 == expected(number, at) & !1;
            assert!(payload.iter().enumerate().all(right));
        }
        assert!(self.reassembly.cost() <= self.bytes_max);
        assert_eq!(self.reassembly.is_empty(), self.reassembly.cost() == 0);
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes(data);
    let roomy = input.u8() & 1 == 0;
    let bytes_max = if roomy { BYTES_MANY } else { BYTES_FEW };
    let mut world = World {
        now: Instant::from_nanos(1),
        reassembly: Reassembly::new(bytes_max),
        bytes_max,
        model: roomy.then(ReassemblyModel::default),
    };
    for _ in 0..FRAGMENTS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    world.expire(world.now + Duration::from_secs(100));
    let reassembly = &world.reassembly;
    assert!(reassembly.is_empty() && reassembly.cost() == 0 && reassembly.poll_timeout().is_none());
});
