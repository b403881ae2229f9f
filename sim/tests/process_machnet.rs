//! The shipped C library in processes: threaded programs over `machnet.h` on two hosts of one world.

mod lane;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use causeway_channel::Geometry;
use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::MacAddr;
use causeway_core::time::{Duration, Instant};
use causeway_core::{machnet, tcp};
use causeway_sim::fault::{FaultProfile, FaultSource};
use causeway_sim::guest::{Bells, Program};
use causeway_sim::host::{Host, HostConfig};
use causeway_sim::link::LinkConfig;
use causeway_sim::nic::{NicConfig, NicPort};
use causeway_sim::process::{Captured, Output, ProcessConfig};
use causeway_sim::world::{HostId, World, WorldConfig};

fn add_host(world: &mut World, seed: u64, name: &str, last: u8) -> (HostId, std::rc::Rc<NicPort>) {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    let config = HostConfig {
        addresses: vec![InterfaceAddress::new(address, 24).expect("a host's address")],
        nic: NicConfig::new(MacAddr([2, 0, 0, 0, 0, last])),
        tcp: tcp::Config::builder().build().expect("the defaults are right"),
        machnet: machnet::Config::builder().build().expect("the defaults are right"),
        geometry: Geometry::builder().build().expect("the defaults are right"),
        rx_window_bytes: 4 << 20,
        events_max: 0,
    };
    let bells = Arc::<Bells>::default();
    let (host, port) = Host::new(&config, seed + u64::from(last), &bells).expect("it is right");
    (world.add_host(name, Box::new(host), bells), port)
}

/// Two hosts, and a link that loses and mixes up frames.
fn two_hosts(seed: u64) -> (World, HostId, HostId) {
    let mut config = WorldConfig::new(seed);
    config.end_at = Instant::ZERO + Duration::from_secs(600);
    let mut world = World::new(config);
    let (a, port_a) = add_host(&mut world, seed, "a", 1);
    let (b, port_b) = add_host(&mut world, seed, "b", 2);
    let profile = FaultProfile::builder()
        .loss_ppm(10_000)
        .reorder_ppm(10_000)
        .duplicate_ppm(5_000)
        .reorder_delay_max(Duration::from_micros(300))
        .build();
    let faults = FaultSource::Drawn(profile.expect("the rates are in range").into());
    let link = LinkConfig::cable(1_000_000_000, Duration::from_micros(100));
    world.connect((a, port_a), (b, port_b), link, &faults);
    (world, a, b)
}

fn programs() -> (&'static Path, &'static Path) {
    static BUILT: OnceLock<[std::path::PathBuf; 2]> = OnceLock::new();
    let [server, client] = BUILT.get_or_init(|| {
        ["sim/programs/threaded_server.c", "sim/programs/threaded_client.c"].map(lane::program)
    });
    (server, client)
}

fn process(program: &Path, arguments: &[&str], captured: &Captured) -> Program {
    let config = ProcessConfig::new(program, lane::preload())
        .arguments(arguments.iter().copied())
        .library_directory(lane::shim())
        .output(Output::Captured(captured.clone()));
    Program::Process(config)
}

/// What a run came to: hash, time, what was written.
fn exchange(seed: u64) -> (u64, Instant, String) {
    let (server, client) = programs();
    let (mut world, a, b) = two_hosts(seed);
    let captured = Captured::new().expect("a memory file");
    let serve = process(server, &["10.0.0.2", "9000", "3", "60"], &captured);
    let ask = process(client, &["10.0.0.1", "10.0.0.2", "9000", "4", "15"], &captured);
    world.add_guest(b, "server", Instant::ZERO, serve).expect("it starts");
    let later = Instant::ZERO + Duration::from_millis(1);
    world.add_guest(a, "client", later, ask).expect("it starts");
    if let Err(error) = world.run() {
        panic!("seed {seed}: {error}\n{}", captured.text());
    }
    (world.state_hash(), world.now(), captured.text())
}

