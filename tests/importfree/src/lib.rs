//! One exported function that runs [`Engine::step`] over a NIC and an application side that do nothing.
//!
//! The core is sans-IO if this library, linked with nothing, lacks only an allocator and `mem*`. `check.sh` looks.
#![no_std]
#![deny(missing_docs)]

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::net::{IpAddr, Ipv4Addr};

use causeway_core::engine::Engine;
use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::{Frame, FrameMeta, MacAddr, Medium, Nic, NicCaps, WaitSource};
use causeway_core::port::{
    AppPort, ChannelId, Command, Completion, RingError, SocketId, StreamId, StreamIo, Transport,
};
use causeway_core::stack::StackConfig;
use causeway_core::time::Instant;

unsafe extern "C" {
    /// The allocator that whoever links the library brings.
    fn causeway_alloc(size: usize, align: usize) -> *mut u8;
    /// Takes back what [`causeway_alloc`] gave.
    fn causeway_free(ptr: *mut u8, size: usize, align: usize);
}

struct Imported;

// SAFETY: the two imported functions are an allocator by contract of whoever links them; size and alignment are passed
// on as they are.
unsafe impl GlobalAlloc for Imported {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by contract any size and any power of two as alignment may be asked for.
        unsafe { causeway_alloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `alloc` with the same layout, as the caller promises.
        unsafe { causeway_free(ptr, layout.size(), layout.align()) }
    }
}

#[global_allocator]
static ALLOCATOR: Imported = Imported;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

struct OneFrame {
    bytes: Vec<u8>,
    meta: FrameMeta,
}

impl Frame for OneFrame {
    fn meta(&self) -> &FrameMeta {
        &self.meta
    }
    fn meta_mut(&mut self) -> &mut FrameMeta {
        &mut self.meta
    }
    fn segment_count(&self) -> usize {
        1
    }
    fn segment(&self, _: usize) -> &[u8] {
        &self.bytes
    }
    fn segment_mut(&mut self, _: usize) -> &mut [u8] {
        &mut self.bytes
    }
    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}

/// Receives the bytes it was made with, and swallows what is sent.
struct OneFrameNic {
    caps: NicCaps,
    inbound: Option<OneFrame>,
}

impl Nic for OneFrameNic {
    type Frame = OneFrame;
    fn caps(&self) -> &NicCaps {
        &self.caps
    }
    fn link_up(&self) -> bool {
        true
    }
    fn rx_burst(&mut self, out: &mut Vec<OneFrame>, _: usize) -> usize {
        let frame = self.inbound.take();
        let count = usize::from(frame.is_some());
        out.extend(frame);
        count
    }
    fn alloc(&mut self, len: usize) -> Option<OneFrame> {
        Some(OneFrame { bytes: vec![0; len], meta: FrameMeta::default() })
    }
    fn tx_burst(&mut self, frames: &mut VecDeque<OneFrame>) -> usize {
        let count = frames.len();
        frames.clear();
        count
    }
    fn wait_source(&self) -> WaitSource {
        WaitSource::Poll
    }
}

/// Applications with one command to give and no rings.
struct OneCommand(Option<Command>);

struct NoRings;

impl StreamIo for NoRings {
    fn tx_end(&self) -> u64 {
        0
    }
    fn tx_copy_out_sum(&self, _: u64, dst: &mut [u8]) -> u16 {
        dst.fill(0);
        0
    }
    fn tx_release(&mut self, _: u64) {}
    fn rx_limit(&self) -> u64 {
        0
    }
    fn rx_consumed(&self) -> u64 {
        0
    }
    fn rx_copy_in(&mut self, _: u64, _: &[u8]) -> Result<(), RingError> {
        Err(RingError::Gone)
    }
    fn rx_commit(&mut self, _: u64) {}
}

impl AppPort for OneCommand {
    type Stream<'a> = NoRings;
    fn snapshot(&mut self, _: Instant) {}
    fn process(&self, _: ChannelId) -> Option<u64> {
        Some(0)
    }
    fn poll_command(&mut self) -> Option<Command> {
        self.0.take()
    }
    fn complete(&mut self, _: ChannelId, _: Completion) {}
    fn stream_open(&mut self, channel: ChannelId, _: SocketId, _: Transport) -> Option<StreamId> {
        Some(StreamId { channel, slot: 0 })
    }
    fn stream_close(&mut self, _: StreamId) {}
    fn stream(&mut self, _: StreamId) -> NoRings {
        NoRings
    }
    fn flush(&mut self) {}
}

/// Runs one step of an engine that opens a connection to 10.0.0.2 port `port` and receives a frame of `len` bytes of
/// the value `byte`. Returns the work done, or `u32::MAX` when the engine could not be made.
#[unsafe(no_mangle)]
pub extern "C" fn causeway_importfree_step(now: u64, port: u16, len: u16, byte: u8) -> u32 {
    run(now, port, len, byte).unwrap_or(u32::MAX)
}

fn run(now: u64, port: u16, len: u16, byte: u8) -> Option<u32> {
    let own = InterfaceAddress::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 24).ok()?;
    let config = StackConfig::builder(1, [1; 16]).interface(&[own]).build().ok()?;
    let caps = NicCaps {
        medium: Medium::Ip,
        mac: MacAddr::default(),
        mtu: 1_500,
        burst: 32,
        tx_segments: 1,
        tx_checksum: false,
        rx_checksum: false,
        tso_bytes_max: 0,
        lro: false,
        rss: false,
        vlan: false,
    };
    let frame = OneFrame { bytes: vec![byte; usize::from(len)], meta: FrameMeta::default() };
    let nic = OneFrameNic { caps, inbound: Some(frame) };
    let command = Command {
        channel: ChannelId { index: 0, generation: 0 },
        tag: 0,
        op: causeway_core::port::Op::Connect {
            transport: causeway_core::port::Transport::Tcp,
            local: None,
            remote: (Ipv4Addr::new(10, 0, 0, 2), port).into(),
        },
    };
    let mut engine = Engine::new(config, vec![nic], OneCommand(Some(command))).ok()?;
    Some(engine.step(Instant::from_nanos(now)).work)
}
