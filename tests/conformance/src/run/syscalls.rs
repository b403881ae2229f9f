//! A script's system call to a call of the host.

use std::net::SocketAddr;

use super::arguments::{
    Buffer, Refused, bracketed, buffer, ellipsis, field, field_count, int, io_vector, number, size,
};
use super::connection::patterned;
use super::interpreter::Player;
use crate::host::{Call, ControlMessage, Destination, EpollEvent, Payload, PollFd, START};
use crate::script::{Expr, SyscallSpec};

/// The argument at `index`.
fn arg(args: &[Expr], index: usize) -> Result<&Expr, Refused> {
    args.get(index).ok_or_else(|| format!("argument {} is missing", index + 1))
}

impl Player<'_> {
    /// The call that `spec` describes.
    pub(super) fn call_of(&mut self, spec: &SyscallSpec) -> Result<Call, Refused> {
        let args = &spec.args;
        let count = |wanted: &[usize]| {
            if wanted.contains(&args.len()) {
                Ok(())
            } else {
                Err(format!("{} arguments, expected {wanted:?}", args.len()))
            }
        };
        let expected: &[usize] = match spec.name.as_str() {
            "close" | "epoll_create" | "pipe" => &[1],
            "listen" | "shutdown" => &[2],
            "socket" | "bind" | "accept" | "connect" | "read" | "readv" | "recvmsg" | "write"
            | "writev" | "sendmsg" | "poll" => &[3],
            "fcntl" | "ioctl" => &[2, 3],
            "recv" | "send" | "epoll_ctl" | "epoll_wait" => &[4],
            "getsockopt" | "setsockopt" => &[5],
            "recvfrom" | "sendto" | "splice" => &[6],
            other => return Err(format!("the system call `{other}` is not carried out here")),
        };
        count(expected)?;
        match spec.name.as_str() {
            "socket" | "bind" | "listen" | "accept" | "connect" | "close" | "shutdown" => {
                self.socket_call(&spec.name, args)
            }
            "read" | "readv" | "recv" | "recvfrom" | "recvmsg" => {
                self.receive_call(&spec.name, args)
            }
            "write" | "writev" | "send" | "sendto" | "sendmsg" => self.send_call(&spec.name, args),
            "poll" | "epoll_create" | "epoll_ctl" | "epoll_wait" => {
                self.readiness_call(&spec.name, args)
            }
            _ => self.other_call(&spec.name, args),
        }
    }

    /// The host's descriptor behind one of the script's.
    fn fd(&self, args: &[Expr], index: usize) -> Result<i32, Refused> {
        let script = number(arg(args, index)?)?;
        let found = self.fds.get(&script);
        found.copied().ok_or_else(|| format!("no descriptor {script} is open in the script"))
    }

    fn socket_call(&mut self, name: &str, args: &[Expr]) -> Result<Call, Refused> {
        if name == "socket" {
            let domain = match arg(args, 0)? {
                Expr::Ellipsis => self.socket_domain(),
                other => int(other)?,
            };
            return Ok(Call::Socket {
                domain,
                kind: int(arg(args, 1)?)?,
                protocol: int(arg(args, 2)?)?,
            });
        }
        let fd = self.fd(args, 0)?;
        if matches!(name, "bind" | "accept" | "connect") {
            if name == "connect" && is_unspecified(arg(args, 1)?) {
                return Ok(Call::Connect { fd, address: None });
            }
            ellipsis(arg(args, 1)?)?;
            ellipsis(arg(args, 2)?)?;
        }
        Ok(match name {
            "bind" => Call::Bind { fd, address: self.shown(self.bind_address()) },
            "accept" => Call::Accept { fd, flags: 0 },
            "connect" => Call::Connect { fd, address: Some(self.shown(self.connect_address())) },
            "listen" => Call::Listen { fd, backlog: int(arg(args, 1)?)? },
            "shutdown" => Call::Shutdown { fd, how: int(arg(args, 1)?)? },
            _ => Call::Close { fd },
        })
    }

    /// What a socket of this script is given: an IPv4 address in IPv6's clothes where sockets are of AF_INET6.
    fn shown(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.socket_domain() == libc::AF_INET6 => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => address,
        }
    }

    fn receive_call(&mut self, name: &str, args: &[Expr]) -> Result<Call, Refused> {
        let fd = self.fd(args, 0)?;
        let mut nowhere = false;
        let (len, flags) = match name {
            "readv" => (io_vector(arg(args, 1)?, size(arg(args, 2)?)?)?, 0),
            "recvmsg" => (self.message_len(arg(args, 1)?)?, int(arg(args, 2)?)?),
            _ => {
                nowhere = matches!(buffer(arg(args, 1)?)?, Buffer::Null);
                let flags = if name == "read" { 0 } else { int(arg(args, 3)?)? };
                (size(arg(args, 2)?)?, flags)
            }
        };
        Ok(Call::Receive { fd, len, flags, nowhere })
    }

    /// The bytes that a `msghdr`'s vector has in all.
    fn message_len(&self, message: &Expr) -> Result<usize, Refused> {
        io_vector(field(message, "msg_iov")?, field_count(message, "msg_iov")?)
    }

    fn send_call(&mut self, name: &str, args: &[Expr]) -> Result<Call, Refused> {
        let fd = self.fd(args, 0)?;
        let script_fd = number(arg(args, 0)?)?;
        let mut control = Vec::new();
        let (given, len, flags) = match name {
            "writev" => (Buffer::Stream, io_vector(arg(args, 1)?, size(arg(args, 2)?)?)?, 0),
            "sendmsg" => {
                let message = arg(args, 1)?;
                control = control_messages(message)?;
                (Buffer::Stream, self.message_len(message)?, int(arg(args, 2)?)?)
            }
            _ => {
                let flags = if name == "write" { 0 } else { int(arg(args, 3)?)? };
                (buffer(arg(args, 1)?)?, size(arg(args, 2)?)?, flags)
            }
        };
        let to = match name {
            "sendto" if is_unspecified(arg(args, 4)?) => Destination::Unspecified,
            "sendto" => {
                ellipsis(arg(args, 4)?)?;
                Destination::To(self.shown(self.connect_address()))
            }
            "sendmsg" if flags & libc::MSG_FASTOPEN != 0 => {
                Destination::To(self.shown(self.connect_address()))
            }
            _ => Destination::Peer,
        };
        let connection = self.connection_of_fd(script_fd);
        let payload = match given {
            Buffer::Text(mut bytes) => {
                bytes.resize(len, 0);
                if let Some(connection) = connection {
                    connection.free_form = true;
                }
                Payload::Bytes(bytes)
            }
            Buffer::Null if len > 0 => Payload::Nowhere,
            Buffer::Stream | Buffer::Null => {
                let index = connection.map_or(0, |c| if c.udp { 0 } else { c.written });
                Payload::Bytes(patterned(index, len))
            }
        };
        Ok(Call::Send { fd, payload, flags, to, control })
    }

    fn readiness_call(&mut self, name: &str, args: &[Expr]) -> Result<Call, Refused> {
        match name {
            "poll" => {
                let Expr::List(items) = arg(args, 0)? else {
                    return Err("poll wants a list".into());
                };
                if items.len() != size(arg(args, 1)?)? {
                    return Err(format!("poll of {} descriptors", items.len()));
                }
                let mut fds = Vec::new();
                for item in items {
                    let script = number(field(item, "fd")?)?;
                    let fd = self.fds.get(&script).copied().ok_or("an unknown descriptor")?;
                    let events = int(field(item, "events")?)? as i16;
                    fds.push(PollFd { fd, events, revents: 0 });
                }
                Ok(Call::Poll { fds, timeout_ms: int(arg(args, 2)?)? })
            }
            "epoll_create" => Ok(Call::EpollCreate),
            "epoll_ctl" => {
                let (epfd, fd) = (self.fd(args, 0)?, self.fd(args, 2)?);
                let event = epoll_event(arg(args, 3)?)?;
                Ok(Call::EpollCtl { epfd, operation: int(arg(args, 1)?)?, fd, event })
            }
            _ => Ok(Call::EpollWait {
                epfd: self.fd(args, 0)?,
                max: size(arg(args, 2)?)?,
                timeout_ms: int(arg(args, 3)?)?,
            }),
        }
    }

    fn other_call(&mut self, name: &str, args: &[Expr]) -> Result<Call, Refused> {
        if name == "pipe" {
            return Ok(Call::Pipe { flags: 0 });
        }
        let fd = self.fd(args, 0)?;
        Ok(match name {
            "fcntl" => {
                let argument = args.get(2).map_or(Ok(0), number)?;
                Call::Fcntl { fd, command: int(arg(args, 1)?)?, argument }
            }
            "ioctl" => {
                let request = number(arg(args, 1)?)?;
                Call::Ioctl { fd, request: u64::try_from(request).unwrap_or(0) }
            }
            "getsockopt" => {
                let len =
                    usize::try_from(bracketed(arg(args, 4)?)?).map_err(|_| "a negative length")?;
                Call::GetOption { fd, level: int(arg(args, 1)?)?, name: int(arg(args, 2)?)?, len }
            }
            "setsockopt" => {
                let mut value = option_value(arg(args, 3)?)?;
                value.resize(size(arg(args, 4)?)?, 0);
                Call::SetOption { fd, level: int(arg(args, 1)?)?, name: int(arg(args, 2)?)?, value }
            }
            _ => Call::Splice {
                from: fd,
                to: self.fd(args, 2)?,
                len: size(arg(args, 4)?)?,
                flags: int(arg(args, 5)?)?,
            },
        })
    }
}

