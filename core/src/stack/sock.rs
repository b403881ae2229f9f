//! One slot of the socket table.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::channels::Stage;
use crate::ip::neighbor::NeighborKey;
use crate::machnet::Flow;
use crate::nic::IfIndex;
use crate::planted::{self, Bug};
use crate::port::{ChannelId, SocketId, StreamId, Transport};
use crate::socket::{Address, FourTuple, Table};
use crate::tcp::{Connection, SharedConfig};
use crate::time::{Duration, Instant};
use crate::udp::UdpSocket;

/// All sockets of a stack.
pub(super) type Sockets = Table<Socket>;

/// Neighbours of a socket in its channel's list, by slot: whoever is in a list is alive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

/// No slot has this index.
const NOBODY: u32 = u32::MAX;

impl Links {
    pub(super) fn new(prev: Option<u32>, next: Option<u32>) -> Self {
        Self { prev: prev.unwrap_or(NOBODY), next: next.unwrap_or(NOBODY) }
    }

    pub(super) fn prev(self) -> Option<u32> {
        Some(self.prev).filter(|slot| *slot != NOBODY)
    }

    pub(super) fn next(self) -> Option<u32> {
        Some(self.next).filter(|slot| *slot != NOBODY)
    }
}

impl Default for Links {
    fn default() -> Self {
        Self { prev: NOBODY, next: NOBODY }
    }
}

/// A socket or none, in the bytes of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaybeSocket(SocketId);

impl MaybeSocket {
    /// Getter: the socket.
    pub(super) const fn get(self) -> Option<SocketId> {
        if self.0.index == NOBODY { None } else { Some(self.0) }
    }
}

impl From<Option<SocketId>> for MaybeSocket {
    fn from(id: Option<SocketId>) -> Self {
        Self(id.unwrap_or(SocketId { index: NOBODY, generation: 0 }))
    }
}

/// The rings of a socket, which are in its channel, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamSlot(u32);

impl StreamSlot {
    /// No rings.
    pub(super) const NONE: Self = Self(NOBODY);

    /// Getter: the rings of a socket of `channel`.
    #[inline]
    pub(super) const fn of(self, channel: ChannelId) -> Option<StreamId> {
        if self.is_none() { None } else { Some(StreamId { channel, slot: self.0 }) }
    }

    /// Getter: there are none.
    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.0 == NOBODY
    }

    /// Getter: there are some.
    #[inline]
    pub(super) const fn is_some(self) -> bool {
        !self.is_none()
    }
}

impl Default for StreamSlot {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<StreamId> for StreamSlot {
    fn from(stream: StreamId) -> Self {
        debug_assert_ne!(stream.slot, NOBODY, "a port numbers its streams from 0");
        Self(stream.slot)
    }
}

/// A listener, connection or flow with everything that the protocol machines do not know.
#[derive(Debug)]
pub(super) struct Socket {
    /// Whose it is.
    pub(super) channel: ChannelId,
    pub(super) links: Links,
    pub(super) stage: Stage,
    /// Its rings; none for listeners, half-open connections and sockets whose application has let go.
    pub(super) stream: StreamSlot,
    /// The listener that it came from.
    pub(super) listener: MaybeSocket,
    /// Its ends; the remote one is nobody's for listeners.
    pub(super) tuple: FourTuple,
    /// Where its packets leave, and to whom on that link.
    pub(super) interface: IfIndex,
    pub(super) next_hop: Address,
    /// The handshake is over and the application was told.
    pub(super) announced: bool,
    /// The application was told that it ended.
    pub(super) ended: bool,
    /// Counts its retransmission timeouts: what its flow label turns with.
    pub(super) label_turn: u8,
    /// Of the routes when its next hop was looked up.
    pub(super) route_epoch: u16,
    pub(super) kind: Kind,
}

impl Socket {
    /// Getter: whom its frames are addressed to.
    pub(super) fn neighbor(&self) -> NeighborKey {
        NeighborKey { interface: self.interface, address: self.next_hop.ip() }
    }

