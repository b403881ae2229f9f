//! What two peers do with their connections. Each side checks every byte that it receives.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::cell::Pattern;
use super::conn::{Conn, Ended, Stack};
use super::crowd;
use crate::content;

const BUFFER_BYTES: usize = 256 << 10;
/// Requests of [`Pattern::RequestResponse`].
const REQUESTS: u64 = 100;
/// What each direction of [`Pattern::HalfClose`] carries.
const HALF_BYTES: usize = 192 << 10;
/// How many connections of [`Pattern::SimultaneousClose`] there are, one after the other: a fault may hit a FIN, or a process be late.
const CLOSES: usize = 6;
/// How far ahead it agrees on the moment.
const AGREED_AHEAD: Duration = Duration::from_millis(120);
/// How long an aborted connection's peer may take to notice.
const ABORT_PATIENCE: Duration = Duration::from_secs(40);

/// What a peer is to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// The pattern.
    pub pattern: Pattern,
    /// Where the listener listens.
    pub listener: SocketAddr,
    /// Bytes of a long stream.
    pub bytes: usize,
    /// Where the receiver of a long stream puts it.
    pub received: Option<PathBuf>,
}

/// What a peer found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Bytes of a long stream that were received.
    pub bytes: u64,
    /// In so many seconds, from the connection's beginning to the stream's end.
    pub seconds: f64,
}

impl Task {
    /// Runs the side that connects.
    pub fn open(&self, stack: &Stack) -> Result<Outcome> {
        match self.pattern {
            Pattern::Upload => self.send(stack.connect(self.listener)?),
            Pattern::Download => self.receive(stack.connect(self.listener)?),
            Pattern::RequestResponse => request(stack.connect(self.listener)?),
            Pattern::Many => crowd::open(stack, self.listener),
            Pattern::HalfClose => half_close(stack.connect(self.listener)?),
            Pattern::Abort => abort(stack.connect(self.listener)?),
            Pattern::SimultaneousClose => repeat(|| agree_and_close(stack.connect(self.listener)?)),
        }
    }

    /// Runs the side that listens. `ready` is called when it does.
    pub fn listen(&self, stack: &Stack, ready: impl FnOnce()) -> Result<Outcome> {
        let listening = stack.listen(self.listener, crowd::BACKLOG)?;
        ready();
        match self.pattern {
            Pattern::Upload => self.receive(listening.accept()?),
            Pattern::Download => self.send(listening.accept()?),
            Pattern::RequestResponse => reply(listening.accept()?),
            Pattern::Many => crowd::serve(&listening),
            Pattern::HalfClose => answer_half_close(listening.accept()?),
            Pattern::Abort => notice_abort(&listening.accept()?),
            Pattern::SimultaneousClose => repeat(|| close_as_agreed(listening.accept()?)),
        }
    }

    fn send(&self, conn: Conn) -> Result<Outcome> {
        let body = content::bytes(1, self.bytes);
        conn.write_all(&body)?;
        conn.shutdown_write()?;
        expect_end(&conn)?;
        conn.close();
        Ok(Outcome::default())
    }

    fn receive(&self, conn: Conn) -> Result<Outcome> {
        let path = self.received.as_ref().context("a receiver has a file")?;
        let mut file = std::fs::File::create(path)?;
        let began = Instant::now();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut bytes = 0;
        loop {
            let n = conn.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n])?;
            bytes += n as u64;
        }
        let seconds = began.elapsed().as_secs_f64();
        conn.shutdown_write()?;
        conn.close();
        Ok(Outcome { bytes, seconds })
    }
}

/// Reads what must be exactly `expected`.
pub(super) fn expect(conn: &Conn, expected: &[u8]) -> Result<()> {
    let mut got = vec![0; expected.len()];
    conn.read_exact(&mut got)?;
    match content::difference(&got, expected) {
        None => Ok(()),
        Some(difference) => bail!("{difference}"),
    }
}

