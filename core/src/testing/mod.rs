//! Doubles of the core's two edges, for tests, benchmarks and fuzz targets: an in-memory [`crate::nic::Nic`]
//! pair and an [`crate::port::AppPort`] over plain vectors; and models that a child could write. Behind the feature `testing`,
//! which changes nothing else.

mod duo;
mod frame;
mod nic;
mod port;
mod reassembly_model;
mod ring;
mod stream_model;

pub use duo::{CHANNEL, Duo, Handle, Host, transfer};
pub use frame::{FramePool, MemFrame};
pub use nic::{MemNic, default_caps};
pub use port::{VecPort, VecStreamIo};
pub use reassembly_model::ReassemblyModel;
pub use stream_model::StreamModel;
