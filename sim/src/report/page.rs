//! From recordings to the page.

use std::collections::HashMap;
use std::fmt::Write as _;

use causeway_core::event::RetransmitCause;
use causeway_core::time::Instant;

use super::flow::{Flow, Sent, Unit};
use super::frames::{FrameKind, FrameLog, FrameMark};
use super::json::{micros, push_numbers, push_text};
use super::recorder::Recording;
use super::thin::{bars, pick};
use crate::fault::Fault;
use crate::tap::DirectionId;
use crate::workload::Violation;

const TEMPLATE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const SCRIPT_MARK: &str = "@SCRIPT@";
const DATA_MARK: &str = "@DATA@";

/// Bounds that keep a page at a few megabytes whatever the run.
const BARS_MAX: usize = 3_000;
const POINTS_MAX: usize = 3_000;
const MARKS_MAX: usize = 4_000;
const DETAIL_MAX: usize = 3_000;
const FLOWS_MAX: usize = 16;
const SPANS_MAX: usize = 500;

/// Where the page has the frame of a direction with a number.
type Places = HashMap<(DirectionId, u64), usize>;

/// One leg of a run: a link, its flows, and the figures to print beside them.
#[derive(Debug)]
pub struct LegPage {
    /// A few words.
    pub name: String,
    /// A sentence.
    pub about: String,
    /// Name and value.
    pub figures: Vec<(String, String)>,
    /// `from->to` of each direction.
    pub directions: Vec<String>,
    /// What was recorded.
    pub recording: Recording,
    /// Hosts and switches, in the order in which single frames are drawn between them.
    pub nodes: Vec<String>,
    /// For each direction, from which node to which.
    pub ends: Vec<[usize; 2]>,
    /// Single frames. Empty: none are drawn.
    pub frames: FrameLog,
    /// What is so for a while.
    pub spans: Vec<SpanMark>,
}

/// Something that is so for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanMark {
    /// A direction, a host or a NIC.
    pub target: String,
    /// What.
    pub words: String,
    /// From when on.
    pub from: Instant,
    /// Until when.
    pub until: Instant,
}

/// What a run was judged to be, and what repeats it.
#[derive(Debug)]
pub struct Verdict {
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// The text of the case.
    pub case: String,
    /// The text of the plan that was executed.
    pub executed: String,
}

/// The page of a whole run.
#[derive(Debug)]
pub struct Page {
    /// What it is about.
    pub title: String,
    /// A line below: seed, hash, version.
    pub subtitle: String,
    /// Of a case.
    pub verdict: Option<Verdict>,
    /// In the order in which they ran.
    pub legs: Vec<LegPage>,
}

impl Page {
    /// Output: one HTML document that needs nothing else, no network and no other file.
    pub fn render(&self) -> String {
        let mut data = String::from("{\"title\":");
        push_text(&mut data, &self.title);
        data.push_str(",\"subtitle\":");
        push_text(&mut data, &self.subtitle);
        data.push_str(",\"verdict\":");
        push_verdict(&mut data, self.verdict.as_ref());
        data.push_str(",\"legs\":");
        push_list(&mut data, &self.legs, push_leg);
        data.push('}');
        // The data comes last: it may say anything.
        TEMPLATE.replacen(SCRIPT_MARK, SCRIPT, 1).replacen(DATA_MARK, &data, 1)
    }
}

