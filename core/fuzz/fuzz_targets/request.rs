//! No request gets around a rule: what reaches the upstream is held against a naive reading of a
//! rich policy.
//!
//! The input is lines: method, path, authority, then fields as `name: value`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pintle_core::config::HashKey;
use pintle_core::syntax::path::{EncodedSlash, without_query};
use pintle_core::testing::MemoryHost;
use pintle_core::{Answer, NoFurther, Policy, Scratch, Stream, syntax};

#[path = "../naive.rs"]
mod naive;

static POLICY: LazyLock<Policy<NoFurther>> =
    LazyLock::new(|| Policy::load(CONFIG.as_bytes(), HashKey::new([7; 16])).unwrap());

const CONFIG: &str = r#"{"filters": [
    {"log_headers": {"request": ["*"], "response": ["*"], "redact": ["*-hidden"]}},
    {"basic_auth": {
        "forward_user": "x-user",
        "hide_credentials": true,
        "rules": [
            {"when": {"path": {"prefix": "/private"}}, "credentials": ["alice:wonderland"]},
            {"when": {"path": [{"exact": "/one"}, {"suffix": ".cfg"}, {"regex": "^/[0-9]+/x$"}]},
             "credentials": ["alice:wonderland"]}
        ]
    }},
    {"require_header": {
        "header": "allow", "exact": "true",
        "when": {"hosts": ["guarded.example"], "not": {"path": {"prefix": "/public/"}}}
    }},
    {"require_header": {"header": "x-delete", "prefix": "yes", "when": {"methods": ["DELETE"]}}},
    {"headers": {
        "request": [
            {"set": {"name": "x-copy", "value": "<%REQ(x-in)%>"}},
            {"rename": {"name": "x-old", "to": "x-new"}},
            {"remove": {"name": "x-hidden"}}
        ],
        "response": [
            {"set": {"name": "hello", "value": "world"}},
            {"append": {"name": "x-path", "value": "%REQ(:path)% %REQ(x-in)%"}}
        ]
    }}
]}"#;

fuzz_target!(|input: &[u8]| {
    let Some(request) = Request::read(input) else { return };
    let mut host = MemoryHost::new(request.lines());
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    match POLICY.on_request(&mut stream, &mut host, &mut scratch) {
        Answer::Wait => {}
        Answer::Reply(reply) => {
            assert!(matches!(reply.status, 400 | 401 | 403));
            let challenges =
                reply.fields().filter(|(name, _)| *name == b"www-authenticate").count();
            assert_eq!(challenges, usize::from(reply.status == 401));
            let lines: Vec<_> = reply.fields().collect();
            assert_written(&lines, &request);
            assert!(lines.contains(&(b"hello", b"world")));
        }
        Answer::Continue => {
            request.assert_allowed();
            let value = |name: &[u8]| values(&host.request, name);
            assert_eq!(value(b":path"), [request.path], "the path is not to change");
            // What becomes of other paths, which no HTTP has, is not said here.
            if request.path.starts_with(b"/") {
                let user: &[&[u8]] = if request.is_private() { &[b"alice"] } else { &[] };
                assert_eq!(value(b"x-user"), user);
            }
            assert_eq!(value(b"x-hidden"), [b""; 0]);
            if request.is_private() {
                assert_eq!(value(b"authorization"), [b""; 0]);
            }
            host.response.push((b":status".to_vec(), b"200".to_vec()));
            let _ = POLICY.on_response(&mut stream, &mut host, &mut scratch, false);
            let lines: Vec<_> =
                host.response.iter().map(|(n, v)| (n.as_slice(), v.as_slice())).collect();
            assert_written(&lines, &request);
            assert!(lines.contains(&(b"hello", b"world")));
        }
    }
    for (_, line) in host.log_lines() {
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
        assert!(
            request.shows_credential() || !line.contains(CREDENTIAL),
            "a credential in the log"
        );
    }
});

/// `alice:` in base64, and some of her password.
const CREDENTIAL: &str = "YWxpY2U6d29u";

