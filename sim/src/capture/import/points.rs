//! The two places at which the traffic was captured.

use std::collections::BTreeMap;

use super::super::units::{Unit, units};
use super::super::{Capture, Notice, Parcel, Trace};
use super::{ImportError, Read};

/// Where something was captured. Lists are in order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Point<'a> {
    /// What comments call it.
    pub(super) name: String,
    pub(super) units: Vec<Unit<'a>>,
    /// Some are parts: identification fields and checksums are the NIC's.
    pub(super) has_parts: bool,
    pub(super) parcels: Vec<Parcel<'a>>,
    pub(super) notices: Vec<Notice>,
}

/// What the files are, and the two places.
pub(super) fn points<'a>(
    captures: &[(&str, Capture<'a>)],
) -> Result<(Vec<Read>, [Point<'a>; 2]), ImportError> {
    let mut reads = Vec::new();
    let mut points: Vec<Point<'a>> = Vec::new();
    for (name, capture) in captures {
        let trace = Trace::of(capture);
        let segments = trace.frames.iter().filter(|frame| frame.segment.is_some()).count() as u64;
        reads.push(Read {
            name: (*name).to_owned(),
            packets: capture.records.len() as u64,
            segments,
            datagrams: trace.parcels.len() as u64,
            reports: trace.notices.len() as u64,
            skipped: trace.skipped.clone(),
            cut_at: capture.cut_at,
        });
        if captures.len() > 1 {
            points.push(point((*name).to_owned(), trace));
        } else {
            points.extend(by_interface(capture, trace));
        }
    }
    let found = points.len();
    let names = points.iter().map(|point| point.name.clone()).collect::<Vec<_>>().join(", ");
    match <[Point<'a>; 2]>::try_from(points) {
        Ok(two) => Ok((reads, two)),
        // Where nothing is of use, what was read says why.
        Err(none) if none.is_empty() => Err(ImportError::Places { found, names: told(&reads) }),
        Err(_) => Err(ImportError::Places { found, names }),
    }
}

/// What was read, in words.
pub(super) fn told(reads: &[Read]) -> String {
    reads.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What was captured in one file, by the name of its interface; what comes out of it and what goes in may have one each (`.tx` and `.rx`).
fn by_interface<'a>(capture: &Capture<'a>, trace: Trace<'a>) -> Vec<Point<'a>> {
    let place = |interface: usize| {
        let name = &capture.interfaces[interface].name;
        let base = name.strip_suffix(".tx").or_else(|| name.strip_suffix(".rx"));
        let base = base.unwrap_or(name);
        if base.is_empty() { format!("interface {interface}") } else { base.to_owned() }
    };
    let mut places: BTreeMap<String, Trace<'a>> = BTreeMap::new();
    for frame in trace.frames {
        places.entry(place(frame.interface)).or_default().frames.push(frame);
    }
    for parcel in trace.parcels {
        places.entry(place(parcel.frame.interface)).or_default().parcels.push(parcel);
    }
    for notice in trace.notices {
        places.entry(place(notice.interface)).or_default().notices.push(notice);
    }
    places.into_iter().map(|(name, trace)| point(name, trace)).collect()
}

fn point(name: String, trace: Trace<'_>) -> Point<'_> {
    let Trace { frames, parcels, notices, .. } = trace;
    let (units, has_parts) = units(frames);
    Point { name, units, has_parts, parcels, notices }
}
