//! A run, and what came of it.

use std::cell::OnceCell;

use causeway_core::time::{Duration, Instant};

use super::bottleneck::Bottleneck;
use super::build::{Built, TrialError, build};
use super::case::Case;
use super::foreign;
use super::forgotten;
use super::host::SharedModel;
use super::pace;
use super::panic::{Caught, catch};
use super::programs::Closures;
use super::roster::{Roster, Written};
use super::watch::Watch;
use crate::fault::{FaultPlan, Live};
use crate::scenario::{Scenario, StackKind};
use crate::tap::Tap;
use crate::workload::{SharedLedger, Violation, foreign_signature};
use crate::world::{Stop, World};

/// After so long without programs nothing is left of them: TIME-WAIT takes up to 240 s, an orphan lingers for less.
const REST: Duration = Duration::from_secs(600);

/// Sockets that a failure describes.
const DESCRIBED_MAX: usize = 16;

/// A case, checked.
#[derive(Clone, Debug)]
pub struct Trial {
    seed: u64,
    scenario: Scenario,
    plan: FaultPlan,
    closures: Closures,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// The rolling hash over everything that happened.
    pub hash: u64,
    /// Frames that reached the end of a link.
    pub frames: u64,
    /// Events that were handled.
    pub events: u64,
    /// Virtual time at the end.
    pub ended_at: Instant,
    /// Every decision that was executed.
    pub executed: FaultPlan,
    /// What programs wrote, where it was captured.
    pub written: Vec<Written>,
}

impl Trial {
    /// Checks a case.
    ///
    /// # Errors
    /// The scenario is wrong.
    pub fn new(file: &str, case: &Case) -> Result<Self, TrialError> {
        // What a case says of paths is whole: it may lie anywhere.
        let scenario = Scenario::parse(file, &case.scenario)?;
        let (seed, plan) = (case.seed, case.plan.clone());
        Ok(Self { seed, scenario, plan, closures: Closures::default() })
    }

