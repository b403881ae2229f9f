//! What an operator sees of a running daemon.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

mod daemon;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use daemon::{LOOPBACK, Running, Served, wait};
use serde_json::Value;

fn sockets(served: &Served, args: &[&str]) -> Vec<Value> {
    let args = [&["ss", "--json"], args].concat();
    let document: Value = serde_json::from_str(&served.told(&args)).unwrap();
    document["sockets"].as_array().unwrap().clone()
}

/// A listener, a connection with both ends, and the same of messages.
fn traffic(served: &Served) -> [Running; 4] {
    let tcp = served.start("l", &["nc", "--listen", "10.0.1.5", "7000"]);
    served.wait_for("l", "listening on");
    let messages = served.start("m", &["nc", "--message", "--listen", "10.0.1.5", "7001"]);
    served.wait_for("m", "listening on");
    let mut call = served.start("c", &["nc", "10.0.1.5", "7000"]);
    std::io::Write::write_all(call.0.stdin.as_mut().unwrap(), b"twelve bytes").unwrap();
    let flow = served.start("f", &["nc", "--message", "--local", "10.0.1.6", "10.0.1.5", "7001"]);
    let up = |row: &Value| row["state"] == "ESTAB";
    wait(|| sockets(served, &[]).iter().filter(|row| up(row)).count() == 4);
    let acked = |row: &Value| row["info"]["bytes_acked"].as_u64() > Some(12);
    wait(|| sockets(served, &["--tcp"]).iter().any(acked));
    [tcp, messages, call, flow]
}

#[test]
fn sockets_are_listed_with_their_ends_their_owners_and_their_figures() {
    let tenant = "[[tenant]]\nname = \"ours\"\nusers = [\"*\"]\n";
    let extended = "[machnet]\nextended = true\n";
    let served = Served::new("sockets", &format!("{LOOPBACK}{tenant}{extended}"));
    let [listens, _messages, calls, _flow] = traffic(&served);
    let tcp = sockets(&served, &["--tcp"]);
    let of = |row: &Value, state: &str| row["transport"] == "tcp" && row["state"] == state;
    // nc takes one peer and then listens no more; its connection is there with both ends.
    let from = |pid: u32| tcp.iter().find(|row| row["pid"] == pid && of(row, "ESTAB")).unwrap();
    let (ours, theirs) = (from(calls.0.id()), from(listens.0.id()));
    assert_eq!((&ours["remote"], &theirs["local"]), (&theirs["local"], &ours["remote"]));
    assert_eq!(ours["remote"], "10.0.1.5:7000");
    assert_eq!((&ours["interface"], &ours["tenant"]), (&"loopback".into(), &"ours".into()));
    // The SYN counts, as Linux counts.
    assert_eq!(
        (&ours["info"]["bytes_acked"], &theirs["info"]["bytes_received"]),
        (&13.into(), &12.into())
    );
    assert!(
        ours["info"]["srtt_ns"].as_u64() > Some(0) && ours["info"]["snd_cwnd"].as_u64() > Some(0)
    );
    assert!(sockets(&served, &["--udp"]).is_empty());
    let flows = sockets(&served, &["--machnet"]);
    assert!(flows.iter().all(|row| row["transport"] == "machnet"), "{flows:?}");
    assert!(flows.iter().any(|row| row["profile"] == "extended" && row["state"] == "ESTAB"));

    let _another = served.start("k", &["nc", "--keep", "--listen", "10.0.1.6", "7002"]);
    served.wait_for("k", "listening on");
    let listening = sockets(&served, &["--listening", "--tcp"]);
    let addresses: Vec<&Value> = listening.iter().map(|row| &row["local"]).collect();
    assert!(addresses.contains(&&"10.0.1.6:7002".into()), "{addresses:?}");
    assert!(listening.iter().all(|row| row["backlog"].as_u64() > Some(0) && row["waiting"] == 0));

    let table = served.told(&["ss", "--tcp", "--info"]);
    let mut lines = table.lines();
    let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let columns = ["Proto", "State", "Waiting", "Local", "Peer", "Interface", "Process", "Tenant"];
    assert_eq!(head, columns);
    let own = format!("{} (uid {})", calls.0.id(), rustix::process::getuid().as_raw());
    assert!(
        table.lines().any(|line| line.contains("10.0.1.5:7000") && line.contains(&own)),
        "{table}"
    );
    assert!(table.contains("bytes_acked:13 ") && !table.contains(":0 "), "{table}");
}

