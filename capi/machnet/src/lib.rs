//! The C ABI of `machnet.h`: checks what C passes, calls the client library, turns reasons into errno.
//!
//! | module | what it does |
//! |---|---|
//! | [`abi`] | the functions of the header |
//! | `vector`, `in_place` | those of them that take several pieces or messages, or copy nothing |
//! | [`upstream`] | the functions of `upstream/machnet.h` |
//! | `args` | C arguments to Rust values |
//! | `hosts`, `registry` | the live contexts, under names that cannot be mistaken for addresses |
//! | `guard` | no panic crosses into C |
//! | `errno` | reasons to numbers, numbers to words |
//!
//! Built three ways: the static library from which `capi/build_shim.sh` links `libmachnet.so.0` with versioned symbols, a
//! plain `cdylib`, and an `rlib` whose functions the simulator exports to the C programs that it runs.
#![deny(missing_docs)]

pub mod abi;
mod args;
mod errno;
mod guard;
mod hosts;
mod in_place;
mod registry;
pub mod upstream;
mod vector;

pub use hosts::release_env;
pub use registry::MachnetChannelCtx;
