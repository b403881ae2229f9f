//! Stories of two hosts on one wire.

mod tcp_stories;
