//! An application that writes anything anywhere: the daemon answers with a typed poison and goes on.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use causeway_channel::{
    AppChannel, DaemonChannel, DaemonLane, Doorbells, Geometry, Grant, MapError, Owner, Poison,
    Wake,
};
use causeway_core::port::{ChannelId, Completion, Op, SocketId, StreamIo, Transport};

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

/// xorshift64*: repeatable noise.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

fn geometry() -> Geometry {
    Geometry::builder()
        .ring_entries(16, 16)
        .streams_per_lane(4)
        .table_slots(4)
        .chunk_bytes(4096)
        .chunks(4, 14)
        .message_bytes_max(8 << 10)
        .build()
        .unwrap()
}

fn socket(n: u32) -> SocketId {
    SocketId { index: n, generation: 1 }
}

struct World {
    daemon: DaemonLane,
    app: AppChannel,
    /// A second descriptor of the memory: what a hostile application has.
    memory: OwnedFd,
    bytes: u64,
    slots: Vec<u32>,
}

fn world() -> World {
    let wake: Arc<dyn Wake> = Arc::new(Silent);
    let bells = Doorbells::simulated(wake.clone(), 0, vec![wake]);
    let channel = ChannelId { index: 0, generation: 0 };
    let owner = Owner { pid: 1, lease: 0 };
    let (daemon, grant) = DaemonChannel::create(&geometry(), channel, owner, bells).unwrap();
    let memory = grant.memory.try_clone().unwrap();
    let bytes = rustix::fs::fstat(&memory).unwrap().st_size as u64;
    let mut app = AppChannel::map(grant).unwrap();
    let mut daemon = daemon.into_lanes().pop().unwrap();
    let transports = [Transport::Tcp, Transport::Machnet, Transport::Tcp];
    let slots: Vec<u32> = (0..)
        .zip(transports)
        .map(|(n, transport)| daemon.stream_open(socket(n), transport, 9_000).unwrap())
        .collect();
    for (n, slot) in (0..).zip(&slots) {
        app.stream_attach(*slot, socket(n)).unwrap();
    }
    World { daemon, app, memory, bytes, slots }
}

/// Everything that a daemon does with a lane. What the lane hands out must be sound whatever was written.
fn drive(daemon: &mut DaemonLane, slots: &[u32], noise: &mut Noise) {
    let _ = daemon.snapshot(8);
    while let Some((_, op)) = daemon.poll_command() {
        assert!(!matches!(op, Op::Detach { .. }), "an application cannot say that");
    }
    let mut out = [0; 3000];
    for slot in slots {
        let mut stream = daemon.stream(*slot);
        let end = stream.tx_end();
        stream.tx_copy_out_sum(end.saturating_sub(2999), &mut out);
        stream.tx_copy_out_sum(noise.next(), &mut out[..7]);
        stream.tx_release(end / 2);
        let (consumed, limit) = (stream.rx_consumed(), stream.rx_limit());
        assert!(limit >= consumed && limit - consumed <= 9_000);
        let at = consumed + noise.below(9_500);
        let _ = stream.rx_copy_in(at, &out[..noise.below(3000) as usize]);
        stream.rx_commit(at);
    }
    daemon.push_completion(&Completion::Ready { socket: socket(0) });
    daemon.push_completion(&Completion::Message { socket: socket(1), offset: 0, len: 1 });
    daemon.flush();
    let _ = daemon.arm();
    daemon.disarm();
}

/// What an honest application would do, so that the noise meets live structures.
fn act(app: &mut AppChannel, slots: &[u32], noise: &mut Noise) {
    for slot in slots {
        let bytes = noise.bytes(500);
        let _ = app.tx_stage(*slot, &bytes, u64::MAX);
        app.tx_publish(*slot);
        let _ = app.rx_consume(*slot, noise.below(4000));
        let _ = app.kick(*slot);
    }
    let mut buffer = [0; 100];
    let _ = app.rx_peek(slots[0], 0, &mut buffer);
    let _ = app.flush();
    while let Ok(Some(_)) = app.pop_completion() {}
    let _ = app.arm(true);
}

