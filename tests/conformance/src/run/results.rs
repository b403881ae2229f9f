//! What a call gave, against what the script says.

use super::arguments::{Refused, bracketed, field, int, number};
use super::connection::{Connection, Phase, patterned};
use super::interpreter::Player;
use super::syscalls::{control_messages, epoll_event};
use crate::host::{Call, CallResult, Errno, Reply};
use crate::script::{Expr, SyscallSpec, symbols};

/// A call's result as a script writes it.
pub(super) fn shown(result: &CallResult) -> String {
    match result {
        Ok(reply) => reply.number().to_string(),
        Err(errno) => format!("-1 {}", errno.name()),
    }
}

impl Player<'_> {
    /// Compares the end of a call, and takes note of what it changed.
    pub(super) fn check_result(
        &mut self,
        spec: &SyscallSpec,
        call: &Call,
        result: &CallResult,
    ) -> Result<(), Refused> {
        let expected = match &spec.result {
            Expr::Ellipsis => None,
            result => Some(number(result)?),
        };
        let actual = result.as_ref().map_or(-1, Reply::number);
        let is_fd = matches!(call, Call::Socket { .. } | Call::Accept { .. } | Call::EpollCreate);
        let right = match expected {
            None => true,
            Some(expected) if is_fd && expected >= 0 => actual >= 0,
            Some(expected) => expected == actual,
        };
        if !right {
            return Err(format!("`{}` gave {}", spec.name, shown(result)));
        }
        match (&spec.errno, result) {
            (None, _) => {}
            (Some(name), Err(errno)) if errno_number(name)? == errno.0 => {}
            (Some(_), _) => return Err(format!("`{}` gave {}", spec.name, shown(result))),
        }
        if let Ok(reply) = result {
            self.note_success(spec, call, reply, expected.unwrap_or(actual))?;
        }
        Ok(())
    }

    fn note_success(
        &mut self,
        spec: &SyscallSpec,
        call: &Call,
        reply: &Reply,
        script: i64,
    ) -> Result<(), Refused> {
        match (call, reply) {
            (Call::Socket { kind, .. }, Reply::Number(fd)) => {
                self.open(script, *fd as i32)?;
                let udp = kind & 0xf == libc::SOCK_DGRAM;
                let (local, remote) = (self.bind_address(), self.connect_address());
                let mut connection = Connection::new(Phase::New, udp, local, remote);
                connection.fd = Some(script);
                self.connections.push(connection);
                self.under_test = Some(self.connections.len() - 1);
            }
            (Call::EpollCreate, Reply::Number(fd)) => self.open(script, *fd as i32)?,
            (Call::Accept { .. }, Reply::Accepted(fd, remote)) => {
                self.open(script, *fd)?;
                self.note_accept(script, remote.port());
            }
            (Call::Listen { .. }, _) => self.set_phase(spec, Phase::Listening)?,
            (Call::Close { .. }, _) => {
                let fd = number(&spec.args[0])?;
                self.fds.remove(&fd);
                for connection in self.connections.iter_mut().filter(|c| c.fd == Some(fd)) {
                    connection.fd = None;
                    let accepted =
                        matches!(connection.phase, Phase::SynAckSent | Phase::SynAckAcked);
                    if accepted {
                        connection.phase = Phase::Closed;
                    }
                }
            }
            (Call::Pipe { .. }, Reply::Pipe(read, write)) => {
                let Some(Expr::List(ends)) = spec.args.first() else {
                    return Err("pipe([a, b])".into());
                };
                for (end, fd) in ends.iter().zip([read, write]) {
                    self.open(number(end)?, *fd)?;
                }
            }
            (Call::Send { .. }, Reply::Number(count)) => {
                if let Some(connection) = self.connection_of_fd(number(&spec.args[0])?) {
                    connection.written += count.unsigned_abs();
                }
            }
            _ => return self.check_output(spec, call, reply),
        }
        Ok(())
    }

    /// What a call wrote behind its pointers.
    fn check_output(
        &mut self,
        spec: &SyscallSpec,
        call: &Call,
        reply: &Reply,
    ) -> Result<(), Refused> {
        match reply {
            Reply::Received(count, received) => {
                self.check_bytes(spec, call, *count, &received.bytes)?;
                if spec.name == "recvmsg" {
                    let flags = int(field(&spec.args[1], "msg_flags")?)?;
                    if flags != received.flags {
                        return Err(format!("msg_flags is {:#x}", received.flags));
                    }
                    let expected = control_messages(&spec.args[1])?;
                    if expected != received.control {
                        return Err(format!("the ancillary data is {:?}", received.control));
                    }
                }
                Ok(())
            }
            Reply::Ioctl(value) => match spec.args.get(2).map(bracketed).transpose()? {
                Some(expected) if expected != i64::from(*value) => {
                    Err(format!("the ioctl's value is {value}"))
                }
                _ => Ok(()),
            },
            Reply::Option(bytes) => check_option(spec, bytes),
            Reply::Polled(_, fds) => {
                let Expr::List(items) = &spec.args[0] else { return Ok(()) };
                for (item, polled) in items.iter().zip(fds) {
                    let expected = field(item, "revents").map_or(Ok(0), int)?;
                    if expected as i16 != polled.revents {
                        return Err(format!("revents is {}", poll_names(polled.revents)));
                    }
                }
                Ok(())
            }
            Reply::Events(events) => {
                let Some(event) = events.first() else { return Ok(()) };
                let expected = epoll_event(&spec.args[1])?;
                if expected == *event {
                    return Ok(());
                }
                let names = poll_names(event.events as u16 as i16);
                Err(format!("the event is {names} ({:#x}), data {}", event.events, event.data))
            }
            Reply::Number(_) | Reply::Accepted(..) | Reply::Pipe(..) => Ok(()),
        }
    }

    /// Every byte that is read is the one that the peer sent at that place of the stream.
    fn check_bytes(
        &mut self,
        spec: &SyscallSpec,
        call: &Call,
        count: i64,
        bytes: &[u8],
    ) -> Result<(), Refused> {
        let Call::Receive { flags, .. } = call else { return Ok(()) };
        let Some(connection) = self.connection_of_fd(number(&spec.args[0])?) else { return Ok(()) };
        let from = if connection.udp { 0 } else { connection.read };
        let out_of_band = flags & (libc::MSG_OOB | libc::MSG_ERRQUEUE) != 0;
        if flags & libc::MSG_PEEK == 0 && !out_of_band {
            // More than the bytes where they were thrown away.
            connection.read += count.unsigned_abs();
        }
        let known = !connection.free_form && !out_of_band;
        let right = patterned(from, bytes.len());
        if known && let Some(at) = bytes.iter().zip(&right).position(|(a, b)| a != b) {
            return Err(format!("byte {} of the stream is wrong", from + at as u64));
        }
        Ok(())
    }

    fn open(&mut self, script: i64, fd: i32) -> Result<(), Refused> {
        match self.fds.insert(script, fd) {
            None => Ok(()),
            Some(_) => Err(format!("the script has two descriptors {script}")),
        }
    }

    fn note_accept(&mut self, script: i64, port: u16) {
        let done = [Phase::SynAckSent, Phase::SynAckAcked, Phase::PacketReceived];
        let waiting = |c: &&mut Connection| {
            c.fd.is_none() && done.contains(&c.phase) && c.remote.port() == port
        };
        if let Some(connection) = self.connections.iter_mut().find(waiting) {
            connection.fd = Some(script);
        }
    }

    /// The phase of the connection whose descriptor is a call's first argument.
    pub(super) fn set_phase(&mut self, spec: &SyscallSpec, phase: Phase) -> Result<(), Refused> {
        if let Some(connection) = self.connection_of_fd(number(&spec.args[0])?) {
            connection.phase = phase;
        }
        Ok(())
    }
}

