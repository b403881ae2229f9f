//! What an application or a wire may ask for without sense: the host says no, or takes no notice, and goes on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use causeway_conformance::host::{Addresses, Call, Errno, Host, HostConfig, PollFd, Reply, START};
use causeway_core::time::Duration;

fn open(host: &mut Host, domain: i32, kind: i32) -> i32 {
    match host.call_now(Call::Socket { domain, kind, protocol: 0 }) {
        Ok(Reply::Number(fd)) => i32::try_from(fd).expect("a descriptor is small"),
        other => panic!("no socket: {other:?}"),
    }
}

fn bind(host: &mut Host, fd: i32, address: impl Into<IpAddr>) -> Result<Reply, Errno> {
    host.call_now(Call::Bind { fd, address: SocketAddr::new(address.into(), 80) })
}

#[test]
fn an_end_that_nobody_waits_for_does_not_hold_the_clock() {
    for abandoned in [false, true] {
        let mut host = Host::new(&HostConfig::default());
        let fd = open(&mut host, libc::AF_INET, libc::SOCK_DGRAM);
        let wait = host.start(Call::Poll { fds: vec![], timeout_ms: 10 });
        let end = START + Duration::from_secs(1);
        if abandoned {
            host.abandon(wait);
        }
        host.advance(end, true);
        // Who waits is asked first.
        assert_eq!(host.now() == end, abandoned);
        assert_eq!(host.poll_done(wait).is_some(), !abandoned);
        host.advance(end, true);
        assert_eq!(host.now(), end);
        assert_eq!(bind(&mut host, fd, [192, 168, 0, 1]), Ok(Reply::Number(0)));
    }
}

#[test]
fn a_host_does_not_take_an_address_that_no_interface_has() {
    let own = Addresses::default();
    let mut host = Host::new(&HostConfig::default());
    let v4 = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 9, 9, 9), Ipv4Addr::new(224, 0, 0, 1)];
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    let v6 = [Ipv6Addr::LOCALHOST, mapped, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)];
    let all = v4.map(|v4| (Addresses { v4, ..own }, IpAddr::V4(v4)));
    let all = all.into_iter().chain(v6.map(|v6| (Addresses { v6, ..own }, v6.into())));
    for (addresses, odd) in all {
        assert!(!host.readdress(addresses, 1_500), "{odd}");
        // One that begins with it does without. The loopback has its addresses all the same.
        let mut without = Host::new(&HostConfig { addresses, mtu: 1_500 });
        let domain = if odd.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let fd = open(&mut without, domain, libc::SOCK_STREAM);
        let loopback = odd.to_canonical().is_loopback();
        let expected = if loopback { Ok(Reply::Number(0)) } else { Err(Errno::EADDRNOTAVAIL) };
        assert_eq!(bind(&mut without, fd, odd), expected, "{odd}");
    }
    let fd = open(&mut host, libc::AF_INET, libc::SOCK_STREAM);
    assert_eq!(bind(&mut host, fd, own.v4), Ok(Reply::Number(0)));
    let none = Addresses { v4: v4[0], v6: v6[0] };
    Host::new(&HostConfig { addresses: none, mtu: 1_500 }).inject(&[0x45; 20]);
}

#[test]
fn any_number_may_be_asked_for_as_a_descriptor() {
    let mut host = Host::new(&HostConfig::default());
    for fd in [i32::MIN, -1, 0, 2, 3, i32::MAX] {
        let fds = vec![PollFd { fd, events: libc::POLLIN, revents: 0 }];
        let polled = host.call_now(Call::Poll { fds, timeout_ms: 0 });
        assert!(matches!(polled, Ok(Reply::Polled(count, _)) if count == i64::from(fd >= 0)));
        assert_eq!(host.call_now(Call::Close { fd }), Err(Errno::EBADF));
    }
}

#[test]
fn a_link_that_is_too_small_for_a_protocol_has_none_of_it() {
    for mtu in (0..100).chain([576, 1_279, 1_280, 9_000, u16::MAX]) {
        let mut host = Host::new(&HostConfig { mtu, ..HostConfig::default() });
        for (domain, peer) in [
            (libc::AF_INET, IpAddr::from([192, 0, 2, 1])),
            (libc::AF_INET6, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
        ] {
            for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
                let fd = open(&mut host, domain, kind | libc::SOCK_NONBLOCK);
                let address = Some(SocketAddr::new(peer, 80));
                let connected = host.call_now(Call::Connect { fd, address });
                let least = if peer.is_ipv4() { 68 } else { 1_280 };
                let away = connected == Err(Errno::ENETUNREACH);
                assert_eq!(away, mtu < least, "{mtu}: {connected:?}");
                let end = host.now() + Duration::from_secs(10);
                host.advance(end, false);
                while let Some(sent) = host.poll_sent() {
                    let v6 = sent.bytes[0] >> 4 == 6;
                    let at = if v6 { 4 } else { 2 };
                    let len = u16::from_be_bytes([sent.bytes[at], sent.bytes[at + 1]]);
                    let len = if v6 { 40 + len } else { len };
                    assert!(!v6 || mtu >= 1_280);
                    assert_eq!(usize::from(len), sent.bytes.len());
                    assert!(len <= mtu, "{mtu}: {len}");
                }
            }
        }
    }
}
