//! A guest of processes: the first, and those that it starts.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use causeway_client::ApiCall;
use causeway_core::rng::Stream;
use causeway_core::time::Instant;

use super::baton::Heard;
use super::channels::Channels;
use super::config::ProcessConfig;
use super::launch::{launch, packet_pair};
use super::member::{Member, Stage};
use super::names::call_name;
use super::wire::{API_CALLS, Answer, Ask, HOST_NAME_BYTES, Start, ask, flag};
use crate::guest::{
    Bells, GuestId, GuestState, Moment, Outcome, TurnEnd, copy_bytes_per_nano, name_and_cost,
};
use crate::world::{HostEngine, HostId, RunError};

/// What a system call costs at least, in nanoseconds; at most twice that.
const SYSTEM_CALL_NANOS: u64 = 200;
/// Virtual process numbers begin beyond all that the kernel gives (2^22), a range for each guest.
const PID_FIRST: u64 = 5_000_000;
const PIDS_PER_GUEST: u64 = 250_000;
/// Between the numbers of two processes there is room for those of threads.
const PID_STEP: u64 = 50;
/// Virtual time until a process learns that another one did something that it may wait for.
const CHANGE_LATENCY_NANOS: u64 = 1_000;
/// Most processes that a guest starts in its life.
const MEMBERS_MAX: usize = (PIDS_PER_GUEST / PID_STEP) as usize;

/// A guest whose program is a process.
#[derive(Debug)]
pub struct ProcessGuest {
    id: GuestId,
    host: HostId,
    host_name: String,
    name: String,
    seed: u64,
    child: Child,
    members: Vec<Member>,
    channels: Channels,
    epoch: u64,
    state: GuestState,
    calls: u64,
    last_call: u32,
    outcome: Option<Outcome>,
}

/// What a turn was ended by.
enum Ended {
    Stopped { active: bool },
    Over,
}

impl ProcessGuest {
    /// Starts the guest's first process, which waits for its first turn.
    pub(crate) fn spawn(
        id: GuestId,
        (host, host_name): (HostId, &str),
        name: &str,
        bells: Arc<Bells>,
        seed: u64,
        config: &ProcessConfig,
    ) -> io::Result<Self> {
        let (child, socket) = launch(config)?;
        let pid = PID_FIRST + id.0 as u64 * PIDS_PER_GUEST;
        let stream = Stream::new(seed, 1);
        Ok(Self {
            id,
            host,
            host_name: host_name.to_owned(),
            name: name.to_owned(),
            seed,
            child,
            members: vec![Member::new(socket, pid, 1, stream.at(0))],
            channels: Channels::new(id, bells),
            epoch: 0,
            state: GuestState::Pausing { until: Instant::ZERO },
            calls: 0,
            last_call: super::wire::CALL_NONE,
            outcome: None,
        })
    }

    /// Command: one turn of the process that is due.
    pub(crate) fn run(
        &mut self,
        moment: Moment,
        engine: &mut dyn HostEngine,
        wall_limit: Duration,
    ) -> Result<TurnEnd, RunError> {
        let Moment { now, quiet_until, .. } = moment;
        self.epoch += 1;
        self.await_births(now, wall_limit)?;
        if self.channels.take_rung() {
            self.change_all(now);
        }
        let due = |member: &Member| member.due();
        let first = (0..self.members.len()).filter(|index| due(&self.members[*index]).is_some());
        let first = first.min_by_key(|index| (due(&self.members[*index]), *index));
        let Some(index) = first.filter(|index| due(&self.members[*index]) <= Some(now)) else {
            return Ok(self.turn_end(now));
        };
        let others = self.members.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.filter_map(|(_, member)| member.due()).min();
        let quiet_until = others.map_or(quiet_until, |at| at.min(quiet_until));
        let ended = self.turn(index, Moment { quiet_until, ..moment }, wall_limit)?;
        let at = self.members[index].stopped_at.max(now);
        self.await_births(at, wall_limit)?;
        let later = Instant::from_nanos(at.as_nanos() + CHANGE_LATENCY_NANOS);
        if self.channels.serve(engine) {
            self.change_all(later);
        }
        match ended {
            Ended::Stopped { active: false } => {}
            Ended::Stopped { active: true } => self.change_others(index, later),
            Ended::Over => self.change_others(index, later),
        }
        Ok(self.turn_end(at))
    }

