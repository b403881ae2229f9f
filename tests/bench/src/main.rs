//! Benchmarks: our stack and its peers do the same work in one run.
//!
//! `causeway-bench core` measures times here and instructions in children under callgrind, which counts
//! the same whatever else the machine does. Times are reported, instruction ratios gate. The simulator has a benchmark of its
//! own (`sim/`): what is linked beside a stack changes how it is compiled.

mod callgrind;
mod causeway_pair;
mod causeway_port;
mod goals;
mod link;
mod memory;
mod pair;
mod report;
mod smoltcp_pair;
mod workload;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};

use crate::causeway_pair::CausewayPair;
use crate::pair::{Pair, Setup};
use crate::smoltcp_pair::SmoltcpPair;
use crate::workload::Done;

#[derive(Parser)]
#[command(about = "Causeway's benchmarks", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// TCP of our stack and of smoltcp, both ends on one core
    Core {
        /// One JSON document on standard output
        #[arg(long)]
        json: bool,
        /// Fail when an instruction ratio that gates is exceeded
        #[arg(long)]
        gate: bool,
    },
    /// Opens idle connections and prints what each costs in bytes, for a child of its own
    Memory,
    /// One workload, for the children that count instructions; prints the units of work done
    Run {
        /// Which
        case: Case,
        /// Whose stack
        stack: Peer,
        /// How much
        amount: u64,
    },
}

/// Whose stack does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Ours.
    Causeway,
    /// The smoltcp crate.
    Smoltcp,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Bulk, MTU 1500, timestamps off for parity
    Bulk1500,
    /// Bulk, MTU 1500, timestamps on (our default)
    Bulk1500Ts,
    /// Bulk, MTU 9000
    Bulk9000,
    /// Bulk, MTU 1500, beside 1,000 idle connections
    BulkIdle1k,
    /// Bulk, MTU 1500, beside 10,000 idle connections
    BulkIdle10k,
    /// Bulk, MTU 1500, beside 100,000 idle connections
    BulkIdle100k,
    /// 64 B request and response, one connection
    Rpc1,
    /// 64 B request and response on each of 1,000 connections at once
    Rpc1000,
    /// 64 B request and response, one in flight over 1,000 connections
    RpcSerial1000,
    /// Connect and close
    Churn,
}

impl Case {
    /// Getter: every case in the order of the report.
    pub const ALL: [Self; 10] = [
        Self::Bulk1500,
        Self::Bulk1500Ts,
        Self::Bulk9000,
        Self::BulkIdle1k,
        Self::BulkIdle10k,
        Self::BulkIdle100k,
        Self::Rpc1,
        Self::Rpc1000,
        Self::RpcSerial1000,
        Self::Churn,
    ];

