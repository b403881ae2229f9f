//! The functions of `upstream/machnet.h`: the upstream project's interface on the same channels. What they promise is written in
//! that header.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use causeway_client::{CallError, Flow, RecvError, Wait};
use libc::iovec;

use crate::abi;
use crate::errno::Errno;
use crate::hosts::{self, Context};
use crate::registry::MachnetChannelCtx;
use crate::vector::{PIECES_MAX, array, with_pieces, with_room};
use crate::{args, guard};

/// `MachnetFlow_t`: addresses and ports in host byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpstreamFlow {
    /// Of a message that was received the peer's address, else ours.
    pub src_ip: u32,
    /// The other one.
    pub dst_ip: u32,
    /// The port at `src_ip`.
    pub src_port: u16,
    /// The port at `dst_ip`.
    pub dst_port: u16,
}

/// `MachnetMsgHdr_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct UpstreamMsgHdr {
    /// Bytes of the message.
    pub msg_size: u32,
    /// Its flow.
    pub flow_info: UpstreamFlow,
    /// Its pieces, or room for them; laid out as `struct iovec`.
    pub msg_iov: *mut iovec,
    /// How many.
    pub msg_iovlen: usize,
    /// None means anything.
    pub flags: u16,
}

impl UpstreamFlow {
    /// As upstream tells a flow from our end to the peer's.
    fn outgoing(local: SocketAddr, remote: SocketAddr) -> Option<Self> {
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (local.ip(), remote.ip()) else { return None };
        Some(Self {
            src_ip: src.to_bits(),
            dst_ip: dst.to_bits(),
            src_port: local.port(),
            dst_port: remote.port(),
        })
    }

    const fn reversed(self) -> Self {
        let Self { src_ip, dst_ip, src_port, dst_port } = self;
        Self { src_ip: dst_ip, dst_ip: src_ip, src_port: dst_port, dst_port: src_port }
    }
}

/// The flows of a channel by their addresses, ours first.
#[derive(Debug, Default)]
pub(crate) struct Flows(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_addresses: BTreeMap<UpstreamFlow, Flow>,
    addresses: BTreeMap<u64, UpstreamFlow>,
}

impl Flows {
    /// Getter: the flow from our end to the peer's.
    fn find(&self, outgoing: UpstreamFlow) -> Result<Flow, Errno> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_addresses.get(&outgoing).copied().ok_or(Errno::BAD_FLOW)
    }

    /// Getter: the addresses of a flow, ours first; it is known from then on.
    fn addresses(&self, context: &Context, flow: Flow) -> Option<UpstreamFlow> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outgoing) = known.addresses.get(&flow.to_bits()) {
            return Some(*outgoing);
        }
        let (local, remote) = context.channel.flow_addresses(flow)?;
        let outgoing = UpstreamFlow::outgoing(local, remote)?;
        known.by_addresses.insert(outgoing, flow);
        known.addresses.insert(flow.to_bits(), outgoing);
        Some(outgoing)
    }

    fn forget(&self, flow: Flow) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(outgoing) = known.addresses.remove(&flow.to_bits()) else { return };
        // Another flow may have the addresses by now.
        if known.by_addresses.get(&outgoing) == Some(&flow) {
            known.by_addresses.remove(&outgoing);
        }
    }
}

/// Runs `body` on the context that upstream's programs hold as a void pointer.
fn with<R>(
    ctx: *const c_void,
    body: impl FnOnce(&Context) -> Result<R, Errno>,
) -> Result<R, Errno> {
    hosts::with(ctx.cast::<MachnetChannelCtx>().cast_mut(), body)
}

/// Prepares the library.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_upstream_init() -> c_int {
    abi::machnet_init()
}

/// A new channel, or null.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_upstream_attach() -> *mut c_void {
    abi::machnet_attach().cast()
}

