//! `causeway ping`.

use std::io::Write;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use causeway_client::{CommandError, Duration, PingError, Pong, Wait, words};

use crate::attach::Daemon;
use crate::signals;

/// Send ICMP echo requests through the daemon and print the replies.
///
/// Exit status: 0 if at least one reply came, 1 if none did.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway ping -c 3 10.0.1.1")]
pub struct Args {
    /// Whom to ask
    address: IpAddr,
    /// Stop after so many requests [default: until interrupted]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Seconds between requests
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: f64,
    /// Payload bytes of a request, 0 to 65507
    #[arg(short, long, value_name = "BYTES", default_value_t = 56,
          value_parser = clap::value_parser!(u16).range(0..=65_507))]
    size: u16,
    #[command(flatten)]
    daemon: Daemon,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.0..=86_400.0).contains(&s) => Ok(s),
        _ => Err("give a number of seconds from 0 to 86400".to_owned()),
    }
}

/// What is printed at the end.
#[derive(Debug, Default)]
struct Tally {
    sent: u32,
    times_ms: Vec<f64>,
}

/// Asks until told otherwise.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let channel = args.daemon.attach()?;
    let stop = signals::stop_stream().context("cannot watch for signals")?;
    let mut out = std::io::stdout().lock();
    let mut tally = Tally::default();
    writeln!(out, "PING {}: {} data bytes", args.address, args.size)?;
    let began = Instant::now();
    loop {
        tally.sent += 1;
        let asked = Instant::now();
        let sequence = tally.sent as u16;
        match channel.ping(args.address, sequence, args.size, Wait::Forever) {
            Ok(pong) => {
                tally.times_ms.push(millis(pong.rtt));
                print(&mut out, args.address, &pong)?;
            }
            Err(PingError::Refused(CommandError::TimedOut)) => {
                writeln!(out, "no reply from {}: icmp_seq={sequence}", args.address)?;
            }
            Err(PingError::Refused(reason)) => {
                anyhow::bail!("{} cannot be asked: {}", args.address, words::refusal(&reason));
            }
            Err(PingError::Call(error)) => return Err(error.into()),
        }
        out.flush()?;
        let left = args.interval - asked.elapsed().as_secs_f64();
        if args.count.is_some_and(|count| tally.sent >= count)
            || signals::is_stopped(&stop, std::time::Duration::from_secs_f64(left.max(0.0)))?
        {
            break;
        }
    }
    tally.print(&mut out, args.address, began.elapsed().as_millis())?;
    Ok(if tally.times_ms.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(out: &mut impl Write, address: IpAddr, pong: &Pong) -> std::io::Result<()> {
    writeln!(
        out,
        "{} bytes from {address}: icmp_seq={} ttl={} time={:.3} ms",
        // With the ICMP header, as ping counts.
        u32::from(pong.len) + 8,
        pong.sequence,
        pong.ttl,
        millis(pong.rtt)
    )
}

fn millis(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e6
}

impl Tally {
    fn print(&self, out: &mut impl Write, address: IpAddr, total_ms: u128) -> std::io::Result<()> {
        let got = self.times_ms.len();
        let lost = 100.0 * (f64::from(self.sent) - got as f64) / f64::from(self.sent.max(1));
        writeln!(out, "\n--- {address} ping statistics ---")?;
        writeln!(
            out,
            "{} requests sent, {got} replies, {lost:.0}% lost, {total_ms} ms",
            self.sent
        )?;
        if got > 0 {
            let least = self.times_ms.iter().copied().fold(f64::INFINITY, f64::min);
            let most = self.times_ms.iter().copied().fold(0.0, f64::max);
            let mean = self.times_ms.iter().sum::<f64>() / got as f64;
            writeln!(out, "rtt min/avg/max = {least:.3}/{mean:.3}/{most:.3} ms")?;
        }
        out.flush()
    }
}
