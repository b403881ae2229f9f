//! The functions of `machnet.h` that take several pieces or several messages.

use std::cell::Cell;
use std::ffi::c_int;

use causeway_client::{Flow, RecvError};
use libc::iovec;

use crate::abi::{MachnetFlow, received_on};
use crate::errno::Errno;
use crate::registry::MachnetChannelCtx;
use crate::{args, guard, hosts};

/// Pieces of a message that need no memory of their own.
const FEW: usize = 16;
/// Most pieces of a message, as of `readv` (IOV_MAX).
pub(crate) const PIECES_MAX: usize = 1_024;
/// Most messages of a batch.
const BATCH_MAX: usize = 65_536;

/// `MachnetMsg_t`: one message of a batch.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MachnetMsg {
    /// Its flow.
    pub flow: MachnetFlow,
    /// Its bytes, or room for them.
    pub buf: *mut libc::c_void,
    /// Bytes; when receiving, of room before the call.
    pub len: usize,
    /// Its number, of those that were sent.
    pub msg_id: u64,
}

/// Sends a message that lies in pieces.
///
/// # Safety
/// `pieces` is null or points to `count` of them, each of which is null or points to its bytes; `msg_id` is null or points to a
/// `MachnetMsgId_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_sendv(
    ctx: *mut MachnetChannelCtx,
    flow: MachnetFlow,
    pieces: *const iovec,
    count: usize,
    msg_id: *mut u64,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let pieces = unsafe { array(pieces, count, PIECES_MAX)? };
        // SAFETY: this function's own contract.
        let id = unsafe {
            with_pieces(pieces, |parts| {
                hosts::with(ctx, |context| {
                    Ok(context.channel.send(flow.into(), parts, context.wait())?)
                })
            })?
        };
        // SAFETY: this function's own contract.
        unsafe { args::store(msg_id, id.0) };
        Ok(0)
    })
}

/// Receives a message into pieces.
///
/// # Safety
/// `pieces` is null or points to `count` of them, each of which is null or points to its bytes, none to those of another; `flow` is null
/// or points to a `MachnetFlow_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_recvv(
    ctx: *mut MachnetChannelCtx,
    pieces: *const iovec,
    count: usize,
    flow: *mut MachnetFlow,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let pieces = unsafe { array(pieces, count, PIECES_MAX)? };
        // SAFETY: this function's own contract.
        let received = unsafe {
            with_room(pieces, |parts| {
                hosts::with(ctx, |context| Ok(context.channel.recv_parts(parts, context.wait())))
            })?
        };
        // SAFETY: this function's own contract.
        unsafe { received_on(received, flow) }
    })
}

/// Sends messages in their order.
///
/// # Safety
/// `msgs` is null or points to `count` messages, the `buf` of each of which is null or points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_send_batch(
    ctx: *mut MachnetChannelCtx,
    msgs: *mut MachnetMsg,
    count: usize,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let msgs = unsafe { array_mut(msgs, count, BATCH_MAX)? };
        let msgs = Cell::from_mut(msgs).as_slice_of_cells();
        for msg in msgs {
            let MachnetMsg { buf, len, .. } = msg.get();
            // SAFETY: this function's own contract.
            unsafe { args::bytes(buf.cast_const().cast(), len)? };
        }
        let messages = msgs.iter().map(|msg| {
            let MachnetMsg { flow, buf, len, .. } = msg.get();
            // SAFETY: this function's own contract. It was looked at above and is right.
            (Flow::from(flow), unsafe { args::bytes(buf.cast_const().cast(), len) }.unwrap_or(&[]))
        });
        let mut numbered = msgs.iter();
        let sent = |id: causeway_client::MsgId| {
            if let Some(msg) = numbered.next() {
                msg.set(MachnetMsg { msg_id: id.0, ..msg.get() });
            }
        };
        let sent = hosts::with(ctx, |context| {
            Ok(context.channel.send_batch(messages, sent, context.wait())?)
        })?;
        // At most BATCH_MAX.
        Ok(sent as c_int)
    })
}

