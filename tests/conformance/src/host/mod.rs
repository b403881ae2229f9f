//! POSIX calls over the engine on a virtual clock.
//!
//! A [`Host`] is one machine with one application: [`Host::start`] begins a [`Call`], which ends at once or, where
//! POSIX blocks, when something happens; [`Host::advance`] lets time pass; [`Host::inject`] and [`Host::poll_sent`] are
//! its wire, in whole IP datagrams. There is one thread: a blocking call is a value that waits.

mod ancillary;
mod call;
mod datagram;
mod descriptor;
pub mod errno;
mod errors;
mod fast_open_key;
mod file;
#[expect(clippy::module_inception, reason = "the host of the module `host`")]
mod host;
mod info;
mod machine;
mod options;
mod pipe;
mod poll;
pub mod port;
mod saved_syn;
mod settings;
mod stamps;
mod stream;
mod sysctl;
mod transfer;
mod urgent;
mod values;

pub use call::{
    Call, CallResult, ControlMessage, Destination, EpollEvent, Payload, PollFd, Received, Reply,
    TaskId,
};
pub use descriptor::DescriptorKind;
pub use errno::Errno;
pub use host::{Addresses, Host, HostConfig};
pub use info::{
    TCP_CC_INFO_LEN, TCP_INFO_FIELDS, TCP_INFO_LEN, tcp_cc_info_fields, tcp_info_fields,
};
pub use machine::{Datagram, START};
pub use sysctl::SysctlError;
