//! The Internet checksum (RFC 1071) and the fused copy.
#![cfg_attr(not(feature = "std"), no_std)]
