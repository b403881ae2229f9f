//! What an operator sees of the channels.

use causeway_channel::LaneHolds;
use causeway_core::port::ChannelId;

use super::channel::{Life, Peer};
use super::channel_port::ChannelPort;

/// One channel at one moment.
#[derive(Clone, Copy, Debug)]
pub struct SeenChannel {
    /// Its number.
    pub id: ChannelId,
    /// Whose it is.
    pub peer: Peer,
    /// Its application is there.
    pub alive: bool,
    /// What its streams hold.
    pub held: LaneHolds,
}

impl ChannelPort {
    /// Getter: places of channels: [`ChannelPort::seen_at`] has something to say of those below only.
    pub fn places(&self) -> u32 {
        self.channels.len() as u32
    }

    /// Getter: the channel at a place.
    pub fn seen_at(&self, place: u32) -> Option<SeenChannel> {
        let channel = self.channels.get(place as usize)?.as_deref()?;
        Some(SeenChannel {
            id: channel.id(),
            peer: channel.attached.peer,
            alive: channel.life == Life::Alive,
            held: channel.attached.lane.held(),
        })
    }

    /// Getter: who attached `channel`; `None` for a channel that is gone.
    pub fn peer(&self, channel: ChannelId) -> Option<Peer> {
        self.seen_at(channel.index).filter(|seen| seen.id == channel).map(|seen| seen.peer)
    }
}
