//! Where a cell happens: two namespaces, the link between them, our daemon beside the kernel at one end.
//!
//! ```text
//!   this namespace                                            another
//!   daemon (host 1) -- tap0 --+
//!                             +-- br0 -- left == link == right -- kernel (host 2)
//!   kernel (host 3) ----------+
//! ```
//!
//! So both pairs, ours with the kernel and the kernel with itself, go through the same bridge and the same link.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::cell::{Cell, Family, Opener, Pattern};
use super::pattern::Outcome;
use crate::content::{bytes, sha256};
use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::process::{Running, command, finish, wait_for, wait_within};

/// For one conversation.
const PATIENCE: Duration = Duration::from_secs(240);

/// One way, where both ends are to be heard of while they are under way: longer than a process may be late.
const CLOSE_DELAY_US: u64 = 20_000;

/// Room for a kernel's FIN to be repeated. Where the acknowledgement that ends a handshake was lost, the kernel takes the time until the
/// next one brings the SYN,ACK's timestamp back for a round trip: of two thousand connections with 5 % loss some have a retransmission
/// timeout of half a minute at their end, which doubles where a FIN or its acknowledgement is lost.
const FINS_END: Duration = Duration::from_secs(300);

/// The physics of the link.
#[derive(Clone, Debug)]
pub struct Physics {
    /// Line rate in Mbit/s.
    pub rate_mbit: u64,
    /// One way, in microseconds.
    pub delay_us: u64,
    /// The drop-tail queue, in bytes.
    pub queue_bytes: u64,
    /// What the faults are drawn from.
    pub seed: u64,
}

impl Physics {
    /// The matrix's: fast enough for many cells, slow enough that the link and not the machine is what counts.
    pub const MATRIX: Self =
        Self { rate_mbit: 200, delay_us: 1_000, queue_bytes: 256 << 10, seed: 1 };
}

/// Who stands at our end of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Near {
    /// Our stack.
    Ours,
    /// The kernel, for comparison.
    Kernel,
}

/// A scene with everything running.
#[derive(Debug)]
pub struct Scene<'a> {
    lab: &'a Lab,
    cell: Cell,
    bytes: usize,
    daemon: Daemon,
    far: Running,
    link: Running,
    link_says: BufReader<ChildStdout>,
    link_runs_while: Option<ChildStdin>,
    next_port: u16,
}

impl<'a> Scene<'a> {
    /// Sets everything up. `bytes`: the length of a long stream.
    pub fn new(lab: &'a Lab, cell: Cell, physics: &Physics, bytes: usize) -> Result<Self> {
        let mut link = Running::start(&mut link_command(&cell, physics))?;
        let mut link_says = BufReader::new(link.child().stdout.take().context("a pipe")?);
        let link_runs_while = link.child().stdin.take();
        let mut line = String::new();
        link_says.read_line(&mut line)?;
        ensure!(line == "ready\n", "the link did not start: {line:?}");

        let far = Running::start(command("unshare").args([
            "--net",
            "setpriv",
            "--pdeathsig",
            "KILL",
            "--",
            "sleep",
            "infinity",
        ]))?;
        let ours = std::fs::read_link("/proc/self/ns/net")?;
        wait_for("the far namespace", || {
            let theirs = std::fs::read_link(format!("/proc/{}/ns/net", far.id())).ok()?;
            (theirs != ours).then_some(())
        })?;
        plug(lab, &cell, far.id())?;
        let daemon = Daemon::start(lab, "daemon", &configuration(&cell))?.ready()?;
        let next_port = 5_000;
        let scene =
            Self { lab, cell, bytes, daemon, far, link, link_says, link_runs_while, next_port };
        scene.await_addresses()?;
        Ok(scene)
    }

    /// Our address answers: an IPv6 one is looked for on the link for a second before it may be used (RFC 4862 §5.4).
    fn await_addresses(&self) -> Result<()> {
        let host = self.cell.family.host(1).to_string();
        wait_for("our address", || {
            let mut ping = self.far_command("ping".as_ref());
            finish(ping.args(["-n", "-c", "1", "-W", "1", &host])).ok()
        })?;
        Ok(())
    }

    /// Command: runs the cell's pattern between `near` and the far kernel.
    pub fn run(&mut self, near: Near) -> Result<Outcome> {
        let port = self.next_port;
        self.next_port += 1;
        let family = self.cell.family;
        let near_host = family.host(if near == Near::Ours { 1 } else { 3 });
        let listener = match self.cell.opener {
            Opener::We => SocketAddr::new(family.host(2), port),
            Opener::Kernel => SocketAddr::new(near_host, port),
        };
        let (mut near_peer, mut far_peer) = (self.near(near)?, self.far_command(&this_program()?));
        for (peer, stack) in [(&mut near_peer, near), (&mut far_peer, Near::Kernel)] {
            let congestion = self.cell.congestion.word();
            let stack = if stack == Near::Ours { "ours" } else { congestion };
            self.describe(peer, stack, listener);
        }
        let (mut listens, mut opens) = match self.cell.opener {
            Opener::We => (far_peer, near_peer),
            Opener::Kernel => (near_peer, far_peer),
        };
        listens.arg("--listen");
        self.converse(&mut listens, &mut opens).with_context(|| self.logs())
    }

