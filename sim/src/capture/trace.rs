//! What of a capture can be used, and how much cannot.

use std::collections::BTreeMap;
use std::fmt;

use super::datagram::{Notice, Parcel};
use super::file::Capture;
use super::frame::{self, Frame, Read};
use super::link::Carried;

/// Packets that nothing is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// ARP.
    pub arp: u64,
    /// UDP datagrams, where nothing is made of them.
    pub udp: u64,
    /// ICMP and ICMPv6, of which nothing is made.
    pub icmp: u64,
    /// IP fragments.
    pub fragments: u64,
    /// Other protocols.
    pub other: u64,
    /// Too little of them was kept.
    pub cut: u64,
    /// IP packets that cannot be read. They are among the frames, though: a link may have damaged them.
    pub unreadable: u64,
    /// Packets of link types that are not known, by LINKTYPE_ number.
    pub links: BTreeMap<u16, u64>,
}

impl Skipped {
    /// Getter: how many.
    pub fn count(&self) -> u64 {
        let Self { arp, udp, icmp, fragments, other, cut, unreadable, links } = self;
        let links: u64 = links.values().sum();
        arp + udp + icmp + fragments + other + cut + unreadable + links
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arp, udp, icmp, fragments, other, cut, unreadable, links } = self;
        let counts = [
            (*arp, "ARP"),
            (*udp, "UDP"),
            (*icmp, "ICMP"),
            (*fragments, "fragments"),
            (*other, "other protocols"),
            (*cut, "cut"),
            (*unreadable, "unreadable"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut words: Vec<String> =
            counts.map(|(count, what)| format!("{count} {what}")).collect();
        let unknown = |(link, count): (&u16, &u64)| format!("{count} of link type {link}");
        words.extend(links.iter().map(unknown));
        write!(f, "{}", if words.is_empty() { "none".to_owned() } else { words.join(", ") })
    }
}

/// What of a capture can be used. All lists are in order of time; of equal times in that of the file.
#[derive(Clone, Debug, Default)]
pub struct Trace<'a> {
    /// TCP segments, and what cannot be read.
    pub frames: Vec<Frame<'a>>,
    /// UDP datagrams.
    pub parcels: Vec<Parcel<'a>>,
    /// What ICMP says of TCP segments.
    pub notices: Vec<Notice>,
    /// What else there was.
    pub skipped: Skipped,
}

impl<'a> Trace<'a> {
    /// What of `capture` can be used.
    pub fn of(capture: &Capture<'a>) -> Self {
        let mut trace = Self::default();
        let mut scratch = Vec::new();
        for record in &capture.records {
            let link = capture.interfaces[record.interface].link;
            let skipped = &mut trace.skipped;
            let bytes = match link.carried(record.bytes) {
                Carried::Ip(bytes) => bytes,
                Carried::Arp => {
                    skipped.arp += 1;
                    continue;
                }
                Carried::Other => {
                    skipped.other += 1;
                    continue;
                }
                Carried::Cut => {
                    skipped.cut += 1;
                    continue;
                }
                Carried::Unknown(link) => {
                    *skipped.links.entry(link).or_default() += 1;
                    continue;
                }
            };
            let missing = record.original_len as usize - record.bytes.len();
            let whole_len = bytes.len() + missing;
            let (number, at, interface) = (record.number, record.at, record.interface);
            let mut frame = Frame { number, at, interface, bytes, whole_len, segment: None };
            match frame::read(bytes, whole_len, &mut scratch) {
                Read::Segment(segment) => {
                    frame.segment = Some(segment);
                    trace.frames.push(frame);
                }
                Read::Datagram(datagram) => trace.parcels.push(Parcel { frame, datagram }),
                Read::Report(report) => trace.notices.push(Notice { at, interface, report }),
                Read::Unreadable => {
                    skipped.unreadable += 1;
                    trace.frames.push(frame);
                }
                Read::Fragment => skipped.fragments += 1,
                Read::Icmp => skipped.icmp += 1,
                Read::Other => skipped.other += 1,
                Read::Cut => skipped.cut += 1,
            }
        }
        trace.frames.sort_by_key(|frame| frame.at);
        trace.parcels.sort_by_key(|parcel| parcel.frame.at);
        trace.notices.sort_by_key(|notice| notice.at);
        trace
    }
}
