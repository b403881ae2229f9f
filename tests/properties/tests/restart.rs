//! Hot restart with whatever a connection can have about it: before each single call one twin is written out and read back, and goes
//! on as the other does. Each attachment is met so with each congestion control, and the test says which was not.

use std::collections::BTreeSet;

use causeway_core::error::EndReason;
use causeway_core::port::{QuickAck, SocketOption};
use causeway_core::tcp::attachments::Attachment;
use causeway_core::tcp::congestion::Algorithm;
use causeway_core::tcp::{Config, ConfigBuilder, EcnMode, IcmpError, MtuProbing};
use causeway_core::time::Duration;
use causeway_properties::{Input, Plan, SIDES, Weather, World, cases};
use proptest::prelude::*;

/// What attachments were met at a restart.
type Met = BTreeSet<Attachment>;

/// A world whose twins are restarted always, and what they had about them then.
struct Scene {
    world: World,
    met: Met,
}

const ROUGH: Weather = Weather {
    seed: 0,
    loss_ppm: 30_000,
    duplicate_ppm: 20_000,
    reorder_ppm: 60_000,
    mark_ppm: 0,
    payload_max: 0,
};
const DARK: Weather = Weather { loss_ppm: 1_000_000, ..FINE };
const FINE: Weather =
    Weather { seed: 0, loss_ppm: 0, duplicate_ppm: 0, reorder_ppm: 0, mark_ppm: 0, payload_max: 0 };

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Scene {
    fn new(plan: Plan) -> Self {
        let mut world = World::new(plan);
        world.restart_always();
        Self { world, met: Met::new() }
    }

    fn give(&mut self, side: usize, input: Input<'_>) {
        self.world.give(side, input);
        look(&self.world, &mut self.met);
    }

    fn is_open(&self, side: usize) -> bool {
        self.world.end(side).is_some_and(|end| end.tcp.state().is_synchronized())
    }

    fn pass(&mut self, span: Duration) {
        let met = &mut self.met;
        self.world.pass(span, |world| look(world, met));
    }

    /// Both sides write a piece now and then.
    fn talk(&mut self, bytes: u64, pieces: usize) {
        for _ in 0..pieces {
            self.give(0, Input::Write(bytes));
            self.give(1, Input::Write(bytes / 50));
            self.pass(Duration::from_millis(130));
        }
    }

    fn finish(mut self) -> Met {
        // The other side is not there before it has heard of the first.
        for side in SIDES {
            self.give(side, Input::Shutdown);
            self.pass(s(600));
        }
        assert!(self.world.is_over());
        self.world.check();
        self.met
    }
}

fn look(world: &World, met: &mut Met) {
    for end in SIDES.into_iter().filter_map(|side| world.end(side)) {
        met.extend(Attachment::ALL.into_iter().filter(|what| end.tcp.has_attachment(*what)));
    }
}

fn config(algorithm: Algorithm, change: impl Fn(ConfigBuilder) -> ConfigBuilder) -> Config {
    let builder = Config::builder()
        .congestion(algorithm)
        .retries_max(100)
        .syn_retries_max(50)
        .syn_ack_retries_max(50);
    change(builder).build().expect("a right configuration")
}

fn loss(algorithm: Algorithm, sack: bool) -> Met {
    let config = config(algorithm, |c| c.sack(sack).pacing(true));
    let mut scene = Scene::new(Plan::new(&config, ROUGH));
    scene.talk(30_000, 30);
    scene.pass(s(3));
    scene.finish()
}

fn congestion_experienced(algorithm: Algorithm) -> Met {
    let config = config(algorithm, |c| c.ecn(EcnMode::Request));
    let weather = Weather { mark_ppm: 100_000, loss_ppm: 5_000, ..FINE };
    let mut scene = Scene::new(Plan::new(&config, weather));
    scene.talk(30_000, 15);
    scene.finish()
}

fn mtu_search(algorithm: Algorithm) -> Met {
    let config = config(algorithm, |c| c.mtu_probing(MtuProbing::Always));
    let mut scene = Scene::new(Plan::new(&config, Weather { payload_max: 1_200, ..FINE }));
    scene.talk(30_000, 30);
    scene.give(0, Input::Write(30_000));
    scene.give(0, Input::TooBig(900));
    scene.finish()
}