    /// It stands in the table of those that are on an address, not in that of those with a peer.
    pub(super) const fn is_bound(&self) -> bool {
        match self.kind {
            Kind::Listener(_) => true,
            Kind::Udp(_) => self.tuple.remote.port == 0,
            Kind::Tcp { .. } | Kind::Machnet { .. } => false,
        }
    }
}

/// What a socket is.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every slot is a connection: a box would cost more"
)]
#[derive(Debug)]
pub(super) enum Kind {
    /// Waits for connections or flows.
    Listener(Box<Listener>),
    /// A TCP connection.
    Tcp {
        /// The machine of RFC 9293.
        connection: Connection,
    },
    /// A UDP socket; it has its port to itself while its remote end is nobody's.
    Udp(Box<UdpSocket>),
    /// A Machnet flow.
    Machnet {
        /// The machine. Flows are bigger than connections and fewer.
        flow: Box<Flow>,
    },
}

/// A listener's account of what it may still take.
#[derive(Clone, Debug, Hash)]
pub(super) struct Listener {
    pub(super) transport: Transport,
    /// What its connections begin with: options are inherited.
    pub(super) config: SharedConfig,
    backlog: u32,
    half_open: u32,
    /// Until when an ACK may bring a SYN cookie back: some were sent not long ago.
    pub(super) cookies_until: Instant,
    handed_over: u32,
    /// Machnet: flows in the order in which they began to wait for an answer; some have it by now, about half of them at most.
    pub(super) half_open_flows: VecDeque<SocketId>,
    /// Connections that took data from a SYN and whose handshakes are not done; those that were reset since then, which count until
    /// this moment (RFC 7413 §5.1: resets from forged addresses must not make room for more).
    fast_open: u32,
    fast_open_reset: u32,
    fast_open_reset_until: Instant,
}

/// How long a reset connection that took data from a SYN counts against its listener's queue, as on Linux.
const FAST_OPEN_RESET_LIFE: Duration = Duration::from_secs(60);

impl Listener {
    pub(super) const fn new(transport: Transport, config: SharedConfig, backlog: u32) -> Self {
        Self {
            transport,
            config,
            backlog,
            half_open: 0,
            cookies_until: Instant::ZERO,
            handed_over: 0,
            half_open_flows: VecDeque::new(),
            fast_open: 0,
            fast_open_reset: 0,
            fast_open_reset_until: Instant::ZERO,
        }
    }

    /// Getter: one more connection may take data from its SYN.
    pub(super) fn may_fast_open(&mut self, now: Instant) -> bool {
        if now >= self.fast_open_reset_until {
            self.fast_open_reset = 0;
        }
        let counted = self.fast_open.saturating_add(self.fast_open_reset);
        let room = counted < self.config.fast_open_queue(self.backlog);
        (room || planted::is(Bug::EndlessFastOpens)) && self.may_hand_over()
    }

    /// A connection took data from its SYN.
    pub(super) const fn begin_fast_open(&mut self) {
        self.fast_open = self.fast_open.saturating_add(1);
    }

    /// The handshake of such a connection is done, or was `reset`.
    pub(super) fn end_fast_open(&mut self, now: Instant, reset: bool) {
        self.fast_open = self.fast_open.saturating_sub(1);
        if reset {
            self.fast_open_reset = self.fast_open_reset.saturating_add(1);
            self.fast_open_reset_until = now + FAST_OPEN_RESET_LIFE;
        }
    }

    /// Getter: connections or flows whose peer did not answer yet.
    pub(super) const fn half_open(&self) -> u32 {
        self.half_open
    }

    /// Getter: half-open ones, those that wait to be accepted, and most that may.
    pub(super) const fn queues(&self) -> (u32, u32, u32) {
        (self.half_open, self.handed_over, self.backlog)
    }

