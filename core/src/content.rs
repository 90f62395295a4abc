//! The content of a response, where a filter replaces it.
//!
//! A host may forward the fields of a response before its content has come, so a filter edits them
//! first, and says with a [`Replacement`] that it gives other content once all of it is there. Of
//! the content as much is collected as the filter takes; the rest is dropped as it comes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

/// A filter replaces the content of this response.
pub struct Replacement {
    /// The most of the content that it takes, in bytes.
    pub most_bytes: usize,
    /// What it keeps until the content is there.
    pub memo: Box<dyn Any + Send>,
}

/// The content of a response, whole or as much of it as the filter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether there was more.
    pub cut: bool,
}

/// What becomes of the content of a response.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes on as it is.
    Keep,
    /// Each piece of it is [taken](crate::Stream::take) and goes no further; at its end, or as soon as
    /// more of it has come than is [wanted](crate::Stream::wants), comes what
    /// [`Policy::content`](crate::Policy::content) gives.
    Replace,
    /// There is none, and this comes in its place.
    Give(Vec<u8>),
}

/// A response whose content filters replace.
#[derive(Default)]
pub(crate) struct Replacing {
    /// The filters, by their steps, in the order in which they see a response.
    pub(crate) by: Vec<(usize, Replacement)>,
    bytes: Vec<u8>,
    cut: bool,
}

impl Replacing {
    /// How many more bytes the first filter takes.
    pub(crate) fn wants(&self) -> usize {
        let most = self.by.first().map_or(0, |(_, replacement)| replacement.most_bytes);
        most.saturating_sub(self.bytes.len())
    }

    /// How much memory what is taken has, in bytes.
    pub(crate) fn room(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn take(&mut self, piece: &[u8]) {
        let (taken, rest) = piece.split_at_checked(self.wants()).unwrap_or((piece, &[]));
        self.reserve(taken.len());
        self.bytes.extend_from_slice(taken);
        self.cut |= !rest.is_empty();
    }

    /// Makes room for so many bytes, by doubling, and never for more than are taken.
    fn reserve(&mut self, more: usize) {
        let (length, room) = (self.bytes.len(), self.bytes.capacity());
        let needed = length.saturating_add(more);
        if needed > room {
            let most = length.saturating_add(self.wants());
            let room = room.saturating_mul(2).clamp(needed, most.max(needed));
            self.bytes.reserve_exact(room.saturating_sub(length));
        }
    }

    pub(crate) fn into_content(
        self,
        mut replace: impl FnMut(usize, Replacement, Content<'_>) -> Vec<u8>,
    ) -> Vec<u8> {
        let Self { by, mut bytes, mut cut } = self;
        for (step, replacement) in by {
            let most = replacement.most_bytes.min(bytes.len());
            cut |= most < bytes.len();
            let taken = bytes.get(..most).unwrap_or_default();
            bytes = replace(step, replacement, Content { bytes: taken, cut });
            cut = false;
        }
        bytes
    }
}

impl fmt::Debug for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replacement({} bytes at most)", self.most_bytes)
    }
}
