//! One daemon on a TAP, the kernel at the other end of it, and IPv6 between them: the kernel's neighbour discovery and
//! duplicate address detection against ours.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use causeway_interop::content::{bytes, difference};
use causeway_interop::daemon::Daemon;
use causeway_interop::lab::Lab;
use causeway_interop::process::{Running, command, finish, sh, wait_for};

const TRANSFER_BYTES: usize = 16 << 20;
const OURS: &str = "fd00:1::5";
const KERNELS: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);

/// A daemon that owns fd00:1::5 on tap0; the kernel's end is fd00:1::1.
fn network(lab: &Lab) -> Result<Daemon> {
    let config = format!(
        "[[interface]]\nname = \"tap0\"\nbackend = \"tap\"\naddresses = [\"10.0.1.5/24\", \"{OURS}/64\"]\n"
    );
    let daemon = Daemon::start(lab, "daemon", &config)?.ready()?;
    // The socket may be there before the device. The lab switches IPv6 off on new ones.
    wait_for("the daemon's device", || {
        std::fs::write("/proc/sys/net/ipv6/conf/tap0/disable_ipv6", "0").ok()
    })
    .with_context(|| daemon.log())?;
    sh("ip link set tap0 up")?;
    sh(&format!("ip -6 address add {KERNELS}/64 dev tap0 nodad"))?;
    Ok(daemon)
}

/// Until our address has been asked for without an answer.
fn until_in_use(daemon: &Daemon) -> Result<()> {
    wait_for("the first echo reply", || sh(&format!("ping -6 -n -c 1 -W 1 {OURS}")).ok())
        .with_context(|| daemon.log())
        .map(drop)
}

#[test]
fn the_kernel_pings_us_over_ipv6() {
    Lab::run(|lab| {
        let daemon = network(lab)?;
        until_in_use(&daemon)?;
        let said = sh(&format!("ping -6 -n -c 3 -i 0.2 -W 5 -s 1400 {OURS}"))?;
        ensure!(said.contains(" 0% packet loss"), "{said}");
        // Longer than the link carries: in pieces, both ways.
        let said = sh(&format!("ping -6 -n -c 1 -W 5 -s 4000 {OURS}"))?;
        ensure!(said.contains("4008 bytes from"), "{said}");
        // What the kernel has learned of us.
        let said = sh("ip -6 neighbour show dev tap0")?;
        ensure!(said.contains(OURS) && said.contains("02:00:0a:00:01:05"), "{said}");
        Ok(())
    });
}

#[test]
fn we_ping_the_kernel_over_ipv6() {
    Lab::run(|lab| {
        let daemon = network(lab)?;
        until_in_use(&daemon)?;
        let mut ping = daemon.application(&lab.artifacts.causeway);
        ping.args(["ping", "--count", "3", &KERNELS.to_string()]);
        finish(&mut ping).with_context(|| daemon.log())?;
        let mut ping = daemon.application(&lab.artifacts.causeway);
        ping.args(["ping", "--count", "1", "--size", "65507", &KERNELS.to_string()]);
        let output = finish(&mut ping).with_context(|| daemon.log())?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.contains("65515 bytes from"), "{said}");
        Ok(())
    });
}

#[test]
fn the_kernel_refuses_an_address_that_is_ours() {
    Lab::run(|lab| {
        let daemon = network(lab)?;
        until_in_use(&daemon)?;
        sh(&format!("ip -6 address add {OURS}/64 dev tap0"))?;
        wait_for("the kernel's verdict", || {
            sh("ip -6 address show dev tap0 dadfailed").ok().filter(|shown| shown.contains(OURS))
        })
        .with_context(|| daemon.log())?;
        Ok(())
    });
}

#[test]
fn the_kernel_fetches_16_mib_from_us_over_ipv6() {
    Lab::run(|lab| {
        let daemon = network(lab)?;
        until_in_use(&daemon)?;
        let body = bytes(3, TRANSFER_BYTES);
        let file = lab.path("response");
        let mut response =
            format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        response.extend_from_slice(&body);
        std::fs::write(&file, response)?;
        let log = lab.path("nc.log");
        let mut nc = daemon.application(&lab.artifacts.causeway);
        nc.args(["nc", "--listen", OURS, "8080"]);
        nc.stdin(std::fs::File::open(&file)?)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?);
        let server = Running::start(&mut nc)?;
        wait_for("the server's socket", || {
            let said = std::fs::read_to_string(&log).ok()?;
            said.contains("listening on [fd00:1::5]:8080").then_some(())
        })?;
        let got = lab.path("got");
        let mut curl = command("curl");
        curl.args(["--silent", "--show-error", "--fail", "--http1.0", "--max-time", "50"]);
        curl.arg("--output").arg(&got).arg("http://[fd00:1::5]:8080/");
        finish(&mut curl).with_context(|| daemon.log())?;
        ensure!(server.output()?.status.success(), "the server failed\n{}", daemon.log());
        match difference(&std::fs::read(&got)?, &body) {
            Some(difference) => anyhow::bail!("{difference}"),
            None => Ok(()),
        }
    });
}

#[test]
fn we_fetch_16_mib_from_the_kernel_over_ipv6() {
    Lab::run(|lab| {
        let daemon = network(lab)?;
        until_in_use(&daemon)?;
        let body = bytes(4, TRANSFER_BYTES);
        let listener = TcpListener::bind(SocketAddr::from((KERNELS, 8081)))?;
        let sent = body.clone();
        let server = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut peer, _) = listener.accept()?;
            let mut request = [0; 5];
            peer.read_exact(&mut request)?;
            peer.write_all(&sent)
        });
        let mut nc = daemon.application(&lab.artifacts.causeway);
        nc.args(["nc", &KERNELS.to_string(), "8081"]);
        nc.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut nc = Running::start(&mut nc)?;
        nc.child().stdin.take().context("a pipe")?.write_all(b"give\n")?;
        let output = nc.output().with_context(|| daemon.log())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "the client: {said}\n{}", daemon.log());
        server.join().ok().context("the kernel's side panicked")??;
        match difference(&output.stdout, &body) {
            Some(difference) => anyhow::bail!("{difference}"),
            None => Ok(()),
        }
    });
}