fn push_list<T>(out: &mut String, items: &[T], mut push: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

fn push_verdict(out: &mut String, verdict: Option<&Verdict>) {
    let Some(Verdict { violation, case, executed }) = verdict else {
        out.push_str("null");
        return;
    };
    out.push_str("{\"case\":");
    push_text(out, case);
    out.push_str(",\"executed\":");
    push_text(out, executed);
    if let Some(Violation { signature, at, words }) = violation {
        let _ = write!(out, ",\"at\":{},\"signature\":", micros(*at));
        push_text(out, signature);
        out.push_str(",\"words\":");
        push_text(out, words);
    }
    out.push('}');
}

/// Single frames: five numbers and a text each. Output: where each is.
fn push_frames(out: &mut String, leg: &LegPage) -> Places {
    out.push_str(",\"nodes\":");
    push_list(out, &leg.nodes, |out, name| push_text(out, name));
    out.push_str(",\"ends\":");
    push_numbers(out, leg.ends.iter().flatten().map(|node| *node as f64));
    let _ = write!(out, ",\"leftOut\":{},\"frames\":", leg.frames.left_out());
    let mut marks: Vec<_> = leg.frames.marks().collect();
    marks.sort_by_key(|mark| mark.sent_at);
    let numbers = |mark: &&FrameMark| {
        let arrived = mark.arrived_at.map_or(-1.0, micros);
        let (direction, kind) = (mark.direction.0 as f64, f64::from(mark.kind as u8));
        [micros(mark.sent_at), arrived, direction, mark.number as f64, kind]
    };
    push_numbers(out, marks.iter().flat_map(numbers));
    out.push_str(",\"words\":");
    push_list(out, &marks, |out, mark| push_text(out, &mark.words));
    let own = |mark: &&FrameMark| mark.kind != FrameKind::Extra && mark.number > 0;
    let places = marks.iter().enumerate().filter(|(_, mark)| own(mark));
    places.map(|(place, mark)| ((mark.direction, mark.number), place)).collect()
}

fn push_spans_of_time(out: &mut String, spans: &[SpanMark]) {
    push_list(out, &spans[..spans.len().min(SPANS_MAX)], |out, span| {
        out.push('[');
        push_text(out, &span.target);
        out.push(',');
        push_text(out, &span.words);
        let _ = write!(out, ",{},{}]", micros(span.from), micros(span.until));
    });
}

fn push_leg(out: &mut String, leg: &LegPage) {
    out.push_str("{\"name\":");
    push_text(out, &leg.name);
    out.push_str(",\"about\":");
    push_text(out, &leg.about);
    out.push_str(",\"directions\":");
    push_list(out, &leg.directions, |out, name| push_text(out, name));
    out.push_str(",\"figures\":");
    push_list(out, &leg.figures, |out, (name, value)| {
        out.push('[');
        push_text(out, name);
        out.push(',');
        push_text(out, value);
        out.push(']');
    });
    out.push_str(",\"faults\":");
    let marks = pick(&leg.recording.faults, MARKS_MAX).flat_map(|mark| {
        let kind = match mark.fault {
            Some(Fault::Drop) => 0.0,
            Some(Fault::Delay { .. }) => 1.0,
            Some(Fault::Duplicate { .. }) => 2.0,
            Some(Fault::Corrupt { .. }) => 3.0,
            None => 4.0,
            Some(Fault::Forge(_)) => 5.0,
            // What a middlebox does to a frame that goes on.
            Some(_) => 6.0,
        };
        [micros(mark.at), mark.direction.0 as f64, kind]
    });
    push_numbers(out, marks);
    out.push_str(",\"spans\":");
    push_spans_of_time(out, &leg.spans);
    let places = push_frames(out, leg);
    let recording = &leg.recording;
    let _ = write!(out, ",\"flowsInAll\":{}", recording.flows.len());
    out.push_str(",\"flows\":");
    push_list(out, &largest(&recording.flows), |out, flow| {
        push_flow(out, flow, recording, &places)
    });
    out.push('}');
}

/// The flows that sent most, those that sent next to nothing left out if others did.
fn largest(flows: &[Flow]) -> Vec<&Flow> {
    let more = |least: usize| flows.iter().filter(move |flow| flow.sent.len() > least);
    let mut all: Vec<&Flow> = more(3).collect();
    if all.is_empty() {
        all = more(0).collect();
    }
    all.sort_by_key(|flow| std::cmp::Reverse(flow.sent.len()));
    all.truncate(FLOWS_MAX);
    all
}

fn push_flow(out: &mut String, flow: &Flow, recording: &Recording, places: &Places) {
    let (name, unit) = match flow.unit() {
        Unit::Bytes => ("TCP", "B"),
        Unit::Packets => ("Machnet", "packets"),
    };
    out.push_str("{\"name\":");
    push_text(out, &format!("{name} {} → {}", flow.from, flow.to));
    let _ = write!(out, ",\"unit\":\"{unit}\",\"segments\":{}", flow.sent.len());
    let _ = write!(out, ",\"truncated\":{},\"bars\":", flow.truncated);
    push_numbers(
        out,
        bars(&flow.sent, BARS_MAX)
            .iter()
            .flat_map(|bar| [micros(bar.at), bar.from as f64, bar.to as f64]),
    );
    out.push_str(",\"acks\":");
    let acks = pick(&flow.acked, POINTS_MAX);
    push_numbers(out, acks.flat_map(|&(at, to)| [micros(at), to as f64]));
    out.push_str(",\"lost\":");
    push_spans(out, flow, |sent| sent.lost);
    out.push_str(",\"again\":");
    push_spans(out, flow, |sent| sent.again);
    out.push_str(",\"windows\":");
    let windows = pick(&flow.windows, POINTS_MAX).flat_map(|sample| {
        let rtt = sample.srtt_nanos as f64 / 1_000.0;
        let [cwnd, ssthresh, flight] =
            [sample.cwnd_bytes, sample.ssthresh_bytes, sample.flight_bytes].map(f64::from);
        [micros(sample.at), cwnd, ssthresh, flight, rtt]
    });
    push_numbers(out, windows);
    out.push_str(",\"edges\":");
    let offers = pick(&flow.offers, POINTS_MAX);
    push_numbers(
        out,
        offers.flat_map(|offer| [micros(offer.at), offer.edge as f64, f64::from(offer.window)]),
    );
    push_lanes(out, flow, recording);
    push_segments(out, flow, places);
    out.push_str(",\"timeouts\":");
    let timeouts: Vec<Instant> = flow
        .retransmits
        .iter()
        .filter(|(_, cause)| *cause == RetransmitCause::Timeout)
        .map(|&(at, _)| at)
        .collect();
    push_numbers(out, pick(&timeouts, MARKS_MAX).map(|&at| micros(at)));
    out.push_str(",\"detail\":");
    push_detail(out, flow);
    out.push('}');
}

/// The states of both ends.
fn push_lanes(out: &mut String, flow: &Flow, recording: &Recording) {
    let lanes: Vec<&Flow> = [Some(flow), recording.reverse(flow)].into_iter().flatten().collect();
    out.push_str(",\"lanes\":");
    push_list(out, &lanes, |out, lane| {
        out.push_str("{\"name\":");
        push_text(out, &lane.from.to_string());
        out.push_str(",\"at\":");
        push_numbers(out, lane.states.iter().map(|change| micros(change.at)));
        out.push_str(",\"to\":");
        push_list(out, &lane.states, |out, change| push_text(out, &change.to));
        out.push('}');
    });
}

/// The segments whose frames are on the page: when, from where to where in the stream, and the frame's place.
fn push_segments(out: &mut String, flow: &Flow, places: &Places) {
    out.push_str(",\"segs\":");
    let segments = flow.sent.iter().filter_map(|sent| {
        let place = places.get(&sent.frame?)?;
        Some([micros(sent.at), sent.from as f64, sent.to as f64, *place as f64])
    });
    push_numbers(out, segments.flatten());
}

fn push_spans(out: &mut String, flow: &Flow, keep: impl Fn(&Sent) -> bool) {
    let kept: Vec<&Sent> = flow.sent.iter().filter(|sent| keep(sent)).collect();
    let spans = pick(&kept, MARKS_MAX);
    push_numbers(out, spans.flat_map(|s| [micros(s.at), s.from as f64, s.to as f64]));
}

/// Every segment and acknowledgement of a window around the first loss (or from the start): what
/// the page shows instead of the bars when zoomed into it.
fn push_detail(out: &mut String, flow: &Flow) {
    let pivot = flow.sent.iter().position(|sent| sent.lost).unwrap_or(0);
    let begin = pivot.saturating_sub(DETAIL_MAX / 4);
    let window = &flow.sent[begin..flow.sent.len().min(begin + DETAIL_MAX)];
    let (Some(first), Some(last)) = (window.first(), window.last()) else {
        out.push_str("null");
        return;
    };
    let pivot_at = micros(flow.sent[pivot].at);
    let _ = write!(out, "{{\"from\":{},\"to\":{}", micros(first.at), micros(last.at));
    let _ = write!(out, ",\"pivot\":{pivot_at},\"sent\":");
    push_numbers(out, window.iter().flat_map(|s| [micros(s.at), s.from as f64, s.to as f64]));
    out.push_str(",\"acks\":");
    let inside = flow.acked.iter().filter(|(at, _)| (first.at..=last.at).contains(at));
    push_numbers(out, inside.take(DETAIL_MAX).flat_map(|&(at, to)| [micros(at), to as f64]));
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::FrameFate;
    use crate::tap::DirectionId;
    use causeway_core::port::Transport;

    /// More frames than are kept, with words as long as they come.
    fn frames() -> FrameLog {
        let mut frames = FrameLog::default();
        for number in 0..20_000 {
            let fate = FrameFate { number: Some(number), ..FrameFate::default() };
            let at = Instant::from_nanos(number * 1_000);
            frames.sent((at, DirectionId(0)), &fate, &"w".repeat(100));
        }
        frames
    }

    fn page() -> Page {
        let ends = ("10.0.0.1:1".parse().expect("fine"), "10.0.0.2:2".parse().expect("fine"));
        let mut flow = Flow::new(Transport::Tcp, ends.0, ends.1);
        for n in 0..200_000_u32 {
            let at = Instant::from_nanos(u64::from(n) * 12_304);
            flow.on_sent(at, n * 1_448, 1_448, n % 50 == 0);
        }
        let mut recording = Recording::default();
        recording.flows.push(flow);
        let leg = LegPage {
            name: "a </script> leg".to_owned(),
            about: String::new(),
            figures: vec![("seed".to_owned(), "1".to_owned())],
            directions: vec!["a->b".to_owned()],
            recording,
            nodes: vec!["a".to_owned(), "b".to_owned()],
            ends: vec![[0, 1]],
            frames: frames(),
            spans: vec![SpanMark {
                target: "a->b".to_owned(),
                words: "partition".to_owned(),
                from: Instant::ZERO,
                until: Instant::from_nanos(1_500),
            }],
        };
        let verdict = Verdict {
            violation: Some(Violation {
                signature: "O1.content".to_owned(),
                at: Instant::from_nanos(1_500),
                words: "</script><script>alert(1)</script>".to_owned(),
            }),
            case: "<!-- causeway".to_owned(),
            executed: String::new(),
        };
        let (title, subtitle) = ("t".to_owned(), "s".to_owned());
        Page { title, subtitle, verdict: Some(verdict), legs: vec![leg] }
    }

    #[test]
    fn a_page_is_one_document_of_bounded_size_that_fetches_nothing() {
        let html = page().render();
        assert!(html.starts_with("<!doctype html>") && html.len() < 2_000_000, "{}", html.len());
        for fetch in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!html.contains(fetch), "{fetch}");
        }
        assert_eq!(html.matches("</script>").count(), html.matches("<script").count());
        assert!(
            !html.contains(DATA_MARK)
                && !html.contains(SCRIPT_MARK)
                && !html.contains("<!-- causeway")
        );
        assert!(html.contains("\"at\":1.5,\"signature\":\"O1.content\""));
        assert!(html.contains("\"leftOut\":14000"));
    }
}