fn fast_open(algorithm: Algorithm) -> Met {
    let config = config(algorithm, |c| c);
    let mut scene = Scene::new(Plan { fast_open: true, ..Plan::new(&config, FINE) });
    scene.give(0, Input::Write(700));
    scene.pass(Duration::from_millis(11));
    scene.give(1, Input::Write(9_000));
    scene.talk(20_000, 2);
    scene.finish()
}

fn urgent_and_records(algorithm: Algorithm) -> Met {
    let mut scene = Scene::new(Plan::new(&config(algorithm, |c| c), ROUGH));
    for _ in 0..10 {
        for side in SIDES {
            scene.give(side, Input::Write(3_000));
            scene.give(side, Input::EndRecord);
            scene.give(side, Input::Write(900));
            scene.give(side, Input::EndRecord);
            scene.give(side, Input::Urgent);
            scene.give(side, Input::Write(20_000));
        }
        scene.pass(Duration::from_millis(70));
    }
    scene.finish()
}

/// The window stays closed, the path is dark for a while, the peer is silent, and everything comes back.
fn stalls(algorithm: Algorithm) -> Met {
    let keepalive = |c: ConfigBuilder| {
        c.keepalive(true).keepalive_idle(s(10)).keepalive_interval(s(2)).keepalive_probes(30)
    };
    let config = config(algorithm, |c| keepalive(c).user_timeout(s(600)));
    let mut scene = Scene::new(Plan::new(&config, FINE));
    scene.talk(3_000, 2);
    scene.give(1, Input::Reads(false));
    for _ in 0..4 {
        scene.give(0, Input::Write(30_000));
        scene.pass(s(3));
    }
    scene.give(0, Input::Urgent);
    scene.pass(s(3));
    scene.give(1, Input::Reads(true));
    scene.pass(s(5));
    scene.world.set_weather(DARK);
    scene.give(0, Input::Write(30_000));
    scene.pass(s(2));
    scene.give(0, Input::Icmp(IcmpError::Soft(EndReason::HostUnreachable)));
    scene.pass(s(2));
    scene.world.set_weather(ROUGH);
    scene.pass(s(30));
    scene.world.set_weather(DARK);
    scene.pass(s(15));
    scene.world.set_weather(FINE);
    scene.finish()
}

fn orphans(algorithm: Algorithm) -> Met {
    let mut scene = Scene::new(Plan::new(&config(algorithm, |c| c), ROUGH));
    scene.talk(5_000, 3);
    // What comes after a close is refused: all of it comes before.
    scene.pass(s(10));
    scene.give(0, Input::Close);
    scene.pass(s(1));
    scene.give(1, Input::Option(SocketOption::NoDelay(true)));
    scene.give(1, Input::Close);
    scene.finish()
}

#[test]
fn every_attachment_survives_a_restart_with_every_congestion_control() {
    for algorithm in Algorithm::ALL {
        let mut met = Met::new();
        met.extend(loss(algorithm, true));
        met.extend(loss(algorithm, false));
        met.extend(congestion_experienced(algorithm));
        met.extend(mtu_search(algorithm));
        met.extend(fast_open(algorithm));
        met.extend(urgent_and_records(algorithm));
        met.extend(stalls(algorithm));
        met.extend(orphans(algorithm));
        let missed: Vec<Attachment> =
            Attachment::ALL.into_iter().filter(|what| !met.contains(what)).collect();
        assert!(missed.is_empty(), "{algorithm:?}: {missed:?} was not met");
    }
}

/// Each side has filled the other's window when everything is lost for ten seconds. What each sends again then is old, and what it
/// acknowledges comes from the right edge.
#[test]
fn two_full_windows_that_are_lost_together_arrive() {
    let config = config(Algorithm::Cubic, |c| {
        let c = c.sack(false).window_scaling(false).pacing(true);
        c.mtu_probing(MtuProbing::Always)
    });
    let mut scene = Scene::new(Plan { fast_open: true, ring: 4_096, ..Plan::new(&config, FINE) });
    scene.give(0, Input::Write(1));
    scene.pass(Duration::from_millis(30));
    scene.give(1, Input::Write(4_096));
    scene.give(0, Input::Write(1_089));
    scene.world.set_weather(DARK);
    scene.pass(Duration::from_millis(11_210));
    scene.world.set_weather(FINE);
    scene.pass(Duration::from_millis(2_670));
    scene.give(0, Input::Write(4_030));
    scene.give(1, Input::Write(1_024));
    scene.finish();
}

