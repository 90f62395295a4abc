//! What an engine saw, against what a case expects.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::{Case, Expect, ExpectUpstream, FieldLines, Plan};

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The status that the client saw.
    pub status: u16,
    /// The fields that the client saw.
    pub fields: FieldLines,
    /// The content that the client saw.
    pub body: Vec<u8>,
    /// The response-code details.
    pub details: String,
    /// What reached the upstream; `None`: nothing.
    pub upstream: Option<SeenUpstream>,
    /// In what the callouts differed from those that the case lists, as
    /// [`Service::finish`](super::Service::finish) has it.
    pub callouts: Vec<Mismatch>,
    /// By how much each counter grew, as `<filter>.allowed`, `<filter>.denied.<reason>`,
    /// `<filter>.observed`, and a filter's own, such as `<filter>.hits`.
    pub counters: BTreeMap<String, u64>,
    /// Values left for the access log.
    pub notes: BTreeMap<String, Vec<u8>>,
    /// What was logged meanwhile.
    pub logs: Vec<LogLine>,
}

/// What reached the upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenUpstream {
    /// The method.
    pub method: String,
    /// The path, byte for byte.
    pub path: Vec<u8>,
    /// The fields.
    pub fields: FieldLines,
    /// The length of the content.
    pub body_bytes: u64,
    /// The trailers.
    pub trailers: FieldLines,
}

/// One log message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLine {
    /// The level in lower case: `trace`, `debug`, `info`, `warn`, `error`.
    pub level: String,
    /// The message.
    pub message: String,
}

/// One point in which an engine did not do what the case expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What was compared.
    pub what: String,
    /// What the case says.
    pub expected: String,
    /// What was there.
    pub seen: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, saw {}", self.what, self.expected, self.seen)
    }
}

/// Compares what an engine saw to what the case expects; empty where it is as it should be.
pub fn verdicts(case: &Case, seen: &Seen) -> Vec<Mismatch> {
    let mut found = Findings::default();
    match &case.plan {
        Plan::Exchange(exchange) => found.exchange(&exchange.expect, seen),
        Plan::Refusal(_) => found.add("the configuration", "to be refused", "it was accepted"),
    }
    found.0
}

/// Compares the errors that refused a configuration to what the case expects. `errors` is their
/// text, as one piece or as log lines; `None`: the configuration was accepted.
pub fn refusals(case: &Case, errors: Option<&str>) -> Vec<Mismatch> {
    let mut found = Findings::default();
    match (&case.plan, errors) {
        (Plan::Exchange(_), None) => {}
        (Plan::Exchange(_), Some(text)) => found.add("the configuration", "to be accepted", text),
        (Plan::Refusal(_), None) => {
            found.add("the configuration", "to be refused", "it was accepted")
        }
        (Plan::Refusal(refusal), Some(text)) => {
            for path in refusal.paths.iter().filter(|path| !names_path(text, path)) {
                found.add("the errors", format!("one at {path}"), text);
            }
            for secret in refusal.lacks.iter().filter(|secret| text.contains(*secret)) {
                found.add("the errors", format!("nothing with {secret:?} in it"), text);
            }
        }
    }
    found.0
}

/// Whether `text` names exactly this JSON path, not only a longer one. The path of the whole
/// document is empty.
fn names_path(text: &str, path: &str) -> bool {
    path.is_empty()
        || text.match_indices(path).any(|(at, _)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let after = text.get(at.saturating_add(path.len())..).and_then(|t| t.chars().next());
            let in_path = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '~');
            !before.is_some_and(in_path) && !after.is_some_and(in_path)
        })
}

#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Mismatch>);

impl Findings {
    pub(super) fn add(
        &mut self,
        what: impl ToString,
        expected: impl ToString,
        seen: impl ToString,
    ) {
        let (what, expected, seen) = (what.to_string(), expected.to_string(), seen.to_string());
        self.0.push(Mismatch { what, expected, seen });
    }

    fn exchange(&mut self, expect: &Expect, seen: &Seen) {
        if expect.status != seen.status {
            self.add("status", expect.status, seen.status);
        }
        self.fields("response field", &expect.fields, &expect.absent, &seen.fields);
        if let Some(body) = &expect.body
            && body.as_bytes() != seen.body
        {
            self.add("body", format!("{body:?}"), quote(&seen.body));
        }
        if let Some(details) = &expect.details
            && *details != seen.details
        {
            self.add("details", details, &seen.details);
        }
        if let Some(upstream) = &expect.upstream {
            self.upstream(upstream, seen.upstream.as_ref());
        }
        self.0.extend(seen.callouts.iter().cloned());
        self.counters(&expect.counters, &seen.counters);
        for (key, value) in &expect.notes {
            let seen = seen.notes.get(key).map(Vec::as_slice).unwrap_or_default();
            if seen != value.as_bytes() {
                self.add(format!("note {key}"), format!("{value:?}"), quote(seen));
            }
        }
        self.logs(expect, seen);
    }