    /// Command: the program `name` of the scenario, whose kind is `closure`, is `body`. What it returns is its exit status; a panic is the
    /// failure `O3.panic.NAME`. It is called on a thread of its own that has a turn only while it computes: what it sees of time, of
    /// randomness and of the network is the simulator's as long as it uses [`causeway_client`], [`crate::guest::now`],
    /// [`crate::guest::sleep`] and [`crate::guest::Random`], and starts no threads. With `restart` it is called again when its host is back.
    ///
    /// ```
    /// use causeway_client::{Channel, Wait};
    /// use causeway_sim::trial::{Case, Trial};
    ///
    /// let text = r#"causeway fault plan 2
    /// seed 1
    /// | host = [
    /// |   { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }] },
    /// |   { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24"] }] },
    /// | ]
    /// | link = [{ between = ["a", "b"] }]
    /// | program = [
    /// |   { name = "server", host = "b", kind = "closure", background = true },
    /// |   { name = "client", host = "a", kind = "closure", start_ms = 1 },
    /// | ]
    /// drop a->b 4
    /// "#;
    /// let case: Case = text.parse()?;
    /// let server = || {
    ///     let channel = Channel::attach().expect("the host has room");
    ///     channel.listen_messages("10.0.0.2:7000".parse().expect("an address")).expect("the port is free");
    ///     let mut buffer = [0; 64];
    ///     while let Ok((len, flow)) = channel.recv(&mut buffer, Wait::Forever) {
    ///         if channel.send(flow, &[&buffer[..len]], Wait::Forever).is_err() {
    ///             return 1;
    ///         }
    ///     }
    ///     0
    /// };
    /// let client = || {
    ///     let channel = Channel::attach().expect("the host has room");
    ///     let server = "10.0.0.2:7000".parse().expect("an address");
    ///     let flow = channel.connect_messages(None, server, Wait::Forever).expect("it listens");
    ///     channel.send(flow, &[b"ping"], Wait::Forever).expect("the flow lives");
    ///     let mut buffer = [0; 64];
    ///     let (len, _) = channel.recv(&mut buffer, Wait::Forever).expect("a reply");
    ///     i32::from(&buffer[..len] != b"ping")
    /// };
    /// let trial = Trial::new("echo.case", &case)?.with_program("server", server).with_program("client", client);
    /// let outcome = trial.run(Vec::new())?;
    /// assert!(outcome.violation.is_none(), "{:?}", outcome.violation);
    /// assert_eq!(trial.run(Vec::new())?.hash, outcome.hash);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_program(
        mut self,
        name: &str,
        body: impl Fn() -> i32 + Send + Sync + 'static,
    ) -> Self {
        self.closures.insert(name, body);
        self
    }

    /// Getter: the scenario.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Command: runs it to its end, watched by `taps` too. Where a stack takes part that is not Causeway, the same is done with Causeway in
    /// its place, unwatched, and has to end well too.
    ///
    /// # Errors
    /// The case cannot be run at all.
    pub fn run(&self, taps: Vec<Box<dyn Tap>>) -> Result<Outcome, TrialError> {
        let mut outcome = self.run_as(taps, None)?;
        if let Some((stack, scenario)) = foreign::replaced(&self.scenario) {
            let other = Self { scenario, ..self.clone() }.run_as(Vec::new(), None)?;
            outcome.violation = foreign::compare(stack, outcome.violation, other.violation);
        }
        Ok(outcome)
    }

    /// Command: as [`Trial::run`], while `live` decides what happens to frames. What the plan says of frames is not done: it only says
    /// what flows are excused by. [`Outcome::executed`] is the plan of which the same run comes.
    ///
    /// # Errors
    /// As [`Trial::run`].
    pub fn run_live(&self, live: &Live) -> Result<Outcome, TrialError> {
        self.run_as(Vec::new(), Some(live))
    }

    fn run_as(&self, taps: Vec<Box<dyn Tap>>, live: Option<&Live>) -> Result<Outcome, TrialError> {
        let events = taps.iter().any(|tap| tap.wants_events());
        let (seed, closures) = (self.seed, &self.closures);
        let mut built = build(&self.scenario, &self.plan, seed, closures, events, live)?;
        taps.into_iter().for_each(|tap| built.world.add_tap(tap));
        let Built { mut world, ledger, roster, model } = built;
        let watch = Watch::new(&self.scenario, &self.plan, &world);
        world.add_tap(Box::new(watch.clone()));
        let bottleneck = Bottleneck::new(&self.scenario);
        bottleneck.iter().for_each(|judge| world.add_tap(Box::new(judge.clone())));
        let ended = catch(|| self.execute(&mut world, (&ledger, &roster, &model), &watch));
        let violation = match ended {
            Ok(violation) => {
                let modelled = || model.borrow().violation().cloned();
                let told = ledger.borrow().violation().cloned().or_else(|| roster.violation());
                let told = told.or_else(modelled);
                let judged = || watch.finish(world.now(), &self.scenario.hosts);
                let used = || bottleneck.as_ref().and_then(Bottleneck::finish);
                let held = || self.beyond_bounds(&world);
                told.or_else(judged).or_else(held).or(violation).or_else(used)
            }
            Err(Caught { place, message }) => {
                let words = format!("panic at {place}: {message}");
                let signature = foreign::panic_signature(&place);
                Some(Violation { signature, at: world.now(), words })
            }
        };
        roster.close();
        // What panicked once may do so again.
        let _ = catch(|| world.end_guests());
        let arrived = world.lanes().iter().map(|lane| lane.fault_counters().arrived);
        Ok(Outcome {
            violation,
            hash: world.state_hash(),
            frames: arrived.sum(),
            events: world.stats().events,
            ended_at: world.now(),
            executed: world.executed_plan(),
            written: roster.written(),
        })
    }

    /// Nothing went wrong, and it took longer than it may.
    fn slow(&self, world: &World) -> Option<Violation> {
        let Scenario { hosts, flows, programs, .. } = &self.scenario;
        let ours = hosts.iter().all(|host| host.stack == StackKind::Causeway);
        let clean = ours && !self.scenario.draws && self.plan.is_empty();
        let by = pace::clean_by(&self.scenario);
        if !clean || flows.is_empty() || !programs.is_empty() || world.now() <= by {
            return None;
        }
        let controls = hosts.iter().map(|host| format!("{:?}", host.config.tcp().congestion()));
        let controls = controls.collect::<Vec<_>>().join(", ");
        let words = format!(
            "nothing goes wrong, and the last flow is done {} ms after it has to be; congestion control of the hosts: {controls}",
            world.now().saturating_since(by).as_millis()
        );
        violation(world, "O9.slow", words)
    }

    /// A host that held more than it may.
    fn beyond_bounds(&self, world: &World) -> Option<Violation> {
        let (at, host, words) = world.overrun()?;
        let words = format!("host {} holds {words}", self.scenario.hosts[host.0].name);
        Some(Violation { signature: "O8.bound".to_owned(), at: *at, words })
    }

    /// Until every flow and program is done, then until nothing is left to do.
    fn execute(
        &self,
        world: &mut World,
        (ledger, roster, model): (&SharedLedger, &Roster, &SharedModel),
        watch: &Watch,
    ) -> Option<Violation> {
        let rules = &self.scenario.rules;
        let spans = self.plan.spans().map(|(_, _, until, _)| until).max();
        let healed = spans.map_or(rules.heal_at, |until| until.max(rules.heal_at));
        let done_by = pace::done_by(&self.scenario, &self.plan, healed);
        let work = Work { scenario: &self.scenario, healed, done_by, ledger, roster, model };
        let unfinished = work.run(world);
        roster.read(world.now());
        if unfinished.is_some() || work.is_violated() {
            return unfinished;
        }
        let slow = self.slow(world);
        if slow.is_some() {
            return slow;
        }
        // The programs end; what they leave behind goes.
        model.borrow_mut().finish();
        watch.programs_end();
        roster.close();
        world.end_programs();
        world.end_guests();
        // What is closed takes its time: TIME-WAIT, the linger of what is still being delivered. Addresses of neighbours and paths are
        // remembered longer than that.
        world.run_while(world.now().max(healed) + REST, || true);
        let left = world.leftovers();
        if left.is_empty() {
            return None;
        }
        // One that is not Causeway, where only such a host has something left.
        let stacks = left.iter().map(|(host, _)| self.scenario.hosts[host.0].stack.foreign());
        let foreign = stacks.min().flatten();
        let words = left.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join(", ");
        violation(world, &foreign_signature(foreign, "O8.leak"), words)
    }
}

