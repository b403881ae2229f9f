//! Waiting: the one place where a call sleeps.
//!
//! Several threads may use a channel. The first that has to sleep does so on the bell; the others wait for it. The
//! lock is free meanwhile. Whoever takes completions out of the rings tells the others to look.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration as StdDuration;

use causeway_core::time::{Duration, Instant};

use crate::channel::Inner;
use crate::env::{ApiCall, WaitOutcome};
use crate::error::CallError;
use crate::state::State;

/// What a call does when it would have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It waits.
    Forever,
    /// It fails with [`CallError::WouldBlock`].
    Never,
    /// It waits until this time of [`crate::Env::now`]'s clock, then fails with [`CallError::TimedOut`].
    Until(Instant),
}

/// How often a call that does not sleep looks whether the daemon lives.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// State, and those who wait for it.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Where threads wait while another sleeps on the bell.
    followers: Condvar,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), followers: Condvar::new() }
    }

    /// A panic of another thread in a call leaves nothing half done that the next one could not stand.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes completions; tells the followers if there were any.
    fn pump(&self, state: &mut State) -> Result<(), CallError> {
        if state.pump()? && state.followers > 0 {
            self.followers.notify_all();
        }
        Ok(())
    }
}

impl Inner {
    /// Command: one call that does not wait.
    pub(crate) fn call<T, E: From<CallError>>(
        &self,
        call: ApiCall,
        f: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        self.env.enter(call);
        let mut state = self.shared.lock();
        state.check()?;
        self.probe(&mut state);
        self.take_rings(&mut state);
        self.shared.pump(&mut state)?;
        let result = f(&mut state);
        state.flush()?;
        self.settle(&mut state)?;
        result
    }

    /// Command: one call that waits until `ready` gives something or fails.
    pub(crate) fn wait_for<T, E: From<CallError>>(
        &self,
        call: ApiCall,
        wait: Wait,
        ready: impl FnMut(&mut State) -> Result<Option<T>, E>,
    ) -> Result<T, E> {
        self.env.enter(call);
        self.resume(wait, ready)
    }

    /// Command: as [`Inner::wait_for`], further on in the same call.
    pub(crate) fn resume<T, E: From<CallError>>(
        &self,
        wait: Wait,
        mut ready: impl FnMut(&mut State) -> Result<Option<T>, E>,
    ) -> Result<T, E> {
        let mut state = self.shared.lock();
        state.check()?;
        self.probe(&mut state);
        self.take_rings(&mut state);
        let spin_end = self.spin_end(wait);
        loop {
            self.shared.pump(&mut state)?;
            state.want_pool = false;
            let outcome = ready(&mut state);
            state.flush()?;
            if !matches!(outcome, Ok(None)) || wait == Wait::Never {
                self.settle(&mut state)?;
            }
            if let Some(value) = outcome? {
                return Ok(value);
            }
            // Only now: what had arrived is delivered even when the daemon is gone.
            if state.daemon_gone {
                return Err(CallError::DaemonGone.into());
            }
            match wait {
                Wait::Never => return Err(CallError::WouldBlock.into()),
                Wait::Until(deadline) if self.env.now() >= deadline => {
                    return Err(CallError::TimedOut.into());
                }
                Wait::Forever | Wait::Until(_) => {}
            }
            if spin_end.is_some_and(|end| self.env.now() < end) {
                drop(state);
                std::hint::spin_loop();
                state = self.shared.lock();
                continue;
            }
            state = self.sleep(state, wait)?;
        }
    }

    fn spin_end(&self, wait: Wait) -> Option<Instant> {
        let spin = self.env.spin();
        (wait != Wait::Never && spin > Duration::ZERO).then(|| self.env.now() + spin)
    }

    /// Arms, looks again, sleeps.
    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        wait: Wait,
    ) -> Result<MutexGuard<'a, State>, CallError> {
        if state.sleeping {
            return self.follow(state, wait);
        }
        let pool = state.want_pool;
        if !state.channel.arm(pool)? {
            return Ok(state);
        }
        state.sleeping = true;
        let bell = state.channel.wait_end();
        drop(state);
        let deadline = match wait {
            Wait::Until(deadline) => Some(deadline),
            Wait::Forever | Wait::Never => None,
        };
        let outcome = self.env.wait(&bell, deadline);
        let mut state = self.shared.lock();
        state.sleeping = false;
        state.channel.disarm();
        if state.followers > 0 {
            self.shared.followers.notify_all();
        }
        match outcome {
            WaitOutcome::Woken | WaitOutcome::TimedOut => {}
            WaitOutcome::Interrupted => return Err(CallError::Interrupted),
            WaitOutcome::DaemonGone => state.daemon_gone = true,
        }
        Ok(state)
    }

    /// Another thread sleeps on the bell: wait for it.
    fn follow<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        wait: Wait,
    ) -> Result<MutexGuard<'a, State>, CallError> {
        let pool = state.want_pool;
        if !state.channel.rearm(pool)? {
            return Ok(state);
        }
        // A bound, so that a deadline of a simulated or real clock is kept.
        let patience = match wait {
            Wait::Forever | Wait::Never => StdDuration::from_secs(1),
            Wait::Until(deadline) => deadline.saturating_since(self.env.now()).into(),
        };
        state.followers += 1;
        let (mut state, _) = self
            .shared
            .followers
            .wait_timeout(state, patience)
            .unwrap_or_else(PoisonError::into_inner);
        state.followers -= 1;
        Ok(state)
    }

    /// A program that never sleeps would never notice the daemon's death: looks now and then.
    fn probe(&self, state: &mut State) {
        if state.sleeping || state.daemon_gone {
            return;
        }
        let now = self.env.now();
        if now.saturating_since(state.probed_at) < PROBE_INTERVAL {
            return;
        }
        state.probed_at = now;
        let bell = state.channel.wait_end();
        if self.env.wait(&bell, Some(Instant::ZERO)) == WaitOutcome::DaemonGone {
            state.daemon_gone = true;
        }
    }
}
