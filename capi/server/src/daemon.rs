//! The parts of the daemon, put together: one engine thread, one control thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::net::SocketType;

use crate::assembly::{self, AssemblyError};
use crate::attach::Attach;
use crate::config::{Config, DaemonConfig};
use crate::confine::{self, ConfineError};
use crate::control::{BindError, ControlServer, ListeningSocket};
use crate::engine_loop::Settings;
use crate::links::{EngineHandle, EngineLinks, Order, Waker, links};
use crate::metrics::{MetricsBindError, MetricsListener, MetricsServer};
use crate::port::Slots;
use crate::supervisor::{Supervisor, Watchdog};
use crate::tenants::Tenants;

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The control socket.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// The metrics endpoint.
    #[error(transparent)]
    Metrics(#[from] MetricsBindError),
    /// An interface or the stack.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// A thread could not give up what it does not need.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The operating system refused a thread or a descriptor.
    #[error("the system refuses")]
    System(#[from] io::Error),
}

/// A running daemon. [`Daemon::stop`] ends it gracefully; dropping it does the same.
#[derive(Debug)]
pub struct Daemon {
    path: std::path::PathBuf,
    slots: Slots,
    engine: EngineHandle,
    control: Waker,
    /// Of the metrics endpoint, if there is one.
    metrics: Option<Waker>,
    stop: Arc<AtomicBool>,
    ended: Waker,
    threads: Vec<JoinHandle<()>>,
}

impl Daemon {
    /// Command: opens the interfaces, listens, and serves. When it returns, applications can attach.
    ///
    /// # Errors
    /// What could not be had; nothing is left behind.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_under(config, &Supervisor::none())
    }

    /// Command: the same below a service manager, whose watchdog the engine feeds. Telling it that the daemon is ready is the caller's.
    ///
    /// # Errors
    /// What could not be had; nothing is left behind.
    pub fn start_under(config: &Config, supervisor: &Supervisor) -> Result<Self, StartError> {
        let settings = config.daemon();
        let socket = ListeningSocket::bind(
            settings.socket(),
            SocketType::SEQPACKET,
            settings.socket_mode(),
            settings.socket_owner(),
        )?;
        let metrics = config.metrics().listen();
        let metrics = metrics.map(|at| MetricsListener::bind(at, settings.socket_mode()));
        let metrics = metrics.transpose()?;
        let path = socket.path().to_owned();
        let tenants = Tenants::new(config.tenants());
        let slots = Slots::of_tenants(config.channel().channels_max(), tenants.channels_max());
        let attach = Attach::new(config.channel().geometry(), slots.clone());
        let (evictions, evicted) = channel();
        let control = Waker::new()?;
        let ended = Waker::new()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, engine_links) = links(evictions, control.clone())?;
        let watchdog = supervisor.watchdog();
        let engine_thread = start_engine(config.clone(), engine_links, watchdog, ended.clone())?;
        // From here on dropping `daemon` stops what runs.
        let mut daemon = Self {
            path,
            slots,
            engine: engine.clone(),
            control: control.clone(),
            metrics: None,
            stop: Arc::clone(&stop),
            ended,
            threads: vec![engine_thread],
        };
        if let Some(listener) = metrics {
            daemon.serve_metrics(listener, config)?;
        }
        let server =
            ControlServer::new(socket, attach, tenants, vec![engine], evicted, control, stop);
        let notice = EndNotice(daemon.ended.clone());
        daemon.threads.push(start_confined("control", settings, move || {
            let _notice = notice;
            server.run();
        })?);
        tracing::info!(
            socket = %daemon.path.display(),
            interfaces = config.interfaces().len(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        Ok(daemon)
    }

    fn serve_metrics(
        &mut self,
        listener: MetricsListener,
        config: &Config,
    ) -> Result<(), StartError> {
        let connections_max = config.metrics().connections_max();
        let wake = Waker::new()?;
        let (engine, stop) = (self.engine.clone(), Arc::clone(&self.stop));
        let server = MetricsServer::new(listener, connections_max, engine, wake.clone(), stop);
        let thread = start_confined("metrics", config.daemon(), move || server.run())?;
        self.threads.push(thread);
        self.metrics = Some(wake);
        Ok(())
    }

    /// Command: goes on with what of `config` can change while the daemon runs ([`crate::config::reload::LIVE`]); the rest of it is not
    /// looked at.
    pub fn change(&self, config: &Config) {
        // It fails when the engine is gone only.
        let _ = self.engine.orders.send(Order::Set(Box::new(Settings::of(config))));
        self.engine.wake.wake();
    }

    /// Getter: the path of the control socket.
    pub fn socket(&self) -> &Path {
        &self.path
    }

    /// Getter: channels whose memory is still there.
    pub fn channels(&self) -> usize {
        self.slots.taken()
    }

    /// Getter: becomes readable when an engine stopped, by itself or by [`Daemon::stop`].
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Command: no more applications, reset every connection, remove the socket file. Returns when it is done.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // It fails when the engine is gone only.
        let _ = self.engine.orders.send(Order::Stop);
        self.engine.wake.wake();
        self.control.wake();
        if let Some(metrics) = &self.metrics {
            metrics.wake();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the daemon failed");
            }
        }
        tracing::info!("stopped");
    }
}

/// Wakes when it goes, even if its thread panics.
struct EndNotice(Waker);

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// A thread that has given up its privileges when this returns, and then does `work`. Later it could not: the filter of the whole process takes
/// that for an intruder's call.
fn start_confined(
    name: &str,
    settings: &DaemonConfig,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let settings = settings.clone();
    let (report, outcome) = sync_channel(1);
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let confined = confine::thread(&settings);
        let goes_on = confined.is_ok();
        // The receiver waits for exactly this one message.
        let _ = report.send(confined);
        if goes_on {
            work();
        }
    })?;
    outcome.recv().map_err(|_| io::Error::other("a thread failed at its start"))??;
    Ok(thread)
}

/// The interfaces are opened on the engine's own thread, which they belong to; this waits for the outcome.
fn start_engine(
    config: Config,
    links: EngineLinks,
    watchdog: Option<Watchdog>,
    ended: Waker,
) -> Result<JoinHandle<()>, StartError> {
    let (report, outcome) = sync_channel(1);
    let thread = thread::Builder::new().name("engine-0".to_owned()).spawn(move || {
        let _notice = EndNotice(ended);
        let made = assembly::engine_loop(&config, links).map_err(StartError::from);
        match made.and_then(|engine| Ok(confine::thread(config.daemon()).map(|()| engine)?)) {
            Ok(engine) => {
                // The receiver waits for exactly this one message.
                let _ = report.send(Ok(()));
                engine.watched(watchdog).run();
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        }
    })?;
    match outcome.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        // The thread ended without a report: it panicked, and the message is on stderr.
        Err(_) => Err(io::Error::other("the engine's thread failed").into()),
    }
}
