//! The corpus: cases in `core/testdata/*.toml` that every engine runs, and the one comparison that
//! all of them use.
//!
//! A case is a configuration, a request, what the upstream answers, and what must come of it. It
//! runs on the in-memory host, on the fakes behind both ABIs and on a real Envoy through both
//! artefacts; whoever runs it fills in a [`Seen`] and asks [`verdicts`].
//!
//! ```toml
//! [defaults]                    # optional: the config of every case that has none
//! config = '{"filters":[{"basic_auth":{"rules":[{"credentials":["alice:wonder"]}]}}]}'
//!
//! [[case]]
//! name = "wrong password"
//! [case.request]                # all optional: GET / of example.com over HTTP/1.1, no body
//! method = "GET"
//! path = "/x?y"
//! authority = "example.com"
//! headers = [["authorization", "Basic YTpi"], ["x-odd", '\xA1']]
//! body_bytes = 0                # or body = "text"
//! chunked = false               # HTTP/1.1: chunked, HTTP/2: no content-length
//! trailers = []
//! http = "1.1"                  # or "2"
//! [[case.callout]]              # what the filters ask other services, in order; nothing else may be asked
//! cluster = "auth"              # what it must be; all optional, and what is not named is not compared
//! method = "POST"
//! path = "/token?x"
//! authority = "auth.example"
//! headers = [["authorization", "Bearer abc"]]
//! absent = ["cookie"]
//! body = "whole content"        # or form = [["scope", "a b"]]: all members, in any order
//! timeout_ms = 1000             # not seen on a real Envoy
//! answer = { status = 200, headers = [], body = "a token" }   # as `response`, or:
//! # fails = "reset"             # half-way through its answer; "timeout"; "unreachable" (cluster "nowhere" alone)
//! [case.response]               # what the upstream answers; same fields, and status = 200
//! [case.expect]
//! status = 401
//! headers = [["www-authenticate", 'Basic realm="istio", charset="UTF-8"']]
//! absent = ["x-powered-by"]
//! body = "exact text"
//! details = "pintle_wrong_credentials"
//! [case.expect.upstream]        # reached = true unless said otherwise
//! reached = false               # and: headers, absent, path, body_bytes
//! [case.expect.counters]        # the whole of each filter that is named here, the rest is ignored
//! "basic_auth.denied.wrong_credentials" = 1
//! [case.expect.notes]           # `""`: must not be there
//! user = "alice"
//! [case.expect.logs]
//! contains = ["part of a line"]
//! lacks = ["c2VjcmV0"]
//! level = "info"                # of each line that holds one of `contains`
//!
//! [[case]]
//! name = "credentials are required"
//! config = '{"filters":[{"basic_auth":{}}]}'
//! config_error = ["/filters/0/basic_auth/rules"]   # in place of request and expect
//! config_error_lacks = ["s3cret"]                  # optional
//! on_envoy = true                                  # tried on a real Envoy as well
//!
//! [[case]]
//! name = "an answer is remembered"
//! repeat = 3                    # the request is sent so often, one after another; default 1
//! advance_ms = 1000             # time between two of them, `only = "memory"`; in memory it stands still else
//! [case.expect]                 # of the last time; counters, logs and callouts are of all together
//! status = 200
//! ```
//!
//! The cluster `nowhere` has a host that refuses connections; `missing` is a cluster that does not
//! exist, so that no callout gets out; any other one leads to the service. Cases share what the
//! process shares: one with a cache wants a credential that no other case has.
//!
//! In the values of fields `\xNN` is one byte and `\\` a backslash, so single quotes are handy:
//! TOML itself leaves a backslash alone there. For a field named in `headers` exactly the values
//! listed, in that order, must be there. `only = "memory"` or `only = ["memory", "native"]` limits a
//! case to some engines, and `only_why` must say why.

extern crate std;

use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::Deserialize;

pub use self::callout::{
    CalloutEnd, CalloutReply, ExpectCallout, NO_CLUSTER, NOWHERE, PlannedCallout, SeenCallout,
    Service,
};
pub use self::verdict::{LogLine, Mismatch, Seen, SeenUpstream, refusals, verdicts};

mod callout;
mod raw;
mod verdict;

/// Field lines: name in lower case, value as bytes.
pub type FieldLines = Vec<(Vec<u8>, Vec<u8>)>;

/// What runs a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The in-memory host of this crate.
    Memory,
    /// proxy-wasm: the fakes behind the ABI, and the module on a real Envoy.
    Wasm,
    /// The dynamic module: the fakes behind the ABI, and the module on a real Envoy.
    Native,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Wasm, Self::Native];

    /// The name in `only` and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Wasm => "wasm",
            Self::Native => "native",
        }
    }
}

/// One case of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The stem of the file it comes from.
    pub file: String,
    /// Its name, unlike all others of the file.
    pub name: String,
    /// The configuration document, byte for byte.
    pub config: String,
    /// The engines that run it.
    pub engines: BTreeSet<Engine>,
    /// What it is about.
    pub plan: Plan,
}

impl Case {
    /// `file: name`, as reports call it.
    pub fn title(&self) -> String {
        format!("{}: {}", self.file, self.name)
    }
}

/// What a case is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The configuration loads, and this request is sent.
    Exchange(Box<Exchange>),
    /// The configuration is refused.
    Refusal(Refusal),
}

/// A request, what is asked and answered because of it, and what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What the client sends.
    pub request: Request,
    /// How often it is sent, one after another; at least 1.
    pub repeat: usize,
    /// How much time passes between two times, in milliseconds; other than 0 in memory alone.
    pub advance_ms: u64,
    /// The callouts, of all times together, in order.
    pub callouts: Vec<PlannedCallout>,
    /// What the upstream answers, if it is reached.
    pub response: Response,
    /// What must come of it, the last time.
    pub expect: Expect,
}

