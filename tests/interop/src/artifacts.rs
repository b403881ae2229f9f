//! The programs under test, built once per test process and handed on to the labs by environment.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

const BINARY: &str = "CAUSEWAY_INTEROP_BINARY";
const PROGRAMS: &str = "CAUSEWAY_INTEROP_PROGRAMS";

/// Where the built programs are.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The binary `causeway`.
    pub causeway: PathBuf,
    /// The directory of the C examples and the shared library.
    pub programs: PathBuf,
}

impl Artifacts {
    /// Builds them, once; or takes those that the environment names: an ordinary user may not build where root has.
    pub fn build() -> Result<Self> {
        if let Ok(built) = Self::from_environment() {
            return Ok(built);
        }
        static BUILT: OnceLock<Result<Artifacts, String>> = OnceLock::new();
        let built = BUILT.get_or_init(|| build().map_err(|e| format!("{e:#}")));
        built.clone().map_err(anyhow::Error::msg)
    }

    /// Getter: those that the process outside built.
    pub fn from_environment() -> Result<Self> {
        let path = |name| std::env::var_os(name).map(PathBuf::from).context(name);
        Ok(Self { causeway: path(BINARY)?, programs: path(PROGRAMS)? })
    }

    /// Command: tells a child where they are.
    pub fn to_environment(&self, child: &mut Command) {
        child.env(BINARY, &self.causeway).env(PROGRAMS, &self.programs);
    }
}

fn build() -> Result<Artifacts> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    run(Command::new(env!("CARGO")).current_dir(&root).args([
        "build",
        "--quiet",
        "--package",
        "causeway",
        "--bin",
        "causeway",
    ]))?;
    let programs = programs_directory(&target.join("tmp"))?;
    run(Command::new("make")
        .arg("--directory")
        .arg(root.join("capi/examples"))
        .arg(format!("OUT={}", programs.canonicalize()?.display()))
        .env("PROFILE", "dev"))?;
    traced_hello(&root, &programs)?;
    compile(
        &root,
        "tests/interop/c/behaviour.c",
        &programs.join("behaviour"),
        &["-Wextra", "-pthread"],
    )?;
    let include = root.join("capi/include/upstream");
    let include = include.to_str().context("a path that is text")?;
    let flags = ["-Wextra", "-I", include];
    compile(&root, "tests/interop/c/upstream.c", &programs.join("upstream"), &flags)?;
    Ok(Artifacts { causeway: target.join("debug/causeway").canonicalize()?, programs })
}

/// A directory of this process's own, for runs side by side. Those of processes that are gone are removed.
fn programs_directory(parent: &Path) -> Result<PathBuf> {
    const PREFIX: &str = "interop-";
    std::fs::create_dir_all(parent)?;
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another run may be removing it as well.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let own = parent.join(format!("{PREFIX}{}", std::process::id()));
    std::fs::create_dir_all(&own)?;
    Ok(own)
}

/// The unchanged `hello.c`, with a header in front that renames its call of `machnet_recv` to one that prints
/// what the call returned.
fn traced_hello(root: &Path, programs: &Path) -> Result<()> {
    let header = root.join("tests/interop/c/traced_recv.h");
    let header = header.to_str().context("a path that is text")?;
    let flags = ["-Wno-unused-variable", "-include", header];
    compile(root, "capi/examples/hello.c", &programs.join("hello_traced"), &flags)
}

/// Compiles and links one C program against the shared library beside it.
fn compile(root: &Path, source: &str, program: &Path, flags: &[&str]) -> Result<()> {
    let programs = program.parent().context("a program in a directory")?;
    run(Command::new("cc")
        .args(["-std=c11", "-Wall", "-Werror"])
        .args(flags)
        .arg("-I")
        .arg(root.join("capi/include"))
        .arg(root.join(source))
        .arg("-o")
        .arg(program)
        .arg("-L")
        .arg(programs)
        .args(["-lmachnet", "-Wl,-rpath,$ORIGIN"]))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
