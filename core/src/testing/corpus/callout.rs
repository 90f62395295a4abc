//! Callouts of a case: what they must be, how they end, and the service that plays this.

extern crate std;

use std::collections::VecDeque;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::verdict::{Findings, quote};
use super::{Exchange, FieldLines, Mismatch, Response};

/// The cluster that no proxy knows.
pub const NO_CLUSTER: &str = "missing";

/// The cluster whose only host refuses connections.
pub const NOWHERE: &str = "nowhere";

/// One callout of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCallout {
    /// What it must be.
    pub expect: ExpectCallout,
    /// How it ends.
    pub end: CalloutEnd,
}

/// What a callout must be; what is empty or `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectCallout {
    /// The proxy's name of the cluster.
    pub cluster: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The path, byte for byte.
    pub path: Option<String>,
    /// The `Host` field, or `:authority`.
    pub authority: Option<String>,
    /// Fields: all values of each name in it, in order.
    pub fields: FieldLines,
    /// Fields that it must not have.
    pub absent: Vec<String>,
    /// The whole content.
    pub body: Option<Vec<u8>>,
    /// The members of a form (`application/x-www-form-urlencoded`), all of them, in any order.
    pub form: Option<Vec<(String, String)>>,
    /// When the proxy gives up, in milliseconds.
    pub timeout_ms: Option<u32>,
}

/// How a callout ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalloutEnd {
    /// With this answer of the service.
    Answer(Response),
    /// The service resets the stream half-way through its answer.
    Reset,
    /// The service says nothing until the proxy gives up.
    Timeout,
    /// The connection is refused.
    Unreachable,
}

impl CalloutEnd {
    /// The answer that Envoy gives to whoever called out: the service's own, or one that Envoy
    /// makes. `None` where there is none, and the callout failed.
    pub fn answer(&self) -> Option<CalloutReply> {
        let own = |status, body: &str| {
            let fields = [
                ("content-length", body.len().to_string()),
                ("content-type", "text/plain".to_string()),
            ]
            .map(|(name, value)| (name.into(), value.into()));
            Some(CalloutReply { status, fields: fields.into(), body: body.into() })
        };
        match self {
            Self::Answer(Response { status, message }) => Some(CalloutReply {
                status: *status,
                fields: message.fields.clone(),
                body: message.body.clone(),
            }),
            Self::Reset => None,
            Self::Timeout => own(504, "upstream request timeout"),
            Self::Unreachable => own(
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
            ),
        }
    }
}

/// The answer to a callout as whoever called out sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalloutReply {
    /// The HTTP status.
    pub status: u16,
    /// Field lines, names in lower case, `:status` aside.
    pub fields: FieldLines,
    /// The content.
    pub body: Vec<u8>,
}

/// A callout that an engine saw. What an engine cannot see is `None`.
#[derive(Clone, Copy, Debug)]
pub struct SeenCallout<'a> {
    /// The proxy's name of the cluster.
    pub cluster: Option<&'a str>,
    /// Field lines, pseudo-headers among them.
    pub fields: &'a [(Vec<u8>, Vec<u8>)],
    /// The content.
    pub body: &'a [u8],
    /// When the proxy gives up, in milliseconds.
    pub timeout_ms: Option<u32>,
}

/// The service that callouts of one case go to: it compares each with the next that the case lists,
/// and says how it ends.
///
/// ```
/// use pintle_core::testing::corpus::{CalloutEnd, SeenCallout, Service};
///
/// let mut service = Service::new(&[]);
/// let callout = SeenCallout { cluster: Some("auth"), fields: &[], body: b"", timeout_ms: None };
/// assert_eq!(service.ask(callout), CalloutEnd::Reset, "nobody planned it");
/// assert_eq!(service.finish().len(), 1);
/// ```
#[derive(Debug)]
pub struct Service<'c> {
    left: VecDeque<&'c PlannedCallout>,
    seen: usize,
    found: Findings,
}

impl<'c> Service<'c> {
    /// A service that these callouts come to, in this order, and no others.
    pub fn new(planned: &'c [PlannedCallout]) -> Self {
        Self { left: planned.iter().collect(), seen: 0, found: Findings::default() }
    }

