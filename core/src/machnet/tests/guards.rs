//! What a flow does not believe: handshakes that are not its own, times that say nothing, states that cannot be, and
//! selective acknowledgements that can be read in two ways.

use std::vec;

use super::pair::Rings;
use crate::error::EndReason;
use crate::machnet::ack::AckState;
use crate::machnet::message::SendQueue;
use crate::machnet::sack::{SackView, view};
use crate::machnet::window::Window;
use crate::machnet::{
    Config, Disposition, Flow, FlowEvent, FlowState, FlowTimer, PacketIn, StateError,
};
use crate::time::{Duration, Instant};
use crate::wire::machnet::{DATA_ACKNO, MachnetHeader, MsgFlags, NetFlags, SackField};

const T0: Instant = Instant::from_nanos(1_000_000_000);
const RTT: Duration = Duration::from_millis(30);

fn give(flow: &mut Flow, now: Instant, header: &MachnetHeader, payload: &[&[u8]]) -> Disposition {
    flow.handle_packet(now, &PacketIn { header, payload }, &mut Rings::new(1 << 20))
}

fn handshake(flags: NetFlags, seqno: u32, ackno: u32) -> MachnetHeader {
    MachnetHeader::new(flags, seqno, ackno)
}

/// Sends what the handshake has to send now.
fn transmit(flow: &mut Flow, now: Instant, flags: NetFlags) {
    assert_eq!(flow.poll_transmit(now).map(|packet| packet.header.net_flags), Some(flags));
}

/// Lets the handshake's timer run out; returns when it did.
fn time_out(flow: &mut Flow) -> Instant {
    let Some((at, FlowTimer::Handshake)) = flow.poll_timeout() else { panic!("no timer") };
    flow.handle_timeout(at, &mut Rings::new(1 << 20));
    at
}

fn connected() -> Flow {
    let mut flow = Flow::connect(T0, &Config::default(), 0);
    transmit(&mut flow, T0, NetFlags::Syn);
    give(&mut flow, T0, &handshake(NetFlags::SynAck, 0, 1), &[]);
    flow
}

#[test]
fn a_syn_ack_that_does_not_acknowledge_our_syn_opens_nothing() {
    let mut flow = Flow::connect(T0, &Config::default(), 7);
    transmit(&mut flow, T0, NetFlags::Syn);
    for ackno in [0, 7, 9, u32::MAX] {
        let answer = handshake(NetFlags::SynAck, 100, ackno);
        assert_eq!(give(&mut flow, T0, &answer, &[]), Disposition::Ignore, "{ackno}");
        assert_eq!(flow.state(), FlowState::SynSent);
    }
    let answer = handshake(NetFlags::SynAck, 100, 8);
    assert_eq!(give(&mut flow, T0, &answer, &[]), Disposition::Accept);
    assert_eq!(flow.state(), FlowState::Established);
}

#[test]
fn a_handshake_that_was_sent_once_gives_the_first_round_trip_time_and_one_sent_twice_gives_none() {
    let syn = handshake(NetFlags::Syn, 0, 0);
    for (active, out, answer) in [
        (true, NetFlags::Syn, handshake(NetFlags::SynAck, 0, 1)),
        (false, NetFlags::SynAck, handshake(NetFlags::Ack, 1, 1)),
    ] {
        for (attempts, srtt) in [(1, RTT), (2, Duration::ZERO)] {
            let config = Config::default();
            let mut flow = if active {
                Flow::connect(T0, &config, 0)
            } else {
                Flow::accept(T0, &config, 0, &syn)
            };
            transmit(&mut flow, T0, out);
            let mut now = T0;
            for _ in 1..attempts {
                now = time_out(&mut flow);
                transmit(&mut flow, now, out);
            }
            assert_eq!(give(&mut flow, now + RTT, &answer, &[]), Disposition::Accept);
            assert_eq!(flow.info().srtt, srtt, "active {active}, {attempts} attempts");
        }
    }
}

#[track_caller]
fn assert_refused(flow: &Flow, config: &Config) {
    let bytes = flow.write_state().unwrap();
    assert_eq!(Flow::read_state(&bytes, config).map(drop), Err(StateError::Invalid));
}

