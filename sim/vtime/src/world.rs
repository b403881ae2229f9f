//! Questions to the world, and what is known of it.

use core::cell::UnsafeCell;

use crate::raw;
use crate::wire::{ANSWER_WORDS, API_CALLS, ASK_WORDS, Answer, Ask, BATON_FD, Start, WORDS_MAX};

/// What a process knows of itself and the world.
pub struct Process {
    /// The virtual time.
    pub now: u64,
    /// Nothing else happens before this.
    pub quiet_until: u64,
    /// How far the wall clock is ahead of where it was, in nanoseconds.
    pub wall_ahead: i64,
    /// Something was rung or written that the world should look at.
    pub rang: bool,
    /// Scheduling points since the last answer.
    pub calls: u64,
    /// A thread ran since the last question.
    pub active: bool,
    /// The call that the running thread is in.
    pub call: u32,
    /// What random numbers come from, and how many were drawn.
    pub seed: u64,
    /// See `seed`.
    pub draws: u64,
    /// The process's virtual number, its parent's, and its number with the kernel.
    pub pid: i32,
    /// See `pid`.
    pub parent: i32,
    /// See `pid`.
    pub real_pid: i32,
    /// Declared costs, see [`Start`].
    pub costs: [u64; API_CALLS],
    /// See [`Start`].
    pub copy_bytes_per_nano: u64,
    /// See [`Start`].
    pub system_call: u64,
    /// See [`Start`].
    pub host_name: [u8; crate::wire::HOST_NAME_BYTES],
    /// A child that shares memory runs, and this process waits for it in the kernel: the socket of that child.
    pub vfork_child: Option<i32>,
    /// `argv[0]`, for what is said on standard error.
    pub name: [u8; 64],
}

struct Cell(UnsafeCell<Process>);

// SAFETY: exactly one thread of the process runs at a time (see `threads`): whoever runs has it alone.
unsafe impl Sync for Cell {}

static PROCESS: Cell = Cell(UnsafeCell::new(Process {
    now: 0,
    quiet_until: 0,
    wall_ahead: 0,
    rang: false,
    calls: 0,
    active: false,
    call: crate::wire::CALL_NONE,
    seed: 0,
    draws: 0,
    pid: 0,
    parent: 0,
    real_pid: 0,
    costs: [0; API_CALLS],
    copy_bytes_per_nano: 1,
    system_call: 0,
    host_name: [0; crate::wire::HOST_NAME_BYTES],
    vfork_child: None,
    name: [0; 64],
}));

/// The process's state, for whoever has the turn.
///
/// References to it are short: none is held over a call that may give the turn away.
#[allow(clippy::mut_from_ref, reason = "see the SAFETY comment of `Cell`")]
pub fn process() -> &'static mut Process {
    // SAFETY: only the thread that has the turn calls this, and it keeps no reference over a call of `process`.
    unsafe { &mut *PROCESS.0.get() }
}

impl Process {
    /// Command: what the first answer says.
    pub fn begin(&mut self, start: &Start) {
        self.seed = start.seed;
        self.draws = 0;
        self.pid = start.pid as i32;
        self.parent = start.parent as i32;
        self.costs = start.costs;
        self.copy_bytes_per_nano = start.copy_bytes_per_nano.max(1);
        self.system_call = start.system_call;
        self.host_name = start.host_name;
    }

    /// Command: what an answer says of the time.
    pub fn take_turn(&mut self, answer: &Answer) {
        self.now = answer.now;
        self.quiet_until = answer.quiet_until;
        self.wall_ahead = answer.wall_ahead.cast_signed();
        self.rang = false;
        self.calls = 0;
        self.active = false;
    }

    /// Output: the next random number of the process.
    pub fn draw(&mut self) -> u64 {
        self.draws += 1;
        // SplitMix64 (Steele, Lea, Flood 2014): a counter, mixed.
        let mut z = self.seed.wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Command: fills `len` bytes with random numbers.
    ///
    /// # Safety
    /// `bytes` points to `len` writable bytes.
    pub unsafe fn fill(&mut self, bytes: *mut u8, len: usize) {
        for at in (0..len).step_by(8) {
            let draw = self.draw().to_le_bytes();
            // SAFETY: the caller's; never more than what is left.
            unsafe { bytes.add(at).copy_from_nonoverlapping(draw.as_ptr(), (len - at).min(8)) };
        }
    }
}

/// A question of the process as it is now.
pub fn question(kind: u64) -> Ask {
    let process = process();
    Ask {
        kind,
        call: u64::from(process.call),
        at: process.now,
        calls: process.calls,
        flags: if process.active { crate::wire::flag::ACTIVE } else { 0 },
        ..Ask::default()
    }
}

/// The question of a new image or a new process.
pub fn hello() -> Ask {
    let at = &raw const process().call as u64;
    Ask { a: at, b: process().real_pid as u64, ..question(crate::wire::ask::HELLO) }
}

/// Command: says something; `behind` follows the question.
pub fn tell(ask: &Ask, behind: &[u64]) {
    let mut packet = [0_u64; WORDS_MAX];
    packet[..ASK_WORDS].copy_from_slice(&ask.words());
    let words = behind.len().min(WORDS_MAX - ASK_WORDS);
    packet[ASK_WORDS..ASK_WORDS + words].copy_from_slice(&behind[..words]);
    let (at, bytes) = (packet.as_ptr(), 8 * (ASK_WORDS + words));
    // SAFETY: the packet is readable for so many bytes.
    let sent = unsafe { raw!(libc::SYS_sendto, BATON_FD, at, bytes, libc::MSG_NOSIGNAL, 0, 0) };
    if sent < 0 {
        // The world is gone, and everything in it.
        raw::exit_group(1);
    }
}

/// An answer with what came with it.
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// All its words.
    pub words: [u64; WORDS_MAX],
    /// A descriptor, if one came; -1 otherwise.
    pub fd: i32,
}

/// Command: waits for an answer. The process ends if the world is gone.
pub fn hear() -> Answered {
    #[repr(C, align(8))]
    struct Control([u8; 32]);
    let mut words = [0_u64; WORDS_MAX];
    let mut control = Control([0; 32]);
    let mut slice =
        libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words) };
    // SAFETY: zeroes are a valid msghdr.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    loop {
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control.0);
        // SAFETY: the message describes our own writable memory.
        let got = unsafe { raw!(libc::SYS_recvmsg, BATON_FD, &raw mut message, 0) };
        if got == -i64::from(libc::EINTR) {
            continue;
        }
        if got < (8 * ANSWER_WORDS) as i64 {
            raw::exit_group(1);
        }
        break;
    }
    let mut fd = -1;
    // SAFETY: `message` was filled in by the kernel and describes `control`; an SCM_RIGHTS message holds at least one int.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS {
            fd = libc::CMSG_DATA(header).cast::<i32>().read_unaligned();
        }
    }
    let mut head = [0; ANSWER_WORDS];
    head.copy_from_slice(&words[..ANSWER_WORDS]);
    Answered { answer: Answer::from_words(&head), words, fd }
}

/// Command: asks, and stops until the world answers.
pub fn ask(question: &Ask, behind: &[u64]) -> Answered {
    tell(question, behind);
    hear()
}
