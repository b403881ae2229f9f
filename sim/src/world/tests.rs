//! Worlds with stand-in hosts: what the event loop itself promises.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use causeway_channel::Wake;
use causeway_core::nic::{MacAddr, Nic};
use causeway_core::time::{Duration, Instant};
use rand::RngExt;

use super::*;
use crate::fault::{FaultPlan, FaultProfile, FaultSource};
use crate::frame::SimFrame;
use crate::guest::{AppBell, Bells, GuestId, Program, Random, current, now, sleep};
use crate::link::{LinkConfig, QueueLimit};
use crate::nic::{NicConfig, NicPort, SimNic};
use crate::tap::{Delivery, DirectionId, Fate, Tap};

/// Sends `to_send` numbered frames, `per_step` a step, and logs what it receives.
struct Blaster {
    nic: SimNic,
    to_send: u32,
    sent: u32,
    log: Log,
}

impl HostEngine for Blaster {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        let mut received: Vec<SimFrame> = Vec::new();
        while self.nic.rx_burst(&mut received, 64) > 0 {}
        let entries = received.iter().map(|frame| (now, frame.bytes().to_vec()));
        self.log.borrow_mut().extend(entries);
        let mut batch = VecDeque::new();
        while self.sent < self.to_send && batch.len() < 32 {
            let mut frame = self.nic.alloc(1_000).expect("the pool is large enough");
            frame.bytes_mut().fill(0x11);
            frame.bytes_mut()[12..14].copy_from_slice(&[8, 0]);
            frame.bytes_mut()[20..24].copy_from_slice(&self.sent.to_be_bytes());
            self.sent += 1;
            batch.push_back(frame);
        }
        self.nic.tx_burst(&mut batch);
        self.sent -= batch.len() as u32;
        (self.sent < self.to_send).then(|| now + Duration::from_micros(20))
    }
}

type Log = Rc<RefCell<Vec<(Instant, Vec<u8>)>>>;

fn blaster(to_send: u32, mac: u8) -> (Box<Blaster>, Rc<NicPort>, Log) {
    let (nic, port) = SimNic::new(&NicConfig::new(MacAddr([mac; 6])));
    let log = Rc::new(RefCell::new(Vec::new()));
    (Box::new(Blaster { nic, to_send, sent: 0, log: Rc::clone(&log) }), port, log)
}

struct Run {
    hash: u64,
    plan: FaultPlan,
    received: Vec<(Instant, Vec<u8>)>,
}

fn blast(seed: u64, config: LinkConfig, faults: &FaultSource, frames: u32) -> Run {
    let mut world = World::new(WorldConfig::new(seed));
    let (engine_a, port_a, _) = blaster(frames, 2);
    let (engine_b, port_b, log) = blaster(0, 4);
    let a = world.add_host("a", engine_a, Arc::default());
    let b = world.add_host("b", engine_b, Arc::default());
    world.connect((a, port_a), (b, port_b), config, faults);
    world.run_until(Instant::ZERO + Duration::from_secs(1)).expect("no guest can fail");
    let received = log.borrow().clone();
    Run { hash: world.state_hash(), plan: world.executed_plan(), received }
}

fn gigabit() -> LinkConfig {
    LinkConfig::cable(1_000_000_000, Duration::from_micros(100))
}

fn nasty() -> FaultSource {
    let profile = FaultProfile::builder()
        .loss_ppm(50_000)
        .duplicate_ppm(20_000)
        .reorder_ppm(50_000)
        .corrupt_ppm(20_000)
        .reorder_delay_max(Duration::from_micros(300))
        .build();
    FaultSource::Drawn(profile.expect("the rates are in range").into())
}

#[test]
fn a_clean_link_delivers_every_frame_in_order_at_the_time_that_physics_says() {
    let run = blast(1, gigabit(), &FaultSource::clean(), 500);
    assert_eq!(run.received.len(), 500);
    for (index, (at, bytes)) in run.received.iter().enumerate() {
        assert_eq!(bytes[20..24], (index as u32).to_be_bytes());
        // Back to back from time zero: 1024 bytes of link time a frame, then propagation.
        let arrival = (index as u64 + 1) * 8_192 + 100_000;
        assert_eq!(at.as_nanos(), arrival);
    }
    assert!(run.plan.is_empty());
}

