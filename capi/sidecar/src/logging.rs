//! Logs go to stderr; stdout belongs to what was asked for.

use std::ffi::OsStr;
use std::io::IsTerminal;

use anyhow::Context;
use tracing::Level;
use tracing_subscriber::EnvFilter;

/// Command: from now on messages down to `level` are written; `CAUSEWAY_LOG` overrides it. Errors: that is no filter.
pub fn init(level: Level) -> anyhow::Result<()> {
    let filter = match std::env::var_os("CAUSEWAY_LOG").filter(|text| !text.is_empty()) {
        Some(text) => filter(&text).context(
            "CAUSEWAY_LOG is no filter: give error, warn, info, debug, trace, or one like causeway_server=debug",
        )?,
        None => EnvFilter::new(level.as_str()),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // It fails when logging was set up before only; then it is.
    let _ = subscriber.try_init();
    Ok(())
}

fn filter(text: &OsStr) -> anyhow::Result<EnvFilter> {
    let text = text.to_str().context("it is not UTF-8")?;
    // One line, whatever is in the text.
    text.parse().map_err(|error| anyhow::anyhow!("{text:?}: {error}"))
}
