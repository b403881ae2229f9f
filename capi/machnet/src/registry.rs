//! The live contexts: what an application holds is a name, never an address.
//!
//! A context's "pointer" is a number that no memory can have (on 64-bit machines: outside of what an address may be), counts
//! up and is never used again. So a stale, foreign or invented one is found out by a look into a table,
//! without touching what it points to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use crate::errno::Errno;

/// Steps between two names: as if they were addresses of aligned structs, so that tools that look at alignment
/// do not complain.
const STEP: usize = 16;
/// The first name. On 64-bit machines bits 47 and 63 differ from what any user-space address has.
const FIRST: usize = if usize::BITS == 64 { 0x8a5e_0000_0000_0000_u64 as usize } else { STEP };

/// The opaque C type `MachnetChannelCtx_t`. No value of it exists.
#[repr(C)]
#[derive(Debug)]
pub struct MachnetChannelCtx {
    _opaque: [u8; 0],
}

/// Contexts by name.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    next: usize,
    live: BTreeMap<usize, Arc<Entry<T>>>,
}

impl<T> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST, live: BTreeMap::new() }
    }

    /// Command: gives `value` a name.
    pub(crate) fn insert(&mut self, value: T) -> *mut MachnetChannelCtx {
        let name = self.next;
        self.next += STEP;
        self.live.insert(name, Arc::new(Entry::new(value)));
        std::ptr::without_provenance_mut(name)
    }

    /// Getter: what a name stands for, kept alive while the caller uses it even if another thread detaches it.
    pub(crate) fn find(&self, ctx: *mut MachnetChannelCtx) -> Result<Arc<Entry<T>>, Errno> {
        self.live.get(&ctx.addr()).cloned().ok_or(Errno::INVALID)
    }

    /// Command: the name means nothing from now on.
    pub(crate) fn remove(&mut self, ctx: *mut MachnetChannelCtx) -> Result<Arc<Entry<T>>, Errno> {
        let entry = self.live.remove(&ctx.addr()).ok_or(Errno::INVALID)?;
        entry.ended.store(true, Ordering::Release);
        Ok(entry)
    }
}

impl<T> Drop for Registry<T> {
    fn drop(&mut self) {
        for entry in self.live.values() {
            entry.ended.store(true, Ordering::Release);
        }
    }
}

/// One context.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    value: T,
    /// A panic passed through a call on it.
    poisoned: AtomicBool,
    /// Its name means nothing any more.
    ended: AtomicBool,
}

impl<T> Entry<T> {
    const fn new(value: T) -> Self {
        Self { value, poisoned: AtomicBool::new(false), ended: AtomicBool::new(false) }
    }

    /// Runs `body` on the context. A panic in it makes the context unusable.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&T) -> Result<R, Errno>) -> Result<R, Errno> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Errno::NOT_RECOVERABLE);
        }
        let _watch = PoisonOnUnwind(&self.poisoned);
        body(&self.value)
    }

    /// Getter: the context even if a panic passed through it; for the call that ends it.
    pub(crate) const fn whatever_its_state(&self) -> &T {
        &self.value
    }
}

/// A context that was found before, for those who will ask for it again. It keeps no context alive: what is detached
/// meanwhile is closed there and then.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    host: usize,
    name: usize,
    entry: Weak<Entry<T>>,
}

impl<T> Recent<T> {
    /// `entry` is what `ctx` names in the registry of `host`.
    pub(crate) fn new(host: usize, ctx: *mut MachnetChannelCtx, entry: &Arc<Entry<T>>) -> Self {
        Self { host, name: ctx.addr(), entry: Arc::downgrade(entry) }
    }

    /// Getter: what `ctx` names in the registry of `host`, if it is this one and the registry would still say so: a
    /// name is never given again, and a host keeps its number as long as a context of it lives.
    pub(crate) fn recall(&self, host: usize, ctx: *mut MachnetChannelCtx) -> Option<Arc<Entry<T>>> {
        if self.name != ctx.addr() || self.host != host {
            return None;
        }
        self.entry.upgrade().filter(|entry| !entry.ended.load(Ordering::Acquire))
    }
}

struct PoisonOnUnwind<'a>(&'a AtomicBool);

impl Drop for PoisonOnUnwind<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_used_again() {
        let mut registry = Registry::new();
        let first = registry.insert(1);
        assert!(registry.remove(first).is_ok());
        let second = registry.insert(2);
        assert_ne!(first, second);
        assert!(registry.find(first).is_err());
        assert!(registry.remove(first).is_err());
        assert_eq!(registry.find(second).unwrap().with(|v| Ok(*v)), Ok(2));
    }

    #[test]
    fn what_is_remembered_is_forgotten_with_its_context() {
        let mut registry = Registry::new();
        let (a, b) = (registry.insert(1), registry.insert(2));
        let under_way = registry.find(a).unwrap();
        let recent = Recent::new(7, a, &under_way);
        assert_eq!(recent.recall(7, a).unwrap().with(|v| Ok(*v)), Ok(1));
        assert!(recent.recall(7, b).is_none(), "another name");
        assert!(recent.recall(8, a).is_none(), "the same name on another host");
        assert!(registry.remove(a).is_ok());
        assert!(recent.recall(7, a).is_none(), "a call is under way on it, but its name is dead");

        let other = Recent::new(7, b, &registry.find(b).unwrap());
        let under_way = registry.find(b).unwrap();
        drop(registry);
        assert!(other.recall(7, b).is_none(), "the host is gone");
        assert_eq!(Arc::strong_count(&under_way), 1, "remembering keeps nothing alive");
    }

    #[test]
    fn invented_names_are_refused_without_being_looked_at() {
        let mut registry = Registry::new();
        let real = registry.insert(());
        let byte_off = std::ptr::without_provenance_mut(real.addr() + 1);
        for wrong in [std::ptr::null_mut(), byte_off, std::ptr::without_provenance_mut(usize::MAX)]
        {
            assert_eq!(registry.find(wrong).map(drop), Err(Errno::INVALID));
        }
    }

    #[test]
    fn a_panic_poisons_its_context_and_no_other() {
        let mut registry = Registry::new();
        let (a, b) = (registry.insert(1), registry.insert(2));
        let (a, b) = (registry.find(a).unwrap(), registry.find(b).unwrap());
        let crash = || a.with(|_| -> Result<(), Errno> { panic!("a defect") });
        assert_eq!(crate::guard::status(|| crash().map(|()| 0)), -1);
        assert_eq!(a.with(|v| Ok(*v)), Err(Errno::NOT_RECOVERABLE));
        assert_eq!(*a.whatever_its_state(), 1);
        assert_eq!(b.with(|v| Ok(*v)), Ok(2));
    }
}
