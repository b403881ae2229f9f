//! The composition of the protocols: from frames to sockets, from sockets to frames, from commands to both.
//!
//! | file | what |
//! |---|---|
//! | `composition` | [`Stack`]: the tables |
//! | `rx`, `rx_predicted`, `rx_ipv6`, `rx_fragment`, `rx_fragment_v6`, `rx_tcp`, `rx_udp`, `rx_icmp`, `rx_icmpv6`, `ndp` | input: a frame finds its socket, or is answered, or is dropped and counted |
//! | `autoconf` | IPv6 addresses and routes that come and go |
//! | `icmp_in`, `icmp_out` | ICMP errors: what those of others mean to our sockets, and which we send |
//! | `tx`, `emit`, `emit_plain`, `tx_udp`, `flow_label`, `fragment_out` | output: ready sockets take turns, packets are written into the NIC's memory |
//! | `commands`, `open`, `set_option`, `udp_socket` | what applications ask for |
//! | `backlog` | a listener's two queues, SYN cookies |
//! | `lifecycle` | after every input: news to the application, timer, ready list, end |
//! | `orphans` | what becomes of the sockets of an application that is gone |
//! | `timers`, `resolve`, `silence`, `ping`, `replies`, `datagram` | time, neighbours, packets without a socket |
//! | `lookup`, `channels`, `sock`, `routing` | tables |
//! | `survey` | what an operator sees of each socket |
//! | `export` | state written out, read back, hashed |

mod autoconf;
mod backlog;
mod channels;
mod commands;
mod composition;
mod config;
mod datagram;
mod emit;
mod emit_plain;
mod event_log;
mod export;
mod fast_open;
mod flow_label;
mod fragment_out;
mod icmp_in;
mod icmp_out;
mod lifecycle;
mod lookup;
mod machnet_reply;
mod ndp;
mod no_stream;
mod open;
mod orphans;
mod payload;
mod ping;
mod receive_memory;
mod recent;
mod replies;
mod resolve;
mod routing;
mod rx;
mod rx_fragment;
mod rx_fragment_v6;
mod rx_icmp;
mod rx_icmpv6;
mod rx_ipv6;
mod rx_predicted;
mod rx_tcp;
mod rx_udp;
mod set_option;
mod silence;
mod sock;
mod stamp;
mod stats;
mod survey;
#[cfg(test)]
mod tests;
mod timers;
mod tx;
mod tx_udp;
mod udp_socket;
mod way;

pub use composition::Stack;
pub use config::{BAD_CHECKSUM_PEERS_MAX, ConfigError, StackConfig, StackConfigBuilder};
pub use export::RestoreError;
pub use orphans::ORPHAN_LINGER;
pub use stats::{Drops, Stats};
pub use survey::{SocketRole, Surveyed};
pub use tx::{TxQueue, TxStop};
