//! A program that calls everything and writes what it likes into its channel, beside one that does not: a production host serves both.
//! The one that behaves gets every byte, whatever the other does; of the other nothing is left once it is gone.
#![no_main]

use std::net::SocketAddr;
use std::sync::Arc;

use causeway_client::{
    CallError, Channel, Duration, Flow, Piece, ReadError, RecvError, SendError, TcpListener,
    TcpStream, UdpSocket, Wait, WriteError,
};
use causeway_fuzz::Bytes;
use causeway_fuzz::content::{self, Way};
use causeway_fuzz::sandbox::{ADDRESS, Program, Sandbox};
use libfuzzer_sys::fuzz_target;

const STREAM_PORT: u16 = 80;
const MESSAGE_PORT: u16 = 90;
/// How long the one that behaves waits: longer than any retransmission takes after what the other did to the host.
const PATIENCE: Duration = Duration::from_secs(60);
/// Everything of a program that was killed is over by then.
const AFTERLIFE: Duration = Duration::from_secs(300);
/// Programs that follow each other.
const LIVES: usize = 3;

fn at(port: u16) -> SocketAddr {
    (ADDRESS, port).into()
}

/// Tries until there is an answer; strangers are turned away meanwhile, and the host works.
macro_rules! patiently {
    ($honest:expr, $what:literal, $attempt:expr, $again:pat) => {{
        let until = Sandbox::now() + PATIENCE;
        loop {
            match $attempt {
                Err($again) => {}
                other => break other.expect($what),
            }
            assert!(Sandbox::now() < until, concat!("waits in vain: ", $what));
            $honest.turn_away();
            Sandbox::step();
        }
    }};
}

/// The program that behaves.
struct Honest {
    channel: Channel,
    listener: TcpListener,
    near: TcpStream,
    far: TcpStream,
    flow: Flow,
    /// What the peer of `flow` is called at the other end.
    peer: Flow,
    moved: u64,
    /// A message of its own that came while strangers' were looked at.
    message: Option<Vec<u8>>,
}

impl Honest {
    fn new() -> Self {
        let channel = Channel::attach_in(Sandbox::program()).expect("a channel");
        let listener = TcpListener::bind(&channel, at(STREAM_PORT), 4).expect("a free port");
        let near = TcpStream::connect(&channel, None, at(STREAM_PORT), Wait::Forever);
        let near = near.expect("a listener is there");
        let far = listener.accept(Wait::Forever).expect("somebody connected");
        channel.listen_messages(at(MESSAGE_PORT)).expect("a free port");
        let flow = channel.connect_messages(None, at(MESSAGE_PORT), Wait::Forever);
        let flow = flow.expect("a listener is there");
        channel.send(flow, &[b"who"], Wait::Forever).expect("a flow");
        let (_, peer) = channel.recv(&mut [0; 8], Wait::Forever).expect("a message");
        Self { channel, listener, near, far, flow, peer, moved: 0, message: None }
    }

    /// Connections and messages of others are taken and dropped.
    fn turn_away(&mut self) {
        while let Ok(stranger) = self.listener.accept(Wait::Never) {
            let _ = stranger.abort();
        }
        let mut message = vec![0; 16 << 10];
        loop {
            match self.channel.recv(&mut message, Wait::Never) {
                Ok((len, flow)) if flow == self.peer => {
                    assert!(self.message.is_none(), "a message came twice");
                    self.message = Some(message[..len].to_vec());
                }
                Ok((_, stranger)) | Err(RecvError::Ended { flow: stranger, .. }) => {
                    assert!(stranger != self.peer && stranger != self.flow, "its flow has ended");
                    let _ = self.channel.close_flow(stranger);
                }
                Err(RecvError::Call(CallError::WouldBlock)) => return,
                Err(error) => panic!("receiving: {error}"),
            }
        }
    }

    /// Bytes go through its connection and its flow.
    fn exchange(&mut self, len: usize) {
        let mut bytes = vec![0; len];
        content::fill(Way::Out, self.moved, &mut bytes);
        let (mut written, mut read) = (0, 0);
        let mut got = vec![0; len];
        while read < len {
            if written < len {
                written += patiently!(
                    self,
                    "writing",
                    self.near.write(&bytes[written..], Wait::Never),
                    WriteError::Call(CallError::WouldBlock)
                );
            }
            let n = patiently!(
                self,
                "reading",
                self.far.read(&mut got[read..], Wait::Never),
                ReadError::Call(CallError::WouldBlock)
            );
            assert!(n > 0, "the stream has ended");
            read += n;
        }
        assert!(content::is_there(Way::Out, self.moved, &got), "other bytes than were written");
        self.moved += len as u64;
        patiently!(
            self,
            "sending",
            self.channel.send(self.flow, &[&bytes], Wait::Never),
            SendError::Call(CallError::WouldBlock)
        );
        let until = Sandbox::now() + PATIENCE;
        while self.message.is_none() {
            assert!(Sandbox::now() < until, "the message does not come");
            self.turn_away();
            Sandbox::step();
        }
        assert!(self.message.take() == Some(bytes), "another message than was sent");
    }
}

