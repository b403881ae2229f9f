//! The packet socket: its options, and many frames sent with one call.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use causeway_core::nic::{BURST_MAX, Frame, MacAddr};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::ring::Geometry;
use super::vnet::encode;
use crate::buf::Buf;

/// A packet socket. Until [`PacketSocket::bind`] it receives nothing.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// A socket that does not wait, of no protocol as yet.
    pub fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        Ok(Self { fd })
    }

    /// Command: frames carry the header of virtio in both directions, and those that arrive go into a ring.
    pub fn set_ring(&self, geometry: Geometry) -> io::Result<()> {
        self.set(libc::PACKET_VNET_HDR, &1_i32)?;
        self.set(libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V2 as i32))?;
        self.set(libc::PACKET_RX_RING, &geometry.request())
    }

    /// Command: what leaves by the device, from us or others, does not come back.
    pub fn ignore_outgoing(&self) -> io::Result<()> {
        self.set(libc::PACKET_IGNORE_OUTGOING, &1_i32)
    }

    /// Command: frames go to the device past the kernel's queueing discipline.
    pub fn bypass_qdisc(&self) -> io::Result<()> {
        self.set(libc::PACKET_QDISC_BYPASS, &1_i32)
    }

    /// Command: the device receives more than its own frames, until the socket is closed: `kind` is one of `PACKET_MR_*`.
    pub fn join(&self, index: i32, kind: libc::c_int, mac: MacAddr) -> io::Result<()> {
        let mut address = [0; 8];
        address[..6].copy_from_slice(&mac.0);
        let request = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: kind as libc::c_ushort,
            mr_alen: mac.0.len() as libc::c_ushort,
            mr_address: address,
        };
        self.set(libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Command: as much memory for frames on their way as the kernel grants, up to `bytes`.
    pub fn set_send_buffer(&self, bytes: i32) -> io::Result<()> {
        // Beyond the system's limit only the privileged get any.
        match self.set_at(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &bytes) {
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => {
                self.set_at(libc::SOL_SOCKET, libc::SO_SNDBUF, &bytes)
            }
            other => other,
        }
    }

    /// Command: receives and sends by the device number `index` from now on.
    pub fn bind(&self, index: i32) -> io::Result<()> {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as libc::c_ushort,
            sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
            sll_ifindex: index,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let len = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is an initialised sockaddr_ll of that length, and lives across the call.
        let bound = unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Output: how many frames found no room in the ring since the last call.
    pub fn take_drops(&self) -> io::Result<u32> {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes, all of them into a plain C struct of that size.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut len,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(stats.tp_drops) }
    }

    /// Output: what happened to the device, if anything. It is told once, and until then the descriptor counts as ready.
    pub fn take_error(&self) -> Option<Errno> {
        match rustix::net::sockopt::socket_error(&self.fd) {
            Ok(Ok(())) => None,
            Ok(Err(errno)) | Err(errno) => Some(errno),
        }
    }

    fn set<T>(&self, option: libc::c_int, value: &T) -> io::Result<()> {
        self.set_at(libc::SOL_PACKET, option, value)
    }

    fn set_at<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let len = size_of::<T>() as libc::socklen_t;
        let value = (&raw const *value).cast();
        // SAFETY: setsockopt reads `len` bytes of the value, which lives across the call; each `T` used here is a plain C type
        // without padding.
        let result = unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, option, value, len) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What `sendmmsg(2)` is given, kept so that a burst neither allocates nor clears it.
pub struct TxBatch {
    messages: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
}

impl TxBatch {
    /// Room for [`BURST_MAX`] frames.
    pub fn new() -> Self {
        // SAFETY: all zeros are a valid value of this plain C struct: no name, no control data, no buffers.
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            messages: vec![message; BURST_MAX].into_boxed_slice(),
            parts: vec![part; BURST_MAX].into_boxed_slice(),
        }
    }

    /// Command: sends `frames`, at most [`BURST_MAX`], with one call. Returns how many were sent; an error is about the first.
    pub fn send<'f>(
        &mut self,
        socket: BorrowedFd<'_>,
        frames: impl Iterator<Item = &'f mut Buf>,
    ) -> Result<usize, Errno> {
        let mut count = 0;
        for ((message, part), frame) in self.messages.iter_mut().zip(&mut self.parts).zip(frames) {
            let header = encode(&frame.meta().offload, frame.bytes());
            let bytes = frame.bytes_behind(header);
            part.iov_base = bytes.as_ptr().cast_mut().cast();
            part.iov_len = bytes.len();
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            count += 1;
        }
        // SAFETY: the first `count` messages name one buffer each, which is only read, and which `frames` borrows from longer than
        // this call; names and control data are none.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| {
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
            Errno::from_raw_os_error(errno)
        })
    }
}

impl std::fmt::Debug for TxBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TxBatch").field("frames_max", &self.messages.len()).finish()
    }
}
