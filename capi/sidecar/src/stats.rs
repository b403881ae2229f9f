//! `causeway stats`.

use std::io::{self, Write};
use std::process::ExitCode;

use causeway_server::introspect::{Kind, Metric};
use serde_json::{Map, Value, json};

use crate::attach::Daemon;

/// Print what a running daemon counts: the stack, its interfaces, tenants and channels.
///
/// The names are those of the Prometheus endpoint. Channels of other users are told to root and to the user of the daemon only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway stats\n  \
    causeway stats --json | jq '.metrics[] | select(.name == \"causeway_retransmits_total\").value'")]
pub struct Args {
    /// One JSON document, those that are zero as well
    #[arg(long)]
    json: bool,
    /// Those that are zero as well
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Asks and prints.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut metrics = args.daemon.inquire()?.metrics()?;
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        let metrics: Vec<Value> = metrics.iter().map(document).collect();
        serde_json::to_writer_pretty(&mut out, &json!({ "metrics": metrics }))?;
        writeln!(out)?;
    } else {
        let lines = metrics.iter().filter(|metric| args.all || metric.value != 0);
        let lines: Vec<(String, u64)> = lines.map(|m| (name(m), m.value)).collect();
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in lines {
            writeln!(out, "{name:<width$}  {value}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn document(metric: &Metric) -> Value {
    let labels: Map<String, Value> =
        metric.labels.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    json!({ "name": metric.name, "kind": kind, "labels": labels, "value": metric.value })
}

/// With its labels, as Prometheus writes it.
fn name(metric: &Metric) -> String {
    if metric.labels.is_empty() {
        return metric.name.to_string();
    }
    let labels: Vec<String> =
        metric.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}{{{}}}", metric.name, labels.join(","))
}
