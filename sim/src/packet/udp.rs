//! UDP (RFC 768).

use super::{Machnet, ParseError, be16};

pub(super) const HEADER_LEN: usize = 8;

/// A UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Zero: none was computed.
    pub checksum: u16,
    /// Bytes of the datagram, the header included.
    pub len: u16,
    /// What looks like a Machnet packet: its header.
    pub machnet: Option<Machnet>,
}

impl Udp {
    /// `whole`: `bytes` is all of the IP packet's payload. What lies behind the datagram is no part of it.
    #[inline]
    pub(super) fn parse(bytes: &[u8], whole: bool) -> Result<Self, ParseError> {
        let (Some(source_port), Some(destination_port), Some(len), Some(checksum)) =
            (be16(bytes, 0), be16(bytes, 2), be16(bytes, 4), be16(bytes, 6))
        else {
            return Err(ParseError::Udp);
        };
        if usize::from(len) < HEADER_LEN || (whole && usize::from(len) > bytes.len()) {
            return Err(ParseError::Udp);
        }
        let payload = bytes.get(HEADER_LEN..usize::from(len)).filter(|_| whole);
        let machnet = payload.and_then(Machnet::parse);
        Ok(Self { source_port, destination_port, checksum, len, machnet })
    }
}
