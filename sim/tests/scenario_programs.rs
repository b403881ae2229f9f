//! Programs that a scenario names: how they end, what a plan does to them, and campaigns around them.

mod lane;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use causeway_core::time::{Duration, Instant};
use causeway_sim::guest::set_release;
use causeway_sim::process::set_preload;
use causeway_sim::swarm::{Around, Campaign, Cases, Results, shrink};
use causeway_sim::trial::{Case, Outcome, Trial};
use machnet::abi;

/// Two hosts and a cable.
const HOSTS: &str = r#"host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }] },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24"] }] },
]
link = [{ between = ["a", "b"], delay_us = 100 }]
"#;

/// The simulator knows where the preload object is.
fn prepare() {
    set_preload(lane::preload().to_owned());
}

/// A program of a scenario, on a line.
fn line(name: &str, host: &str, command: &Path, more: &str) -> String {
    format!("  {{ name = {name:?}, host = {host:?}, command = {command:?}, {more} }},\n")
}

fn case(programs: &[String], more: &str, plan: &str) -> Case {
    let scenario = format!("{HOSTS}program = [\n{}]\n{more}", programs.concat());
    let plan = format!("causeway fault plan 2\n{plan}").parse().expect("it is a plan");
    Case { seed: 1, failed: None, scenario, plan }
}

fn run(case: &Case) -> Outcome {
    prepare();
    let trial = Trial::new("case", case).unwrap_or_else(|error| panic!("{error}\n{case}"));
    trial.run(Vec::new()).unwrap_or_else(|error| panic!("{error}\n{case}"))
}

fn signature(outcome: &Outcome) -> &str {
    outcome.violation.as_ref().map_or("none", |violation| &violation.signature)
}

/// One program alone: the signature, the words and what it wrote.
fn alone(name: &str, source: &str, more: &str) -> (String, String, String) {
    let program = lane::small(name, source);
    // Somebody waits for the flow, at least.
    let rest = "run = { limit_s = 2 }\n\
        flow = [{ kind = \"request\", from = \"a\", to = \"b\", bytes = 1, reply_bytes = 1, count = 1, start_ms = 900 }]\n";
    let outcome = run(&case(&[line("p", "a", &program, more)], rest, ""));
    let words = outcome.violation.as_ref().map_or_else(String::new, |v| v.words.clone());
    let written = outcome.written.first().map_or_else(String::new, |one| one.text.clone());
    (signature(&outcome).to_owned(), words, written)
}

#[test]
fn how_a_program_ends_is_a_rule_of_its_own() {
    let three = "#include <stdio.h>\nint main(void) { puts(\"it is three\"); return 3; }";
    let (told, words, written) = alone("three", three, "");
    assert_eq!((told.as_str(), written.as_str()), ("O3.exit.p.3", "it is three\n"));
    assert_eq!(words, "program p ended with status 3, and not with 0");
    assert_eq!(alone("three", three, "exit = [0, 3]").0, "none");
    assert_eq!(alone("three", three, "exit = \"any\"").0, "none");
    assert_eq!(alone("three", three, "background = true").0, "O3.exit.p.3", "though nobody waits");
    let abort = "#include <stdlib.h>\nint main(void) { abort(); }";
    let (told, words, _) = alone("abort", abort, "exit = \"any\"");
    assert_eq!(
        (told.as_str(), words.as_str()),
        ("O3.signal.p.SIGABRT", "program p was killed by SIGABRT")
    );
    let says =
        "#include <stdio.h>\nint main(void) { fputs(\"causeway: violation sum 7\\n\", stderr); }";
    let (told, words, _) = alone("says", says, "");
    assert_eq!(told, "O3.violation.sum");
    assert_eq!(words, "program p says: causeway: violation sum 7");
    let socket =
        "#include <sys/socket.h>\nint main(void) { return socket(AF_INET, SOCK_STREAM, 0) < 0; }";
    let (told, words, _) = alone("socket", socket, "");
    assert_eq!(told, "O3.denied.p");
    assert!(words.starts_with("program p cannot be simulated: "), "{words}");
}

#[test]
fn what_a_program_may_write_is_bounded() {
    let writes = "#include <stdio.h>\nint main(void) { for (;;) puts(\"and again\"); }";
    let (told, words, written) = alone("writes", writes, "");
    assert_eq!(told, "O3.signal.p.SIGXFSZ");
    assert_eq!(
        words,
        "program p was killed by SIGXFSZ: it wrote more than 64 MiB to a file or to its output"
    );
    assert!(written.starts_with("and again\n") && written.len() < 2 << 20, "{}", written.len());
}

