//! One daemon on a TAP, the kernel at the other end of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use causeway_interop::content::{bytes, difference, sha256};
use causeway_interop::daemon::Daemon;
use causeway_interop::lab::Lab;
use causeway_interop::process::{Running, command, finish, sh, wait_for};

const TRANSFER_BYTES: usize = 64 << 20;

/// 1 % loss and reordering in both directions.
const FAULTS: &str = "\n[interface.fault]\nseed = 7\nloss_ppm = 10000\nreorder_ppm = 10000\n";

/// A daemon that owns 10.0.1.5 on tap0; the kernel's end is 10.0.1.1.
fn network(lab: &Lab, faults: &str) -> Result<Daemon> {
    let config = format!(
        "[[interface]]\nname = \"tap0\"\nbackend = \"tap\"\naddresses = [\"10.0.1.5/24\"]\n{faults}"
    );
    let daemon = Daemon::start(lab, "daemon", &config)?.ready()?;
    // The socket may be there before the device.
    wait_for("the daemon's device", || sh("ip address add 10.0.1.1/24 dev tap0").ok())
        .with_context(|| daemon.log())?;
    sh("ip link set tap0 up")?;
    Ok(daemon)
}

/// `causeway nc` that serves one connection on port 8080 with an HTTP/1.0 response.
fn http_server(lab: &Lab, daemon: &Daemon, body: &[u8]) -> Result<Running> {
    let file = lab.path("response");
    let mut response = format!(
        "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body);
    std::fs::write(&file, response)?;
    let mut nc = daemon.application(&lab.artifacts.causeway);
    nc.args(["nc", "--listen", "10.0.1.5", "8080"]);
    let log = lab.path("nc.log");
    nc.stdin(std::fs::File::open(&file)?)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log)?);
    let nc = Running::start(&mut nc)?;
    wait_for("the server's socket", || {
        let said = std::fs::read_to_string(&log).ok()?;
        said.contains("listening on 10.0.1.5:8080").then_some(())
    })?;
    Ok(nc)
}

/// One of the kernel's counters in this namespace, such as `Tcp:` `RetransSegs`.
fn kernel_counter(protocol: &str, name: &str) -> Result<u64> {
    for file in ["/proc/self/net/snmp", "/proc/self/net/netstat"] {
        let text = std::fs::read_to_string(file)?;
        let mut lines = text.lines().filter(|line| line.starts_with(protocol));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else { continue };
        let mut columns = names.split_whitespace().zip(values.split_whitespace());
        if let Some((_, value)) = columns.find(|(column, _)| *column == name) {
            return Ok(value.parse()?);
        }
    }
    anyhow::bail!("the kernel has no counter {protocol} {name}")
}

/// Equal byte by byte, and by a digest that none of our code has computed.
fn same(lab: &Lab, got: &[u8], expected: &[u8]) -> Result<()> {
    if let Some(difference) = difference(got, expected) {
        anyhow::bail!("{difference}");
    }
    let (ours, theirs) =
        (sha256(&lab.path("got.bytes"), got)?, sha256(&lab.path("sent"), expected)?);
    ensure!(ours == theirs, "sha256 {ours} instead of {theirs}");
    Ok(())
}

fn kernel_fetches(lab: &Lab, faults: &str) -> Result<()> {
    let daemon = network(lab, faults)?;
    let body = bytes(1, TRANSFER_BYTES);
    let server = http_server(lab, &daemon, &body)?;
    let got = lab.path("got");
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--http1.0", "--max-time", "50"]);
    curl.arg("--output").arg(&got).arg("http://10.0.1.5:8080/");
    finish(&mut curl).with_context(|| daemon.log())?;
    ensure!(server.output()?.status.success(), "the server failed\n{}", daemon.log());
    same(lab, &std::fs::read(&got)?, &body)
}

fn we_fetch(lab: &Lab, faults: &str) -> Result<()> {
    let daemon = network(lab, faults)?;
    let body = bytes(2, TRANSFER_BYTES);
    let listener = TcpListener::bind(SocketAddr::from(([10, 0, 1, 1], 8081)))?;
    let sent = body.clone();
    // The kernel's own TCP, driven by std::net.
    let server = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
        let (mut peer, _) = listener.accept()?;
        let mut request = [0; 5];
        peer.read_exact(&mut request)?;
        peer.write_all(&sent)?;
        Ok(request.to_vec())
    });
    let mut nc = daemon.application(&lab.artifacts.causeway);
    nc.args(["nc", "10.0.1.1", "8081"]);
    nc.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut nc = Running::start(&mut nc)?;
    nc.child().stdin.take().context("a pipe")?.write_all(b"give\n")?;
    let output = nc.output().with_context(|| daemon.log())?;
    ensure!(
        output.status.success(),
        "the client: {}\n{}",
        String::from_utf8_lossy(&output.stderr),
        daemon.log()
    );
    let request = server.join().ok().context("the kernel's side panicked")??;
    ensure!(request == b"give\n", "what we sent arrived as {request:?}");
    same(lab, &output.stdout, &body)
}

