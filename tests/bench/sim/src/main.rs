//! How fast the simulator is, with the smoltcp crate over the same link model beside it.
//!
//! Times are reported and gate nothing.

mod causeway;
mod counts;
mod figures;
mod rival;
mod seeds;

use std::time::{Duration, Instant};

use anyhow::Result;
use causeway_core::time::Duration as Virtual;
use causeway_sim::link::LinkConfig;
use causeway_sim::world::{World, WorldConfig};
use clap::Parser;

use self::figures::{Figure, Unit};

/// Streams from one host to another over one link.
#[derive(Clone, Copy, Debug)]
struct Load {
    flows: usize,
    /// Of each flow.
    bytes: u64,
    rate_bps: u64,
    /// Of each ring of a socket, and of each buffer of smoltcp's: more than what is on the way of a flow.
    ring_bytes: usize,
}

impl Load {
    /// One stream over a link that is no bottleneck.
    const ONE: Self =
        Self { flows: 1, bytes: 1 << 30, rate_bps: 100_000_000_000, ring_bytes: 256 << 10 };
    /// Many over one that is.
    const MANY: Self =
        Self { flows: 64, bytes: 8 << 20, rate_bps: 10_000_000_000, ring_bytes: 64 << 10 };

    fn link(self) -> LinkConfig {
        LinkConfig::cable(self.rate_bps, Virtual::from_micros(5))
    }

    fn world(self) -> World {
        let mut config = WorldConfig::new(1);
        // A loop that finds a burst of frames each time, as under load.
        config.poll_interval = Virtual::from_micros(5);
        World::new(config)
    }
}

/// Of the stream that every oracle watches.
const JUDGED_BYTES: u64 = 300_000_000;

/// Rounds of what is compared; the medians count.
const ROUNDS: usize = 3;

/// What was done in a round.
#[derive(Clone, Copy, Debug)]
struct Round {
    frames: u64,
    took: Duration,
}

impl Round {
    fn per_second(self) -> f64 {
        self.frames as f64 / self.took.as_secs_f64()
    }
}

/// Runs `work`, which returns the frames that arrived.
fn timed(work: impl FnOnce() -> u64) -> Round {
    let began = Instant::now();
    let frames = work();
    Round { frames, took: began.elapsed() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Frames that arrived anywhere in a world.
fn frames_of(world: &World) -> u64 {
    world.lanes().iter().map(|lane| lane.fault_counters().arrived).sum()
}

/// Frames a second of both stacks, interleaved, so that a machine that becomes slower is slower for both.
fn compare(load: Load) -> [f64; 2] {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed(|| causeway::streams(load)).per_second());
        theirs.push(timed(|| rival::streams(load)).per_second());
    }
    [median(ours), median(theirs)]
}

/// What can be asked for alone.
const IDS: [&str; 7] = ["S2", "S3", "S4", "S5", "S7", "S10", "R4"];

/// The figures of one goal.
fn measure(id: &'static str) -> Result<Vec<Figure>> {
    let one = |what, value, unit, goal| vec![Figure::new(id, what, value, unit, goal)];
    let both = |what, [ours, theirs]: [f64; 2], goal, ratio| {
        let times = Figure::new(id, "the same, times smoltcp's", ours / theirs, Unit::Ratio, ratio);
        vec![Figure::new(id, what, ours, Unit::Frames, goal), times]
    };
    Ok(match id {
        "S2" => both("one stream, checksums and O1", compare(Load::ONE), 2e6, 1.5),
        "S3" => {
            let rounds = (0..ROUNDS).map(|_| causeway::judged(JUDGED_BYTES).per_second());
            one("one stream, all oracles", median(rounds.collect()), Unit::Frames, 1e6)
        }
        "S4" => both("64 streams over a bottleneck", compare(Load::MANY), 1e6, 1.0),
        "S5" => one("an idle day of 100 hosts", seeds::idle_day(), Unit::Millis, 1.0),
        "S7" => one("seeds, all oracles, one core", seeds::per_hour(), Unit::Seeds, 1.5e6),
        "S10" => one("20,000 seeds on two cores", seeds::gate(), Unit::Seconds, 60.0),
        "R4" => one("the slowest regression case", seeds::slowest_case()?, Unit::Millis, 50.0),
        other => unreachable!("{other} is not among the goals"),
    })
}

#[derive(Parser)]
#[command(about = "The simulator's benchmark")]
struct Cli {
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
    /// Only what this goal asks for
    #[arg(long, value_name = "GOAL", value_parser = IDS)]
    only: Option<String>,
    /// Instructions under callgrind in place of times: they do not depend on what else the machine does
    #[arg(long, conflicts_with = "json")]
    instructions: bool,
    /// So much of `--only`'s work and nothing else; prints how many units were done. For `--instructions`
    #[arg(long, hide = true, requires = "only")]
    amount: Option<u64>,
}

fn main() -> Result<()> {
    let Cli { json, only, instructions, amount } = Cli::parse();
    if let (Some(id), Some(amount)) = (&only, amount) {
        println!("{}", counts::work(id, amount)?);
        return Ok(());
    }
    if instructions {
        return counts::print(only.as_deref());
    }
    let mut figures = Vec::new();
    if !json {
        println!("{}", Figure::head());
    }
    for id in IDS.into_iter().filter(|id| only.as_deref().is_none_or(|only| only == *id)) {
        for figure in measure(id)? {
            if !json {
                println!("{}", figure.line());
            }
            figures.push(figure);
        }
    }
    if json {
        println!("{}", figures::json(&figures));
    }
    Ok(())
}
