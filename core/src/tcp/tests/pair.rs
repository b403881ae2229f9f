//! Two connections, a link, and a clock that jumps from event to event.

use std::string::String;
use std::vec::Vec;

use super::link::{InFlight, Link, MemoryIo};
use crate::error::EndReason;
use crate::tcp::{
    Config, Connection, ConnectionEvent, Disposition, Ecn, ListenDecision, ReceiveMemory,
    SegmentIn, SegmentOut, State, TxLimits, listen,
};
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader};

pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// One end.
pub struct End {
    pub tcp: Option<Connection>,
    pub io: MemoryIo,
    pub events: Vec<ConnectionEvent>,
    pub config: Config,
    pub iss: u32,
    /// The greatest right window edge told so far.
    pub edge: Option<crate::tcp::SeqNumber>,
    /// The application reads what arrives at once.
    pub reads: bool,
    pub sent: Vec<TcpHeader>,
}

impl End {
    fn new(config: Config, iss: u32) -> Self {
        Self {
            tcp: None,
            io: MemoryIo::new(1 << 20),
            events: Vec::new(),
            config,
            iss,
            edge: None,
            reads: true,
            sent: Vec::new(),
        }
    }

    pub fn tcp(&mut self) -> &mut Connection {
        self.tcp.as_mut().expect("a connection")
    }

    pub fn state(&self) -> State {
        self.tcp.as_ref().map_or(State::Closed, Connection::state)
    }

    pub fn ended(&self) -> Option<EndReason> {
        self.events.iter().find_map(|e| match e {
            ConnectionEvent::Ended(reason) => Some(*reason),
            _ => None,
        })
    }

    pub fn count(&self, wanted: ConnectionEvent) -> usize {
        self.events.iter().filter(|e| **e == wanted).count()
    }
}

/// The world of a test.
pub struct Pair {
    pub now: Instant,
    pub ends: [End; 2],
    pub link: Link,
    pub limits: TxLimits,
    pub log: Vec<String>,
    /// Of the server.
    pub memory: ReceiveMemory,
}

impl Pair {
    pub fn new(config: Config) -> Self {
        Self {
            now: Instant::from_nanos(1_000_000_000),
            ends: [End::new(config, 1_000), End::new(config, 9_000)],
            link: Link::new(1),
            limits: TxLimits { mss_ip: 1460, mss_link: 1460, gso_bytes_max: 0 },
            log: Vec::new(),
            memory: ReceiveMemory::new(1 << 30),
        }
    }

    pub fn established(config: Config) -> Self {
        let mut pair = Self::new(config);
        pair.connect();
        pair.run_until(|p| p.states() == [State::Established; 2]);
        pair
    }

