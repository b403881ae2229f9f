//! `causeway sim replay`.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use causeway_sim::capture;

use super::case::{build, quoted, read_bytes};

/// Play a capture of one host to our stack in its place, and compare what the two answer.
///
/// TCP only: what arrived at the host arrives at our stack, at the same times; what the host's programs sent, our stack sends. Exit status 1
/// if our stack breaks a rule or panics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway sim replay server.pcap --host 192.0.2.7")]
pub struct Args {
    /// The capture, pcap or pcapng
    #[arg(value_name = "CAPTURE")]
    file: PathBuf,
    /// The addresses of the host whose place our stack takes
    #[arg(long, value_name = "ADDRESS", required = true, value_delimiter = ',')]
    host: Vec<IpAddr>,
    /// Print what both did alike, too
    #[arg(long)]
    all: bool,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let name = args.file.display().to_string();
    let bytes = read_bytes(&args.file)?;
    let replayed = capture::replay(&name, &bytes, &args.host);
    let replayed = replayed.map_err(|error| anyhow!("{name}: {error}"))?;
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{}", replayed.report(args.all))?;
    if replayed.violation.is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    let hosts: Vec<String> = args.host.iter().map(ToString::to_string).collect();
    writeln!(stdout, "{}", build())?;
    writeln!(
        stdout,
        "again: causeway sim replay {} --host {}",
        quoted(&args.file),
        hosts.join(",")
    )?;
    Ok(ExitCode::FAILURE)
}
