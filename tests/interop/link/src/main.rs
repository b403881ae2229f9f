//! `interop-link`: joins two TAP devices by a link of the simulator, in real time.
//!
//! The devices may be moved into namespaces of their own once they are open. The link has the rate, the delay, the
//! queue and the faults of `causeway_sim::link`: what the simulator does to frames in virtual time happens here to
//! those of the kernel. Ends with its standard input, and then prints what it has done.
#![forbid(unsafe_code)]

mod closings;
mod side;
mod wire;

use std::path::PathBuf;

use anyhow::{Context, Result};
use causeway_core::time::Duration;
use causeway_sim::fault::{FaultPlan, FaultProfile, FaultSource};
use causeway_sim::link::{LinkConfig, QueueLimit};
use clap::Parser;

use side::Side;
use wire::Wire;

/// A link between two TAP devices.
#[derive(Debug, Parser)]
#[command(name = "interop-link")]
struct Args {
    /// Name of the device at one end; created
    #[arg(long, default_value = "left")]
    left: String,
    /// Name of the device at the other end; created
    #[arg(long, default_value = "right")]
    right: String,
    /// Largest IP datagram, in bytes
    #[arg(long, default_value_t = 1_500)]
    mtu: u16,
    /// Line rate, in Mbit/s
    #[arg(long, default_value_t = 100)]
    rate_mbit: u64,
    /// Propagation in each direction, in microseconds
    #[arg(long, default_value_t = 1_000)]
    delay_us: u64,
    /// The queue in front of the line, in bytes; what does not fit is lost
    #[arg(long, default_value_t = 256 << 10)]
    queue_bytes: u64,
    /// What the faults are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Frames lost, per million
    #[arg(long, default_value_t = 0)]
    loss_ppm: u32,
    /// Frames delivered twice, per million
    #[arg(long, default_value_t = 0)]
    duplicate_ppm: u32,
    /// Frames held back, per million
    #[arg(long, default_value_t = 0)]
    reorder_ppm: u32,
    /// For how long at most, in microseconds
    #[arg(long, default_value_t = 1_000)]
    reorder_us_max: u64,
    /// Frames with one bit flipped, per million
    #[arg(long, default_value_t = 0)]
    corrupt_ppm: u32,
    /// A fault plan (directions `left->right` and `right->left`) instead of the rates
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Say at the end how many connections closed from both sides at once; this reads each segment
    #[arg(long)]
    closings: bool,
}

impl Args {
    fn faults(&self) -> Result<FaultSource> {
        if let Some(path) = &self.plan {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let plan: FaultPlan = text.parse().with_context(|| path.display().to_string())?;
            return Ok(FaultSource::Planned(plan));
        }
        let profile = FaultProfile::builder()
            .loss_ppm(self.loss_ppm)
            .duplicate_ppm(self.duplicate_ppm)
            .reorder_ppm(self.reorder_ppm)
            .reorder_delay_max(Duration::from_micros(self.reorder_us_max))
            .corrupt_ppm(self.corrupt_ppm)
            .build()?;
        Ok(FaultSource::Drawn(profile.into()))
    }

    fn physics(&self) -> LinkConfig {
        LinkConfig::routed(
            self.rate_mbit * 1_000_000,
            Duration::from_micros(self.delay_us),
            QueueLimit::Bytes(self.queue_bytes),
        )
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let sides = [Side::open(&args.left, args.mtu)?, Side::open(&args.right, args.mtu)?];
    let mut wire = Wire::new(sides, args.physics(), &args.faults()?, args.seed);
    if args.closings {
        wire.watch_closings();
    }
    println!("ready");
    wire.run()?;
    println!("{}", wire.summary());
    Ok(())
}
