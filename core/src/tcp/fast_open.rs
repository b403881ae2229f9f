//! TCP Fast Open (RFC 7413): data on the SYN, for clients that bring a cookie.
//!
//! A server's cookie is a keyed hash of both addresses, so that nothing is kept and only who receives at an address has its cookie.
//! A connection that takes data from a SYN is its application's at once, half-open as it is; how many of these there may be is the
//! listener's to count. Clients remember cookies by server ([`super::FastOpenCache`]). What a SYN carried and the SYN,ACK does not
//! acknowledge is lost, though not to the network's load, and a SYN that has to be repeated goes bare: whatever middleboxes do to
//! Fast Open, the connection comes to be.

use core::hash::Hasher;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use super::congestion::Congestion;
use super::connection::Connection;
use super::event::Events;
use super::input::SegmentIn;
use super::isn::IsnSecret;
use super::options::MSS_DEFAULT;
use super::recv_buffer::{Payload, Stored};
use super::seq::StreamEnd;
use super::state::State;
use crate::planted::{self, Bug};
use crate::port::{RingError, StreamIo};
use crate::time::{Duration, Instant};
use crate::wire::tcp::{FastOpenCookie, TCP_OPTIONS_MAX, TcpFlags, TcpHeader};

/// Bits of tcp_fastopen, with Linux's values.
pub mod setting {
    /// Connections may be opened with data on the SYN.
    pub const CLIENT: u16 = 0x1;
    /// Listeners that ask for it (TCP_FASTOPEN) take data from SYNs.
    pub const SERVER: u16 = 0x2;
    /// Clients send data without a cookie.
    pub const CLIENT_NO_COOKIE: u16 = 0x4;
    /// Listeners take data without a cookie.
    pub const SERVER_NO_COOKIE: u16 = 0x200;
    /// Every listener takes data, with Linux's queue of its backlog, whether it asks for it or not.
    pub const SERVER_ALL: u16 = 0x400;
    /// No bit of tcp_fastopen: TCP_FASTOPEN_NO_COOKIE, which is one socket's.
    pub(in crate::tcp) const SOCKET_NO_COOKIE: u16 = 0x8000;
    /// All of them.
    pub const ALL: u16 = CLIENT | SERVER | CLIENT_NO_COOKIE | SERVER_NO_COOKIE | SERVER_ALL;
}

/// A key that was not set is another one after this long; the one before is still good (RFC 7413 §5.1 wants it rotated).
const KEY_LIFE: Duration = Duration::from_secs(3_600);
/// Bytes of our cookies, as Linux's.
const COOKIE_LEN: usize = 8;

/// What a listener makes of the Fast Open option of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastOpenVerdict {
    /// Nothing: an ordinary SYN.
    Ordinary,
    /// The SYN,ACK carries this cookie; data is not taken.
    Grant(FastOpenCookie),
    /// Its data is taken; the SYN,ACK carries a new cookie if the old one was made with the key before.
    Take(Option<FastOpenCookie>),
}

/// The keys that a host makes its cookies with: the one in use and the one before.
#[derive(Clone, Copy)]
pub struct FastOpenKeys([Option<[u8; 16]>; 2]);

impl core::fmt::Debug for FastOpenKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("FastOpenKeys(..)")
    }
}

impl FastOpenKeys {
    /// The keys that were set (tcp_fastopen_key), else those that follow from the host's secret and the time.
    pub fn new(set: [Option<[u8; 16]>; 2], secret: &IsnSecret, now: Instant) -> Self {
        if set[0].is_some() {
            return Self(set);
        }
        let hour = now.as_nanos() / KEY_LIFE.as_nanos();
        let key = |hour: u64| {
            let half = |which: u8| {
                let mut hasher = SipHasher24::new_with_key(&secret.0);
                hasher.write(b"fast open");
                hasher.write(&hour.to_le_bytes());
                hasher.write(&[which]);
                hasher.finish().to_le_bytes()
            };
            let mut key = [0; 16];
            key[..8].copy_from_slice(&half(0));
            key[8..].copy_from_slice(&half(1));
            key
        };
        Self([Some(key(hour)), hour.checked_sub(1).map(key)])
    }

