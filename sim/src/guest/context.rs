//! What a guest thread knows about the world: its clock, its turn, its bells.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use causeway_channel::Grant;
use causeway_core::time::{Duration, Instant};

use super::bells::{AppBell, Bells};
use super::env::SimEnv;
use super::kind::GuestId;
use super::thread::{Answer, Ask, Question};
use crate::baton::GuestEnd;

/// A guest gives its turn back after this many calls, so that one that polls without end is seen to.
const CALLS_PER_TURN: u32 = 1_024;
/// A guest whose host is gone is given up after this many calls.
const CALLS_WHEN_GONE: u32 = 10_000;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

/// The state of the guest that runs on this thread.
#[derive(Debug)]
pub struct Context {
    end: GuestEnd<Question, Answer>,
    bells: Arc<Bells>,
    seed: u64,
    now: Cell<Instant>,
    quiet_until: Cell<Instant>,
    calls_in_turn: Cell<u32>,
    call: Cell<&'static str>,
    draws: Cell<u64>,
    /// Its host is gone, and so many calls were made since.
    gone: Cell<Option<u32>>,
    /// The bells of this guest's channels, by their tokens.
    channels: RefCell<Vec<(u64, Arc<AppBell>)>>,
}

/// Getter: the context of this thread; `None` outside a simulated program.
pub fn current() -> Option<Rc<Context>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Getter: the virtual time of the guest that calls; time zero outside a simulated program.
pub fn now() -> Instant {
    current().map_or(Instant::ZERO, |context| context.now())
}

/// Command: the guest that calls does nothing for `span` of virtual time. Nothing outside a simulated program.
pub fn sleep(span: Duration) {
    if let Some(context) = current() {
        if context.is_call_without_host() {
            return;
        }
        context.call.set("sleep");
        context.ask(Ask::Pause { until: context.now() + span });
    }
}

impl Context {
    /// Waits for the first turn, then makes itself this thread's context.
    pub(super) fn install(
        guest: GuestId,
        end: GuestEnd<Question, Answer>,
        bells: Arc<Bells>,
        seed: u64,
    ) -> Rc<Self> {
        let first = end.first_turn();
        let context = Rc::new(Self {
            end,
            bells,
            seed,
            now: Cell::new(Instant::ZERO),
            quiet_until: Cell::new(Instant::ZERO),
            calls_in_turn: Cell::new(0),
            call: Cell::new("its first instruction"),
            draws: Cell::new(0),
            gone: Cell::new(None),
            channels: RefCell::default(),
        });
        context.take_turn(&first);
        CURRENT.set(Some(Rc::clone(&context)));
        causeway_client::set_thread_env(Some(Arc::new(SimEnv::new(guest))));
        context
    }

    /// Command: this thread is no guest any more.
    pub(super) fn uninstall() {
        causeway_client::set_thread_env(None);
        CURRENT.set(None);
    }

    /// Getter: its host is gone: it crashed, or the run is over.
    pub fn is_gone(&self) -> bool {
        self.gone.get().is_some()
    }

    /// Counts a call of a guest whose host is gone: false where it is there.
    fn is_call_without_host(&self) -> bool {
        let Some(calls) = self.gone.get() else { return false };
        self.gone.set(Some(calls + 1));
        if calls >= CALLS_WHEN_GONE {
            self.end.give_up();
            loop {
                std::thread::park();
            }
        }
        true
    }

    /// Getter: the virtual time.
    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Output: the guest's next random number, a function of the world's seed, the guest and how many came before.
    pub fn random(&self) -> u64 {
        let draw = self.draws.get();
        self.draws.set(draw + 1);
        causeway_core::rng::Stream::new(self.seed, 0).at(draw)
    }

    /// Command: the program entered `call` of the library, which costs `cost` of virtual time.
    ///
    /// The turn is given back only when something else could happen in that time, or when the call
    /// before rang for the engine: everything is as if each call gave it back.
    pub fn enter(&self, call: &'static str, cost: Duration) {
        if self.is_call_without_host() {
            return;
        }
        self.call.set(call);
        let until = self.now.get() + cost;
        let calls = self.calls_in_turn.get() + 1;
        self.calls_in_turn.set(calls);
        if calls < CALLS_PER_TURN && until < self.quiet_until.get() && !self.bells.is_host_rung() {
            self.now.set(until);
            return;
        }
        self.ask(Ask::Pause { until });
    }

    /// Command: stops until `bell` is rung or the virtual time is `deadline`. True when it was rung.
    pub fn wait(&self, bell: &Arc<AppBell>, deadline: Option<Instant>) -> bool {
        if self.is_call_without_host() {
            return false;
        }
        if bell.take() {
            return true;
        }
        if deadline.is_some_and(|at| at <= self.now()) {
            return false;
        }
        self.ask(Ask::Wait { bell: Arc::clone(bell), deadline });
        bell.take()
    }

    /// Command: asks the host for a channel.
    ///
    /// # Errors
    /// What the host says.
    pub fn attach(&self) -> Result<Grant, String> {
        if self.is_call_without_host() {
            return Err("the host is gone".to_owned());
        }
        let answer = self.ask(Ask::Attach);
        let attached = answer.attached.unwrap_or_else(|| Err("the host gave no answer".to_owned()));
        let (grant, token, bell) = attached?;
        self.channels.borrow_mut().push((token, bell));
        Ok(grant)
    }

    /// Getter: the bell that a grant named by `token`.
    pub fn bell(&self, token: u64) -> Option<Arc<AppBell>> {
        let channels = self.channels.borrow();
        channels.iter().find(|(known, _)| *known == token).map(|(_, bell)| Arc::clone(bell))
    }

    fn ask(&self, ask: Ask) -> Answer {
        let question = Question {
            at: self.now.get(),
            call: self.call.get(),
            calls: self.calls_in_turn.get(),
            ask,
        };
        let answer = self.end.ask(question);
        self.take_turn(&answer);
        answer
    }

    fn take_turn(&self, answer: &Answer) {
        self.now.set(answer.now);
        self.quiet_until.set(answer.quiet_until);
        self.calls_in_turn.set(0);
        if answer.is_gone {
            self.gone.set(Some(0));
        }
    }
}
