//! CRC-32C (Castagnoli's polynomial, as in RFC 3720 §12.1): by tables everywhere, by the instruction of SSE4.2 where there is one.
//!
//! Both go on from the CRC of what came before, so that a message may come in pieces of any length.

/// The polynomial, its bits in the order in which they are computed: the lowest first.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// Bytes that the tables take at a time.
const SLICE: usize = 8;

/// Of byte `b` with `k` zero bytes behind it: `TABLES[k][b]`.
static TABLES: [[u32; 256]; SLICE] = tables();

const fn tables() -> [[u32; 256]; SLICE] {
    let mut tables = [[0; 256]; SLICE];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut slice = 1;
    while slice < SLICE {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[slice - 1][byte];
            tables[slice][byte] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

/// The CRC of what has the CRC `crc`, followed by `bytes`.
pub(crate) fn portable(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = !crc;
    let (words, rest) = bytes.as_chunks::<SLICE>();
    for word in words {
        let word = u64::from_le_bytes(*word) ^ u64::from(crc);
        crc = 0;
        for (k, byte) in word.to_le_bytes().into_iter().enumerate() {
            crc ^= TABLES[SLICE - 1 - k][usize::from(byte)];
        }
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    !crc
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(crate) use wide::sse42;

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod wide {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};

    /// The instruction takes three cycles and another can begin in each: three lanes of so many bytes side by side.
    const LANE: usize = 128;
    /// Byte `k` of a CRC with [`LANE`] zero bytes behind it, without the inversions: `BEHIND[k][byte]`.
    static BEHIND: [[u32; 256]; 4] = behind();

    const fn behind() -> [[u32; 256]; 4] {
        // What becomes of each bit; a CRC is linear in them.
        let table = super::tables();
        let mut bits = [0; 32];
        let mut bit = 0;
        while bit < 32 {
            let mut crc = 1u32 << bit;
            let mut byte = 0;
            while byte < LANE {
                crc = (crc >> 8) ^ table[0][(crc & 0xff) as usize];
                byte += 1;
            }
            bits[bit] = crc;
            bit += 1;
        }
        let mut behind = [[0; 256]; 4];
        let mut at = 0;
        while at < 4 * 256 {
            let (k, byte) = (at / 256, at % 256);
            let mut bit = 0;
            while bit < 8 {
                if byte >> bit & 1 == 1 {
                    behind[k][byte] ^= bits[8 * k + bit];
                }
                bit += 1;
            }
            at += 1;
        }
        behind
    }

    /// `crc`, [`LANE`] bytes later.
    fn shift(crc: u32) -> u32 {
        let [a, b, c, d] = crc.to_le_bytes().map(usize::from);
        BEHIND[0][a] ^ BEHIND[1][b] ^ BEHIND[2][c] ^ BEHIND[3][d]
    }

    /// As [`super::portable`].
    ///
    /// # Safety
    /// The CPU must have SSE4.2.
    #[target_feature(enable = "sse4.2")]
    pub(crate) unsafe fn sse42(crc: u32, bytes: &[u8]) -> u32 {
        let mut crc = !crc;
        let (blocks, rest) = bytes.as_chunks::<{ 3 * LANE }>();
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            let (first, others) = words.split_at(LANE / 8);
            let (second, third) = others.split_at(LANE / 8);
            let mut lanes = [u64::from(crc), 0, 0];
            for ((a, b), c) in first.iter().zip(second).zip(third) {
                lanes[0] = _mm_crc32_u64(lanes[0], u64::from_le_bytes(*a));
                lanes[1] = _mm_crc32_u64(lanes[1], u64::from_le_bytes(*b));
                lanes[2] = _mm_crc32_u64(lanes[2], u64::from_le_bytes(*c));
            }
            // The instruction leaves the upper half zero.
            let [a, b, c] = lanes.map(|lane| lane as u32);
            crc = shift(shift(a) ^ b) ^ c;
        }
        let (words, rest) = rest.as_chunks::<8>();
        let mut wide = u64::from(crc);
        for word in words {
            wide = _mm_crc32_u64(wide, u64::from_le_bytes(*word));
        }
        crc = wide as u32;
        for byte in rest {
            crc = _mm_crc32_u8(crc, *byte);
        }
        !crc
    }

    #[test]
    fn the_tables_say_what_zero_bytes_do() {
        for crc in [1, 0x8000_0000, 0xdead_beef] {
            let later =
                (0..LANE).fold(crc, |c: u32, _| (c >> 8) ^ super::TABLES[0][(c & 0xff) as usize]);
            assert_eq!(shift(crc), later);
        }
    }
}
