//! What a reply must be: a problem, or what it is without a filter.

use std::fmt;

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::{FieldLines, Request};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::client::Reply;

/// The media type (RFC 9457 section 6.1).
pub(super) const MEDIA_TYPE: &str = "application/problem+json";
/// The `title` by default.
const TITLE: &str = "service mesh returned an error";
/// Of content, the most that `detail` has by default, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;
/// What stands behind a `detail` that was cut.
const CUT_MARK: &str = " … (truncated)";

/// The `traceparent` of every request here, and the trace id in it.
pub(super) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What holds for the content that is replaced, and goes with it.
pub(super) const GONE: [&str; 7] = [
    "content-encoding",
    "etag",
    "last-modified",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
];

/// How a message is framed may differ from host to host, as long as it is right.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// A problem, with its members in their order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    status: u16,
    members: Vec<(String, Value)>,
}

impl Problem {
    /// What the filter makes, by default, of a response to this request.
    pub(super) fn of(request: &Request, status: u16, content: &[u8]) -> Result<Self> {
        let mut problem = Self {
            status,
            members: vec![
                member("type", problem_type(status)),
                member("title", TITLE),
                member("status", status),
                member("instance", request.path.as_str()),
                member("trace_id", TRACE_ID),
            ],
        };
        problem.members.extend(detail(content)?.map(|detail| member("detail", detail)));
        Ok(problem)
    }

    /// With another value of a member.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        for (own, old) in &mut self.members {
            if own == name {
                *old = value.clone();
            }
        }
        self
    }

    /// Without a detail.
    pub(super) fn without_detail(mut self) -> Self {
        self.members.retain(|(name, _)| name != "detail");
        self
    }

    /// An error unless the reply is this problem.
    pub(super) fn check(&self, reply: &Reply) -> Result<()> {
        ensure!(reply.status == self.status, "status {}, not {}", reply.status, self.status);
        let types = values(&reply.fields, "content-type");
        ensure!(types == [MEDIA_TYPE.as_bytes()], "content-type: {}", shown(&types));
        for name in GONE {
            let left = values(&reply.fields, name);
            ensure!(left.is_empty(), "{name}: {}", shown(&left));
        }
        let length = reply.body.len().to_string();
        let stated = values(&reply.fields, "content-length");
        ensure!(
            stated.is_empty() || stated == [length.as_bytes()],
            "content-length: {}, of {length} bytes",
            shown(&stated)
        );
        let text = || format!("the content is {}", start(&reply.body));
        let Members(members) = serde_json::from_slice(&reply.body).with_context(text)?;
        let names = |of: &[(String, Value)]| -> Vec<String> {
            of.iter().map(|(name, _)| name.clone()).collect()
        };
        let (seen, expected) = (names(&members), names(&self.members));
        ensure!(seen == expected, "members {seen:?}, not {expected:?}");
        for ((name, seen), (_, expected)) in members.iter().zip(&self.members) {
            let (seen_text, text) = (seen.to_string(), expected.to_string());
            ensure!(
                seen == expected,
                "{name}: {}, not {}",
                start(seen_text.as_bytes()),
                start(text.as_bytes())
            );
        }
        Ok(())
    }
}

/// An error unless a reply has all that it has without a filter, but for what a problem changes.
pub(super) fn rest_is_kept(reply: &Reply, plain: &Reply) -> Result<()> {
    let others = |of: &Reply| {
        let changed = |name: &[u8]| {
            let changes = GONE.iter().chain(&FRAMING).chain(&["content-type"]);
            changes.into_iter().any(|own| own.as_bytes() == name)
        };
        let mut lines = sorted(&of.fields);
        lines.retain(|(name, _)| !changed(name));
        lines
    };
    same_lines("fields", &others(reply), &others(plain))?;
    same_lines("trailers", &reply.trailers, &plain.trailers)
}

/// An error unless two replies are the same.
pub(super) fn same(reply: &Reply, other: &Reply) -> Result<()> {
    ensure!(reply.status == other.status, "status {}, not {}", reply.status, other.status);
    same_lines("fields", &sorted(&reply.fields), &sorted(&other.fields))?;
    same_content(reply, other)?;
    same_lines("trailers", &reply.trailers, &other.trailers)
}

/// Likewise, but for how they are framed.
pub(super) fn alike(reply: &Reply, other: &Reply) -> Result<()> {
    ensure!(reply.status == other.status, "status {}, not {}", reply.status, other.status);
    let unframed = |of: &Reply| {
        let mut lines = sorted(&of.fields);
        lines.retain(|(name, _)| FRAMING.iter().all(|own| own.as_bytes() != name));
        lines
    };
    same_lines("fields", &unframed(reply), &unframed(other))?;
    same_content(reply, other)?;
    same_lines("trailers", &reply.trailers, &other.trailers)
}

