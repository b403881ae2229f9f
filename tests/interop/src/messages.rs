//! Messages between two hosts on this machine: two daemons on the ends of a virtual cable between two network namespaces, and the kernel's own
//! TCP and UDP over another cable beside it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::process::{Running, command, finish, sh, wait_for};

/// Bytes of a message, window and flows.
pub type Load = (u32, u32, u32);

/// The addresses of the far host: the daemon's, and the kernel's.
const FAR: &str = "10.0.1.6";
const FAR_KERNEL: &str = "10.8.0.2";
/// What carries messages.
pub const CARRIERS: [&str; 3] = ["machnet", "kernel-tcp", "kernel-udp"];
/// Units of time in `/proc/PID/stat` (USER_HZ).
const TICKS_PER_S: f64 = 100.0;

/// The other host: a network namespace, as long as a process sleeps in it.
struct Host {
    sleeper: Running,
}

impl Host {
    fn new() -> Result<Self> {
        let mut unshare = command("unshare");
        let sleeper = Running::start(unshare.args(["-n", "--", "sleep", "infinity"]))?;
        let of = |pid: String| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let own = of("self".to_owned())?;
        wait_for("the other namespace", || {
            of(sleeper.id().to_string()).ok().filter(|other| *other != own)
        })?;
        Ok(Self { sleeper })
    }

    /// A command that runs there.
    fn command(&self, program: &std::path::Path) -> Command {
        let mut nsenter = command("nsenter");
        nsenter.arg(format!("--net=/proc/{}/ns/net", self.sleeper.id())).arg("--").arg(program);
        nsenter
    }

    fn sh(&self, line: &str) -> Result<String> {
        sh(&format!("nsenter --net=/proc/{}/ns/net -- {line}", self.sleeper.id()))
    }

    /// A cable between this namespace and the other one.
    fn plug(&self, near: &str, far: &str) -> Result<()> {
        sh(&format!("ip link add {near} type veth peer name {far} netns {}", self.sleeper.id()))?;
        sh(&format!("ip link set {near} up"))?;
        self.sh(&format!("ip link set {far} up"))?;
        wait_for("the carrier", || {
            sh(&format!("ip link show {near}")).ok()?.contains("state UP").then_some(())
        })
    }
}

/// The two daemons, near and far.
struct Pair {
    near: Daemon,
    far: Daemon,
}

impl Pair {
    /// `faults` strike what the near one sends and receives.
    fn start(lab: &Lab, host: &Host, name: &str, faults: &str) -> Result<Self> {
        let config = |device: &str, address: &str| {
            format!(
                "[[interface]]\nname = \"{device}\"\nbackend = \"packet\"\n\
                 addresses = [\"{address}/24\"]\n"
            )
        };
        let near = config("v0", "10.0.1.5") + faults;
        let near = Daemon::start(lab, &format!("{name}-near"), &near)?;
        let far = Daemon::spawn(lab, &format!("{name}-far"), &config("v1", FAR), |path| {
            let mut serve = host.command(&lab.artifacts.causeway);
            serve.arg("serve").arg("--config").arg(path);
            serve
        })?;
        Ok(Self { near: near.ready()?, far: far.ready()? })
    }
}

/// The echo server of a carrier.
fn server(lab: &Lab, host: &Host, pair: &Pair, over: &str) -> Result<Running> {
    let program = &lab.artifacts.causeway;
    let (mut server, address) = match over {
        "machnet" => (pair.far.application(program), FAR),
        _ => (host.command(program), FAR_KERNEL),
    };
    server.args(["bench", "msg", "--over", over, "--listen", &format!("{address}:7000")]);
    let log = lab.path(&format!("server-{over}"));
    server.stderr(std::fs::File::create(&log)?).stdin(Stdio::null());
    let running = Running::start(&mut server)?;
    wait_for("the echo server", || {
        std::fs::read_to_string(&log).ok()?.contains("listening").then_some(())
    })?;
    Ok(running)
}

