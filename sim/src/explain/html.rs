//! The run as a page.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::topology::Topology;
use crate::fault::condition_words;
use crate::report::{FrameLog, LegPage, Page, Recorder, SpanMark, Verdict};
use crate::scenario::Scenario;
use crate::tap::DirectionId;
use crate::trial::{Case, Outcome, Written};

/// Decisions that the page lists.
const EXECUTED_MAX: usize = 2_000;

pub(super) struct Html {
    out: Box<dyn Write>,
    recorder: Recorder,
    frames: Rc<RefCell<FrameLog>>,
    topology: Rc<Topology>,
    case: Case,
    about: String,
}

/// Characters of what a program wrote last.
const LAST_LINE_MAX: usize = 200;

impl Html {
    pub(super) fn new(
        out: Box<dyn Write>,
        case: &Case,
        topology: &Rc<Topology>,
        scenario: &Scenario,
    ) -> Self {
        let ids = (0..topology.directions.len()).map(DirectionId);
        let hosts_at =
            ids.map(|id| [topology.is_sent_by_host(id), topology.is_received_by_host(id)]);
        let about = [
            count(topology.hosts, "host"),
            count(scenario.switches.len(), "switch"),
            count(scenario.links.len(), "link"),
            count(scenario.flows.len(), "flow"),
            count(scenario.programs.len(), "program"),
        ];
        Self {
            out,
            recorder: Recorder::between(hosts_at.collect()),
            frames: Rc::default(),
            topology: Rc::clone(topology),
            case: case.clone(),
            about: about.into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }

    /// Getter: where single frames go.
    pub(super) fn frames(&self) -> Rc<RefCell<FrameLog>> {
        Rc::clone(&self.frames)
    }

    /// Getter: the tap for what is drawn of flows.
    pub(super) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Command: writes the page.
    pub(super) fn finish(mut self, outcome: &Outcome) -> io::Result<()> {
        let Outcome { violation, hash, frames, events, ended_at, executed, written } = outcome;
        let figure = |name: &str, value: String| (name.to_owned(), value);
        let mut figures = vec![
            figure("virtual time", format!("{ended_at} s")),
            figure("frames that arrived", frames.to_string()),
            figure("events", events.to_string()),
            figure("decisions executed", executed.len().to_string()),
            figure("state hash", format!("{hash:016x}")),
        ];
        figures.extend(written.iter().filter_map(|Written { program, text }| {
            let last: String = text.lines().last()?.chars().take(LAST_LINE_MAX).collect();
            Some(figure(&format!("{program} wrote last"), last))
        }));
        let lines: Vec<String> =
            executed.decisions().take(EXECUTED_MAX).map(ToString::to_string).collect();
        let spans = self.case.plan.spans().map(|(target, from, until, condition)| SpanMark {
            target: target.to_owned(),
            words: condition_words(condition),
            from,
            until,
        });
        let directions = &self.topology.directions;
        let order = order(&self.topology);
        let place = |node| order.iter().position(|one| *one == node).unwrap_or(0);
        let leg = LegPage {
            name: "run".to_owned(),
            about: self.about,
            figures,
            directions: directions.iter().map(|direction| direction.name.clone()).collect(),
            recording: self.recorder.take(),
            nodes: order.iter().map(|node| self.topology.nodes[*node].clone()).collect(),
            ends: directions.iter().map(|direction| direction.nodes.map(place)).collect(),
            frames: self.frames.take(),
            spans: spans.collect(),
        };
        let version = env!("CARGO_PKG_VERSION");
        let page = Page {
            title: format!("Seed {}", self.case.seed),
            subtitle: format!("causeway simulator {version} · state hash {hash:016x}"),
            verdict: Some(Verdict {
                violation: violation.clone(),
                case: self.case.to_string(),
                executed: lines.join("\n"),
            }),
            legs: vec![leg],
        };
        self.out.write_all(page.render().as_bytes())?;
        self.out.flush()
    }
}

/// The nodes as they are drawn: switches between the hosts.
fn order(topology: &Topology) -> Vec<usize> {
    let middle = topology.hosts / 2;
    let switches = topology.hosts..topology.nodes.len();
    (0..middle).chain(switches).chain(middle..topology.hosts).collect()
}

/// So many of a kind, in words; nothing for none.
fn count(number: usize, what: &str) -> Option<String> {
    let plural = if what == "switch" { "es" } else { "s" };
    match number {
        0 => None,
        1 => Some(format!("1 {what}")),
        _ => Some(format!("{number} {what}{plural}")),
    }
}