    /// What a listener at `server` makes of the `option` of a SYN from `client` with `data` bytes.
    /// `required`: data is taken with a cookie only.
    pub fn judge(
        &self,
        client: IpAddr,
        server: IpAddr,
        option: Option<FastOpenCookie>,
        data: usize,
        required: bool,
    ) -> FastOpenVerdict {
        if !required && data > 0 {
            return FastOpenVerdict::Take(None);
        }
        let Some(brought) = option else { return FastOpenVerdict::Ordinary };
        let [current, before] = self.0;
        let Some(current) = current else { return FastOpenVerdict::Ordinary };
        let fresh = cookie(&current, client, server, brought.is_experimental());
        let good = |cookie: FastOpenCookie| {
            brought.bytes() == cookie.bytes()
                || planted::is(Bug::AnyCookie) && !brought.is_request()
        };
        if good(fresh) {
            return FastOpenVerdict::Take(None);
        }
        let older = before.map(|key| cookie(&key, client, server, brought.is_experimental()));
        match older.is_some_and(good) {
            true => FastOpenVerdict::Take(Some(fresh)),
            false => FastOpenVerdict::Grant(fresh),
        }
    }
}

/// SipHash of both addresses, as Linux makes it.
fn cookie(key: &[u8; 16], client: IpAddr, server: IpAddr, experimental: bool) -> FastOpenCookie {
    let mut hasher = SipHasher24::new_with_key(key);
    for address in [client, server] {
        match address {
            IpAddr::V4(v4) => hasher.write(&v4.octets()),
            IpAddr::V6(v6) => hasher.write(&v6.octets()),
        }
    }
    let bytes: [u8; COOKIE_LEN] = hasher.finish().to_le_bytes();
    FastOpenCookie::new(&bytes, experimental).unwrap_or(FastOpenCookie::request(experimental))
}

/// What an active open tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastOpenOffer {
    /// An ordinary SYN: it failed too often lately.
    Nothing,
    /// The SYN asks for a cookie; by the experimental option, which old servers know instead, if so.
    Ask(bool),
    /// The SYN waits for data and carries it, with this cookie if there is one; the server takes segments of so many bytes.
    Data(Option<FastOpenCookie>, u16),
}

/// What an open with Fast Open has taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastOpenLesson {
    /// The server's cookie, if it sent one.
    pub cookie: Option<FastOpenCookie>,
    /// The segments that it takes.
    pub mss: u16,
    /// The SYN with data, or what answered it, was lost; the bare one got through.
    pub lost: bool,
    /// It asked for a cookie and got none; whether by the experimental option (RFC 6994).
    pub in_vain: Option<bool>,
}

/// Of a connection that is opened with Fast Open, by either side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct FastOpen {
    /// It took data from a SYN, and the handshake is not done.
    child: bool,
    /// The option of our first SYN or SYN,ACK.
    option: Option<FastOpenCookie>,
    /// The SYN waits for data and carries it.
    with_data: bool,
    /// What the server takes, as far as is remembered.
    mss: u16,
    /// Bytes that the SYN carried, or that were taken from one.
    syn_bytes: u32,
    /// The peer took them, or we did (TCPI_OPT_SYN_DATA).
    acked: bool,
    /// The handshake is done and what it taught was not told yet.
    untold: bool,
    learnt: Option<FastOpenCookie>,
    /// Linux's enum tcp_fastopen_client_fail.
    fail: u8,
}

/// TFO_DATA_NOT_ACKED and its neighbours.
const FAIL_COOKIE_UNAVAILABLE: u8 = 1;
const FAIL_DATA_NOT_ACKED: u8 = 2;
const FAIL_SYN_RETRANSMITTED: u8 = 3;

impl FastOpen {
    /// Getter: whether what was read back can be.
    pub(in crate::tcp) fn is_valid(&self) -> bool {
        let whole = |cookie: Option<FastOpenCookie>| cookie.is_none_or(|c| c.bytes().len() <= 16);
        self.syn_bytes <= 1 << 16 && whole(self.option) && whole(self.learnt)
    }
}

