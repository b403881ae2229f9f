//! The library against a daemon of one page.
#![allow(clippy::unwrap_used)]

mod fake;

use std::time::{Duration as StdDuration, Instant as StdInstant};

use causeway_channel::Geometry;
use causeway_client::*;
use fake::FakeDaemon;

const ADDRESS: &str = "10.0.0.1:5000";

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn small() -> Geometry {
    Geometry::builder()
        .ring_entries(16, 16)
        .streams_per_lane(8)
        .table_slots(64)
        .chunk_bytes(4096)
        .chunks(64, 128)
        .message_bytes_max(128 << 10)
        .build()
        .unwrap()
}

#[test]
fn messages_cross_between_flows_of_one_channel_as_in_the_references_program() {
    let daemon = FakeDaemon::start(Geometry::default());
    let channel = daemon.attach();
    channel.listen_messages(ADDRESS.parse().unwrap()).unwrap();
    let flow = channel.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
    let id = channel.send(flow, &[b"Hello, ", b"Machnet!"], Wait::Forever).unwrap();
    assert_eq!(id, MsgId(1));
    assert_eq!(channel.peek(Wait::Forever).unwrap().0, 15);
    let mut buffer = [0; 1024];
    let (n, sender) = channel.recv(&mut buffer, Wait::Forever).unwrap();
    assert_eq!((n, &buffer[..n]), (15, &b"Hello, Machnet!"[..]));
    assert_ne!(sender, flow);
    assert_eq!(channel.flow_addresses(sender).unwrap().0, ADDRESS.parse().unwrap());
    assert_eq!(channel.flow_info(flow, Wait::Forever).unwrap().message_acked, 3);
    assert_eq!(Flow::from_bits(flow.to_bits()), flow);
}

#[test]
fn messages_of_every_size_arrive_whole_and_in_order_through_small_rings() {
    let daemon = FakeDaemon::start(small());
    let (server, client) = (daemon.attach(), daemon.attach());
    server.listen_messages(ADDRESS.parse().unwrap()).unwrap();
    let flow = client.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
    let sizes = [1, 2, 4095, 4096, 4097, 1418, 128 << 10, 1, 100_000, 3, 128 << 10];
    let receiver = std::thread::spawn(move || {
        let mut buffer = vec![0; 128 << 10];
        for size in sizes.into_iter().cycle().take(66) {
            let (n, _) = server.recv(&mut buffer, Wait::Forever).unwrap();
            assert_eq!((n, &buffer[..n]), (size, &pattern(size)[..]));
        }
    });
    for size in sizes.into_iter().cycle().take(66) {
        client.send(flow, &[&pattern(size)], Wait::Forever).unwrap();
    }
    receiver.join().unwrap();
}

#[test]
fn a_message_that_does_not_fit_stays_queued_and_its_length_is_told() {
    let daemon = FakeDaemon::start(small());
    let channel = daemon.attach();
    channel.listen_messages(ADDRESS.parse().unwrap()).unwrap();
    let flow = channel.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
    channel.send(flow, &[b"twelve bytes"], Wait::Forever).unwrap();
    let mut buffer = [0; 12];
    let error = channel.recv(&mut buffer[..11], Wait::Forever).unwrap_err();
    assert!(matches!(error, RecvError::TooSmall { len: 12, .. }));
    assert_eq!(channel.recv(&mut buffer, Wait::Forever).unwrap().0, 12);
    let never = channel.recv(&mut buffer, Wait::Never).unwrap_err();
    assert_eq!(never, RecvError::Call(CallError::WouldBlock));
    let soon = channel.env().now() + Duration::from_millis(5);
    let late = channel.recv(&mut buffer, Wait::Until(soon)).unwrap_err();
    assert_eq!(late, RecvError::Call(CallError::TimedOut));
}

#[test]
fn what_cannot_be_sent_is_refused_by_its_name() {
    let daemon = FakeDaemon::start(small());
    let channel = daemon.attach();
    let nowhere = Flow::from_bits(99);
    assert_eq!(channel.send(nowhere, &[b"x"], Wait::Never), Err(SendError::UnknownFlow));
    let refused = channel.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever);
    assert_eq!(refused, Err(ConnectError::Ended(EndReason::Refused)));
    channel.listen_messages(ADDRESS.parse().unwrap()).unwrap();
    let flow = channel.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
    assert_eq!(channel.send(flow, &[], Wait::Never), Err(SendError::Empty));
    let long = vec![0; (128 << 10) + 1];
    let max = 128 << 10;
    assert_eq!(channel.send(flow, &[&long], Wait::Never), Err(SendError::TooLong { max }));
    channel.close_flow(flow).unwrap();
    assert_eq!(channel.send(flow, &[b"x"], Wait::Never), Err(SendError::UnknownFlow));
}

