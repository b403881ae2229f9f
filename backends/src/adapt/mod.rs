//! Decorators: backends around another backend.

pub mod fault;
