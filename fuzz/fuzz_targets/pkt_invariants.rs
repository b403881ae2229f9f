//! What the `.pkt` scripts expect of every connection, held against any script: which segments are acknowledged, challenged,
//! reset or ignored (RFC 9293 §3.10.7.4, RFC 5961), and which bytes are taken, by a judge and a model that know the text only.
//! And two connections that must agree: one is written out and read back now and then; or one gets each segment cut in two.
#![no_main]

use arbitrary::Arbitrary;
use causeway_core::tcp::{
    Config, Connection, Disposition, FastOpenOffer, ListenDecision, SeqNumber, State, listen,
};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::{FastOpenCookie, TcpFlags, TcpHeader};
use causeway_fuzz::judge::{Outcome, Verdict, View, judge};
use causeway_fuzz::lab::{Reaction, Subject};
use causeway_fuzz::script::{Action, Cookie, FastOpen, Pause, Script, Segment, Setup, Stamp};
use causeway_fuzz::{Peer, StreamModel};
use libfuzzer_sys::fuzz_target;

const ACTIONS_MAX: usize = 200;
/// A connection sends a challenge in 500 ms of its clock, which ticks every millisecond.
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(501);

/// What the second connection gets.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum Twin {
    /// The same, and is written out and read back where the script says so.
    Restarted,
    /// Each segment in two pieces. Its application writes nothing, so that both have the same to acknowledge.
    Cut,
}

struct World {
    now: Instant,
    twin: Twin,
    first: Subject,
    second: Subject,
    peer: Peer,
    model: StreamModel,
    snd_nxt: SeqNumber,
    /// When a segment came last whose answer counts against the limit of challenges.
    limited_at: Instant,
    /// What is judged depends on something that the judge does not know any more.
    is_over: bool,
    open: bool,
}

/// The right one here.
const COOKIE: [u8; 8] = *b"a cookie";

fn cookie() -> FastOpenCookie {
    FastOpenCookie::new(&COOKIE, false).expect("it has eight bytes")
}

/// What a listener makes of a SYN with this.
fn begin(fast_open: &FastOpen, subject: &mut Subject, payload: &[u8]) {
    let good = fast_open.cookie == Cookie::Right || fast_open.cookieless && !payload.is_empty();
    if good {
        let renewed = fast_open.granted.then(cookie);
        let taken = subject.tcp.take_syn_data(
            &[payload],
            payload.len() as u32,
            renewed,
            &mut subject.rings,
        );
        taken.expect("the rings are empty");
    } else if fast_open.cookie != Cookie::Missing {
        subject.tcp.grant_fast_open(cookie());
    }
}

/// What an active open with this tries; `None` where it has nothing to send.
fn offer(fast_open: &FastOpen) -> FastOpenOffer {
    let mss = 1_460;
    match fast_open.option(cookie()) {
        Some(option) if option.is_request() => FastOpenOffer::Ask(option.is_experimental()),
        None if !fast_open.cookieless => FastOpenOffer::Nothing,
        option => FastOpenOffer::Data(option, mss),
    }
}

fn connection(setup: &Setup, now: Instant, peer: &mut Peer) -> Option<Subject> {
    let config = Config::builder()
        .timestamps(setup.timestamps)
        .window_scaling(setup.window_scaling)
        .sack(setup.sack)
        .congestion(setup.congestion())
        .build()
        .ok()?;
    if !setup.passive {
        let mut subject = Subject::new(Connection::connect(now, &config, setup.iss.number(), 7));
        if let Some(fast_open) = &setup.fast_open {
            subject.tcp.offer_fast_open(offer(fast_open));
            // Its SYN may wait for them.
            subject.rings.write(fast_open.bytes().max(1).into());
            let with_data = matches!(offer(fast_open), FastOpenOffer::Data(..));
            peer.allow_syn_data(if with_data { fast_open.bytes().max(1) } else { 0 });
        }
        return Some(subject);
    }
    let (syn, len) = peer.syn(now, cookie());
    if listen(&syn) != ListenDecision::Accept {
        return None;
    }
    let mut subject = Subject::new(Connection::accept(now, &config, setup.iss.number(), 7, &syn));
    if let Some(fast_open) = &setup.fast_open {
        begin(fast_open, &mut subject, &peer.payload(&syn, len));
    }
    Some(subject)
}

impl World {
    fn new(twin: Twin, setup: &Setup) -> Option<Self> {
        let now = Instant::from_nanos(1_000_000_000);
        let mut peer = Peer::new(setup);
        if twin == Twin::Cut && !setup.passive && setup.fast_open.is_some() {
            // Its application would write.
            return None;
        }
        let first = connection(setup, now, &mut peer)?;
        let mut world = Self {
            now,
            twin,
            second: first.clone(),
            first,
            peer,
            model: StreamModel::default(),
            snd_nxt: SeqNumber(setup.iss.number()),
            limited_at: Instant::ZERO,
            is_over: false,
            open: true,
        };
        // What was taken from a SYN.
        let taken = world.first.rings.committed;
        let syn = TcpHeader { seq: world.peer.irs, flags: TcpFlags::SYN, ..TcpHeader::default() };
        world.model.take(0, &world.peer.payload(&syn, taken as u32), taken, false);
        world.react();
        if !setup.passive {
            let (answer, _) = world.peer.syn(now, cookie());
            world.take(&answer, &[], 0, 0);
        }
        Some(world)
    }

