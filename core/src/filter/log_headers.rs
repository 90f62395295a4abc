//! `log_headers`: one log line for each message, secrets as a length.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;

use crate::config::{Load, Pointer};
use crate::fields::FieldName;
use crate::filter::{Filter, Phases, Request, Response};
use crate::flow::Flow;
use crate::host::{Host, Level, Section};
use crate::redaction::{NamePattern, Redaction, Secrecy, user};
use crate::syntax::escape::Escaped;

/// The fields of `log_headers` in the configuration; at least one of `request` and `response`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("anyOf" = [{"required": ["request"]}, {"required": ["response"]}]))
)]
#[serde(deny_unknown_fields)]
pub struct LogHeadersFields {
    /// Request fields to log; `["*"]` for all, pseudo-headers included.
    request: Option<Vec<String>>,
    /// Response fields to log; `["*"]` for all, `:status` included.
    response: Option<Vec<String>>,
    /// The level of the lines.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "info")))]
    level: LevelFields,
    /// Further fields whose values are secrets; `*` at the start or the end stands for anything.
    #[cfg_attr(feature = "schema", schemars(length(min = 0)))]
    redact: Option<Vec<String>>,
    /// Longest part of a value that is written, in bytes; default 256.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 8192), extend("default" = 256)))]
    max_value_bytes: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "level"))]
#[serde(rename_all = "snake_case")]
enum LevelFields {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

/// See [`LogHeadersFields`].
#[derive(Debug)]
pub struct LogHeaders {
    request: Option<Selection>,
    response: Option<Selection>,
    level: Level,
    redact: Redaction,
    /// What `redact` names whole: secret to all filters, so that copies of it are found.
    secrets: Vec<FieldName>,
    max_value_bytes: usize,
}

#[derive(Debug)]
enum Selection {
    All,
    Names(Box<[FieldName]>),
}

/// Long enough for any ordinary value, short enough for a log line.
const MAX_VALUE_BYTES: usize = 256;

/// What a log collector takes for one line.
const LARGEST_MAX_VALUE_BYTES: usize = 8192;

impl Filter for LogHeaders {
    const KIND: &'static str = "log_headers";
    type Fields = LogHeadersFields;

    fn compile(fields: LogHeadersFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        let some = (fields.request.is_some() || fields.response.is_some()).then_some(());
        let some = load.expect(at, some, "at least one of `request`, `response`");
        let request = selection(fields.request, &at.key("request"), load);
        let response = selection(fields.response, &at.key("response"), load);
        let patterns: Option<Vec<NamePattern>> =
            load.any(fields.redact, &at.key("redact"), |text, at, load| {
                let expected = "a field name, or one with `*` at its start or end";
                load.expect(at, NamePattern::parse(&text), expected)
            });
        let max = fields.max_value_bytes.unwrap_or(MAX_VALUE_BYTES);
        let max = (1..=LARGEST_MAX_VALUE_BYTES).contains(&max).then_some(max);
        let max = load.expect(&at.key("max_value_bytes"), max, "1 to 8192 bytes");
        some?;
        Some(Self {
            request: request?,
            response: response?,
            level: match fields.level {
                LevelFields::Trace => Level::Trace,
                LevelFields::Debug => Level::Debug,
                LevelFields::Info => Level::Info,
                LevelFields::Warn => Level::Warn,
                LevelFields::Error => Level::Error,
            },
            secrets: patterns.as_ref()?.iter().filter_map(NamePattern::name).cloned().collect(),
            redact: Redaction::new(patterns?),
            max_value_bytes: max?,
        })
    }

    fn phases(&self) -> Phases {
        match (&self.request, &self.response) {
            (_, None) => Phases::Request,
            (None, Some(_)) => Phases::Response,
            (Some(_), Some(_)) => Phases::Both,
        }
    }

    fn secret_fields(&self) -> &[FieldName] {
        &self.secrets
    }

    fn kept_fields(&self) -> &[FieldName] {
        if self.response.is_some() { core::slice::from_ref(FieldName::X_REQUEST_ID) } else { &[] }
    }

    fn keeps<H: Host>(&self, host: &H) -> bool {
        host.logs(self.level)
    }

    fn redact(&mut self, secrets: &[FieldName]) {
        self.redact.learn(secrets);
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, _request: &mut Request<'_>) -> Flow<'s> {
        if let Some(selection) = &self.request
            && host.logs(self.level)
        {
            let id = RequestId(host.values(Section::Request, FieldName::X_REQUEST_ID).next());
            let lines = Lines { filter: self, selection, host, section: Section::Request };
            host.log(self.level, format_args!("{id} request{lines}"));
        }
        Flow::Continue
    }

    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>) {
        if let Some(selection) = &self.response
            && host.logs(self.level)
        {
            let id = RequestId(response.kept.values(FieldName::X_REQUEST_ID).next());
            let lines = Lines { filter: self, selection, host, section: Section::Response };
            host.log(self.level, format_args!("{id} response{lines}"));
        }
    }
}

#[cfg(feature = "explain")]
impl LogHeaders {
    pub(crate) fn redaction(&self) -> &Redaction {
        &self.redact
    }
}

fn selection(
    names: Option<Vec<String>>,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<Option<Selection>> {
    let Some(names) = names else { return Some(None) };
    if names.iter().any(|name| name.contains('*')) {
        let alone = (names.as_slice() == ["*"]).then_some(Some(Selection::All));
        return load.expect(at, alone, "`*` alone, or names without a `*`");
    }
    let names = load.each(names, at, |name, at, load| load.readable_field(at, &name))?;
    Some(Some(Selection::Names(names)))
}

/// The `x-request-id` that a log line starts with; `-` where there is none.
pub(crate) struct RequestId<'a>(pub(crate) Option<&'a [u8]>);

impl fmt::Display for RequestId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 64;
        match self.0 {
            Some(id) => Escaped { bytes: id, limit: LONGEST }.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// ` name="value"` for every selected field line.
struct Lines<'a, H> {
    filter: &'a LogHeaders,
    selection: &'a Selection,
    host: &'a H,
    section: Section,
}

impl<H: Host> fmt::Display for Lines<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.selection {
            Selection::All => {
                for (name, value) in self.host.fields(self.section) {
                    self.line(name, value, f)?;
                }
            }
            Selection::Names(names) => {
                for name in names {
                    for value in self.host.values(self.section, name) {
                        self.line(name.as_bytes(), value, f)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl<H: Host> Lines<'_, H> {
    fn line(&self, name: &[u8], value: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.filter.max_value_bytes;
        write!(f, " {}=", Escaped { bytes: name, limit })?;
        match self.filter.redact.of(name) {
            Secrecy::Open => write!(f, "\"{}\"", Escaped { bytes: value, limit }),
            Secrecy::Secret => write!(f, "<{} bytes>", value.len()),
            Secrecy::Uri => {
                let (path, query) = match value.iter().position(|b| *b == b'?' || *b == b'#') {
                    Some(at) => value.split_at(at),
                    None => (value, [].as_slice()),
                };
                match user(path)
                    .and_then(|at| Some((path.get(..at.start)?, path.get(at.end..)?, at)))
                {
                    Some((before, behind, at)) => {
                        let (before, behind) =
                            (Escaped { bytes: before, limit }, Escaped { bytes: behind, limit });
                        write!(f, "\"{before}<{} bytes>{behind}\"", at.len())?;
                    }
                    None => write!(f, "\"{}\"", Escaped { bytes: path, limit })?,
                }
                match query.len().checked_sub(1) {
                    Some(length) => write!(f, "?<{length} bytes>"),
                    None => Ok(()),
                }
            }
        }
    }
}
