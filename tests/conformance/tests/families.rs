//! Sockets of IPv4 and of IPv6: addresses that they take, levels that they have options of.

use std::net::{Ipv4Addr, SocketAddr};

use causeway_conformance::host::{Call, CallResult, Errno, Host, HostConfig, Reply};

const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn open(host: &mut Host, domain: i32, kind: i32) -> i32 {
    match host.call_now(Call::Socket { domain, kind, protocol: 0 }) {
        Ok(Reply::Number(fd)) => i32::try_from(fd).expect("a descriptor is small"),
        other => panic!("no socket: {other:?}"),
    }
}

#[test]
fn a_socket_is_bound_to_an_address_of_its_family_only() {
    let mut host = Host::new(&HostConfig::default());
    let plain = SocketAddr::from((OWN, 8_080));
    let mapped = SocketAddr::from((OWN.to_ipv6_mapped(), 8_080));
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
        for (domain, own, other) in
            [(libc::AF_INET, plain, mapped), (libc::AF_INET6, mapped, plain)]
        {
            let fd = open(&mut host, domain, kind);
            let wrong = host.call_now(Call::Bind { fd, address: other });
            assert_eq!(wrong, Err(Errno::EAFNOSUPPORT), "{domain} {kind}");
            assert_eq!(host.call_now(Call::Bind { fd, address: own }), Ok(Reply::Number(0)));
            host.call_now(Call::Close { fd }).expect("it is open");
        }
    }
}

#[test]
fn a_stream_connects_to_an_address_of_its_family_only() {
    let mut host = Host::new(&HostConfig::default());
    let connect = |host: &mut Host, domain, kind, ip: std::net::IpAddr| -> CallResult {
        let fd = open(host, domain, kind | libc::SOCK_NONBLOCK);
        host.call_now(Call::Connect { fd, address: Some((ip, 8_080).into()) })
    };
    let (plain, mapped) = (PEER.into(), PEER.to_ipv6_mapped().into());
    let (v4, v6) = (libc::AF_INET, libc::AF_INET6);
    let stream = libc::SOCK_STREAM;
    assert_eq!(connect(&mut host, v4, stream, mapped), Err(Errno::EAFNOSUPPORT));
    assert_eq!(connect(&mut host, v6, stream, plain), Err(Errno::EAFNOSUPPORT));
    assert_eq!(connect(&mut host, v4, stream, plain), Err(Errno::EINPROGRESS));
    assert_eq!(connect(&mut host, v6, stream, mapped), Err(Errno::EINPROGRESS));
    // A socket of datagrams takes both (__ip6_datagram_connect).
    assert_eq!(connect(&mut host, v6, libc::SOCK_DGRAM, plain), Ok(Reply::Number(0)));
}

#[test]
fn options_of_a_level_that_a_socket_does_not_have_are_refused_by_the_word_of_its_family() {
    let mut host = Host::new(&HostConfig::default());
    let none = [libc::IPPROTO_SCTP, 77];
    for (domain, kind, more, errno) in [
        (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_IPV6, Errno::EOPNOTSUPP),
        (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_TCP, Errno::EOPNOTSUPP),
        (libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_UDP, Errno::ENOPROTOOPT),
        (libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_TCP, Errno::ENOPROTOOPT),
    ] {
        let fd = open(&mut host, domain, kind);
        for level in none.into_iter().chain([more]) {
            let got = host.call_now(Call::GetOption { fd, level, name: 1, len: 4 });
            assert_eq!(got, Err(errno), "{domain} {kind} {level}");
            let value = vec![1, 0, 0, 0];
            let set = host.call_now(Call::SetOption { fd, level, name: 1, value });
            assert_eq!(set, Err(Errno::ENOPROTOOPT), "{domain} {kind} {level}");
        }
    }
}
