//! The application side of a measured Causeway host: rings in ordinary memory, no other process.

use std::collections::VecDeque;

use causeway_checksum as checksum;
use causeway_core::port::{
    AppPort, ChannelId, Command, Completion, Op, RingError, SocketId, StreamId, StreamIo, Transport,
};
use causeway_core::time::Instant;

/// The only channel.
pub const CHANNEL: ChannelId = ChannelId { index: 0, generation: 0 };

/// A byte ring by stream offset, its memory attached at the first byte.
#[derive(Default)]
struct Ring {
    bytes: Vec<u8>,
}

impl Ring {
    fn attach(&mut self, size: usize) {
        if self.bytes.is_empty() {
            self.bytes = vec![0; size];
        }
    }

    /// The one or two pieces of the ring that hold `offset .. offset + len`.
    fn split(&self, offset: u64, len: usize) -> (usize, usize) {
        let at = (offset as usize) & (self.bytes.len() - 1);
        (at, len.min(self.bytes.len() - at))
    }

    fn put(&mut self, offset: u64, src: &[u8]) {
        let (at, first) = self.split(offset, src.len());
        self.bytes[at..at + first].copy_from_slice(&src[..first]);
        if first == src.len() {
            return;
        }
        self.bytes[..src.len() - first].copy_from_slice(&src[first..]);
    }

    fn put_sum(&mut self, offset: u64, src: &[u8]) -> u16 {
        let (at, first) = self.split(offset, src.len());
        let sum = checksum::copy_sum(&src[..first], &mut self.bytes[at..at + first]);
        if first == src.len() {
            return sum;
        }
        let rest = checksum::copy_sum(&src[first..], &mut self.bytes[..src.len() - first]);
        checksum::combine(sum, rest, first % 2 == 1)
    }

    fn take(&self, offset: u64, dst: &mut [u8]) {
        let (at, first) = self.split(offset, dst.len());
        dst[..first].copy_from_slice(&self.bytes[at..at + first]);
        if first == dst.len() {
            return;
        }
        let rest = dst.len() - first;
        dst[first..].copy_from_slice(&self.bytes[..rest]);
    }

    fn take_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        let (at, first) = self.split(offset, dst.len());
        let sum = checksum::copy_sum(&self.bytes[at..at + first], &mut dst[..first]);
        if first == dst.len() {
            return sum;
        }
        let rest = dst.len() - first;
        checksum::combine(
            sum,
            checksum::copy_sum(&self.bytes[..rest], &mut dst[first..]),
            first % 2 == 1,
        )
    }
}

/// One connection's rings and what the application knows of it.
struct Stream {
    socket: SocketId,
    tx: Ring,
    tx_written: u64,
    tx_snapshot: u64,
    tx_released: u64,
    rx: Ring,
    rx_committed: u64,
    rx_consumed: u64,
    rx_snapshot: u64,
    kicked: bool,
}

/// See the module.
pub struct BenchPort {
    size: usize,
    streams: Vec<Option<Stream>>,
    free: Vec<u32>,
    commands: VecDeque<Op>,
    /// Streams with a kick among the commands.
    kicked: Vec<u32>,
    /// News for the harness.
    pub completions: VecDeque<Completion>,
}

impl BenchPort {
    /// Rings of `size` bytes (a power of two).
    pub fn new(size: usize) -> Self {
        assert!(size.is_power_of_two(), "ring size");
        Self {
            size,
            streams: Vec::new(),
            free: Vec::new(),
            commands: VecDeque::new(),
            kicked: Vec::new(),
            completions: VecDeque::new(),
        }
    }

    /// Queues a command for the next step.
    pub fn command(&mut self, op: Op) {
        self.commands.push_back(op);
    }

    /// Getter: bytes of the table of streams.
    pub fn table_bytes(&self) -> usize {
        self.streams.len() * size_of::<Option<Stream>>()
    }

