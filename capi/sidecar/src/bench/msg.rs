//! `causeway bench msg`: messages that come back.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;

use super::figures::Figures;
use super::load::{self, Load, Pace};
use super::{kernel_tcp, kernel_udp, machnet, plot};
use crate::attach::Daemon;

/// Most flows of a client.
const FLOWS_MAX: u32 = 4_096;
/// Most messages under way of a flow.
const WINDOW_MAX: u32 = 65_536;
/// The longest message.
const SIZE_MAX: u32 = 64 << 20;
/// The shortest: UDP's messages are told apart by the number in them.
const SIZE_MIN: u32 = 8;

/// Send messages to an echo server and measure how long they take to come back.
///
/// Start the server with --listen on one side, and the client with the server's address on the other. Round trips are counted once. The client
/// keeps --window messages of each flow under way (closed loop), or, with --rate, sends when a message is due whether others
/// have come back or not, and counts the time from when it was due (open loop).
///
/// With --over kernel-tcp or kernel-udp both sides use the sockets of the operating system in the same loop: what the figures are to be
/// compared with.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    causeway bench msg --listen 10.0.1.5:7000\n  \
    causeway bench msg 10.0.1.5:7000 --size 1024 --window 8 --time 10\n  \
    causeway bench msg 10.0.1.5:7000 --rate 50000 --json --plot latency.svg\n\n\
    Exit status: 0 if messages came back for the whole time, 1 if a flow ended or nothing came back.")]
pub struct Args {
    /// Where the echo server listens
    #[arg(conflicts_with = "listen")]
    server: Option<SocketAddr>,
    /// Be the echo server, on this address of the daemon (or of the host)
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["rate", "json", "plot", "from", "flows", "window"])]
    listen: Option<SocketAddr>,
    /// What carries the messages
    #[arg(long, value_enum, default_value_t = Over::Machnet)]
    over: Over,
    /// The address to send from [default: the route's]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// Bytes of a message, 8 to 67108864
    #[arg(long, value_name = "BYTES", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(i64::from(SIZE_MIN)..=i64::from(SIZE_MAX)))]
    size: u32,
    /// Messages of each flow under way
    #[arg(long, value_name = "N", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(WINDOW_MAX)))]
    window: u32,
    /// Flows
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(FLOWS_MAX)))]
    flows: u32,
    /// Messages a second of all flows together, whatever has come back [default: as the window allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "window")]
    rate: Option<u32>,
    /// Seconds that are measured
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    time: Duration,
    /// Seconds before these, which are not
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// Never sleep: poll until there is something
    #[arg(long)]
    spin: bool,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
    /// The distribution of round trips, as a picture (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    daemon: Daemon,
}

/// See [`Args::over`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Over {
    /// Flows of the daemon
    Machnet,
    /// TCP connections of the operating system
    KernelTcp,
    /// UDP datagrams of the operating system: a lost one is counted after a second
    KernelUdp,
}

impl Over {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| (0.0..=86_400.0).contains(s));
    let seconds = seconds.ok_or("give a number of seconds from 0 to 86400")?;
    Ok(Duration::from_secs_f64(seconds))
}

/// Serves, or measures and prints.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match (args.listen, args.server) {
        (Some(local), _) => serve(args, local),
        (None, Some(server)) => measure(args, server),
        (None, None) => crate::usage("bench msg", "give the server's address, or --listen"),
    }
}

fn serve(args: &Args, local: SocketAddr) -> anyhow::Result<ExitCode> {
    let listening = |local: SocketAddr| eprintln!("listening on {local}");
    match args.over {
        Over::Machnet => machnet::serve(&args.daemon.attach()?, local, args.spin, listening)?,
        Over::KernelTcp => kernel_tcp::serve(local, args.spin, listening)?,
        Over::KernelUdp => kernel_udp::serve(local, args.spin, listening)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &Args, server: SocketAddr) -> anyhow::Result<ExitCode> {
    if args.time.is_zero() {
        crate::usage("bench msg", "--time 0 measures nothing");
    }
    if args.over == Over::KernelUdp && args.size > kernel_udp::SIZE_MAX {
        crate::usage(
            "bench msg",
            &format!("a UDP datagram has {} bytes at most", kernel_udp::SIZE_MAX),
        );
    }
    // Before the load, so that nothing is measured for nothing.
    let mut plot_file = match &args.plot {
        Some(path) => {
            let file = std::fs::File::create(path);
            Some(file.with_context(|| format!("cannot write {}", path.display()))?)
        }
        None => None,
    };
    let load = Load {
        size: args.size as usize,
        flows: args.flows as usize,
        pace: match args.rate {
            Some(rate) => Pace::Open { per_second: rate },
            None => Pace::Closed { window: args.window as usize },
        },
        warm_up: args.warm_up,
        time: args.time,
        spin: args.spin,
    };
    let outcome = match args.over {
        Over::Machnet => {
            let channel = args.daemon.attach()?;
            load::run(&load, &mut machnet::Client::new(&channel, server, args.from, &load)?)?
        }
        Over::KernelTcp => {
            load::run(&load, &mut kernel_tcp::Client::new(server, args.from, &load)?)?
        }
        Over::KernelUdp => {
            load::run(&load, &mut kernel_udp::Client::new(server, args.from, &load)?)?
        }
    };
    let figures = Figures::new(args.over.name(), &load, &outcome);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&figures)?)?;
    } else {
        write!(out, "{figures}{}", plot::bars(&outcome.round_trips))?;
    }
    if let (Some(file), Some(path)) = (&mut plot_file, &args.plot) {
        let picture = plot::svg(&figures.title(), &outcome.round_trips);
        file.write_all(picture.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let failed = outcome.messages == 0 || outcome.ended.is_some();
    if let Some(reason) = &outcome.ended {
        eprintln!("causeway: {reason}");
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
