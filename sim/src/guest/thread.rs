//! A guest that is a thread of this process, as the world sees it.

use std::sync::Arc;
use std::thread::JoinHandle;

use causeway_channel::Grant;
use causeway_core::time::Instant;

use super::bells::{AppBell, Bells};
use super::context::Context;
use super::kind::{AttachRequest, GuestId, GuestState, Moment, TurnEnd};
use super::program::{Outcome, Program};
use crate::baton::{Turn, WorldEnd, baton};
use crate::world::{HostEngine, HostId, RunError};

/// C programs may put large buffers on their stack.
const STACK_BYTES: usize = 8 << 20;

/// Wall-clock time for a program to return once its host is gone.
const GONE_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);

/// What a guest says when it gives its turn back.
#[derive(Debug)]
pub(super) struct Question {
    /// Its clock.
    pub at: Instant,
    /// The call that it is in.
    pub call: &'static str,
    /// How many calls it made in this turn.
    pub calls: u32,
    /// What it wants.
    pub ask: Ask,
}

#[derive(Debug)]
pub(super) enum Ask {
    /// To go on at this time.
    Pause { until: Instant },
    /// To go on when the bell rings, at the latest at the deadline.
    Wait { bell: Arc<AppBell>, deadline: Option<Instant> },
    /// A channel, now.
    Attach,
}

/// What a guest hears when it gets its turn.
#[derive(Debug)]
pub(super) struct Answer {
    /// The virtual time.
    pub now: Instant,
    /// Nothing else happens before this, unless the guest makes it happen.
    pub quiet_until: Instant,
    /// Its host is gone: nothing that it calls does anything any more.
    pub is_gone: bool,
    /// The answer to [`Ask::Attach`].
    pub attached: Option<Result<Attached, String>>,
}

/// A channel for a guest: what the host granted, and the token and bell that it waits with.
pub(super) type Attached = (Grant, u64, Arc<AppBell>);

/// One guest: its thread, stopped between turns.
#[derive(Debug)]
pub struct ThreadGuest {
    id: GuestId,
    host: HostId,
    name: String,
    bells: Arc<Bells>,
    world_end: WorldEnd<Question, Answer>,
    thread: Option<JoinHandle<Outcome>>,
    epoch: u64,
    state: GuestState,
    waits_on: Option<Arc<AppBell>>,
    stopped_at: Instant,
    last_call: &'static str,
    calls: u64,
    channels: u64,
}

impl ThreadGuest {
    /// Starts the guest's thread, which waits for its first turn. `seed` is the guest's own.
    pub(super) fn spawn(
        id: GuestId,
        host: HostId,
        name: &str,
        bells: Arc<Bells>,
        seed: u64,
        program: Program,
    ) -> std::io::Result<Self> {
        let (world_end, guest_end) = baton();
        let (thread_bells, thread_name) = (Arc::clone(&bells), name.to_owned());
        let body = move || {
            let context = Context::install(id, guest_end, thread_bells, seed);
            let outcome =
                if context.is_gone() { Outcome::Killed } else { program.run(&thread_name) };
            // The library's own thread-locals may outlive this; the context must not.
            Context::uninstall();
            drop(context);
            outcome
        };
        let thread = std::thread::Builder::new()
            .name(format!("guest {name}"))
            .stack_size(STACK_BYTES)
            .spawn(body)?;
        Ok(Self {
            id,
            host,
            name: name.to_owned(),
            bells,
            world_end,
            thread: Some(thread),
            epoch: 0,
            state: GuestState::Pausing { until: Instant::ZERO },
            waits_on: None,
            stopped_at: Instant::ZERO,
            last_call: "its first instruction",
            calls: 0,
            channels: 0,
        })
    }

