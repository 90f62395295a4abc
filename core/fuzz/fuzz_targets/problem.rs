//! Every error becomes the problem that a naive reading of the configuration makes of it, whatever
//! its content is and in whatever pieces that comes; all else goes on as it was.
//!
//! The input is a line with a choice among the configurations, whether the response may end with its
//! fields, and how long the pieces are, one byte for each; then the request (method, path, authority,
//! and fields as `name: value`), an empty line, the response (status and fields), an empty line, and
//! the content.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pintle_core::config::HashKey;
use pintle_core::testing::MemoryHost;
use pintle_core::{Answer, NoFurther, Passage, Policy, Scratch, Stream, syntax};

#[path = "../naive_problem.rs"]
mod naive_problem;

use naive_problem::{Case, DEFAULT, Detail, Exchange, Format, Instance, Lines, Model};

const CASES: [Case; 8] = [
    Case { document: r#"{"filters": [{"problem_json": {}}]}"#, deny: None, filters: &[DEFAULT] },
    Case {
        document: r#"{"filters": [{"problem_json": {
            "statuses": [404, "500-502", " 599 "], "types": "about:blank", "title": "status_phrase",
            "invalid_utf8": "omit", "max_body_bytes": 7, "instance": "none",
            "trace_id": {"traceparent": "whole", "default": "n\u00f6ne"},
            "members": {"service": "orders", "after": {"b": [1, null], "a": "\"\u0001"}}
        }}]}"#,
        deny: None,
        filters: &[Model {
            statuses: &[(404, 404), (500, 502), (599, 599)],
            types: &[("*", "about:blank")],
            title: None,
            omits: true,
            most_bytes: 7,
            instance: Instance::None,
            whole: true,
            constant: Some("n\u{f6}ne"),
            members: &[
                ("after", r#"{"a": "\"\u0001", "b": [1, null]}"#),
                ("service", "\"orders\""),
            ],
            ..DEFAULT
        }],
    },
    Case {
        document: r#"{"filters": [{"problem_json": {
            "name": "p", "types": {"404": "a", "4xx": "b", "5xx": "c"}, "title": "\"\\\n",
            "max_body_bytes": 1, "strip_query": true
        }}]}"#,
        deny: None,
        filters: &[Model {
            name: "p",
            types: &[("404", "a"), ("4xx", "b"), ("5xx", "c")],
            title: Some("\"\\\n"),
            most_bytes: 1,
            instance: Instance::PathWithoutQuery,
            ..DEFAULT
        }],
    },
    // The document of the custom-errors plug-in.
    Case {
        document: r#"{
            "targetURLPrefixes": ["http://Api.example/v1/", "https://", "Other.example:8080"],
            "startStatusCode": 404, "endStatusCode": 502,
            "problemTypeURIMap": [{"404": "a"}, {"500": "b", "200": "c"}], "problemTitle": "t"
        }"#,
        deny: None,
        filters: &[Model {
            statuses: &[(404, 502)],
            prefixes: Some(&["http://api.example/v1/", "https://", "other.example:8080"]),
            types: &[("404", "a"), ("500", "b")],
            title: Some("t"),
            whole: true,
            constant: Some("00-0aa0000000aa00aa0000aa000a00000a-a0aa0a0000000000-00"),
            ..DEFAULT
        }],
    },
    // Several, one of which only looks.
    Case {
        document: r#"{"filters": [
            {"problem_json": {"statuses": ["400-450", 503], "max_body_bytes": 300, "name": "first"}},
            {"problem_json": {"statuses": "500-599", "detail": "none", "name": "second"}},
            {"problem_json": {"mode": "observe", "name": "third"}},
            {"problem_json": {"statuses": 500, "detail": "it is \"down\"", "name": "fourth"}}
        ]}"#,
        deny: None,
        filters: &[
            Model {
                name: "first",
                statuses: &[(400, 450), (503, 503)],
                most_bytes: 300,
                ..DEFAULT
            },
            Model { name: "second", statuses: &[(500, 599)], detail: Detail::None, ..DEFAULT },
            Model { name: "third", observes: true, ..DEFAULT },
            Model {
                name: "fourth",
                statuses: &[(500, 500)],
                detail: Detail::Literal("it is \"down\""),
                ..DEFAULT
            },
        ],
    },
    // Own replies.
    Case {
        document: r#"{"filters": [
            {"require_header": {"header": "allow", "deny": {"status": 404, "body": "n\u00f6",
                "headers": [{"name": "retry-after", "value": "1"}]}}},
            {"problem_json": {"max_body_bytes": 2, "statuses": ["404", "500"]}}
        ]}"#,
        deny: Some(Format::Text),
        filters: &[Model { statuses: &[(404, 404), (500, 500)], most_bytes: 2, ..DEFAULT }],
    },
    Case {
        document: r#"{"filters": [
            {"require_header": {"header": "allow", "deny": {"status": 404, "body": "n\u00f6",
                "headers": [{"name": "retry-after", "value": "1"}], "format": "problem_json"}}}
        ]}"#,
        deny: Some(Format::Problem),
        filters: &[],
    },
    Case {
        document: r#"{"filters": [
            {"require_header": {"header": "allow", "deny": {"status": 404, "body": "n\u00f6",
                "headers": [{"name": "retry-after", "value": "1"}], "format": "accept"}}},
            {"problem_json": {"detail": "literal", "instance": "none"}}
        ]}"#,
        deny: Some(Format::Accept),
        filters: &[Model {
            detail: Detail::Literal("literal"),
            instance: Instance::None,
            ..DEFAULT
        }],
    },
];

