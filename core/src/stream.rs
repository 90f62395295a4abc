//! What one stream remembers from its request to its response.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::ops::Range;

use crate::arrival::Arrival;
use crate::content::Replacing;
use crate::fields::FieldName;
use crate::scratch;

/// What a filter keeps while a request waits. Of whatever type it likes: a stream that does not wait
/// has no room for it, and all streams are of one type, whatever filters there are.
pub type Waiting = Box<dyn Any + Send>;

/// What one stream remembers: which filters its response is for, and the request's values that they
/// need. Takes no heap memory unless a value is kept; [`Stream::clear`] leaves the memory for the
/// next stream.
#[derive(Default)]
pub struct Stream {
    /// Whether the request was seen and went on: a response now is one to it.
    pub(crate) forwarded: bool,
    /// A bit for each step with a response phase: whether its `when` held.
    pub(crate) applies: u128,
    /// A bit for each step: whether its verdict was observed with the request.
    pub(crate) observed: u128,
    kept: Vec<KeptValue>,
    bytes: Vec<u8>,
    pub(crate) paused: Option<Box<Paused>>,
    pub(crate) replacing: Option<Box<Replacing>>,
}

/// A request that waits.
pub(crate) struct Paused {
    /// The step that paused it.
    pub(crate) step: usize,
    /// Request fields were changed before.
    pub(crate) edited: bool,
    /// What later conditions judge.
    pub(crate) arrival: Arrival,
    /// What the step keeps.
    pub(crate) waiting: Option<Waiting>,
}

struct KeptValue {
    step: usize,
    field: usize,
    value: Range<usize>,
}

impl Stream {
    /// Makes it that of a request that went on and left nothing to remember: for a target that has
    /// forgotten it, as it may where the policy does not [remember](crate::Policy::remembers).
    pub fn forward(&mut self) {
        self.forwarded = true;
    }

    /// Whether its request waits.
    pub fn is_waiting(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether the content of its response is replaced, and has not been yet.
    pub fn is_replacing(&self) -> bool {
        self.replacing.is_some()
    }

    /// How many more bytes of that content are of use. The rest need not be read; of more than that
    /// give one byte more, so that it is known that there was more.
    pub fn wants(&self) -> usize {
        self.replacing.as_ref().map_or(0, |replacing| replacing.wants())
    }

    /// How much memory the content takes that is replaced, in bytes.
    pub fn content_bytes(&self) -> usize {
        self.replacing.as_ref().map_or(0, |replacing| replacing.room())
    }

    /// Takes the next piece of the content that is replaced.
    pub fn take(&mut self, piece: &[u8]) {
        if let Some(replacing) = &mut self.replacing {
            replacing.take(piece);
        }
    }

    /// Makes it as new, its memory kept; the values in it may have been secrets, and an outsized
    /// buffer goes.
    pub fn clear(&mut self) {
        self.forwarded = false;
        self.applies = 0;
        self.observed = 0;
        self.paused = None;
        self.replacing = None;
        self.kept.clear();
        scratch::clear(&mut self.bytes);
    }

    pub(crate) fn keep(&mut self, step: usize, field: usize, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.kept.push(KeptValue { step, field, value: start..self.bytes.len() });
    }

    pub(crate) fn kept<'a>(&'a self, step: usize, names: &'a [FieldName]) -> Kept<'a> {
        Kept { stream: self, step, names }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream(forwarded: {}, {} values kept)", self.forwarded, self.kept.len())
    }
}

/// Values of request fields that a filter asked for in
/// [`kept_fields`](crate::Filter::kept_fields), as they were when it was done with the request.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    stream: &'a Stream,
    step: usize,
    names: &'a [FieldName],
}

impl<'a> Kept<'a> {
    /// The values of `name` in order of arrival.
    pub fn values(self, name: &FieldName) -> impl Iterator<Item = &'a [u8]> {
        let field = self.names.iter().position(|n| n == name);
        self.stream
            .kept
            .iter()
            .filter(move |kept| kept.step == self.step && Some(kept.field) == field)
            .filter_map(move |kept| self.stream.bytes.get(kept.value.clone()))
    }
}
