//! The report.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use super::super::{Role, Skipped};
use super::compare::{Item, Line, Sameness, compare};
use super::drive::Played;
use super::script::Scripts;
use crate::packet::Flags;
use crate::workload::Violation;

/// Lines of a report, unless all are asked for.
const LINES_MAX: usize = 200;
/// How wide what one host sent is printed.
const WIDTH: usize = 58;

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The host's end.
    pub local: SocketAddr,
    /// Its peer.
    pub remote: SocketAddr,
    /// What it was.
    pub role: Role,
    /// What both sent, in order of time.
    pub lines: Vec<Line>,
}

/// What came of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The addresses of the host.
    pub host: String,
    /// Packets of the capture that nothing is made of.
    pub skipped: Skipped,
    /// Segments of connections that are not replayed.
    pub left_out: u64,
    /// Segments that were handed to our stack.
    pub delivered: u64,
    /// Segments for which our stack had no connection yet.
    pub undelivered: u64,
    /// Acknowledgements of what our stack had not sent.
    pub ahead: u64,
    /// Acknowledgements that were made later, when it had.
    pub made_up: u64,
    /// It sent more than four times what it got: the replay was stopped.
    pub stopped: bool,
    /// The connections, in order.
    pub connections: Vec<Compared>,
    /// The first rule that our stack broke.
    pub violation: Option<Violation>,
}

impl Replayed {
    pub(super) fn new(
        host: String,
        skipped: Skipped,
        scripts: &Scripts<'_>,
        played: Played,
    ) -> Self {
        let connections = scripts.all.iter().zip(&played.items).map(|(script, ours)| Compared {
            local: script.local,
            remote: script.remote,
            role: script.role,
            lines: compare(&script.items, ours),
        });
        Self {
            host,
            skipped,
            left_out: scripts.left_out,
            connections: connections.collect(),
            delivered: played.delivered,
            undelivered: played.undelivered,
            ahead: played.ahead,
            made_up: played.made_up,
            stopped: played.stopped,
            violation: played.violation,
        }
    }

    /// Getter: how many lines of all connections are like this.
    pub fn count(&self, sameness: Sameness) -> usize {
        let lines = self.connections.iter().flat_map(|connection| &connection.lines);
        lines.filter(|line| line.sameness == sameness).count()
    }

    /// Output: the report; `all` has the lines in which both did the same, too.
    pub fn report(&self, all: bool) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, all);
        text
    }

    fn write(&self, out: &mut String, all: bool) -> fmt::Result {
        let Self { host, delivered, undelivered, ahead, made_up, left_out, .. } = self;
        let count = self.connections.len();
        writeln!(
            out,
            "our stack in place of {host}: {count} connections, {delivered} segments for it"
        )?;
        writeln!(out, "without use: {}", self.skipped)?;
        let notes = [
            (*left_out, "segments are of connections that are not replayed"),
            (*undelivered, "segments came before our stack had such a connection"),
            (*ahead, "segments acknowledged what our stack had not sent yet"),
            (*made_up, "acknowledgements were made when it had"),
        ];
        for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
            writeln!(out, "{count} {what}")?;
        }
        let mut left = if all { usize::MAX } else { LINES_MAX };
        for connection in &self.connections {
            connection.write(out, all, &mut left)?;
        }
        let [same, similar, theirs, ours] =
            [Sameness::Same, Sameness::Similar, Sameness::CapturedOnly, Sameness::OursOnly]
                .map(|sameness| self.count(sameness));
        writeln!(
            out,
            "{same} segments are the same, {similar} similar, {theirs} the captured host's only, {ours} our stack's only"
        )?;
        if self.stopped {
            writeln!(out, "our stack sent so much that the replay was stopped")?;
        }
        match &self.violation {
            None => writeln!(out, "every rule was kept"),
            Some(broken) => {
                let words = broken.words.replace(char::is_control, " ");
                writeln!(out, "{} at {} s: {words}", broken.signature, broken.at)
            }
        }
    }
}

