//! The sockets of each channel, as a list through the socket slots, so that a channel's death finds them
//! without a scan.

use alloc::collections::VecDeque;

use hashbrown::HashMap;

use super::sock::{Links, Sockets};
use crate::port::{ChannelId, SocketId};
use crate::rng::Stream;

/// Heads of the lists, and the channels whose sockets are still being ended.
#[derive(Debug)]
pub(super) struct Channels {
    heads: HashMap<ChannelId, SocketId, foldhash::fast::FixedState>,
    /// Channels that are gone, oldest first. A channel detaches once, so there are never more than channels.
    pub(super) detached: VecDeque<ChannelId>,
}

impl Channels {
    pub(super) fn new(seed: u64) -> Self {
        let state = foldhash::fast::FixedState::with_seed(Stream::new(seed, 0xc4a2).at(0));
        Self { heads: HashMap::with_hasher(state), detached: VecDeque::new() }
    }

    pub(super) fn first(&self, channel: ChannelId) -> Option<SocketId> {
        self.heads.get(&channel).copied()
    }

    /// Puts a socket that is in no list at the front of its channel's.
    pub(super) fn link(&mut self, sockets: &mut Sockets, id: SocketId) {
        let Some(socket) = sockets.get_mut(id) else { return };
        let next = self.heads.insert(socket.channel, id);
        socket.links = Links { prev: None, next };
        if let Some(next) = next.and_then(|next| sockets.get_mut(next)) {
            next.links.prev = Some(id);
        }
    }

    /// Takes a socket out of its channel's list, if it is in.
    pub(super) fn unlink(&mut self, sockets: &mut Sockets, id: SocketId) {
        let Some(socket) = sockets.get_mut(id) else { return };
        let channel = socket.channel;
        let Links { prev, next } = core::mem::take(&mut socket.links);
        if let Some(next) = next.and_then(|next| sockets.get_mut(next)) {
            next.links.prev = prev;
        }
        match (prev, next) {
            (Some(prev), _) => {
                if let Some(prev) = sockets.get_mut(prev) {
                    prev.links.next = next;
                }
            }
            // Without a neighbour in front it is the head, or in no list any more.
            (None, _) if self.heads.get(&channel) != Some(&id) => {}
            (None, Some(next)) => {
                self.heads.insert(channel, next);
            }
            (None, None) => {
                self.heads.remove(&channel);
            }
        }
    }
}