/// What is written is a field: no line break gets in, whatever the request holds.
fn assert_written(lines: &[(&[u8], &[u8])], request: &Request<'_>) {
    for (name, value) in lines.iter().filter(|(name, _)| *name != b":status") {
        assert!(syntax::field::is_token(name));
        assert!(
            syntax::field::is_value(value),
            "{:?} of {}",
            value.escape_ascii(),
            request.path.escape_ascii()
        );
    }
}

struct Request<'i> {
    method: &'i [u8],
    path: &'i [u8],
    authority: &'i [u8],
    fields: Vec<(Vec<u8>, &'i [u8])>,
}

impl<'i> Request<'i> {
    fn read(input: &'i [u8]) -> Option<Self> {
        let mut lines = input.split(|byte| *byte == b'\n');
        let (method, path, authority) = (lines.next()?, lines.next()?, lines.next()?);
        let mut fields = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = line[..colon].to_ascii_lowercase();
            if !syntax::field::is_token(&name) {
                return None;
            }
            fields.push((name, line[colon + 1..].trim_ascii()));
        }
        Some(Self { method, path, authority, fields })
    }

    fn lines(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pseudo =
            [(":method", self.method), (":path", self.path), (":authority", self.authority)];
        let pseudo =
            pseudo.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
        pseudo
            .chain(self.fields.iter().map(|(name, value)| (name.clone(), value.to_vec())))
            .collect()
    }

    /// Whether the credential stands where it is no secret.
    fn shows_credential(&self) -> bool {
        let secret = |name: &[u8]| matches!(name, b"authorization" | b"cookie" | b"x-hidden");
        let open = self.lines().into_iter().filter(|(name, _)| !secret(name));
        open.map(|(_, value)| value)
            .any(|value| value.windows(CREDENTIAL.len()).any(|w| w == CREDENTIAL.as_bytes()))
    }

    fn assert_allowed(&self) {
        assert!(!self.is_private() || self.is_alice(), "a way around basic_auth");
        let guarded =
            self.is_for_guarded_host() && self.forms().iter().any(|p| !p.starts_with(b"/public/"));
        let allow = values(&self.fields, b"allow");
        let allowed = !allow.is_empty() && allow.iter().all(|value| *value == b"true");
        assert!(!guarded || allowed, "a way around require_header");
        let delete = values(&self.fields, b"x-delete");
        let may_delete = !delete.is_empty() && delete.iter().all(|value| value.starts_with(b"yes"));
        assert!(self.method != b"DELETE" || may_delete, "a way around a condition on the method");
    }

    /// How upstreams take the path.
    fn forms(&self) -> Vec<Vec<u8>> {
        naive::forms(without_query(self.path), EncodedSlash::Decode)
            .expect("an invalid path was let through")
    }

    fn is_private(&self) -> bool {
        let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        self.forms().iter().any(|path| {
            let numbered = path.strip_prefix(b"/").and_then(|path| path.strip_suffix(b"/x"));
            path.starts_with(b"/private")
                || path == b"/one"
                || path.ends_with(b".cfg")
                || numbered.is_some_and(is_number)
        })
    }

    /// One `authorization`, and it is the right one. A text of strict base64 is the only one of its
    /// bytes, padding aside.
    fn is_alice(&self) -> bool {
        let authorization = values(&self.fields, b"authorization");
        let [value] = authorization.as_slice() else { return false };
        let Some((scheme, token)) = value.split_at_checked(5) else { return false };
        let text: &[u8] = b"YWxpY2U6d29uZGVybGFuZA";
        scheme.eq_ignore_ascii_case(b"basic")
            && token.starts_with(b" ")
            && (token.trim_ascii() == text || token.trim_ascii() == [text, b"=="].concat())
    }

    fn is_for_guarded_host(&self) -> bool {
        let name = b"guarded.example";
        let Some((host, port)) = self.authority.split_at_checked(name.len()) else { return false };
        let port = port.strip_prefix(b".").unwrap_or(port);
        host.eq_ignore_ascii_case(name)
            && (port.is_empty()
                || port.strip_prefix(b":").is_some_and(|p| p.iter().all(u8::is_ascii_digit)))
    }
}

fn values<'f, V: AsRef<[u8]>>(fields: &'f [(Vec<u8>, V)], name: &[u8]) -> Vec<&'f [u8]> {
    fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_ref()).collect()
}