#[test]
fn threaded_c_programs_exchange_messages_and_the_seed_decides_every_network_event() {
    // More with `CAUSEWAY_LANE_SEEDS=100`: how far is a question of patience, not of what is tested.
    let seeds = std::env::var("CAUSEWAY_LANE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let runs: Vec<_> = (1..=seeds.unwrap_or(5))
        .map(|seed| {
            let run = exchange(seed);
            assert!(run.2.starts_with("60 replies, "), "seed {seed}: {}", run.2);
            assert_eq!(exchange(seed), run, "seed {seed}, again");
            println!("seed {seed}: {:016x} at {} s: {}", run.0, run.1, run.2.trim_end());
            run.0
        })
        .collect();
    let different: std::collections::BTreeSet<_> = runs.iter().collect();
    assert_eq!(different.len(), runs.len(), "each seed is a run of its own: {runs:x?}");
}

/// Two hosts, the threaded server for `messages` of them, and a client. The world after its run, and what was written.
fn against_server(seed: u64, client: &Path, messages: &str) -> (World, String) {
    let (server, _) = programs();
    let (mut world, a, b) = two_hosts(seed);
    let captured = Captured::new().expect("a memory file");
    let serve = process(server, &["10.0.0.2", "9000", "1", messages], &captured);
    world.add_guest(b, "server", Instant::ZERO, serve).expect("it starts");
    let later = Instant::ZERO + Duration::from_millis(1);
    world.add_guest(a, "client", later, process(client, &[], &captured)).expect("it starts");
    if let Err(error) = world.run() {
        panic!("seed {seed}: {error}\n{}", captured.text());
    }
    (world, captured.text())
}

#[test]
fn a_program_that_polls_without_sleeping_gets_on_without_a_turn_for_each_poll() {
    let source = r#"
#include <errno.h>
#include <stdio.h>
#include "machnet.h"
int main(void) {
    char message[100] = { 99 }; MachnetFlow_t flow; long polls = 0;
    if (machnet_init()) return 1;
    MachnetChannelCtx_t *ctx = machnet_attach();
    if (!ctx || machnet_connect(ctx, "10.0.0.1", "10.0.0.2", 9000, &flow)) return 2;
    if (machnet_set_nonblocking(ctx, true) || machnet_send(ctx, flow, message, sizeof message, NULL)) return 3;
    int got;
    while ((got = machnet_recv(ctx, message, sizeof message, NULL)) < 0) { if (errno != EAGAIN) return 4; polls++; }
    printf("%d bytes, first %d, %d\n", got, message[0], polls > 500);
    return machnet_detach(ctx) != 0;
}"#;
    let client = lane::program_from("polls", source);
    let (world, text) = against_server(1, &client, "1");
    assert_eq!(text, "100 bytes, first 100, 1\n");
    let turns = world.stats().guest_turns;
    assert!(turns < 400, "{turns} turns for more than 500 polls");
    assert_eq!(against_server(1, &client, "1").0.state_hash(), world.state_hash());
}

#[test]
fn a_child_attaches_a_channel_of_its_own_and_leaves_nothing_when_it_dies() {
    let source = r#"
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "machnet.h"
static int ask(char what) {
    MachnetFlow_t flow; char message[8] = { what };
    MachnetChannelCtx_t *ctx = machnet_attach();
    if (!ctx || machnet_connect(ctx, "10.0.0.1", "10.0.0.2", 9000, &flow)) return 2;
    if (machnet_send(ctx, flow, message, sizeof message, NULL)) return 3;
    if (machnet_recv(ctx, message, sizeof message, NULL) != sizeof message) return 4;
    return message[0] == what + 1 ? 0 : 5;
}
int main(void) {
    int status; if (machnet_init()) return 1;
    MachnetChannelCtx_t *ctx = machnet_attach(); MachnetFlow_t flow; char message[8];
    if (!ctx || machnet_connect(ctx, "10.0.0.1", "10.0.0.2", 9000, &flow)) return 2;
    if (fork() == 0) {
        int foreign = machnet_send(ctx, flow, message, 8, NULL);
        if (foreign != -1 || errno != EINVAL) _exit(9);
        _exit(ask('a'));
    }
    if (wait(&status) < 0 || !WIFEXITED(status)) return 6;
    printf("child %d, parent %d\n", WEXITSTATUS(status), ask('b'));
    return 0;
}"#;
    let client = lane::program_from("parent", source);
    let (world, text) = against_server(2, &client, "2");
    assert_eq!(text, "child 0, parent 0\n");
    assert_eq!(against_server(2, &client, "2").0.state_hash(), world.state_hash());
}

#[test]
fn a_channel_that_a_process_let_go_is_free_for_the_next() {
    let source = r#"
#include <unistd.h>
#include "machnet.h"
int main(void) {
    if (machnet_init()) return 1;
    for (int i = 0; i < 300; i++) {
        MachnetChannelCtx_t *ctx = machnet_attach();
        if (!ctx || machnet_detach(ctx)) return 2;
        usleep(10);
    }
    return 0;
}"#;
    let (mut world, a, _) = two_hosts(1);
    let captured = Captured::new().expect("a memory file");
    let client = lane::program_from("attaches", source);
    let program = process(&client, &[], &captured);
    world.add_guest(a, "client", Instant::ZERO, program).expect("it starts");
    assert_eq!(world.run(), Ok(()), "a host has room for 256 at a time: {}", captured.text());
}