    /// Lets one process run until it gives its turn back.
    fn turn(
        &mut self,
        index: usize,
        moment: Moment,
        wall_limit: Duration,
    ) -> Result<Ended, RunError> {
        let now = moment.now;
        let turn = Answer {
            now: now.as_nanos(),
            quiet_until: moment.quiet_until.as_nanos(),
            wall_ahead: moment.wall_ahead.cast_unsigned(),
            ..Answer::default()
        };
        self.give_turn(index, turn);
        loop {
            let (ask, behind) = match self.members[index].hear(wall_limit) {
                Heard::Asked(ask, behind) => (ask, behind),
                Heard::Gone => {
                    self.end(index, None, wall_limit)?;
                    return Ok(Ended::Over);
                }
                Heard::Silent => return Err(self.stuck(index)),
            };
            self.calls += ask.calls;
            if ask.kind == ask::HELLO {
                let start = self.start(index);
                let now = self.members[index].stopped_at.max(now).as_nanos();
                self.members[index].answer(&Answer { now, ..turn }, Some(&start), None);
                continue;
            }
            self.members[index].note(&ask);
            self.last_call = self.members[index].call;
            let at = Answer { now: ask.at, ..turn };
            match ask.kind {
                ask::STOP => {
                    self.members[index].stop(&ask, &behind);
                    return Ok(Ended::Stopped { active: ask.flags & flag::ACTIVE != 0 });
                }
                ask::EXIT => {
                    self.end(index, Some(Outcome::Exit(ask.a as u32 as i32)), wall_limit)?;
                    return Ok(Ended::Over);
                }
                ask::DENIED => {
                    self.end(index, Some(Outcome::Denied(denial(&ask, &behind))), wall_limit)?;
                    return Ok(Ended::Over);
                }
                ask::IMAGE => {}
                ask::CONNECT => {
                    let connection = self.channels.connect(self.members[index].pid).ok();
                    let fd = connection.as_ref().map(|fd| fd.as_fd());
                    self.members[index].answer(&at, None, fd);
                }
                ask::FORK => self.fork(index, at),
                ask::UNFORK => {
                    self.members.retain(|one| one.pid != ask.a || one.stage != Stage::Unborn)
                }
                ask::KILL => {
                    let value = self.kill(&ask, wall_limit)?;
                    let answer = Answer { value, ..at };
                    self.members[index].answer(&answer, None, None);
                }
                // Only this project's object speaks on the socket; what it does not know is a defect of it.
                _ => return Err(self.stuck(index)),
            }
        }
    }

    fn give_turn(&mut self, index: usize, turn: Answer) {
        let start = match self.members[index].stage {
            Stage::Born(_) => Some(self.start(index)),
            Stage::Unborn | Stage::Stopped { .. } | Stage::Over => None,
        };
        let member = &mut self.members[index];
        let mut flags = 0;
        if member.changed_at.take().is_some() {
            flags |= flag::CHANGED;
        }
        if std::mem::take(&mut member.signalled) {
            flags |= flag::SIGNAL;
        }
        member.answer(&Answer { flags, ..turn }, start.as_ref(), None);
    }

    /// What a new image of a process learns.
    fn start(&mut self, index: usize) -> Start {
        let member = &mut self.members[index];
        let seed = Stream::new(member.seed, 0).at(member.images);
        member.images += 1;
        let mut host_name = [0; HOST_NAME_BYTES];
        let len = self.host_name.len().min(HOST_NAME_BYTES - 1);
        host_name[..len].copy_from_slice(&self.host_name.as_bytes()[..len]);
        Start {
            seed,
            pid: member.pid,
            parent: member.parent,
            copy_bytes_per_nano: copy_bytes_per_nano(),
            costs: costs(),
            system_call: SYSTEM_CALL_NANOS,
            host_name,
        }
    }

