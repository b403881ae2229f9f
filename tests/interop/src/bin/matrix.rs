//! `matrix`: runs cells of the interop matrix, each in namespaces of its own; and the peers inside them.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use causeway_client::Channel;
use causeway_interop::artifacts::Artifacts;
use causeway_interop::lab::{Lab, enclosed};
use causeway_interop::matrix::cell::{Cell, Congestion, Family, Fault, Mtu, Opener, Pattern};
use causeway_interop::matrix::conn::Stack;
use causeway_interop::matrix::cover::pairwise;
use causeway_interop::matrix::pattern::{Outcome, Task};
use causeway_interop::matrix::scene::{Near, Physics, Scene};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "matrix", about = "Our stack against the Linux kernel, cell by cell")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Few cells in which every two values of different dimensions meet
    Pairwise {
        /// Chooses which
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Every cell
    All {
        #[command(flatten)]
        run: RunArgs,
    },
    /// The cells with these names
    Cells {
        names: Vec<String>,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Goodput over 50 Mbit/s, 20 ms and 1 % loss beside the kernel's over the same link, medians of five
    Goodput {
        /// Bytes of each transfer
        #[arg(long, default_value_t = 8 << 20)]
        bytes: usize,
        /// Transfers of each pair
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// What the losses are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
        /// Fail where we reach less than 0.9 times what the kernel reaches
        #[arg(long)]
        gate: bool,
    },
    /// One cell, inside its namespaces
    #[command(hide = true)]
    Inside { name: String, bytes: usize, runs: usize },
    /// One transfer of `goodput`, inside its namespaces
    #[command(hide = true)]
    InsideGoodput { name: String, bytes: usize, seed: u64, near: String },
    /// One side of a conversation
    #[command(hide = true)]
    Peer(PeerArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Cells at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Bytes of a long stream
    #[arg(long, default_value_t = 1 << 20)]
    bytes: usize,
    /// Times that each pair sends its long stream, in turns; the medians are printed
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// A directory that remembers which cells have passed; they are not run again
    #[arg(long)]
    resume: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct PeerArgs {
    /// `ours`, or the kernel with this congestion control
    #[arg(long)]
    stack: String,
    #[arg(long)]
    pattern: String,
    #[arg(long)]
    listener: SocketAddr,
    #[arg(long)]
    bytes: usize,
    #[arg(long)]
    received: PathBuf,
    #[arg(long)]
    listen: bool,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Pairwise { seed, run } => {
            let all = every_cell()?;
            let chosen = pairwise(&all, seed);
            println!("{} of {} cells, seed {seed}", chosen.len(), all.len());
            perform(&chosen, &run)
        }
        Command::All { run } => perform(&every_cell()?, &run),
        Command::Cells { names, run } => {
            let cell = |name: &String| Cell::parse(name).with_context(|| format!("no cell {name}"));
            perform(&names.iter().map(cell).collect::<Result<Vec<_>>>()?, &run)
        }
        Command::Goodput { bytes, runs, seed, json, gate } => {
            goodput(bytes, runs, seed, json, gate)
        }
        Command::Inside { name, bytes, runs } => inside(&name, bytes, runs),
        Command::InsideGoodput { name, bytes, seed, near } => {
            inside_goodput(&name, bytes, seed, &near)
        }
        Command::Peer(args) => peer(&args),
    }
}

/// For one enclosed run. Thousands of handshakes over a bad link, with a second for the first repetition and twice as long for
/// each further one, take their time.
const PATIENCE: Duration = Duration::from_secs(900);

/// Every cell. A kernel without one of the congestion controls cannot be measured against, and that is no success.
fn every_cell() -> Result<Vec<Cell>> {
    for congestion in Congestion::ALL {
        let word = congestion.word();
        ensure!(
            kernel_has(word)? || (load_module(word) && kernel_has(word)?),
            "this kernel has no congestion control `{word}`: load its module (modprobe tcp_{word})"
        );
    }
    Ok(Cell::all(Family::ALL, Congestion::ALL))
}

fn kernel_has(congestion: &str) -> Result<bool> {
    let available = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")?;
    Ok(available.split_whitespace().any(|word| word == congestion))
}

fn load_module(congestion: &str) -> bool {
    let loaded = std::process::Command::new("modprobe").arg(format!("tcp_{congestion}")).status();
    loaded.is_ok_and(|status| status.success())
}

/// The daemon and the link are built beside this program.
fn artifacts() -> Result<Artifacts> {
    let here = std::env::current_exe()?;
    let directory = here.parent().context("a program is in a directory")?;
    for name in ["causeway", "interop-link"] {
        ensure!(
            directory.join(name).is_file(),
            "{} is missing beside {}: build it with the same profile",
            name,
            here.display()
        );
    }
    Ok(Artifacts { causeway: directory.join("causeway"), programs: directory.to_owned() })
}

fn perform(cells: &[Cell], run: &RunArgs) -> Result<()> {
    let artifacts = artifacts()?;
    if let Some(directory) = &run.resume {
        std::fs::create_dir_all(directory)?;
    }
    // The longest first: they wait for repeated handshakes, and others can run meanwhile.
    let (long, short): (Vec<Cell>, Vec<Cell>) =
        cells.iter().partition(|cell| cell.pattern == Pattern::Many);
    let waiting: Mutex<VecDeque<Cell>> = Mutex::new(long.into_iter().chain(short).collect());
    let counts = Mutex::new((0, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..run.jobs.max(1) {
            scope.spawn(|| {
                // The lock is given back before the cell runs: it would be held in the head of the loop.
                let next = || waiting.lock().expect("no job panics").pop_front();
                while let Some(cell) = next() {
                    let outcome = once(&artifacts, &cell, run);
                    let mut counts = counts.lock().expect("no job panics");
                    match outcome {
                        Ok(line) => {
                            println!("{line}");
                            counts.0 += 1;
                        }
                        Err(error) => {
                            println!("{cell}: FAILED\n{error:#}");
                            counts.1.push(cell.to_string());
                        }
                    }
                }
            });
        }
    });
    let (passed, failed) = counts.into_inner().expect("no job panicked");
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {} failed; 0 ignored", failed.len());
    ensure!(failed.is_empty(), "failed: {}", failed.join(" "));
    Ok(())
}

/// One cell, unless it has passed before. Returns what to print.
fn once(artifacts: &Artifacts, cell: &Cell, run: &RunArgs) -> Result<String> {
    let name = cell.to_string();
    let record = run.resume.as_ref().map(|directory| directory.join(&name));
    if let Some(line) = record.as_ref().and_then(|record| std::fs::read_to_string(record).ok()) {
        return Ok(format!("{} (before)", line.trim_end()));
    }
    let began = Instant::now();
    let (bytes, runs) = (run.bytes.to_string(), run.runs.to_string());
    let said = enclose(artifacts, &["inside", &name, &bytes, &runs])?;
    let line = format!("{name:<46} {:>5.1} s  {}", began.elapsed().as_secs_f64(), said.trim_end());
    if let Some(record) = record {
        write_whole(&record, &line)?;
    }
    Ok(line)
}

/// A record is there whole or not at all, whenever this program is killed.
fn write_whole(record: &Path, line: &str) -> Result<()> {
    let half = record.with_extension("new");
    std::fs::write(&half, line)?;
    Ok(std::fs::rename(half, record)?)
}

fn enclose(artifacts: &Artifacts, arguments: &[&str]) -> Result<String> {
    let output = enclosed(artifacts, arguments, PATIENCE)?;
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    Ok(stdout.into_owned())
}

fn mbit_per_second(outcome: &Outcome) -> f64 {
    outcome.bytes as f64 * 8.0 / 1e6 / outcome.seconds.max(1e-9)
}

fn inside(name: &str, bytes: usize, runs: usize) -> Result<()> {
    let cell = Cell::parse(name).context("the name of a cell")?;
    let lab = Lab::around_us()?;
    let mut scene =
        Scene::new(&lab, cell, &Physics { seed: seed_of(name), ..Physics::MATRIX }, bytes)?;
    if matches!(cell.pattern, Pattern::Upload | Pattern::Download) {
        let (mut ours, mut kernel) = (Vec::new(), Vec::new());
        for _ in 0..runs.max(1) {
            ours.push(mbit_per_second(&scene.run(Near::Ours)?));
            kernel.push(mbit_per_second(&scene.run(Near::Kernel)?));
        }
        print!("{:.1} Mbit/s, kernel to kernel {:.1}", median(&ours), median(&kernel));
    } else {
        scene.run(Near::Ours)?;
    }
    let link = scene.close()?;
    if let Some(closings) =
        link.lines().last().filter(|_| cell.pattern == Pattern::SimultaneousClose)
    {
        print!("{closings}");
    }
    println!();
    Ok(())
}

/// Each cell has faults of its own, the same each time: FNV-1a of its name.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A path of 20 ms there and back, and room for twice what it holds in front of it.
const ACCEPT: Physics = Physics { rate_mbit: 50, delay_us: 10_000, queue_bytes: 250_000, seed: 1 };

/// Of the kernel's goodput on that path, with 1 % of all packets lost.
const GOODPUT_RATIO_MIN: f64 = 0.9;

/// The words of [`Near`].
const NEAR: [(&str, Near); 2] = [("ours", Near::Ours), ("kernel", Near::Kernel)];

/// Prints the goodput of one transfer.
fn inside_goodput(name: &str, bytes: usize, seed: u64, near: &str) -> Result<()> {
    let cell = Cell::parse(name).context("the name of a cell")?;
    let (_, near) = NEAR.into_iter().find(|(word, _)| *word == near).context("ours or kernel")?;
    let lab = Lab::around_us()?;
    let mut scene = Scene::new(&lab, cell, &Physics { seed, ..ACCEPT }, bytes)?;
    println!("{}", mbit_per_second(&scene.run(near)?));
    scene.close()?;
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn goodput(bytes: usize, runs: usize, seed: u64, json: bool, gate: bool) -> Result<()> {
    ensure!(runs > 0, "at least one run");
    let artifacts = artifacts()?;
    let mut rows = Vec::new();
    for (pattern, what) in [(Pattern::Upload, "we send"), (Pattern::Download, "the kernel sends")] {
        let cell = Cell {
            family: Family::V4,
            pattern,
            opener: Opener::We,
            fault: Fault::Loss1,
            mtu: Mtu::Ethernet,
            congestion: Congestion::Cubic,
        };
        let (mut ours, mut kernel) = (Vec::new(), Vec::new());
        for run in 0..runs as u64 {
            // In turns, and each pair of runs with the losses of the same seed.
            for (word, near) in NEAR {
                let (bytes, seed) = (bytes.to_string(), (seed + run).to_string());
                let name = cell.to_string();
                let said = enclose(&artifacts, &["inside-goodput", &name, &bytes, &seed, word])?;
                let value = said.trim().parse().with_context(|| format!("no figure: {said:?}"))?;
                if near == Near::Ours { ours.push(value) } else { kernel.push(value) }
            }
        }
        let ratio = median(&ours) / median(&kernel);
        ensure!(
            !gate || ratio >= GOODPUT_RATIO_MIN,
            "{what}: {ratio:.2} of the kernel's goodput, at least {GOODPUT_RATIO_MIN} is demanded"
        );
        if !json {
            println!(
                "{what:<16}: {:>6.2} Mbit/s, kernel to kernel {:>6.2}, ratio {ratio:.2}   {ours:.2?} {kernel:.2?}",
                median(&ours),
                median(&kernel)
            );
        }
        rows.push(format!(
            "{{\"what\":\"{what}\",\"ours_mbit_s\":{:.3},\"kernel_mbit_s\":{:.3},\"ratio\":{ratio:.3}}}",
            median(&ours),
            median(&kernel)
        ));
    }
    if json {
        println!(
            "{{\"path\":\"50 Mbit/s, 20 ms, 1 % loss\",\"runs\":{runs},\"bytes\":{bytes},\"rows\":[{}]}}",
            rows.join(",")
        );
    }
    Ok(())
}

fn peer(args: &PeerArgs) -> Result<()> {
    let stack = match args.stack.as_str() {
        "ours" => Stack::Ours(Channel::attach()?),
        congestion => Stack::Kernel(congestion.to_owned()),
    };
    let Some(pattern) = Pattern::from_word(&args.pattern) else { bail!("no such pattern") };
    let task = Task {
        pattern,
        listener: args.listener,
        bytes: args.bytes,
        received: Some(args.received.clone()),
    };
    let outcome = if args.listen {
        task.listen(&stack, || {
            println!("listening");
            // Whoever starts the other side waits for it.
            let _ = std::io::stdout().flush();
        })?
    } else {
        task.open(&stack)?
    };
    println!("{} {}", outcome.bytes, outcome.seconds);
    Ok(())
}
