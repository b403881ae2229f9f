//! From one program image to the next: what must survive `execve`.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};

use crate::children;
use crate::signals;
use crate::trap::deny;
use crate::tsc;
use crate::wire::{STATE_INSIDE, STATE_VARIABLE, ask};
use crate::world::{self, process, question};

/// Variables that this object cannot do without, as the first image had them.
const KEPT: [&str; 3] = ["LD_PRELOAD", "GLIBC_TUNABLES", "CAUSEWAY_SOCKET"];
const KEPT_BYTES: usize = 4_096;
/// Most variables of a program that is started.
const VARIABLES_MAX: usize = 4_096;
/// What is read of a program to see what it is.
const HEAD_BYTES: usize = 4_096;
const PT_INTERP: u32 = 3;

struct Kept {
    /// `NAME=VALUE`, with the final zero, one place for each of [`KEPT`].
    texts: UnsafeCell<[[u8; KEPT_BYTES]; KEPT.len()]>,
    /// [`STATE_VARIABLE`] for the next image.
    state: UnsafeCell<[u8; 64]>,
}

// SAFETY: written by the constructor, and read by whoever has the turn.
unsafe impl Sync for Kept {}

static VARIABLES: Kept =
    Kept { texts: UnsafeCell::new([[0; KEPT_BYTES]; KEPT.len()]), state: UnsafeCell::new([0; 64]) };

/// Getter: whether `text` sets the variable `name`.
fn sets(text: &[u8], name: &str) -> bool {
    text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='))
}

/// Getter: the variables of an environment.
///
/// # Safety
/// `variables` is null, or an array of strings with a null at its end that outlives the result.
pub unsafe fn variables(variables: *const *const c_char) -> impl Iterator<Item = &'static CStr> {
    let mut next = variables;
    core::iter::from_fn(move || {
        // SAFETY: the caller's.
        unsafe {
            if next.is_null() || (*next).is_null() {
                return None;
            }
            let text = CStr::from_ptr(*next);
            next = next.add(1);
            Some(text)
        }
    })
}

/// Command (constructor): remembers what later images need. False: a variable is too long.
///
/// # Safety
/// As for [`variables`].
pub unsafe fn remember(environment: *const *const c_char) -> bool {
    // SAFETY: the caller's.
    for text in unsafe { variables(environment) } {
        let bytes = text.to_bytes_with_nul();
        let Some(index) = KEPT.iter().position(|name| sets(bytes, name)) else { continue };
        if bytes.len() > KEPT_BYTES {
            return false;
        }
        // SAFETY: the constructor runs alone.
        let texts = unsafe { &mut *VARIABLES.texts.get() };
        texts[index][..bytes.len()].copy_from_slice(bytes);
    }
    true
}

/// Getter: `NAME=state`, for an image whose object is to start in `state`.
pub fn state_text(state: &str) -> *const c_char {
    // SAFETY: only the constructor, and whoever has the turn.
    let text = unsafe { &mut *VARIABLES.state.get() };
    let parts = STATE_VARIABLE.bytes().chain([b'=']).chain(state.bytes()).chain([0]);
    for (to, from) in text.iter_mut().zip(parts) {
        *to = from;
    }
    text.as_ptr().cast()
}

/// Fills `list` with the environment of the next image: the given one, and what must be there.
///
/// # Safety
/// As for [`variables`].
pub unsafe fn compose(
    given: *const *const c_char,
    state: &str,
    list: &mut [*const c_char],
) -> Result<(), i32> {
    let mut count = 0;
    let mut add = |text: *const c_char| {
        // A null stays behind it.
        if count + 1 >= list.len() {
            return Err(libc::E2BIG);
        }
        list[count] = text;
        count += 1;
        list[count] = core::ptr::null();
        Ok(())
    };
    // SAFETY: the caller's.
    for text in unsafe { variables(given) } {
        let bytes = text.to_bytes();
        if !sets(bytes, STATE_VARIABLE) && !KEPT.iter().any(|name| sets(bytes, name)) {
            add(text.as_ptr())?;
        }
    }
    // SAFETY: written by the constructor only.
    for kept in unsafe { &*VARIABLES.texts.get() } {
        if kept[0] != 0 {
            add(kept.as_ptr().cast())?;
        }
    }
    add(state_text(state))
}

/// `execve` of a guest.
///
/// # Safety
/// The arguments are those of the call.
pub unsafe fn execute(a: [u64; 6], mask: u64) -> i64 {
    let bytes = VARIABLES_MAX * size_of::<*const c_char>();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the caller's; the list is our own fresh mapping. What the call changes is put back if it fails.
    unsafe {
        if let Some(failed) = refuse(a[0]) {
            return failed;
        }
        let list = raw!(libc::SYS_mmap, 0, bytes, prot, flags, -1_i64, 0);
        if list < 0 {
            return list;
        }
        let variables = core::slice::from_raw_parts_mut(list as *mut *const c_char, VARIABLES_MAX);
        if let Err(errno) = compose(a[2] as *const *const c_char, STATE_INSIDE, variables) {
            return -i64::from(errno);
        }
        match process().vfork_child {
            Some(baton) => children::take_baton(baton),
            // The new image does not know how late it is.
            None => world::tell(&question(ask::IMAGE), &[]),
        }
        tsc::set_trap(false);
        signals::set_mask(mask);
        let failed = raw!(libc::SYS_execve, a[0], a[1], list);
        signals::set_mask(u64::MAX);
        tsc::set_trap(true);
        raw!(libc::SYS_munmap, list, bytes);
        failed
    }
}

/// What speaks against running the program at `path`: an errno, or the end of the process.
///
/// # Safety
/// `path` is the address of a string.
unsafe fn refuse(path: u64) -> Option<i64> {
    let mut head = [0_u64; HEAD_BYTES / 8];
    // SAFETY: the caller's; the head is ours.
    let len = unsafe {
        let fd = raw!(libc::SYS_open, path, libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            // What cannot be read may be run all the same, and the kernel knows better.
            return (fd != -i64::from(libc::EACCES)).then_some(fd);
        }
        let len = raw!(libc::SYS_read, fd, head.as_mut_ptr(), HEAD_BYTES);
        raw!(libc::SYS_close, fd);
        len
    };
    let base = head.as_ptr().cast::<u8>();
    // SAFETY: the head is as long as any ELF header, and aligned.
    let elf = unsafe { &*base.cast::<libc::Elf64_Ehdr>() };
    if len < size_of::<libc::Elf64_Ehdr>() as i64 || elf.e_ident[..4] != *b"\x7fELF" {
        return None;
    }
    let size = size_of::<libc::Elf64_Phdr>();
    let mut headers = (0..usize::from(elf.e_phnum))
        .map(|index| (elf.e_phoff as usize).saturating_add(index * size));
    let linked = headers.any(|at| {
        if at.saturating_add(size) > HEAD_BYTES {
            return false;
        }
        // SAFETY: inside the head.
        unsafe { base.add(at).cast::<libc::Elf64_Phdr>().read_unaligned() }.p_type == PT_INTERP
    });
    if !linked {
        deny("execve", "the program is linked statically: nothing can be loaded before it");
    }
    None
}

/// Command (constructor): the same program again, in the same process.
///
/// # Safety
/// `arguments` and `list` are arrays of strings with a null at their ends.
pub unsafe fn again(arguments: *const *const c_char, list: &[*const c_char]) {
    // SAFETY: the caller's.
    unsafe { libc::execve(c"/proc/self/exe".as_ptr(), arguments, list.as_ptr()) };
}
