//! The C programs of `capi/examples` over the daemon: two hosts on a bridge, and one host with both ends.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use causeway_interop::daemon::Daemon;
use causeway_interop::lab::Lab;
use causeway_interop::process::{Running, command, finish, sh};

/// A daemon in a namespace of its own, whose TAP is bridged to a virtual cable; the cable's other end is
/// plugged into the lab's bridge br0.
fn host_on_the_bridge(lab: &Lab, name: &str, address: &str) -> Result<Daemon> {
    let config = format!(
        "[[interface]]\nname = \"tap0\"\nbackend = \"tap\"\naddresses = [\"{address}/24\"]\n"
    );
    let causeway = lab.artifacts.causeway.clone();
    // The shell waits until the cable has arrived, builds the bridge and becomes the daemon. Nothing else
    // holds the namespace: it ends with the daemon.
    let script = "read cable && ip tuntap add tap0 mode tap && ip link add br1 type bridge && \
        ip link set tap0 master br1 && ip link set \"$cable\" master br1 && \
        ip link set tap0 up && ip link set \"$cable\" up && ip link set br1 up && \
        exec \"$0\" serve --config \"$1\"";
    let mut daemon = Daemon::spawn(lab, name, &config, |file| {
        let mut shell = command("unshare");
        shell.args(["--net", "setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", script]);
        shell.arg(&causeway).arg(file).stdin(Stdio::piped());
        shell
    })?;
    let cable = format!("{name}1");
    sh(&format!("ip link add {name}0 type veth peer name {cable}"))?;
    sh(&format!("ip link set {name}0 master br0 up"))?;
    let process = daemon.running().id();
    // `unshare` and `setpriv` become the shell: one process. It may not have left our namespace yet.
    let ours = std::fs::read_link("/proc/self/ns/net")?;
    causeway_interop::process::wait_for("the daemon's own namespace", || {
        let theirs = std::fs::read_link(format!("/proc/{process}/ns/net")).ok()?;
        (theirs != ours).then_some(())
    })?;
    sh(&format!("ip link set {cable} netns {process}"))?;
    let mut input = daemon.running().child().stdin.take().context("a pipe")?;
    writeln!(input, "{cable}")?;
    drop(input);
    daemon.ready()
}

#[test]
fn the_split_example_prints_its_message_between_two_hosts_on_a_bridge() {
    Lab::run(|lab| {
        sh("ip link add br0 type bridge")?;
        sh("ip link set br0 up")?;
        let left = host_on_the_bridge(lab, "left", "10.0.1.5")?;
        let right = host_on_the_bridge(lab, "right", "10.0.1.6")?;
        let logs = || format!("left:\n{}\nright:\n{}", left.log(), right.log());

        let mut server = left.application(lab.artifacts.programs.join("hello_server"));
        server.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut server = Running::start(&mut server)?;
        let mut lines = BufReader::new(server.child().stdout.take().context("a pipe")?).lines();
        let first = lines.next().with_context(logs)??;
        ensure!(first == "listening on 10.0.1.5 port 5000", "{first}\n{}", logs());

        let mut client = right.application(lab.artifacts.programs.join("hello_client"));
        let client = finish(&mut client).with_context(logs)?;
        let received = lines.next().with_context(logs)??;
        ensure!(received == "received: Hello, Machnet!", "{received}");
        let said = String::from_utf8(client.stdout)?;
        ensure!(said == "reply: Hello, client!\n", "{said}");
        ensure!(server.output()?.status.success());
        Ok(())
    });
}

/// Contract: hello.c, Makefile
#[test]
fn the_printed_program_receives_15_bytes_with_one_daemon_that_owns_both_addresses() {
    Lab::run(|lab| {
        let config = "[[interface]]\nname = \"tap0\"\nbackend = \"tap\"\n\
            addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n";
        let daemon = Daemon::start(lab, "daemon", config)?.ready()?;
        let mut traced = daemon.application(lab.artifacts.programs.join("hello_traced"));
        let output = finish(&mut traced).with_context(|| daemon.log())?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(said == "n = 15\n", "{said:?}\n{}", daemon.log());
        // The same source without the trace, linked as the Makefile does it.
        let mut plain = daemon.application(lab.artifacts.programs.join("hello"));
        finish(&mut plain).with_context(|| daemon.log())?;
        Ok(())
    });
}