/// An established flow with `change` made to it is refused; as it was, it is read.
#[track_caller]
fn assert_refused_with(change: impl FnOnce(&mut Flow)) {
    let (mut flow, config) = (connected(), Config::default());
    assert_eq!(Flow::read_state(&flow.write_state().unwrap(), &config), Ok(flow.clone()));
    change(&mut flow);
    assert_refused(&flow, &config);
}

#[test]
fn a_state_with_a_count_that_no_flow_reaches_is_refused() {
    assert_refused_with(|flow| flow.attempts = 65);
    assert_refused_with(|flow| flow.retries = 65);
    assert_refused_with(|flow| flow.events.extend(vec![FlowEvent::Writable; 1_025]));
}

#[test]
fn a_flow_of_which_icmp_says_that_nobody_is_there_waits_for_no_end_of_its_handshake() {
    let mut passive = Flow::accept(T0, &Config::default(), 0, &handshake(NetFlags::Syn, 0, 0));
    assert_eq!(passive.poll_transmit(T0).unwrap().header.net_flags, NetFlags::SynAck);
    assert!(passive.refuse(EndReason::Refused));
    assert_eq!((passive.state(), passive.poll_transmit(T0)), (FlowState::Closed, None));
    assert!(!connected().refuse(EndReason::Refused), "who has answered may not be believed");
}

#[test]
fn a_state_of_a_handshake_that_cannot_be_is_refused() {
    let mut passive = Flow::accept(T0, &Config::default(), 0, &handshake(NetFlags::Syn, 0, 0));
    passive.state = FlowState::SynSent;
    assert_refused(&passive, &Config::default());
    for state in [FlowState::SynSent, FlowState::SynReceived] {
        let (mut flow, mut io) = (connected(), Rings::new(1 << 20));
        io.tx.extend([7; 10]);
        flow.send_message(0, 10, 1, &io).unwrap();
        while flow.poll_transmit(T0).is_some() {}
        flow.state = state;
        assert_refused(&flow, &Config::default());
    }
}

#[test]
fn a_state_of_which_one_part_alone_cannot_be_is_refused() {
    assert_refused_with(|flow| flow.rto.sample(Duration::from_secs(20 * 86_400)));
    assert_refused_with(|flow| flow.window = Window::new(0));
    assert_refused_with(|flow| flow.ack = AckState::new(flow.rx.rcv_nxt().wrapping_add(1)));
    let small = Config::builder().msg_max(1_000).build().unwrap();
    let mut io = Rings::new(1 << 20);
    io.tx.extend([7; 1_001]);
    // A message that is longer than any may be is queued; the same is under way; the same is arriving.
    let mut queued = connected();
    queued.send_message(0, 1_001, 1, &io).unwrap();
    assert_refused(&queued, &small);
    let mut sent = queued.clone();
    while sent.poll_transmit(T0).is_some() {}
    assert_eq!(Flow::read_state(&sent.write_state().unwrap(), &small).map(drop), Ok(()));
    sent.queue = SendQueue::new();
    assert_refused(&sent, &Config::default());
    let mut arriving = connected();
    let mut first = MachnetHeader::new(NetFlags::Data, 1, DATA_ACKNO);
    first.msg_flags = MsgFlags::place(true, false);
    assert_eq!(give(&mut arriving, T0, &first, &[&[7; 1_418]]), Disposition::Accept);
    assert_refused(&arriving, &small);
}

#[test]
fn a_field_that_upstream_and_causeway_read_differently_is_believed_once_something_came_in_order() {
    // Packets 1 and 25 in our layout, packet 1 and another one out of sight in upstream's.
    let both = SackField { words: [2, 0, 0, 2], count: 2 };
    let nothing = SackView { held: 0, known: 1 };
    assert_eq!(view(&both, false, 32), nothing, "but that packet ackno is missing");
    let ours = SackView { held: 1 << 25 | 1 << 1, known: u32::MAX };
    assert_eq!(view(&both, true, 32), ours, "upstream's history would show");
    // Word 0 is empty, or says what upstream never does: only our layout is left.
    let visible = SackField { words: [0, 0, 0, 6], count: 2 };
    assert_eq!(view(&visible, false, 32), SackView { held: 6, known: u32::MAX });
    let impossible = SackField { words: [1, 0, 0, 2], count: 2 };
    let held = 1 << 24 | 1 << 1;
    assert_eq!(view(&impossible, false, 32), SackView { held, known: u32::MAX });
}
