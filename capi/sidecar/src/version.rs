//! `causeway version`.

use std::io::Write;
use std::process::ExitCode;

/// The version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from; `unknown` where nobody could say.
pub const COMMIT: &str = env!("CAUSEWAY_COMMIT");

/// Prints what a bug report needs.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "causeway {VERSION}")?;
    writeln!(out, "commit   {COMMIT}")?;
    writeln!(out, "channel  {}.{}", causeway_channel::MAJOR, causeway_channel::MINOR)?;
    writeln!(out, "layout   {:016x}", causeway_channel::LAYOUT_HASH)?;
    writeln!(out, "platform {}-{}", std::env::consts::ARCH, std::env::consts::OS)?;
    Ok(ExitCode::SUCCESS)
}
