//! The configuration of `token_exchange`, and what it becomes.

mod cache;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use serde::Deserialize;

pub(crate) use cache::{CacheFields, CacheParts, cache};

use super::answer::{TokenFields, TokenPlace};
use super::fingerprint::Fingerprint;
use super::grant::GrantFields;
use super::question::{Question, QuestionParts};
use super::reply::{Form, Replies};
use super::{Otherwise, TokenExchange};
use crate::config::{Load, Pointer, Refusal};
use crate::fields::{Field, FieldName, FieldValue};
use crate::problem::{DenyFields, DenyFormat};
use crate::syntax::duration::{self, DurationError};
use crate::syntax::field;

/// The fields of `token_exchange` in the configuration.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("not" = {"required": ["grant", "token"]}))
)]
#[serde(deny_unknown_fields)]
pub struct TokenExchangeFields {
    /// The proxy's name of the cluster that the service is in.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    cluster: String,
    /// The authority (`host`) that the service is asked under.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    authority: String,
    /// The path that is asked for, with its query if it has one.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^/")))]
    path: String,
    /// Default: `GET`, and `POST` with a `grant`, which takes no other.
    method: Option<String>,
    /// When a request is no longer held for the service: from 1 ms to 1 h, such as `150ms`. Default
    /// `1s`: what a client waits for without giving up.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("pattern" = "^[0-9]+(ms|s|m|h)$", "default" = "1s"))
    )]
    timeout: Option<String>,
    /// Request fields that are copied to the service, with all their values. The first is the
    /// credential: what is traded. Default: `authorization`. With a `grant` the credential goes into
    /// the form, as the subject token, and is not copied.
    #[cfg_attr(feature = "schema", schemars(extend("default" = ["authorization"])))]
    request_headers: Option<Vec<String>>,
    /// Further fields that the service is sent, the same every time.
    #[cfg_attr(feature = "schema", schemars(length(min = 0)))]
    headers: Option<Vec<HeaderFields>>,
    /// Asks a token endpoint for it (RFC 6749 section 3.2).
    grant: Option<GrantFields>,
    /// Where the answer has the token. Default: the whole body. Not with a `grant`, where it is
    /// `access_token`.
    token: Option<TokenFields>,
    /// The longest token that is taken, in bytes; a longer one is a bad answer, never cut. Default
    /// 16384: far above what tokens are, and below what upstreams take as a field.
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 1, max = 65536), extend("default" = 16384))
    )]
    max_token_bytes: Option<usize>,
    /// The request field that tells the upstream the token; always stripped from the client's
    /// request. `authorization` has it as `Bearer <token>`, in place of the client's own. Default
    /// `x-auth-jwt`, as in the older plug-in.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "x-auth-jwt")))]
    header: Option<String>,
    /// What becomes of a request without the credential.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "allow")))]
    on_missing: MissingFields,
    /// What becomes of a request where the service cannot be reached, takes too long or answers with
    /// 5xx.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "deny")))]
    on_unavailable: FailureFields,
    /// What becomes of a request where the service answers with something that is neither a token nor
    /// a refusal of the caller.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "deny")))]
    on_bad_answer: FailureFields,
    /// Whether the reply to a refused caller has the body of the service's answer, up to 64 KiB.
    #[serde(default)]
    relay_body: bool,
    /// How replies are worded.
    #[serde(default)]
    deny: DenyFields,
    /// Remembers tokens. Without it the service is asked for each request.
    cache: Option<CacheFields>,
}

/// One field that the service is sent.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "token_exchange_header")
)]
#[serde(deny_unknown_fields)]
struct HeaderFields {
    /// The field.
    name: String,
    /// Its value, as it is.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    value: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "on_missing"))]
#[serde(rename_all = "snake_case")]
enum MissingFields {
    /// It goes on, without a token.
    #[default]
    Allow,
    /// 401, with the challenge `Bearer`.
    Deny,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "on_failure"))]
#[serde(rename_all = "snake_case")]
enum FailureFields {
    /// 503, with `retry-after`.
    #[default]
    Deny,
    /// It goes on, without a token.
    Allow,
}

/// What a client waits for without giving up, in milliseconds.
pub(crate) const TIMEOUT_MS: u32 = 1_000;

/// Longer than this nobody holds a request, in milliseconds.
pub(crate) const LONGEST_TIMEOUT_MS: u64 = 3_600_000;

/// Far above what tokens are.
pub(crate) const MAX_TOKEN_BYTES: usize = 16_384;

/// More than this no proxy takes as a field.
const LARGEST_MAX_TOKEN_BYTES: usize = 65_536;

/// The field of the older plug-in.
pub(crate) const HEADER: &str = "x-auth-jwt";

/// A configuration whose parts are checked, each by itself.
pub(crate) struct Parts {
    pub(crate) question: Question,
    pub(crate) place: TokenPlace,
    pub(crate) max_token_bytes: usize,
    pub(crate) header: FieldName,
    pub(crate) on_missing: Otherwise,
    pub(crate) on_unavailable: Otherwise,
    pub(crate) on_bad_answer: Otherwise,
    pub(crate) form: Form,
    pub(crate) deny_format: Option<DenyFormat>,
    pub(crate) cache: Option<CacheParts>,
}

