//! A guest's random numbers, behind the traits of the `rand` crate.

use std::convert::Infallible;

use rand::TryRng;

use super::context::current;

/// The random numbers of the guest that runs on this thread: a function of the world's seed, the guest and how many it
/// has drawn. With the traits of `rand` (distributions, shuffles) on top.
///
/// ```no_run
/// use causeway_sim::guest::Random;
/// use rand::RngExt;
///
/// // Inside a guest:
/// let pause_us = Random.random_range(1..100);
/// # let _: u64 = pause_us;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|draw| (draw >> 32) as u32)
    }

    /// # Panics
    /// On a thread that is no guest: there is no seed to draw from.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(current().expect("random numbers of a guest are drawn by a guest").random())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let draw = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&draw[..chunk.len()]);
        }
        Ok(())
    }
}
