//! From a seed to a case of a given scenario: its hosts, links, flows and programs stay, and what goes wrong is drawn.

use causeway_core::time::Duration;
use causeway_server::config::ConfigError;
use toml::{Table, Value};

use super::around_path;
use super::draw::{Draw, span};
use super::parts::Parts;
use crate::fault::{Condition, FaultPlan};
use crate::hash::RollingHash;
use crate::scenario::Scenario;
use crate::trial::Case;

/// Parts of the draws; those of [`super::draw()`] have lower numbers.
const PART_SHAPE: u64 = 16;
const PART_FAULTS: u64 = 17;
const PART_SPANS: u64 = 18;

/// Why nothing can be drawn around a scenario.
#[derive(Debug, thiserror::Error)]
pub enum AroundError {
    /// The scenario is wrong.
    #[error("{0}")]
    Scenario(#[from] ConfigError),
    /// It says itself what goes wrong.
    #[error("the scenario has a [fault], and a swarm draws what goes wrong; remove it")]
    Faults,
    /// Nothing is left to draw: nothing may go wrong at any time.
    #[error("run.heal_ms is 0, so that nothing may go wrong; give at least 1")]
    Healthy,
}

/// A scenario around which cases are drawn.
#[derive(Clone, Debug)]
pub struct Around {
    parts: Parts,
    /// Of links, as plans have them.
    directions: Vec<String>,
    /// Hosts, and whether each may crash: its programs are started again then.
    hosts: Vec<(String, bool)>,
    /// NICs that are on a link.
    nics: Vec<String>,
    /// Interfaces of routers that can do without one.
    detours: Vec<String>,
    heal_ms: u64,
}

impl Around {
    /// What is drawn around `text`, a document whose paths are whole ([`Scenario::anchored`]).
    ///
    /// # Errors
    /// [`AroundError`].
    pub fn new(file: &str, text: &str) -> Result<Self, AroundError> {
        let scenario = Scenario::parse(file, text)?;
        if scenario.draws {
            return Err(AroundError::Faults);
        }
        let heal_ms = scenario.rules.heal_at.as_nanos() / 1_000_000;
        if heal_ms == 0 {
            return Err(AroundError::Healthy);
        }
        let parts = Parts::read(text).expect("what was checked is TOML");
        let hosts = scenario.hosts.iter().enumerate().map(|(index, host)| {
            let mut programs = scenario.programs.iter().filter(|program| program.host == index);
            (host.name.clone(), programs.all(|program| program.restart))
        });
        let nics = scenario
            .hosts
            .iter()
            .flat_map(|host| (0..host.nics.len()).map(|nic| format!("{}.eth{nic}", host.name)));
        Ok(Self {
            parts,
            directions: scenario.links.iter().flat_map(|link| link.names.clone()).collect(),
            hosts: hosts.collect(),
            nics: nics.collect(),
            detours: around_path::detours(&scenario),
            heal_ms,
        })
    }

    /// Getter: a number that is another one for another scenario.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = RollingHash::new(0);
        let mut parts = self.parts.clone();
        // Where the file lies makes no difference.
        parts.remove_table("directory");
        for chunk in parts.to_string().as_bytes().chunks(8) {
            hash.word(chunk.iter().fold(1, |word, byte| word << 8 | u64::from(*byte)));
        }
        hash.value()
    }

    /// Output: the case of a seed. In one of five nothing goes wrong.
    pub fn case(&self, seed: u64) -> Case {
        let mut shape = Draw::new(seed, PART_SHAPE);
        let mut parts = self.parts.clone();
        let mut plan = FaultPlan::new();
        if !shape.chance(20) {
            let mut faults = faults(&mut Draw::new(seed, PART_FAULTS));
            around_path::add_rates(&mut faults, seed);
            if !faults.is_empty() {
                parts.set_table("fault", faults);
            }
            self.draw_spans(&mut plan, &mut Draw::new(seed, PART_SPANS));
            super::nic::draw_spans(&mut plan, seed, &self.nics, self.heal_ms, true);
            let paths = (self.directions.as_slice(), self.detours.as_slice());
            around_path::draw_spans(&mut plan, seed, paths, self.heal_ms);
            super::clocks::draw_around(&mut plan, seed, &self.hosts, self.heal_ms);
        }
        Case { seed, failed: None, scenario: parts.to_string(), plan }
    }

