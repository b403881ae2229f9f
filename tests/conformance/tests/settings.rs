//! Settings by Linux's names do what they say.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use causeway_conformance::host::{Addresses, Call, Errno, Host, HostConfig, Reply, SysctlError};

fn open(host: &mut Host, kind: i32) -> i32 {
    let socket = Call::Socket { domain: libc::AF_INET, kind, protocol: 0 };
    match host.call_now(socket) {
        Ok(Reply::Number(fd)) => i32::try_from(fd).expect("a descriptor is small"),
        other => panic!("no socket: {other:?}"),
    }
}

fn option(host: &mut Host, fd: i32, level: i32, name: i32) -> Result<i32, Errno> {
    match host.call_now(Call::GetOption { fd, level, name, len: 4 })? {
        Reply::Option(value) => Ok(i32::from_ne_bytes(value.try_into().expect("an int"))),
        other => panic!("no option: {other:?}"),
    }
}

#[test]
fn ports_are_chosen_out_of_the_range() {
    let mut host = Host::new(&HostConfig::default());
    host.sysctl("net.ipv4.ip_local_port_range", "5000 5003").expect("a range");
    let remote = SocketAddr::from(([192, 0, 2, 1], 80));
    let mut ports = BTreeSet::new();
    for _ in 0..4 {
        let fd = open(&mut host, libc::SOCK_STREAM | libc::SOCK_NONBLOCK);
        let connect = host.call_now(Call::Connect { fd, address: Some(remote) });
        assert_eq!(connect, Err(Errno::EINPROGRESS));
        let syn = host.poll_sent().expect("a SYN").bytes;
        ports.insert(u16::from_be_bytes([syn[20], syn[21]]));
    }
    assert_eq!(ports.into_iter().collect::<Vec<_>>(), [5_000, 5_001, 5_002, 5_003]);
    let fd = open(&mut host, libc::SOCK_STREAM | libc::SOCK_NONBLOCK);
    let one_more = host.call_now(Call::Connect { fd, address: Some(remote) });
    assert_eq!(one_more, Err(Errno::EADDRNOTAVAIL));
}

#[test]
fn new_sockets_do_not_discover_the_path_mtu_where_that_is_switched_off() {
    let mut host = Host::new(&HostConfig::default());
    for (setting, discover) in [("0", 1), ("1", 0)] {
        host.sysctl("net.ipv4.ip_no_pmtu_disc", setting).expect("0 and 1 are known");
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            let fd = open(&mut host, kind);
            let value = option(&mut host, fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
            assert_eq!(value, Ok(discover));
        }
    }
}

#[test]
fn settings_outlive_another_address() {
    let mut host = Host::new(&HostConfig::default());
    host.sysctl("net.ipv4.ip_local_port_range", "5000 5000").expect("a range");
    let v4 = std::net::Ipv4Addr::new(192, 168, 7, 7);
    let addresses = Addresses { v4, ..Addresses::default() };
    assert!(host.readdress(addresses, 1_500));
    let fd = open(&mut host, libc::SOCK_STREAM | libc::SOCK_NONBLOCK);
    let address = Some(SocketAddr::from(([192, 0, 2, 1], 80)));
    assert_eq!(host.call_now(Call::Connect { fd, address }), Err(Errno::EINPROGRESS));
    let syn = host.poll_sent().expect("a SYN").bytes;
    assert_eq!((&syn[12..16], &syn[20..22]), (&[192, 168, 7, 7][..], &[0x13, 0x88][..]));
}

#[test]
fn what_the_stack_never_does_is_refused() {
    let mut host = Host::new(&HostConfig::default());
    for name in [
        "tcp_early_retrans",
        "tcp_recovery",
        "tcp_frto",
        "tcp_dsack",
        "tcp_retries1",
        "tcp_pacing_ss_ratio",
    ] {
        let refused = host.sysctl(&format!("net.ipv4.{name}"), "0");
        assert!(matches!(refused, Err(SysctlError::Fixed(..))), "{name}: {refused:?}");
    }
}
