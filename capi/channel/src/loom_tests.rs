//! Loom's models: every interleaving that the memory model allows, of the code that runs.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p causeway-channel --release --target-dir target/loom loom_`
//!
//! Each was seen to fail with the ordering, the fence or the second look that it is about taken out.

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use loom::thread;

use crate::ring::{Consumer, Entry, Producer, RingMemory};
use crate::rx_chunks::RxChunks;
use crate::sync::{AtomicU32, AtomicU64};
use crate::tx_chunks::TxChunks;
use crate::{armed, coalesce, cursor, table};

const CAPACITY: u32 = 2;

/// The shared memory of the models.
#[derive(Default)]
struct Memory {
    head: AtomicU32,
    tail: AtomicU32,
    /// Not atomics: loom then reports an entry that is read and written at once.
    words: [[UnsafeCell<u64>; 2]; CAPACITY as usize],
    armed: AtomicU32,
    flag: AtomicU32,
    written: AtomicU64,
    wanted: AtomicU64,
    released: AtomicU64,
}

impl RingMemory for Arc<Memory> {
    fn head(&self) -> &AtomicU32 {
        &self.head
    }

    fn tail(&self) -> &AtomicU32 {
        &self.tail
    }

    fn store_word(&self, slot: u32, word: usize, value: u64) {
        // SAFETY: loom checks exactly this: that nobody else touches the word now.
        self.words[slot as usize][word].with_mut(|p| unsafe { *p = value });
    }

    fn load_word(&self, slot: u32, word: usize) -> u64 {
        // SAFETY: as above.
        self.words[slot as usize][word].with(|p| unsafe { *p })
    }
}

// SAFETY: the words are shared as the rings share them, and loom checks that.
unsafe impl Sync for Memory {}

fn producer(memory: &Arc<Memory>) -> Producer<Arc<Memory>> {
    Producer::new(memory.clone(), CAPACITY)
}

