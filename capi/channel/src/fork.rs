//! Notices a fork without a system call at each use.

use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::sync::{AtomicU32, Ordering};

const PAGE_BYTES: usize = 4096;

/// A page of private memory that the kernel hands to a child as zeroes (`MADV_WIPEONFORK`).
#[derive(Debug)]
pub(crate) struct ForkGuard {
    page: NonNull<AtomicU32>,
}

// SAFETY: the page is written once, before the value is shared, and only read afterwards, atomically.
unsafe impl Send for ForkGuard {}
// SAFETY: as above.
unsafe impl Sync for ForkGuard {}

impl ForkGuard {
    pub(crate) fn new() -> std::io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh private mapping at an address of the kernel's choice aliases nothing.
        let page = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), PAGE_BYTES, prot, MapFlags::PRIVATE)?
        };
        let page = NonNull::new(page.cast::<AtomicU32>())
            .ok_or_else(|| std::io::Error::from(rustix::io::Errno::FAULT))?;
        let guard = Self { page };
        // SAFETY: the page just mapped, whole. The advice changes what a child sees, nothing here.
        unsafe { rustix::mm::madvise(page.as_ptr().cast(), PAGE_BYTES, Advice::LinuxWipeOnFork)? };
        guard.word().store(1, Ordering::Relaxed);
        Ok(guard)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: mapped, aligned to a page, zeroed by the kernel, and only accessed atomically; unmapped when self is
        // dropped, not before.
        unsafe { self.page.as_ref() }
    }

    /// Whether this process is a child of the one that made the guard.
    pub(crate) fn is_child(&self) -> bool {
        self.word().load(Ordering::Relaxed) == 0
    }
}

impl Drop for ForkGuard {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; nothing refers to it any more.
        let _ = unsafe { rustix::mm::munmap(self.page.as_ptr().cast(), PAGE_BYTES) };
    }
}
