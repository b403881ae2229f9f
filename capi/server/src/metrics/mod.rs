//! The Prometheus endpoint: the daemon's figures over HTTP/1.1, on a loopback address or a unix socket.
//!
//! A thread of its own that answers `GET /metrics` and nothing else. Whoever can reach it is told of no single application: what a tenant
//! has is told as a sum. Everything about it is bounded: connections, the bytes of a request, the time for all of it.

mod exposition;
mod http;
mod listener;
mod server;

pub use exposition::exposition;
pub use listener::{MetricsBindError, MetricsListener};
pub use server::MetricsServer;
