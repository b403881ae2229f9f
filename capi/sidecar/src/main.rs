//! The Causeway daemon and its tools.
fn main() {}
