//! Both legs, one after the other, and the files.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causeway_core::time::Duration;

use super::figures::{LegReport, evaluate};
use super::leg::{LegSpec, MessageSpec, StreamSpec};
use crate::fault::{FaultProfile, FaultSource};
use crate::guest::Release;
use crate::hash::RollingHash;
use crate::link::LinkConfig;
use crate::report::{FrameLog, LegPage, Page, Recorder};
use crate::trace::{CaptureSide, PcapngTap};

/// Bytes of each frame that the capture keeps: every header, and some payload.
const SNAP_BYTES: u32 = 128;
/// Events between two reports of progress.
const EVENTS_PER_REPORT: u64 = 20_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// What everything random is drawn from.
    pub seed: u64,
    /// Where `demo.pcapng` and `demo.html` go; nothing is written when `None`.
    pub out_dir: Option<PathBuf>,
    /// Bytes of each TCP stream.
    pub stream_bytes: u64,
    /// Whether the C programs run: `Some` with `machnet::release_env`, from an executable that exports the
    /// `machnet_*` functions (`-rdynamic`), so that the loader finds them.
    pub programs: Option<Release>,
}

impl DemoOptions {
    /// The whole demo: 64 MiB, C programs, files in `out_dir`.
    pub fn new(seed: u64, out_dir: impl Into<PathBuf>, release: Release) -> Self {
        let out_dir = Some(out_dir.into());
        Self { seed, out_dir, stream_bytes: 64 << 20, programs: Some(release) }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The leg that runs.
    pub leg: &'a str,
    /// Bytes of all streams that were received.
    pub done_bytes: u64,
    /// Of so many.
    pub all_bytes: u64,
}

/// What came out. Its `Display` is the table, without a last newline.
#[derive(Clone, Debug)]
pub struct DemoReport {
    /// The seed.
    pub seed: u64,
    /// In the order in which they ran.
    pub legs: Vec<LegReport>,
    /// The rolling hashes of both worlds in one.
    pub state_hash: u64,
    /// What was written.
    pub files: Vec<PathBuf>,
}

fn legs(options: &DemoOptions) -> anyhow::Result<Vec<LegSpec>> {
    let profile = FaultProfile::builder()
        .loss_ppm(5_000)
        .reorder_ppm(10_000)
        .duplicate_ppm(2_000)
        .corrupt_ppm(1_000)
        .reorder_delay_max(Duration::from_micros(500))
        .build()?;
    let stream = StreamSpec { port: 31_700, flow: 100, bytes: options.stream_bytes };
    let messages = options.programs.map_or_else(Vec::new, |release| {
        vec![
            MessageSpec { port: 31_701, flow: 200, ahead: 1, release },
            MessageSpec { port: 31_702, flow: 300, ahead: 2, release },
        ]
    });
    Ok(vec![
        LegSpec {
            name: "lossy link".to_owned(),
            about: "1 Gbit/s, 1 ms each way; 0.5 % of frames lost, 1 % held back by up to 0.5 ms, 0.2 % duplicated, 0.1 % with one bit flipped"
                .to_owned(),
            link: LinkConfig::cable(1_000_000_000, Duration::from_millis(1)),
            faults: FaultSource::Drawn(profile.into()),
            tx_ring: 512,
            streams: vec![stream],
            messages,
        },
        LegSpec {
            name: "clean link".to_owned(),
            about: "10 Gbit/s, 20 us each way; no faults".to_owned(),
            link: LinkConfig::cable(10_000_000_000, Duration::from_micros(20)),
            faults: FaultSource::clean(),
            tx_ring: 256,
            streams: vec![stream],
            messages: Vec::new(),
        },
    ])
}

/// Command: runs the demo. `progress` is called now and then.
///
/// # Errors
/// A byte was wrong, a program failed or could not finish, or a file cannot be written. The text names the seed.
pub fn run(
    options: &DemoOptions,
    mut progress: impl FnMut(Progress<'_>),
) -> anyhow::Result<DemoReport> {
    run_legs(options, &mut progress).with_context(|| {
        format!("the run failed; `causeway demo --seed {}` repeats it", options.seed)
    })
}

fn run_legs(
    options: &DemoOptions,
    progress: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<DemoReport> {
    let mut hash = RollingHash::new(options.seed);
    let (mut reports, mut pages, mut files) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(dir) = &options.out_dir {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    for (index, spec) in legs(options)?.iter().enumerate() {
        // The capture is of the leg where something happens.
        let capture = options.out_dir.as_ref().filter(|_| index == 0);
        let capture = capture.map(|dir| dir.join("demo.pcapng"));
        let (report, page) = run_leg(spec, options.seed, capture.as_deref(), progress)?;
        hash.word(report.state_hash);
        files.extend(capture);
        reports.push(report);
        pages.push(page);
    }
    let state_hash = hash.value();
    if let Some(dir) = &options.out_dir {
        let page = Page {
            title: "Causeway demo".to_owned(),
            subtitle: format!(
                "seed {} · state hash {state_hash:016x} · causeway {}",
                options.seed,
                env!("CARGO_PKG_VERSION")
            ),
            verdict: None,
            legs: pages,
        };
        let file = dir.join("demo.html");
        fs::write(&file, page.render())
            .with_context(|| format!("cannot write {}", file.display()))?;
        files.push(file);
    }
    Ok(DemoReport { seed: options.seed, legs: reports, state_hash, files })
}

fn run_leg(
    spec: &LegSpec,
    seed: u64,
    capture: Option<&Path>,
    progress: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<(LegReport, LegPage)> {
    let mut leg = spec.build(seed)?;
    let recorder = Recorder::default();
    leg.world.add_tap(Box::new(recorder.clone()));
    let capture = match capture {
        Some(path) => {
            let file =
                File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            let about = format!("causeway demo, seed {seed}, {}: {}", spec.name, spec.about);
            let tap = PcapngTap::new(BufWriter::new(file), &about, sides(spec), SNAP_BYTES)?;
            leg.world.add_tap(Box::new(tap.clone()));
            Some(tap)
        }
        None => None,
    };
    let all_bytes = spec.streams.iter().map(|stream| stream.bytes).sum();
    let started = std::time::Instant::now();
    while !leg.world.run_some(EVENTS_PER_REPORT)? {
        let last = |log: &super::stream::Received| {
            let log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            log.last().map_or(0, |&(_, bytes)| bytes)
        };
        let done_bytes = leg.received.iter().map(last).sum();
        progress(Progress { leg: &spec.name, done_bytes, all_bytes });
    }
    let wall = started.elapsed();
    tracing::debug!(stats = ?leg.world.stats(), ?wall, "{} is over", spec.name);
    if let Some(capture) = capture {
        capture.finish(&leg.world.executed_plan()).context("the capture")?;
    }
    let recording = recorder.take();
    let report = evaluate(spec, &leg, &recording, wall)?;
    let page = LegPage {
        name: spec.name.clone(),
        about: spec.about.clone(),
        figures: report.figures.clone(),
        directions: leg.world.lanes().iter().map(|lane| lane.name().to_owned()).collect(),
        recording,
        nodes: Vec::new(),
        ends: Vec::new(),
        frames: FrameLog::default(),
        spans: Vec::new(),
    };
    Ok((report, page))
}

fn sides(spec: &LegSpec) -> Vec<CaptureSide> {
    let side = |from: &str, to: &str| CaptureSide {
        name: format!("{from}->{to}"),
        from: from.to_owned(),
        to: to.to_owned(),
        rate_bps: spec.link.rate_bps,
    };
    vec![side("a", "b"), side("b", "a")]
}
