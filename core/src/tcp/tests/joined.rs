//! Segments that a NIC joined (LRO).

use super::pair::{Pair, SERVER};
use crate::tcp::Config;
use crate::wire::tcp::{TcpFlags, TcpHeader, Timestamps};

/// A connection whose server has no quick acknowledgements to send, and reads nothing.
fn delays_acknowledgements() -> Pair {
    let mut pair = Pair::established(Config::default());
    pair.run_until(|p| p.link.queue.is_empty());
    pair.ends[SERVER].tcp().rcv.pace.interactive = true;
    pair.ends[SERVER].reads = false;
    pair
}

/// What `len` bytes, joined from segments of `gso_size`, are answered with by the server at once: the number of acknowledgements. With
/// `long_way` a SACK block keeps them off the short way.
fn answers_to(pair: &mut Pair, len: usize, gso_size: u16, long_way: bool) -> usize {
    let server = pair.ends[SERVER].tcp();
    let mut header = TcpHeader {
        seq: server.rcv.rcv_nxt,
        ack: server.snd.snd_una,
        flags: TcpFlags::ACK,
        window: 500,
        ..TcpHeader::default()
    };
    header.options.timestamps = Some(Timestamps { value: server.rcv.ts_recent, echo: 1 });
    if long_way {
        header.options.sack.push(header.ack - 2, header.ack - 1);
    }
    let before = pair.ends[SERVER].sent.len();
    pair.deliver_joined(SERVER, &header, &std::vec![7; len], gso_size);
    pair.flush();
    pair.ends[SERVER].sent.len() - before
}

#[test]
fn of_segments_that_the_nic_joined_the_length_of_one_is_learnt_so_that_two_are_acknowledged_at_once()
 {
    for long_way in [false, true] {
        let mut pair = delays_acknowledgements();
        assert_eq!(answers_to(&mut pair, 2_500, 1_000, long_way), 1, "two and a half of them");
        assert_eq!(pair.ends[SERVER].tcp().info().rcv_mss, 1_000);
        assert_eq!(answers_to(&mut pair, 1_000, 0, long_way), 0, "one waits");
        assert_eq!(answers_to(&mut pair, 1_000, 0, long_way), 1, "and the second does not");
        assert_eq!(answers_to(&mut pair, 2_000, 1_000, long_way), 1, "nor do two that are joined");
        assert_eq!(answers_to(&mut pair, 900, 9_000, long_way), 0, "no part is longer than all");
        assert_eq!(pair.ends[SERVER].tcp().info().rcv_mss, 1_000);
        assert_eq!(answers_to(&mut pair, 9_000, 9_000, long_way), 1);
        assert_eq!(pair.ends[SERVER].tcp().info().rcv_mss, 1_448, "nor than a segment can be");
    }
}
