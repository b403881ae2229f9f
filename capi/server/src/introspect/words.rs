//! Questions and answers, and their bytes.

use std::borrow::Cow;
use std::net::SocketAddr;

use causeway_core::port::SocketInfo;
use serde::{Deserialize, Serialize};

use crate::capture::{CaptureStart, CapturedFrame, CapturedInterface};

/// First bytes of every packet, where a channel's handshake has its own.
const MAGIC: [u8; 4] = *b"CWQY";
/// Of all that follows. Daemon and tools are one binary: other versions are told apart, not understood.
const VERSION: u16 = 1;
/// The longest question.
pub const QUESTION_BYTES_MAX: usize = 128;
/// The longest answer.
pub const ANSWER_BYTES_MAX: usize = 96 << 10;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Sockets, from this slot of the table on.
    Sockets {
        /// 0, or what the last page ended with.
        from: u32,
    },
    /// Counters and gauges: first all that are not of single channels, then those of the channels from this one on.
    Metrics {
        /// 0, or what the last page ended with.
        from: u32,
    },
    /// Begin to capture, in the place of what this connection captured before.
    Capture(CaptureStart),
    /// What was captured since the last such question.
    Captured,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// A page of sockets.
    Sockets {
        /// In the order of their slots.
        rows: Vec<SocketRow>,
        /// Where the next page begins; `None`: this is the last one.
        next: Option<u32>,
    },
    /// A page of counters and gauges.
    Metrics {
        /// In no order.
        metrics: Vec<Metric>,
        /// Where the next page begins; `None`: this is the last one.
        next: Option<u32>,
    },
    /// A capture has begun.
    Capturing {
        /// The interfaces that frames refer to.
        interfaces: Vec<CapturedInterface>,
    },
    /// A page of frames.
    Captured {
        /// In the order of their times. None: there are no more at present.
        frames: Vec<CapturedFrame>,
        /// Frames that found the buffer full, since the capture began.
        dropped: u64,
    },
    /// There is none, for this reason.
    Refused(Cow<'static, str>),
}

/// The process behind a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Process id when it connected; 0 for one of another PID namespace.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// The tenant that it belongs to, where there are tenants.
    pub tenant: Option<String>,
}

/// The queues of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRow {
    /// Whose handshakes are not done.
    pub half_open: u32,
    /// That wait to be accepted.
    pub waiting: u32,
    /// Most that may wait.
    pub backlog: u32,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRow {
    /// Its name in the log.
    pub id: u64,
    /// The channel that it belongs to.
    pub channel: u32,
    /// Who has it; `None` when the application is gone.
    pub owner: Option<Owner>,
    /// `tcp`, `udp` or `machnet`.
    pub transport: Cow<'static, str>,
    /// `LISTEN`, `ESTAB`, ... as ss(8) says it; `UNCONN` for a UDP socket without a peer.
    pub state: Cow<'static, str>,
    /// Of a Machnet flow: `upstream` or `extended`.
    pub profile: Option<Cow<'static, str>>,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: Option<SocketAddr>,
    /// By which interface its packets leave.
    pub interface: Option<String>,
    /// Of a listener.
    pub listener: Option<ListenerRow>,
    /// Of connections and flows: [`SocketInfo::to_words`].
    pub figures: Option<Vec<u64>>,
}

impl SocketRow {
    /// Getter: the names of the figures with their values; none where there are no figures, or not those of this build.
    pub fn named_figures(&self) -> Vec<(String, u64)> {
        let names = SocketInfo::names();
        let words = self.figures.as_deref().filter(|words| words.len() == names.len());
        let named = |((name, unit), word): (&(&str, &str), &u64)| (format!("{name}{unit}"), *word);
        words.map_or(Vec::new(), |words| names.iter().zip(words).map(named).collect())
    }

    /// Getter: the figures.
    pub fn info(&self) -> Option<SocketInfo> {
        let words = self.figures.as_deref()?.try_into().ok()?;
        Some(SocketInfo::from_words(words))
    }
}

/// How a figure moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One figure of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name, `causeway_...`.
    pub name: Cow<'static, str>,
    /// How it moves.
    pub kind: Kind,
    /// What it counts, in one sentence.
    pub help: Cow<'static, str>,
    /// What of it this is, as name and value.
    pub labels: Vec<(Cow<'static, str>, String)>,
    /// How many.
    pub value: u64,
}

impl Metric {
    /// A figure without labels.
    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        help: &'static str,
        value: u64,
    ) -> Self {
        let (name, help) = (Cow::Borrowed(name), Cow::Borrowed(help));
        Self { name, kind, help, labels: Vec::new(), value }
    }

    /// The same with a label.
    #[must_use]
    pub(crate) fn with(mut self, label: &'static str, value: impl ToString) -> Self {
        self.labels.push((Cow::Borrowed(label), value.to_string()));
        self
    }
}

