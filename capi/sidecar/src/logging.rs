//! Logs go to stderr; stdout belongs to what was asked for.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use anyhow::Context;
use tracing::Level;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::{EnvFilter, fmt};

use crate::json_log::Style;

type Subscriber = fmt::Formatter<fmt::format::DefaultFields, Style, fn() -> io::Stderr>;

/// What is written, to be changed later.
pub struct Logging {
    level: Level,
    /// `None` where `CAUSEWAY_LOG` says it.
    filter: Option<Handle<EnvFilter, Subscriber>>,
}

impl Logging {
    /// Command: messages down to `level` from now on. Errors: that is another level than before, and `CAUSEWAY_LOG` overrides it.
    pub fn set(&mut self, level: Level) -> anyhow::Result<()> {
        if level == self.level {
            return Ok(());
        }
        let filter = self.filter.as_ref().context("CAUSEWAY_LOG overrides it")?;
        filter.reload(EnvFilter::new(level.as_str()))?;
        self.level = level;
        Ok(())
    }
}

/// Command: from now on messages down to `level` are written, as JSON or as text; `CAUSEWAY_LOG` overrides the level. Errors: that
/// is no filter.
pub fn init(level: Level, json: bool) -> anyhow::Result<Logging> {
    let given = match std::env::var_os("CAUSEWAY_LOG").filter(|text| !text.is_empty()) {
        Some(text) => Some(filter(&text).context(
            "CAUSEWAY_LOG is no filter: give error, warn, info, debug, trace, or one like causeway_server=debug",
        )?),
        None => None,
    };
    let overridden = given.is_some();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::stderr as fn() -> io::Stderr)
        .with_ansi(io::stderr().is_terminal())
        .event_format(if json { Style::Json } else { Style::Text(fmt::format()) })
        .with_env_filter(given.unwrap_or_else(|| EnvFilter::new(level.as_str())))
        .with_filter_reloading();
    let handle = subscriber.reload_handle();
    // It fails when logging was set up before only; then it is.
    let _ = subscriber.try_init();
    Ok(Logging { level, filter: (!overridden).then_some(handle) })
}

fn filter(text: &OsStr) -> anyhow::Result<EnvFilter> {
    let text = text.to_str().context("it is not UTF-8")?;
    // One line, whatever is in the text.
    text.parse().map_err(|error| anyhow::anyhow!("{text:?}: {error}"))
}
