//! Applications in vectors: the test is the application, and every call is a plain method.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::ring::Ring;
use crate::port::{
    AppPort, ChannelId, Command, Completion, Op, RingError, SocketId, StreamId, StreamIo, Transport,
};
use crate::time::Instant;

#[derive(Debug)]
struct Stream {
    open: bool,
    /// The application's side changed since the last snapshot.
    touched: bool,
    tx: Ring,
    /// Written by the application, and as of the last snapshot.
    tx_end: u64,
    tx_end_seen: u64,
    tx_released: u64,
    rx: Ring,
    rx_committed: u64,
    /// Read by the application, and as of the last snapshot.
    rx_consumed: u64,
    rx_consumed_seen: u64,
}

/// An [`AppPort`] with any number of channels whose applications are the test itself.
///
/// Everything that the application's side does becomes visible to the stack at the next snapshot.
#[derive(Debug)]
pub struct VecPort {
    commands: VecDeque<Command>,
    /// How many of `commands` the last snapshot froze.
    commands_seen: usize,
    /// Commands handed to the stack per step, over all channels.
    commands_per_step: usize,
    completions: VecDeque<(ChannelId, Completion)>,
    streams: Vec<Stream>,
    streams_open: usize,
    /// Slots of the streams that the application touched since the last snapshot.
    touched: Vec<u32>,
    dead: Vec<ChannelId>,
    poisoned: Vec<ChannelId>,
    ring_bytes: usize,
    streams_max: usize,
    wakes: u64,
}

impl VecPort {
    /// A port whose rings hold `ring_bytes` in each direction.
    pub fn new(ring_bytes: usize) -> Self {
        Self {
            commands: VecDeque::new(),
            commands_seen: 0,
            commands_per_step: 64,
            completions: VecDeque::new(),
            streams: Vec::new(),
            streams_open: 0,
            touched: Vec::new(),
            dead: Vec::new(),
            poisoned: Vec::new(),
            ring_bytes,
            streams_max: usize::MAX,
            wakes: 0,
        }
    }

    /// Command: from now on at most this many streams are open at once.
    pub fn limit_streams(&mut self, streams_max: usize) {
        self.streams_max = streams_max;
    }

    /// Command (application): asks for `op`.
    pub fn command(&mut self, channel: ChannelId, tag: u64, op: Op) {
        self.commands.push_back(Command { channel, tag, op });
    }

    /// Command (application): the channel dies without a word; the port tells the stack, after what it was asked before.
    pub fn kill(&mut self, channel: ChannelId) {
        self.dead.push(channel);
        self.command(channel, 0, Op::Detach { deliver: true });
    }

    /// Command (application): the channel's memory is found to be nonsense, whether its application lives or not.
    pub fn poison(&mut self, channel: ChannelId) {
        self.dead.push(channel);
        self.poisoned.push(channel);
        self.commands.retain(|command| command.channel != channel);
        self.command(channel, 0, Op::Detach { deliver: false });
    }

    /// Output (application): the next completion, whosesoever it is.
    pub fn poll_completion(&mut self) -> Option<(ChannelId, Completion)> {
        self.completions.pop_front()
    }

    /// Command (application): appends as much of `bytes` as there is room for, returns how much. Kick afterwards.
    pub fn write(&mut self, stream: StreamId, bytes: &[u8]) -> usize {
        let stream = self.touch(stream);
        let room = stream.tx.capacity() - (stream.tx_end - stream.tx_released) as usize;
        let len = bytes.len().min(room);
        stream.tx.write(stream.tx_end, &bytes[..len]);
        stream.tx_end += len as u64;
        len
    }

    /// Getter (application): the offset that the next written byte will have.
    pub fn written(&self, stream: StreamId) -> u64 {
        self.streams[stream.slot as usize].tx_end
    }

    /// Getter (application): bytes that may be read now.
    pub fn readable(&self, stream: StreamId) -> usize {
        let stream = &self.streams[stream.slot as usize];
        (stream.rx_committed - stream.rx_consumed) as usize
    }

    /// Command (application): reads up to `dst.len()` bytes, returns how many. Kick afterwards.
    pub fn read(&mut self, stream: StreamId, dst: &mut [u8]) -> usize {
        let len = self.readable(stream).min(dst.len());
        let stream = self.touch(stream);
        stream.rx.read(stream.rx_consumed, &mut dst[..len]);
        stream.rx_consumed += len as u64;
        len
    }

    /// Getter: streams that the stack has opened and not closed.
    pub fn streams_open(&self) -> usize {
        self.streams_open
    }

    /// Getter: how often `flush` woke somebody up.
    pub fn wakes(&self) -> u64 {
        self.wakes
    }

