//! `messages`: round trips of messages between two hosts on this machine, through two daemons on the ends of a virtual cable between two network
//! namespaces, with the kernel's own TCP and UDP over another cable beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_interop::artifacts::Artifacts;
use causeway_interop::daemon::Daemon;
use causeway_interop::lab::{Lab, enclosed};
use causeway_interop::process::{Running, command, finish, sh, wait_for};
use clap::Parser;
use serde_json::{Map, Value};

/// The addresses of the far host: the daemon's, and the kernel's.
const FAR: &str = "10.0.1.6";
const FAR_KERNEL: &str = "10.8.0.2";
/// What carries messages.
const CARRIERS: [&str; 3] = ["machnet", "kernel-tcp", "kernel-udp"];
/// Bytes, window and flows of each measurement.
const LOADS: [(u32, u32, u32); 9] = [
    (64, 1, 1),
    (64, 8, 1),
    (64, 32, 1),
    (1024, 1, 1),
    (1024, 8, 1),
    (1024, 32, 1),
    (1024, 1, 64),
    (1024, 8, 64),
    (1024, 32, 64),
];
/// Seconds for which nothing is done, to see what that costs.
const IDLE_S: u32 = 5;

/// Units of time in `/proc/PID/stat` (USER_HZ).
const TICKS_PER_S: f64 = 100.0;

#[derive(Debug, Parser)]
#[command(name = "messages", about = "Messages between two hosts, beside the kernel's")]
struct Cli {
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Inside the namespaces
    #[arg(long, hide = true)]
    inside: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if cli.inside {
        println!("{}", measure(&Lab::around_us()?, cli.seconds)?);
        return Ok(());
    }
    let beside = std::env::current_exe()?.with_file_name("causeway");
    ensure!(beside.exists(), "{} is not built", beside.display());
    let artifacts = Artifacts { causeway: beside, programs: PathBuf::from("/") };
    let seconds = cli.seconds.to_string();
    let runs = (LOADS.len() * CARRIERS.len() + 2) as u32;
    let patience = Duration::from_secs(u64::from(runs * (cli.seconds + 2) + IDLE_S + 60));
    let output = enclosed(&artifacts, &["--inside", "--seconds", &seconds], patience)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "in its namespaces: {}\n{said}", output.status);
    let figures: Map<String, Value> = serde_json::from_slice(&output.stdout)?;
    if cli.json {
        println!("{}", Value::Object(figures));
    } else {
        print(&figures);
    }
    Ok(())
}

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
    (size, window, flows): (u32, u32, u32),
    seconds: u32,
) -> Result<Value> {
    let address = if over == "machnet" { FAR } else { FAR_KERNEL };
    let mut client = pair.near.application(&lab.artifacts.causeway);
    client.args(["bench", "msg", &format!("{address}:7000"), "--over", over, "--json"]);
    client.args(["--size", &size.to_string(), "--window", &window.to_string()]);
    client.args(["--flows", &flows.to_string(), "--time", &seconds.to_string()]);
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
fn key(over: &str, (size, window, flows): (u32, u32, u32)) -> String {
    let size =
        if size.is_multiple_of(1024) { format!("{}KB", size / 1024) } else { format!("{size}B") };
    let flows = if flows == 1 { String::new() } else { format!("_f{flows}") };
    let over =
        if over == "machnet" { String::new() } else { format!("_{}", over.replace('-', "_")) };
    format!("w{window}_{size}{flows}{over}")
}

fn measure(lab: &Lab, seconds: u32) -> Result<Value> {
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
    for load in LOADS {
        for over in CARRIERS {
            figures.insert(key(over, load), client(lab, &pair, over, load, seconds)?);
        }
    }
    let application = servers["machnet"].id();
    let of = [pair.near.running().id(), pair.far.running().id(), application];
    figures.insert("idle_cpu_percent".to_owned(), idle(of)?.into());
    drop((servers, pair));
    let loss = "[interface.fault]\nseed = 1\nloss_ppm = 10000\n";
    let pair = Pair::start(lab, &host, "lossy", loss)?;
    let _server = server(lab, &host, &pair, "machnet")?;
    for load in [(64, 32, 1), (1024, 32, 1)] {
        let name = format!("{}_loss_1_percent", key("machnet", load));
        figures.insert(name, client(lab, &pair, "machnet", load, seconds)?);
    }
    Ok(Value::Object(figures))
}

/// What processes that have nothing to do take of a processor, in percent: the most of them.
fn idle(processes: [u32; 3]) -> Result<f64> {
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
    std::thread::sleep(Duration::from_secs(IDLE_S.into()));
    let most = used()?.iter().zip(before).map(|(now, then)| now - then).max().unwrap_or(0);
    Ok(most as f64 / TICKS_PER_S / f64::from(IDLE_S) * 100.0)
}

fn print(figures: &Map<String, Value>) {
    println!(
        "{:<24} {:>12} {:>10} {:>10} {:>10}",
        "round trips", "messages/s", "p50 us", "p99 us", "p99.9 us"
    );
    for (key, figure) in figures {
        let number = |name: &str| figure[name].as_f64();
        if let (Some(rate), Some(p50), Some(p99), Some(p999)) =
            (number("msgs_per_s"), number("p50_us"), number("p99_us"), number("p999_us"))
        {
            println!("{key:<24} {rate:>12.0} {p50:>10.1} {p99:>10.1} {p999:>10.1}");
        }
    }
    if let Some(idle) = figures.get("idle_cpu_percent") {
        println!("idle daemon and application: {idle} % of a processor");
    }
}