/// Ends a channel.
#[unsafe(no_mangle)]
pub extern "C" fn machnet_upstream_detach(ctx: *const c_void) {
    abi::machnet_detach(ctx.cast::<MachnetChannelCtx>().cast_mut());
}

/// Accepts flows on an address.
///
/// # Safety
/// `local_ip` is null or points to a zero-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_upstream_listen(
    ctx: *mut c_void,
    local_ip: *const c_char,
    port: u16,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let local = v4(unsafe { args::endpoint(local_ip, port)? })?;
        with(ctx, |context| {
            context.channel.listen_messages(local)?;
            Ok(0)
        })
    })
}

/// Opens a flow.
///
/// # Safety
/// `local_ip` and `remote_ip` are null or point to zero-terminated strings, `flow` is null or points to a `MachnetFlow_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_upstream_connect(
    ctx: *mut c_void,
    local_ip: *const c_char,
    remote_ip: *const c_char,
    remote_port: u16,
    flow: *mut UpstreamFlow,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let local = unsafe { args::ip(local_ip)? };
        // SAFETY: this function's own contract.
        let remote = v4(unsafe { args::endpoint(remote_ip, remote_port)? })?;
        if flow.is_null() || !local.is_ipv4() {
            return Err(Errno::INVALID);
        }
        let opened = with(ctx, |context| {
            let opened = context.channel.connect_messages(Some(local), remote, Wait::Forever)?;
            context.upstream.addresses(context, opened).ok_or(Errno::BAD_FLOW)
        })?;
        // SAFETY: this function's own contract.
        unsafe { args::store(flow, opened) };
        Ok(0)
    })
}

fn v4(endpoint: SocketAddr) -> Result<SocketAddr, Errno> {
    if endpoint.is_ipv4() { Ok(endpoint) } else { Err(Errno::INVALID) }
}

/// Sends a message.
///
/// # Safety
/// `buf` is null or points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_upstream_send(
    ctx: *const c_void,
    flow: UpstreamFlow,
    buf: *const c_void,
    len: usize,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let message = unsafe { args::bytes(buf.cast(), len)? };
        send(ctx, flow, &[message])
    })
}

fn send(ctx: *const c_void, flow: UpstreamFlow, parts: &[&[u8]]) -> Result<c_int, Errno> {
    with(ctx, |context| {
        let flow = context.upstream.find(flow)?;
        context.channel.send(flow, parts, Wait::Never)?;
        Ok(0)
    })
}

/// Sends a message in pieces.
///
/// # Safety
/// `msghdr` is null or points to one, whose pieces are null or point to their bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_upstream_sendmsg(
    ctx: *const c_void,
    msghdr: *const UpstreamMsgHdr,
) -> c_int {
    // SAFETY: this function's own contract.
    guard::status(|| unsafe { send_one(ctx, &array(msghdr, 1, 1)?[0]) })
}

/// # Safety
/// The pieces of `msghdr` are null or point to their bytes.
unsafe fn send_one(ctx: *const c_void, msghdr: &UpstreamMsgHdr) -> Result<c_int, Errno> {
    // SAFETY: this function's own contract.
    let pieces = unsafe { array(msghdr.msg_iov.cast_const(), msghdr.msg_iovlen, PIECES_MAX)? };
    let total = pieces.iter().map(|piece| piece.iov_len).fold(0, usize::saturating_add);
    if total != msghdr.msg_size as usize {
        return Err(Errno::INVALID);
    }
    // SAFETY: this function's own contract.
    unsafe { with_pieces(pieces, |parts| send(ctx, msghdr.flow_info, parts)) }
}

