//! What becomes of a response under `problem_json`, once more and as simply as can be: what the filter
//! is held against.

use serde_json::Value;

/// Names and values of fields, names in lower case.
pub type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// A configuration, and what it says.
pub struct Case {
    pub document: &'static str,
    /// How a `require_header` that is the first filter words its replies.
    pub deny: Option<Format>,
    /// Every `problem_json`, in their order.
    pub filters: &'static [Model],
}

#[derive(Clone, Copy, PartialEq)]
pub enum Format {
    Text,
    Problem,
    Accept,
}

/// One `problem_json`.
pub struct Model {
    /// In counters.
    pub name: &'static str,
    pub observes: bool,
    /// With both of their ends.
    pub statuses: &'static [(u16, u16)],
    pub prefixes: Option<&'static [&'static str]>,
    pub types: &'static [(&'static str, &'static str)],
    /// `None`: the phrase of the status.
    pub title: Option<&'static str>,
    pub detail: Detail,
    pub omits: bool,
    pub most_bytes: usize,
    pub instance: Instance,
    pub whole: bool,
    pub constant: Option<&'static str>,
    pub members: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy)]
pub enum Detail {
    Body,
    None,
    Literal(&'static str),
}

#[derive(Clone, Copy, PartialEq)]
pub enum Instance {
    Path,
    PathWithoutQuery,
    None,
}

pub const DEFAULT: Model = Model {
    name: "problem_json",
    observes: false,
    statuses: &[(400, 599)],
    prefixes: None,
    types: &[],
    title: Some("service mesh returned an error"),
    detail: Detail::Body,
    omits: false,
    most_bytes: 65_536,
    instance: Instance::Path,
    whole: false,
    constant: None,
    members: &[],
};

/// A request and its response.
#[derive(Clone)]
pub struct Exchange<'i> {
    pub method: &'i [u8],
    pub path: &'i [u8],
    pub authority: &'i [u8],
    pub request: Lines,
    pub status: u16,
    pub response: Lines,
    pub content: &'i [u8],
    /// Whether the response is this library's own.
    pub is_own: bool,
}

impl Exchange<'_> {
    fn request_values(&self, name: &str) -> Vec<&[u8]> {
        values(&self.request, name)
    }

    pub fn is_grpc(&self) -> bool {
        self.request_values("content-type").into_iter().any(is_grpc)
    }

    /// Whether a denial comes out as a problem, where no filter has made it one.
    pub fn asks_for_problem(&self, format: Format) -> bool {
        let weight = |names: &[&str]| {
            let named = names.iter().find_map(|name| {
                let values = self.request_values("accept").into_iter();
                let mut ranges = values.flat_map(|value| value.split(|byte| *byte == b','));
                ranges.find(|range| essence(range) == *name)
            });
            named.map_or(0.0, weight)
        };
        let json = weight(&["application/problem+json", "application/json", "application/*"]);
        let accepts = json > 0.0 && json >= weight(&["text/plain", "text/*"]);
        !self.is_grpc()
            && match format {
                Format::Text => false,
                Format::Problem => true,
                Format::Accept => accepts,
            }
    }

    /// The fields of the problem.
    pub fn edited(&self) -> Lines {
        const GONE: [&str; 9] = [
            "content-type",
            "content-length",
            "content-encoding",
            "etag",
            "last-modified",
            "content-md5",
            "digest",
            "content-digest",
            "repr-digest",
        ];
        let mut lines = self.response.clone();
        lines.retain(|(name, _)| !GONE.iter().any(|gone| gone.as_bytes() == name));
        lines.push((b"content-type".to_vec(), b"application/problem+json".to_vec()));
        lines
    }
}

impl Model {
    /// Whether it makes a problem of the response.
    pub fn makes(&self, exchange: &Exchange<'_>) -> bool {
        let types = values(&exchange.response, "content-type");
        let known = ["application/problem+json", "text/event-stream"];
        let is_left =
            types.into_iter().any(|value| is_grpc(value) || known.contains(&&*essence(value)));
        let url = |scheme: &[u8]| {
            [scheme, &exchange.authority.to_ascii_lowercase(), exchange.path].concat()
        };
        let is_for = self.prefixes.is_none_or(|prefixes| {
            prefixes.iter().any(|prefix| match prefix.contains("://") {
                true => url(b"http://").starts_with(prefix.as_bytes()),
                false => url(b"").starts_with(prefix.as_bytes()),
            })
        });
        let is_error =
            self.statuses.iter().any(|(first, last)| (*first..=*last).contains(&exchange.status));
        !self.observes && is_error && !is_left && !exchange.is_grpc() && is_for
    }

