//! What the tests need beyond Rust and a C compiler, installed where it is missing.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, bail, ensure};

use crate::coverage;
use crate::run::{command, on_path, read, run, target_dir};

/// A program and the Debian package that brings it.
const TOOLS: &[(&str, &str)] = &[
    ("cc", "gcc"),
    ("g++", "g++"),
    ("make", "make"),
    ("nm", "binutils"),
    ("git", "git"),
    ("ip", "iproute2"),
    ("ss", "iproute2"),
    ("curl", "curl"),
    ("sha256sum", "coreutils"),
    ("python3", "python3"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("nsenter", "util-linux"),
    ("ping", "iputils-ping"),
    ("valgrind", "valgrind"),
    ("tshark", "tshark"),
    ("node", "nodejs"),
    ("pkg-config", "pkgconf"),
    ("groff", "groff-base"),
    ("systemd-analyze", "systemd"),
];

const CARGO_FUZZ_VERSION: &str = "0.13.1";

/// Installs everything that is missing.
///
/// # Errors
/// One message that names what is missing and how to get it, when it cannot be installed from here.
pub fn everything() -> Result<()> {
    debian_packages()?;
    tun_device()?;
    components()?;
    nightly()?;
    cargo_fuzz()
}

/// What has to be free on disk where a stage begins.
const ROOM_MIB: u64 = 2_048;

/// Fails when the disk is nearly full: half-way through, it would look like a fault of the test that came last.
///
/// # Errors
/// One message that names the directory and what is missing.
pub fn room_on_disk() -> Result<()> {
    let target = target_dir();
    std::fs::create_dir_all(&target)
        .with_context(|| format!("cannot make {}", target.display()))?;
    for directory in [target, std::env::temp_dir()] {
        let mut df = command(&["df", "--output=avail", "--block-size=1M"]);
        df.arg(&directory);
        let shown = read(df)?;
        let free: u64 =
            shown.lines().nth(1).and_then(|n| n.trim().parse().ok()).context("df says nothing")?;
        ensure!(
            free >= ROOM_MIB,
            "{} has {free} MiB free, a stage needs {ROOM_MIB}: remove files there, or name another \
             directory with CARGO_TARGET_DIR or TMPDIR",
            directory.display()
        );
    }
    Ok(())
}

fn is_root() -> Result<bool> {
    Ok(read(command(&["id", "-u"]))?.trim() == "0")
}

fn debian_packages() -> Result<()> {
    let mut packages: Vec<&str> =
        TOOLS.iter().filter(|(tool, _)| !on_path(tool)).map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !is_root()? || !on_path("apt-get") {
        bail!(
            "missing: {list}. Install them, on Debian with: sudo apt-get install --no-install-recommends {list}"
        );
    }
    run(command(&["apt-get", "update", "-q"]))?;
    let mut install = command(&["apt-get", "install", "-q", "-y", "--no-install-recommends"]);
    install.args(&packages).env("DEBIAN_FRONTEND", "noninteractive");
    run(install)
}

/// The device exists, and everybody may open it, as is usual: what may be done with it is decided elsewhere (CAP_NET_ADMIN). Machines
/// without udev have it for root alone.
fn tun_device() -> Result<()> {
    const DEVICE: &str = "/dev/net/tun";
    const MODE: u32 = 0o666;
    let root = is_root()?;
    let Ok(found) = std::fs::metadata(DEVICE) else {
        ensure!(root, "{DEVICE} is missing: load the kernel module `tun` (sudo modprobe tun)");
        std::fs::create_dir_all("/dev/net").context("cannot make /dev/net")?;
        return run(command(&["mknod", "-m", "0666", DEVICE, "c", "10", "200"]));
    };
    if found.permissions().mode() & MODE == MODE {
        return Ok(());
    }
    ensure!(
        root,
        "{DEVICE} is not for everybody, which is its usual mode: sudo chmod 0666 {DEVICE}"
    );
    run(command(&["chmod", "0666", DEVICE]))
}

/// A minimal installation of Rust has none of them.
///
/// # Errors
/// When one is missing and rustup cannot add it.
pub fn components() -> Result<()> {
    let mut missing: Vec<&str> = ["fmt", "clippy"]
        .into_iter()
        .filter(|tool| read(command(&["cargo", tool, "--version"])).is_err())
        .map(|tool| if tool == "fmt" { "rustfmt" } else { "clippy" })
        .collect();
    if !coverage::tool("llvm-cov")?.is_file() {
        missing.push("llvm-tools");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut add = command(&["rustup", "component", "add"]);
    add.args(missing);
    run(add)
}

fn nightly() -> Result<()> {
    if read(command(&["cargo", "+nightly", "--version"])).is_ok() {
        return Ok(());
    }
    run(command(&["rustup", "toolchain", "install", "nightly", "--profile", "minimal"])).context(
        "fuzzing and the address sanitizer need Rust nightly: rustup toolchain install nightly",
    )
}

fn cargo_fuzz() -> Result<()> {
    if read(command(&["cargo", "fuzz", "--version"])).is_ok() {
        return Ok(());
    }
    run(command(&["cargo", "install", "--locked", "--version", CARGO_FUZZ_VERSION, "cargo-fuzz"]))
}
