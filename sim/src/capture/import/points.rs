//! The two places at which the traffic was captured.

use std::collections::BTreeMap;

use super::super::units::{Unit, units};
use super::super::{Capture, Frame, Trace};
use super::{ImportError, Read};

/// Where something was captured.
#[derive(Clone, Debug, Default)]
pub(super) struct Point<'a> {
    /// What comments call it.
    pub(super) name: String,
    /// In order of time.
    pub(super) units: Vec<Unit<'a>>,
    /// Some are parts: identification fields and checksums are the NIC's.
    pub(super) has_parts: bool,
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
            skipped: trace.skipped.clone(),
            cut_at: capture.cut_at,
        });
        if captures.len() > 1 {
            points.push(point((*name).to_owned(), trace.frames));
        } else {
            points.extend(by_interface(capture, trace.frames));
        }
    }
    let found = points.len();
    let names = points.iter().map(|point| point.name.clone()).collect::<Vec<_>>().join(", ");
    match <[Point<'a>; 2]>::try_from(points) {
        Ok(two) => Ok((reads, two)),
        Err(_) => Err(ImportError::Places { found, names }),
    }
}

/// Frames of one file, by the name of their interface; what comes out of it and what goes in may have one each (`.tx` and `.rx`).
fn by_interface<'a>(capture: &Capture<'a>, frames: Vec<Frame<'a>>) -> Vec<Point<'a>> {
    let mut places: BTreeMap<String, Vec<Frame<'a>>> = BTreeMap::new();
    for frame in frames {
        let name = &capture.interfaces[frame.interface].name;
        let base = name.strip_suffix(".tx").or_else(|| name.strip_suffix(".rx"));
        let base = base.map_or_else(|| name.clone(), str::to_owned);
        let base = if base.is_empty() { format!("interface {}", frame.interface) } else { base };
        places.entry(base).or_default().push(frame);
    }
    places.into_iter().map(|(name, frames)| point(name, frames)).collect()
}

fn point(name: String, frames: Vec<Frame<'_>>) -> Point<'_> {
    let (units, has_parts) = units(frames);
    Point { name, units, has_parts }
}
