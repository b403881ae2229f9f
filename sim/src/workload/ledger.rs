//! What became of the flows of a run.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::error::{CommandError, EndReason};
use causeway_core::time::Instant;

use crate::polled::NetError;

/// Which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who begins.
    Client,
    /// Who answers.
    Server,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The oracle, and what of it: `O1.content`. Equal for equal failures.
    pub signature: String,
    /// When.
    pub at: Instant,
    /// In words.
    pub words: String,
}

/// How far an end of a flow is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowState {
    /// It has not begun, or is at work.
    #[default]
    Working,
    /// Everything came.
    Done,
    /// It ended before that, as it may here.
    Excused(EndReason),
}

/// What flows of this run need not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excuses {
    /// They may end before they are done.
    pub end: bool,
    /// Their bytes may be others: something changes them under checksums that fit.
    pub content: bool,
    /// They need not end: their numbers may be others, under checksums that fit.
    pub numbers: bool,
    /// Address resolution may give up on their peer.
    pub unreachable: bool,
    /// Servers may begin late, so that clients find nobody.
    pub refused: bool,
    /// One of their ends may have been forgotten, of which another that only waits is never told (RFC 9293 3.5.1).
    pub half_open: bool,
    /// What they send may have gone to a station that is not their peer's, for as long as a false answer is believed and longer.
    pub misled: bool,
}

/// Knows what a flow need not do.
pub trait Excuse {
    /// Getter: what flow number `flow` of the scenario need not do, by what has happened until `at`.
    fn excuses(&self, flow: usize, at: Instant) -> Excuses;
}

/// The same for all flows at all times.
impl Excuse for Excuses {
    fn excuses(&self, _: usize, _: Instant) -> Excuses {
        *self
    }
}

/// One flow.
#[derive(Clone, Debug, Default)]
pub struct FlowRecord {
    /// Client and server.
    pub states: [FlowState; 2],
    /// Bytes that client and server received.
    pub received: [u64; 2],
    /// The stack of an end that is not Causeway, by its word.
    pub foreign: Option<&'static str>,
    /// The defect of that stack for which the flow may be unfinished.
    pub pardon: Option<&'static str>,
    /// One of its programs is not what it was: nothing is expected of the flow any more.
    pub spoiled: bool,
}

impl FlowRecord {
    /// Getter: what a failure of the flow is called that breaks `rule`: where a foreign stack takes part, it is a difference between two
    /// implementations (oracle O5).
    pub fn signature(&self, rule: &str) -> String {
        foreign_signature(self.foreign, rule)
    }
}

/// Output: the name of a failure that breaks `rule`, in which a stack that is not Causeway takes part.
pub fn foreign_signature(foreign: Option<&str>, rule: &str) -> String {
    foreign.map_or_else(|| rule.to_owned(), |stack| format!("O5.{stack}.{rule}"))
}

/// Every flow of a run.
pub struct Ledger {
    flows: Vec<FlowRecord>,
    excuses: Box<dyn Excuse>,
    /// Flows that somebody waits for.
    working: usize,
    violation: Option<Violation>,
}

/// Shared by the programs of a run.
pub type SharedLedger = Rc<RefCell<Ledger>>;

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("flows", &self.flows).finish_non_exhaustive()
    }
}

impl Ledger {
    /// The ledger of so many flows.
    pub fn shared(flows: usize, excuses: Box<dyn Excuse>) -> SharedLedger {
        let records = vec![FlowRecord::default(); flows];
        let ledger = Self { flows: records, excuses, working: flows, violation: None };
        Rc::new(RefCell::new(ledger))
    }

    /// Command: an end of a flow has another stack than Causeway, called so.
    pub fn set_foreign(&mut self, flow: usize, stack: &'static str) {
        self.flows[flow].foreign = Some(stack);
    }

    /// Command: a flow may be unfinished, for a defect of a foreign stack; the first one counts.
    pub fn pardon(&mut self, flow: usize, defect: &'static str) {
        self.flows[flow].pardon.get_or_insert(defect);
    }

    /// Getter: true when nobody waits for any flow: both its ends are done, or one has ended as it may, and of the other nothing is
    /// expected.
    pub const fn is_done(&self) -> bool {
        self.working == 0
    }

    /// Getter: true when somebody waits for this flow.
    pub fn is_expected(&self, flow: usize) -> bool {
        let FlowRecord { states, spoiled, .. } = &self.flows[flow];
        !spoiled
            && states.contains(&FlowState::Working)
            && !states.iter().any(|state| matches!(state, FlowState::Excused(_)))
    }

    /// Getter: the first rule that was broken.
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Getter: what a flow need not do, by what has happened until `at`.
    pub fn excuses(&self, flow: usize, at: Instant) -> Excuses {
        let excuses = self.excuses.excuses(flow, at);
        let spoiled = self.flows[flow].spoiled;
        Excuses { end: excuses.end || spoiled, content: excuses.content || spoiled, ..excuses }
    }

    /// Getter: the flows.
    pub fn flows(&self) -> &[FlowRecord] {
        &self.flows
    }

