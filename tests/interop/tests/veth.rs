//! Daemons on the ends of a virtual cable, through packet sockets: the kernel, or another daemon, at the other end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use causeway_interop::content::{bytes, difference};
use causeway_interop::daemon::Daemon;
use causeway_interop::lab::Lab;
use causeway_interop::messages::{Load, measure};
use causeway_interop::process::{Running, command, finish, sh, wait_for};
use causeway_interop::transfer::{
    TRANSFER_BYTES, http_server, kernel_counter, kernel_fetches, same, we_fetch,
};

/// The cable v0 - v1, plugged in at both ends.
fn cable() -> Result<()> {
    sh("ip link add v0 type veth peer name v1")?;
    sh("ip link set v0 up")?;
    sh("ip link set v1 up")?;
    // The kernel notices some time later, and sends nothing until then.
    wait_for("the carrier", || sh("ip link show v1").ok()?.contains("state UP").then_some(()))
}

/// A daemon that owns `address` on `device`, of which the kernel knows no address.
fn daemon_on(lab: &Lab, device: &str, address: &str, rest: &str) -> Result<Daemon> {
    let config = format!(
        "[[interface]]\nname = \"{device}\"\nbackend = \"packet\"\naddresses = [\"{address}/24\"]\n{rest}"
    );
    Daemon::start(lab, device, &config)?.ready()
}

/// A daemon that owns 10.0.1.5 on v0; the kernel owns 10.0.1.1 on v1.
fn network(lab: &Lab, rest: &str) -> Result<Daemon> {
    cable()?;
    sh("ip address add 10.0.1.1/24 dev v1")?;
    daemon_on(lab, "v0", "10.0.1.5", rest)
}

/// Frames that v1 has received and sent: a super-segment is one.
fn frames_at_the_kernels_end() -> Result<[u64; 2]> {
    let shown = sh("ip -statistics -oneline link show v1")?;
    let count = |direction: &str| -> Result<u64> {
        // `RX:  bytes packets errors ... \    1234 56 0 ...`, the lines joined by backslashes.
        let mut lines = shown.split('\\').skip_while(|line| !line.trim().starts_with(direction));
        let numbers = lines.nth(1).with_context(|| shown.clone())?;
        let packets = numbers.split_whitespace().nth(1).with_context(|| shown.clone())?;
        Ok(packets.parse()?)
    };
    Ok([count("RX:")?, count("TX:")?])
}

/// What as many segments of 1448 bytes would be.
const SEGMENTS: u64 = TRANSFER_BYTES as u64 / 1_448;

/// The kernel has heard all that was meant for us, and said nothing.
fn the_kernel_kept_quiet() -> Result<()> {
    let resets = kernel_counter("Tcp:", "OutRsts")?;
    ensure!(resets == 0, "the kernel sent {resets} RST in our name");
    Ok(())
}

#[test]
fn the_kernel_and_we_ping_each_other() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        let said = sh("ping -n -c 3 -i 0.2 -W 5 10.0.1.5").with_context(|| daemon.log())?;
        ensure!(said.contains(" 0% packet loss"), "{said}");
        let mut ping = daemon.application(&lab.artifacts.causeway);
        ping.args(["ping", "--count", "2", "--interval", "0.1", "--size", "65507", "10.0.1.1"]);
        let output = finish(&mut ping).with_context(|| daemon.log())?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.matches("65515 bytes from 10.0.1.1").count() == 2, "{said}");
        Ok(())
    });
}

#[test]
fn the_kernel_fetches_64_mib_from_us_in_super_segments() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        kernel_fetches(lab, &daemon, TRANSFER_BYTES)?;
        let [received, _] = frames_at_the_kernels_end()?;
        ensure!(received < SEGMENTS / 2, "{received} frames for {SEGMENTS} segments");
        the_kernel_kept_quiet()
    });
}

#[test]
fn we_fetch_64_mib_from_the_kernel_in_super_segments() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        we_fetch(lab, &daemon, TRANSFER_BYTES)?;
        let [_, sent] = frames_at_the_kernels_end()?;
        ensure!(sent < SEGMENTS / 2, "{sent} frames for {SEGMENTS} segments");
        the_kernel_kept_quiet()
    });
}

