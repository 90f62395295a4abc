//! Views of the content of a message.

use core::iter::FusedIterator;
use core::marker::PhantomData;
use std::vec;

use crate::abi::{BodyType, FilterEnvoy, RawEnvoyBuffer};
use crate::buffer::EnvoyBuffer;
use crate::callbacks;

/// The pieces that content lies in, in order.
#[derive(Debug)]
pub struct BodyChunks<'a> {
    chunks: vec::IntoIter<RawEnvoyBuffer>,
    lent: PhantomData<&'a [u8]>,
}

impl BodyChunks<'_> {
    /// # Safety
    ///
    /// `filter` is the Envoy object of the running hook, and nothing is called during the lifetime that
    /// changes its content.
    pub(crate) unsafe fn new(filter: FilterEnvoy, body: BodyType) -> Self {
        // SAFETY: the caller vouches for `filter`.
        let size = unsafe { callbacks::get_body_chunks_size(filter, body.number()) };
        let mut chunks = Vec::with_capacity(size);
        if size != 0 {
            let first = chunks.as_mut_ptr();
            // SAFETY: there is room for `size` chunks, and nothing changed since the host counted them.
            if unsafe { callbacks::get_body_chunks(filter, body.number(), first) } {
                // SAFETY: the host has written all of them.
                unsafe { chunks.set_len(size) };
            }
        }
        Self { chunks: chunks.into_iter(), lent: PhantomData }
    }
}

impl<'a> Iterator for BodyChunks<'a> {
    type Item = EnvoyBuffer<'a>;

    fn next(&mut self) -> Option<EnvoyBuffer<'a>> {
        let chunk = self.chunks.next()?;
        // SAFETY: lent until the content is changed or the hook ends, which `new` excludes for 'a.
        Some(unsafe { EnvoyBuffer::new(chunk) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.chunks.size_hint()
    }
}

impl ExactSizeIterator for BodyChunks<'_> {}
impl FusedIterator for BodyChunks<'_> {}
