//! What the library knows about each environment: whether it was initialised, and its contexts.
//!
//! A process of an operating system has one environment. In the simulator one process plays several hosts, each
//! of which must see its own contexts only, under names that do not depend on what the others do.
//!
//! The table has one lock for the process. A thread remembers the context of its last call, so that threads that
//! use a channel each do not meet at that lock.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_client::{Channel, Env, Wait, current_env, current_env_addr};

use crate::errno::Errno;
use crate::registry::{Entry, MachnetChannelCtx, Recent, Registry};
use crate::upstream::Flows;

/// By the address of the environment, which cannot be used again while `Host::_env` keeps it.
static HOSTS: Mutex<BTreeMap<usize, Host>> = Mutex::new(BTreeMap::new());

/// One environment in which `machnet_init` was called.
struct Host {
    _env: Arc<dyn Env>,
    contexts: Registry<Context>,
}

/// What stands behind a `MachnetChannelCtx_t`.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) channel: Channel,
    pub(crate) nonblocking: AtomicBool,
    /// For programs that know flows by their addresses.
    pub(crate) upstream: Flows,
    /// The process that attached. A child has a copy of the table, and no channel.
    owner: u32,
}

impl Context {
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            channel,
            nonblocking: AtomicBool::new(false),
            upstream: Flows::default(),
            owner: std::process::id(),
        }
    }

    /// Getter: what calls do that would have to wait.
    pub(crate) fn wait(&self) -> Wait {
        if self.nonblocking.load(Ordering::Relaxed) { Wait::Never } else { Wait::Forever }
    }

    /// Getter: whether this process attached it. A system call; the client's own calls know without one.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }
}

/// Command: the current environment is initialised from now on.
pub(crate) fn init() {
    let env = current_env();
    let host = || Host { _env: Arc::clone(&env), contexts: Registry::new() };
    hosts().entry(address(&env)).or_insert_with(host);
}

/// Getter: true after [`init`].
pub(crate) fn is_initialised() -> bool {
    hosts().contains_key(&current_env_addr())
}

/// Command: a name for a new context.
pub(crate) fn insert(context: Context) -> Result<*mut MachnetChannelCtx, Errno> {
    contexts(|registry| Ok(registry.insert(context)))
}

/// Command: the name means nothing from now on, and the channel ends with the last call under way on it.
pub(crate) fn remove(ctx: *mut MachnetChannelCtx) -> Result<(), Errno> {
    let ended = contexts(|registry| {
        if !registry.find(ctx)?.whatever_its_state().is_ours() {
            return Err(Errno::INVALID);
        }
        registry.remove(ctx)
    })?;
    // Here, not under the lock: closing a channel talks to the daemon.
    drop(ended);
    Ok(())
}

/// Runs `body` on a context. No lock is held meanwhile: it may wait.
pub(crate) fn with<R>(
    ctx: *mut MachnetChannelCtx,
    body: impl FnOnce(&Context) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let host = current_env_addr();
    let entry = match recall(host, ctx) {
        Some(entry) => entry,
        None => {
            let entry = contexts(|registry| registry.find(ctx))?;
            remember(Recent::new(host, ctx, &entry));
            entry
        }
    };
    entry.with(body)
}

thread_local! {
    /// The context of this thread's last call.
    static RECENT: RefCell<Option<Recent<Context>>> = const { RefCell::new(None) };
}

fn recall(host: usize, ctx: *mut MachnetChannelCtx) -> Option<Arc<Entry<Context>>> {
    // When the thread is ending there is no place to look in.
    let look = |place: &RefCell<Option<Recent<Context>>>| {
        place.try_borrow().ok()?.as_ref()?.recall(host, ctx)
    };
    RECENT.try_with(look).ok()?
}

fn remember(recent: Recent<Context>) {
    // Without a place it is not remembered; nor by a signal handler that interrupts the looking.
    let _ = RECENT.try_with(|place| place.try_borrow_mut().map(|mut place| *place = Some(recent)));
}

/// Command: forgets everything about an environment, its contexts included. For drivers that play several
/// hosts in one process, when a host ends; programs that end without detaching leave their contexts behind.
pub fn release_env(env: &Arc<dyn Env>) {
    // The channels are dropped after the lock.
    let host = hosts().remove(&address(env));
    drop(host);
}

fn contexts<R>(body: impl FnOnce(&mut Registry<Context>) -> Result<R, Errno>) -> Result<R, Errno> {
    match hosts().get_mut(&current_env_addr()) {
        Some(host) => body(&mut host.contexts),
        None => Err(Errno::INVALID),
    }
}

fn hosts() -> MutexGuard<'static, BTreeMap<usize, Host>> {
    // A panic while it was held left the map whole: each use is one operation on it.
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(env: &Arc<dyn Env>) -> usize {
    Arc::as_ptr(env).addr()
}