    fn stream_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(id.slot as usize)?.as_mut()
    }

    /// The application writes.
    pub fn write(&mut self, id: StreamId, bytes: &[u8]) -> usize {
        let size = self.size;
        let Some(stream) = self.stream_mut(id) else { return 0 };
        let room = size - (stream.tx_written - stream.tx_released) as usize;
        let count = room.min(bytes.len());
        if count == 0 {
            return 0;
        }
        stream.tx.attach(size);
        stream.tx.put(stream.tx_written, &bytes[..count]);
        stream.tx_written += count as u64;
        self.kick(id);
        count
    }

    /// The application reads.
    pub fn read(&mut self, id: StreamId, bytes: &mut [u8]) -> usize {
        let size = self.size as u64;
        let Some(stream) = self.stream_mut(id) else { return 0 };
        let count = bytes.len().min((stream.rx_committed - stream.rx_consumed) as usize);
        if count == 0 {
            return 0;
        }
        stream.rx.take(stream.rx_consumed, &mut bytes[..count]);
        let before = stream.rx_consumed;
        stream.rx_consumed += count as u64;
        // Like the client library: the stack hears of consumption when a quarter of the ring became free.
        if before / (size / 4) != stream.rx_consumed / (size / 4) {
            self.kick(id);
        }
        count
    }

    fn kick(&mut self, id: StreamId) {
        let Some(stream) = self.stream_mut(id) else { return };
        if !stream.kicked {
            stream.kicked = true;
            let socket = stream.socket;
            self.commands.push_back(Op::Kick { socket });
            self.kicked.push(id.slot);
        }
    }
}

/// One stream's rings, or none.
pub struct BenchStream<'a> {
    size: u64,
    stream: Option<&'a mut Stream>,
}

impl StreamIo for BenchStream<'_> {
    fn tx_end(&self) -> u64 {
        self.stream.as_ref().map_or(0, |s| s.tx_snapshot)
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        self.stream.as_ref().map_or(0, |s| s.tx.take_sum(offset, dst))
    }

    fn tx_release(&mut self, offset: u64) {
        if let Some(stream) = &mut self.stream {
            stream.tx_released = offset;
        }
    }

    fn rx_limit(&self) -> u64 {
        self.stream.as_ref().map_or(0, |s| s.rx_snapshot + self.size)
    }

    fn rx_consumed(&self) -> u64 {
        self.stream.as_ref().map_or(0, |s| s.rx_snapshot)
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let limit = self.rx_limit();
        let stream = self.stream.as_mut().ok_or(RingError::Gone)?;
        if offset + src.len() as u64 > limit {
            return Err(RingError::OutOfRange);
        }
        stream.rx.attach(self.size as usize);
        stream.rx.put(offset, src);
        Ok(())
    }

    fn rx_copy_in_sum(
        &mut self,
        offset: u64,
        src: &[u8],
        _: checksum::Implementation,
    ) -> Result<u16, RingError> {
        let limit = self.rx_limit();
        let stream = self.stream.as_mut().ok_or(RingError::Gone)?;
        if offset + src.len() as u64 > limit {
            return Err(RingError::OutOfRange);
        }
        stream.rx.attach(self.size as usize);
        Ok(stream.rx.put_sum(offset, src))
    }

    fn rx_commit(&mut self, offset: u64) {
        if let Some(stream) = &mut self.stream {
            stream.rx_committed = offset;
        }
    }
}

impl AppPort for BenchPort {
    type Stream<'a> = BenchStream<'a>;

    fn snapshot(&mut self, _: Instant) {
        // Only streams with a pending kick have changed.
        for slot in self.kicked.drain(..) {
            if let Some(stream) = &mut self.streams[slot as usize] {
                stream.kicked = false;
                stream.tx_snapshot = stream.tx_written;
                stream.rx_snapshot = stream.rx_consumed;
            }
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front().map(|op| Command { channel: CHANNEL, tag: 0, op })
    }

    fn complete(&mut self, _: ChannelId, completion: Completion) {
        // Readiness is polled by the harness: it knows where it has written.
        if !matches!(completion, Completion::Ready { .. }) {
            self.completions.push_back(completion);
        }
    }

    fn process(&self, _: ChannelId) -> Option<u64> {
        Some(0)
    }

    fn stream_open(
        &mut self,
        channel: ChannelId,
        socket: SocketId,
        _: Transport,
    ) -> Option<StreamId> {
        let stream = Stream {
            socket,
            tx: Ring::default(),
            tx_written: 0,
            tx_snapshot: 0,
            tx_released: 0,
            rx: Ring::default(),
            rx_committed: 0,
            rx_consumed: 0,
            rx_snapshot: 0,
            kicked: false,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() as u32 - 1
        });
        self.streams[slot as usize] = Some(stream);
        Some(StreamId { channel, slot })
    }

    fn stream_close(&mut self, stream: StreamId) {
        if self.streams[stream.slot as usize].take().is_some() {
            self.free.push(stream.slot);
        }
    }

    fn stream(&mut self, stream: StreamId) -> BenchStream<'_> {
        let size = self.size as u64;
        BenchStream { size, stream: self.stream_mut(stream) }
    }

    fn flush(&mut self) {}
}
