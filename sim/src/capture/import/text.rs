//! The case with its comments, and what people are told of it.

use std::collections::BTreeMap;
use std::fmt;

use super::super::Skipped;
use super::Kinds;
use super::clock::Clock;
use super::events::{Event, Observed, Of};
use super::points::Point;
use super::resolve::{DIRECTIONS, Resolved};
use super::scenario::{Described, HOSTS};
use crate::fault::{Decision, FaultPlan, Line};
use crate::trial::{Case, Outcome};

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it is called.
    pub name: String,
    /// Its packets.
    pub packets: u64,
    /// Those that are TCP segments.
    pub segments: u64,
    /// Those that are UDP datagrams.
    pub datagrams: u64,
    /// Those with which ICMP says something of a TCP segment.
    pub reports: u64,
    /// Those that nothing is made of.
    pub skipped: Skipped,
    /// Where it ends inside of a packet.
    pub cut_at: Option<usize>,
}

/// What came of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The case.
    pub case: Case,
    /// The files.
    pub read: Vec<Read>,
    /// What happened in the captures, by what plans call it.
    pub found: Kinds,
    /// What of that is done in the run of the case.
    pub executed: Kinds,
    /// The run of the case.
    pub outcome: Outcome,
    /// How the clocks differ, what the link is like, what is not in the case: a line each.
    pub notes: Vec<String>,
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, packets, segments, datagrams, reports, skipped, cut_at } = self;
        write!(
            f,
            "{name}: {packets} packets, {segments} TCP segments, {datagrams} UDP datagrams, \
             {reports} ICMP errors about TCP, without use: {skipped}"
        )?;
        cut_at.map_or(Ok(()), |at| write!(f, "; it is cut at byte {at}"))
    }
}

/// Events without a frame in our run that are named in the case.
const UNDONE_MAX: usize = 100;

pub(super) fn imported(
    read: Vec<Read>,
    points: &[Point<'_>; 2],
    clock: &Clock,
    described: &Described,
    observed: &Observed,
    resolved: Resolved,
) -> Imported {
    let notes = notes(points, clock, described, observed);
    let mut executed = Kinds::new();
    let mut by_frame: BTreeMap<(usize, u64), Vec<(String, usize)>> = BTreeMap::new();
    let mut done = vec![false; observed.events.len()];
    for (direction, frame, fault, event) in &resolved.decided {
        *executed.entry(observed.events[*event].change.word()).or_default() += 1;
        done[*event] = true;
        let name = DIRECTIONS[*direction].to_owned();
        let decision = Decision::Frame { direction: name, frame: *frame, fault: *fault };
        by_frame.entry((*direction, *frame)).or_default().push((decision.to_string(), *event));
    }
    for (index, event) in observed.events.iter().enumerate() {
        if described.is_spanned(event) {
            *executed.entry(event.change.word()).or_default() += 1;
            done[index] = true;
        }
    }
    let about = |event: usize| {
        let place = place(points, clock, observed, &observed.events[event]);
        let what = resolved.names.get(event).copied().flatten();
        let what = what.map_or_else(|| "of no flow".to_owned(), |name| name.to_string());
        format!(" {place}: {what}")
    };
    let mut plan = FaultPlan::new();
    let mut comment = |text: String| plan.push_line(Line::Comment(text));
    notes.iter().for_each(|note| comment(format!(" {note}")));
    for line in resolved.plan.lines() {
        match line {
            Line::Decision(Decision::Frame { direction, frame, .. }) => {
                let direction = DIRECTIONS.iter().position(|name| name == direction);
                let text = match line {
                    Line::Decision(decision) => decision.to_string(),
                    Line::Comment(_) => String::new(),
                };
                let known = direction.and_then(|direction| by_frame.get(&(direction, *frame)));
                let own = known.into_iter().flatten().find(|(decision, _)| *decision == text);
                if let Some((_, event)) = own {
                    plan.push_line(Line::Comment(about(*event)));
                }
            }
            Line::Decision(_) | Line::Comment(_) => {}
        }
        plan.push_line(line.clone());
    }
    let undone: Vec<usize> = (0..done.len()).filter(|event| !done[*event]).collect();
    for event in undone.iter().take(UNDONE_MAX) {
        let word = observed.events[*event].change.word();
        plan.push_line(Line::Comment(format!(" not done, {word}:{}", about(*event))));
    }
    if undone.len() > UNDONE_MAX {
        plan.push_line(Line::Comment(format!(" not done: {} more", undone.len() - UNDONE_MAX)));
    }
    let case = Case { seed: 1, failed: None, scenario: described.toml.clone(), plan };
    let found = observed.kinds.clone();
    Imported { case, read, found, executed, outcome: resolved.outcome, notes }
}

fn notes(
    points: &[Point<'_>; 2],
    clock: &Clock,
    described: &Described,
    observed: &Observed,
) -> Vec<String> {
    let addresses = |host: usize| {
        let addresses = clock.hosts[host].iter().map(ToString::to_string);
        addresses.collect::<Vec<_>>().join(", ")
    };
    let mut notes: Vec<String> = (0..2)
        .map(|host| {
            format!("{} is {}, captured in {}", HOSTS[host], addresses(host), points[host].name)
        })
        .collect();
    let ahead = clock.ahead as f64 / 1e9;
    notes.push(format!(
        "the clock of {} is {ahead:.6} s ahead; {} us from host to host, {} kbit/s",
        points[1].name, described.delay_us, described.rate_kbit_s
    ));
    for (host, path) in observed.path.iter().enumerate() {
        let told = path
            .map(|bytes| format!("{} was told that its path carries {bytes} bytes", HOSTS[host]));
        notes.extend(told);
    }
    for (index, flow) in described.flows.iter().enumerate() {
        notes.push(format!("flow {} was {}", index + 1, flow.words));
    }
    let counts = [
        (described.left_out, "connections and conversations are not in the case"),
        (
            observed.untold,
            "ICMP errors are not in the case: nothing of their connection had arrived",
        ),
        (observed.appeared, "packets arrived that nobody is seen to send"),
        (observed.beyond, "packets were sent when the other capture had not begun or was over"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    notes.extend(counts.map(|(count, what)| format!("{count} {what}")));
    notes
}

/// Where in which file the frame of an event is, and when.
fn place(points: &[Point<'_>; 2], clock: &Clock, observed: &Observed, event: &Event) -> String {
    let name = &points[event.lane].name;
    let packet = match event.of {
        Of::Unit(unit) => observed.packets[event.lane].get(unit),
        Of::Parcel(parcel) => observed.parcels[event.lane].get(parcel),
    };
    match packet {
        Some((number, at)) => {
            let at = clock.at(event.lane, *at) as f64 / 1e9;
            format!("packet {number} of {name}, {at:.6} s")
        }
        None => name.clone(),
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.iter().try_for_each(|read| writeln!(f, "{read}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        let mut found = 0;
        let mut done = 0;
        for (word, count) in &self.found {
            let executed = self.executed.get(word).copied().unwrap_or(0);
            writeln!(f, "{word}: {count} in the captures, {executed} in the run of the case")?;
            found += count;
            done += executed;
        }
        writeln!(f, "{found} events in the captures, {done} in the run of the case")?;
        match &self.outcome.violation {
            None => write!(f, "the run of the case keeps every rule"),
            Some(broken) => {
                write!(f, "the run of the case: {}: {}", broken.signature, broken.words)
            }
        }
    }
}
