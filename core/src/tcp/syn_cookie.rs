//! SYN cookies (RFC 4987 §3.6): a SYN,ACK whose sequence number holds what a half-open connection would have to remember.
//!
//! The cookie is `F(tuple) + IRS + (minute << 24) + (((F(tuple, minute) ^ F(tuple, IRS)) + size) mod 2^24)`, `size` being an index
//! into [`MSS_TABLE`] and F a keyed hash. What does not fit, window scale and SACK, lies in the low six bits of the timestamp that
//! the peer echoes (RFC 7323 §3.2); without timestamps neither is offered.

use core::net::SocketAddr;

use super::connection::{Connection, clock_ms};
use super::isn::{IsnSecret, keyed_hash};
use super::options::WINDOW_SCALE_MAX;
use super::output::TxLimits;
use super::seq::SeqNumber;
use super::shared_config::SharedConfig;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};

/// The segment sizes that a cookie can remember: what SYNs usually say, and less.
pub const MSS_TABLE: [u16; 8] = [216, 536, 1_220, 1_300, 1_440, 1_460, 4_036, 8_940];
/// A cookie is good for the minute it was made in and this many more.
const AGE_MINUTES_MAX: u32 = 1;
/// How long after the last cookie an ACK may bring one back.
pub const COOKIE_LIFE: Duration = Duration::from_secs(60 * (AGE_MINUTES_MAX as u64 + 1));
/// Bits of the cookie below the minute.
const COUNT_SHIFT: u32 = 24;
const DATA_MASK: u32 = (1 << COUNT_SHIFT) - 1;
/// Low bits of the timestamp that hold options.
const TS_BITS: u32 = 0x3f;
const TS_SCALE: u32 = 0x0f;
const TS_SACK: u32 = 0x10;
/// "No window scale": 15 is none (RFC 7323 §2.3).
const TS_NO_SCALE: u32 = 0x0f;

/// The four-tuple of the connection that may come to be.
#[derive(Clone, Copy, Debug)]
pub struct CookieTuple {
    /// Our end.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
}

fn minute(now: Instant) -> u32 {
    (now.as_millis() / 60_000) as u32
}

fn base(secret: &IsnSecret, tuple: &CookieTuple, irs: SeqNumber) -> u32 {
    keyed_hash(secret, 2, 0, tuple.local, tuple.remote).wrapping_add(irs.0)
}

/// It depends on `irs` too: were that in the sum alone, a segment some bytes on would bring the cookie of a smaller size back, and what
/// was lost before it would never be missed.
fn mask(secret: &IsnSecret, tuple: &CookieTuple, irs: SeqNumber, minute: u32) -> u32 {
    let begin = match planted::is(Bug::CookieOfLaterBytes) {
        true => 0,
        false => keyed_hash(secret, 4, irs.0, tuple.local, tuple.remote),
    };
    keyed_hash(secret, 3, minute, tuple.local, tuple.remote) ^ begin
}

/// The cookie for a SYN with the sequence number `irs` whose sender takes segments of `mss` bytes; `None` where that is less than
/// any cookie can remember.
fn bake(
    secret: &IsnSecret,
    now: Instant,
    tuple: &CookieTuple,
    irs: SeqNumber,
    mss: u16,
) -> Option<u32> {
    let index = MSS_TABLE.iter().rposition(|size| *size <= mss)? as u32;
    let minute = minute(now);
    let data = mask(secret, tuple, irs, minute).wrapping_add(index) & DATA_MASK;
    Some(base(secret, tuple, irs).wrapping_add(minute << COUNT_SHIFT).wrapping_add(data))
}

/// The segment size that `cookie` remembers; `None` when it is not ours, or too old.
fn taste(
    secret: &IsnSecret,
    now: Instant,
    tuple: &CookieTuple,
    irs: SeqNumber,
    cookie: u32,
) -> Option<u16> {
    let rest = cookie.wrapping_sub(base(secret, tuple, irs));
    let now = minute(now);
    let age = now.wrapping_sub(rest >> COUNT_SHIFT) & (u32::MAX >> COUNT_SHIFT);
    if age > AGE_MINUTES_MAX {
        return None;
    }
    let made = now.wrapping_sub(age);
    let index = rest.wrapping_sub(mask(secret, tuple, irs, made)) & DATA_MASK;
    let index = if planted::is(Bug::EveryCookieGood) { index % 8 } else { index };
    MSS_TABLE.get(index as usize).copied()
}

