//! Messages over TCP connections of the operating system: so many bytes that come back are a message.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::{Context, bail};
use rustix::event::PollFlags;

use super::load::{Carrier, Echo, Load};
use super::ready;

/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;

/// One connection of the client.
struct Flow {
    stream: TcpStream,
    /// Bytes that were to be sent and are not yet.
    unsent: u64,
    /// Bytes that came back and are no whole message.
    got: usize,
}

/// See the module.
pub struct Client {
    flows: Vec<Flow>,
    size: usize,
    zeros: Vec<u8>,
    buffer: Vec<u8>,
    /// Messages that came back and were not taken.
    echoes: std::collections::VecDeque<usize>,
}

impl Client {
    /// Opens the connections.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn new(server: SocketAddr, from: Option<IpAddr>, load: &Load) -> anyhow::Result<Self> {
        if from.is_some() {
            crate::usage(
                "bench msg",
                "--from is for Machnet: the operating system chooses its own",
            );
        }
        let open = |_| {
            let stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            Ok(Flow { stream, unsent: 0, got: 0 })
        };
        let flows: std::io::Result<Vec<Flow>> = (0..load.flows).map(open).collect();
        Ok(Self {
            flows: flows.with_context(|| format!("cannot connect to {server}"))?,
            size: load.size,
            zeros: vec![0x5a; CHUNK.max(load.size.min(CHUNK * 16))],
            buffer: vec![0; CHUNK],
            echoes: std::collections::VecDeque::new(),
        })
    }

    fn write(&mut self, flow: usize) -> std::io::Result<()> {
        let Flow { stream, unsent, .. } = &mut self.flows[flow];
        while *unsent > 0 {
            let piece = self.zeros.len().min(usize::try_from(*unsent).unwrap_or(usize::MAX));
            match stream.write(&self.zeros[..piece]) {
                Ok(count) => *unsent -= count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What every connection has; true when that is anything.
    fn read(&mut self) -> anyhow::Result<bool> {
        let mut found = false;
        for (index, Flow { stream, got, .. }) in self.flows.iter_mut().enumerate() {
            match stream.read(&mut self.buffer) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => {
                    *got += count;
                    while *got >= self.size {
                        *got -= self.size;
                        self.echoes.push_back(index);
                    }
                    found = true;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }
}

impl Carrier for Client {
    fn send(&mut self, flow: usize, _: u64) -> anyhow::Result<bool> {
        if self.flows[flow].unsent > 0 {
            self.write(flow)?;
            if self.flows[flow].unsent > 0 {
                return Ok(false);
            }
        }
        self.flows[flow].unsent = self.size as u64;
        self.write(flow)?;
        Ok(true)
    }

    fn recv(&mut self, until: Option<Instant>) -> anyhow::Result<Option<Echo>> {
        let echo = |flow| Some(Echo { flow, number: None });
        if let Some(flow) = self.echoes.pop_front() {
            return Ok(echo(flow));
        }
        loop {
            for flow in 0..self.flows.len() {
                self.write(flow)?;
            }
            let found = self.read()?;
            if let Some(flow) = self.echoes.pop_front() {
                return Ok(echo(flow));
            }
            let Some(until) = until.filter(|until| Instant::now() < *until) else {
                return Ok(None);
            };
            if !found {
                let wanted = |flow: &Flow| match flow.unsent {
                    0 => PollFlags::IN,
                    _ => PollFlags::IN | PollFlags::OUT,
                };
                let fds: Vec<_> =
                    self.flows.iter().map(|flow| (flow.stream.as_fd(), wanted(flow))).collect();
                ready::wait(&fds, Some(until))?;
            }
        }
    }
}

/// A connection of the server, with what waits to be sent back.
struct Served {
    stream: TcpStream,
    waiting: Vec<u8>,
}

impl Served {
    /// Reads and writes what goes; false when the client is gone.
    fn turn(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            if !self.waiting.is_empty() {
                match self.stream.write(&self.waiting) {
                    Ok(count) => drop(self.waiting.drain(..count)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                    Err(_) => return false,
                }
                continue;
            }
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => self.waiting.extend_from_slice(&buffer[..count]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// Sends back what comes, on `local`, for ever.
///
/// # Errors
/// The address cannot be listened on.
pub fn serve(local: SocketAddr, spin: bool, listening: impl Fn(SocketAddr)) -> anyhow::Result<()> {
    let listener = TcpListener::bind(local).with_context(|| format!("cannot listen on {local}"))?;
    listener.set_nonblocking(true)?;
    listening(listener.local_addr()?);
    let mut clients: Vec<Served> = Vec::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                clients.push(Served { stream, waiting: Vec::new() });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The client went away before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error.into()),
        }
        clients.retain_mut(|client| client.turn(&mut buffer));
        if !spin {
            let wanted = |client: &Served| match client.waiting.is_empty() {
                true => PollFlags::IN,
                false => PollFlags::OUT,
            };
            let own = (listener.as_fd(), PollFlags::IN);
            let theirs = clients.iter().map(|client| (client.stream.as_fd(), wanted(client)));
            let fds: Vec<_> = std::iter::once(own).chain(theirs).collect();
            ready::wait(&fds, None)?;
        }
    }
}