    fn view(&self) -> View {
        View::of(&self.first.tcp, &self.peer, self.snd_nxt)
    }

    fn react(&mut self) -> Reaction {
        let reaction = self.first.react(self.now);
        for out in &reaction.sent {
            let mut payload = vec![0; out.payload_len as usize];
            causeway_fuzz::content::fill(
                causeway_fuzz::content::Way::Out,
                out.payload_offset,
                &mut payload,
            );
            self.peer.see(&out.header, &payload, out.payload_len);
            let controls = out.header.flags.0 & 3;
            if !out.header.flags.contains(TcpFlags::RST) {
                let end = out.header.seq + out.payload_len + controls.count_ones();
                self.snd_nxt = self.snd_nxt.max(end);
            }
        }
        let other = self.second.react(self.now);
        if self.twin == Twin::Restarted {
            assert_eq!(reaction, other, "they sent or said something else");
            assert!(self.first.tcp == self.second.tcp, "they are not the same");
        }
        reaction
    }

    /// Both get a segment.
    fn take(&mut self, header: &TcpHeader, payload: &[u8], ecn: u8, cut: usize) {
        let before = self.view();
        let len = payload.len() as u32;
        if self.twin == Twin::Cut && !self.fits_both(header, len) {
            return;
        }
        let disposition = self.first.take(self.now, header, payload, ecn);
        match self.twin {
            Twin::Restarted => {
                let other = self.second.take(self.now, header, payload, ecn);
                assert_eq!(disposition, other, "they say something else of a segment");
            }
            Twin::Cut => self.second.take_cut(self.now, header, payload, cut),
        }
        for subject in [&mut self.first, &mut self.second] {
            if subject.tcp.state() != State::SynReceived {
                subject.tcp.settle_fast_child();
            }
        }
        let sent = self.react().sent;
        let after = self.view();
        if before.state.is_synchronized() && self.twin == Twin::Restarted {
            let verdict = judge(&before, header, len);
            Outcome { before, after, sent: &sent, disposition }.check(verdict);
            self.check_limit(verdict, disposition, sent.len());
            self.follow(verdict, before, header, payload, disposition);
            self.check_taken(verdict, before, header, len, disposition, sent.len());
        } else if self.twin == Twin::Cut {
            assert_eq!(self.first.tcp.state(), self.second.tcp.state());
            assert_eq!(self.first.rings.committed, self.second.rings.committed);
            let in_order = ..self.first.rings.committed as usize;
            assert!(self.first.rings.stored[in_order] == self.second.rings.stored[in_order]);
        } else if after.state.is_synchronized() && (len > 0 || header.flags.contains(TcpFlags::FIN))
        {
            // Text that came with the handshake: whether it is taken is the connection's choice.
            self.is_over = true;
        } else {
            self.limited_at = self.now;
        }
        self.is_over |= after.state == State::Closed || disposition == Disposition::Reopen;
    }

    /// Their windows may differ by what they have acknowledged: what lies beyond one of them is cut off there.
    fn fits_both(&self, header: &TcpHeader, len: u32) -> bool {
        [&self.first, &self.second].into_iter().all(|subject| {
            let view = View::of(&subject.tcp, &self.peer, self.snd_nxt);
            header.seq + len <= view.rcv_nxt + view.rcv_wnd
        })
    }

    /// Challenges are limited (RFC 5961 §7), but after half a second without one there is one.
    fn check_limit(&mut self, verdict: Verdict, disposition: Disposition, answers: usize) {
        if verdict == Verdict::Take && disposition == Disposition::Accept {
            return;
        }
        let since = self.now.saturating_since(self.limited_at);
        if verdict == Verdict::Challenge && since > CHALLENGE_INTERVAL {
            assert_eq!(answers, 1, "no challenge, though there was none for {since}");
        }
        self.limited_at = self.now;
    }

    /// The model takes what the judge lets through.
    fn follow(
        &mut self,
        verdict: Verdict,
        before: View,
        header: &TcpHeader,
        payload: &[u8],
        disposition: Disposition,
    ) {
        let challenged = disposition == Disposition::ChallengeAck;
        if verdict != Verdict::Take
            || challenged
            || self.peer.is_over
            || !before.state.may_receive()
        {
            self.is_over |= challenged && header.ack >= before.snd_una && verdict == Verdict::Take;
            return;
        }
        let old = header.ack < before.snd_una && disposition == Disposition::Ignore;
        if old || (!payload.is_empty() && disposition == Disposition::Ignore) {
            // An acknowledgement of long ago beyond the limit of challenges. Gaps are more than a script has segments.
            assert!(old);
            self.is_over = true;
            return;
        }
        let start = self.model.edge as i64 + i64::from(header.seq.distance_from(before.rcv_nxt));
        let limit = self.model.edge + u64::from(before.rcv_wnd);
        self.model.take(start, payload, limit, header.flags.contains(TcpFlags::FIN));
    }

