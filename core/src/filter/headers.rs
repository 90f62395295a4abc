//! `headers`: ordered edits of request and response fields.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::config::{Load, Pointer, Refusal};
use crate::fields::{FieldName, FieldText, FieldValue};
use crate::filter::{Filter, Phases, Request, Response};
use crate::flow::Flow;
use crate::host::{Edit, Host, Section};
use crate::redaction::{is_secret, is_uri};
use crate::stream::Kept;
use crate::syntax::field;
use crate::syntax::template::{self, Part};

/// The fields of `headers` in the configuration; at least one rule.
#[derive(Clone, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("anyOf" = [{"required": ["request"]}, {"required": ["response"]}]))
)]
#[serde(deny_unknown_fields)]
pub struct HeadersFields {
    /// Edits of the request, in order.
    request: Option<Vec<RuleFields>>,
    /// Edits of the response, in order; of this library's own replies too.
    response: Option<Vec<RuleFields>>,
}

/// One edit. A value is text with `%REQ(name)%`, `%RESP(name)%` (responses alone) and `%%`. Where it
/// comes out empty, `set` removes the field and the others do nothing.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "headers_rule"))]
#[serde(rename_all = "snake_case")]
pub enum RuleFields {
    /// One value in place of all there are.
    Set(ValueFields),
    /// One more value.
    Append(ValueFields),
    /// A value where there is none.
    AddIfAbsent(ValueFields),
    /// No value.
    Remove(RemoveFields),
    /// The values under another name, in place of those it has.
    Rename(RenameFields),
}

/// A field and its value.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "headers_value"))]
#[serde(deny_unknown_fields)]
pub struct ValueFields {
    /// The field.
    name: String,
    /// Text with commands.
    value: String,
}

/// A field to remove.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "headers_remove"))]
#[serde(deny_unknown_fields)]
pub struct RemoveFields {
    /// The field.
    name: String,
}

/// A field and its new name.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "headers_rename"))]
#[serde(deny_unknown_fields)]
pub struct RenameFields {
    /// The field as it arrives.
    name: String,
    /// The field as it goes on.
    to: String,
}

/// See [`HeadersFields`].
pub struct Headers {
    request: Box<[Rule]>,
    response: Box<[Rule]>,
    kept: Vec<FieldName>,
    secrets: Vec<FieldName>,
}

struct Rule {
    name: FieldName,
    action: Action,
}

enum Action {
    Set(Value),
    Append(Value),
    AddIfAbsent(Value),
    Remove,
    Rename(FieldName),
}

/// A value: a literal that was checked at load, or parts to put together.
enum Value {
    /// `None`: the empty value.
    Literal(Option<FieldText>),
    Parts(Box<[Piece]>),
}

enum Piece {
    Literal(Box<[u8]>),
    Field(Section, FieldName),
}

impl Filter for Headers {
    const KIND: &'static str = "headers";
    type Fields = HeadersFields;

    fn compile(fields: HeadersFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let some = (fields.request.is_some() || fields.response.is_some()).then_some(());
        let some = load.expect(at, some, "at least one of `request`, `response`");
        let request: Option<Box<[Rule]>> =
            load.each_given(fields.request, &at.key("request"), |rule, at, load| {
                Rule::compile(rule, Section::Request, at, load)
            });
        let response: Option<Box<[Rule]>> =
            load.each_given(fields.response, &at.key("response"), |rule, at, load| {
                Rule::compile(rule, Section::Response, at, load)
            });
        some?;
        let (request, response) = (request?, response?);
        let mut kept: Vec<FieldName> =
            response.iter().flat_map(|rule| rule.action.request_fields()).cloned().collect();
        kept.sort();
        kept.dedup();
        let secrets = secrets(request.iter().chain(&response), &[]);
        Some(Self { request, response, kept, secrets })
    }

    fn phases(&self) -> Phases {
        match (self.request.is_empty(), self.response.is_empty()) {
            (_, true) => Phases::Request,
            (true, false) => Phases::Response,
            (false, false) => Phases::Both,
        }
    }

    fn kept_fields(&self) -> &[FieldName] {
        &self.kept
    }

