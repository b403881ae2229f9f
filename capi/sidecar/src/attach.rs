//! How the tools reach the daemon.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use causeway_client::{Channel, Env, OsEnv};

/// The option that all tools share.
#[derive(Debug, clap::Args)]
pub struct Daemon {
    /// Control socket of the daemon [default: CAUSEWAY_SOCKET, else $XDG_RUNTIME_DIR/causeway/causeway.sock,
    /// else /run/causeway/causeway.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Daemon {
    /// Command: a channel to it.
    pub fn attach(&self) -> anyhow::Result<Channel> {
        let env: Arc<dyn Env> = match &self.socket {
            Some(path) => Arc::new(OsEnv::with_socket(path)),
            None => Arc::new(OsEnv::new()),
        };
        Channel::attach_in(env).context("start one with `causeway serve --config FILE`")
    }
}
