//! Memory that the target owns and every event of a worker works in.

use alloc::vec::Vec;
use core::fmt;

use crate::arrival::Arrival;

/// Buffers that keep their capacity from event to event, one per worker or VM: the reason why an
/// ordinary request takes no heap memory.
#[derive(Default)]
pub struct Scratch {
    pub(crate) arrival: Arrival,
    pub(crate) buffer: Vec<u8>,
}

/// What a buffer may keep between events, in bytes: one odd request must not hold its memory for
/// ever.
const KEPT_BYTES: usize = 64 * 1024;

impl Scratch {
    /// Clears what an event left.
    #[inline]
    pub(crate) fn clear(&mut self) {
        clear(&mut self.buffer);
    }
}

/// Empties a buffer, which may have held a secret, and lets an outsized one go.
#[inline]
pub(crate) fn clear(buffer: &mut Vec<u8>) {
    if !buffer.is_empty() {
        buffer.fill(0);
        buffer.clear();
        buffer.shrink_to(KEPT_BYTES);
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch(..)")
    }
}
