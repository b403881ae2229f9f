//! SYN and SYN,ACK: which numbers and options a connection begins with.

use super::connection::{Agreed, Candidate, End, Offered, Segment, Tri, unwrap};
use super::host::HostRules;
use super::ranges::Received;
use super::registry::{
    ECN_SYN_ACK, TCP_ACK_UNRECEIVED, TCP_SYN_ACK_OFFER, TCP_SYN_AGAIN, TCP_TIME_WAIT,
};
use super::report::{Report, Scene};
use super::stamps::Stamps;
use crate::packet::{Flags, Tcp};

/// Most SYNs with different numbers that are remembered.
const CANDIDATES_MAX: usize = 16;
/// Most segments before the SYN,ACK that are remembered.
const EARLY_MAX: usize = 16;
/// Window scales above are taken for it (RFC 7323 2.3).
const SCALE_MAX: u8 = 14;
/// What a peer that announces nothing takes (RFC 9293 3.7.1).
const MSS_DEFAULT: [u16; 2] = [536, 1_220];

/// So far from a cookie are others that are good.
const NEAR_COOKIES: i64 = 8;

const ASKS: Flags = Flags(Flags::ECE.0 | Flags::CWR.0);

fn offered(tcp: &Tcp) -> Offered {
    let options = &tcp.options;
    Offered {
        mss: options.mss,
        scale: options.window_scale,
        sack: options.sack_permitted,
        timestamps: options.timestamps.is_some(),
    }
}

/// Whether a SYN asks for ECN, or a SYN,ACK grants it.
fn ecn(tcp: &Tcp) -> bool {
    let bits = tcp.flags.0 & ASKS.0;
    if tcp.flags.has(Flags::ACK) { bits == Flags::ECE.0 } else { bits == ASKS.0 }
}

impl Candidate {
    fn new(tcp: &Tcp, payload: i64) -> Self {
        let options = &tcp.options;
        let mut stamps = Stamps::default();
        stamps.received(tcp, 0);
        Self {
            stamps,
            isn: tcp.seq,
            timestamps: Tri::of(options.timestamps.is_some()),
            sack: Tri::of(options.sack_permitted),
            scaled: Tri::of(options.window_scale.is_some()),
            scale: options.window_scale.unwrap_or(0).min(SCALE_MAX),
            mss: options.mss.unwrap_or(0),
            ecn: Tri::of(ecn(tcp)),
            payload,
            again: false,
        }
    }

    fn join(&mut self, tcp: &Tcp, payload: i64) {
        let other = Self::new(tcp, payload);
        self.timestamps = self.timestamps.joined(other.timestamps == Tri::Yes);
        self.sack = self.sack.joined(other.sack == Tri::Yes);
        self.scaled = self.scaled.joined(other.scaled == Tri::Yes);
        if self.scaled == Tri::Yes && self.scale != other.scale {
            self.scaled = Tri::Maybe;
        }
        self.scale = self.scale.max(other.scale);
        self.mss = self.mss.max(other.mss);
        self.ecn = self.ecn.joined(other.ecn == Tri::Yes);
        self.payload = self.payload.max(payload);
        self.again = true;
        self.stamps.received(tcp, 0);
    }
}

impl End {
    /// Input: a SYN or SYN,ACK reached the host.
    pub(super) fn syn_received(&mut self, tcp: &Tcp, payload: i64) {
        match self.candidates.iter_mut().find(|candidate| candidate.isn == tcp.seq) {
            Some(candidate) => candidate.join(tcp, payload),
            None => {
                if self.candidates.len() == CANDIDATES_MAX {
                    self.candidates.remove(0);
                }
                self.candidates.push(Candidate::new(tcp, payload));
            }
        }
        if tcp.options.fast_open.is_some_and(|option| option.cookie_len > 0) {
            // Only who got the cookie at that address has it.
            self.stranger.prove();
        }
        if !self.open || self.settled {
            return;
        }
        let acks = unwrap(tcp.ack, self.iss, self.snd.max);
        let answers = !tcp.flags.has(Flags::ACK) || (1..=self.snd.max).contains(&acks);
        match self.irs {
            None if answers => self.adopt(tcp.seq),
            Some(irs) if irs == tcp.seq => self.agree(),
            Some(_) | None => {}
        }
    }

    /// The peer's numbers begin with `isn`, of a SYN that reached the host.
    fn adopt(&mut self, isn: u32) {
        self.irs = Some(isn);
        let candidate = self.candidate(isn);
        let payload = candidate.map_or(0, |candidate| candidate.payload);
        if let Some(heard) = candidate.map(|candidate| candidate.stamps) {
            self.stamps.begin(&heard);
        }
        self.rcv = Received::begin(1 + payload);
        self.blind |= self.early.len() == EARLY_MAX;
        for (first, count) in std::mem::take(&mut self.early) {
            let start = unwrap(first, isn, self.rcv.edge);
            self.rcv.insert(start, start + count);
        }
        self.agree();
    }

