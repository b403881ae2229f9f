//! The engine's side of the applications: streams whose rings grow with what is in them.

use std::collections::VecDeque;

use causeway_core::port::{
    AppPort, ChannelId, Command, Completion, Op, RingError, SocketId, StreamId, StreamIo, Transport,
};
use causeway_core::time::Instant;

/// The one application of a host.
pub const CHANNEL: ChannelId = ChannelId { index: 0, generation: 0 };

/// How large the receive window of a stream may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxWindow {
    /// Bytes at the beginning.
    pub initial: u64,
    /// Bytes that it grows to while data flows.
    pub max: u64,
}

/// The two rings of one connection.
#[derive(Debug)]
pub struct Stream {
    open: bool,
    tx: VecDeque<u8>,
    /// Offset of the first byte in `tx`.
    tx_released: u64,
    /// Bytes that may wait in `tx`.
    pub tx_limit: u64,
    /// From `rx_consumed` on.
    rx: VecDeque<u8>,
    rx_consumed: u64,
    rx_committed: u64,
    rx_limit: u64,
    window: RxWindow,
}

impl Stream {
    fn new(tx_limit: u64, window: RxWindow) -> Self {
        Self {
            open: true,
            tx: VecDeque::new(),
            tx_released: 0,
            tx_limit,
            rx: VecDeque::new(),
            rx_consumed: 0,
            rx_committed: 0,
            rx_limit: window.initial,
            window,
        }
    }

    /// Getter: one past the last byte written.
    pub fn tx_end(&self) -> u64 {
        self.tx_released + self.tx.len() as u64
    }

    /// Getter: bytes written and not acknowledged.
    pub fn tx_queued(&self) -> u64 {
        self.tx.len() as u64
    }

    /// Getter: bytes that may be written now.
    pub fn tx_room(&self) -> u64 {
        self.tx_limit.saturating_sub(self.tx.len() as u64)
    }

    /// Command (application): appends what there is room for, returns how much.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(usize::try_from(self.tx_room()).unwrap_or(usize::MAX));
        self.tx.extend(&bytes[..len]);
        len
    }

    /// Getter: bytes in order that were not read.
    pub fn readable(&self) -> u64 {
        self.rx_committed - self.rx_consumed
    }

    /// Getter: one past the last byte that arrived in order.
    pub fn rx_committed(&self) -> u64 {
        self.rx_committed
    }

    /// Getter: offset of the next byte that will be read.
    pub fn rx_consumed(&self) -> u64 {
        self.rx_consumed
    }

    /// Getter: a byte that arrived in order and was not read.
    pub fn peek_at(&self, offset: u64) -> Option<u8> {
        let index =
            offset.checked_sub(self.rx_consumed).filter(|index| *index < self.readable())?;
        self.rx.get(usize::try_from(index).ok()?).copied()
    }

    /// Output (application): the next `len` bytes at most; they stay when `peek`.
    pub fn read(&mut self, len: usize, peek: bool) -> Vec<u8> {
        let len = len.min(usize::try_from(self.readable()).unwrap_or(usize::MAX));
        let bytes: Vec<u8> = self.rx.iter().take(len).copied().collect();
        if !peek {
            self.rx.drain(..len);
            self.rx_consumed += len as u64;
            self.grow_window();
        }
        bytes
    }

    /// Command: another size of the receive window from now on. What was promised stays.
    pub fn set_window(&mut self, window: RxWindow) {
        self.window = window;
        self.grow_window();
    }

    /// The window follows twice what was received, as a peer in slow start needs it.
    fn grow_window(&mut self) {
        let wanted = (2 * self.rx_committed).clamp(self.window.initial, self.window.max);
        self.rx_limit = self.rx_limit.max(self.rx_consumed + wanted);
    }
}

/// The applications of a host, as the engine sees them.
#[derive(Debug)]
pub struct HostPort {
    commands: VecDeque<Command>,
    completions: VecDeque<Completion>,
    streams: Vec<Stream>,
    /// What a new stream may queue for sending, in bytes.
    pub tx_limit: u64,
    /// The window of a new stream.
    pub window: RxWindow,
}

