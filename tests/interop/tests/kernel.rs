//! One daemon on a TAP, the kernel at the other end of it.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use causeway_interop::daemon::Daemon;
use causeway_interop::lab::Lab;
use causeway_interop::process::{Running, finish, sh, wait_for};
use causeway_interop::transfer::{self, TRANSFER_BYTES, http_server, kernel_counter};

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

fn kernel_fetches(lab: &Lab, faults: &str) -> Result<()> {
    let daemon = network(lab, faults)?;
    transfer::kernel_fetches(lab, &daemon, TRANSFER_BYTES)
}

fn we_fetch(lab: &Lab, faults: &str) -> Result<()> {
    let daemon = network(lab, faults)?;
    transfer::we_fetch(lab, &daemon, TRANSFER_BYTES)
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
