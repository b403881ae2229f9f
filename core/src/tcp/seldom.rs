//! What few connections have, behind one pointer: the others pay for no more than that.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::fast_open::FastOpen;
use super::mtu_probing::MtuSearch;
use super::urgent::Urgent;

/// Nothing is allocated before there is something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Seldom(Option<Box<Attached>>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Attached {
    /// Made when something is urgent for the first time, in either direction.
    urgent: Option<Urgent>,
    /// There while the path's MTU is searched for.
    mtu_search: Option<MtuSearch>,
    /// Made where Fast Open has a part in the handshake.
    fast_open: Option<FastOpen>,
}

impl Seldom {
    fn attached(&mut self) -> &mut Attached {
        self.0.get_or_insert_default()
    }

    #[inline]
    pub(in crate::tcp) fn urgent(&self) -> Option<&Urgent> {
        self.0.as_deref()?.urgent.as_ref()
    }

    pub(in crate::tcp) fn urgent_mut(&mut self) -> Option<&mut Urgent> {
        self.0.as_deref_mut()?.urgent.as_mut()
    }

    /// Command: something is urgent.
    pub(in crate::tcp) fn attach_urgent(&mut self) -> &mut Urgent {
        self.attached().urgent.get_or_insert_with(Urgent::new)
    }

    #[inline]
    pub(in crate::tcp) fn mtu_search(&self) -> Option<&MtuSearch> {
        self.0.as_deref()?.mtu_search.as_ref()
    }

    pub(in crate::tcp) fn mtu_search_mut(&mut self) -> Option<&mut MtuSearch> {
        self.0.as_deref_mut()?.mtu_search.as_mut()
    }

    /// Command: a search begins.
    pub(in crate::tcp) fn set_mtu_search(&mut self, search: MtuSearch) {
        self.attached().mtu_search = Some(search);
    }

    pub(in crate::tcp) fn fast_open(&self) -> Option<&FastOpen> {
        self.0.as_deref()?.fast_open.as_ref()
    }

    pub(in crate::tcp) fn fast_open_mut(&mut self) -> Option<&mut FastOpen> {
        self.0.as_deref_mut()?.fast_open.as_mut()
    }

    /// Command: the connection is opened with Fast Open.
    pub(in crate::tcp) fn attach_fast_open(&mut self, fast_open: FastOpen) {
        self.attached().fast_open = Some(fast_open);
    }

    /// Getter: whether what was read back can be.
    pub(in crate::tcp) fn is_valid(&self) -> bool {
        self.urgent().is_none_or(Urgent::is_valid)
            && self.mtu_search().is_none_or(MtuSearch::is_valid)
            && self.fast_open().is_none_or(FastOpen::is_valid)
    }
}
