//! The plan as text: one decision a line, for people to read, edit and keep as a regression test. Grammar: `docs/simulator.md`.
//!
//! ```text
//! causeway fault plan 2
//! # comments stay where they are
//! drop a->b 17
//! corrupt a->b 20 byte 77 xor 0x10
//! delay b->a 31 by 250us
//! duplicate a->b 44 after 12us
//! partition a->b 1s..2500ms
//! pause b 3200ms..3900ms
//! late b 200 by 50us
//! short-burst b.eth0 17 takes 2
//! ```

use std::fmt;
use std::str::FromStr;

use causeway_core::time::{Duration, Instant};

use super::clock::ClockTrouble;
use super::meddling::Meddling;
use super::neighbor::NeighborTrouble;
use super::nic::NicTrouble;
use super::plan::{
    Condition, Decision, Event, Fault, FaultPlan, Forgery, ForgeryKind, Line, TargetKind, TcpOption,
};

/// The first line of every plan: what it is, and the version of the format.
pub const HEADER: &str = "causeway fault plan 2";

/// What is wrong with a plan's text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct PlanError {
    /// Counted from 1.
    pub line: usize,
    /// In words.
    pub reason: String,
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        for line in self.lines() {
            match line {
                Line::Comment(text) => writeln!(f, "#{text}")?,
                Line::Decision(decision) => writeln!(f, "{decision}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { direction, frame, fault } => write_fault(f, direction, *frame, *fault),
            Self::Counted { target, event, number, value } => {
                let (verb, word) = event_words(*event);
                write!(f, "{verb} {target} {number}")?;
                match event {
                    Event::Late | Event::LateBell => {
                        write!(f, " {word} {}", exact(Duration::from_nanos(*value)))
                    }
                    _ if word.is_empty() => Ok(()),
                    _ => write!(f, " {word} {value}"),
                }
            }
            Self::Span { target, from, until, condition } => {
                let since = |at: &Instant| exact(at.saturating_since(Instant::ZERO));
                let span = format!("{target} {}..{}", since(from), since(until));
                write_condition(f, &span, *condition)
            }
        }
    }
}

/// One decision about a frame as the plan prints it, without the line's end.
pub fn write_fault(
    f: &mut impl fmt::Write,
    direction: &str,
    frame: u64,
    fault: Fault,
) -> fmt::Result {
    let head = format!("{direction} {frame}");
    match fault {
        Fault::Drop => write!(f, "drop {head}"),
        Fault::Corrupt { offset, mask, repaired } => {
            let tail = if repaired { " repaired" } else { "" };
            write!(f, "corrupt {head} byte {offset} xor {mask:#04x}{tail}")
        }
        Fault::Truncate { len } => write!(f, "truncate {head} to {len}"),
        Fault::Pad { bytes } => write!(f, "pad {head} by {bytes}"),
        Fault::Mark => write!(f, "mark {head}"),
        Fault::Bleach => write!(f, "bleach {head}"),
        Fault::Strip(option) => write!(f, "strip {head} {}", option_word(option)),
        Fault::Split { at } => write!(f, "split {head} at {at}"),
        Fault::Meddle(meddling) => meddling.write(f, &head),
        Fault::Forge(Forgery { kind, ahead }) => {
            let ahead = ahead.cast_signed();
            match kind {
                ForgeryKind::Rst => write!(f, "forge {head} rst {ahead}"),
                ForgeryKind::Syn => write!(f, "forge {head} syn {ahead}"),
                ForgeryKind::Ack => write!(f, "forge {head} ack {ahead}"),
                ForgeryKind::Data => write!(f, "forge {head} data {ahead}"),
                ForgeryKind::SynStorm(count) => write!(f, "forge {head} storm {ahead} of {count}"),
                ForgeryKind::AckStorm(count) => {
                    write!(f, "forge {head} ack-storm {ahead} of {count}")
                }
                ForgeryKind::TooBig(mtu) => write!(f, "forge {head} too-big {ahead} mtu {mtu}"),
                ForgeryKind::Unreachable => write!(f, "forge {head} unreachable {ahead}"),
                ForgeryKind::Neighbor => write!(f, "forge {head} neighbor {ahead}"),
            }
        }
        Fault::Delay { by } => write!(f, "delay {head} by {}", exact(by)),
        Fault::Hold { frames, at_most } => {
            write!(f, "hold {head} for {frames} at-most {}", exact(at_most))
        }
        Fault::Duplicate { after } => write!(f, "duplicate {head} after {}", exact(after)),
    }
}

