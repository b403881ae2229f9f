//! Where the decisions about a direction's frames come from.

use crate::fault::{Decision, Drawer, Fault, FaultPlan, FaultSource, Live};

/// Decides, and remembers what was decided.
#[derive(Debug)]
pub struct Decider {
    source: Source,
    decided: Vec<(u64, Fault)>,
}

#[derive(Debug)]
enum Source {
    Drawn(Box<Drawer>),
    /// In order of frames; those before `next` are done.
    Planned {
        decisions: Vec<(u64, Fault)>,
        next: usize,
    },
    /// By somebody, to whom the direction goes by its name.
    Live(Live, String),
    Healed,
}

impl Decider {
    /// The decisions of `faults` about the direction called `name`; what is drawn is drawn as `entity` under `seed`.
    pub fn new(faults: &FaultSource, name: &str, seed: u64, entity: u64) -> Self {
        let source = match faults {
            FaultSource::Drawn(profile) => {
                Source::Drawn(Box::new(Drawer::new(*profile, seed, entity)))
            }
            FaultSource::Planned(plan) => {
                Source::Planned { decisions: plan.direction(name), next: 0 }
            }
            FaultSource::Live(live) => Source::Live(live.clone(), name.to_owned()),
        };
        Self { source, decided: Vec::new() }
    }

    /// Output: what happens to frame `number`, in the order of application.
    pub fn decide(&mut self, number: u64, frame: &[u8], out: &mut Vec<Fault>) {
        match &mut self.source {
            Source::Healed => return,
            Source::Drawn(drawer) => drawer.draw(number, frame, out),
            Source::Live(live, name) => live.decide(name, number, frame, out),
            Source::Planned { decisions, next } => {
                while let Some(&(frame, fault)) = decisions.get(*next) {
                    if frame > number {
                        break;
                    }
                    if frame == number {
                        out.push(fault);
                    }
                    *next += 1;
                }
            }
        }
        if !out.is_empty() {
            out.sort_unstable();
            self.decided.extend(out.iter().map(|fault| (number, *fault)));
        }
    }

    /// Command: nothing goes wrong from here on.
    pub fn heal(&mut self) {
        self.source = Source::Healed;
    }

    /// Output: adds what was decided so far to `plan`, about the direction called `name`.
    pub fn record_into(&self, name: &str, plan: &mut FaultPlan) {
        for &(frame, fault) in &self.decided {
            plan.push(Decision::Frame { direction: name.to_owned(), frame, fault });
        }
    }
}