#[test]
fn super_segments_of_ipv6_pass_in_both_directions() {
    Lab::run(|lab| {
        cable()?;
        // The lab switches IPv6 off on new devices; at our end the kernel stays without it.
        std::fs::write("/proc/sys/net/ipv6/conf/v1/disable_ipv6", "0")?;
        sh("ip -6 address add fd00:1::1/64 dev v1 nodad")?;
        let config =
            "[[interface]]\nname = \"v0\"\nbackend = \"packet\"\naddresses = [\"fd00:1::5/64\"]\n";
        let daemon = Daemon::start(lab, "v0", config)?.ready()?;
        wait_for("the first echo reply", || sh("ping -6 -n -c 1 -W 1 fd00:1::5").ok())
            .with_context(|| daemon.log())?;
        let before = frames_at_the_kernels_end()?;
        let listener = TcpListener::bind("[fd00:1::1]:8081")?;
        let (to, from) = (bytes(6, TRANSFER_BYTES), bytes(7, TRANSFER_BYTES));
        let file = lab.path("to");
        std::fs::write(&file, &to)?;
        let mut nc = daemon.application(&lab.artifacts.causeway);
        nc.args(["nc", "fd00:1::1", "8081"]);
        nc.stdin(std::fs::File::open(&file)?).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let nc = Running::start(&mut nc)?;
        let (mut peer, _) = listener.accept()?;
        let mut reader = peer.try_clone()?;
        let reader = std::thread::spawn(move || -> std::io::Result<Vec<u8>> {
            let mut got = Vec::new();
            reader.read_to_end(&mut got)?;
            Ok(got)
        });
        let sent = from.clone();
        let writer = std::thread::spawn(move || -> std::io::Result<()> {
            peer.write_all(&sent)?;
            peer.shutdown(std::net::Shutdown::Write)
        });
        let output = nc.output().with_context(|| daemon.log())?;
        writer.join().ok().context("the kernel's side panicked")??;
        let got = reader.join().ok().context("the kernel's side panicked")??;
        ensure!(output.status.success(), "{}", daemon.log());
        same(lab, &output.stdout, &from)?;
        same(lab, &got, &to)?;
        for (now, then) in frames_at_the_kernels_end()?.iter().zip(before) {
            let frames = now - then;
            ensure!(frames < SEGMENTS, "{frames} frames for {SEGMENTS} segments each way");
        }
        the_kernel_kept_quiet()
    });
}

#[test]
fn without_offload_64_mib_go_to_the_kernel_segment_by_segment() {
    Lab::run(|lab| {
        let daemon = network(lab, "offload = false\n")?;
        kernel_fetches(lab, &daemon, TRANSFER_BYTES)?;
        let [received, _] = frames_at_the_kernels_end()?;
        ensure!(received >= SEGMENTS, "{received} frames for {SEGMENTS} segments");
        we_fetch(lab, &daemon, TRANSFER_BYTES)?;
        the_kernel_kept_quiet()
    });
}

#[test]
fn faults_strike_frames_and_no_damage_gets_through() {
    Lab::run(|lab| {
        let faults = "[interface.fault]\nseed = 7\nloss_ppm = 10000\nreorder_ppm = 10000\ncorrupt_ppm = 20000\n";
        let daemon = network(lab, faults)?;
        kernel_fetches(lab, &daemon, TRANSFER_BYTES)?;
        we_fetch(lab, &daemon, TRANSFER_BYTES)?;
        ensure!(kernel_counter("TcpExt:", "TCPOFOQueue")? > 100, "the faults did not happen");
        ensure!(kernel_counter("Tcp:", "InCsumErrors")? > 100, "nothing was damaged");
        ensure!(kernel_counter("Tcp:", "RetransSegs")? > 20, "the faults did not happen");
        Ok(())
    });
}

#[test]
fn a_connection_survives_that_the_device_goes_down_and_comes_back() {
    Lab::run(|lab| {
        let daemon = network(lab, "")?;
        let listener = TcpListener::bind(SocketAddr::from(([10, 0, 1, 1], 8081)))?;
        let mut nc = daemon.application(&lab.artifacts.causeway);
        nc.args(["nc", "10.0.1.1", "8081"]);
        nc.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut nc = Running::start(&mut nc)?;
        let (mut peer, _) = listener.accept()?;
        let [before, meanwhile, after] = [bytes(1, 100_000), bytes(2, 50_000), bytes(3, 100_000)];
        peer.write_all(&before)?;
        let mut got = vec![0; before.len()];
        nc.child().stdout.as_mut().context("a pipe")?.read_exact(&mut got)?;
        sh("ip link set v0 down")?;
        // Both sides talk into the void.
        peer.write_all(&meanwhile)?;
        nc.child().stdin.as_mut().context("a pipe")?.write_all(b"hello")?;
        sh("sleep 0.3")?;
        sh("ip link set v0 up")?;
        peer.write_all(&after)?;
        let mut hello = [0; 5];
        peer.read_exact(&mut hello)?;
        ensure!(hello == *b"hello", "{hello:?}");
        drop(peer);
        drop(nc.child().stdin.take());
        let output = nc.output().with_context(|| daemon.log())?;
        ensure!(output.status.success(), "{}", daemon.log());
        got.extend_from_slice(&output.stdout);
        let expected = [before, meanwhile, after].concat();
        ensure!(difference(&got, &expected).is_none(), "{:?}", difference(&got, &expected));
        Ok(())
    });
}

