//! What a frame costs at the edge to the kernel: a TAP device, and a packet socket on a virtual cable (veth).
//!
//! It runs itself again in a network namespace of its own, and asserts nothing: times depend on the machine. One thread does all
//! of it, the far end's work included.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use causeway_backends::packet::{Packet, PacketConfig};
use causeway_backends::tap::{Tap, TapConfig};
use causeway_backends::{AnyNic, Buf};
use causeway_core::nic::{BURST_MAX, Frame, GsoType, MacAddr, Nic, Offload};
use clap::Parser;

/// What one frame costs to send and to receive, and a round trip
#[derive(Parser)]
struct Args {
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
    /// This process has its namespace already
    #[arg(long, hide = true)]
    inside: bool,
}

/// How long each figure is measured, three times; the median counts.
const SPAN: Duration = Duration::from_millis(300);

/// One figure.
struct Row {
    what: &'static str,
    frame_bytes: usize,
    nanos: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if !args.inside {
        return enclosed(args.json);
    }
    ip("link add v0 type veth peer name v1")?;
    for device in ["v0", "v1"] {
        // The kernel's own chatter would be measured as well.
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6"), "1")?;
        ip(&format!("link set {device} up"))?;
    }
    let rows = measure()?;
    if args.json {
        println!("{}", json(&rows));
    } else {
        table(&rows);
    }
    Ok(())
}

/// This program again, in a network namespace of its own, as root or as anybody else.
fn enclosed(json: bool) -> Result<()> {
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
    let mut inner = Command::new("unshare");
    inner.args([flags, "setpriv", "--pdeathsig", "KILL", "--"]);
    inner.arg(std::env::current_exe()?).arg("--inside");
    if json {
        inner.arg("--json");
    }
    let status = inner.status().context("`unshare` of util-linux makes the namespace")?;
    ensure!(status.success(), "in its namespace: {status}");
    Ok(())
}

fn ip(line: &str) -> Result<()> {
    let status = Command::new("ip").args(line.split_whitespace()).status()?;
    ensure!(status.success(), "ip {line}: {status}");
    Ok(())
}