/// How `deny.format` words a denial.
const DENIED: Model = Model { instance: Instance::PathWithoutQuery, ..DEFAULT };

static POLICIES: LazyLock<Vec<Policy<NoFurther>>> = LazyLock::new(|| {
    let load = |case: &Case| Policy::load(case.document.as_bytes(), HashKey::new([7; 16])).unwrap();
    CASES.iter().map(load).collect()
});

/// What of each piece is taken.
#[derive(Clone, Copy, PartialEq)]
enum Taken {
    All,
    /// What is of use, and a byte more: as the hosts do it.
    Wanted,
}

fuzz_target!(|input: &[u8]| {
    let Some(Input { choice, may_end, pieces, exchange }) = Input::read(input) else { return };
    let at = usize::from(choice) % CASES.len();
    let (case, policy) = (&CASES[at], &POLICIES[at]);
    let whole = run(case, policy, &exchange, may_end, &[], Taken::All);
    for taken in [Taken::All, Taken::Wanted] {
        let again = run(case, policy, &exchange, may_end, pieces, taken);
        assert!(again == whole, "pieces matter");
    }
});

/// Fields and content of what the client gets; `None` for content that goes on as it is.
type Seen = (Lines, Option<Vec<u8>>);

/// Brings the exchange to the policy, and holds what comes out against the model.
fn run(
    case: &Case,
    policy: &Policy<NoFurther>,
    exchange: &Exchange<'_>,
    may_end: bool,
    pieces: &[u8],
    taken: Taken,
) -> Seen {
    let pseudo = [
        (":method", exchange.method),
        (":path", exchange.path),
        (":authority", exchange.authority),
        (":scheme", b"http"),
    ];
    let pseudo = pseudo.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    let mut host = MemoryHost::new(pseudo.chain(exchange.request.iter().cloned()).collect());
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    let allowed = !naive_problem::values(&exchange.request, "allow").is_empty();
    match policy.on_request(&mut stream, &mut host, &mut scratch) {
        Answer::Wait => panic!("nothing to wait for"),
        Answer::Continue => {
            assert!(case.deny.is_none() || allowed);
            let seen = respond(policy, exchange, may_end, pieces, taken, &mut host, &mut stream);
            let maker = case.filters.iter().rev().find(|filter| filter.makes(exchange));
            check(maker, exchange, &seen);
            check_counts(policy, &host, maker);
            seen
        }
        Answer::Reply(reply) => {
            let format = case.deny.expect("nobody denies");
            assert!(!allowed);
            let lines: Lines =
                reply.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            let line = |name: &str, value: &str| (name.into(), value.into());
            let own = Exchange {
                status: 404,
                response: vec![line("retry-after", "1"), line("content-type", "text/plain")],
                content: "n\u{f6}".as_bytes(),
                is_own: true,
                ..exchange.clone()
            };
            assert_eq!(reply.status, own.status);
            let mut lines = lines;
            if format == Format::Accept && !own.is_grpc() {
                assert_eq!(lines.pop(), Some(line("vary", "accept")));
            }
            let seen = (lines, Some(reply.body.to_vec()));
            let maker = case.filters.iter().rev().find(|filter| filter.makes(&own));
            check_counts(policy, &host, maker);
            match (maker, own.asks_for_problem(format)) {
                (Some(maker), _) => check(Some(maker), &own, &seen),
                (None, true) => check(Some(&DENIED), &own, &seen),
                (None, false) => {
                    assert!(seen == (own.response.clone(), Some(own.content.to_vec())))
                }
            }
            seen
        }
    }
}

