//! The application side of a host with polled programs and guests: both reach the same stack, the guests through the channel of
//! production.

use std::io;
use std::sync::Arc;

use causeway_channel::handshake::{Hello, Reply};
use causeway_channel::{DaemonChannel, Doorbells, Geometry, Grant, LaneStream, Owner, Wake};
use causeway_checksum::Implementation;
use causeway_core::port::{
    AppPort, ChannelId, Command, Completion, RingError, SocketId, StreamId, StreamIo, Transport,
};
use causeway_core::time::Instant;
use causeway_server::attach::{Attach, AttachError, Granted};
use causeway_server::port::{BellQueue, ChannelPort, Eviction, Peer, PortConfig, Slots, TenantId};

use super::host_port::HostPort;
use super::port::PolledPort;
use super::socket::State;
use super::stream::PolledStream;
use crate::fault::{AttachFault, Dice, Event};
use crate::guest::{AttachRequest, Bells, GuestId, HostBell};

/// What a host's daemon gives its guests.
#[derive(Clone, Debug)]
pub struct ServedConfig {
    /// The sizes of each channel.
    pub geometry: Geometry,
    /// Bounds of all channels.
    pub port: PortConfig,
    /// What guests ring, and are rung with: those given to [`crate::world::World::add_host`].
    pub bells: Arc<Bells>,
}

/// See the module.
pub struct ServedPort {
    polled: PolledPort,
    channels: ChannelPort,
    config: ServedConfig,
    attach: Attach,
    bells: Arc<BellQueue>,
    owners: Vec<(GuestId, ChannelId)>,
}

/// Numbers of polled programs have this bit towards the stack; those of channels are far below it.
const POLLED: u32 = 1 << 31;
/// The processes of polled programs are numbered from here on; those of guests are far below it.
const PROGRAMS: u32 = 1 << 30;

const fn outwards(channel: ChannelId) -> ChannelId {
    ChannelId { index: channel.index | POLLED, ..channel }
}

/// The polled program behind a number; `None` for a channel's.
const fn inwards(channel: ChannelId) -> Option<ChannelId> {
    if channel.index & POLLED == 0 {
        return None;
    }
    Some(ChannelId { index: channel.index & !POLLED, ..channel })
}

impl ServedPort {
    /// A port without channels, beside polled programs.
    pub fn new(polled: PolledPort, config: ServedConfig) -> Self {
        let bells = BellQueue::new(Arc::new(HostBell::new(Arc::clone(&config.bells))));
        let queue = causeway_server::port::Bells::queue(Arc::clone(&bells));
        let channels = ChannelPort::new(config.port, queue);
        let attach = Attach::new(config.geometry, Slots::new(config.port.channels_max));
        Self { polled, channels, config, attach, bells, owners: Vec::new() }
    }

    /// What the daemon says to `process`, whose bell is `app`, when its first bytes are `hello`. `rung` makes of the bell of the
    /// engine what the process rings.
    fn ask(
        &self,
        (process, token): (u32, u64),
        hello: &[u8],
        app: Arc<dyn Wake>,
        rung: impl FnOnce(Arc<dyn Wake>) -> Arc<dyn Wake>,
    ) -> Result<Granted, AttachError> {
        // The daemon keeps this for its log; a real process id would differ from run to run.
        let peer = Peer { pid: process, uid: 0, gid: 0, tenant: TenantId::default() };
        let make = |channel: ChannelId, _lanes: u32| {
            let lane = rung(self.bells.bell(channel.index));
            Ok::<_, io::Error>(Doorbells::simulated(app, token, vec![lane]))
        };
        self.attach.grant(peer, hello, make)
    }

    /// A channel for a polled program. False: there is none, or what was to go wrong did.
    fn attach_program(&mut self, app: u32) -> bool {
        let Some(bells) = self.polled.bells().cloned() else { return false };
        let fault = bells.roll(Event::NoChannel).map(|value| (AttachFault::of(value), value));
        let hello = first_bytes(fault);
        let lane = |heard| bells.faulty(app, heard);
        let process = (PROGRAMS + app, u64::from(app));
        let answer = self.ask(process, &hello, bells.program(app), lane);
        let granted = match (answer, fault) {
            (Err(error), Some((fault, _))) => {
                check_refusal(fault, &error);
                return false;
            }
            (Err(_), None) => return false,
            (Ok(granted), _) => granted,
        };
        let Granted { parts, grant, welcome } = granted;
        let id = grant.channel;
        if parts.into_iter().any(|part| self.channels.attach(part).is_err()) {
            return false;
        }
        let grant = match fault {
            None => grant,
            Some((AttachFault::ReplyCut, value)) => {
                let rest = &welcome[..(value / AttachFault::COUNT) as usize % welcome.len()];
                assert!(Reply::decode(rest).is_err(), "a part of a reply is none");
                self.channels.detach(id);
                return false;
            }
            Some((AttachFault::StaleMemory, _)) => stale(grant),
            Some((fault, _)) => panic!("the daemon grants a channel for {fault:?}"),
        };
        let lanes = self.polled.lanes.as_mut().expect("there are bells");
        let mapped = lanes.attach(app, grant);
        if mapped.is_err() {
            // The connection closes.
            self.channels.detach(id);
        }
        assert!(mapped.is_err() || fault.is_none(), "memory of another channel is mapped");
        mapped.is_ok()
    }