    fn upstream(&mut self, expect: &ExpectUpstream, seen: Option<&SeenUpstream>) {
        let Some(seen) = seen else {
            if expect.reached {
                self.add("upstream", "to be reached", "nothing reached it");
            }
            return;
        };
        if !expect.reached {
            self.add(
                "upstream",
                "to be left alone",
                format!("{} {}", seen.method, quote(&seen.path)),
            );
            return;
        }
        self.fields("field at the upstream", &expect.fields, &expect.absent, &seen.fields);
        if let Some(path) = &expect.path
            && path.as_bytes() != seen.path
        {
            self.add("path at the upstream", format!("{path:?}"), quote(&seen.path));
        }
        if let Some(bytes) = expect.body_bytes
            && bytes != seen.body_bytes
        {
            self.add("bytes at the upstream", bytes, seen.body_bytes);
        }
    }

    pub(super) fn fields(
        &mut self,
        what: &str,
        expect: &FieldLines,
        absent: &[String],
        seen: &[(Vec<u8>, Vec<u8>)],
    ) {
        let names: BTreeSet<&[u8]> = expect.iter().map(|(name, _)| name.as_slice()).collect();
        for name in names {
            let (expected, seen) = (values(expect, name), values(seen, name));
            if expected != seen {
                self.add(format!("{what} {}", name.escape_ascii()), list(&expected), list(&seen));
            }
        }
        for name in absent {
            let seen = values(seen, name.as_bytes());
            if !seen.is_empty() {
                self.add(format!("{what} {name}"), "none", list(&seen));
            }
        }
    }

    fn counters(&mut self, expect: &BTreeMap<String, u64>, seen: &BTreeMap<String, u64>) {
        let filters: BTreeSet<&str> = expect.keys().map(|counter| filter_of(counter)).collect();
        let names: BTreeSet<&String> = expect.keys().chain(seen.keys()).collect();
        for name in names.into_iter().filter(|name| filters.contains(filter_of(name))) {
            let expected = expect.get(name).copied().unwrap_or_default();
            let seen = seen.get(name).copied().unwrap_or_default();
            if expected != seen {
                self.add(format!("counter {name}"), expected, seen);
            }
        }
    }

    fn logs(&mut self, expect: &Expect, seen: &Seen) {
        let all = || {
            seen.logs
                .iter()
                .map(|l| format!("\n    {}: {}", l.level, l.message))
                .collect::<String>()
        };
        for part in &expect.logs.contains {
            let mut lines = seen.logs.iter().filter(|l| l.message.contains(part)).peekable();
            if lines.peek().is_none() {
                self.add("log", format!("a line with {part:?}"), all());
            }
            if let Some(level) = &expect.logs.level {
                for line in lines.filter(|l| l.level != *level) {
                    self.add(format!("level of the line with {part:?}"), level, &line.level);
                }
            }
        }
        for part in &expect.logs.lacks {
            if seen.logs.iter().any(|l| l.message.contains(part)) {
                self.add("log", format!("no line with {part:?}"), all());
            }
        }
    }
}

/// The filter of a counter: all before the first dot, for the name of a filter has none.
fn filter_of(counter: &str) -> &str {
    counter.split_once('.').map_or(counter, |(filter, _)| filter)
}

fn values<'a>(fields: &'a [(Vec<u8>, Vec<u8>)], name: &[u8]) -> Vec<&'a [u8]> {
    fields
        .iter()
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_slice())
        .collect()
}

fn list(values: &[&[u8]]) -> String {
    if values.is_empty() {
        return "none".to_string();
    }
    values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(", ")
}

