//! What may end or spoil a flow without anybody being wrong.

use super::ipc;
use crate::fault::{Condition, Decision, Event, Fault, FaultPlan, Forgery, ForgeryKind};
use crate::scenario::Scenario;
use crate::workload::Excuses;

/// Getter: what the flows of a run need not do, by what may happen to them.
pub fn excuses(scenario: &Scenario, plan: &FaultPlan) -> Excuses {
    let (link, host) = (&scenario.faults.link, &scenario.faults.host);
    let repaired = link.repaired_ppm > 0 || link.path.header_repaired_ppm > 0;
    let mut excuses = Excuses {
        end: host.no_rings_ppm > 0 || host.no_memory_ppm > 0 || link.path.storm_ppm > 0,
        // Forged bytes may guess right; what was damaged under checksums that fit may be anything.
        content: repaired || link.forge_ppm > 0 || host.nic.sum_good_ppm > 0,
        numbers: repaired || host.nic.sum_good_ppm > 0,
        // Address resolution gives up long before TCP does (RFC 4861 §10: three attempts, a second apart).
        unreachable: scenario.draws || !plan.is_empty(),
        refused: ipc::may_begin_late(scenario, plan),
        half_open: false,
        misled: false,
    };
    for decision in plan.decisions() {
        match decision {
            Decision::Frame {
                fault: Fault::Forge(Forgery { kind: ForgeryKind::Neighbor, .. }),
                ..
            } => {}
            Decision::Frame { fault: Fault::Forge(Forgery { kind, .. }), .. } => {
                // A reset may guess right, and so may a byte.
                excuses.end = true;
                let data = *kind == ForgeryKind::Data;
                excuses.content |= data;
                excuses.numbers |= data;
            }
            Decision::Frame { fault: Fault::Corrupt { repaired, .. }, .. } => {
                excuses.content |= repaired;
                excuses.numbers |= repaired;
            }
            Decision::Counted { event: Event::NoRings | Event::NoMemory, .. } => excuses.end = true,
            // As damage under a checksum that fits.
            Decision::Counted { event: Event::SumGood, .. } => {
                (excuses.content, excuses.numbers) = (true, true);
            }
            Decision::Span { condition: Condition::Crash | Condition::DaemonRestart, .. } => {
                excuses.end = true;
            }
            Decision::Span { condition: Condition::AckAhead(_), .. } => {
                // What was acknowledged and did not arrive is nobody's any more.
                (excuses.end, excuses.content, excuses.numbers) = (true, true, true);
            }
            _ => {}
        }
    }
    excuses.end |= excuses.content;
    excuses
}

/// What the programs of a run need not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramExcuses {
    /// They may end with another status: the stack may have told them so.
    pub status: bool,
    /// What they receive may not be what was sent.
    pub content: bool,
    /// They need not end.
    pub unfinished: bool,
}

/// Getter: what the programs of a run need not do. A crash excuses nothing where all programs of the host start again.
pub fn program_excuses(scenario: &Scenario, plan: &FaultPlan) -> ProgramExcuses {
    let crashed = |decision: &Decision| match decision {
        Decision::Span { target, condition: Condition::Crash, .. } => Some(target.clone()),
        _ => None,
    };
    let others = plan.decisions().filter(|decision| crashed(decision).is_none());
    let others: FaultPlan = others.cloned().collect();
    let base = excuses(scenario, &others);
    let stays_down = |host: &str| {
        let on_it = scenario.programs.iter().filter(|p| scenario.hosts[p.host].name == host);
        on_it.clone().any(|program| !program.restart)
    };
    let gone = plan.decisions().filter_map(crashed).any(|host| stays_down(&host));
    ProgramExcuses {
        status: base.end || gone,
        content: base.content,
        unfinished: base.end || base.numbers || gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_excuses_programs_only_where_one_stays_down() {
        let program = std::env::current_exe().expect("a test has a file");
        let text = format!(
            "host = [\n\
             {{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},\n\
             {{ name = \"b\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}] }},\n]\n\
             program = [\n{{ name = \"x\", host = \"a\", command = {program:?}, restart = true }},\n\
             {{ name = \"y\", host = \"b\", command = {program:?} }},\n]\n"
        );
        let scenario = Scenario::parse("x.toml", &text).expect("it is right");
        let of = |line: &str| {
            let plan = format!("causeway fault plan 2\n{line}\n").parse().expect("a plan");
            program_excuses(&scenario, &plan)
        };
        assert_eq!(of("crash a 1s..2s"), ProgramExcuses::default());
        let gone = ProgramExcuses { status: true, content: false, unfinished: true };
        assert_eq!(of("crash b 1s..2s"), gone);
        assert_eq!(of("pause b 1s..2s"), ProgramExcuses::default());
        assert!(of("forge a->b 3 data 5").content);
    }
}
