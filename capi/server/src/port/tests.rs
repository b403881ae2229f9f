//! The port with applications in the same thread.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use causeway_channel::handshake::Hello;
use causeway_channel::{AppChannel, Doorbells, Geometry, Wake};
use causeway_core::error::CommandError;
use causeway_core::port::{
    AppPort, ChannelId, Completion, Op, SocketId, SocketInfo, StreamIo, Transport,
};
use causeway_core::time::Instant;

use super::{BellQueue, Bells, ChannelPort, Peer, PortConfig, Slots, TenantId};
use crate::attach::{Attach, AttachError};

const PEER: Peer = Peer { pid: 7, uid: 8, gid: 9, tenant: TenantId(0) };
const SOCKET: SocketId = SocketId { index: 3, generation: 1 };
const GONE: Op = Op::Detach { deliver: true };
const INFO: Op = Op::Info { socket: SOCKET };

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

struct Client {
    id: ChannelId,
    app: AppChannel,
    memory: File,
    bell: Arc<Count>,
}

impl Client {
    fn ask(&mut self, count: u64) {
        for tag in 0..count {
            self.app.push_command(0, tag, &INFO, None).unwrap();
        }
        self.app.flush().unwrap();
    }

    /// Every index and offset becomes nonsense.
    fn spoil(&self) {
        let bytes = self.memory.metadata().unwrap().len();
        let noise: Vec<u8> = (0..bytes).map(|i| (i * 167 % 251) as u8 | 1).collect();
        self.memory.write_all_at(&noise, 0).unwrap();
    }
}

struct World {
    port: ChannelPort,
    attach: Attach,
    queue: Arc<BellQueue>,
    engine_bell: Arc<Count>,
}

fn geometry() -> Geometry {
    let small = Geometry::builder().ring_entries(1024, 16).streams_per_lane(4).table_slots(8);
    small.chunk_bytes(4096).chunks(8, 8).message_bytes_max(16 << 10).build().unwrap()
}

const CONFIG: PortConfig =
    PortConfig { channels_max: 8, commands_per_step: 32, rx_window_bytes: 16 << 10 };

impl World {
    fn new() -> Self {
        let engine_bell = Arc::new(Count::default());
        let queue = BellQueue::new(engine_bell.clone());
        let port = ChannelPort::new(CONFIG, Bells::queue(queue.clone()));
        let attach = Attach::new(geometry(), Slots::new(CONFIG.channels_max));
        Self { port, attach, queue, engine_bell }
    }

    fn client(&mut self) -> Client {
        self.client_of(PEER)
    }

    fn client_of(&mut self, peer: Peer) -> Client {
        let bell = Arc::new(Count::default());
        let bells = |id: ChannelId, _| {
            Ok(Doorbells::simulated(bell.clone(), 1, vec![self.queue.bell(id.index)]))
        };
        let mut granted = self.attach.grant(peer, &Hello::ours().encode(), bells).unwrap();
        self.port.attach(granted.parts.pop().unwrap()).unwrap();
        let memory = granted.grant.memory.try_clone().unwrap().into();
        Client { id: granted.id(), app: AppChannel::map(granted.grant).unwrap(), memory, bell }
    }

    /// The commands that the stack would see in one step.
    fn step(&mut self) -> Vec<(ChannelId, Op)> {
        self.port.snapshot(Instant::ZERO);
        let commands = std::iter::from_fn(|| self.port.poll_command());
        let commands = commands.map(|c| (c.channel, c.op)).collect();
        self.port.flush();
        commands
    }
}

#[test]
fn channels_are_one_process_only_if_the_kernel_says_so() {
    let mut world = World::new();
    let unknown = Peer { pid: 0, ..PEER };
    let clients = [PEER, PEER, unknown, unknown].map(|peer| world.client_of(peer));
    let process = clients.map(|client| world.port.process(client.id).unwrap());
    assert_eq!(process[0], process[1]);
    assert_eq!(process[0], 7);
    assert_ne!(process[2], process[3], "two processes of another PID namespace");
    assert!(process[2..].iter().all(|process| *process > u64::from(u32::MAX)));
}

