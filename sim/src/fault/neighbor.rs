//! What is so for a while with the address resolution of a direction: as data, and as text.

use causeway_core::time::Duration;

use super::text::{exact, span};

/// What happens to ARP packets and to messages of neighbour discovery (RFC 4861 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeighborTrouble {
    /// They vanish: a neighbour that never answers.
    Silent,
    /// They arrive so much later.
    Late(Duration),
    /// They say that their sender is at this station.
    False([u8; 6]),
}

impl NeighborTrouble {
    /// The verb of a plan's line, and what stands behind the time.
    pub(super) fn words(self) -> (&'static str, String) {
        match self {
            Self::Silent => ("silent-neighbor", String::new()),
            Self::Late(by) => ("late-neighbor", format!(" {}", exact(by))),
            Self::False(station) => {
                let octets = station.map(|octet| format!("{octet:02x}"));
                ("false-neighbor", format!(" {}", octets.join(":")))
            }
        }
    }

    /// What a line says; `None` where it is not about neighbours.
    pub(super) fn parse(verb: &str, rest: &[&str]) -> Option<Result<Self, String>> {
        Some(match (verb, rest) {
            ("silent-neighbor", []) => Ok(Self::Silent),
            ("late-neighbor", [by]) => span(by).map(Self::Late),
            ("false-neighbor", [station]) => parse_station(station).map(Self::False),
            _ => return None,
        })
    }
}

/// The Ethernet address of one station.
fn parse_station(text: &str) -> Result<[u8; 6], String> {
    let octet = |part: &str| match part.len() {
        2 if !part.starts_with('+') => u8::from_str_radix(part, 16).ok(),
        _ => None,
    };
    let octets: Option<Vec<u8>> = text.split(':').map(octet).collect();
    let station = octets.and_then(|octets| <[u8; 6]>::try_from(octets).ok());
    let one = station.filter(|station| station[0] & 1 == 0 && *station != [0; 6]);
    one.ok_or_else(|| format!("expected a station like `02:00:0a:00:00:05`, found `{text}`"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any of them.
    pub fn any_trouble() -> impl Strategy<Value = NeighborTrouble> {
        prop_oneof![
            Just(NeighborTrouble::Silent),
            any::<u64>().prop_map(|n| NeighborTrouble::Late(Duration::from_nanos(n))),
            any::<[u8; 5]>().prop_map(|[a, b, c, d, e]| NeighborTrouble::False([2, a, b, c, d, e])),
        ]
    }

    #[test]
    fn a_station_is_one_and_written_in_full() {
        let station = |text| NeighborTrouble::parse("false-neighbor", &[text]).expect("of those");
        let expected = NeighborTrouble::False([2, 0, 10, 0, 0, 255]);
        assert_eq!(station("02:00:0a:00:00:ff"), Ok(expected));
        for wrong in [
            "02:00:0a:00:00",
            "02:00:0a:00:00:00:00",
            "2:0:a:0:0:5",
            "01:00:00:00:00:01",
            "00:00:00:00:00:00",
            "02:00:0a:00:00:+f",
        ] {
            let error = station(wrong).expect_err(wrong);
            assert!(error.starts_with("expected a station like"), "{error}");
        }
        assert!(NeighborTrouble::parse("late-neighbor", &[]).is_none());
    }
}
