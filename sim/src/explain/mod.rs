//! What happened in a run, for people and for their tools: a capture that opens in Wireshark and repeats the run, JSON events, a timeline
//! for a terminal, and a page to look at.
//!
//! ```
//! use causeway_sim::explain::{Explain, Outputs};
//! use causeway_sim::trial::{Case, Trial};
//!
//! # let text = r#"causeway fault plan 2
//! # seed 17
//! # | host = [{ name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }] }]
//! # "#;
//! let case: Case = text.parse()?;
//! let trial = Trial::new("a.case", &case)?;
//! let outputs = Outputs { timeline: Some(Box::new(std::io::stdout())), ..Outputs::default() };
//! let explain = Explain::new(&case, &trial, outputs)?;
//! let outcome = trial.run(explain.taps())?;
//! explain.finish(&outcome)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A run that is explained is the run that is not: its state hash is the same. [`Case::from_pcapng`] reads the case back out of a capture.

mod describe;
mod events;
mod fate;
mod html;
mod observer;
mod sink;
#[cfg(test)]
mod tests;
mod timeline;
mod topology;

use std::io::{self, BufWriter, Write};
use std::rc::Rc;

use html::Html;
use observer::Observer;
use sink::Sink;
use topology::Topology;

use crate::tap::Tap;
use crate::trace::PcapngTap;
use crate::trial::{Case, Outcome, Trial};

/// Bytes of each frame that a capture keeps: all of them.
const SNAP_BYTES: u32 = 262_144;

/// What is written where. Nothing needs to be buffered: that is done here.
#[derive(Default)]
pub struct Outputs {
    /// pcapng: for each end of each link an interface with what was sent and one with what arrived, each packet with its fate as its
    /// comment, and the case in a custom block ([`crate::trace::TEXT_BLOCK_PEN`]).
    pub pcapng: Option<Box<dyn Write>>,
    /// A JSON object a line: a header with the case, packets and what happens inside of hosts, and the hash at the end.
    pub json: Option<Box<dyn Write>>,
    /// A line for each packet, and what explains it; the last one is the verdict.
    pub timeline: Option<Box<dyn Write>>,
    /// Characters of a line of the timeline, at most, and at least 60. `None`: 160.
    pub columns: Option<usize>,
    /// One HTML document that needs nothing else. It is made at the end, from what is kept of the run: a bounded part of it.
    pub html: Option<Box<dyn Write>>,
}

/// Explains one run. Call order: [`Explain::new`], [`Trial::run`] with [`Explain::taps`], [`Explain::finish`].
pub struct Explain {
    pcapng: Option<PcapngTap<BufWriter<Box<dyn Write>>>>,
    observer: Observer,
    html: Option<Html>,
}

impl Explain {
    /// Begins everything that `outputs` asks for. `trial` is that of `case`.
    ///
    /// # Errors
    /// The capture cannot be written.
    pub fn new(case: &Case, trial: &Trial, outputs: Outputs) -> io::Result<Self> {
        let Outputs { pcapng, json, timeline, columns, html } = outputs;
        let topology = Rc::new(Topology::new(trial.scenario()));
        let pcapng = pcapng.map(|out| {
            let about = format!("causeway simulator, seed {}", case.seed);
            let sides = topology.capture_sides();
            let tap = PcapngTap::new(BufWriter::new(out), &about, sides, SNAP_BYTES)?;
            tap.case(case);
            Ok::<_, io::Error>(tap)
        });
        let sink =
            |out: Option<Box<dyn Write>>| out.map(|out| Sink::new(Box::new(BufWriter::new(out))));
        let html = html.map(|out| Html::new(out, case, &topology, trial.scenario()));
        let frames = html.as_ref().map(Html::frames);
        let lines = sink(timeline).map(|sink| (sink, columns.unwrap_or(timeline::WIDTH)));
        let observer = Observer::new(topology, case, sink(json), lines, frames);
        Ok(Self { pcapng: pcapng.transpose()?, observer, html })
    }

    /// Getter: what the run has to be given.
    pub fn taps(&self) -> Vec<Box<dyn Tap>> {
        let mut taps: Vec<Box<dyn Tap>> = Vec::new();
        if let Some(pcapng) = &self.pcapng {
            taps.push(Box::new(pcapng.clone()));
        }
        if self.observer.is_needed() {
            taps.push(Box::new(self.observer.clone()));
        }
        if let Some(html) = &self.html {
            taps.push(Box::new(html.recorder()));
        }
        taps
    }

    /// Command: writes what comes last, and flushes.
    ///
    /// # Errors
    /// The first of each output since the begin: one is told, after all of them were ended.
    pub fn finish(self, outcome: &Outcome) -> io::Result<()> {
        let pcapng = self.pcapng.map_or(Ok(()), |pcapng| pcapng.finish(&outcome.executed));
        let lines = self.observer.finish(outcome);
        let html = self.html.map_or(Ok(()), |html| html.finish(outcome));
        pcapng.and(lines).and(html)
    }
}