#[test]
fn noise_in_any_word_of_the_memory_never_panics_the_daemon() {
    let mut poisons = std::collections::BTreeSet::new();
    for seed in 1..400_u64 {
        let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut w = world();
        for _ in 0..12 {
            act(&mut w.app, &w.slots, &mut noise);
            // A few words somewhere; small values reach further than wild ones.
            for _ in 0..noise.below(20) {
                // Half of them where the rings, offsets and tables are.
                let range = if noise.below(2) == 0 { 12 << 10 } else { w.bytes };
                let at = noise.below(range / 4) * 4;
                let value = if noise.below(2) == 0 { noise.below(20) } else { noise.next() };
                rustix::io::pwrite(&w.memory, &(value as u32).to_ne_bytes(), at).unwrap();
            }
            drive(&mut w.daemon, &w.slots, &mut noise);
        }
        if let Some(poison) = w.daemon.poison() {
            poisons.insert(format!("{poison:?}"));
        }
    }
    for expected in ["Ring", "Offset", "Command"] {
        assert!(poisons.iter().any(|p| p.starts_with(expected)), "never seen: {expected}");
    }
}

#[test]
fn noise_over_the_whole_memory_while_the_daemon_works_kills_the_channel_and_nothing_else() {
    let mut bad = world();
    let mut good = world();
    let stop = Arc::new(AtomicBool::new(false));
    let (memory, bytes, stopped) = (bad.memory.try_clone().unwrap(), bad.bytes, stop.clone());
    let writer = std::thread::spawn(move || {
        let mut noise = Noise(0xDEAD_BEEF);
        while !stopped.load(Ordering::Relaxed) {
            for at in (0..bytes).step_by(4096) {
                rustix::io::pwrite(&memory, &noise.bytes(4096), at).unwrap();
            }
        }
    });
    let mut noise = Noise(77);
    let mut rounds = 0;
    while bad.daemon.poison().is_none() || rounds < 2000 {
        drive(&mut bad.daemon, &bad.slots, &mut noise);
        act(&mut good.app, &good.slots, &mut noise);
        drive(&mut good.daemon, &good.slots, &mut noise);
        rounds += 1;
        assert!(rounds < 5_000_000, "noise was never noticed");
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(good.daemon.poison(), None);
    assert_eq!(bad.daemon.snapshot(1), Err(bad.daemon.poison().unwrap()));
}

#[test]
fn each_lie_has_its_name() {
    type Lie = fn(&mut World);
    let cases: [(&str, Lie, Poison); 5] = [
        ("tx_written beyond the window", |w| lie(w, 0, 1 << 40), Poison::Offset),
        ("rx_consumed beyond what was committed", |w| lie(w, 8, 1), Poison::Offset),
        ("a chunk that does not exist", spoil_tx_table, Poison::Chunk),
        ("messages that overlap", |w| messages(w, [(0, 60), (59, 41)]), Poison::Message),
        (
            "a message that ends where nothing was written",
            |w| messages(w, [(0, 60), (60, 41)]),
            Poison::Message,
        ),
    ];
    for (name, lie, expected) in cases {
        let mut w = world();
        let slot = w.slots[0];
        w.app.tx_stage(slot, &[1; 100], u64::MAX).unwrap();
        w.app.tx_publish(slot);
        w.app.kick(slot).unwrap();
        w.app.flush().unwrap();
        lie(&mut w);
        let _ = w.daemon.snapshot(8);
        let mut out = [9; 100];
        w.daemon.stream(slot).tx_copy_out_sum(0, &mut out);
        assert_eq!(w.daemon.poison(), Some(expected), "{name}");
    }
}

/// Finds the stream's control block by the `tx_written` that was just published.
fn lie(w: &mut World, field: u64, value: u64) {
    let at = find(w, &100_u64.to_ne_bytes()) + field;
    rustix::io::pwrite(&w.memory, &value.to_ne_bytes(), at).unwrap();
}

/// Sends messages of the hundred bytes that were written.
fn messages(w: &mut World, spans: [(u64, u32); 2]) {
    for (message, (offset, len)) in (1..).zip(spans) {
        let op = Op::SendMessage { socket: socket(0), offset, len, message };
        w.app.push_command(0, message, &op, Some(w.slots[0])).unwrap();
    }
    w.app.flush().unwrap();
}

#[test]
fn messages_that_follow_each_other_are_no_lie() {
    let mut w = world();
    let slot = w.slots[0];
    w.app.tx_stage(slot, &[1; 100], u64::MAX).unwrap();
    w.app.tx_publish(slot);
    messages(&mut w, [(0, 60), (60, 40)]);
    assert_eq!(w.daemon.snapshot(8), Ok(2));
}

#[test]
fn who_never_takes_its_completions_is_put_out() {
    let mut w = world();
    let mut kept = 0_u32;
    while w.daemon.poison().is_none() && kept < 1 << 20 {
        let error = causeway_core::error::CommandError::NoRoute;
        w.daemon.push_completion(&Completion::Failed { tag: 1, error });
        kept += 1;
    }
    assert_eq!(w.daemon.poison(), Some(Poison::Backlog));
    assert!(kept > 8 << 10, "slowness alone is no reason");
}

#[test]
fn all_streams_may_end_with_their_figures_before_the_application_looks() {
    let mut w = world();
    let info = Box::<causeway_core::port::SocketInfo>::default();
    for index in 0..65_536 {
        let socket = socket(index);
        w.daemon.push_completion(&Completion::LastInfo { socket, info: info.clone() });
        let reason = causeway_core::error::EndReason::Reset;
        w.daemon.push_completion(&Completion::Ended { socket, reason });
    }
    assert_eq!(w.daemon.poison(), None);
    let (mut figures, mut ends) = (0, 0);
    while ends < 65_536 {
        w.daemon.flush();
        while let Some((_, got)) = w.app.pop_completion().unwrap() {
            match got.completion {
                Completion::LastInfo { .. } => figures += 1,
                _ => ends += 1,
            }
        }
    }
    assert!((1..65_536).contains(&figures), "{figures} of them were told");
}

#[test]
fn what_is_committed_is_not_written_again() {
    let mut w = world();
    let slot = w.slots[0];
    let mut stream = w.daemon.stream(slot);
    stream.rx_copy_in(0, b"said").unwrap();
    stream.rx_commit(4);
    stream.rx_copy_in(0, b"liedonce").unwrap();
    stream.rx_commit(8);
    let mut out = [0; 8];
    assert_eq!(w.app.rx_peek(slot, 0, &mut out).unwrap(), 8);
    assert_eq!(&out, b"saidonce");
}

#[test]
fn what_is_released_is_not_read_again() {
    let mut w = world();
    let slot = w.slots[0];
    w.app.tx_stage(slot, b"sentkept", u64::MAX).unwrap();
    w.app.tx_publish(slot);
    w.app.kick(slot).unwrap();
    w.app.flush().unwrap();
    w.daemon.snapshot(8).unwrap();
    let mut stream = w.daemon.stream(slot);
    stream.tx_release(4);
    let mut out = [9; 8];
    // The application may have put anything there since.
    assert_eq!(stream.tx_copy_out_sum(0, &mut out), 0);
    assert_eq!(out, [0; 8]);
    stream.tx_copy_out_sum(4, &mut out[..4]);
    assert_eq!(&out[..4], b"kept");
}

fn granted() -> Grant {
    let wake: Arc<dyn Wake> = Arc::new(Silent);
    let bells = Doorbells::simulated(wake.clone(), 0, vec![wake]);
    let channel = ChannelId { index: 0, generation: 0 };
    let owner = Owner { pid: 1, lease: 0 };
    DaemonChannel::create(&geometry(), channel, owner, bells).unwrap().1
}

#[test]
fn memory_that_could_shrink_under_the_application_is_not_mapped() {
    use rustix::fs::{MemfdFlags, SealFlags};
    let both = SealFlags::SHRINK | SealFlags::GROW;
    for seals in [SealFlags::empty(), SealFlags::GROW, SealFlags::SHRINK, both | SealFlags::SEAL] {
        let grant = granted();
        let size = rustix::fs::fstat(&grant.memory).unwrap().st_size as u64;
        let mut bytes = vec![0; size as usize];
        rustix::io::pread(&grant.memory, &mut bytes[..], 0).unwrap();
        let copy = rustix::fs::memfd_create("copy", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::io::pwrite(&copy, &bytes, 0).unwrap();
        rustix::fs::fcntl_add_seals(&copy, seals).unwrap();
        let mapped = AppChannel::map(Grant { memory: copy, ..grant });
        match seals.contains(both) {
            true => assert!(mapped.is_ok(), "{mapped:?}"),
            false => assert!(matches!(mapped, Err(MapError::Mismatch)), "{seals:?}: {mapped:?}"),
        }
    }
}

/// Mappings of a file in a process.
fn mappings_in(process: &str, memory: &OwnedFd) -> usize {
    let inode = format!(" {} ", rustix::fs::fstat(memory).unwrap().st_ino);
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    maps.lines().filter(|line| line.contains("/memfd:") && line.contains(&inode)).count()
}

#[test]
fn a_child_after_fork_has_not_the_memory_of_the_application() {
    let w = world();
    assert_eq!(mappings_in("self", &w.memory), 2, "both sides are in this process");
    // SAFETY: the child does nothing but wait for its end.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: takes nothing and touches nothing.
            unsafe { libc::pause() };
        }
    }
    let inherited = mappings_in(&child.to_string(), &w.memory);
    // SAFETY: our own child, which was not waited for yet; the status is not wanted.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert_eq!(inherited, 1, "the daemon's alone");
}

