//! What the interfaces of a configuration need.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::IpAddr;
use std::process::Command;

use causeway_server::config::{Backend, Config, InterfaceConfig};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::Finding;
use super::links::{Link, links};

/// Their numbers in capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// Looks at each interface, or at what both kinds of devices need in general.
pub(super) fn look(config: Option<&Config>, findings: &mut Vec<Finding>) {
    let links = match links() {
        Ok(links) => links,
        Err(cause) => {
            let remedy = "allow AF_NETLINK here, to see the devices";
            findings.push(Finding::note(
                "devices",
                format!("they cannot be seen: {cause}"),
                remedy,
            ));
            Vec::new()
        }
    };
    let Some(config) = config else {
        // Which of them matter is not known.
        let noted = |finding: Finding| match finding.remedy {
            Some(remedy) => Finding::note(finding.check, finding.found, remedy),
            None => finding,
        };
        findings.push(noted(tun()));
        findings.push(noted(packet_socket()));
        return;
    };
    let uses = |backend| config.interfaces().iter().any(|i| i.backend() == backend);
    if uses(Backend::Tap) {
        findings.push(tun());
    }
    if uses(Backend::Packet) {
        findings.push(packet_socket());
    }
    for interface in config.interfaces() {
        let link = links.iter().find(|link| link.name == interface.device());
        match interface.backend() {
            Backend::Tap => findings.push(tap(interface, link)),
            Backend::Packet => findings.extend(packet(interface, link)),
            Backend::Loopback | Backend::Simulated => continue,
        }
        findings.extend(kernels_addresses(interface, &links));
    }
}

/// The effective capabilities of this process.
fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    set >> number & 1 == 1
}

fn tun() -> Finding {
    let (check, path) = ("tap", "/dev/net/tun");
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Finding::good(check, format!("{path} can be opened")),
        Err(cause) => Finding::wrong(
            check,
            format!("{path}: {cause}"),
            "modprobe tun; in a container, pass the device in; its permissions must let this user read and write",
        ),
    }
}

fn packet_socket() -> Finding {
    let check = "packet";
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    match rustix::net::socket_with(AddressFamily::PACKET, kind, flags, None) {
        Ok(_) => Finding::good(check, "AF_PACKET sockets can be opened"),
        Err(Errno::PERM | Errno::ACCESS) => Finding::wrong(
            check,
            "AF_PACKET takes CAP_NET_RAW, which this user has not",
            "start as root, with AmbientCapabilities=CAP_NET_RAW in the unit, or inside `unshare -Urn`",
        ),
        Err(cause) => Finding::wrong(
            check,
            format!("AF_PACKET: {cause}"),
            "take a kernel with CONFIG_PACKET, or allow the family in the sandbox",
        ),
    }
}

fn tap(interface: &InterfaceConfig, link: Option<&Link>) -> Finding {
    let (check, device) = ("interface", interface.device());
    let name = interface.name();
    match link {
        Some(_) => Finding::good(check, format!("{name}: {device} exists and is used as it is")),
        None if has_capability(CAP_NET_ADMIN) => {
            Finding::good(check, format!("{name}: {device} will be created"))
        }
        None => Finding::wrong(
            check,
            format!("{name}: {device} does not exist, and creating it takes CAP_NET_ADMIN"),
            format!(
                "ip tuntap add dev {device} mode tap user $USER, start as root, or inside `unshare -Urn`"
            ),
        ),
    }
}

fn packet(interface: &InterfaceConfig, link: Option<&Link>) -> Vec<Finding> {
    let (check, device) = ("interface", interface.device());
    let name = interface.name();
    let mut findings = Vec::new();
    let Some(link) = link else {
        findings.push(Finding::wrong(
            check,
            format!("{name}: there is no device {device}"),
            "set interface.device to one that `ip link` lists",
        ));
        return findings;
    };
    findings.push(if !link.up {
        let found = format!("{name}: {device} is down");
        Finding::wrong(check, found, format!("ip link set {device} up"))
    } else if !link.running {
        let found = format!("{name}: {device} has no carrier");
        Finding::note(check, found, "plug the cable in; the daemon waits for it")
    } else if u32::from(interface.mtu()) > link.mtu {
        let (ours, theirs) = (interface.mtu(), link.mtu);
        let found = format!("{name}: its mtu is {ours}, that of {device} {theirs}");
        let remedy = format!("ip link set {device} mtu {ours}, or set interface.mtu to {theirs}");
        Finding::wrong(check, found, remedy)
    } else {
        Finding::good(check, format!("{name}: {device} is up"))
    });
    if !has_capability(CAP_NET_RAW) {
        // The socket itself says so already.
        return findings;
    }
    findings.extend(large_receive(name, device));
    findings
}

/// Large receive offload joins segments so that nobody can tell their boundaries any more.
fn large_receive(name: &str, device: &str) -> Option<Finding> {
    let check = "offloads";
    let output = Command::new("ethtool").args(["-k", device]).output();
    let Ok(output) = output else {
        return Some(Finding::note(
            check,
            format!("{name}: whether {device} joins segments (LRO) cannot be seen without ethtool"),
            format!("install ethtool; if it does: ethtool -K {device} lro off"),
        ));
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let joins = text.lines().any(|line| line.trim().starts_with("large-receive-offload: on"));
    Some(match joins {
        true => Finding::wrong(
            check,
            format!("{name}: {device} joins segments (LRO) and hides their boundaries"),
            format!("ethtool -K {device} lro off"),
        ),
        false => Finding::good(check, format!("{name}: none of {device} harms")),
    })
}

/// Where the kernel has an address of ours it answers our connections with RST, and our neighbours' questions with its own.
fn kernels_addresses(interface: &InterfaceConfig, links: &[Link]) -> Vec<Finding> {
    let kernels: BTreeMap<IpAddr, &str> =
        links.iter().flat_map(|l| l.addresses.iter().map(|a| (*a, l.name.as_str()))).collect();
    let shared = interface.addresses().iter().filter_map(|ours| {
        let address = ours.addr();
        let device = kernels.get(&address)?;
        Some(Finding::wrong(
            "addresses",
            format!(
                "{}: the kernel has {address}, too, on {device}: it resets our connections",
                interface.name()
            ),
            format!(
                "ip address del {address}/{} dev {device}, or take another address",
                ours.prefix_len()
            ),
        ))
    });
    let shared: Vec<Finding> = shared.collect();
    if shared.is_empty() {
        let found = format!("{}: the kernel has none of them", interface.name());
        return vec![Finding::good("addresses", found)];
    }
    shared
}
