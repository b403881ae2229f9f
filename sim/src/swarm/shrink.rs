//! From a failing case to a small one that fails alike.

use super::parts::{Parts, Path};
use super::reach::reaches;
use crate::fault::{Decision, FaultPlan};
use crate::trial::{Case, Trial};

/// Candidates that a reduction may try.
const RUNS_MAX: u32 = 4_000;
/// Frames that its runs may take together: a processor that judges 150,000 a second needs less than a minute.
const FRAMES_MAX: u64 = 6_000_000;
/// What a run costs besides its frames, in frames.
const FRAMES_OF_A_RUN: u64 = 200;
/// What starting a program costs, in frames.
const FRAMES_OF_A_PROGRAM: u64 = 2_000;
/// What a scenario with programs is shrunk in: its hosts and links are theirs, and without one they would fail for another reason.
const BESIDE_PROGRAMS: [&str; 2] = ["flow", "fault"];

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

struct Shrinker<'a> {
    signature: String,
    /// Whoever waits has enough.
    is_over: &'a dyn Fn() -> bool,
    /// Every flow can be done, as far as links and addresses go, and so it has to stay.
    reaches: bool,
    runs: u32,
    /// Frames of all runs.
    spent: u64,
    best: Case,
    /// Frames of the best one's run.
    frames: u64,
}

/// Command: makes a failing case small. `None` when it does not fail with `signature`. The effort has a bound: the case may be
/// one that could become smaller still.
pub fn shrink(case: &Case, signature: &str) -> Option<Shrunk> {
    shrink_until(case, signature, &|| false)
}

/// Command: the same, and no run is begun once `is_over` says so: the case is the smallest one that was found until then.
pub fn shrink_until(case: &Case, signature: &str, is_over: &dyn Fn() -> bool) -> Option<Shrunk> {
    let mut shrinker = Shrinker {
        signature: signature.to_owned(),
        is_over,
        reaches: true,
        runs: 1,
        spent: 0,
        best: case.clone(),
        frames: 0,
    };
    let trial = Trial::new("case", case).ok()?;
    shrinker.reaches = reaches(trial.scenario());
    let outcome = trial.run(Vec::new()).ok()?;
    if outcome.violation.as_ref().map(|v| v.signature.as_str()) != Some(signature) {
        return None;
    }
    shrinker.frames = outcome.frames;
    // Decisions name frames by their numbers, which others have when a flow goes: the more goes before that, the better.
    // Not so times: a longer run draws more.
    shrinker.drop_parts(Some("run"));
    shrinker.make_explicit();
    loop {
        let before = size(&shrinker.best);
        shrinker.drop_decisions();
        shrinker.drop_parts(None);
        shrinker.lower_numbers();
        if size(&shrinker.best) >= before || shrinker.is_spent() {
            break;
        }
    }
    let mut best = shrinker.best;
    best.failed = Some(signature.to_owned());
    Some(Shrunk { case: best, runs: shrinker.runs, frames: shrinker.frames })
}

/// What is to become small: decisions, lines, and what is in them.
fn size(case: &Case) -> (usize, usize, usize) {
    (case.plan.len(), case.scenario.lines().count(), case.scenario.len())
}