    fn secret_fields(&self) -> &[FieldName] {
        &self.secrets
    }

    fn redact(&mut self, secrets: &[FieldName]) {
        self.secrets = self::secrets(self.request.iter().chain(&self.response), secrets);
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        for rule in &self.request {
            rule.apply(Section::Request, None, host, request.buffer);
        }
        Flow::Continue
    }

    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>) {
        for rule in &self.response {
            rule.apply(Section::Response, Some(response.kept), host, response.buffer);
        }
    }
}

impl Rule {
    fn compile(
        fields: RuleFields,
        section: Section,
        at: &Pointer<'_>,
        load: &mut Load,
    ) -> Option<Self> {
        let (key, name) = match &fields {
            RuleFields::Set(f) => ("set", &f.name),
            RuleFields::Append(f) => ("append", &f.name),
            RuleFields::AddIfAbsent(f) => ("add_if_absent", &f.name),
            RuleFields::Remove(f) => ("remove", &f.name),
            RuleFields::Rename(f) => ("rename", &f.name),
        };
        let at = &at.key(key);
        let name = load.writable_field(&at.key("name"), name);
        let value =
            |value: &str, load: &mut Load| Value::compile(value, section, &at.key("value"), load);
        let action = match fields {
            RuleFields::Set(f) => value(&f.value, load).map(Action::Set),
            RuleFields::Append(f) => value(&f.value, load).map(Action::Append),
            RuleFields::AddIfAbsent(f) => value(&f.value, load).map(Action::AddIfAbsent),
            RuleFields::Remove(_) => Some(Action::Remove),
            RuleFields::Rename(f) => load.writable_field(&at.key("to"), &f.to).map(Action::Rename),
        };
        Some(Self { name: name?, action: action? })
    }

    fn apply<H: Host>(
        &self,
        section: Section,
        kept: Option<Kept<'_>>,
        host: &mut H,
        buffer: &mut Vec<u8>,
    ) {
        let name = &self.name;
        match &self.action {
            Action::Set(value) => match value.render(kept, host, buffer) {
                Some(value) => host.edit(section, Edit::Set(name, value)),
                None => remove(section, name, host),
            },
            Action::Append(value) => {
                if let Some(value) = value.render(kept, host, buffer) {
                    host.edit(section, Edit::Append(name, value));
                }
            }
            Action::AddIfAbsent(value) => {
                if !host.has(section, name)
                    && let Some(value) = value.render(kept, host, buffer)
                {
                    host.edit(section, Edit::Append(name, value));
                }
            }
            Action::Remove => remove(section, name, host),
            Action::Rename(to) => rename(section, name, to, host, buffer),
        }
    }
}

impl Action {
    fn request_fields(&self) -> impl Iterator<Item = &FieldName> {
        let value = match self {
            Self::Set(value) | Self::Append(value) | Self::AddIfAbsent(value) => Some(value),
            Self::Remove | Self::Rename(_) => None,
        };
        let fields = value.into_iter().flat_map(Value::fields);
        fields.filter(|(section, _)| *section == Section::Request).map(|(_, name)| name)
    }
}

/// Fields that hold a secret because a rule fills them from one: from a field that is secret by its
/// name or among those `known`, or from a URI, where the new name does not tell that it is one.
fn secrets<'r>(rules: impl Iterator<Item = &'r Rule>, known: &[FieldName]) -> Vec<FieldName> {
    let mut secrets: Vec<FieldName> = Vec::new();
    for rule in rules {
        let to = match &rule.action {
            Action::Rename(to) => to,
            _ => &rule.name,
        };
        let secret = |name: &FieldName| {
            is_secret(name.as_bytes())
                || known.contains(name)
                || secrets.contains(name)
                || (is_uri(name.as_bytes()) && !is_uri(to.as_bytes()))
        };
        let filled = match &rule.action {
            Action::Rename(_) => secret(&rule.name),
            Action::Set(value) | Action::Append(value) | Action::AddIfAbsent(value) => {
                value.fields().any(|(_, name)| secret(name))
            }
            Action::Remove => false,
        };
        secrets.extend(filled.then(|| to.clone()));
    }
    secrets
}