fn errno_number(name: &str) -> Result<i32, Refused> {
    let known = crate::host::errno::NAMES.iter().find(|(known, _)| *known == name);
    let alias = match name {
        "EWOULDBLOCK" => Some(Errno::EAGAIN.0),
        "EOPNOTSUPP" => Some(Errno::EOPNOTSUPP.0),
        _ => None,
    };
    known.map(|(_, number)| *number).or(alias).ok_or_else(|| format!("`{name}` is no errno"))
}

fn check_option(spec: &SyscallSpec, bytes: &[u8]) -> Result<(), Refused> {
    let len = bracketed(&spec.args[4])?;
    if len != bytes.len() as i64 {
        return Err(format!("the option has {} bytes", bytes.len()));
    }
    match &spec.args[3] {
        Expr::Text(expected, _) => {
            if expected == bytes {
                return Ok(());
            }
            Err(format!("the option is {:?}", String::from_utf8_lossy(bytes)))
        }
        Expr::List(_) => {
            let expected = bracketed(&spec.args[3])?;
            let actual = bytes.first_chunk::<4>().map(|b| i32::from_ne_bytes(*b));
            let actual = actual.ok_or("an option of less than four bytes")?;
            if expected as i32 == actual { Ok(()) } else { Err(format!("the option is {actual}")) }
        }
        other => Err(format!("{other:?} cannot be an option's value")),
    }
}

fn poll_names(events: i16) -> String {
    let names = [
        "POLLIN",
        "POLLPRI",
        "POLLOUT",
        "POLLERR",
        "POLLHUP",
        "POLLRDNORM",
        "POLLWRNORM",
        "POLLRDHUP",
    ];
    let set = |name: &&str| {
        symbols::number(name).is_some_and(|bit| i64::from(events.cast_unsigned()) & bit != 0)
    };
    let names: Vec<&str> = names.into_iter().filter(set).collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}
