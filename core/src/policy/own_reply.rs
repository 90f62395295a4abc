//! Own replies: the response steps run over them in memory, before they are sent.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use super::Policy;
use crate::callout::{Callout, CalloutId, DispatchError, Errand};
use crate::fields::{Field, FieldName};
use crate::filter::FilterSet;
use crate::flow::Reply;
use crate::host::{Attribute, Edit, Host, Level, Metric, Section, UnixTime};
use crate::problem::{self, DenyFormat, MEDIA_TYPE};
use crate::scratch::Scratch;
use crate::store::{Shard, Slot, StoreId};
use crate::stream::Stream;
use crate::syntax::media_type;

/// A reply that the target sends as it is.
#[derive(Debug)]
pub struct LocalReply<'s> {
    /// The HTTP status.
    pub status: u16,
    /// Response-code details for the access log, without a space.
    pub details: Cow<'static, str>,
    /// The content.
    pub body: Cow<'s, [u8]>,
    lines: Lines<'s>,
}

/// The field lines of an own reply. Those that no response step has been over take no memory: a
/// flood of denied requests costs none.
#[derive(Debug)]
enum Lines<'s> {
    /// As they were when the configuration was loaded, and perhaps a `content-type` behind them.
    Rendered(Cow<'s, [Field]>, Option<Line<'s>>),
    /// As the response steps left them.
    Edited(Vec<Line<'s>>),
}

type Line<'s> = (Cow<'s, [u8]>, Cow<'s, [u8]>);

const TEXT: Line<'static> = (Cow::Borrowed(b"content-type"), Cow::Borrowed(b"text/plain"));

impl LocalReply<'_> {
    /// Field lines in their order, `:status` and `content-length` aside.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        (0..self.lines.len()).map(|place| self.lines.at(place).unwrap_or_default())
    }
}

impl<'s> Lines<'s> {
    fn of(fields: Cow<'s, [Field]>, body: &[u8]) -> Self {
        let is_type = |field: &Field| field.name() == FieldName::CONTENT_TYPE;
        let untyped = !body.is_empty() && !fields.iter().any(is_type);
        Self::Rendered(fields, untyped.then_some(TEXT))
    }

    fn len(&self) -> usize {
        match self {
            Self::Rendered(fields, text) => fields.len().saturating_add(text.iter().len()),
            Self::Edited(lines) => lines.len(),
        }
    }

    fn at(&self, place: usize) -> Option<(&[u8], &[u8])> {
        let line = match self {
            Self::Rendered(fields, text) => match fields.get(place) {
                Some(field) => return Some((field.name().as_bytes(), field.value().as_bytes())),
                None => text.as_ref(),
            },
            Self::Edited(lines) => lines.get(place),
        };
        line.map(|(name, value)| (&**name, &**value))
    }

    fn are_of_a_problem(&self) -> bool {
        (0..self.len()).filter_map(|place| self.at(place)).any(|(name, value)| {
            *name == *FieldName::CONTENT_TYPE.as_bytes() && media_type::is(value, MEDIA_TYPE)
        })
    }

    fn into_lines(self) -> Vec<Line<'s>> {
        match self {
            Self::Edited(lines) => lines,
            Self::Rendered(fields, text) => {
                let lent = |field: &'s Field| {
                    (field.name().as_bytes().into(), field.value().as_bytes().into())
                };
                let own = |field: Field| {
                    let (name, value) = (field.name().as_bytes(), field.value().as_bytes());
                    (name.to_vec().into(), value.to_vec().into())
                };
                match fields {
                    Cow::Borrowed(fields) => fields.iter().map(lent).chain(text).collect(),
                    Cow::Owned(fields) => fields.into_iter().map(own).chain(text).collect(),
                }
            }
        }
    }
}

pub(super) fn render<'s, X: FilterSet, H: Host>(
    policy: &'s Policy<X>,
    reply: Reply<'s>,
    format: DenyFormat,
    stream: &Stream,
    host: &mut H,
    scratch: &mut Scratch,
) -> LocalReply<'s> {
    let Reply { denial, status, fields, mut body } = reply;
    let mut lines = Lines::of(fields, &body);
    if policy.answers {
        let digits = status.to_string();
        let mut view = ReplyHost { host, status: digits.as_bytes(), lines: lines.into_lines() };
        let replacing = policy.respond(stream, &mut view, scratch, true);
        lines = Lines::Edited(view.lines);
        if let Some(mut replacing) = replacing {
            replacing.take(&body);
            body = policy.replace(*replacing).into();
        }
    }
    let wanted = format.wanted(host);
    if wanted.problem && !lines.are_of_a_problem() {
        body = problem::denied(status, &body, host).into();
        let media_type = (FieldName::CONTENT_TYPE.as_bytes().into(), MEDIA_TYPE.as_bytes().into());
        let mut edited = lines.into_lines();
        edited.retain(|(name, _)| **name != *FieldName::CONTENT_TYPE.as_bytes());
        edited.push(media_type);
        lines = Lines::Edited(edited);
    }
    if wanted.varies {
        let mut edited = lines.into_lines();
        edited.push((b"vary".into(), FieldName::ACCEPT.as_bytes().into()));
        lines = Lines::Edited(edited);
    }
    LocalReply { status, details: denial.details(), body, lines }
}

/// The host, with an own reply in the place of the response.
struct ReplyHost<'h, 's, H> {
    host: &'h mut H,
    status: &'h [u8],
    lines: Vec<Line<'s>>,
}

impl<H: Host> Host for ReplyHost<'_, '_, H> {
    type Waker = H::Waker;

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
    fn now(&self) -> UnixTime {
        self.host.now()
    }
    fn add(&self, counter: Metric, n: u64) {
        self.host.add(counter, n);
    }
    fn shift(&self, gauge: Metric, by: i64) {
        self.host.shift(gauge, by);
    }
    fn record(&self, histogram: Metric, value: u64) {
        self.host.record(histogram, value);
    }
    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        self.host.dispatch(callout)
    }
    fn send_out(&self, callout: &Callout<'_>, errand: Errand) -> Result<(), DispatchError> {
        self.host.send_out(callout, errand)
    }
    fn waker(&self) -> H::Waker {
        self.host.waker()
    }
    fn wake(&self, waker: H::Waker) {
        self.host.wake(waker);
    }
    fn shared<R>(
        &self,
        store: StoreId,
        hash: u64,
        work: impl FnOnce(&mut Shard<H::Waker>) -> R,
    ) -> R {
        self.host.shared(store, hash, work)
    }
    fn slot(&self, parts: &[&[u8]]) -> Option<Slot> {
        self.host.slot(parts)
    }
    fn recall(&self, slot: &Slot) -> Option<Vec<u8>> {
        self.host.recall(slot)
    }
    fn leave(&self, slot: &Slot, value: &[u8]) {
        self.host.leave(slot, value);
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
    #[cfg(feature = "explain")]
    fn explain(&self, say: impl FnOnce() -> crate::explain::Act) {
        self.host.explain(say);
    }
}
