//! The IEEE 802.1Q tag that may stand between the Ethernet addresses and the type.

use super::WireError;
use super::ethernet::EtherType;
use super::field::{be16, fixed};

/// Bytes from the tag control information to the end of the inner type.
pub const VLAN_TAG_LEN: usize = 4;

/// What follows an [`EtherType::VLAN`]: the tag and the type of what it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTag {
    /// Tag control information: priority (3 bits), drop eligible (1), VLAN identifier (12).
    pub tci: u16,
    /// Kind of payload.
    pub ethertype: EtherType,
}

impl VlanTag {
    /// Input: the tag that begins right behind the outer type. A second tag inside (802.1ad) is not spoken.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        let h: &[u8; VLAN_TAG_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        let tag = Self { tci: be16(h, 0), ethertype: EtherType(be16(h, 2)) };
        if tag.ethertype.0 < EtherType::MIN.0 || tag.ethertype == EtherType::VLAN {
            return Err(WireError::Unsupported);
        }
        Ok((tag, VLAN_TAG_LEN))
    }

    /// Output: writes the tag to the front of `out`, returns its length, or 0 when there is no room.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<VLAN_TAG_LEN>() else { return 0 };
        out[0..2].copy_from_slice(&self.tci.to_be_bytes());
        out[2..4].copy_from_slice(&self.ethertype.0.to_be_bytes());
        VLAN_TAG_LEN
    }

    /// Getter: the VLAN identifier; 0 means that the tag carries a priority only.
    pub const fn vlan_id(self) -> u16 {
        self.tci & 0x0fff
    }

    /// Getter: the priority code point, 0 to 7.
    pub const fn priority(self) -> u8 {
        (self.tci >> 13) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_within_a_tag_is_not_spoken() {
        assert_eq!(VlanTag::parse(&[0, 5, 0x81, 0]), Err(WireError::Unsupported));
        assert_eq!(VlanTag::parse(&[0, 5, 8]), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(tci: u16) {
            let tag = VlanTag { tci, ethertype: EtherType::IPV4 };
            let mut bytes = [0u8; 4];
            prop_assert_eq!(tag.emit(&mut bytes), 4);
            prop_assert_eq!(VlanTag::parse(&bytes), Ok((tag, 4)));
            prop_assert!(tag.vlan_id() < 4096 && tag.priority() < 8);
        }
    }
}
