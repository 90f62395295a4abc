//! What the service is asked.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use memchr::memchr;

use super::answer::is_b64token;
use super::config::Service;
use super::grant::Grant;
use crate::callout::Callout;
use crate::denial::Denial;
use crate::fields::{Field, FieldName};
use crate::host::{Host, Repeated, Section};
use crate::syntax::field;

/// A question whose parts are checked.
pub(crate) struct QuestionParts {
    pub(crate) service: Service,
    pub(crate) path: String,
    pub(crate) method: String,
    pub(crate) timeout_ms: u32,
    /// Request fields that go to the service; the first is the credential. Not empty.
    pub(crate) copied: Box<[FieldName]>,
    pub(crate) fields: Vec<Field>,
    pub(crate) grant: Option<Grant>,
}

/// All that decides what the service is asked, but for the request itself.
pub(crate) struct Question {
    request: QuestionParts,
    /// The request field of the actor token, unless it is copied too.
    actor: Option<FieldName>,
}

impl Question {
    pub(crate) fn new(request: QuestionParts) -> Self {
        let actor = request.grant.as_ref().and_then(|grant| grant.actor_field());
        let actor = actor.filter(|actor| !request.copied.contains(actor)).cloned();
        Self { request, actor }
    }

    pub(super) fn timeout_ms(&self) -> u32 {
        self.request.timeout_ms
    }

    pub(super) fn cluster(&self) -> &str {
        &self.request.service.cluster
    }

    pub(super) fn has_grant(&self) -> bool {
        self.request.grant.is_some()
    }

    /// Request fields that any question is made of.
    pub(super) fn read_fields(&self) -> impl Iterator<Item = &FieldName> {
        self.request.copied.iter().chain(&self.actor)
    }

    /// The credential of a request, if it has one that can be asked about.
    pub(super) fn presented<'a, H: Host>(
        &'a self,
        host: &'a H,
    ) -> Result<Option<&'a [u8]>, Denial> {
        let Some(credential) = self.request.copied.first() else { return Ok(None) };
        let value = sole(host, credential)?;
        // The service would check one of several, and the upstream use another.
        if self.request.copied.iter().skip(1).any(|name| name == FieldName::AUTHORIZATION) {
            sole(host, FieldName::AUTHORIZATION)?;
        }
        if value.is_empty() {
            return Ok(None);
        }
        if let Some(grant) = &self.request.grant {
            bearer_token(value).ok_or(Denial::MalformedCredentials)?;
            if let Some(actor) = grant.actor_field() {
                sole(host, actor)?;
            }
        }
        Ok(Some(value))
    }

    /// Whether nothing of a request goes to the service but the credential.
    pub(super) fn is_of_one_field(&self) -> bool {
        self.request.copied.len() == 1 && self.actor.is_none()
    }

    /// All of a request that goes to the service beside the credential: each value with its field in
    /// front of it, so that nothing can be taken for a value of another field.
    pub(super) fn others<'a, H: Host>(&'a self, host: &'a H) -> impl Iterator<Item = &'a [u8]> {
        self.read_fields().skip(1).flat_map(|name| {
            let values = host.values(Section::Request, name);
            values.flat_map(move |value| [name.as_bytes(), value])
        })
    }

    /// Has the callout of a request that [presents](Self::presented) its credential sent by `send`.
    pub(super) fn send<H: Host, R>(
        &self,
        host: &H,
        timeout_ms: u32,
        body: &mut Vec<u8>,
        send: impl FnOnce(&Callout<'_>) -> R,
    ) -> R {
        let request = &self.request;
        let grant = request.grant.as_ref();
        let mut fields: Vec<(&[u8], &[u8])> = Vec::with_capacity(8);
        fields.push((FieldName::METHOD.as_bytes(), request.method.as_bytes()));
        fields.push((FieldName::PATH.as_bytes(), request.path.as_bytes()));
        fields.push((FieldName::AUTHORITY.as_bytes(), request.service.authority.as_bytes()));
        let fixed = grant.map(|grant| grant.fields()).unwrap_or_default();
        for field in fixed.iter().chain(&request.fields) {
            fields.push((field.name().as_bytes(), field.value().as_bytes()));
        }
        // With a grant the credential is in the form.
        for name in request.copied.iter().skip(usize::from(grant.is_some())) {
            let values = host.values(Section::Request, name);
            fields.extend(values.map(|value| (name.as_bytes(), value)));
        }
        body.clear();
        if let Some(grant) = grant {
            let value = |name| host.values(Section::Request, name).next().map(field::trim);
            let subject = request.copied.first().and_then(value).and_then(bearer_token);
            let actor = grant.actor_field().and_then(value).filter(|value| !value.is_empty());
            let actor = actor.map(|value| bearer_token(value).unwrap_or(value));
            grant.write_body(subject.unwrap_or_default(), actor, body);
        }
        send(&Callout { cluster: self.cluster(), fields: &fields, body, timeout_ms })
    }

    /// All that decides what is asked, but for the request itself.
    pub(super) fn fingerprint_parts(&self, part: &mut dyn FnMut(&[u8])) {
        let QuestionParts { service, path, method, timeout_ms, copied, fields, grant } =
            &self.request;
        for text in [&service.cluster, &service.authority, path, method] {
            part(text.as_bytes());
        }
        // Who waits for the callout of another must not wait longer than for one of its own.
        part(&timeout_ms.to_be_bytes());
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes();
        part(&count(copied.len()));
        copied.iter().for_each(|name| part(name.as_bytes()));
        part(&count(fields.len()));
        for field in fields {
            part(field.name().as_bytes());
            part(field.value().as_bytes());
        }
        part(&[u8::from(grant.is_some())]);
        if let Some(grant) = grant {
            grant.fingerprint_parts(part);
        }
    }
}

/// Values of `headers` and all of a grant may be secrets.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("cluster", &self.cluster())
            .field("copied", &self.request.copied)
            .field("fields", &self.request.fields)
            .field("has_grant", &self.has_grant())
            .finish()
    }
}

/// The one value of a field, without the white space around it; empty where there is none. A comma in
/// a `Basic` or `Bearer` value is a repeat that the proxy has joined (RFC 9110 section 5.3): neither
/// scheme has one (RFC 7617 section 2, RFC 6750 section 2.1).
fn sole<'a, H: Host>(host: &'a H, name: &'a FieldName) -> Result<&'a [u8], Denial> {
    let value = match host.sole(Section::Request, name) {
        Ok(value) => field::trim(value.unwrap_or_default()),
        Err(Repeated) => return Err(Denial::RepeatedCredentials),
    };
    let schemes: [&[u8]; 2] = [b"basic", b"bearer"];
    let single = schemes.iter().any(|scheme| after_scheme(value, scheme).is_some());
    if single && memchr(b',', value).is_some() {
        return Err(Denial::RepeatedCredentials);
    }
    Ok(value)
}

/// The token of a `Bearer` value (RFC 6750 section 2.1).
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    after_scheme(value, b"bearer").filter(|token| is_b64token(token))
}

/// What follows a scheme, which is in lower case here and in any case there (RFC 9110 section 11.1).
fn after_scheme<'v>(value: &'v [u8], scheme: &[u8]) -> Option<&'v [u8]> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(|&byte| !field::is_tchar(byte));
    (ends && given.eq_ignore_ascii_case(scheme)).then(|| field::trim(rest))
}
