//! A tap that writes pcapng.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;

use causeway_core::time::Instant;
use pcap_file::pcapng::PcapNgBlock;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::blocks::unknown::UnknownBlock;
use pcap_file::{DataLink, Endianness, PcapError, pcapng::PcapNgWriter};

use crate::fault::{Fault, FaultPlan, condition_words, write_fault};
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::trial::Case;

/// The private enterprise number in the custom blocks that carry texts: the one that RFC 5612 sets aside for examples, because the
/// project has none of its own. Readers that do not know it skip the blocks.
pub const TEXT_BLOCK_PEN: u32 = 32_473;
/// A custom block that may be copied (draft-ietf-opsawg-pcapng 4.9).
pub(super) const CUSTOM_BLOCK: u32 = 0x0000_0bad;
/// What the first line of a custom block's text begins with, whatever the version.
pub(super) const TEXT_NAME: &str = "causeway capture ";
/// The version of the blocks.
pub(super) const TEXT_VERSION: &str = "1";
/// The text is the case that was run.
pub(super) const TEXT_CASE: &str = "case";
/// The text is the plan of every decision that was executed.
pub(super) const TEXT_EXECUTED: &str = "executed";
/// Timestamps count units of 10^-9 s.
const NANOSECONDS: u8 = 9;

/// One direction of a link as the capture names it.
#[derive(Clone, Debug)]
pub struct CaptureSide {
    /// What plans call it: `a->b`.
    pub name: String,
    /// Who sends in it: a host, one of its NICs, or a switch.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Line rate in bit/s.
    pub rate_bps: u64,
}

type Shared<W> = Rc<RefCell<State<W>>>;

/// Writes each frame twice: on interface `FROM.tx` as it was sent, before the faults, on interface `TO.rx` as it arrived, after the
/// faults. The packet's comment has the frame's number in its direction, and what the link did to it as a plan says it.
///
/// Clones write to the same file: one goes to the world, the other stays for [`PcapngTap::finish`].
pub struct PcapngTap<W: Write> {
    state: Shared<W>,
}

struct State<W: Write> {
    writer: PcapNgWriter<W>,
    sides: Vec<CaptureSide>,
    snap_bytes: usize,
    error: Option<io::Error>,
    comment: String,
}

impl<W: Write> Clone for PcapngTap<W> {
    fn clone(&self) -> Self {
        Self { state: Rc::clone(&self.state) }
    }
}

impl<W: Write> PcapngTap<W> {
    /// Begins a capture. `sides` lists the world's directions in the order of their ids; `snap_bytes` is
    /// how much of each frame is kept (true lengths always are); `about` becomes the section's comment.
    ///
    /// # Errors
    /// What the writer says.
    pub fn new(out: W, about: &str, sides: Vec<CaptureSide>, snap_bytes: u32) -> io::Result<Self> {
        let section = SectionHeaderBlock {
            endianness: Endianness::Little,
            options: vec![
                SectionHeaderOption::UserApplication(Cow::Borrowed("causeway simulator")),
                SectionHeaderOption::Comment(Cow::Owned(about.to_owned())),
            ],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(out, section).map_err(into_io)?;
        for side in &sides {
            for (name, what) in [
                (format!("{}.tx", side.from), format!("{}, before the faults", side.from)),
                (format!("{}.rx", side.to), format!("{}, after the faults", side.to)),
            ] {
                let block = interface(name, what, side.rate_bps, snap_bytes).into_block();
                writer.write_block(&block).map_err(into_io)?;
            }
        }
        let state = State {
            writer,
            sides,
            snap_bytes: snap_bytes as usize,
            error: None,
            comment: String::new(),
        };
        Ok(Self { state: Rc::new(RefCell::new(state)) })
    }

    /// Command: puts the case that is run into the capture. Call it before the run: a capture that is cut still has its case then.
    pub fn case(&self, case: &Case) {
        self.state.borrow_mut().text(TEXT_CASE, &case.to_string());
    }

    /// Command: ends the capture with the executed plan in a custom block, and flushes.
    ///
    /// # Errors
    /// The first error of any write since the beginning.
    pub fn finish(self, plan: &FaultPlan) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.text(TEXT_EXECUTED, &plan.to_string());
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        state.writer.get_mut().flush()
    }
}

fn interface(
    name: String,
    description: String,
    rate_bps: u64,
    snap_bytes: u32,
) -> InterfaceDescriptionBlock<'static> {
    InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: snap_bytes,
        options: vec![
            InterfaceDescriptionOption::IfName(Cow::Owned(name)),
            InterfaceDescriptionOption::IfDescription(Cow::Owned(description)),
            InterfaceDescriptionOption::IfSpeed(rate_bps),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    }
}