pub(super) fn quote(bytes: &[u8]) -> String {
    const SHOWN: usize = 400;
    match bytes.get(..SHOWN) {
        Some(start) if bytes.len() > SHOWN => {
            format!("\"{}\"... ({} bytes)", start.escape_ascii(), bytes.len())
        }
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{LogLine, Mismatch, Seen, SeenUpstream, names_path, refusals, verdicts};
    use crate::testing::corpus::parse;
    use std::string::{String, ToString};
    use std::vec::Vec;

    const CASE: &str = r#"
        [[case]]
        name = "a"
        config = "{}"
        [case.expect]
        status = 401
        headers = [["Set-Cookie", "a"], ["set-cookie", '\xA1']]
        absent = ["Server"]
        body = "no"
        details = "pintle_x"
        [case.expect.upstream]
        path = "/"
        [case.expect.counters]
        "b.denied.x" = 1
        [case.expect.notes]
        user = "alice"
        [case.expect.logs]
        contains = ["hello"]
        lacks = ["secret"]
        level = "info"
    "#;

    fn right() -> Seen {
        Seen {
            status: 401,
            fields: [("set-cookie", "a"), ("x", "y"), ("set-cookie", "?")]
                .map(|(n, v)| (n.into(), if v == "?" { [0xA1].to_vec() } else { v.into() }))
                .to_vec(),
            body: b"no".to_vec(),
            details: "pintle_x".to_string(),
            upstream: Some(SeenUpstream { path: b"/".to_vec(), ..SeenUpstream::default() }),
            callouts: Vec::new(),
            counters: [("b.denied.x".to_string(), 1), ("c.allowed".to_string(), 1)].into(),
            notes: [("user".to_string(), b"alice".to_vec())].into(),
            logs: [LogLine { level: "info".to_string(), message: "say hello".to_string() }]
                .to_vec(),
        }
    }

    fn complaints(change: impl FnOnce(&mut Seen)) -> Vec<String> {
        let cases = parse("f", CASE).unwrap_or_default();
        let mut seen = right();
        change(&mut seen);
        cases.iter().flat_map(|case| verdicts(case, &seen)).map(|m| m.what).collect()
    }

    #[test]
    fn each_difference_is_found() {
        assert_eq!(complaints(|_| {}), [""; 0]);
        assert_eq!(complaints(|s| s.status = 200), ["status"]);
        assert_eq!(complaints(|s| s.fields.truncate(2)), ["response field set-cookie"]);
        assert_eq!(
            complaints(|s| s.fields.push((b"server".to_vec(), Vec::new()))),
            ["response field server"]
        );
        assert_eq!(complaints(|s| s.body.clear()), ["body"]);
        assert_eq!(complaints(|s| s.details.clear()), ["details"]);
        assert_eq!(complaints(|s| s.upstream = None), ["upstream"]);
        assert_eq!(
            complaints(|s| s.upstream = Some(SeenUpstream::default())),
            ["path at the upstream"]
        );
        assert_eq!(complaints(|s| s.counters.clear()), ["counter b.denied.x"]);
        assert_eq!(
            complaints(|s| {
                s.counters.insert("b.allowed".to_string(), 1);
            }),
            ["counter b.allowed"]
        );
        assert_eq!(
            complaints(|s| {
                s.counters.insert("b.calls.granted".to_string(), 1);
            }),
            ["counter b.calls.granted"]
        );
        assert_eq!(
            complaints(|s| s.callouts.push(Mismatch {
                what: "callouts".to_string(),
                expected: "1".to_string(),
                seen: "0".to_string(),
            })),
            ["callouts"]
        );
        assert_eq!(complaints(|s| s.notes.clear()), ["note user"]);
        assert_eq!(complaints(|s| s.logs.clear()), ["log"]);
        assert_eq!(
            complaints(|s| s.logs.iter_mut().for_each(|l| l.level = "warn".to_string())),
            ["level of the line with \"hello\""]
        );
        assert_eq!(
            complaints(|s| s.logs.iter_mut().for_each(|l| l.message.push_str(" secret"))),
            ["log"]
        );
    }

    #[test]
    fn refusals_name_exact_paths() {
        assert!(names_path("x: /a/b: wrong", "/a/b"));
        assert!(!names_path("x: /a/b/0: wrong", "/a/b"));
        assert!(!names_path("x: /z/a/b: wrong", "/a/b"));
        let text = "[[case]]\nname = 'a'\nconfig = '{'\nconfig_error = ['/a', '/b']\nconfig_error_lacks = ['pw']";
        let case = parse("f", text).unwrap_or_default().remove(0);
        assert_eq!(refusals(&case, Some("/a: x\n/b: y")), []);
        assert_eq!(refusals(&case, Some("/a: pw")).len(), 2);
        assert_eq!(refusals(&case, None).len(), 1);
        assert_eq!(verdicts(&case, &right()).len(), 1);
    }
}
