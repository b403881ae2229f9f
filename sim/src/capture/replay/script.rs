//! What the captured host did, and what reached it, by connection.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::super::units::Unit;
use super::super::{Connections, Frame, Half, Role, Segment};
use super::CONNECTIONS_MAX;
use super::compare::Item;
use crate::packet::{Flags, Tcp, Verdict};

/// What is captured more than a day after the first segment is not replayed.
const SPAN_MAX: u64 = 86_400_000_000_000;

/// A segment that arrives, with its numbers counted from the begins of the streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    /// Nanoseconds after the capture's first segment.
    pub(super) at: u64,
    /// Which of [`Scripts::all`].
    pub(super) script: usize,
    pub(super) frame: Frame<'a>,
    pub(super) segment: Segment,
    /// What it acknowledges of the host's stream.
    pub(super) ack: Option<i64>,
    pub(super) sack: [Option<(i64, i64)>; 4],
    /// Its checksum was wrong, and that is no habit of the capture.
    pub(super) damaged: bool,
}

/// Something that the captured host's program did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Connect,
    /// It had written its stream up to here.
    Write(u64),
    Shut,
    Abort,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// What the host was.
    pub(super) role: Role,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// In order of time.
    pub(super) deeds: Vec<(u64, Deed)>,
    /// Pieces of its stream, in order of their offsets.
    pub(super) stream: Rc<Vec<(u64, Vec<u8>)>>,
    /// What it sent.
    pub(super) items: Vec<Item>,
    /// Its first timestamp, and the last one with its time.
    pub(super) stamps: Option<(u32, u64, u32, u64)>,
    /// What its SYN said.
    pub(super) own: Half,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Scripts<'a> {
    pub(super) all: Vec<Script>,
    /// In order of time.
    pub(super) arriving: Vec<Arrival<'a>>,
    /// Segments that go to the host, of connections that are not replayed too.
    pub(super) arrivals: u64,
    /// Of those, how many are not replayed.
    pub(super) left_out: u64,
    /// When the last segment was captured.
    pub(super) ends_at: u64,
}

impl<'a> Scripts<'a> {
    pub(super) fn of(units: &[Unit<'a>], addresses: &[IpAddr]) -> Self {
        let mut scripts = Self::default();
        let begin = units.first().map_or(0, |unit| unit.frame.at);
        let mut connections = Connections::new();
        // By connection: which script it has, if it has one.
        let mut known: Vec<Option<usize>> = Vec::new();
        let mut wrong = [0_u64; 2];
        for unit in units {
            let Some(segment) = unit.segment else { continue };
            let ours =
                [segment.source, segment.destination].map(|end| addresses.contains(&end.ip()));
            if ours[0] == ours[1] {
                continue;
            }
            let at = unit.frame.at - begin;
            if at > SPAN_MAX {
                scripts.left_out += 1;
                continue;
            }
            scripts.ends_at = at;
            let spot = connections.take(&segment);
            let connection = connections.all()[spot.connection];
            if known.len() == spot.connection {
                let is_client = addresses.contains(&connection.client.ip());
                let whole = segment.tcp.flags.has(Flags::SYN) && !segment.tcp.flags.has(Flags::ACK);
                let room = scripts.all.len() < CONNECTIONS_MAX;
                known.push((whole && room).then_some(scripts.all.len()));
                if whole && room {
                    scripts.all.push(Script::new(is_client, connection.client, connection.server));
                }
            }
            let script = known[spot.connection];
            if ours[1] {
                scripts.arrivals += 1;
                let Some(script) = script else {
                    scripts.left_out += 1;
                    continue;
                };
                let is_wrong = segment.checksum == Verdict::Wrong;
                if segment.checksum != Verdict::Absent {
                    wrong[usize::from(is_wrong)] += 1;
                }
                let host = connection.half(scripts.all[script].role);
                scripts.arriving.push(Arrival {
                    at,
                    script,
                    frame: unit.frame,
                    segment,
                    ack: spot.ack,
                    sack: sack(&segment.tcp, host),
                    damaged: is_wrong,
                });
            } else if let Some(script) = script {
                let script = &mut scripts.all[script];
                script.own = *connection.half(script.role);
                script.sends(at, unit, &segment, (spot.offset, spot.ack, spot.is_new));
            }
        }
        // Where a NIC computes checksums, or nobody does, they say nothing.
        if wrong[1] > wrong[0] {
            scripts.arriving.iter_mut().for_each(|arrival| arrival.damaged = false);
        }
        scripts
            .all
            .iter_mut()
            .for_each(|script| Rc::make_mut(&mut script.stream).sort_by_key(|(at, _)| *at));
        scripts
    }
}

fn sack(tcp: &Tcp, host: &Half) -> [Option<(i64, i64)>; 4] {
    let mut places = [None; 4];
    for (place, (left, right)) in places.iter_mut().zip(tcp.options.sack.as_slice()) {
        *place = host.place(*left).zip(host.place(*right));
    }
    places
}

impl Script {
    fn new(is_client: bool, client: SocketAddr, server: SocketAddr) -> Self {
        let role = if is_client { Role::Client } else { Role::Server };
        let (local, remote) = if is_client { (client, server) } else { (server, client) };
        Self {
            role,
            local,
            remote,
            deeds: Vec::new(),
            stream: Rc::default(),
            items: Vec::new(),
            stamps: None,
            own: Half::default(),
        }
    }

    /// The host sends a segment.
    fn sends(
        &mut self,
        at: u64,
        unit: &Unit<'_>,
        segment: &Segment,
        (offset, ack, is_new): (i64, Option<i64>, bool),
    ) {
        let flags = segment.tcp.flags;
        self.items.push(Item::new(at, unit.frame.number, segment, offset, ack));
        if let Some((stamp, _)) = segment.tcp.options.timestamps {
            let (first, since, ..) = self.stamps.unwrap_or((stamp, at, stamp, at));
            self.stamps = Some((first, since, stamp, at));
        }
        if flags.has(Flags::SYN) {
            if self.role == Role::Client && self.deeds.is_empty() {
                self.deeds.push((at, Deed::Connect));
            }
            return;
        }
        if flags.has(Flags::RST) {
            self.deeds.push((at, Deed::Abort));
            return;
        }
        if !is_new {
            return;
        }
        let Ok(from) = u64::try_from(offset) else { return };
        if segment.payload_len > 0 {
            self.deeds.push((at, Deed::Write(from + u64::from(segment.payload_len))));
            let bytes = unit.frame.bytes;
            let end = segment.end().min(bytes.len());
            let payload = bytes.get(segment.payload_at..end).unwrap_or_default();
            Rc::make_mut(&mut self.stream).push((from, payload.to_vec()));
        }
        if flags.has(Flags::FIN) {
            self.deeds.push((at, Deed::Shut));
        }
    }

    /// Command: fills `bytes` with the stream from `offset` on; zeros where the capture does not have it.
    pub(super) fn fill(&self, offset: u64, bytes: &mut [u8]) {
        bytes.fill(0);
        let end = offset + bytes.len() as u64;
        // The piece before may reach in.
        let first = self.stream.partition_point(|(at, _)| *at <= offset).saturating_sub(1);
        for (at, piece) in self.stream.get(first..).unwrap_or_default() {
            if *at >= end {
                break;
            }
            let (from, until) = ((*at).max(offset), (at + piece.len() as u64).min(end));
            if from < until {
                let piece = &piece[(from - at) as usize..(until - at) as usize];
                bytes[(from - offset) as usize..(until - offset) as usize].copy_from_slice(piece);
            }
        }
    }
}
