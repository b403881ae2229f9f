//! Orders to an engine, and its answers.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};

use causeway_core::port::ChannelId;

use super::Waker;
use crate::engine_loop::Settings;
use crate::introspect::Ask;
use crate::port::{Attached, Eviction};

/// Orders that may wait for one engine. It takes them in each step; beyond this the giver waits or refuses.
pub const ORDERS_MAX: usize = 256;

/// What other threads ask of an engine.
#[derive(Debug)]
pub enum Order {
    /// Serve a channel.
    Attach(Box<Attached>),
    /// The application of a channel hung up.
    Detach(ChannelId),
    /// Go on with other settings.
    Set(Box<Settings>),
    /// Tell an operator something. One of these a step: the others wait, whoever asks.
    Ask(Box<Ask>),
    /// End every socket, tell the peers, return.
    Stop,
}

/// The way to one engine.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    /// Its queue.
    pub orders: SyncSender<Order>,
    /// Rung after each order.
    pub wake: Waker,
}

/// The ends that an engine's thread holds.
#[derive(Debug)]
pub struct EngineLinks {
    /// Orders, in their order.
    pub orders: Receiver<Order>,
    /// Rung after an order was queued.
    pub wake: Waker,
    /// Channels that the engine put out. At most one message for each channel that was granted.
    pub evictions: Sender<Eviction>,
    /// Rung after an eviction was queued.
    pub control: Waker,
}

/// Both ends for one engine, whose evictions go to `evictions` and wake `control`.
pub fn links(
    evictions: Sender<Eviction>,
    control: Waker,
) -> io::Result<(EngineHandle, EngineLinks)> {
    let (sender, orders) = sync_channel(ORDERS_MAX);
    let wake = Waker::new()?;
    let handle = EngineHandle { orders: sender, wake: wake.clone() };
    Ok((handle, EngineLinks { orders, wake, evictions, control }))
}
