//! The rules of the wire are sound: production hosts over clean and bad links break none of them.

mod world;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use causeway_core::tcp;
use causeway_core::time::{Duration, Instant};
use causeway_sim::fault::{FaultProfile, FaultSource};
use causeway_sim::link::{LinkConfig, QueueLimit};
use causeway_sim::packet::Packet;
use causeway_sim::rules::WireRules;
use causeway_sim::tap::{Delivery, DirectionId, Fate, Tap};
use world::{Case, Load, Meddling, build, ends, rules};

/// Frames that are shown with a violation.
const SHOWN: usize = 40;

/// Feeds the rules from the two ends of one link.
#[derive(Clone)]
struct Judge(Rc<RefCell<Judged>>);

struct Judged {
    rules: WireRules,
    case: Case,
    last: VecDeque<String>,
    shown: bool,
    /// `CAUSEWAY_RULES_TRACE`: every frame is shown.
    all: bool,
    frames: u64,
}

impl Judge {
    fn new(case: &Case) -> Self {
        let rules = WireRules::new(rules(case));
        Self(Rc::new(RefCell::new(Judged {
            rules,
            case: case.clone(),
            last: VecDeque::new(),
            shown: false,
            all: std::env::var_os("CAUSEWAY_RULES_TRACE").is_some(),
            frames: 0,
        })))
    }
}

impl Judged {
    fn note(&mut self, at: Instant, what: &str, host: usize, packet: &Packet<'_>) {
        self.frames += 1;
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        let ip = packet.ip().map(|ip| (ip.total_len(), ip.ecn()));
        let text = match (packet.tcp(), packet.udp().and_then(|udp| udp.machnet)) {
            (Some(tcp), _) => format!(
                "{at} {what} {host} {} {}: {:#04x} seq {} ack {} win {} len {} {:?} sack {:?}",
                tcp.source_port,
                tcp.destination_port,
                tcp.flags.0,
                tcp.seq,
                tcp.ack,
                tcp.window,
                packet.payload().len(),
                tcp.options.timestamps,
                tcp.options.sack.as_slice(),
            ),
            (_, Some(machnet)) => format!("{at} {what} {host}: {machnet:?}"),
            _ => format!("{at} {what} {host}: {ip:?} {:?}", packet.network),
        };
        if self.all {
            println!("{text}");
        }
        self.last.push_back(text);
        if !self.shown && self.rules.violation_count() > 0 {
            self.shown = true;
            for line in &self.last {
                println!("{line}");
            }
            println!("{}", self.rules.violations()[0]);
        }
    }
}

impl Tap for Judge {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], _: Fate<'_>) {
        let judged = &mut *self.0.borrow_mut();
        let (Some(host), _) = ends(&judged.case, direction.0) else { return };
        match Packet::parse(frame) {
            Ok(packet) => {
                judged.rules.sent(at, host, &packet);
                judged.note(at, "->", host, &packet);
            }
            Err(error) => judged.rules.malformed(at, host, error),
        }
    }

    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        _: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let judged = &mut *self.0.borrow_mut();
        let (_, Some(host)) = ends(&judged.case, direction.0) else { return };
        if let (Ok(packet), Delivery::Received) = (Packet::parse(frame), delivery) {
            judged.rules.received(at, host, &packet);
            judged.note(at, "<-", host, &packet);
        }
    }
}

/// One of the core's planted bugs, where it was built with them: some rule should be broken then.
#[cfg(planted)]
fn plant() {
    if let Ok(id) = std::env::var("CAUSEWAY_PLANT") {
        assert!(causeway_core::planted::plant(&id), "there is no bug `{id}`");
    }
}

fn judge(seed: u64, case: &Case) -> u64 {
    #[cfg(planted)]
    plant();
    let mut world = build(seed, case);
    let judge = Judge::new(case);
    world.add_tap(Box::new(judge.clone()));
    if let Err(error) = world.run() {
        println!("{error}\nseed {seed}, {case:?}");
    }
    world.run_until(world.now() + Duration::from_secs(130)).expect("no guest is left");
    let now = world.now();
    let judged = &mut *judge.0.borrow_mut();
    judged.rules.finish(now);
    let found: Vec<String> = judged.rules.violations().iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "seed {seed}, {case:?}:\n{}", found.join("\n"));
    judged.frames
}

