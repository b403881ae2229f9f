//! The C and C++ compilers, and the script that builds the shared library.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// A language standard that headers must compile under.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    /// C11, pedantically.
    C11,
    /// C++17, pedantically.
    Cxx17,
}

/// Getter: the root of the repository.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// A directory for what the tests build, inside the target directory.
fn scratch(name: &str) -> Result<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => root().join("target"),
    };
    let directory = target.join("tmp").join(format!("abi-{name}"));
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Compiles `source` without linking it, every warning an error. The message of a failure is the compiler's.
pub fn compile(language: Language, name: &str, source: &str) -> Result<()> {
    let (compiler, standard, extension) = match language {
        Language::C11 => (variable("CC", "cc"), "-std=c11", "c"),
        Language::Cxx17 => (variable("CXX", "c++"), "-std=c++17", "cc"),
    };
    let directory = scratch(&format!("{name}-{extension}-{}", std::process::id()))?;
    let file = directory.join(format!("{name}.{extension}"));
    std::fs::write(&file, source)?;
    let mut command = Command::new(&compiler);
    command
        .args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-I"])
        .arg(root().join("capi/include"))
        .arg(&file);
    let outcome = run(&mut command);
    std::fs::remove_dir_all(&directory)?;
    outcome.map(drop)
}

/// The shared library, built once per test process; gives the directory that holds it.
pub fn shared_library() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|e| format!("{e:#}")));
    match built {
        Ok(directory) => Ok(directory),
        Err(message) => bail!("{message}"),
    }
}

fn build() -> Result<PathBuf> {
    // The script renames over what is there: runs side by side do not disturb each other.
    let directory = scratch("shim")?;
    let script = root().join("capi/build_shim.sh");
    run(Command::new(script).arg(&directory).env("PROFILE", "dev"))?;
    Ok(directory)
}

/// Runs a command to its end; a failure carries what it printed.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}\n{printed}", output.status);
    }
    Ok(output)
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}
