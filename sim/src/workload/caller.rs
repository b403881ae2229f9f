//! Programs that call anything: random legal and illegal calls on several handles, the same for the same seed.
//!
//! Call `n` of an end is drawn from (seed, flow, end, n) alone, so that a lower count is the same beginning. Nothing is expected of
//! what is called but what the model of the interface says ([`crate::model`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use causeway_core::port::{SocketOption, Transport};
use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};

use super::Part;
use super::ledger::Side;
use crate::content;
use crate::polled::{Net, Program, Sock};

/// The random streams of calls begin here; each end of a flow has its own.
const ENTITY: u64 = 0x0b00_0000;
/// Draws of one call.
const DRAWS: u64 = 8;
/// Handles that are kept, those that were closed among them: an older one is closed for one more.
const HANDLES_MAX: usize = 24;
/// Longest datagram.
const DATAGRAM_MAX: u64 = 4_000;

/// One end.
pub(super) struct Caller {
    part: Part,
    side: Side,
    draws: Stream,
    /// Calls so far.
    made: u64,
    handles: Vec<Sock>,
    next_at: Instant,
    buffer: Vec<u8>,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Listen,
    Connect,
    Bind,
    Accept,
    Send,
    Recv,
    SendParcel,
    RecvParcel,
    ShutdownWrite,
    ShutdownRead,
    Linger,
    Close,
    Abort,
}

/// Each as often as it is written: a connection takes several calls to come to be, and one to end.
const ACTS: [Act; 32] = [
    Act::Listen,
    Act::Listen,
    Act::Listen,
    Act::Connect,
    Act::Connect,
    Act::Connect,
    Act::Connect,
    Act::Connect,
    Act::Bind,
    Act::Accept,
    Act::Accept,
    Act::Accept,
    Act::Accept,
    Act::Accept,
    Act::Send,
    Act::Send,
    Act::Send,
    Act::Send,
    Act::Recv,
    Act::Recv,
    Act::Recv,
    Act::Recv,
    Act::SendParcel,
    Act::SendParcel,
    Act::RecvParcel,
    Act::RecvParcel,
    Act::ShutdownWrite,
    Act::ShutdownRead,
    Act::Linger,
    Act::Close,
    Act::Close,
    Act::Abort,
];

/// The draws of one call.
struct Call<'a> {
    draws: &'a Stream,
    first: u64,
}

impl Call<'_> {
    /// Below `bound`, by the `index`-th draw.
    const fn below(&self, index: u64, bound: u64) -> u64 {
        self.draws.at(self.first + index) % bound
    }

    const fn of<T: Copy>(&self, index: u64, list: &[T]) -> T {
        list[self.below(index, list.len() as u64) as usize]
    }
}

impl Caller {
    pub(super) fn new(part: Part, side: Side, seed: u64) -> Self {
        let draws = Stream::new(seed, ENTITY + 2 * part.flow as u64 + side as u64);
        let (handles, buffer) = (Vec::new(), Vec::new());
        Self { part, side, draws, made: 0, handles, next_at: Instant::ZERO, buffer }
    }

    /// The flow's port on this host, and on the other.
    fn addresses(&self) -> (IpAddr, IpAddr) {
        let (server, client) = (self.part.server.ip(), self.part.spec.client);
        let client = client.unwrap_or(server);
        if self.side == Side::Server { (server, client) } else { (client, server) }
    }

    fn keep(&mut self, net: &mut Net<'_>, sock: Sock) {
        if self.handles.len() == HANDLES_MAX {
            let _ = net.close(self.handles.remove(0));
        }
        self.handles.push(sock);
    }

