//! What a filter decides.

use alloc::borrow::Cow;

use crate::denial::Denial;
use crate::fields::Field;

/// What a filter decides of a request.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow<'s> {
    /// The request goes on to the next filter.
    Continue,
    /// The request waits, with its content, for what comes to
    /// [`Filter::on_event`](crate::Filter::on_event). Under `mode: observe` it goes on, and the
    /// filter is told nothing more.
    Pause,
    /// The client gets this reply, the upstream gets nothing.
    Reply(Reply<'s>),
}

/// An own reply: rendered when the configuration was loaded, or made for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<'s> {
    /// Why; names the reply in the access log and in the counters.
    pub denial: Denial,
    /// The HTTP status; a host maps it to a `grpc-status` for gRPC requests.
    pub status: u16,
    /// Fields beside `:status` and `content-length`.
    pub fields: Cow<'s, [Field]>,
    /// The content.
    pub body: Cow<'s, [u8]>,
}

impl<'s> Reply<'s> {
    /// A reply with the status of its reason, and no fields of its own.
    pub const fn new(denial: Denial, body: &'s [u8]) -> Self {
        Self {
            denial,
            status: denial.status(),
            fields: Cow::Borrowed(&[]),
            body: Cow::Borrowed(body),
        }
    }
}