fn into_io(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

impl<W: Write> State<W> {
    /// Writes one packet with `self.comment`, unless that is empty. After an error nothing more is written.
    fn packet(&mut self, at: Instant, interface_id: usize, frame: &[u8]) {
        if self.error.is_some() {
            return;
        }
        let options = if self.comment.is_empty() {
            Vec::new()
        } else {
            vec![EnhancedPacketOption::Comment(Cow::Borrowed(self.comment.as_str()))]
        };
        let block = EnhancedPacketBlock {
            interface_id: interface_id as u32,
            timestamp: std::time::Duration::from_nanos(at.as_nanos()),
            original_len: frame.len() as u32,
            data: Cow::Borrowed(&frame[..frame.len().min(self.snap_bytes)]),
            options,
        };
        if let Err(error) = self.writer.write_block(&block.into_block()) {
            self.error = Some(into_io(error));
        }
    }

    /// Writes a text into a custom block of its own.
    fn text(&mut self, kind: &str, text: &str) {
        if self.error.is_some() {
            return;
        }
        let mut body = TEXT_BLOCK_PEN.to_le_bytes().to_vec();
        body.extend_from_slice(format!("{TEXT_NAME}{TEXT_VERSION} {kind}\n{text}").as_bytes());
        // A custom block does not say where its data end: fill up to four bytes with empty lines.
        body.resize(body.len().next_multiple_of(4), b'\n');
        let written = match u32::try_from(body.len() + 12) {
            Ok(length) => {
                let block = UnknownBlock::new(CUSTOM_BLOCK, length, &body).into_block();
                self.writer.write_block(&block).map(drop).map_err(into_io)
            }
            Err(_) => Err(io::Error::other("the text is longer than a block can be")),
        };
        self.error = written.err();
    }

    fn describe(&mut self, direction: DirectionId, fate: Fate<'_>) {
        let Some(side) = self.sides.get(direction.0) else { return };
        let name = side.name.as_str();
        // Writing to a string cannot fail.
        let _ = match fate {
            Fate::QueueFull => write!(self.comment, "{name}: lost, the link's queue is full"),
            Fate::DroppedEarly => {
                write!(self.comment, "{name}: lost, dropped early by the link's queue")
            }
            Fate::Swallowed { number, by } => {
                let words = condition_words(by);
                write!(self.comment, "frame {number} of {name}: lost, {words}")
            }
            Fate::OnWire { number, faults } => {
                let _ = write!(self.comment, "frame {number} of {name}");
                let lost = if faults.contains(&Fault::Drop) { ": lost, " } else { ": " };
                for (index, &fault) in faults.iter().enumerate() {
                    self.comment.push_str(if index == 0 { lost } else { "; " });
                    let _ = write_fault(&mut self.comment, name, number, fault);
                }
                Ok(())
            }
        };
    }
}

impl<W: Write> Tap for PcapngTap<W> {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        let mut state = self.state.borrow_mut();
        state.comment.clear();
        state.describe(direction, fate);
        state.packet(at, direction.0 * 2, frame);
    }

    fn injected(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        let mut state = self.state.borrow_mut();
        state.comment.clear();
        state.describe(direction, fate);
        state.comment.push_str(" (sent by a router on the way)");
        state.packet(at, direction.0 * 2, frame);
    }

    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        number: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let mut state = self.state.borrow_mut();
        state.comment.clear();
        state.describe(direction, Fate::OnWire { number, faults: &[] });
        if delivery == Delivery::RingFull {
            state.comment.push_str(": lost, the receive ring is full");
        }
        state.packet(at, direction.0 * 2 + 1, frame);
    }
}

impl<W: Write> State<W> {
    #[cfg(test)]
    fn written(&self) -> &W {
        self.writer.get_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::{Packet, walk};
    use super::*;
    use causeway_core::time::Duration;

    fn capture(snap_bytes: u32) -> Vec<u8> {
        let side = |from: &str, to: &str| CaptureSide {
            name: format!("{from}->{to}"),
            from: from.to_owned(),
            to: to.to_owned(),
            rate_bps: 1_000_000_000,
        };
        let sides = vec![side("a", "b"), side("b", "a")];
        let mut tap = PcapngTap::new(Vec::new(), "seed 7", sides, snap_bytes).expect("memory");
        let fate = Fate::OnWire { number: 1, faults: &[] };
        tap.sent(Instant::from_nanos(5_000_000_001), DirectionId(0), &[1; 61], fate);
        let faults = [Fault::Delay { by: Duration::from_micros(3) }];
        let fate = Fate::OnWire { number: 2, faults: &faults };
        tap.sent(Instant::from_nanos(5_000_000_002), DirectionId(1), &[2; 1_514], fate);
        let fate = Fate::OnWire { number: 3, faults: &[Fault::Drop] };
        tap.sent(Instant::from_nanos(5_000_000_003), DirectionId(1), &[2; 60], fate);
        let at = Instant::from_nanos(6_000_000_000);
        tap.arrived(at, DirectionId(0), 1, &[1; 61], Delivery::RingFull);
        let mut plan = FaultPlan::new();
        plan.push(crate::fault::Decision::Frame {
            direction: "b->a".to_owned(),
            frame: 3,
            fault: Fault::Drop,
        });
        tap.clone().finish(&plan).expect("memory");
        tap.state.borrow().written().clone()
    }

    #[test]
    fn every_block_of_a_capture_is_well_formed() {
        let section = walk(&capture(128));
        assert_eq!(section.comment, "seed 7");
        assert_eq!(section.interfaces, ["a.tx", "b.rx", "b.tx", "a.rx"]);
        assert_eq!(section.resolutions, [9; 4]);
        assert_eq!(section.packets.len(), 4);
        let executed = "causeway capture 1 executed\ncauseway fault plan 2\ndrop b->a 3\n";
        assert_eq!(section.texts, [executed]);
    }

    #[test]
    fn packets_keep_their_time_their_true_length_and_their_fate() {
        let packets = walk(&capture(128)).packets;
        let comments: Vec<&str> = packets.iter().map(|p| p.comment.as_str()).collect();
        assert_eq!(
            comments,
            [
                "frame 1 of a->b",
                "frame 2 of b->a: delay b->a 2 by 3us",
                "frame 3 of b->a: lost, drop b->a 3",
                "frame 1 of a->b: lost, the receive ring is full"
            ]
        );
        let Packet { interface, nanos, captured, original, .. } = packets[1];
        assert_eq!((interface, nanos, captured, original), (2, 5_000_000_002, 128, 1_514));
        assert_eq!(packets[3].interface, 1);
    }
}
