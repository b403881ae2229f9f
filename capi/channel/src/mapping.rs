//! The mapped memory: the only place that makes pointers. Everything above names offsets of the layout.

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use causeway_checksum::Implementation;
use causeway_core::port::ChannelId;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::doorbell::{BellWait, Doorbell};
use crate::geometry::Geometry;
use crate::layout::{self, Layout};
use crate::ring::RingMemory;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// What the daemon hands to an application: the memory, its sizes and its bells.
#[derive(Debug)]
pub struct Grant {
    /// The sealed memfd.
    pub memory: OwnedFd,
    /// Its sizes.
    pub geometry: Geometry,
    /// The channel's name in stream ids.
    pub channel: ChannelId,
    /// What the application waits on.
    pub app_wait: BellWait,
    /// What the application rings, one per lane.
    pub lane_bells: Vec<Doorbell>,
}

/// Why a grant could not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The memory is not what the handshake promised: size, seals or the number of bells.
    #[error("the memory or the bells of the channel do not match its geometry")]
    Mismatch,
    /// The header names another version or layout.
    #[error("the channel's memory has another layout than this library knows")]
    Layout,
    /// A system call failed.
    #[error("cannot map the channel's memory: {0}")]
    Os(#[from] std::io::Error),
}

/// A mapping of a channel's memory, at the layout of its geometry.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
    pub(crate) layout: Layout,
    pub(crate) geometry: Geometry,
}

// SAFETY: the memory is shared with another process anyway; every access goes through atomics or through copies
// that expect it to change, and the mapping itself is immutable until it is dropped.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

impl Mapping {
    /// A new memory with its header written, and its descriptor.
    pub(crate) fn create(geometry: Geometry) -> std::io::Result<(Self, OwnedFd)> {
        let layout = Layout::new(&geometry);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("causeway-channel", flags)?;
        rustix::fs::ftruncate(&fd, layout.total_bytes)?;
        rustix::fs::fcntl_add_seals(&fd, SEALS)?;
        let mapping = Self::map(&fd, geometry, layout)?;
        mapping.write_header();
        Ok((mapping, fd))
    }

    /// Maps a memory that somebody else made.
    pub(crate) fn open(fd: &OwnedFd, geometry: Geometry) -> Result<Self, MapError> {
        let layout = Layout::new(&geometry);
        let os = |e: rustix::io::Errno| MapError::Os(e.into());
        let size = rustix::fs::fstat(fd).map_err(os)?.st_size;
        // Without the seals the file could shrink under us, and every access would be a SIGBUS.
        let seals = rustix::fs::fcntl_get_seals(fd).map_err(os)?;
        if u64::try_from(size) != Ok(layout.total_bytes) || !seals.contains(SEALS) {
            return Err(MapError::Mismatch);
        }
        let mapping = Self::map(fd, geometry, layout)?;
        mapping.keep_from_children()?;
        if mapping.header_matches() { Ok(mapping) } else { Err(MapError::Layout) }
    }