/// The options of a SYN of which nothing will be remembered but what cookie and timestamp hold.
fn offered(syn: &TcpHeader, config: &SharedConfig) -> TcpOptions {
    let with_timestamps = syn.options.timestamps.is_some() && config.timestamps;
    match with_timestamps {
        true => syn.options,
        false => TcpOptions { mss: syn.options.mss, ..TcpOptions::default() },
    }
}

/// TSval with the options in its low bits, never ahead of the clock.
fn with_options(timestamp: u32, options: &TcpOptions) -> u32 {
    if planted::is(Bug::CookieOfNoOptions) {
        return timestamp & !TS_BITS | TS_NO_SCALE;
    }
    let scale = options.window_scale.map_or(TS_NO_SCALE, |s| u32::from(s.min(WINDOW_SCALE_MAX)));
    let sack = if options.sack_permitted { TS_SACK } else { 0 };
    let value = (timestamp & !TS_BITS) | scale | sack;
    if value.wrapping_sub(timestamp).cast_signed() > 0 {
        value.wrapping_sub(TS_BITS + 1)
    } else {
        value
    }
}

impl Connection {
    /// Output: the SYN,ACK that answers `syn` when there is no room for a half-open connection. Nothing is kept. `None` for a peer
    /// whose segments have to be smaller than a cookie can say: it has to wait for room.
    pub fn cookie_answer(
        now: Instant,
        config: &SharedConfig,
        secret: &IsnSecret,
        tuple: &CookieTuple,
        syn: &TcpHeader,
        (limits, io): (&TxLimits, &impl StreamIo),
    ) -> Option<TcpHeader> {
        let options = offered(syn, config);
        // What a peer without the option takes, and a connection would believe.
        let peer_mss = options.mss.filter(|mss| *mss > 0).unwrap_or(MSS_TABLE[1]);
        let cookie = bake(secret, now, tuple, syn.seq, peer_mss)?;
        let ts_offset = super::isn::timestamp_offset(secret, tuple.local, tuple.remote);
        let bare = TcpHeader { options, flags: TcpFlags::SYN, ..*syn };
        let mut moment = Self::accept(now, config, cookie, ts_offset, &bare);
        let mut header = moment.poll_transmit(now, limits, io)?.header;
        if let Some(timestamps) = header.options.timestamps.as_mut() {
            timestamps.value = with_options(timestamps.value, &options);
        }
        Some(header)
    }

