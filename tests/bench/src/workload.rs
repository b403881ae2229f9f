//! What is done with a pair, the same for every stack.

use std::hint::black_box;

use crate::pair::{Pair, Side};

/// Bytes of a request and of a response.
pub const MESSAGE: usize = 64;

/// What a workload did: how many units of work, in the unit that it is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Segments, round trips or connections.
    pub units: u64,
}

/// Bytes that the application writes and reads at a time. Longer copies become `rep movsb`, which callgrind counts as an
/// instruction a byte.
const PIECE: usize = 2 << 10;

/// Sends `bytes` from client to server over connection 0.
pub fn bulk(pair: &mut impl Pair, bytes: u64) -> Done {
    let payload = vec![0x5a; PIECE];
    let mut sink = vec![0; PIECE];
    let before = pair.data_frames();
    let (mut written, mut read) = (0, 0);
    while read < bytes {
        loop {
            let room = payload.len().min((bytes - written).try_into().unwrap_or(usize::MAX));
            let count = pair.write(0, Side::Client, &black_box(&payload)[..room]);
            written += count as u64;
            if count < PIECE {
                break;
            }
        }
        pair.step();
        loop {
            let count = pair.read(0, Side::Server, black_box(&mut sink));
            read += count as u64;
            // Nobody looks at the bytes; the compiler shall not know.
            black_box(&sink);
            if count == 0 {
                break;
            }
        }
    }
    Done { units: pair.data_frames() - before }
}

/// `rounds` round trips, one in flight, over the connections in turn with a stride that visits all.
pub fn rpc_serial(pair: &mut impl Pair, connections: usize, rounds: u64) -> Done {
    let mut buffer = [0; MESSAGE];
    let mut index = 0;
    for _ in 0..rounds {
        assert_eq!(
            pair.write(index, Side::Client, &[1; MESSAGE]),
            MESSAGE,
            "an idle connection takes a request"
        );
        receive(pair, index, Side::Server, &mut buffer);
        assert_eq!(
            pair.write(index, Side::Server, &[2; MESSAGE]),
            MESSAGE,
            "an idle connection takes a response"
        );
        receive(pair, index, Side::Client, &mut buffer);
        index = (index + 617) % connections;
    }
    Done { units: rounds }
}

fn receive(pair: &mut impl Pair, index: usize, side: Side, buffer: &mut [u8; MESSAGE]) {
    let mut have = 0;
    while have < MESSAGE {
        pair.step();
        have += pair.read(index, side, &mut buffer[have..]);
    }
}

/// `rounds` round trips on each connection, one in flight on each.
pub fn rpc_all(pair: &mut impl Pair, connections: usize, rounds: u64) -> Done {
    let mut buffer = [0; MESSAGE];
    let mut left = vec![rounds; connections];
    let mut open = connections;
    for index in 0..connections {
        pair.write(index, Side::Client, &[1; MESSAGE]);
    }
    while open > 0 {
        pair.step();
        for (index, left) in left.iter_mut().enumerate().filter(|(_, left)| **left > 0) {
            if pair.read(index, Side::Server, &mut buffer) == MESSAGE {
                pair.write(index, Side::Server, &[2; MESSAGE]);
            }
            if pair.read(index, Side::Client, &mut buffer) == MESSAGE {
                *left -= 1;
                if *left > 0 {
                    pair.write(index, Side::Client, &[1; MESSAGE]);
                } else {
                    open -= 1;
                }
            }
        }
    }
    Done { units: rounds * connections as u64 }
}

/// Opens and closes `count` connections, one after the other, beside those that are open.
pub fn churn(pair: &mut impl Pair, open: usize, count: u64) -> Done {
    for _ in 0..count {
        pair.open(1);
        pair.close(open);
    }
    Done { units: count }
}