    /// The service of a case.
    pub fn of(exchange: &'c Exchange) -> Self {
        Self::new(&exchange.callouts)
    }

    /// A callout has come: how it ends. One that no case lists is reset.
    pub fn ask(&mut self, seen: SeenCallout<'_>) -> CalloutEnd {
        self.seen = self.seen.saturating_add(1);
        let what = format!("callout {}", self.seen);
        let Some(planned) = self.left.pop_front() else {
            self.found.add(what, "none", describe(seen));
            return CalloutEnd::Reset;
        };
        self.found.callout(&what, &planned.expect, seen);
        planned.end.clone()
    }

    /// How many callouts have come.
    pub const fn asked(&self) -> usize {
        self.seen
    }

    /// In what the callouts differed from those that the case lists: for
    /// [`Seen::callouts`](super::Seen::callouts).
    pub fn finish(mut self) -> Vec<Mismatch> {
        if !self.left.is_empty() {
            let all = self.seen.saturating_add(self.left.len());
            self.found.add("callouts", all, self.seen);
        }
        self.found.0
    }
}

impl Findings {
    fn callout(&mut self, what: &str, expect: &ExpectCallout, seen: SeenCallout<'_>) {
        if let (Some(expected), Some(cluster)) = (&expect.cluster, seen.cluster)
            && expected != cluster
        {
            self.add(format!("cluster of {what}"), expected, cluster);
        }
        if let (Some(expected), Some(timeout)) = (expect.timeout_ms, seen.timeout_ms)
            && expected != timeout
        {
            self.add(format!("milliseconds of {what}"), expected, timeout);
        }
        for (name, expected) in [
            (":method", &expect.method),
            (":path", &expect.path),
            (":authority", &expect.authority),
        ] {
            let found = value(seen.fields, name.as_bytes());
            if let Some(expected) = expected
                && found != Some(expected.as_bytes())
            {
                let found = found.map_or_else(|| "none".to_string(), quote);
                self.add(format!("{name} of {what}"), format!("{expected:?}"), found);
            }
        }
        let named = format!("field of {what}");
        self.fields(&named, &expect.fields, &expect.absent, seen.fields);
        if let Some(body) = &expect.body
            && body != seen.body
        {
            self.add(format!("body of {what}"), quote(body), quote(seen.body));
        }
        if let Some(form) = &expect.form {
            let (mut expected, mut members) = (form.clone(), read_form(seen.body));
            expected.sort();
            members.sort();
            if expected != members {
                self.add(
                    format!("form of {what}"),
                    format!("{expected:?}"),
                    format!("{members:?}"),
                );
            }
        }
    }
}

fn describe(seen: SeenCallout<'_>) -> String {
    let part = |name: &[u8]| value(seen.fields, name).map_or_else(String::new, quote);
    let cluster = seen.cluster.unwrap_or_default();
    format!("{} {} to {cluster:?}", part(b":method"), part(b":path"))
}

fn value<'f>(fields: &'f [(Vec<u8>, Vec<u8>)], name: &[u8]) -> Option<&'f [u8]> {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
}

/// The members of a form (WHATWG URL section 5.1). Bytes that are no text come out as U+FFFD.
fn read_form(body: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| {
        let spaced = bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b });
        let spaced: Vec<u8> = spaced.collect();
        String::from_utf8_lossy(&percent_decode(&spaced)).into_owned()
    };
    body.split(|b| *b == b'&')
        .filter(|member| !member.is_empty())
        .map(|member| {
            let mut parts = member.splitn(2, |b| *b == b'=');
            let (name, value) =
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            (text(name), text(value))
        })
        .collect()
}

