//! The demo with its C programs: shared objects that find `machnet.h`'s functions in this executable.

use causeway_sim::demo::{DemoOptions, DemoReport, run};
use machnet::abi;

/// The functions that the programs use: naming them links them, `-rdynamic` exports them.
fn linked() -> [*const (); 7] {
    [
        abi::machnet_init as *const (),
        abi::machnet_attach as *const (),
        abi::machnet_listen as *const (),
        abi::machnet_connect as *const (),
        abi::machnet_flow_stats as *const (),
        abi::machnet_send as *const (),
        abi::machnet_recv as *const (),
    ]
}

fn demo(seed: u64) -> DemoReport {
    assert!(linked().iter().all(|function| !function.is_null()));
    let programs = Some(machnet::release_env as causeway_sim::guest::Release);
    let options = DemoOptions { seed, out_dir: None, stream_bytes: 1 << 20, programs };
    run(&options, |_| {}).expect("every message arrives")
}

#[test]
fn programs_in_c_exchange_messages_over_a_lossy_link_the_same_way_twice() {
    let first = demo(1);
    let figures = &first.legs[0].figures;
    let shown = figures.iter().find(|(name, _)| name.starts_with("messages of C programs"));
    assert_eq!(shown.expect("it is shown").1, "576 of 1 B to 1 MiB");
    assert_eq!(first.state_hash, demo(1).state_hash, "one seed, one run");
}
