//! `require_header`: a request field must be there and pass.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use regex_automata::meta::Regex;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::config::{Load, Pointer, Refusal};
use crate::denial::Denial;
use crate::fields::{Field, FieldName, FieldText, FieldValue};
use crate::filter::{Filter, Phases, Request};
use crate::flow::{Flow, Reply};
use crate::host::{Host, Section};
use crate::pattern;
use crate::problem::DenyFormat;

/// The fields of `require_header` in the configuration; with neither `exact`, `prefix` nor `regex`
/// the field need only be present.
#[derive(Clone, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("not" = {"anyOf": [
        {"required": ["exact", "prefix"]},
        {"required": ["exact", "regex"]},
        {"required": ["prefix", "regex"]},
    ]}))
)]
#[serde(deny_unknown_fields)]
pub struct RequireHeaderFields {
    /// The request field, in any case. Not `name`, which is the filter's own.
    header: String,
    /// Every value is equal to this; compared in constant time.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    exact: Option<String>,
    /// Every value starts with this.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    prefix: Option<String>,
    /// Every value is matched somewhere by this regular expression; `^` and `$` anchor it.
    regex: Option<String>,
    /// Whether values of the field are secrets, which no filter logs.
    #[serde(default)]
    secret: bool,
    /// The reply to a request that does not pass.
    #[serde(default)]
    deny: DenyFields,
}

/// The reply to a request that is denied.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "deny"))]
#[serde(deny_unknown_fields)]
pub struct DenyFields {
    /// The form of the reply; default that of the document. With that of a problem, `body` is its
    /// `detail`, and `content_type` is not used.
    format: Option<DenyFormat>,
    /// From 400 to 599; default 403.
    #[cfg_attr(feature = "schema", schemars(range(min = 400, max = 599), extend("default" = 403)))]
    status: Option<u16>,
    /// Default: `Access denied.`
    body: Option<String>,
    /// Default: `text/plain`.
    content_type: Option<String>,
    /// Further fields of the reply.
    #[cfg_attr(feature = "schema", schemars(length(min = 0)))]
    headers: Option<Vec<DenyHeader>>,
}

/// One field of a reply.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "deny_header"))]
#[serde(deny_unknown_fields)]
pub struct DenyHeader {
    /// The field.
    name: String,
    /// Its value, as it is.
    value: String,
}

/// See [`RequireHeaderFields`].
pub struct RequireHeader {
    name: FieldName,
    value: Requirement,
    secret: bool,
    status: u16,
    fields: Box<[Field]>,
    body: Box<[u8]>,
    deny_format: Option<DenyFormat>,
}

enum Requirement {
    Present,
    Exact(FieldText),
    Prefix(Box<[u8]>),
    Regex(Box<Regex>),
}

impl Filter for RequireHeader {
    const KIND: &'static str = "require_header";
    const DENIALS: &'static [Denial] = &[Denial::FieldMissing, Denial::FieldMismatch];
    type Fields = RequireHeaderFields;

    fn compile(fields: RequireHeaderFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let name = load.readable_field(&at.key("header"), &fields.header);
        let value = match (fields.exact, fields.prefix, fields.regex) {
            (None, None, None) => Some(Requirement::Present),
            (Some(text), None, None) => {
                let text = FieldText::new(text);
                load.expect(&at.key("exact"), text, "a field value (RFC 9110 section 5.5)")
                    .map(Requirement::Exact)
            }
            (None, Some(text), None) => not_empty(&text, &at.key("prefix"), load)
                .map(|()| Requirement::Prefix(text.into_bytes().into())),
            (None, None, Some(text)) => {
                let at = at.key("regex");
                not_empty(&text, &at, load)
                    .and_then(|()| pattern::compile(&text, &at, load))
                    .map(|regex| Requirement::Regex(Box::new(regex)))
            }
            _ => {
                load.refuse(
                    at,
                    Refusal::Unacceptable { expected: "at most one of `exact`, `prefix`, `regex`" },
                );
                None
            }
        };
        let deny_format = fields.deny.format;
        let deny = deny(fields.deny, &at.key("deny"), load);
        let ((name, value), (status, fields_of_reply, body)) = ((name?, value?), deny?);
        let (secret, fields) = (fields.secret, fields_of_reply);
        Some(Self { name, value, secret, status, fields, body, deny_format })
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    fn deny_format(&self) -> Option<DenyFormat> {
        self.deny_format
    }

    fn secret_fields(&self) -> &[FieldName] {
        if self.secret { core::slice::from_ref(&self.name) } else { &[] }
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, _request: &mut Request<'_>) -> Flow<'s> {
        let mut values = host.values(Section::Request, &self.name).peekable();
        let denial = if values.peek().is_none() {
            Denial::FieldMissing
        } else if values.all(|value| self.value.passes(value)) {
            return Flow::Continue;
        } else {
            Denial::FieldMismatch
        };
        let (fields, body) = ((&*self.fields).into(), (&*self.body).into());
        Flow::Reply(Reply { denial, status: self.status, fields, body })
    }
}

impl Requirement {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => value.ct_eq(text.value().as_bytes()).into(),
            Self::Prefix(text) => value
                .split_at_checked(text.len())
                .is_some_and(|(start, _)| start.ct_eq(text).into()),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

fn not_empty(text: &str, at: &Pointer<'_>, load: &mut Load) -> Option<()> {
    load.expect(at, (!text.is_empty()).then_some(()), "text that is not empty")
}

type Denied = (u16, Box<[Field]>, Box<[u8]>);

fn deny(deny: DenyFields, at: &Pointer<'_>, load: &mut Load) -> Option<Denied> {
    let status = deny.status.unwrap_or(Denial::FieldMissing.status());
    let status = (400..=599).contains(&status).then_some(status);
    let status = load.expect(&at.key("status"), status, "a status from 400 to 599");
    let content_type = deny.content_type.map(|content_type| {
        let content_type = Field::new(FieldName::CONTENT_TYPE.clone(), content_type);
        load.expect(&at.key("content_type"), content_type, "a field value (RFC 9110 section 5.5)")
    });
    let headers: Option<Vec<Field>> =
        load.any(deny.headers, &at.key("headers"), |header, at, load| {
            let name = load.writable_field(&at.key("name"), &header.name);
            let other = name.as_ref().is_none_or(|name| name != FieldName::CONTENT_TYPE);
            let other = load.expect(
                &at.key("name"),
                other.then_some(()),
                "another field: this is `content_type`",
            );
            let fits = FieldValue::new(header.value.as_bytes()).is_some().then_some(());
            let fits = load.expect(&at.key("value"), fits, "a field value (RFC 9110 section 5.5)");
            other.and(fits)?;
            Field::new(name?, header.value)
        });
    let fields = match content_type {
        None => headers,
        Some(content_type) => content_type.zip(headers).map(|(first, mut fields)| {
            fields.insert(0, first);
            fields
        }),
    };
    let body = deny.body.unwrap_or_else(|| "Access denied.".into());
    Some((status?, fields?.into(), body.into_bytes().into()))
}