fn violation(world: &World, signature: &str, words: String) -> Option<Violation> {
    Some(Violation { signature: signature.to_owned(), at: world.now(), words })
}

/// What flows and programs of a run have to do, and until when.
struct Work<'a> {
    scenario: &'a Scenario,
    /// From here on nothing goes wrong.
    healed: Instant,
    /// Flows are done by then.
    done_by: Instant,
    ledger: &'a SharedLedger,
    roster: &'a Roster,
    model: &'a SharedModel,
}

impl Work<'_> {
    fn is_violated(&self) -> bool {
        let modelled = self.model.borrow().violation().is_some();
        modelled || self.ledger.borrow().violation().is_some() || self.roster.is_violated()
    }

    fn is_over(&self) -> bool {
        self.ledger.borrow().is_done() && self.roster.is_done() || self.is_violated()
    }

    /// When what is still awaited has to be done: each moment once, in order.
    fn deadlines(&self) -> Vec<Instant> {
        let programs = self.scenario.programs.iter();
        let programs = programs.map(|program| program.starts_at.max(self.healed) + program.limit);
        let mut all: Vec<Instant> = programs.collect();
        if all.is_empty() || !self.scenario.flows.is_empty() {
            all.push(self.done_by);
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Runs until everything is done, or until a rule is broken. Returns what is not done in time.
    fn run(&self, world: &mut World) -> Option<Violation> {
        for at in self.deadlines() {
            match world.run_to_rest(at, || !self.is_over()) {
                Stop::Told => return None,
                // Numbers that something changed under checksums that fit keep a connection from going on: a timestamp that is ahead,
                // say, makes all that follow old (RFC 7323 5.3).
                Stop::Idle | Stop::TimeUp if self.may_be_unfinished(world) => {}
                Stop::Idle if self.waits_for_lost_timers(world) => {}
                Stop::Idle => {
                    let late = self.late(world, Instant::from_nanos(u64::MAX)).join(", ");
                    let words = format!("nothing is left to happen, and {late}{}", self.why(world));
                    let signature = self.signature(world, "O6.deadlock");
                    return violation(world, &signature, words);
                }
                Stop::TimeUp => {
                    let late = self.late(world, at);
                    if !late.is_empty() {
                        let seconds = at.saturating_since(self.healed).as_millis() / 1_000;
                        let late = late.join(", ");
                        let why = self.why(world);
                        let words = format!("{seconds} s after the last fault {late}{why}");
                        let signature = self.signature(world, "O7.unfinished");
                        return violation(world, &signature, words);
                    }
                }
            }
        }
        None
    }

    /// What it is called that flows or programs are not done: a difference between two stacks where every one of them is between two.
    fn signature(&self, world: &World, rule: &str) -> String {
        let programs = 0..self.scenario.programs.len();
        if programs.into_iter().any(|program| self.roster.is_awaited(program)) {
            return rule.to_owned();
        }
        let ledger = self.ledger.borrow();
        let owed = self.owed(world);
        let stacks = owed.into_iter().map(|flow| ledger.flows()[flow].foreign);
        foreign_signature(stacks.min().flatten(), rule)
    }

    /// Getter: whatever is not done need not be.
    fn may_be_unfinished(&self, world: &World) -> bool {
        // What excuses programs, an end that they did not expect, does not excuse flows: they know that they ended.
        let programs = !self.scenario.programs.is_empty() && self.roster.may_be_unfinished();
        programs || !self.ledger.borrow().is_done() && self.owed(world).is_empty()
    }

    /// Getter, where nothing is left to happen: whatever is not done waits for a timer that smoltcp lost, which is pardoned (see
    /// [`super::pardon`]).
    fn waits_for_lost_timers(&self, world: &World) -> bool {
        let sockets = world.describe();
        let lost = |flow: &usize| forgotten::has_lost_its_timer(self.scenario, *flow, &sockets);
        for flow in self.owed(world).into_iter().filter(lost) {
            self.ledger.borrow_mut().pardon(flow, "lost-timer");
        }
        self.may_be_unfinished(world)
    }

    /// The flows that are not done and have to be, by what has happened until now.
    fn owed(&self, world: &World) -> Vec<usize> {
        let ledger = self.ledger.borrow();
        let sockets = OnceCell::new();
        let forgotten = |flow: usize| {
            let sockets = sockets.get_or_init(|| world.describe());
            forgotten::is_half_open(self.scenario, flow, sockets)
        };
        let owes = |flow: &usize| {
            let excuses = ledger.excuses(*flow, world.now());
            ledger.is_expected(*flow)
                && ledger.flows()[*flow].pardon.is_none()
                && !excuses.numbers
                && !((excuses.half_open || excuses.misled) && forgotten(*flow))
        };
        (0..ledger.flows().len()).filter(owes).collect()
    }

    /// The same in words.
    fn unfinished(&self, world: &World) -> Vec<String> {
        let ledger = self.ledger.borrow();
        let words = self.owed(world).into_iter().map(|flow| {
            let [client, server] = ledger.flows()[flow].received;
            let number = flow + 1;
            format!("flow {number} is not done (client received {client} bytes, server {server})")
        });
        words.collect()
    }

    /// The port of a flow's server.
    fn port(&self, flow: usize) -> u16 {
        self.scenario.flows[flow].address(flow).port()
    }

    /// The sockets of what is not done, in words.
    fn why(&self, world: &World) -> String {
        let servers: Vec<u16> = self.owed(world).into_iter().map(|flow| self.port(flow)).collect();
        let all = !self.scenario.programs.is_empty();
        let sockets = world.describe().into_iter().filter_map(|(host, socket)| {
            let is_theirs = socket.ports.iter().any(|port| servers.contains(port));
            let name = &self.scenario.hosts[host.0].name;
            (all || is_theirs).then(|| format!("; host {name}: {}", socket.words))
        });
        sockets.take(DESCRIBED_MAX).collect()
    }

    /// What should have been done by `at`, in words.
    fn late(&self, world: &World, at: Instant) -> Vec<String> {
        let mut late = Vec::new();
        if self.done_by <= at {
            late.extend(self.unfinished(world));
        }
        let waiting = world.unfinished_guests();
        for (index, program) in self.scenario.programs.iter().enumerate() {
            let is_due = program.starts_at.max(self.healed) + program.limit <= at;
            if !is_due || !self.roster.is_awaited(index) {
                continue;
            }
            let doing = waiting.iter().find(|one| one.guest == program.name);
            let doing =
                doing.map_or_else(String::new, |one| format!(" (in {}, {})", one.call, one.state));
            late.push(format!("program {} has not ended{doing}", program.name));
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of the guide.
    fn example() -> Case {
        let guide = include_str!("../../../docs/simulator.md");
        let (_, rest) = guide.split_once("```text\n").expect("it has an example");
        let (text, _) = rest.split_once("```").expect("which ends");
        text.parse().expect("it is right")
    }

    fn run(case: &Case) -> Outcome {
        let trial = Trial::new("case", case).expect("the scenario is right");
        trial.run(Vec::new()).expect("the plan names what exists")
    }

    #[test]
    fn the_example_of_the_guide_runs_and_does_what_it_says() {
        let case = example();
        let first = run(&case);
        assert_eq!((&first.violation, first.executed.len()), (&None, 2));
        assert_eq!(run(&case).hash, first.hash);
        assert_ne!(run(&Case { seed: 18, ..case }).hash, first.hash);
    }

    #[test]
    fn what_a_host_without_a_cable_sends_is_missed_by_nobody() {
        let text = r#"causeway fault plan 2
seed 3
| host = [
|   { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24", "fd00::1/64"] }] },
|   { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24"] }] },
|   { name = "c", interface = [{ name = "eth0", addresses = ["10.0.0.3/24"] }], STACK },
| ]
| link = [LINK]
| flow = [{ kind = "datagram", from = "b", to = "b", bytes = 1, count = 1 }]
"#;
        for stack in ["causeway", "textbook", "smoltcp"] {
            let text = text.replace("STACK", &format!("stack = \"{stack}\""));
            let of = |link: &str| run(&text.replace("LINK", link).parse().expect("a case"));
            assert_eq!(of("").violation, None, "{stack}");
            assert_eq!(of("{ between = [\"a\", \"b\"] }").violation, None, "{stack}");
        }
    }

    #[test]
    fn hosts_behind_routers_reach_each_other_and_learn_what_the_path_carries() {
        let text = r#"causeway fault plan 2
seed 3
| host = [
|   { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24", "fd00:0::1/64"] }], route = [{ destination = "0.0.0.0/0", gateway = "10.0.0.254" }, { destination = "::/0", gateway = "fd00:0::fe" }] },
|   { name = "b", interface = [{ name = "eth0", addresses = ["10.0.2.1/24", "fd00:2::1/64"] }], route = [{ destination = "0.0.0.0/0", gateway = "10.0.2.254" }, { destination = "::/0", gateway = "fd00:2::fe" }] },
| ]
| router = [
|   { name = "r", interface = [{ name = "eth0", addresses = ["10.0.0.254/24", "fd00:0::fe/64"] }, { name = "eth1", mtu = 1300, addresses = ["10.0.1.1/24", "fd00:1::1/64"] }], route = [{ destination = "10.0.2.0/24", gateway = "10.0.1.2" }, { destination = "fd00:2::/64", gateway = "fd00:1::2" }] },
|   { name = "t", interface = [{ name = "eth0", mtu = 1300, addresses = ["10.0.1.2/24", "fd00:1::2/64"] }, { name = "eth1", addresses = ["10.0.2.254/24", "fd00:2::fe/64"] }], route = [{ destination = "0.0.0.0/0", gateway = "10.0.1.1" }, { destination = "::/0", gateway = "fd00:1::1" }] },
| ]
| link = [{ between = ["a", "r"] }, { between = ["r", "t"], rate_kbit_s = 20000 }, { between = ["t", "b"] }]
| flow = [
|   { kind = "stream", from = "a", to = "b", bytes = 200000, reply_bytes = 100000 },
|   { kind = "stream", from = "b", to = "a", bytes = 200000, ipv6 = true, start_ms = 3000 },
|   { kind = "datagram", from = "a", to = "b", bytes = 4000, reply_bytes = 4000, count = 5 },
| ]
"#;
        let case: Case = text.parse().expect("a case");
        let outcome = run(&case);
        assert_eq!(outcome.violation, None);
        // Each frame passes three links, and data what the narrow one takes.
        assert!(outcome.frames > 3 * 500_000 / 1_260, "{}", outcome.frames);
        // A router without a way back.
        let lost = text.replace("gateway = \"10.0.1.1\"", "gateway = \"10.0.1.9\"");
        let lost = lost.replace("count = 5", "count = 5, start_ms = 2000");
        let outcome = run(&lost.parse().expect("a case"));
        assert!(outcome.violation.is_some());
    }

    #[test]
    fn hosts_whose_clocks_differ_understand_each_other() {
        let mut case = example();
        let plan =
            "causeway fault plan 2\nclock-rate a 1ms..2s +1000ppm\nclock-rate b 5ms..4s -1000ppm\n";
        case.plan = plan.parse().expect("a plan");
        let outcome = run(&case);
        assert_eq!((&outcome.violation, &outcome.executed), (&None, &case.plan));
        assert_ne!(outcome.hash, run(&Case { plan: FaultPlan::new(), ..case.clone() }).hash);
        // A server whose clock is slow begins before a client whose clock is fast.
        let later = case.scenario.replacen("bytes = 30000", "bytes = 30000, start_ms = 3000", 1);
        let plan =
            "causeway fault plan 2\nclock-rate a 0s..3s +10000ppm\nclock-rate b 0s..3s -10000ppm\n";
        let plan = plan.parse().expect("a plan");
        assert_eq!(run(&Case { scenario: later, plan, ..case }).violation, None);
    }

    #[test]
    fn what_is_wrong_with_a_case_is_told() {
        let mut case = example();
        case.plan = "causeway fault plan 2\npause q 1s..2s\n".parse().expect("a plan");
        let trial = Trial::new("case", &case).expect("the scenario is right");
        let error = trial.run(Vec::new()).expect_err("there is no q").to_string();
        assert!(error.starts_with("`pause q 1s..2s` names `q`, which does not exist"), "{error}");
        case = example();
        case.scenario.push_str("fault = { loss_ppm = 5 }\n");
        let trial = Trial::new("case", &case).expect("the scenario is right");
        assert!(matches!(trial.run(Vec::new()), Err(TrialError::Ambiguous)));
    }

    #[test]
    fn a_flow_whose_numbers_were_changed_need_not_end() {
        let mut case = example();
        // The highest bit but one of a timestamp of a.
        let plan = "causeway fault plan 2\ncorrupt a->b 12 byte 58 xor 0x40 repaired\n";
        case.plan = plan.parse().expect("a plan");
        case.scenario.push_str("run = { limit_s = 30 }\n");
        let outcome = run(&case);
        assert_eq!(outcome.violation, None);
        assert!(outcome.ended_at > Instant::ZERO + Duration::from_secs(30), "it went on");
    }

    #[test]
    fn a_clean_run_has_to_be_done_by_then() {
        let case = Case { plan: FaultPlan::new(), ..example() };
        assert_eq!(run(&case).violation, None);
        let trial = Trial::new("case", &case).expect("the scenario is right");
        let mut world = World::new(crate::world::WorldConfig::new(1));
        let by = pace::clean_by(trial.scenario());
        world.run_until(by).expect("nothing is there");
        assert_eq!(trial.slow(&world), None);
        world.run_until(by + Duration::from_millis(7)).expect("nothing is there");
        let slow = trial.slow(&world).expect("it is late");
        assert_eq!(slow.signature, "O9.slow");
        assert!(slow.words.contains("done 7 ms after"), "{}", slow.words);
        assert!(slow.words.ends_with("Cubic, Cubic"), "{}", slow.words);
        // With faults it is another matter.
        let faulty = Trial::new("case", &example()).expect("the scenario is right");
        assert_eq!(faulty.slow(&world), None);
    }

    #[test]
    fn a_flow_that_cannot_go_on_is_found() {
        let mut case = example();
        // The direction is dark far beyond the time that everything has.
        case.scenario.push_str("run = { limit_s = 5 }\n");
        let plan = "causeway fault plan 2\nmss-clamp a->b 0s..1s 500\n";
        case.plan = plan.parse().expect("a plan");
        assert_eq!(run(&case).violation, None);
        case.scenario = case.scenario.replace("bytes = 30000", "bytes = 30000000");
        let violation = run(&case).violation.expect("24 s of data do not go through in 15 s");
        assert_eq!(violation.signature, "O7.unfinished");
        let [a, b] = ["host a: Tcp 10.0.0.1:", "host b: Tcp 10.0.0.2:10000 to 10.0.0.1:"];
        for part in [a, b, "not acknowledged", "the host's next timer is for Socket"] {
            assert!(violation.words.contains(part), "{part}: {}", violation.words);
        }
    }
}
