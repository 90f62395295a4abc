//! What a filter decides.

use crate::denial::Denial;
use crate::fields::Field;

/// What a filter decides of a request.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow<'s> {
    /// The request goes on to the next filter.
    Continue,
    /// The client gets this reply, the upstream gets nothing.
    Reply(Reply<'s>),
}

/// An own reply, rendered when the configuration was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'s> {
    /// Why; names the reply in the access log and in the counters.
    pub denial: Denial,
    /// The HTTP status; a host maps it to a `grpc-status` for gRPC requests.
    pub status: u16,
    /// Fields beside `:status` and `content-length`.
    pub fields: &'s [Field],
    /// The content.
    pub body: &'s [u8],
}

impl<'s> Reply<'s> {
    /// A reply with the status of its reason, and no fields of its own.
    pub const fn new(denial: Denial, body: &'s [u8]) -> Self {
        Self { denial, status: denial.status(), fields: &[], body }
    }
}
