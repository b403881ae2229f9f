//! What an acknowledgement means for recovery: one machine of RACK, PRR, F-RTO, NewReno and what undoes them.

use super::dsack;
use super::flight::{Delivery, Flight};
use super::frto::Verdict;
use super::rack::Path;
use super::state::{Phase, Trouble};
use super::timers::OFF;
use super::tlp::{ProbeAck, ProbeOutcome, probe_timeout};
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::tcp::congestion::{AckPhase, AckSample, Lost};
use crate::tcp::connection::{Connection, millis};
use crate::tcp::event::Events;
use crate::tcp::seq::SeqNumber;
use crate::tcp::state::State;
use crate::tcp::timer::TimerReason;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{SackBlocks, Timestamps};

/// The least time after which a peer that took back what it held is sent everything again.
const RENEGED_MS: u32 = 10;

/// What recovery judges an acknowledgement by.
struct Ack<'a> {
    timestamps: Option<Timestamps>,
    delivery: &'a Delivery,
    /// `snd_una` advanced by so many bytes.
    acked: u32,
    advanced: bool,
    /// RFC 5681 §2, the definition of a duplicate acknowledgement.
    duplicate: bool,
    /// Data that was never sent, and that the peer's window takes.
    may_send_new: bool,
    /// Bytes found lost before it, modulo 2^32.
    lost_before: u32,
}

impl Ack<'_> {
    fn echo(&self) -> Option<u32> {
        self.timestamps.map(|timestamps| timestamps.echo)
    }
}

impl Connection {
    /// Input: an acknowledgement, new or a duplicate, of `snd_max` at most. `duplicate`: by the definition of RFC 5681 §2.
    pub(in crate::tcp) fn take_ack(
        &mut self,
        now: Instant,
        ack: SeqNumber,
        timestamps: Option<Timestamps>,
        blocks: &SackBlocks,
        duplicate: bool,
        io: &mut impl StreamIo,
    ) {
        let mss = self.options.mss();
        let advanced = ack > self.snd.snd_una;
        let acked = if advanced { self.snd.acknowledge(ack, io) } else { 0 };
        let una = self.snd.offset_of(self.snd.snd_una);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        // A tail loss probe makes no use of the window.
        let in_flight_before = flight.pipe(mss).min(flight.outstanding());
        let lost_before = flight.rate.lost;
        let sack = blocks.len > 0 && self.options.sack;
        let plain = self.recovery.phase == Phase::Open && !duplicate && !sack && flight.is_plain();
        let reducing = flight.prr.is_of_echo() || self.ecn.is_echoed();
        let mut delivery = Delivery::new(now, self.rtt.min_rtt());
        if advanced {
            flight.acknowledge(una, mss, &mut delivery);
            if plain && delivery.certain.len > 0 {
                // A timeout goes by the round trip of now (RFC 8985 §6.3), not by that of the last trouble.
                flight.rack.took(now.saturating_since(delivery.certain_last));
            }
            self.recovery.retries = 0;
            if let Some(trouble) = self.recovery.trouble.as_deref_mut() {
                trouble.has_room(now);
            }
        }
        let mut phase = AckPhase::Open;
        let before = self.congestion.window();
        let rtt;
        if plain {
            rtt = self.sample_rtt(now, timestamps, &delivery);
        } else {
            flight.burst.end_resent();
            let dsack_of_probe =
                sack && self.take_sack(ack, blocks, una - u64::from(acked), &mut delivery);
            rtt = self.sample_rtt(now, timestamps, &delivery);
            let may_send_new = self.may_send_new(io);
            if advanced && let Some(flight) = self.recovery.flight.as_deref() {
                delivery.told = u32::from(flight.dup_acks).saturating_mul(mss);
                delivery.count_without(u32::from(flight.dup_acks));
            }
            let delivery = &delivery;
            let ack =
                Ack { timestamps, delivery, acked, advanced, duplicate, may_send_new, lost_before };
            phase = match advanced && self.is_reneged() && !planted::is(Bug::RenegedJudged) {
                true => self.judge_reneging(now, &ack),
                false => self.judge(now, &ack, dsack_of_probe),
            };
        }
        if reducing && phase == AckPhase::Open {
            phase = self.judge_echo(now, delivery.bytes, advanced, lost_before);
        }
        self.tell_congestion(now, &delivery, acked, rtt, phase, in_flight_before, lost_before);
        self.raise_news(before, acked, plain);
        if advanced {
            self.restart_timers(now);
            if !plain {
                self.wait_for_reneging(now);
            }
        } else if let Some((first, _)) = delivery.sacked {
            self.wait_for_retransmission(now, first);
        }
    }