#[test]
fn a_full_ring_pushes_back_and_loses_nothing_while_a_router_drops() {
    let routed = LinkConfig::routed(1_000_000_000, Duration::ZERO, QueueLimit::Frames(10));
    assert_eq!(blast(1, gigabit(), &FaultSource::clean(), 5_000).received.len(), 5_000);
    assert!(blast(1, routed, &FaultSource::clean(), 5_000).received.len() < 5_000);
}

#[test]
fn one_seed_is_one_run_and_another_seed_another() {
    let (first, again) =
        (blast(1, gigabit(), &nasty(), 2_000), blast(1, gigabit(), &nasty(), 2_000));
    assert_eq!(
        (first.hash, &first.plan, first.received),
        (again.hash, &again.plan, again.received)
    );
    assert!(first.plan.len() > 100, "faults happened");
    assert_ne!(first.hash, blast(2, gigabit(), &nasty(), 2_000).hash);
}

#[test]
fn the_printed_plan_gives_the_same_run() {
    let drawn = blast(1, gigabit(), &nasty(), 2_000);
    let plan: FaultPlan = drawn.plan.to_string().parse().expect("it was printed by us");
    let replayed = blast(1, gigabit(), &FaultSource::Planned(plan), 2_000);
    assert_eq!(
        (drawn.hash, drawn.plan, drawn.received),
        (replayed.hash, replayed.plan, replayed.received)
    );
}

#[test]
fn a_plan_does_what_it_says_and_nothing_else() {
    let plan = "causeway fault plan 2\ndrop a->b 3\ndelay a->b 5 by 10us\nduplicate a->b 7 after 1us\n\
                corrupt a->b 9 byte 30 xor 0xff\n";
    let source = FaultSource::Planned(plan.parse().expect("the plan is right"));
    let received = blast(1, gigabit(), &source, 10).received;
    let order: Vec<u32> = received
        .iter()
        .map(|(_, bytes)| 1 + u32::from_be_bytes(bytes[20..24].try_into().expect("four bytes")))
        .collect();
    assert_eq!(order, [1, 2, 4, 6, 5, 7, 7, 8, 9, 10]);
    let spoilt: Vec<u8> = received.iter().map(|(_, bytes)| bytes[30]).collect();
    assert_eq!(spoilt, [0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0xee, 0x11]);
}

/// Runs racing guests: each appends to one shared log, and pauses for times of its own.
fn race(seed: u64) -> (Vec<(usize, u64)>, u64) {
    let mut world = World::new(WorldConfig::new(seed));
    let (engine, _, _) = blaster(0, 2);
    let host = world.add_host("a", engine, Arc::default());
    let log = Arc::new(Mutex::new(Vec::new()));
    for guest in 0..5_usize {
        let log = Arc::clone(&log);
        let body = move || {
            for round in 0..50_u64 {
                log.lock().expect("nobody panics").push((guest, now().as_nanos()));
                let context = current().expect("we are a guest");
                context.enter("a call", Duration::from_nanos(Random.random_range(100..1_100)));
                if round % 7 == 0 {
                    sleep(Duration::from_micros(guest as u64));
                }
                // Let the operating system mix the threads up, were they not kept apart.
                std::thread::yield_now();
            }
        };
        let name = format!("racer {guest}");
        world.add_guest(host, &name, Instant::ZERO, Program::from_fn(body)).expect("a thread");
    }
    world.run().expect("all of them finish");
    let log = log.lock().expect("nobody panics").clone();
    (log, world.state_hash())
}

#[test]
fn racing_guests_run_in_one_order_whatever_the_operating_system_does() {
    let first = race(1);
    assert!(first.0.is_sorted_by_key(|&(_, at)| at), "one clock for all");
    assert!(
        first.0.windows(2).filter(|pair| pair[0].0 != pair[1].0).count() > 50,
        "they interleave"
    );
    for _ in 0..5 {
        assert_eq!(race(1), first);
    }
    assert_ne!(race(2), first);
}

fn lone_guest(program: Program) -> RunError {
    let mut config = WorldConfig::new(1);
    config.end_at = Instant::ZERO + Duration::from_secs(10);
    config.events_max = 1_000_000;
    config.guest_wall_limit = std::time::Duration::from_secs(2);
    let mut world = World::new(config);
    let (engine, _, _) = blaster(0, 2);
    let host = world.add_host("a", engine, Arc::default());
    world.add_guest(host, "lonely", Instant::ZERO, program).expect("a thread");
    world.run().expect_err("it cannot finish")
}

