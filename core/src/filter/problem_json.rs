//! `problem_json`: errors as problem details (RFC 9457).

pub(crate) mod config;
mod detail;
pub(crate) mod statuses;
pub(crate) mod types;
pub(crate) mod url;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub use config::ProblemJsonFields;
pub(crate) use detail::{Detail, InvalidUtf8};

use crate::config::{Load, Pointer};
use crate::content::{Content, Replacement};
#[cfg(feature = "explain")]
use crate::explain::Act;
use crate::fields::{FieldName, FieldValue};
use crate::filter::{Filter, Phases, Response};
use crate::host::{Edit, Host, Section};
use crate::metrics::{Meter, MetricKind};
use crate::policy::Mode;
use crate::problem::{Head, MEDIA_TYPE, TraceId, finish, phrase, without_query};
use crate::syntax::media_type;
use statuses::Statuses;
use types::Types;
use url::UrlPrefix;

/// See [`ProblemJsonFields`].
pub struct ProblemJson {
    parts: Box<Parts>,
    kept: Vec<FieldName>,
}

/// What a filter is made of.
pub(crate) struct Parts {
    pub(crate) statuses: Statuses,
    /// The requests it is for; all of them without it.
    pub(crate) urls: Option<Box<[UrlPrefix]>>,
    pub(crate) types: Types,
    pub(crate) title: Title,
    pub(crate) detail: Detail,
    pub(crate) instance: Instance,
    pub(crate) trace: Trace,
    /// Further members, written already.
    pub(crate) members: Box<[u8]>,
    /// Of content that is read.
    pub(crate) max_body_bytes: usize,
}

/// The member `title`.
pub(crate) enum Title {
    Literal(Box<str>),
    StatusPhrase,
}

/// The member `instance`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instance {
    None,
    Path,
    PathWithoutQuery,
}

/// The member `trace_id`.
pub(crate) struct Trace {
    /// `traceparent` as it came.
    pub(crate) whole: bool,
    pub(crate) otherwise: Option<Box<str>>,
}

/// What is kept until the content is there.
struct Begun {
    json: Vec<u8>,
    /// Whether the content tells the detail.
    reads: bool,
}

impl Filter for ProblemJson {
    const KIND: &'static str = "problem_json";
    const METERS: &'static [Meter] =
        &[Meter { name: "problems", label: None, kind: MetricKind::Counter }];
    type Fields = ProblemJsonFields;

    fn compile(fields: ProblemJsonFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        fields.compile(at, load)
    }

    fn phases(&self) -> Phases {
        Phases::Response
    }

    fn kept_fields(&self) -> &[FieldName] {
        &self.kept
    }

    fn replaces_content(&self) -> bool {
        true
    }

    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>) {
        let Some(status) = status(host).filter(|status| self.parts.statuses.have(*status)) else {
            #[cfg(feature = "explain")]
            host.explain(|| Act::LeftAlone("its status is not among `statuses`"));
            return;
        };
        if !is_replaceable(host) || !self.is_for(response) {
            #[cfg(feature = "explain")]
            host.explain(|| left_alone(host));
            return;
        }
        let has_content = response.is_own_reply || !is_of_method(response, b"HEAD");
        if has_content {
            let reads = matches!(self.parts.detail, Detail::Body(_)) && is_readable(host);
            let json = self.head(status, response);
            response.replacement = Some(Replacement {
                most_bytes: if reads { self.parts.max_body_bytes } else { 0 },
                memo: Box::new(Begun { json, reads }),
            });
        }
        // Where there is content to replace, the chain sees to its length.
        let length = (!has_content).then_some(FieldName::CONTENT_LENGTH);
        for name in FieldName::OF_CONTENT.into_iter().chain(length) {
            if host.has(Section::Response, name) {
                host.edit(Section::Response, Edit::Remove(name));
            }
        }
        let media_type = FieldValue::seen_before(MEDIA_TYPE.as_bytes());
        host.edit(Section::Response, Edit::Set(FieldName::CONTENT_TYPE, media_type));
        if response.mode == Mode::Enforce {
            host.add(response.home.metric(0), 1);
        }
    }

    fn on_content(&self, replacement: Replacement, content: Content<'_>) -> Vec<u8> {
        let Ok(begun) = replacement.memo.downcast::<Begun>() else { return content.bytes.to_vec() };
        let detail = self.parts.detail.of(begun.reads.then_some(content));
        finish(begun.json, detail.as_deref(), &self.parts.members)
    }
}