/// Getter: a fault as the plan says it, without the frame that it strikes: `delay by 3us`.
pub fn fault_words(fault: Fault) -> String {
    let mut words = String::new();
    // Writing to a string cannot fail.
    let _ = write_fault(&mut words, "-", 0, fault);
    words.replacen(" - 0", "", 1)
}

/// Getter: a condition as the plan says it, without its place and time: `mtu 1400 told`.
pub fn condition_words(condition: Condition) -> String {
    let mut words = String::new();
    // Writing to a string cannot fail.
    let _ = write_condition(&mut words, "-", condition);
    words.replacen(" -", "", 1)
}

fn write_condition(f: &mut impl fmt::Write, span: &str, condition: Condition) -> fmt::Result {
    match condition {
        Condition::Partition => write!(f, "partition {span}"),
        Condition::Rate(bps) => write!(f, "rate {span} {bps}"),
        Condition::Latency(delay) => write!(f, "latency {span} {}", exact(delay)),
        Condition::Mtu { bytes, told } => {
            write!(f, "mtu {span} {bytes}{}", if told { " told" } else { "" })
        }
        Condition::Stripped(option) => write!(f, "stripped {span} {}", option_word(option)),
        Condition::MssClamp(mss) => write!(f, "mss-clamp {span} {mss}"),
        Condition::Window(window) => write!(f, "window {span} {window}"),
        Condition::AckAhead(bytes) => write!(f, "ack-ahead {span} {bytes}"),
        Condition::SackAhead(bytes) => write!(f, "sack-ahead {span} {bytes}"),
        Condition::Flap { up, down } => {
            write!(f, "flap {span} up {} down {}", exact(up), exact(down))
        }
        Condition::Bleached => write!(f, "bleached {span}"),
        Condition::NoRoute => write!(f, "no-route {span}"),
        Condition::NoCarrier => write!(f, "no-carrier {span}"),
        Condition::Nic(trouble) => {
            let (verb, tail) = trouble.words();
            write!(f, "{verb} {span}{tail}")
        }
        Condition::Clock(trouble) => {
            let (verb, tail) = trouble.words();
            write!(f, "{verb} {span}{tail}")
        }
        Condition::Neighbor(trouble) => {
            let (verb, tail) = trouble.words();
            write!(f, "{verb} {span}{tail}")
        }
        Condition::Pause => write!(f, "pause {span}"),
        Condition::ClockAhead(by) => write!(f, "clock-ahead {span} {}", exact(by)),
        Condition::Crash => write!(f, "crash {span}"),
        Condition::Stall => write!(f, "stall {span}"),
        Condition::DaemonRestart => write!(f, "daemon-restart {span}"),
    }
}

/// The verb of an event, and the word in front of its value; empty where it has none.
const fn event_words(event: Event) -> (&'static str, &'static str) {
    match event {
        Event::Late => ("late", "by"),
        Event::ShortBurst => ("short-burst", "takes"),
        Event::NoBuffer => ("no-buffer", ""),
        Event::NoRings => ("no-rings", ""),
        Event::NoMemory => ("no-memory", ""),
        Event::LateBell => ("late-bell", "by"),
        Event::LostBell => ("lost-bell", ""),
        Event::NoChannel => ("no-channel", "for"),
        Event::Dies => ("dies", "with"),
        Event::Hangs => ("hangs", ""),
        Event::Scribbles => ("scribbles", "with"),
        Event::SumUnknown => ("sum-unknown", ""),
        Event::SumBad => ("sum-bad", ""),
        Event::SumGood => ("sum-good", ""),
        Event::OddCut => ("odd-cut", "by"),
        Event::GreedyJoin => ("greedy-join", ""),
    }
}

