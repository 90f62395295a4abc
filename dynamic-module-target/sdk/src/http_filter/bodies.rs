//! The content of responses.

use super::EnvoyHttpFilter;
use crate::abi::{BodyType, ModuleBuffer};
use crate::body::BodyChunks;
use crate::callbacks;

impl EnvoyHttpFilter {
    /// How many bytes the piece has that [`on_response_body`](crate::HttpFilter::on_response_body) is
    /// called for; 0 outside it.
    #[must_use]
    pub fn get_received_response_body_size(&self) -> usize {
        let body = BodyType::ReceivedResponseBody;
        // SAFETY: `raw` is valid by `new`.
        unsafe { callbacks::get_body_size(self.raw, body.number()) }
    }

    /// That piece; it may lie in several chunks, and there are none outside
    /// [`on_response_body`](crate::HttpFilter::on_response_body).
    ///
    /// Nor are there any where Envoy fails to lend them: their lengths add up to less than
    /// [`get_received_response_body_size`](Self::get_received_response_body_size) then.
    #[must_use]
    pub fn get_received_response_body(&self) -> BodyChunks<'_> {
        // SAFETY: `raw` is valid by `new`, and what changes content needs `&mut self`.
        unsafe { BodyChunks::new(self.raw, BodyType::ReceivedResponseBody) }
    }

    /// Takes so many bytes from the start of that piece, or all that there are. `false`: there is none.
    pub fn drain_received_response_body(&mut self, number_of_bytes: usize) -> bool {
        let body = BodyType::ReceivedResponseBody;
        // SAFETY: `raw` is valid by `new`; `&mut self` ends all that is lent.
        unsafe { callbacks::drain_body(self.raw, body.number(), number_of_bytes) }
    }

    /// Puts bytes behind that piece. `false`: there is none.
    pub fn append_received_response_body(&mut self, data: &[u8]) -> bool {
        self.append(BodyType::ReceivedResponseBody, data)
    }

    /// Puts bytes behind the content that was kept before.
    ///
    /// In [`on_response_headers`](crate::HttpFilter::on_response_headers) of a response without content
    /// that makes it a response with this one. In
    /// [`on_response_trailers`](crate::HttpFilter::on_response_trailers) they go on before the trailers, if
    /// an earlier hook has stopped the response. If none has, do not call it: by what other filters do,
    /// Envoy to 1.40 loses the bytes or crashes.
    ///
    /// `false`: they were not put there.
    pub fn append_buffered_response_body(&mut self, data: &[u8]) -> bool {
        self.append(BodyType::BufferedResponseBody, data)
    }

    fn append(&mut self, body: BodyType, data: &[u8]) -> bool {
        // SAFETY: `raw` is valid by `new`; the host copies; `&mut self` ends all that is lent, and hooks
        // that run inside it get a handle of their own.
        unsafe { callbacks::append_body(self.raw, body.number(), ModuleBuffer::new(data)) }
    }
}
