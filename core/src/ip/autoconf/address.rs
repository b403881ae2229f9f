//! One address of an interface.

use core::net::Ipv6Addr;

use crate::time::Instant;

/// Whether an address may be used (RFC 4862 §2, §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressState {
    /// Nobody is known to have it, and everybody is still being asked: it is not used yet.
    Tentative,
    /// To be used.
    Preferred,
    /// To be used by what uses it already, and for want of another.
    Deprecated,
    /// Somebody else has it: it is not used.
    Duplicate,
}

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Every interface has one (RFC 4291 §2.1).
    LinkLocal,
    /// The configuration.
    Configured,
    /// A prefix that a router advertised.
    Prefix,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    pub(super) address: Ipv6Addr,
    pub(super) prefix_len: u8,
    pub(super) state: AddressState,
    pub(super) origin: Origin,
    /// Identifiers tried before, because others had the addresses.
    pub(super) attempt: u8,
    /// Solicitations sent, and when the next one, or the verdict, is due.
    pub(super) asked: u8,
    pub(super) ask_at: Option<Instant>,
    /// `None`: for ever.
    pub(super) preferred_until: Option<Instant>,
    pub(super) valid_until: Option<Instant>,
}

impl OwnAddress {
    /// Getter: the address.
    pub const fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// Getter: bits of its prefix.
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Getter: whether it may be used.
    pub const fn state(&self) -> AddressState {
        self.state
    }

    /// Getter: packets may be sent from it and are received for it.
    pub const fn is_assigned(&self) -> bool {
        matches!(self.state, AddressState::Preferred | AddressState::Deprecated)
    }

    /// Getter: it came from a router, and its prefix is on the link only if the router said so.
    pub(super) const fn is_from_router(&self) -> bool {
        matches!(self.origin, Origin::Prefix)
    }

    /// The next moment at which something becomes of it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let preferred = self.preferred_until.filter(|_| self.state == AddressState::Preferred);
        [self.ask_at, preferred, self.valid_until].into_iter().flatten().min()
    }
}
