//! Any bytes anywhere in a channel's memory, while the daemon's side works with it: it refuses, and lives.
#![no_main]

use std::sync::Arc;

use causeway_channel::{
    DaemonChannel, DaemonLane, Doorbells, Geometry, LaneStream, Owner, Wake, handshake,
};
use causeway_core::port::{ChannelId, Completion, SocketId, StreamId, StreamIo, Transport};
use causeway_fuzz::Bytes;
use libfuzzer_sys::fuzz_target;
use rustix::fd::OwnedFd;

struct Silent;

impl Wake for Silent {
    fn wake(&self) {}
}

struct World {
    daemon: DaemonLane,
    memory: OwnedFd,
    bytes: u64,
    slots: Vec<u32>,
    sockets: u32,
}

impl World {
    fn new() -> Self {
        let geometry = Geometry::builder()
            .ring_entries(16, 16)
            .streams_per_lane(4)
            .table_slots(8)
            .chunk_bytes(4096)
            .chunks(8, 16)
            .message_bytes_max(16 << 10)
            .build()
            .expect("a geometry within its ranges");
        let bells = Doorbells::simulated(Arc::new(Silent), 1, vec![Arc::new(Silent)]);
        let id = ChannelId { index: 0, generation: 0 };
        let (daemon, grant) =
            DaemonChannel::create(&geometry, id, Owner { pid: 1, lease: 0 }, bells)
                .expect("memory for a small channel");
        let bytes = rustix::fs::fstat(&grant.memory).expect("a memfd has a size").st_size as u64;
        let daemon = daemon.into_lanes().pop().expect("one lane");
        Self { daemon, memory: grant.memory, bytes, slots: Vec::new(), sockets: 0 }
    }

    fn stream(&mut self, which: u8, work: impl FnOnce(&mut LaneStream<'_>)) {
        let Some(slot) = self.slots.get(usize::from(which) % self.slots.len().max(1)).copied()
        else {
            return;
        };
        work(&mut self.daemon.stream(slot));
    }

    /// The stack opens a stream.
    fn open(&mut self) {
        self.sockets += 1;
        let socket = SocketId { index: self.sockets, generation: 0 };
        let transport =
            if self.sockets.is_multiple_of(2) { Transport::Tcp } else { Transport::Machnet };
        if let Some(slot) = self.daemon.stream_open(socket, transport, 16 << 10) {
            // Half of them the application is told of.
            if self.sockets % 4 < 2 {
                let channel = ChannelId { index: 0, generation: 0 };
                let stream = StreamId { channel, slot };
                let local = ([10, 0, 0, 1], 9).into();
                let told = Completion::Connecting { tag: 0, socket, stream, local };
                self.daemon.push_completion(&told);
            }
            self.slots.push(slot);
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.u8() % 9 {
            0..=2 => {
                // The application writes where it likes: rings, indices, tables, chunks.
                let offset = u64::from(bytes.u32()) % self.bytes;
                let len = usize::from(bytes.u8());
                let garbage = bytes.take(len);
                let fits = garbage.len().min((self.bytes - offset) as usize);
                rustix::io::pwrite(&self.memory, &garbage[..fits], offset)
                    .expect("the memory is writable");
            }
            3 => {
                let _ = self.daemon.snapshot(u32::from(bytes.u8()));
                for _ in 0..64 {
                    if self.daemon.poll_command().is_none() {
                        break;
                    }
                }
            }
            4 => {
                self.open();
            }
            5 => {
                let which = bytes.u8();
                let (offset, len) = (u64::from(bytes.u16()), usize::from(bytes.u16()));
                self.stream(which, |stream| {
                    let mut out = vec![0; len];
                    stream.tx_copy_out_sum(offset, &mut out);
                    let end = stream.tx_end();
                    stream.tx_release(end);
                });
            }
            6 => {
                let which = bytes.u8();
                let (offset, len) = (u64::from(bytes.u16()), usize::from(bytes.u16() % 5_000));
                self.stream(which, |stream| {
                    if stream.rx_copy_in(offset, &vec![7; len]).is_ok()
                        && offset <= stream.rx_limit()
                    {
                        stream.rx_commit(offset);
                    }
                });
            }
            7 => {
                let socket = SocketId { index: u32::from(bytes.u8()), generation: 0 };
                self.daemon.push_completion(&Completion::Ready { socket });
                self.daemon.flush();
            }
            _ => {
                if let Some(slot) = self.slots.pop() {
                    self.daemon.stream_close(slot);
                }
                if !self.daemon.arm() {
                    self.daemon.disarm();
                }
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    let _ = (handshake::Hello::decode(input), handshake::Reply::decode(input));
    let mut world = World::new();
    while !bytes.is_empty() {
        world.step(&mut bytes);
    }
});
