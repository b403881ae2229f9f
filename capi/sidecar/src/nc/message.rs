//! Messages.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use causeway_client::{Channel, EndReason, Flow, MsgId, RecvError, Wait};

use super::Args;
use super::traffic::TRAFFIC;

/// How long a client that has sent everything waits for the acknowledgement.
const LINGER: Duration = Duration::from_secs(60);
const LINGER_STEP: Duration = Duration::from_millis(2);

pub fn connect(args: &Args, channel: &Channel) -> anyhow::Result<()> {
    let flow = channel
        .connect_messages(args.local, args.endpoint(), Wait::Forever)
        .with_context(|| format!("{}", args.endpoint()))?;
    let receiver = receive_in_background(channel.clone(), flow);
    let last = send_stdin(args, channel, flow)?;
    linger(channel, flow, last)?;
    if args.wait {
        receiver.join().map_err(|_| anyhow!("the receiving thread failed"))??;
    }
    // It tells the peer; a flow that is at its end already needs no closing.
    let _ = channel.close_flow(flow);
    thread::sleep(LINGER_STEP);
    Ok(())
}

pub fn listen(args: &Args, channel: &Channel) -> anyhow::Result<()> {
    let local =
        channel.listen_messages(args.endpoint()).with_context(|| format!("{}", args.endpoint()))?;
    eprintln!("listening on {local}");
    let mut served = 0;
    while args.clients().is_none_or(|most| served < most) {
        match receive(channel)? {
            Some(flow) if served == 0 => {
                // The first peer that says something gets stdin.
                let sender = channel.clone();
                let size = args.size;
                thread::spawn(move || send(&sender, flow, size));
            }
            Some(_) => {}
            None => served += 1,
        }
    }
    Ok(())
}

/// One message to stdout. The flow that it came from, or `None` when a flow has ended.
fn receive(channel: &Channel) -> anyhow::Result<Option<Flow>> {
    let (len, _) = match channel.peek(Wait::Forever) {
        Ok(found) => found,
        Err(RecvError::Ended { reason: EndReason::Closed | EndReason::Reset, .. }) => {
            // Upstream's protocol has no other goodbye than a reset.
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let mut buffer = vec![0; len];
    let (len, flow) = channel.recv(&mut buffer, Wait::Forever)?;
    TRAFFIC.received(len);
    let mut out = std::io::stdout().lock();
    out.write_all(&buffer[..len])?;
    out.flush()?;
    Ok(Some(flow))
}

fn receive_in_background(channel: Channel, flow: Flow) -> JoinHandle<anyhow::Result<()>> {
    thread::spawn(move || {
        while receive(&channel)? == Some(flow) {}
        Ok(())
    })
}

fn send_stdin(args: &Args, channel: &Channel, flow: Flow) -> anyhow::Result<Option<MsgId>> {
    if args.size > channel.message_bytes_max() {
        bail!("--size is {}, the daemon takes {} at most", args.size, channel.message_bytes_max());
    }
    send(channel, flow, args.size)
}

/// Sends stdin to its end. Returns the last message's number.
fn send(channel: &Channel, flow: Flow, size: u32) -> anyhow::Result<Option<MsgId>> {
    let stdin = std::io::stdin();
    let by_line = stdin.is_terminal();
    let mut input = stdin.lock();
    let mut message = Vec::new();
    let mut last = None;
    loop {
        message.clear();
        if by_line {
            input.read_until(b'\n', &mut message).context("stdin")?;
        } else {
            input.by_ref().take(size.into()).read_to_end(&mut message).context("stdin")?;
        }
        if message.is_empty() {
            return Ok(last);
        }
        last = Some(channel.send(flow, &[&message], Wait::Forever)?);
        TRAFFIC.sent(message.len());
    }
}

/// Waits until the peer has acknowledged the last message.
fn linger(channel: &Channel, flow: Flow, last: Option<MsgId>) -> anyhow::Result<()> {
    let Some(MsgId(last)) = last else { return Ok(()) };
    let until = Instant::now() + LINGER;
    while Instant::now() < until {
        let info = channel.flow_info(flow, Wait::Forever);
        let info = info.context("the flow ended before everything was acknowledged")?;
        if info.message_acked >= last {
            return Ok(());
        }
        thread::sleep(LINGER_STEP);
    }
    bail!("the peer does not acknowledge what was sent")
}