impl TokenExchangeFields {
    pub(super) fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<TokenExchange> {
        let grant_at = at.key("grant");
        let with_grant = self.grant.is_some();
        let grant = match self.grant {
            None => Some(None),
            Some(grant) => grant.compile(&grant_at, load).map(Some),
        };
        let place = match (self.token, with_grant) {
            (None, false) => Some(TokenPlace::Body),
            (None, true) => Some(TokenPlace::Grant),
            (Some(token), false) => token.compile(&at.key("token"), load),
            (Some(_), true) => {
                let expected = "no `token` beside a `grant`, where it is `access_token`";
                load.expect(&at.key("token"), None, expected)
            }
        };
        let service = Service { cluster: self.cluster, authority: self.authority };
        let service = service.check(["cluster", "authority"].map(|key| at.key(key)), load);
        let path = load.expect(&at.key("path"), path(&self.path), "a path that starts with `/`");
        let method = method(self.method, with_grant, &at.key("method"), load);
        let timeout = Time { default: u64::from(TIMEOUT_MS), range: 1..=LONGEST_TIMEOUT_MS };
        let timeout = timeout.read(self.timeout, &at.key("timeout"), "1 ms to 1 h", load);
        let copied = copied(self.request_headers, &at.key("request_headers"), load);
        let headers = load.any(self.headers, &at.key("headers"), HeaderFields::compile);
        let max_token = max_token_bytes(self.max_token_bytes, at, load);
        let header = self.header.as_deref().unwrap_or(HEADER);
        let header = load.writable_field(&at.key("header"), header);
        let largest = max_token.unwrap_or(1);
        let cache = cache(self.cache, largest, &at.key("cache"), load);
        let request = QuestionParts {
            service: service?,
            path: path?,
            method: method?,
            timeout_ms: u32::try_from(timeout?).ok()?,
            copied: copied?,
            fields: headers?,
            grant: grant?,
        };
        let header = header?;
        consistent(&request, &header, at, load)?;
        let parts = Parts {
            question: Question::new(request),
            place: place?,
            max_token_bytes: max_token?,
            header,
            on_missing: match self.on_missing {
                MissingFields::Allow => Otherwise::Allow,
                MissingFields::Deny => Otherwise::Deny,
            },
            on_unavailable: self.on_unavailable.into(),
            on_bad_answer: self.on_bad_answer.into(),
            form: Form::Own { relay_body: self.relay_body },
            deny_format: self.deny.format,
            cache: cache?,
        };
        Some(parts.build(load))
    }
}

impl Parts {
    pub(crate) fn build(self, load: &Load) -> TokenExchange {
        let bearer = self.header == *FieldName::AUTHORIZATION;
        let mut secrets: Vec<FieldName> = self.question.read_fields().cloned().collect();
        let reads_header = secrets.contains(&self.header);
        secrets.push(self.header.clone());
        let fingerprint = self.fingerprint();
        let cache = self.cache.map(|cache| cache.build(fingerprint, load.key));
        TokenExchange {
            question: Box::new(self.question),
            place: self.place,
            max_token_bytes: self.max_token_bytes,
            header: self.header,
            bearer,
            reads_header,
            on_missing: self.on_missing,
            on_unavailable: self.on_unavailable,
            on_bad_answer: self.on_bad_answer,
            replies: Box::new(Replies::new(self.form)),
            cache,
            deny_format: self.deny_format,
            secrets: secrets.into(),
        }
    }

    /// Of all that decides what is asked and how an answer is read, the cache's own rules aside.
    fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        self.question.fingerprint_parts(&mut |part| fingerprint.add(part));
        self.place.fingerprint_parts(&mut |part| fingerprint.add(part));
        fingerprint.add(match self.form {
            Form::Own { relay_body: false } => b"own",
            Form::Own { relay_body: true } => b"own, with the body",
            Form::Plugin => b"plugin",
        });
        fingerprint.add(&[u8::from(self.header == *FieldName::AUTHORIZATION)]);
        fingerprint.number(u64::try_from(self.max_token_bytes).unwrap_or(u64::MAX));
        fingerprint
    }
}

impl From<FailureFields> for Otherwise {
    fn from(fields: FailureFields) -> Self {
        match fields {
            FailureFields::Allow => Self::Allow,
            FailureFields::Deny => Self::Deny,
        }
    }
}

impl HeaderFields {
    fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Field> {
        let name = load.writable_field(&at.key("name"), &self.name);
        let fits = FieldValue::new(self.value.as_bytes()).is_some().then_some(());
        let fits = load.expect(&at.key("value"), fits, "a field value (RFC 9110 section 5.5)");
        fits?;
        Field::new(name?, self.value)
    }
}

/// Where the service is.
pub(crate) struct Service {
    pub(crate) cluster: String,
    pub(crate) authority: String,
}

