//! The receive ring: memory that the kernel fills and we empty (`packet_mmap(7)`, TPACKET_V2).
//!
//! A slot belongs to the kernel or to us, as its status word says. The kernel hands it over when a frame is in it, and gets it
//! back when we are done. Slots are taken in order.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use causeway_core::nic::SUPER_FRAME_MAX;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::vnet::VNET_HDR_LEN;

/// The smallest ring in bytes.
pub const RING_BYTES_MIN: usize = BLOCK_BYTES;
/// The largest ring in bytes.
pub const RING_BYTES_MAX: usize = 1 << 30;

/// What the kernel allocates in one piece. Large, so that little of it is left over behind its last slot.
const BLOCK_BYTES: usize = 1 << 20;

/// Bytes in front of the frame, at most: the slot's header, room for a link-layer header of up to 16 bytes, and the header of virtio.
const LEAD_BYTES: usize = align(libc::TPACKET2_HDRLEN + 16) + VNET_HDR_LEN;
/// A slot holds the longest super-segment: the kernel does not cut what comes from a local peer, whatever we can do with it.
const SLOT_BYTES: usize = align(LEAD_BYTES + SUPER_FRAME_MAX);
const SLOTS_PER_BLOCK: usize = BLOCK_BYTES / SLOT_BYTES;

const fn align(bytes: usize) -> usize {
    bytes.next_multiple_of(libc::TPACKET_ALIGNMENT)
}

/// How a ring is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    blocks: usize,
}

impl Geometry {
    /// The largest ring of at most `bytes`, in whole blocks. `None` when that is out of range.
    pub fn for_bytes(bytes: usize) -> Option<Self> {
        let in_range = (RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes);
        in_range.then_some(Self { blocks: bytes / BLOCK_BYTES })
    }

    /// Getter: how many frames it holds.
    pub const fn slots(self) -> usize {
        self.blocks * SLOTS_PER_BLOCK
    }

    /// Getter: its memory in bytes.
    pub const fn bytes(self) -> usize {
        self.blocks * BLOCK_BYTES
    }

    /// Output: as `PACKET_RX_RING` wants it.
    pub const fn request(self) -> libc::tpacket_req {
        libc::tpacket_req {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: self.blocks as u32,
            tp_frame_size: SLOT_BYTES as u32,
            tp_frame_nr: self.slots() as u32,
        }
    }

    /// Where slot `index` (< `slots`) begins.
    const fn offset(self, index: usize) -> usize {
        index / SLOTS_PER_BLOCK * BLOCK_BYTES + index % SLOTS_PER_BLOCK * SLOT_BYTES
    }
}

/// One frame in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot<'a> {
    /// The header of virtio.
    pub vnet: [u8; VNET_HDR_LEN],
    /// The frame's bytes, as many as fitted.
    pub frame: &'a [u8],
    /// The frame's length on the link in bytes, without the tag.
    pub len: usize,
    /// The tag that the kernel took out: type (TPID) and control information (TCI).
    pub tag: Option<[u16; 2]>,
}

/// The ring, mapped.
#[derive(Debug)]
pub struct Ring {
    memory: NonNull<u8>,
    geometry: Geometry,
    next: usize,
}

impl Ring {
    /// Maps the ring that `socket` was given with `geometry`.
    pub fn map(socket: BorrowedFd<'_>, geometry: Geometry) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces none of ours.
        let memory = unsafe {
            mmap(std::ptr::null_mut(), geometry.bytes(), access, MapFlags::SHARED, socket, 0)?
        };
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { memory, geometry, next: 0 })
    }

    /// The first byte of the slot that is looked at next.
    fn slot(&self) -> NonNull<u8> {
        // SAFETY: `next` is below the number of slots, so the whole slot lies in the mapping.
        unsafe { self.memory.add(self.geometry.offset(self.next)) }
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: the slot is in the mapping, which lives as long as `self`, and begins at a multiple of 16; its first four bytes
        // are the status word, which both sides access atomically only.
        unsafe { AtomicU32::from_ptr(self.slot().cast().as_ptr()) }
    }

    /// Getter: the oldest frame, if there is one.
    #[inline]
    pub fn front(&self) -> Option<Slot<'_>> {
        // The kernel wrote the frame before the status: who sees the one sees the other.
        let status = self.status().load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the slot is ours until `release`, which needs `&mut self`: nobody writes to it while the slice lives. It lies in
        // the mapping, whose every byte is initialised (the kernel zeroes it).
        let slot = unsafe { std::slice::from_raw_parts(self.slot().as_ptr(), SLOT_BYTES) };
        // SAFETY: a slot begins with this plain C struct, is longer, and is aligned to 16; any bytes make one.
        let header = unsafe { self.slot().cast::<libc::tpacket2_hdr>().read() };
        let start = usize::from(header.tp_mac);
        let end = start.saturating_add(header.tp_snaplen as usize);
        // The kernel keeps to these bounds; a frame that did not would show as cut.
        let frame = slot.get(start..end).unwrap_or(&[]);
        let vnet = start.checked_sub(VNET_HDR_LEN).and_then(|at| slot[at..].first_chunk());
        let tagged = status & libc::TP_STATUS_VLAN_VALID != 0;
        let named = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let tpid = if named { header.tp_vlan_tpid } else { libc::ETH_P_8021Q as u16 };
        Some(Slot {
            vnet: *vnet.unwrap_or(&[0; VNET_HDR_LEN]),
            frame,
            len: header.tp_len as usize,
            tag: tagged.then_some([tpid, header.tp_vlan_tci]),
        })
    }

    /// Command: gives the slot of [`Self::front`] back to the kernel.
    #[inline]
    pub fn release(&mut self) {
        // What was read of the slot was read before.
        self.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = if self.next + 1 == self.geometry.slots() { 0 } else { self.next + 1 };
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is the one made in `map`, whole; no slice of it outlives `self`.
        let unmapped = unsafe { munmap(self.memory.as_ptr().cast(), self.geometry.bytes()) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_lies_within_one_block_and_is_aligned() {
        let geometry = Geometry::for_bytes(3 * BLOCK_BYTES + 5).expect("in range");
        assert_eq!(geometry.bytes(), 3 * BLOCK_BYTES, "never more than was asked for");
        assert_eq!(geometry.slots(), 45);
        let mut end = 0;
        for index in 0..geometry.slots() {
            let start = geometry.offset(index);
            assert!(start >= end, "slot {index} overlaps");
            assert_eq!(start % libc::TPACKET_ALIGNMENT, 0);
            end = start + SLOT_BYTES;
            assert_eq!(
                start / BLOCK_BYTES,
                (end - 1) / BLOCK_BYTES,
                "slot {index} is in two blocks"
            );
        }
        assert!(end <= geometry.bytes());
    }

    #[test]
    fn a_ring_has_its_limits() {
        assert!(Geometry::for_bytes(RING_BYTES_MIN - 1).is_none());
        assert!(Geometry::for_bytes(RING_BYTES_MIN).is_some());
        assert!(Geometry::for_bytes(RING_BYTES_MAX).is_some());
        assert!(Geometry::for_bytes(RING_BYTES_MAX + 1).is_none());
    }
}
