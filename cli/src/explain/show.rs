//! What may be shown of a value, and how: secrets as a length, all else as printable ASCII.

use pintle_core::explain::{Act, Secrets, Shown, user_of_uri};
use pintle_core::syntax::authorization;
use pintle_core::testing::Record;
use pintle_core::testing::corpus::{CalloutEnd, FieldLines};
use serde_json::Value;

use super::course::{Course, Exchange};
use super::report::{Content, Field};

/// How much of a text is shown, in bytes before escaping: more than any ordinary value has.
const MOST_BYTES: usize = 4096;

/// How much of a content is looked at, in bytes.
const MOST_CONTENT_BYTES: usize = 4 * MOST_BYTES;

/// Shorter secrets are not looked for inside of words, where they are found by chance. In bytes.
const LEAST_PART_BYTES: usize = 8;

/// Shorter secrets are not looked for in other texts at all. In bytes.
const LEAST_WORD_BYTES: usize = 4;

/// Printable ASCII as it stands, but for a backslash, which is doubled; each other byte as `\xNN`. So
/// nothing of a request or a file can move a cursor or begin a line.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

/// Knows which fields hold secrets, and those that this request and this configuration have.
pub(super) struct Show {
    secrets: Secrets,
    /// Secrets themselves, the longest first: copies of them stand in no text, wherever it comes from, as far
    /// as docs/explain.md says.
    hidden: Vec<Vec<u8>>,
}

impl Show {
    pub(super) fn new(
        secrets: Secrets,
        exchange: &Exchange,
        course: &Course,
        document: &Value,
    ) -> Self {
        let mut show = Self { secrets, hidden: Vec::new() };
        show.hide_fields(&exchange.request);
        show.hide_fields(&exchange.response.fields);
        for (_, end) in &course.callouts {
            show.hide_answer(end.as_ref());
        }
        for record in &course.records {
            if let Record::Said(Act::Edit(edited)) = record
                && show.secrets.of(edited.name.as_bytes()) == Shown::Length
            {
                show.hide_credential(&edited.value);
            }
        }
        show.hide_members(document, false);
        let hidden = &mut show.hidden;
        let in_json: Vec<_> = hidden.iter().filter_map(|secret| in_json(secret)).collect();
        hidden.extend(in_json);
        // A copy of a path without a query, which is what is asked about.
        let path = exchange.request.iter().find(|(name, _)| name == b":path");
        let path = path.map(|(_, path)| split_query(path).0);
        hidden.retain(|secret| !secret.is_empty() && Some(secret.as_slice()) != path);
        hidden.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        show
    }

    /// A field, its value as far as it may be shown.
    pub(super) fn field(&self, name: &[u8], value: &[u8]) -> Field {
        let (shown, query) = match self.secrets.of(name) {
            // The request's own method, path and authority are what is asked about.
            _ if [b":method".as_slice(), b":authority", b":scheme"].contains(&name) => {
                (value, None)
            }
            Shown::Length if name != b":path" => (&[][..], Some(None)),
            _ if name != b":path" && self.is_hidden(value) => (&[][..], Some(None)),
            Shown::Whole => (value, None),
            Shown::Length | Shown::WithoutQuery => match split_query(value) {
                (path, Some(query)) => (path, Some(Some(query.len()))),
                (path, None) => (path, None),
            },
        };
        let shown = match self.secrets.of(name) {
            Shown::WithoutQuery => without_user(shown),
            _ => shown.to_vec(),
        };
        Field {
            name: self.text(name),
            value: (query != Some(None)).then(|| self.text(&shown)),
            query_bytes: query.flatten(),
            bytes: value.len(),
        }
    }

    pub(super) fn fields(&self, lines: &FieldLines) -> Vec<Field> {
        lines.iter().map(|(name, value)| self.field(name, value)).collect()
    }

    /// A value of no field, which may be a secret as a whole.
    pub(super) fn value(&self, value: &[u8]) -> String {
        if self.is_hidden(value) { length(value.len()) } else { self.text(value) }
    }

