//! The C programs, and what the oracle has to know of them.

use crate::guest::{Program, Release};

const SERVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/server.so"));
const CLIENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/client.so"));

const MESSAGE_MAX: u64 = 1 << 20;
const PACKET_PAYLOAD: u64 = 1_418;
const LADDER: u64 = 21 * 3 + 9;

/// Messages in each direction, as in `sim/programs/sizes.h`.
pub const MESSAGES: u64 = 2 * LADDER;

fn ladder_size(step: u64) -> u64 {
    if step < 21 * 3 {
        return ((1_u64 << (step / 3)) + step % 3 - 1).clamp(1, MESSAGE_MAX);
    }
    let step = step - 21 * 3;
    [1, 2, 32][(step / 3) as usize] * PACKET_PAYLOAD + step % 3 - 1
}

/// Getter: the length of request `index` in bytes.
pub fn request_size(index: u64) -> u64 {
    ladder_size(if index < LADDER { index } else { MESSAGES - 1 - index })
}

/// Getter: the length of the reply to request `index` in bytes.
pub fn reply_size(index: u64) -> u64 {
    request_size((index + LADDER / 2) % MESSAGES)
}

/// The server: `machnet_listen`, then a reply to each request.
pub fn server(address: &str, port: u16, flow: u64, messages: u64, release: Release) -> Program {
    let arguments =
        vec![address.to_owned(), port.to_string(), flow.to_string(), messages.to_string()];
    Program::SharedObject { image: SERVER.into(), arguments, release: Some(release) }
}

/// The client: `machnet_connect`, then requests, at most `ahead` of them without their reply.
pub fn client(
    local: &str,
    remote: &str,
    port: u16,
    flow: u64,
    messages: u64,
    ahead: u32,
    release: Release,
) -> Program {
    let arguments = vec![
        local.to_owned(),
        remote.to_owned(),
        port.to_string(),
        flow.to_string(),
        messages.to_string(),
        ahead.to_string(),
    ];
    Program::SharedObject { image: CLIENT.into(), arguments, release: Some(release) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_span_from_one_byte_to_a_mebibyte_both_ways() {
        let requests: Vec<u64> = (0..MESSAGES).map(request_size).collect();
        let replies: Vec<u64> = (0..MESSAGES).map(reply_size).collect();
        for sizes in [&requests, &replies] {
            assert_eq!(sizes.iter().min(), Some(&1));
            assert_eq!(sizes.iter().max(), Some(&MESSAGE_MAX));
            for around in [PACKET_PAYLOAD - 1, PACKET_PAYLOAD, PACKET_PAYLOAD + 1] {
                assert!(sizes.contains(&around), "{around}");
            }
        }
        assert_eq!(requests[..6], [1, 1, 2, 1, 2, 3]);
    }
}
