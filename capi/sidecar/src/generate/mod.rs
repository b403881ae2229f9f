//! `causeway generate`: what a package needs besides the binary, made from what the binary itself says.

mod markdown;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

/// Write man pages and shell completions, for packagers.
///
/// Below the directory come man1 (a page for each command), man5 (the configuration) and completions (bash, zsh, fish).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway generate build/")]
pub struct Args {
    /// Where to; made if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const CONFIGURATION: &str = include_str!("../../../../docs/configuration.md");

/// Writes them all.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let directory = &args.directory;
    let made = |name: &str| -> anyhow::Result<PathBuf> {
        let below = directory.join(name);
        fs::create_dir_all(&below).with_context(|| format!("cannot make {}", below.display()))?;
        Ok(below)
    };
    let (commands, files, shells) = (made("man1")?, made("man5")?, made("completions")?);
    clap_mangen::generate_to(crate::Cli::command(), &commands)
        .with_context(|| cannot_write(&commands))?;
    let page = files.join("causeway.toml.5");
    let title = "configuration of the causeway daemon";
    let text = markdown::man_page("causeway.toml", title, CONFIGURATION);
    fs::write(&page, text).with_context(|| cannot_write(&page))?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut crate::Cli::command(), "causeway", &shells)
            .with_context(|| cannot_write(&shells))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