/// Something that happens, for the mixture of all of it.
#[derive(Clone, Debug)]
enum Step {
    Write(u64),
    Urgent,
    EndRecord,
    Reads(bool),
    Option(SocketOption),
    Unreachable,
    TooBig(u16),
    Weather(Weather),
    Pass(u64),
}

fn weather() -> impl Strategy<Value = Weather> {
    let ppm = |most: u32| prop_oneof![Just(0), 0..most];
    let payload_max = prop_oneof![4 => Just(0), 1 => 600u32..1_440];
    let chances = (ppm(150_000), ppm(80_000), ppm(300_000), ppm(150_000), payload_max);
    let any = chances.prop_map(|(loss_ppm, duplicate_ppm, reorder_ppm, mark_ppm, payload_max)| {
        Weather { seed: 0, loss_ppm, duplicate_ppm, reorder_ppm, mark_ppm, payload_max }
    });
    prop_oneof![8 => any, 1 => Just(DARK), 2 => Just(FINE)]
}

fn option() -> impl Strategy<Value = SocketOption> {
    prop_oneof![
        any::<bool>().prop_map(SocketOption::NoDelay),
        any::<bool>().prop_map(SocketOption::Cork),
        any::<bool>().prop_map(SocketOption::KeepAlive),
        any::<i32>().prop_map(QuickAck::from_value).prop_map(SocketOption::QuickAck),
        (100_000u64..10_000_000).prop_map(SocketOption::MaxPacingRate),
        proptest::sample::select(Algorithm::ALL.to_vec()).prop_map(SocketOption::Congestion),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u64..20_000).prop_map(Step::Write),
        2 => Just(Step::Urgent),
        2 => Just(Step::EndRecord),
        2 => any::<bool>().prop_map(Step::Reads),
        2 => option().prop_map(Step::Option),
        1 => Just(Step::Unreachable),
        1 => (500u16..1_460).prop_map(Step::TooBig),
        1 => weather().prop_map(Step::Weather),
        8 => prop_oneof![0u64..60, 0u64..3_000].prop_map(Step::Pass),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let algorithm = proptest::sample::select(Algorithm::ALL.to_vec());
    let modes = (0u8..3, any::<[bool; 2]>(), 12u32..17);
    let weather = (any::<u64>(), weather());
    (algorithm, any::<[bool; 7]>(), modes, any::<[u32; 2]>(), weather).prop_map(
        |(algorithm, on, (probing, [gso, fast_open], ring), iss, (seed, weather))| {
            let [timestamps, sack, pacing, ecn, scaling, keepalive, nodelay] = on;
            let probing = MtuProbing::from_code(probing).expect("one of three");
            let config = config(algorithm, |c| {
                let c = c.timestamps(timestamps).sack(sack).pacing(pacing).nodelay(nodelay);
                let c = c.ecn(if ecn { EcnMode::Request } else { EcnMode::Off });
                let c = c.window_scaling(scaling).mtu_probing(probing).keepalive(keepalive);
                c.keepalive_idle(s(2)).keepalive_interval(s(1)).keepalive_probes(127)
            });
            let mut plan = Plan::new(&config, Weather { seed, ..weather });
            plan.limits.gso_bytes_max = if gso { 20_000 } else { 0 };
            Plan { iss, fast_open, ring: 1 << ring, ..plan }
        },
    )
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_restart_before_each_input_changes_nothing_whatever_is_going_on(
        plan in plan(),
        steps in proptest::collection::vec((0usize..2, step()), 1..120),
    ) {
        let mut scene = Scene::new(plan);
        for (side, step) in steps {
            match step {
                Step::Write(len) => scene.give(side, Input::Write(len)),
                Step::Urgent => scene.give(side, Input::Urgent),
                Step::EndRecord => scene.give(side, Input::EndRecord),
                Step::Reads(on) => scene.give(side, Input::Reads(on)),
                Step::Option(option) => scene.give(side, Input::Option(option)),
                // It would end what is only being opened.
                Step::Unreachable if scene.is_open(side) => {
                    scene.give(side, Input::Icmp(IcmpError::Soft(EndReason::HostUnreachable)));
                }
                Step::Unreachable => {}
                Step::TooBig(mss_ip) => scene.give(side, Input::TooBig(mss_ip)),
                Step::Weather(weather) => scene.world.set_weather(weather),
                Step::Pass(ms) => scene.pass(Duration::from_millis(ms)),
            }
        }
        scene.world.set_weather(FINE);
        SIDES.iter().for_each(|side| scene.give(*side, Input::Reads(true)));
        scene.finish();
    }
}
