//! The payload of transfers: bytes that repeat nowhere near, the same each time for a seed.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::process::{command, finish};

/// Output: `len` bytes.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(len + 8);
    let mut counter = seed;
    while content.len() < len {
        counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        content.extend_from_slice(&mix(counter).to_le_bytes());
    }
    content.truncate(len);
    content
}

/// The finaliser of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Getter: the first place where two contents differ, in words; `None` when they are equal.
pub fn difference(got: &[u8], expected: &[u8]) -> Option<String> {
    if got.len() != expected.len() {
        return Some(format!("{} bytes instead of {}", got.len(), expected.len()));
    }
    let place = got.iter().zip(expected).position(|(a, b)| a != b)?;
    Some(format!("byte {place} is {:#04x} instead of {:#04x}", got[place], expected[place]))
}

/// Output: the SHA-256 digest of `content`, by coreutils; `file` is written on the way.
pub fn sha256(file: &Path, content: &[u8]) -> Result<String> {
    std::fs::write(file, content)?;
    let output = finish(command("sha256sum").arg("--").arg(file))?;
    let text = String::from_utf8(output.stdout)?;
    let digest = text.split_whitespace().next().unwrap_or_default();
    ensure!(digest.len() == 64, "sha256sum: {text}");
    Ok(digest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_and_named() {
        let content = bytes(1, 1_000);
        assert_eq!(difference(&content, &content), None);
        let mut other = content.clone();
        other[999] ^= 1;
        assert!(difference(&other, &content).is_some_and(|d| d.starts_with("byte 999")));
        assert!(difference(&content[..999], &content).is_some());
        assert_ne!(bytes(2, 1_000), content);
    }
}
