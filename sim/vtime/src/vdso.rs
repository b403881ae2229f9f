//! The kernel's library page (vDSO): its functions tell the time without a system call, so each gets a jump to ours.

use core::ffi::{CStr, c_char};

use crate::clock::replacements;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PF_X: u32 = 1;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const PAGE_BYTES: u64 = 4_096;
/// `movabs rax, ADDRESS; jmp rax`.
const JUMP_BYTES: usize = 12;

/// The parts of an image in memory that are of interest.
struct Image {
    code: (u64, u64),
    dynamic: u64,
}

/// Looks at the program headers of an ELF image at `base`.
///
/// # Safety
/// A whole image is mapped there.
unsafe fn image(base: u64) -> Image {
    let mut found = Image { code: (0, 0), dynamic: 0 };
    // SAFETY: the caller's: the headers say where the rest is.
    unsafe {
        let header = &*(base as *const libc::Elf64_Ehdr);
        let segments = (base + header.e_phoff) as *const libc::Elf64_Phdr;
        for index in 0..usize::from(header.e_phnum) {
            let segment = &*segments.add(index);
            let start = base + segment.p_vaddr;
            match segment.p_type {
                PT_LOAD if segment.p_flags & PF_X != 0 => {
                    found.code = (start, start + segment.p_memsz);
                }
                PT_DYNAMIC => found.dynamic = start,
                _ => {}
            }
        }
    }
    found
}

/// Getter: where the code of the dynamic linker is; (0, 0) without one.
pub fn linker_code() -> (u64, u64) {
    // SAFETY: asks the C library for what the kernel gave.
    let base = unsafe { libc::getauxval(libc::AT_BASE) };
    if base == 0 {
        return (0, 0);
    }
    // SAFETY: the kernel mapped the linker there.
    unsafe { image(base) }.code
}

/// Command: puts the jumps in place. False: the page cannot be changed.
pub fn replace() -> bool {
    // SAFETY: asks the C library for what the kernel gave.
    let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    if base == 0 {
        // Without the page every look at a clock is a system call.
        return true;
    }
    // SAFETY: the kernel mapped the page there; addresses in its tables are relative to it. Only its functions' first
    // bytes are written, of which each has more than a jump needs; no other thread runs yet.
    unsafe {
        let Image { code, dynamic } = image(base);
        let (start, end) = (code.0 & !(PAGE_BYTES - 1), code.1.next_multiple_of(PAGE_BYTES));
        let (at, len) = (start as *mut libc::c_void, (end - start) as usize);
        if libc::mprotect(at, len, libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) != 0 {
            return false;
        }
        let (mut names, mut symbols) = (0, 0);
        let mut entry = dynamic as *const [i64; 2];
        while (*entry)[0] != 0 {
            match (*entry)[0] {
                DT_STRTAB => names = (*entry)[1] as u64 + base,
                DT_SYMTAB => symbols = (*entry)[1] as u64 + base,
                _ => {}
            }
            entry = entry.add(1);
        }
        // The names lie behind the symbols.
        let count = names.saturating_sub(symbols) as usize / size_of::<libc::Elf64_Sym>();
        for index in 0..count {
            let symbol = &*(symbols as *const libc::Elf64_Sym).add(index);
            let name = CStr::from_ptr((names + u64::from(symbol.st_name)) as *const c_char);
            let ours = replacements().into_iter().find(|(theirs, _)| *theirs == name.to_bytes());
            if let Some((_, function)) = ours {
                let mut jump = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0];
                jump[2..10].copy_from_slice(&function.to_le_bytes());
                let to = (base + symbol.st_value) as *mut u8;
                to.copy_from_nonoverlapping(jump.as_ptr(), JUMP_BYTES);
            }
        }
        libc::mprotect(at, len, libc::PROT_READ | libc::PROT_EXEC) == 0
    }
}
