//! Interface identifiers that stay the same on a network and say nothing elsewhere (RFC 7217).

use core::hash::Hasher;
use core::net::Ipv6Addr;

use siphasher::sip::SipHasher24;

use crate::nic::MacAddr;
use crate::planted::{self, Bug};

/// Getter: the address in `prefix`/64 of the interface with `mac` after `attempt` addresses that others had: RFC 7217 §5 with
/// SipHash as the function and the station's address as the interface's name.
pub(super) fn stable_address(
    secret: &[u8; 16],
    prefix: Ipv6Addr,
    mac: MacAddr,
    attempt: u8,
) -> Ipv6Addr {
    let network = prefix.to_bits() >> 64;
    let identifier = (0..=u8::MAX)
        .map(|turn| {
            let mut hasher = SipHasher24::new_with_key(secret);
            let network = if planted::is(Bug::SameIdentifier) { 0 } else { network };
            hasher.write(&(network as u64).to_be_bytes());
            hasher.write(&mac.0);
            hasher.write(&[attempt, turn]);
            hasher.finish()
        })
        .find(|identifier| !is_reserved(*identifier));
    Ipv6Addr::from_bits(network << 64 | u128::from(identifier.unwrap_or(1)))
}

/// RFC 5453: the routers' anycast address, IANA's own block, and the anycast addresses of RFC 2526.
const fn is_reserved(identifier: u64) -> bool {
    identifier == 0
        || identifier >> 24 == 0x02_005e_fffe
        || (identifier >= 0xfdff_ffff_ffff_ff80 && identifier <= 0xfdff_ffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_stable_on_its_network_and_another_one_everywhere_else() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let prefix: Ipv6Addr = "2001:db8:1::".parse().unwrap();
        let base = stable_address(&[7; 16], prefix, mac, 0);
        assert_eq!(base, stable_address(&[7; 16], prefix, mac, 0));
        assert_eq!(base.to_bits() >> 64, prefix.to_bits() >> 64);
        let low = |address: Ipv6Addr| address.to_bits() as u64;
        for other in [
            stable_address(&[8; 16], prefix, mac, 0),
            stable_address(&[7; 16], "2001:db8:2::".parse().unwrap(), mac, 0),
            stable_address(&[7; 16], prefix, MacAddr([2, 0, 0, 0, 0, 2]), 0),
            stable_address(&[7; 16], prefix, mac, 1),
        ] {
            assert_ne!(low(other), low(base));
        }
        assert!(is_reserved(0) && is_reserved(0xfdff_ffff_ffff_ff81) && !is_reserved(1));
        assert!(is_reserved(0x0200_5eff_fe00_5213));
    }
}
