//! What a guest process and the world say to each other: packets of 64-bit words over a `SOCK_SEQPACKET` socket pair.
//!
//! The process asks and stops, the world answers when it is the process's turn. The file is part of two crates: of the
//! preload object, and of the simulator.
#![allow(dead_code, reason = "each side writes what the other one reads")]

/// The descriptor at which every process of a guest finds its socket.
pub const BATON_FD: i32 = 1_019;
/// Names the state in which the preload object starts; without it the object does nothing.
pub const STATE_VARIABLE: &str = "CAUSEWAY_VTIME";
/// The first image of a guest: the socket is its standard input.
pub const STATE_FIRST: &str = "first";
/// Any later image: the socket is [`BATON_FD`].
pub const STATE_AGAIN: &str = "again";
/// As [`STATE_AGAIN`], under the filter of an earlier image.
pub const STATE_INSIDE: &str = "inside";
/// Where a guest believes its daemon to be.
pub const DAEMON_PATH: &str = "/run/causeway/causeway.sock";
/// The virtual wall clock at time zero of the world: 2026-01-01T00:00:00Z, in seconds since 1970.
pub const EPOCH_SECONDS: u64 = 1_767_225_600;
/// `CLOCK_MONOTONIC` at time zero of the world, in nanoseconds: no program takes it for an unset time.
pub const UPTIME_NANOS: u64 = 100_000_000_000;
/// No deadline.
pub const NEVER: u64 = u64::MAX;
/// Most threads of which one question tells.
pub const THREADS_TOLD_MAX: usize = 24;
/// Longest host name, its terminating zero included.
pub const HOST_NAME_BYTES: usize = 64;
/// Longest packet, in words.
pub const WORDS_MAX: usize = 64;
/// Words of a question before its threads or text.
pub const ASK_WORDS: usize = 8;
/// Functions of `machnet.h` whose cost the world declares.
pub const API_CALLS: usize = 30;
/// Numbers of calls that are no system calls begin here; [`API_NAMES`] are the first of them.
pub const API_FIRST: u32 = 100_000;
/// A look at a clock, without a system call.
pub const CALL_CLOCK: u32 = 200_000;
/// A look at the processor's time-stamp counter.
pub const CALL_TSC: u32 = 200_001;
/// Nothing was called yet.
pub const CALL_NONE: u32 = 200_002;

/// The functions of `machnet.h`, in the order of their numbers.
pub const API_NAMES: [&str; API_CALLS] = [
    "machnet_attach",
    "machnet_detach",
    "machnet_set_nonblocking",
    "machnet_listen",
    "machnet_connect",
    "machnet_flow_close",
    "machnet_flow_stats",
    "machnet_send",
    "machnet_recv",
    "machnet_peek_size",
    "machnet_init",
    "machnet_sendv",
    "machnet_recvv",
    "machnet_send_batch",
    "machnet_recv_batch",
    "machnet_reserve",
    "machnet_commit",
    "machnet_borrow",
    "machnet_release",
    "machnet_fd",
    "machnet_upstream_init",
    "machnet_upstream_attach",
    "machnet_upstream_detach",
    "machnet_upstream_listen",
    "machnet_upstream_connect",
    "machnet_upstream_send",
    "machnet_upstream_sendmsg",
    "machnet_upstream_sendmmsg",
    "machnet_upstream_recv",
    "machnet_upstream_recvmsg",
];

/// What a process wants. The numbers travel.
pub mod ask {
    /// A new image is ready to run. `a`: where in its memory the number of its present call lies, as a `u32`; `b`: the
    /// process's real number.
    pub const HELLO: u64 = 1;
    /// To go on at `a` ([`super::NEVER`]: no such time), or before, if [`super::flag::CHANGES`] and something changed.
    pub const STOP: u64 = 2;
    /// A connection to the daemon, now.
    pub const CONNECT: u64 = 3;
    /// A socket for a child, now.
    pub const FORK: u64 = 4;
    /// The child `a` did not come to be. No answer.
    pub const UNFORK: u64 = 5;
    /// The process ends with code `a`. No answer.
    pub const EXIT: u64 = 6;
    /// Signal `b` for the process `a`, now.
    pub const KILL: u64 = 7;
    /// The process ends, because of what the text behind the question says. No answer.
    pub const DENIED: u64 = 8;
    /// The process is about to exchange its program: HELLO follows, or whatever follows a failure. No answer.
    pub const IMAGE: u64 = 9;
}

/// Bits of a question and of an answer.
pub mod flag {
    /// Question: the process goes on early if another process or the daemon did something.
    pub const CHANGES: u64 = 1;
    /// Question: a thread of the process ran since the last question.
    pub const ACTIVE: u64 = 2;
    /// Question: some thread is ready, so that `a` is no deadline.
    pub const READY: u64 = 4;
    /// Answer: something changed.
    pub const CHANGED: u64 = 8;
    /// Answer: a signal was sent to the process.
    pub const SIGNAL: u64 = 16;
}