impl Compared {
    fn write(&self, out: &mut String, all: bool, left: &mut usize) -> fmt::Result {
        let Self { local, remote, role, lines } = self;
        let verb = if *role == Role::Client { "calls" } else { "is called by" };
        let sums = |of: fn(&Line) -> Option<Item>| {
            let items = || lines.iter().filter_map(of);
            let data = items().filter(|item| item.len > 0);
            let bytes = data.map(|item| item.offset + i64::from(item.len)).max().unwrap_or(0);
            let sent: u64 = items().map(|item| u64::from(item.len)).sum();
            let again = sent.saturating_sub(u64::try_from(bytes).unwrap_or(0));
            let pure = items().filter(Item::is_pure).count();
            let count = items().count();
            let bytes = bytes.max(0);
            format!("{count} segments, {bytes} bytes, {again} again, {pure} acknowledgements")
        };
        writeln!(out, "{local} {verb} {remote}")?;
        writeln!(out, "  captured: {}", sums(|line| line.captured))?;
        writeln!(out, "  ours:     {}", sums(|line| line.ours))?;
        let shown = lines.iter().filter(|line| all || line.sameness != Sameness::Same);
        let total = shown.clone().count();
        for line in shown.take(*left) {
            writeln!(out, "{}", line.text())?;
        }
        if total > *left {
            writeln!(out, "  ... {} more lines", total - *left)?;
        }
        *left = left.saturating_sub(total);
        Ok(())
    }
}

impl Line {
    /// Output: `0.123456  = what the captured host sent | what our stack sent`.
    fn text(&self) -> String {
        let mark = match self.sameness {
            Sameness::Same => '=',
            Sameness::Similar => '~',
            Sameness::CapturedOnly => '<',
            Sameness::OursOnly => '>',
        };
        let words = |item: Option<Item>| item.map_or_else(String::new, |item| words(&item));
        let captured = words(self.captured);
        let mut ours = words(self.ours);
        if let (Some(a), Some(b)) = (self.captured, self.ours) {
            let later = b.at as i128 - i128::from(a.at);
            // What is within a millisecond is at the same time.
            if later.unsigned_abs() >= 1_000_000 {
                let _ = write!(ours, " ({:+.3} ms)", later as f64 / 1e6);
            }
        }
        let at = self.at() as f64 / 1e9;
        format!("{at:>13.6} {mark} {captured:<WIDTH$} | {ours}").trim_end().to_owned()
    }
}

fn words(item: &Item) -> String {
    let mut words = format!("[{}] {}", letters(item.flags), item.offset);
    if item.len > 0 {
        let _ = write!(words, ":{}", item.offset + i64::from(item.len));
    }
    if let Some(ack) = item.ack {
        let _ = write!(words, " ack {ack}");
    }
    let _ = write!(words, " win {}", item.window);
    let options = &item.options;
    if item.flags & Flags::SYN.0 != 0 {
        let mss = options.mss.map(|mss| format!("mss {mss}"));
        let scale = options.window_scale.map(|scale| format!("wscale {scale}"));
        let sack = options.sack_permitted.then(|| "sackOK".to_owned());
        let stamps = options.timestamps.map(|_| "TS".to_owned());
        let list: Vec<String> = [mss, scale, sack, stamps].into_iter().flatten().collect();
        let _ = write!(words, " <{}>", list.join(" "));
    }
    match options.sack.as_slice().len() {
        0 => {}
        blocks => {
            let _ = write!(words, " sack {blocks}");
        }
    }
    words
}

/// As tcpdump has them, with E and W for ECE and CWR.
fn letters(flags: u8) -> String {
    const LETTERS: [(Flags, char); 7] = [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::URG, 'U'),
        (Flags::ECE, 'E'),
        (Flags::CWR, 'W'),
        (Flags::ACK, '.'),
    ];
    let on = LETTERS.iter().filter(|(flag, _)| Flags(flags).has(*flag));
    on.map(|(_, letter)| letter).collect()
}