fn wait_for_nobody(deadline: Option<Instant>) -> bool {
    let bell = Arc::new(AppBell::new(Arc::new(Bells::default()), GuestId(0)));
    let context = current().expect("we are a guest");
    context.enter("recv", Duration::from_nanos(100));
    context.wait(&bell, deadline)
}

#[test]
fn a_guest_that_waits_for_what_never_comes_is_a_deadlock_that_names_it() {
    let error = lone_guest(Program::from_fn(|| {
        wait_for_nobody(None);
    }));
    assert!(matches!(&error, RunError::Deadlock { waiting, .. } if waiting.len() == 1));
    let text = error.to_string();
    assert!(text.contains("`lonely` on host a: in recv, waiting for its doorbell"), "{text}");
}

#[test]
fn a_deadline_ends_a_wait_at_its_time() {
    let mut world = World::new(WorldConfig::new(1));
    let (engine, _, _) = blaster(0, 2);
    let host = world.add_host("a", engine, Arc::default());
    let program = Program::from_fn(|| {
        let deadline = Instant::ZERO + Duration::from_millis(3);
        assert!(!wait_for_nobody(Some(deadline)));
        assert_eq!(now(), deadline);
    });
    world.add_guest(host, "patient", Instant::ZERO, program).expect("a thread");
    world.run().expect("it finishes");
    assert_eq!(world.now(), Instant::ZERO + Duration::from_millis(3));
}

#[test]
fn a_bell_that_rings_ends_a_wait_and_its_deadline_is_void() {
    let mut world = World::new(WorldConfig::new(1));
    let (engine, _, _) = blaster(0, 2);
    let host = world.add_host("a", engine, Arc::default());
    let bell = Arc::new(AppBell::new(Arc::clone(world.bells(host)), GuestId(0)));
    let waiting = Arc::clone(&bell);
    let waiter = Program::from_fn(move || {
        let context = current().expect("we are a guest");
        for round in 1..=3 {
            assert!(context.wait(&waiting, Some(now() + Duration::from_millis(10))));
            assert_eq!(now().as_nanos(), round * 1_000_000 + 10_000, "the ring, and the wake-up");
        }
    });
    world.add_guest(host, "waiter", Instant::ZERO, waiter).expect("a thread");
    let ringer = Program::from_fn(move || {
        for _ in 0..3 {
            sleep(Duration::from_millis(1));
            bell.wake();
        }
    });
    world.add_guest(host, "ringer", Instant::ZERO, ringer).expect("a thread");
    world.run().expect("both finish");
}

#[test]
fn guests_that_poll_or_sleep_for_ever_end_the_run_and_do_not_hang_it() {
    let error = lone_guest(Program::from_fn(|| {
        loop {
            current().expect("we are a guest").enter("poll", Duration::from_nanos(100));
        }
    }));
    assert!(matches!(error, RunError::TooLong { .. } | RunError::TooManyEvents { .. }), "{error}");
    let error = lone_guest(Program::from_fn(|| {
        loop {
            sleep(Duration::from_millis(1));
        }
    }));
    assert!(error.to_string().contains("`lonely` on host a: in sleep, pausing until"), "{error}");
}

#[test]
fn a_guest_that_computes_for_ever_is_named() {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let error = lone_guest(Program::from_fn(move || {
        let _ = never.recv();
    }));
    assert!(matches!(error, RunError::GuestStuck { guest, .. } if guest == "lonely"));
}

#[test]
fn a_guest_that_fails_is_named_with_its_reason() {
    let error = lone_guest(Program::from_fn(|| panic!("byte 7 is wrong")));
    assert_eq!(error.to_string(), "guest `lonely` panicked: byte 7 is wrong");
    let error = lone_guest(Program::Closure(Box::new(|| 3)));
    assert_eq!(error.to_string(), "guest `lonely` ended with exit code 3");
}

/// When each frame was taken from the receive ring at the end of direction 0.
#[derive(Clone, Default)]
struct Takings(Rc<RefCell<Vec<Instant>>>);

impl Tap for Takings {
    fn sent(&mut self, _: Instant, _: DirectionId, _: &[u8], _: Fate<'_>) {}

    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}

