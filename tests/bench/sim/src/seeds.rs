//! Whole cases: drawn seeds, regression cases, and hosts that do nothing.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use causeway_core::time::{Duration, Instant as Moment};
use causeway_sim::fault::FaultSource;
use causeway_sim::link::LinkConfig;
use causeway_sim::relay::Switch;
use causeway_sim::swarm::{Campaign, Cases, Results, draw};
use causeway_sim::trial::{Case, Trial};
use causeway_sim::world::{End, World, WorldConfig};

use super::{causeway, median};

/// Hosts of the idle day.
const HOSTS: u8 = 100;
const DAY: Duration = Duration::from_secs(86_400);

/// Milliseconds that a day of hosts which know each other and have nothing to say takes.
pub fn idle_day() -> f64 {
    let mut world = World::new(WorldConfig::new(1));
    let switch = world.add_relay("s", Box::new(Switch::new(usize::from(HOSTS))));
    for octet in 1..=HOSTS {
        let (host, nic) = causeway::host(octet, 1 << 12);
        let host = world.add_host(&format!("h{octet}"), Box::new(host), Arc::default());
        let ends = [End::Nic { host, nic }, End::Relay(switch)];
        let names = [format!("h{octet}->s"), format!("s->h{octet}")];
        let link = LinkConfig::cable(1_000_000_000, Duration::from_micros(50));
        world.connect_ends(ends, names, [link; 2], [&FaultSource::clean(); 2]);
    }
    // They announce their addresses first.
    let mut now = Moment::ZERO + Duration::from_secs(60);
    world.run_until(now).expect("there is no guest to fail");
    let days = (0..3).map(|_| {
        now += DAY;
        let began = Instant::now();
        world.run_until(now).expect("there is no guest to fail");
        began.elapsed().as_secs_f64() * 1e3
    });
    median(days.collect())
}

fn campaign(seeds: Range<u64>, jobs: usize) -> Results {
    let campaign = Campaign {
        cases: Cases::Drawn(draw),
        seeds,
        shard: (0, 1),
        done: 0,
        jobs,
        time: None,
        failures_max: 1,
        twice: false,
    };
    let results = campaign.run(|_| ControlFlow::Continue(()));
    assert!(results.failures.is_empty(), "{:?}", results.failures);
    results
}

/// Runs so many drawn seeds, one after the other. Nothing in it reads a clock: under valgrind there is no page of
/// the kernel's to read it from.
///
/// # Errors
/// A seed cannot be run, or fails.
pub fn run(count: u64) -> Result<()> {
    for seed in 0..count {
        let outcome = Trial::new("case", &draw(seed))?.run(Vec::new())?;
        ensure!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
    }
    Ok(())
}

/// Seeds in an hour of one core.
pub fn per_hour() -> f64 {
    let results = campaign(0..4_000, 1);
    results.seeds as f64 / results.cpu_seconds * 3_600.0
}

/// Seconds for the seeds of the gate on two cores.
pub fn gate() -> f64 {
    let began = Instant::now();
    campaign(0..20_000, 2);
    began.elapsed().as_secs_f64()
}

/// Milliseconds of the regression case that takes longest, from its text to its verdict.
///
/// # Errors
/// A case cannot be read or run, or fails.
pub fn slowest_case() -> Result<f64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../regressions");
    let mut slowest: f64 = 0.0;
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "plan") {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let began = Instant::now();
        let case: Case = text.parse().with_context(|| path.display().to_string())?;
        let outcome = Trial::new("case", &case)?.run(Vec::new())?;
        slowest = slowest.max(began.elapsed().as_secs_f64() * 1e3);
        ensure!(outcome.violation.is_none(), "{}: {:?}", path.display(), outcome.violation);
    }
    Ok(slowest)
}