    /// A process is about to start another.
    fn fork(&mut self, index: usize, at: Answer) {
        let number = self.members.len() as u64;
        let pair = if self.members.len() < MEMBERS_MAX { packet_pair().ok() } else { None };
        let Some((ours, theirs)) = pair else {
            self.members[index].answer(&at, None, None);
            return;
        };
        let pid = self.members[0].pid + number * PID_STEP;
        let seed = Stream::new(self.seed, 1).at(number);
        let answer = Answer { value: pid, seed, ..at };
        let fd: BorrowedFd<'_> = theirs.as_fd();
        self.members[index].answer(&answer, None, Some(fd));
        let parent = self.members[index].pid;
        self.members.push(Member::new(ours, pid, parent, seed));
    }

    /// A process sends another a signal.
    fn kill(&mut self, ask: &Ask, wall_limit: Duration) -> Result<u64, RunError> {
        let Some(target) = self.members.iter().position(|member| member.pid == ask.a) else {
            return Ok(libc::ESRCH as u64);
        };
        let result = self.members[target].send_signal(ask.b);
        if result == 0 && ask.b == libc::SIGKILL as u64 {
            self.end(target, None, wall_limit)?;
        } else if result == 0 {
            self.members[target].signal(Instant::from_nanos(ask.at));
        }
        Ok(result)
    }

    /// Waits for processes that were started to say so, or to be gone.
    fn await_births(&mut self, now: Instant, wall_limit: Duration) -> Result<(), RunError> {
        for index in 0..self.members.len() {
            if self.members[index].stage != Stage::Unborn {
                continue;
            }
            match self.members[index].hear(wall_limit) {
                Heard::Asked(ask, _) if ask.kind == ask::HELLO => {
                    self.members[index].born(&ask, now)
                }
                Heard::Silent => return Err(self.stuck(index)),
                Heard::Asked(..) | Heard::Gone => {
                    let why = "it ended before its first instruction: see its standard error";
                    let outcome = (index == 0).then(|| Outcome::Denied(why.to_owned()));
                    self.end(index, outcome, wall_limit)?;
                }
            }
        }
        Ok(())
    }

    /// A process has ended, or is about to.
    fn end(
        &mut self,
        index: usize,
        outcome: Option<Outcome>,
        wall_limit: Duration,
    ) -> Result<(), RunError> {
        if !self.members[index].await_end(wall_limit) {
            return Err(self.stuck(index));
        }
        self.members[index].over();
        self.tell_parent(index);
        if let Some(Outcome::Denied(what)) = &outcome {
            // Whichever process of the guest it was.
            self.outcome = Some(Outcome::Denied(what.clone()));
        }
        if index == 0 {
            let status = self.child.wait().ok();
            let killed = status.and_then(|status| status.signal()).map(Outcome::Signal);
            let code = status.and_then(|status| status.code()).map(Outcome::Exit);
            let outcome = killed.or(outcome).or(code);
            self.outcome = self.outcome.take().or(outcome);
        }
        Ok(())
    }

    /// The kernel has sent the parent SIGCHLD.
    fn tell_parent(&mut self, index: usize) {
        let (parent, at) = (self.members[index].parent, self.members[index].stopped_at);
        let parent = self.members.iter_mut().find(|one| one.pid == parent && !one.is_over());
        if let Some(parent) = parent {
            parent.signal(at);
        }
    }

    fn stuck(&mut self, index: usize) -> RunError {
        let call = self.members[index].present_call();
        self.end_all();
        RunError::GuestStuck { guest: self.name.clone(), call }
    }

    fn change_all(&mut self, at: Instant) {
        for member in &mut self.members {
            member.change(at);
        }
    }

    fn change_others(&mut self, index: usize, at: Instant) {
        let others = self.members.iter_mut().enumerate().filter(|(other, _)| *other != index);
        others.for_each(|(_, member)| member.change(at));
    }

