//! Programs that die with the test, and do not outlive it when it is killed.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A command whose process gets SIGKILL when the thread that started it is gone (`PR_SET_PDEATHSIG`).
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs a command line (words apart by spaces) to its end; failure carries what it printed.
pub fn sh(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command")?;
    let output = finish(command(program).args(words))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command to its end within [`PATIENCE`]; failure carries what it printed.
pub fn finish(command: &mut Command) -> Result<Output> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn();
    let child = child.with_context(|| format!("starting {command:?}"))?;
    let output = Running { child, what: format!("{command:?}") }.output()?;
    if !output.status.success() {
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{command:?}: {}\n{out}\n{err}", output.status);
    }
    Ok(output)
}

/// A program that runs; killed when this value is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    what: String,
}

impl Running {
    /// Command: starts it.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child, what: format!("{command:?}") })
    }

    /// Getter: its process id, the one that the test's own process namespace knows.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Getter: the process with its pipes.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Getter: true while it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Output: waits for its end, at most [`PATIENCE`], while both of its pipes are read.
    pub fn output(self) -> Result<Output> {
        self.output_within(PATIENCE)
    }

    /// Output: the same, with another patience.
    pub fn output_within(mut self, patience: Duration) -> Result<Output> {
        let stdout = drain(self.child.stdout.take());
        let stderr = drain(self.child.stderr.take());
        let give_up = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > give_up {
                // Its pipes close with it, so the readers end.
                self.child.kill()?;
                self.child.wait()?;
                let said = String::from_utf8_lossy(&joined(stderr)?).into_owned();
                bail!("{} did not end within {patience:?}\n{said}", self.what);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ok(Output { status, stdout: joined(stdout)?, stderr: joined(stderr)? })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Reader = std::thread::JoinHandle<std::io::Result<Vec<u8>>>;

fn drain(pipe: Option<impl Read + Send + 'static>) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })
}

fn joined(reader: Reader) -> Result<Vec<u8>> {
    match reader.join() {
        Ok(bytes) => Ok(bytes?),
        Err(_) => bail!("the thread that reads a pipe panicked"),
    }
}

/// Polls `probe` until it gives a value, at most [`PATIENCE`].
pub fn wait_for<T>(what: &str, probe: impl FnMut() -> Option<T>) -> Result<T> {
    wait_within(PATIENCE, what, probe)
}

/// As [`wait_for`], at most `patience`.
pub fn wait_within<T>(
    patience: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T> {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() > give_up {
            bail!("{what}: not within {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
