//! The functions of `machnet.h`: check, call, map errors. What they promise is written in the header.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::Ordering;

use causeway_client::{Channel, Flow, InfoError, RecvError, SocketInfo, Wait};

use crate::errno::{self, Errno};
use crate::hosts::{self, Context};
use crate::registry::MachnetChannelCtx;
use crate::{args, guard};

pub use crate::in_place::{machnet_borrow, machnet_commit, machnet_release, machnet_reserve};
pub use crate::vector::{
    MachnetMsg, machnet_recv_batch, machnet_recvv, machnet_send_batch, machnet_sendv,
};

/// `MachnetFlow_t`: the client's handle plus one, so that an all-zero one is no flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachnetFlow {
    /// The handle's number.
    pub id: u64,
}

impl From<Flow> for MachnetFlow {
    fn from(flow: Flow) -> Self {
        Self { id: flow.to_bits().wrapping_add(1) }
    }
}

impl From<MachnetFlow> for Flow {
    fn from(flow: MachnetFlow) -> Self {
        Self::from_bits(flow.id.wrapping_sub(1))
    }
}

/// `MachnetFlowStats_t`: grows at its end only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachnetFlowStats {
    /// Highest message number that the peer has acknowledged; 0 for none.
    pub msg_acked: u64,
    /// Smoothed round-trip time in nanoseconds; 0 before the first sample.
    pub srtt_ns: u64,
    /// Round-trip time variation in nanoseconds.
    pub rttvar_ns: u64,
    /// Congestion window in bytes.
    pub cwnd_bytes: u64,
    /// Packets that were sent again.
    pub retransmits: u64,
    /// Payload bytes sent, repetitions included.
    pub bytes_sent: u64,
    /// Payload bytes that the peer has acknowledged.
    pub bytes_acked: u64,
    /// Payload bytes received in order.
    pub bytes_received: u64,
}

impl From<SocketInfo> for MachnetFlowStats {
    fn from(info: SocketInfo) -> Self {
        Self {
            msg_acked: info.message_acked,
            srtt_ns: info.srtt.as_nanos(),
            rttvar_ns: info.rttvar.as_nanos(),
            cwnd_bytes: u64::from(info.cwnd_bytes),
            retransmits: info.retransmits,
            bytes_sent: info.bytes_sent,
            bytes_acked: info.bytes_acked,
            bytes_received: info.bytes_received,
        }
    }
}

/// Prepares the library; may be called again.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_init() -> c_int {
    guard::status(|| {
        hosts::init();
        Ok(0)
    })
}

/// A new channel to the daemon, or null.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_attach() -> *mut MachnetChannelCtx {
    guard::or_errno(std::ptr::null_mut(), || {
        if !hosts::is_initialised() {
            return Err(Errno::INVALID);
        }
        hosts::insert(Context::new(Channel::attach()?))
    })
}

/// Ends a channel.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_detach(ctx: *mut MachnetChannelCtx) -> c_int {
    guard::status(|| {
        hosts::remove(ctx)?;
        Ok(0)
    })
}

/// Chooses what calls do that would have to wait.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_set_nonblocking(ctx: *mut MachnetChannelCtx, nonblocking: bool) -> c_int {
    guard::status(|| {
        hosts::with(ctx, |context| {
            if !context.is_ours() {
                return Err(Errno::INVALID);
            }
            context.nonblocking.store(nonblocking, Ordering::Relaxed);
            Ok(0)
        })
    })
}

/// A descriptor to poll.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_fd(ctx: *mut MachnetChannelCtx) -> c_int {
    guard::status(|| hosts::with(ctx, |context| Ok(context.channel.fd()?)))
}

/// Accepts flows on an address.
///
/// # Safety
/// `local_ip` is null or points to a zero-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_listen(
    ctx: *mut MachnetChannelCtx,
    local_ip: *const c_char,
    port: u16,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let local = unsafe { args::endpoint(local_ip, port)? };
        hosts::with(ctx, |context| {
            context.channel.listen_messages(local)?;
            Ok(0)
        })
    })
}

/// Opens a flow.
///
/// # Safety
/// `local_ip` and `remote_ip` are null or point to zero-terminated strings, `flow` is null or points to a
/// `MachnetFlow_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_connect(
    ctx: *mut MachnetChannelCtx,
    local_ip: *const c_char,
    remote_ip: *const c_char,
    remote_port: u16,
    flow: *mut MachnetFlow,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let local = unsafe { args::ip(local_ip)? };
        // SAFETY: this function's own contract.
        let remote = unsafe { args::endpoint(remote_ip, remote_port)? };
        if flow.is_null() {
            return Err(Errno::INVALID);
        }
        let opened = hosts::with(ctx, |context| {
            Ok(context.channel.connect_messages(Some(local), remote, Wait::Forever)?)
        })?;
        // SAFETY: this function's own contract.
        unsafe { args::store(flow, opened.into()) };
        Ok(0)
    })
}

