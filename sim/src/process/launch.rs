//! Starts the first process of a guest.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::config::{Output, ProcessConfig, WRITTEN_MAX};
use super::wire::{DAEMON_PATH, STATE_FIRST, STATE_VARIABLE};

/// What is read of a program to see what it is.
const HEAD_BYTES: u64 = 4_096;
const PT_INTERP: u32 = 3;

/// A pair of sockets that carry packets, and end with each other.
pub(super) fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Command: starts the process, and gives it with the world's end of its baton.
///
/// # Errors
/// In words of its own where the program cannot be run under virtual time at all.
pub(super) fn launch(config: &ProcessConfig) -> io::Result<(Child, OwnedFd)> {
    let unfit = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let program = config.program.canonicalize().map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}", config.program.display()))
    })?;
    if !is_dynamic(&program)? {
        return Err(unfit(format!(
            "{} is linked statically: the preload object cannot be loaded into it",
            program.display()
        )));
    }
    let preload = config.preload.canonicalize().map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}", config.preload.display()))
    })?;
    let (ours, theirs) = packet_pair()?;
    let (output, errors) = match &config.output {
        Output::Inherited => (Stdio::inherit(), Stdio::inherit()),
        Output::Discarded => (Stdio::null(), Stdio::null()),
        Output::Captured(captured) => {
            (captured.file().try_clone()?.into(), captured.file().try_clone()?.into())
        }
    };
    let mut command = Command::new(program);
    command.args(&config.arguments).env_clear();
    command.envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("TZ", "UTC")]);
    command.envs(config.environment.iter().map(|(name, value)| (name, value)));
    // The C library registers no restartable sequences: they would tell the processor's number.
    command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
    command.env("CAUSEWAY_SOCKET", DAEMON_PATH).env(STATE_VARIABLE, STATE_FIRST);
    // Before any other: it must see the calls that the others make.
    let others = config.environment.iter().filter(|(name, _)| name == "LD_PRELOAD");
    let mut objects = preload.into_os_string();
    for (_, other) in others {
        objects.push(":");
        objects.push(other);
    }
    command.env("LD_PRELOAD", objects);
    if !config.libraries.is_empty() {
        let paths = std::env::join_paths(&config.libraries).map_err(|e| unfit(e.to_string()))?;
        command.env("LD_LIBRARY_PATH", paths);
    }
    if let Some(directory) = &config.directory {
        command.current_dir(directory);
    }
    let child = command.stdin(Stdio::from(theirs)).stdout(output).stderr(errors).spawn()?;
    if matches!(config.output, Output::Captured(_)) {
        // It waits for its first turn, and has written nothing.
        limit_files(&child)?;
    }
    Ok((child, ours))
}

/// No file of the process, what it writes among them, becomes longer.
fn limit_files(child: &Child) -> io::Result<()> {
    let limit = Rlimit { current: Some(WRITTEN_MAX), maximum: Some(WRITTEN_MAX) };
    prlimit(Some(Pid::from_child(child)), Resource::Fsize, limit)?;
    Ok(())
}

/// Whether a dynamic linker starts the program. What is no ELF file has an interpreter that does.
fn is_dynamic(program: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(program)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    let number = |at: usize, len: usize| {
        let bytes = head.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)))
    };
    if !head.starts_with(b"\x7fELF") {
        return Ok(true);
    }
    // ELF64: e_phoff, e_phentsize, e_phnum; then p_type of each.
    let (Some(at), Some(size), Some(count)) = (number(32, 8), number(54, 2), number(56, 2)) else {
        return Ok(false);
    };
    let kinds = (0..count)
        .map_while(|index| number(usize::try_from(at.checked_add(index * size)?).ok()?, 4));
    Ok(kinds.into_iter().any(|kind| kind == u64::from(PT_INTERP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_is_told_from_a_dynamic_one() {
        let dir = std::env::temp_dir().join(format!("causeway-launch-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let source = dir.join("program.c");
        std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
        for (flag, dynamic) in [("-pie", true), ("-no-pie", true), ("-static", false)] {
            let program = dir.join("program");
            let cc = Command::new("cc").arg(flag).arg("-o").arg(&program).arg(&source).status();
            assert!(cc.unwrap().success());
            assert_eq!(is_dynamic(&program).unwrap(), dynamic, "{flag}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
