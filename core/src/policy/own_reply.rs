//! Own replies: the response steps run over them in memory, before they are sent.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Policy;
use crate::fields::FieldName;
use crate::filter::FilterSet;
use crate::flow::Reply;
use crate::host::{Attribute, Counter, Edit, Host, Level, Section};
use crate::scratch::Scratch;
use crate::stream::Stream;

/// A reply that the target sends as it is.
#[derive(Debug)]
pub struct LocalReply<'s> {
    /// The HTTP status.
    pub status: u16,
    /// Response-code details for the access log, without a space.
    pub details: String,
    /// The content.
    pub body: &'s [u8],
    lines: Vec<Line<'s>>,
}

type Line<'s> = (Cow<'s, [u8]>, Cow<'s, [u8]>);

impl LocalReply<'_> {
    /// Field lines in their order, `:status` and `content-length` aside.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.lines.iter().map(|(name, value)| (&**name, &**value))
    }
}

pub(super) fn render<'s, X: FilterSet, H: Host>(
    policy: &'s Policy<X>,
    reply: Reply<'s>,
    stream: &Stream,
    host: &mut H,
    scratch: &mut Scratch,
) -> LocalReply<'s> {
    let status = reply.status.to_string();
    let mut lines: Vec<Line<'s>> = Vec::with_capacity(reply.fields.len().saturating_add(2));
    let line = |name: &'s FieldName, value: &'s [u8]| {
        (Cow::Borrowed(name.as_bytes()), Cow::Borrowed(value))
    };
    lines.extend(reply.fields.iter().map(|field| line(field.name(), field.value().as_bytes())));
    if !reply.body.is_empty() && !reply.fields.iter().any(|f| f.name() == FieldName::CONTENT_TYPE) {
        lines.push((Cow::Borrowed(b"content-type"), Cow::Borrowed(b"text/plain")));
    }
    if policy.answers {
        let mut view = ReplyHost { host, status: status.as_bytes(), lines };
        policy.respond(stream, &mut view, scratch);
        lines = view.lines;
    }
    let details = format!("pintle_{}", reply.denial.slug());
    LocalReply { status: reply.status, details, body: reply.body, lines }
}

/// The host, with an own reply in the place of the response.
struct ReplyHost<'h, 's, H> {
    host: &'h mut H,
    status: &'h [u8],
    lines: Vec<Line<'s>>,
}

impl<H: Host> Host for ReplyHost<'_, '_, H> {
    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        let own = section == Section::Response;
        let status = own.then_some((FieldName::STATUS_BYTES, self.status));
        let lines = if own { self.lines.as_slice() } else { &[] };
        let theirs = (!own).then(|| self.host.fields(section));
        let own = status.into_iter().chain(lines.iter().map(|(name, value)| (&**name, &**value)));
        own.chain(theirs.into_iter().flatten())
    }
    fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        self.host.attribute(attribute)
    }
    fn logs(&self, level: Level) -> bool {
        self.host.logs(level)
    }
    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        self.host.log(level, message);
    }
    fn add(&self, counter: Counter, n: u64) {
        self.host.add(counter, n);
    }
    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        if section == Section::Request {
            return self.host.edit(section, edit);
        }
        let (name, value) = match edit {
            Edit::Set(name, value) | Edit::Append(name, value) => (name, Some(value)),
            Edit::Remove(name) => (name, None),
        };
        if !matches!(edit, Edit::Append(..)) {
            self.lines.retain(|(n, _)| **n != *name.as_bytes());
        }
        if let Some(value) = value {
            let line = (name.as_bytes().to_vec().into(), value.as_bytes().to_vec().into());
            self.lines.push(line);
        }
    }
    fn note(&mut self, key: &str, value: &[u8]) {
        self.host.note(key, value);
    }
    fn reroute(&mut self) {}
}
