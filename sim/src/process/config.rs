//! What a guest process runs, and with what.

use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::MemfdFlags;

/// Names the preload object when it lies neither beside the executable nor in a directory above.
pub const PRELOAD_VARIABLE: &str = "CAUSEWAY_VTIME_LIBRARY";
/// The preload object's file.
const PRELOAD_FILE: &str = "libcauseway_vtime.so";
/// Longest captured text, in bytes.
const CAPTURED_MAX: usize = 1 << 20;
/// Most that programs may write where it is captured, in bytes: it lies in memory.
pub(super) const WRITTEN_MAX: u64 = 64 << 20;

/// A program to run as a process of a simulated host.
///
/// Its environment holds what is given here, and what the simulator sets: `PATH`, `LANG`, `TZ`, the daemon's socket and
/// the dynamic linker's variables. Its standard input is empty.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// The executable. Linked dynamically: the preload object must fit in.
    pub program: PathBuf,
    /// Arguments after its name.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// Where it starts; the simulator's own directory when `None`.
    pub directory: Option<PathBuf>,
    /// Where shared libraries are looked for first: the directory of `libmachnet.so.0`.
    pub libraries: Vec<PathBuf>,
    /// What becomes of its standard output and error.
    pub output: Output,
    /// The preload object; see [`find_preload`].
    pub preload: PathBuf,
}

impl ProcessConfig {
    /// A program without arguments, whose output is the simulator's.
    pub fn new(program: impl Into<PathBuf>, preload: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            libraries: Vec::new(),
            output: Output::Inherited,
            preload: preload.into(),
        }
    }

    /// The same with these arguments.
    #[must_use]
    pub fn arguments<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// The same with a directory of shared libraries.
    #[must_use]
    pub fn library_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.libraries.push(directory.into());
        self
    }

    /// The same with another place for its output.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }
}

/// What becomes of a process's standard output and error.
#[derive(Clone, Debug)]
pub enum Output {
    /// They are the simulator's own.
    Inherited,
    /// Nothing.
    Discarded,
    /// They are kept in memory, for as long as this lives: up to 64 MiB. Who writes more to them, or to another file, is ended by
    /// SIGXFSZ (RLIMIT_FSIZE).
    Captured(Captured),
}

/// What processes have written.
#[derive(Clone, Debug)]
pub struct Captured(Arc<OwnedFd>);

impl Captured {
    /// An empty one.
    ///
    /// # Errors
    /// When the system gives no memory file.
    pub fn new() -> io::Result<Self> {
        let file = rustix::fs::memfd_create("causeway-output", MemfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(file)))
    }

    /// Getter: the file.
    pub(super) fn file(&self) -> &OwnedFd {
        &self.0
    }

    /// Output: what was written; of more than a MiB the beginning and the end. What is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        let len = rustix::fs::fstat(&*self.0).map_or(0, |stat| stat.st_size.unsigned_abs());
        if len <= CAPTURED_MAX as u64 {
            return String::from_utf8_lossy(&self.bytes(0, CAPTURED_MAX)).into_owned();
        }
        let (start, end) = (self.bytes(0, CAPTURED_MAX / 2), len - CAPTURED_MAX as u64 / 2);
        let end = self.bytes(end, CAPTURED_MAX / 2);
        let [start, end] = [&start, &end].map(|bytes| String::from_utf8_lossy(bytes));
        format!("{start}\n[...]\n{end}")
    }

    fn bytes(&self, from: u64, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let mut len = 0;
        while let Ok(more @ 1..) = rustix::io::pread(&*self.0, &mut bytes[len..], from + len as u64)
        {
            len += more;
        }
        bytes.truncate(len);
        bytes
    }
}

static TOLD: OnceLock<PathBuf> = OnceLock::new();

/// Command: says where the preload object is, for executables that know it. The first call counts.
pub fn set_preload(path: PathBuf) {
    TOLD.get_or_init(|| path);
}

/// Getter: the preload object: what [`set_preload`] or `CAUSEWAY_VTIME_LIBRARY` names, else the file `libcauseway_vtime.so` in the
/// directory of this executable or one of the three above, or in a `lib/causeway` beside one of them.
///
/// # Errors
/// In words, when there is none.
pub fn find_preload() -> Result<PathBuf, String> {
    if let Some(path) = TOLD.get() {
        return Ok(path.clone());
    }
    if let Some(path) = env::var_os(PRELOAD_VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!("{PRELOAD_VARIABLE} names {}, which is no file", path.display()))
        };
    }
    let executable = env::current_exe()
        .map_err(|error| format!("this executable's own path is unknown: {error}"))?;
    let candidates = executable.ancestors().skip(1).take(4);
    let places = |dir: &Path| [dir.join(PRELOAD_FILE), dir.join("lib/causeway").join(PRELOAD_FILE)];
    candidates.flat_map(places).find(|path| path.is_file()).ok_or_else(|| {
        format!(
            "{PRELOAD_FILE} is not beside {}; build it (cargo build -p causeway-vtime), or name it \
             in {PRELOAD_VARIABLE}",
            executable.display()
        )
    })
}
