//! What a window promises, memory backs.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use causeway_channel::{AppChannel, DaemonChannel, DaemonLane, Doorbells, Geometry, Owner, Wake};
use causeway_core::port::{
    ChannelId, Completion, RingError, SocketId, StreamId, StreamIo, Transport,
};

const CHUNK: u64 = 4096;
const FLOOR: u64 = 2 * CHUNK;
const WINDOW: u64 = 24 * CHUNK;
const MESSAGE: u64 = 8 * CHUNK;

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

struct World {
    daemon: DaemonLane,
    app: AppChannel,
}

fn socket(n: u32) -> SocketId {
    SocketId { index: n, generation: 0 }
}

fn world(rx_chunks: u32, streams: u32) -> World {
    let geometry = Geometry::builder()
        .ring_entries(16, 16)
        .streams_per_lane(streams)
        .table_slots(64)
        .chunk_bytes(CHUNK as u32)
        .chunks(16, rx_chunks)
        .message_bytes_max(MESSAGE as u32)
        .build()
        .unwrap();
    let wake: Arc<dyn Wake> = Arc::new(Silent);
    let bells = Doorbells::simulated(wake.clone(), 0, vec![wake]);
    let channel = ChannelId { index: 0, generation: 0 };
    let owner = Owner { pid: 1, lease: 0 };
    let (daemon, grant) = DaemonChannel::create(&geometry, channel, owner, bells).unwrap();
    World { daemon: daemon.into_lanes().pop().unwrap(), app: AppChannel::map(grant).unwrap() }
}

/// The application hears of a stream.
fn tell(daemon: &mut DaemonLane, socket: SocketId, slot: u32) {
    let stream = StreamId { channel: ChannelId { index: 0, generation: 0 }, slot };
    let local = ([10, 0, 0, 1], 9).into();
    daemon.push_completion(&Completion::Connecting { tag: 0, socket, stream, local });
}

impl World {
    fn open(&mut self, n: u32, transport: Transport) -> Option<u32> {
        let slot = self.daemon.stream_open(socket(n), transport, WINDOW)?;
        tell(&mut self.daemon, socket(n), slot);
        self.daemon.flush();
        assert!(self.app.pop_completion().unwrap().is_some());
        self.app.stream_attach(slot, socket(n)).unwrap();
        Some(slot)
    }

    /// Stores and commits all that the stream promises. Returns its window before.
    fn fill(&mut self, slot: u32, from: u64) -> u64 {
        let mut stream = self.daemon.stream(slot);
        let limit = stream.rx_limit();
        assert_eq!(stream.rx_copy_in(from, &vec![7; (limit - from) as usize]), Ok(()), "promised");
        stream.rx_commit(limit);
        limit - from
    }

    /// Fills until no window is left. Returns how much it took.
    fn fill_all(&mut self, slot: u32) -> u64 {
        let mut stored = 0;
        loop {
            match self.fill(slot, stored) {
                0 => return stored,
                more => stored += more,
            }
        }
    }

    fn read(&mut self, slot: u32, bytes: u64) {
        self.app.rx_consume(slot, bytes).unwrap();
        self.app.kick(slot).unwrap();
        self.app.flush().unwrap();
        self.daemon.snapshot(16).unwrap();
    }

    fn release(&mut self, slot: u32) {
        self.daemon.stream_close(slot);
        self.app.stream_release(slot).unwrap();
        self.app.flush().unwrap();
        self.daemon.snapshot(16).unwrap();
    }
}

#[test]
fn unread_streams_exhaust_nobodys_window() {
    // A message 9, floors for all 6 streams 12, 43 to grow by: a full window is 22 beyond the floor.
    let mut w = world(64, 6);
    let slots: Vec<u32> = (0..6).map(|n| w.open(n, Transport::Tcp).unwrap()).collect();
    let mut windows = Vec::new();
    for slot in &slots[..5] {
        windows.push(w.fill_all(*slot) / CHUNK);
    }
    assert_eq!(windows, [23, 13, 7, 5, 3], "half of what is left, each, beyond the floor");
    // The sixth flows: what it is promised is stored, read, and promised anew, 1000 times.
    let mut at = 0;
    for _ in 0..1000 {
        let window = w.fill(slots[5], at);
        assert!(window >= FLOOR, "a window of {window}");
        at += window;
        w.read(slots[5], window);
    }
}

#[test]
fn a_window_begins_small_and_doubles_as_its_peer_makes_use_of_it() {
    let mut w = world(200, 6);
    let slot = w.open(0, Transport::Tcp).unwrap();
    let (mut windows, mut at) = (Vec::new(), 0);
    for _ in 0..5 {
        let window = w.fill(slot, at);
        at += window;
        w.read(slot, window);
        windows.push(window / CHUNK);
    }
    assert_eq!(windows, [2, 6, 18, 24, 24]);
}

