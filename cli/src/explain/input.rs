//! The request, and what others answer, as the command line has them.
//!
//! Errors name the option and never quote it: a field that is written wrong may hold a credential.

use std::io;

use pintle_core::syntax::field;
use pintle_core::testing::corpus::{CalloutEnd, FieldLines, Message, Response as Answer};

use super::course::{Exchange, Response};
use super::{Options, usage};

/// What to explain.
pub(super) struct Input {
    pub(super) exchange: Exchange,
    /// How callouts end, in their order.
    pub(super) answers: Vec<CalloutEnd>,
}

impl Input {
    pub(super) fn read(options: &Options) -> io::Result<Self> {
        let target = Target::read(&options.request)?;
        let method = match (&options.method, &target.method) {
            (Some(given), Some(other)) if given != other => {
                return Err(usage("--method and --request name two methods"));
            }
            (Some(given), _) => given.as_str(),
            (None, other) => other.as_deref().unwrap_or("GET"),
        };
        if !field::is_method(method.as_bytes()) {
            return Err(usage("the method is no token (RFC 9110 section 9.1)"));
        }
        let mut fields = lines(&options.headers, "--header")?;
        let authority = authority(target.authority, &mut fields)?;
        let mut request: FieldLines = [
            (":method", method.as_bytes().to_vec()),
            (":path", target.path),
            (":authority", authority),
            (":scheme", target.scheme.as_bytes().to_vec()),
        ]
        .map(|(name, value)| (name.into(), value))
        .into();
        request.append(&mut fields);
        let response = Response {
            status: status(&options.response)
                .filter(|status| *status >= 200)
                .ok_or_else(|| usage("--response is a status from 200 to 599"))?,
            fields: lines(&options.response_headers, "--response-header")?,
            content: options.response_body.clone().unwrap_or_default().into_bytes(),
        };
        let answers =
            options.callouts.iter().map(|text| callout(text)).collect::<Result<_, _>>()?;
        Ok(Self { exchange: Exchange { request, response }, answers })
    }
}

/// A request line without its version, or a URL alone.
struct Target {
    method: Option<String>,
    scheme: &'static str,
    authority: Option<Vec<u8>>,
    path: Vec<u8>,
}

impl Target {
    fn read(text: &str) -> io::Result<Self> {
        let mut words = text.split_ascii_whitespace();
        let (first, second, third) = (words.next(), words.next(), words.next());
        let (method, target) = match (first, second, third) {
            (Some(target), None, _) => (None, target),
            (Some(target), Some(version), None) if version.starts_with("HTTP/") => (None, target),
            (Some(method), Some(target), None) => (Some(method), target),
            (Some(method), Some(target), Some(version))
                if version.starts_with("HTTP/") && words.next().is_none() =>
            {
                (Some(method), target)
            }
            _ => return Err(usage("--request is a method and a URL: 'GET https://host/path'")),
        };
        if target.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(usage("--request has a control character in its URL"));
        }
        let scheme = ["https", "http"].into_iter().find_map(|scheme| {
            let (start, rest) = target.split_once("://")?;
            start.eq_ignore_ascii_case(scheme).then_some((scheme, rest))
        });
        let (scheme, authority, path) = match scheme {
            Some((scheme, rest)) => {
                // What follows a `#` is never sent (RFC 3986 section 3.5).
                let rest = rest.split('#').next().unwrap_or_default();
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                let path = if path.starts_with('/') { path.into() } else { format!("/{path}") };
                (scheme, Some(authority), path)
            }
            None if target.starts_with('/') || target == "*" => ("http", None, target.to_owned()),
            None => return Err(usage("--request wants a URL with http:// or https://, or a path")),
        };
        if authority.is_some_and(str::is_empty) {
            return Err(usage("--request has no host in its URL"));
        }
        if authority.is_some_and(|authority| authority.contains('@')) {
            return Err(usage(
                "--request has a user in its URL, which no client sends: give it as \
                 -H 'authorization: Basic ..'",
            ));
        }
        Ok(Self {
            method: method.map(str::to_owned),
            scheme,
            authority: authority.map(|authority| authority.as_bytes().to_vec()),
            path: path.into_bytes(),
        })
    }
}

/// `host` among the fields is what goes by the name of `:authority`, before that of the URL, as with
/// curl.
fn authority(of_url: Option<Vec<u8>>, fields: &mut FieldLines) -> io::Result<Vec<u8>> {
    let hosts: FieldLines = fields.extract_if(.., |(name, _)| name == b"host").collect();
    let mut hosts = hosts.into_iter().map(|(_, value)| value);
    match (hosts.next().or(of_url), hosts.next()) {
        (_, Some(_)) => Err(usage("--header has more than one host")),
        (Some(host), _) if host.contains(&b'@') => Err(usage("--header has a user in its host")),
        (Some(host), None) => Ok(host),
        (None, None) => Err(usage("--request has no host: give a whole URL, or -H 'host: ..'")),
    }
}