    /// What the guest does now, as a whole.
    fn turn_end(&mut self, at: Instant) -> TurnEnd {
        let denied = matches!(self.outcome, Some(Outcome::Denied(_)));
        let failed = !matches!(self.outcome, None | Some(Outcome::Exit(0)));
        self.state = if denied || failed || self.members.iter().all(Member::is_over) {
            self.end_all();
            GuestState::Over(self.outcome.clone().unwrap_or(Outcome::Exit(0)))
        } else {
            let due = self.members.iter().filter_map(Member::due).min();
            let pausing = |member: &Member| {
                let ready =
                    matches!(member.stage, Stage::Stopped { ready: true, .. } | Stage::Born(_));
                member.due() == due && (ready || member.changed_at.is_some())
            };
            match due {
                Some(until) if self.members.iter().any(pausing) => GuestState::Pausing { until },
                deadline => GuestState::Waiting { deadline },
            }
        };
        TurnEnd { state: self.state.clone(), at, calls: self.calls }
    }

    /// Ends whatever still runs, and takes the first process's remains.
    fn end_all(&mut self) {
        self.members.iter().for_each(Member::kill);
        // It fails for a process that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Command: ends its processes.
    pub(crate) fn end_now(&mut self) {
        self.end_all();
        self.members.iter_mut().for_each(Member::over);
        self.epoch += 1;
        self.state = GuestState::Over(Outcome::Killed);
    }

    /// Getter: what it does between two turns.
    pub(crate) fn state(&self) -> &GuestState {
        &self.state
    }

    /// Command: a bell was rung. The epoch to run under, if a process waits for such.
    pub(crate) fn wake(&mut self) -> Option<u64> {
        let waits =
            |member: &Member| matches!(member.stage, Stage::Stopped { wants_changes: true, .. });
        self.members.iter().any(waits).then_some(self.epoch)
    }

    /// Command: see [`crate::guest::Guest::renew`]. A turn that comes too early is given back.
    pub(crate) fn renew(&self) -> Option<u64> {
        Some(self.epoch)
    }

    /// Getter: the number that the queue's entry for its next turn must carry.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Getter: true once its processes have ended.
    pub fn is_over(&self) -> bool {
        matches!(self.state, GuestState::Over(_))
    }

    /// Getter: its host.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Getter: its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Getter: its number in the world.
    pub fn id(&self) -> GuestId {
        self.id
    }

    /// Getter: the call that it is in, or was in last.
    pub fn last_call(&self) -> &'static str {
        call_name(self.last_call)
    }

    /// Getter: for the report of a run that cannot go on.
    pub fn state_in_words(&self) -> String {
        let alive: Vec<&Member> = self.members.iter().filter(|one| !one.is_over()).collect();
        match alive[..] {
            [one] => one.in_words(),
            _ => {
                let texts = alive.iter().map(|one| {
                    format!("process {} in {}: {}", one.pid, call_name(one.call), one.in_words())
                });
                texts.collect::<Vec<_>>().join(" | ")
            }
        }
    }
}

impl Drop for ProcessGuest {
    fn drop(&mut self) {
        self.end_all();
    }
}

/// The declared costs of the functions of `machnet.h`, in the order of their numbers.
fn costs() -> [u64; API_CALLS] {
    let calls = [
        ApiCall::Attach,
        ApiCall::Close,
        ApiCall::SetOption,
        ApiCall::Listen,
        ApiCall::Connect,
        ApiCall::Close,
        ApiCall::Info,
        ApiCall::Send(0),
        ApiCall::Recv,
        ApiCall::Recv,
        ApiCall::Info,
        ApiCall::Send(0),
        ApiCall::Recv,
        ApiCall::Send(0),
        ApiCall::Recv,
        ApiCall::Send(0),
        ApiCall::Send(0),
        ApiCall::Recv,
        ApiCall::Close,
        ApiCall::Info,
        ApiCall::Info,
        ApiCall::Attach,
        ApiCall::Close,
        ApiCall::Listen,
        ApiCall::Connect,
        ApiCall::Send(0),
        ApiCall::Send(0),
        ApiCall::Send(0),
        ApiCall::Recv,
        ApiCall::Recv,
    ];
    calls.map(|call| name_and_cost(call).1.as_nanos())
}

fn denial(ask: &Ask, behind: &[u64]) -> String {
    let bytes: Vec<u8> = behind.iter().flat_map(|word| word.to_le_bytes()).collect();
    let len = usize::try_from(ask.behind).unwrap_or(0).min(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
