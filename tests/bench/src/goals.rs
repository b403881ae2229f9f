//! The goals by their number: what was measured, what must be, and the verdict. Instruction counts do not depend on the
//! machine's load and gate; times are printed beside them and gate nothing.

use std::fmt::Write as _;

use crate::report::{Row, find};
use crate::{Case, Peer};

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!(">= {bound}"),
            Self::AtMost(bound) => format!("<= {bound}"),
        }
    }
}

/// One line: a figure and what it must be.
#[derive(Clone, Copy, Debug)]
struct Goal {
    id: &'static str,
    what: &'static str,
    case: Case,
    figure: Figure,
    must: Bound,
    /// What the gate holds: what was reached, with a little room. `None`: nothing but a report.
    gate: Option<f64>,
}

/// How a figure is made from the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    /// smoltcp's time through ours.
    Speed,
    /// Our instructions through smoltcp's.
    InstructionRatio,
    /// Our instructions.
    Instructions,
    /// Our instructions through our own without idle connections.
    OwnInstructions,
    /// Our time through our own without idle connections.
    OwnTime,
}

impl Figure {
    fn of(self, rows: &[Row], case: Case) -> Option<f64> {
        let ours = find(rows, case, Peer::Causeway)?;
        let theirs = || find(rows, case, Peer::Smoltcp);
        let alone = || find(rows, Case::Bulk1500, Peer::Causeway);
        Some(match self {
            Self::Speed => theirs()?.nanos / ours.nanos,
            Self::InstructionRatio => ours.instructions / theirs()?.instructions,
            Self::Instructions => ours.instructions,
            Self::OwnInstructions => ours.instructions / alone()?.instructions,
            Self::OwnTime => ours.nanos / alone()?.nanos,
        })
    }
}

const fn goal(
    id: &'static str,
    what: &'static str,
    case: Case,
    figure: Figure,
    must: Bound,
    gate: Option<f64>,
) -> Goal {
    Goal { id, what, case, figure, must, gate }
}

const GOALS: [Goal; 18] = {
    use Bound::{AtLeast, AtMost};
    use Figure::{InstructionRatio, Instructions, OwnInstructions, OwnTime, Speed};
    [
        goal("G1", "bulk 1500, speed x smoltcp", Case::Bulk1500, Speed, AtLeast(1.8), None),
        goal("G1", "... with timestamps", Case::Bulk1500Ts, Speed, AtLeast(1.8), None),
        goal(
            "G2",
            "bulk 1500, instructions x smoltcp",
            Case::Bulk1500,
            InstructionRatio,
            AtMost(0.45),
            Some(0.43),
        ),
        goal(
            "G2",
            "... instructions a segment",
            Case::Bulk1500,
            Instructions,
            AtMost(2_500.0),
            Some(2_600.0),
        ),
        goal(
            "G2",
            "... with timestamps, x smoltcp",
            Case::Bulk1500Ts,
            InstructionRatio,
            AtMost(0.45),
            None,
        ),
        goal("G3", "bulk 9000, speed x smoltcp", Case::Bulk9000, Speed, AtLeast(1.8), None),
        goal(
            "G4",
            "beside 1,000 idle, own instructions",
            Case::BulkIdle1k,
            OwnInstructions,
            AtMost(1.01),
            None,
        ),
        goal(
            "G4",
            "beside 10,000 idle, own instructions",
            Case::BulkIdle10k,
            OwnInstructions,
            AtMost(1.01),
            Some(1.01),
        ),
        goal(
            "G4",
            "beside 100,000 idle, own instructions",
            Case::BulkIdle100k,
            OwnInstructions,
            AtMost(1.01),
            Some(1.01),
        ),
        goal("G4", "beside 1,000 idle, own time", Case::BulkIdle1k, OwnTime, AtMost(1.05), None),
        goal("G4", "beside 10,000 idle, own time", Case::BulkIdle10k, OwnTime, AtMost(1.05), None),
        goal(
            "G4",
            "beside 100,000 idle, own time",
            Case::BulkIdle100k,
            OwnTime,
            AtMost(1.05),
            None,
        ),
        goal("G5", "RPC 64 B, speed x smoltcp", Case::Rpc1, Speed, AtLeast(1.5), None),
        goal(
            "G5",
            "... instructions a round trip",
            Case::Rpc1,
            Instructions,
            AtMost(3_700.0),
            Some(11_750.0),
        ),
        goal("G5", "... instructions x smoltcp", Case::Rpc1, InstructionRatio, AtMost(0.67), None),
        goal(
            "G6",
            "RPC on 1,000 at once, speed x smoltcp",
            Case::Rpc1000,
            Speed,
            AtLeast(4.0),
            None,
        ),
        goal(
            "G6",
            "... one in flight over 1,000",
            Case::RpcSerial1000,
            Speed,
            AtLeast(200.0),
            None,
        ),
        goal(
            "G6",
            "... instructions x smoltcp",
            Case::RpcSerial1000,
            InstructionRatio,
            AtMost(0.01),
            None,
        ),
    ]
};

