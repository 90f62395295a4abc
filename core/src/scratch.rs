//! Memory that the target owns and every event of a worker works in.

use alloc::vec::Vec;

use crate::arrival::Arrival;

/// Buffers that keep their capacity from event to event, one per worker or VM: the reason why an
/// ordinary request takes no heap memory.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) arrival: Arrival,
    pub(crate) buffer: Vec<u8>,
}

/// What a buffer may keep between events, in bytes: one odd request must not hold its memory for
/// ever.
const KEPT_BYTES: usize = 64 * 1024;

impl Scratch {
    /// Empties the buffer, which may have held a secret, and lets an outsized one go.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if !self.buffer.is_empty() {
            self.buffer.fill(0);
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_BYTES);
        }
    }
}