#[test]
fn a_dead_flow_delivers_what_had_arrived_and_then_says_so_once() {
    let daemon = FakeDaemon::start(small());
    let (server, client) = (daemon.attach(), daemon.attach());
    server.listen_messages(ADDRESS.parse().unwrap()).unwrap();
    let flow = client.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
    client.send(flow, &[b"last words"], Wait::Forever).unwrap();
    let mut buffer = [0; 64];
    // Seen, not taken.
    let sender = server.peek(Wait::Forever).unwrap().1;
    drop(client);
    let (n, from) = server.recv(&mut buffer, Wait::Forever).unwrap();
    assert_eq!((&buffer[..n], from), (&b"last words"[..], sender));
    let end = server.recv(&mut buffer, Wait::Forever).unwrap_err();
    assert_eq!(end, RecvError::Ended { flow: sender, reason: EndReason::Reset });
    let nothing = server.recv(&mut buffer, Wait::Never).unwrap_err();
    assert_eq!(nothing, RecvError::Call(CallError::WouldBlock));
    assert_eq!(server.send(sender, &[b"x"], Wait::Never), Err(SendError::UnknownFlow));
}

#[test]
fn a_tcp_stream_carries_megabytes_both_ways_and_ends_with_the_peers_end() {
    let daemon = FakeDaemon::start(small());
    let (server, client) = (daemon.attach(), daemon.attach());
    let listener = TcpListener::bind(&server, ADDRESS.parse().unwrap(), 8).unwrap();
    let echo = std::thread::spawn(move || {
        let stream = listener.accept(Wait::Forever).unwrap();
        let mut buffer = vec![0; 10_000];
        loop {
            match stream.read(&mut buffer, Wait::Forever).unwrap() {
                0 => break stream.close().unwrap(),
                n => stream.write_all(&buffer[..n], Wait::Forever).unwrap(),
            }
        }
    });
    let stream =
        TcpStream::connect(&client, None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
    let data = pattern(3 << 20);
    let mut got = Vec::new();
    let mut buffer = vec![0; 50_000];
    let mut sent = 0;
    while got.len() < data.len() {
        if sent < data.len() {
            match stream.write(&data[sent..], Wait::Never) {
                Ok(n) => sent += n,
                Err(error) => assert_eq!(error, WriteError::Call(CallError::WouldBlock)),
            }
            if sent == data.len() {
                stream.shutdown_write().unwrap();
            }
        }
        let n = stream.read(&mut buffer, Wait::Forever).unwrap();
        got.extend_from_slice(&buffer[..n]);
    }
    assert!(got == data);
    assert_eq!(stream.read(&mut buffer, Wait::Forever), Ok(0));
    assert!(stream.write(b"x", Wait::Never).is_err());
    echo.join().unwrap();
}

#[test]
fn an_aborted_connection_is_a_reset_for_its_peer() {
    let daemon = FakeDaemon::start(small());
    let channel = daemon.attach();
    let listener = TcpListener::bind(&channel, "10.0.0.1:0".parse().unwrap(), 8).unwrap();
    let near = TcpStream::connect(&channel, None, listener.local_addr(), Wait::Forever).unwrap();
    let far = listener.accept(Wait::Forever).unwrap();
    assert_eq!(near.info(Wait::Forever).unwrap().bytes_sent, 11);
    near.abort().unwrap();
    let error = far.read(&mut [0; 10], Wait::Forever).unwrap_err();
    assert_eq!(error, ReadError::Ended(EndReason::Reset));
    assert_eq!(far.write(b"x", Wait::Forever), Err(WriteError::Ended(EndReason::Reset)));
    let last = far.info(Wait::Forever).unwrap();
    assert_eq!((last.state, last.bytes_sent), (TCP_CLOSED, 12), "the figures at the end stay");
}

#[test]
fn slots_and_memory_come_back_however_often_connections_are_made() {
    let daemon = FakeDaemon::start(small());
    let channel = daemon.attach();
    let listener = TcpListener::bind(&channel, ADDRESS.parse().unwrap(), 8).unwrap();
    // Eight slots, two each: a leak of one would stop it.
    for round in 0..40 {
        let near =
            TcpStream::connect(&channel, None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
        let far = listener.accept(Wait::Forever).unwrap();
        near.write_all(&[round; 5000], Wait::Forever).unwrap();
        near.close().unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 3000];
        while let n @ 1.. = far.read(&mut buffer, Wait::Forever).unwrap() {
            all.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(all, [round; 5000]);
    }
}

#[test]
fn echo_requests_are_answered_or_refused() {
    let daemon = FakeDaemon::start(small());
    let channel = daemon.attach();
    let pong = channel.ping("10.0.0.1".parse().unwrap(), 3, 56, Wait::Forever).unwrap();
    assert_eq!(pong, Pong { sequence: 3, len: 56, rtt: Duration::from_micros(7), ttl: 64 });
    let lost = channel.ping("255.255.255.255".parse().unwrap(), 3, 56, Wait::Forever);
    assert_eq!(lost, Err(PingError::Refused(CommandError::NoRoute)));
}

#[test]
fn the_daemons_death_ends_a_waiting_call_and_a_polling_one() {
    let mut daemon = FakeDaemon::start(small());
    let (waiting, polling) = (daemon.attach(), daemon.attach());
    let waiter = std::thread::spawn(move || waiting.recv(&mut [0; 10], Wait::Forever));
    std::thread::sleep(StdDuration::from_millis(30));
    daemon.kill();
    let gone = RecvError::Call(CallError::DaemonGone);
    assert_eq!(waiter.join().unwrap(), Err(gone));
    let begun = StdInstant::now();
    while polling.recv(&mut [0; 10], Wait::Never) == Err(RecvError::Call(CallError::WouldBlock)) {
        assert!(begun.elapsed() < StdDuration::from_secs(20), "never noticed");
    }
    assert_eq!(polling.recv(&mut [0; 10], Wait::Never), Err(gone));
}

#[test]
fn two_threads_share_a_channel_and_one_waiting_lets_the_other_go_on() {
    let daemon = FakeDaemon::start(small());
    let channel = daemon.attach();
    channel.listen_messages(ADDRESS.parse().unwrap()).unwrap();
    let flow = channel.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
    let shared = channel.clone();
    let receiver = std::thread::spawn(move || {
        let mut buffer = [0; 4000];
        (0..200).map(|_| shared.recv(&mut buffer, Wait::Forever).unwrap().0).sum::<usize>()
    });
    for i in 0..200_u16 {
        channel.send(flow, &[&[1; 3000]], Wait::Forever).unwrap();
        channel.ping("10.0.0.1".parse().unwrap(), i, 8, Wait::Forever).unwrap();
    }
    assert_eq!(receiver.join().unwrap(), 600_000);
}

#[test]
fn the_environment_of_a_thread_is_its_own_and_comes_back() {
    let daemon = FakeDaemon::start(small());
    let channel = daemon.attach();
    let env = channel.env().clone();
    let inside = with_thread_env(env, || Channel::attach().is_ok());
    assert!(inside);
    let missing = OsEnv::with_socket("/nonexistent/causeway.sock");
    let error = Channel::attach_in(std::sync::Arc::new(missing)).unwrap_err();
    assert!(matches!(error, AttachError::NoDaemon { .. }));
}

#[test]
fn a_message_sent_just_before_the_channel_is_dropped_arrives() {
    let daemon = FakeDaemon::start(small());
    let server = daemon.attach();
    server.listen_messages(ADDRESS.parse().unwrap()).unwrap();
    for _ in 0..2 {
        let client = daemon.attach();
        let flow = client.connect_messages(None, ADDRESS.parse().unwrap(), Wait::Forever).unwrap();
        client.send(flow, &[&pattern(100_000)], Wait::Forever).unwrap();
        drop(client);
        let mut buffer = vec![0; 100_000];
        let (n, sender) = server.recv(&mut buffer, Wait::Forever).unwrap();
        assert!(n == 100_000 && buffer == pattern(n));
        let _ = server.close_flow(sender);
    }
}
