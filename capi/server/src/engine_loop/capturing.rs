//! Captures, begun and read.

use std::borrow::Cow;
use std::time::SystemTime;

use causeway_core::nic::{IfIndex, Medium, Nic};

use super::EngineLoop;
use crate::capture::{CaptureStart, CaptureTap, CapturedInterface};
use crate::introspect::Answer;
use crate::links::clock;

impl EngineLoop {
    /// Begins a capture.
    pub(super) fn capture(&mut self, token: u64, start: &CaptureStart) -> Answer {
        let interfaces = self.captured_interfaces();
        let wanted = match &start.filter.interface {
            Some(name) => match interfaces.iter().position(|interface| interface.name == *name) {
                Some(place) => Some(IfIndex(place as u8)),
                None => {
                    let names: Vec<&str> = interfaces.iter().map(|i| i.name.as_str()).collect();
                    let why = format!("there is no interface {name:?}, but {}", names.join(", "));
                    return Answer::Refused(Cow::Owned(why));
                }
            },
            None => None,
        };
        if !self.captures.start(clock::now(), token, start, wanted) {
            return Answer::Refused(Cow::Borrowed("too many capture at the same time; end one"));
        }
        if !self.tapped {
            let ethernet = interfaces.iter().map(|interface| interface.ethernet).collect();
            let captures = self.captures.clone();
            self.engine.set_tap(Some(Box::new(CaptureTap { ethernet, captures })));
            self.tapped = true;
        }
        Answer::Capturing { interfaces }
    }

    /// What was captured.
    pub(super) fn captured(&mut self, token: u64) -> Answer {
        let now = clock::now();
        // It counts from 1970, and 64 bits last until 2554.
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        let wall = wall.saturating_sub(now.as_nanos());
        match self.captures.page(now, token, wall) {
            Some((frames, dropped)) => Answer::Captured { frames, dropped },
            None => Answer::Refused(Cow::Borrowed("the capture has ended: nobody asked for it")),
        }
    }

    /// Nobody looks at the frames any more when nobody captures.
    pub(super) fn untap(&mut self) {
        if self.captures.is_empty() {
            self.engine.set_tap(None);
            self.tapped = false;
        }
    }

    fn captured_interfaces(&self) -> Vec<CapturedInterface> {
        let named = |index: IfIndex| self.interface(index).to_owned();
        let loopback = CapturedInterface { name: named(IfIndex::LOOPBACK), ethernet: false };
        let others = (1..).map(IfIndex).zip(self.engine.nics()).map(|(index, nic)| {
            let ethernet = nic.caps().medium == Medium::Ethernet;
            CapturedInterface { name: named(index), ethernet }
        });
        [loopback].into_iter().chain(others).collect()
    }
}