/// Closes a flow.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_flow_close(ctx: *mut MachnetChannelCtx, flow: MachnetFlow) -> c_int {
    guard::status(|| {
        hosts::with(ctx, |context| {
            context.channel.close_flow(flow.into())?;
            Ok(0)
        })
    })
}

/// A flow's figures.
///
/// # Safety
/// `stats` is null or points to `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_flow_stats(
    ctx: *mut MachnetChannelCtx,
    flow: MachnetFlow,
    stats: *mut MachnetFlowStats,
    size: usize,
) -> c_int {
    guard::status(|| {
        if stats.is_null() || size == 0 {
            return Err(Errno::INVALID);
        }
        let info = hosts::with(ctx, |context| {
            let flow = flow.into();
            context.channel.flow_addresses(flow).ok_or(Errno::BAD_FLOW)?;
            context.channel.flow_info(flow, Wait::Forever).map_err(|error| match error {
                // The stack forgot it between the two looks, or the flow has ended.
                InfoError::Refused(_) => Errno::BAD_FLOW,
                InfoError::Call(error) => error.into(),
            })
        })?;
        let figures = MachnetFlowStats::from(info);
        let known = size_of::<MachnetFlowStats>().min(size);
        // SAFETY: `figures` has at least `known` bytes, all initialised (eight u64, no padding); `stats` has
        // `size` >= `known` by this function's own contract; the two do not overlap.
        unsafe {
            let from = (&raw const figures).cast::<u8>();
            stats.cast::<u8>().write_bytes(0, size);
            stats.cast::<u8>().copy_from_nonoverlapping(from, known);
        }
        Ok(0)
    })
}

/// Sends a message.
///
/// # Safety
/// `buf` is null or points to `len` bytes, `msg_id` is null or points to a `MachnetMsgId_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_send(
    ctx: *mut MachnetChannelCtx,
    flow: MachnetFlow,
    buf: *const c_void,
    len: usize,
    msg_id: *mut u64,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let message = unsafe { args::bytes(buf.cast(), len)? };
        let id = hosts::with(ctx, |context| {
            Ok(context.channel.send(flow.into(), &[message], context.wait())?)
        })?;
        // SAFETY: this function's own contract.
        unsafe { args::store(msg_id, id.0) };
        Ok(0)
    })
}

/// Receives a message.
///
/// # Safety
/// `buf` is null or points to `buf_size` bytes, `flow` is null or points to a `MachnetFlow_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_recv(
    ctx: *mut MachnetChannelCtx,
    buf: *mut c_void,
    buf_size: usize,
    flow: *mut MachnetFlow,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let buffer = unsafe { args::bytes_mut(buf.cast(), buf_size)? };
        let received =
            hosts::with(ctx, |context| Ok(context.channel.recv(buffer, context.wait())))?;
        // SAFETY: this function's own contract.
        unsafe { received_on(received, flow) }
    })
}

/// The length of the next message.
///
/// # Safety
/// `flow` is null or points to a `MachnetFlow_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_peek_size(
    ctx: *mut MachnetChannelCtx,
    flow: *mut MachnetFlow,
) -> c_int {
    guard::status(|| {
        let next = hosts::with(ctx, |context| Ok(context.channel.peek(context.wait())))?;
        // SAFETY: this function's own contract.
        unsafe { received_on(next, flow) }
    })
}

/// A value of errno in words.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_strerror(error: c_int) -> *const c_char {
    errno::text(error).as_ptr()
}

/// The result of a reception; `flow` is told of failures too, where they concern one.
///
/// # Safety
/// `flow` is null or points to a `MachnetFlow_t`.
pub(crate) unsafe fn received_on(
    outcome: Result<(usize, Flow), RecvError>,
    flow: *mut MachnetFlow,
) -> Result<c_int, Errno> {
    let concerned = match &outcome {
        Ok((_, flow))
        | Err(
            RecvError::TooSmall { flow, .. }
            | RecvError::TooManyPieces { flow, .. }
            | RecvError::Ended { flow, .. },
        ) => Some(*flow),
        Err(RecvError::Call(_)) => None,
    };
    if let Some(concerned) = concerned {
        // SAFETY: this function's own contract.
        unsafe { args::store(flow, concerned.into()) };
    }
    let (len, _) = outcome?;
    // The longest message that can be configured has 64 MiB.
    c_int::try_from(len).map_err(|_| Errno::INVALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_handle_survives_the_way_through_c_and_zero_is_none() {
        for bits in [0, 1, 7 << 32 | 9, u64::MAX - 1] {
            let flow = Flow::from_bits(bits);
            assert_ne!(MachnetFlow::from(flow).id, 0);
            assert_eq!(Flow::from(MachnetFlow::from(flow)), flow);
        }
        assert_eq!(Flow::from(MachnetFlow { id: 0 }), Flow::from_bits(u64::MAX));
    }
}