/// The address is one of AF_UNSPEC.
fn is_unspecified(expr: &Expr) -> bool {
    *expr == Expr::Word("AF_UNSPEC".into())
}

/// The value that setsockopt is given, as bytes.
fn option_value(expr: &Expr) -> Result<Vec<u8>, Refused> {
    match expr {
        Expr::List(_) => {
            let value = bracketed(expr)?;
            let value = i32::try_from(value)
                .or_else(|_| u32::try_from(value).map(u32::cast_signed))
                .map_err(|_| format!("{value} is out of range"))?;
            Ok(value.to_ne_bytes().to_vec())
        }
        Expr::Text(bytes, _) => Ok(bytes.clone()),
        Expr::Struct(_) => {
            let (on, seconds) = (int(field(expr, "onoff")?)?, int(field(expr, "linger")?)?);
            Ok([on.to_ne_bytes(), seconds.to_ne_bytes()].concat())
        }
        _ => Err(format!("{expr:?} is no value of an option")),
    }
}

/// An epoll_event; the application's own value is kept as the script has it.
pub(super) fn epoll_event(expr: &Expr) -> Result<EpollEvent, Refused> {
    let events = number(field(expr, "events")?)?;
    let own = ["fd", "ptr", "u32", "u64"].iter().find_map(|name| field(expr, name).ok());
    let data = number(own.ok_or("an epoll_event without fd, ptr, u32 or u64")?)?;
    Ok(EpollEvent { events: events as u32, data: data as u64 })
}

