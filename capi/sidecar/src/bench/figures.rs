//! What was measured, in words and as JSON.

use std::fmt;

use serde::Serialize;

use super::load::{Load, Outcome, Pace};

/// The figures of one measurement. Times are in microseconds.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub over: String,
    pub size: usize,
    pub flows: usize,
    /// Of each flow; `null` in an open loop.
    pub window: Option<usize>,
    /// Asked for, of all flows, in an open loop.
    pub rate: Option<u32>,
    pub seconds: f64,
    /// Round trips, each counted once.
    pub messages: u64,
    pub lost: u64,
    pub msgs_per_s: f64,
    pub gbit_per_s: f64,
    pub min_us: f64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    /// Why it ended before its time.
    pub ended: Option<String>,
}

impl Figures {
    /// Figures of what `load` came to over `over`.
    pub fn new(over: String, load: &Load, outcome: &Outcome) -> Self {
        let times = &outcome.round_trips;
        let us = |nanos: u64| nanos as f64 / 1e3;
        let at =
            |quantile: f64| if times.is_empty() { 0 } else { times.value_at_quantile(quantile) };
        let seconds = outcome.took.as_secs_f64();
        let per_s = if seconds > 0.0 { outcome.messages as f64 / seconds } else { 0.0 };
        let (window, rate) = match load.pace {
            Pace::Closed { window } => (Some(window), None),
            Pace::Open { per_second } => (None, Some(per_second)),
        };
        Self {
            over,
            size: load.size,
            flows: load.flows,
            window,
            rate,
            seconds,
            messages: outcome.messages,
            lost: outcome.lost,
            msgs_per_s: per_s,
            gbit_per_s: per_s * load.size as f64 * 8.0 / 1e9,
            min_us: us(if times.is_empty() { 0 } else { times.min() }),
            mean_us: times.mean() / 1e3,
            p50_us: us(at(0.5)),
            p90_us: us(at(0.9)),
            p99_us: us(at(0.99)),
            p999_us: us(at(0.999)),
            max_us: us(times.max()),
            ended: outcome.ended.clone(),
        }
    }

    /// Getter: what was measured, in a line.
    pub fn title(&self) -> String {
        let Self { over, size, flows, .. } = self;
        let pace = match (self.window, self.rate) {
            (Some(window), _) => format!("window {window}"),
            (None, Some(rate)) => format!("{rate} messages/s asked for"),
            (None, None) => String::new(),
        };
        let many = if *flows == 1 { "" } else { "s" };
        format!("{size} bytes, {pace}, {flows} flow{many}, {:.1} s over {over}", self.seconds)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title())?;
        let Self { msgs_per_s, gbit_per_s, messages, lost, .. } = self;
        write!(
            f,
            "{msgs_per_s:>12.0} messages/s, {gbit_per_s:.3} Gbit/s each way, {messages} in all"
        )?;
        writeln!(f, "{}", if *lost > 0 { format!(", {lost} lost") } else { String::new() })?;
        let Self { min_us, mean_us, p50_us, p90_us, p99_us, p999_us, max_us, .. } = self;
        writeln!(
            f,
            "  round trip in us: min {min_us:.1}, mean {mean_us:.1}, p50 {p50_us:.1}, p90 {p90_us:.1}, \
             p99 {p99_us:.1}, p99.9 {p999_us:.1}, max {max_us:.1}"
        )
    }
}