const OPTIONS: [(TcpOption, &str); 6] = [
    (TcpOption::Mss, "mss"),
    (TcpOption::WindowScale, "window-scale"),
    (TcpOption::SackPermitted, "sack-permitted"),
    (TcpOption::Sack, "sack"),
    (TcpOption::Timestamps, "timestamps"),
    (TcpOption::FastOpen, "fast-open"),
];

fn option_word(option: TcpOption) -> &'static str {
    OPTIONS.iter().find(|(known, _)| *known == option).map_or("", |(_, word)| word)
}

/// A span in the largest unit that says it exactly.
pub fn exact(span: Duration) -> String {
    match span.as_nanos() {
        n if n % 1_000_000_000 == 0 => format!("{}s", n / 1_000_000_000),
        n if n % 1_000_000 == 0 => format!("{}ms", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{}us", n / 1_000),
        n => format!("{n}ns"),
    }
}

impl FromStr for FaultPlan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self::new();
        let mut seen_header = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            let fail = |reason| PlanError { line: index + 1, reason };
            if line.is_empty() {
                continue;
            }
            if let Some(comment) = line.strip_prefix('#') {
                plan.push_line(Line::Comment(comment.to_owned()));
                continue;
            }
            if !seen_header {
                if line != HEADER {
                    return Err(fail(format!("expected `{HEADER}`, found `{line}`")));
                }
                seen_header = true;
                continue;
            }
            plan.push(line.parse().map_err(fail)?);
        }
        if seen_header {
            Ok(plan)
        } else {
            Err(PlanError { line: 1, reason: format!("expected `{HEADER}`, found nothing") })
        }
    }
}

impl FromStr for Decision {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [verb, target, when, rest @ ..] = words.as_slice() else {
            return Err(format!("expected `WHAT WHERE WHEN ...`, found `{line}`"));
        };
        let target = (*target).to_owned();
        if let Some((from, until)) = when.split_once("..") {
            let condition = condition(verb, rest)?;
            is_target(&target, condition.target())?;
            let at = |text| Ok::<_, String>(Instant::ZERO + span(text)?);
            let (from, until) = (at(from)?, at(until)?);
            if from >= until {
                return Err(format!("`{when}` ends before it begins"));
            }
            return Ok(Self::Span { target, from, until, condition });
        }
        let number = match number::<u64>(when)? {
            0 => return Err("things are counted from 1".to_owned()),
            number => number,
        };
        if let Some(event) = Event::ALL.into_iter().find(|event| event_words(*event).0 == *verb) {
            let value = event_value(event, rest)?;
            return Ok(Self::Counted { target, event, number, value });
        }
        let fault = fault(verb, rest)?;
        is_target(&target, TargetKind::Direction)?;
        Ok(Self::Frame { direction: target, frame: number, fault })
    }
}

fn is_target(target: &str, kind: TargetKind) -> Result<(), String> {
    let parts = |separator: &str| {
        let parts = target.split(separator).collect::<Vec<_>>();
        parts.len() == 2 && parts.iter().all(|part| !part.is_empty())
    };
    let (right, example) = match kind {
        TargetKind::Direction => (parts("->"), "a direction like `a->b`"),
        TargetKind::Nic => (parts(".") && !target.contains("->"), "a NIC like `a.eth0`"),
        TargetKind::Host => (!target.contains("->"), "a host like `a`"),
    };
    if right { Ok(()) } else { Err(format!("expected {example}, found `{target}`")) }
}

fn event_value(event: Event, rest: &[&str]) -> Result<u64, String> {
    let (verb, word) = event_words(event);
    match rest {
        [] if word.is_empty() => Ok(0),
        [given, value] if !word.is_empty() && *given == word => match event {
            Event::Late | Event::LateBell => span(value).map(Duration::as_nanos),
            _ => number(value),
        },
        _ => Err(format!("wrong arguments for `{verb}`: `{}`", rest.join(" "))),
    }
}

