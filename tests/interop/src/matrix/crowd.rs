//! Two thousand connections at once.
//!
//! Both sides go through their connections phase by phase (open all, send on all, read from all, close all), so that no
//! order in which either side takes them can make the two wait for each other.

use std::net::SocketAddr;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::conn::{Conn, Listening, Stack};
use super::pattern::{Outcome, expect, expect_end};
use crate::content;

/// How many.
pub const CONNECTIONS: usize = 2_000;
/// Room for all of them in a listener.
pub const BACKLOG: u16 = 4_096;
/// Threads that open: each waits for its own handshakes.
const THREADS: usize = 128;
const REQUEST_BYTES: usize = 300;
const REPLY_BYTES: usize = 700;

/// The side that connects.
pub fn open(stack: &Stack, to: SocketAddr) -> Result<Outcome> {
    allow_files()?;
    let opened = Mutex::new(Vec::with_capacity(CONNECTIONS));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let opened = &opened;
                scope.spawn(move || -> Result<()> {
                    for index in (thread..CONNECTIONS).step_by(THREADS) {
                        let conn =
                            stack.connect(to).with_context(|| format!("connection {index}"))?;
                        opened.lock().expect("no worker panics").push((index as u64, conn));
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let opened = opened.into_inner().expect("no worker panicked");
    ensure!(opened.len() == CONNECTIONS, "{} connections", opened.len());
    for (index, conn) in &opened {
        let mut request = index.to_be_bytes().to_vec();
        request.extend(content::bytes(*index, REQUEST_BYTES));
        conn.write_all(&request).with_context(|| format!("request {index}"))?;
    }
    for (index, conn) in &opened {
        expect(conn, &content::bytes(10_000 + index, REPLY_BYTES))
            .with_context(|| format!("reply {index}"))?;
    }
    for (_, conn) in &opened {
        conn.shutdown_write()?;
    }
    for (index, conn) in &opened {
        expect_end(conn).with_context(|| format!("the end of {index}"))?;
    }
    opened.into_iter().for_each(|(_, conn)| conn.close());
    Ok(Outcome::default())
}

/// The side that listens.
pub fn serve(listening: &Listening) -> Result<Outcome> {
    allow_files()?;
    let mut accepted: Vec<(Conn, u64)> = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        accepted.push((listening.accept()?, 0));
    }
    for (conn, index) in &mut accepted {
        let mut number = [0; 8];
        conn.read_exact(&mut number).context("a request")?;
        *index = u64::from_be_bytes(number);
        expect(conn, &content::bytes(*index, REQUEST_BYTES))
            .with_context(|| format!("request {index}"))?;
        conn.write_all(&content::bytes(10_000 + *index, REPLY_BYTES))?;
    }
    for (conn, index) in &accepted {
        expect_end(conn).with_context(|| format!("the end of {index}"))?;
        conn.shutdown_write()?;
    }
    accepted.into_iter().for_each(|(conn, _)| conn.close());
    Ok(Outcome::default())
}

/// A descriptor for each connection of the kernel's.
fn allow_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS as u64 + 100;
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|most| most >= wanted),
        "{wanted} files must be allowed: ulimit -Hn"
    );
    limit.current = Some(wanted);
    Ok(setrlimit(Resource::Nofile, limit)?)
}
