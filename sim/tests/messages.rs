//! Machnet between Rust guests, over a bad link: each message once, whole, in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use causeway_channel::Geometry;
use causeway_client::{Channel, Wait};
use causeway_core::ip::InterfaceAddress;
use causeway_core::machnet::MESSAGES_QUEUED_MAX;
use causeway_core::nic::MacAddr;
use causeway_core::time::{Duration, Instant};
use causeway_core::{machnet, tcp};
use causeway_sim::content;
use causeway_sim::demo::{MESSAGES, reply_size, request_size};
use causeway_sim::fault::{FaultPlan, FaultProfile, FaultSource};
use causeway_sim::guest::{Bells, Program};
use causeway_sim::host::{Host, HostConfig};
use causeway_sim::link::LinkConfig;
use causeway_sim::nic::NicConfig;
use causeway_sim::world::{World, WorldConfig};

const PORT: u16 = 9_000;

/// The address of a host in either family.
const fn address(last: u8, over_ipv6: bool) -> IpAddr {
    if over_ipv6 {
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last as u16))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }
}

fn host(
    seed: u64,
    (last, v6): (u8, bool),
    bells: &Arc<Bells>,
) -> (Host, std::rc::Rc<causeway_sim::nic::NicPort>) {
    let config = HostConfig {
        addresses: vec![
            InterfaceAddress::new(address(last, v6), if v6 { 64 } else { 24 })
                .expect("a host's address"),
        ],
        nic: NicConfig::new(MacAddr([2, 0, 0, 0, 0, last])),
        tcp: tcp::Config::builder().build().expect("the defaults are right"),
        machnet: machnet::Config::builder().build().expect("the defaults are right"),
        geometry: Geometry::builder().build().expect("the defaults are right"),
        rx_window_bytes: 4 << 20,
        events_max: 0,
    };
    Host::new(&config, seed + u64::from(last), bells).expect("the configuration is right")
}

fn message(flow: u64, index: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("messages fit memory")];
    content::fill(flow, index, 0, &mut bytes);
    bytes
}

fn serve(own: IpAddr) {
    let channel = Channel::attach().expect("the host has room");
    channel.listen_messages(SocketAddr::new(own, PORT)).expect("the port is free");
    let mut buffer = vec![0; 1 << 20];
    let mut last = None;
    for index in 0..MESSAGES {
        let (len, flow) = channel.recv(&mut buffer, Wait::Forever).expect("a request");
        assert_eq!(len as u64, request_size(index), "request {index}");
        assert_eq!(content::mismatch(1, index, 0, &buffer[..len]), None, "request {index}");
        let reply = message(2, index, reply_size(index));
        let id = channel.send(flow, &[&reply], Wait::Forever).expect("the flow lives");
        last = Some((flow, id));
    }
    // The last reply is delivered when it is acknowledged, or when the client is gone: it goes with every reply only.
    let (flow, id) = last.expect("there were requests");
    while channel.flow_info(flow, Wait::Forever).is_ok_and(|info| info.message_acked < id.0) {}
    let more = channel.recv(&mut buffer, Wait::Never);
    assert!(more.is_err(), "nothing comes twice: {more:?}");
}

fn ask(peer: IpAddr) {
    let channel = Channel::attach().expect("the host has room");
    let server = SocketAddr::new(peer, PORT);
    let flow = channel.connect_messages(None, server, Wait::Forever).expect("the server listens");
    let mut buffer = vec![0; 1 << 20];
    for index in 0..MESSAGES {
        let request = message(1, index, request_size(index));
        // In two parts, so that gathering is used as well.
        let (head, tail) = request.split_at(request.len() / 3);
        channel.send(flow, &[head, tail], Wait::Forever).expect("the flow lives");
        let (len, from) = channel.recv(&mut buffer, Wait::Forever).expect("a reply");
        assert_eq!((len as u64, from), (reply_size(index), flow), "reply {index}");
        assert_eq!(content::mismatch(2, index, 0, &buffer[..len]), None, "reply {index}");
    }
}

/// Short messages, more than a daemon keeps for a flow.
const FLOOD: u32 = 3 * MESSAGES_QUEUED_MAX;

