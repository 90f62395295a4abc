//! What a VM remembers of streams between request and response, and between the pieces of a response.

use std::collections::BTreeMap;

use pintle_core::Stream;

use crate::abi::{self, Status};

/// How many idle streams keep their memory for new ones.
const SPARE_STREAMS: usize = 64;

/// How many streams are remembered before the dead are looked for, tick or no tick.
const SWEEP_FROM: usize = 1024;

/// How much content may be remembered before the dead are looked for, in bytes: that of some clients
/// that go away in the middle of an error, and little beside the memory of a VM, which never shrinks.
const SWEEP_FROM_BYTES: usize = 4 * 1024 * 1024;

/// Streams by context id. Not a `HashMap`, whose random key traps where the host gives no random
/// bytes.
#[derive(Debug)]
pub(crate) struct Streams {
    remembered: BTreeMap<u32, Remembered>,
    /// How many may be remembered until the next sweep.
    limit: usize,
    /// How much content is remembered, in bytes.
    bytes: usize,
    /// How much of it may be until the next sweep.
    limit_bytes: usize,
    #[expect(clippy::vec_box, reason = "streams go from hand to hand, and are not small")]
    spare: Vec<Box<Stream>>,
}

/// What there is to know of a stream when its response comes, or more of it.
#[derive(Debug)]
pub(crate) enum Memory {
    /// The request went on.
    Forwarded(Box<Stream>),
    /// The response is our own reply, and complete.
    Replied,
    /// The fields of the response have gone on, and its content is replaced. Where that is done, the
    /// rest of it goes nowhere.
    Replacing(Box<Replaced>),
    /// The response could be neither replaced nor refused: nothing more of it may go on.
    Broken,
}

/// A response whose content is replaced.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) stream: Box<Stream>,
    /// How many bytes of content are still to come, where the response has said so.
    pub(crate) left: Option<usize>,
    /// Trailers may follow: until its new content is written it has to be held.
    pub(crate) may_have_trailers: bool,
    /// The host holds it.
    pub(crate) is_held: bool,
}

#[derive(Debug)]
struct Remembered {
    memory: Memory,
    /// A tick has passed since.
    aged: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            remembered: BTreeMap::new(),
            limit: SWEEP_FROM,
            bytes: 0,
            limit_bytes: SWEEP_FROM_BYTES,
            spare: Vec::new(),
        }
    }
}

impl Streams {
    /// A stream as new, with memory of an earlier one.
    pub(crate) fn fresh(&mut self) -> Box<Stream> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back what [`Streams::fresh`] gave.
    pub(crate) fn retire(&mut self, mut stream: Box<Stream>) {
        if self.spare.len() < SPARE_STREAMS {
            stream.clear();
            self.spare.push(stream);
        }
    }

    /// Remembers the current stream until more of it comes or it is found dead.
    pub(crate) fn remember(&mut self, id: u32, memory: Memory) {
        let bytes = memory.content_bytes();
        if self.remembered.len() >= self.limit
            || self.bytes.saturating_add(bytes) > self.limit_bytes
        {
            self.sweep(|_| true);
            let _ = abi::set_effective_context(id);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let _ = self.remembered.insert(id, Remembered { memory, aged: false });
    }

    /// What was remembered; it is forgotten by that.
    pub(crate) fn recall(&mut self, id: u32) -> Option<Memory> {
        let memory = self.remembered.remove(&id)?.memory;
        self.bytes = self.bytes.saturating_sub(memory.content_bytes());
        Some(memory)
    }

    /// A tick has passed: forgets those that have died. Afterwards another context is effective.
    pub(crate) fn age(&mut self) {
        self.sweep(|remembered| std::mem::replace(&mut remembered.aged, true));
    }

    /// Forgets the dead among those that are `due`.
    fn sweep(&mut self, due: impl Fn(&mut Remembered) -> bool) {
        self.remembered.retain(|id, remembered| !due(remembered) || is_alive(*id));
        self.limit = self.remembered.len().saturating_mul(2).max(SWEEP_FROM);
        self.bytes = self.remembered.values().map(|r| r.memory.content_bytes()).sum();
        self.limit_bytes = self.bytes.saturating_mul(2).max(SWEEP_FROM_BYTES);
    }
}

impl Memory {
    /// How much memory its content takes, in bytes.
    fn content_bytes(&self) -> usize {
        match self {
            Self::Replacing(replaced) => replaced.stream.content_bytes(),
            _ => 0,
        }
    }
}

/// Whether the host still has a context; if so that one is the effective context now.
pub(crate) fn is_alive(id: u32) -> bool {
    abi::set_effective_context(id) != Err(Status::BadArgument)
}