fn nasty(ppm: u32) -> FaultSource {
    let profile = FaultProfile::builder()
        .loss_ppm(ppm)
        .reorder_ppm(ppm)
        .duplicate_ppm(ppm / 2)
        .corrupt_ppm(ppm / 2)
        .reorder_delay_max(Duration::from_micros(3_000))
        .build();
    FaultSource::Drawn(profile.expect("the rates are in range").into())
}

/// Seeds of each case; `CAUSEWAY_RULES_SEEDS` asks for more.
fn seeds() -> std::ops::Range<u64> {
    let more = std::env::var("CAUSEWAY_RULES_SEEDS").ok().and_then(|text| text.parse().ok());
    1..1 + more.unwrap_or(3)
}

fn judge_all(load: Load, tcp: fn(tcp::ConfigBuilder) -> tcp::ConfigBuilder) {
    let cable = LinkConfig::cable(1_000_000_000, Duration::from_micros(500));
    let far = LinkConfig::cable(100_000_000, Duration::from_millis(30));
    let routed = LinkConfig::routed(50_000_000, Duration::from_millis(4), QueueLimit::Frames(25));
    let clean = FaultSource::clean();
    let mut frames = 0;
    for seed in seeds() {
        for (link, faults) in [
            (cable, clean.clone()),
            (cable, nasty(20_000)),
            (far, nasty(5_000)),
            (routed, clean.clone()),
            (routed, nasty(10_000)),
            (cable, nasty(80_000)),
        ] {
            let v6 = seed % 3 == 0;
            frames += judge(seed, &Case { load, link, faults, v6, meddling: None, tcp });
        }
    }
    println!("{load:?}: {frames} frames");
}

#[test]
fn streams_break_no_rule() {
    judge_all(Load::Stream(600_000), |tcp| tcp);
}

#[test]
fn streams_with_other_settings_break_no_rule() {
    judge_all(Load::Stream(400_000), |tcp| {
        tcp.ecn(tcp::EcnMode::Request).timestamps(false).window_scale(0)
    });
    judge_all(Load::Stream(400_000), |tcp| tcp.sack(false));
    judge_all(Load::Stream(400_000), |tcp| {
        tcp.congestion(tcp::congestion::Algorithm::Bbr).window_scale(14).nodelay(true)
    });
}

#[test]
fn slow_readers_break_no_rule() {
    judge_all(Load::SlowReader(9_000_000), |tcp| tcp);
}

#[test]
fn conversations_break_no_rule() {
    judge_all(Load::Talk, |tcp| tcp);
    judge_all(Load::Talk, |tcp| tcp.ecn(tcp::EcnMode::Request).timestamps(false));
}

#[test]
fn messages_break_no_rule() {
    judge_all(Load::Messages, |tcp| tcp);
}

#[test]
fn connections_that_end_in_every_way_break_no_rule() {
    judge_all(Load::Trouble, |tcp| tcp);
    judge_all(Load::Trouble, |tcp| tcp.timestamps(false));
}

#[test]
fn hosts_with_a_meddler_between_them_break_no_rule() {
    let link = LinkConfig::cable(1_000_000_000, Duration::from_millis(2));
    for seed in seeds() {
        for meddling in Meddling::ALL {
            for (load, faults) in [
                (Load::Stream(300_000), FaultSource::clean()),
                (Load::Stream(100_000), nasty(10_000)),
                (Load::Talk, nasty(10_000)),
                (Load::Trouble, nasty(10_000)),
            ] {
                let tcp = |tcp: tcp::ConfigBuilder| tcp.ecn(tcp::EcnMode::Request);
                let meddling = Some(meddling);
                judge(seed, &Case { load, link, faults, v6: false, meddling, tcp });
            }
        }
    }
}
