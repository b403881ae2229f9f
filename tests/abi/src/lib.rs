//! The C ABI under test: headers, symbols, and the map from the reference to header, code and tests.
//!
//! * [`contract`] reads the facts of the reference and writes `CONTRACT.md`.
//! * [`header`] reads the prototypes of a C header.
//! * [`snapshot`] compares a shared library with what it promised once.
//! * [`toolchain`] runs the C and C++ compilers and builds the shared library.

pub mod contract;
pub mod header;
pub mod snapshot;
pub mod toolchain;