impl HostPort {
    /// A port whose streams begin with these limits.
    pub const fn new(tx_limit: u64, window: RxWindow) -> Self {
        Self {
            commands: VecDeque::new(),
            completions: VecDeque::new(),
            streams: Vec::new(),
            tx_limit,
            window,
        }
    }

    /// Command (application): asks for `op`.
    pub fn ask(&mut self, tag: u64, op: Op) {
        self.commands.push_back(Command { channel: CHANNEL, tag, op });
    }

    /// Output (application): the next answer or piece of news.
    pub fn poll_completion(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }

    /// Getter (application): the rings of a stream, which outlive the connection.
    pub fn rings(&mut self, stream: StreamId) -> &mut Stream {
        &mut self.streams[stream.slot as usize]
    }
}

impl AppPort for HostPort {
    type Stream<'a> = HostStream<'a>;

    fn snapshot(&mut self, _now: Instant) {}

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn complete(&mut self, _channel: ChannelId, completion: Completion) {
        self.completions.push_back(completion);
    }

    fn process(&self, _channel: ChannelId) -> Option<u64> {
        Some(1)
    }

    fn stream_open(&mut self, channel: ChannelId, _: SocketId, _: Transport) -> Option<StreamId> {
        // A slot is never used twice: what lies in a ring stays readable after the connection's end.
        let slot = u32::try_from(self.streams.len()).ok()?;
        self.streams.push(Stream::new(self.tx_limit, self.window));
        Some(StreamId { channel, slot })
    }

    fn stream_close(&mut self, stream: StreamId) {
        if let Some(stream) = self.streams.get_mut(stream.slot as usize) {
            stream.open = false;
        }
    }

    fn stream(&mut self, stream: StreamId) -> HostStream<'_> {
        HostStream(self.streams.get_mut(stream.slot as usize).filter(|stream| stream.open))
    }

    fn flush(&mut self) {}
}

/// The rings of one stream of a [`HostPort`].
#[derive(Debug)]
pub struct HostStream<'a>(Option<&'a mut Stream>);

impl StreamIo for HostStream<'_> {
    fn tx_end(&self) -> u64 {
        self.0.as_ref().map_or(0, |stream| stream.tx_end())
    }

    fn tx_is_full(&self) -> bool {
        self.0.as_ref().is_some_and(|stream| stream.tx_room() == 0)
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        dst.fill(0);
        let Some(stream) = &self.0 else { return 0 };
        if let Some(skip) = offset.checked_sub(stream.tx_released) {
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            for (to, from) in dst.iter_mut().zip(stream.tx.iter().skip(skip)) {
                *to = *from;
            }
        }
        causeway_core::wire::checksum::sum(dst)
    }

    fn tx_release(&mut self, offset: u64) {
        if let Some(stream) = &mut self.0 {
            assert!(offset <= stream.tx_end(), "only what was written can be acknowledged");
            let count = offset.saturating_sub(stream.tx_released);
            stream.tx.drain(..usize::try_from(count).unwrap_or(usize::MAX));
            stream.tx_released += count;
        }
    }

    fn rx_limit(&self) -> u64 {
        self.0.as_ref().map_or(0, |stream| stream.rx_limit)
    }

    fn rx_consumed(&self) -> u64 {
        self.0.as_ref().map_or(0, |stream| stream.rx_consumed)
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let stream = self.0.as_mut().ok_or(RingError::Gone)?;
        let end = offset + src.len() as u64;
        if offset < stream.rx_committed || end > stream.rx_limit {
            return Err(RingError::OutOfRange);
        }
        let at = |offset: u64| (offset - stream.rx_consumed) as usize;
        let (start, end) = (at(offset), at(end));
        if stream.rx.len() < end {
            stream.rx.resize(end, 0);
        }
        for (to, from) in stream.rx.range_mut(start..end).zip(src) {
            *to = *from;
        }
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        if let Some(stream) = &mut self.0 {
            assert!(offset <= stream.rx_limit, "a commit stays below rx_limit");
            stream.rx_committed = stream.rx_committed.max(offset);
            stream.grow_window();
        }
    }
}
