//! Daemon and application of one channel, driven by hand.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use causeway_channel::{
    AppChannel, DaemonChannel, DaemonLane, Doorbells, Geometry, LaneHolds, Owner, Poison, Wake,
    handshake,
};
use causeway_core::port::{
    ChannelId, Completion, Op, RingError, SocketId, SocketInfo, SocketOption, StreamId, StreamIo,
    Transport,
};
use causeway_core::socket::INFO_WORDS;
use causeway_core::tcp::congestion::Algorithm;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn taken(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

const CHANNEL: ChannelId = ChannelId { index: 1, generation: 4 };
const SOCKET: SocketId = SocketId { index: 7, generation: 2 };
const OWNER: Owner = Owner { pid: 42, lease: 0 };

struct Pair {
    daemon: DaemonLane,
    app: AppChannel,
    app_bell: Arc<Count>,
    daemon_bell: Arc<Count>,
}

fn small() -> Geometry {
    Geometry::builder()
        .ring_entries(16, 16)
        .streams_per_lane(4)
        .table_slots(8)
        .chunk_bytes(4096)
        .chunks(8, 8)
        .message_bytes_max(16 << 10)
        .build()
        .unwrap()
}

fn pair() -> Pair {
    let (app_bell, daemon_bell) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let bells = Doorbells::simulated(app_bell.clone(), 1, vec![daemon_bell.clone()]);
    let (daemon, grant) = DaemonChannel::create(&small(), CHANNEL, OWNER, bells).unwrap();
    let daemon = daemon.into_lanes().pop().unwrap();
    Pair { daemon, app: AppChannel::map(grant).unwrap(), app_bell, daemon_bell }
}

impl Pair {
    fn open(&mut self, socket: SocketId) -> u32 {
        let slot = self.daemon.stream_open(socket, Transport::Machnet, 20_000).unwrap();
        let stream = StreamId { channel: CHANNEL, slot };
        let local = ([10, 0, 0, 1], 9).into();
        self.daemon.push_completion(&Completion::Connecting { tag: 0, socket, stream, local });
        self.daemon.flush();
        assert!(self.app.pop_completion().unwrap().is_some());
        self.app.stream_attach(slot, socket).unwrap();
        slot
    }

    fn write(&mut self, slot: u32, bytes: &[u8]) -> usize {
        let n = self.app.tx_stage(slot, bytes, u64::MAX).unwrap();
        self.app.tx_publish(slot);
        self.app.kick(slot).unwrap();
        self.app.flush().unwrap();
        n
    }
}

fn pattern(from: u64, len: usize) -> Vec<u8> {
    (from..).take(len).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn commands_and_completions_cross_and_only_a_sleeper_is_rung() {
    let mut p = pair();
    p.app.push_command(0, 5, &Op::Info { socket: SOCKET }, None).unwrap();
    p.app.flush().unwrap();
    assert_eq!(p.daemon_bell.taken(), 0, "the engine did not sleep");
    assert!(!p.daemon.arm(), "there is a command");
    assert_eq!(p.daemon.snapshot(10), Ok(1));
    assert_eq!(p.daemon.poll_command(), Some((5, Op::Info { socket: SOCKET })));
    assert!(p.daemon.arm());
    assert!(p.app.arm(false).unwrap());
    p.app.push_command(0, 6, &Op::Info { socket: SOCKET }, None).unwrap();
    p.app.flush().unwrap();
    assert_eq!(p.daemon_bell.taken(), 1);
    p.daemon.push_completion(&Completion::Info { tag: 5, info: Default::default() });
    assert_eq!(p.app_bell.taken(), 0);
    p.daemon.flush();
    assert_eq!(p.app_bell.taken(), 1);
    let (lane, got) = p.app.pop_completion().unwrap().unwrap();
    assert_eq!((lane, got.completion), (0, Completion::Info { tag: 5, info: Default::default() }));
}

#[test]
fn socket_options_and_all_figures_cross_the_channel() {
    let mut p = pair();
    let options = [
        SocketOption::NoDelay(true),
        SocketOption::Linger(None),
        SocketOption::Linger2(-1),
        SocketOption::Congestion(Algorithm::Reno),
        SocketOption::MaxPacingRate(u64::MAX),
    ];
    for (tag, option) in (0..).zip(options) {
        let socket = (tag != 1).then_some(SOCKET);
        p.app.push_command(0, tag, &Op::SetOption { socket, option }, None).unwrap();
    }
    p.app.flush().unwrap();
    assert_eq!(p.daemon.snapshot(10), Ok(5));
    for (tag, option) in (0..).zip(options) {
        let socket = (tag != 1).then_some(SOCKET);
        assert_eq!(p.daemon.poll_command(), Some((tag, Op::SetOption { socket, option })));
    }
    let mut words = [1; INFO_WORDS];
    words[INFO_WORDS - 1] = u64::MAX;
    let info = Box::new(SocketInfo::from_words(&words));
    p.daemon.push_completion(&Completion::Info { tag: 9, info: info.clone() });
    p.daemon.flush();
    let (_, got) = p.app.pop_completion().unwrap().unwrap();
    assert_eq!(got.completion, Completion::Info { tag: 9, info: info.clone() });
    p.daemon.push_completion(&Completion::LastInfo { socket: SOCKET, info: info.clone() });
    p.daemon.flush();
    let (_, got) = p.app.pop_completion().unwrap().unwrap();
    assert_eq!(got.completion, Completion::LastInfo { socket: SOCKET, info });
}

#[test]
fn written_bytes_arrive_with_their_checksum_and_released_chunks_come_back() {
    let mut p = pair();
    let slot = p.open(SOCKET);
    let data = pattern(0, 40_000);
    // Eight slots of 4096, one less as the window.
    assert_eq!(p.write(slot, &data), 7 * 4096);
    assert_eq!(p.daemon.snapshot(10), Ok(1));
    let mut out = vec![0xAA; 5001];
    let mut stream = p.daemon.stream(slot);
    assert_eq!(stream.tx_end(), 7 * 4096);
    let sum = stream.tx_copy_out_sum(4093, &mut out);
    assert_eq!(out, data[4093..9094]);
    assert_eq!(sum, rfc1071(&out));
    stream.tx_release(7 * 4096);
    assert_eq!(p.app.tx_unreleased(slot).unwrap(), 0);
    // An idle stream holds nothing: the whole pool is there again.
    let other = p.open(SocketId { index: 8, generation: 0 });
    assert_eq!(p.app.tx_room(other, u64::MAX).unwrap(), 7 * 4096);
}

fn rfc1071(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

#[test]
fn bytes_stored_out_of_order_are_readable_once_committed() {
    let mut p = pair();
    let slot = p.open(SOCKET);
    let data = pattern(9, 12_000);
    let mut stream = p.daemon.stream(slot);
    assert_eq!(stream.rx_limit(), 20_000);
    stream.rx_copy_in(6000, &data[6000..]).unwrap();
    stream.rx_copy_in(0, &data[..7000]).unwrap();
    assert_eq!(p.app.rx_available(slot).unwrap(), 0);
    p.daemon.stream(slot).rx_commit(12_000);
    let mut out = vec![0; 20_000];
    assert_eq!(p.app.rx_peek(slot, 0, &mut out).unwrap(), 12_000);
    assert_eq!(out[..12_000], data);
    p.app.rx_consume(slot, 12_000).unwrap();
    p.app.kick(slot).unwrap();
    p.app.flush().unwrap();
    p.daemon.snapshot(1).unwrap();
    assert_eq!(p.daemon.stream(slot).rx_limit(), 32_000);
}

#[test]
fn many_kicks_and_many_readies_travel_as_one() {
    let mut p = pair();
    let slot = p.open(SOCKET);
    for _ in 0..5 {
        p.write(slot, b"abc");
        p.daemon.push_completion(&Completion::Ready { socket: SOCKET });
    }
    p.daemon.flush();
    assert_eq!(p.daemon.snapshot(10), Ok(1));
    assert_eq!(p.daemon.stream(slot).tx_end(), 15);
    assert!(p.app.pop_completion().unwrap().is_some());
    assert!(p.app.pop_completion().unwrap().is_none());
}

#[test]
fn a_slot_that_the_application_was_never_told_of_is_free_when_the_stack_is_done_with_it() {
    let mut p = pair();
    for n in 0..100 {
        let socket = SocketId { index: n, generation: 0 };
        let slot = p.daemon.stream_open(socket, Transport::Machnet, 20_000).unwrap();
        p.daemon.stream(slot).rx_commit(0);
        p.daemon.stream_close(slot);
        assert_eq!(p.daemon.held(), LaneHolds::default(), "{n}");
    }
}

#[test]
fn a_slot_serves_again_only_after_both_sides_let_go() {
    let mut p = pair();
    let slots: Vec<u32> = (0..4).map(|i| p.open(SocketId { index: i, generation: 0 })).collect();
    assert_eq!(p.daemon.stream_open(SOCKET, Transport::Machnet, 1), None);
    p.daemon.stream_close(slots[2]);
    assert_eq!(p.daemon.stream_open(SOCKET, Transport::Machnet, 1), None);
    p.app.stream_release(slots[2]).unwrap();
    p.app.flush().unwrap();
    p.daemon.snapshot(10).unwrap();
    assert_eq!(p.daemon.stream_open(SOCKET, Transport::Machnet, 1), Some(slots[2]));
    assert_eq!(p.daemon.stream_owner(slots[2]), Some(OWNER));
}

#[test]
fn a_message_outside_of_the_written_bytes_poisons_the_channel() {
    let mut p = pair();
    let slot = p.open(SOCKET);
    p.write(slot, b"abc");
    let op = Op::SendMessage { socket: SOCKET, offset: 0, len: 4, message: 1 };
    p.app.push_command(0, 1, &op, Some(slot)).unwrap();
    p.app.flush().unwrap();
    assert_eq!(p.daemon.snapshot(10), Err(Poison::Message));
    assert_eq!(p.daemon.poison(), Some(Poison::Message));
    assert_eq!(p.daemon.stream(slot).tx_end(), 0);
}

#[test]
fn completions_that_the_ring_cannot_take_wait_and_wake_the_daemon_when_there_is_room() {
    let mut p = pair();
    for tag in 0..40 {
        let error = causeway_core::error::CommandError::NoRoute;
        p.daemon.push_completion(&Completion::Failed { tag, error });
    }
    p.daemon.flush();
    assert!(p.daemon.arm());
    for expected in 0..40 {
        let (_, got) = match p.app.pop_completion().unwrap() {
            Some(got) => got,
            None => {
                p.app.flush().unwrap();
                assert_eq!(p.daemon_bell.taken(), 1);
                p.daemon.flush();
                p.daemon.arm();
                p.app.pop_completion().unwrap().unwrap()
            }
        };
        assert!(matches!(got.completion, Completion::Failed { tag, .. } if tag == expected));
    }
}

#[test]
fn a_grant_crosses_a_real_socket_and_the_daemons_death_is_the_end_of_the_bell() {
    use rustix::net::*;
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    use std::os::fd::AsFd;
    handshake::send_hello(theirs.as_fd(), &handshake::Hello::ours()).unwrap();
    let hello = handshake::recv_hello(ours.as_fd()).unwrap();
    handshake::negotiate(&hello).unwrap();
    let bells = Doorbells::os(1).unwrap();
    let (daemon, grant) = DaemonChannel::create(&small(), CHANNEL, OWNER, bells).unwrap();
    handshake::send_grant(ours.as_fd(), &grant).unwrap();
    drop(grant);
    let grant = handshake::recv_reply(theirs.as_fd()).unwrap();
    assert_eq!((grant.geometry, grant.channel), (small(), CHANNEL));
    let mut app = AppChannel::map(grant).unwrap();
    assert!(app.arm(false).unwrap());
    let mut lane = daemon.into_lanes().pop().unwrap();
    lane.push_completion(&Completion::Connected { socket: SOCKET });
    lane.flush();
    let wait = app.wait_end();
    let causeway_channel::BellWait::Fd(wait) = &*wait else { panic!("a real bell") };
    let mut byte = [0; 8];
    assert_eq!(rustix::io::read(wait, &mut byte), Ok(1));
    drop(lane);
    assert_eq!(rustix::io::read(wait, &mut byte), Ok(0));
}

#[test]
fn without_a_chunk_to_be_had_nothing_is_stored_and_reading_makes_room() {
    let mut p = pair();
    let (first, second) = (p.open(SOCKET), p.open(SocketId { index: 8, generation: 0 }));
    p.daemon.stream(first).rx_copy_in(0, &pattern(0, 20_000)).unwrap();
    p.daemon.stream(first).rx_commit(20_000);
    // The first has what there is for messages; a TCP stream's floor is not a flow's to take.
    let refused = p.daemon.stream(second).rx_copy_in(0, &pattern(0, 4096));
    assert_eq!(refused, Err(RingError::NoMemory));
    p.app.rx_consume(first, 20_000).unwrap();
    p.app.kick(first).unwrap();
    p.app.flush().unwrap();
    p.daemon.snapshot(9).unwrap();
    assert_eq!(p.daemon.stream(second).rx_copy_in(0, &pattern(0, 19_288)), Ok(()));
    let beyond = p.daemon.stream(second).rx_copy_in(19_990, &[0; 11]);
    assert_eq!(beyond, Err(RingError::OutOfRange));
}

#[test]
fn a_child_after_fork_knows_that_the_channel_is_not_its_own() {
    let p = pair();
    assert!(!p.app.is_forked());
    // SAFETY: the child only loads one word of its own memory and ends without running anything else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe { libc::_exit(if p.app.is_forked() { 7 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made; the pointer is to a live integer.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 7);
}
