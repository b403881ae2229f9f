//! What the daemon gives up once it serves: another user, its capabilities, most system calls. Memory of its own stays in memory, if that
//! is wanted.
//!
//! Everything that takes privileges has been done by then: interfaces are open, the control socket listens. A daemon that was taken over by
//! what a peer or an application sent it can still harm those whom it serves; the rest of the machine it cannot reach:
//!
//! [`process`] does what the configuration says of these:
//!
//! * [`lock_memory`] first: what is locked later counts against a limit that only privileges lift.
//! * [`drop_capabilities`] on each thread, because capabilities are a thread's.
//! * [`become_user`] changes all threads, and takes their capabilities along.
//! * [`filter_calls`] is for all threads, and for good.

mod calls;

use std::io;

use nix::unistd::{Gid, Group, Uid, User};
use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::config::{ChannelConfig, Config, DaemonConfig};

/// Why the daemon could not give something up. It does not serve then.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Its user stays the one that it is.
    #[error("cannot become user {uid}, group {gid}: {cause}; start as root, or remove daemon.user")]
    User {
        /// Which user.
        uid: u32,
        /// Which group.
        gid: u32,
        /// Why.
        cause: io::Error,
    },
    /// Its memory may be swapped.
    #[error(
        "cannot lock memory: {0}; raise the limit (ulimit -l, LimitMEMLOCK of a unit), or remove \
         daemon.lock_memory"
    )]
    Memory(io::Error),
    /// Its memory is locked now, and there would be none for channels later.
    #[error(
        "cannot lock memory: {limit} bytes may be locked without privileges, and the daemon with \
         {channels} channels takes {needed}; raise the limit (ulimit -l, LimitMEMLOCK of a unit), \
         or lower channel.channels_max"
    )]
    MemoryLimit {
        /// Bytes that may be locked (RLIMIT_MEMLOCK).
        limit: u64,
        /// Bytes of address space, of the process and of all channels.
        needed: u64,
        /// How many channels.
        channels: u32,
    },
    /// It keeps its capabilities.
    #[error("cannot drop capabilities: {0}")]
    Capabilities(io::Error),
    /// It may call everything.
    #[error(
        "cannot filter system calls: {0}; set daemon.sandbox to false where the kernel has no seccomp filters"
    )]
    Calls(String),
}

/// Command: gives up what `config` says, once everything is open that takes privileges. The other threads have called [`thread`], or do so
/// before they look at anything that others send.
///
/// # Errors
/// [`ConfineError`]. The daemon should end then: it may have given up a part.
pub fn process(config: &Config) -> Result<(), ConfineError> {
    let settings = config.daemon();
    if settings.lock_memory() {
        lock_memory()?;
        if settings.sandbox() || settings.user().is_some() {
            check_limit(config.channel())?;
        }
    }
    if let Some((uid, gid)) = settings.user() {
        become_user(uid, gid)?;
    }
    thread(settings)?;
    if settings.sandbox() { filter_calls() } else { Ok(()) }
}

/// Command: the calling thread gives up its capabilities, if `settings` say so. Where they name a user the threads keep them until all
/// are changed to that.
///
/// # Errors
/// [`ConfineError::Capabilities`].
pub fn thread(settings: &DaemonConfig) -> Result<(), ConfineError> {
    if settings.sandbox() && settings.user().is_none() { drop_capabilities() } else { Ok(()) }
}

/// Command: what this process has and gets of memory stays there as soon as it is used, also once it has no privileges.
///
/// # Errors
/// [`ConfineError::Memory`]; nothing is locked then.
pub fn lock_memory() -> Result<(), ConfineError> {
    // The address space of all channels counts, used or not. Who may not lift the limit has to do with it.
    let _ = rustix::process::setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    rustix::mm::mlockall(flags).map_err(|errno| ConfineError::Memory(errno.into()))
}

/// Without privileges the address space of all that is mapped counts, used or not: there must be enough for all channels.
fn check_limit(channel: &ChannelConfig) -> Result<(), ConfineError> {
    let Some(limit) = rustix::process::getrlimit(Resource::Memlock).current else { return Ok(()) };
    let pages = std::fs::read_to_string("/proc/self/statm").map_err(ConfineError::Memory)?;
    let pages: u64 = pages.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let process = pages * rustix::param::page_size() as u64;
    let channels = channel.channels_max();
    let needed = process + u64::from(channels) * channel.geometry().memory_bytes();
    if needed <= limit {
        Ok(())
    } else {
        Err(ConfineError::MemoryLimit { limit, needed, channels })
    }
}

/// Command: the calling thread has no capabilities from here on.
///
/// # Errors
/// [`ConfineError::Capabilities`].
pub fn drop_capabilities() -> Result<(), ConfineError> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)
        .map_err(|errno| ConfineError::Capabilities(errno.into()))
}

/// Command, before any thread has dropped its capabilities: all threads of the process are `uid`'s and `gid`'s from here on, without other groups and without capabilities.
///
/// # Errors
/// [`ConfineError::User`].
pub fn become_user(uid: u32, gid: u32) -> Result<(), ConfineError> {
    let fault = |errno: nix::Error| ConfineError::User { uid, gid, cause: errno.into() };
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    // All three are the C library's, which changes every thread.
    nix::unistd::setgroups(&[group]).map_err(fault)?;
    nix::unistd::setresgid(group, group, group).map_err(fault)?;
    nix::unistd::setresuid(user, user, user).map_err(fault)
}

/// Command: from here on all threads may call what serving takes, and nothing else: a program cannot be started, nothing is traced,
/// mounted or loaded (the process is killed at the attempt), no file is written and no connection opened (EPERM).
///
/// # Errors
/// [`ConfineError::Calls`].
pub fn filter_calls() -> Result<(), ConfineError> {
    let fault = |cause: seccompiler::Error| ConfineError::Calls(cause.to_string());
    let filters = calls::filters().map_err(|cause| ConfineError::Calls(cause.to_string()))?;
    for filter in &filters {
        seccompiler::apply_filter_all_threads(filter).map_err(fault)?;
    }
    Ok(())
}

/// Getter: the numbers of user and group that `text` names: `USER` with the group that the machine's list has for it, or `USER:GROUP`, each
/// a name or a number. `None`: there are none of that name.
pub fn find_user(text: &str) -> Option<(u32, u32)> {
    if text.contains('\0') {
        return None;
    }
    let (name, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    // (uid_t)-1 is nobody's (setresuid(2)).
    let number = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX);
    let uid = number(name);
    let known = match uid {
        Some(uid) => User::from_uid(Uid::from_raw(uid)),
        None => User::from_name(name),
    };
    let known = known.ok().flatten();
    let gid = match group {
        Some(group) => {
            number(group).or_else(|| Some(Group::from_name(group).ok().flatten()?.gid.as_raw()))?
        }
        None => known.as_ref()?.gid.as_raw(),
    };
    Some((uid.or(known.map(|user| user.uid.as_raw()))?, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_or_numbered_with_a_group_or_without() {
        assert_eq!(find_user("root"), Some((0, 0)));
        assert_eq!(find_user("0"), Some((0, 0)));
        assert_eq!(find_user("root:12"), Some((0, 12)));
        assert_eq!(find_user("4711:4712"), Some((4711, 4712)));
        for nobody in
            ["", ":", "no such user", "3999999999", "4294967295:1", "1:no such group", "a\0b"]
        {
            assert_eq!(find_user(nobody), None, "{nobody:?}");
        }
    }
}