/// Broken escapes stay as they are.
fn percent_decode(mut rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let [first, after @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, after @ ..] => {
                hex(*high).zip(hex(*low)).map(|(h, l)| (h << 4 | l, after))
            }
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{CalloutEnd, SeenCallout, Service, read_form};
    use crate::testing::corpus::{Exchange, FieldLines, Plan, parse};
    use std::boxed::Box;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    const CASE: &str = r#"
        [[case]]
        name = "a"
        config = "{}"
        repeat = 2
        expect = { status = 200 }
        [[case.callout]]
        cluster = "auth"
        method = "POST"
        path = "/token"
        authority = "auth.example"
        headers = [["Authorization", 'Basic \x41']]
        absent = ["Cookie"]
        form = [["scope", "a b"], ["audience", "x&y"]]
        timeout_ms = 250
        answer = { status = 401, headers = [["www-authenticate", "Bearer"]], body = "no" }
        [[case.callout]]
        fails = "timeout"
    "#;

    fn exchange() -> Box<Exchange> {
        let case = parse("f", CASE).unwrap_or_default().remove(0);
        match case.plan {
            Plan::Exchange(exchange) => exchange,
            Plan::Refusal(_) => unreachable!("an exchange"),
        }
    }

    fn lines() -> FieldLines {
        [
            (":method", "POST"),
            (":path", "/token"),
            (":authority", "auth.example"),
            ("authorization", "Basic A"),
            ("accept", "*/*"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
    }

    /// What is wrong with the first callout after such a change of it.
    fn complaints(change: impl FnOnce(&mut FieldLines, &mut SeenCallout<'_>)) -> Vec<String> {
        let exchange = exchange();
        let mut service = Service::of(&exchange);
        let mut fields = lines();
        let seen = SeenCallout {
            cluster: Some("auth"),
            fields: &[],
            body: b"audience=x%26y&scope=a+b",
            timeout_ms: Some(250),
        };
        let mut changed = seen;
        change(&mut fields, &mut changed);
        let end = service.ask(SeenCallout { fields: &fields, ..changed });
        assert_eq!(end.answer().map(|reply| reply.status), Some(401));
        assert_eq!(service.ask(seen), CalloutEnd::Timeout, "of the second nothing is said");
        service.finish().into_iter().map(|mismatch| mismatch.what).collect()
    }

    #[test]
    fn each_difference_is_found() {
        assert_eq!(complaints(|_, _| {}), [""; 0]);
        assert_eq!(complaints(|_, c| c.cluster = Some("other")), ["cluster of callout 1"]);
        assert_eq!(complaints(|_, c| c.timeout_ms = Some(1)), ["milliseconds of callout 1"]);
        assert_eq!(complaints(|_, c| (c.cluster, c.timeout_ms) = (None, None)), [""; 0]);
        for (place, name) in [":method", ":path", ":authority"].iter().enumerate() {
            assert_eq!(complaints(|f, _| f[place].1.clear()), [format!("{name} of callout 1")]);
        }
        assert_eq!(complaints(|f, _| f[3].1.clear()), ["field of callout 1 authorization"]);
        let cookie = |f: &mut FieldLines, _: &mut SeenCallout<'_>| f[4].0 = b"cookie".to_vec();
        assert_eq!(complaints(cookie), ["field of callout 1 cookie"]);
        assert_eq!(complaints(|_, c| c.body = b"scope=a+b"), ["form of callout 1"]);
    }

    #[test]
    fn callouts_are_as_many_as_are_listed() {
        let exchange = exchange();
        assert_eq!(Service::of(&exchange).finish()[0].expected, "2");
        let seen = SeenCallout { cluster: None, fields: &lines(), body: b"", timeout_ms: None };
        let mut service = Service::new(exchange.callouts.get(1..).unwrap_or_default());
        assert_eq!(service.ask(seen), CalloutEnd::Timeout);
        assert_eq!(service.ask(seen), CalloutEnd::Reset);
        assert_eq!(service.asked(), 2);
        let found = service.finish();
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].what, &*found[0].expected), ("callout 2", "none"));
    }

    #[test]
    fn envoy_answers_for_a_service_that_does_not() {
        let status = |end: CalloutEnd| end.answer().map(|reply| reply.status);
        assert_eq!(status(CalloutEnd::Timeout), Some(504));
        assert_eq!(status(CalloutEnd::Unreachable), Some(503));
        assert_eq!(status(CalloutEnd::Reset), None);
    }

    #[test]
    fn forms_are_read() {
        let read = read_form(b"a=1+2&b=%3d%26&&c&d=%2&=x");
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, [("a", "1 2"), ("b", "=&"), ("c", ""), ("d", "%2"), ("", "x")]);
    }
}
