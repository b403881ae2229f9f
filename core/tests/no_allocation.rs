//! After warm-up, moving bytes and messages allocates nothing.
//!
//! One test in a process of its own: the counter is the process's allocator.
#![allow(missing_docs, reason = "a test program")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_core::port::{Completion, Op, Transport};
use causeway_core::testing::{Duo, Handle};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on to the system's allocator, whose contract is the same; counting touches no memory
// that it hands out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on unchanged; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on unchanged; `ptr` came from `System`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// `a` sends `total` bytes of stream, `b` reads them; nothing here allocates by itself. A `bad` wire loses and reorders.
fn stream(duo: &mut Duo, a: Handle, b: Handle, total: usize, bad: bool) {
    let (mut sent, mut read, mut steps) = (0, 0, 0);
    let chunk = [3; 4_096];
    let mut buffer = [0; 4_096];
    while read < total {
        let len = chunk.len().min(total - sent);
        let written = duo.a.engine.port_mut().write(a.stream, &chunk[..len]);
        if written > 0 {
            sent += written;
            duo.a.ask(Op::Kick { socket: a.socket });
        }
        loop {
            let count = duo.b.engine.port_mut().read(b.stream, &mut buffer);
            if count == 0 {
                break;
            }
            read += count;
            duo.b.ask(Op::Kick { socket: b.socket });
        }
        duo.step();
        steps += 1;
        if bad {
            disturb(duo, steps);
        }
        duo.a.news.clear();
        duo.b.news.clear();
    }
}

/// What the wire does to the frames that have just arrived at either host: some get lost, some overtake others.
fn disturb(duo: &mut Duo, step: u64) {
    for host in [&mut duo.a, &mut duo.b] {
        let inbound = &mut host.nic().inbound;
        if step.is_multiple_of(11) && inbound.len() > 1 {
            inbound.swap(0, 1);
        }
        if step.is_multiple_of(97) {
            inbound.pop_front();
        }
    }
}

/// `a` sends `count` messages of 5,000 bytes, `b` reads each.
fn messages(duo: &mut Duo, a: Handle, b: Handle, first: u64, count: u64) {
    let chunk = [4; 5_000];
    let mut buffer = [0; 5_000];
    for message in first..first + count {
        let port = duo.a.engine.port_mut();
        let offset = port.written(a.stream);
        assert_eq!(port.write(a.stream, &chunk), chunk.len());
        let len = chunk.len() as u32;
        duo.a.ask(Op::SendMessage { socket: a.socket, offset, len, message });
        let arrived = duo.run(10_000, |duo| {
            let whole =
                |news: &Completion| matches!(news, Completion::Message { .. }).then_some(());
            duo.b.take(whole).is_some()
        });
        assert!(arrived, "message {message}");
        assert_eq!(duo.b.engine.port_mut().read(b.stream, &mut buffer), buffer.len());
        duo.b.ask(Op::Kick { socket: b.socket });
        duo.a.news.clear();
        duo.b.news.clear();
    }
}

#[test]
fn nothing_is_allocated_per_packet_after_warm_up() {
    let mut duo = Duo::new(256 << 10);
    // The NICs' memory is there from the start.
    duo.a.nic().pool.reserve(1_024);
    duo.b.nic().pool.reserve(1_024);
    let (tcp_a, tcp_b) = duo.connect(Transport::Tcp, 80);
    stream(&mut duo, tcp_a, tcp_b, 8 << 20, false);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    stream(&mut duo, tcp_a, tcp_b, 8 << 20, false);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "TCP");

    // Long enough that the largest burst, which a hole that is filled lets out, was seen.
    stream(&mut duo, tcp_a, tcp_b, 32 << 20, true);
    let resent = duo.a.engine.stack().stats().retransmits;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    stream(&mut duo, tcp_a, tcp_b, 8 << 20, true);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "TCP over a bad wire");
    assert!(duo.a.engine.stack().stats().retransmits > resent + 10, "the wire was bad");

    let (flow_a, flow_b) = duo.connect(Transport::Machnet, 888);
    messages(&mut duo, flow_a, flow_b, 0, 200);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    messages(&mut duo, flow_a, flow_b, 200, 200);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0, "Machnet");
    assert!(before > 0, "the counter counts");
}