    fn taken(&mut self, at: Instant, direction: DirectionId, frames: usize) {
        assert_eq!(direction, DirectionId(0), "nothing is sent the other way");
        self.0.borrow_mut().extend(std::iter::repeat_n(at, frames));
    }
}

#[test]
fn taps_hear_when_a_host_takes_what_lay_in_its_ring() {
    let mut world = World::new(WorldConfig::new(1));
    let (engine_a, port_a, _) = blaster(300, 2);
    let (engine_b, port_b, log) = blaster(0, 4);
    let a = world.add_host("a", engine_a, Arc::default());
    let b = world.add_host("b", engine_b, Arc::default());
    world.connect((a, port_a), (b, port_b), gigabit(), &FaultSource::clean());
    let takings = Takings::default();
    world.add_tap(Box::new(takings.clone()));
    let plan = "causeway fault plan 2\npause b 1ms..2ms\n".parse::<FaultPlan>();
    world.add_spans(&plan.expect("a plan")).expect("b is there");
    world.run_until(Instant::ZERO + Duration::from_secs(1)).expect("no guest can fail");
    let log: Vec<Instant> = log.borrow().iter().map(|(at, _)| *at).collect();
    assert_eq!(*takings.0.borrow(), log);
    let end = Instant::ZERO + Duration::from_millis(2);
    assert!(log.iter().filter(|at| **at == end).count() > 64, "many waited for the pause's end");
}

/// Steps each millisecond by the clock that it is told, and notes what that shows.
struct Ticker(Rc<RefCell<Vec<Instant>>>);

impl HostEngine for Ticker {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        self.0.borrow_mut().push(now);
        Some(now + Duration::from_millis(1))
    }
}

#[test]
fn a_host_lives_by_its_own_clock() {
    let mut world = World::new(WorldConfig::new(1));
    let ticks = ["fast", "right", "slow"].map(|name| {
        let shown = Rc::<RefCell<Vec<Instant>>>::default();
        world.add_host(name, Box::new(Ticker(Rc::clone(&shown))), Arc::default());
        shown
    });
    let plan = "causeway fault plan 2\nclock-rate fast 0s..1s +10000ppm\nclock-rate slow 0s..1s -10000ppm\n";
    let plan: FaultPlan = plan.parse().expect("a plan");
    world.add_spans(&plan).expect("they are there");
    let until = |world: &mut World, ms| {
        world.run_until(Instant::ZERO + Duration::from_millis(ms)).expect("no guest can fail");
        ticks.each_ref().map(|shown| shown.borrow().last().map(|at| at.as_nanos() / 1_000_000))
    };
    assert_eq!(until(&mut world, 999), [Some(1_008), Some(999), Some(989)]);
    // What was gained and lost stays.
    assert_eq!(until(&mut world, 2_000), [Some(2_010), Some(2_000), Some(1_990)]);
    assert!(ticks.iter().all(|shown| shown.borrow().is_sorted()));
    assert_eq!(world.executed_plan(), plan);
}

#[test]
fn a_guest_sleeps_by_the_clock_of_its_host_though_that_changes_meanwhile() {
    let sleeper = |log: &Arc<Mutex<Vec<Duration>>>| {
        let log = Arc::clone(log);
        Program::from_fn(move || {
            for _ in 0..4 {
                let begun = now();
                sleep(Duration::from_millis(100));
                log.lock().expect("nobody panicked").push(now().saturating_since(begun));
            }
        })
    };
    for (rate, ended_ms) in [("", 400), ("-10000ppm", 402), ("+10000ppm", 397)] {
        let (log, mut world) = (Arc::default(), World::new(WorldConfig::new(1)));
        let engine = Box::new(Ticker(Rc::default()));
        let host = world.add_host("a", engine, Arc::default());
        world.add_guest(host, "sleeper", Instant::ZERO, sleeper(&log)).expect("a thread");
        if !rate.is_empty() {
            let plan = format!("causeway fault plan 2\nclock-rate a 150ms..400ms {rate}\n");
            world.add_spans(&plan.parse().expect("a plan")).expect("a is there");
        }
        world.run().expect("it ends");
        let slept = log.lock().expect("nobody panicked").clone();
        assert_eq!(slept, [Duration::from_millis(100); 4], "{rate}");
        assert_eq!(world.now().as_nanos() / 1_000_000, ended_ms, "{rate}");
    }
}