/// One measurement, as the client tells it.
fn client(
    lab: &Lab,
    pair: &Pair,
    over: &str,
    (size, window, flows): Load,
    seconds: &str,
) -> Result<Value> {
    let address = if over == "machnet" { FAR } else { FAR_KERNEL };
    let mut client = pair.near.application(&lab.artifacts.causeway);
    client.args(["bench", "msg", &format!("{address}:7000"), "--over", over, "--json"]);
    client.args(["--size", &size.to_string(), "--window", &window.to_string()]);
    client.args(["--flows", &flows.to_string(), "--time", seconds]);
    client.args(["--warm-up", "0.5"]);
    let output = finish(&mut client).with_context(|| pair.near.log() + &pair.far.log())?;
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let keys = ["msgs_per_s", "p50_us", "p99_us", "p999_us", "lost"];
    Ok(keys
        .into_iter()
        .map(|key| (key.to_owned(), told[key].clone()))
        .collect::<Map<_, _>>()
        .into())
}

/// The name of a measurement: `w32_64B`, `w32_1KB_f64_kernel_tcp`.
fn key(over: &str, (size, window, flows): Load) -> String {
    let size =
        if size.is_multiple_of(1024) { format!("{}KB", size / 1024) } else { format!("{size}B") };
    let flows = if flows == 1 { String::new() } else { format!("_f{flows}") };
    let over =
        if over == "machnet" { String::new() } else { format!("_{}", over.replace('-', "_")) };
    format!("w{window}_{size}{flows}{over}")
}

/// Output: what `clean` come to over every carrier, what `lossy` come to over a cable that loses 1 % each way, and what `idle_s` seconds of idling
/// cost: one object, its keys as `w32_64B`, `w32_1KB_f64_kernel_tcp`, `w32_64B_loss_1_percent`, `idle_cpu_percent`.
///
/// # Errors
/// Something cannot be set up, or a measurement fails.
pub fn measure(
    lab: &Lab,
    (clean, lossy): (&[Load], &[Load]),
    seconds: &str,
    idle_s: u32,
) -> Result<Value> {
    let host = Host::new()?;
    host.plug("v0", "v1")?;
    host.plug("k0", "k1")?;
    sh("ip address add 10.8.0.1/24 dev k0")?;
    host.sh(&format!("ip address add {FAR_KERNEL}/24 dev k1"))?;
    let mut figures = Map::new();
    let mut pair = Pair::start(lab, &host, "clean", "")?;
    let mut servers: BTreeMap<&str, Running> = BTreeMap::new();
    for over in CARRIERS {
        servers.insert(over, server(lab, &host, &pair, over)?);
    }
    for &load in clean {
        for over in CARRIERS {
            figures.insert(key(over, load), client(lab, &pair, over, load, seconds)?);
        }
    }
    let application = servers["machnet"].id();
    let of = [pair.near.running().id(), pair.far.running().id(), application];
    figures.insert("idle_cpu_percent".to_owned(), idle(of, idle_s)?.into());
    drop((servers, pair));
    let loss = "[interface.fault]\nseed = 1\nloss_ppm = 10000\n";
    let pair = Pair::start(lab, &host, "lossy", loss)?;
    let _server = server(lab, &host, &pair, "machnet")?;
    for &load in lossy {
        let name = format!("{}_loss_1_percent", key("machnet", load));
        figures.insert(name, client(lab, &pair, "machnet", load, seconds)?);
    }
    Ok(Value::Object(figures))
}

/// What processes that have nothing to do take of a processor, in percent: the most of them.
fn idle(processes: [u32; 3], idle_s: u32) -> Result<f64> {
    let used = || -> Result<Vec<u64>> {
        let ticks = processes.iter().map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
            // Behind the name, which may hold anything: utime and stime are the 14th and 15th field.
            let fields = stat.rsplit_once(')').context("a stat file")?.1.split_whitespace();
            let mut times = fields.skip(11).map(str::parse::<u64>);
            let mut next = || -> Result<u64> { Ok(times.next().context("a stat file")??) };
            Ok(next()? + next()?)
        });
        ticks.collect()
    };
    let before = used()?;
    std::thread::sleep(Duration::from_secs(idle_s.into()));
    let most = used()?.iter().zip(before).map(|(now, then)| now - then).max().unwrap_or(0);
    Ok(most as f64 / TICKS_PER_S / f64::from(idle_s) * 100.0)
}