/// Words of an answer.
pub const ANSWER_WORDS: usize = 6;
/// Words of the answer to [`ask::HELLO`].
pub const START_WORDS: usize = ANSWER_WORDS + 4 + API_CALLS + 1 + HOST_NAME_BYTES / 8;

/// A question, without threads or text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// One of [`ask`].
    pub kind: u64,
    /// The call that the process is in.
    pub call: u64,
    /// Its clock.
    pub at: u64,
    /// Scheduling points since the last answer.
    pub calls: u64,
    /// Bits of [`flag`].
    pub flags: u64,
    /// As the kind says.
    pub a: u64,
    /// As the kind says.
    pub b: u64,
    /// Threads behind it (STOP), bytes of text behind it (DENIED).
    pub behind: u64,
}

impl Ask {
    /// Getter: as words.
    pub const fn words(&self) -> [u64; ASK_WORDS] {
        [self.kind, self.call, self.at, self.calls, self.flags, self.a, self.b, self.behind]
    }

    /// Input: from the first words of a packet.
    pub const fn from_words(words: &[u64; ASK_WORDS]) -> Self {
        let [kind, call, at, calls, flags, a, b, behind] = *words;
        Self { kind, call, at, calls, flags, a, b, behind }
    }
}

/// An answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The virtual time.
    pub now: u64,
    /// Nothing else happens before this.
    pub quiet_until: u64,
    /// Bits of [`flag`].
    pub flags: u64,
    /// FORK: the child's virtual number. KILL: 0, or an errno.
    pub value: u64,
    /// FORK: what the child's random numbers come from.
    pub seed: u64,
    /// How far the wall clock is ahead of where it was, in nanoseconds: an `i64`.
    pub wall_ahead: u64,
}

impl Answer {
    /// Getter: as words.
    pub const fn words(&self) -> [u64; ANSWER_WORDS] {
        [self.now, self.quiet_until, self.flags, self.value, self.seed, self.wall_ahead]
    }

    /// Input: from the first words of a packet.
    pub const fn from_words(words: &[u64; ANSWER_WORDS]) -> Self {
        let [now, quiet_until, flags, value, seed, wall_ahead] = *words;
        Self { now, quiet_until, flags, value, seed, wall_ahead }
    }
}

/// What a new image learns with its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// What its random numbers come from.
    pub seed: u64,
    /// Its virtual number.
    pub pid: u64,
    /// Its parent's.
    pub parent: u64,
    /// Bytes that are copied in a nanosecond.
    pub copy_bytes_per_nano: u64,
    /// The declared costs of the functions of `machnet.h`, in nanoseconds, in the order of [`API_NAMES`].
    pub costs: [u64; API_CALLS],
    /// The cost of a system call, in nanoseconds.
    pub system_call: u64,
    /// The host's name, filled up with zeroes.
    pub host_name: [u8; HOST_NAME_BYTES],
}

impl Start {
    /// Getter: as words, behind those of the answer.
    pub fn words(&self) -> [u64; START_WORDS - ANSWER_WORDS] {
        let mut words = [0; START_WORDS - ANSWER_WORDS];
        words[..4].copy_from_slice(&[self.seed, self.pid, self.parent, self.copy_bytes_per_nano]);
        words[4..4 + API_CALLS].copy_from_slice(&self.costs);
        words[4 + API_CALLS] = self.system_call;
        for (word, bytes) in words[5 + API_CALLS..].iter_mut().zip(self.host_name.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        words
    }

    /// Input: from the words behind those of the answer.
    pub fn from_words(words: &[u64; START_WORDS - ANSWER_WORDS]) -> Self {
        let mut costs = [0; API_CALLS];
        costs.copy_from_slice(&words[4..4 + API_CALLS]);
        let mut host_name = [0; HOST_NAME_BYTES];
        for (bytes, word) in host_name.chunks_exact_mut(8).zip(&words[5 + API_CALLS..]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self {
            seed: words[0],
            pid: words[1],
            parent: words[2],
            copy_bytes_per_nano: words[3],
            costs,
            system_call: words[4 + API_CALLS],
            host_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_travels_arrives() {
        let ask = Ask { kind: 1, call: 2, at: 3, calls: 4, flags: 5, a: 6, b: 7, behind: 8 };
        assert_eq!(Ask::from_words(&ask.words()), ask);
        let answer = Answer { now: 1, quiet_until: 2, flags: 3, value: 4, seed: 5, wall_ahead: 6 };
        assert_eq!(Answer::from_words(&answer.words()), answer);
        let mut host_name = [0; HOST_NAME_BYTES];
        host_name[..5].copy_from_slice(b"hosts");
        let start = Start {
            seed: 1,
            pid: 2,
            parent: 3,
            copy_bytes_per_nano: 4,
            costs: std::array::from_fn(|index| 5 + index as u64),
            system_call: 99,
            host_name,
        };
        assert_eq!(Start::from_words(&start.words()), start);
        const { assert!(START_WORDS <= WORDS_MAX) };
    }
}