/// The peer ends its direction, without another byte.
pub(super) fn expect_end(conn: &Conn) -> Result<()> {
    let n = conn.read(&mut [0; 16])?;
    ensure!(n == 0, "{n} bytes more than were sent");
    Ok(())
}

/// 1 byte to 16 KiB.
fn reply_bytes(index: u64) -> Vec<u8> {
    content::bytes(3_000 + index, 1 + (index * index * 37 % (16 << 10)) as usize)
}

fn request(conn: Conn) -> Result<Outcome> {
    for index in 0..REQUESTS {
        let request = content::bytes(2_000 + index, 100);
        conn.write_all(&request)?;
        expect(&conn, &reply_bytes(index)).with_context(|| format!("reply {index}"))?;
    }
    conn.shutdown_write()?;
    expect_end(&conn)?;
    conn.close();
    Ok(Outcome::default())
}

fn reply(conn: Conn) -> Result<Outcome> {
    for index in 0..REQUESTS {
        let request = content::bytes(2_000 + index, 100);
        expect(&conn, &request).with_context(|| format!("request {index}"))?;
        conn.write_all(&reply_bytes(index))?;
    }
    expect_end(&conn)?;
    conn.shutdown_write()?;
    conn.close();
    Ok(Outcome::default())
}

fn half_close(conn: Conn) -> Result<Outcome> {
    let sent = content::bytes(4, HALF_BYTES);
    conn.write_all(&sent)?;
    conn.shutdown_write()?;
    expect(&conn, &content::bytes(5, HALF_BYTES)).context("after the half close")?;
    expect_end(&conn)?;
    conn.close();
    Ok(Outcome::default())
}

fn answer_half_close(conn: Conn) -> Result<Outcome> {
    expect(&conn, &content::bytes(4, HALF_BYTES))?;
    expect_end(&conn)?;
    let answer = content::bytes(5, HALF_BYTES);
    conn.write_all(&answer)?;
    conn.shutdown_write()?;
    conn.close();
    Ok(Outcome::default())
}

fn abort(conn: Conn) -> Result<Outcome> {
    conn.write_all(b"hello")?;
    expect(&conn, b"there")?;
    conn.abort()?;
    Ok(Outcome::default())
}

/// The RST may be lost, and nobody repeats it: then the answer to what this side sends brings another.
fn notice_abort(conn: &Conn) -> Result<Outcome> {
    expect(conn, b"hello")?;
    conn.write_all(b"there")?;
    let began = Instant::now();
    while began.elapsed() < ABORT_PATIENCE {
        match conn.write_all(b"?") {
            Ok(()) => std::thread::sleep(Duration::from_millis(20)),
            Err(Ended::Reset) => return Ok(Outcome::default()),
            Err(other) => bail!("{other} instead of a reset"),
        }
    }
    bail!("a connection whose peer is gone was written to for {ABORT_PATIENCE:?}")
}

fn repeat(close: impl Fn() -> Result<Outcome>) -> Result<Outcome> {
    (0..CLOSES).try_for_each(|_| close().map(drop))?;
    Ok(Outcome::default())
}

fn agree_and_close(conn: Conn) -> Result<Outcome> {
    let moment = monotonic_nanos() + AGREED_AHEAD.as_nanos() as u64;
    conn.write_all(&moment.to_be_bytes())?;
    close_at(conn, moment)
}

fn close_as_agreed(conn: Conn) -> Result<Outcome> {
    let mut moment = [0; 8];
    conn.read_exact(&mut moment)?;
    close_at(conn, u64::from_be_bytes(moment))
}

fn close_at(conn: Conn, moment: u64) -> Result<Outcome> {
    std::thread::sleep(Duration::from_nanos(moment.saturating_sub(monotonic_nanos())));
    conn.shutdown_write()?;
    expect_end(&conn)?;
    conn.close();
    Ok(Outcome::default())
}

/// One clock for all processes of the machine.
fn monotonic_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
