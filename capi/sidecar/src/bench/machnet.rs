//! Messages over the daemon's flows.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use anyhow::Context;
use causeway_client::{CallError, Channel, Flow, RecvError, SendError, Wait};

use super::load::{Carrier, Echo, Load};

/// See the module.
pub struct Client {
    channel: Channel,
    flows: Vec<Flow>,
    index: HashMap<Flow, usize>,
    message: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    /// Opens the flows.
    ///
    /// # Errors
    /// One cannot be opened, or messages are longer than the daemon takes.
    pub fn new(
        channel: &Channel,
        server: SocketAddr,
        from: Option<IpAddr>,
        load: &Load,
    ) -> anyhow::Result<Self> {
        let most = channel.message_bytes_max() as usize;
        anyhow::ensure!(
            load.size <= most,
            "--size is {}, the daemon takes {most} at most (channel.message_bytes_max)",
            load.size
        );
        let open = |_| channel.connect_messages(from, server, Wait::Forever);
        let flows: Result<Vec<Flow>, _> = (0..load.flows).map(open).collect();
        let flows = flows.with_context(|| server.to_string())?;
        Ok(Self {
            channel: channel.clone(),
            index: flows.iter().enumerate().map(|(index, flow)| (*flow, index)).collect(),
            flows,
            message: vec![0x5a; load.size],
            buffer: vec![0; load.size],
        })
    }
}

impl Carrier for Client {
    fn send(&mut self, flow: usize, _: u64) -> anyhow::Result<bool> {
        match self.channel.send(self.flows[flow], &[&self.message], Wait::Never) {
            Ok(_) => Ok(true),
            Err(SendError::Call(CallError::WouldBlock)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn recv(&mut self, until: Option<Instant>) -> anyhow::Result<Option<Echo>> {
        let wait = until.map_or(Wait::Never, |until| {
            let left = until.saturating_duration_since(Instant::now());
            let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
            let left = causeway_client::Duration::from_nanos(left);
            Wait::Until(self.channel.env().now() + left)
        });
        match self.channel.recv(&mut self.buffer, wait) {
            Ok((len, flow)) => {
                anyhow::ensure!(len == self.message.len(), "a message came back with {len} bytes");
                let flow = *self.index.get(&flow).context("a message came on a strange flow")?;
                Ok(Some(Echo { flow, number: None }))
            }
            Err(RecvError::Call(CallError::WouldBlock | CallError::TimedOut)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Sends back what comes, on `local`, for as long as the daemon lives.
///
/// # Errors
/// The address cannot be listened on, or the daemon is gone.
pub fn serve(
    channel: &Channel,
    local: SocketAddr,
    spin: bool,
    listening: impl Fn(SocketAddr),
) -> anyhow::Result<()> {
    let local = channel.listen_messages(local).with_context(|| local.to_string())?;
    listening(local);
    let mut buffer = vec![0; channel.message_bytes_max() as usize];
    let wait = if spin { Wait::Never } else { Wait::Forever };
    loop {
        let (len, flow) = match channel.recv(&mut buffer, wait) {
            Ok(message) => message,
            // Clients come and go.
            Err(RecvError::Ended { .. }) => continue,
            Err(RecvError::Call(CallError::WouldBlock)) => {
                std::hint::spin_loop();
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match channel.send(flow, &[&buffer[..len]], Wait::Forever) {
            Ok(_) | Err(SendError::Ended(_) | SendError::UnknownFlow) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
