//! A verified TCP stream between two Rust guests, through the channel and the client library.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use causeway_client::{Channel, TcpListener, TcpStream, Wait};
use causeway_core::time::Instant;

use crate::content;
use crate::guest::{Program, now};

/// What one call of the guests moves at most.
const CHUNK_BYTES: usize = 256 << 10;

/// What the receiver saw: (time, bytes so far), one entry a read.
pub type Received = Arc<Mutex<Vec<(Instant, u64)>>>;

fn program(body: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Program {
    Program::from_fn(move || {
        if let Err(error) = body() {
            panic!("{error:#}");
        }
    })
}

/// The receiving end: takes one connection, checks every byte, and closes after the sender did.
pub fn receiver(at: SocketAddr, flow: u64, bytes: u64, received: Received) -> Program {
    program(move || {
        let channel = Channel::attach().context("attach")?;
        let listener = TcpListener::bind(&channel, at, 16).context("listen")?;
        let stream = listener.accept(Wait::Forever).context("accept")?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut total = 0;
        loop {
            let read = stream.read(&mut buffer, Wait::Forever).context("read")?;
            if read == 0 {
                break;
            }
            let wrong = content::mismatch(flow, 0, total, &buffer[..read]);
            ensure!(wrong.is_none(), "byte {} is wrong", total + wrong.unwrap_or(0) as u64);
            total += read as u64;
            received.lock().unwrap_or_else(PoisonError::into_inner).push((now(), total));
        }
        ensure!(total == bytes, "the stream ended after {total} of {bytes} bytes");
        stream.close().context("close")
    })
}

/// The sending end: connects, writes everything, and waits until the receiver has closed.
pub fn sender(to: SocketAddr, flow: u64, bytes: u64) -> Program {
    program(move || {
        let channel = Channel::attach().context("attach")?;
        let stream = TcpStream::connect(&channel, None, to, Wait::Forever).context("connect")?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut sent = 0;
        while sent < bytes {
            let len = CHUNK_BYTES.min(usize::try_from(bytes - sent).unwrap_or(usize::MAX));
            content::fill(flow, 0, sent, &mut buffer[..len]);
            stream.write_all(&buffer[..len], Wait::Forever).context("write")?;
            sent += len as u64;
        }
        stream.shutdown_write().context("shutdown")?;
        let mut rest = [0; 1];
        let read = stream.read(&mut rest, Wait::Forever).context("waiting for the end")?;
        ensure!(read == 0, "the receiver sent a byte back");
        stream.close().context("close")
    })
}
