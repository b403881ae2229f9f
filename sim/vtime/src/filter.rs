//! Which system calls reach the kernel directly, and which come to [`crate::trap`].
//!
//! What only touches memory, files and the process itself passes. Everything else, also what no kernel has yet, is
//! trapped. The object's own page passes, and the dynamic linker: it works before this object does in each new image.

use libc::{c_long, sock_filter, sock_fprog};

use crate::raw;

/// Calls that neither wait, nor tell the time, nor start or end anything. Some are limited by [`CONDITIONS`].
const PASSED: &[c_long] = &[
    libc::SYS_stat,
    libc::SYS_fstat,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_brk,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_mlockall,
    libc::SYS_munlockall,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_sigaltstack,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_access,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_pipe,
    libc::SYS_pipe2,
    libc::SYS_dup,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_socketpair,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_getdents,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_rmdir,
    libc::SYS_creat,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_chown,
    libc::SYS_fchown,
    libc::SYS_lchown,
    libc::SYS_fchownat,
    libc::SYS_umask,
    libc::SYS_getrlimit,
    libc::SYS_setrlimit,
    libc::SYS_prlimit64,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_setsid,
    libc::SYS_capget,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_prctl,
    libc::SYS_arch_prctl,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_utimensat,
    libc::SYS_copy_file_range,
    libc::SYS_memfd_create,
    libc::SYS_eventfd2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_membarrier,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_fgetxattr,
    libc::SYS_getxattr,
    libc::SYS_flistxattr,
    libc::SYS_listxattr,
    libc::SYS_sync,
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    libc::SYS_socket,
    libc::SYS_pkey_mprotect,
];

/// A call that passes only if an argument is, or is not, one of some values.
struct Condition {
    call: c_long,
    argument: u32,
    values: &'static [u32],
    /// Passes if the argument is one of them; otherwise if it is none of them.
    pass_if_listed: bool,
}

const CONDITIONS: &[Condition] = &[
    // Inside the host: unix sockets, and netlink for lists of interfaces.
    Condition {
        call: libc::SYS_socket,
        argument: 0,
        values: &[libc::AF_UNIX as u32, libc::AF_NETLINK as u32],
        pass_if_listed: true,
    },
    Condition {
        call: libc::SYS_fcntl,
        argument: 1,
        values: &[
            libc::F_SETLKW as u32,
            libc::F_OFD_SETLKW as u32,
            libc::F_SETOWN as u32,
            F_SETSIG,
        ],
        pass_if_listed: false,
    },
    Condition {
        call: libc::SYS_prctl,
        argument: 0,
        values: &[
            libc::PR_SET_TSC as u32,
            libc::PR_SET_SECCOMP as u32,
            libc::PR_SET_PDEATHSIG as u32,
        ],
        pass_if_listed: false,
    },
];

/// fcntl(2), which [`libc`] does not have.
const F_SETSIG: u32 = 10;
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_IP_LOW: u32 = 8;
const OFFSET_IP_HIGH: u32 = 12;
const OFFSET_ARGUMENTS: u32 = 16;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const PROGRAM_MAX: usize = 1_024;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

struct Program {
    code: [sock_filter; PROGRAM_MAX],
    len: usize,
}

impl Program {
    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        self.code[self.len] = sock_filter { code, jt, jf, k };
        self.len += 1;
    }

    /// Passes what comes from `start..end`, which lie in one stretch of 4 GiB.
    fn pass_from(&mut self, start: u64, end: u64) {
        self.push(LOAD, OFFSET_IP_HIGH, 0, 0);
        self.push(EQUAL, (start >> 32) as u32, 0, 4);
        self.push(LOAD, OFFSET_IP_LOW, 0, 0);
        self.push(AT_LEAST, start as u32, 0, 2);
        self.push(AT_LEAST, end as u32, 1, 0);
        self.push(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0);
    }

    /// The C library's allocator asks for eight bytes, without waiting, before any constructor runs: for a guard against
    /// double frees, which decides nothing. Whoever else asks like this does it through [`crate::abi::getrandom`].
    fn pass_guard_of_the_allocator(&mut self) {
        self.push(EQUAL, libc::SYS_getrandom as u32, 0, 6);
        self.push(LOAD, OFFSET_ARGUMENTS + 8, 0, 0);
        self.push(EQUAL, 8, 0, 3);
        self.push(LOAD, OFFSET_ARGUMENTS + 16, 0, 0);
        self.push(EQUAL, libc::GRND_NONBLOCK, 0, 1);
        self.push(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0);
        self.push(RETURN, libc::SECCOMP_RET_TRAP, 0, 0);
    }

    /// The number is in the accumulator, before and after, unless it is the condition's.
    fn condition(&mut self, condition: &Condition) {
        let values = condition.values.len() as u8;
        self.push(EQUAL, condition.call as u32, 0, values + 3);
        self.push(LOAD, OFFSET_ARGUMENTS + 8 * condition.argument, 0, 0);
        for (index, value) in condition.values.iter().enumerate() {
            // To the second of the two returns.
            self.push(EQUAL, *value, values - index as u8, 0);
        }
        let listed = [libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_ALLOW];
        let [other, same] = if condition.pass_if_listed { listed } else { [listed[1], listed[0]] };
        self.push(RETURN, other, 0, 0);
        self.push(RETURN, same, 0, 0);
    }
}

/// Command: installs the filter for this process and all its descendants. `linker` is the dynamic linker's code.
///
/// # Errors
/// The kernel's errno.
pub fn install(linker: (u64, u64)) -> Result<(), i32> {
    let none = sock_filter { code: 0, jt: 0, jf: 0, k: 0 };
    let mut program = Program { code: [none; PROGRAM_MAX], len: 0 };
    let trap = libc::SECCOMP_RET_TRAP;
    program.push(LOAD, OFFSET_ARCH, 0, 0);
    program.push(EQUAL, AUDIT_ARCH_X86_64, 1, 0);
    program.push(RETURN, trap, 0, 0);
    program.pass_from(raw::PAGE as u64, (raw::PAGE + raw::PAGE_BYTES) as u64);
    if linker.0 != 0 {
        program.pass_from(linker.0, linker.1);
    }
    program.push(LOAD, OFFSET_NUMBER, 0, 0);
    // The C library falls back to clone, whose flags can be seen.
    program.push(EQUAL, libc::SYS_clone3 as u32, 0, 1);
    program.push(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32, 0, 0);
    program.pass_guard_of_the_allocator();
    for condition in CONDITIONS {
        program.condition(condition);
    }
    for call in PASSED {
        if CONDITIONS.iter().any(|condition| condition.call == *call) {
            continue;
        }
        program.push(EQUAL, *call as u32, 0, 1);
        program.push(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0);
    }
    program.push(RETURN, trap, 0, 0);
    let all = sock_fprog { len: program.len as u16, filter: program.code.as_mut_ptr() };
    // SAFETY: prctl reads `all` and what it points to, which live until it returns.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const all) != 0
        {
            return Err(*libc::__errno_location());
        }
    }
    Ok(())
}