/// The first words of the one lane: what the noise below spares.
const RING_INDICES: std::ops::Range<u64> = 4096..4608;
/// Where the entries of the rings, the offsets and the tables end.
const STRUCTURES_END: u64 = 12 << 10 | 512;

#[test]
fn noise_that_spares_the_ring_indices_reaches_what_lies_behind_them() {
    let mut poisons = std::collections::BTreeSet::new();
    for seed in 1..600_u64 {
        let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut w = world();
        for _ in 0..12 {
            act(&mut w.app, &w.slots, &mut noise);
            let slot = w.slots[1];
            let offset = w.app.tx_offset(slot);
            let len = w.app.tx_stage(slot, &[7; 100], u64::MAX).unwrap_or(0) as u32;
            w.app.tx_publish(slot);
            let op = Op::SendMessage { socket: socket(1), offset, len, message: seed };
            if len > 0 && w.app.push_command(0, 1, &op, Some(slot)).is_ok() {
                let _ = w.app.flush();
            }
            for _ in 0..noise.below(12) {
                let at =
                    RING_INDICES.end + noise.below((STRUCTURES_END - RING_INDICES.end) / 4) * 4;
                let value = if noise.below(2) == 0 { noise.below(20) } else { noise.next() };
                rustix::io::pwrite(&w.memory, &(value as u32).to_ne_bytes(), at).unwrap();
            }
            drive(&mut w.daemon, &w.slots, &mut noise);
        }
        if let Some(poison) = w.daemon.poison() {
            poisons.insert(format!("{poison:?}"));
        }
    }
    for expected in ["Offset", "Chunk", "Command", "Message"] {
        assert!(poisons.iter().any(|p| p.starts_with(expected)), "never seen: {expected}");
    }
    assert!(!poisons.contains("Ring"), "the indices were spared");
}

/// The tables begin on the page after the control blocks.
fn spoil_tx_table(w: &mut World) {
    let at = (find(w, &100_u64.to_ne_bytes()) + 1).next_multiple_of(4096);
    rustix::io::pwrite(&w.memory, &4_u32.to_ne_bytes(), at).unwrap();
}

fn find(w: &World, what: &[u8]) -> u64 {
    let mut memory = vec![0; w.bytes as usize];
    rustix::io::pread(&w.memory, &mut memory[..], 0).unwrap();
    memory.chunks(8).position(|c| c == what).unwrap() as u64 * 8
}