impl Shrinker<'_> {
    fn is_spent(&self) -> bool {
        self.runs >= RUNS_MAX || self.spent >= FRAMES_MAX || (self.is_over)()
    }

    /// The candidate becomes the best one if it fails with the same signature, within so many frames.
    fn attempt(&mut self, candidate: Case, frames_max: u64) -> bool {
        if self.is_spent() {
            return false;
        }
        self.runs += 1;
        let Ok(trial) = Trial::new("case", &candidate) else { return false };
        if self.reaches && !reaches(trial.scenario()) {
            return false;
        }
        let Ok(outcome) = trial.run(Vec::new()) else { return false };
        let programs = trial.scenario().programs.len() as u64;
        self.spent += outcome.frames + FRAMES_OF_A_RUN + programs * FRAMES_OF_A_PROGRAM;
        let same = outcome.violation.is_some_and(|violation| violation.signature == self.signature);
        if same && outcome.frames <= frames_max {
            self.best = candidate;
            self.frames = outcome.frames;
            return true;
        }
        false
    }

    /// What was drawn becomes explicit, so that each decision can be left out alone.
    fn make_explicit(&mut self) {
        if self.is_spent() {
            return;
        }
        let Some(mut parts) = Parts::read(&self.best.scenario) else { return };
        let Ok(trial) = Trial::new("case", &self.best) else { return };
        let Ok(outcome) = trial.run(Vec::new()) else { return };
        parts.remove_table("fault");
        let (scenario, plan) = (parts.to_string(), outcome.executed);
        self.attempt(Case { scenario, plan, ..self.best.clone() }, u64::MAX);
    }

    /// Delta debugging: halves, quarters, ... of the decisions are left out.
    fn drop_decisions(&mut self) {
        let mut chunk = self.best.plan.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < self.best.plan.len() && !self.is_spent() {
                let kept = |index: usize| index < at || index >= at + chunk;
                let decisions = self.best.plan.decisions().enumerate();
                let plan: FaultPlan = decisions
                    .filter(|(index, _)| kept(*index))
                    .map(|(_, d)| Decision::clone(d))
                    .collect();
                let candidate = Case { plan, ..self.best.clone() };
                if !self.attempt(candidate, u64::MAX) {
                    at += chunk;
                }
            }
            if chunk == 1 {
                return;
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// Flows, links and hosts that are not needed, and settings that do not matter. A default may be more work than what was
    /// set: such a setting stays, and so does the table `kept`. Where there are programs, what they run on stays.
    fn drop_parts(&mut self, kept: Option<&str>) {
        let mut at = 0;
        while let Some(parts) = Parts::read(&self.best.scenario) {
            let programs = parts.has_programs();
            let is_beside = |path: &Path| BESIDE_PROGRAMS.iter().any(|key| path.is_in(key));
            let mut paths = parts.all().into_iter().filter(|path| {
                !kept.is_some_and(|k| path.is_in(k)) && (!programs || is_beside(path))
            });
            let Some(path) = paths.nth(at) else { return };
            if self.is_spent() {
                return;
            }
            let scenario = parts.without(&path).to_string();
            let candidate = Case { scenario, ..self.best.clone() };
            if !self.attempt(candidate, self.frames) {
                at += 1;
            }
        }
    }

    /// Numbers of flows: to 1, by halves, then by quarters.
    fn lower_numbers(&mut self) {
        let mut at = 0;
        while let Some(parts) = Parts::read(&self.best.scenario) {
            let Some((path, number)) = parts.numbers().into_iter().nth(at) else { return };
            if self.is_spent() {
                return;
            }
            let lower = [1, number / 2, number - number / 4];
            let lower = lower.into_iter().filter(|next| (1..number).contains(next));
            let is_lower = lower.into_iter().any(|next| {
                let scenario = parts.with(&path, next).to_string();
                let candidate = Case { scenario, ..self.best.clone() };
                self.attempt(candidate, self.frames)
            });
            if !is_lower {
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two seconds of data for a run that ends one second after the last fault, and much that has nothing to do with it.
    fn unfinished() -> Case {
        let text = "causeway fault plan 2\nseed 17\n\
            | run = { heal_ms = 10, limit_s = 1 }\n\
            | [[host]]\n| name = \"a\"\n| interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }]\n\
            | tcp = { sack = false, ecn = 1 }\n\
            | [[host]]\n| name = \"b\"\n| interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }]\n\
            | [[link]]\n| between = [\"a\", \"b\"]\n| rate_kbit_s = 1000\n\
            | [[flow]]\n| kind = \"request\"\n| from = \"b\"\n| to = \"a\"\n| reply_bytes = 100\n| bytes = 10\n\
            | [[flow]]\n| kind = \"stream\"\n| from = \"a\"\n| to = \"b\"\n| bytes = 300000\n\
            | [[flow]]\n| kind = \"stream\"\n| from = \"b\"\n| to = \"a\"\n| bytes = 3000\n\
            # what was seen\ndrop a->b 7\npad b->a 5 by 3\nmark a->b 9\npause b 3ms..4ms\nlate a 30 by 5us\n";
        text.parse().expect("it is right")
    }

    fn lines(case: &Case) -> usize {
        case.to_string().lines().count()
    }

    #[test]
    fn what_does_not_matter_goes_and_what_fails_stays() {
        let case = unfinished();
        let shrunk = shrink(&case, "O7.unfinished").expect("it fails so");
        let small = &shrunk.case;
        assert!(small.plan.is_empty(), "{small}");
        assert_eq!(small.scenario.matches("kind = ").count(), 1, "{small}");
        assert!(!small.scenario.contains("tcp = "), "{small}");
        // Without it the flow could not be done at all.
        assert!(small.scenario.contains("between = [\"a\", \"b\"]"), "{small}");
        assert!(small.scenario.contains("limit_s = 1") && lines(small) <= 14, "{small}");
        let outcome = Trial::new("case", small).expect("it is right").run(Vec::new());
        let outcome = outcome.expect("it can be run");
        assert_eq!(outcome.violation.map(|v| v.signature).as_deref(), Some("O7.unfinished"));
        assert_eq!(
            (outcome.frames, small.failed.as_deref()),
            (shrunk.frames, Some("O7.unfinished"))
        );
        assert!(shrunk.runs < 200, "{}", shrunk.runs);
        // What is small stays as it is.
        let again = shrink(small, "O7.unfinished").expect("it fails so");
        assert_eq!(again.case, *small);
    }

    #[test]
    fn what_was_drawn_becomes_the_decisions_that_matter() {
        let mut case = unfinished();
        case.plan = FaultPlan::new();
        // The first SYN and the next one, a second later, are lost; the third would leave when the run is over (RFC 6298 2.1).
        let heal = case.scenario.replace("heal_ms = 10", "heal_ms = 1500");
        let flow = heal.replace("bytes = 300000", "bytes = 3000");
        let fault = "[fault]\nsyn_loss_ppm = 1000000\nlate_ppm = 1000\npad_ppm = 100000\n";
        case.scenario = flow + fault;
        let small = shrink(&case, "O7.unfinished").expect("it fails so").case;
        assert!(!small.scenario.contains("fault"), "{small}");
        let drop = |decision: &Decision| {
            matches!(decision, Decision::Frame { fault: crate::fault::Fault::Drop, .. })
        };
        assert!(small.plan.len() == 2 && small.plan.decisions().all(drop), "{small}");
        assert_eq!(small.scenario.matches("kind = ").count(), 1, "{small}");
    }

    #[test]
    fn the_effort_has_a_bound_and_nothing_else_is_taken_for_the_failure() {
        assert!(shrink(&unfinished(), "O1.content").is_none());
        let mut shrinker = Shrinker {
            signature: "O7.unfinished".to_owned(),
            is_over: &|| false,
            reaches: true,
            runs: 1,
            spent: FRAMES_MAX - 1,
            best: unfinished(),
            frames: u64::MAX,
        };
        assert!(shrinker.attempt(unfinished(), u64::MAX), "there is a frame left");
        assert!(!shrinker.attempt(unfinished(), u64::MAX), "none is left");
        shrinker.drop_decisions();
        shrinker.drop_parts(None);
        shrinker.lower_numbers();
        assert_eq!((shrinker.runs, shrinker.best), (2, unfinished()));
        let none = shrink_until(&unfinished(), "O7.unfinished", &|| true).expect("it fails so");
        assert_eq!((none.runs, none.case.plan), (1, unfinished().plan));
    }
}
