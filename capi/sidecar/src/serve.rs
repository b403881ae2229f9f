//! `causeway serve`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use causeway_server::config::Config;
use causeway_server::daemon::Daemon;
use rustix::event::{PollFd, PollFlags, poll};

use crate::{logging, signals};

/// Run the daemon: own the configured interfaces and serve applications on the control socket.
///
/// It stays in the foreground and logs to stderr. SIGINT or SIGTERM ends it: connections are reset, the socket file is
/// removed. Works as an ordinary user; only creating a TAP device takes CAP_NET_ADMIN, and using a device of the
/// kernel's (backend "packet") CAP_NET_RAW, which root has, or anybody inside `unshare -Urn`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    causeway serve --config causeway.toml\n\n\
    Every key of the file is described in docs/configuration.md.")]
pub struct Args {
    /// The configuration, a TOML file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration, print nothing if it is good, and exit
    #[arg(long)]
    check: bool,
}

/// Serves until a signal comes or the engine fails.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config)?;
    if args.check {
        return Ok(ExitCode::SUCCESS);
    }
    logging::init(config.daemon().log().as_tracing())?;
    let stop = signals::stop_stream().context("cannot watch for signals")?;
    let daemon = Daemon::start(&config)?;
    let ended = {
        let mut fds = [
            PollFd::new(&stop, PollFlags::IN),
            PollFd::from_borrowed_fd(daemon.ended(), PollFlags::IN),
        ];
        loop {
            match poll(&mut fds, None) {
                Ok(_) => break !fds[1].revents().is_empty(),
                Err(rustix::io::Errno::INTR) => {}
                Err(cause) => return Err(cause).context("cannot wait for signals"),
            }
        }
    };
    daemon.stop();
    if ended {
        bail!("an engine stopped by itself; its last messages say why");
    }
    Ok(ExitCode::SUCCESS)
}
