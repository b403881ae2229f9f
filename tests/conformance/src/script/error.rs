//! Why a script cannot be read.

use std::fmt;

/// One line of a script that is not the language, or that this interpreter does not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl SyntaxError {
    pub(super) fn new<T>(line: usize, what: impl Into<String>) -> Result<T, Self> {
        Err(Self { line, what: what.into() })
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}