    pub fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }

    pub fn connect(&mut self) {
        let end = &mut self.ends[CLIENT];
        end.tcp = Some(Connection::connect(self.now, &end.config, end.iss, 0));
        self.flush();
    }

    pub fn write(&mut self, who: usize, bytes: &[u8]) {
        let end = &mut self.ends[who];
        end.io.tx.extend_from_slice(bytes);
        let now = self.now;
        let io = &end.io;
        end.tcp.as_mut().expect("a connection").handle_app(now, io);
        self.flush();
    }

    /// The application reads everything that is readable.
    pub fn read(&mut self, who: usize) {
        let end = &mut self.ends[who];
        end.io.consumed = end.io.committed;
        let now = self.now;
        if let Some(tcp) = end.tcp.as_mut() {
            tcp.handle_app(now, &end.io);
        }
        self.flush();
    }

    pub fn shutdown(&mut self, who: usize) {
        let now = self.now;
        let End { tcp, io, .. } = &mut self.ends[who];
        tcp.as_mut().expect("a connection").shutdown_write(now, io);
        self.flush();
    }

    pub fn close(&mut self, who: usize) {
        let now = self.now;
        let End { tcp, io, .. } = &mut self.ends[who];
        tcp.as_mut().expect("a connection").close(now, false, io);
        self.flush();
    }

    /// Everything that either end has to send goes under way.
    pub fn flush(&mut self) {
        for who in [CLIENT, SERVER] {
            while let Some(segment) = self.poll(who) {
                self.link.send(self.now, who, &segment, &self.ends[who].io);
            }
            let end = &mut self.ends[who];
            if let Some(tcp) = end.tcp.as_mut() {
                if tcp.takes_memory_news() && who == SERVER {
                    tcp.settle_memory(&mut self.memory, &end.io);
                }
                while let Some(event) = tcp.poll_event() {
                    end.events.push(event);
                }
            }
        }
    }

    pub fn poll(&mut self, who: usize) -> Option<SegmentOut> {
        let end = &mut self.ends[who];
        let segment = end.tcp.as_mut()?.poll_transmit(self.now, &self.limits, &end.io)?;
        self.log.push(describe(self.now, who, &segment));
        assert!(segment.header.header_len() <= 60);
        let shift = if segment.header.flags.contains(TcpFlags::SYN) {
            0
        } else {
            end.tcp.as_ref().map_or(0, |t| t.options.rcv_wscale)
        };
        let resets = segment.header.flags.contains(TcpFlags::RST);
        if segment.header.flags.contains(TcpFlags::ACK) && !resets {
            let edge = segment.header.ack + (u32::from(segment.header.window) << shift);
            let before = end.edge.unwrap_or(edge);
            let unit = 1 << shift;
            let limit = end.tcp.as_ref().map_or(0, |t| t.rcv.buffer_max);
            let full = end.io.rx_capacity.min(limit.into()) + end.io.consumed;
            let kept = edge >= before
                || (before.distance_from(edge) < unit
                    && u64::from(
                        (edge + unit.cast_unsigned())
                            .0
                            .wrapping_sub(end.peer_iss().wrapping_add(1)),
                    ) > full);
            assert!(kept, "the right edge went back from {before:?} to {edge:?}");
            end.edge = Some(edge.max(before));
        }
        end.sent.push(segment.header);
        Some(segment)
    }

    /// Gives `segment` to `who` at once, and returns what it is answered with.
    pub fn deliver(
        &mut self,
        who: usize,
        header: &TcpHeader,
        payload: &[u8],
    ) -> Option<Disposition> {
        self.deliver_marked(who, header, payload, Ecn::NotEct)
    }

    /// The same for segments of `gso_size` bytes that a NIC joined.
    pub fn deliver_joined(
        &mut self,
        who: usize,
        header: &TcpHeader,
        payload: &[u8],
        gso_size: u16,
    ) -> Option<Disposition> {
        self.deliver_any(who, header, payload, gso_size, Ecn::NotEct)
    }

    /// The same with the ECN field of the IP header.
    pub fn deliver_marked(
        &mut self,
        who: usize,
        header: &TcpHeader,
        payload: &[u8],
        ecn: Ecn,
    ) -> Option<Disposition> {
        self.deliver_any(who, header, payload, 0, ecn)
    }

    fn deliver_any(
        &mut self,
        who: usize,
        header: &TcpHeader,
        payload: &[u8],
        gso_size: u16,
        ecn: Ecn,
    ) -> Option<Disposition> {
        let now = self.now;
        let end = &mut self.ends[who];
        if end.tcp.is_none() {
            if listen(header) == ListenDecision::Accept {
                end.tcp = Some(Connection::accept(now, &end.config, end.iss, 0, header));
            }
            return None;
        }
        let (head, tail) = payload.split_at(payload.len() / 3);
        let payload_len = payload.len() as u32;
        let segment = SegmentIn { header, payload: &[head, tail], payload_len, gso_size, ecn };
        let disposition = end.tcp.as_mut()?.handle_segment(now, &segment, &mut end.io);
        if let Disposition::SendRst(rst) = disposition {
            let mut flags = TcpFlags::RST;
            if rst.with_ack {
                flags = flags.union(TcpFlags::ACK);
            }
            let header = TcpHeader { seq: rst.seq, ack: rst.ack, flags, ..TcpHeader::default() };
            let reset = SegmentOut::bare(header, Ecn::NotEct);
            self.log.push(describe(now, who, &reset));
            self.link.send(now, who, &reset, &MemoryIo::default());
        }
        let end = &mut self.ends[who];
        if end.reads && end.io.consumed < end.io.committed {
            end.io.consumed = end.io.committed;
            if let Some(tcp) = end.tcp.as_mut() {
                tcp.handle_app(now, &end.io);
            }
        }
        Some(disposition)
    }

    /// The next event. False when nothing will ever happen again.
    pub fn step(&mut self) -> bool {
        self.flush();
        let arrival = self.link.queue.first_key_value().map(|(key, _)| key.0);
        let timeout =
            self.ends.iter().filter_map(|e| e.tcp.as_ref()?.poll_timeout()).map(|(at, _)| at).min();
        let Some(next) = [arrival, timeout].into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        if arrival.is_some_and(|at| at <= self.now) {
            if let Some((_, InFlight { to, header, payload, ecn })) = self.link.queue.pop_first() {
                self.deliver_marked(to, &header, &payload, ecn);
            }
        } else {
            for end in &mut self.ends {
                if let Some(tcp) = end.tcp.as_mut() {
                    tcp.handle_timeout(self.now, &mut end.io);
                }
            }
        }
        self.flush();
        true
    }

    pub fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..200_000 {
            if done(self) {
                return;
            }
            assert!(
                self.step(),
                "nothing will happen any more: {:?}\n{}",
                self.states(),
                self.tail()
            );
        }
        panic!("no end: {:?}\n{}", self.states(), self.tail());
    }

    /// Lets `span` of time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.flush();
            let arrival = self.link.queue.first_key_value().map(|(key, _)| key.0);
            let timeout =
                self.ends.iter().filter_map(|e| Some(e.tcp.as_ref()?.poll_timeout()?.0)).min();
            match [arrival, timeout].into_iter().flatten().min() {
                Some(next) if next <= end => assert!(self.step()),
                Some(_) | None => break,
            }
        }
        self.now = end;
    }

    fn tail(&self) -> String {
        self.log[self.log.len().saturating_sub(30)..].join("\n")
    }
}

