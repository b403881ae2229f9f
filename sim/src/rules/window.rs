//! The window: its right edge (RFC 9293 3.8.6), told and obeyed.

use super::connection::{End, Segment, Tri};
use super::registry::{TCP_BEYOND_WINDOW, TCP_RIGHT_EDGE, TCP_SILLY_WINDOW};
use super::report::{Report, Scene};
use crate::packet::Flags;

/// The least MSS that a receiver reckons with.
const MSS_LEAST: i64 = 536;

/// Both edges.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Edges {
    /// The greatest that the host told; `None` before any.
    pub(super) told: Option<i64>,
    /// What the window field of the host's SYN promised.
    promised: i64,
    /// The acknowledgement of the last segment.
    last: Option<i64>,
    /// The greatest window that the host told.
    largest: i64,
    /// The greatest that the peer told.
    pub(super) peer: i64,
    /// The last that the peer told is closed.
    pub(super) peer_closed: bool,
}

/// Input: the host sends `segment`, which is no RST.
#[inline]
pub(super) fn sent(end: &mut End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    if segment.payload > 0 || segment.has(Flags::FIN) {
        judge_new_data(end, segment, scene, out);
    }
    let window = i64::from(segment.tcp.window);
    if segment.has(Flags::SYN) {
        end.edges.promised = end.edges.promised.max(window);
    }
    let Some(ack) = segment.ack else { return };
    if end.agreed.scaled == Tri::Maybe || end.blind {
        return;
    }
    let scaled = end.agreed.scaled == Tri::Yes && !segment.has(Flags::SYN);
    let shift = if scaled { end.agreed.own_shift } else { 0 };
    let (window, unit) = (window << shift, 1_i64 << shift);
    let edge = ack + window;
    let edges = &mut end.edges;
    let before = edges.told.unwrap_or(1 + edges.promised);
    // What is sent again of a SYN tells of no more than its field can.
    let full = segment.has(Flags::SYN) && segment.tcp.window == u16::MAX;
    if edge + unit <= before && !full {
        let words = format!("right edge {edge} after {before}, {} bytes less", before - edge);
        out.broken(TCP_RIGHT_EDGE, scene, words);
    }
    edges.told = Some(before.max(edge));
    if edges.last == Some(ack) {
        let least = MSS_LEAST.min(edges.largest / 2);
        let moves = edge - before;
        // An edge between two that the field can tell is told as either.
        if moves >= unit && moves + unit < least {
            let words = format!("the edge moves by {moves} bytes, {least} are worth it");
            out.broken(TCP_SILLY_WINDOW, scene, words);
        }
    }
    if !segment.has(Flags::SYN) {
        edges.last = Some(ack);
    }
    edges.largest = edges.largest.max(window);
}

fn judge_new_data(end: &End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    let edge = end.edges.peer;
    if segment.end <= end.snd.max || segment.end <= edge || segment.has(Flags::SYN) {
        return;
    }
    // A probe of a closed window has one byte.
    let probe = segment.payload <= 1 && segment.seq <= edge;
    if !probe {
        let words = format!("{} .. {}, the edge is {edge}", segment.seq, segment.end);
        out.broken(TCP_BEYOND_WINDOW, scene, words);
    }
}

/// Input: `segment` reached the host, and acknowledges something that was sent.
#[inline]
pub(super) fn received(end: &mut End, segment: &Segment<'_>) {
    let Some(ack) = segment.ack.filter(|ack| *ack <= end.snd.max) else { return };
    let scaled = end.agreed.scaled != Tri::No && !segment.has(Flags::SYN);
    let shift = if scaled { end.agreed.peer_shift } else { 0 };
    let edge = ack + (i64::from(segment.tcp.window) << shift);
    end.edges.peer = end.edges.peer.max(edge);
    end.edges.peer_closed = segment.tcp.window == 0;
}
