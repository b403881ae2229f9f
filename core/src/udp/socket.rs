//! One socket: what it has to send and what its application has not read, as places in the rings.

use alloc::collections::VecDeque;

use super::set_option::IpFields;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::socket::Endpoint;

/// Most datagrams that wait to be sent.
pub const QUEUE_MAX: usize = 256;
/// Most datagrams that wait to be read, however short they are.
pub const ARRIVED_MAX: usize = 1_024;

/// Why a datagram is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendError {
    /// Its bytes do not lie behind those of the one before, or were not written.
    BeyondRing,
    /// [`QUEUE_MAX`] wait already.
    QueueFull,
    /// The socket is closed.
    Closed,
}

/// Why a received datagram is dropped: its application reads too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiveError {
    /// The ring has no room for it, or there is no memory behind it.
    RingFull,
    /// [`ARRIVED_MAX`] wait already.
    QueueFull,
}

/// A datagram that waits to be sent: the TX ring's bytes `offset .. offset + len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// Where its payload begins.
    pub offset: u64,
    /// Payload bytes.
    pub len: u16,
    /// Whom it is for; `None`: the peer that the socket is connected to.
    pub remote: Option<Endpoint>,
}

/// A UDP socket. Plain data; the stack asks it what to send and gives it what has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UdpSocket {
    queue: VecDeque<Outgoing>,
    /// Where the last datagram handed over ends.
    tx_end: u64,
    /// Where each datagram that was not read yet ends.
    arrived: VecDeque<u64>,
    /// Where the next one goes.
    rx_end: u64,
    closing: bool,
    /// It has sent something since it was last told that nobody wants it.
    may_be_refused: bool,
    /// What the application has set of the IP headers.
    pub(super) fields: IpFields,
}

impl UdpSocket {
    /// Getter: one without datagrams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Command: queues a datagram whose bytes were written to the TX ring behind those of the one before.
    pub fn send(&mut self, datagram: Outgoing, io: &impl StreamIo) -> Result<(), SendError> {
        let end = datagram.offset.checked_add(u64::from(datagram.len));
        if self.closing {
            return Err(SendError::Closed);
        }
        match end {
            Some(end) if datagram.offset >= self.tx_end && end <= io.tx_end() => {
                if self.queue.len() >= QUEUE_MAX {
                    return Err(SendError::QueueFull);
                }
                self.tx_end = end;
                self.queue.push_back(datagram);
                Ok(())
            }
            Some(_) | None => Err(SendError::BeyondRing),
        }
    }

    /// Command: what is queued is sent, then the socket is over.
    pub const fn close(&mut self) {
        self.closing = true;
    }

    /// Command: nothing is sent any more.
    pub fn abort(&mut self) {
        self.closing = true;
        self.queue.clear();
    }

    /// Getter: the next datagram to send.
    pub fn next_to_send(&self) -> Option<Outgoing> {
        self.queue.front().copied()
    }

    /// Input: the first datagram was sent, or never will be: its bytes are free.
    pub fn sent(&mut self, io: &mut impl StreamIo) {
        if let Some(datagram) = self.queue.pop_front() {
            let end = datagram.offset + u64::from(datagram.len);
            // Behind the last one lies at most what was passed over.
            io.tx_release(if self.queue.is_empty() { self.tx_end } else { end });
            self.may_be_refused = true;
        }
    }

    /// Command: these `len` bytes at `offset` in the TX ring are a datagram that was refused. They are the application's again when
    /// those before them are, or a ring of refused ones would take no other.
    pub fn pass_over(&mut self, (offset, len): (u64, u32), io: &mut impl StreamIo) {
        let end = offset.checked_add(u64::from(len)).filter(|end| *end <= io.tx_end());
        let takes = offset >= self.tx_end && !planted::is(Bug::RefusedDatagramsKept);
        let Some(end) = end.filter(|_| takes) else { return };
        self.tx_end = end;
        if self.queue.is_empty() {
            io.tx_release(end);
        }
    }

    /// Input: a datagram, in as many pieces as its frame has. Returns where in the RX ring it lies. An empty one takes a byte
    /// of the ring, so that the application's reading can be told.
    pub fn receive(
        &mut self,
        pieces: &[&[u8]],
        io: &mut impl StreamIo,
    ) -> Result<u64, ReceiveError> {
        let consumed = io.rx_consumed();
        while self.arrived.front().is_some_and(|end| *end <= consumed) {
            self.arrived.pop_front();
        }
        if self.arrived.len() >= ARRIVED_MAX {
            return Err(ReceiveError::QueueFull);
        }
        let len: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let end = self.rx_end + len.max(1);
        if end > io.rx_limit() {
            return Err(ReceiveError::RingFull);
        }
        let mut at = self.rx_end;
        let empty: &[&[u8]] = &[&[0]];
        for piece in if len == 0 { empty } else { pieces } {
            io.rx_copy_in(at, piece).map_err(|_| ReceiveError::RingFull)?;
            at += piece.len() as u64;
        }
        io.rx_commit(end);
        self.arrived.push_back(end);
        Ok(core::mem::replace(&mut self.rx_end, end))
    }

    /// Input: ICMP says that nobody takes what the socket sends. True when the application is to be told: once for each
    /// time that it has sent, whatever comes.
    pub fn refused(&mut self) -> bool {
        core::mem::take(&mut self.may_be_refused) && !self.closing
    }