fn receive_flood(own: IpAddr) {
    let channel = Channel::attach().expect("the host has room");
    channel.listen_messages(SocketAddr::new(own, PORT)).expect("the port is free");
    let mut buffer = [0; 4];
    for index in 0..FLOOD {
        let (len, _) = channel.recv(&mut buffer, Wait::Forever).expect("a message");
        assert_eq!((len, u32::from_le_bytes(buffer)), (4, index));
    }
}

fn send_flood(peer: IpAddr) {
    let channel = Channel::attach().expect("the host has room");
    let server = SocketAddr::new(peer, PORT);
    let flow = channel.connect_messages(None, server, Wait::Forever).expect("the server listens");
    for index in 0..FLOOD {
        channel.send(flow, &[&index.to_le_bytes()], Wait::Forever).expect("the flow lives");
    }
}

fn exchange(seed: u64, faults: &FaultSource, v6: bool) -> (u64, FaultPlan, Instant) {
    run(seed, faults, v6, [serve, ask])
}

/// Runs the programs of `b` and `a`, which are given the address of `b`.
fn run(
    seed: u64,
    faults: &FaultSource,
    v6: bool,
    [server, client]: [fn(IpAddr); 2],
) -> (u64, FaultPlan, Instant) {
    let mut config = WorldConfig::new(seed);
    config.end_at = Instant::ZERO + Duration::from_secs(600);
    let mut world = World::new(config);
    let (bells_a, bells_b) = (Arc::<Bells>::default(), Arc::<Bells>::default());
    let (a, port_a) = host(seed, (1, v6), &bells_a);
    let (b, port_b) = host(seed, (2, v6), &bells_b);
    let a = world.add_host("a", Box::new(a), bells_a);
    let b = world.add_host("b", Box::new(b), bells_b);
    let link = LinkConfig::cable(1_000_000_000, Duration::from_micros(200));
    world.connect((a, port_a), (b, port_b), link, faults);
    // Nobody uses an IPv6 address before it was asked for in vain (RFC 4862 §5.4).
    let later = Instant::ZERO + Duration::from_millis(if v6 { 3_000 } else { 1 });
    let peer = address(2, v6);
    world
        .add_guest(b, "server", Instant::ZERO, Program::from_fn(move || server(peer)))
        .expect("a thread");
    world.add_guest(a, "client", later, Program::from_fn(move || client(peer))).expect("a thread");
    if let Err(error) = world.run() {
        panic!("{error}\n{}", world.executed_plan());
    }
    (world.state_hash(), world.executed_plan(), world.now())
}

fn nasty() -> FaultSource {
    let profile = FaultProfile::builder()
        .loss_ppm(10_000)
        .reorder_ppm(10_000)
        .duplicate_ppm(10_000)
        .corrupt_ppm(5_000)
        .reorder_delay_max(Duration::from_micros(300))
        .build();
    FaultSource::Drawn(profile.expect("the rates are in range").into())
}

#[test]
fn each_message_arrives_once_whole_and_in_order_over_a_bad_link() {
    let (_, plan, _) = exchange(11, &nasty(), false);
    assert!(plan.len() > 100, "{} faults", plan.len());
}

#[test]
fn a_flood_of_short_messages_waits_and_loses_none() {
    run(13, &FaultSource::clean(), false, [receive_flood, send_flood]);
}

#[test]
fn the_printed_plan_of_a_run_with_whole_hosts_gives_the_same_run() {
    let (hash, plan, end) = exchange(12, &nasty(), false);
    let text = plan.to_string();
    let again = FaultSource::Planned(text.parse().expect("it was printed by us"));
    assert_eq!(exchange(12, &again, false), (hash, plan, end));
}

#[test]
fn each_message_arrives_once_whole_and_in_order_over_ipv6_and_a_bad_link_and_again_the_same() {
    let (hash, plan, end) = exchange(13, &nasty(), true);
    assert!(plan.len() > 100, "{} faults", plan.len());
    assert_eq!(exchange(13, &nasty(), true), (hash, plan, end));
}