    /// A channel for `process`, whose bell is `app`.
    fn grant(&mut self, process: u32, token: u64, app: Arc<dyn Wake>) -> Result<Grant, String> {
        let hello = Hello::ours().encode();
        let granted = self.ask((process, token), &hello, app, |heard| heard);
        let granted = granted.map_err(|error| error.to_string())?;
        for part in granted.parts {
            self.channels.attach(part).map_err(|error| error.to_string())?;
        }
        Ok(granted.grant)
    }
}

/// What a program says first.
fn first_bytes(fault: Option<(AttachFault, u64)>) -> Vec<u8> {
    let ours = Hello::ours();
    match fault {
        Some((AttachFault::Version, value)) => {
            let other = if value % 2 == 0 { ours.major + 1 } else { ours.major - 1 };
            Hello { major: other, ..ours }.encode()
        }
        Some((AttachFault::Malformed, value)) => {
            let mut bytes = ours.encode();
            bytes[value as usize % 4] ^= 0x20;
            bytes
        }
        Some((AttachFault::HelloCut, value)) => {
            let bytes = ours.encode();
            bytes[..(value / AttachFault::COUNT) as usize % bytes.len()].to_vec()
        }
        Some((AttachFault::ReplyCut | AttachFault::StaleMemory, _)) | None => ours.encode(),
    }
}

/// The daemon has to say what is wrong where it was understood, and nothing otherwise.
fn check_refusal(fault: AttachFault, error: &AttachError) {
    let reply = error.reply().map(|bytes| Reply::decode(&bytes));
    match fault {
        AttachFault::Version => {
            let told = matches!(reply, Some(Ok(Reply::Refused(_))));
            assert!(told, "another version is refused with {error}");
        }
        AttachFault::Malformed | AttachFault::HelloCut => {
            assert!(reply.is_none(), "what is no hello is answered");
        }
        // The system had no memory.
        AttachFault::ReplyCut | AttachFault::StaleMemory => {}
    }
}

/// The grant with the memory of a channel of other sizes.
fn stale(grant: Grant) -> Grant {
    let other = Geometry::builder()
        .ring_entries(16, 16)
        .streams_per_lane(grant.geometry.streams_per_lane() + 1)
        .build();
    let bells = Doorbells::simulated(Arc::new(Nobody), 0, vec![Arc::new(Nobody)]);
    let made = other.ok().and_then(|other| {
        let owner = Owner { pid: 0, lease: 0 };
        DaemonChannel::create(&other, grant.channel, owner, bells).ok()
    });
    match made {
        Some((_, Grant { memory, .. })) => Grant { memory, ..grant },
        // Without a bell it is none either.
        None => Grant { lane_bells: Vec::new(), ..grant },
    }
}

/// A bell that nobody hears.
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

impl HostPort for ServedPort {
    fn polled(&self) -> &PolledPort {
        &self.polled
    }

    fn polled_mut(&mut self) -> &mut PolledPort {
        &mut self.polled
    }

    fn rebooted(&self) -> Self {
        Self::new(self.polled.after_restart(), self.config.clone())
    }

    fn attach(&mut self, request: AttachRequest) -> Result<Grant, String> {
        let AttachRequest { guest, process, token, app } = request;
        let grant = self.grant(process, token, app)?;
        self.owners.push((guest, grant.channel));
        Ok(grant)
    }

    fn turn_begins(&mut self, app: u32) -> bool {
        let attached = self.polled.lanes.as_ref().is_none_or(|lanes| lanes.is_attached(app));
        if !attached && !self.attach_program(app) {
            return false;
        }
        self.polled.wake(app);
        true
    }

    fn after_daemon_restart(&mut self) -> Self {
        Self::new(self.polled.after_daemon_restart(), self.config.clone())
    }

    fn kill(&mut self, app: u32) {
        self.polled.kill(app);
        if let Some(channel) = self.polled.lanes.as_mut().and_then(|lanes| lanes.detach(app)) {
            self.channels.detach(channel);
        }
    }

    fn quit(&mut self, app: u32) -> bool {
        let attached = self.polled.lanes.as_ref().is_some_and(|lanes| lanes.is_attached(app));
        if attached {
            self.polled.quit(app);
        } else {
            self.kill(app);
        }
        attached
    }

    fn look_after(&mut self) {
        while let Some(Eviction { channel, .. }) = self.channels.poll_eviction() {
            if let Some(lanes) = &mut self.polled.lanes
                && let Some(app) = lanes.owner_of(channel)
            {
                lanes.detach(app);
                self.polled.sockets.cut_program(app, State::HungUp);
            }
        }
    }

    fn detach_channel(&mut self, guest: GuestId, channel: ChannelId) {
        let before = self.owners.len();
        self.owners.retain(|&one| one != (guest, channel));
        if self.owners.len() < before {
            self.channels.detach(channel);
        }
    }