    /// Getter: closed, and everything is sent.
    pub fn is_finished(&self) -> bool {
        self.closing && self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{AppPort, ChannelId, SocketId, Transport};
    use crate::testing::VecPort;
    use crate::time::Instant;

    fn with_ring(
        bytes: usize,
        written: &[u8],
        test: impl FnOnce(&mut VecPort, crate::port::StreamId),
    ) {
        let mut port = VecPort::new(bytes);
        let (channel, socket) =
            (ChannelId { index: 0, generation: 0 }, SocketId { index: 0, generation: 0 });
        let stream = port.stream_open(channel, socket, Transport::Udp).unwrap();
        port.write(stream, written);
        port.snapshot(Instant::ZERO);
        test(&mut port, stream);
    }

    fn outgoing(offset: u64, len: u16) -> Outgoing {
        Outgoing { offset, len, remote: None }
    }

    #[test]
    fn datagrams_leave_in_order_and_free_their_bytes() {
        with_ring(64, &[1; 20], |port, stream| {
            let mut udp = UdpSocket::new();
            let mut io = port.stream(stream);
            assert_eq!(udp.send(outgoing(0, 12), &io), Ok(()));
            assert_eq!(udp.send(outgoing(8, 12), &io), Err(SendError::BeyondRing), "overlap");
            assert_eq!(udp.send(outgoing(12, 9), &io), Err(SendError::BeyondRing), "not written");
            assert_eq!(udp.send(outgoing(u64::MAX, 9), &io), Err(SendError::BeyondRing));
            assert_eq!(udp.send(outgoing(12, 0), &io), Ok(()), "an empty one");
            udp.close();
            assert_eq!(udp.send(outgoing(12, 8), &io), Err(SendError::Closed));
            assert_eq!(udp.next_to_send(), Some(outgoing(0, 12)));
            assert!(!udp.is_finished());
            udp.sent(&mut io);
            udp.sent(&mut io);
            assert!(udp.is_finished());
        });
    }

    #[test]
    fn what_is_passed_over_is_free_when_all_before_it_was_sent() {
        with_ring(64, &[1; 40], |port, stream| {
            let mut udp = UdpSocket::new();
            udp.send(outgoing(0, 10), &port.stream(stream)).unwrap();
            udp.pass_over((10, 10), &mut port.stream(stream));
            udp.pass_over((10, 30), &mut port.stream(stream));
            udp.pass_over((20, 21), &mut port.stream(stream));
            udp.pass_over((20, u32::MAX), &mut port.stream(stream));
            assert_eq!(port.write(stream, &[2; 64]), 24, "the first one waits");
            udp.sent(&mut port.stream(stream));
            assert_eq!(
                port.write(stream, &[2; 64]),
                20,
                "what overlaps, or was not written, counts for nothing"
            );
            udp.pass_over((20, 20), &mut port.stream(stream));
            assert_eq!(port.write(stream, &[2; 64]), 20);
        });
    }

    #[test]
    fn what_waits_to_be_sent_is_bounded() {
        with_ring(64, &[], |port, stream| {
            let mut udp = UdpSocket::new();
            let io = port.stream(stream);
            let taken = (0..1_000).filter(|_| udp.send(outgoing(0, 0), &io).is_ok()).count();
            assert_eq!(taken, QUEUE_MAX);
        });
    }

    #[test]
    fn a_datagram_that_does_not_fit_is_dropped_whole_and_reading_makes_room() {
        with_ring(16, &[], |port, stream| {
            let mut udp = UdpSocket::new();
            let mut io = port.stream(stream);
            assert_eq!(udp.receive(&[&[1; 5], &[2; 5]], &mut io), Ok(0));
            assert_eq!(udp.receive(&[&[3; 7]], &mut io), Err(ReceiveError::RingFull));
            assert_eq!(udp.receive(&[], &mut io), Ok(10), "an empty one takes a byte");
            let mut read = [0; 11];
            assert_eq!(port.read(stream, &mut read), 11);
            assert_eq!(read, [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0]);
            port.snapshot(Instant::ZERO);
            assert_eq!(udp.receive(&[&[3; 7]], &mut port.stream(stream)), Ok(11));
        });
    }

    #[test]
    fn what_waits_to_be_read_is_bounded_in_number_too() {
        with_ring(4 * ARRIVED_MAX, &[], |port, stream| {
            let mut udp = UdpSocket::new();
            for _ in 0..ARRIVED_MAX {
                assert!(udp.receive(&[], &mut port.stream(stream)).is_ok());
            }
            let one_more = udp.receive(&[], &mut port.stream(stream));
            assert_eq!(one_more, Err(ReceiveError::QueueFull));
            assert_eq!(port.read(stream, &mut [0; 3]), 3);
            port.snapshot(Instant::ZERO);
            assert!(udp.receive(&[], &mut port.stream(stream)).is_ok());
            assert_eq!(udp.arrived.len(), ARRIVED_MAX - 2);
        });
    }

    #[test]
    fn a_refusal_is_told_once_for_what_was_sent() {
        with_ring(64, &[1; 8], |port, stream| {
            let mut udp = UdpSocket::new();
            let mut io = port.stream(stream);
            assert!(!udp.refused(), "nothing was sent");
            udp.send(outgoing(0, 8), &io).unwrap();
            udp.sent(&mut io);
            assert!(udp.refused());
            assert!(!udp.refused());
        });
    }
}