fn fault(verb: &str, rest: &[&str]) -> Result<Fault, String> {
    if let Some(meddling) = Meddling::parse(verb, rest) {
        return meddling.map(Fault::Meddle);
    }
    Ok(match (verb, rest) {
        ("drop", []) => Fault::Drop,
        ("corrupt", ["byte", offset, "xor", mask]) => {
            Fault::Corrupt { offset: number(offset)?, mask: byte_mask(mask)?, repaired: false }
        }
        ("corrupt", ["byte", offset, "xor", mask, "repaired"]) => {
            Fault::Corrupt { offset: number(offset)?, mask: byte_mask(mask)?, repaired: true }
        }
        ("truncate", ["to", len]) => Fault::Truncate { len: number(len)? },
        ("pad", ["by", bytes]) => Fault::Pad { bytes: number(bytes)? },
        ("mark", []) => Fault::Mark,
        ("bleach", []) => Fault::Bleach,
        ("strip", [option]) => Fault::Strip(tcp_option(option)?),
        ("split", ["at", at]) => Fault::Split { at: number(at)? },
        ("forge", [kind, ahead, rest @ ..]) => {
            let ahead = number::<i32>(ahead)?.cast_unsigned();
            Fault::Forge(Forgery { kind: forgery(kind, rest)?, ahead })
        }
        ("delay", ["by", text]) => Fault::Delay { by: span(text)? },
        ("hold", ["for", frames, "at-most", text]) => match number(frames)? {
            0 => return Err("a frame is held for at least one other".to_owned()),
            frames => Fault::Hold { frames, at_most: span(text)? },
        },
        ("duplicate", ["after", text]) => Fault::Duplicate { after: span(text)? },
        (
            "drop" | "corrupt" | "truncate" | "pad" | "mark" | "bleach" | "strip" | "split"
            | "forge" | "delay" | "hold" | "duplicate",
            _,
        ) => return Err(format!("wrong arguments for `{verb}`: `{}`", rest.join(" "))),
        (other, _) => return Err(format!("unknown fault `{other}`")),
    })
}

fn forgery(kind: &str, rest: &[&str]) -> Result<ForgeryKind, String> {
    Ok(match (kind, rest) {
        ("rst", []) => ForgeryKind::Rst,
        ("syn", []) => ForgeryKind::Syn,
        ("ack", []) => ForgeryKind::Ack,
        ("data", []) => ForgeryKind::Data,
        ("storm", ["of", count]) => ForgeryKind::SynStorm(number(count)?),
        ("ack-storm", ["of", count]) => ForgeryKind::AckStorm(number(count)?),
        ("too-big", ["mtu", mtu]) => ForgeryKind::TooBig(number(mtu)?),
        ("unreachable", []) => ForgeryKind::Unreachable,
        ("neighbor", []) => ForgeryKind::Neighbor,
        _ => return Err(format!("unknown forgery `{kind} {}`", rest.join(" "))),
    })
}

fn condition(verb: &str, rest: &[&str]) -> Result<Condition, String> {
    Ok(match (verb, rest) {
        ("partition", []) => Condition::Partition,
        ("rate", [bps]) => match number(bps)? {
            0 => return Err("a rate is at least 1 bit/s".to_owned()),
            bps => Condition::Rate(bps),
        },
        ("latency", [delay]) => Condition::Latency(span(delay)?),
        ("mtu", [bytes]) => Condition::Mtu { bytes: number(bytes)?, told: false },
        ("mtu", [bytes, "told"]) => Condition::Mtu { bytes: number(bytes)?, told: true },
        ("stripped", [option]) => Condition::Stripped(tcp_option(option)?),
        ("mss-clamp", [mss]) => Condition::MssClamp(number(mss)?),
        ("window", [window]) => Condition::Window(number(window)?),
        ("ack-ahead", [bytes]) => Condition::AckAhead(number(bytes)?),
        ("sack-ahead", [bytes]) => Condition::SackAhead(number(bytes)?),
        ("flap", ["up", up, "down", down]) => match (span(up)?, span(down)?) {
            (Duration::ZERO, _) | (_, Duration::ZERO) => {
                return Err("a direction that flaps is up and down for some time".to_owned());
            }
            (up, down) => Condition::Flap { up, down },
        },
        ("bleached", []) => Condition::Bleached,
        ("no-route", []) => Condition::NoRoute,
        ("no-carrier", []) => Condition::NoCarrier,
        ("pause", []) => Condition::Pause,
        ("clock-ahead", [by]) => Condition::ClockAhead(span(by)?),
        ("crash", []) => Condition::Crash,
        ("stall", []) => Condition::Stall,
        ("daemon-restart", []) => Condition::DaemonRestart,
        (other, rest) => {
            if let Some(trouble) = NicTrouble::parse(other, rest) {
                return trouble.map(Condition::Nic);
            }
            if let Some(trouble) = ClockTrouble::parse(other, rest) {
                return trouble.map(Condition::Clock);
            }
            if let Some(trouble) = NeighborTrouble::parse(other, rest) {
                return trouble.map(Condition::Neighbor);
            }
            let line = std::iter::once(&other).chain(rest).copied().collect::<Vec<_>>().join(" ");
            return Err(format!("unknown condition `{line}`"));
        }
    })
}

