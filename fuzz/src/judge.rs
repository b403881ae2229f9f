//! What RFC 9293 and RFC 5961 ask of a connection that a segment arrives at, in the words of the scripts: which answer there
//! must be, which there may be, and what must stay as it was. Written from the text, not from the code.

use causeway_core::tcp::{Connection, Disposition, SegmentOut, SeqNumber, State};
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};

use crate::peer::Peer;

/// What is known of a connection from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// RFC 9293 §3.3.2.
    pub state: State,
    /// RCV.NXT.
    pub rcv_nxt: SeqNumber,
    /// RCV.WND.
    pub rcv_wnd: u32,
    /// SND.UNA.
    pub snd_una: SeqNumber,
    /// SND.NXT.
    pub snd_nxt: SeqNumber,
    /// The greatest right edge that a SACK block has told.
    pub told: Option<SeqNumber>,
}

impl View {
    /// Getter: what `tcp` looks like to `peer`. `snd_nxt` is one past the highest number seen.
    pub fn of(tcp: &Connection, peer: &Peer, snd_nxt: SeqNumber) -> Self {
        let info = tcp.info();
        let fin = matches!(
            tcp.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        Self {
            state: tcp.state(),
            rcv_nxt: peer.irs + 1 + tcp.bytes_received() as u32 + u32::from(fin),
            rcv_wnd: info.rcv_wnd,
            snd_una: snd_nxt - tcp.flight_bytes(),
            snd_nxt,
            told: peer.told,
        }
    }

    /// Getter: the four cases of SEG.LEN and RCV.WND (RFC 9293 §3.4); empty segments at the right edge as well, from where a peer
    /// that has filled the window acknowledges.
    fn takes(&self, seq: SeqNumber, len: u32) -> bool {
        let first = i64::from(seq.distance_from(self.rcv_nxt));
        let (len, wnd) = (i64::from(len), i64::from(self.rcv_wnd));
        if wnd == 0 {
            return first == 0;
        }
        match len {
            0 => (0..=wnd).contains(&first),
            _ => first < wnd && first + len > 0,
        }
    }
}

/// What must come of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: no answer, no change.
    Nothing,
    /// One acknowledgement, and no other change.
    Acknowledge,
    /// An acknowledgement as far as their number is limited, and no other change.
    Challenge,
    /// The connection ends, without a word.
    End,
    /// Whatever timestamps say (RFC 6191): it begins again, or is challenged.
    Either,
    /// It is taken: text and acknowledgement count.
    Take,
}

/// The verdict for a segment in a synchronized state, RFC 9293 §3.10.7.4 in its order. Timestamps are as they should be.
pub fn judge(view: &View, header: &TcpHeader, len: u32) -> Verdict {
    let has = |flag: TcpFlags| header.flags.contains(flag);
    let (syn, fin, rst) = (has(TcpFlags::SYN), has(TcpFlags::FIN), has(TcpFlags::RST));
    let time_wait = view.state == State::TimeWait;
    if time_wait && syn && !rst && !has(TcpFlags::ACK) {
        return Verdict::Either;
    }
    let seg_len = len + u32::from(syn) + u32::from(fin);
    // First, check sequence number.
    if !view.takes(header.seq, seg_len) {
        return match (rst, len > 0 || fin) {
            (true, _) => Verdict::Nothing,
            // RFC 5961 §4.2, whatever it carries.
            (false, _) if syn && !time_wait => Verdict::Challenge,
            (false, true) => Verdict::Acknowledge,
            (false, false) => Verdict::Challenge,
        };
    }
    // Second, check the RST bit (RFC 5961 §3.2; RFC 1337 in TIME-WAIT).
    if rst {
        return match (time_wait, header.seq == view.rcv_nxt) {
            (true, _) => Verdict::Nothing,
            (false, true) => Verdict::End,
            // One past all that it knows to have arrived (RFC 5961 §3.2 as Linux has it: no easier to guess).
            // Nothing is beyond the end of the stream, whatever was told before it was known.
            (false, false) if view.told == Some(header.seq) && view.state.may_receive() => {
                Verdict::End
            }
            (false, false) => Verdict::Challenge,
        };
    }
    // Fourth, check the SYN bit (RFC 5961 §4.2).
    if syn {
        return Verdict::Challenge;
    }
    // Fifth, check the ACK field.
    if !has(TcpFlags::ACK) {
        return Verdict::Nothing;
    }
    if header.ack > view.snd_nxt {
        return Verdict::Challenge;
    }
    Verdict::Take
}

/// What came of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Before it.
    pub before: View,
    /// After it, and after everything that was due was sent.
    pub after: View,
    /// What was sent.
    pub sent: &'a [SegmentOut],
    /// What the connection said of it.
    pub disposition: Disposition,
}

impl Outcome<'_> {
    /// Panics when it is not what the verdict says.
    pub fn check(&self, verdict: Verdict) {
        let Self { before, after, sent, disposition } = self;
        let moved = before.rcv_nxt != after.rcv_nxt
            || before.snd_una != after.snd_una
            || before.state != after.state;
        let says = |what: &str| panic!("{what}: {verdict:?} of {before:?}, but {self:?}");
        match verdict {
            Verdict::Nothing | Verdict::Acknowledge | Verdict::Challenge if moved => {
                says("something changed");
            }
            Verdict::Nothing if !sent.is_empty() => says("there was an answer"),
            Verdict::Acknowledge if sent.is_empty() => says("there was no answer"),
            Verdict::Acknowledge | Verdict::Challenge if sent.len() > 1 => {
                says("there was more than one answer");
            }
            Verdict::End if after.state != State::Closed || !sent.is_empty() => {
                says("it did not end in silence");
            }
            // RFC 5961 §5.2: an acknowledgement of long ago is challenged; how long depends on the windows that were told.
            Verdict::Take if *disposition == Disposition::ChallengeAck && moved => {
                says("it was challenged and taken");
            }
            _ => {}
        }
        // Whatever goes out may point at urgent data.
        let besides = TcpFlags::ECE.union(TcpFlags::URG).0;
        let bare = |out: &SegmentOut| out.header.flags.0 & !besides == TcpFlags::ACK.0;
        let answers = matches!(verdict, Verdict::Acknowledge | Verdict::Challenge);
        if answers && !sent.iter().all(|out| bare(out) && out.header.ack == before.rcv_nxt) {
            says("the answer is no plain acknowledgement");
        }
    }
}
