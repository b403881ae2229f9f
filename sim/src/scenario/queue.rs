//! `link.queue` and what belongs to it: where frames wait for a link, and what happens to those that wait too long.

use causeway_core::time::Duration;
use causeway_server::config::ConfigError;
use causeway_server::config::document::{Integer, Source, word};
use serde::Deserialize;
use toml::Spanned;

use crate::link::{CoDelConfig, Queue, QueueLimit, RedConfig};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRed {
    min_frames: Option<Spanned<i128>>,
    max_frames: Option<Spanned<i128>>,
    max_ppm: Option<Spanned<i128>>,
    weight_shift: Option<Spanned<i128>>,
    #[serde(default)]
    ecn: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCoDel {
    target_us: Option<Spanned<i128>>,
    interval_us: Option<Spanned<i128>>,
    #[serde(default)]
    ecn: bool,
}

/// The keys of a link that are about its queues.
#[derive(Debug)]
pub(super) struct RawQueue {
    pub(super) queue: Option<Spanned<String>>,
    pub(super) queue_frames: Option<Spanned<i128>>,
    pub(super) red: Option<Spanned<RawRed>>,
    pub(super) codel: Option<Spanned<RawCoDel>>,
}

const QUEUE_FRAMES: Integer =
    Integer { key: "link.queue_frames", default: 100, range: 1..=1_000_000, unit: "frames" };
const MIN_FRAMES: Integer =
    Integer { key: "link.red.min_frames", default: 5, range: 0..=1_000_000, unit: "frames" };
const MAX_FRAMES: Integer =
    Integer { key: "link.red.max_frames", default: 15, range: 1..=1_000_000, unit: "frames" };
const MAX_PPM: Integer = Integer {
    key: "link.red.max_ppm",
    default: 100_000,
    range: 1..=1_000_000,
    unit: "parts per million",
};
const WEIGHT_SHIFT: Integer =
    Integer { key: "link.red.weight_shift", default: 9, range: 1..=16, unit: "" };
const TARGET_US: Integer = Integer {
    key: "link.codel.target_us",
    default: 5_000,
    range: 1..=10_000_000,
    unit: "microseconds",
};
const INTERVAL_US: Integer = Integer {
    key: "link.codel.interval_us",
    default: 100_000,
    range: 1..=10_000_000,
    unit: "microseconds",
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cable,
    DropTail,
    Red,
    CoDel,
}

impl RawQueue {
    /// The queue that a host's side has, and the one that a switch's or router's side has, which have no ring that pushes back.
    pub(super) fn build(self, source: &Source<'_>) -> Result<[Queue; 2], ConfigError> {
        let kinds = [
            ("cable", Kind::Cable),
            ("drop-tail", Kind::DropTail),
            ("red", Kind::Red),
            ("codel", Kind::CoDel),
        ];
        let kind = word(source, "link.queue", self.queue.as_ref(), Kind::Cable, &kinds)?;
        let limit = QUEUE_FRAMES.check_u32(source, self.queue_frames.as_ref())? as usize;
        let belongs = |key: &str, span: Option<std::ops::Range<usize>>, right: bool, word: &str| {
            let Some(span) = span.filter(|_| !right) else { return Ok(()) };
            let advice = format!("give queue = {word:?}, or leave it out");
            Err(source.error(key, span, "the queue is of another kind".to_owned(), advice))
        };
        let red_span = self.red.as_ref().map(Spanned::span);
        belongs("link.red", red_span, kind == Kind::Red, "red")?;
        let codel_span = self.codel.as_ref().map(Spanned::span);
        belongs("link.codel", codel_span, kind == Kind::CoDel, "codel")?;
        let drop_tail = Queue::DropTail(QueueLimit::Frames(limit));
        Ok(match kind {
            Kind::Cable => [Queue::Ring, drop_tail],
            Kind::DropTail => [drop_tail; 2],
            Kind::Red => [Queue::Red(red(source, limit, self.red.as_ref())?); 2],
            Kind::CoDel => {
                let raw = self.codel.as_ref().map(Spanned::get_ref);
                [Queue::CoDel(codel(source, limit, raw)?); 2]
            }
        })
    }
}

fn red(
    source: &Source<'_>,
    limit_frames: usize,
    table: Option<&Spanned<RawRed>>,
) -> Result<RedConfig, ConfigError> {
    let raw = table.map(Spanned::get_ref);
    let config = RedConfig {
        limit_frames,
        min_frames: MIN_FRAMES.check_u32(source, raw.and_then(|raw| raw.min_frames.as_ref()))?,
        max_frames: MAX_FRAMES.check_u32(source, raw.and_then(|raw| raw.max_frames.as_ref()))?,
        max_ppm: MAX_PPM.check_u32(source, raw.and_then(|raw| raw.max_ppm.as_ref()))?,
        weight_shift: WEIGHT_SHIFT
            .check_u32(source, raw.and_then(|raw| raw.weight_shift.as_ref()))?,
        ecn: raw.is_some_and(|raw| raw.ecn),
    };
    if let Some(table) = table.filter(|_| config.min_frames >= config.max_frames) {
        let problem = format!("{} is not less than {}", config.min_frames, config.max_frames);
        let advice = "give min_frames less than max_frames";
        return Err(source.error("link.red.min_frames", table.span(), problem, advice));
    }
    Ok(config)
}

fn codel(
    source: &Source<'_>,
    limit_frames: usize,
    raw: Option<&RawCoDel>,
) -> Result<CoDelConfig, ConfigError> {
    let target = TARGET_US.check_u64(source, raw.and_then(|raw| raw.target_us.as_ref()))?;
    let interval = INTERVAL_US.check_u64(source, raw.and_then(|raw| raw.interval_us.as_ref()))?;
    Ok(CoDelConfig {
        limit_frames,
        target: Duration::from_micros(target),
        interval: Duration::from_micros(interval),
        ecn: raw.is_some_and(|raw| raw.ecn),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;
    use super::*;

    fn read(link: &str) -> Result<[Queue; 2], String> {
        let text = format!(
            "host = [\n\
             {{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},\n\
             {{ name = \"b\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}] }},\n]\n\
             link = [{{ between = [\"a\", \"b\"], {link} }}]\n\
             flow = [{{ kind = \"stream\", from = \"a\", to = \"b\" }}]\n"
        );
        let scenario = Scenario::parse("x.toml", &text).map_err(|error| error.to_string())?;
        Ok(scenario.links[0].physics.map(|physics| physics.queue))
    }

    #[test]
    fn managed_queues_are_read_with_their_defaults() {
        let red = RedConfig {
            limit_frames: 100,
            min_frames: 5,
            max_frames: 15,
            max_ppm: 100_000,
            weight_shift: 9,
            ecn: false,
        };
        assert_eq!(read("queue = \"red\""), Ok([Queue::Red(red); 2]));
        let other = RedConfig { limit_frames: 50, min_frames: 2, max_frames: 9, ecn: true, ..red };
        let text = "queue = \"red\", queue_frames = 50, red = { min_frames = 2, max_frames = 9, ecn = true }";
        assert_eq!(read(text), Ok([Queue::Red(other); 2]));
        let codel = CoDelConfig {
            limit_frames: 100,
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            ecn: false,
        };
        assert_eq!(read("queue = \"codel\""), Ok([Queue::CoDel(codel); 2]));
        let text = "queue = \"codel\", codel = { target_us = 70, ecn = true }";
        let other = CoDelConfig { target: Duration::from_micros(70), ecn: true, ..codel };
        assert_eq!(read(text), Ok([Queue::CoDel(other); 2]));
    }

    #[test]
    fn what_does_not_belong_to_a_queue_is_told_with_its_line_and_key() {
        for (link, expected) in [
            ("red = { ecn = true }", "x.toml:5: link.red: the queue is of another kind"),
            (
                "queue = \"red\", codel = { ecn = true }",
                "x.toml:5: link.codel: the queue is of another kind",
            ),
            (
                "queue = \"red\", red = { min_frames = 15 }",
                "x.toml:5: link.red.min_frames: 15 is not less than 15",
            ),
            (
                "queue = \"red\", red = { weight_shift = 0 }",
                "x.toml:5: link.red.weight_shift: 0 is out",
            ),
            (
                "queue = \"codel\", codel = { target_us = 0 }",
                "x.toml:5: link.codel.target_us: 0 is out",
            ),
            ("queue = \"codel\", codel = { goal = 0 }", "x.toml:5: goal: unknown key"),
        ] {
            let error = read(link).expect_err(link);
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
