//! Descriptors whatever they stand for: their kinds and flags; fcntl and ioctl.

use super::call::{CallResult, Reply};
use super::errno::Errno;
use super::file::{File, Role};
use super::host::Host;

/// SIOCATMARK and SIOCOUTQNSD, which the C library's headers lack.
const SIOCATMARK: u64 = 0x8905;
const SIOCOUTQNSD: u64 = 0x894b;
const SIOCINQ: u64 = 0x541b;
const SIOCOUTQ: u64 = 0x5411;

/// What a descriptor stands for, as far as calls ask before they do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptorKind {
    /// A socket of AF_INET.
    Ipv4Socket,
    /// A socket of AF_INET6.
    Ipv6Socket,
    /// One end of a pipe.
    Pipe,
    /// An instance of epoll.
    Epoll,
}

/// What fcntl(2) sets of a descriptor and of what is open behind it, besides O_NONBLOCK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// FD_CLOEXEC.
    pub(super) close_on_exec: bool,
    /// Those of [`KEPT`] that are set; O_NONBLOCK too where nothing here ever waits.
    status: i32,
}

/// Flags of F_SETFL without a meaning here: nothing has a position, and nobody gets signals.
const KEPT: i32 = libc::O_APPEND | libc::O_ASYNC;

impl Host {
    /// Getter: what `fd` stands for; `None` where it is not open.
    pub fn kind_of(&self, fd: i32) -> Option<DescriptorKind> {
        let of_family =
            |v6| if v6 { DescriptorKind::Ipv6Socket } else { DescriptorKind::Ipv4Socket };
        Some(match self.look(fd)? {
            File::Tcp(tcp) => of_family(tcp.v6),
            File::Udp(udp) => of_family(udp.v6),
            File::PipeRead(..) | File::PipeWrite(..) => DescriptorKind::Pipe,
            File::Epoll(_) => DescriptorKind::Epoll,
        })
    }

    pub(super) fn fcntl(&mut self, fd: i32, command: i32, argument: i64) -> CallResult {
        let mut flags = self.flags.get(&fd).copied().unwrap_or_default();
        let (nonblocking, access, kept) = match self.file(fd)? {
            File::Tcp(tcp) => (Some(&mut tcp.nonblocking), libc::O_RDWR, KEPT),
            File::Udp(udp) => (Some(&mut udp.nonblocking), libc::O_RDWR, KEPT),
            File::PipeRead(_, on) => (Some(on), libc::O_RDONLY, KEPT),
            File::PipeWrite(_, on) => (Some(on), libc::O_WRONLY, KEPT),
            // It has no O_ASYNC.
            File::Epoll(_) => (None, libc::O_RDWR, libc::O_APPEND | libc::O_NONBLOCK),
        };
        let argument = argument as i32;
        let number = match command {
            libc::F_GETFL => {
                let waits = nonblocking.is_none_or(|on| !*on);
                access | flags.status | if waits { 0 } else { libc::O_NONBLOCK }
            }
            libc::F_SETFL => {
                if let Some(on) = nonblocking {
                    *on = argument & libc::O_NONBLOCK != 0;
                }
                flags.status = argument & kept;
                0
            }
            libc::F_GETFD if flags.close_on_exec => libc::FD_CLOEXEC,
            libc::F_GETFD => 0,
            libc::F_SETFD => {
                flags.close_on_exec = argument & libc::FD_CLOEXEC != 0;
                0
            }
            _ => return Err(Errno::EINVAL),
        };
        self.flags.insert(fd, flags);
        Ok(Reply::Number(i64::from(number)))
    }

    /// A new descriptor begins with FD_CLOEXEC where the call that makes it says so.
    pub(super) fn note_close_on_exec(&mut self, fd: i32, on: bool) {
        self.flags.insert(fd, Flags { close_on_exec: on, ..Flags::default() });
    }

    pub(super) fn ioctl(&mut self, fd: i32, request: u64) -> CallResult {
        let value = match self.file(fd)? {
            File::PipeRead(buffer, _) | File::PipeWrite(buffer, _) if request == SIOCINQ => {
                buffer.borrow().bytes.len() as u64
            }
            File::Udp(_) if matches!(request, SIOCINQ | SIOCOUTQ) => {
                self.udp_waiting(fd, request == SIOCINQ)?
            }
            File::Tcp(_) => self.tcp_ioctl(fd, request)?,
            File::Udp(_) | File::Epoll(_) | File::PipeRead(..) | File::PipeWrite(..) => {
                return Err(Errno::ENOTTY);
            }
        };
        Ok(Reply::Ioctl(i32::try_from(value).unwrap_or(i32::MAX)))
    }

    fn tcp_ioctl(&mut self, fd: i32, request: u64) -> Result<u64, Errno> {
        if !matches!(request, SIOCINQ | SIOCOUTQ | SIOCOUTQNSD | SIOCATMARK) {
            return Err(Errno::ENOTTY);
        }
        let socket = match self.tcp(fd)?.role {
            Role::Stream { socket } => socket,
            Role::Listener { .. } if request != SIOCATMARK => return Err(Errno::EINVAL),
            Role::Listener { .. } | Role::Fresh => return Ok(0),
        };
        let stream = self.endpoints.get(&socket).map(|e| e.stream).ok_or(Errno::EIO)?;
        let rings = self.machine.engine.port_mut().rings(stream);
        let (readable, queued) = (rings.readable(), rings.tx_queued());
        Ok(match request {
            SIOCINQ => self.mark_ahead(fd).map_or(readable, |ahead| ahead.counted(readable)),
            SIOCOUTQ => queued + u64::from(self.fin_waits(socket)),
            SIOCOUTQNSD => self.info(socket).map_or(0, |info| u64::from(info.notsent_bytes)),
            _ => u64::from(self.at_mark(fd)),
        })
    }
}