fn tcp_option(word: &str) -> Result<TcpOption, String> {
    let known = OPTIONS.iter().find(|(_, known)| *known == word);
    known.map(|(option, _)| *option).ok_or_else(|| {
        let words = OPTIONS.map(|(_, word)| word).join(", ");
        format!("expected one of {words}, found `{word}`")
    })
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected a number in range, found `{text}`"))
}

fn byte_mask(text: &str) -> Result<u8, String> {
    let value = match text.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    value
        .filter(|&mask| mask != 0)
        .ok_or_else(|| format!("expected a mask from 0x01 to 0xff, found `{text}`"))
}

/// A span with its unit: ns, us, ms or s.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let nanos_per_unit: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(format!("expected a time with ns, us, ms or s, found `{text}`")),
    };
    let nanos = number::<u64>(count)?
        .checked_mul(nanos_per_unit)
        .ok_or_else(|| format!("`{text}` is too long a time"))?;
    Ok(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error_of(text: &str) -> String {
        text.parse::<FaultPlan>().expect_err("the text is wrong").to_string()
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        let head = format!("{HEADER}\n# fine\n\n");
        let cases = [
            ("drop a->b", "line 4: expected `WHAT WHERE WHEN ...`"),
            ("drop a-b 1", "line 4: expected a direction"),
            ("drop a->b 0", "line 4: things are counted from 1"),
            ("lose a->b 1", "line 4: unknown fault `lose`"),
            ("delay a->b 1 by 5", "line 4: expected a time"),
            ("delay a->b 1 by 99999999999999s", "line 4: `99999999999999s` is too long"),
            ("corrupt a->b 1 byte 7 xor 0x00", "line 4: expected a mask"),
            ("corrupt a->b 1 byte 7", "line 4: wrong arguments for `corrupt`"),
            ("pause a->b 1s..2s", "line 4: expected a host"),
            ("no-carrier a 1s..2s", "line 4: expected a NIC"),
            ("tx-stalled a 1s..2s", "line 4: expected a NIC"),
            ("coalesced a.eth0 1s..2s 0us", "line 4: an interval is at least"),
            ("rx-ring a.eth0 1s..2s many", "line 4: expected a number in range"),
            ("silent-neighbor a 1s..2s", "line 4: expected a direction"),
            ("false-neighbor a->b 1s..2s 02:00", "line 4: expected a station like"),
            ("clock-rate a->b 1s..2s +5ppm", "line 4: expected a host"),
            ("clock-rate a 1s..2s 5", "line 4: expected a rate like"),
            ("wall-step a 1s..2s 5s", "line 4: expected a step like"),
            ("odd-cut a.eth0 3", "line 4: wrong arguments for `odd-cut`"),
            ("pause a 2s..1s", "line 4: `2s..1s` ends before it begins"),
            ("sleep a 1s..2s", "line 4: unknown condition `sleep`"),
            ("rate a->b 1s..2s 0", "line 4: a rate is at least"),
            ("strip a->b 3 padding", "line 4: expected one of mss"),
            ("short-burst a.eth0 3", "line 4: wrong arguments for `short-burst`"),
            ("forge a->b 3 fin 7", "line 4: unknown forgery `fin"),
            ("forge a->b 3 ack-storm 7", "line 4: unknown forgery `ack-storm"),
            ("hold a->b 3 for 0 at-most 1ms", "line 4: a frame is held for at least one"),
            ("hold a->b 3 for 2", "line 4: wrong arguments for `hold`"),
            ("join a->b 3", "line 4: wrong arguments for `join`"),
            ("divide a->b 3 of 99 into 65", "line 4: an acknowledgement becomes 2 to 64"),
            ("divide a->b 3 of 99 into 1", "line 4: an acknowledgement becomes 2 to 64"),
            ("flap a->b 1s..2s up 0s down 1s", "line 4: a direction that flaps is up"),
            ("flap a->b 1s..2s", "line 4: unknown condition `flap`"),
        ];
        for (line, expected) in cases {
            let error = error_of(&format!("{head}{line}\n"));
            assert!(error.starts_with(expected), "{line}: {error}");
        }
        assert!(error_of("").starts_with("line 1: expected"));
        assert!(error_of("drop a->b 1").starts_with("line 1: expected"));
    }

    #[test]
    fn the_documented_example_is_read_as_it_says() {
        let text = "causeway fault plan 2\n# c\n\ncorrupt a->b 20 byte 77 xor 0x10\n\
                    delay b->a 31 by 250us\nduplicate a->b 44 after 12us\ndrop a->b 17\n\
                    pause b 3200ms..3900ms\nlate b 200 by 50us\n";
        let plan: FaultPlan = text.parse().expect("the example is right");
        assert_eq!(plan.len(), 6);
        assert_eq!(plan.direction("a->b")[0], (17, Fault::Drop));
        assert_eq!(plan.direction("b->a"), [(31, Fault::Delay { by: Duration::from_micros(250) })]);
        assert_eq!(plan.counted()[&("b", Event::Late)], [(200, 50_000)]);
        let spans: Vec<_> = plan.spans().collect();
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        assert_eq!(spans, [("b", at(3_200), at(3_900), Condition::Pause)]);
        assert_eq!(plan.to_string(), text.replace("\n\n", "\n"), "comments stay, and the order");
    }

    #[test]
    fn what_happens_is_said_without_its_place() {
        let by = Duration::from_micros(3);
        assert_eq!(fault_words(Fault::Drop), "drop");
        assert_eq!(fault_words(Fault::Delay { by }), "delay by 3us");
        let forgery = Forgery { kind: ForgeryKind::Rst, ahead: 7 };
        assert_eq!(fault_words(Fault::Forge(forgery)), "forge rst 7");
        assert_eq!(condition_words(Condition::Partition), "partition");
        let mtu = Condition::Mtu { bytes: 1_400, told: true };
        assert_eq!(condition_words(mtu), "mtu 1400 told");
    }

    fn any_option() -> impl Strategy<Value = TcpOption> {
        (0..OPTIONS.len()).prop_map(|index| OPTIONS[index].0)
    }

    fn any_forgery() -> impl Strategy<Value = Forgery> {
        let kind = prop_oneof![
            Just(ForgeryKind::Rst),
            Just(ForgeryKind::Syn),
            Just(ForgeryKind::Ack),
            Just(ForgeryKind::Data),
            any::<u16>().prop_map(ForgeryKind::SynStorm),
            any::<u16>().prop_map(ForgeryKind::AckStorm),
            any::<u16>().prop_map(ForgeryKind::TooBig),
            Just(ForgeryKind::Unreachable),
            Just(ForgeryKind::Neighbor),
        ];
        (kind, any::<u32>()).prop_map(|(kind, ahead)| Forgery { kind, ahead })
    }

    fn any_meddling() -> impl Strategy<Value = Meddling> {
        prop_oneof![
            any::<u16>().prop_map(|within| Meddling::Join { within }),
            Just(Meddling::Thin),
            (2..=Meddling::PARTS_MAX, any::<u32>())
                .prop_map(|(parts, bytes)| Meddling::Divide { parts, bytes }),
        ]
    }

    fn any_fault() -> impl Strategy<Value = Fault> {
        let nanos = || any::<u64>().prop_map(Duration::from_nanos);
        prop_oneof![
            Just(Fault::Drop),
            (any::<u32>(), 1_u8.., any::<bool>())
                .prop_map(|(offset, mask, repaired)| Fault::Corrupt { offset, mask, repaired }),
            any::<u32>().prop_map(|len| Fault::Truncate { len }),
            any::<u32>().prop_map(|bytes| Fault::Pad { bytes }),
            Just(Fault::Mark),
            Just(Fault::Bleach),
            any_option().prop_map(Fault::Strip),
            any::<u32>().prop_map(|at| Fault::Split { at }),
            any_meddling().prop_map(Fault::Meddle),
            any_forgery().prop_map(Fault::Forge),
            (1_u32.., nanos()).prop_map(|(frames, at_most)| Fault::Hold { frames, at_most }),
            nanos().prop_map(|by| Fault::Delay { by }),
            nanos().prop_map(|after| Fault::Duplicate { after }),
        ]
    }

    fn any_condition() -> impl Strategy<Value = Condition> {
        prop_oneof![
            Just(Condition::Partition),
            (1_u64..).prop_map(Condition::Rate),
            any::<u64>().prop_map(|n| Condition::Latency(Duration::from_nanos(n))),
            any::<(u16, bool)>().prop_map(|(bytes, told)| Condition::Mtu { bytes, told }),
            any_option().prop_map(Condition::Stripped),
            any::<u16>().prop_map(Condition::MssClamp),
            any::<u16>().prop_map(Condition::Window),
            any::<u32>().prop_map(Condition::AckAhead),
            any::<u32>().prop_map(Condition::SackAhead),
            (1_u64.., 1_u64..).prop_map(|(up, down)| Condition::Flap {
                up: Duration::from_nanos(up),
                down: Duration::from_nanos(down),
            }),
            Just(Condition::Bleached),
            Just(Condition::NoRoute),
            Just(Condition::NoCarrier),
            super::super::nic::tests::any_trouble().prop_map(Condition::Nic),
            super::super::clock::tests::any_trouble().prop_map(Condition::Clock),
            super::super::neighbor::tests::any_trouble().prop_map(Condition::Neighbor),
            Just(Condition::Pause),
            any::<u64>().prop_map(|n| Condition::ClockAhead(Duration::from_nanos(n))),
            Just(Condition::Crash),
            Just(Condition::Stall),
            Just(Condition::DaemonRestart),
        ]
    }

    fn any_decision() -> impl Strategy<Value = Decision> {
        let name = "[a-z]{1,3}";
        prop_oneof![
            ("[a-z]{1,3}->[a-z]{1,3}", 1_u64.., any_fault())
                .prop_map(|(direction, frame, fault)| Decision::Frame { direction, frame, fault }),
            (name, 0..Event::ALL.len(), 1_u64.., any::<u64>()).prop_map(|(target, event, n, v)| {
                let event = Event::ALL[event];
                let value = if event_words(event).1.is_empty() { 0 } else { v };
                Decision::Counted { target, event, number: n, value }
            }),
            (name, any::<u32>(), 1_u32.., any_condition()).prop_map(|(name, from, len, what)| {
                let target = match what.target() {
                    TargetKind::Direction => format!("{name}->x"),
                    TargetKind::Nic => format!("{name}.eth0"),
                    TargetKind::Host => name,
                };
                let from = Instant::from_nanos(from.into());
                let until = from + Duration::from_nanos(len.into());
                Decision::Span { target, from, until, condition: what }
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_plan_reads_back_as_it_was_printed(
            decisions in proptest::collection::vec(any_decision(), 0..40)
        ) {
            let plan: FaultPlan = decisions.into_iter().collect();
            prop_assert_eq!(plan.to_string().parse::<FaultPlan>(), Ok(plan));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<FaultPlan>();
            let _ = format!("{HEADER}\n{text}").parse::<FaultPlan>();
        }
    }
}
