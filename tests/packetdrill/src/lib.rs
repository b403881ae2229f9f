//! packetdrill's interface for shared objects, over [`causeway_conformance::host`].
//!
//! packetdrill loads this library, calls [`packetdrill_interface_init`], and then makes every system call, sends and
//! receives every packet and asks for the time through the function pointers that it gets. One process plays one script.
//!
//! Time is virtual and moves only in `usleep`, `netdev_receive` and, by a microsecond, `gettimeofday`. A call that blocks
//! sleeps on a condition variable in its own thread; when it is done, the clock stands still until that thread has
//! asked for the time.

mod address;
mod calls;
mod interface;
mod memory;
mod netdev;
mod state;
mod sysctl_file;

pub use interface::{Interface, packetdrill_interface_init};
