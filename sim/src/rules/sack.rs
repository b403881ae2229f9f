//! Selective acknowledgements that the host sends (RFC 2018, RFC 2883).

use super::connection::{End, Segment, unwrap};
use super::registry::{TCP_DSACK, TCP_SACK_FIRST, TCP_SACK_KEPT, TCP_SACK_TRUTH};
use super::report::{Report, Scene};
use crate::packet::Flags;

/// What was told last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// The highest right edge.
    highest: i64,
    /// What had arrived when something was last sent.
    arrivals: u64,
}

/// Input: the host sends `segment`, which is no RST.
#[inline]
pub(super) fn sent(end: &mut End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    let Some(ack) = segment.ack.filter(|_| !end.blind && !segment.has(Flags::SYN)) else { return };
    let told_before = end.told.arrivals;
    end.told.arrivals = end.rcv.arrivals;
    if segment.tcp.options.sack.is_empty() {
        // A probe has an old number, and need not tell anything.
        let pure = segment.is_bare() && segment.seq == end.snd.max;
        // A FIN in its turn ends the stream: what was told beyond it came from somebody else.
        let over = end.peer_fin.is_some_and(|fin| ack > fin);
        if pure && !over && end.told.highest > ack {
            let words =
                format!("nothing is told, {} was and {ack} is acknowledged", end.told.highest);
            out.broken(TCP_SACK_KEPT, scene, words);
        }
        return;
    }
    judge(end, segment, (ack, told_before), scene, out);
}

fn judge(
    end: &mut End,
    segment: &Segment<'_>,
    (ack, told_before): (i64, u64),
    scene: &Scene,
    out: &mut Report,
) {
    let Some(irs) = end.irs else { return };
    let mut blocks = [(0, 0); 4];
    let wire = segment.tcp.options.sack.as_slice();
    for (block, &(left, right)) in blocks.iter_mut().zip(wire) {
        *block = (unwrap(left, irs, ack), unwrap(right, irs, ack));
    }
    let mut blocks = &blocks[..wire.len()];
    if let [first, rest @ ..] = blocks
        && (first.0 < ack || rest.iter().any(|next| next.0 <= first.0 && first.1 <= next.1))
    {
        blocks = rest;
        if first.0 >= first.1 || !end.rcv.may_be_twice(first.0, first.1) {
            let words = format!("{first:?} did not come twice, {ack} is acknowledged");
            out.broken(TCP_DSACK, scene, words);
        }
    }
    for &(left, right) in blocks {
        if left <= ack || left >= right || !end.rcv.holds(left, right) {
            let words = format!("{left} .. {right} was not received, or {ack} tells it");
            out.broken(TCP_SACK_TRUTH, scene, words);
        }
        end.told.highest = end.told.highest.max(right);
    }
    // What moved the edge is in no block.
    if end.snd.ack == Some(ack) {
        judge_first(end, blocks, told_before, scene, out);
    }
}

/// What came since something was last sent is in the first block.
fn judge_first(
    end: &End,
    blocks: &[(i64, i64)],
    told_before: u64,
    scene: &Scene,
    out: &mut Report,
) {
    let [first, rest @ ..] = blocks else { return };
    // Several were taken at once: one that came twice is told of first, and what it lies in need not be next.
    if end.rcv.may_be_twice(first.0, first.1) {
        return;
    }
    let Some(touched) = end.rcv.range_of(first.0, first.1).map(|range| range.touched) else {
        return;
    };
    for &(left, right) in rest {
        // Told as it is now, so that the host has seen all of it.
        let range = end.rcv.range_of(left, right);
        let range = range.filter(|range| (range.start, range.end) == (left, right));
        if range.is_some_and(|range| range.grown > touched.max(told_before)) {
            let words = format!("{first:?} is first, {left} .. {right} came later");
            out.broken(TCP_SACK_FIRST, scene, words);
            return;
        }
    }
}
