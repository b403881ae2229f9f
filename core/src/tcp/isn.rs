//! Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 §5.4).

use core::hash::Hasher;
use core::net::SocketAddr;

use siphasher::sip::SipHasher24;

use super::seq::SeqNumber;
use crate::planted::{self, Bug};
use crate::time::Instant;

/// The secret of RFC 6528 §3: 128 bits that the driver draws from the operating system once a start.
#[derive(Clone, Copy)]
pub struct IsnSecret(pub [u8; 16]);

impl core::fmt::Debug for IsnSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("IsnSecret(..)")
    }
}

fn hash(secret: &IsnSecret, domain: u8, local: SocketAddr, remote: SocketAddr) -> u32 {
    keyed_hash(secret, domain, 0, local, remote)
}

/// A pseudo-random function of a four-tuple, a number, and what it is wanted for.
pub(in crate::tcp) fn keyed_hash(
    secret: &IsnSecret,
    domain: u8,
    count: u32,
    local: SocketAddr,
    remote: SocketAddr,
) -> u32 {
    let mut hasher = SipHasher24::new_with_key(&secret.0);
    hasher.write_u8(domain);
    if count != 0 {
        hasher.write(&count.to_le_bytes());
    }
    for end in [local, remote] {
        match end {
            SocketAddr::V4(v4) => hasher.write(&v4.ip().octets()),
            SocketAddr::V6(v6) => hasher.write(&v6.ip().octets()),
        }
        hasher.write_u16(end.port());
    }
    // The low half of a 64-bit PRF is a 32-bit PRF.
    hasher.finish() as u32
}

/// ISN = M + F(local, remote, secret), M being a clock that ticks every 4 microseconds (RFC 6528 §3).
pub fn initial_sequence(
    secret: &IsnSecret,
    now: Instant,
    local: SocketAddr,
    remote: SocketAddr,
) -> u32 {
    let clock = (now.as_nanos() >> 12) as u32;
    let clock = if planted::is(Bug::IsnWithoutClock) { 0 } else { clock };
    if planted::is(Bug::GuessableIsn) {
        return clock;
    }
    SeqNumber(hash(secret, 0, local, remote)).0.wrapping_add(clock)
}

/// A connection's timestamp offset: hides the uptime and keeps TSval growing from one incarnation of a four-tuple to the next.
pub fn timestamp_offset(secret: &IsnSecret, local: SocketAddr, remote: SocketAddr) -> u32 {
    if planted::is(Bug::OffsetForAll) {
        return 0;
    }
    hash(secret, 1, local, remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const SECRET: IsnSecret = IsnSecret([7; 16]);

    fn ends() -> (SocketAddr, SocketAddr) {
        (([10, 0, 0, 1], 1000).into(), ([10, 0, 0, 2], 80).into())
    }

    #[test]
    fn a_four_tuples_sequence_numbers_follow_the_clock() {
        let (a, b) = ends();
        let first = initial_sequence(&SECRET, Instant::ZERO, a, b);
        let later =
            initial_sequence(&SECRET, Instant::ZERO + Duration::from_nanos(4_096 * 10), a, b);
        assert_eq!(later.wrapping_sub(first), 10);
    }

    #[test]
    fn another_tuple_or_another_secret_gives_another_number() {
        let (a, b) = ends();
        let first = initial_sequence(&SECRET, Instant::ZERO, a, b);
        assert_ne!(initial_sequence(&SECRET, Instant::ZERO, b, a), first);
        assert_ne!(initial_sequence(&IsnSecret([8; 16]), Instant::ZERO, a, b), first);
        assert_ne!(timestamp_offset(&SECRET, a, b), first);
        assert_ne!(timestamp_offset(&SECRET, a, b), timestamp_offset(&SECRET, b, a));
    }
}