    /// Input: a segment reached the host, which has not answered the peer's SYN.
    pub(super) fn early_received(&mut self, tcp: &Tcp, payload: i64) {
        let count = payload + i64::from(tcp.flags.has(Flags::FIN));
        let plain = !tcp.flags.has(Flags::SYN) && !tcp.flags.has(Flags::RST);
        if plain && count > 0 && self.early.len() < EARLY_MAX {
            self.early.push((tcp.seq, count));
        }
    }

    fn candidate(&self, isn: u32) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.isn == isn)
    }

    /// Getter: SYNs of one number came that differ in what they offer.
    pub(super) fn syns_differ(&self) -> bool {
        let candidate = self.irs.and_then(|irs| self.candidate(irs));
        candidate.is_some_and(|c| [c.timestamps, c.sack, c.scaled].contains(&Tri::Maybe))
    }

    /// The SYN that `ack` acknowledges.
    fn candidate_of(&self, ack: u32) -> Option<u32> {
        let fits = |candidate: &&Candidate| {
            let beyond = ack.wrapping_sub(candidate.isn).wrapping_sub(1);
            i64::from(beyond) <= candidate.payload
        };
        self.candidates.iter().find(fits).map(|candidate| candidate.isn)
    }

    fn agree(&mut self) {
        let Some(candidate) = self.irs.and_then(|irs| self.candidate(irs)) else { return };
        let own = self.offered;
        let default = MSS_DEFAULT[usize::from(self.ends.0.is_ipv6())];
        self.agreed = Agreed {
            timestamps: candidate.timestamps.and(own.timestamps),
            sack: candidate.sack.and(own.sack),
            scaled: candidate.scaled.and(own.scale.is_some()),
            peer_shift: candidate.scale,
            own_shift: own.scale.unwrap_or(0),
            peer_mss: if candidate.mss == 0 { default } else { candidate.mss },
            ecn: candidate.ecn.and(self.marks.asked),
        };
    }

    /// Input: the host sends a SYN or SYN,ACK.
    pub(super) fn syn_sent(
        &mut self,
        tcp: &Tcp,
        host: &HostRules,
        scene: &Scene,
        out: &mut Report,
    ) {
        let answers = tcp.flags.has(Flags::ACK);
        let again = self.open && self.iss == tcp.seq;
        if !again {
            if answers {
                self.judge_time_wait(tcp, host, scene, out);
            }
            self.reopen(tcp.seq, !answers, scene.at);
            self.offered = offered(tcp);
        } else if !answers || !self.active {
            self.judge_again(tcp, scene, out);
        }
        self.marks.asked |= ecn(tcp);
        self.snd.fast_open |= tcp.options.fast_open.is_some();
        if answers {
            self.judge_answer(tcp, scene, out);
        }
    }

    fn judge_again(&mut self, tcp: &Tcp, scene: &Scene, out: &mut Report) {
        let (mut before, mut now) = (self.offered, offered(tcp));
        if self.snd.fast_open && now.mss <= before.mss {
            // One whose data may have been too big says what the path is known to carry.
            now.mss = before.mss;
        }
        if let Some(candidate) = self.irs.and_then(|irs| self.candidate(irs)) {
            // A host that writes nothing down answers each SYN as that one asks (RFC 4987 3.6).
            let asks = *candidate;
            // Such a host knows window scale and SACK by what comes back in the timestamp only, and offers neither without one.
            let stampless = asks.timestamps == Tri::Maybe;
            let either = |asked, now: &mut bool, before: &mut bool| {
                if asked == Tri::Maybe || stampless {
                    (*now, *before) = (*now || *before, *now || *before);
                }
            };
            either(asks.sack, &mut now.sack, &mut before.sack);
            either(asks.timestamps, &mut now.timestamps, &mut before.timestamps);
            if asks.scaled == Tri::Maybe || stampless {
                let scale = before.scale.or(now.scale);
                (now.scale, before.scale) = (scale, scale);
            }
            self.offered = before;
        }
        if now != before {
            out.broken(TCP_SYN_AGAIN, scene, format!("first {before:?}, now {now:?}"));
        }
    }

    /// Of a SYN,ACK: the SYN that it answers reached the host, and offered what it accepts.
    fn judge_answer(&mut self, tcp: &Tcp, scene: &Scene, out: &mut Report) {
        let Some(isn) = self.candidate_of(tcp.ack) else {
            let known = self.irs.is_some_and(|irs| tcp.ack.wrapping_sub(irs) as i32 > 0);
            if !known {
                self.blind = true;
                let words = format!("SYN,ACK acknowledges {}: no such SYN was received", tcp.ack);
                out.broken(TCP_ACK_UNRECEIVED, scene, words);
            }
            return;
        };
        if self.irs != Some(isn) {
            self.adopt(isn);
        }
        self.settled = true;
        self.agree();
        if self.candidate(isn).is_some_and(|candidate| candidate.again) {
            // Each SYN is answered.
            self.spoken_to = Some(scene.at);
        }
        let Some(candidate) = self.candidate(isn).copied().filter(|_| !self.active) else { return };
        let own = offered(tcp);
        let unasked = [
            ("timestamps", own.timestamps, candidate.timestamps),
            ("SACK", own.sack, candidate.sack),
            ("window scale", own.scale.is_some(), candidate.scaled),
        ];
        for (name, accepts, asked) in unasked {
            if accepts && asked == Tri::No {
                out.broken(TCP_SYN_ACK_OFFER, scene, format!("{name} was not offered"));
            }
        }
        let bits = tcp.flags.0 & ASKS.0;
        let grants = bits != 0;
        if bits == ASKS.0 || bits == Flags::CWR.0 || (grants && candidate.ecn == Tri::No) {
            let words =
                format!("SYN,ACK with ECN bits {bits:#x}, the SYN asking: {:?}", candidate.ecn);
            out.broken(ECN_SYN_ACK, scene, words);
        }
    }

    /// Getter: nothing is left of the connection at the host, which did not close first and knows that its FIN arrived, or reset it.
    fn is_gone(&self) -> bool {
        let snd = &self.snd;
        let closed = snd.fin.is_some_and(|fin| snd.una > fin) && !self.closes_first;
        snd.has_reset || snd.aborted || closed
    }

    /// Input: a segment reached the host. What completes a handshake that the host has not written down tells of the options by its
    /// timestamp (RFC 4987 3.6): without one, nothing was agreed on as far as the host knows.
    #[inline]
    pub(super) fn cookie_received(&mut self, segment: &Segment<'_>) {
        let plain = !segment.has(Flags::SYN) && !segment.has(Flags::RST);
        let Some(ack) = segment.ack.filter(|_| plain && !self.active) else { return };
        let over = self.is_gone() && segment.seq == 1;
        // Whether the host believed the peer's reset does not show.
        let perhaps = self.peer_reset && !over && segment.seq == 1;
        let unsent = !self.snd.spoken && ack > self.snd.max;
        if (2..=NEAR_COOKIES).contains(&ack) && (over || unsent) || perhaps && ack <= NEAR_COOKIES {
            // The number before what is acknowledged may be a cookie, too, which tells another MSS: the host's numbers may be others.
            (self.open, self.foreign) = (false, true);
            self.stranger.prove();
        }
        if ack != 1 || perhaps {
            return;
        }
        if over {
            // The cookie is good for as long as it was, whatever has become of the connection that it began.
            let (offered, irs, heard) = (self.offered, self.irs, self.stamps);
            self.reopen(self.iss, false, segment.at);
            self.offered = offered;
            irs.into_iter().for_each(|irs| self.adopt(irs));
            // Several may have come that bring it back, of which the host takes the first.
            self.stamps.begin(&heard);
            self.blind = true;
            (self.settled, self.snd.max) = (true, 1);
        }
        if !self.snd.spoken && segment.tcp.options.timestamps.is_none() {
            let agreed = &mut self.agreed;
            for option in [&mut agreed.timestamps, &mut agreed.sack, &mut agreed.scaled] {
                *option = option.joined(false);
            }
        }
    }

    /// Input: the host sends something that is not SYN. With the numbers of an earlier answer, which was a cookie, it speaks on a connection
    /// that this answer began, and not the last one.
    pub(super) fn cookie_used(&mut self, tcp: &Tcp) {
        if self.answers.is_empty() || self.active || self.snd.spoken && !self.is_gone() {
            return;
        }
        let begins =
            |iss: &u32| (1..=NEAR_COOKIES).contains(&i64::from(tcp.seq.wrapping_sub(*iss)));
        if self.answers.iter().any(begins) {
            (self.open, self.foreign) = (false, true);
            self.stranger.prove();
        }
    }

    /// Input: the host sends something that is not SYN, and acknowledges `ack`: that shows which SYN it believes.
    pub(super) fn settle(&mut self, ack: u32) {
        if self.settled {
            return;
        }
        let fits = self.irs.is_some_and(|irs| {
            let beyond = ack.wrapping_sub(irs).wrapping_sub(1);
            i64::from(beyond) <= self.rcv.edge
        });
        if !fits && let Some(isn) = self.candidate_of(ack) {
            // What followed it was not noted.
            self.blind = true;
            self.adopt(isn);
        }
        self.settled = self.irs.is_some();
    }

    /// A SYN,ACK of a new connection, while the old one is in TIME-WAIT (RFC 6191 2).
    fn judge_time_wait(&self, tcp: &Tcp, host: &HostRules, scene: &Scene, out: &mut Report) {
        let (Some(since), Some(irs)) = (self.time_wait, self.irs) else { return };
        let over = since + host.time_wait;
        if scene.at >= over || self.blind || self.peer_reset {
            return;
        }
        let beyond = unwrap(tcp.ack, irs, self.rcv.edge) > self.rcv.edge;
        let newer = self.stamps.is_newer_syn;
        if !beyond && !newer {
            let words = format!(
                "a SYN is accepted {} after TIME-WAIT began",
                scene.at.saturating_since(since)
            );
            out.broken(TCP_TIME_WAIT, scene, words);
        }
    }
}