impl Value {
    fn fields(&self) -> impl Iterator<Item = (Section, &FieldName)> {
        let pieces = match self {
            Self::Literal(_) => &[],
            Self::Parts(pieces) => &**pieces,
        };
        pieces.iter().filter_map(|piece| match piece {
            Piece::Field(section, name) => Some((*section, name)),
            Piece::Literal(_) => None,
        })
    }

    fn compile(text: &str, section: Section, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let parts = template::parse(text)
            .map_err(|error| load.refuse(at, Refusal::malformed(error)))
            .ok()?;
        let mut pieces = Vec::new();
        for part in parts {
            pieces.push(match part {
                Part::Literal(text) => Piece::Literal(text),
                Part::RequestField(name) => {
                    Piece::Field(Section::Request, load.readable_field(at, &name)?)
                }
                Part::ResponseField(_) if section == Section::Request => {
                    load.refuse(
                        at,
                        Refusal::Unacceptable { expected: "no %RESP()% in a request's value" },
                    );
                    return None;
                }
                Part::ResponseField(name) => {
                    Piece::Field(Section::Response, load.readable_field(at, &name)?)
                }
            });
        }
        if pieces.iter().any(|piece| matches!(piece, Piece::Field(..))) {
            return Some(Self::Parts(pieces.into()));
        }
        let mut literal = Vec::new();
        for piece in &pieces {
            if let Piece::Literal(text) = piece {
                literal.extend_from_slice(text);
            }
        }
        if literal.is_empty() {
            return Some(Self::Literal(None));
        }
        let text = FieldText::new(literal);
        load.expect(at, text, "a field value (RFC 9110 section 5.5)")
            .map(|text| Self::Literal(Some(text)))
    }

    /// The value to write; `None` where it comes out empty, or as no value that may be written.
    fn render<'a, H: Host>(
        &'a self,
        kept: Option<Kept<'_>>,
        host: &H,
        buffer: &'a mut Vec<u8>,
    ) -> Option<FieldValue<'a>> {
        let pieces = match self {
            Self::Literal(text) => return text.as_ref().map(FieldText::value),
            Self::Parts(pieces) => pieces,
        };
        buffer.clear();
        for piece in pieces {
            match (piece, kept) {
                (Piece::Literal(text), _) => buffer.extend_from_slice(text),
                (Piece::Field(Section::Request, name), Some(kept)) => {
                    join(buffer, kept.values(name))
                }
                (Piece::Field(section, name), _) => join(buffer, host.values(*section, name)),
            }
        }
        FieldValue::new(field::trim(buffer))
    }
}

/// Several values of a field are one, with commas (RFC 9110 section 5.3).
fn join<'v>(buffer: &mut Vec<u8>, values: impl Iterator<Item = &'v [u8]>) {
    for (i, value) in values.enumerate() {
        if i > 0 {
            buffer.extend_from_slice(b", ");
        }
        buffer.extend_from_slice(value);
    }
}

fn remove<H: Host>(section: Section, name: &FieldName, host: &mut H) {
    if host.has(section, name) {
        host.edit(section, Edit::Remove(name));
    }
}

fn rename<H: Host>(
    section: Section,
    from: &FieldName,
    to: &FieldName,
    host: &mut H,
    buffer: &mut Vec<u8>,
) {
    if from == to {
        return;
    }
    // A value holds no NUL, so NUL stands between values.
    buffer.clear();
    for value in host.values(section, from) {
        if !buffer.is_empty() {
            buffer.push(0);
        }
        buffer.extend_from_slice(value);
    }
    if host.values(section, from).next().is_none() {
        return;
    }
    host.edit(section, Edit::Remove(from));
    let mut set = false;
    let values = buffer.split(|byte| *byte == 0).map(field::trim);
    for value in values.filter_map(FieldValue::new) {
        host.edit(section, if set { Edit::Append(to, value) } else { Edit::Set(to, value) });
        set = true;
    }
    if !set {
        // Nothing but empty values: what stood there is replaced by nothing.
        remove(section, to, host);
    }
}
