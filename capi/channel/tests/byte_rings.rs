//! Byte rings against plain vectors, and both sides on two threads.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use causeway_channel::{
    AppChannel, DaemonChannel, DaemonLane, Doorbells, Geometry, Owner, Piece, Wake,
};
use causeway_core::port::{ChannelId, Op, RingError, SocketId, StreamIo, Transport};
use proptest::prelude::*;

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

const SOCKETS: [SocketId; 2] =
    [SocketId { index: 0, generation: 0 }, SocketId { index: 1, generation: 0 }];

fn pair() -> (DaemonLane, AppChannel, [u32; 2]) {
    let geometry = Geometry::builder()
        .ring_entries(16, 16)
        .streams_per_lane(2)
        .table_slots(4)
        .chunk_bytes(4096)
        .chunks(5, 11)
        .message_bytes_max(8 << 10)
        .build()
        .unwrap();
    let wake: Arc<dyn Wake> = Arc::new(Silent);
    let bells = Doorbells::simulated(wake.clone(), 0, vec![wake]);
    let channel = ChannelId { index: 0, generation: 0 };
    let owner = Owner { pid: 1, lease: 0 };
    let (daemon, grant) = DaemonChannel::create(&geometry, channel, owner, bells).unwrap();
    let (mut daemon, mut app) =
        (daemon.into_lanes().pop().unwrap(), AppChannel::map(grant).unwrap());
    let slots = SOCKETS.map(|socket| daemon.stream_open(socket, Transport::Tcp, 12_288).unwrap());
    for (slot, socket) in slots.into_iter().zip(SOCKETS) {
        app.stream_attach(slot, socket).unwrap();
    }
    (daemon, app, slots)
}

fn byte(stream: usize, offset: u64) -> u8 {
    (offset * 131 + offset / 4096 * 7 + stream as u64 * 91) as u8
}

fn run(stream: usize, from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).map(|o| byte(stream, o)).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize),
    /// Reserves, and fills so many of it, where it lies.
    Reserve(usize, usize),
    Fill(usize, usize),
    Send(usize, usize),
    Release(usize, u64),
    Store(usize, u64, usize),
    Commit(usize),
    Read(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let s = 0..2_usize;
    prop_oneof![
        (s.clone(), 1..9000_usize).prop_map(|(s, n)| Step::Write(s, n)),
        (s.clone(), 1..9000_usize).prop_map(|(s, n)| Step::Reserve(s, n)),
        (s.clone(), 0..9000_usize).prop_map(|(s, n)| Step::Fill(s, n)),
        (s.clone(), 1..5000_usize).prop_map(|(s, n)| Step::Send(s, n)),
        (s.clone(), 1..9000_u64).prop_map(|(s, n)| Step::Release(s, n)),
        (s.clone(), 0..9000_u64, 1..3000_usize).prop_map(|(s, at, n)| Step::Store(s, at, n)),
        s.clone().prop_map(Step::Commit),
        (s, 1..9000_usize).prop_map(|(s, n)| Step::Read(s, n)),
    ]
}

#[derive(Default)]
struct Model {
    written: u64,
    /// Room in place that was given and not filled.
    reserved: Vec<Piece>,
    released: u64,
    /// Which received bytes are there.
    stored: Vec<bool>,
    committed: u64,
    consumed: u64,
    limit: u64,
}