/// Brings the response to the policy as a host does.
fn respond(
    policy: &Policy<NoFurther>,
    exchange: &Exchange<'_>,
    may_end: bool,
    pieces: &[u8],
    taken: Taken,
    host: &mut MemoryHost,
    stream: &mut Stream,
) -> Seen {
    host.request.clear();
    let status = (b":status".to_vec(), exchange.status.to_string().into_bytes());
    host.response = [&[status.clone()], exchange.response.as_slice()].concat();
    let content = if exchange.method == b"HEAD" { &[] } else { exchange.content };
    let ends = exchange.method == b"HEAD" || (may_end && content.is_empty());
    let content = match policy.on_response(stream, host, &mut Scratch::default(), ends) {
        Passage::Keep => None,
        Passage::Give(content) => {
            assert!(ends);
            Some(content)
        }
        Passage::Replace => {
            assert!(!ends && stream.is_replacing());
            let most = stream.wants();
            let mut given = 0;
            for piece in cut(content, pieces) {
                assert_eq!(
                    stream.wants(),
                    most.saturating_sub(given),
                    "more is kept than is taken"
                );
                given += piece.len();
                let end = match taken {
                    Taken::All => piece.len(),
                    Taken::Wanted => piece.len().min(stream.wants() + 1),
                };
                stream.take(&piece[..end]);
            }
            Some(policy.content(stream))
        }
    };
    assert!(!stream.is_replacing() && stream.wants() == 0);
    assert_eq!(host.response.first(), Some(&status));
    (host.response[1..].to_vec(), content)
}

/// The content in pieces of these lengths, again and again, empty ones among them.
fn cut<'c>(content: &'c [u8], lengths: &[u8]) -> Vec<&'c [u8]> {
    if lengths.iter().all(|length| *length == 0) {
        return vec![content];
    }
    let (mut pieces, mut rest) = (Vec::new(), content);
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, left) = rest.split_at(usize::from(*length).min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}

fn check(maker: Option<&Model>, exchange: &Exchange<'_>, (lines, content): &Seen) {
    let Some(maker) = maker else {
        assert_eq!((lines, content), (&exchange.response, &None), "it was to be left alone");
        return;
    };
    assert_eq!(*lines, exchange.edited());
    for (name, value) in lines.iter().filter(|line| !exchange.response.contains(line)) {
        assert!(syntax::field::is_token(name) && syntax::field::is_value(value));
    }
    match content {
        None => assert!(exchange.method == b"HEAD" && !exchange.is_own, "the old content"),
        Some(content) => maker.check(exchange, content),
    }
}

fn check_counts(policy: &Policy<NoFurther>, host: &MemoryHost, maker: Option<&Model>) {
    for (place, metric) in policy.metrics().iter().enumerate() {
        if metric.measure.name() == "problems" {
            let made = maker.is_some_and(|maker| maker.name == metric.filter);
            assert_eq!(host.count(place), u64::from(made), "{metric:?}");
        }
    }
}

struct Input<'i> {
    choice: u8,
    may_end: bool,
    pieces: &'i [u8],
    exchange: Exchange<'i>,
}

impl<'i> Input<'i> {
    fn read(input: &'i [u8]) -> Option<Self> {
        let (head, rest) = split(input, b"\n")?;
        let [choice, end, pieces @ ..] = head else { return None };
        let (request, rest) = split(rest, b"\n\n")?;
        let (response, content) = split(rest, b"\n\n")?;
        let mut lines = request.split(|byte| *byte == b'\n');
        let (method, path, authority) = (lines.next()?, lines.next()?, lines.next()?);
        let request = fields(lines)?;
        let mut lines = response.split(|byte| *byte == b'\n');
        let status = std::str::from_utf8(lines.next()?).ok()?;
        let three = status.len() == 3 && status.bytes().all(|digit| digit.is_ascii_digit());
        let status = if three { status.parse().ok()? } else { return None };
        // Written the same way again.
        let status = Some(status).filter(|status| *status >= 100)?;
        let exchange = Exchange {
            method,
            path,
            authority,
            request,
            status,
            response: fields(lines)?,
            content,
            is_own: false,
        };
        Some(Self { choice: *choice, may_end: *end == b'e', pieces, exchange })
    }
}

fn split<'i>(input: &'i [u8], at: &[u8]) -> Option<(&'i [u8], &'i [u8])> {
    let place = input.windows(at.len()).position(|window| window == at)?;
    Some((&input[..place], &input[place + at.len()..]))
}

fn fields<'i>(lines: impl Iterator<Item = &'i [u8]>) -> Option<Lines> {
    lines
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = line[..colon].to_ascii_lowercase();
            let name = syntax::field::is_token(&name).then_some(name)?;
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect()
}
