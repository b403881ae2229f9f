//! The world's end of a process's socket.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::wire::{ASK_WORDS, Answer, Ask, Start, WORDS_MAX};

/// What a process said.
#[derive(Debug)]
pub(super) enum Heard {
    /// A question, and the words behind it.
    Asked(Ask, Vec<u64>),
    /// Its end is closed: the process is gone.
    Gone,
    /// Nothing within the wall-clock limit.
    Silent,
}

/// Getter: whether `fd` becomes readable, or its other end goes, within a span of the wall clock.
pub(super) fn readable(fd: BorrowedFd<'_>, span: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    };
    loop {
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(ready) => return ready > 0,
            // A signal to the simulator: the limit begins anew, which nothing depends on.
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

/// Input: the next question.
pub(super) fn hear(socket: &OwnedFd, wall_limit: Duration) -> Heard {
    if !readable(socket.as_fd(), wall_limit) {
        return Heard::Silent;
    }
    let mut bytes = [0_u8; 8 * WORDS_MAX];
    let len = loop {
        match rustix::net::recv(socket, &mut bytes[..], RecvFlags::empty()) {
            Ok((_, len)) => break len,
            Err(Errno::INTR) => {}
            Err(_) => return Heard::Gone,
        }
    };
    let mut words = bytes[..len.min(bytes.len())]
        .chunks_exact(8)
        .map(|chunk| chunk.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)));
    let mut head = [0; ASK_WORDS];
    for place in &mut head {
        let Some(word) = words.next() else { return Heard::Gone };
        *place = word;
    }
    Heard::Asked(Ask::from_words(&head), words.collect())
}

/// Command: answers; `start` for a new image, `fd` goes with it. A process that is gone hears nothing.
pub(super) fn answer(
    socket: &OwnedFd,
    answer: &Answer,
    start: Option<&Start>,
    fd: Option<BorrowedFd<'_>>,
) {
    let start = start.map(Start::words);
    let words = answer.words().into_iter().chain(start.into_iter().flatten());
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
    if !fds.is_empty() {
        // There is room for one.
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    let flags = SendFlags::NOSIGNAL;
    let _ = rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags);
}
