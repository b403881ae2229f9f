//! Why a capture cannot be read.

/// What is wrong with a file. What is wrong with a packet of it is no error: it is counted ([`super::Skipped`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It begins as neither format does.
    #[error(
        "this is neither a pcap nor a pcapng file; give one that tcpdump, dumpcap or Wireshark wrote"
    )]
    Unknown,
    /// It is a pcap of another version or a variant.
    #[error(
        "this pcap has version {major}.{minor}; version 2 is read: convert it with `editcap -F pcapng`"
    )]
    Version {
        /// Its version.
        major: u16,
        /// Its version.
        minor: u16,
    },
    /// The file ends before its first packet could begin.
    #[error("the capture ends inside of its header, at byte {at}; it has to be copied whole")]
    Header {
        /// Where it ends.
        at: usize,
    },
    /// A length that cannot be.
    #[error("at byte {at} the capture is damaged: {what}")]
    Damaged {
        /// Where the block or record begins.
        at: usize,
        /// In words.
        what: String,
    },
    /// More packets than are read.
    #[error("the capture has more than {most} packets; cut it, with `editcap -r IN OUT 1-{most}`")]
    Packets {
        /// How many are read.
        most: usize,
    },
    /// More interfaces than are read.
    #[error("the capture has more than {most} interfaces")]
    Interfaces {
        /// How many are read.
        most: usize,
    },
}

impl ReadError {
    pub(super) fn damaged(at: usize, what: impl Into<String>) -> Self {
        Self::Damaged { at, what: what.into() }
    }
}
