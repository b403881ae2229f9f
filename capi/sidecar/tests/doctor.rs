//! `causeway doctor` on machines of its own: network namespaces.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

struct Place(PathBuf);

impl Place {
    fn new(name: &str, config: &str) -> Self {
        let directory = format!("causeway-doctor-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("c.toml"), config).unwrap();
        Self(directory)
    }

    /// What it finds in a new network namespace in which `setup` was done.
    fn look(&self, setup: &str) -> (Option<i32>, Vec<Value>) {
        let script = format!("{setup}\nexec \"$0\" doctor --json --config c.toml");
        let mut command = Command::new("unshare");
        command.args(["-Urn", "sh", "-ec", &script, env!("CARGO_BIN_EXE_causeway")]);
        command.current_dir(&self.0).env("CAUSEWAY_SOCKET", self.0.join("s"));
        let output = command.output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), document["findings"].as_array().unwrap().clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wrong(findings: &[Value]) -> Vec<(&str, &str, &str)> {
    let wrong = findings.iter().filter(|finding| finding["level"] == "wrong");
    wrong
        .map(|f| {
            let text = |key: &str| f[key].as_str().unwrap();
            (text("check"), text("found"), text("remedy"))
        })
        .collect()
}

const PACKET: &str = "[[interface]]\nname = \"net\"\nbackend = \"packet\"\ndevice = \"v0\"\n\
                      addresses = [\"10.0.1.5/24\", \"fd00::5/64\"]\nmtu = 1500\n\
                      [channel]\nchannels_max = 4\n";
const PAIR: &str = "ip link add v0 type veth peer name v1\nip link set v1 up";

#[test]
fn a_machine_that_has_all_that_is_needed_is_good() {
    let place = Place::new("good", PACKET);
    let (code, findings) = place.look(&format!("{PAIR}\nip link set v0 up"));
    assert_eq!((code, wrong(&findings)), (Some(0), vec![]));
    let good = |check: &str, found: &str| {
        let is = |f: &Value| f["check"] == check && f["found"].as_str().unwrap().contains(found);
        assert!(findings.iter().any(is), "{check}: {found}: {findings:?}");
    };
    good("configuration", "has no fault");
    good("packet", "AF_PACKET sockets can be opened");
    good("interface", "net: v0 is up");
    good("addresses", "the kernel has none of them");
    good("shared memory", "memfd_create works");
    good("control socket", "can be made");
    for finding in &findings {
        assert_eq!(finding["level"] == "good", finding["remedy"].is_null(), "{finding}");
    }
}

#[test]
fn each_fault_is_found_with_its_remedy() {
    let place = Place::new("faults", PACKET);
    let one = |setup: &str| {
        let (code, findings) = place.look(setup);
        assert_eq!(code, Some(1), "{findings:?}");
        let found = wrong(&findings);
        assert_eq!(found.len(), 1, "{found:?}");
        let (check, found, remedy) = found[0];
        format!("{check}: {found} -> {remedy}")
    };
    assert_eq!(
        one(""),
        "interface: net: there is no device v0 -> set interface.device to one that `ip link` lists"
    );
    assert_eq!(one(PAIR), "interface: net: v0 is down -> ip link set v0 up");
    assert_eq!(
        one(&format!("{PAIR}\nip link set v0 mtu 1400 up")),
        "interface: net: its mtu is 1500, that of v0 1400 -> ip link set v0 mtu 1500, or set interface.mtu to 1400"
    );
    assert_eq!(
        one(&format!("{PAIR}\nip link set v0 up\nip address add 10.0.1.5/24 dev v1")),
        "addresses: net: the kernel has 10.0.1.5, too, on v1: it resets our connections -> \
         ip address del 10.0.1.5/24 dev v1, or take another address"
    );
    assert_eq!(
        one(&format!("{PAIR}\nip link set v0 up\nip address add fd00::5/64 dev v0 nodad")),
        "addresses: net: the kernel has fd00::5, too, on v0: it resets our connections -> \
         ip address del fd00::5/64 dev v0, or take another address"
    );
    let up = format!("{PAIR}\nip link set v0 up");
    let file = place.0.join("s");
    std::fs::write(&file, "").unwrap();
    let at = file.display();
    assert_eq!(
        one(&up),
        format!("control socket: {at} exists and is no socket -> remove it, or set daemon.socket")
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        one(&format!("{up}\nulimit -n 70")),
        "file descriptors: RLIMIT_NOFILE is 70; 4 channels take up to 84 -> ulimit -n 84, \
         LimitNOFILE=84 in the unit, or lower channel.channels_max"
    );
}

#[test]
fn a_fault_in_the_file_and_missing_privileges_are_found_too() {
    let place = Place::new("file", &format!("[daemon]\nspin_us = -1\n{PACKET}"));
    let (code, findings) = place.look("");
    let found = wrong(&findings);
    assert_eq!((code, found.len(), found[0].0), (Some(1), 1, "configuration"));
    assert!(found[0].1.contains("c.toml:2: daemon.spin_us: -1 is out of range"), "{found:?}");
    let place = Place::new("rights", &PACKET.replace("packet", "tap"));
    // Without any capability, in a namespace without the device.
    let (code, findings) = place.look("set -- \"$0\"\nexec setpriv --bounding-set -all --inh-caps -all \"$0\" doctor --json --config c.toml");
    let found = wrong(&findings);
    assert_eq!(code, Some(1));
    assert!(
        found.iter().any(|(check, found, _)| *check == "interface" && found.contains("takes CAP_NET_ADMIN")),
        "{findings:?}"
    );
}
