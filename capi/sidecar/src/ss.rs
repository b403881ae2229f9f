//! `causeway ss`.

use std::io::{self, Write};
use std::process::ExitCode;

use causeway_server::introspect::SocketRow;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::attach::Daemon;

/// List the sockets of a running daemon: connections, listeners, Machnet flows, UDP sockets.
///
/// Root and the user of the daemon see all of them, others those of their own programs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    causeway ss --tcp --info\n  \
    causeway ss --json | jq '.sockets[] | select(.state == \"ESTAB\") | .info.srtt_ns'")]
pub struct Args {
    /// Listeners only
    #[arg(long, short)]
    listening: bool,
    /// TCP; with --udp and --machnet, those as well [default: all]
    #[arg(long, short)]
    tcp: bool,
    /// UDP
    #[arg(long, short)]
    udp: bool,
    /// Machnet
    #[arg(long, short)]
    machnet: bool,
    /// Figures of each connection and flow, those that are not zero
    #[arg(long, short)]
    info: bool,
    /// One JSON document, with all figures
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Args {
    fn wants(&self, row: &SocketRow) -> bool {
        let any = !(self.tcp || self.udp || self.machnet);
        let transport = match &*row.transport {
            "tcp" => self.tcp,
            "udp" => self.udp,
            _ => self.machnet,
        };
        (any || transport) && (!self.listening || row.listener.is_some())
    }
}

/// One socket in JSON.
#[derive(Serialize)]
struct Row<'a> {
    transport: &'a str,
    state: &'a str,
    profile: Option<&'a str>,
    local: String,
    remote: Option<String>,
    interface: Option<&'a str>,
    pid: Option<u32>,
    uid: Option<u32>,
    tenant: Option<&'a str>,
    channel: u32,
    id: u64,
    half_open: Option<u32>,
    waiting: Option<u32>,
    backlog: Option<u32>,
    info: Option<Map<String, Value>>,
}

impl<'a> From<&'a SocketRow> for Row<'a> {
    fn from(row: &'a SocketRow) -> Self {
        let owner = row.owner.as_ref();
        let figures = row.named_figures().into_iter().map(|(name, word)| (name, word.into()));
        Self {
            transport: &row.transport,
            state: &row.state,
            profile: row.profile.as_deref(),
            local: row.local.to_string(),
            remote: row.remote.map(|remote| remote.to_string()),
            interface: row.interface.as_deref(),
            pid: owner.map(|owner| owner.pid),
            uid: owner.map(|owner| owner.uid),
            tenant: owner.and_then(|owner| owner.tenant.as_deref()),
            channel: row.channel,
            id: row.id,
            half_open: row.listener.map(|listener| listener.half_open),
            waiting: row.listener.map(|listener| listener.waiting),
            backlog: row.listener.map(|listener| listener.backlog),
            info: row.figures.is_some().then(|| figures.collect()),
        }
    }
}

/// Asks and prints.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut rows = args.daemon.inquire()?.sockets()?;
    rows.retain(|row| args.wants(row));
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        let rows: Vec<Row<'_>> = rows.iter().map(Row::from).collect();
        serde_json::to_writer_pretty(&mut out, &serde_json::json!({ "sockets": rows }))?;
        writeln!(out)?;
    } else {
        print(&mut out, &rows, args.info)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

const HEAD: [&str; 8] =
    ["Proto", "State", "Waiting", "Local", "Peer", "Interface", "Process", "Tenant"];

fn cells(row: &SocketRow) -> [String; 8] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let owner = row.owner.as_ref();
    [
        row.transport.to_string(),
        row.state.to_string(),
        or_dash(row.listener.map(|listener| format!("{}/{}", listener.waiting, listener.backlog))),
        row.local.to_string(),
        or_dash(row.remote.map(|remote| remote.to_string())),
        or_dash(row.interface.clone()),
        or_dash(owner.map(|owner| format!("{} (uid {})", owner.pid, owner.uid))),
        or_dash(owner.and_then(|owner| owner.tenant.clone())),
    ]
}

fn print(out: &mut impl Write, rows: &[SocketRow], info: bool) -> io::Result<()> {
    let lines: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    put(out, &HEAD.map(str::to_owned), &widths)?;
    for (line, row) in lines.iter().zip(rows) {
        put(out, line, &widths)?;
        if info && row.figures.is_some() {
            let figures = row.named_figures();
            let figures = figures.iter().filter(|(_, word)| *word != 0);
            let figures: Vec<String> =
                figures.map(|(name, word)| format!("{name}:{word}")).collect();
            writeln!(out, "    {}", figures.join(" "))?;
        }
    }
    Ok(())
}

fn put(out: &mut impl Write, cells: &[String; 8], widths: &[usize; 8]) -> io::Result<()> {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    writeln!(out, "{}", padded.join("  ").trim_end())
}