impl Model {
    /// End of what is in order.
    fn in_order(&self) -> u64 {
        self.stored.iter().take_while(|b| **b).count() as u64
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn byte_rings_behave_like_vectors_and_leak_no_chunk(steps in prop::collection::vec(step(), 1..120)) {
        let (mut daemon, mut app, slots) = pair();
        let mut models = [Model::default(), Model::default()];
        for (m, slot) in models.iter_mut().zip(slots) {
            m.limit = look_at_limit(&mut daemon, slot, m);
        }
        for step in steps {
            apply(step, &mut daemon, &mut app, &slots, &mut models);
        }
        // Everything read and released: both pools are whole again.
        for (s, slot) in slots.into_iter().enumerate() {
            finish(s, slot, &mut daemon, &mut app, &mut models[s]);
        }
        for slot in slots {
            prop_assert_eq!(app.tx_unreleased(slot).unwrap(), 0);
        }
        let written = app.tx_offset(slots[0]);
        prop_assert_eq!(app.tx_stage(slots[0], &[0; 20_000], u64::MAX).unwrap(), 12_288);
        app.tx_publish(slots[0]);
        app.kick(slots[0]).unwrap();
        app.flush().unwrap();
        daemon.snapshot(9).unwrap();
        prop_assert_eq!(daemon.stream(slots[0]).tx_end(), written + 12_288);
        // What is promised is backed, all of it at once.
        for slot in slots {
            let (at, limit) = (daemon.stream(slot).rx_consumed(), daemon.stream(slot).rx_limit());
            prop_assert!(limit - at > 4096, "less than a floor");
            let all = vec![1; (limit - at) as usize];
            prop_assert_eq!(daemon.stream(slot).rx_copy_in(at, &all), Ok(()));
        }
    }
}

fn apply(
    step: Step,
    daemon: &mut DaemonLane,
    app: &mut AppChannel,
    slots: &[u32; 2],
    models: &mut [Model; 2],
) {
    match step {
        // Nothing else is staged behind what is reserved.
        Step::Write(s, _) | Step::Reserve(s, _) if !models[s].reserved.is_empty() => {}
        Step::Reserve(s, n) => reserve(n, slots[s], app, &mut models[s]),
        Step::Fill(s, n) => {
            fill(s, n, slots[s], app, &mut models[s]);
            look(daemon, app, slots[s]);
        }
        Step::Write(s, n) => {
            let m = &mut models[s];
            let room = app.tx_room(slots[s], u64::MAX).unwrap();
            let taken = app.tx_stage(slots[s], &run(s, m.written, n), u64::MAX).unwrap();
            assert_eq!(taken as u64, room.min(n as u64));
            m.written += taken as u64;
            app.tx_publish(slots[s]);
            look(daemon, app, slots[s]);
        }
        Step::Send(s, n) => {
            let m = &models[s];
            let stream = daemon.stream(slots[s]);
            assert_eq!(stream.tx_end(), m.written);
            assert_eq!(stream.tx_is_full(), m.written - m.released == 12_288);
            let len = n.min((m.written - m.released) as usize);
            let mut out = vec![0; len];
            let sum = stream.tx_copy_out_sum(m.released, &mut out);
            assert_eq!(out, run(s, m.released, len));
            assert_eq!(sum, causeway_checksum::sum(&out));
        }
        Step::Release(s, n) => {
            let m = &mut models[s];
            m.released = (m.released + n).min(m.written);
            daemon.stream(slots[s]).tx_release(m.released);
        }
        Step::Store(s, at, n) => {
            let m = &mut models[s];
            let from = m.consumed + at;
            let end = from + n as u64;
            let mut stream = daemon.stream(slots[s]);
            match stream.rx_copy_in(from, &run(s, from, n)) {
                Ok(()) => {
                    let len = m.stored.len().max(end as usize);
                    m.stored.resize(len, false);
                    m.stored[from as usize..end as usize].fill(true);
                }
                Err(RingError::OutOfRange) => assert!(end > m.limit),
                Err(RingError::NoMemory) => panic!("what is promised is backed"),
                Err(RingError::Gone) => panic!("it is there"),
            }
        }
        Step::Commit(s) => {
            models[s].committed = models[s].in_order();
            daemon.stream(slots[s]).rx_commit(models[s].committed);
            models[s].limit = look_at_limit(daemon, slots[s], &models[s]);
        }
        Step::Read(s, n) => read(s, n, slots[s], daemon, app, &mut models[s]),
    }
}

fn reserve(n: usize, slot: u32, app: &mut AppChannel, m: &mut Model) {
    let n = n.min(app.tx_room(slot, u64::MAX).unwrap() as usize);
    if n == 0 {
        return;
    }
    let (free, mut pieces) = (app.tx_chunks_held(), [Piece::EMPTY; 4]);
    let count = app.tx_reserve(slot, n as u64, &mut pieces[..1]).unwrap();
    if count > 1 {
        assert_eq!((app.tx_chunks_held(), app.tx_reserved(slot)), (free, 0), "nothing is reserved");
        assert_eq!(app.tx_reserve(slot, n as u64, &mut pieces), Ok(count));
    }
    m.reserved = pieces[..count].to_vec();
    assert_eq!(m.reserved.iter().map(|piece| piece.len).sum::<usize>(), n);
    assert_eq!(app.tx_reserved(slot), n as u64);
}

fn fill(s: usize, n: usize, slot: u32, app: &mut AppChannel, m: &mut Model) {
    let room: usize = m.reserved.iter().map(|piece| piece.len).sum();
    let n = n.min(room);
    let bytes = run(s, m.written, n);
    let mut done = 0;
    for Piece { address, len } in m.reserved.drain(..) {
        let len = len.min(n - done);
        // SAFETY: the channel is mapped, the piece is the test's until it is filled, and has at least `len` bytes.
        unsafe { address.copy_from_nonoverlapping(bytes[done..].as_ptr(), len) };
        done += len;
    }
    app.tx_fill(slot, n as u64);
    m.written += n as u64;
    assert_eq!((app.tx_offset(slot), app.tx_reserved(slot)), (m.written, 0));
    app.tx_publish(slot);
}

fn read(
    s: usize,
    n: usize,
    slot: u32,
    daemon: &mut DaemonLane,
    app: &mut AppChannel,
    m: &mut Model,
) {
    let mut out = vec![0; n];
    let len = app.rx_peek(slot, 0, &mut out).unwrap();
    assert_eq!(len as u64, (m.committed - m.consumed).min(n as u64));
    assert_eq!(out[..len], run(s, m.consumed, len));
    let mut pieces = [Piece::EMPTY; 5];
    let count = app.rx_pieces(slot, 0, len, &mut pieces).unwrap();
    let mut seen = Vec::new();
    for Piece { address, len } in &pieces[..count] {
        // SAFETY: the channel is mapped, its bytes are not consumed, and this thread is all that writes to it.
        seen.extend_from_slice(unsafe { std::slice::from_raw_parts(*address, *len) });
    }
    assert_eq!(seen, out[..len]);
    assert!(
        app.rx_pieces(slot, m.committed - m.consumed, 1, &mut pieces).is_err(),
        "not there yet"
    );
    app.rx_consume(slot, len as u64).unwrap();
    m.consumed += len as u64;
    look(daemon, app, slot);
    m.limit = look_at_limit(daemon, slot, m);
}

/// The limit never goes back, leaves a stream more than one chunk and at most its window.
fn look_at_limit(daemon: &mut DaemonLane, slot: u32, m: &Model) -> u64 {
    let limit = daemon.stream(slot).rx_limit();
    assert!(limit >= m.limit && limit > m.consumed + 4096 && limit <= m.consumed + 12_288);
    limit
}

fn look(daemon: &mut DaemonLane, app: &mut AppChannel, slot: u32) {
    app.kick(slot).unwrap();
    app.flush().unwrap();
    daemon.snapshot(9).unwrap();
    while daemon.poll_command().is_some() {}
}

/// Fills the holes, reads all, releases all.
fn finish(s: usize, slot: u32, daemon: &mut DaemonLane, app: &mut AppChannel, m: &mut Model) {
    fill(s, 0, slot, app, m);
    look(daemon, app, slot);
    daemon.stream(slot).tx_release(m.written);
    m.released = m.written;
    while m.consumed < m.stored.len() as u64 {
        let from = m.in_order();
        let end = (from + 500).min(m.stored.len() as u64).max(from);
        let bytes = run(s, from, (end - from) as usize);
        assert_eq!(daemon.stream(slot).rx_copy_in(from, &bytes), Ok(()));
        m.stored[from as usize..end as usize].fill(true);
        m.committed = m.in_order();
        daemon.stream(slot).rx_commit(m.committed);
        read(s, 20_000, slot, daemon, app, m);
    }
}

#[test]
fn two_threads_move_a_stream_each_way_and_every_byte_is_checked() {
    const TOTAL: u64 = 8 << 20;
    let (mut daemon, mut app, [slot, _]) = pair();
    let engine = std::thread::spawn(move || {
        let (mut sent, mut stored) = (0, 0);
        let mut frame = [0; 1460];
        while sent < TOTAL || stored < TOTAL {
            daemon.snapshot(8).unwrap();
            while let Some((_, op)) = daemon.poll_command() {
                assert!(matches!(op, Op::Kick { .. }));
            }
            let mut stream = daemon.stream(slot);
            while sent < stream.tx_end() {
                let len = (stream.tx_end() - sent).min(1460) as usize;
                let sum = stream.tx_copy_out_sum(sent, &mut frame[..len]);
                assert_eq!(sum, causeway_checksum::sum(&frame[..len]));
                assert_eq!(frame[..len], run(0, sent, len));
                sent += len as u64;
                stream.tx_release(sent);
            }
            while stored < TOTAL && stored + 1460 <= stream.rx_limit() {
                let len = (TOTAL - stored).min(1460) as usize;
                if stream.rx_copy_in(stored, &run(1, stored, len)).is_err() {
                    break;
                }
                stored += len as u64;
                stream.rx_commit(stored);
            }
            daemon.flush();
            std::thread::yield_now();
        }
    });
    let (mut written, mut read) = (0, 0);
    let mut buffer = vec![0; 7000];
    while written < TOTAL || read < TOTAL {
        let len = (TOTAL - written).min(5000) as usize;
        let taken = app.tx_stage(slot, &run(0, written, len), u64::MAX).unwrap() as u64;
        written += taken;
        app.tx_publish(slot);
        let len = app.rx_peek(slot, 0, &mut buffer).unwrap();
        assert_eq!(buffer[..len], run(1, read, len));
        app.rx_consume(slot, len as u64).unwrap();
        read += len as u64;
        if taken > 0 || len > 0 {
            app.kick(slot).unwrap();
            app.flush().unwrap();
        } else {
            std::thread::yield_now();
        }
    }
    engine.join().unwrap();
}

#[test]
fn what_is_reserved_is_kept_and_what_is_not_filled_is_free_again() {
    let (_daemon, mut app, [slot, other]) = pair();
    let mut pieces = [Piece::EMPTY; 4];
    let mut reserve = |app: &mut AppChannel| app.tx_reserve(slot, 9_000, &mut pieces).unwrap();
    reserve(&mut app);
    assert_eq!(app.tx_chunks_held(), 3);
    // A look at what was released, and another stream's want of chunks, do not take them.
    assert_eq!(app.tx_room(other, u64::MAX).unwrap(), 2 * 4096);
    assert_eq!(app.tx_stage(other, &[1; 12_288], u64::MAX).unwrap(), 2 * 4096);
    assert_eq!(app.tx_unreleased(slot).unwrap(), 0);
    assert_eq!((app.tx_chunks_held(), app.tx_reserved(slot)), (5, 9_000));
    app.tx_fill(slot, 0);
    assert_eq!((app.tx_chunks_held(), app.tx_offset(slot)), (2, 0));
    reserve(&mut app);
    app.tx_fill(slot, 10);
    assert_eq!((app.tx_chunks_held(), app.tx_offset(slot)), (3, 10));
}