    /// Getter: the name in reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bulk1500 => "bulk1500",
            Self::Bulk1500Ts => "bulk1500-ts",
            Self::Bulk9000 => "bulk9000",
            Self::BulkIdle1k => "bulk-idle1k",
            Self::BulkIdle10k => "bulk-idle10k",
            Self::BulkIdle100k => "bulk-idle100k",
            Self::Rpc1 => "rpc1",
            Self::Rpc1000 => "rpc1000",
            Self::RpcSerial1000 => "rpc-serial1000",
            Self::Churn => "churn",
        }
    }

    /// Getter: what one unit is.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Bulk1500
            | Self::Bulk1500Ts
            | Self::Bulk9000
            | Self::BulkIdle1k
            | Self::BulkIdle10k
            | Self::BulkIdle100k => "segment",
            Self::Rpc1 | Self::Rpc1000 | Self::RpcSerial1000 => "round trip",
            Self::Churn => "connection",
        }
    }

    const fn setup(self) -> Setup {
        let many = matches!(self, Self::Rpc1000 | Self::RpcSerial1000);
        Setup {
            mtu: if matches!(self, Self::Bulk9000) { 9_000 } else { 1_500 },
            buffer: if many { 64 << 10 } else { 256 << 10 },
            timestamps: matches!(self, Self::Bulk1500Ts),
            rx_burst: 2,
            connections_max: 100_100,
        }
    }

    /// Getter: false where the peer would need minutes.
    pub const fn measured_for(self, peer: Peer) -> bool {
        !matches!((self, peer), (Self::BulkIdle10k | Self::BulkIdle100k, Peer::Smoltcp))
    }

    /// Getter: the amount for a timed run, and two for counting the difference of instructions.
    pub const fn amounts(self, peer: Peer) -> (u64, [u64; 2]) {
        match (self, peer) {
            (Self::Bulk1500 | Self::Bulk1500Ts | Self::Bulk9000, _) => {
                (1 << 30, [4 << 20, 20 << 20])
            }
            (Self::BulkIdle1k, Peer::Smoltcp) => (16 << 20, [1 << 20, 2 << 20]),
            (Self::BulkIdle1k | Self::BulkIdle10k | Self::BulkIdle100k, _) => {
                (256 << 20, [4 << 20, 20 << 20])
            }
            (Self::Rpc1, _) => (300_000, [2_000, 12_000]),
            (Self::Rpc1000, _) => (100, [1, 3]),
            (Self::RpcSerial1000, Peer::Smoltcp) => (10_000, [50, 150]),
            (Self::RpcSerial1000, Peer::Causeway) => (200_000, [2_000, 12_000]),
            (Self::Churn, _) => (10_000, [100, 600]),
        }
    }

    fn prepare(self, pair: &mut impl Pair) {
        pair.open(match self {
            Self::Bulk1500 | Self::Bulk1500Ts | Self::Bulk9000 | Self::Rpc1 => 1,
            Self::BulkIdle1k => 1_001,
            Self::BulkIdle10k => 10_001,
            Self::BulkIdle100k => 100_001,
            Self::Rpc1000 | Self::RpcSerial1000 => 1_000,
            Self::Churn => 0,
        });
    }

    fn perform(self, pair: &mut impl Pair, amount: u64) -> Done {
        match self {
            Self::Bulk1500
            | Self::Bulk1500Ts
            | Self::Bulk9000
            | Self::BulkIdle1k
            | Self::BulkIdle10k
            | Self::BulkIdle100k => workload::bulk(pair, amount),
            Self::Rpc1 => workload::rpc_serial(pair, 1, amount),
            Self::Rpc1000 => workload::rpc_all(pair, 1_000, amount),
            Self::RpcSerial1000 => workload::rpc_serial(pair, 1_000, amount),
            Self::Churn => workload::churn(pair, 0, amount),
        }
    }

    /// Does the work and returns what was done and the nanoseconds that it took, opening the connections not counted.
    fn run(self, peer: Peer, amount: u64) -> (Done, u64) {
        fn timed(case: Case, mut pair: impl Pair, amount: u64) -> (Done, u64) {
            case.prepare(&mut pair);
            let start = Instant::now();
            let done = case.perform(&mut pair, amount);
            (done, u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
        }
        match peer {
            Peer::Causeway => timed(self, CausewayPair::new(self.setup()), amount),
            Peer::Smoltcp => timed(self, SmoltcpPair::new(self.setup()), amount),
        }
    }
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Run { case, stack, amount } => {
            let (done, _) = case.run(stack, amount);
            println!("{}", done.units);
            Ok(())
        }
        Command::Memory => {
            println!("{}", memory::measure()?);
            Ok(())
        }
        Command::Core { json, gate } => core(json, gate),
    }
}

fn core(json: bool, gate: bool) -> Result<()> {
    let cases = if gate { &goals::GATED[..] } else { &Case::ALL[..] };
    let peers = [Peer::Causeway, Peer::Smoltcp];
    let mut rows = Vec::new();
    for case in cases {
        let peers: Vec<Peer> = peers.iter().copied().filter(|p| case.measured_for(*p)).collect();
        let mut nanos = vec![Vec::new(); peers.len()];
        // Interleaved, so that a machine that becomes slower is slower for both; the median of three counts.
        for _ in 0..if gate { 1 } else { 3 } {
            for (peer, nanos) in peers.iter().zip(&mut nanos) {
                let (done, elapsed) = case.run(*peer, case.amounts(*peer).0);
                nanos.push(elapsed as f64 / done.units as f64);
            }
        }
        for (peer, mut nanos) in peers.into_iter().zip(nanos) {
            nanos.sort_by(f64::total_cmp);
            let instructions = callgrind::per_unit(*case, peer, case.amounts(peer).1)?;
            rows.push(report::Row {
                case: *case,
                peer,
                nanos: nanos[nanos.len() / 2],
                instructions,
            });
            if !json {
                report::progress(rows.last());
            }
        }
    }
    let idle_bytes = memory::idle_connection_bytes()?;
    if json {
        println!("{}", report::json(&rows, idle_bytes));
    } else {
        print!("{}", goals::table(&rows, idle_bytes));
    }
    if gate && let Err(message) = goals::gate(&rows, idle_bytes) {
        bail!(message);
    }
    Ok(())
}
