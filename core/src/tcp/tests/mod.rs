//! Stories of two connections over a link that may lose, delay, reorder and duplicate.

mod autotuning;
mod bottleneck;
mod bulk;
mod closing;
mod congestion;
mod ecn;
mod flow;
mod handshake;
mod joined;
mod link;
mod loss;
mod mtu_probing;
mod options;
mod pair;
mod recovery;
mod reordering;
mod segments;
mod spurious;
mod state_file;
mod stream;
mod timeline;
mod urgent;
