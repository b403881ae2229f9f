//! Faults between programs and the engine of hosts with channels.

use super::build::TrialError;
use crate::fault::{Condition, Decision, Event, FaultPlan, IPC_EVENTS};
use crate::scenario::{PortKind, Scenario};

/// Getter: a program may write what it likes where its bytes lie that were sent.
pub(super) fn may_scribble(scenario: &Scenario, plan: &FaultPlan) -> bool {
    let planned = |decision: &Decision| {
        matches!(decision, Decision::Counted { event: Event::Scribbles | Event::Dies, .. })
    };
    let rates = scenario.faults.host.ipc;
    rates.scribbles_ppm > 0 || rates.dies_ppm > 0 || plan.decisions().any(planned)
}

/// Getter: the end of a flow may have its first turn, or its channel, later than it should.
pub(super) fn may_begin_late(scenario: &Scenario, plan: &FaultPlan) -> bool {
    let planned = |decision: &Decision| match decision {
        Decision::Counted { event, .. } => {
            matches!(event, Event::NoChannel | Event::LateBell | Event::LostBell)
        }
        Decision::Span { condition, .. } => *condition == Condition::Stall,
        Decision::Frame { .. } => false,
    };
    let rates = scenario.faults.host.ipc;
    let drawn = rates.no_channel_ppm > 0 || rates.late_bell_ppm > 0 || rates.lost_bell_ppm > 0;
    drawn || plan.decisions().any(planned)
}

/// What a plan says about channels has to be about a host that has some, and a daemon restarts under nobody else's programs.
///
/// # Errors
/// [`TrialError::NoChannels`].
pub(super) fn check(scenario: &Scenario, plan: &FaultPlan) -> Result<(), TrialError> {
    for decision in plan.decisions() {
        let target = match decision {
            Decision::Counted { target, event, .. } if IPC_EVENTS.contains(event) => target,
            Decision::Span {
                target,
                condition: Condition::DaemonRestart | Condition::Stall,
                ..
            } => target,
            _ => continue,
        };
        let Some(index) = scenario.hosts.iter().position(|host| host.name == *target) else {
            // Whoever executes the plan says which hosts there are.
            continue;
        };
        let has_guests = scenario.programs.iter().any(|program| program.host == index);
        if has_guests || scenario.hosts[index].port != PortKind::Channel {
            return Err(TrialError::NoChannels {
                line: decision.to_string(),
                host: target.clone(),
            });
        }
    }
    Ok(())
}