/// Why bytes say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Not a packet of this kind.
    #[error("these are no words of a daemon")]
    Malformed,
    /// Of another release.
    #[error("the other side speaks version {0} of these words, this one speaks {VERSION}")]
    Version(u16),
}

/// Getter: a connection that begins with `bytes` asks something. Everything else is for the handshake.
pub fn is_question(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

fn encode(words: &impl Serialize) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    // Into memory nothing fails.
    bytes.extend(postcard::to_allocvec(words).unwrap_or_default());
    bytes
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, WordsError> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(WordsError::Malformed)?;
    let (version, rest) = rest.split_first_chunk().ok_or(WordsError::Malformed)?;
    let version = u16::from_le_bytes(*version);
    if version != VERSION {
        return Err(WordsError::Version(version));
    }
    match postcard::take_from_bytes(rest) {
        Ok((words, [])) => Ok(words),
        Ok(_) | Err(_) => Err(WordsError::Malformed),
    }
}

impl Question {
    /// Command: as bytes, at most [`QUESTION_BYTES_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Input: from bytes of a tool.
    ///
    /// # Errors
    /// They are no question.
    pub fn decode(bytes: &[u8]) -> Result<Self, WordsError> {
        decode(bytes)
    }
}

impl Answer {
    /// Command: as bytes. What would be longer than [`ANSWER_BYTES_MAX`] says so instead.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = encode(self);
        if bytes.len() > ANSWER_BYTES_MAX {
            return encode(&Self::Refused(Cow::Borrowed("the answer is too long")));
        }
        bytes
    }

    /// Input: from bytes of a daemon.
    ///
    /// # Errors
    /// They are no answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, WordsError> {
        decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SocketRow {
        SocketRow {
            id: u64::MAX,
            channel: u32::MAX,
            owner: Some(Owner { pid: u32::MAX, uid: u32::MAX, tenant: Some("t".repeat(32)) }),
            transport: "machnet".into(),
            state: "FIN-WAIT-2".into(),
            profile: Some("upstream".into()),
            local: "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap(),
            remote: Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap()),
            interface: Some("i".repeat(15)),
            listener: Some(ListenerRow { half_open: 1, waiting: 2, backlog: u32::MAX }),
            figures: Some(SocketInfo::from_words(&[u64::MAX; _]).to_words().to_vec()),
        }
    }

    #[test]
    fn what_is_said_comes_back_and_noise_does_not() {
        let question = Question::Sockets { from: 7 };
        assert!(is_question(&question.encode()));
        assert_eq!(Question::decode(&question.encode()), Ok(question.clone()));
        let answer = Answer::Sockets { rows: vec![row()], next: Some(3) };
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer.clone()));
        let mut longer = question.encode();
        longer.push(0);
        assert_eq!(Question::decode(&longer), Err(WordsError::Malformed));
        assert_eq!(Question::decode(b"CWHS\x01"), Err(WordsError::Malformed));
        let mut later = question.encode();
        later[4] = 9;
        assert_eq!(Question::decode(&later), Err(WordsError::Version(9)));
        let bytes = answer.encode();
        for len in 0..bytes.len() {
            assert!(Answer::decode(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn the_longest_question_fits() {
        let filter = crate::capture::Filter {
            host: Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap()),
            port: Some(u16::MAX),
            protocol: Some(crate::capture::Protocol::Arp),
            interface: Some("i".repeat(15)),
        };
        let longest = Question::Capture(CaptureStart { filter, snap_bytes: u32::MAX });
        assert!(longest.encode().len() < QUESTION_BYTES_MAX);
        assert_eq!(Question::decode(&longest.encode()), Ok(longest));
    }

    #[test]
    fn a_full_page_of_the_longest_rows_fits_and_more_is_refused() {
        let page = |rows: usize| Answer::Sockets { rows: vec![row(); rows], next: None };
        let full = page(crate::engine_loop::ROWS_MAX);
        assert_eq!(Answer::decode(&full.encode()), Ok(full));
        let refused = Answer::decode(&page(1_000).encode()).unwrap();
        assert!(matches!(refused, Answer::Refused(_)));
    }

    #[test]
    fn figures_have_their_names() {
        let info = SocketInfo { snd_cwnd: 10, ..SocketInfo::default() };
        let row = SocketRow { figures: Some(info.to_words().to_vec()), ..row() };
        assert!(row.named_figures().contains(&("snd_cwnd".to_owned(), 10)));
        assert_eq!(row.info(), Some(info));
        let foreign = SocketRow { figures: Some(vec![1; 3]), ..row };
        assert_eq!((foreign.named_figures(), foreign.info()), (Vec::new(), None));
    }
}