#[test]
fn the_kernel_pings_us() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        let said = sh("ping -n -c 3 -i 0.2 -W 5 10.0.1.5").with_context(|| daemon.log())?;
        ensure!(said.contains(" 0% packet loss"), "{said}");
        // A payload longer than any that fits by accident, and the neighbour entry that ARP made.
        let said = sh("ping -n -c 1 -W 5 -s 1400 10.0.1.5").with_context(|| daemon.log())?;
        ensure!(said.contains("1408 bytes from 10.0.1.5"), "{said}");
        Ok(())
    });
}

#[test]
fn we_ping_the_kernel() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        let mut ping = daemon.application(&lab.artifacts.causeway);
        ping.args(["ping", "--count", "3", "10.0.1.1"]);
        finish(&mut ping).with_context(|| daemon.log())?;
        Ok(())
    });
}

#[test]
fn we_ping_the_kernel_with_all_that_a_datagram_holds() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        // The first of them has to find the kernel's station, and waits for it whole.
        let mut ping = daemon.application(&lab.artifacts.causeway);
        ping.args(["ping", "--count", "2", "--interval", "0.1", "--size", "65507", "10.0.1.1"]);
        let output = finish(&mut ping).with_context(|| daemon.log())?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.matches("65515 bytes from 10.0.1.1").count() == 2, "{said}");
        Ok(())
    });
}

#[test]
fn the_kernel_fetches_64_mib_from_us() {
    Lab::run(|lab| kernel_fetches(lab, ""));
}

#[test]
fn we_fetch_64_mib_from_the_kernel() {
    Lab::run(|lab| we_fetch(lab, ""));
}

#[test]
fn the_kernel_fetches_64_mib_from_us_despite_loss_and_reordering() {
    Lab::run(|lab| {
        kernel_fetches(lab, FAULTS)?;
        // A segment went missing or came late: what followed it had to wait.
        ensure!(kernel_counter("TcpExt:", "TCPOFOQueue")? > 100, "the faults did not happen");
        Ok(())
    });
}

#[test]
fn we_fetch_64_mib_from_the_kernel_despite_loss_and_reordering() {
    Lab::run(|lab| {
        we_fetch(lab, FAULTS)?;
        ensure!(kernel_counter("Tcp:", "RetransSegs")? > 100, "the faults did not happen");
        Ok(())
    });
}

/// The one connection that matches `filter`, as the kernel sees it, uses the options of RFC 7323.
fn options_are_in_use(filter: &str, peer: &str) -> Result<()> {
    let ss = "ss --no-header --tcp --info --options --numeric state connected";
    let shown = wait_for("the connection", || {
        sh(&format!("{ss} {filter}")).ok().filter(|shown| !shown.trim().is_empty())
    })?;
    ensure!(shown.contains(peer), "the connection: {shown}");
    let words: Vec<_> = shown.split_whitespace().collect();
    ensure!(words.contains(&"ts"), "timestamps (RFC 7323): {shown}");
    // What each side announced, both other than zero.
    let scales = words.iter().find_map(|word| word.strip_prefix("wscale:"));
    let scales = scales.with_context(|| format!("window scaling (RFC 7323): {shown}"))?;
    ensure!(scales.split(',').all(|scale| scale != "0"), "window scaling: {shown}");
    Ok(())
}

#[test]
fn timestamps_and_window_scaling_are_in_use_on_a_connection_that_we_open() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        let listener = TcpListener::bind(SocketAddr::from(([10, 0, 1, 1], 8081)))?;
        let mut nc = daemon.application(&lab.artifacts.causeway);
        nc.args(["nc", "10.0.1.1", "8081"]);
        nc.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let _nc = Running::start(&mut nc)?;
        let (_peer, _) = listener.accept()?;
        options_are_in_use("src 10.0.1.1:8081", "10.0.1.5")
    });
}

#[test]
fn timestamps_and_window_scaling_are_in_use_on_a_connection_that_the_kernel_opens() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        let _server = http_server(lab, &daemon, b"hello")?;
        let mut peer = TcpStream::connect(SocketAddr::from(([10, 0, 1, 5], 8080)))?;
        let mut first = [0; 4];
        peer.read_exact(&mut first)?;
        options_are_in_use("dst 10.0.1.5:8080", "10.0.1.1")
    });
}
