//! What lies in a channel is in no core dump.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use causeway_channel::{AppChannel, DaemonChannel, Doorbells, Geometry, Owner, Wake};
use causeway_core::port::ChannelId;

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

/// The flags of each mapping of a channel in this process (VmFlags of proc_pid_smaps(5)).
fn mappings() -> Vec<String> {
    let all = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut flags, mut ours) = (Vec::new(), false);
    for line in all.lines() {
        match line.strip_prefix("VmFlags:") {
            Some(list) if ours => flags.push(list.to_owned()),
            Some(_) => {}
            // Only the first line of a mapping has a range of addresses.
            None if line.split(' ').next().is_some_and(|range| range.contains('-')) => {
                ours = line.contains("memfd:causeway-channel");
            }
            None => {}
        }
    }
    flags
}

#[test]
fn the_memory_of_a_channel_is_in_no_core_dump_of_either_side() {
    let bells = Doorbells::simulated(Arc::new(Silent), 1, vec![Arc::new(Silent)]);
    let id = ChannelId { index: 0, generation: 0 };
    let owner = Owner { pid: 1, lease: 0 };
    let (daemon, grant) = DaemonChannel::create(&Geometry::default(), id, owner, bells).unwrap();
    let app = AppChannel::map(grant).unwrap();
    let flags = mappings();
    assert!(flags.len() >= 2, "both sides map it: {flags:?}");
    for list in flags {
        assert!(list.split(' ').any(|flag| flag == "dd"), "{list}");
    }
    drop((daemon, app));
}
