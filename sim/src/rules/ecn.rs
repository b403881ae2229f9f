//! Explicit congestion notification (RFC 3168).

use super::connection::{End, Segment, Tri};
use super::host::HostRules;
use super::ranges::Arrival;
use super::registry::{ECN_ECHO, ECN_FIELD, ECN_UNAGREED};
use super::report::{Report, Scene};
use crate::packet::Flags;

/// Congestion experienced.
const CE: u8 = 0b11;

/// What is known of marks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// The host's SYN asked for ECN, or its SYN,ACK granted it.
    pub(super) asked: bool,
    /// A mark reached the host.
    marked: bool,
    /// Where data ends that came in order with a mark, no CWR having come since.
    unanswered: Option<i64>,
}

/// Input: the host sends `segment`.
#[inline]
pub(super) fn sent(
    end: &End,
    segment: &Segment<'_>,
    host: &HostRules,
    scene: &Scene,
    out: &mut Report,
) {
    let field = segment.ip.ecn();
    let bits = segment.tcp.flags.0 & (Flags::ECE.0 | Flags::CWR.0);
    let opens = segment.has(Flags::SYN);
    if field == 0 && (bits == 0 || opens) && end.marks.unanswered.is_none() {
        return;
    }
    let agreed = if opens || end.irs.is_none() { Tri::No } else { end.agreed.ecn };
    let used = field != 0 || (bits != 0 && !opens);
    if used && agreed == Tri::No {
        let words = format!("field {field}, flags {bits:#04x}");
        return out.broken(ECN_UNAGREED, scene, words);
    }
    let new_data = segment.payload > 0 && segment.end > end.snd.max;
    let cwr = segment.has(Flags::CWR) && !opens;
    let capable = field != 0 && !host.dctcp;
    if field == CE || (!new_data && (cwr || capable)) {
        let words = format!("field {field}, flags {bits:#04x}, new data: {new_data}");
        out.broken(ECN_FIELD, scene, words);
    }
    let echoes = segment.has(Flags::ECE) && !opens;
    if echoes && !end.marks.marked && !end.blind {
        out.broken(ECN_ECHO, scene, "ECE, and no mark came".to_owned());
    }
    let told = end.marks.unanswered.zip(segment.ack).filter(|(place, ack)| ack >= place);
    let silent = told.is_some() && !echoes && !segment.has(Flags::RST);
    if silent && agreed == Tri::Yes && !host.dctcp {
        out.broken(ECN_ECHO, scene, format!("no ECE, a mark came before offset {told:?}"));
    }
}

/// Input: `segment` reached the host and did `arrival`; `taken`: the host cannot but have taken it.
#[inline]
pub(super) fn received(end: &mut End, segment: &Segment<'_>, arrival: Arrival, taken: bool) {
    if segment.payload == 0 {
        return;
    }
    if segment.has(Flags::CWR) {
        end.marks.unanswered = None;
    }
    if segment.ip.ecn() == CE {
        end.marks.marked = true;
        if arrival.advanced && taken {
            end.marks.unanswered = Some(segment.end);
        }
    }
}
