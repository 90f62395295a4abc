//! Problem details (RFC 9457): their members, and how they are written.

mod format;
mod status;
mod trace;

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

pub use format::DenyFormat;
pub(crate) use format::{DenyFields, denied};
pub(crate) use status::{phrase, status_type};
pub(crate) use trace::TraceId;

/// The media type (RFC 9457 section 6.1).
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The `title` where nothing else is configured: that of the older plug-in.
pub(crate) const TITLE: &str = "service mesh returned an error";

/// The members that stand before `detail`, in their order.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    /// `type`, a URI reference.
    pub(crate) problem_type: &'a str,
    pub(crate) title: &'a str,
    pub(crate) status: u16,
    /// The path of the request as it came, to be shown and not to be resolved.
    pub(crate) instance: Option<&'a [u8]>,
    /// As it came.
    pub(crate) trace_id: Option<&'a [u8]>,
}

impl Head<'_> {
    /// The start of the object, to be ended by [`finish`].
    pub(crate) fn begin(&self) -> Vec<u8> {
        let mut json = Vec::from(*b"{\"type\":");
        push(&mut json, self.problem_type);
        member(&mut json, "title", self.title);
        member(&mut json, "status", &self.status);
        if let Some(instance) = self.instance {
            member(&mut json, "instance", &*String::from_utf8_lossy(instance));
        }
        if let Some(trace_id) = self.trace_id {
            member(&mut json, "trace_id", &*String::from_utf8_lossy(trace_id));
        }
        json
    }
}

/// A path as far as its query.
pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// Ends what [`Head::begin`] has begun. `members` are written already, by [`member`].
pub(crate) fn finish(mut json: Vec<u8>, detail: Option<&str>, members: &[u8]) -> Vec<u8> {
    if let Some(detail) = detail {
        member(&mut json, "detail", detail);
    }
    json.extend_from_slice(members);
    json.push(b'}');
    json
}

/// Writes a member that is not the first.
pub(crate) fn member<T: Serialize + ?Sized>(json: &mut Vec<u8>, name: &str, value: &T) {
    json.push(b',');
    push(json, name);
    json.push(b':');
    push(json, value);
}

fn push<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    // Text, numbers and JSON always have a JSON form.
    json.extend(serde_json::to_vec(value).unwrap_or_default());
}

#[cfg(test)]
mod tests;
