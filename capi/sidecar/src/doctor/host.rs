//! What a daemon needs of the machine, whatever its interfaces are.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use causeway_server::config::{BusyPoll, Config, MetricsAddress};
use causeway_server::introspect::Inquiry;
use rustix::fs::{Access, MemfdFlags};
use rustix::process::{Resource, getrlimit};

use super::Finding;

/// Descriptors of one channel: its socket, its process, two bells, its memory while it is handed over.
const FDS_PER_CHANNEL: u64 = 5;
/// Those of the daemon itself.
const FDS_OF_ITS_OWN: u64 = 64;

/// Looks at all of it.
pub(super) fn look(config: Option<&Config>, findings: &mut Vec<Finding>) {
    findings.push(memfd());
    findings.push(huge_pages());
    let path = config.map(|config| config.daemon().socket().to_owned());
    findings.push(control_socket(&path.unwrap_or_else(causeway_server::default_socket_path)));
    findings.push(memory_lock());
    let Some(config) = config else { return };
    findings.push(descriptors(config));
    findings.extend(memory(config));
    findings.extend(metrics(config));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if config.daemon().busy_poll() == BusyPoll::Always && cores < 2 {
        findings.push(Finding::note(
            "busy polling",
            "daemon.busy_poll is \"always\", and this is the only core",
            "take \"adaptive\": applications would run in what polling leaves them",
        ));
    }
}

/// The memory of channels is of memfd_create(2), which needs no file system that is mounted.
fn memfd() -> Finding {
    let check = "shared memory";
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create("causeway-doctor", flags) {
        Ok(_) => Finding::good(check, "memfd_create works; /dev/shm is not needed"),
        Err(cause) => Finding::wrong(
            check,
            format!("memfd_create: {cause}: no channel can be made"),
            "allow the system call, in the seccomp filter of the container",
        ),
    }
}

fn huge_pages() -> Finding {
    let check = "huge pages";
    let total = of_meminfo("HugePages_Total:").unwrap_or(0);
    match total {
        0 => Finding::good(check, "none are reserved, and none are needed"),
        some => Finding::note(
            check,
            format!("{some} are reserved, which the daemon does not use"),
            "give them back, unless other programs need them: sysctl vm.nr_hugepages=0",
        ),
    }
}

fn memory_lock() -> Finding {
    let check = "locked memory";
    match getrlimit(Resource::Memlock).current {
        None => Finding::good(check, "RLIMIT_MEMLOCK is unlimited"),
        // Rings of AF_PACKET are the kernel's memory and count for nobody.
        Some(bytes) => Finding::good(
            check,
            format!(
                "RLIMIT_MEMLOCK is {} KiB, which matters with daemon.lock_memory only",
                bytes >> 10
            ),
        ),
    }
}

fn control_socket(path: &Path) -> Finding {
    let check = "control socket";
    let at = path.display();
    if Inquiry::connect(path).is_ok() {
        return Finding::note(
            check,
            format!("a daemon listens on {at}"),
            "a second one needs another daemon.socket",
        );
    }
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    // The daemon makes the last directory.
    let (asked, made) = match directory.is_dir() {
        true => (directory, ""),
        false => (directory.parent().unwrap_or(Path::new("/")), ", whose directory will be made"),
    };
    match rustix::fs::access(asked, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => match fs::symlink_metadata(path) {
            Ok(meta) if !is_socket(&meta) => Finding::wrong(
                check,
                format!("{at} exists and is no socket"),
                "remove it, or set daemon.socket",
            ),
            _ => Finding::good(check, format!("{at} can be made{made}")),
        },
        Err(cause) => Finding::wrong(
            check,
            format!("{}: {cause}: {at} cannot be made", asked.display()),
            "start as a user who may write there, or set daemon.socket",
        ),
    }
}

fn is_socket(meta: &fs::Metadata) -> bool {
    // S_IFMT, S_IFSOCK.
    meta.mode() & 0o170_000 == 0o140_000
}

fn descriptors(config: &Config) -> Finding {
    let check = "file descriptors";
    let channels = u64::from(config.channel().channels_max());
    let needed = channels * FDS_PER_CHANNEL + FDS_OF_ITS_OWN;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => Finding::wrong(
            check,
            format!("RLIMIT_NOFILE is {limit}; {channels} channels take up to {needed}"),
            format!(
                "ulimit -n {needed}, LimitNOFILE={needed} in the unit, or lower channel.channels_max"
            ),
        ),
        Some(limit) => {
            Finding::good(check, format!("RLIMIT_NOFILE is {limit}, {needed} are enough"))
        }
        None => Finding::good(check, "RLIMIT_NOFILE is unlimited"),
    }
}

/// What all channels would take together, against what there is.
fn memory(config: &Config) -> Option<Finding> {
    let check = "memory";
    let channels = u64::from(config.channel().channels_max());
    let geometry = config.channel().geometry();
    let chunks = u64::from(geometry.tx_chunks()) + u64::from(geometry.rx_chunks());
    let each = chunks * u64::from(geometry.chunk_bytes());
    let (needed, there) = (channels.saturating_mul(each), of_meminfo("MemTotal:")? << 10);
    let mib = |bytes: u64| bytes >> 20;
    let found = format!(
        "{channels} channels of {} MiB at most are {} MiB; the machine has {} MiB",
        mib(each),
        mib(needed),
        mib(there)
    );
    Some(match needed <= there {
        true => Finding::good(check, found),
        false => Finding::note(
            check,
            found,
            "lower channel.channels_max, tx_bytes or rx_bytes, unless few of them are ever full",
        ),
    })
}

/// A number of /proc/meminfo, in its own unit.
fn of_meminfo(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn metrics(config: &Config) -> Option<Finding> {
    let check = "metrics";
    let MetricsAddress::Tcp(address) = config.metrics().listen()? else { return None };
    Some(match TcpListener::bind(address) {
        Ok(_) => Finding::good(check, format!("{address} is free")),
        Err(cause) if cause.kind() == ErrorKind::AddrInUse => Finding::note(
            check,
            format!("something listens on {address}"),
            "if it is not the daemon that runs already, set metrics.listen to another port",
        ),
        Err(cause) => Finding::wrong(
            check,
            format!("{address}: {cause}"),
            "set metrics.listen to an address of this machine's loopback device",
        ),
    })
}
