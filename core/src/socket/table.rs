//! The socket table: a paged slab with generations.
//!
//! Slots live in pages that never move, so growth copies no socket and costs the same whether there are
//! ten or a million. A slot's generation changes with each occupant: an id of a socket that is gone finds
//! nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::port::SocketId;

/// Slots in one page.
pub const PAGE_SLOTS: usize = 256;

/// End of the list of free slots.
const NONE: u32 = u32::MAX;

/// Values by [`SocketId`], at most `limit` of them.
#[derive(Debug)]
pub struct Table<T> {
    pages: Vec<Box<[Slot<T>]>>,
    free: u32,
    len: u32,
    limit: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    entry: Entry<T>,
}

#[derive(Debug)]
enum Entry<T> {
    Free {
        next: u32,
    },
    Used(T),
    /// Every generation was used: an id would come twice.
    Retired,
}

impl<T> Table<T> {
    /// An empty table for at most `limit` values. Memory is taken page by page as it fills.
    pub const fn new(limit: u32) -> Self {
        Self { pages: Vec::new(), free: NONE, len: 0, limit }
    }

    /// Getter: how many values it holds.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Getter: true when it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Getter: slots that exist, used or not. Every index is below.
    pub fn slots(&self) -> usize {
        self.pages.len() * PAGE_SLOTS
    }

    /// Command: stores what `make` returns for its id. `None`, and `make` is not called, when the table is
    /// at its limit.
    pub fn insert_with(&mut self, make: impl FnOnce(SocketId) -> T) -> Option<SocketId> {
        if self.len >= self.limit {
            return None;
        }
        if self.free == NONE {
            self.grow()?;
        }
        let index = self.free;
        let slot = self.slot_mut(index)?;
        let Entry::Free { next } = slot.entry else {
            unreachable!("the free list holds free slots only")
        };
        let id = SocketId { index, generation: slot.generation };
        slot.entry = Entry::Used(make(id));
        self.free = next;
        self.len += 1;
        Some(id)
    }

    /// Command: stores `value`, or hands it back when the table is at its limit.
    pub fn insert(&mut self, value: T) -> Result<SocketId, T> {
        let mut value = Some(value);
        let id = self.insert_with(|_| value.take().expect("`make` is called at most once"));
        match (id, value) {
            (Some(id), _) => Ok(id),
            (None, Some(value)) => Err(value),
            (None, None) => unreachable!("a value is taken only when an id is given"),
        }
    }

    /// Command: takes the value out. Its id is never given again.
    pub fn remove(&mut self, id: SocketId) -> Option<T> {
        let next = self.free;
        let slot = self.slot_mut(id.index).filter(|slot| slot.generation == id.generation)?;
        if !matches!(slot.entry, Entry::Used(_)) {
            return None;
        }
        let last = slot.generation == u32::MAX;
        let entry = if last { Entry::Retired } else { Entry::Free { next } };
        let Entry::Used(value) = core::mem::replace(&mut slot.entry, entry) else {
            unreachable!("matched above")
        };
        if !last {
            slot.generation += 1;
            self.free = id.index;
        }
        self.len -= 1;
        Some(value)
    }

    /// Getter: the value of `id`.
    #[inline]
    pub fn get(&self, id: SocketId) -> Option<&T> {
        let slot = self.slot(id.index).filter(|slot| slot.generation == id.generation)?;
        slot.value()
    }

