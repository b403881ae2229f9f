//! The sockets of each channel, as a list through the socket slots, so that a channel's death finds them
//! without a scan.

use alloc::collections::VecDeque;

use hashbrown::HashMap;

use super::sock::{Links, Sockets};
use crate::port::{ChannelId, SocketId};
use crate::rng::Stream;
use crate::tcp::SharedConfig;

/// Which of its channel's two lists a socket is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    /// Its application is there, as far as is known.
    Served,
    /// Its application is gone; it delivers what it was given.
    Orphan,
}

/// Heads of the lists, and the channels whose sockets are still being looked at after their end.
#[derive(Debug)]
pub(super) struct Channels {
    heads: HashMap<(ChannelId, Stage), Head, foldhash::fast::FixedState>,
    /// Channels that are gone, oldest first, and whether their sockets may still deliver. A channel detaches once, and
    /// once more when it may not deliver after all, so there are never more than twice as many as channels.
    pub(super) detached: VecDeque<(ChannelId, bool)>,
    /// What the next socket of a channel is opened with, where options were set for it. One a channel, until it is opened
    /// or the channel is gone.
    pub(super) staged: HashMap<ChannelId, SharedConfig, foldhash::fast::FixedState>,
}

/// One list: never empty.
#[derive(Clone, Copy, Debug)]
struct Head {
    first: SocketId,
    count: u32,
}

impl Channels {
    pub(super) fn new(seed: u64) -> Self {
        let state = foldhash::fast::FixedState::with_seed(Stream::new(seed, 0xc4a2).at(0));
        Self {
            heads: HashMap::with_hasher(state.clone()),
            detached: VecDeque::new(),
            staged: HashMap::with_hasher(state),
        }
    }

    pub(super) fn first(&self, channel: ChannelId, stage: Stage) -> Option<SocketId> {
        self.heads.get(&(channel, stage)).map(|head| head.first)
    }

    /// Sockets of the channel whose application is there.
    pub(super) fn count(&self, channel: ChannelId) -> u32 {
        self.heads.get(&(channel, Stage::Served)).map_or(0, |head| head.count)
    }

    /// Puts a socket that is in no list at the front of its channel's list of its stage.
    pub(super) fn link(&mut self, sockets: &mut Sockets, id: SocketId) {
        let Some(socket) = sockets.get_mut(id) else { return };
        let fresh = Head { first: id, count: 0 };
        let head = self.heads.entry((socket.channel, socket.stage)).or_insert(fresh);
        let next = (head.count > 0).then_some(head.first.index);
        *head = Head { first: id, count: head.count + 1 };
        socket.links = Links::new(None, next);
        if let Some(next) = next.and_then(|next| sockets.at_mut(next)) {
            next.links = Links::new(Some(id.index), next.links.next());
        }
    }

    /// Takes a socket out of its channel's list, if it is in.
    pub(super) fn unlink(&mut self, sockets: &mut Sockets, id: SocketId) {
        let Some(socket) = sockets.get_mut(id) else { return };
        let list = (socket.channel, socket.stage);
        let links = core::mem::take(&mut socket.links);
        let (prev, next) = (links.prev(), links.next());
        if let Some(next) = next.and_then(|next| sockets.at_mut(next)) {
            next.links = Links::new(prev, next.links.next());
        }
        if let Some(prev) = prev {
            if let Some(prev) = sockets.at_mut(prev) {
                prev.links = Links::new(prev.links.prev(), next);
            }
        } else if self.heads.get(&list).map(|head| head.first) != Some(id) {
            // Without a neighbour in front it is the head, or in no list any more.
            return;
        }
        let Some(head) = self.heads.get_mut(&list) else { return };
        head.count -= 1;
        match (prev, next.and_then(|next| sockets.id_at(next))) {
            (Some(_), _) => {}
            (None, Some(next)) => head.first = next,
            (None, None) => {
                self.heads.remove(&list);
            }
        }
    }
}