/// Sends messages.
///
/// # Safety
/// `msghdrs` is null or points to `count` of them, each as for [`machnet_upstream_sendmsg`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_upstream_sendmmsg(
    ctx: *const c_void,
    msghdrs: *const UpstreamMsgHdr,
    count: c_int,
) -> c_int {
    let sent = guard::status(|| {
        let count = usize::try_from(count).map_err(|_| Errno::INVALID)?;
        // SAFETY: this function's own contract.
        let msghdrs = unsafe { array(msghdrs, count, c_int::MAX as usize)? };
        let mut sent = 0;
        for msghdr in msghdrs {
            // SAFETY: this function's own contract.
            match unsafe { send_one(ctx, msghdr) } {
                Ok(_) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    });
    // Upstream counts, and has no other failure.
    sent.max(0)
}

/// Receives a message.
///
/// # Safety
/// `buf` is null or points to `len` bytes, `flow` is null or points to a `MachnetFlow_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_upstream_recv(
    ctx: *const c_void,
    buf: *mut c_void,
    len: usize,
    flow: *mut UpstreamFlow,
) -> isize {
    guard::or_errno(-1, || {
        // SAFETY: this function's own contract.
        let buffer = unsafe { args::bytes_mut(buf.cast(), len)? };
        let Some((len, from)) = recv(ctx, &mut [buffer])? else { return Ok(0) };
        // SAFETY: this function's own contract.
        unsafe { args::store(flow, from) };
        isize::try_from(len).map_err(|_| Errno::INVALID)
    })
}

/// Receives a message into pieces.
///
/// # Safety
/// `msghdr` is null or points to one, whose pieces are null or point to their bytes, none to those of another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn machnet_upstream_recvmsg(
    ctx: *const c_void,
    msghdr: *mut UpstreamMsgHdr,
) -> c_int {
    guard::status(|| {
        // SAFETY: this function's own contract.
        let header = unsafe { array(msghdr.cast_const(), 1, 1)?[0] };
        // SAFETY: this function's own contract.
        let pieces = unsafe { array(header.msg_iov.cast_const(), header.msg_iovlen, PIECES_MAX)? };
        // SAFETY: this function's own contract.
        let received = unsafe { with_room(pieces, |parts| recv(ctx, parts))? };
        let Some((len, from)) = received else { return Ok(0) };
        let msg_size = u32::try_from(len).map_err(|_| Errno::INVALID)?;
        // SAFETY: this function's own contract.
        unsafe { args::store(msghdr, UpstreamMsgHdr { msg_size, flow_info: from, ..header }) };
        Ok(1)
    })
}

/// The next message: its length, and its flow as upstream tells it, the peer first.
fn recv(
    ctx: *const c_void,
    parts: &mut [&mut [u8]],
) -> Result<Option<(usize, UpstreamFlow)>, Errno> {
    with(ctx, |context| {
        loop {
            match context.channel.recv_parts(parts, Wait::Never) {
                Ok((len, flow)) => {
                    let outgoing = context.upstream.addresses(context, flow);
                    let outgoing = outgoing.unwrap_or_else(|| {
                        let nobody = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
                        UpstreamFlow::outgoing(nobody, nobody).expect("both are IPv4")
                    });
                    return Ok(Some((len, outgoing.reversed())));
                }
                Err(RecvError::Call(CallError::WouldBlock)) => return Ok(None),
                // Upstream's programs are not told.
                Err(RecvError::Ended { flow, .. }) => context.upstream.forget(flow),
                Err(error @ RecvError::TooSmall { .. }) => {
                    // Upstream drops it too: a program that tries again gets the next one.
                    context.channel.discard()?;
                    return Err(error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_told_from_our_end_and_of_what_came_from_the_peers() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let flow = UpstreamFlow::outgoing(address("10.0.1.5:7"), address("10.0.1.6:900")).unwrap();
        let expected =
            UpstreamFlow { src_ip: 0x0a00_0105, dst_ip: 0x0a00_0106, src_port: 7, dst_port: 900 };
        assert_eq!(flow, expected);
        assert_eq!(flow.reversed().reversed(), flow);
        assert_eq!((flow.reversed().src_ip, flow.reversed().src_port), (0x0a00_0106, 900));
        assert_eq!(UpstreamFlow::outgoing(address("[::1]:7"), address("10.0.1.6:900")), None);
    }
}
