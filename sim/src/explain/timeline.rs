//! The run as lines for a terminal.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use causeway_core::event::{DropReason, Event, RetransmitCause};
use causeway_core::port::SocketId;
use causeway_core::time::Instant;

use super::fate::Told;
use super::sink::Sink;
use super::topology::Topology;
use crate::tap::DirectionId;
use crate::trial::{Case, Outcome};
use crate::world::HostId;

/// No line is longer, in characters, unless somebody asks for other lines; but for the last lines, which are told whole.
pub(super) const WIDTH: usize = 160;
/// No line is shorter than this may ask for: time, place and number leave something to be said.
pub(super) const WIDTH_LEAST: usize = 60;

pub(super) struct Timeline {
    sink: Sink,
    /// Of a line.
    width: usize,
    topology: Rc<Topology>,
    /// Of the widest direction or host.
    place_width: usize,
    /// What the sockets of hosts are called.
    sockets: BTreeMap<(HostId, u32, u32), String>,
}

impl Timeline {
    /// A timeline with lines of at most `width` characters.
    pub(super) fn new(
        (mut sink, width): (Sink, usize),
        topology: Rc<Topology>,
        case: &Case,
    ) -> Self {
        let width = width.max(WIDTH_LEAST);
        let names = topology.directions.iter().map(|direction| direction.name.len() + 2);
        let hosts = topology.nodes.iter().map(String::len);
        let place_width = names.chain(hosts).max().unwrap_or(0).min(width / 4);
        sink.line(&format!("# seed {}, {}", case.seed, topology.nodes.join(", ")));
        Self { sink, width, topology, place_width, sockets: BTreeMap::new() }
    }

    /// Input: a frame goes onto a link.
    pub(super) fn sent(&mut self, at: Instant, direction: DirectionId, words: &str, told: &Told) {
        self.frame(at, (direction, "->"), told.number, words, &told.words());
    }

    /// Input: a frame that is worth a line arrives: what is to be told of it.
    pub(super) fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        number: u64,
        words: &str,
        fate: &str,
    ) {
        self.frame(at, (direction, "=>"), Some(number), words, fate);
    }

    fn frame(
        &mut self,
        at: Instant,
        (direction, arrow): (DirectionId, &str),
        number: Option<u64>,
        words: &str,
        fate: &str,
    ) {
        let place = self.topology.direction(direction).name.replace("->", &format!(" {arrow} "));
        let number = number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        self.write(at, &place, &number, words, fate);
    }

    fn write(&mut self, at: Instant, place: &str, number: &str, words: &str, fate: &str) {
        let place = cut(place, self.place_width);
        // What became of a frame is told before all of what it was.
        let fate = cut(fate, self.width * 2 / 5);
        let at = at.to_string();
        let mut line = format!("{at:>12}  {place:<width$} {number:>6}  ", width = self.place_width);
        let left = self.width.saturating_sub(line.chars().count());
        if fate.is_empty() {
            line.push_str(&cut(words, left));
        } else {
            let words = cut(words, left.saturating_sub(fate.chars().count() + 2));
            line.push_str(&words);
            line.push_str("  ");
            line.push_str(&fate);
        }
        self.sink.line(&line);
    }

    /// Input: a host has lost its state.
    pub(super) fn restarted(&mut self, at: Instant, host: HostId) {
        self.sockets.retain(|(owner, ..), _| *owner != host);
        let name = self.topology.host(host).to_owned();
        self.write(at, &name, "*", "restarted: everything that it knew is gone", "");
    }

    /// Input: a program has ended.
    pub(super) fn program_ended(&mut self, at: Instant, host: HostId, name: &str, end: &str) {
        let host = self.topology.host(host).to_owned();
        self.write(at, &host, "*", &format!("program {name} {end}"), "");
    }

    /// Input: something happened inside of a host. Told is what explains frames.
    pub(super) fn event(&mut self, at: Instant, host: HostId, event: &Event) {
        let topology = &self.topology;
        let words = match event {
            Event::Opened { socket, local, remote, transport } => {
                let mut name = format!("{transport:?} {}", topology.socket_name(*local));
                if !remote.ip().is_unspecified() {
                    name = format!("{name} > {}", topology.socket_name(*remote));
                }
                self.sockets.insert((host, socket.index, socket.generation), name.clone());
                format!("{name} begins")
            }
            Event::TcpState { socket, from, to } => {
                format!("{} {from:?} becomes {to:?}", self.socket(host, *socket))
            }
            Event::Retransmit { socket, cause: RetransmitCause::Timeout, len, .. } => {
                let name = self.socket(host, *socket);
                format!("{name} the retransmission timer ran out, {len} bytes are sent again")
            }
            Event::Ended { socket, reason } => {
                // Its name stays: TIME-WAIT comes after this.
                format!("{} is over: {reason:?}", self.socket(host, *socket))
            }
            // What a switch sends to all is nobody's fault.
            Event::Dropped { reason: DropReason::NotOurs, .. }
            | Event::Retransmit { cause: RetransmitCause::Fast, .. }
            | Event::Congestion { .. }
            | Event::Address { .. }
            | Event::Resolver { .. } => return,
            Event::Dropped { reason, .. } => format!("a received frame is dropped: {reason:?}"),
        };
        let name = self.topology.host(host).to_owned();
        self.write(at, &name, "*", &words, "");
    }

    /// What a socket is called.
    fn socket(&self, host: HostId, socket: SocketId) -> &str {
        let name = self.sockets.get(&(host, socket.index, socket.generation));
        name.map_or("a socket", String::as_str)
    }

    /// Command: the last lines.
    pub(super) fn finish(&mut self, outcome: &Outcome) -> io::Result<()> {
        let Outcome { violation, hash, frames, events, ended_at, executed, written: _ } = outcome;
        self.sink.line(&format!(
            "# {ended_at} s, {frames} frames, {events} events, {} decisions, hash {hash:016x}",
            executed.len()
        ));
        self.sink.line(&match violation {
            None => "every rule was kept".to_owned(),
            Some(violation) => {
                let words = violation.words.replace(char::is_control, " ");
                format!("{} at {} s: {words}", violation.signature, violation.at)
            }
        });
        self.sink.finish()
    }
}

/// The beginning of a text, with a mark where more would follow.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.push('…');
    short
}