/// Fields as curl takes them.
fn lines(texts: &[String], option: &str) -> io::Result<FieldLines> {
    let line = |(text, place): (&String, usize)| {
        let (name, value) = match (text.split_once(':'), text.strip_suffix(';')) {
            (Some((name, value)), _) => (name, value.trim_matches([' ', '\t'])),
            (None, Some(name)) => (name, ""),
            (None, None) => {
                return Err(usage(format!("{option}, number {place}: expected 'name: value'")));
            }
        };
        if !field::is_token(name.as_bytes()) {
            let why = "the name is no token (RFC 9110 section 5.1)";
            return Err(usage(format!("{option}, number {place}: {why}")));
        }
        if value.is_empty() && text.contains(':') {
            let why = "no value: for one that is empty write 'name;'";
            return Err(usage(format!("{option}, number {place}: {why}")));
        }
        Ok((name.to_ascii_lowercase().into_bytes(), value.as_bytes().to_vec()))
    };
    texts.iter().zip(1..).map(line).collect()
}

/// `200:a-token`, `401`, `reset`.
fn callout(text: &str) -> io::Result<CalloutEnd> {
    if text == "reset" {
        return Ok(CalloutEnd::Reset);
    }
    let (digits, body) = text.split_once(':').unwrap_or((text, ""));
    let status = status(digits)
        .ok_or_else(|| usage("--callout is STATUS, STATUS:BODY or reset, such as '200:a-token'"))?;
    let message = Message { body: body.as_bytes().to_vec(), ..Message::default() };
    Ok(CalloutEnd::Answer(Answer { status, message }))
}

fn status(text: &str) -> Option<u16> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|status| digits && (100..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use super::{Target, callout, lines};
    use pintle_core::testing::corpus::CalloutEnd;

    type Parts = (Option<String>, &'static str, Option<Vec<u8>>, Vec<u8>);

    fn target(text: &str) -> Option<Parts> {
        let Target { method, scheme, authority, path } = Target::read(text).ok()?;
        Some((method, scheme, authority, path))
    }

    #[test]
    fn requests() {
        let whole = |method: Option<&str>, scheme, host: Option<&str>, path: &str| {
            let host = host.map(|host| host.as_bytes().to_vec());
            Some((method.map(str::to_owned), scheme, host, path.as_bytes().to_vec()))
        };
        for (text, expected) in [
            ("GET https://a/b?c", whole(Some("GET"), "https", Some("a"), "/b?c")),
            (" POST\thttp://a:80 HTTP/1.1 ", whole(Some("POST"), "http", Some("a:80"), "/")),
            ("HTTPS://A?b#c", whole(None, "https", Some("A"), "/?b")),
            ("/x\\y HTTP/2", whole(None, "http", None, "/x\\y")),
            ("OPTIONS *", whole(Some("OPTIONS"), "http", None, "*")),
            ("GET /a://b", whole(Some("GET"), "http", None, "/a://b")),
        ] {
            assert_eq!(target(text), expected, "{text}");
        }
        for text in [
            "",
            " ",
            "GET",
            "GET a",
            "GET a b c",
            "GET /a HTTP/1.1 b",
            "GET https://",
            "GET ftp://a/b",
            "GET https://user:pass@a/",
            "GET /\u{1b}[2J",
        ] {
            assert_eq!(target(text), None, "{text:?}");
        }
    }

    #[test]
    fn fields() {
        let read = |text: &str| lines(&[text.to_owned()], "--header").map(|mut l| l.remove(0));
        let line = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        assert_eq!(read("X-A:  b: c\t").unwrap(), line("x-a", "b: c"));
        assert_eq!(read("x-a;").unwrap(), line("x-a", ""));
        assert_eq!(read("x-a:b;").unwrap(), line("x-a", "b;"));
        for text in ["", ":", "x-a", "x-a:", "x a: b", ":path: /", ";"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("--header, number 1: "), "{text}: {error}");
        }
        let error = read("Authorization Basic c2VjcmV0").unwrap_err().to_string();
        assert!(!error.contains("c2Vj"), "{error}");
    }

    #[test]
    fn callouts() {
        let status = |text: &str| match callout(text) {
            Ok(CalloutEnd::Answer(answer)) => Some((answer.status, answer.message.body)),
            _ => None,
        };
        assert_eq!(status("200:a:b"), Some((200, b"a:b".to_vec())));
        assert_eq!(status("401"), Some((401, Vec::new())));
        assert_eq!(callout("reset").unwrap(), CalloutEnd::Reset);
        for text in ["", "20", "+20", "600", "099", "a", "token"] {
            let error = callout(text).unwrap_err().to_string();
            assert!(text.is_empty() || !error.contains(&format!("'{text}'")), "{error}");
        }
    }
}
