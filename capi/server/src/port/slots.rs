//! Which channel numbers are taken. Shared by those who grant channels and those who serve them.

use std::sync::{Arc, Mutex, PoisonError};

use causeway_core::port::ChannelId;

/// The numbers of the channels of one daemon: a bounded set of slots, each with a generation.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    /// The generation that each slot's next occupant gets.
    generations: Vec<u32>,
    /// Free slots, the last one given out next.
    free: Vec<u32>,
}

impl Slots {
    /// Room for `channels_max` channels at a time.
    pub fn new(channels_max: u32) -> Self {
        let table = Table {
            generations: vec![0; channels_max as usize],
            free: (0..channels_max).rev().collect(),
        };
        Self(Arc::new(Mutex::new(table)))
    }

    /// Command: a free number, taken until the lease is dropped. `None` when there is none.
    pub fn claim(&self) -> Option<Lease> {
        let mut table = self.lock();
        let index = table.free.pop()?;
        let generation = table.generations[index as usize];
        Some(Lease { id: ChannelId { index, generation }, slots: self.clone() })
    }

    /// Getter: how many are taken.
    pub fn taken(&self) -> usize {
        let table = self.lock();
        table.generations.len() - table.free.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Each change is one push or pop: a thread that died in between left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel number in use. It is kept beside the channel's memory and dropped after it, so that the
/// number of leases bounds the memory.
#[derive(Debug)]
pub struct Lease {
    id: ChannelId,
    slots: Slots,
}

impl Lease {
    /// Getter: the number.
    pub fn id(&self) -> ChannelId {
        self.id
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.slots.lock();
        let generation = &mut table.generations[self.id.index as usize];
        *generation = generation.wrapping_add(1);
        table.free.push(self.id.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_out_and_come_back_with_another_generation() {
        let slots = Slots::new(2);
        let first = slots.claim().unwrap();
        let second = slots.claim().unwrap();
        assert!(slots.claim().is_none());
        assert_eq!(slots.taken(), 2);
        let id = first.id();
        drop(first);
        let again = slots.claim().unwrap();
        assert_eq!(again.id().index, id.index);
        assert_ne!(again.id().generation, id.generation);
        assert_ne!(second.id().index, id.index);
    }
}