#[test]
fn counters_and_gauges_are_told_for_the_stack_its_interfaces_tenants_and_channels() {
    let tenant = "[[tenant]]\nname = \"ours\"\nusers = [\"*\"]\nchannels_max = 9\n";
    let served = Served::new("stats", &format!("{LOOPBACK}{tenant}"));
    let running = traffic(&served);
    let document: Value = serde_json::from_str(&served.told(&["stats", "--json"])).unwrap();
    let metrics = document["metrics"].as_array().unwrap();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let fits = |m: &&Value| {
            m["name"] == name && labels.iter().all(|(label, is)| m["labels"][label] == *is)
        };
        let found: Vec<&Value> = metrics.iter().filter(fits).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}");
        found[0]["value"].as_u64().unwrap()
    };
    assert!(value("causeway_tcp_segments_in_total", &[]) >= 4);
    assert!(value("causeway_machnet_packets_out_total", &[]) >= 2);
    let frames = value("causeway_interface_rx_frames_total", &[("interface", "loopback")]);
    let bytes = value("causeway_interface_tx_bytes_total", &[("interface", "loopback")]);
    assert!(frames >= 6 && bytes >= 40 * frames, "{frames} {bytes}");
    for what in ["rx_frames", "rx_bytes", "tx_frames", "tx_bytes"] {
        let of = format!("causeway_interface_{what}_total");
        let each = ["loopback", "lo0"].map(|name| value(&of, &[("interface", name)]));
        assert_eq!(each[0] + each[1], value(&format!("causeway_{what}_total"), &[]), "{what}");
    }
    assert_eq!(value("causeway_interface_up", &[("interface", "lo0")]), 1);
    assert_eq!(value("causeway_channels", &[]), 4);
    assert_eq!(value("causeway_tenant_channels", &[("tenant", "ours")]), 4);
    assert_eq!(value("causeway_tenant_channels_max", &[("tenant", "ours")]), 9);
    for program in &running {
        let pid = program.0.id().to_string();
        let sockets = value("causeway_channel_sockets", &[("pid", &pid), ("tenant", "ours")]);
        assert!((1..=2).contains(&sockets), "{sockets}");
    }
    assert_eq!(value("causeway_rx_dropped_frames_total", &[("reason", "checksum")]), 0);
    let lines = served.told(&["stats"]);
    assert!(
        lines.lines().all(|line| line.starts_with("causeway_") && !line.ends_with(" 0")),
        "{lines}"
    );
    assert!(lines.contains("causeway_tenant_channels{tenant=\"ours\"}"), "{lines}");
    assert!(served.told(&["stats", "--all"]).lines().count() > lines.lines().count());
}

#[test]
fn others_see_what_is_theirs_and_nothing_else() {
    let served = Served::new("others", &format!("[daemon]\nsocket_mode = \"666\"\n{LOOPBACK}"));
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&served.directory, open).unwrap();
    let _running = traffic(&served);
    let as_nobody = |args: &[&str]| {
        // A copy that everybody can execute, wherever the build is.
        let copy = served.directory.join("causeway");
        if !copy.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_causeway"), &copy).unwrap();
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--clear-groups"]).arg(copy).args(args);
        command.env("CAUSEWAY_SOCKET", served.directory.join("s")).output().unwrap()
    };
    let seen = as_nobody(&["ss", "--json"]);
    if !rustix::process::geteuid().is_root() {
        // Who may not be another user is nobody else.
        assert!(!seen.status.success());
        return;
    }
    let document: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(document["sockets"].as_array().unwrap().len(), 0);
    let frames = as_nobody(&["pcap", "--write", "/dev/null", "--seconds", "1"]);
    assert_eq!(
        String::from_utf8(frames.stderr).unwrap(),
        "causeway: the daemon refuses: frames are for root and the user of the daemon\n"
    );
    let stats = String::from_utf8(as_nobody(&["stats"]).stdout).unwrap();
    assert!(
        stats.contains("causeway_channels ") && !stats.contains("causeway_channel_"),
        "{stats}"
    );
}

#[test]
fn without_a_daemon_tools_say_how_to_get_one() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    let output = command.args(["ss", "--socket", "/nonexistent/s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "causeway: cannot reach the daemon at /nonexistent/s: No such file or directory (os error 2); start \
         one with `causeway serve --config FILE`, or name its socket with --socket\n"
    );
}

#[test]
fn the_log_is_json_where_that_is_asked_for() {
    let config = format!("[daemon]\nlog_format = \"json\"\n{LOOPBACK}");
    let served = Served::new("json", &config);
    let _nc = served.start("l", &["nc", "--listen", "10.0.1.5", "7000"]);
    served.wait_for("log", "\"attached\"");
    let log = std::fs::read_to_string(served.directory.join("log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let attached = lines.iter().find(|line| line["message"] == "attached").unwrap();
    assert_eq!((&attached["level"], &attached["fields"]["channel"]), (&"INFO".into(), &0.into()));
    assert!(attached["target"].as_str().unwrap().starts_with("causeway_server"), "{attached}");
    assert!(attached["time_ns"].as_u64() > Some(1_700_000_000_000_000_000), "{attached}");
    let serving = lines.iter().find(|line| line["message"] == "serving").unwrap();
    let path = served.directory.join("s");
    assert_eq!(serving["fields"]["socket"], path.to_str().unwrap());
}