#[test]
fn a_quiet_channel_does_not_wait_behind_a_greedy_one() {
    let mut world = World::new();
    let (mut greedy, mut quiet) = (world.client(), world.client());
    greedy.ask(1000);
    quiet.ask(1);
    let commands = world.step();
    let place = commands.iter().position(|(id, _)| *id == quiet.id).unwrap();
    assert!(place <= 8, "after {place} commands of the other");
    let greedy_share = commands.iter().filter(|(id, _)| *id == greedy.id).count();
    assert_eq!(greedy_share, 32, "one step does a bounded number for one channel");
}

#[test]
fn what_a_step_left_over_comes_in_the_next_and_in_order() {
    let mut world = World::new();
    let mut client = world.client();
    client.ask(20);
    world.port.snapshot(Instant::ZERO);
    let first = world.port.poll_command().unwrap();
    world.port.flush();
    assert_eq!(first.tag, 0);
    assert!(!world.port.prepare_sleep(), "there are commands");
    assert_eq!(world.step().len(), 19);
    assert!(world.port.prepare_sleep());
}

#[test]
fn idle_channels_are_not_looked_at_until_they_ring() {
    let mut world = World::new();
    let mut clients: Vec<Client> = (0..8).map(|_| world.client()).collect();
    assert!(world.port.prepare_sleep());
    assert!(world.port.hot.is_empty());
    clients[5].ask(1);
    assert_eq!(world.engine_bell.taken(), 1, "the engine is woken");
    assert_eq!(world.step(), [(clients[5].id, INFO)]);
    assert_eq!(world.port.hot, [5]);
    clients[5].ask(1);
    assert_eq!(world.engine_bell.taken(), 0, "a channel that is looked at does not ring");
    assert_eq!(world.step().len(), 1);
}

#[test]
fn a_channel_without_news_becomes_idle_while_others_are_busy() {
    let mut world = World::new();
    let (mut busy, mut quiet) = (world.client(), world.client());
    for _ in 0..300 {
        busy.ask(1);
        world.step();
    }
    assert_eq!(world.port.hot, [busy.id.index]);
    quiet.ask(1);
    let seen: usize = (0..super::channel_port::BELLS_PERIOD).map(|_| world.step().len()).sum();
    assert_eq!(seen, 1, "its ring is heard within a few steps");
}

#[test]
fn a_command_given_before_the_engine_sleeps_keeps_it_awake() {
    let mut world = World::new();
    let mut client = world.client();
    client.ask(1);
    assert!(!world.port.prepare_sleep());
    assert_eq!(world.step().len(), 1);
    assert!(world.port.prepare_sleep());
}

#[test]
fn a_flush_wakes_a_sleeping_application_once_for_everything() {
    let mut world = World::new();
    let mut client = world.client();
    assert!(client.app.arm(false).unwrap());
    world.port.snapshot(Instant::ZERO);
    for tag in 0..5 {
        let error = CommandError::NoRoute;
        world.port.complete(client.id, Completion::Failed { tag, error });
    }
    assert_eq!(client.bell.taken(), 0);
    world.port.flush();
    assert_eq!(client.bell.taken(), 1);
    client.app.disarm();
    let news = std::iter::from_fn(|| client.app.pop_completion().unwrap());
    assert_eq!(news.count(), 5);
}

#[test]
fn completions_beyond_the_ring_arrive_when_there_is_room_again() {
    let mut world = World::new();
    let mut client = world.client();
    // Idle: not even the rest of the news makes anybody look at it by itself.
    assert!(world.port.prepare_sleep());
    world.port.snapshot(Instant::ZERO);
    for tag in 0..100 {
        let info = Box::new(SocketInfo::default());
        world.port.complete(client.id, Completion::Info { tag, info });
    }
    world.port.flush();
    let mut got = 0;
    for _ in 0..100 {
        // The driver sleeps whenever the port lets it: only a ring gets it going again.
        if !world.port.prepare_sleep() || world.engine_bell.taken() > 0 {
            world.step();
        }
        while client.app.pop_completion().unwrap().is_some() {
            got += 1;
        }
        client.app.flush().unwrap();
    }
    assert_eq!(got, 100);
}