    /// Holds the content of a problem against what is configured.
    pub fn check(&self, exchange: &Exchange<'_>, content: &[u8]) {
        let text = std::str::from_utf8(content).expect("UTF-8");
        let json: Value = serde_json::from_str(text).expect("JSON");
        let mut expected = vec![
            ("type", Value::from(self.problem_type(exchange.status))),
            ("title", self.title(exchange.status, &json["title"])),
            ("status", Value::from(exchange.status)),
        ];
        let lossy = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes));
        expected.extend(self.instance(exchange).map(|path| ("instance", lossy(path))));
        expected.extend(self.trace_id(exchange).map(|id| ("trace_id", lossy(&id))));
        expected.extend(self.detail(exchange).map(|detail| ("detail", Value::from(detail))));
        let members = self.members.iter();
        expected
            .extend(members.map(|(name, json)| (*name, serde_json::from_str(json).expect("JSON"))));
        // Names that stand twice, or in another order, would not come out the same.
        let members: Vec<String> = expected
            .iter()
            .map(|(name, value)| format!("{}:{value}", Value::from(*name)))
            .collect();
        assert_eq!(text, format!("{{{}}}", members.join(",")));
        self.check_detail(exchange, &json);
    }

    /// What holds of every detail, however it is made.
    fn check_detail(&self, exchange: &Exchange<'_>, json: &Value) {
        let (Detail::Body, Some(detail)) = (self.detail, json["detail"].as_str()) else { return };
        let whole = String::from_utf8_lossy(exchange.content);
        if exchange.content.len() <= self.most_bytes {
            assert_eq!(detail, whole);
            return;
        }
        let kept = detail.strip_suffix(MARK).expect("the mark of what is cut");
        assert!(whole.starts_with(kept), "no prefix");
        let len = if self.omits { kept.len() } else { kept.chars().count() };
        assert!(len <= self.most_bytes, "too much");
    }

    fn problem_type(&self, status: u16) -> &str {
        let (number, class) = (status.to_string(), if status < 500 { "4xx" } else { "5xx" });
        let find = |key: &str| self.types.iter().find(|(k, _)| *k == key).map(|(_, uri)| *uri);
        let known = find(&number).or_else(|| find(class)).or_else(|| find("*"));
        known.unwrap_or_else(|| {
            let known = TYPES.iter().find(|(s, _)| *s == status);
            known.map_or(if status < 500 { CLIENT } else { SERVER }, |(_, uri)| uri)
        })
    }

    /// Of phrases only some are known here.
    fn title(&self, status: u16, seen: &Value) -> Value {
        match (self.title, status) {
            (Some(title), _) => title.into(),
            (None, 404) => "Not Found".into(),
            (None, 500) => "Internal Server Error".into(),
            (None, 418 | 430 | 499) => "Client Error".into(),
            (None, 512..=599) => "Server Error".into(),
            (None, _) => {
                assert!(seen.as_str().is_some_and(|title| !title.is_empty()));
                seen.clone()
            }
        }
    }

    fn instance<'i>(&self, exchange: &Exchange<'i>) -> Option<&'i [u8]> {
        let end = match self.instance {
            Instance::None => return None,
            Instance::Path => None,
            Instance::PathWithoutQuery => exchange.path.iter().position(|byte| *byte == b'?'),
        };
        Some(&exchange.path[..end.unwrap_or(exchange.path.len())])
    }

    fn trace_id(&self, exchange: &Exchange<'_>) -> Option<Vec<u8>> {
        let parents = exchange.request_values("traceparent");
        let parent = match parents.as_slice() {
            [] | [b""] | [_, _, ..] => None,
            [parent] if self.whole => Some(*parent),
            [parent] => trace_id(parent),
        };
        let ids = exchange.request_values("x-request-id");
        let id = ids.into_iter().find(|id| !id.is_empty());
        parent.or(id).or(self.constant.map(str::as_bytes)).map(<[u8]>::to_vec)
    }

    fn detail(&self, exchange: &Exchange<'_>) -> Option<String> {
        match self.detail {
            Detail::None => return None,
            Detail::Literal(text) => return Some(text.to_string()),
            Detail::Body => {}
        }
        let codings = values(&exchange.response, "content-encoding");
        if exchange.content.is_empty()
            || codings.iter().any(|c| !c.eq_ignore_ascii_case(b"identity"))
        {
            return None;
        }
        let is_cut = exchange.content.len() > self.most_bytes;
        let mut bytes = exchange.content;
        if is_cut {
            bytes = &bytes[..self.most_bytes];
            let end = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
            let is_half = std::str::from_utf8(end).is_err_and(|e| e.error_len().is_none());
            bytes = &bytes[..bytes.len() - if is_half { end.len() } else { 0 }];
        }
        let text = match std::str::from_utf8(bytes) {
            Err(_) if self.omits => return None,
            _ => String::from_utf8_lossy(bytes),
        };
        Some(format!("{text}{}", if is_cut { MARK } else { "" }))
    }
}