/// What an idle connection may cost in the stack, in bytes, and where the gate stands.
const IDLE_BYTES_MUST: f64 = 512.0;
/// Where it stands: the gate, until the goal is met.
const IDLE_BYTES_GATE: f64 = 512.0;

/// The cases that the gate needs.
pub const GATED: [Case; 4] = [Case::Bulk1500, Case::BulkIdle10k, Case::BulkIdle100k, Case::Rpc1];

/// One line for each goal that was measured.
pub fn table(rows: &[Row], idle_bytes: f64) -> String {
    let mut text = String::from(
        "\ngoal                                               measured       must  verdict\n",
    );
    for goal in &GOALS {
        let Some(value) = goal.figure.of(rows, goal.case) else { continue };
        line(&mut text, goal.id, goal.what, value, goal.must);
    }
    line(
        &mut text,
        "G9",
        "an idle connection, bytes of one end",
        idle_bytes,
        Bound::AtMost(IDLE_BYTES_MUST),
    );
    text
}

fn line(text: &mut String, id: &str, what: &str, value: f64, must: Bound) {
    let verdict = if must.is_met(value) { "pass" } else { "FAIL" };
    let _ = writeln!(text, "{id:<3} {what:<43} {value:>10.3} {:>10}  {verdict}", must.text());
}

/// Holds what was reached.
///
/// # Errors
/// Names each figure that is worse than the gate, with the goal beside it.
pub fn gate(rows: &[Row], idle_bytes: f64) -> Result<(), String> {
    let mut worse = String::new();
    for goal in &GOALS {
        let Some(limit) = goal.gate else { continue };
        match goal.figure.of(rows, goal.case) {
            None => worse += &format!("{} {}: not measured\n", goal.id, goal.what),
            Some(value) if value > limit => {
                let must = goal.must.text();
                worse +=
                    &format!("{} {}: {value:.3}, gate {limit}, goal {must}\n", goal.id, goal.what);
            }
            Some(_) => {}
        }
    }
    if idle_bytes > IDLE_BYTES_GATE {
        worse += &format!(
            "G9 an idle connection costs {idle_bytes:.0} bytes, gate {IDLE_BYTES_GATE}, goal {IDLE_BYTES_MUST}\n"
        );
    }
    if worse.is_empty() { Ok(()) } else { Err(worse) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(alone: f64, beside: f64) -> Vec<Row> {
        let row = |case, peer, instructions| Row { case, peer, nanos: 1.0, instructions };
        vec![
            row(Case::Bulk1500, Peer::Causeway, alone),
            row(Case::Bulk1500, Peer::Smoltcp, 6_100.0),
            row(Case::BulkIdle10k, Peer::Causeway, alone),
            row(Case::BulkIdle100k, Peer::Causeway, beside),
            row(Case::Rpc1, Peer::Causeway, 3_000.0),
        ]
    }

    #[test]
    fn the_gate_refuses_what_is_worse_than_what_was_reached() {
        assert_eq!(gate(&rows(2_500.0, 2_510.0), 400.0), Ok(()));
        assert!(
            gate(&rows(2_500.0, 2_600.0), 400.0).is_err(),
            "a cost that grows with connections"
        );
        assert!(gate(&rows(5_000.0, 5_000.0), 400.0).is_err(), "a segment that costs more");
        assert!(
            gate(&rows(2_500.0, 2_510.0), 600.0).is_err(),
            "an idle connection that costs more"
        );
        assert!(gate(&[], 400.0).is_err(), "nothing was measured");
    }

    #[test]
    fn a_verdict_follows_the_bound() {
        let text = table(&rows(2_000.0, 2_500.0), 513.0);
        assert!(
            text.lines().any(|l| l.contains("instructions a segment") && l.ends_with("pass")),
            "{text}"
        );
        assert!(
            text.lines()
                .any(|l| l.contains("beside 100,000 idle, own instr") && l.ends_with("FAIL"))
        );
        assert!(text.lines().any(|l| l.starts_with("G9") && l.ends_with("FAIL")));
    }
}