/// A configuration that must be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The JSON paths that the errors name, no more and no fewer.
    pub paths: Vec<String>,
    /// What no message may contain.
    pub lacks: Vec<String>,
    /// Whether a real Envoy tries it as well.
    pub on_envoy: bool,
}

/// What the client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target in origin form, byte for byte.
    pub path: String,
    /// The `Host` field, or `:authority`.
    pub authority: String,
    /// The protocol.
    pub http: Http,
    /// Fields, content and trailers.
    pub message: Message,
}

impl Request {
    /// Pseudo-headers and fields as Envoy 1.40 shows them to a filter.
    pub fn as_filters_see_it(&self) -> FieldLines {
        /// Of these Envoy keeps one line, and joins a repeat with a comma.
        const JOINED: [&[u8]; 2] = [b"accept", b"authorization"];

        let mut lines: FieldLines = [
            (":authority", self.authority.as_str()),
            (":path", &self.path),
            (":method", &self.method),
            (":scheme", "http"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        for (name, value) in &self.message.fields {
            let joined = JOINED.contains(&name.as_slice());
            match lines.iter_mut().find(|(n, _)| joined && n == name) {
                Some((_, first)) => {
                    first.push(b',');
                    first.extend_from_slice(value);
                }
                None => lines.push((name.clone(), value.clone())),
            }
        }
        lines
    }
}

/// What the upstream answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Fields, content and trailers.
    pub message: Message,
}

/// What requests and responses have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Fields beside pseudo-headers, `host` and those that frame the message.
    pub fields: FieldLines,
    /// The content.
    pub body: Vec<u8>,
    /// No `content-length`.
    pub chunked: bool,
    /// Trailer fields.
    pub trailers: FieldLines,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2 with prior knowledge.
    #[serde(rename = "2")]
    Two,
}

/// What must come of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The status that the client sees.
    pub status: u16,
    /// Fields of the response: all values of each name in it, in order.
    pub fields: FieldLines,
    /// Fields that the response must not have.
    pub absent: Vec<String>,
    /// The whole content of the response.
    pub body: Option<String>,
    /// The response-code details in the access log.
    pub details: Option<String>,
    /// What reaches the upstream.
    pub upstream: Option<ExpectUpstream>,
    /// How much each counter grows, all times together; of a filter that is named, no other counter
    /// may.
    pub counters: BTreeMap<String, u64>,
    /// Values left for the access log; an empty one must not be there.
    pub notes: BTreeMap<String, String>,
    /// Log lines.
    pub logs: ExpectLogs,
}

/// What must reach the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectUpstream {
    /// Whether anything does.
    pub reached: bool,
    /// Fields of the request: all values of each name in it, in order.
    pub fields: FieldLines,
    /// Fields that the request must not have.
    pub absent: Vec<String>,
    /// The path, byte for byte.
    pub path: Option<String>,
    /// The length of the content.
    pub body_bytes: Option<u64>,
}

/// What must be, and not be, in the log while the request is handled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectLogs {
    /// Each is part of some line.
    pub contains: Vec<String>,
    /// None is part of any line.
    pub lacks: Vec<String>,
    /// The level of each line that holds one of `contains`, in lower case.
    pub level: Option<String>,
}

/// The content of `body_bytes = n`: a pattern in which a lost or doubled piece shows.
pub fn filler(bytes: usize) -> Vec<u8> {
    (b'!'..=b'~').cycle().take(bytes).collect()
}

/// Bytes of text in which `\xNN` is one byte and `\\` a backslash.
///
/// ```
/// use pintle_core::testing::corpus::unescape;
/// assert_eq!(unescape(r"caf\xE9 \\"), Ok(b"caf\xE9 \\".to_vec()));
/// assert!(unescape(r"\n").is_err());
/// ```
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', after @ ..] => {
                bytes.push(b'\\');
                after
            }
            [b'\\', b'x', digits @ ..] => {
                let byte = digits
                    .split_at_checked(2)
                    .filter(|(two, _)| two.iter().all(u8::is_ascii_hexdigit))
                    .and_then(|(two, after)| Some((std::str::from_utf8(two).ok()?, after)))
                    .and_then(|(two, after)| Some((u8::from_str_radix(two, 16).ok()?, after)));
                let Some((byte, after)) = byte else {
                    return Err(format!(r"{text:?}: \x wants two hexadecimal digits"));
                };
                bytes.push(byte);
                after
            }
            [b'\\', ..] => {
                return Err(format!(r"{text:?}: a backslash is written \\, a byte \xNN"));
            }
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}

/// Reads every `*.toml` of a folder, in the order of their names.
pub fn load_dir(path: impl AsRef<Path>) -> Result<Vec<Case>, String> {
    let path = path.as_ref();
    let at = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(at)? {
        let file = entry.map_err(at)?.path();
        if file.extension().is_some_and(|e| e == "toml") {
            files.push(file);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let stem = file.file_stem().map(|s| s.to_string_lossy().to_string()).unwrap_or_default();
        cases.extend(parse(&stem, &text)?);
    }
    if cases.is_empty() {
        return Err(format!("{}: no cases", path.display()));
    }
    Ok(cases)
}

/// Reads the cases of one file; `file` is what reports call it.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let raw: raw::File = toml::from_str(text).map_err(|e| format!("{file}.toml: {e}"))?;
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for case in raw.case {
        let name = case.name.clone();
        let case = case
            .compile(file, raw.defaults.config.as_deref())
            .map_err(|e| format!("{file}.toml, case {name:?}: {e}"))?;
        if !names.insert(name.clone()) {
            return Err(format!("{file}.toml, case {name:?}: another case has this name"));
        }
        cases.push(case);
    }
    Ok(cases)
}