    fn touch(&mut self, id: StreamId) -> &mut Stream {
        let stream = &mut self.streams[id.slot as usize];
        if !core::mem::replace(&mut stream.touched, true) {
            self.touched.push(id.slot);
        }
        stream
    }

    fn is_dead(&self, channel: ChannelId) -> bool {
        self.dead.contains(&channel)
    }
}

impl AppPort for VecPort {
    type Stream<'a> = VecStreamIo<'a>;

    fn snapshot(&mut self, _now: Instant) {
        self.commands_seen = self.commands.len().min(self.commands_per_step);
        for slot in self.touched.drain(..) {
            let stream = &mut self.streams[slot as usize];
            stream.touched = false;
            stream.tx_end_seen = stream.tx_end;
            stream.rx_consumed_seen = stream.rx_consumed;
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands_seen = self.commands_seen.checked_sub(1)?;
        self.commands.pop_front()
    }

    fn complete(&mut self, channel: ChannelId, completion: Completion) {
        let repeated =
            self.completions.back().is_some_and(|last| last.0 == channel && last.1 == completion);
        if !self.is_dead(channel) && !repeated {
            self.completions.push_back((channel, completion));
        }
    }

    /// Two channels a process: 0 and 1, 2 and 3, ...
    fn process(&self, channel: ChannelId) -> Option<u64> {
        (!self.is_dead(channel)).then_some(u64::from(channel.index / 2))
    }

    fn stream_open(
        &mut self,
        channel: ChannelId,
        _socket: SocketId,
        _: Transport,
    ) -> Option<StreamId> {
        if self.is_dead(channel) || self.streams_open() >= self.streams_max {
            return None;
        }
        let stream = Stream {
            open: true,
            touched: false,
            tx: Ring::new(self.ring_bytes),
            tx_end: 0,
            tx_end_seen: 0,
            tx_released: 0,
            rx: Ring::new(self.ring_bytes),
            rx_committed: 0,
            rx_consumed: 0,
            rx_consumed_seen: 0,
        };
        // A closed stream stays readable for the test, so slots are not used twice.
        let slot = u32::try_from(self.streams.len()).ok()?;
        self.streams.push(stream);
        self.streams_open += 1;
        Some(StreamId { channel, slot })
    }

    fn stream_close(&mut self, stream: StreamId) {
        let stream = &mut self.streams[stream.slot as usize];
        assert!(stream.open, "a stream is closed once");
        stream.open = false;
        self.streams_open -= 1;
    }

    fn stream(&mut self, stream: StreamId) -> VecStreamIo<'_> {
        let poisoned = self.poisoned.contains(&stream.channel);
        let found = self.streams.get_mut(stream.slot as usize);
        VecStreamIo { stream: found.filter(|stream| stream.open && !poisoned) }
    }

    fn flush(&mut self) {
        self.wakes += u64::from(!self.completions.is_empty());
    }
}

/// The rings of one stream of a [`VecPort`].
#[derive(Debug)]
pub struct VecStreamIo<'a> {
    stream: Option<&'a mut Stream>,
}

impl StreamIo for VecStreamIo<'_> {
    fn tx_end(&self) -> u64 {
        self.stream.as_ref().map_or(0, |stream| stream.tx_end_seen)
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        dst.fill(0);
        let Some(stream) = &self.stream else { return 0 };
        if offset < stream.tx_released || offset >= stream.tx_end_seen {
            return 0;
        }
        let len = (dst.len() as u64).min(stream.tx_end_seen - offset) as usize;
        stream.tx.read(offset, &mut dst[..len]);
        causeway_checksum::sum(dst)
    }

    fn tx_release(&mut self, offset: u64) {
        if let Some(stream) = &mut self.stream {
            assert!(offset <= stream.tx_end_seen, "only what was written can be acknowledged");
            stream.tx_released = stream.tx_released.max(offset);
        }
    }

    fn rx_limit(&self) -> u64 {
        let limit = |stream: &&mut Stream| stream.rx_consumed_seen + stream.rx.capacity() as u64;
        self.stream.as_ref().map_or(0, limit)
    }

    fn rx_consumed(&self) -> u64 {
        self.stream.as_ref().map_or(0, |stream| stream.rx_consumed_seen)
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let limit = self.rx_limit();
        let stream = self.stream.as_mut().ok_or(RingError::Gone)?;
        if offset < stream.rx_committed || offset + src.len() as u64 > limit {
            return Err(RingError::OutOfRange);
        }
        stream.rx.write(offset, src);
        Ok(())
    }

    fn rx_commit(&mut self, offset: u64) {
        let limit = self.rx_limit();
        if let Some(stream) = &mut self.stream {
            assert!(offset <= limit, "a commit stays below rx_limit");
            stream.rx_committed = stream.rx_committed.max(offset);
        }
    }
}
