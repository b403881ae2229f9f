//! `[daemon]`: the process.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::check::{Integer, word};
use super::error::{ConfigError, Source};
use crate::confine::find_user;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDaemon {
    socket: Option<Spanned<String>>,
    socket_mode: Option<Spanned<String>>,
    socket_owner: Option<Spanned<String>>,
    busy_poll: Option<Spanned<String>>,
    spin_us: Option<Spanned<i128>>,
    log: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    sandbox: Option<bool>,
    lock_memory: Option<bool>,
    log_format: Option<Spanned<String>>,
}

/// When the engine polls instead of sleeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyPoll {
    /// It never sleeps: lowest latency, one core at 100 %.
    Always,
    /// It polls for [`DaemonConfig::spin_us`] after the last work, then sleeps.
    Adaptive,
    /// It sleeps as soon as there is no work.
    Never,
}

/// The least important messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And what looks wrong.
    Warn,
    /// And start, stop, attach, detach, link changes.
    Info,
    /// And ends and retransmissions of connections.
    Debug,
    /// And everything that the core reports.
    Trace,
}

/// What a message in the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl LogLevel {
    /// Getter: the level as `tracing` names it.
    pub const fn as_tracing(self) -> tracing::Level {
        match self {
            Self::Error => tracing::Level::ERROR,
            Self::Warn => tracing::Level::WARN,
            Self::Info => tracing::Level::INFO,
            Self::Debug => tracing::Level::DEBUG,
            Self::Trace => tracing::Level::TRACE,
        }
    }
}

/// The settings of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonConfig {
    socket: PathBuf,
    socket_mode: u32,
    socket_owner: Option<(u32, u32)>,
    busy_poll: BusyPoll,
    spin_us: u32,
    log: LogLevel,
    user: Option<(u32, u32)>,
    sandbox: bool,
    lock_memory: bool,
    log_format: LogFormat,
}

impl DaemonConfig {
    /// Getter: the path of the control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Getter: its permission bits, default 0600.
    pub fn socket_mode(&self) -> u32 {
        self.socket_mode
    }

    /// Getter: the uid and gid that own it; `None` leaves the daemon's own.
    pub fn socket_owner(&self) -> Option<(u32, u32)> {
        self.socket_owner
    }

    /// Getter: polling or sleeping, default [`BusyPoll::Adaptive`].
    pub fn busy_poll(&self) -> BusyPoll {
        self.busy_poll
    }

    /// Getter: microseconds of polling after the last work in [`BusyPoll::Adaptive`], 0 to 1,000,000, default 50.
    pub fn spin_us(&self) -> u32 {
        self.spin_us
    }

    /// Getter: what is logged, default [`LogLevel::Info`].
    pub fn log(&self) -> LogLevel {
        self.log
    }

    /// Getter: the uid and gid that it goes on as once it serves; `None` leaves those that it was started with.
    pub fn user(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// Getter: once it serves it has no capabilities, and only the system calls that it takes; default true.
    pub fn sandbox(&self) -> bool {
        self.sandbox
    }

    /// Getter: its memory and that of its channels is never swapped, default false.
    pub fn lock_memory(&self) -> bool {
        self.lock_memory
    }

    /// Getter: what its messages look like, default [`LogFormat::Text`].
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }
}

const SPIN_US: Integer =
    Integer { key: "daemon.spin_us", default: 50, range: 0..=1_000_000, unit: "microseconds" };

impl RawDaemon {
    pub(super) fn build(self, source: &Source<'_>) -> Result<DaemonConfig, ConfigError> {
        let busy_poll = [
            ("always", BusyPoll::Always),
            ("adaptive", BusyPoll::Adaptive),
            ("never", BusyPoll::Never),
        ];
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ];
        Ok(DaemonConfig {
            socket: socket(source, self.socket.as_ref())?,
            socket_mode: mode(source, self.socket_mode.as_ref())?,
            socket_owner: owner(source, self.socket_owner.as_ref())?,
            busy_poll: word(
                source,
                "daemon.busy_poll",
                self.busy_poll.as_ref(),
                BusyPoll::Adaptive,
                &busy_poll,
            )?,
            spin_us: SPIN_US.check_u32(source, self.spin_us.as_ref())?,
            log: word(source, "daemon.log", self.log.as_ref(), LogLevel::Info, &levels)?,
            user: user(source, self.user.as_ref())?,
            sandbox: self.sandbox.unwrap_or(true),
            lock_memory: self.lock_memory.unwrap_or(false),
            log_format: word(
                source,
                "daemon.log_format",
                self.log_format.as_ref(),
                LogFormat::Text,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
        })
    }
}

fn socket(source: &Source<'_>, value: Option<&Spanned<String>>) -> Result<PathBuf, ConfigError> {
    let Some(value) = value else { return Ok(crate::control::default_socket_path()) };
    // sun_path has 108 bytes with the final NUL.
    if value.get_ref().is_empty() || value.get_ref().len() > 107 || value.get_ref().contains('\0') {
        return Err(source.error(
            "daemon.socket",
            value.span(),
            format!("{:?} cannot be the path of a unix socket", value.get_ref()),
            "give a path of 1 to 107 bytes",
        ));
    }
    Ok(PathBuf::from(value.get_ref()))
}

fn mode(source: &Source<'_>, value: Option<&Spanned<String>>) -> Result<u32, ConfigError> {
    let Some(value) = value else { return Ok(0o600) };
    let digits = value.get_ref();
    let octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if octal && mode <= 0o777 => Ok(mode),
        _ => Err(source.error(
            "daemon.socket_mode",
            value.span(),
            format!("{digits:?} is not a file mode"),
            "give three octal digits like \"660\"",
        )),
    }
}

fn owner(
    source: &Source<'_>,
    value: Option<&Spanned<String>>,
) -> Result<Option<(u32, u32)>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    let ids = value.get_ref().split_once(':');
    let ids = ids.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    // (uid_t)-1 means "leave unchanged" to chown(2).
    match ids {
        Some((uid, gid)) if uid != u32::MAX && gid != u32::MAX => Ok(Some((uid, gid))),
        _ => Err(source.error(
            "daemon.socket_owner",
            value.span(),
            format!("{:?} is not a numeric owner", value.get_ref()),
            "give uid and gid like \"1000:1000\"",
        )),
    }
}

fn user(
    source: &Source<'_>,
    value: Option<&Spanned<String>>,
) -> Result<Option<(u32, u32)>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    let found = find_user(value.get_ref()).map(Some);
    found.ok_or_else(|| {
        source.error(
            "daemon.user",
            value.span(),
            format!("there is no user or group {:?}", value.get_ref()),
            "give a user of this machine, or USER:GROUP, by names or numbers",
        )
    })
}
