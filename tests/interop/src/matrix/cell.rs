//! One combination of the matrix.

use std::fmt;
use std::net::IpAddr;

/// A dimension of the matrix: its values, and their names.
macro_rules! factor {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $value:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$about])* $value,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// Getter: its word in the names of cells.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$value => $word),* }
            }

            /// Getter: the value that `word` stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}

factor! {
    /// What the two peers do.
    Pattern {
        /// The opener sends one long stream.
        Upload = "upload",
        /// The listener does.
        Download = "download",
        /// Requests of the opener and replies of many sizes, one after the other.
        RequestResponse = "rr",
        /// Two thousand connections open at once, each with a request and a reply.
        Many = "many",
        /// The opener ends its direction first, and receives long after.
        HalfClose = "halfclose",
        /// The opener resets the connection.
        Abort = "abort",
        /// Both end their direction at the same moment, and the link sees both pass through CLOSING.
        SimultaneousClose = "simclose",
    }
}

factor! {
    /// Who opens the connections.
    Opener {
        /// Our stack.
        We = "we",
        /// The kernel.
        Kernel = "kernel",
    }
}

factor! {
    /// What the link does to frames.
    Fault {
        /// Nothing.
        None = "clean",
        /// 1 % are lost.
        Loss1 = "loss1",
        /// 5 % are lost.
        Loss5 = "loss5",
        /// 2 % are held back, and overtaken.
        Reorder = "reorder",
        /// 2 % arrive twice.
        Duplicate = "duplicate",
        /// In 1 % a bit is flipped.
        Corrupt = "corrupt",
    }
}

factor! {
    /// The largest IP datagram.
    Mtu {
        /// What every IPv4 link carries at least.
        Small = "mtu576",
        /// Ethernet's.
        Ethernet = "mtu1500",
        /// Jumbo frames.
        Jumbo = "mtu9000",
    }
}

factor! {
    /// The congestion control of both sides.
    Congestion {
        /// CUBIC (RFC 9438).
        Cubic = "cubic",
        /// Reno with selective acknowledgements.
        Reno = "reno",
        /// BBR.
        Bbr = "bbr",
    }
}

factor! {
    /// The family of the addresses.
    Family {
        /// IPv4.
        V4 = "v4",
        /// IPv6.
        V6 = "v6",
    }
}

impl Mtu {
    /// Getter: bytes.
    pub const fn bytes(self) -> u16 {
        match self {
            Self::Small => 576,
            Self::Ethernet => 1_500,
            Self::Jumbo => 9_000,
        }
    }
}

impl Fault {
    /// Getter: the link's arguments.
    pub const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Loss1 => &["--loss-ppm=10000"],
            Self::Loss5 => &["--loss-ppm=50000"],
            Self::Reorder => &["--reorder-ppm=20000", "--reorder-us-max=3000"],
            Self::Duplicate => &["--duplicate-ppm=20000"],
            Self::Corrupt => &["--corrupt-ppm=10000"],
        }
    }
}

impl Family {
    /// Getter: an address on the link: 1 is ours, 2 the kernel's at the far end, 3 the kernel's at ours.
    pub fn host(self, number: u8) -> IpAddr {
        match self {
            Self::V4 => IpAddr::from([10, 9, 0, number]),
            Self::V6 => IpAddr::from([0xfd00, 9, 0, 0, 0, 0, 0, u16::from(number)]),
        }
    }

    /// Getter: the length of the link's prefix.
    pub const fn prefix_len(self) -> u8 {
        match self {
            Self::V4 => 24,
            Self::V6 => 64,
        }
    }
}

/// One combination. Its `Display` is its name; [`Cell::parse`] reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The family of the addresses.
    pub family: Family,
    /// What the peers do.
    pub pattern: Pattern,
    /// Who opens.
    pub opener: Opener,
    /// What the link does.
    pub fault: Fault,
    /// The largest datagram.
    pub mtu: Mtu,
    /// The congestion control of both sides.
    pub congestion: Congestion,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, pattern, opener, fault, mtu, congestion } = self;
        write!(f, "{}-{}-{}-", family.word(), pattern.word(), opener.word())?;
        write!(f, "{}-{}-{}", fault.word(), mtu.word(), congestion.word())
    }
}

impl Cell {
    /// Getter: the cell with this name.
    pub fn parse(name: &str) -> Option<Self> {
        let words: Vec<&str> = name.split('-').collect();
        let [family, pattern, opener, fault, mtu, congestion] = words.as_slice() else {
            return None;
        };
        let cell = Self {
            family: Family::from_word(family)?,
            pattern: Pattern::from_word(pattern)?,
            opener: Opener::from_word(opener)?,
            fault: Fault::from_word(fault)?,
            mtu: Mtu::from_word(mtu)?,
            congestion: Congestion::from_word(congestion)?,
        };
        cell.exists().then_some(cell)
    }

    /// Getter: IPv6 needs links of 1280 bytes (RFC 8200 §5).
    pub fn exists(&self) -> bool {
        (self.family, self.mtu) != (Family::V6, Mtu::Small)
    }

    /// Every cell with one of these families and congestion controls, in the order of their names' parts.
    pub fn all(families: &[Family], congestions: &[Congestion]) -> Vec<Self> {
        let mut cells = Vec::new();
        for &family in families {
            for &pattern in Pattern::ALL {
                for &opener in Opener::ALL {
                    for &fault in Fault::ALL {
                        for &mtu in Mtu::ALL {
                            cells.extend(congestions.iter().map(|&congestion| Self {
                                family,
                                pattern,
                                opener,
                                fault,
                                mtu,
                                congestion,
                            }));
                        }
                    }
                }
            }
        }
        cells.retain(Self::exists);
        cells
    }

    /// Getter: its values as words, one a dimension.
    pub const fn words(&self) -> [&'static str; 6] {
        let Self { family, pattern, opener, fault, mtu, congestion } = self;
        [family.word(), pattern.word(), opener.word(), fault.word(), mtu.word(), congestion.word()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_name_of_its_own_that_reads_back() {
        let cells = Cell::all(Family::ALL, Congestion::ALL);
        let mut names: Vec<String> = cells.iter().map(Cell::to_string).collect();
        for (cell, name) in cells.iter().zip(&names) {
            assert_eq!(Cell::parse(name), Some(*cell));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 7 * 2 * 6 * (3 + 2) * 3);
        assert_eq!(Cell::parse("v6-rr-we-clean-mtu576-cubic"), None);
    }
}