impl Connection {
    /// Command: of an active open that has sent nothing yet: what its SYN tries.
    pub fn offer_fast_open(&mut self, offer: FastOpenOffer) {
        let (option, with_data, mss, fail) = match offer {
            FastOpenOffer::Nothing => return,
            FastOpenOffer::Ask(experimental) => {
                (Some(FastOpenCookie::request(experimental)), false, 0, FAIL_COOKIE_UNAVAILABLE)
            }
            FastOpenOffer::Data(cookie, mss) => (cookie, true, mss, 0),
        };
        let offer = FastOpen { option, with_data, mss, fail, ..FastOpen::default() };
        self.seldom.attach_fast_open(offer);
    }

    /// Getter: the SYN waits for data to carry.
    pub fn waits_for_syn_data(&self, io: &impl StreamIo) -> bool {
        let waits = |f: &FastOpen| f.with_data && !f.child && f.syn_bytes == 0;
        self.state == State::SynSent
            && self.snd.snd_max == self.snd.iss
            && self.seldom.fast_open().is_some_and(waits)
            && io.tx_end() == 0
            && !self.snd.is_shut()
    }

    /// Getter: the segment size that a SYN which waits for data goes by.
    pub(in crate::tcp) fn mss_of_syn_data(&self) -> Option<u16> {
        let waits = |f: &&FastOpen| f.with_data && f.syn_bytes == 0;
        let remembered = self.seldom.fast_open().filter(waits)?.mss;
        let open = self.state == State::SynSent && self.snd.snd_max == self.snd.iss;
        let own = self.config.max_segment_or_all();
        open.then_some(remembered.min(self.options.mss_ip).min(own))
    }

    /// Getter: bytes that our SYN carries or carried, while it is not answered.
    pub fn syn_data_len(&self) -> u32 {
        let open = self.state == State::SynSent;
        self.seldom.fast_open().filter(|_| open).map_or(0, |f| f.syn_bytes)
    }

    /// Getter: of an open with Fast Open: more was written than the SYN carried.
    pub(in crate::tcp) fn has_more_than_syn_data(&self, io: &impl StreamIo) -> bool {
        self.seldom.fast_open().is_some_and(|f| self.snd.end(io) > u64::from(f.syn_bytes))
    }

    /// Input: the application came and has written nothing: a SYN that waits for data leaves without (a write of no bytes).
    pub fn waive_syn_data(&mut self, io: &impl StreamIo) {
        if self.seldom.fast_open().is_some()
            && self.waits_for_syn_data(io)
            && let Some(fast_open) = self.seldom.fast_open_mut()
        {
            fast_open.with_data = false;
        }
    }

    /// Output: what Fast Open adds to a SYN or SYN,ACK: an option, and how many bytes of the stream it carries. One that is sent
    /// `again` goes bare (RFC 7413 §4.1.3.1).
    pub(in crate::tcp) fn fast_open_syn(
        &mut self,
        again: bool,
        mss_ip: u16,
        io: &impl StreamIo,
    ) -> (Option<FastOpenCookie>, u32) {
        let own = self.config.max_segment_or_all();
        let again = again && !planted::is(Bug::DataOnEverySyn);
        let Some(fast_open) = self.seldom.fast_open_mut().filter(|_| !again) else {
            return (None, 0);
        };
        if self.state == State::SynSent && fast_open.with_data {
            let mss = mss_ip.min(fast_open.mss).min(own);
            let room = u32::from(mss).saturating_sub(TCP_OPTIONS_MAX as u32);
            fast_open.syn_bytes = u32::try_from(self.snd.end(io)).unwrap_or(u32::MAX).min(room);
            return (fast_open.option, fast_open.syn_bytes);
        }
        (fast_open.option, 0)
    }

