//! Machnet between Rust guests, over a bad link: each message once, whole, in order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use causeway_channel::Geometry;
use causeway_client::{Channel, Wait};
use causeway_core::ip::InterfaceAddress;
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

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn host(
    seed: u64,
    last: u8,
    bells: &Arc<Bells>,
) -> (Host, std::rc::Rc<causeway_sim::nic::NicPort>) {
    let config = HostConfig {
        addresses: vec![InterfaceAddress::new(address(last), 24).expect("a host's address")],
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

fn serve() {
    let channel = Channel::attach().expect("the host has room");
    channel.listen_messages(SocketAddr::new(address(2), PORT)).expect("the port is free");
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

fn ask() {
    let channel = Channel::attach().expect("the host has room");
    let server = SocketAddr::new(address(2), PORT);
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

fn exchange(seed: u64, faults: &FaultSource) -> (u64, FaultPlan, Instant) {
    let mut config = WorldConfig::new(seed);
    config.end_at = Instant::ZERO + Duration::from_secs(600);
    let mut world = World::new(config);
    let (bells_a, bells_b) = (Arc::<Bells>::default(), Arc::<Bells>::default());
    let (a, port_a) = host(seed, 1, &bells_a);
    let (b, port_b) = host(seed, 2, &bells_b);
    let a = world.add_host("a", Box::new(a), bells_a);
    let b = world.add_host("b", Box::new(b), bells_b);
    let link = LinkConfig::cable(1_000_000_000, Duration::from_micros(200));
    world.connect((a, port_a), (b, port_b), link, faults);
    let later = Instant::ZERO + Duration::from_millis(1);
    world.add_guest(b, "server", Instant::ZERO, Program::from_fn(serve)).expect("a thread");
    world.add_guest(a, "client", later, Program::from_fn(ask)).expect("a thread");
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
    FaultSource::Drawn(profile.expect("the rates are in range"))
}

#[test]
fn each_message_arrives_once_whole_and_in_order_over_a_bad_link() {
    let (_, plan, _) = exchange(11, &nasty());
    assert!(plan.len() > 100, "{} faults", plan.len());
}

#[test]
fn the_printed_plan_of_a_run_with_whole_hosts_gives_the_same_run() {
    let (hash, plan, end) = exchange(12, &nasty());
    let text = plan.to_string();
    let again = FaultSource::Planned(text.parse().expect("it was printed by us"));
    assert_eq!(exchange(12, &again), (hash, plan, end));
}
