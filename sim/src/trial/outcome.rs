//! A run, and what came of it.

use causeway_core::time::Instant;

use super::build::{Built, TrialError, build};
use super::case::Case;
use super::panic::{Caught, catch};
use super::watch::Watch;
use crate::fault::FaultPlan;
use crate::scenario::Scenario;
use crate::tap::Tap;
use crate::workload::{SharedLedger, Violation};
use crate::world::{Stop, World};

/// A case, checked.
#[derive(Clone, Debug)]
pub struct Trial {
    seed: u64,
    scenario: Scenario,
    plan: FaultPlan,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// The rolling hash over everything that happened.
    pub hash: u64,
    /// Frames that reached the end of a link.
    pub frames: u64,
    /// Events that were handled.
    pub events: u64,
    /// Virtual time at the end.
    pub ended_at: Instant,
    /// Every decision that was executed.
    pub executed: FaultPlan,
}

impl Trial {
    /// Checks a case.
    ///
    /// # Errors
    /// The scenario is wrong.
    pub fn new(file: &str, case: &Case) -> Result<Self, TrialError> {
        let scenario = Scenario::parse(file, &case.scenario)?;
        Ok(Self { seed: case.seed, scenario, plan: case.plan.clone() })
    }

    /// Getter: the scenario.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Command: runs it to its end, watched by `taps` too.
    ///
    /// # Errors
    /// The case cannot be run at all.
    pub fn run(&self, taps: Vec<Box<dyn Tap>>) -> Result<Outcome, TrialError> {
        let mut built = build(&self.scenario, &self.plan, self.seed)?;
        taps.into_iter().for_each(|tap| built.world.add_tap(tap));
        let Built { mut world, ledger } = built;
        let watch = Watch::new(&self.scenario, &self.plan, &world);
        world.add_tap(Box::new(watch.clone()));
        let ended = catch(|| self.execute(&mut world, &ledger));
        let violation = match ended {
            Ok(violation) => {
                let told = ledger.borrow().violation().cloned();
                let judged = || watch.finish(world.now(), &self.scenario.hosts);
                told.or_else(judged).or(violation)
            }
            Err(Caught { place, message }) => {
                let words = format!("panic at {place}: {message}");
                Some(Violation { signature: format!("O13.{place}"), at: world.now(), words })
            }
        };
        let arrived = world.lanes().iter().map(|lane| lane.fault_counters().arrived);
        Ok(Outcome {
            violation,
            hash: world.state_hash(),
            frames: arrived.sum(),
            events: world.stats().events,
            ended_at: world.now(),
            executed: world.executed_plan(),
        })
    }

    /// Until every flow is done, then until nothing is left to do.
    fn execute(&self, world: &mut World, ledger: &SharedLedger) -> Option<Violation> {
        let rules = &self.scenario.rules;
        let spans = self.plan.spans().map(|(_, _, until, _)| until).max();
        let healed = spans.map_or(rules.heal_at, |until| until.max(rules.heal_at));
        let over = || {
            let ledger = ledger.borrow();
            ledger.is_done() || ledger.violation().is_some()
        };
        let violate = |world: &World, signature: &str, words: String| {
            Some(Violation { signature: signature.to_owned(), at: world.now(), words })
        };
        match world.run_while(healed + rules.limit, || !over()) {
            Stop::Told => {}
            Stop::Idle => {
                let words = format!("nothing is left to happen, and {}", unfinished(ledger));
                return violate(world, "O6.deadlock", words);
            }
            Stop::TimeUp => {
                let words = format!(
                    "{} s after the last fault {}",
                    rules.limit.as_millis() / 1_000,
                    unfinished(ledger)
                );
                return violate(world, "O7.unfinished", words);
            }
        }
        if ledger.borrow().violation().is_some() {
            return None;
        }
        // The programs end; what they leave behind goes.
        world.end_programs();
        // What is closed takes its time: TIME-WAIT, the linger of what is still being delivered. Addresses of neighbours and paths are
        // remembered longer than that.
        world.run_while(world.now().max(healed) + rules.limit, || true);
        let left = world.leftovers();
        if left.is_empty() { None } else { violate(world, "O8.leak", left) }
    }
}

/// The flows that are not done, in words.
fn unfinished(ledger: &SharedLedger) -> String {
    use crate::workload::FlowState;
    let ledger = ledger.borrow();
    let working = ledger
        .flows()
        .iter()
        .zip(1..)
        .filter(|(flow, _)| flow.states.contains(&FlowState::Working));
    let words: Vec<String> = working
        .map(|(flow, number)| {
            let [client, server] = flow.received;
            format!("flow {number} is not done (client received {client} bytes, server {server})")
        })
        .collect();
    words.join(", ")
}
