//! The tool's side.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use causeway_channel::handshake;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags};

use super::{ANSWER_BYTES_MAX, Answer, Metric, Question, SocketRow, WordsError};

/// A daemon that turns answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum InquiryError {
    /// Nobody listens there.
    #[error("cannot reach the daemon at {}: {cause}", path.display())]
    NoDaemon {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It says no, and why.
    #[error("the daemon refuses: {0}")]
    Refused(String),
    /// It is of another release.
    #[error("{0}")]
    Words(#[from] WordsError),
    /// It hung up.
    #[error("the daemon hung up: it is going down, or is of a release that answers no questions")]
    Closed,
    /// It does not answer.
    #[error("the daemon does not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// A system call failed.
    #[error("cannot ask the daemon: {0}")]
    Os(io::Error),
}

impl From<Errno> for InquiryError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Self::Silent,
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            other => Self::Os(other.into()),
        }
    }
}

/// A connection for questions.
#[derive(Debug)]
pub struct Inquiry {
    socket: OwnedFd,
}

impl Inquiry {
    /// Command: connects to the daemon whose control socket is at `path`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(path: &Path) -> Result<Self, InquiryError> {
        let failed = |cause| InquiryError::NoDaemon { path: path.to_owned(), cause };
        let socket = handshake::connect(path).map_err(failed)?;
        for direction in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, direction, Some(PATIENCE))?;
        }
        Ok(Self { socket })
    }

    /// Command: asks, and waits for the answer.
    ///
    /// # Errors
    /// There is none, or it is a refusal.
    pub fn ask(&self, question: &Question) -> Result<Answer, InquiryError> {
        rustix::net::send(&self.socket, &question.encode(), SendFlags::NOSIGNAL)?;
        let mut bytes = vec![0; ANSWER_BYTES_MAX];
        let (len, _) = rustix::net::recv(&self.socket, &mut bytes[..], RecvFlags::empty())?;
        if len == 0 {
            return Err(InquiryError::Closed);
        }
        match Answer::decode(&bytes[..len])? {
            Answer::Refused(why) => Err(InquiryError::Refused(why.into_owned())),
            answer => Ok(answer),
        }
    }

    /// Output: every socket that may be seen. Those that come and go meanwhile may be among them or not.
    ///
    /// # Errors
    /// As of [`Inquiry::ask`].
    pub fn sockets(&self) -> Result<Vec<SocketRow>, InquiryError> {
        self.pages(
            |from| Question::Sockets { from },
            |answer| match answer {
                Answer::Sockets { rows, next } => Some((rows, next)),
                _ => None,
            },
        )
    }

    /// Output: every figure that may be seen.
    ///
    /// # Errors
    /// As of [`Inquiry::ask`].
    pub fn metrics(&self) -> Result<Vec<Metric>, InquiryError> {
        self.pages(
            |from| Question::Metrics { from },
            |answer| match answer {
                Answer::Metrics { metrics, next } => Some((metrics, next)),
                _ => None,
            },
        )
    }

    fn pages<T>(
        &self,
        question: impl Fn(u32) -> Question,
        page: impl Fn(Answer) -> Option<(Vec<T>, Option<u32>)>,
    ) -> Result<Vec<T>, InquiryError> {
        let (mut all, mut from) = (Vec::new(), 0);
        loop {
            let (more, next) = page(self.ask(&question(from))?)
                .ok_or(InquiryError::Words(WordsError::Malformed))?;
            all.extend(more);
            match next {
                None => return Ok(all),
                Some(next) if next > from => from = next,
                Some(_) => return Err(InquiryError::Words(WordsError::Malformed)),
            }
        }
    }
}