impl ProblemJson {
    /// Whether it is for the request that this is the response to.
    fn is_for(&self, response: &mut Response<'_>) -> bool {
        let kept = response.kept;
        if kept.values(FieldName::CONTENT_TYPE).any(media_type::is_grpc) {
            return false;
        }
        let Some(urls) = &self.parts.urls else { return true };
        let first = |name| kept.values(name).next().unwrap_or_default();
        let names = [FieldName::SCHEME, FieldName::AUTHORITY, FieldName::PATH];
        let [scheme, authority, path] = names.map(first);
        url::write(scheme, authority, path, response.buffer);
        urls.iter().any(|prefix| prefix.matches(response.buffer))
    }

    /// The members before `detail`.
    fn head(&self, status: u16, response: &Response<'_>) -> Vec<u8> {
        let kept = response.kept;
        let path = kept.values(FieldName::PATH).next();
        let trace = TraceId {
            whole: self.parts.trace.whole,
            otherwise: self.parts.trace.otherwise.as_ref().map(|text| text.as_bytes()),
        };
        let head = Head {
            problem_type: self.parts.types.of(status),
            title: match &self.parts.title {
                Title::Literal(text) => text,
                Title::StatusPhrase => phrase(status),
            },
            status,
            instance: match self.parts.instance {
                Instance::None => None,
                Instance::Path => path,
                Instance::PathWithoutQuery => path.map(without_query),
            },
            trace_id: trace
                .choose(kept.values(FieldName::TRACEPARENT), kept.values(FieldName::X_REQUEST_ID)),
        };
        head.begin()
    }
}

impl Parts {
    pub(crate) fn build(self) -> ProblemJson {
        // By these request fields a response is judged and described.
        let always = [
            FieldName::METHOD,
            FieldName::CONTENT_TYPE,
            FieldName::TRACEPARENT,
            FieldName::X_REQUEST_ID,
        ];
        let mut kept: Vec<FieldName> = always.into_iter().cloned().collect();
        if self.urls.is_some() || self.instance != Instance::None {
            kept.push(FieldName::PATH.clone());
        }
        if self.urls.is_some() {
            kept.extend([FieldName::SCHEME, FieldName::AUTHORITY].map(Clone::clone));
        }
        ProblemJson { parts: Box::new(self), kept }
    }
}

/// `:status`; `None` where it is no number.
fn status<H: Host>(host: &H) -> Option<u16> {
    let status = host.values(Section::Response, FieldName::STATUS).next()?;
    core::str::from_utf8(status).ok()?.parse().ok()
}

/// Whether a response is neither a problem already nor of a form that clients read otherwise.
fn is_replaceable<H: Host>(host: &H) -> bool {
    !host.values(Section::Response, FieldName::CONTENT_TYPE).any(|value| {
        media_type::is(value, MEDIA_TYPE)
            || media_type::is(value, "text/event-stream")
            || media_type::is_grpc(value)
    })
}

/// Whether the content stands there as it is (RFC 9110 section 8.4.1).
fn is_readable<H: Host>(host: &H) -> bool {
    let mut codings = host.values(Section::Response, FieldName::CONTENT_ENCODING);
    codings.all(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

#[cfg(feature = "explain")]
fn left_alone<H: Host>(host: &H) -> Act {
    Act::LeftAlone(if is_replaceable(host) {
        "the request is gRPC, or none that the filter is for"
    } else {
        "it is a problem already, an event stream or gRPC"
    })
}

fn is_of_method(response: &Response<'_>, method: &[u8]) -> bool {
    response.kept.values(FieldName::METHOD).any(|value| value == method)
}

#[cfg(test)]
mod tests;