/// The values of a field.
pub(super) fn values<'a>(fields: &'a FieldLines, name: &str) -> Vec<&'a [u8]> {
    let lines = fields.iter().filter(|(own, _)| own == name.as_bytes());
    lines.map(|(_, value)| value.as_slice()).collect()
}

fn same_content(reply: &Reply, other: &Reply) -> Result<()> {
    let (seen, expected) = (&reply.body, &other.body);
    ensure!(seen == expected, "content {}, not {}", start(seen), start(expected));
    Ok(())
}

fn same_lines(what: &str, seen: &FieldLines, expected: &FieldLines) -> Result<()> {
    let lines = |of: &FieldLines, other: &FieldLines| -> Vec<String> {
        let more = of.iter().filter(|line| !other.contains(line));
        more.map(|(name, value)| format!("{}: {}", name.escape_ascii(), start(value))).collect()
    };
    ensure!(
        seen == expected,
        "{what}: {:?} are too many, {:?} are missing, or the order differs",
        lines(seen, expected),
        lines(expected, seen)
    );
    Ok(())
}

/// By name, those of one name in their order; without what differs from one time to the next.
fn sorted(fields: &FieldLines) -> FieldLines {
    let mut fields = fields.clone();
    fields.retain(|(name, _)| name != b"date");
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// The table of the custom-errors plug-in.
fn problem_type(status: u16) -> String {
    let section = match status {
        400 => "5.1",
        401 => "5.2",
        403 => "5.4",
        404 => "5.5",
        405 => "5.6",
        406 => "5.7",
        408 => "5.9",
        409 => "5.10",
        412 => "5.13",
        415 => "5.16",
        426 => "5.22",
        500 => "6.1",
        502 => "6.3",
        503 => "6.4",
        504 => "6.5",
        422 => return "https://datatracker.ietf.org/html/rfc4918#section-11.2".into(),
        _ => {
            let class = if status < 500 { "client-error-4xx" } else { "server-error-5xx" };
            return format!("https://datatracker.ietf.org/doc/html/rfc9110#name-{class}");
        }
    };
    format!("https://datatracker.ietf.org/html/rfc9110#section-15.{section}")
}

fn detail(content: &[u8]) -> Result<Option<String>> {
    if content.len() <= MAX_BODY_BYTES {
        let text = String::from_utf8_lossy(content);
        return Ok((!content.is_empty()).then(|| text.into_owned()));
    }
    let text = str::from_utf8(content).context("the tests cut what is UTF-8 alone")?;
    let end = text.floor_char_boundary(MAX_BODY_BYTES);
    Ok(Some(format!("{}{CUT_MARK}", text.get(..end).unwrap_or_default())))
}

fn member(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

/// A value by its start.
fn start(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii();
    format!("\"{shown}\" ({} bytes)", bytes.len())
}

fn shown(values: &[&[u8]]) -> String {
    values.iter().map(|value| value.escape_ascii().to_string()).collect::<Vec<_>>().join(", ")
}

/// The members of a JSON object as they stand there: in their order, none of them twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.iter().any(|(own, _)| *own == name) {
                        return Err(A::Error::custom(format!("{name} twice")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{MAX_BODY_BYTES, Problem, detail};
    use crate::client::{Reply, get};

    fn complaint(body: &str) -> Option<String> {
        let reply = Reply {
            status: 404,
            fields: vec![(b"content-type".into(), b"application/problem+json".into())],
            body: Bytes::from(body.to_owned()),
            trailers: Vec::new(),
        };
        let problem = Problem::of(&get("/a"), 404, b"x").unwrap();
        problem.check(&reply).err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn each_difference_is_found() {
        let right = r#"{"type":"https://datatracker.ietf.org/html/rfc9110#section-15.5.5","title":"service mesh returned an error","status":404,"instance":"/a","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","detail":"x"}"#;
        assert_eq!(complaint(right), None);
        for (old, new, expected) in [
            (r#""detail":"x""#, r#""detail":"y""#, "detail"),
            (r#","detail":"x""#, "", "members"),
            (r#""status":404"#, r#""status":"404""#, "status"),
            (r#""status":404"#, r#""status":404,"status":404"#, "twice"),
            ("}", "} ,", "the content"),
            ("}", "", "the content"),
            (r#""status":404,"instance":"/a""#, r#""instance":"/a","status":404"#, "members"),
        ] {
            let wrong = right.replace(old, new);
            let seen = complaint(&wrong).unwrap_or_default();
            assert!(seen.contains(expected), "{wrong}: {seen}");
        }
    }

    #[test]
    fn long_details_are_cut_at_a_character() {
        let text = "\u{20ac}".repeat(MAX_BODY_BYTES);
        let cut = detail(text.as_bytes()).unwrap().unwrap();
        assert!(cut.starts_with(&text[..MAX_BODY_BYTES - 1]));
        assert!(cut.ends_with("\u{20ac} … (truncated)"));
        assert_eq!(detail(b"").unwrap(), None);
        assert_eq!(detail(b"\xff").unwrap().unwrap(), "\u{fffd}");
    }
}
