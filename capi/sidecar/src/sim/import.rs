//! `causeway sim import`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use causeway_sim::capture::{self, Input};

use super::case::{build, quoted, read_bytes, with_comments};

/// Make a case of a capture that was taken at both ends of the same traffic: one file of each host, pcap or pcapng.
///
/// What the network did to TCP segments and to UDP datagrams, Machnet's among them, between the two is done to those of our run that are the
/// same by their place in the streams and conversations. Prints the case, or writes it to a file and prints what was found.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  causeway sim import client.pcap server.pcap --out found.case\n  \
    causeway sim run found.case"
)]
pub struct Args {
    /// The captures; or one, that has two interfaces
    #[arg(value_name = "CAPTURE", required = true, num_args = 1..=2)]
    files: Vec<PathBuf>,
    /// Write the case here instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let files = args.files.iter().map(|path| Ok((quoted(path), read_bytes(path)?)));
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    let inputs: Vec<Input<'_>> = files.iter().map(|(name, bytes)| Input { name, bytes }).collect();
    if let [a, b] = inputs.as_slice()
        && a.bytes == b.bytes
    {
        bail!("{} and {} are the same capture; give one of each host", a.name, b.name);
    }
    let imported = capture::import(&inputs)?;
    let text = with_comments(&imported.case, &[build()]);
    let mut stdout = std::io::stdout().lock();
    match &args.out {
        Some(path) => {
            let written = std::fs::write(path, text);
            written.with_context(|| format!("{}: cannot be written", path.display()))?;
            writeln!(stdout, "{imported}")?;
        }
        None => {
            write!(stdout, "{text}")?;
            eprintln!("{imported}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