/// `struct scm_timestamping`, its first time in the script's seconds.
fn timestamping(time: &Expr) -> Result<Vec<u8>, Refused> {
    let word = |name| {
        let value = field(time, name).and_then(number)?;
        u64::try_from(value).map_err(|_| format!("`{name}` is out of range"))
    };
    let nanos = START.as_nanos() + word("scm_sec")? * 1_000_000_000 + word("scm_nsec")?;
    let mut out = (nanos / 1_000_000_000).to_ne_bytes().to_vec();
    out.extend((nanos % 1_000_000_000).to_ne_bytes());
    out.resize(48, 0);
    Ok(out)
}

/// `struct sock_extended_err`.
fn extended_error(error: &Expr) -> Result<Vec<u8>, Refused> {
    let word = |name| field(error, name).and_then(int).map(i32::to_ne_bytes);
    let byte = |name| {
        let value = field(error, name).and_then(number)?;
        u8::try_from(value).map_err(|_| format!("`{name}` is out of range"))
    };
    let mut out = word("ee_errno")?.to_vec();
    out.extend([byte("ee_origin")?, byte("ee_type")?, byte("ee_code")?, 0]);
    out.extend(word("ee_info")?);
    out.extend(word("ee_data")?);
    Ok(out)
}

/// The `msg_control` of a message: numbers as 4 bytes.
pub(super) fn control_messages(message: &Expr) -> Result<Vec<ControlMessage>, Refused> {
    let Ok(Expr::List(items)) = field(message, "msg_control") else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for item in items {
        let data = match field(item, "cmsg_data")? {
            data @ (Expr::Int(_) | Expr::Word(_) | Expr::Or(..)) => {
                int(data)?.to_ne_bytes().to_vec()
            }
            time @ Expr::Struct(_) if field(time, "scm_sec").is_ok() => timestamping(time)?,
            error @ Expr::Struct(_) if field(error, "ee_errno").is_ok() => extended_error(error)?,
            _ => return Err("this ancillary data is not carried out here".into()),
        };
        let (level, kind) = (int(field(item, "cmsg_level")?)?, int(field(item, "cmsg_type")?)?);
        out.push(ControlMessage { level, kind, data });
    }
    Ok(out)
}
