//! The plan as text: one decision a line, for people to read, edit and keep as a regression test.
//!
//! ```text
//! causeway fault plan 1
//! # comments and empty lines are skipped
//! drop a->b 17
//! corrupt a->b 20 byte 77 xor 0x10
//! delay b->a 31 by 250us
//! duplicate a->b 44 after 12us
//! ```

use std::fmt;
use std::str::FromStr;

use causeway_core::time::Duration;

use super::plan::{Decision, Fault, FaultPlan};

/// The first line of every plan: what it is, and the version of the format.
const HEADER: &str = "causeway fault plan 1";

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
        for (direction, frame, fault) in self.iter() {
            write_decision(f, direction, frame, fault)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// One decision as the plan prints it, without the line's end.
pub fn write_decision(
    f: &mut impl fmt::Write,
    direction: &str,
    frame: u64,
    fault: Fault,
) -> fmt::Result {
    match fault {
        Fault::Drop => write!(f, "drop {direction} {frame}"),
        Fault::Corrupt { offset, mask } => {
            write!(f, "corrupt {direction} {frame} byte {offset} xor {mask:#04x}")
        }
        Fault::Delay { by } => write!(f, "delay {direction} {frame} by {}", exact(by)),
        Fault::Duplicate { after } => {
            write!(f, "duplicate {direction} {frame} after {}", exact(after))
        }
    }
}

/// A span in the largest unit that says it exactly.
fn exact(span: Duration) -> String {
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
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |reason| PlanError { line: index + 1, reason };
            if !seen_header {
                if line != HEADER {
                    return Err(fail(format!("expected `{HEADER}`, found `{line}`")));
                }
                seen_header = true;
                continue;
            }
            plan.push(decision(line).map_err(fail)?);
        }
        if seen_header {
            Ok(plan)
        } else {
            Err(PlanError { line: 1, reason: format!("expected `{HEADER}`, found nothing") })
        }
    }
}

fn decision(line: &str) -> Result<Decision, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [verb, direction, frame, rest @ ..] = words.as_slice() else {
        return Err(format!("expected `FAULT FROM->TO FRAME ...`, found `{line}`"));
    };
    let fault = match (*verb, rest) {
        ("drop", []) => Fault::Drop,
        ("corrupt", ["byte", offset, "xor", mask]) => {
            Fault::Corrupt { offset: number(offset)?, mask: byte_mask(mask)? }
        }
        ("delay", ["by", span_text]) => Fault::Delay { by: span(span_text)? },
        ("duplicate", ["after", span_text]) => Fault::Duplicate { after: span(span_text)? },
        ("drop" | "corrupt" | "delay" | "duplicate", _) => {
            return Err(format!("wrong arguments for `{verb}`: `{}`", rest.join(" ")));
        }
        (other, _) => return Err(format!("unknown fault `{other}`")),
    };
    if direction.split("->").filter(|name| !name.is_empty()).count() != 2 {
        return Err(format!("expected a direction like `a->b`, found `{direction}`"));
    }
    let frame = match number::<u64>(frame)? {
        0 => return Err("frames are counted from 1".to_owned()),
        frame => frame,
    };
    Ok(Decision { direction: (*direction).to_owned(), frame, fault })
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected a number, found `{text}`"))
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

fn span(text: &str) -> Result<Duration, String> {
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
            ("drop a->b", "line 4: expected `FAULT FROM->TO FRAME ...`"),
            ("drop a-b 1", "line 4: expected a direction"),
            ("drop a->b 0", "line 4: frames are counted from 1"),
            ("lose a->b 1", "line 4: unknown fault `lose`"),
            ("delay a->b 1 by 5", "line 4: expected a time"),
            ("delay a->b 1 by 99999999999999s", "line 4: `99999999999999s` is too long"),
            ("corrupt a->b 1 byte 7 xor 0x00", "line 4: expected a mask"),
            ("corrupt a->b 1 byte 7", "line 4: wrong arguments for `corrupt`"),
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
        let text = "causeway fault plan 1\n# c\n\ncorrupt a->b 20 byte 77 xor 0x10\n\
                    delay b->a 31 by 250us\nduplicate a->b 44 after 12us\ndrop a->b 17\n";
        let plan: FaultPlan = text.parse().expect("the example is right");
        assert_eq!(plan.len(), 4);
        assert_eq!(plan.direction("a->b")[0], (17, Fault::Drop));
        assert_eq!(plan.direction("b->a"), [(31, Fault::Delay { by: Duration::from_micros(250) })]);
    }

    fn any_fault() -> impl Strategy<Value = Fault> {
        prop_oneof![
            Just(Fault::Drop),
            (any::<u32>(), 1_u8..).prop_map(|(offset, mask)| Fault::Corrupt { offset, mask }),
            any::<u64>().prop_map(|n| Fault::Delay { by: Duration::from_nanos(n) }),
            (0_u64..10_000_000_000)
                .prop_map(|n| Fault::Duplicate { after: Duration::from_nanos(n) }),
        ]
    }

    proptest! {
        #[test]
        fn every_plan_reads_back_as_it_was_printed(
            decisions in proptest::collection::vec(("[a-z]{1,3}->[a-z]{1,3}", 1_u64.., any_fault()), 0..40)
        ) {
            let mut plan = FaultPlan::new();
            for (direction, frame, fault) in decisions {
                plan.push(Decision { direction, frame, fault });
            }
            prop_assert_eq!(plan.to_string().parse::<FaultPlan>(), Ok(plan));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<FaultPlan>();
            let _ = format!("{HEADER}\n{text}").parse::<FaultPlan>();
        }
    }
}