const MARK: &str = " \u{2026} (truncated)";

pub fn values<'l>(lines: &'l Lines, name: &str) -> Vec<&'l [u8]> {
    lines.iter().filter(|(n, _)| n == name.as_bytes()).map(|(_, value)| value.as_slice()).collect()
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

fn essence(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    text.split(';').next().unwrap().trim_matches(is_blank).to_string()
}

/// Of a range; malformed ones have none.
fn weight(range: &[u8]) -> f64 {
    let text = String::from_utf8_lossy(range).to_ascii_lowercase();
    let mut parameters = text.split(';').skip(1).map(|part| part.trim_matches(is_blank));
    let Some(weight) = parameters.find_map(|part| part.strip_prefix("q=")) else { return 1.0 };
    let (whole, places) = weight.split_once('.').unwrap_or((weight, ""));
    let is_number = ["0", "1"].contains(&whole)
        && places.len() <= 3
        && places.bytes().all(|digit| digit.is_ascii_digit());
    let value = if is_number { weight.parse().unwrap_or(0.0) } else { 0.0 };
    if value > 1.0 { 0.0 } else { value }
}

fn is_grpc(value: &[u8]) -> bool {
    let essence = essence(value);
    essence == "application/grpc"
        || essence.starts_with("application/grpc+")
        || essence.starts_with("application/grpc-")
}

/// By places: `00-<32 digits>-<16 digits>-00`.
fn trace_id(parent: &[u8]) -> Option<&[u8]> {
    let hex = |from: usize, to: usize| {
        let digits = parent.get(from..to)?;
        digits.iter().all(|d| b"0123456789abcdef".contains(d)).then_some(digits)
    };
    let dash = |at: usize| (parent.get(at) == Some(&b'-')).then_some(());
    let (version, trace, span) = (hex(0, 2)?, hex(3, 35)?, hex(36, 52)?);
    (dash(2)?, dash(35)?, dash(52)?, hex(53, 55)?);
    let ends = parent.len() == 55 || (version != b"00" && dash(55).is_some());
    let zeros = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
    (version != b"ff" && ends && !zeros(trace) && !zeros(span)).then_some(trace)
}

const CLIENT: &str = "https://datatracker.ietf.org/doc/html/rfc9110#name-client-error-4xx";
const SERVER: &str = "https://datatracker.ietf.org/doc/html/rfc9110#name-server-error-5xx";

const TYPES: [(u16, &str); 16] = [
    (400, "https://datatracker.ietf.org/html/rfc9110#section-15.5.1"),
    (401, "https://datatracker.ietf.org/html/rfc9110#section-15.5.2"),
    (403, "https://datatracker.ietf.org/html/rfc9110#section-15.5.4"),
    (404, "https://datatracker.ietf.org/html/rfc9110#section-15.5.5"),
    (405, "https://datatracker.ietf.org/html/rfc9110#section-15.5.6"),
    (406, "https://datatracker.ietf.org/html/rfc9110#section-15.5.7"),
    (408, "https://datatracker.ietf.org/html/rfc9110#section-15.5.9"),
    (409, "https://datatracker.ietf.org/html/rfc9110#section-15.5.10"),
    (412, "https://datatracker.ietf.org/html/rfc9110#section-15.5.13"),
    (415, "https://datatracker.ietf.org/html/rfc9110#section-15.5.16"),
    (422, "https://datatracker.ietf.org/html/rfc4918#section-11.2"),
    (426, "https://datatracker.ietf.org/html/rfc9110#section-15.5.22"),
    (500, "https://datatracker.ietf.org/html/rfc9110#section-15.6.1"),
    (502, "https://datatracker.ietf.org/html/rfc9110#section-15.6.3"),
    (503, "https://datatracker.ietf.org/html/rfc9110#section-15.6.4"),
    (504, "https://datatracker.ietf.org/html/rfc9110#section-15.6.5"),
];
