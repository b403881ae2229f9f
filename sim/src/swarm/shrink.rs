//! From a failing case to a small one that fails alike.

use crate::fault::{Decision, FaultPlan};
use crate::trial::{Case, Trial};

/// Runs that a reduction may take.
const RUNS_MAX: u32 = 4_000;

/// What came of a reduction.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest case that was found.
    pub case: Case,
    /// Runs that it took.
    pub runs: u32,
    /// Frames of the smallest case's run.
    pub frames: u64,
}

struct Shrinker {
    signature: String,
    runs: u32,
    frames: u64,
}

/// Command: makes a failing case small. `None` when it does not fail with `signature`.
pub fn shrink(case: &Case, signature: &str) -> Option<Shrunk> {
    let mut shrinker = Shrinker { signature: signature.to_owned(), runs: 0, frames: 0 };
    let outcome = Trial::new("case", case).ok()?.run(Vec::new()).ok()?;
    if outcome.violation.as_ref().map(|v| v.signature.as_str()) != Some(signature) {
        return None;
    }
    shrinker.frames = outcome.frames;
    let mut best = case.clone();
    // What was drawn becomes explicit, so that each decision can be left out alone.
    let explicit = Case {
        scenario: without_fault(&case.scenario),
        plan: outcome.executed,
        failed: Some(signature.to_owned()),
        seed: case.seed,
    };
    if shrinker.fails(&explicit) {
        best = explicit;
    }
    loop {
        let before = size(&best);
        shrinker.drop_decisions(&mut best);
        shrinker.drop_lines(&mut best);
        shrinker.lower_numbers(&mut best);
        if size(&best) >= before || shrinker.runs >= RUNS_MAX {
            break;
        }
    }
    best.failed = Some(signature.to_owned());
    shrinker.fails(&best);
    Some(Shrunk { case: best, runs: shrinker.runs, frames: shrinker.frames })
}

/// What is to become small: decisions, lines, and numbers in them.
fn size(case: &Case) -> (usize, usize, usize) {
    (case.plan.len(), case.scenario.lines().count(), case.scenario.len())
}

fn without_fault(scenario: &str) -> String {
    let kept = scenario.lines().filter(|line| !line.starts_with("fault = "));
    kept.flat_map(|line| [line, "\n"]).collect()
}

impl Shrinker {
    /// The case fails with the same signature.
    fn fails(&mut self, case: &Case) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let Ok(trial) = Trial::new("case", case) else { return false };
        let Ok(outcome) = trial.run(Vec::new()) else { return false };
        let same = outcome.violation.is_some_and(|violation| violation.signature == self.signature);
        if same {
            self.frames = outcome.frames;
        }
        same
    }

    /// Delta debugging: halves, quarters, ... of the decisions are left out.
    fn drop_decisions(&mut self, best: &mut Case) {
        let mut chunk = best.plan.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < best.plan.len() {
                let kept = |index: usize| index < at || index >= at + chunk;
                let decisions = best.plan.decisions().enumerate();
                let plan: FaultPlan = decisions
                    .filter(|(index, _)| kept(*index))
                    .map(|(_, d)| Decision::clone(d))
                    .collect();
                let candidate = Case { plan, ..best.clone() };
                if self.fails(&candidate) {
                    *best = candidate;
                } else {
                    at += chunk;
                }
            }
            if chunk == 1 {
                return;
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// Flows, links and hosts that are not needed.
    fn drop_lines(&mut self, best: &mut Case) {
        let mut at = 0;
        while let Some(line) = best.scenario.lines().nth(at) {
            if line.starts_with("  {") || line.starts_with("switch = ") {
                let lines = best.scenario.lines().enumerate().filter(|(index, _)| *index != at);
                let scenario = lines.flat_map(|(_, line)| [line, "\n"]).collect();
                let candidate = Case { scenario, ..best.clone() };
                if self.fails(&candidate) {
                    *best = candidate;
                    continue;
                }
            }
            at += 1;
        }
    }

    /// Bytes and counts, by halves; settings of hosts that do not matter.
    fn lower_numbers(&mut self, best: &mut Case) {
        for key in ["bytes = ", "reply_bytes = ", "count = "] {
            let mut from = 0;
            while let Some(found) = best.scenario[from..].find(key) {
                let start = from + found + key.len();
                let rest = &best.scenario[start..];
                let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                let number: u64 = rest[..digits].parse().unwrap_or(0);
                let mut scenario = best.scenario.clone();
                scenario.replace_range(start..start + digits, &(number / 2).to_string());
                let candidate = Case { scenario, ..best.clone() };
                if number > 1 && self.fails(&candidate) {
                    *best = candidate;
                } else {
                    from = start;
                }
            }
        }
        for table in [", tcp = {", ", nic = {", ", machnet = {"] {
            let mut from = 0;
            while let Some(found) = best.scenario[from..].find(table) {
                let start = from + found;
                let Some(len) = best.scenario[start..].find('}') else { break };
                let mut scenario = best.scenario.clone();
                scenario.replace_range(start..=start + len, "");
                let candidate = Case { scenario, ..best.clone() };
                if self.fails(&candidate) {
                    *best = candidate;
                } else {
                    from = start + 1;
                }
            }
        }
    }
}
