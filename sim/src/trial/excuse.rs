//! What may end or spoil a flow without anybody being wrong.

use crate::fault::{Condition, Decision, Event, Fault, FaultPlan, Forgery, ForgeryKind};
use crate::scenario::Scenario;
use crate::workload::Excuses;

/// Getter: what the flows of a run need not do, by what may happen to them.
pub fn excuses(scenario: &Scenario, plan: &FaultPlan) -> Excuses {
    let (link, host) = (&scenario.faults.link, &scenario.faults.host);
    let mut excuses = Excuses {
        end: host.no_rings_ppm > 0 || host.no_memory_ppm > 0,
        // Forged bytes may guess right; what was damaged under checksums that fit may be anything.
        content: link.repaired_ppm > 0 || link.forge_ppm > 0,
        numbers: link.repaired_ppm > 0,
        // Address resolution gives up long before TCP does (RFC 4861 §10: three attempts, a second apart).
        unreachable: scenario.draws || !plan.is_empty(),
    };
    for decision in plan.decisions() {
        match decision {
            Decision::Frame { fault: Fault::Forge(Forgery { kind, .. }), .. } => {
                // A reset may guess right, and so may a byte.
                excuses.end = true;
                excuses.content |= *kind == ForgeryKind::Data;
            }
            Decision::Frame { fault: Fault::Corrupt { repaired, .. }, .. } => {
                excuses.content |= repaired;
                excuses.numbers |= repaired;
            }
            Decision::Counted { event: Event::NoRings | Event::NoMemory, .. } => excuses.end = true,
            Decision::Span { condition: Condition::Crash, .. } => excuses.end = true,
            Decision::Span { condition: Condition::AckAhead(_), .. } => {
                (excuses.end, excuses.content) = (true, true);
            }
            _ => {}
        }
    }
    excuses.end |= excuses.content;
    excuses
}
