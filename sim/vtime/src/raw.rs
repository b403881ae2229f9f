//! System calls of this object's own: from one page at a fixed address, which the filter lets through.
//!
//! The address is fixed because a filter outlives `execve`, and the object's own address does not.

use core::arch::{asm, global_asm};

use libc::{c_long, c_void};

/// Where the page is, in every process of every guest: far from where the kernel puts anything without randomisation.
pub const PAGE: usize = 0x6a75_0000_0000;
/// Its size.
pub const PAGE_BYTES: usize = 4_096;
const CLONE_OFFSET: usize = 32;
/// What a signal handler of ours returns to.
pub const RESTORER: usize = PAGE + 16;

global_asm!(
    ".pushsection .rodata.causeway_vtime_page,\"a\",@progbits",
    ".globl causeway_vtime_page",
    ".hidden causeway_vtime_page",
    ".globl causeway_vtime_page_end",
    ".hidden causeway_vtime_page_end",
    ".balign 16",
    "causeway_vtime_page:",
    "syscall",
    "ret",
    ".balign 16",
    // The bytes by which unwinders know a signal's frame.
    ".byte 0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05",
    ".balign 16",
    // A new thread (or a child that shares memory) begins here on a stack whose top is a `ChildFrame`.
    "syscall",
    "test rax, rax",
    "jz 2f",
    "ret",
    "2:",
    "mov rbx, rsp",
    "and rsp, -16",
    "mov rdi, rbx",
    "call [rbx]",
    "lea rsp, [rbx + 40]",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdi",
    "pop rsi",
    "pop rbp",
    "pop rbx",
    "pop rdx",
    "xor eax, eax",
    "ret",
    "causeway_vtime_page_end:",
    ".popsection",
);

unsafe extern "C" {
    static causeway_vtime_page: u8;
    static causeway_vtime_page_end: u8;
}

/// What lies on top of a new thread's stack: who it is, then the registers with which it goes on.
#[repr(C)]
pub struct ChildFrame {
    /// Called first, with the frame's address.
    pub entry: unsafe extern "C" fn(*mut ChildFrame),
    /// The thread's place in the table; `u64::MAX` for a child that is no thread.
    pub slot: u64,
    /// Its signal mask.
    pub mask: u64,
    /// Keeps the registers at an offset of five words.
    pub spare: [u64; 2],
    /// r15 r14 r13 r12 r10 r9 r8 rdi rsi rbp rbx rdx.
    pub registers: [u64; 12],
    /// Where it goes on.
    pub instruction: u64,
}

/// Command: puts the page in its place.
///
/// # Errors
/// The kernel's errno.
pub fn map_page() -> Result<(), i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the symbols delimit the code above; the mapping is new (NOREPLACE), writable and large enough for it, and
    // becomes executable once it is written. libc's functions are used before the filter is in place.
    unsafe {
        let page = libc::mmap(PAGE as *mut c_void, PAGE_BYTES, prot, flags, -1, 0);
        if page as usize != PAGE {
            return Err(*libc::__errno_location());
        }
        let code = &raw const causeway_vtime_page;
        let len = (&raw const causeway_vtime_page_end).offset_from(code);
        page.cast::<u8>().copy_from_nonoverlapping(code, len.unsigned_abs());
        if libc::mprotect(page, PAGE_BYTES, libc::PROT_READ | libc::PROT_EXEC) != 0 {
            return Err(*libc::__errno_location());
        }
    }
    Ok(())
}

/// Command: a system call with up to six arguments. What the kernel returns: a value, or a negative errno.
///
/// # Safety
/// As the call's own.
#[inline]
pub unsafe fn call(number: c_long, arguments: [u64; 6]) -> i64 {
    // SAFETY: the caller's.
    unsafe { call_at(PAGE, number, arguments) }
}

/// Command: as [`call`] for a `clone` whose child begins with a [`ChildFrame`].
///
/// # Safety
/// As the call's own, and `arguments[1]` is the address of a whole [`ChildFrame`].
pub unsafe fn clone_with_frame(arguments: [u64; 6]) -> i64 {
    // SAFETY: the caller's.
    unsafe { call_at(PAGE + CLONE_OFFSET, libc::SYS_clone, arguments) }
}

/// # Safety
/// `code` is an entry of the page; as the call's own.
#[inline]
unsafe fn call_at(code: usize, number: c_long, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    let result: i64;
    // SAFETY: the page's code uses the kernel's calling convention: rax in and out, rcx and r11 lost. The call pushes
    // one word, which asm without `nostack` allows.
    unsafe {
        asm!(
            "call {code}",
            code = in(reg) code,
            inlateout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Command: a system call whose arguments are plain numbers and our own memory.
#[macro_export]
macro_rules! raw {
    ($number:expr $(, $argument:expr)* $(,)?) => {{
        let given = [$(($argument) as u64),*];
        let mut arguments = [0_u64; 6];
        arguments[..given.len()].copy_from_slice(&given);
        $crate::raw::call($number, arguments)
    }};
}

/// Command: ends the process at once.
pub fn exit_group(code: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { raw!(libc::SYS_exit_group, code) };
    }
}

/// Command: writes to standard error, as far as possible.
pub fn complain(text: &[u8]) {
    // SAFETY: the bytes are readable.
    unsafe { raw!(libc::SYS_write, 2, text.as_ptr(), text.len()) };
}
