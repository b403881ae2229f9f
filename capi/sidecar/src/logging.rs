//! Logs go to stderr; stdout belongs to what was asked for.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::EnvFilter;

/// Command: from now on messages down to `level` are written; `CAUSEWAY_LOG` overrides it.
pub fn init(level: Level) {
    let filter = std::env::var("CAUSEWAY_LOG").ok().filter(|text| !text.is_empty());
    let chosen = filter.as_ref().map(|text| text.parse::<EnvFilter>());
    let (filter, wrong) = match chosen {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(level.as_str()), Some(error)),
        None => (EnvFilter::new(level.as_str()), None),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // It fails when logging was set up before only; then it is.
    let _ = subscriber.try_init();
    if let Some(error) = wrong {
        tracing::warn!(%error, "CAUSEWAY_LOG is no filter");
    }
}
