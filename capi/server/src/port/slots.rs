//! Which channel numbers are taken. Shared by those who grant channels and those who serve them.

use std::sync::{Arc, Mutex, PoisonError};

use causeway_core::port::ChannelId;

/// Which tenant an application belongs to: its place in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TenantId(pub u16);

/// The numbers of the channels of one daemon: a bounded set of slots, each with a generation.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Mutex<Table>>);

#[derive(Debug)]
struct Table {
    /// The generation that each slot's next occupant gets.
    generations: Vec<u32>,
    /// Free slots, the last one given out next.
    free: Vec<u32>,
    /// How many each tenant may still have; of the others there is no bound but the slots.
    left: Vec<u32>,
}

impl Slots {
    /// Room for `channels_max` channels at a time.
    pub fn new(channels_max: u32) -> Self {
        Self::of_tenants(channels_max, Vec::new())
    }

    /// The same, where the tenants have at most as many as `each` says.
    pub fn of_tenants(channels_max: u32, each: Vec<u32>) -> Self {
        let table = Table {
            generations: vec![0; channels_max as usize],
            free: (0..channels_max).rev().collect(),
            left: each,
        };
        Self(Arc::new(Mutex::new(table)))
    }

    /// Command: a free number for `tenant`, taken until the lease is dropped. `None` when there is none, or the tenant has as many
    /// as it may.
    pub fn claim(&self, tenant: TenantId) -> Option<Lease> {
        let mut table = self.lock();
        let place = usize::from(tenant.0);
        if table.left.get(place) == Some(&0) {
            return None;
        }
        let index = table.free.pop()?;
        if let Some(left) = table.left.get_mut(place) {
            *left -= 1;
        }
        let generation = table.generations[index as usize];
        Some(Lease { id: ChannelId { index, generation }, tenant, slots: self.clone() })
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
    tenant: TenantId,
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
        if let Some(left) = table.left.get_mut(usize::from(self.tenant.0)) {
            *left += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_run_out_and_come_back_with_another_generation() {
        let slots = Slots::new(2);
        let any = TenantId::default();
        let first = slots.claim(any).unwrap();
        let second = slots.claim(any).unwrap();
        assert!(slots.claim(any).is_none());
        assert_eq!(slots.taken(), 2);
        let id = first.id();
        drop(first);
        let again = slots.claim(any).unwrap();
        assert_eq!(again.id().index, id.index);
        assert_ne!(again.id().generation, id.generation);
        assert_ne!(second.id().index, id.index);
    }

    #[test]
    fn a_tenant_has_at_most_as_many_as_it_may_and_takes_nothing_from_others() {
        let slots = Slots::of_tenants(3, vec![1, 0, 3]);
        let first = slots.claim(TenantId(0)).unwrap();
        assert!(slots.claim(TenantId(0)).is_none());
        assert!(slots.claim(TenantId(1)).is_none(), "none at all");
        let others = [slots.claim(TenantId(2)).unwrap(), slots.claim(TenantId(2)).unwrap()];
        assert!(slots.claim(TenantId(2)).is_none(), "there is no slot");
        drop(first);
        let again = slots.claim(TenantId(0)).unwrap();
        assert!(slots.claim(TenantId(0)).is_none());
        drop((again, others));
        assert_eq!(slots.taken(), 0);
        let all: Vec<Lease> = (0..3).map_while(|_| slots.claim(TenantId(2))).collect();
        assert_eq!(all.len(), 3, "what was refused was not counted");
    }
}
