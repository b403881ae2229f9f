//! Safe Rust client of the Causeway daemon.
