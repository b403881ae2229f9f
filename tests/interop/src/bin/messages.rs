//! `messages`: round trips of messages between two hosts on this machine, beside the kernel's.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use causeway_interop::artifacts::Artifacts;
use causeway_interop::lab::{Lab, enclosed};
use causeway_interop::messages::{CARRIERS, Load, measure};
use clap::Parser;
use serde_json::{Map, Value};

const LOADS: [Load; 9] = [
    (64, 1, 1),
    (64, 8, 1),
    (64, 32, 1),
    (1024, 1, 1),
    (1024, 8, 1),
    (1024, 32, 1),
    (1024, 1, 64),
    (1024, 8, 64),
    (1024, 32, 64),
];
/// Of which 1 % is lost each way.
const LOSSY: [Load; 2] = [(64, 32, 1), (1024, 32, 1)];
/// Seconds for which nothing is done, to see what that costs.
const IDLE_S: u32 = 5;

#[derive(Debug, Parser)]
#[command(name = "messages", about = "Messages between two hosts, beside the kernel's")]
struct Cli {
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Inside the namespaces
    #[arg(long, hide = true)]
    inside: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if cli.inside {
        let seconds = cli.seconds.to_string();
        println!("{}", measure(&Lab::around_us()?, (&LOADS, &LOSSY), &seconds, IDLE_S)?);
        return Ok(());
    }
    let beside = std::env::current_exe()?.with_file_name("causeway");
    ensure!(beside.exists(), "{} is not built", beside.display());
    let artifacts = Artifacts { causeway: beside, programs: PathBuf::from("/") };
    let seconds = cli.seconds.to_string();
    let runs = (LOADS.len() * CARRIERS.len() + LOSSY.len()) as u32;
    let patience = Duration::from_secs(u64::from(runs * (cli.seconds + 2) + IDLE_S + 60));
    let output = enclosed(&artifacts, &["--inside", "--seconds", &seconds], patience)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "in its namespaces: {}\n{said}", output.status);
    let figures: Map<String, Value> = serde_json::from_slice(&output.stdout)?;
    if cli.json {
        println!("{}", Value::Object(figures));
    } else {
        print(&figures);
    }
    Ok(())
}

fn print(figures: &Map<String, Value>) {
    println!(
        "{:<24} {:>12} {:>10} {:>10} {:>10}",
        "round trips", "messages/s", "p50 us", "p99 us", "p99.9 us"
    );
    for (key, figure) in figures {
        let number = |name: &str| figure[name].as_f64();
        if let (Some(rate), Some(p50), Some(p99), Some(p999)) =
            (number("msgs_per_s"), number("p50_us"), number("p99_us"), number("p999_us"))
        {
            println!("{key:<24} {rate:>12.0} {p50:>10.1} {p99:>10.1} {p999:>10.1}");
        }
    }
    if let Some(idle) = figures.get("idle_cpu_percent") {
        println!("idle daemon and application: {idle} % of a processor");
    }
}