    fn converse(&self, listens: &mut Command, opens: &mut Command) -> Result<Outcome> {
        for peer in [&mut *listens, &mut *opens] {
            peer.env("RUST_BACKTRACE", "0")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        }
        let mut listening = Running::start(listens)?;
        let mut says = BufReader::new(listening.child().stdout.take().context("a pipe")?);
        let mut line = String::new();
        says.read_line(&mut line)?;
        let failed = |output: &std::process::Output, who: &str| {
            format!("the {who}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
        };
        if line != "listening\n" {
            bail!("{}", failed(&listening.output()?, "listener"));
        }
        let opened = Running::start(opens)?.output_within(PATIENCE)?;
        // Killed with its pipes when the opener has failed: what it waits for will not come.
        ensure!(opened.status.success(), "{}", failed(&opened, "opener"));
        let mut rest = String::new();
        let listened = listening.output_within(PATIENCE)?;
        ensure!(listened.status.success(), "{}", failed(&listened, "listener"));
        says.read_to_string(&mut rest)?;
        let said = match self.cell.pattern {
            Pattern::Download => String::from_utf8_lossy(&opened.stdout).into_owned(),
            _ => rest,
        };
        let outcome = outcome(&said).with_context(|| format!("a peer's outcome: {said:?}"))?;
        if matches!(self.cell.pattern, Pattern::Upload | Pattern::Download) {
            self.compare()?;
        }
        Ok(outcome)
    }

    /// What was received has the digest of what was sent.
    fn compare(&self) -> Result<()> {
        let sent = sha256(&self.lab.path("sent"), &bytes(1, self.bytes))?;
        let file = self.lab.path("received");
        let got = sha256(&self.lab.path("got"), &std::fs::read(&file)?)?;
        ensure!(got == sent, "sha256 {got} instead of {sent}");
        Ok(std::fs::remove_file(file)?)
    }

    fn near(&self, near: Near) -> Result<Command> {
        Ok(match near {
            Near::Ours => self.daemon.application(this_program()?),
            Near::Kernel => command(this_program()?),
        })
    }

    fn describe(&self, peer: &mut Command, stack: &str, listener: SocketAddr) {
        peer.args(["peer", "--stack", stack, "--pattern", self.cell.pattern.word()]);
        peer.arg("--listener").arg(listener.to_string());
        peer.arg("--bytes").arg(self.bytes.to_string());
        peer.arg("--received").arg(self.lab.path("received"));
    }

    /// A command in the far namespace.
    fn far_command(&self, program: &std::path::Path) -> Command {
        let mut inside = command("nsenter");
        inside.arg(format!("--net=/proc/{}/ns/net", self.far.id())).arg("--").arg(program);
        inside
    }

    fn logs(&self) -> String {
        format!("{}\n{}", self.cell, self.daemon.log())
    }

    /// Command: takes everything down, and says what the link did. Fails when a socket is left, the kernel's or ours.
    pub fn close(mut self) -> Result<String> {
        let mut far_ss = self.far_command("ss".as_ref());
        // The far kernel's first: while its last FIN is repeated, the near one's end too.
        for ss in [&mut far_ss, &mut command("ss")] {
            ss.args(["--no-header", "--tcp", "--all", "--numeric"]);
            // Of one that is left at the end: its timer, and what is behind it.
            ss.args(["--options", "--info", "--oneline"]);
            let mut left = String::new();
            let none_left = wait_within(FINS_END, "the end of the kernel's sockets", || {
                left = String::from_utf8(finish(ss).ok()?.stdout).ok()?;
                // The one state in which nobody holds the socket any more (RFC 9293 §3.3.2).
                left.lines().all(|line| line.starts_with("TIME-WAIT")).then_some(())
            });
            none_left.with_context(|| format!("{left}\n{}", self.logs()))?;
        }
        // Our TIME-WAIT, and half a second for what a channel left behind.
        std::thread::sleep(Duration::from_millis(700));
        let pid = i32::try_from(self.daemon.running().id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a process id")?, Signal::TERM)?;
        wait_for("the daemon's end", || (!self.daemon.running().is_running()).then_some(()))?;
        let log = self.daemon.log();
        ensure!(log.contains("sockets_left=0 "), "our sockets are left:\n{log}");
        drop(self.link_runs_while.take());
        let mut summary = String::new();
        self.link_says.read_to_string(&mut summary)?;
        wait_for("the link's end", || (!self.link.is_running()).then_some(()))?;
        if self.cell.pattern == Pattern::SimultaneousClose {
            let both = both_through_closing(&summary);
            ensure!(both == Some(true), "nobody closed at the same moment:\n{summary}");
        }
        Ok(summary)
    }
}

fn this_program() -> Result<std::path::PathBuf> {
    std::env::current_exe().context("this program's path")
}

/// `BYTES SECONDS`, the last line.
fn outcome(said: &str) -> Option<Outcome> {
    let (bytes, seconds) = said.lines().last()?.split_once(' ')?;
    Some(Outcome { bytes: bytes.parse().ok()?, seconds: seconds.parse().ok()? })
}

/// Both sides went through CLOSING once at least, by what the link has seen.
fn both_through_closing(summary: &str) -> Option<bool> {
    let counts = summary.lines().last()?.strip_prefix("CLOSING: ")?;
    let mut counts = counts.split(", ").map(|count| count.split_once(' ').map(|(n, _)| n != "0"));
    Some(counts.next()?? && counts.next()??)
}

fn link_command(cell: &Cell, physics: &Physics) -> Command {
    let Physics { rate_mbit, delay_us, queue_bytes, seed } = physics;
    let delay_us = match cell.pattern {
        Pattern::SimultaneousClose => &CLOSE_DELAY_US,
        _ => delay_us,
    };
    let program = this_program().unwrap_or_default().with_file_name("interop-link");
    let mut link = command(program);
    link.arg(format!("--rate-mbit={rate_mbit}"))
        .arg(format!("--delay-us={delay_us}"))
        .arg(format!("--queue-bytes={queue_bytes}"))
        .arg(format!("--seed={seed}"))
        .arg(format!("--mtu={}", cell.mtu.bytes()))
        .args(cell.fault.arguments())
        .args((cell.pattern == Pattern::SimultaneousClose).then_some("--closings"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    link
}

/// Gives the link's devices and the bridge their places and addresses.
fn plug(lab: &Lab, cell: &Cell, far: u32) -> Result<()> {
    let (mtu, prefix_len) = (cell.mtu.bytes(), cell.family.prefix_len());
    let nodad = if cell.family == Family::V6 { " nodad" } else { "" };
    let mut near =
        format!("link set right netns {far}\nlink add br0 type bridge\ntuntap add tap0 mode tap\n");
    for device in ["tap0", "left"] {
        writeln!(near, "link set {device} mtu {mtu} master br0 up")?;
    }
    writeln!(near, "link set br0 mtu {mtu} up")?;
    writeln!(near, "address add {}/{prefix_len} dev br0{nodad}", cell.family.host(3))?;
    let far_end = format!(
        "link set lo up\nlink set right mtu {mtu} up\naddress add {}/{prefix_len} dev right{nodad}\n",
        cell.family.host(2)
    );
    let (near_file, far_file) = (lab.path("near.ip"), lab.path("far.ip"));
    std::fs::write(&near_file, near)?;
    std::fs::write(&far_file, far_end)?;
    let disable_ipv6 = i32::from(cell.family == Family::V4);
    // Figures of earlier connections would make later ones incomparable; two thousand begin at once.
    let script = "cd /proc/sys/net && echo 1 >ipv4/tcp_no_metrics_save && \
        echo 4096 >ipv4/tcp_max_syn_backlog && \
        { [ ! -d ipv6 ] || echo \"$1\" >ipv6/conf/default/disable_ipv6; } && exec ip -batch \"$0\"";
    let mut inside = command("nsenter");
    inside.arg(format!("--net=/proc/{far}/ns/net")).args(["--", "sh", "-c", script]);
    finish(command("sh").args(["-c", script]).arg(near_file).arg(disable_ipv6.to_string()))?;
    finish(inside.arg(far_file).arg(disable_ipv6.to_string()))?;
    Ok(())
}

fn configuration(cell: &Cell) -> String {
    let (mtu, host, prefix_len) = (cell.mtu.bytes(), cell.family.host(1), cell.family.prefix_len());
    let congestion = cell.congestion.word();
    // Two thousand connections need as many floors of receive memory; address space only.
    format!(
        "[[interface]]\nname = \"tap0\"\nbackend = \"tap\"\nmtu = {mtu}\n\
         addresses = [\"{host}/{prefix_len}\"]\n\n\
         [tcp]\ntime_wait_ms = 100\ncongestion = \"{congestion}\"\n\n\
         [channel]\nstreams_max = 4096\nrx_bytes = 134217728\ntx_bytes = 67108864\n"
    )
}