    /// What is so for a while, all of it over when the faults end.
    fn draw_spans(&self, plan: &mut FaultPlan, draw: &mut Draw) {
        let count = if draw.chance(30) { 0 } else { draw.between(1, 4) };
        for _ in 0..count {
            let Some((target, condition)) = self.draw_condition(draw) else { continue };
            let from = draw.stream.below(self.heal_ms);
            let until = from + draw.magnitude(1, self.heal_ms - from);
            plan.push(span(target, from..until, condition));
        }
    }

    /// A condition and whom it is about; `None` where there is nobody.
    fn draw_condition(&self, draw: &mut Draw) -> Option<(String, Condition)> {
        let one = |draw: &mut Draw, names: &[String]| {
            let index = draw.stream.below(names.len().max(1) as u64) as usize;
            names.get(index).cloned()
        };
        let kind = draw.stream.below(12);
        if kind < 7 {
            let direction = one(draw, &self.directions)?;
            let condition = match kind {
                0..=2 => Condition::Partition,
                3 | 4 => Condition::Latency(Duration::from_micros(draw.magnitude(1, 500_000))),
                5 => Condition::Rate(draw.magnitude(50_000, 1_000_000_000)),
                _ => Condition::Bleached,
            };
            return Some((direction, condition));
        }
        if kind == 7 {
            return Some((one(draw, &self.nics)?, Condition::NoCarrier));
        }
        let (host, may_crash) = draw.of(&self.hosts.iter().collect::<Vec<_>>());
        let crash = kind == 11 && *may_crash;
        Some((host.clone(), if crash { Condition::Crash } else { Condition::Pause }))
    }
}

