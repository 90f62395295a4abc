//! What a VM remembers of streams between request and response.

use std::collections::BTreeMap;

use pintle_core::Stream;

use crate::abi::{self, Status};

/// How many idle streams keep their memory for new ones.
const SPARE_STREAMS: usize = 64;

/// How many streams are remembered before the dead are looked for, tick or no tick.
const SWEEP_FROM: usize = 1024;

/// Streams between request and response, by context id. Not a `HashMap`, whose random key traps
/// where the host gives no random bytes.
#[derive(Debug)]
pub(crate) struct Streams {
    remembered: BTreeMap<u32, Remembered>,
    /// How many may be remembered until the next sweep.
    limit: usize,
    spare: Vec<Stream>,
}

/// What there is to know of a stream when its response comes.
#[derive(Debug)]
pub(crate) enum Memory {
    /// The request went on.
    Forwarded(Stream),
    /// The response is our own reply, and complete.
    Replied,
}

#[derive(Debug)]
struct Remembered {
    memory: Memory,
    /// A tick has passed since.
    aged: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self { remembered: BTreeMap::new(), limit: SWEEP_FROM, spare: Vec::new() }
    }
}

impl Streams {
    /// A stream as new, with memory of an earlier one.
    pub(crate) fn fresh(&mut self) -> Stream {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back what [`Streams::fresh`] gave.
    pub(crate) fn retire(&mut self, mut stream: Stream) {
        if self.spare.len() < SPARE_STREAMS {
            stream.clear();
            self.spare.push(stream);
        }
    }

    /// Remembers the current stream until its response comes or it is found dead.
    pub(crate) fn remember(&mut self, id: u32, memory: Memory) {
        if self.remembered.len() >= self.limit {
            self.sweep(|_| true);
            let _ = abi::set_effective_context(id);
        }
        let _ = self.remembered.insert(id, Remembered { memory, aged: false });
    }

    /// What was remembered; it is forgotten by that.
    pub(crate) fn recall(&mut self, id: u32) -> Option<Memory> {
        self.remembered.remove(&id).map(|remembered| remembered.memory)
    }

    /// A tick has passed: forgets those that have died. Afterwards another context is effective.
    pub(crate) fn age(&mut self) {
        self.sweep(|remembered| std::mem::replace(&mut remembered.aged, true));
    }

    /// Forgets the dead among those that are `due`.
    fn sweep(&mut self, due: impl Fn(&mut Remembered) -> bool) {
        self.remembered.retain(|id, remembered| !due(remembered) || is_alive(*id));
        self.limit = self.remembered.len().saturating_mul(2).max(SWEEP_FROM);
    }
}

/// Whether the host still has a context; if so that one is the effective context now.
pub(crate) fn is_alive(id: u32) -> bool {
    abi::set_effective_context(id) != Err(Status::BadArgument)
}