    /// Command: a rule was broken; the first one counts.
    pub fn violate(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Input: one end of a flow is done.
    pub fn done(&mut self, flow: usize, side: Side) {
        self.settle(flow, side, FlowState::Done);
    }

    /// Input: bytes of a flow came; `wrong` is the place of the first wrong one, as an offset.
    pub fn received(
        &mut self,
        at: Instant,
        flow: usize,
        side: Side,
        bytes: u64,
        wrong: Option<u64>,
    ) {
        self.flows[flow].received[side as usize] += bytes;
        if let Some(offset) = wrong.filter(|_| !self.excuses(flow, at).content) {
            let words =
                format!("flow {}: byte {offset} that the {side:?} received is wrong", flow + 1);
            let signature = self.flows[flow].signature("O1.content");
            self.violate(Violation { signature, at, words });
        }
    }

    /// Input: a message of a flow is not the one that was due.
    pub fn wrong_message(&mut self, at: Instant, flow: usize, side: Side, what: &str) {
        if !self.excuses(flow, at).content {
            let words = format!("flow {}: the {side:?} received {what}", flow + 1);
            let signature = self.flows[flow].signature("O2.message");
            self.violate(Violation { signature, at, words });
        }
    }

    /// Input: the stream of a flow ended after so many bytes instead of `due`.
    pub fn short(&mut self, at: Instant, flow: usize, side: Side, received: u64, due: u64) {
        if self.excuses(flow, at).end {
            self.settle(flow, side, FlowState::Excused(EndReason::Closed));
            return;
        }
        let words =
            format!("flow {}: the {side:?} saw the end after {received} of {due} bytes", flow + 1);
        let signature = self.flows[flow].signature("O1.end");
        self.violate(Violation { signature, at, words });
    }

    /// Input: a call on a flow failed for good.
    pub fn failed(&mut self, at: Instant, flow: usize, side: Side, error: NetError) {
        let resolution = NetError::Ended(EndReason::HostUnreachable);
        // A peer that is done and gone may have given up in silence what it had left to deliver, and one that heard nothing the
        // connection that was being opened; a message for a flow that nobody has is not answered at all.
        let (record, other) = (&self.flows[flow], 1 - side as usize);
        let silent = record.states[other] == FlowState::Done || record.received[other] == 0;
        let over = [EndReason::Reset, EndReason::TimedOut].map(NetError::Ended);
        let gone = silent && over.contains(&error);
        let Excuses { end, unreachable, refused, misled, .. } = self.excuses(flow, at);
        let refused = refused && error == NetError::Ended(EndReason::Refused);
        let misled = misled && error == NetError::Ended(EndReason::TimedOut);
        // An address that is still being asked about is not sent from (RFC 4862 5.4).
        let tentative = error == NetError::Refused(CommandError::AddressNotAvailable);
        let cut = error == resolution || gone || tentative;
        if end || refused || misled || unreachable && cut {
            let reason =
                if let NetError::Ended(reason) = error { reason } else { EndReason::NoMemory };
            self.settle(flow, side, FlowState::Excused(reason));
            return;
        }
        let words = format!("flow {}: the {side:?} was told: {error}", flow + 1);
        let reason = match error {
            NetError::Ended(reason) => format!("O3.ended.{reason:?}"),
            NetError::Refused(error) => format!("O3.refused.{error:?}"),
            other => format!("O3.{other:?}"),
        };
        let signature = self.flows[flow].signature(&reason);
        self.violate(Violation { signature, at, words });
    }

    /// Input: a host was restarted: whatever its end of a flow had is gone, and nobody expects more of it.
    pub fn lost(&mut self, flow: usize, side: Side) {
        // What it believed to be done may not have been delivered.
        if self.is_expected(flow) {
            self.flows[flow].states[side as usize] = FlowState::Working;
        }
        self.settle(flow, side, FlowState::Excused(EndReason::Aborted));
    }

    /// Input: the daemon under an end of a flow was restarted: of what that end believed to be done, some may not have been delivered.
    pub fn undelivered(&mut self, flow: usize, side: Side) {
        if self.flows[flow].states[side as usize] == FlowState::Done {
            self.lost(flow, side);
        }
    }

    /// Input: a program of a flow is not what it was.
    pub fn spoil(&mut self, flow: usize) {
        let before = self.is_expected(flow);
        self.flows[flow].spoiled = true;
        self.working -= usize::from(before);
    }

    fn settle(&mut self, flow: usize, side: Side, state: FlowState) {
        let before = self.is_expected(flow);
        let slot = &mut self.flows[flow].states[side as usize];
        if *slot == FlowState::Working {
            *slot = state;
        }
        self.working -= usize::from(before && !self.is_expected(flow));
    }

    /// Getter: is this end still at work?
    pub fn is_working(&self, flow: usize, side: Side) -> bool {
        self.flows[flow].states[side as usize] == FlowState::Working
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failures_are_excused_depends_on_what_the_other_end_had() {
        let told = |excuses: Excuses, other_received: u64, error: NetError| {
            let ledger = Ledger::shared(1, Box::new(excuses));
            let mut ledger = ledger.borrow_mut();
            ledger.flows[0].received[Side::Server as usize] = other_received;
            ledger.failed(Instant::ZERO, 0, Side::Client, error);
            ledger.violation.take().map(|violation| violation.signature)
        };
        let rough = Excuses { unreachable: true, ..Excuses::default() };
        let late = NetError::Ended(EndReason::TimedOut);
        assert_eq!(told(rough, 0, late), None, "nobody may have been there");
        assert_eq!(told(rough, 1, late).as_deref(), Some("O3.ended.TimedOut"));
        assert_eq!(told(Excuses::default(), 0, late).as_deref(), Some("O3.ended.TimedOut"));
        let tentative = NetError::Refused(CommandError::AddressNotAvailable);
        assert_eq!(told(rough, 1, tentative), None);
        let calm = told(Excuses::default(), 1, tentative);
        assert_eq!(calm.as_deref(), Some("O3.refused.AddressNotAvailable"));
    }
}
