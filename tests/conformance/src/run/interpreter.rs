//! A script, event by event.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use causeway_core::time::{Duration, Instant};

use super::arguments::Refused;
use super::command;
use super::compare::shown_packet;
use super::connection::{Connection, Phase};
use super::evaluate::{self, Names, Value};
use super::failure::{Entry, Failure};
use super::results::shown;
use super::wire::Packet;
use crate::host::{
    Addresses, Call, CallResult, Host, HostConfig, Reply, START, TCP_CC_INFO_LEN, TCP_INFO_LEN,
    TaskId, tcp_cc_info_fields, tcp_info_fields,
};
use crate::script::{
    Action, Direction, Event, Expr, IpVersion, Micros, Options, Script, SyscallSpec, Time, parse,
    symbols,
};

/// What a script that passed did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Events that were played.
    pub events: usize,
}

/// When an event is to happen, in the script's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// `None`: at any time.
    pub(super) earliest: Option<Micros>,
    pub(super) latest: Option<Micros>,
    /// The time of the event before, from which tolerance is reckoned.
    before: Option<Micros>,
}

/// A blocking call that did not end yet.
struct Waiting {
    task: TaskId,
    call: Call,
    spec: SyscallSpec,
    line: usize,
    /// When it is to end.
    end: Micros,
    begun: Micros,
    entry: usize,
}

/// A script on a host.
pub(super) struct Player<'a> {
    path: &'a str,
    pub(super) options: Options,
    pub(super) host: Host,
    pub(super) connections: Vec<Connection>,
    pub(super) under_test: Option<usize>,
    /// The script's descriptors and the host's.
    pub(super) fds: BTreeMap<i64, i32>,
    pub(super) next_port: u16,
    waiting: Option<Waiting>,
    timeline: Vec<Entry>,
    /// The event before: its time, and whether it was an inbound packet.
    last: Option<(Micros, bool)>,
    names: Names,
    /// Those of them that are figures of the connection under test.
    figures: BTreeSet<String>,
}

/// The script's time of a moment of the host.
pub(super) fn micros(at: Instant) -> Micros {
    i64::try_from(at.saturating_since(START).as_micros()).unwrap_or(i64::MAX)
}

/// Plays the script `text`, which is called `path`.
///
/// # Errors
/// The first line that cannot be read, or that is not what happens.
pub fn run_script(path: &str, text: &str) -> Result<Outcome, Box<Failure>> {
    let script =
        parse(text).map_err(|error| Box::new(Failure::new(path, error.line, error.what)))?;
    let mut player = Player::new(path, &script);
    match player.play(&script) {
        Ok(()) => Ok(Outcome { events: script.events.len() }),
        Err((line, what)) => {
            let mut failure = Failure::new(path, line, what);
            failure.unread = player.unread();
            failure.timeline = player.timeline;
            Err(Box::new(failure))
        }
    }
}

/// Why an expected packet is not there.
pub(super) struct Mismatch {
    pub(super) actual: String,
    pub(super) refused: Refused,
    /// The line of the call that ended wrongly meanwhile.
    pub(super) of_call: Option<usize>,
}

impl Mismatch {
    pub(super) fn new(actual: impl Into<String>, refused: impl Into<Refused>) -> Self {
        Self { actual: actual.into(), refused: refused.into(), of_call: None }
    }
}

type LineResult = Result<(), (usize, Refused)>;

impl<'a> Player<'a> {
    fn new(path: &'a str, script: &Script) -> Self {
        let options = script.options.clone();
        let mut addresses = Addresses::default();
        match options.local_ip {
            Some(IpAddr::V4(v4)) => addresses.v4 = v4,
            Some(IpAddr::V6(v6)) => addresses.v6 = v6,
            None => {}
        }
        let host = Host::new(&HostConfig { addresses, mtu: options.mtu });
        Self {
            path,
            options,
            host,
            connections: Vec::new(),
            under_test: None,
            fds: BTreeMap::new(),
            next_port: 53_248,
            waiting: None,
            timeline: Vec::new(),
            last: None,
            names: symbols_of_info(),
            figures: BTreeSet::new(),
        }
    }

    fn wire_is_v6(&self) -> bool {
        self.options.ip_version == IpVersion::V6
    }

    /// The domain of `socket(..., ...)`.
    pub(super) const fn socket_domain(&self) -> i32 {
        match self.options.ip_version {
            IpVersion::V4 => libc::AF_INET,
            IpVersion::V6 | IpVersion::V4MappedV6 => libc::AF_INET6,
        }
    }

