//! A production host and its programs in one thread: whoever has to wait steps the host.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use causeway_channel::Geometry;
use causeway_client::{ApiCall, AttachError, Attachment, BellWait, Env, WaitOutcome};
use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::MacAddr;
use causeway_core::time::{Duration, Instant};
use causeway_core::{machnet, tcp};
use causeway_sim::guest::{AppBell, AttachRequest, Bells, GuestId};
use causeway_sim::host::{Host, HostConfig};
use causeway_sim::nic::{NicConfig, NicPort};
use causeway_sim::world::HostEngine;
use rustix::fd::OwnedFd;

/// The host's address.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Steps in a row at one time: a host that has work for more makes none of it.
const STEPS_AT_ONCE: usize = 20_000;
/// Steps that one call of a program waits.
const PATIENCE: usize = 64;
/// How far the clock goes when nothing is due.
const PAUSE: Duration = Duration::from_millis(1);

thread_local! {
    /// The programs' environments have to be `Send`, the host is not: they find it here.
    static HOST: RefCell<Option<Sandbox>> = const { RefCell::new(None) };
}

/// The host, its clock and the bells of its programs.
pub struct Sandbox {
    host: Host,
    /// Where frames for the wire end.
    _port: Rc<NicPort>,
    now: Instant,
    bells: Arc<Bells>,
    programs: Vec<Seat>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

/// What a program waits with, and the memory of its channel.
struct Seat {
    bell: Arc<AppBell>,
    memory: Option<OwnedFd>,
}

/// Small rings: what is wrong with them shows soon.
fn geometry() -> Geometry {
    Geometry::builder()
        .ring_entries(64, 64)
        .streams_per_lane(16)
        .table_slots(32)
        .chunk_bytes(4096)
        .chunks(64, 128)
        .message_bytes_max(16 << 10)
        .build()
        .expect("a geometry within its ranges")
}

impl Sandbox {
    /// Command: a new host takes the place of the one before on this thread.
    ///
    /// # Panics
    /// When the stack refuses its configuration.
    pub fn begin() {
        let geometry = geometry();
        let tcp = tcp::Config::builder().rcv_wnd_initial(geometry.rx_floor_bytes()).build();
        let config = HostConfig {
            addresses: vec![InterfaceAddress::new(IpAddr::V4(ADDRESS), 24).expect("an address")],
            nic: NicConfig::new(MacAddr([2, 0, 0, 0, 0, 1])),
            tcp: tcp.expect("settings within their ranges"),
            machnet: machnet::Config::builder().build().expect("settings within their ranges"),
            geometry,
            rx_window_bytes: 256 << 10,
            events_max: 0,
        };
        let bells = Arc::new(Bells::default());
        let (host, port) = Host::new(&config, 1, &bells).expect("a host");
        let now = Instant::ZERO + Duration::from_secs(1);
        let sandbox = Self { host, _port: port, now, bells, programs: Vec::new() };
        HOST.with(|host| *host.borrow_mut() = Some(sandbox));
    }

    /// Command: the host goes.
    pub fn end() {
        HOST.with(|host| *host.borrow_mut() = None);
    }

    fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        HOST.with(|host| work(host.borrow_mut().as_mut().expect("a host on this thread")))
    }

    /// Command: one iteration of the daemon; the clock goes on by what nothing happens in, at most by [`PAUSE`].
    ///
    /// # Panics
    /// When the host has work for ever.
    pub fn step() {
        Self::with(|all| {
            for _ in 0..STEPS_AT_ONCE {
                let next = all.host.step(all.now);
                while all.bells.take_rung().is_some() {}
                if next.is_none_or(|at| at > all.now) {
                    let pause = all.now + PAUSE;
                    all.now = next.map_or(pause, |at| at.min(pause));
                    return;
                }
            }
            panic!("{STEPS_AT_ONCE} steps, and there is work yet");
        });
    }

    /// Command: nobody does anything for so long.
    pub fn idle(time: Duration) {
        let until = Self::now() + time;
        while Self::now() < until {
            let due = Self::with(|all| all.host.engine().stack().poll_timeout().map(|(at, _)| at));
            Self::step();
            // Nothing until then, or nothing at all.
            Self::with(|all| all.now = all.now.max(due.map_or(until, |at| at.min(until))));
        }
    }

    /// Getter: the time.
    pub fn now() -> Instant {
        Self::with(|all| all.now)
    }

    /// Getter: channels and sockets that exist.
    pub fn held() -> (usize, usize) {
        Self::with(|all| {
            let engine = all.host.engine();
            (engine.port().channels(), engine.stack().socket_count())
        })
    }

    /// Command: a program takes its seat.
    pub fn program() -> Arc<Program> {
        Self::with(|all| {
            let number = all.programs.len();
            let bell = Arc::new(AppBell::new(all.bells.clone(), GuestId(number)));
            all.programs.push(Seat { bell, memory: None });
            Arc::new(Program(number))
        })
    }
}

/// A program's environment.
#[derive(Debug)]
pub struct Program(usize);

impl Program {
    /// Command: it is killed.
    pub fn kill(&self) {
        Sandbox::with(|all| all.host.detach(GuestId(self.0)));
    }

    /// Command: it writes `bytes` anywhere in its channel's memory: `place` is a fraction of it, of 2^32.
    ///
    /// # Panics
    /// When the memory cannot be written.
    pub fn scribble(&self, place: u32, bytes: &[u8]) {
        Sandbox::with(|all| {
            let Some(memory) = &all.programs[self.0].memory else { return };
            let len = rustix::fs::fstat(memory).expect("a memfd has a size").st_size as u64;
            let offset = (len * u64::from(place)) >> 32;
            let fits = bytes.len().min((len - offset) as usize);
            rustix::io::pwrite(memory, &bytes[..fits], offset).expect("the memory is writable");
        });
    }
}

impl Env for Program {
    fn attach(&self) -> Result<Attachment, AttachError> {
        let request = Sandbox::with(|all| AttachRequest {
            guest: GuestId(self.0),
            process: self.0 as u32,
            token: self.0 as u64,
            app: all.programs[self.0].bell.clone(),
        });
        let grant = Sandbox::with(|all| all.host.attach(request));
        let grant = grant.map_err(|words| AttachError::Os(std::io::Error::other(words)))?;
        let memory = grant.memory.try_clone().map_err(AttachError::Os)?;
        Sandbox::with(|all| all.programs[self.0].memory = Some(memory));
        Ok(Attachment { grant, control: None })
    }

    fn wait(&self, _: &BellWait, deadline: Option<Instant>) -> WaitOutcome {
        let bell = Sandbox::with(|all| all.programs[self.0].bell.clone());
        for _ in 0..PATIENCE {
            if bell.take() {
                return WaitOutcome::Woken;
            }
            if deadline.is_some_and(|at| at <= Sandbox::now()) {
                return WaitOutcome::TimedOut;
            }
            Sandbox::step();
        }
        // Who has destroyed what the answer would come by waits in vain.
        if deadline.is_some() { WaitOutcome::TimedOut } else { WaitOutcome::DaemonGone }
    }

    fn now(&self) -> Instant {
        Sandbox::now()
    }

    fn enter(&self, _: ApiCall) {}
}
