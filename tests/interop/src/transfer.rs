//! Transfers between the daemon and the kernel's own TCP, whatever the device between them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::content::{bytes, difference, sha256};
use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::process::{Running, command, finish, wait_for};

/// What is transferred, in bytes: many times what fits any buffer.
pub const TRANSFER_BYTES: usize = 64 << 20;

/// `causeway nc` that serves one connection on port 8080 with an HTTP/1.0 response.
pub fn http_server(lab: &Lab, daemon: &Daemon, body: &[u8]) -> Result<Running> {
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
pub fn kernel_counter(protocol: &str, name: &str) -> Result<u64> {
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
pub fn same(lab: &Lab, got: &[u8], expected: &[u8]) -> Result<()> {
    if let Some(difference) = difference(got, expected) {
        anyhow::bail!("{difference}");
    }
    let (ours, theirs) =
        (sha256(&lab.path("got.bytes"), got)?, sha256(&lab.path("sent"), expected)?);
    ensure!(ours == theirs, "sha256 {ours} instead of {theirs}");
    Ok(())
}

/// The kernel's TCP, with `curl` on it, fetches `size` bytes from 10.0.1.5, which is the daemon's.
pub fn kernel_fetches(lab: &Lab, daemon: &Daemon, size: usize) -> Result<()> {
    let body = bytes(1, size);
    let server = http_server(lab, daemon, &body)?;
    let got = lab.path("got");
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--http1.0", "--max-time", "50"]);
    curl.arg("--output").arg(&got).arg("http://10.0.1.5:8080/");
    finish(&mut curl).with_context(|| daemon.log())?;
    ensure!(server.output()?.status.success(), "the server failed\n{}", daemon.log());
    same(lab, &std::fs::read(&got)?, &body)
}

/// `causeway nc` fetches `size` bytes from 10.0.1.1, which is the kernel's.
pub fn we_fetch(lab: &Lab, daemon: &Daemon, size: usize) -> Result<()> {
    let body = bytes(2, size);
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
