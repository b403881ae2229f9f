//! The rules of the house, measured: what a reviewer would otherwise say again and again.
//!
//! [`check_source`] measures one Rust file, [`check_words`] any file, [`tree`] walks the repository, [`layers`] checks that
//! arrows between crates only go down. `tests/tidy.rs` runs them over the tree.

mod arms;
pub mod docs;
pub mod layers;
mod source;
pub mod threats;
pub mod tree;
mod words;

pub use source::{FILE_LINES_MAX, FUNCTION_LINES_MAX, Finding, check_source};
pub use words::{WRITTEN, check_words};
