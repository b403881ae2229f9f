//! How the tools reach the daemon.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use causeway_client::{AttachError, Channel, Env, OsEnv, Refusal};
use causeway_server::introspect::{Inquiry, InquiryError};

/// The option that all tools share.
#[derive(Debug, clap::Args)]
pub struct Daemon {
    /// Control socket of the daemon [default: CAUSEWAY_SOCKET, else $XDG_RUNTIME_DIR/causeway/causeway.sock,
    /// else /run/causeway/causeway.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Daemon {
    /// Command: a channel to it.
    pub fn attach(&self) -> anyhow::Result<Channel> {
        let env: Arc<dyn Env> = match &self.socket {
            Some(path) => Arc::new(OsEnv::with_socket(path)),
            None => Arc::new(OsEnv::new()),
        };
        Ok(Channel::attach_in(env).map_err(Failure)?)
    }

    /// Command: a connection to ask it about itself.
    pub fn inquire(&self) -> anyhow::Result<Inquiry> {
        let path = self.socket.clone().unwrap_or_else(causeway_server::default_socket_path);
        Inquiry::connect(&path).map_err(|error| {
            let advice = match &error {
                InquiryError::NoDaemon { cause, .. } => no_daemon(cause.kind()),
                _ => return error.into(),
            };
            anyhow::anyhow!("{error}; {advice}")
        })
    }
}

fn no_daemon(cause: ErrorKind) -> &'static str {
    match cause {
        ErrorKind::PermissionDenied => "run as the user that daemon.socket_mode lets in",
        _ => "start one with `causeway serve --config FILE`, or name its socket with --socket",
    }
}

/// Why there is no channel, and what to do about it.
#[derive(Debug)]
struct Failure(AttachError);

impl Failure {
    fn advice(&self) -> Option<&'static str> {
        match &self.0 {
            AttachError::NoDaemon { error, .. } => Some(no_daemon(error.kind())),
            AttachError::Refused(Refusal::LimitReached) => Some(
                "end a program that uses it, or raise channel.channels_max, or the channels_max of its tenant",
            ),
            AttachError::Refused(Refusal::Version) | AttachError::Protocol(_) => {
                Some("use the daemon and the tools of one release")
            }
            AttachError::Refused(Refusal::Denied) => Some("run as a user of one of its tenants"),
            AttachError::Refused(Refusal::ShuttingDown) => Some("try again when it has restarted"),
            // It is not the daemon's: what the system says is all that is known.
            AttachError::Os(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.advice().map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

// Without a source: the words above hold it.
impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_given_for_what_went_wrong_and_a_cause_is_said_once() {
        let said = |error: AttachError| format!("{:#}", anyhow::Error::from(Failure(error)));
        assert_eq!(
            said(AttachError::Refused(Refusal::LimitReached)),
            "the daemon has no room for another channel; end a program that uses it, or raise \
             channel.channels_max, or the channels_max of its tenant"
        );
        assert_eq!(
            said(AttachError::Os(ErrorKind::OutOfMemory.into())),
            "cannot attach: out of memory"
        );
        let path = "/s".to_owned();
        assert_eq!(
            said(AttachError::NoDaemon { path, error: ErrorKind::NotFound.into() }),
            "cannot reach the daemon at /s: entity not found; start one with \
             `causeway serve --config FILE`, or name its socket with --socket"
        );
    }
}
