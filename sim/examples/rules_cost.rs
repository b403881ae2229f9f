//! What reading a frame and judging it by the rules of the wire costs: the frames of a bulk stream, judged again and again.
//!
//! `cargo run --profile sim -p causeway-sim --example rules_cost [loss in ppm]`

#[allow(dead_code, reason = "one of its loads is enough here")]
#[path = "../tests/rules/world.rs"]
mod world;

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use causeway_core::time::{Duration, Instant};
use causeway_sim::fault::{FaultProfile, FaultSource};
use causeway_sim::link::LinkConfig;
use causeway_sim::packet::Packet;
use causeway_sim::rules::WireRules;
use causeway_sim::tap::{Delivery, DirectionId, Fate, Tap};
use world::{Case, Load, build, rules};

/// A frame that passed a NIC: when, whose, whether it was sent.
type Passed = (Instant, usize, bool, Vec<u8>);

#[derive(Clone, Default)]
struct Keep(Rc<RefCell<Vec<Passed>>>);

impl Tap for Keep {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], _: Fate<'_>) {
        self.0.borrow_mut().push((at, direction.0, true, frame.to_vec()));
    }

    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        _: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        if delivery == Delivery::Received {
            self.0.borrow_mut().push((at, 1 - direction.0, false, frame.to_vec()));
        }
    }
}

/// Frames that are brought into the cache before they are judged, as they are where they come from a simulation.
const WARM: usize = 32;

/// The time of `work` on each frame, the best of several rounds; `begin` makes what it works with.
fn nanoseconds<S>(
    name: &str,
    frames: &[Passed],
    begin: impl Fn() -> S,
    mut work: impl FnMut(&mut S, &Passed),
) {
    let mut best = f64::MAX;
    for _ in 0..15 {
        let mut state = begin();
        let mut taken = std::time::Duration::ZERO;
        for chunk in frames.chunks(WARM) {
            for (_, _, _, frame) in chunk {
                black_box(frame.iter().map(|byte| u64::from(*byte)).sum::<u64>());
            }
            let started = std::time::Instant::now();
            for passed in chunk {
                work(&mut state, black_box(passed));
            }
            taken += started.elapsed();
        }
        best = best.min(taken.as_nanos() as f64 / frames.len() as f64);
    }
    println!("{name:<34} {best:7.1} ns a frame");
}

fn main() -> anyhow::Result<()> {
    let loss_ppm = std::env::args().nth(1).map_or(Ok(0), |text| text.parse())?;
    let profile = FaultProfile::builder().loss_ppm(loss_ppm).build()?;
    let case = Case {
        load: Load::Stream(16 << 20),
        link: LinkConfig::cable(10_000_000_000, Duration::from_micros(20)),
        faults: FaultSource::Drawn(profile.into()),
        v6: false,
        meddling: None,
        tcp: |tcp| tcp,
    };
    let mut world = build(1, &case);
    let keep = Keep::default();
    world.add_tap(Box::new(keep.clone()));
    world.run()?;
    let frames = keep.0.borrow();
    let count = frames.len();
    println!("{count} frames, {loss_ppm} ppm lost");
    nanoseconds(
        "parse",
        &frames,
        || (),
        |(), (_, _, _, frame)| {
            black_box(Packet::parse(frame)).ok();
        },
    );
    nanoseconds(
        "parse and checksums",
        &frames,
        || (),
        |(), (_, _, _, frame)| {
            black_box(Packet::parse(frame).map(|packet| packet.checksums())).ok();
        },
    );
    let begin = || WireRules::new(rules(&case));
    nanoseconds("parse, checksums and rules", &frames, begin, |rules, (at, host, sent, frame)| {
        let Ok(packet) = Packet::parse(frame) else { return };
        if *sent {
            rules.sent(*at, *host, &packet);
        } else {
            rules.received(*at, *host, &packet);
        }
        assert!(rules.violations().is_empty(), "{:?}", rules.violations());
    });
    Ok(())
}
