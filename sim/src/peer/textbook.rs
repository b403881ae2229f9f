//! One connection as RFC 9293 has it, and nothing that came later.
//!
//! Names are those of its section 3.3.1, the order of checks that of 3.10.7. What is out of order is dropped; after a timeout
//! everything from SND.UNA on is sent again (go-back-N). A blind RST or SYN inside the window is answered by an acknowledgement
//! (RFC 5961), because forged segments are among the faults.

use std::collections::VecDeque;

use causeway_core::error::EndReason;
use causeway_core::time::{Duration, Instant};

use super::segment::{End, Out};
use crate::packet::{Flags, Tcp};
use crate::world::Described;

/// Bytes of payload of a segment: what every path takes (RFC 9293 3.7.1).
const MSS: usize = 536;
/// Bytes under way at most.
const WINDOW: usize = 8 * MSS;
/// Bytes that wait for the program, in each direction.
const BUFFER: usize = 16 << 10;
/// The first timeout and the longest one.
const RTO: Duration = Duration::from_secs(1);
const RTO_MAX: Duration = Duration::from_secs(16);
/// After so many timeouts in a row the connection is given up.
const TRIES_MAX: u32 = 16;
/// Twice the maximum segment lifetime.
const TWO_MSL: Duration = Duration::from_secs(60);

/// The states of RFC 9293 3.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Textbook {
    pub(super) state: State,
    pub(super) local: End,
    pub(super) remote: Option<End>,
    iss: u32,
    snd_una: u32,
    snd_nxt: u32,
    /// The highest SND.NXT so far: a timeout goes back.
    snd_max: u32,
    snd_wnd: u32,
    snd_wl1: u32,
    snd_wl2: u32,
    rcv_nxt: u32,
    mss: usize,
    /// What the program has written, from the first byte that is not acknowledged on.
    tx: VecDeque<u8>,
    rx: VecDeque<u8>,
    /// The program has closed its direction.
    closes: bool,
    /// The peer's FIN was taken.
    pub(super) peer_closed: bool,
    /// It sent the first SYN.
    active: bool,
    /// Nobody reads any more.
    orphan: bool,
    timer: Option<Instant>,
    rto: Duration,
    tries: u32,
    ack_due: bool,
    /// Why it is over.
    pub(super) over: Option<EndReason>,
}

const fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}

impl Textbook {
    fn new(state: State, local: End, remote: Option<End>, iss: u32) -> Self {
        Self {
            state,
            local,
            remote,
            iss,
            snd_una: iss,
            snd_nxt: iss,
            snd_max: iss,
            snd_wnd: 0,
            snd_wl1: 0,
            snd_wl2: 0,
            rcv_nxt: 0,
            mss: MSS,
            tx: VecDeque::new(),
            rx: VecDeque::new(),
            closes: false,
            peer_closed: false,
            active: state == State::SynSent,
            orphan: false,
            timer: None,
            rto: RTO,
            tries: 0,
            ack_due: false,
            over: None,
        }
    }

    /// One that waits for a SYN.
    pub(super) fn listen(local: End, iss: u32) -> Self {
        Self::new(State::Listen, local, None, iss)
    }

    /// One that sends a SYN.
    pub(super) fn connect(local: End, remote: End, iss: u32) -> Self {
        Self::new(State::SynSent, local, Some(remote), iss)
    }

