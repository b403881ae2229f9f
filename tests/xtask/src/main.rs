//! The project commands: test, bench, fuzz.
fn main() {}
