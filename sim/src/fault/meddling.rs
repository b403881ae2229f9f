//! What middleboxes do to segments in relation to others of their flow.

use std::fmt;

/// What a middlebox does with a segment and its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meddling {
    /// The segment is appended to the one in front of it, where that is the one before in its flow, still under way, and both fit.
    Join {
        /// Bytes of the longest packet that may come of it.
        within: u16,
    },
    /// A pure acknowledgement takes the place of the one in front of it, where that is of the same flow, still under way, and says no more.
    Thin,
    /// A pure acknowledgement becomes several, each of which acknowledges a part more.
    Divide {
        /// How many, at most [`Meddling::PARTS_MAX`].
        parts: u16,
        /// Of so many bytes, those that the last of them acknowledges.
        bytes: u32,
    },
}

impl Meddling {
    /// Most parts of an acknowledgement.
    pub const PARTS_MAX: u16 = 64;

    /// The verb in front of the frame, and what follows it.
    pub(super) fn write(self, f: &mut impl fmt::Write, head: &str) -> fmt::Result {
        match self {
            Self::Join { within } => write!(f, "join {head} within {within}"),
            Self::Thin => write!(f, "thin {head}"),
            Self::Divide { parts, bytes } => write!(f, "divide {head} of {bytes} into {parts}"),
        }
    }

    /// What the words of a plan say; `None` where the verb is another's.
    pub(super) fn parse(verb: &str, rest: &[&str]) -> Option<Result<Self, String>> {
        let wrong = || format!("wrong arguments for `{verb}`: `{}`", rest.join(" "));
        Some(match (verb, rest) {
            ("join", ["within", bytes]) => {
                bytes.parse().map(|within| Self::Join { within }).map_err(|_| wrong())
            }
            ("thin", []) => Ok(Self::Thin),
            ("divide", ["of", bytes, "into", parts]) => match (bytes.parse(), parts.parse()) {
                (Ok(bytes), Ok(parts)) if (2..=Self::PARTS_MAX).contains(&parts) => {
                    Ok(Self::Divide { parts, bytes })
                }
                (Ok(_), Ok(_)) => {
                    Err(format!("an acknowledgement becomes 2 to {}", Self::PARTS_MAX))
                }
                _ => Err(wrong()),
            },
            ("join" | "thin" | "divide", _) => Err(wrong()),
            _ => return None,
        })
    }
}