/// The other one. Its calls fail as they like.
struct Hostile {
    program: Arc<Program>,
    channel: Option<Channel>,
    listeners: Vec<TcpListener>,
    streams: Vec<TcpStream>,
    datagrams: Vec<UdpSocket>,
    flows: Vec<Flow>,
}

impl Hostile {
    fn new() -> Self {
        let program = Sandbox::program();
        let channel = Channel::attach_in(program.clone()).ok();
        let (listeners, streams) = (Vec::new(), Vec::new());
        Self { program, channel, listeners, streams, datagrams: Vec::new(), flows: Vec::new() }
    }

    fn scribble(&mut self, bytes: &mut Bytes<'_>) {
        // Half of the writes go where the rings' indices and tables are.
        let place = bytes.u32();
        let place = if place.is_multiple_of(2) { place } else { place >> 6 };
        match bytes.u8() % 3 {
            0 => self.program.scribble(place, &u64::from(bytes.u16()).to_le_bytes()),
            1 => self.program.scribble(place, &[bytes.u8()]),
            _ => {
                let len = usize::from(bytes.u8());
                self.program.scribble(place, bytes.take(len));
            }
        }
    }

    fn open(&mut self, bytes: &mut Bytes<'_>) {
        let Some(channel) = self.channel.clone() else { return };
        let soon = Wait::Until(Sandbox::now() + Duration::from_millis(5));
        let port = [STREAM_PORT, MESSAGE_PORT, 1_000, 2_000][usize::from(bytes.u8() % 4)];
        match bytes.u8() % 5 {
            0 => self.listeners.extend(TcpListener::bind(&channel, at(port), 2)),
            1 => self.streams.extend(TcpStream::connect(&channel, None, at(port), soon)),
            2 => drop(channel.listen_messages(at(port))),
            3 => self.flows.extend(channel.connect_messages(None, at(port), soon)),
            _ => self.datagrams.extend(UdpSocket::bind(&channel, at(port))),
        }
    }

    fn talk(&mut self, bytes: &mut Bytes<'_>) {
        let Some(channel) = &self.channel else { return };
        let which = usize::from(bytes.u8());
        let garbage = vec![bytes.u8(); usize::from(bytes.u16() % 20_000)];
        let mut buffer = vec![0; garbage.len()];
        let pick = |len: usize| which % len.max(1);
        let stream = self.streams.get(pick(self.streams.len()));
        match (bytes.u8() % 8, stream, self.flows.get(pick(self.flows.len()))) {
            (0, Some(stream), _) => drop(stream.write(&garbage, Wait::Never)),
            (1, Some(stream), _) => drop(stream.read(&mut buffer, Wait::Never)),
            (2, Some(stream), _) => drop(stream.shutdown_write()),
            (3, _, Some(flow)) => drop(channel.send(*flow, &[&garbage], Wait::Never)),
            (4, _, Some(flow)) => {
                let mut pieces = [Piece::EMPTY; 8];
                let _ = channel.reserve(*flow, garbage.len(), &mut pieces, Wait::Never);
                let _ = channel.commit(*flow, garbage.len() / 2);
            }
            (5, ..) => drop(channel.recv(&mut buffer, Wait::Never)),
            (6, ..) => {
                let socket = self.datagrams.get(pick(self.datagrams.len()));
                if let Some(socket) = socket {
                    let _ = socket.send_to(&garbage, Some(at(1_000)), Wait::Never);
                }
            }
            _ => {
                if let Some(listener) = self.listeners.get(pick(self.listeners.len())) {
                    self.streams.extend(listener.accept(Wait::Never));
                }
            }
        }
    }

    fn close(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.u8() % 5 {
            0 => drop(self.listeners.pop()),
            1 => drop(self.streams.pop()),
            2 => drop(self.streams.pop().map(TcpStream::abort)),
            3 => drop(self.datagrams.pop()),
            _ => {
                if let (Some(channel), Some(flow)) = (&self.channel, self.flows.pop()) {
                    let _ = channel.close_flow(flow);
                }
            }
        }
    }

    fn act(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.u8() % 8 {
            0..=2 => self.scribble(bytes),
            3..=4 => self.open(bytes),
            5..=6 => self.talk(bytes),
            _ => self.close(bytes),
        }
    }

    /// Killed: the daemon hears of it first, and what the library does at its end reaches nobody.
    fn die(self) {
        self.program.kill();
        drop(self);
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    Sandbox::begin();
    let mut honest = Honest::new();
    let mut hostile = Hostile::new();
    let mut lives = 1;
    while !bytes.is_empty() {
        match bytes.u8() % 16 {
            0..=11 => hostile.act(&mut bytes),
            12..=13 => Sandbox::step(),
            14 => honest.exchange(usize::from(bytes.u16() % 8_000) + 1),
            _ if lives < LIVES => {
                lives += 1;
                std::mem::replace(&mut hostile, Hostile::new()).die();
            }
            _ => Sandbox::step(),
        }
    }
    honest.exchange(5_000);
    hostile.die();
    Sandbox::idle(AFTERLIFE);
    honest.exchange(5_000);
    honest.turn_away();
    Sandbox::idle(AFTERLIFE);
    // A listener, a connection's two ends, a listener for messages, a flow's two ends.
    assert_eq!(Sandbox::held(), (1, 6), "what is left are not the sockets of the one that behaves");
    drop(honest);
    Sandbox::end();
});
