//! The fields that entries are made of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ProtoError;
use crate::ring::Entry;

/// The entry concerns no stream.
pub const NO_SLOT: u32 = u32::MAX;

/// Flag: the first address is IPv6.
pub(super) const LOCAL_V6: u8 = 1;
/// Flag: the second address is IPv6.
pub(super) const REMOTE_V6: u8 = 2;
/// Flag: there is a local address.
pub(super) const HAS_LOCAL: u8 = 4;

/// Flag: there is a socket.
pub(super) const HAS_SOCKET: u8 = 8;

/// Flag: there is a remote address.
pub(super) const HAS_REMOTE: u8 = 16;

/// Word 0, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) small: u16,
    pub(super) slot: u32,
}

impl Head {
    pub(super) const fn new(kind: u8, slot: u32) -> Self {
        Self { kind, flags: 0, small: 0, slot }
    }

    pub(super) const fn small(mut self, small: u16) -> Self {
        self.small = small;
        self
    }

    pub(super) const fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    pub(super) const fn pack(self) -> u64 {
        self.kind as u64
            | (self.flags as u64) << 8
            | (self.small as u64) << 16
            | (self.slot as u64) << 32
    }

    pub(super) const fn unpack(word: u64) -> Self {
        Self {
            kind: word as u8,
            flags: (word >> 8) as u8,
            small: (word >> 16) as u16,
            slot: (word >> 32) as u32,
        }
    }

    /// The slot, if any.
    pub(super) const fn stream(self) -> Option<u32> {
        if self.slot == NO_SLOT { None } else { Some(self.slot) }
    }

    /// Refuses flags outside `known`.
    pub(super) const fn only(self, known: u8) -> Result<(), ProtoError> {
        if self.flags & !known == 0 { Ok(()) } else { Err(ProtoError::Code) }
    }
}

/// An address as two words, and whether it is IPv6.
pub(super) fn pack_ip(ip: IpAddr) -> ([u64; 2], bool) {
    match ip {
        IpAddr::V4(v4) => ([u64::from(v4.to_bits()), 0], false),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            ([(bits >> 64) as u64, bits as u64], true)
        }
    }
}

/// The inverse of [`pack_ip`].
pub(super) fn unpack_ip(words: [u64; 2], v6: bool) -> Result<IpAddr, ProtoError> {
    if v6 {
        let bits = u128::from(words[0]) << 64 | u128::from(words[1]);
        return Ok(IpAddr::V6(Ipv6Addr::from_bits(bits)));
    }
    let bits = u32::try_from(words[0]).map_err(|_| ProtoError::Argument)?;
    if words[1] != 0 {
        return Err(ProtoError::Argument);
    }
    Ok(IpAddr::V4(Ipv4Addr::from_bits(bits)))
}

/// The words from `at` on are unused and must be zero.
pub(super) fn zero_from(entry: &Entry, at: usize) -> Result<(), ProtoError> {
    if entry[at..].iter().all(|w| *w == 0) { Ok(()) } else { Err(ProtoError::Argument) }
}

/// A word that must fit 32 bits.
pub(super) fn narrow(word: u64) -> Result<u32, ProtoError> {
    u32::try_from(word).map_err(|_| ProtoError::Argument)
}

/// A word that must fit 16 bits.
pub(super) fn narrow16(word: u64) -> Result<u16, ProtoError> {
    u16::try_from(word).map_err(|_| ProtoError::Argument)
}

/// The scope id of an IPv6 socket address, else zero.
pub(super) fn scope(addr: SocketAddr) -> u32 {
    match addr {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(v6) => v6.scope_id(),
    }
}

/// A socket address with a scope id, where it has room for one.
pub(super) fn with_scope(ip: IpAddr, port: u16, scope: u32) -> Result<SocketAddr, ProtoError> {
    let mut addr = SocketAddr::new(ip, port);
    match &mut addr {
        SocketAddr::V4(_) if scope != 0 => return Err(ProtoError::Argument),
        SocketAddr::V4(_) => {}
        SocketAddr::V6(v6) => v6.set_scope_id(scope),
    }
    Ok(addr)
}