    /// What a segment that was taken leads to.
    fn check_taken(
        &self,
        verdict: Verdict,
        before: View,
        header: &TcpHeader,
        len: u32,
        disposition: Disposition,
        answers: usize,
    ) {
        let after = self.view();
        let passed = verdict == Verdict::Take && disposition != Disposition::ChallengeAck;
        if !passed || after.state == State::Closed || self.is_over {
            return;
        }
        let rings = &self.first.rings;
        assert_eq!(after.snd_una, before.snd_una.max(header.ack), "SND.UNA");
        assert_eq!(rings.committed, self.model.edge, "RCV.NXT");
        assert!(self.model.agrees(&rings.stored), "other bytes were taken");
        assert_eq!(!after.state.may_receive(), self.model.is_whole(), "the end of the stream");
        // RFC 5681 §4.2: a segment out of order, or one that fills a gap, is acknowledged at once; so is a FIN.
        let moved = after.rcv_nxt.distance_from(before.rcv_nxt).cast_unsigned();
        let fin = header.flags.contains(TcpFlags::FIN);
        let at_once = (len > 0 && header.seq > before.rcv_nxt) || moved > len || fin;
        if before.state.may_receive() && at_once {
            assert!(answers > 0, "not acknowledged at once: {header:?}");
        }
    }

    fn segment(&mut self, segment: &Segment) {
        // The judge does not keep timestamps: they are as they should be.
        let segment = Segment { stamp: Stamp::Right, ..*segment };
        let (header, len) = self.peer.segment(self.now, &segment);
        let mut payload = self.peer.payload(&header, len);
        if segment.contradicts {
            payload.iter_mut().for_each(|byte| *byte ^= 0xf0);
        }
        self.take(&header, &payload, segment.ecn, segment.cut.into());
    }

    fn pass(&mut self, pause: Pause) {
        let next = self.first.tcp.poll_timeout().map_or(self.now, |(at, _)| at);
        let span = match pause {
            Pause::Micros(us) => Duration::from_micros(us.into()),
            Pause::Millis(ms) => Duration::from_millis(ms.into()),
            Pause::Timer => next.saturating_since(self.now),
        };
        self.now += span;
        self.both(|subject, now| subject.expire(now));
    }

    fn both(&mut self, work: impl Fn(&mut Subject, Instant)) {
        work(&mut self.first, self.now);
        work(&mut self.second, self.now);
        self.react();
        self.peer.look_at_texts();
        self.is_over |= self.first.tcp.state() == State::Closed;
    }

    fn record(&mut self, len: u16) {
        let (mut taken, mut offset) = (false, 0);
        for subject in [&mut self.first, &mut self.second] {
            subject.rings.write(len.into());
            offset = subject.rings.written;
            taken = subject.tcp.end_record(offset, &subject.rings).is_ok();
        }
        if taken && self.peer.may_end_record(offset) {
            self.peer.end_record(offset);
        }
        self.react();
        self.peer.look_at_texts();
    }

    fn play(&mut self, action: &Action) {
        match *action {
            Action::Segment(ref segment) => self.segment(segment),
            Action::Acknowledge => {
                let header = self.peer.acknowledgement(self.now);
                self.take(&header, &[], 0, 0);
            }
            Action::Pass(pause) => self.pass(pause),
            Action::Write(len) if self.open && self.twin == Twin::Restarted => {
                self.both(|subject, _| subject.rings.write(len.into()));
            }
            Action::Record(len) if self.open && self.twin == Twin::Restarted => self.record(len),
            Action::Urgent if self.twin == Twin::Restarted => {
                self.both(|subject, _| {
                    // Refused while nothing is written.
                    let _ = subject.tcp.mark_urgent(subject.rings.written, &subject.rings);
                });
            }
            Action::Read(len) => self.both(|subject, _| subject.rings.read(len.into())),
            Action::Shutdown | Action::Close => {
                self.open = false;
                self.both(|subject, now| subject.tcp.shutdown_write(now, &subject.rings));
            }
            Action::Option(choice) if self.twin == Twin::Restarted => {
                if let Some(option) = choice.option() {
                    self.both(|subject, now| {
                        // Some need a state that is not reached yet.
                        let _ = subject.tcp.set_option(now, option);
                    });
                }
            }
            Action::Restore if self.twin == Twin::Restarted => self.second.restart(),
            Action::Abort
            | Action::Write(_)
            | Action::Record(_)
            | Action::Urgent
            | Action::Option(_)
            | Action::Restore => {}
        }
    }
}

fuzz_target!(|run: (Twin, Script)| {
    let (twin, script) = run;
    let Some(mut world) = World::new(twin, &script.setup) else { return };
    for action in script.actions.iter().take(ACTIONS_MAX) {
        if world.is_over || world.peer.is_over {
            break;
        }
        world.play(action);
    }
});