    /// Command: takes what there is room for, and returns how much that is.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let open = matches!(self.state, State::Established | State::CloseWait) && !self.closes;
        let room = if open { BUFFER - self.tx.len().min(BUFFER) } else { 0 };
        let count = bytes.len().min(room);
        self.tx.extend(&bytes[..count]);
        count
    }

    /// Output: what has come, as much as there is room for.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> usize {
        let count = bytes.len().min(self.rx.len());
        for (to, from) in bytes.iter_mut().zip(self.rx.drain(..count)) {
            *to = from;
        }
        // A window that was closed is told to be open.
        self.ack_due |= count > 0 && self.rx.len() + count == BUFFER;
        count
    }

    /// Getter: nothing more will come, and all that came was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.peer_closed && self.rx.is_empty()
    }

    /// Command: FIN after the last byte.
    pub(super) const fn shutdown(&mut self) {
        self.closes = true;
    }

    /// Command: the program is done with it.
    pub(super) fn close(&mut self, now: Instant) {
        (self.closes, self.orphan) = (true, true);
        self.rx.clear();
        if self.state == State::FinWait2 {
            self.timer = Some(now + TWO_MSL);
        }
        if matches!(self.state, State::Listen | State::SynSent) {
            self.end(EndReason::Closed);
        }
    }

    fn end(&mut self, reason: EndReason) {
        self.over.get_or_insert(reason);
        (self.state, self.timer) = (State::Closed, None);
        self.tx.clear();
    }

    fn rcv_wnd(&self) -> usize {
        if self.orphan { BUFFER } else { BUFFER - self.rx.len() }
    }

    /// Output: in words.
    pub(super) fn describe(&self) -> Described {
        let Self { local, remote, state, tx, rx, snd_wnd, timer, .. } = self;
        let ports = [local.1, remote.map_or(0, |remote| remote.1)];
        let waits = timer.map_or_else(
            || "waits for a frame or its program".to_owned(),
            |at| format!("waits for its timer at {at} s"),
        );
        let words = format!(
            "textbook {}:{} in {state:?}, {} bytes to send, {} to read, the peer's window {snd_wnd}, {waits}",
            local.0,
            local.1,
            tx.len(),
            rx.len()
        );
        Described { ports, is_waiting: tx.is_empty(), words }
    }

    /// Getter: when its timer is over.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.timer
    }

    /// Input: the time.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.timer.is_none_or(|at| at > now) {
            return;
        }
        self.timer = None;
        if matches!(self.state, State::TimeWait | State::FinWait2) {
            return self.end(EndReason::Closed);
        }
        self.tries += 1;
        if self.tries > TRIES_MAX {
            return self.end(EndReason::TimedOut);
        }
        self.rto = self.rto.saturating_mul(2).min(RTO_MAX);
        self.snd_nxt = self.snd_una;
    }

    /// The offset of SND.NXT in what is written; the SYN lies before it.
    fn sent(&self) -> usize {
        self.snd_nxt.wrapping_sub(self.snd_una) as usize
    }

    /// Output: the next segment that is to be sent now.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Out> {
        let out = match self.state {
            State::Closed | State::Listen => None,
            State::SynSent | State::SynReceived if self.snd_nxt == self.iss => {
                self.snd_nxt = self.iss.wrapping_add(1);
                let (seq, mss) = (self.iss, Some(1_460));
                let acks = self.state == State::SynReceived;
                let flags = Flags::SYN.0 | if acks { Flags::ACK.0 } else { 0 };
                Some(Out { mss, ..self.segment(seq, flags) })
            }
            State::SynSent | State::SynReceived => None,
            State::FinWait2 | State::TimeWait => None,
            State::Established
            | State::FinWait1
            | State::CloseWait
            | State::Closing
            | State::LastAck => self.poll_data(),
        };
        if let Some(out) = out {
            if self.snd_nxt != self.snd_una && self.timer.is_none() {
                self.timer = Some(now + self.rto);
            }
            self.snd_max =
                if before(self.snd_max, self.snd_nxt) { self.snd_nxt } else { self.snd_max };
            return Some(out);
        }
        if std::mem::take(&mut self.ack_due) && self.state != State::SynSent {
            return Some(self.segment(self.snd_nxt, Flags::ACK.0));
        }
        // A closed window is probed by a byte beyond it (3.8.6.1).
        let waits = !self.tx.is_empty() && self.snd_wnd == 0 && self.state != State::SynReceived;
        if waits && self.timer.is_none() && self.state != State::Closed {
            self.timer = Some(now + self.rto);
        }
        None
    }

    fn poll_data(&mut self) -> Option<Out> {
        if self.sent() > self.tx.len() {
            // FIN, too, was sent.
            return None;
        }
        let probes = self.snd_wnd == 0 && self.tries > 0 && self.sent() == 0;
        let window = if probes { 1 } else { (self.snd_wnd as usize).min(WINDOW) };
        let ready = self.tx.len() - self.sent();
        let count = ready.min(self.mss).min(window.saturating_sub(self.sent()));
        let (seq, from) = (self.snd_nxt, self.sent());
        let ends = self.closes && count == ready;
        if count == 0 && !ends {
            return None;
        }
        let mut out = self.segment(seq, Flags::ACK.0);
        out.payload = self.tx.range(from..from + count).copied().collect();
        self.snd_nxt = self.snd_nxt.wrapping_add(count as u32);
        if count > 0 && count == ready {
            out.flags |= Flags::PSH.0;
        }
        if ends {
            out.flags |= Flags::FIN.0;
            self.snd_nxt = self.snd_nxt.wrapping_add(1);
            if self.state == State::Established {
                self.state = State::FinWait1;
            } else if self.state == State::CloseWait {
                self.state = State::LastAck;
            }
        }
        Some(out)
    }

    fn segment(&mut self, seq: u32, flags: u8) -> Out {
        self.ack_due = false;
        let window = self.rcv_wnd() as u16;
        Out { seq, ack: self.rcv_nxt, flags, window, mss: None, payload: Vec::new() }
    }

    /// Input: a segment for this connection, with right checksums (3.10.7). What it asks for at once is returned.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: End,
        tcp: &Tcp,
        payload: &[u8],
    ) -> Option<Out> {
        match self.state {
            State::Closed => reset_for(tcp, payload),
            State::Listen => self.receive_in_listen(from, tcp, payload),
            State::SynSent => self.receive_in_syn_sent(tcp, payload),
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => self.receive_in_order(now, tcp, payload),
        }
    }

    /// 3.10.7.2.
    fn receive_in_listen(&mut self, from: End, tcp: &Tcp, payload: &[u8]) -> Option<Out> {
        if tcp.flags.has(Flags::RST) {
            return None;
        }
        if tcp.flags.has(Flags::ACK) {
            return reset_for(tcp, payload);
        }
        if tcp.flags.has(Flags::SYN) {
            self.remote = Some(from);
            self.syn_received(tcp);
            self.state = State::SynReceived;
        }
        None
    }

    fn syn_received(&mut self, tcp: &Tcp) {
        self.rcv_nxt = tcp.seq.wrapping_add(1);
        self.mss = usize::from(tcp.options.mss.unwrap_or(536)).clamp(1, MSS);
        (self.snd_wnd, self.snd_wl1, self.snd_wl2) = (tcp.window.into(), tcp.seq, tcp.ack);
    }

    /// 3.10.7.3.
    fn receive_in_syn_sent(&mut self, tcp: &Tcp, payload: &[u8]) -> Option<Out> {
        let acks = tcp.flags.has(Flags::ACK);
        let right = tcp.ack == self.iss.wrapping_add(1);
        if acks && !right {
            return reset_for(tcp, payload);
        }
        if tcp.flags.has(Flags::RST) {
            if acks {
                self.end(EndReason::Refused);
            }
            return None;
        }
        if !tcp.flags.has(Flags::SYN) {
            return None;
        }
        self.syn_received(tcp);
        if acks {
            self.acknowledged(tcp.ack);
            self.state = State::Established;
            self.ack_due = true;
        } else {
            // Both have called each other (3.5): the SYN goes again, with an acknowledgement.
            self.state = State::SynReceived;
            self.snd_nxt = self.iss;
        }
        None
    }

    /// 3.10.7.4: the window, RST, SYN, ACK, text, FIN.
    fn receive_in_order(&mut self, now: Instant, tcp: &Tcp, payload: &[u8]) -> Option<Out> {
        let controls = u32::from(tcp.flags.has(Flags::SYN)) + u32::from(tcp.flags.has(Flags::FIN));
        let len = payload.len() as u32 + controls;
        let wnd = self.rcv_wnd() as u32;
        let inside = |seq: u32| seq.wrapping_sub(self.rcv_nxt) < wnd;
        let acceptable = match (len, wnd) {
            (0, 0) => tcp.seq == self.rcv_nxt,
            (0, _) => inside(tcp.seq),
            (_, 0) => false,
            (_, _) => inside(tcp.seq) || inside(tcp.seq.wrapping_add(len - 1)),
        };
        if tcp.flags.has(Flags::RST) {
            if acceptable && tcp.seq == self.rcv_nxt {
                self.reset();
            } else {
                self.ack_due |= acceptable;
            }
            return None;
        }
        if !acceptable || tcp.flags.has(Flags::SYN) {
            self.ack_due = true;
            // The FIN again: 2 MSL begin anew.
            if self.state == State::TimeWait && !tcp.flags.has(Flags::SYN) {
                self.timer = Some(now + TWO_MSL);
            }
            // With a closed window acknowledgements are still taken (MUST-66).
            if wnd > 0 || tcp.seq != self.rcv_nxt || tcp.flags.has(Flags::SYN) {
                return None;
            }
        }
        if !tcp.flags.has(Flags::ACK) {
            return None;
        }
        if self.state == State::SynReceived {
            if !before(self.snd_una, tcp.ack) || before(self.snd_max, tcp.ack) {
                return reset_for(tcp, payload);
            }
            self.state = State::Established;
        }
        if before(self.snd_max, tcp.ack) {
            self.ack_due = true;
            return None;
        }
        self.take_ack(now, tcp);
        self.take_text(now, tcp, payload);
        None
    }

    fn reset(&mut self) {
        if self.state == State::SynReceived && self.active {
            return self.end(EndReason::Refused);
        }
        if self.state == State::SynReceived && !self.orphan {
            // It goes back to where it came from (3.10.7.4, second).
            *self = Self::listen(self.local, self.iss.wrapping_add(0x1_0000));
            return;
        }
        let done = matches!(self.state, State::Closing | State::LastAck | State::TimeWait);
        self.end(if done { EndReason::Closed } else { EndReason::Reset });
    }

    fn acknowledged(&mut self, ack: u32) {
        let newly = ack.wrapping_sub(self.snd_una) as usize;
        // The SYN was no byte of the stream, and no more is the FIN.
        let syn = usize::from(self.snd_una == self.iss);
        self.tx.drain(..(newly - syn.min(newly)).min(self.tx.len()));
        self.snd_una = ack;
        if before(self.snd_nxt, ack) {
            self.snd_nxt = ack;
        }
        (self.timer, self.rto, self.tries) = (None, RTO, 0);
    }

    fn take_ack(&mut self, now: Instant, tcp: &Tcp) {
        if before(self.snd_una, tcp.ack) {
            self.acknowledged(tcp.ack);
            if self.snd_nxt != self.snd_una {
                self.timer = Some(now + self.rto);
            }
        }
        let newer = before(self.snd_wl1, tcp.seq)
            || self.snd_wl1 == tcp.seq && !before(tcp.ack, self.snd_wl2);
        if !before(tcp.ack, self.snd_una) && newer {
            let opens = self.snd_wnd == 0 && tcp.window > 0;
            (self.snd_wnd, self.snd_wl1, self.snd_wl2) = (tcp.window.into(), tcp.seq, tcp.ack);
            if opens && self.tries > 0 {
                (self.snd_nxt, self.timer, self.rto) = (self.snd_una, None, RTO);
            }
            // A peer that answers probes is there.
            self.tries = self.tries.min(1);
        }
        let fin_acked = self.closes && self.tx.is_empty() && self.snd_una == self.snd_max;
        match self.state {
            State::FinWait1 if fin_acked => {
                self.state = State::FinWait2;
                // Nobody waits for the rest of what the peer may send.
                self.timer = self.orphan.then(|| now + TWO_MSL);
            }
            State::Closing if fin_acked => {
                (self.state, self.timer) = (State::TimeWait, Some(now + TWO_MSL));
            }
            State::LastAck if fin_acked => self.end(EndReason::Closed),
            State::FinWait1 | State::Closing | State::LastAck => {}
            State::Established | State::CloseWait | State::FinWait2 | State::TimeWait => {}
            // Not before the handshake is done.
            State::Listen | State::SynSent | State::SynReceived | State::Closed => {}
        }
    }

    fn take_text(&mut self, now: Instant, tcp: &Tcp, payload: &[u8]) {
        let takes = matches!(self.state, State::Established | State::FinWait1 | State::FinWait2);
        let fin = tcp.flags.has(Flags::FIN);
        if payload.is_empty() && !fin || !takes {
            self.ack_due |= !payload.is_empty() || fin;
            return;
        }
        self.ack_due = true;
        let skip = self.rcv_nxt.wrapping_sub(tcp.seq) as usize;
        if before(self.rcv_nxt, tcp.seq) || skip > payload.len() {
            return;
        }
        let fresh = &payload[skip..];
        let count = fresh.len().min(self.rcv_wnd());
        if !self.orphan {
            self.rx.extend(&fresh[..count]);
        }
        self.rcv_nxt = self.rcv_nxt.wrapping_add(count as u32);
        if fin && count == fresh.len() {
            self.take_fin(now);
        }
    }

    fn take_fin(&mut self, now: Instant) {
        self.rcv_nxt = self.rcv_nxt.wrapping_add(1);
        self.peer_closed = true;
        // Nothing is taken in other states.
        if self.state == State::Established {
            self.state = State::CloseWait;
        } else if self.state == State::FinWait1 {
            self.state = State::Closing;
        } else if self.state == State::FinWait2 {
            (self.state, self.timer) = (State::TimeWait, Some(now + TWO_MSL));
        }
    }
}

/// 3.10.7.1: what answers a segment for which there is no connection.
pub(super) fn reset_for(tcp: &Tcp, payload: &[u8]) -> Option<Out> {
    if tcp.flags.has(Flags::RST) {
        return None;
    }
    if tcp.flags.has(Flags::ACK) {
        return Some(Out { seq: tcp.ack, flags: Flags::RST.0, ..Out::default() });
    }
    let controls = u32::from(tcp.flags.has(Flags::SYN)) + u32::from(tcp.flags.has(Flags::FIN));
    let ack = tcp.seq.wrapping_add(payload.len() as u32 + controls);
    Some(Out { ack, flags: Flags::RST.0 | Flags::ACK.0, ..Out::default() })
}