fn consumer(memory: &Arc<Memory>) -> Consumer<Arc<Memory>> {
    Consumer::new(memory.clone(), CAPACITY)
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

#[test]
fn loom_ring_entries_arrive_whole_in_order_and_once() {
    model(|| {
        let memory = Arc::new(Memory::default());
        let (mut tx, mut rx) = (producer(&memory), consumer(&memory));
        let writer = thread::spawn(move || {
            let mut sent = 0;
            while sent < 3 {
                let entry: Entry = [sent + 1, sent + 1];
                if tx.push(&entry).unwrap() {
                    tx.publish();
                    sent += 1;
                } else {
                    thread::yield_now();
                }
            }
        });
        let mut expected = 1;
        while expected <= 3 {
            match rx.pop().unwrap() {
                Some(entry) => {
                    assert_eq!(entry, [expected, expected]);
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        writer.join().unwrap();
        assert_eq!(rx.pop(), Ok(None));
    });
}

#[test]
fn loom_doorbell_wakes_a_sleeper_for_what_it_could_not_see() {
    model(|| {
        let memory = Arc::new(Memory::default());
        let bell = Arc::new(Notify::new());
        let (mut tx, mut rx) = (producer(&memory), consumer(&memory));
        let (shared, ring) = (memory.clone(), bell.clone());
        let waker = thread::spawn(move || {
            assert_eq!(tx.push(&[7, 7]), Ok(true));
            tx.publish();
            if armed::claim(&shared.armed, armed::EVENTS) {
                ring.notify();
            }
        });
        // A lost wake is a deadlock, which loom reports.
        while rx.pop().unwrap().is_none() {
            if armed::arm_and_look(&memory.armed, armed::EVENTS, || rx.is_empty()).unwrap() {
                bell.wait();
                armed::disarm(&memory.armed);
            }
        }
        waker.join().unwrap();
    });
}

#[test]
fn loom_doorbell_wakes_a_producer_when_its_ring_has_room() {
    model(|| {
        let memory = Arc::new(Memory::default());
        let bell = Arc::new(Notify::new());
        let (mut tx, mut rx) = (producer(&memory), consumer(&memory));
        for _ in 0..CAPACITY {
            assert_eq!(tx.push(&[1, 1]), Ok(true));
        }
        tx.publish();
        let (shared, ring) = (memory.clone(), bell.clone());
        let taker = thread::spawn(move || {
            assert_eq!(rx.pop(), Ok(Some([1, 1])));
            if armed::claim(&shared.armed, armed::SPACE) {
                ring.notify();
            }
        });
        let bits = armed::EVENTS | armed::SPACE;
        while !tx.push(&[2, 2]).unwrap() {
            let idle = armed::arm_and_look(&memory.armed, bits, || tx.has_room().map(|room| !room));
            if idle.unwrap() {
                bell.wait();
                armed::disarm(&memory.armed);
            }
        }
        taker.join().unwrap();
    });
}

#[test]
fn loom_doorbell_wakes_a_writer_when_enough_is_released() {
    model(|| {
        let memory = Arc::new(Memory::default());
        let bell = Arc::new(Notify::new());
        let (shared, ring) = (memory.clone(), bell.clone());
        let daemon = thread::spawn(move || {
            for offset in 1..=2 {
                cursor::publish(&shared.released, offset);
                let enough = || shared.wanted.load(crate::sync::Ordering::Relaxed) <= offset;
                if armed::claim_if(&shared.armed, armed::EVENTS, enough) {
                    ring.notify();
                }
            }
        });
        let wanted = 2;
        while cursor::observe(&memory.released, 0, 2).unwrap() < wanted {
            memory.wanted.store(wanted, crate::sync::Ordering::Relaxed);
            let idle = armed::arm_and_look(&memory.armed, armed::EVENTS, || {
                cursor::observe(&memory.released, 0, 2).map(|offset| offset < wanted)
            });
            if idle.unwrap() {
                bell.wait();
                armed::disarm(&memory.armed);
            }
        }
        daemon.join().unwrap();
    });
}

#[test]
fn loom_kick_coalescing_never_loses_the_last_notice() {
    model(|| {
        let memory = Arc::new(Memory::default());
        let (mut tx, mut rx) = (producer(&memory), consumer(&memory));
        let shared = memory.clone();
        let app = thread::spawn(move || {
            for offset in 1..=2 {
                cursor::publish(&shared.written, offset);
                if coalesce::raise(&shared.flag) {
                    assert_eq!(tx.push(&[0, 0]), Ok(true));
                    tx.publish();
                }
            }
        });
        let mut seen = 0;
        let mut take = |rx: &mut Consumer<Arc<Memory>>| {
            while rx.pop().unwrap().is_some() {
                coalesce::lower(&memory.flag);
                seen = cursor::observe(&memory.written, seen, 2).unwrap();
            }
        };
        take(&mut rx);
        app.join().unwrap();
        take(&mut rx);
        assert_eq!(seen, 2, "a notice was lost");
    });
}

/// A byte ring of two table entries over two chunks of one byte: what is filled third needs a chunk that was emptied, and an entry that
/// was named before.
#[derive(Default)]
struct ByteRing {
    /// tx_written or rx_committed.
    filled: AtomicU64,
    /// tx_released or rx_consumed.
    emptied: AtomicU64,
    table: [AtomicU32; SLOTS as usize],
    /// Not atomics: loom then reports a chunk that is read and written at once.
    chunks: [UnsafeCell<u8>; CHUNKS as usize],
}

const SLOTS: u32 = 2;
const CHUNKS: u32 = 2;
const BYTES: u64 = 3;

// SAFETY: the chunks are shared as the channel shares them, and loom checks that.
unsafe impl Sync for ByteRing {}

impl ByteRing {
    fn write(&self, chunk: u32, byte: u64) {
        // SAFETY: loom checks exactly this: that nobody else touches the chunk now.
        self.chunks[chunk as usize].with_mut(|p| unsafe { *p = byte as u8 + 1 });
    }

    /// The reading side, as both sides have it: cursor, table, chunk, cursor.
    fn read_all(&self) {
        let mut at = 0;
        while at < BYTES {
            let end = cursor::observe(&self.filled, at, BYTES).unwrap();
            if at == end {
                thread::yield_now();
            }
            while at < end {
                let entry = &self.table[(at % u64::from(SLOTS)) as usize];
                let chunk = table::look_up(entry, CHUNKS).unwrap();
                // SAFETY: as above.
                let byte = self.chunks[chunk as usize].with(|p| unsafe { *p });
                assert_eq!(u64::from(byte), at + 1, "another chunk than the one that holds it");
                at += 1;
            }
            cursor::publish(&self.emptied, at);
        }
    }
}

#[test]
fn loom_tx_chunks_are_named_before_they_are_read_and_filled_again_only_after() {
    model(|| {
        let ring = Arc::new(ByteRing::default());
        let shared = ring.clone();
        let app = thread::spawn(move || {
            let (mut chunks, mut free) = (TxChunks::default(), vec![1, 0]);
            let (mut staged, mut released) = (0, 0);
            while staged < BYTES {
                let name = |ordinal: u64, chunk| {
                    table::name(&shared.table[(ordinal % u64::from(SLOTS)) as usize], chunk);
                };
                if let Some(chunk) = chunks.hold(staged, 1, &mut free, name) {
                    shared.write(chunk, staged);
                    staged += 1;
                    cursor::publish(&shared.filled, staged);
                } else {
                    thread::yield_now();
                    released = cursor::observe(&shared.emptied, released, staged).unwrap();
                    chunks.reap(released, staged, 1, &mut free);
                }
            }
        });
        ring.read_all();
        app.join().unwrap();
    });
}

#[test]
fn loom_rx_chunks_are_recycled_only_after_they_were_read() {
    model(|| {
        let ring = Arc::new(ByteRing::default());
        let shared = ring.clone();
        let daemon = thread::spawn(move || {
            let mut chunks = RxChunks::new(1, (0, CHUNKS), 1, SLOTS);
            let (mut stored, mut consumed) = (0, 0);
            while stored < BYTES {
                // The window: at most what the table holds.
                if stored == consumed + u64::from(SLOTS) {
                    thread::yield_now();
                    let seen = cursor::observe(&shared.emptied, consumed, stored).unwrap();
                    chunks.recycle(0, consumed, seen, stored);
                    consumed = seen;
                    continue;
                }
                chunks.attach(0, stored, stored + 1, |index, chunk| {
                    table::name(&shared.table[index as usize], chunk);
                });
                shared.write(chunks.chunk(0, stored).unwrap(), stored);
                stored += 1;
                cursor::publish(&shared.filled, stored);
            }
        });
        ring.read_all();
        daemon.join().unwrap();
    });
}