impl End {
    fn peer_iss(&self) -> u32 {
        self.tcp.as_ref().map_or(0, |t| t.rcv.irs().0)
    }
}

/// A line of a timeline.
pub fn describe(now: Instant, who: usize, segment: &SegmentOut) -> String {
    let h = &segment.header;
    let mut flags = String::new();
    for (bit, letter) in [
        (TcpFlags::SYN, 'S'),
        (TcpFlags::FIN, 'F'),
        (TcpFlags::RST, 'R'),
        (TcpFlags::PSH, 'P'),
        (TcpFlags::ACK, '.'),
    ] {
        if h.flags.contains(bit) {
            flags.push(letter);
        }
    }
    let name = ["client", "server"][who];
    let mut line = std::format!(
        "{now} {name} [{flags}] seq {} ack {} win {} len {}",
        h.seq.0,
        h.ack.0,
        h.window,
        segment.payload_len
    );
    if let Some(mss) = h.options.mss {
        line.push_str(&std::format!(
            " mss {mss} sack {} wscale {:?}",
            h.options.sack_permitted,
            h.options.window_scale
        ));
    }
    for (left, right) in h.options.sack.as_slice() {
        line.push_str(&std::format!(" sack {}..{}", left.0, right.0));
    }
    if segment.gso_size > 0 {
        line.push_str(&std::format!(" gso {}", segment.gso_size));
    }
    line
}