#[test]
fn a_hang_up_is_said_once_and_the_memory_goes_with_the_last_stream() {
    let mut world = World::new();
    let mut client = world.client();
    let other = world.client();
    client.ask(1);
    world.step();
    let stream = world.port.stream_open(client.id, SOCKET, Transport::Tcp).unwrap();
    world.port.detach(client.id);
    world.port.detach(client.id);
    assert!(!world.port.prepare_sleep(), "the stack has to hear of it");
    assert_eq!(world.step(), [(client.id, GONE)]);
    assert_eq!(world.step(), []);
    assert_eq!(world.port.stream_open(client.id, SOCKET, Transport::Tcp), None);
    assert_eq!(world.attach.slots().taken(), 2, "a stream is open");
    world.port.stream_close(stream);
    assert_eq!(world.attach.slots().taken(), 1);
    assert_eq!(world.port.channels(), 1);
    let successor = world.client();
    assert_eq!(successor.id.index, client.id.index);
    let news = Completion::Ready { socket: SOCKET };
    world.port.complete(client.id, news);
    world.port.detach(client.id);
    assert_eq!(world.step(), [], "the number alone does not name the successor");
    drop(other);
}

#[test]
fn the_commands_that_an_application_left_come_before_its_end_and_are_a_ring_at_most() {
    let mut world = World::new();
    let (mut client, mut busy) = (world.client(), world.client());
    client.ask(1000);
    world.port.detach(client.id);
    let mut seen = 0;
    for _ in 0..1000 {
        // Who shares its memory goes on asking: this is not what the application left.
        client.ask(8);
        busy.ask(8);
        let commands = world.step();
        seen += commands.iter().filter(|c| **c == (client.id, INFO)).count();
        assert!(commands.iter().filter(|(id, _)| *id == client.id).count() <= 32, "its share");
        if commands.contains(&(client.id, GONE)) {
            assert!((1000..=1024).contains(&seen), "{seen}");
            assert_eq!(world.attach.slots().taken(), 1);
            return;
        }
    }
    panic!("{seen} commands and no end");
}

#[test]
fn an_application_that_never_took_its_answers_is_heard_to_the_end_too() {
    let mut world = World::new();
    let mut client = world.client();
    for tag in 0..20_000 {
        let info = Box::new(SocketInfo::default());
        world.port.complete(client.id, Completion::Info { tag, info });
    }
    client.ask(5);
    assert_eq!(world.step(), [], "it has to take some first");
    world.port.detach(client.id);
    let commands: Vec<Op> = (0..3).flat_map(|_| world.step()).map(|(_, op)| op).collect();
    assert_eq!(commands, [INFO, INFO, INFO, INFO, INFO, GONE]);
}

#[test]
fn memory_that_turns_out_to_be_nonsense_after_the_end_delivers_nothing() {
    let mut world = World::new();
    let (mut client, mut other) = (world.client(), world.client());
    let stream = world.port.stream_open(client.id, SOCKET, Transport::Tcp).unwrap();
    let local = ([10, 0, 0, 1], 9).into();
    let connecting = Completion::Connecting { tag: 0, socket: SOCKET, stream, local };
    world.port.complete(client.id, connecting);
    world.port.flush();
    assert!(client.app.pop_completion().unwrap().is_some());
    client.app.stream_attach(stream.slot, SOCKET).unwrap();
    assert_eq!(client.app.tx_stage(stream.slot, b"the last", 4096), Ok(8));
    client.app.tx_publish(stream.slot);
    client.app.kick(stream.slot).unwrap();
    client.app.flush().unwrap();
    world.port.detach(client.id);
    let kick = Op::Kick { socket: SOCKET };
    assert_eq!(world.step(), [(client.id, kick)]);
    assert_eq!(world.step(), [(client.id, GONE)]);
    let mut bytes = [0; 8];
    world.port.stream(stream).tx_copy_out_sum(0, &mut bytes);
    assert_eq!(&bytes, b"the last", "it delivers");
    assert_eq!(world.step(), []);
    // Found out while what an application left is being read.
    other.ask(1);
    world.port.detach(other.id);
    other.spoil();
    let refused = Op::Detach { deliver: false };
    assert_eq!(world.step(), [(other.id, refused.clone())]);
    // Found out while it is being delivered.
    client.spoil();
    world.port.stream(stream).tx_copy_out_sum(0, &mut bytes);
    world.port.flush();
    assert_eq!(world.step(), [(client.id, refused)]);
    assert_eq!(world.step(), []);
    assert_eq!(world.port.poll_eviction(), None, "nobody is there to be put out");
    world.port.stream_close(stream);
    assert_eq!(world.attach.slots().taken(), 0);
}

