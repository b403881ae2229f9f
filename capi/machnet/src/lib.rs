//! The machnet.h C ABI.
