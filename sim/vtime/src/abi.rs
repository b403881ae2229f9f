//! The functions of `machnet.h` as scheduling points: each costs what the world declares, then the library's own runs.
//!
//! Interposed here, so that the shipped library needs to know nothing of it.

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::signals;
use crate::threads;
use crate::wire::API_FIRST;
use crate::world::process;

/// `machnet_send`, `machnet_sendv` and `machnet_send_batch` cost their copies too.
const SENDS: [usize; 6] = [7, 11, 13, 25, 26, 27];

/// The library's own function.
struct Real {
    name: &'static CStr,
    at: AtomicPtr<c_void>,
}

impl Real {
    const fn new(name: &'static CStr) -> Self {
        Self { name, at: AtomicPtr::new(core::ptr::null_mut()) }
    }

    fn address(&self) -> *mut c_void {
        let known = self.at.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: the name is a string.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.at.store(found, Ordering::Relaxed);
        found
    }
}

/// Command: the program enters a function.
fn enter(index: usize, bytes: usize) {
    // Without a world there is nothing to tell.
    if process().pid == 0 || process().vfork_child.is_some() {
        return;
    }
    let copies = SENDS.contains(&index);
    let copy = if copies { bytes as u64 / process().copy_bytes_per_nano } else { 0 };
    let cost = process().costs[index] + copy;
    process().call = API_FIRST + index as u32;
    if !threads::charge_alone(cost) {
        signals::masked(|| threads::charge(cost));
    }
}

/// `struct iovec`, `MachnetMsg_t` and upstream's `MachnetMsgHdr_t`: words of each, which of them has a length, and in which bits.
const PIECE: (usize, usize, usize) = (2, 1, usize::MAX);
const MESSAGE: (usize, usize, usize) = (4, 2, usize::MAX);
const UPSTREAM: (usize, usize, usize) = (5, 0, 0xffff_ffff);

/// The bytes of `count` pieces or messages that lie at `first`: none where the library will refuse them.
fn lengths(first: usize, count: usize, (words, length, bits): (usize, usize, usize)) -> usize {
    let first: *const usize = core::ptr::with_exposed_provenance(first);
    if first.is_null() || !first.is_aligned() || count > 65_536 {
        return 0;
    }
    let mut sum = 0_usize;
    for index in 0..count {
        // SAFETY: the program says that so many lie there, and the library reads them next; they are aligned.
        let word = unsafe { first.add(index * words + length).read() };
        sum = sum.saturating_add(word & bits);
    }
    sum
}

/// The C library's function: eight bytes without waiting would pass the filter (see there).
///
/// # Safety
/// `bytes` points to `len` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(bytes: *mut c_void, len: usize, flags: u32) -> isize {
    if process().pid != 0 && len == 8 && flags == libc::GRND_NONBLOCK {
        // SAFETY: the caller's.
        unsafe { process().fill(bytes.cast(), len) };
        return 8;
    }
    // SAFETY: the caller's.
    unsafe { libc::syscall(libc::SYS_getrandom, bytes, len, flags) as isize }
}

macro_rules! interpose {
    ($($index:literal $name:ident ($($argument:ident),*) bytes $bytes:expr;)*) => {$(
        /// As `machnet.h` says.
        ///
        /// # Safety
        /// As `machnet.h` says.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: usize),*) -> usize {
            static REAL: Real = Real::new(
                match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                    Ok(name) => name,
                    Err(_) => c"",
                },
            );
            enter($index, $bytes);
            let real = REAL.address();
            if real.is_null() {
                // No library: what a failure of each of them looks like to its caller would be a guess.
                crate::trap::fail(concat!(stringify!($name), " is in no library of the program"));
            }
            // SAFETY: the library's function of this name takes so many words, each of which is passed as it came.
            unsafe {
                let real: unsafe extern "C" fn($(interpose!(@word $argument)),*) -> usize =
                    core::mem::transmute(real);
                real($($argument),*)
            }
        }
    )*};
    (@word $argument:ident) => { usize };
}

interpose! {
    0 machnet_attach() bytes 0;
    1 machnet_detach(ctx) bytes 0;
    2 machnet_set_nonblocking(ctx, on) bytes 0;
    3 machnet_listen(ctx, ip, port) bytes 0;
    4 machnet_connect(ctx, local, remote, port, flow) bytes 0;
    5 machnet_flow_close(ctx, flow) bytes 0;
    6 machnet_flow_stats(ctx, flow, stats, size) bytes 0;
    7 machnet_send(ctx, flow, bytes, len, id) bytes len;
    8 machnet_recv(ctx, bytes, size, flow) bytes 0;
    9 machnet_peek_size(ctx, flow) bytes 0;
    10 machnet_init() bytes 0;
    11 machnet_sendv(ctx, flow, pieces, count, id) bytes lengths(pieces, count, PIECE);
    12 machnet_recvv(ctx, pieces, count, flow) bytes 0;
    13 machnet_send_batch(ctx, msgs, count) bytes lengths(msgs, count, MESSAGE);
    14 machnet_recv_batch(ctx, msgs, count) bytes 0;
    15 machnet_reserve(ctx, flow, len, pieces, count) bytes 0;
    16 machnet_commit(ctx, flow, len, id) bytes 0;
    17 machnet_borrow(ctx, pieces, count, flow) bytes 0;
    18 machnet_release(ctx, first) bytes 0;
    19 machnet_fd(ctx) bytes 0;
    20 machnet_upstream_init() bytes 0;
    21 machnet_upstream_attach() bytes 0;
    22 machnet_upstream_detach(ctx) bytes 0;
    23 machnet_upstream_listen(ctx, ip, port) bytes 0;
    24 machnet_upstream_connect(ctx, local, remote, port, flow) bytes 0;
    25 machnet_upstream_send(ctx, flow_ips, flow_ports, bytes, len) bytes len;
    26 machnet_upstream_sendmsg(ctx, message) bytes lengths(message, 1, UPSTREAM);
    27 machnet_upstream_sendmmsg(ctx, messages, count) bytes lengths(messages, count, UPSTREAM);
    28 machnet_upstream_recv(ctx, bytes, size, flow) bytes 0;
    29 machnet_upstream_recvmsg(ctx, message) bytes 0;
}