/// A random subset of what a transport has to hide from its programs. What it may not hide, forged segments, say, would excuse whatever
/// a program does then.
fn faults(draw: &mut Draw) -> Table {
    let mut faults = Table::new();
    let mut set = |key: &str, value: u64| {
        faults.insert(key.to_owned(), Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
    };
    for (percent, key, most) in [
        (50, "loss_ppm", 100_000),
        (30, "duplicate_ppm", 50_000),
        (35, "reorder_ppm", 100_000),
        (25, "corrupt_ppm", 30_000),
        (15, "ack_loss_ppm", 300_000),
        (15, "retransmission_loss_ppm", 300_000),
        (10, "truncate_ppm", 10_000),
        (10, "pad_ppm", 50_000),
        (15, "mark_ppm", 50_000),
        (20, "late_ppm", 20_000),
        (15, "short_burst_ppm", 100_000),
        (10, "no_buffer_ppm", 20_000),
    ] {
        if draw.chance(percent) {
            set(key, draw.magnitude(most / 100, most));
        }
    }
    if draw.chance(15) {
        set("burst_enter_ppm", draw.magnitude(1_000, 20_000));
        set("burst_leave_ppm", draw.magnitude(50_000, 500_000));
        set("burst_loss_ppm", draw.magnitude(200_000, 1_000_000));
    }
    for (percent, key, most) in [(60, "reorder_us_max", 50_000), (60, "late_us_max", 20_000)] {
        if draw.chance(percent) {
            set(key, draw.magnitude(10, most));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::condition_words;
    use crate::trial::{ProgramExcuses, program_excuses};

    const TEXT: &str = "run = { heal_ms = 500 }\nhost = [\n\
        { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
        { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n]\n\
        link = [{ between = [\"a\", \"b\"] }]\n";

    fn around(more: &str) -> Around {
        Around::new("x.toml", &format!("{TEXT}{more}")).expect("it is right")
    }

    fn program(more: &str) -> String {
        let file = std::env::current_exe().expect("a test has a file");
        format!("program = [{{ name = \"p\", host = \"b\", command = {file:?}{more} }}]\n")
    }

    #[test]
    fn what_is_given_stays_and_what_goes_wrong_is_drawn() {
        let flow = "flow = [{ kind = \"message\", from = \"a\", to = \"b\", bytes = 7 }]\n";
        let around = around(flow);
        let given = Parts::read(&format!("{TEXT}{flow}")).expect("it is TOML");
        let (mut clean, mut spans) = (0, 0);
        for seed in 0..400 {
            let case = around.case(seed);
            assert_eq!(around.case(seed), case);
            let mut parts = Parts::read(&case.scenario).expect("it is TOML");
            let scenario = Scenario::parse("x", &case.scenario).expect("it is right");
            parts.remove_table("fault");
            assert_eq!(parts, given);
            clean += usize::from(case.plan.is_empty() && !scenario.draws);
            spans += case.plan.len();
            let healed = scenario.rules.heal_at;
            assert!(case.plan.spans().all(|(_, from, until, _)| from < until && until <= healed));
        }
        assert!((60..110).contains(&clean), "{clean} of 400, and a fifth was to be");
        assert!(spans > 400, "{spans}");
    }

    #[test]
    fn whatever_a_transport_hides_is_drawn_and_nothing_that_excuses_a_program() {
        let around = around(&program(", restart = true"));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..1_500 {
            let case = around.case(seed);
            let scenario = Scenario::parse("x", &case.scenario).expect("it is right");
            let excuses = program_excuses(&scenario, &case.plan);
            assert_eq!(excuses, ProgramExcuses::default(), "{seed}");
            let words = case.plan.spans().map(|(.., condition)| condition_words(condition));
            seen.extend(words.map(|words| words.split(' ').next().unwrap_or("").to_owned()));
            let parts = Parts::read(&case.scenario).expect("it is TOML");
            seen.extend(parts.keys_of("fault"));
        }
        for wanted in [
            "flap",
            "sack-ahead",
            "stripped",
            "clock-rate",
            "wall-step",
            "coalesced",
            "tx-stalled",
            "crash",
            "no-carrier",
            "hold_ppm",
            "hold_us_max",
            "header_ppm",
            "join_ppm",
            "thin_ppm",
            "divide_ppm",
            "split_ppm",
            "sum_unknown_ppm",
            "sum_bad_ppm",
            "odd_cut_ppm",
            "greedy_join_ppm",
            "loss_ppm",
        ] {
            assert!(seen.contains(wanted), "{wanted} is never drawn: {seen:?}");
        }
        assert!(!seen.contains("no-route"), "there is no router");
    }

    #[test]
    fn a_host_crashes_only_where_its_programs_start_again() {
        let crashed = |around: &Around| {
            let cases: Vec<Case> = (0..1_000).map(|seed| around.case(seed)).collect();
            let spans = cases.iter().flat_map(|case| case.plan.spans());
            let crashes = spans.filter(|(.., condition)| *condition == Condition::Crash);
            crashes.map(|(target, ..)| target.to_owned()).collect::<std::collections::BTreeSet<_>>()
        };
        let all = ["a".to_owned(), "b".to_owned()];
        assert_eq!(Vec::from_iter(crashed(&around(&program("")))), all[..1]);
        assert_eq!(Vec::from_iter(crashed(&around(&program(", restart = true")))), all);
    }

    #[test]
    fn what_leaves_nothing_to_draw_is_refused() {
        let error = |text: &str| Around::new("x.toml", text).expect_err(text).to_string();
        assert!(error(&format!("{TEXT}fault = {{ loss_ppm = 1 }}\n")).contains("has a [fault]"));
        assert!(error(&TEXT.replace("500", "0")).contains("run.heal_ms is 0"));
        assert!(error("host = 1").starts_with("x.toml:1: host"));
    }

    #[test]
    fn the_fingerprint_is_of_what_is_said_and_not_of_where() {
        let [one, other] = ["/", "/tmp"].map(|directory| {
            let text = format!("directory = \"{directory}\"\n{TEXT}{}", program(""));
            Around::new("x.toml", &text).expect("it is right").fingerprint()
        });
        assert_eq!(one, other);
        assert_ne!(around(&program(", start_ms = 1")).fingerprint(), one);
    }
}