    /// A text, without the secrets in it.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let open = self.without_secrets(bytes);
        match open.get(..MOST_BYTES) {
            Some(start) if open.len() > MOST_BYTES => format!("{}...", escape(start)),
            _ => escape(&open),
        }
    }

    /// A part of the configuration, each text in it shown as such.
    pub(super) fn json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text.as_bytes()).into(),
            Value::Array(list) => list.iter().map(|value| self.json(value)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| (self.text(key.as_bytes()), self.json(value)))
                .collect(),
            other => other.clone(),
        }
    }

    /// A condition on a field, or a part of one: what it compares with is shown as far as a value of
    /// the field is.
    pub(super) fn condition(&self, name: &[u8], condition: &Value) -> Value {
        let Value::Object(members) = condition else { return self.json(condition) };
        let member = |(key, value): (&String, &Value)| {
            let shown = match value {
                Value::String(text) if key == "exact" || key == "prefix" => {
                    self.field(name, text.as_bytes()).to_string().into()
                }
                other => self.json(other),
            };
            (key.clone(), shown)
        };
        members.iter().map(member).collect()
    }

    pub(super) fn content(&self, bytes: &[u8]) -> Content {
        let longest = self.hidden.first().map_or(0, Vec::len);
        let start = bytes.get(..MOST_CONTENT_BYTES + longest);
        let looked_at = without_instance_queries(start.unwrap_or(bytes));
        // What begins later may be a part of a secret, of which the rest has been cut off.
        let whole = looked_at.len() - start.map_or(0, |_| longest.min(looked_at.len()));
        let open = self.without_secrets_up_to(whole, &looked_at);
        let shown = open.get(..MOST_BYTES).unwrap_or(&open);
        let cut = shown.len() < open.len() || start.is_some_and(|start| start.len() < bytes.len());
        Content { bytes: bytes.len(), text: escape(shown), cut }
    }

    fn without_secrets(&self, bytes: &[u8]) -> Vec<u8> {
        self.without_secrets_up_to(bytes.len(), bytes)
    }

    /// Only what begins before `end`. Secrets that overlap are one.
    fn without_secrets_up_to(&self, end: usize, bytes: &[u8]) -> Vec<u8> {
        let mut open = Vec::with_capacity(end);
        let mut at = 0;
        while at < end {
            let Some(mut until) = self.end_of_secret(bytes, at) else {
                open.extend(bytes.get(at));
                at += 1;
                continue;
            };
            let start = at;
            while at < until {
                at += 1;
                let inner = if at < until { self.end_of_secret(bytes, at) } else { None };
                until = until.max(inner.unwrap_or(0));
            }
            open.extend_from_slice(length(until - start).as_bytes());
        }
        open
    }

    /// Where the longest of the secrets ends that begin here.
    fn end_of_secret(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
        let rest = bytes.get(at..)?;
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let stands_here = |secret: &&Vec<u8>| {
            let is_word = || {
                let mut around = before.into_iter().chain(rest.get(secret.len()));
                secret.len() >= LEAST_WORD_BYTES && !around.any(is_of_word)
            };
            rest.starts_with(secret) && (secret.len() >= LEAST_PART_BYTES || is_word())
        };
        self.hidden.iter().find(stands_here).map(|secret| at + secret.len())
    }

    /// Whether a whole value is a secret.
    fn is_hidden(&self, value: &[u8]) -> bool {
        self.hidden.iter().any(|secret| secret == value)
    }

    fn hide_fields(&mut self, lines: &FieldLines) {
        for (name, value) in lines {
            match self.secrets.of(name) {
                Shown::Whole => {}
                Shown::WithoutQuery => {
                    let (uri, query) = split_query(value);
                    self.hide_query(query);
                    self.hide_user(uri);
                }
                Shown::Length if name == b":path" => self.hide_query(split_query(value).1),
                Shown::Length => self.hide_credential(value),
            }
        }
    }

    fn hide_query(&mut self, query: Option<&[u8]>) {
        let Some(query) = query else { return };
        self.hidden.push(query.to_vec());
        for member in query.split(|byte| *byte == b'&') {
            self.hidden.extend(after(member, b'=').map(<[u8]>::to_vec));
        }
    }

    /// The user of a URI, and the password in it (RFC 3986 section 3.2.1).
    fn hide_user(&mut self, uri: &[u8]) {
        let Some(user) = user_of_uri(uri).and_then(|user| uri.get(user)) else { return };
        self.hidden.push(user.to_vec());
        self.hidden.extend(after(user, b':').map(<[u8]>::to_vec));
    }

    /// A value, what stands behind its scheme, the password in that, and the values of cookies.
    fn hide_credential(&mut self, value: &[u8]) {
        self.hidden.push(value.to_vec());
        self.hidden.extend(after(value, b' ').map(<[u8]>::to_vec));
        self.hide_basic(value);
        for cookie in value.split(|byte| *byte == b';' || *byte == b',') {
            self.hidden.push(cookie.trim_ascii().to_vec());
            self.hidden.extend(after(cookie, b'=').map(|value| value.trim_ascii().to_vec()));
        }
    }

    fn hide_basic(&mut self, value: &[u8]) {
        let mut buffer = Vec::new();
        if let Ok(credential) = authorization::basic(value, &mut buffer) {
            self.hidden.push(credential.whole.to_vec());
            self.hidden.push(credential.password.to_vec());
        }
    }

    fn hide_answer(&mut self, end: Option<&CalloutEnd>) {
        let Some(CalloutEnd::Answer(answer)) = end else { return };
        // What is refused is passed on to the client, and holds no token.
        if answer.status != 200 {
            return;
        }
        let body = answer.message.body.trim_ascii();
        self.hidden.push(body.to_vec());
        if let Ok(json) = serde_json::from_slice(body) {
            self.hide_texts(&json);
        }
    }

    /// The texts of members that hold secrets.
    fn hide_members(&mut self, value: &Value, in_service: bool) {
        match value {
            Value::Object(members) => {
                let name = members.get("header").or_else(|| members.get("name"));
                let name = name.and_then(Value::as_str).map(str::to_ascii_lowercase);
                let of_secret =
                    name.is_some_and(|name| self.secrets.of(name.as_bytes()) == Shown::Length);
                for (key, member) in members {
                    match key.as_str() {
                        "credentials" | "grant" => self.hide_texts(member),
                        "value" if in_service => self.hide_texts(member),
                        // Of `require_header`, and of a condition on a field.
                        "exact" if of_secret => {
                            self.hide_credential(member.as_str().unwrap_or_default().as_bytes());
                        }
                        "token_exchange" => self.hide_members(member, true),
                        _ => self.hide_members(member, in_service),
                    }
                }
            }
            Value::Array(list) => {
                list.iter().for_each(|value| self.hide_members(value, in_service))
            }
            _ => {}
        }
    }

    fn hide_texts(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.hidden.push(text.as_bytes().to_vec());
                self.hidden.extend(after(text.as_bytes(), b':').map(<[u8]>::to_vec));
                self.hide_basic(format!("Basic {text}").as_bytes());
            }
            Value::Array(list) => list.iter().for_each(|value| self.hide_texts(value)),
            Value::Object(members) => members.values().for_each(|value| self.hide_texts(value)),
            _ => {}
        }
    }
}