#[test]
fn a_channel_that_writes_nonsense_is_put_out_and_the_others_go_on() {
    let mut world = World::new();
    let (mut bad, mut good) = (world.client(), world.client());
    bad.ask(1);
    good.ask(1);
    assert_eq!(world.step().len(), 2);
    bad.spoil();
    good.ask(1);
    assert_eq!(world.step(), [(bad.id, Op::Detach { deliver: false }), (good.id, INFO)]);
    assert_eq!(world.port.poll_eviction().map(|e| e.channel), Some(bad.id));
    assert_eq!(world.port.poll_eviction(), None);
    good.ask(1);
    assert_eq!(world.step(), [(good.id, INFO)]);
    assert_eq!(world.attach.slots().taken(), 1);
}

#[test]
fn there_are_as_many_channels_as_configured_and_not_more() {
    let mut world = World::new();
    let clients: Vec<Client> = (0..8).map(|_| world.client()).collect();
    let bells = |_: ChannelId, lanes| Doorbells::os(lanes);
    let refused = world.attach.grant(PEER, &Hello::ours().encode(), bells);
    assert!(matches!(refused, Err(AttachError::Refused(_))), "{refused:?}");
    let noise = world.attach.grant(PEER, b"GET / HTTP/1.1", bells).unwrap_err();
    assert!(noise.reply().is_none());
    world.port.detach(clients[2].id);
    world.step();
    assert!(world.attach.grant(PEER, &Hello::ours().encode(), bells).is_ok());
}

#[test]
fn the_kernels_bells_wake_the_sleeper_and_say_who_rang() {
    let mut port = ChannelPort::new(CONFIG, Bells::epoll().unwrap());
    let attach = Attach::new(geometry(), Slots::new(CONFIG.channels_max));
    let mut apps = Vec::new();
    for _ in 0..3 {
        let hello = Hello::ours().encode();
        let mut granted = attach.grant(PEER, &hello, |_, lanes| Doorbells::os(lanes)).unwrap();
        port.attach(granted.parts.pop().unwrap()).unwrap();
        apps.push(AppChannel::map(granted.grant).unwrap());
    }
    let readable = |port: &ChannelPort| {
        let fd = port.bells().fd().unwrap();
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&now)).unwrap() > 0
    };
    for _ in 0..3 {
        assert!(port.prepare_sleep());
        assert!(!readable(&port));
        apps[1].push_command(0, 1, &INFO, None).unwrap();
        apps[1].flush().unwrap();
        assert!(readable(&port));
        port.snapshot(Instant::ZERO);
        assert_eq!(port.hot, [1]);
        assert_eq!(port.poll_command().map(|c| c.channel.index), Some(1));
        assert_eq!(port.poll_command(), None);
        port.flush();
    }
    assert_eq!(attach.slots().taken(), 3);
    // Armed, so that the next command rings.
    assert!(port.prepare_sleep());
    port.detach(ChannelId { index: 1, generation: 0 });
    port.snapshot(Instant::ZERO);
    assert!(port.poll_command().is_some());
    // The application keeps its bell and goes on ringing it: nobody hears.
    apps[1].push_command(0, 1, &INFO, None).unwrap();
    apps[1].flush().unwrap();
    assert!(!readable(&port));
}