    /// A call that makes a handle.
    fn open(&mut self, net: &mut Net<'_>, act: Act) {
        let call = Call { draws: &self.draws, first: self.made * DRAWS };
        let (ours, theirs) = self.addresses();
        let port = self.part.server.port();
        let any: IpAddr = match ours {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let local = SocketAddr::new(if call.below(2, 4) == 0 { any } else { ours }, port);
        let messages = call.below(3, 4) == 0 && self.part.spec.reply_bytes > 0;
        let transport = if messages { Transport::Machnet } else { Transport::Tcp };
        let sock = match act {
            Act::Listen => net.listen(transport, local, call.of(4, &[0, 0, 1, 2, 4, 32])),
            Act::Bind if call.below(4, 2) == 0 => net.bind_udp(SocketAddr::new(any, 0)),
            Act::Bind => net.bind_udp(local),
            _ => {
                // Now and then a port on which nobody ever listens.
                let port = if call.below(4, 10) == 0 { port - 1_000 } else { port };
                net.connect(transport, None, SocketAddr::new(theirs, port))
            }
        };
        self.keep(net, sock);
    }

    fn parcel(&mut self, net: &mut Net<'_>, sock: Sock) {
        let call = Call { draws: &self.draws, first: self.made * DRAWS };
        let to = SocketAddr::new(self.addresses().1, self.part.server.port());
        let most = match self.part.spec.reply_bytes {
            0 => DATAGRAM_MAX,
            most => most,
        };
        self.buffer.resize(1 + call.below(2, most) as usize, 0);
        content::fill(2 * self.part.flow as u64, self.made, 0, &mut self.buffer);
        let _ = net.send_parcel(sock, &self.buffer, Some(to));
    }

    /// The next call.
    fn act(&mut self, net: &mut Net<'_>) {
        let call = Call { draws: &self.draws, first: self.made * DRAWS };
        let act = call.of(0, &ACTS);
        let len = call.below(2, self.part.spec.bytes) as usize + 1;
        let linger = SocketOption::Linger(call.of(2, &[None, Some(0), Some(5)]));
        let known = self.handles.len() as u64;
        // The younger, the likelier.
        let index =
            known.saturating_sub(1 + call.below(1, known.max(1)).min(call.below(5, known.max(1))));
        let sock = self.handles.get(index as usize).copied();
        match (act, sock) {
            (Act::Listen | Act::Connect | Act::Bind, _) => self.open(net, act),
            (_, None) => {}
            (Act::Accept, Some(sock)) => {
                // Any listener: one alone would be found too seldom.
                let taken = self.handles.clone().into_iter().rev().find_map(|s| net.accept(s).ok());
                match taken {
                    Some(taken) => self.keep(net, taken),
                    None => {
                        let _ = net.accept(sock);
                    }
                }
            }
            (Act::Send, Some(sock)) => {
                let flow = 2 * self.part.flow as u64 + self.side as u64;
                let fill = |at, piece: &mut [u8]| content::fill(flow, 0, at, piece);
                let _ = net.send_with(sock, len, fill);
            }
            (Act::Recv, Some(sock)) => {
                let _ = net.recv_with(sock, len, |_, _| {});
            }
            (Act::SendParcel, Some(sock)) => self.parcel(net, sock),
            (Act::RecvParcel, Some(sock)) => {
                let _ = net.recv_parcel(sock, &mut self.buffer);
            }
            (Act::ShutdownWrite, Some(sock)) => {
                let _ = net.shutdown_write(sock);
            }
            (Act::ShutdownRead, Some(sock)) => {
                let _ = net.shutdown_read(sock);
            }
            (Act::Linger, Some(sock)) => {
                let _ = net.set_option(sock, linger);
            }
            // The handle is kept, and called again.
            (Act::Close, Some(sock)) => {
                let _ = net.close(sock);
            }
            (Act::Abort, Some(sock)) => {
                let _ = net.abort(sock);
            }
        }
    }

    /// Until the next call: none, what a round trip takes, or long enough for timers.
    fn pause(&self) -> Duration {
        let call = Call { draws: &self.draws, first: self.made * DRAWS };
        let most = call.of(6, &[1, 1, 100, 1_000, 10_000, 100_000]);
        Duration::from_micros(call.below(7, most))
    }
}

impl Program for Caller {
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant> {
        while net.take_ready().is_some() {}
        if !self.part.ledger.borrow().is_working(self.part.flow, self.side) {
            return None;
        }
        while self.made < self.part.spec.count {
            if net.now() < self.next_at {
                return Some(self.next_at);
            }
            self.act(net);
            self.next_at = net.now() + self.pause();
            self.made += 1;
        }
        for sock in std::mem::take(&mut self.handles) {
            let _ = net.close(sock);
        }
        self.part.ledger.borrow_mut().done(self.part.flow, self.side);
        None
    }

    fn struck(&mut self) {
        self.part.ledger.borrow_mut().spoil(self.part.flow);
    }

    fn restarted(&mut self) {
        self.handles.clear();
        self.next_at = Instant::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use crate::trial::{Case, Trial};

    /// Both ends call. Where ports come again at once there are no messages: a flow's first packet is to the rules the last one's again.
    fn scenario(ports: u16, message: u32) -> String {
        let host = |name, octet| {
            format!(
                "{{ name = \"{name}\", ports_max = {ports}, \
                 interface = [{{ name = \"eth0\", addresses = [\"10.0.0.{octet}/24\"] }}] }},"
            )
        };
        format!(
            "host = [{}{}]\nlink = [{{ between = [\"a\", \"b\"], delay_us = 100 }}]\n\
             flow = [{{ kind = \"calls\", from = \"a\", to = \"b\", bytes = 5000, \
             reply_bytes = {message}, count = 300 }}]\n",
            host("a", 1),
            host("b", 2)
        )
    }

    #[test]
    fn programs_that_call_anything_break_no_rule_pass_bytes_and_do_the_same_again() {
        let mut frames = Vec::new();
        for seed in 0..12 {
            let scenario = if seed % 2 == 0 { scenario(2, 0) } else { scenario(10_000, 2_000) };
            let case = Case { seed, scenario, ..Case::default() };
            let trial = Trial::new("case", &case).expect("it is right");
            let outcome = trial.run(Vec::new()).expect("what it names is there");
            assert_eq!(outcome.violation, None, "seed {seed}");
            assert_eq!(trial.run(Vec::new()).expect("as before").hash, outcome.hash);
            frames.push(outcome.frames);
        }
        frames.sort_unstable();
        frames.dedup();
        assert!(frames.len() > 6, "each seed calls otherwise: {frames:?}");
        assert!(frames.iter().sum::<u64>() > 12 * 100, "{frames:?}");
    }
}