    fn map(fd: &OwnedFd, geometry: Geometry, layout: Layout) -> std::io::Result<Self> {
        let bytes = usize::try_from(layout.total_bytes)
            .map_err(|_| std::io::Error::from(rustix::io::Errno::NOMEM))?;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice aliases nothing of ours.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::NORESERVE,
                fd.as_fd(),
                0,
            )?
        };
        let base = NonNull::new(base.cast())
            .ok_or_else(|| std::io::Error::from(rustix::io::Errno::FAULT))?;
        let mapping = Self { base, bytes, layout, geometry };
        mapping.keep_from_dumps()?;
        Ok(mapping)
    }

    /// What applications send and get is in no core dump, of either process.
    fn keep_from_dumps(&self) -> std::io::Result<()> {
        let base = self.base.as_ptr().cast();
        // SAFETY: exactly the range that was mapped; the advice changes nothing in this process.
        unsafe { rustix::mm::madvise(base, self.bytes, rustix::mm::Advice::LinuxDontDump)? };
        Ok(())
    }

    /// A child after fork does not inherit the application's mapping; see [`crate::fork`].
    fn keep_from_children(&self) -> std::io::Result<()> {
        let base = self.base.as_ptr().cast();
        // SAFETY: exactly the range that was mapped; the advice changes nothing in this process.
        unsafe { rustix::mm::madvise(base, self.bytes, rustix::mm::Advice::LinuxDontFork)? };
        Ok(())
    }

    fn header_words(&self) -> [(u64, u64); 5] {
        let version = u64::from(layout::MAJOR) << 16 | u64::from(layout::MINOR);
        [
            (layout::HEADER_VERSION, version),
            (layout::HEADER_FEATURES, layout::FEATURES),
            (layout::HEADER_LAYOUT_HASH, layout::LAYOUT_HASH),
            (layout::HEADER_TOTAL, self.layout.total_bytes),
            (layout::HEADER_MAGIC, layout::MAGIC),
        ]
    }

    fn write_header(&self) {
        for (offset, field) in (layout::HEADER_GEOMETRY..).step_by(4).zip(self.geometry.to_words())
        {
            self.u32_at(offset).store(field, Ordering::Relaxed);
        }
        for (offset, word) in self.header_words() {
            self.u64_at(offset).store(word, Ordering::Release);
        }
    }

    /// The minor and the features were settled in the handshake; here the memory itself must be ours.
    fn header_matches(&self) -> bool {
        let same = |offset, word| self.u64_at(offset).load(Ordering::Acquire) == word;
        let major = self.u64_at(layout::HEADER_VERSION).load(Ordering::Acquire) >> 16;
        let fields = (layout::HEADER_GEOMETRY..).step_by(4).zip(self.geometry.to_words());
        same(layout::HEADER_MAGIC, layout::MAGIC)
            && major == u64::from(layout::MAJOR)
            && same(layout::HEADER_LAYOUT_HASH, layout::LAYOUT_HASH)
            && same(layout::HEADER_TOTAL, self.layout.total_bytes)
            && fields.into_iter().all(|(o, f)| self.u32_at(o).load(Ordering::Relaxed) == f)
    }

    /// The address of `len` bytes at `offset`. Offsets come from the layout and from chunk indices that
    /// were validated; one outside is a bug of this crate, caught before it becomes an access.
    fn span(&self, offset: u64, len: usize) -> *mut u8 {
        let inside = usize::try_from(offset)
            .ok()
            .and_then(|at| at.checked_add(len).map(|end| (at, end)))
            .filter(|(_, end)| *end <= self.bytes);
        let (at, _) = inside.expect("offsets of the layout lie inside the mapping");
        // SAFETY: at <= bytes, the size of the one mapping that base points to.
        unsafe { self.base.as_ptr().add(at) }
    }

    /// Getter: the address of `len` bytes at `offset`, for those who are told it to write and read there.
    pub(crate) fn address(&self, offset: u64, len: usize) -> *mut u8 {
        self.span(offset, len)
    }

    pub(crate) fn u32_at(&self, offset: u64) -> &AtomicU32 {
        let at = self.span(offset, 4).cast::<AtomicU32>();
        assert!(at.is_aligned(), "words of the layout are aligned");
        // SAFETY: inside the mapping, aligned, and only ever accessed atomically; any bits are an AtomicU32. The
        // borrow of self keeps the mapping alive.
        unsafe { &*at }
    }

    pub(crate) fn u64_at(&self, offset: u64) -> &AtomicU64 {
        let at = self.span(offset, 8).cast::<AtomicU64>();
        assert!(at.is_aligned(), "words of the layout are aligned");
        // SAFETY: as in u32_at.
        unsafe { &*at }
    }

    /// Copies shared bytes into private memory.
    pub(crate) fn copy_out(&self, offset: u64, dst: &mut [u8]) {
        let src = self.span(offset, dst.len());
        // SAFETY: src lies in the mapping for dst.len() bytes; dst is private memory, so they cannot overlap.
        unsafe { causeway_checksum::copy_ptr(src, dst) }
    }

    /// Copies shared bytes into private memory and returns their folded checksum. The sum is of the
    /// bytes that arrived, whatever the other side does meanwhile.
    pub(crate) fn copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        let src = self.span(offset, dst.len());
        // SAFETY: src lies in the mapping for dst.len() bytes, dst is private memory, so they cannot overlap;
        // the function expects that src changes meanwhile.
        unsafe { causeway_checksum::copy_sum_ptr(src, dst) }
    }

    /// Copies private bytes into shared memory.
    pub(crate) fn copy_in(&self, offset: u64, src: &[u8]) {
        let dst = self.span(offset, src.len());
        // SAFETY: dst lies in the mapping for src.len() bytes; src is private memory, so they cannot overlap.
        unsafe { causeway_checksum::copy_to_ptr(src, dst) }
    }

    /// Copies private bytes into shared memory and returns their folded checksum.
    pub(crate) fn copy_in_sum(&self, offset: u64, src: &[u8], checksum: Implementation) -> u16 {
        let dst = self.span(offset, src.len());
        // SAFETY: as in copy_in.
        unsafe { checksum.copy_sum_to_ptr(src, dst) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what mmap returned; no reference into it outlives self.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// The place of one ring in a mapping.
#[derive(Debug)]
pub(crate) struct MappedRing {
    mapping: Arc<Mapping>,
    head: u64,
    tail: u64,
    entries: u64,
}

impl MappedRing {
    pub(crate) fn commands(mapping: &Arc<Mapping>, lane: u32) -> Self {
        let at = mapping.layout.lane(lane);
        Self {
            mapping: mapping.clone(),
            head: at + layout::LANE_COMMAND_HEAD,
            tail: at + layout::LANE_COMMAND_TAIL,
            entries: mapping.layout.command_entries(lane),
        }
    }

    pub(crate) fn completions(mapping: &Arc<Mapping>, lane: u32) -> Self {
        let at = mapping.layout.lane(lane);
        Self {
            mapping: mapping.clone(),
            head: at + layout::LANE_COMPLETION_HEAD,
            tail: at + layout::LANE_COMPLETION_TAIL,
            entries: mapping.layout.completion_entries(lane),
        }
    }
}

impl RingMemory for MappedRing {
    fn head(&self) -> &AtomicU32 {
        self.mapping.u32_at(self.head)
    }

    fn tail(&self) -> &AtomicU32 {
        self.mapping.u32_at(self.tail)
    }

    fn store_word(&self, slot: u32, word: usize, value: u64) {
        self.word(slot, word).store(value, Ordering::Relaxed);
    }

    fn load_word(&self, slot: u32, word: usize) -> u64 {
        self.word(slot, word).load(Ordering::Relaxed)
    }
}

impl MappedRing {
    fn word(&self, slot: u32, word: usize) -> &AtomicU64 {
        self.mapping.u64_at(self.entries + u64::from(slot) * layout::ENTRY_BYTES + word as u64 * 8)
    }
}
