//! Programs built as shared objects, each instance from a copy of its own.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Once;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::MemfdFlags;

/// Why a program did not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No memory for the copy.
    #[error("cannot copy the program: {0}")]
    Copy(#[from] io::Error),
    /// The dynamic linker refused, usually because a symbol of the library is missing.
    #[error("cannot load the program: {}", with_cause(.0))]
    Link(#[from] libloading::Error),
    /// An argument holds a NUL byte.
    #[error("an argument holds a NUL byte")]
    Argument,
}

/// The linker's own words are in the error's source.
fn with_cause(error: &libloading::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

type Main = unsafe extern "C" fn(c_int, *mut *mut c_char) -> c_int;

thread_local! {
    /// What the crash handler prints; whole and NUL-free, so that writing it needs no formatting.
    static CRASH_NOTE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Command: loads `image`, calls its `main` with `name` and `arguments`, and unloads it. The exit code.
///
/// # Errors
/// [`LoadError`], before `main` was called.
pub fn run_main(name: &str, image: &[u8], arguments: &[String]) -> Result<c_int, LoadError> {
    announce_crashes_of(name);
    let file = copy_of(image)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the image is a program that the caller asks to run with the rights of this process; running its
    // constructors is part of running it.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL)? };
    // SAFETY: a C program's `main` has this type (C17 5.1.2.2.1); one with `(void)` ignores what it is passed, which
    // every calling convention that this crate builds on allows.
    let main = unsafe { library.get::<Main>(b"main\0")? };
    let texts = std::iter::once(name).chain(arguments.iter().map(String::as_str));
    let mut owned: Vec<Vec<u8>> = texts
        .map(|text| CString::new(text).map(CString::into_bytes_with_nul))
        .collect::<Result<_, _>>()
        .map_err(|_| LoadError::Argument)?;
    let count = owned.len() as c_int;
    let mut argv: Vec<*mut c_char> =
        owned.iter_mut().map(|text| text.as_mut_ptr().cast::<c_char>()).collect();
    argv.push(std::ptr::null_mut());
    // SAFETY: `argv` has `count` writable NUL-terminated strings and ends with a null pointer, and everything
    // lives until `main` has returned.
    let code = unsafe { main(count, argv.as_mut_ptr()) };
    CRASH_NOTE.with_borrow_mut(Vec::clear);
    // The linker knows a loaded object by its path: the descriptor's number must not be used again before.
    drop(library);
    drop(file);
    Ok(code)
}

/// An anonymous file with the image: another inode each time, so that the linker loads another instance.
fn copy_of(image: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("causeway-guest", MemfdFlags::CLOEXEC)?;
    let mut rest = image;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    Ok(file)
}

/// From here on, a crash of this thread says which guest it was.
fn announce_crashes_of(name: &str) {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install_crash_handler);
    let note = format!("causeway sim: guest `{name}` crashed\n").into_bytes();
    CRASH_NOTE.set(note);
}

fn install_crash_handler() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT] {
        // SAFETY: an all-zero sigaction is a valid one; the handler is async-signal-safe (see there); the
        // alternate stack that Rust gives its threads is used where there is one.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_crash as *const () as usize;
            action.sa_flags = libc::SA_ONSTACK | libc::SA_RESETHAND;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Says who crashed. The handler is gone when it returns (`SA_RESETHAND`): the instruction runs again, and the
/// process dies of the same signal with its true cause in the core file.
extern "C" fn on_crash(_signal: c_int) {
    let _ = CRASH_NOTE.try_with(|note| {
        if let Ok(note) = note.try_borrow() {
            // SAFETY: `write` is async-signal-safe, and the bytes are this thread's own.
            unsafe { libc::write(2, note.as_ptr().cast(), note.len()) };
        }
    });
}

/// Compiles `source` to a shared object; `extra` goes to the compiler.
#[cfg(test)]
pub fn build_for_test(name: &str, source: &str, extra: &[&str]) -> Vec<u8> {
    let dir = std::env::temp_dir().join(format!("causeway-loader-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    let (c, so) = (dir.join("program.c"), dir.join("program.so"));
    std::fs::write(&c, source).expect("the directory is ours");
    let mut cc = std::process::Command::new("cc");
    cc.args(["-shared", "-fPIC"]).args(extra).arg("-o").arg(&so).arg(&c);
    assert!(cc.status().expect("a C compiler is there").success());
    let image = std::fs::read(&so).expect("cc wrote it");
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_have_globals_of_their_own_even_at_the_same_time() {
        let image = build_for_test("globals", "static int n; int main(void) { return ++n; }", &[]);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let image = image.clone();
                std::thread::spawn(move || run_main("counter", &image, &[]))
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic").expect("it loads"), 1);
        }
    }

    /// The namespaces that `dlmopen` of glibc has (DL_NNS): what each instance would take, were it not for a file of its own.
    const NAMESPACES: usize = 16;

    #[test]
    fn more_instances_are_at_work_at_once_than_glibc_has_namespaces() {
        let source = "#include <stdlib.h>\n#include <unistd.h>\nstatic int n; static __thread int m;\n\
                      int main(int argc, char **argv) { char c = 0; n++; m++; if (argc != 3) return 90;\n\
                      if (write(atoi(argv[1]), \"x\", 1) != 1 || read(atoi(argv[2]), &c, 1) != 1) return 91;\n\
                      return n + m; }";
        let image = build_for_test("many", source, &[]);
        let [begun, go] = [(); 2].map(|()| rustix::pipe::pipe().expect("there are descriptors"));
        let arguments = [begun.1.as_raw_fd().to_string(), go.0.as_raw_fd().to_string()];
        let threads: Vec<_> = (0..3 * NAMESPACES)
            .map(|_| {
                let (image, arguments) = (image.clone(), arguments.clone());
                std::thread::spawn(move || run_main("many", &image, &arguments))
            })
            .collect();
        for _ in &threads {
            let mut byte = [0_u8];
            assert_eq!(rustix::io::read(&begun.0, &mut byte), Ok(1), "one is in its main");
        }
        // All of them are.
        let count = rustix::io::write(&go.1, &[b'x'; 3 * NAMESPACES]);
        assert_eq!(count, Ok(3 * NAMESPACES));
        for thread in threads {
            assert_eq!(thread.join().expect("no panic").expect("it loads"), 2, "own globals");
        }
    }

    #[test]
    fn a_program_sees_its_name_and_its_arguments() {
        let source = "#include <string.h>\n#include <stdlib.h>\nint main(int argc, char **argv)\n\
                      { return strcmp(argv[0], \"adder\") || argv[argc] ? 99 : argc * 10 + atoi(argv[1]); }";
        let code = run_main(
            "adder",
            &build_for_test("args", source, &[]),
            &["7".to_owned(), "x".to_owned()],
        );
        assert_eq!(code.expect("it loads"), 37);
    }

    #[test]
    fn a_missing_symbol_is_an_error_and_no_crash() {
        let source = "int not_in_any_library(void);\n\
                      int main(void) { return not_in_any_library(); }";
        let image = build_for_test("missing", source, &[]);
        let error = run_main("broken", &image, &[]).expect_err("the symbol exists nowhere");
        assert!(error.to_string().contains("not_in_any_library"), "{error}");
        assert!(matches!(run_main("junk", b"no ELF", &[]), Err(LoadError::Link(_))));
    }
}