    /// Input: an ACK that belongs to no connection, for a listener that has sent cookies. Some when it brings one back: a
    /// half-open connection, to which this very segment is handed next.
    pub fn from_cookie(
        now: Instant,
        config: &SharedConfig,
        secret: &IsnSecret,
        tuple: &CookieTuple,
        ack: &TcpHeader,
    ) -> Option<Self> {
        let relevant = TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::RST.0;
        if ack.flags.0 & relevant != TcpFlags::ACK.0 {
            return None;
        }
        let (irs, cookie) = (ack.seq - 1, ack.ack - 1);
        let mss = taste(secret, now, tuple, irs, cookie.0)?;
        let ts_offset = super::isn::timestamp_offset(secret, tuple.local, tuple.remote);
        let mut options = TcpOptions { mss: Some(mss), ..TcpOptions::default() };
        if let Some(Timestamps { value, echo }) = ack.options.timestamps {
            // An echo that is not of this clock was not sent by us.
            let age = clock_ms(now).wrapping_add(ts_offset).wrapping_sub(echo);
            if age > COOKIE_LIFE.as_millis() as u32 {
                return None;
            }
            let scale = echo & TS_SCALE;
            options.timestamps = Some(Timestamps { value, echo: 0 });
            options.window_scale = (scale != TS_NO_SCALE).then_some(scale as u8);
            options.sack_permitted = echo & TS_SACK != 0;
        }
        let syn = TcpHeader { seq: irs, flags: TcpFlags::SYN, options, ..*ack };
        let mut connection = Self::accept(now, config, cookie.0, ts_offset, &syn);
        // The SYN,ACK has left already, with the window that every half-open connection promises.
        connection.snd.snd_nxt = cookie + 1;
        connection.snd.snd_max = cookie + 1;
        let promised = config.rcv_wnd_initial.min(connection.rcv.buffer_max);
        connection.rcv.rcv_adv = connection.rcv.rcv_nxt + promised;
        // Nothing is remembered that could wait for data (TCP_DEFER_ACCEPT): the time for it is over.
        connection.recovery.retries = connection.deferred_spans();
        Some(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: IsnSecret = IsnSecret([9; 16]);

    fn tuple() -> CookieTuple {
        CookieTuple { local: ([10, 0, 0, 1], 80).into(), remote: ([10, 0, 0, 2], 4_000).into() }
    }

    #[test]
    fn a_cookie_is_good_for_its_own_connection_and_for_two_minutes_at_most() {
        let (tuple, irs) = (tuple(), SeqNumber(77));
        let made = Instant::ZERO + Duration::from_secs(600);
        let cookie = bake(&SECRET, made, &tuple, irs, 1_460).unwrap();
        let at = |s| taste(&SECRET, made + Duration::from_secs(s), &tuple, irs, cookie);
        assert_eq!(
            [at(0), at(59), at(119), at(120), at(3_600)],
            [Some(1_460), Some(1_460), Some(1_460), None, None]
        );
        let other = CookieTuple { remote: ([10, 0, 0, 2], 4_001).into(), ..tuple };
        assert_eq!(taste(&SECRET, made, &other, irs, cookie), None);
        assert_eq!(taste(&SECRET, made, &tuple, irs + 100, cookie), None);
        assert_eq!(taste(&IsnSecret([8; 16]), made, &tuple, irs, cookie), None);
        // What was sent before this segment is missing: its sequence number is not the one behind the SYN's.
        for ahead in 1..1_000 {
            assert_eq!(taste(&SECRET, made, &tuple, irs + ahead, cookie), None, "{ahead}");
        }
    }

    #[test]
    fn a_guess_is_hardly_ever_a_cookie() {
        let made = Instant::ZERO + Duration::from_secs(600);
        let guess =
            |g: u32| taste(&SECRET, made, &tuple(), SeqNumber(1), g.wrapping_mul(0x9e37_79b9));
        let hits = (0..100_000).filter(|g| guess(*g).is_some()).count();
        assert!(hits <= 2, "{hits} of 100,000");
    }

    proptest! {
        #[test]
        fn the_size_is_the_greatest_of_the_table_that_the_peer_takes(
            mss in prop_oneof![0u16..600, any::<u16>()],
            irs: u32,
            s in 0u64..1 << 30,
        ) {
            let now = Instant::ZERO + Duration::from_secs(s);
            let cookie = bake(&SECRET, now, &tuple(), SeqNumber(irs), mss);
            let got = cookie.map(|c| taste(&SECRET, now, &tuple(), SeqNumber(irs), c).unwrap());
            let best = MSS_TABLE.into_iter().filter(|size| *size <= mss).max();
            prop_assert_eq!(got, best);
        }

        #[test]
        fn the_timestamp_keeps_the_options_and_is_never_ahead_of_the_clock(
            clock: u32,
            scale in proptest::option::of(0u8..=14),
            sack: bool,
        ) {
            let options = TcpOptions { window_scale: scale, sack_permitted: sack, ..TcpOptions::default() };
            let value = with_options(clock, &options);
            prop_assert!(clock.wrapping_sub(value) < 128);
            prop_assert_eq!(value & TS_SACK != 0, sack);
            prop_assert_eq!((value & TS_SCALE) as u8, scale.unwrap_or(15));
        }
    }
}
