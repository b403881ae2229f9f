//! `causeway serve`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use causeway_server::config::LogFormat;
use causeway_server::config::reload::{Document, KeyChange, Reload};
use causeway_server::confine;
use causeway_server::daemon::Daemon;
use causeway_server::supervisor::Supervisor;
use rustix::event::{PollFd, PollFlags, poll};

use crate::logging::{self, Logging};
use crate::signals;

/// Run the daemon: own the configured interfaces and serve applications on the control socket.
///
/// It stays in the foreground and logs to stderr. SIGINT or SIGTERM ends it: connections are reset, the socket file is
/// removed. SIGHUP makes it read the configuration again. Works as an ordinary user; only creating a TAP device takes
/// CAP_NET_ADMIN, and using a device of the kernel's (backend "packet") CAP_NET_RAW, which root has, or anybody inside
/// `unshare -Urn`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    causeway serve --config causeway.toml\n\n\
    Every key of the file is described in docs/configuration.md.")]
pub struct Args {
    /// The configuration, a TOML file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration as `causeway config check` does, and exit
    #[arg(long)]
    check: bool,
}

/// Serves until a signal comes or the engine fails.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let document = Document::load(&args.config)?;
    if args.check {
        return Ok(ExitCode::SUCCESS);
    }
    let logging = {
        let daemon = document.config().daemon();
        let json = daemon.log_format() == LogFormat::Json;
        logging::init(daemon.log().as_tracing(), json)?
    };
    let supervisor = Supervisor::from_env()?;
    let stop = signals::stop_stream().context("cannot watch for signals")?;
    let again = signals::reload_stream().context("cannot watch for signals")?;
    let daemon = Daemon::start_under(document.config(), &supervisor)?;
    confine::process(document.config())?;
    supervisor.ready();
    let mut service = Service { file: &args.config, document, logging, daemon: &daemon };
    let ended = loop {
        let mut fds = [
            PollFd::new(&stop, PollFlags::IN),
            PollFd::from_borrowed_fd(daemon.ended(), PollFlags::IN),
            PollFd::new(&again, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(cause) => return Err(cause).context("cannot wait for signals"),
        }
        let [stopped, ended, reload] = fds.map(|fd| !fd.revents().is_empty());
        if stopped || ended {
            break ended;
        }
        if reload {
            signals::drain(&again);
            supervisor.reloading();
            service.reload();
            supervisor.ready();
        }
    };
    supervisor.stopping();
    daemon.stop();
    if ended {
        bail!("an engine stopped by itself; its last messages say why");
    }
    Ok(ExitCode::SUCCESS)
}

/// A daemon and what it was told.
struct Service<'a> {
    file: &'a Path,
    /// What runs.
    document: Document,
    logging: Logging,
    daemon: &'a Daemon,
}

impl Service<'_> {
    /// Takes over what can change of the file as it is now; all of it or, where the file has a fault, nothing.
    fn reload(&mut self) {
        let read = Document::load(self.file).and_then(|new| self.document.reload(&new));
        let Reload { document, live, restart } = match read {
            Ok(reload) => reload,
            Err(fault) => {
                tracing::error!(%fault, "nothing is changed: the configuration cannot be used");
                return;
            }
        };
        let level = document.config().daemon().log().as_tracing();
        if let Err(cause) = self.logging.set(level) {
            tracing::warn!(%cause, "daemon.log is not changed");
        }
        self.daemon.change(document.config());
        self.document = document;
        let (changed, kept) = (live.len(), restart.len());
        for KeyChange { key, from, to } in live {
            let [from, to] = [from, to].map(or_default);
            tracing::info!(key, from, to, "changed");
        }
        for KeyChange { key, from, to } in restart {
            let [from, to] = [from, to].map(or_default);
            tracing::warn!(key, from, to, "needs a restart");
        }
        tracing::info!(changed, needs_restart = kept, "the configuration was read again");
    }
}

fn or_default(value: Option<String>) -> String {
    value.unwrap_or_else(|| "(not given)".to_owned())
}