    /// Getter: the value of `id`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, id: SocketId) -> Option<&mut T> {
        let slot = self.slot_mut(id.index).filter(|slot| slot.generation == id.generation)?;
        slot.value_mut()
    }

    /// Getter: the present occupant of slot `index`: demux, ready lists and the timer wheel hold indices.
    #[inline]
    pub fn id_at(&self, index: u32) -> Option<SocketId> {
        let slot = self.slot(index)?;
        slot.value().map(|_| SocketId { index, generation: slot.generation })
    }

    /// Getter: the value in slot `index`.
    pub fn at(&self, index: u32) -> Option<&T> {
        self.slot(index)?.value()
    }

    /// Getter: the value in slot `index`, to be changed.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slot_mut(index)?.value_mut()
    }

    /// Getter: all values in the order of their slots. Visits every slot: for writing state out, never for
    /// work that comes with packets.
    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &T)> {
        self.pages.iter().flat_map(|page| page.iter()).enumerate().filter_map(|(index, slot)| {
            let id = SocketId { index: index as u32, generation: slot.generation };
            slot.value().map(|value| (id, value))
        })
    }

    /// A new page, its slots in front of the free list in ascending order.
    fn grow(&mut self) -> Option<()> {
        let first = u32::try_from(self.slots()).ok()?;
        let end = first.checked_add(PAGE_SLOTS as u32).filter(|&end| end < NONE)?;
        let page: Vec<Slot<T>> = (first..end)
            .map(|index| Slot {
                generation: 0,
                entry: Entry::Free { next: if index + 1 == end { NONE } else { index + 1 } },
            })
            .collect();
        self.pages.push(page.into_boxed_slice());
        self.free = first;
        Some(())
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        self.pages.get(index as usize / PAGE_SLOTS)?.get(index as usize % PAGE_SLOTS)
    }

    #[inline]
    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.pages.get_mut(index as usize / PAGE_SLOTS)?.get_mut(index as usize % PAGE_SLOTS)
    }
}

impl<T> Slot<T> {
    const fn value(&self) -> Option<&T> {
        match &self.entry {
            Entry::Used(value) => Some(value),
            Entry::Free { .. } | Entry::Retired => None,
        }
    }

    const fn value_mut(&mut self) -> Option<&mut T> {
        match &mut self.entry {
            Entry::Used(value) => Some(value),
            Entry::Free { .. } | Entry::Retired => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_id_of_a_removed_socket_finds_nothing_even_when_its_slot_is_used_again() {
        let mut table = Table::new(10);
        let old = table.insert("old").unwrap();
        assert_eq!(table.remove(old), Some("old"));
        let new = table.insert("new").unwrap();
        assert_eq!(new.index, old.index);
        assert_eq!(table.get(old), None);
        assert_eq!(table.remove(old), None);
        assert_eq!(table.get(new), Some(&"new"));
        assert_eq!(table.id_at(new.index), Some(new));
    }

    #[test]
    fn a_full_table_hands_the_value_back() {
        let mut table = Table::new(2);
        table.insert(1).unwrap();
        let id = table.insert(2).unwrap();
        assert_eq!(table.insert(3), Err(3));
        table.remove(id);
        assert!(table.insert(3).is_ok());
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn growth_does_not_move_sockets() {
        let mut table = Table::new(10_000);
        let first = table.insert(0u64).unwrap();
        let before: *const u64 = table.get(first).unwrap();
        for value in 1..5_000 {
            table.insert(value).unwrap();
        }
        assert_eq!(before, core::ptr::from_ref(table.get(first).unwrap()));
        assert_eq!(table.slots(), 5_120);
    }

    #[test]
    fn a_slot_is_retired_before_an_id_could_come_twice() {
        let mut table = Table::new(10);
        let id = table.insert(()).unwrap();
        table.remove(id);
        table.pages[0][0].generation = u32::MAX;
        let last = table.insert(()).unwrap();
        assert_eq!(last, SocketId { index: 0, generation: u32::MAX });
        table.remove(last);
        assert_eq!(table.get(last), None);
        assert_eq!(table.insert(()).unwrap().index, 1);
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_map(steps in proptest::collection::vec(any::<Option<u8>>(), 0..600)) {
            let mut table = Table::new(300);
            let mut model = BTreeMap::new();
            let mut ids = std::vec![];
            for (value, step) in steps.into_iter().enumerate() {
                match step {
                    Some(choice) if !ids.is_empty() => {
                        let id = ids[usize::from(choice) % ids.len()];
                        prop_assert_eq!(table.remove(id), model.remove(&id));
                    }
                    _ => if let Ok(id) = table.insert(value) {
                        prop_assert!(model.insert(id, value).is_none());
                        ids.push(id);
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
            for id in ids {
                prop_assert_eq!(table.get(id), model.get(&id));
            }
            prop_assert!(table.iter().map(|(id, v)| (id, *v)).eq(model));
        }
    }
}
