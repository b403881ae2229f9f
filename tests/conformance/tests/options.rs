//! Socket options whose values no script can write down.

use std::net::SocketAddr;

use causeway_conformance::host::{
    Call, CallResult, Destination, Errno, Host, HostConfig, Payload, Received, Reply,
};

const PEER: [u8; 4] = [192, 0, 2, 1];
const OWN: [u8; 4] = [192, 168, 0, 1];

fn open(host: &mut Host, kind: i32) -> i32 {
    match host.call_now(Call::Socket { domain: libc::AF_INET, kind, protocol: 0 }) {
        Ok(Reply::Number(fd)) => i32::try_from(fd).expect("a descriptor is small"),
        other => panic!("no socket: {other:?}"),
    }
}

fn set(host: &mut Host, fd: i32, level: i32, name: i32, value: &[u8]) -> CallResult {
    host.call_now(Call::SetOption { fd, level, name, value: value.to_vec() })
}

fn value(host: &mut Host, fd: i32, level: i32, name: i32, len: usize) -> Result<Vec<u8>, Errno> {
    match host.call_now(Call::GetOption { fd, level, name, len })? {
        Reply::Option(value) => Ok(value),
        other => panic!("no option: {other:?}"),
    }
}

fn bind(host: &mut Host, fd: i32) {
    let address = SocketAddr::from((OWN, 8_080));
    host.call_now(Call::Bind { fd, address }).expect("the address is ours");
}

/// An IPv4 datagram from the peer; checksums: the header's is right, `rest` has its own.
fn packet(protocol: u8, class: u8, ttl: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + rest.len()).expect("it is short").to_be_bytes();
    let mut out = vec![0x45, class, len[0], len[1], 0, 0, 0x40, 0, ttl, protocol, 0, 0];
    out.extend(PEER.into_iter().chain(OWN));
    let sum = !folded(&out);
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend_from_slice(rest);
    out
}