#[test]
fn a_closed_stream_keeps_what_is_unread_and_gives_the_rest_of_its_promise_to_others() {
    let mut w = world(64, 6);
    let (idle, other) = (w.open(0, Transport::Tcp).unwrap(), w.open(1, Transport::Tcp).unwrap());
    // It has grown, and its application has read all of it but a byte.
    let window = w.fill_all(idle);
    w.read(idle, window - 1);
    w.daemon.stream_close(idle);
    assert_eq!(w.fill_all(other), 23 * CHUNK, "as if it were alone");
    w.read(other, 23 * CHUNK);
    let mut last = [0];
    assert_eq!(w.app.rx_peek(idle, 0, &mut last).unwrap(), 1);
    assert_eq!(last, [7]);
}

#[test]
fn a_limit_never_goes_back_and_nothing_is_lost_of_the_pool() {
    let mut w = world(64, 6);
    for round in 0..200 {
        let slot = w.open(round, Transport::Tcp).unwrap();
        let mut limit = 0;
        let mut at = 0;
        for _ in 0..round % 7 {
            let window = w.fill(slot, at);
            at += window;
            w.read(slot, window / 3);
            assert!(w.daemon.stream(slot).rx_limit() >= limit);
            limit = w.daemon.stream(slot).rx_limit();
        }
        if round % 2 == 0 {
            // The application goes first: the stack still sees the limit it has promised.
            w.app.stream_release(slot).unwrap();
            w.app.flush().unwrap();
            w.daemon.snapshot(16).unwrap();
            assert!(w.daemon.stream(slot).rx_limit() >= limit);
            assert_eq!(w.daemon.stream(slot).rx_copy_in(at, &[1]), Err(RingError::Gone));
            w.daemon.stream_close(slot);
        } else {
            w.release(slot);
        }
    }
    let slot = w.open(999, Transport::Tcp).unwrap();
    assert_eq!(w.fill_all(slot), 23 * CHUNK);
}

#[test]
fn a_stream_that_has_no_floor_is_not_opened() {
    // 21 chunks beside the message, 13 of them for floors.
    let mut w = world(30, 16);
    let slots: Vec<u32> = (0..).map_while(|n| w.open(n, Transport::Tcp)).collect();
    assert_eq!(slots.len(), 6);
    w.release(slots[3]);
    assert!(w.open(100, Transport::Tcp).is_some());
    assert!(w.open(101, Transport::Tcp).is_none());
    assert!(w.open(102, Transport::Machnet).is_some(), "flows promise nothing");
}

#[test]
fn however_many_flows_have_half_a_message_one_completes_and_then_the_next() {
    let mut w = world(40, 16);
    let greedy = w.open(0, Transport::Tcp).unwrap();
    w.fill_all(greedy);
    let flows: Vec<u32> = (1..9).map(|n| w.open(n, Transport::Machnet).unwrap()).collect();
    let mut stored = vec![0; flows.len()];
    let (mut done, mut rounds) = (0, 0);
    while done < flows.len() {
        // Each gets a packet's worth further, if it can; one that is complete is read.
        for (slot, at) in flows.iter().zip(&mut stored) {
            if *at == MESSAGE {
                continue;
            }
            let len = (MESSAGE - *at).min(1400);
            match w.daemon.stream(*slot).rx_copy_in(*at, &vec![3; len as usize]) {
                Ok(()) => *at += len,
                Err(reason) => assert_eq!(reason, RingError::NoMemory),
            }
            if *at == MESSAGE {
                w.daemon.stream(*slot).rx_commit(MESSAGE);
                w.read(*slot, MESSAGE);
                done += 1;
            }
        }
        rounds += 1;
        assert!(rounds < 1000, "{done} of {} completed: {stored:?}", flows.len());
    }
}

#[test]
fn an_application_that_takes_no_news_costs_no_stream_its_window() {
    let mut w = world(64, 6);
    let stream = w.open(0, Transport::Tcp).unwrap();
    let flow = w.open(1, Transport::Machnet).unwrap();
    for tag in 0..20_000 {
        let error = causeway_core::error::CommandError::NoRoute;
        w.daemon.push_completion(&Completion::Failed { tag, error });
    }
    assert_eq!(w.daemon.stream(flow).rx_copy_in(0, &[1]), Err(RingError::NoMemory));
    assert_eq!(w.daemon.stream(stream).rx_copy_in(0, &[1]), Ok(()));
}