#[test]
fn an_address_of_the_kernels_on_the_device_does_no_harm_with_another_hardware_address() {
    Lab::run(|lab| {
        cable()?;
        // The kernel believes that our address is its own: it would answer what is addressed to the device.
        sh("ip address add 10.0.1.5/24 dev v0")?;
        sh("ip link set v0 arp off")?;
        let daemon = daemon_on(lab, "v0", "10.0.1.5", "mac = \"02:00:00:00:00:55\"\n")?;
        let other = daemon_on(lab, "v1", "10.0.1.6", "")?;
        let body = bytes(5, 1 << 20);
        let server = http_server(lab, &daemon, &body)?;
        let mut nc = other.application(&lab.artifacts.causeway);
        nc.args(["nc", "10.0.1.5", "8080"]);
        let got = finish(&mut nc).with_context(|| other.log())?;
        ensure!(server.output()?.status.success(), "{}", daemon.log());
        let at = got.stdout.windows(4).position(|w| w == b"\r\n\r\n").context("a header")?;
        same(lab, &got.stdout[at + 4..], &body)?;
        the_kernel_kept_quiet()
    });
}

#[test]
fn two_daemons_on_the_ends_of_a_cable_exchange_messages_and_a_stream() {
    Lab::run(|lab| {
        cable()?;
        let left = daemon_on(lab, "v0", "10.0.1.5", "")?;
        let right = daemon_on(lab, "v1", "10.0.1.6", "")?;
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

        let body = bytes(4, TRANSFER_BYTES);
        let stream = http_server(lab, &left, &body)?;
        let mut nc = right.application(&lab.artifacts.causeway);
        nc.args(["nc", "10.0.1.5", "8080"]);
        let got = finish(&mut nc).with_context(logs)?;
        ensure!(stream.output()?.status.success(), "{}", logs());
        let at = got.stdout.windows(4).position(|w| w == b"\r\n\r\n").context("a header")?;
        same(lab, &got.stdout[at + 4..], &body)?;
        let [received, sent] = frames_at_the_kernels_end()?;
        ensure!(received < SEGMENTS / 2, "{received} frames for {SEGMENTS} segments, {sent} back");
        the_kernel_kept_quiet()
    });
}

#[test]
fn frames_that_came_while_the_daemon_could_not_look_are_reported() {
    Lab::run(|lab| {
        // One MiB holds 15 frames.
        let mut daemon = network(lab, "ring_bytes = 1048576\n")?;
        sh("ping -n -c 1 -W 5 10.0.1.5").with_context(|| daemon.log())?;
        let process = daemon.running().id();
        sh(&format!("kill -STOP {process}"))?;
        let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, 1, 1), 0))?;
        for _ in 0..40 {
            socket.send_to(b"hello", (Ipv4Addr::new(10, 0, 1, 5), 9))?;
        }
        sh(&format!("kill -CONT {process}"))?;
        sh(&format!("kill -TERM {process}"))?;
        wait_for("the daemon's end", || (!daemon.running().is_running()).then_some(()))?;
        let log = daemon.log();
        ensure!(log.contains("the device lost frames") && log.contains("rx=25"), "{log}");
        Ok(())
    });
}

#[test]
fn what_the_daemon_cannot_have_it_says_in_one_line() {
    Lab::run(|lab| {
        let config = lab.path("missing.toml");
        let text = "[[interface]]\nname = \"wan\"\nbackend = \"packet\"\ndevice = \"v9\"\naddresses = [\"10.0.1.5/24\"]\n";
        std::fs::write(&config, text)?;
        let mut serve = command(&lab.artifacts.causeway);
        serve.arg("serve").arg("--config").arg(&config);
        serve.env("CAUSEWAY_SOCKET", lab.path("missing.sock"));
        serve.stdout(Stdio::null()).stderr(Stdio::piped());
        let output = Running::start(&mut serve)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(1), "{}", output.status);
        ensure!(
            said.starts_with("causeway: interface wan: there is no network device v9: `ip link`"),
            "{said}"
        );
        Ok(())
    });
}

#[test]
fn messages_come_back_between_two_namespaces_over_every_carrier() {
    Lab::run(|lab| {
        let loads: [Load; 2] = [(64, 8, 1), (1024, 4, 3)];
        let figures = measure(lab, (&loads, &loads[..1]), "0.3", 1)?;
        let keys: Vec<&str> =
            figures.as_object().context("an object")?.keys().map(String::as_str).collect();
        let expected = [
            "idle_cpu_percent",
            "w4_1KB_f3",
            "w4_1KB_f3_kernel_tcp",
            "w4_1KB_f3_kernel_udp",
            "w8_64B",
            "w8_64B_kernel_tcp",
            "w8_64B_kernel_udp",
            "w8_64B_loss_1_percent",
        ];
        ensure!(keys == expected, "{keys:?}");
        for key in &expected[1..] {
            let number = |name: &str| figures[key][name].as_f64().unwrap_or(0.0);
            ensure!(number("msgs_per_s") > 0.0 && number("p50_us") > 0.0, "{key}: {figures}");
        }
        Ok(())
    });
}