    /// Takes room for one more half-open connection; false when there is none. A flow needs no queue of half-open
    /// ones: what it may hand over counts; a connection that nobody could take is not begun.
    pub(super) fn begin(&mut self) -> bool {
        let room = self.may_begin();
        if room {
            self.half_open += 1;
        }
        room
    }

    /// There is room for one more half-open connection.
    pub(super) fn may_begin(&self) -> bool {
        match self.transport {
            Transport::Tcp if planted::is(Bug::EndlessHalfOpen) => true,
            Transport::Tcp => {
                let most = self.queue_max();
                self.half_open < most && self.handed_over < most
            }
            // Nobody listens for datagrams: a UDP socket is bound.
            Transport::Udp => false,
            Transport::Machnet => self.half_open.saturating_add(self.handed_over) < self.backlog,
        }
    }

    /// A half-open connection comes to be that has proved its peer, and is about to be completed.
    pub(super) const fn begin_anyway(&mut self) {
        self.half_open = self.half_open.saturating_add(1);
    }

    /// Getter: the application's queue has room.
    pub(super) fn may_hand_over(&self) -> bool {
        self.handed_over < self.queue_max() || planted::is(Bug::EndlessBacklog)
    }

    /// Another backlog from now on; who is there stays.
    pub(super) const fn set_backlog(&mut self, backlog: u32) {
        self.backlog = backlog;
    }

    /// Getter: most that wait to be accepted, and most whose handshake is not done. Linux's sockets hold one more of either than was
    /// asked for (sk_acceptq_is_full, inet_csk_reqsk_queue_is_full).
    const fn queue_max(&self) -> u32 {
        match self.transport {
            Transport::Tcp => self.backlog.saturating_add(1),
            Transport::Udp | Transport::Machnet => self.backlog,
        }
    }

    /// A half-open connection was completed and handed to the application.
    pub(super) const fn hand_over(&mut self) {
        self.half_open = self.half_open.saturating_sub(1);
        self.handed_over = self.handed_over.saturating_add(1);
    }

    /// A half-open connection came to nothing.
    pub(super) const fn give_up(&mut self) {
        self.half_open = self.half_open.saturating_sub(1);
    }

    /// The application took `count`. It may say anything: more than there are counts as all.
    pub(super) const fn accepted(&mut self, count: u32) {
        self.handed_over = self.handed_over.saturating_sub(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_holds_no_more_than_its_backlog_until_the_application_takes_some() {
        let mut listener = Listener::new(Transport::Tcp, SharedConfig::default(), 2);
        assert!(listener.begin() && listener.begin() && listener.begin());
        assert!(!listener.begin(), "three half-open ones are one more than was asked for");
        listener.hand_over();
        assert!(listener.begin() && listener.may_hand_over());
        listener.hand_over();
        assert!(listener.begin() && listener.may_hand_over(), "one more than was asked for");
        listener.hand_over();
        assert!(!listener.may_hand_over(), "three handed over fill the other queue");
        assert!(!listener.begin(), "and then nothing begins");
        listener.accepted(1_000);
        assert!(listener.begin());
    }

    #[test]
    fn another_backlog_turns_nobody_away_and_counts_for_the_next_one() {
        let mut listener = Listener::new(Transport::Tcp, SharedConfig::default(), 0);
        assert!(listener.begin() && !listener.begin());
        listener.hand_over();
        assert!(!listener.may_hand_over(), "one waits where nobody was to");
        listener.set_backlog(1);
        assert!(listener.begin() && listener.may_hand_over());
        listener.hand_over();
        listener.set_backlog(0);
        listener.accepted(1);
        assert!(!listener.begin() && !listener.may_hand_over(), "the other one waits still");
        listener.accepted(1);
        assert!(listener.begin());
    }

    #[test]
    fn a_slot_with_a_connection_in_it_fits_into_464_bytes() {
        let size = size_of::<Socket>();
        assert!(size <= 464, "{size} bytes");
    }

    #[test]
    fn a_backlog_of_zero_takes_nothing() {
        assert!(!Listener::new(Transport::Machnet, SharedConfig::default(), 0).begin());
    }
}