    /// Input: the peer's SYN,ACK or, where both have sent a SYN, its acknowledgement; `snd_una` has advanced.
    pub(in crate::tcp) fn settle_syn_data(&mut self, header: &TcpHeader) {
        let Some(fast_open) = self.seldom.fast_open_mut().filter(|f| !f.child) else { return };
        if !self.flags.active {
            return;
        }
        let lost = self.counters.retransmits > 0;
        // Only what was asked for, or replaces what was brought.
        let asked = fast_open.option.is_some();
        fast_open.learnt = header.options.fast_open.filter(|cookie| asked && !cookie.is_request());
        fast_open.untold = true;
        // As the server said it: a smaller one may have been set for this connection (TCP_MAXSEG).
        fast_open.mss = header.options.mss.unwrap_or(MSS_DEFAULT);
        if fast_open.syn_bytes > 0 {
            fast_open.acked = self.snd.anchor.offset >= u64::from(fast_open.syn_bytes);
            if !fast_open.acked {
                fast_open.fail = if lost { FAIL_SYN_RETRANSMITTED } else { FAIL_DATA_NOT_ACKED };
            }
        } else if fast_open.learnt.is_some() {
            fast_open.fail = 0;
        }
    }

    /// Input: what came with the SYN,ACK of an open that used Fast Open, and whose data was taken: it is received at once, as far as
    /// the window of our SYN goes (tcp_fastopen_add_skb). The SYN,ACK of any other open keeps it: it comes again.
    pub(in crate::tcp) fn take_syn_ack_data(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) {
        let used = |f: &FastOpen| !f.child && (f.option.is_some() || f.syn_bytes > 0);
        let fin = segment.header.flags.contains(TcpFlags::FIN);
        let used = self.seldom.fast_open().is_some_and(used) && !planted::is(Bug::SynAckDataWaits);
        if !used || self.snd.outstanding() > 0 || (segment.payload_len == 0 && !fin) {
            return;
        }
        let len = segment.payload_len.min(self.rcv.rcv_wnd());
        if len > 0 {
            let payload = Payload { slices: segment.payload, skip: 0, len };
            let stored = self.rcv.store(self.rcv.anchor.offset, payload, io);
            if stored != (Stored::InOrder { filled: false }) {
                return;
            }
            self.events.raise(Events::READABLE);
        }
        if let Some(fast_open) = self.seldom.fast_open_mut() {
            fast_open.acked = true;
        }
        if fin && len == segment.payload_len {
            self.rcv.fin_offset = StreamEnd::at(self.rcv.anchor.offset);
            self.take_fin(now);
        }
    }

    /// Getter: what the open of a client has taught; said once.
    pub fn take_fast_open_lesson(&mut self) -> Option<FastOpenLesson> {
        let lost = self.counters.retransmits > 0;
        let fast_open = self.seldom.fast_open_mut().filter(|f| f.untold)?;
        fast_open.untold = false;
        let mss = fast_open.mss;
        let asked = fast_open.option.filter(|_| !lost && fast_open.learnt.is_none());
        let in_vain = asked.filter(FastOpenCookie::is_request).map(|o| o.is_experimental());
        let lost = fast_open.fail == FAIL_SYN_RETRANSMITTED && fast_open.learnt.is_none();
        Some(FastOpenLesson { cookie: fast_open.learnt, mss, lost, in_vain })
    }

    /// Command: of a passive open whose SYN,ACK was not sent yet: it carries this cookie.
    pub fn grant_fast_open(&mut self, cookie: FastOpenCookie) {
        let grant = FastOpen { option: Some(cookie), ..FastOpen::default() };
        self.seldom.attach_fast_open(grant);
    }

    /// Input: the data of a SYN that brought a good cookie, for a passive open whose SYN,ACK was not sent yet. The connection is the
    /// application's from now on.
    ///
    /// # Errors
    /// What the rings say; nothing was taken then.
    pub fn take_syn_data(
        &mut self,
        slices: &[&[u8]],
        len: u32,
        renewed: Option<FastOpenCookie>,
        io: &mut impl StreamIo,
    ) -> Result<(), RingError> {
        // No more than an ordinary SYN,ACK would promise.
        let len = len.min(self.config.rcv_wnd_initial).min(self.rcv.buffer_max);
        if len > 0 {
            self.rcv.store_next(slices, len, io)?;
            self.rcv.rcv_adv = self.rcv.rcv_adv.max(self.rcv.rcv_nxt);
            self.counters.data_segs_in = 1;
            self.events.raise(Events::READABLE);
        }
        let child = FastOpen {
            child: true,
            option: renewed,
            syn_bytes: len,
            acked: len > 0,
            ..FastOpen::default()
        };
        self.seldom.attach_fast_open(child);
        Ok(())
    }