    /// Command: one turn. Asks for a channel are answered by `engine` within it.
    pub(crate) fn run(
        &mut self,
        moment: Moment,
        engine: &mut dyn HostEngine,
        wall_limit: std::time::Duration,
    ) -> Result<TurnEnd, RunError> {
        let Moment { now, quiet_until, wall_ahead: _ } = moment;
        let mut answer = Answer { now, quiet_until, is_gone: false, attached: None };
        self.waits_on = None;
        loop {
            let question = match self.world_end.resume(answer, wall_limit) {
                Turn::Asked(question) => question,
                Turn::Over => return Ok(self.over(now)),
                Turn::Stuck => {
                    let (guest, call) = (self.name.clone(), self.last_call);
                    return Err(RunError::GuestStuck { guest, call });
                }
            };
            self.epoch += 1;
            self.stopped_at = question.at;
            self.last_call = question.call;
            self.calls += u64::from(question.calls);
            match question.ask {
                Ask::Pause { until } => self.state = GuestState::Pausing { until },
                Ask::Wait { bell, deadline } => {
                    self.waits_on = Some(bell);
                    self.state = GuestState::Waiting { deadline };
                }
                Ask::Attach => {
                    let attached = Some(self.attach(engine));
                    answer = Answer { now: question.at, quiet_until, is_gone: false, attached };
                    continue;
                }
            }
            let (state, at, calls) = (self.state.clone(), question.at, self.calls);
            return Ok(TurnEnd { state, at, calls });
        }
    }

    fn attach(&mut self, engine: &mut dyn HostEngine) -> Result<Attached, String> {
        let bell = Arc::new(AppBell::new(Arc::clone(&self.bells), self.id));
        let token = (self.id.0 as u64) << 32 | self.channels;
        self.channels += 1;
        let app = Arc::<AppBell>::clone(&bell);
        let grant = engine.attach(AttachRequest {
            guest: self.id,
            process: 1_000 + self.id.0 as u32,
            token,
            app,
        })?;
        // As an order to a sleeping daemon does: a new channel is served without having rung.
        self.bells.ring_host();
        Ok((grant, token, bell))
    }

    fn over(&mut self, now: Instant) -> TurnEnd {
        let outcome = match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Outcome::Panicked("outside its program".to_owned()),
        };
        self.epoch += 1;
        self.state = GuestState::Over(outcome);
        TurnEnd { state: self.state.clone(), at: now, calls: self.calls }
    }

    /// Command: tells it that its host is gone, and waits until its program has returned. One that goes on regardless is given up: its
    /// thread sleeps for ever.
    pub(crate) fn end_now(&mut self) {
        let now = self.stopped_at;
        let gone = Answer { now, quiet_until: now, is_gone: true, attached: None };
        // Within the limit or not: nothing of it is waited for.
        let _ = self.world_end.resume(gone, GONE_LIMIT);
        self.thread = None;
        self.waits_on = None;
        self.epoch += 1;
        self.state = GuestState::Over(Outcome::Killed);
    }

    /// Getter: what it does between two turns.
    pub(crate) fn state(&self) -> &GuestState {
        &self.state
    }

    /// Command: its bell may have been rung. The epoch to run it under, if it waited for that.
    pub(crate) fn wake(&mut self) -> Option<u64> {
        let rung = self.waits_on.as_ref().is_some_and(|bell| bell.is_rung());
        if !rung {
            return None;
        }
        // The wait is over: its deadline's entry, and a second ring, are void.
        self.waits_on = None;
        self.epoch += 1;
        Some(self.epoch)
    }

    /// Command: see [`super::Guest::renew`]. The entry for the time that was planned is void.
    pub(crate) fn renew(&mut self) -> Option<u64> {
        if self.waits_on.is_none() && matches!(self.state, GuestState::Waiting { .. }) {
            return None;
        }
        self.epoch += 1;
        Some(self.epoch)
    }

    /// Getter: the number that the queue's entry for its next turn must carry.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Getter: true once its program has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.state, GuestState::Over(_))
    }

    /// Getter: its host.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Getter: its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Getter: the call of the library that it is in, or was in last.
    pub fn last_call(&self) -> &'static str {
        self.last_call
    }

    /// Getter: for the report of a run that cannot go on.
    pub fn state_in_words(&self) -> String {
        let since = self.stopped_at;
        match &self.state {
            GuestState::Pausing { until } => format!("pausing until {until} s"),
            GuestState::Waiting { deadline: None } => {
                format!("waiting for its doorbell since {since} s, without a deadline")
            }
            GuestState::Waiting { deadline: Some(at) } => {
                format!("waiting for its doorbell since {since} s, at the latest until {at} s")
            }
            GuestState::Over(outcome) => format!("over: {outcome:?}"),
        }
    }
}
