//! `causeway doctor`.

mod devices;
mod host;
mod links;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use causeway_server::config::Config;
use serde::Serialize;

/// Look for what keeps a daemon from working well here: the configuration, privileges, devices, limits.
///
/// Nothing is changed and no daemon is needed. Each finding that is not good comes with what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 a daemon would work, 1 something is wrong.\n\n\
    Example:\n  causeway doctor --config /etc/causeway/causeway.toml")]
pub struct Args {
    /// The configuration that a daemon would get; without it, only what is the same for all is looked at
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Good,
    /// It works, and could be better, or it cannot be seen from here.
    Note,
    /// It does not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    /// What was looked at, in a word.
    check: &'static str,
    /// How it is.
    found: String,
    /// What to do; nothing where all is well.
    remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Good, check, found: found.into(), remedy: None }
    }

    fn note(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (found, remedy) = (found.into(), Some(remedy.into()));
        Self { level: Level::Note, check, found, remedy }
    }

    fn wrong(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Wrong, ..Self::note(check, found, remedy) }
    }
}

/// Looks and tells.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let findings = look(args.config.as_deref());
    let worst = findings.iter().map(|finding| finding.level).max();
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        let document = serde_json::json!({ "findings": findings });
        serde_json::to_writer_pretty(&mut out, &document)?;
        writeln!(out)?;
    } else {
        for Finding { level, check, found, remedy } in &findings {
            let level = match level {
                Level::Good => "good ",
                Level::Note => "note ",
                Level::Wrong => "WRONG",
            };
            writeln!(out, "{level}  {check}: {found}")?;
            if let Some(remedy) = remedy {
                writeln!(out, "       -> {remedy}")?;
            }
        }
    }
    out.flush()?;
    Ok(if worst == Some(Level::Wrong) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn look(path: Option<&Path>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let config = path.and_then(|path| match Config::load(path) {
        Ok(config) => {
            let found = format!("{} has no fault", path.display());
            findings.push(Finding::good("configuration", found));
            Some(config)
        }
        Err(fault) => {
            let remedy = "correct it; docs/configuration.md has every key";
            findings.push(Finding::wrong("configuration", fault.to_string(), remedy));
            None
        }
    });
    host::look(config.as_ref(), &mut findings);
    devices::look(config.as_ref(), &mut findings);
    findings
}
