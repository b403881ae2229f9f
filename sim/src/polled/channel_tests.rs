//! Polled programs over channels.

use crate::trial::{Case, Outcome, Trial};

fn host(name: &str, octet: u8, channel: &str) -> String {
    format!(
        "{{ name = \"{name}\", interface = [{{ name = \"eth0\", addresses = \
         [\"10.0.0.{octet}/24\"] }}], port = \"channel\", machnet = {{ msg_max = 16384 }}, \
         channel = {{ {channel} }} }}, "
    )
}

const SMALL: &str = "streams_max = 8, ring_entries = 16, chunk_bytes = 4096, tx_bytes = 65536, \
                     rx_bytes = 65536, rx_window_bytes = 65536, commands_per_step = 1";

const FLOWS: &str = r#"
  { kind = "stream", from = "a", to = "b", bytes = 400000, reply_bytes = 90000 },
  { kind = "request", from = "b", to = "a", bytes = 3000, reply_bytes = 20000, count = 8 },
  { kind = "message", from = "a", to = "b", bytes = 16000, reply_bytes = 9000, count = 12 },
  { kind = "datagram", from = "b", to = "a", bytes = 4000, count = 15 },
  { kind = "stream", from = "a", to = "a", bytes = 200000 },
"#;

/// A case of hosts a and b with channels, over a link that loses.
pub(super) fn case(seed: u64, channel: &str, flows: &str, plan: &str) -> Case {
    let scenario = format!(
        "host = [{}{}]\nlink = [{{ between = [\"a\", \"b\"], rate_kbit_s = 100000 }}]\n\
         flow = [{flows}]\nrun = {{ heal_ms = 2000 }}\n",
        host("a", 1, channel),
        host("b", 2, channel)
    );
    let plan = format!("causeway fault plan 2\n{plan}").parse().expect("it is a plan");
    Case { seed, scenario, plan, ..Case::default() }
}

pub(super) fn run(case: &Case) -> Outcome {
    let trial = Trial::new("case", case).expect("the scenario is right");
    trial.run(Vec::new()).expect("the plan names what exists")
}

#[test]
fn all_that_programs_do_goes_over_channels_and_nothing_is_left_of_it() {
    let losses: String = (5..60).step_by(5).map(|n| format!("drop a->b {n}\n")).collect();
    for channel in ["", SMALL] {
        let case = case(1, channel, FLOWS, &losses);
        let outcome = run(&case);
        assert_eq!(outcome.violation, None, "{channel}");
        assert_eq!(run(&case).hash, outcome.hash, "equal cases are equal runs");
        assert!(outcome.frames > 500, "{}", outcome.frames);
    }
}

#[test]
fn programs_of_a_host_that_comes_back_have_channels_again() {
    let flows = FLOWS.replace("count = 8", "count = 8, start_ms = 900");
    let outcome = run(&case(2, SMALL, &flows, "crash a 30ms..600ms\n"));
    assert_eq!(outcome.violation, None);
    assert!(outcome.frames > 100, "{}", outcome.frames);
}
