//! `causeway serve`, started and stopped.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::process::{Running, command, wait_for};

/// A running daemon; killed when this value is dropped.
#[derive(Debug)]
pub struct Daemon {
    running: Running,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts a daemon called `name` in the lab's namespace. `config` is everything after `[daemon]`.
    pub fn start(lab: &Lab, name: &str, config: &str) -> Result<Self> {
        let mut serve = command(&lab.artifacts.causeway);
        Self::spawn(lab, name, config, |path| {
            serve.arg("serve").arg("--config").arg(path);
            serve
        })
    }

    /// Starts a daemon with a command of the caller's making, which is given the path of the configuration.
    pub fn spawn(
        lab: &Lab,
        name: &str,
        config: &str,
        make: impl FnOnce(&Path) -> Command,
    ) -> Result<Self> {
        let socket = lab.path(&format!("{name}.sock"));
        let file = lab.path(&format!("{name}.toml"));
        let log = lab.path(&format!("{name}.log"));
        std::fs::write(&file, format!("[daemon]\nsocket = {socket:?}\n\n{config}"))?;
        let mut serve = make(&file);
        serve.stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
        Ok(Self { running: Running::start(&mut serve)?, socket, log })
    }

    /// Command: waits until applications can attach.
    pub fn ready(mut self) -> Result<Self> {
        let outcome = wait_for("the daemon's socket", || {
            if !self.running.is_running() {
                return Some(false);
            }
            let metadata = std::fs::metadata(&self.socket).ok()?;
            metadata.file_type().is_socket().then_some(true)
        });
        match outcome {
            Ok(true) => Ok(self),
            Ok(false) => bail!("the daemon ended:\n{}", self.log()),
            Err(e) => Err(e).context(self.log()),
        }
    }

    /// Getter: its process.
    pub const fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Getter: all that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Output: a command that runs `program` as an application of this daemon.
    pub fn application(&self, program: impl AsRef<Path>) -> Command {
        let mut application = command(program.as_ref());
        application.env("CAUSEWAY_SOCKET", &self.socket);
        application
    }
}
