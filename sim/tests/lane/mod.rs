//! What the tests of the process lane share: C programs, the shipped libraries, worlds.
#![allow(dead_code, reason = "each test executable uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use causeway_core::time::{Duration, Instant};
use causeway_sim::guest::{Bells, Program};
use causeway_sim::process::{Captured, Output, PRELOAD_VARIABLE, ProcessConfig, find_preload};
use causeway_sim::world::{HostEngine, HostId, RunError, World, WorldConfig};

/// Getter: the root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies below the root")
}

/// Where the tests build.
pub fn scratch() -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lane");
    std::fs::create_dir_all(&directory).expect("the target directory can be written");
    directory
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
}

/// The preload object that the environment names, or as the build makes it.
pub fn preload() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if std::env::var_os(PRELOAD_VARIABLE).is_some() {
            return find_preload().expect("the variable names a file");
        }
        let target = scratch().join("target");
        run(Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "causeway-vtime", "--target-dir"])
            .arg(&target)
            .current_dir(root()));
        target.join("debug/libcauseway_vtime.so")
    })
}

/// The directory with the shipped `libmachnet.so.0`.
pub fn shim() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = scratch().join("shim");
        run(Command::new(root().join("capi/build_shim.sh")).arg(&directory).env("PROFILE", "dev"));
        directory
    })
}

/// Compiles a C program that is in the tree, against the shipped library: once, whichever test asks first. A linker that writes it anew
/// makes it something that cannot be run, for a while.
pub fn program(path: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(path.to_owned()).or_insert_with(|| link(&root().join(path))).clone()
}

/// Compiles a C program that is given as text, against the shipped library.
pub fn program_from(name: &str, source: &str) -> PathBuf {
    let file = scratch().join(format!("{name}.c"));
    std::fs::write(&file, format!("#define _GNU_SOURCE\n{source}")).expect("it can be written");
    link(&file)
}

fn link(source: &Path) -> PathBuf {
    let stem = source.file_stem().expect("a C file has a name").to_owned();
    let program = scratch().join(format!("{}-{}", stem.display(), std::process::id()));
    run(Command::new("cc")
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-I"])
        .arg(root().join("capi/include"))
        .arg("-o")
        .arg(&program)
        .arg(source)
        .arg("-L")
        .arg(shim())
        .arg("-lmachnet"));
    program
}

/// Compiles a C program that needs the C library only.
pub fn small(name: &str, source: &str) -> PathBuf {
    small_with(name, source, &[])
}

/// The same with more for the compiler.
pub fn small_with(name: &str, source: &str, extra: &[&str]) -> PathBuf {
    let directory = scratch();
    let file = directory.join(format!("{name}-{}.c", std::process::id()));
    let program = file.with_extension("");
    std::fs::write(&file, format!("#define _GNU_SOURCE\n{source}")).expect("it can be written");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O1", "-pthread"]).args(extra).arg("-o").arg(&program).arg(&file);
    run(&mut cc);
    program
}

/// A host on which nothing happens.
struct Idle;

impl HostEngine for Idle {
    fn step(&mut self, _: Instant) -> Option<Instant> {
        None
    }
}

/// What a world with one process came to.
pub struct Ran {
    /// Its end.
    pub result: Result<(), RunError>,
    /// What the process wrote.
    pub output: String,
    /// The hash of all events.
    pub hash: u64,
    /// The virtual time at its end.
    pub now: Instant,
}

/// A world of one host without a network.
pub fn lone_world(seed: u64) -> (World, HostId) {
    limited_world(seed, std::time::Duration::from_secs(60))
}

/// The same, in which a guest's turn may take so long by the wall clock.
pub fn limited_world(seed: u64, wall_limit: std::time::Duration) -> (World, HostId) {
    let mut config = WorldConfig::new(seed);
    config.end_at = Instant::ZERO + Duration::from_secs(48 * 3_600);
    config.guest_wall_limit = wall_limit;
    let mut world = World::new(config);
    let host = world.add_host("lonely-host", Box::new(Idle), Arc::<Bells>::default());
    (world, host)
}

/// Runs one program alone in a world.
pub fn run_alone(seed: u64, program: &Path, arguments: &[&str]) -> Ran {
    let (mut world, host) = lone_world(seed);
    let captured = Captured::new().expect("a memory file");
    let config = ProcessConfig::new(program, preload())
        .arguments(arguments.iter().copied())
        .output(Output::Captured(captured.clone()));
    world.add_guest(host, "lonely", Instant::ZERO, Program::Process(config)).expect("it starts");
    let result = world.run();
    Ran { result, output: captured.text(), hash: world.state_hash(), now: world.now() }
}
