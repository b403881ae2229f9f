//! TCP.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use causeway_client::{Channel, TCP_CLOSED, TcpListener, TcpStream, Wait, WriteError};

use super::Args;
use super::traffic::TRAFFIC;

const BUFFER_BYTES: usize = 256 << 10;
/// How long a conversation that is over waits for the acknowledgement of its last bytes.
const LINGER: Duration = Duration::from_secs(30);
/// How often it looks.
const LINGER_STEP: Duration = Duration::from_millis(5);

pub fn connect(args: &Args, channel: &Channel) -> anyhow::Result<()> {
    let stream = TcpStream::connect(channel, args.local, args.endpoint(), Wait::Forever)
        .with_context(|| format!("{}", args.endpoint()))?;
    converse(Arc::new(stream), true)
}

pub fn listen(args: &Args, channel: &Channel) -> anyhow::Result<()> {
    let listener = TcpListener::bind(channel, args.endpoint(), 128)
        .with_context(|| format!("{}", args.endpoint()))?;
    eprintln!("listening on {}", listener.local_addr());
    let mut served = 0;
    while args.clients().is_none_or(|most| served < most) {
        let stream = listener.accept(Wait::Forever)?;
        eprintln!("connection from {}", stream.remote_addr());
        let outcome = converse(Arc::new(stream), served == 0);
        served += 1;
        match outcome {
            // The next peer is not to suffer from this one's end.
            Err(error) if args.keep => eprintln!("causeway: {error:#}"),
            other => other?,
        }
    }
    Ok(())
}

/// Both directions until both are over.
fn converse(stream: Arc<TcpStream>, with_stdin: bool) -> anyhow::Result<()> {
    let sender = if with_stdin { Some(send_stdin(Arc::clone(&stream))) } else { None };
    if !with_stdin {
        stream.shutdown_write()?;
    }
    receive(&stream)?;
    let sent = match sender {
        Some(thread) => thread.join().map_err(|_| anyhow!("the sending thread failed"))??,
        None => 0,
    };
    linger(&stream, sent);
    Ok(())
}

fn receive(stream: &TcpStream) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let n = stream.read(&mut buffer, Wait::Forever)?;
        if n == 0 {
            return Ok(out.flush()?);
        }
        TRAFFIC.received(n);
        out.write_all(&buffer[..n])?;
        // What has arrived is to be seen at once.
        out.flush()?;
    }
}

/// A thread that sends stdin and closes the sending side at its end. Returns the bytes sent.
fn send_stdin(stream: Arc<TcpStream>) -> JoinHandle<anyhow::Result<u64>> {
    thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut sent = 0;
        loop {
            let n = input.read(&mut buffer).context("stdin")?;
            if n == 0 {
                break;
            }
            stream.write_all(&buffer[..n], Wait::Forever)?;
            sent += n as u64;
            TRAFFIC.sent(n);
        }
        match stream.shutdown_write() {
            // The peer was quicker; whether that was an error, the receiving side says.
            Ok(()) | Err(WriteError::Ended(_)) => Ok(sent),
            Err(error) => Err(error.into()),
        }
    })
}

/// The end of this process ends the channel and what is still on its way in it: wait for the acknowledgements.
fn linger(stream: &TcpStream, sent: u64) {
    let until = Instant::now() + LINGER;
    // They count the SYN of an active open, and FIN.
    while let Ok(info) = stream.info(Wait::Forever)
        && info.state != TCP_CLOSED
        && info.bytes_acked <= sent
        && Instant::now() < until
    {
        thread::sleep(LINGER_STEP);
    }
    // The FIN left with the last bytes; this is for its acknowledgement, where that was not waited for.
    thread::sleep(LINGER_STEP);
}