/// Without the query of the path that a problem has as its `instance` (RFC 9457 section 3.1.5).
fn without_instance_queries(content: &[u8]) -> Vec<u8> {
    const MEMBER: &[u8] = b"\"instance\":\"";

    let mut open = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.windows(MEMBER.len()).position(|window| window == MEMBER) {
        let (before, behind) = rest.split_at(at + MEMBER.len());
        open.extend_from_slice(before);
        let (instance, behind) = behind.split_at(end_of_text(behind));
        match split_query(instance) {
            (path, Some(query)) => {
                open.extend_from_slice(path);
                open.push(b'?');
                open.extend_from_slice(length(query.len()).as_bytes());
            }
            (path, None) => open.extend_from_slice(path),
        }
        rest = behind;
    }
    open.extend_from_slice(rest);
    open
}

/// A text as JSON has it between its quotation marks, where that differs.
fn in_json(text: &[u8]) -> Option<Vec<u8>> {
    let json = serde_json::to_string(std::str::from_utf8(text).ok()?).ok()?;
    let inner = json.get(1..json.len() - 1)?.as_bytes();
    (inner != text).then(|| inner.to_vec())
}

/// Where a text of JSON ends (RFC 8259 section 7), from behind its first quotation mark.
fn end_of_text(json: &[u8]) -> usize {
    let mut escaped = false;
    let ends = |byte: &u8| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    };
    json.iter().position(ends).unwrap_or(json.len())
}

/// A URI, and its query or fragment without the character that begins it.
fn split_query(uri: &[u8]) -> (&[u8], Option<&[u8]>) {
    match uri.iter().position(|byte| matches!(byte, b'?' | b'#')) {
        Some(at) => (&uri[..at], Some(&uri[at + 1..])),
        None => (uri, None),
    }
}

fn without_user(uri: &[u8]) -> Vec<u8> {
    match user_of_uri(uri) {
        Some(user) => {
            [&uri[..user.start], length(user.len()).as_bytes(), &uri[user.end..]].concat()
        }
        None => uri.to_vec(),
    }
}

/// What stands in place of a secret.
fn length(bytes: usize) -> String {
    format!("<{bytes} bytes>")
}

fn after(bytes: &[u8], byte: u8) -> Option<&[u8]> {
    bytes.iter().position(|b| *b == byte).map(|at| &bytes[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::{escape, without_instance_queries};

    #[test]
    fn nothing_but_printable_ascii() {
        let all: Vec<u8> = (0..=255).collect();
        let text = escape(&all);
        assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        assert_eq!(escape(b"a\\\x1b[2J\xc2\x9b\"\n"), r#"a\\\x1b[2J\xc2\x9b"\x0a"#);
    }

    #[test]
    fn queries_of_problems() {
        for (content, expected) in [
            (r#"{"instance":"/a?b=c"}"#, r#"{"instance":"/a?<3 bytes>"}"#),
            (r#"{"instance":"/a?b\"c","d":"?"}"#, r#"{"instance":"/a?<4 bytes>","d":"?"}"#),
            (r#"{"instance":"/a\\?b"}"#, r#"{"instance":"/a\\?<1 bytes>"}"#),
            (
                r#"{"instance":"/a"}{"instance":"/?b"#,
                r#"{"instance":"/a"}{"instance":"/?<1 bytes>"#,
            ),
            ("/a?b", "/a?b"),
            (r#""instance":""#, r#""instance":""#),
        ] {
            let open = without_instance_queries(content.as_bytes());
            assert_eq!(String::from_utf8_lossy(&open), expected);
        }
    }
}