fn folded(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// A segment without options or data.
fn segment(flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    let mut tcp = vec![0x9c, 0x40, 0x1f, 0x90];
    tcp.extend(seq.to_be_bytes().into_iter().chain(ack.to_be_bytes()));
    tcp.extend([0x50, flags, 0x7f, 0, 0, 0, 0, 0]);
    let mut pseudo = [&PEER[..], &OWN, &[0, 6, 0, 20]].concat();
    pseudo.extend(&tcp);
    let sum = !folded(&pseudo);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    packet(6, 0, 64, &tcp)
}

/// A connection that a listener with `options` took.
fn accepted(host: &mut Host, options: &[(i32, i32, &[u8])]) -> (i32, i32) {
    let listener = open(host, libc::SOCK_STREAM);
    for (level, name, value) in options {
        set(host, listener, *level, *name, value).expect("it is known");
    }
    bind(host, listener);
    host.call_now(Call::Listen { fd: listener, backlog: 5 }).expect("it is bound");
    host.inject(&segment(2, 1_000, 0));
    let answer = host.poll_sent().expect("a SYN,ACK").bytes;
    let isn = u32::from_be_bytes([answer[24], answer[25], answer[26], answer[27]]);
    host.inject(&segment(16, 1_001, isn + 1));
    match host.call_now(Call::Accept { fd: listener, flags: 0 }) {
        Ok(Reply::Accepted(fd, _)) => (listener, fd),
        other => panic!("nothing to accept: {other:?}"),
    }
}

fn received(host: &mut Host, fd: i32) -> Received {
    match host.call_now(Call::Receive { fd, len: 100, flags: 0, nowhere: false }) {
        Ok(Reply::Received(_, received)) => received,
        other => panic!("nothing to read: {other:?}"),
    }
}

#[test]
fn what_a_datagram_s_header_said_is_told_beside_it_where_that_is_asked_for() {
    let mut host = Host::new(&HostConfig::default());
    let fd = open(&mut host, libc::SOCK_DGRAM);
    bind(&mut host, fd);
    let datagram = packet(17, 0x2e, 7, &[0x9c, 0x40, 0x1f, 0x90, 0, 10, 0, 0, 1, 2]);
    host.inject(&datagram);
    assert_eq!(received(&mut host, fd).control, []);
    let one = 1_i32.to_ne_bytes();
    for name in [libc::IP_RECVTOS, libc::IP_RECVTTL, libc::IP_PKTINFO] {
        set(&mut host, fd, libc::IPPROTO_IP, name, &one).expect("it is known");
    }
    set(&mut host, fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &one).expect("it is known");
    host.inject(&datagram);
    let came = host.now().as_nanos();
    host.advance(host.now() + causeway_core::time::Duration::from_secs(1), false);
    let received = received(&mut host, fd);
    assert_eq!(received.bytes, [1, 2]);
    let told: Vec<_> = received.control.iter().map(|c| (c.level, c.kind, &c.data[..])).collect();
    let time: Vec<u8> = [came / 1_000_000_000, came % 1_000_000_000]
        .into_iter()
        .flat_map(u64::to_ne_bytes)
        .collect();
    let info = [&2_i32.to_ne_bytes()[..], &OWN, &OWN].concat();
    assert_eq!(
        told,
        [
            (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &time[..]),
            (libc::IPPROTO_IP, libc::IP_PKTINFO, &info[..]),
            (libc::IPPROTO_IP, libc::IP_TTL, &7_i32.to_ne_bytes()[..]),
            (libc::IPPROTO_IP, libc::IP_TOS, &[0x2e][..]),
        ]
    );
}

#[test]
fn the_headers_of_a_saved_syn_are_told_once() {
    let mut host = Host::new(&HostConfig::default());
    let one = 1_i32.to_ne_bytes();
    let (_, fd) = accepted(&mut host, &[(libc::IPPROTO_TCP, libc::TCP_SAVE_SYN, &one)]);
    let saved = |host: &mut Host, len| value(host, fd, libc::IPPROTO_TCP, libc::TCP_SAVED_SYN, len);
    assert_eq!(saved(&mut host, 39), Err(Errno::EINVAL), "it does not fit, and stays");
    assert_eq!(saved(&mut host, 100), Ok(segment(2, 1_000, 0)));
    assert_eq!(saved(&mut host, 100), Ok(vec![]));
    let mut host = Host::new(&HostConfig::default());
    let (_, fd) = accepted(&mut host, &[]);
    assert_eq!(value(&mut host, fd, libc::IPPROTO_TCP, libc::TCP_SAVED_SYN, 100), Ok(vec![]));
}

#[test]
fn every_socket_has_a_cookie_of_its_own() {
    let mut host = Host::new(&HostConfig::default());
    let fds = [open(&mut host, libc::SOCK_STREAM), open(&mut host, libc::SOCK_DGRAM)];
    let cookie = |host: &mut Host, fd| value(host, fd, libc::SOL_SOCKET, 57, 8).expect("8 bytes");
    let first = cookie(&mut host, fds[0]);
    assert_eq!(first.len(), 8);
    assert_ne!(first, cookie(&mut host, fds[1]));
    assert_eq!(first, cookie(&mut host, fds[0]));
    assert_eq!(value(&mut host, fds[0], libc::SOL_SOCKET, 57, 4), Err(Errno::EINVAL));
}

#[test]
fn a_listener_may_have_a_fast_open_key_of_its_own() {
    let mut host = Host::new(&HostConfig::default());
    host.sysctl("net.ipv4.tcp_fastopen", "3").expect("bits");
    let name = libc::TCP_FASTOPEN_KEY;
    let five = 5_i32.to_ne_bytes();
    let mut cookies = vec![];
    for key in [[1; 16], [2; 16]] {
        let listener = open(&mut host, libc::SOCK_STREAM);
        set(&mut host, listener, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, &five).expect("a queue");
        set(&mut host, listener, libc::IPPROTO_TCP, name, &key).expect("a key");
        assert_eq!(value(&mut host, listener, libc::IPPROTO_TCP, name, 32), Ok(key.to_vec()));
        bind(&mut host, listener);
        host.call_now(Call::Listen { fd: listener, backlog: 5 }).expect("it is bound");
        for key in [key, [9; 16]] {
            set(&mut host, listener, libc::IPPROTO_TCP, name, &key).expect("also when it listens");
            host.inject(&with_fast_open(&segment(2, 1_000, 0)));
            let answer = host.poll_sent().expect("a SYN,ACK").bytes;
            let option = answer.windows(2).position(|w| w == [34, 10]).expect("a cookie");
            cookies.push(answer[option + 2..option + 10].to_vec());
            host.inject(&segment(4, 1_001, 0));
        }
        host.call_now(Call::Close { fd: listener }).expect("it is open");
        while host.poll_sent().is_some() {}
    }
    assert_ne!(cookies[0], cookies[1]);
    assert_ne!(cookies[0], cookies[2]);
    assert_eq!(cookies[1], cookies[3]);
    let fd = open(&mut host, libc::SOCK_STREAM);
    assert_eq!(set(&mut host, fd, libc::IPPROTO_TCP, name, &[1; 15]), Err(Errno::EINVAL));
}

/// The SYN with a request for a cookie.
fn with_fast_open(syn: &[u8]) -> Vec<u8> {
    let mut tcp = syn[20..].to_vec();
    tcp.extend([34, 2, 1, 1]);
    tcp[12] = 0x60;
    tcp[16..18].fill(0);
    let mut pseudo = [&PEER[..], &OWN, &[0, 6, 0, 24]].concat();
    pseudo.extend(&tcp);
    let sum = !folded(&pseudo);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    packet(6, 0, 64, &tcp)
}

#[test]
fn datagrams_and_segments_of_a_socket_that_omits_discovery_may_be_cut() {
    let mut host = Host::new(&HostConfig::default());
    let omit = libc::IP_PMTUDISC_OMIT.to_ne_bytes();
    let (_, fd) = accepted(&mut host, &[]);
    let mut sent = vec![];
    for _ in 0..2 {
        let (payload, to) = (Payload::Bytes(vec![1; 10]), Destination::Peer);
        host.call_now(Call::Send { fd, payload, flags: 0, to, control: vec![] })
            .expect("there is room");
        while let Some(datagram) = host.poll_sent() {
            sent.push(datagram.bytes);
        }
        set(&mut host, fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &omit).expect("it is known");
        set(&mut host, fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1_i32.to_ne_bytes())
            .expect("known");
    }
    let flags: Vec<u8> = sent.iter().map(|packet| packet[6]).collect();
    assert_eq!(flags, [0x40, 0]);
    assert_ne!(sent[1][4..6], [0, 0], "pieces of it can be told from those of others");
}

#[test]
fn figures_of_a_listener_are_its_queue_and_how_long_it_may_be() {
    let mut host = Host::new(&HostConfig::default());
    let (listener, _) = accepted(&mut host, &[]);
    let figures = |host: &mut Host| {
        let info = value(host, listener, libc::IPPROTO_TCP, libc::TCP_INFO, 248).expect("figures");
        let fields = causeway_conformance::host::tcp_info_fields(&info);
        ["tcpi_state", "tcpi_unacked", "tcpi_sacked"]
            .map(|name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    };
    assert_eq!(figures(&mut host), [Some(10), Some(0), Some(5)]);
}