    /// What an acknowledgement of `acked` bytes changed that its application may want to know. `before`: what the congestion window was.
    fn raise_news(&mut self, before: (u32, u32), acked: u32, plain: bool) {
        if before != self.congestion.window() {
            self.events.raise(Events::CONGESTION);
        }
        if acked > 0 && (plain || !planted::is(Bug::RoomUntoldInRecovery)) {
            self.events.raise(Events::WRITABLE);
        }
    }

    /// The peer holds more, of which the first left at `first`. If what it waits for was sent again since then, the retransmission
    /// has its whole time yet (as on Linux): what says that the path delivers is no reason to take it for lost.
    fn wait_for_retransmission(&mut self, now: Instant, first: Instant) {
        let front = self.recovery.flight.as_deref().and_then(|flight| flight.sent.front());
        let resent = front.is_some_and(|front| first < front.xmit_time);
        if resent && !planted::is(Bug::SackedInVain) {
            let at = self.within_user_timeout(now, self.rto());
            self.timers.set(TimerReason::Retransmit, at);
        }
    }

    /// The SACK blocks of a segment (RFC 2018 §5.1). Blocks that cannot be are ignored. True when they report the tail loss probe
    /// as a duplicate. `una_before`: what was acknowledged before it.
    fn take_sack(
        &mut self,
        ack: SeqNumber,
        blocks: &SackBlocks,
        una_before: u64,
        delivery: &mut Delivery,
    ) -> bool {
        let mss = self.options.mss();
        let of_probe = dsack::reported(ack, blocks)
            .is_some_and(|range| self.take_dsack(range, una_before, delivery.resent));
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return of_probe };
        for (left, right) in blocks.as_slice() {
            let sent = *right <= self.snd.snd_max || planted::is(Bug::AnyBlockCounts);
            if *left > self.snd.snd_una && left < right && sent {
                let range = (self.snd.offset_of(*left), self.snd.offset_of(*right));
                flight.sack(range.0, range.1, mss, delivery);
            } else if !sent {
                reach!(ImpossibleBlock);
            }
        }
        of_probe
    }

    /// Moves the machine of recovery. Returns where it stood for congestion control.
    fn judge(&mut self, now: Instant, ack: &Ack<'_>, dsack_of_probe: bool) -> AckPhase {
        let before = self.recovery.phase;
        if self.ecn.is_echoed()
            && let Some(flight) = self.recovery.flight.as_deref_mut()
        {
            flight.undo.congested();
        }
        self.note_delivery(now, ack);
        self.judge_probe(now, ack, dsack_of_probe);
        let delivered = match self.recovery.phase {
            Phase::Open => self.judge_open(now, ack),
            Phase::Fast => self.judge_fast(now, ack),
            Phase::Loss => self.judge_loss(now, ack),
        };
        if before == Phase::Loss && self.recovery.phase != Phase::Loss {
            self.timeout_repaired(now);
        }
        match (before, self.recovery.phase) {
            (_, Phase::Fast) => {
                if before != Phase::Fast || delivered > 0 {
                    let lost = self.recovery.flight.as_deref().map_or(0, |f| f.rate.lost);
                    self.reduce_proportionally(delivered, ack.advanced && lost == ack.lost_before);
                }
                AckPhase::Recovery
            }
            // What ends a recovery is an acknowledgement as any other (as on Linux; the RFCs leave it open).
            (Phase::Fast, _) if planted::is(Bug::LastGrowsNothing) => AckPhase::Recovery,
            (Phase::Fast, _) => AckPhase::Open,
            (Phase::Loss, _) | (_, Phase::Loss) => AckPhase::Loss,
            (Phase::Open, Phase::Open) => AckPhase::Open,
        }
    }

    /// The peer echoes congestion, or did in this round trip: the window goes down in proportion to what is delivered, and is at the
    /// threshold when something is acknowledged that was sent since (CWR of Linux).
    fn judge_echo(
        &mut self,
        now: Instant,
        delivered: u32,
        advanced: bool,
        lost_before: u32,
    ) -> AckPhase {
        self.answer_echo(now);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return AckPhase::Open };
        if !flight.prr.is_of_echo() {
            return AckPhase::Open;
        }
        if self.congestion.is_in_cwr(self.snd.snd_una) {
            let safe = advanced && flight.rate.lost == lost_before;
            self.reduce_proportionally(delivered, safe);
            return AckPhase::Recovery;
        }
        flight.prr.end();
        self.congestion.set_cwnd(self.congestion.ssthresh());
        AckPhase::Open
    }

    /// Input: what a timeout, of a SYN or of data, began is over.
    pub(in crate::tcp) fn timeout_repaired(&mut self, now: Instant) {
        if let Some(trouble) = self.recovery.trouble.as_deref_mut() {
            trouble.timeout_repaired(now);
        }
    }

    /// What RACK learns from what was delivered (RFC 8985 §6.2 steps 1 to 3).
    fn note_delivery(&mut self, now: Instant, ack: &Ack<'_>) {
        let mss = self.options.mss();
        let echo = ack.echo().filter(|_| self.options.timestamps);
        let newest_sent = self.timestamp(ack.delivery.certain.xmit_time);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        let newest = &ack.delivery.certain;
        if newest.len > 0 {
            // What is acknowledged out of order is not what the echo is of (RFC 7323 §4.3).
            let in_order = newest.end <= flight.una;
            let before = |echo: u32| echo.wrapping_sub(newest_sent).cast_signed() < 0;
            let older = in_order && echo.is_some_and(before);
            flight.rack.delivered(now, newest, ack.delivery.certain_last, older);
        }
        if let Some(low) = ack.delivery.reordered {
            let distance = flight.fack - low;
            Trouble::of(&mut self.recovery.trouble).reordered(distance, mss);
        }
    }

    fn judge_probe(&mut self, now: Instant, ack: &Ack<'_>, dsack: bool) {
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        if !flight.tlp.is_under_way() {
            return;
        }
        let duplicate = ack.duplicate && ack.delivery.bytes == 0;
        let probe = ProbeAck { ack: flight.una, dsack, duplicate };
        if flight.tlp.on_ack(probe) == ProbeOutcome::Repaired && self.recovery.phase == Phase::Open
        {
            reach!(ProbeRepaired);
            let event = self.loss_event(now);
            self.congestion.on_loss(&event);
            self.congestion.on_recovered(&event);
        }
    }

    /// No recovery is on: what is lost begins one. Returns the bytes delivered, as recovery counts them.
    fn judge_open(&mut self, now: Instant, ack: &Ack<'_>) -> u32 {
        let mss = self.options.mss();
        let sack = self.options.sack;
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return 0 };
        let mut delivered = ack.delivery.bytes;
        if !sack && ack.advanced {
            flight.dup_acks = 0;
        } else if !sack && ack.duplicate {
            delivered = self.take_duplicate();
            if let Some(flight) = self.recovery.flight.as_deref_mut()
                && flight.duplicates_mean_loss()
            {
                flight.mark_front_lost(mss);
            }
        }
        if self.recovery.flight.as_deref().is_some_and(|flight| flight.undo.all_duplicates()) {
            self.undo(now, false);
        }
        self.find_losses(now);
        if self.recovery.flight.as_deref().is_some_and(|f| f.lost_bytes > 0)
            && !self.mtu_probe_lost()
        {
            self.enter_recovery(now, ack.delivery.bytes);
        }
        delivered
    }

    /// Input: a duplicate acknowledgement of a peer without SACK. Returns the bytes of which it tells that they left the network.
    fn take_duplicate(&mut self) -> u32 {
        let mss = self.options.mss();
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return 0 };
        if !flight.duplicate(mss) {
            // Linux (tcp_check_reno_reordering): then the network reorders, or duplicates.
            let all = u64::from(flight.segments_out(mss)) * u64::from(mss);
            Trouble::of(&mut self.recovery.trouble).reordered(all, mss);
            return 0;
        }
        if planted::is(Bug::DuplicatesNotDelivered) {
            return mss;
        }
        self.recovery.delivered = self.recovery.delivered.wrapping_add(1);
        if self.ecn.is_echoed() {
            let trouble = Trouble::of(&mut self.recovery.trouble);
            trouble.delivered_ce = trouble.delivered_ce.wrapping_add(1);
        }
        mss
    }

    /// Fast recovery is on.
    fn judge_fast(&mut self, now: Instant, ack: &Ack<'_>) -> u32 {
        let mss = self.options.mss();
        let (sack, timestamps) = (self.options.sack, self.options.timestamps);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return 0 };
        let late = timestamps && flight.undo.is_older(ack.echo());
        let spurious = flight.undo.all_duplicates();
        let late = late && ack.advanced;
        if flight.una >= flight.recover {
            if spurious || late {
                self.undo(now, true);
            } else if flight.holds_recovery(sack) {
                reach!(RecoveryHeld);
                return ack.delivery.progress(ack.advanced, mss);
            } else {
                self.end_recovery(now);
            }
            return self.judge_open(now, ack);
        }
        let mut delivered = ack.delivery.bytes;
        if !sack && ack.advanced {
            reach!(PartialAck);
            delivered = flight.partial(ack.acked, mss);
        } else if !sack && ack.duplicate {
            delivered = self.take_duplicate();
        }
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return 0 };
        // With nothing else sent again, nothing was lost (RFC 3522 §3.2).
        let alone = flight.retrans_bytes == 0;
        if late {
            // The hole was filled by what was late: overtaken by everything that the peer holds.
            let distance = flight.fack.saturating_sub(flight.una - u64::from(ack.acked));
            Trouble::of(&mut self.recovery.trouble).reordered(distance, mss);
        }
        if spurious || (late && alone) {
            if late {
                reach!(OlderEcho);
            } else {
                reach!(AllDuplicates);
            }
            self.undo(now, true);
            return self.judge_open(now, ack);
        }
        self.find_losses(now);
        delivered
    }

    /// After a timeout.
    fn judge_loss(&mut self, now: Instant, ack: &Ack<'_>) -> u32 {
        let mss = self.options.mss();
        let (sack, timestamps) = (self.options.sack, self.options.timestamps);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return 0 };
        let late = timestamps && flight.undo.is_older(ack.echo());
        let duplicate = ack.duplicate && ack.delivery.bytes == 0;
        let may_send_new = ack.may_send_new;
        let verdict = flight.frto_on_ack(ack.delivery, ack.advanced, duplicate, may_send_new, sack);
        let spurious = verdict == Verdict::Spurious
            || (ack.advanced && (late || flight.undo.all_duplicates()));
        if spurious {
            if verdict == Verdict::Spurious {
                reach!(FrtoSpurious);
            }
            self.undo(now, true);
            return self.judge_open(now, ack);
        }
        if verdict != Verdict::SendNew && flight.una >= flight.recover {
            flight.frto = false;
            if flight.holds_recovery(sack) {
                return ack.delivery.bytes;
            }
            self.recovery.phase = Phase::Open;
            flight.rack.recovered();
            return self.judge_open(now, ack);
        }
        if !sack && ack.advanced {
            flight.forget_duplicates(ack.acked, mss);
        } else if !sack && duplicate && flight.max > flight.recover && !planted::is(Bug::DeafInLoss)
        {
            // What F-RTO sent has arrived: there is room for what is lost.
            self.take_duplicate();
        }
        self.find_losses(now);
        ack.delivery.bytes
    }

    /// Command: marks what RACK finds lost (peers with SACK), and sets the timer for stragglers.
    pub(super) fn find_losses(&mut self, now: Instant) {
        if !self.options.sack {
            return;
        }
        let path = Path {
            now,
            min_rtt: self.rtt.min_rtt(),
            srtt: self.rtt.srtt(),
            reorders: self.recovery.reorders(),
            recovering: self.recovery.phase != Phase::Open,
        };
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        let look = flight.detect_loss(&path);
        flight.timers.reorder = look.unwrap_or(OFF);
        if let Some(at) = look.filter(|_| !planted::is(Bug::TimersRace)) {
            // It takes the place of the others (RFC 8985 §8): neither probe nor timeout before stragglers had their time.
            flight.timers.probe = OFF;
            self.timers.set_no_sooner(TimerReason::Retransmit, at);
        }
    }

    /// Command: fast recovery begins. `delivered` bytes are by the acknowledgement that shows the loss.
    pub(super) fn enter_recovery(&mut self, now: Instant, delivered: u32) {
        let event = self.loss_event(now);
        let mss = self.options.mss();
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        let resent = flight.retrans_bytes.div_ceil(mss);
        flight.undo.begin(flight.una, false, resent);
        if flight.prr.is_of_echo() || self.ecn.is_echoed() {
            flight.undo.congested();
        }
        flight.treat();
        flight.tlp.reset();
        flight.timers.probe = OFF;
        // RecoverFS: without what was delivered before, with what is delivered now.
        let held =
            flight.sacked_bytes.saturating_add(u32::from(flight.dup_acks).saturating_mul(mss));
        let flight_size = flight.outstanding().saturating_add(delivered);
        flight.prr.begin(flight_size.saturating_sub(held));
        reach!(FastRecovery);
        let earlier = flight.undo.take_earlier();
        self.congestion.on_loss(&event);
        if earlier {
            self.congestion.on_earlier_spurious();
        }
        self.recovery.phase = Phase::Fast;
        self.events.raise(Events::CONGESTION);
    }

    /// Command: the window that PRR allows, `delivered` bytes later.
    /// `safe`: `snd_una` advanced, and nothing more was found lost (SafeACK).
    pub(super) fn reduce_proportionally(&mut self, delivered: u32, safe: bool) {
        let mss = self.options.mss();
        let ssthresh = self.congestion.ssthresh();
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        let pipe = flight.pipe(mss);
        let window = flight.prr.window(delivered, pipe, ssthresh, mss, safe);
        self.congestion.set_cwnd(window);
    }

    /// Everything that was outstanding at the loss is acknowledged.
    fn end_recovery(&mut self, now: Instant) {
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            flight.dup_acks = 0;
            flight.rack.recovered();
        }
        self.recovery.phase = Phase::Open;
        let event = self.loss_event(now);
        self.congestion.on_recovered(&event);
    }

    /// The last reduction answered a loss that was none (RFC 4015 §3.2). `unmark`: what is still marked lost is not.
    fn undo(&mut self, now: Instant, unmark: bool) {
        let mss = self.options.mss();
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        if planted::is(Bug::NoUndo) {
            return;
        }
        reach!(Undone);
        let restores = flight.undo.may_restore();
        // One segment that was sent again for nothing may be chance. More of them, now or before, are taken for reordering, which
        // nothing else shows to a connection without timestamps.
        if let Some(trouble) = self.recovery.trouble.as_deref_mut()
            && !flight.undo.is_of_timeout()
            && trouble.dsack_dups > 1
        {
            trouble.reordered(u64::from(DISTANCE) * u64::from(mss), mss);
        }
        flight.undo.undone();
        flight.go_by_originals();
        flight.frto = false;
        flight.prefer_new = false;
        if unmark {
            flight.dup_acks = 0;
            flight.unmark_lost();
            flight.rack.recovered();
            self.recovery.phase = Phase::Open;
        }
        if restores {
            self.congestion.on_spurious();
        }
        if planted::is(Bug::UndoRestartsTimers) {
            self.restart_timers(now);
        }
        self.events.raise(Events::CONGESTION);
    }

    /// The peer holds what it does not acknowledge (RFC 2018 §8): it took something back.
    fn is_reneged(&self) -> bool {
        self.recovery.flight.as_deref().is_some_and(Flight::is_reneged)
    }

    /// An acknowledgement of such a peer says nothing of losses: its blocks are not to be believed (as on Linux).
    #[cold]
    fn judge_reneging(&mut self, now: Instant, ack: &Ack<'_>) -> AckPhase {
        reach!(Reneged);
        self.note_delivery(now, ack);
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            flight.timers.reorder = OFF;
        }
        match self.recovery.phase {
            Phase::Open => AckPhase::Open,
            Phase::Fast => {
                self.reduce_proportionally(ack.delivery.bytes, true);
                AckPhase::Recovery
            }
            Phase::Loss => AckPhase::Loss,
        }
    }

    /// Such a peer gets a moment to think, then everything again.
    fn wait_for_reneging(&mut self, now: Instant) {
        if self.is_reneged() {
            let half = Duration::from_nanos(self.rtt.srtt().as_nanos() / 2);
            let soon = half.max(millis(RENEGED_MS));
            self.timers.set_no_later(TimerReason::Retransmit, now + soon);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call; a struct would only name them twice")]
    fn tell_congestion(
        &mut self,
        now: Instant,
        delivery: &Delivery,
        acked: u32,
        rtt: Option<Duration>,
        phase: AckPhase,
        in_flight_before: u32,
        lost_before: u32,
    ) {
        let mss = self.options.mss();
        let min_rtt = self.rtt.min_rtt();
        let ece = self.ecn.is_echoed();
        let forward = acked > 0 || self.recovery.reorders_much();
        self.tell_losses(now);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        let lost_bytes = flight.rate.lost.wrapping_sub(lost_before);
        let mut delivered_seq = self.snd.snd_una;
        if delivery.bytes > 0 {
            let delivered = &mut self.recovery.delivered;
            *delivered = delivered.wrapping_add(delivery.segments);
            if ece {
                let trouble = Trouble::of(&mut self.recovery.trouble);
                trouble.delivered_ce = trouble.delivered_ce.wrapping_add(delivery.segments);
            }
            flight.rate.deliver(now, delivery.bytes, &delivery.newest, min_rtt);
            delivered_seq = self.snd.anchor.seq_of(delivery.newest.end);
        } else if lost_bytes == 0 {
            return;
        }
        self.congestion.on_ack(&AckSample {
            now,
            phase,
            acked_bytes: acked,
            progress_bytes: delivery.progress(forward, mss),
            acks: 1,
            delivered_bytes: delivery.bytes,
            lost_bytes,
            in_flight_before,
            in_flight: flight.pipe(mss),
            mss,
            rtt,
            srtt: self.rtt.srtt(),
            min_rtt,
            snd_una: self.snd.snd_una,
            snd_max: self.snd.snd_max,
            delivered_seq,
            ece,
            cwnd_limited: self.snd.cwnd_limited,
        });
    }

    /// Tells congestion control of each segment that was found lost.
    pub(super) fn tell_losses(&mut self, now: Instant) {
        let mss = self.options.mss();
        let Some(flight) = self.recovery.flight.as_deref_mut().filter(|f| f.untold.is_some())
        else {
            return;
        };
        let in_flight = flight.pipe(mss);
        let (anchor, congestion) = (&self.snd.anchor, &mut self.congestion);
        flight.tell_lost(|end, len| {
            congestion.on_lost(&Lost { now, end: anchor.seq_of(end), len, in_flight, mss });
        });
    }

    /// RFC 6298 §5.2 and §5.3, RFC 8985 §7.2.
    #[inline]
    pub(super) fn restart_timers(&mut self, now: Instant) {
        if self.snd.outstanding() == 0 {
            self.timers.stop(TimerReason::Retransmit);
            self.start_idle(now);
        } else {
            if !planted::is(Bug::TimerNotRestarted) {
                self.timers.set(TimerReason::Retransmit, now + self.rto());
            }
            if planted::is(Bug::TimerEndsWithAnyAck) {
                self.timers.stop(TimerReason::Retransmit);
            }
            self.schedule_probe(now);
        }
    }

    /// Command: sets the probe's timer, where one may be sent (RFC 8985 §7.2).
    #[inline]
    pub(in crate::tcp) fn schedule_probe(&mut self, now: Instant) {
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        let may = self.options.sack
            && self.recovery.phase == Phase::Open
            && flight.sacked_bytes == 0
            // Before the handshake of Fast Open is done it is the SYN,ACK that may be missing.
            && self.state != State::SynReceived
            && !flight.tlp.is_under_way();
        if !may {
            flight.timers.probe = OFF;
            return;
        }
        let one = flight.sent.len() == 1 || planted::is(Bug::SmallOnesAreOne);
        let lone = one && flight.outstanding() <= self.options.mss();
        let delayed_ack = millis(self.config.rto_ms_min);
        let rto = self.timers.deadline(TimerReason::Retransmit).saturating_since(now);
        let pto = probe_timeout(self.rtt.srtt(), lone, delayed_ack, rto);
        flight.timers.probe = now + pto;
    }

    /// Getter: there is data that was never sent, and the peer's window takes a segment of it.
    fn may_send_new(&self, io: &impl StreamIo) -> bool {
        self.has_unsent(io) && self.snd.snd_wnd > self.snd.outstanding()
    }
}

/// How far a spurious recovery says that the network reorders, in segments: more than what began it.
const DISTANCE: u32 = 4;