    /// Getter: the connection took data from a SYN, and its handshake is not done: it may send.
    pub(in crate::tcp) fn is_fast_child(&self) -> bool {
        self.seldom.fast_open().is_some_and(|f| f.child)
    }

    /// Command: the SYN,ACK leaves. What may follow before it is acknowledged has an initial window of segments whose length is known
    /// by now.
    pub(in crate::tcp) fn begin_fast_child(&mut self) {
        if self.is_fast_child() && self.recovery.flight.is_none() {
            let (algorithm, mss) = (self.config.congestion, self.options.mss());
            self.congestion = Congestion::new(algorithm, mss, self.counters.syn_lost);
            self.follow_pacing_setting();
        }
    }

    /// Command: the handshake of a connection that took data from a SYN is done, or never will be. True, once, if it was one.
    pub fn settle_fast_child(&mut self) -> bool {
        self.seldom.fast_open_mut().is_some_and(|f| core::mem::take(&mut f.child))
    }

    /// Getter: TCPI_OPT_SYN_DATA and tcpi_fastopen_client_fail.
    pub(in crate::tcp) fn fast_open_figures(&self) -> (bool, u8) {
        self.seldom.fast_open().map_or((false, 0), |f| (f.acked, f.fail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: IsnSecret = IsnSecret([3; 16]);

    fn ends() -> (IpAddr, IpAddr) {
        ([192, 0, 2, 1].into(), [192, 168, 0, 1].into())
    }

    /// The key `a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4` of a Linux host.
    const KEY: [u8; 16] = [
        0xa1, 0xa1, 0xa1, 0xa1, 0xb2, 0xb2, 0xb2, 0xb2, 0xc3, 0xc3, 0xc3, 0xc3, 0xd4, 0xd4, 0xd4,
        0xd4,
    ];

    #[test]
    fn a_cookie_is_what_linux_makes_with_the_same_key() {
        let (client, server) = ends();
        let made = cookie(&KEY, client, server, false);
        assert_eq!(made.bytes(), [0x30, 0x21, 0xb9, 0xd8, 0x89, 0x01, 0x7e, 0xeb]);
    }

    #[test]
    fn a_cookie_is_good_for_its_own_address_until_the_key_has_changed_twice() {
        let (client, server) = ends();
        let at =
            |s: u64| FastOpenKeys::new([None; 2], &SECRET, Instant::ZERO + Duration::from_secs(s));
        let judge = |keys: FastOpenKeys, from: IpAddr, option| {
            keys.judge(from, server, Some(option), 10, true)
        };
        let ask = FastOpenCookie::request(false);
        let FastOpenVerdict::Grant(made) = judge(at(10_000), client, ask) else {
            panic!("a request is granted")
        };
        assert_eq!(judge(at(10_500), client, made), FastOpenVerdict::Take(None));
        let stranger = [192, 0, 2, 2].into();
        assert!(matches!(judge(at(10_500), stranger, made), FastOpenVerdict::Grant(_)));
        let later = judge(at(13_600), client, made);
        assert!(matches!(later, FastOpenVerdict::Take(Some(fresh)) if fresh != made));
        assert!(matches!(judge(at(18_000), client, made), FastOpenVerdict::Grant(_)));
    }

    #[test]
    fn without_a_cookie_data_is_taken_only_where_none_is_required() {
        let (client, server) = ends();
        let keys = FastOpenKeys::new([Some(KEY), None], &SECRET, Instant::ZERO);
        let judge = |data, required| keys.judge(client, server, None, data, required);
        assert_eq!(judge(10, true), FastOpenVerdict::Ordinary);
        assert_eq!(judge(10, false), FastOpenVerdict::Take(None));
        assert_eq!(judge(0, false), FastOpenVerdict::Ordinary);
    }
}
