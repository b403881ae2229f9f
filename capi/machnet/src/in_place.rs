//! The functions of `machnet.h` that copy nothing.

use std::ffi::{c_int, c_void};

use causeway_client::{Piece, RecvError};
use libc::iovec;

use crate::abi::{MachnetFlow, received_on};
use crate::errno::Errno;
use crate::registry::MachnetChannelCtx;
use crate::vector::array_mut;
use crate::{args, guard, hosts};

/// Most pieces of a message: more than a message of 64 MiB in the smallest chunks can have.
const PIECES_MAX: usize = 1 << 20;

const _: () = {
    assert!(size_of::<iovec>() == size_of::<Piece>() && align_of::<iovec>() == align_of::<Piece>());
    assert!(std::mem::offset_of!(iovec, iov_base) == std::mem::offset_of!(Piece, address));
    assert!(std::mem::offset_of!(iovec, iov_len) == std::mem::offset_of!(Piece, len));
};

/// Room for a message in the channel's own memory.
///
/// # Safety
/// `pieces` is null or points to room for `count` of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_reserve(
    ctx: *mut MachnetChannelCtx,
    flow: MachnetFlow,
    len: usize,
    pieces: *mut iovec,
    count: usize,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract; the two are laid out alike (above).
        let pieces = unsafe { array_mut(pieces.cast::<Piece>(), count, PIECES_MAX)? };
        let filled = hosts::with(ctx, |context| {
            Ok(context.channel.reserve(flow.into(), len, pieces, context.wait())?)
        })?;
        // At most PIECES_MAX.
        Ok(filled as c_int)
    })
}

/// Sends what was written where it was reserved.
///
/// # Safety
/// `msg_id` is null or points to a `MachnetMsgId_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_commit(
    ctx: *mut MachnetChannelCtx,
    flow: MachnetFlow,
    len: usize,
    msg_id: *mut u64,
) -> c_int {
    guard::status(|| {
        let id = hosts::with(ctx, |context| Ok(context.channel.commit(flow.into(), len)?))?;
        // SAFETY: this function's own contract.
        unsafe { args::store(msg_id, id.map_or(0, |id| id.0)) };
        Ok(0)
    })
}

/// The next message, where it lies.
///
/// # Safety
/// `pieces` is null or points to room for `count` of them, `flow` is null or points to a `MachnetFlow_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_borrow(
    ctx: *mut MachnetChannelCtx,
    pieces: *mut iovec,
    count: usize,
    flow: *mut MachnetFlow,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract; the two are laid out alike (above).
        let pieces = unsafe { array_mut(pieces.cast::<Piece>(), count, PIECES_MAX)? };
        let borrowed =
            hosts::with(ctx, |context| Ok(context.channel.borrow(pieces, context.wait())))?;
        let outcome: Result<_, RecvError> = borrowed.map(|b| (b.pieces, b.flow));
        // SAFETY: this function's own contract.
        unsafe { received_on(outcome, flow) }
    })
}

/// A borrowed message is done with.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_release(ctx: *mut MachnetChannelCtx, first: *const c_void) -> c_int {
    guard::status(|| {
        if first.is_null() {
            return Err(Errno::INVALID);
        }
        hosts::with(ctx, |context| {
            context.channel.release(first.cast())?;
            Ok(0)
        })
    })
}
