//! The account of what all connections together hold of received data (tcp_mem).

/// Bytes that applications have not read, or that lie beyond gaps, above a small floor of each connection (tcp_rmem's first
/// number), which nobody has to ask for. The limit is global; a connection may hold as much above its floor as then
/// stays free (dynamic thresholds, Choudhury and Hahne 1998, with alpha 1): however many stand still with full windows, there is
/// room for the next one, and all of them together never hold more than the limit and what arrives between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReceiveMemory {
    bytes_max: u64,
    held: u64,
}

impl ReceiveMemory {
    /// An account of at most `bytes_max` bytes.
    pub const fn new(bytes_max: u64) -> Self {
        Self { bytes_max, held: 0 }
    }

    /// Getter: bytes that are held above the floors.
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Getter: bytes that may be held beside those that are.
    pub const fn free(&self) -> u64 {
        self.bytes_max.saturating_sub(self.held)
    }

    /// Getter: three quarters are held: each segment is looked at from now on.
    #[inline]
    pub const fn is_pressed(&self) -> bool {
        self.held > self.bytes_max - self.bytes_max / 4
    }

    /// Command: a connection that held `before` bytes holds `after`.
    pub(in crate::tcp) fn exchange(&mut self, before: u32, after: u32) {
        self.held = self.held.saturating_sub(before.into()).saturating_add(after.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exchanged_is_counted_once() {
        let mut memory = ReceiveMemory::new(1_000);
        memory.exchange(0, 600);
        memory.exchange(0, 500);
        assert_eq!((memory.held(), memory.free()), (1_100, 0));
        memory.exchange(600, 100);
        memory.exchange(500, 0);
        assert_eq!((memory.held(), memory.free()), (100, 900));
    }
}