impl Service {
    /// `at`: the places of the two.
    pub(crate) fn check(self, at: [Pointer<'_>; 2], load: &mut Load) -> Option<Self> {
        let [cluster_at, authority_at] = at;
        let cluster = field::is_value(self.cluster.as_bytes()).then_some(());
        let cluster = load.expect(&cluster_at, cluster, "the name of a cluster of the proxy");
        // RFC 3986 section 3.2, less the user information that RFC 9110 section 4.2.4 warns of.
        let part = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\\"<>^`{|},".contains(&byte);
        let authority = !self.authority.is_empty() && self.authority.bytes().all(part);
        let expected = "a host, and perhaps a port (RFC 3986 section 3.2)";
        let authority = load.expect(&authority_at, authority.then_some(()), expected);
        cluster.and(authority)?;
        Some(self)
    }
}

/// A path and perhaps a query (RFC 9112 section 3.2.1).
fn path(text: &str) -> Option<String> {
    let fits = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    fits.then(|| text.into())
}

fn method(
    method: Option<String>,
    with_grant: bool,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<String> {
    let Some(method) = method else {
        return Some(if with_grant { "POST" } else { "GET" }.into());
    };
    if with_grant {
        let post = (method == "POST").then_some(method);
        return load.expect(at, post, "`POST`, as a `grant` has it (RFC 6749 section 3.2)");
    }
    let fits = field::is_method(method.as_bytes()) && method != "CONNECT";
    let expected = "a method (RFC 9110 section 9.1) other than `CONNECT`";
    load.expect(at, fits.then_some(method), expected)
}

fn copied(
    names: Option<Vec<String>>,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<Box<[FieldName]>> {
    let Some(names) = names else {
        return Some(Box::new([FieldName::AUTHORIZATION.clone()]));
    };
    let mut seen: Vec<FieldName> = Vec::new();
    load.each(names, at, |name, at, load| {
        let name = load.writable_field(at, &name)?;
        let new = !seen.contains(&name);
        seen.push(name.clone());
        load.expect(at, new.then_some(name), "a field that does not stand before it in the list")
    })
}

fn max_token_bytes(given: Option<usize>, at: &Pointer<'_>, load: &mut Load) -> Option<usize> {
    let max = given.unwrap_or(MAX_TOKEN_BYTES);
    let fits = (1..=LARGEST_MAX_TOKEN_BYTES).contains(&max).then_some(max);
    load.expect(&at.key("max_token_bytes"), fits, "1 to 65536 bytes")
}

/// Whether what was right by itself is right together.
fn consistent(
    request: &QuestionParts,
    header: &FieldName,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<()> {
    let mut right = Some(());
    let list = at.key("request_headers");
    let grant = request.grant.as_ref();
    let theirs = grant.map(|grant| grant.fields()).unwrap_or_default();
    for (place, name) in request.copied.iter().enumerate() {
        let at = list.index(place);
        let goes_out = grant.is_none() || place > 0;
        if name == header && header != FieldName::AUTHORIZATION {
            let expected = "another field than `header`, which is stripped from requests";
            right = right.and(load.expect(&at, None, expected));
        } else if goes_out && has(theirs, name) {
            let expected = "a field that the `grant` does not write itself";
            right = right.and(load.expect(&at, None, expected));
        }
    }
    for (place, field) in request.fields.iter().enumerate() {
        let list = at.key("headers");
        let at = list.index(place);
        let at = at.key("name");
        let copied = request.copied.iter().skip(usize::from(grant.is_some()));
        if copied.into_iter().any(|name| name == field.name()) {
            let expected = "a field that is not among `request_headers`";
            right = right.and(load.expect(&at, None, expected));
        } else if has(theirs, field.name()) {
            let expected = "a field that the `grant` does not write itself";
            right = right.and(load.expect(&at, None, expected));
        }
    }
    if let Some(actor) = grant.and_then(|grant| grant.actor_field()) {
        let at = at.key("grant");
        let at = at.key("token_exchange");
        let at = at.key("actor_token");
        let at = at.key("header");
        if request.copied.first() == Some(actor) {
            let expected = "another field than that of the subject token";
            right = right.and(load.expect(&at, None, expected));
        } else if actor == header && header != FieldName::AUTHORIZATION {
            let expected = "another field than `header`, which is stripped from requests";
            right = right.and(load.expect(&at, None, expected));
        }
    }
    right
}

fn has(fields: &[Field], name: &FieldName) -> bool {
    fields.iter().any(|field| field.name() == name)
}

/// How long something may last, in milliseconds.
pub(super) struct Time {
    pub(super) default: u64,
    pub(super) range: RangeInclusive<u64>,
}

impl Time {
    pub(super) fn read(
        self,
        text: Option<String>,
        at: &Pointer<'_>,
        expected: &'static str,
        load: &mut Load,
    ) -> Option<u64> {
        let Some(text) = text else { return Some(self.default) };
        let milliseconds = match duration::parse(&text) {
            Ok(duration) => u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            Err(DurationError::Zero) => 0,
            Err(error) => {
                load.refuse(at, Refusal::malformed(error));
                return None;
            }
        };
        let fits = self.range.contains(&milliseconds).then_some(milliseconds);
        load.expect(at, fits, expected)
    }
}