fn measure() -> Result<Vec<Row>> {
    let mut tap: AnyNic =
        Tap::open(&TapConfig { mtu: Some(1_500), ..TapConfig::new("tap0") })?.into();
    let config = |name: &str, offload| PacketConfig { offload, ..PacketConfig::new(name) };
    let mut near: AnyNic = Packet::open(&config("v0", true))?.into();
    let give_up = Instant::now() + Duration::from_secs(10);
    while !near.link_up() {
        ensure!(Instant::now() < give_up, "no carrier");
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut rows = Vec::new();
    for (frame_bytes, what) in [(60, "tap: send"), (1_514, "tap: send")] {
        rows.push(Row { what, frame_bytes, nanos: median(|| send(&mut tap, frame_bytes))? });
    }
    for frame_bytes in [60, 1_514, 65_000] {
        let nanos = median(|| send(&mut near, frame_bytes))?;
        rows.push(Row { what: "packet: send", frame_bytes, nanos });
    }
    let mut far: AnyNic = Packet::open(&config("v1", true))?.into();
    for frame_bytes in [60, 1_514, 65_000] {
        let nanos = median(|| pass(&mut near, &mut far, frame_bytes))?;
        rows.push(Row { what: "packet: send and receive", frame_bytes, nanos });
    }
    for frame_bytes in [60, 1_514] {
        let nanos = median(|| round_trip(&mut near, &mut far, frame_bytes))?;
        rows.push(Row { what: "packet: round trip", frame_bytes, nanos });
    }
    Ok(rows)
}

fn median(mut work: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut nanos = [work()?, work()?, work()?];
    nanos.sort_by(f64::total_cmp);
    Ok(nanos[1])
}

/// A frame that no host answers, or a super-segment of TCP to nobody.
fn frame(nic: &mut AnyNic, len: usize) -> Result<Buf> {
    let mut frame = nic.alloc(len).context("memory")?;
    let src = nic.caps().mac;
    let bytes = frame.bytes_mut();
    bytes.fill(0);
    bytes[..6].copy_from_slice(&MacAddr([2, 0, 0, 0, 0, 0xfe]).0);
    bytes[6..12].copy_from_slice(&src.0);
    if len <= 1_514 {
        bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
        return Ok(frame);
    }
    bytes[12..14].copy_from_slice(&[0x08, 0x00]);
    bytes[14] = 0x45;
    bytes[16..18].copy_from_slice(&((len - 14) as u16).to_be_bytes());
    (bytes[22], bytes[23], bytes[46]) = (64, 6, 5 << 4);
    frame.meta_mut().offload = Offload {
        gso_type: GsoType::TcpV4,
        gso_size: 1_460,
        hdr_len: 54,
        csum_start: 34,
        csum_offset: 16,
        needs_csum: true,
    };
    Ok(frame)
}

/// Sends bursts; nanoseconds a frame.
fn send(nic: &mut AnyNic, len: usize) -> Result<f64> {
    let (start, mut count) = (Instant::now(), 0);
    let mut frames = VecDeque::with_capacity(BURST_MAX);
    while start.elapsed() < SPAN {
        while frames.len() < BURST_MAX {
            frames.push_back(frame(nic, len)?);
        }
        while !frames.is_empty() {
            count += nic.tx_burst(&mut frames);
        }
    }
    Ok(per(start, count))
}

/// Sends bursts and receives them at the other end; nanoseconds a frame for both together.
fn pass(near: &mut AnyNic, far: &mut AnyNic, len: usize) -> Result<f64> {
    let (start, mut count) = (Instant::now(), 0);
    let (mut frames, mut out) = (VecDeque::new(), Vec::with_capacity(BURST_MAX));
    while start.elapsed() < SPAN {
        for _ in 0..BURST_MAX {
            frames.push_back(frame(near, len)?);
        }
        let mut got = 0;
        while !frames.is_empty() || got < BURST_MAX {
            near.tx_burst(&mut frames);
            got += far.rx_burst(&mut out, BURST_MAX);
            out.clear();
            ensure!(start.elapsed() < 100 * SPAN, "frames are lost");
        }
        count += got;
    }
    Ok(per(start, count))
}

/// One frame there and back, as often as there is time for; the median in nanoseconds.
fn round_trip(near: &mut AnyNic, far: &mut AnyNic, len: usize) -> Result<f64> {
    let begin = Instant::now();
    let mut times = Vec::with_capacity(1 << 17);
    let mut frames = VecDeque::from([frame(near, len)?]);
    let mut out = Vec::with_capacity(1);
    while begin.elapsed() < SPAN {
        let start = Instant::now();
        for there in [true, false] {
            let (from, to) = if there { (&mut *near, &mut *far) } else { (&mut *far, &mut *near) };
            from.tx_burst(&mut frames);
            while to.rx_burst(&mut out, 1) == 0 {
                if start.elapsed() > SPAN {
                    bail!("a frame is lost");
                }
            }
            // The memory of the one goes on as a frame of the other.
            frames.extend(out.drain(..));
        }
        times.push(start.elapsed().as_nanos() as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn per(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

fn table(rows: &[Row]) {
    println!("{:<26} {:>7} {:>10} {:>10} {:>9}", "", "bytes", "ns", "k/s", "Gbit/s");
    for Row { what, frame_bytes, nanos } in rows {
        let rate = 8.0 * *frame_bytes as f64 / nanos;
        println!("{what:<26} {frame_bytes:>7} {nanos:>10.0} {:>10.1} {rate:>9.2}", 1e6 / nanos);
    }
    println!("one thread does the work of both ends; times depend on the machine and gate nothing");
}

fn json(rows: &[Row]) -> serde_json::Value {
    let row = |Row { what, frame_bytes, nanos }: &Row| serde_json::json!({ "what": what, "frame_bytes": frame_bytes, "nanos": nanos });
    serde_json::json!({ "benchmark": "nic", "rows": rows.iter().map(row).collect::<Vec<_>>() })
}