    fn detach(&mut self, guest: GuestId) {
        let Self { owners, channels, .. } = self;
        owners.retain(|&(owner, channel)| {
            if owner == guest {
                channels.detach(channel);
            }
            owner != guest
        });
    }

    fn prepare_sleep(&mut self) -> bool {
        if self.polled.lanes.is_some() {
            // Its own programs rang, and it is awake.
            self.config.bells.take_host_rung();
        }
        self.channels.prepare_sleep()
    }

    fn channels(&self) -> usize {
        let own = self.polled.lanes.as_ref().map_or(0, |lanes| lanes.ids().count());
        self.channels.channels().saturating_sub(own)
    }

    fn held(&self) -> u64 {
        let Some(lanes) = &self.polled.lanes else { return 0 };
        let of_daemon = lanes.ids().filter_map(|id| self.channels.held(id));
        let of_daemon = of_daemon.map(|held| u64::from(held.streams + held.rx_promised));
        lanes.chunks_held() + of_daemon.sum::<u64>()
    }
}

impl AppPort for ServedPort {
    type Stream<'a> = ServedStream<'a>;

    fn snapshot(&mut self, now: Instant) {
        self.polled.snapshot(now);
        self.channels.snapshot(now);
    }

    fn poll_command(&mut self) -> Option<Command> {
        if let Some(command) = self.polled.poll_command() {
            return Some(Command { channel: outwards(command.channel), ..command });
        }
        self.channels.poll_command()
    }

    fn complete(&mut self, channel: ChannelId, completion: Completion) {
        match inwards(channel) {
            Some(program) => self.polled.complete(program, completion),
            None => self.channels.complete(channel, completion),
        }
    }

    fn process(&self, channel: ChannelId) -> Option<u64> {
        match inwards(channel) {
            Some(program) => {
                self.polled.process(program).map(|program| program | u64::from(POLLED) << 32)
            }
            None => self.channels.process(channel),
        }
    }

    fn stream_open(
        &mut self,
        channel: ChannelId,
        socket: SocketId,
        transport: Transport,
    ) -> Option<StreamId> {
        match inwards(channel) {
            Some(program) => {
                let stream = self.polled.stream_open(program, socket, transport)?;
                Some(StreamId { channel, ..stream })
            }
            None if self.polled.faults.stream.roll().is_some() => None,
            None => self.channels.stream_open(channel, socket, transport),
        }
    }

    fn stream_close(&mut self, stream: StreamId) {
        match inwards(stream.channel) {
            Some(channel) => self.polled.stream_close(StreamId { channel, ..stream }),
            None => self.channels.stream_close(stream),
        }
    }

    fn stream(&mut self, stream: StreamId) -> ServedStream<'_> {
        match inwards(stream.channel) {
            Some(channel) => {
                ServedStream::Polled(self.polled.stream(StreamId { channel, ..stream }))
            }
            None => {
                let lane = self.channels.stream(stream);
                ServedStream::Lane { lane, memory: &mut self.polled.faults.memory }
            }
        }
    }

    fn flush(&mut self) {
        self.polled.flush();
        self.channels.flush();
    }
}

/// The rings of a polled program or of a channel.
#[derive(Debug)]
pub enum ServedStream<'a> {
    /// A polled program's.
    Polled(PolledStream<'a>),
    /// A channel's.
    Lane {
        /// The rings.
        lane: LaneStream<'a>,
        /// Decides whether a store finds memory.
        memory: &'a mut Dice,
    },
}

macro_rules! rings {
    ($stream:expr, $one:ident => $body:expr) => {
        match $stream {
            Self::Polled($one) => $body,
            Self::Lane { lane: $one, .. } => $body,
        }
    };
}

impl ServedStream<'_> {
    /// Fails where the dice say so.
    fn find_memory(&mut self) -> Result<(), RingError> {
        let Self::Lane { memory, .. } = self else { return Ok(()) };
        memory.roll().map_or(Ok(()), |_| Err(RingError::NoMemory))
    }
}

impl StreamIo for ServedStream<'_> {
    fn tx_end(&self) -> u64 {
        rings!(self, one => one.tx_end())
    }

    fn tx_is_full(&self) -> bool {
        rings!(self, one => one.tx_is_full())
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        rings!(self, one => one.tx_copy_out_sum(offset, dst))
    }

    fn tx_release(&mut self, offset: u64) {
        rings!(self, one => one.tx_release(offset));
    }

    fn rx_limit(&self) -> u64 {
        rings!(self, one => one.rx_limit())
    }

    fn rx_consumed(&self) -> u64 {
        rings!(self, one => one.rx_consumed())
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        self.find_memory()?;
        rings!(self, one => one.rx_copy_in(offset, src))
    }

    fn rx_copy_in_sum(
        &mut self,
        offset: u64,
        src: &[u8],
        checksum: Implementation,
    ) -> Result<u16, RingError> {
        self.find_memory()?;
        rings!(self, one => one.rx_copy_in_sum(offset, src, checksum))
    }

    fn rx_commit(&mut self, offset: u64) {
        rings!(self, one => one.rx_commit(offset));
    }
}