/// Receives messages.
///
/// # Safety
/// `msgs` is null or points to `count` messages, the `buf` of each of which is null or points to `len` bytes, none to those of another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_recv_batch(
    ctx: *mut MachnetChannelCtx,
    msgs: *mut MachnetMsg,
    count: usize,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let msgs = unsafe { array_mut(msgs, count, BATCH_MAX)? };
        let msgs = Cell::from_mut(msgs).as_slice_of_cells();
        for msg in msgs {
            let MachnetMsg { buf, len, .. } = msg.get();
            // SAFETY: this function's own contract.
            unsafe { args::bytes(buf.cast_const().cast(), len)? };
        }
        let buffers = msgs.iter().map(|msg| {
            let MachnetMsg { buf, len, .. } = msg.get();
            // SAFETY: this function's own contract. It was looked at above and is right.
            unsafe { args::bytes_mut(buf.cast(), len) }.unwrap_or(&mut [])
        });
        let mut filled = msgs.iter();
        let taken = |len: usize, flow: Flow| {
            if let Some(msg) = filled.next() {
                msg.set(MachnetMsg { len, flow: flow.into(), ..msg.get() });
            }
        };
        let outcome = hosts::with(ctx, |context| {
            Ok(context.channel.recv_batch(buffers, taken, context.wait()))
        })?;
        if let Err(
            RecvError::TooSmall { flow, .. }
            | RecvError::TooManyPieces { flow, .. }
            | RecvError::Ended { flow, .. },
        ) = outcome
            && let Some(first) = msgs.first()
        {
            first.set(MachnetMsg { flow: flow.into(), ..first.get() });
        }
        // At most BATCH_MAX.
        Ok(outcome? as c_int)
    })
}

/// Runs `body` on the bytes of `pieces`.
///
/// # Safety
/// Each piece is null or points to its bytes, which do not change during the call.
pub(crate) unsafe fn with_pieces<R>(
    pieces: &[iovec],
    body: impl FnOnce(&[&[u8]]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let piece = |piece: &iovec| {
        // SAFETY: this function's own contract.
        unsafe { args::bytes(piece.iov_base.cast_const().cast(), piece.iov_len) }
    };
    if pieces.len() > FEW {
        return body(&pieces.iter().map(piece).collect::<Result<Vec<_>, _>>()?);
    }
    let mut few = [&[][..]; FEW];
    for (part, given) in few.iter_mut().zip(pieces) {
        *part = piece(given)?;
    }
    body(&few[..pieces.len()])
}

/// Runs `body` on the room in `pieces`.
///
/// # Safety
/// Each piece is null or points to its bytes, which nobody else uses during the call, and none to those of another.
pub(crate) unsafe fn with_room<R>(
    pieces: &[iovec],
    body: impl FnOnce(&mut [&mut [u8]]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let piece = |piece: &iovec| {
        // SAFETY: this function's own contract.
        unsafe { args::bytes_mut(piece.iov_base.cast(), piece.iov_len) }
    };
    if pieces.len() > FEW {
        return body(&mut pieces.iter().map(piece).collect::<Result<Vec<_>, _>>()?);
    }
    let mut few = std::array::from_fn::<&mut [u8], FEW, _>(|_| &mut []);
    for (part, given) in few.iter_mut().zip(pieces) {
        *part = piece(given)?;
    }
    body(&mut few[..pieces.len()])
}

/// An array that C passes.
///
/// # Safety
/// `first` is null or points to `count` of them, which do not change during the call.
pub(crate) unsafe fn array<'a, T>(
    first: *const T,
    count: usize,
    most: usize,
) -> Result<&'a [T], Errno> {
    if count == 0 || count > most || first.is_null() || !first.is_aligned() {
        return Err(Errno::INVALID);
    }
    // SAFETY: not null, aligned, and the rest is this function's own contract.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// As [`array()`], to be written.
///
/// # Safety
/// As for [`array()`], and nobody else uses them during the call.
pub(crate) unsafe fn array_mut<'a, T>(
    first: *mut T,
    count: usize,
    most: usize,
) -> Result<&'a mut [T], Errno> {
    if count == 0 || count > most || first.is_null() || !first.is_aligned() {
        return Err(Errno::INVALID);
    }
    // SAFETY: not null, aligned, and the rest is this function's own contract. Every T here is numbers and pointers: any bits are one.
    Ok(unsafe { std::slice::from_raw_parts_mut(first, count) })
}