#[test]
fn a_program_that_does_not_end_is_found_unless_nobody_waits_for_it() {
    let waits = "#include <unistd.h>\nint main(void) { pause(); }";
    let (told, words, _) = alone("waits", waits, "");
    assert!(told == "O6.deadlock" || told == "O7.unfinished", "{told}");
    assert!(words.contains("program p has not ended (in "), "{words}");
    assert_eq!(alone("waits", waits, "background = true").0, "none");
    let slow = "#include <unistd.h>\nint main(void) { sleep(20); return 0; }";
    let (told, words, _) = alone("slow", slow, "");
    assert_eq!(told, "O7.unfinished");
    assert!(words.starts_with("2 s after the last fault program p has not ended"), "{words}");
    assert_eq!(alone("slow", slow, "limit_s = 30").0, "none");
    // What it said counts, though it never ended.
    let both = "#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts(\"causeway: violation x\"); \
                fflush(stdout); sleep(20); return 0; }";
    assert_eq!(alone("both", both, "").0, "O3.violation.x");
    assert_eq!(alone("both", both, "background = true").0, "O3.violation.x");
}

#[test]
fn a_program_has_its_environment_its_directory_and_its_host() {
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(int n, char **v) { \
                  char host[64], place[256]; gethostname(host, sizeof host); \
                  printf(\"%d %s %s %s %s\\n\", n, v[1], getenv(\"LEVEL\"), getcwd(place, sizeof place), host); }";
    let more = "arguments = [\"one\"], environment = { LEVEL = \"3\" }, directory = \"/usr\"";
    let (told, _, written) = alone("environment", source, more);
    assert_eq!((told.as_str(), written.as_str()), ("none", "2 one 3 /usr a\n"));
}

/// Prints the milliseconds since its start after each of three sleeps of 100 ms.
const CLOCK: &str = r#"
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static long ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }
int main(void) {
    long start = ms();
    for (int i = 0; i < 3; i++) { usleep(100000); printf("%ld ", ms() - start); fflush(stdout); }
    puts("end");
    return 0;
}"#;

fn clock(more: &str, plan: &str) -> Outcome {
    let program = lane::small("clock", CLOCK);
    run(&case(&[line("p", "a", &program, more)], "", plan))
}

#[test]
fn pauses_and_clocks_of_a_host_are_those_of_its_programs() {
    let written = |plan: &str| clock("", plan).written[0].text.clone();
    assert_eq!(written(""), "100 200 300 end\n");
    assert_eq!(written("pause b 50ms..1s\n"), "100 200 300 end\n", "that is another host");
    assert_eq!(written("pause a 150ms..1s\n"), "100 1000 1100 end\n");
    // The sleep of which the clock says that it is over is over; one that begins later takes its time.
    assert_eq!(written("clock-ahead a 150ms..151ms 5s\n"), "100 5150 5250 end\n");
    let ended = clock("", "clock-ahead a 150ms..151ms 5s\n").ended_at;
    assert!(ended < Instant::ZERO + Duration::from_secs(700), "{ended}");
}

/// Prints the milliseconds since its start by the wall clock and by the other one, before and in between two sleeps of 100 ms.
const WALL: &str = r#"
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long ms(clockid_t id) { struct timespec t; clock_gettime(id, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }
static long day(void) { struct timeval t; gettimeofday(&t, 0); return t.tv_sec * 1000 + t.tv_usec / 1000; }
int main(void) {
    long wall = ms(CLOCK_REALTIME), mono = ms(CLOCK_MONOTONIC), seconds = time(0);
    for (int i = 0; i < 3; i++) {
        usleep(100000);
        printf("%ld %ld %ld %ld, ", ms(CLOCK_REALTIME) - wall, day() - wall, time(0) - seconds, ms(CLOCK_MONOTONIC) - mono);
    }
    puts("end");
    return 0;
}"#;

#[test]
fn the_wall_clock_of_programs_is_stepped_and_nothing_else() {
    let program = lane::small("wall", WALL);
    let written = |plan: &str| {
        let outcome = run(&case(&[line("p", "a", &program, "")], "", plan));
        assert_eq!(signature(&outcome), "none");
        outcome.written[0].text.clone()
    };
    assert_eq!(written(""), "100 100 0 100, 200 200 0 200, 300 300 0 300, end\n");
    assert_eq!(
        written("wall-step a 150ms..250ms -5s\n"),
        "100 100 0 100, -4800 -4800 -5 200, 300 300 0 300, end\n"
    );
    assert_eq!(
        written("wall-step a 150ms..250ms +3600s\n"),
        "100 100 0 100, 3600200 3600200 3600 200, 300 300 0 300, end\n"
    );
}

#[test]
fn programs_live_by_a_clock_that_is_fast_or_slow_and_do_not_see_it() {
    let ended = |plan: &str| {
        let outcome = clock("", plan);
        let told = (signature(&outcome).to_owned(), outcome.written[0].text.clone());
        assert_eq!(told, ("none".to_owned(), "100 200 300 end\n".to_owned()), "{plan}");
        outcome.hash
    };
    let right = ended("");
    assert_ne!(ended("clock-rate a 50ms..1s +10000ppm\n"), right);
    assert_ne!(ended("clock-rate a 50ms..1s -10000ppm\n"), right);
}

#[test]
fn a_crash_ends_programs_and_starts_again_those_that_shall() {
    let crash = "crash a 150ms..400ms\n";
    let down = clock("", crash);
    assert_eq!((signature(&down), down.written[0].text.as_str()), ("none", "100 "));
    let again = clock("restart = true", crash);
    assert_eq!(
        (signature(&again), again.written[0].text.as_str()),
        ("none", "100 100 200 300 end\n")
    );
    assert_eq!(clock("restart = true", crash).hash, again.hash);
    // One that was over, or had not begun, knows nothing of it.
    let after = clock("restart = true", "crash a 500ms..600ms\n");
    assert_eq!(after.written[0].text, "100 200 300 end\n");
    let before = clock("start_ms = 700, restart = true", crash);
    assert_eq!(before.written[0].text, "100 200 300 end\n");
    // It may not be excused for ever: what starts again has to end as it says.
    let fails =
        lane::small("fails", "#include <unistd.h>\nint main(void) { usleep(200000); return 5; }");
    let outcome = |more: &str| run(&case(&[line("p", "a", &fails, more)], "", crash));
    assert_eq!(signature(&outcome("restart = true")), "O3.exit.p.5");
    assert_eq!(signature(&outcome("")), "none");
}

/// The threaded server and client, 20 messages.
fn threaded(more: &str, plan: &str) -> Case {
    let [server, client] =
        ["sim/programs/threaded_server.c", "sim/programs/threaded_client.c"].map(lane::program);
    let libraries = format!("libraries = {:?}", lane::shim());
    let serve = format!("arguments = [\"10.0.0.2\", \"9000\", \"2\", \"20\"], {libraries}");
    let ask = format!(
        "arguments = [\"10.0.0.1\", \"10.0.0.2\", \"9000\", \"2\", \"10\"], start_ms = 1, {libraries}"
    );
    case(&[line("server", "b", &server, &serve), line("client", "a", &client, &ask)], more, plan)
}

#[test]
fn programs_and_flows_share_hosts_links_and_faults() {
    let flows = "flow = [\n{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 200000 },\n\
        { kind = \"message\", from = \"b\", to = \"a\", bytes = 3000, reply_bytes = 500 },\n]\n";
    let plan = "drop a->b 5\ndrop b->a 6\nduplicate a->b 9 after 1ms\npartition a->b 4ms..30ms\n\
        no-rings b 1\nlate a 20 by 1ms\nshort-burst b.eth0 2 takes 1\n";
    // Without rings a flow may end; nothing else excuses the programs.
    let with_rings = plan.replace("no-rings b 1\n", "");
    let outcome = run(&threaded(flows, &with_rings));
    assert_eq!(outcome.violation, None, "{:?}", outcome.written);
    assert!(outcome.written[1].text.starts_with("20 replies, "), "{:?}", outcome.written);
    assert_eq!(outcome.executed.len(), 6, "{:?}", outcome.executed);
    assert!(outcome.frames > 200, "{}", outcome.frames);
    assert_eq!(run(&threaded(flows, &with_rings)).hash, outcome.hash);
    let refused = run(&threaded("", "no-rings b 1\n"));
    assert_eq!((signature(&refused), refused.executed.len()), ("none", 1));
    // A crash of the server's host, after which it is not there any more: whoever waits for it is excused.
    assert_eq!(
        signature(&run(&threaded("run = { limit_s = 30 }\n", "crash b 3ms..20ms\n"))),
        "none"
    );
}

/// The functions that the objects use: naming them links them, `-rdynamic` exports them.
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

#[test]
fn objects_run_in_process_and_are_told_when_their_host_is_gone() {
    set_release(machnet::release_env);
    assert!(linked().iter().all(|function| !function.is_null()));
    let object = |name: &str| {
        let place = lane::scratch().join(format!("{name}-{}.so", std::process::id()));
        let source = lane::root().join("sim/programs").join(name).with_extension("c");
        let include = lane::root().join("capi/include");
        let mut cc = Command::new("cc");
        cc.args(["-std=c11", "-O2", "-fPIC", "-shared", "-I"]).arg(include).arg("-o").arg(&place);
        assert!(cc.arg(source).status().expect("a C compiler is there").success());
        place
    };
    let [server, client] = ["server", "client"].map(object);
    let of = |messages: &str, plan: &str| {
        let serve = format!(
            "kind = \"object\", arguments = [\"10.0.0.2\", \"9000\", \"7\", \"{messages}\"]"
        );
        let ask = "kind = \"object\", start_ms = 1, \
                   arguments = [\"10.0.0.1\", \"10.0.0.2\", \"9000\", \"7\", \"12\", \"2\"]";
        let programs = [line("server", "b", &server, &serve), line("client", "a", &client, ask)];
        run(&case(&programs, "run = { limit_s = 60 }\n", plan))
    };
    let clean = of("12", "");
    assert_eq!((signature(&clean), clean.frames > 20), ("none", true));
    assert_eq!(of("12", "").hash, clean.hash);
    assert_eq!(of("12", "drop a->b 4\ndrop b->a 7\n").violation, None);
    // The server waits for a message more than there is, and the client is gone.
    assert!(
        signature(&of("13", "")).starts_with("O3.exit.server.1"),
        "{:?}",
        of("13", "").violation
    );
    // Both are in the midst of a call when the host of one crashes.
    assert_eq!(signature(&of("12", "crash b 2ms..1s\n")), "none");
}

fn campaign(around: &Arc<Around>, seeds: u64, jobs: usize) -> Results {
    let campaign = Campaign {
        cases: Cases::Around(Arc::clone(around)),
        seeds: 0..seeds,
        shard: (0, 1),
        done: 0,
        jobs,
        time: None,
        failures_max: 100,
        twice: false,
    };
    let mut results = campaign.run(|_| ControlFlow::Continue(()));
    results.cpu_seconds = 0.0;
    results
}

#[test]
fn threaded_programs_of_a_scenario_run_alike_in_each_of_a_hundred_seeds() {
    prepare();
    let text = std::fs::read_to_string(lane::root().join("sim/programs/threaded.toml"));
    let place = lane::scratch().join(format!("threaded-{}", std::process::id()));
    std::fs::create_dir_all(place.join("build")).expect("it can be written");
    // Not copied: while a copy is written, a process that another test forks holds it open, and what is open for writing cannot be
    // run (ETXTBSY).
    let link = |file: &Path, name: &str| {
        let file = file.canonicalize().expect("it was built");
        std::fs::hard_link(file, place.join("build").join(name)).expect("it can be written");
    };
    for (name, source) in [
        ("threaded_server", "sim/programs/threaded_server.c"),
        ("threaded_client", "sim/programs/threaded_client.c"),
    ] {
        link(&lane::program(source), name);
    }
    link(&lane::shim().join("libmachnet.so.0"), "libmachnet.so.0");
    // The programs that the Makefile builds look beside themselves; these are told. And they say less, a hundred times over.
    let text = text
        .expect("it is in the tree")
        .replace("arguments =", "libraries = \"build\"\narguments =")
        .replace("\"3\", \"60\"", "\"2\", \"12\"")
        .replace("\"4\", \"15\"", "\"3\", \"4\"");
    assert!(text.contains("\"12\"") && text.contains("\"4\""), "{text}");
    let around =
        Around::new("threaded.toml", &causeway_sim::scenario::Scenario::anchored(&text, &place));
    let around = Arc::new(around.expect("it is right"));
    let first = campaign(&around, 100, 2);
    assert_eq!((first.seeds, first.failures.as_slice()), (100, &[][..]));
    assert_eq!(campaign(&around, 100, 1), first);
    std::fs::remove_dir_all(&place).expect("it is ours");
}

#[test]
fn what_fails_is_made_small_and_its_programs_stay_as_they_are() {
    // It fails when 250 ms become more, whatever else happens.
    let source = CLOCK.replace("puts(\"end\")", "return ms() - start > 400");
    let program = lane::small("late", &source);
    let more = "flow = [\n{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 20000 },\n]\n\
        fault = { late_ppm = 1000 }\n";
    let failing = case(
        &[line("p", "a", &program, "arguments = [\"x\", \"y\"]")],
        more,
        "pause a 150ms..900ms\npause b 1ms..2ms\npartition a->b 5ms..7ms\n",
    );
    assert_eq!(signature(&run(&failing)), "O3.exit.p.1");
    let small = shrink(&failing, "O3.exit.p.1").expect("it fails so").case;
    assert_eq!(
        small.plan.to_string().lines().skip(1).collect::<Vec<_>>(),
        ["pause a 150ms..900ms"]
    );
    assert!(!small.scenario.contains("flow") && !small.scenario.contains("fault"), "{small}");
    let kept = ["arguments = [\"x\", \"y\"]", "between = [\"a\", \"b\"]", "name = \"b\""];
    assert!(kept.iter().all(|part| small.scenario.contains(part)), "{small}");
    assert_eq!(signature(&run(&small)), "O3.exit.p.1");
}