    /// Where `bind(fd, ..., ...)` binds to.
    pub(super) fn bind_address(&self) -> SocketAddr {
        let default = Addresses::default();
        let ip = match self.options.local_ip {
            Some(ip) => ip,
            None if self.wire_is_v6() => default.v6.into(),
            None => default.v4.into(),
        };
        SocketAddr::new(ip, self.options.bind_port)
    }

    /// Where `connect(fd, ..., ...)` connects to.
    pub(super) fn connect_address(&self) -> SocketAddr {
        let ip = match self.options.remote_ip {
            Some(ip) => ip,
            None if self.wire_is_v6() => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
            None => IpAddr::from([192, 0, 2, 1]),
        };
        SocketAddr::new(ip, self.options.connect_port)
    }

    /// The connection that the script knows by descriptor `fd`.
    pub(super) fn connection_of_fd(&mut self, fd: i64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.fd == Some(fd))
    }

    fn play(&mut self, script: &Script) -> LineResult {
        if let Some((line, command)) = &script.init {
            self.command(command).map_err(|refused| (*line, refused))?;
        }
        if !matches!(script.events[0].time, Time::Absolute(0) | Time::Relative(0)) {
            return Err((script.events[0].line, "the first event must be at time 0".to_owned()));
        }
        for event in &script.events {
            self.event(event)?;
        }
        self.await_call()?;
        if let Some((line, command)) = &script.cleanup {
            self.command(command).map_err(|refused| (*line, refused))?;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> LineResult {
        let inbound =
            matches!(&event.action, Action::Packet(p) if p.direction == Direction::Inbound);
        let slot = self.slot(event, inbound)?;
        let line = event.line;
        let fail = |refused| (line, refused);
        match &event.action {
            Action::Packet(spec) if !inbound => {
                let text = self.packet_text(spec);
                match self.expect(spec, &slot) {
                    Ok(_) => self.log(line, text, ""),
                    Err(Mismatch { actual, refused, of_call }) => {
                        self.log(line, text, &actual);
                        return Err((of_call.unwrap_or(line), refused));
                    }
                }
            }
            Action::Packet(spec) => {
                self.wait(&slot)?;
                self.log(line, self.packet_text(spec), "");
                self.inject(spec).map_err(fail)?;
            }
            Action::Syscall(spec) => {
                self.wait(&slot)?;
                self.syscall(line, spec, slot.earliest.unwrap_or(0), event.time)?;
            }
            Action::Command(command) => {
                self.wait(&slot)?;
                self.log(line, format!("`{command}`"), "");
                self.command(command).map_err(fail)?;
            }
            Action::Code(code) => {
                self.wait(&slot)?;
                self.log(line, format!("%{{ {} }}%", code.trim()), "");
                self.code(code).map_err(fail)?;
            }
        }
        self.finish_call()?;
        let time = slot.earliest.unwrap_or_else(|| micros(self.host.now()));
        self.last = Some((time, inbound));
        Ok(())
    }

    /// When an event is due. Inbound packets one after the other reckon from each other's time, everything else from now.
    fn slot(&self, event: &Event, inbound: bool) -> Result<Slot, (usize, Refused)> {
        let now = micros(self.host.now());
        let base = match self.last {
            Some((time, true)) if inbound => time,
            _ => now,
        };
        let before = self.last.map(|(time, _)| time);
        let (earliest, latest) = match event.time {
            Time::Any => (None, None),
            Time::Absolute(at) => (Some(at), Some(at)),
            Time::Relative(span) => (Some(base + span), Some(base + span)),
            Time::AbsoluteRange(from, to) => (Some(from), Some(to)),
            Time::RelativeRange(from, to) => (Some(base + from), Some(base + to)),
        };
        let backwards = matches!(event.time, Time::Absolute(at) if before.is_some_and(|b| at < b));
        if backwards {
            return Err((event.line, "the script's time goes backwards".to_owned()));
        }
        Ok(Slot { earliest, latest, before })
    }

    /// Lets time pass until an event is due.
    fn wait(&mut self, slot: &Slot) -> LineResult {
        let due = START + Duration::from_micros(slot.earliest.unwrap_or(0).unsigned_abs());
        while self.host.now() < due {
            self.host.advance(due, false);
            self.finish_call()?;
        }
        Ok(())
    }

    /// Compares a moment with the slot of its event, within the tolerance.
    pub(super) fn check_time(&self, slot: &Slot, at: Instant, what: &str) -> Result<(), Refused> {
        let (Some(earliest), Some(latest)) = (slot.earliest, slot.latest) else { return Ok(()) };
        let at = micros(at);
        let delta = slot.before.map_or(0, |before| earliest - before);
        let dynamic = delta.saturating_mul(self.options.tolerance_millipercent) / 100_000;
        let tolerance = self.options.tolerance_us.max(dynamic);
        if (earliest - tolerance..=latest + tolerance).contains(&at) {
            return Ok(());
        }
        let seconds = |us: Micros| us as f64 / 1e6;
        let due = if earliest == latest {
            format!("{:.6}", seconds(earliest))
        } else {
            format!("{:.6}~{:.6}", seconds(earliest), seconds(latest))
        };
        Err(format!(
            "{what} came at {:.6} s instead of {due} s (tolerance {:.6} s)",
            seconds(at),
            seconds(tolerance)
        ))
    }

    fn syscall(
        &mut self,
        line: usize,
        spec: &SyscallSpec,
        begun: Micros,
        time: Time,
    ) -> LineResult {
        // One call after the other, as one thread makes them.
        self.await_call()?;
        let fail = |refused| (line, refused);
        let call = self.call_of(spec).map_err(fail)?;
        let entry = self.timeline.len();
        self.log(line, shown_call(spec), "");
        let connects = match &call {
            Call::Send { flags, .. } => spec.name == "sendto" || flags & libc::MSG_FASTOPEN != 0,
            _ => spec.name == "connect",
        };
        if connects {
            self.note_connect(spec).map_err(fail)?;
        }
        let task = self.host.start(call.clone());
        let end = match (spec.end, time) {
            (Some(end), Time::Relative(span)) => end + begun - span,
            (Some(end), _) => end,
            (None, _) => begun,
        };
        let blocking = spec.end.is_some();
        self.waiting = Some(Waiting { task, call, spec: spec.clone(), line, end, begun, entry });
        self.finish_call()?;
        if self.waiting.is_some() && !blocking {
            self.set_actual(entry, "(blocks)");
            return Err((
                line,
                format!("`{}` blocks; the script does not say until when", spec.name),
            ));
        }
        Ok(())
    }

    /// A connect that is about to be made.
    fn note_connect(&mut self, spec: &SyscallSpec) -> Result<(), Refused> {
        let fd = super::arguments::number(&spec.args[0])?;
        let remote = self.connect_address();
        let unspec = spec.args.get(1) == Some(&Expr::Word("AF_UNSPEC".into()));
        if let Some(connection) = self.connection_of_fd(fd) {
            if unspec {
                connection.phase = Phase::New;
            } else if connection.phase == Phase::New {
                connection.phase = Phase::Connecting;
                connection.remote = remote;
            }
        }
        Ok(())
    }

    /// Takes note of the end of the call that waits, if it ended.
    pub(super) fn finish_call(&mut self) -> LineResult {
        let Some(waiting) = &self.waiting else { return Ok(()) };
        let Some((at, result)) = self.host.poll_done(waiting.task) else { return Ok(()) };
        let Some(Waiting { call, spec, end, begun, entry, line, .. }) = self.waiting.take() else {
            return Ok(());
        };
        let outcome = self.check_result(&spec, &call, &result).and_then(|()| match spec.end {
            Some(_) => {
                let slot = Slot { earliest: Some(end), latest: Some(end), before: Some(begun) };
                self.check_time(&slot, at, "the call's end")
            }
            None => Ok(()),
        });
        outcome.map_err(|refused| {
            self.set_actual(
                entry,
                &format!("{} at {:.6}", shown(&result), micros(at) as f64 / 1e6),
            );
            (line, refused)
        })
    }

    /// Lets time pass until no call waits any more.
    fn await_call(&mut self) -> LineResult {
        let Some(waiting) = &self.waiting else { return Ok(()) };
        let (line, entry) = (waiting.line, waiting.entry);
        let end =
            START + Duration::from_micros(waiting.end.unsigned_abs()) + Duration::from_secs(1);
        while self.waiting.is_some() && self.host.now() < end {
            self.host.advance(end, true);
            // Packets that come meanwhile are compared by the next event that expects one.
            if self.host.now() < end && self.host.sent().next().is_some() {
                self.host.advance(self.host.next_due().unwrap_or(end).min(end), false);
            }
            self.finish_call()?;
        }
        if self.waiting.is_none() {
            return Ok(());
        }
        self.set_actual(entry, "(blocks)");
        Err((line, "the call does not end".to_owned()))
    }

    fn command(&mut self, text: &str) -> Result<(), Refused> {
        for (name, value) in command::settings(text)? {
            self.host.sysctl(&name, &value).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Code sees the figures of the connection under test.
    fn code(&mut self, code: &str) -> Result<(), Refused> {
        // Those of a connection that has no descriptor any more are not known: the last ones say nothing.
        self.names.retain(|name, _| !self.figures.contains(name));
        self.figures.clear();
        let fd = self.under_test.and_then(|index| self.connections[index].fd);
        if let Some(fd) = fd.and_then(|fd| self.fds.get(&fd)).copied() {
            let mut known = tcp_info_fields(&self.option(fd, libc::TCP_INFO, TCP_INFO_LEN)?);
            let algorithm = self.option(fd, libc::TCP_CONGESTION, 16)?;
            let name = algorithm.split(|byte| *byte == 0).next().unwrap_or(&[]);
            let figures = self.option(fd, libc::TCP_CC_INFO, TCP_CC_INFO_LEN)?;
            let name = std::str::from_utf8(name).unwrap_or("");
            known.extend(tcp_cc_info_fields(name, &figures));
            for (name, value) in known {
                self.figures.insert(name.to_owned());
                self.names.insert(name.to_owned(), Value::Int(value.into()));
            }
        }
        for line in evaluate::run(code, &mut self.names)? {
            println!("{}: {line}", self.path);
        }
        Ok(())
    }

    fn option(&mut self, fd: i32, name: i32, len: usize) -> Result<Vec<u8>, Refused> {
        let level = libc::IPPROTO_TCP;
        match self.host.call_now(Call::GetOption { fd, level, name, len }) {
            CallResult::Ok(Reply::Option(bytes)) => Ok(bytes),
            other => Err(format!("the figures cannot be had: {}", shown(&other))),
        }
    }

    fn log(&mut self, line: usize, expected: String, actual: &str) {
        let at = micros(self.host.now());
        self.timeline.push(Entry { line, at, expected, actual: actual.to_owned() });
    }

    fn set_actual(&mut self, entry: usize, actual: &str) {
        if let Some(entry) = self.timeline.get_mut(entry) {
            actual.clone_into(&mut entry.actual);
        }
    }

    /// A packet of another connection, which no line speaks of.
    pub(super) fn aside(&mut self, at: Instant, packet: &Packet) {
        let expected = String::new();
        let actual = format!("(aside) > {}", shown_packet(packet, None));
        self.timeline.push(Entry { line: 0, at: micros(at), expected, actual });
    }
}

fn shown_call(spec: &SyscallSpec) -> String {
    let result = match &spec.result {
        Expr::Int(value) => value.to_string(),
        Expr::Word(word) => word.clone(),
        other => format!("{other:?}"),
    };
    let errno = spec.errno.as_ref().map_or(String::new(), |name| format!(" {name}"));
    let first = match spec.args.first() {
        Some(Expr::Int(fd)) => format!("{fd}, ..."),
        Some(_) => "...".to_owned(),
        None => String::new(),
    };
    format!("{}({first}) = {result}{errno}", spec.name)
}

/// The names that code may compare figures with.
fn symbols_of_info() -> Names {
    let names = [
        "TCP_ESTABLISHED",
        "TCP_SYN_SENT",
        "TCP_SYN_RECV",
        "TCP_FIN_WAIT1",
        "TCP_FIN_WAIT2",
        "TCP_TIME_WAIT",
        "TCP_CLOSE",
        "TCP_CLOSE_WAIT",
        "TCP_LAST_ACK",
        "TCP_LISTEN",
        "TCP_CLOSING",
        "TCP_CA_Open",
        "TCP_CA_Disorder",
        "TCP_CA_CWR",
        "TCP_CA_Recovery",
        "TCP_CA_Loss",
        "TCPI_OPT_TIMESTAMPS",
        "TCPI_OPT_SACK",
        "TCPI_OPT_WSCALE",
        "TCPI_OPT_ECN",
        "TCPI_OPT_ECN_SEEN",
        "TCPI_OPT_SYN_DATA",
    ];
    let value = |name: &&str| {
        symbols::number(name).map(|value| ((*name).to_owned(), Value::Int(value.into())))
    };
    names.iter().filter_map(value).collect()
}
