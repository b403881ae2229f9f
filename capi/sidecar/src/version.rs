//! `causeway version`.

use std::io::Write;
use std::process::ExitCode;

/// The version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints what a bug report needs.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "causeway {VERSION}")?;
    writeln!(out, "channel  {}.{}", causeway_channel::MAJOR, causeway_channel::MINOR)?;
    writeln!(out, "layout   {:016x}", causeway_channel::LAYOUT_HASH)?;
    writeln!(out, "platform {}-{}", std::env::consts::ARCH, std::env::consts::OS)?;
    Ok(ExitCode::SUCCESS)
}
