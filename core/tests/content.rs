//! Filters that replace the content of responses, on the host in memory.

use pintle_core::config::{HashKey, Load, Pointer};
use pintle_core::testing::MemoryHost;
use pintle_core::{
    Answer, Content, Edit, FieldName, FieldValue, Filter, Host, NoFurther, Passage, Phases, Policy,
    Replacement, Response, Scratch, Section, Stream,
};
use serde::Deserialize;
use serde_json::Value;

fn load(config: &str) -> Policy {
    Policy::<NoFurther>::load(config.as_bytes(), HashKey::new([0; 16])).unwrap()
}

fn problem_json(fields: &str) -> Policy {
    load(&format!(r#"{{"filters": [{{"problem_json": {{{fields}}}}}]}}"#))
}

type Lines<'a> = &'a [(&'a str, &'a str)];

fn lines(of: Lines<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    of.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// A request that went on, and the fields of its response.
struct Exchange {
    stream: Stream,
    host: MemoryHost,
    scratch: Scratch,
}

impl Exchange {
    fn new<X: pintle_core::filter::FilterSet>(policy: &Policy<X>, response: Lines<'_>) -> Self {
        let request = lines(&[(":method", "GET"), (":path", "/"), (":authority", "a")]);
        let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
        let mut host = MemoryHost::new(request);
        let answer = policy.on_request(&mut stream, &mut host, &mut scratch);
        assert!(matches!(answer, Answer::Continue));
        host.response = lines(response);
        Self { stream, host, scratch }
    }

    fn respond<X: pintle_core::filter::FilterSet>(
        &mut self,
        policy: &Policy<X>,
        end_of_stream: bool,
    ) -> Passage {
        policy.on_response(&mut self.stream, &mut self.host, &mut self.scratch, end_of_stream)
    }
}

/// The content in the place of `pieces`.
fn replaced<X: pintle_core::filter::FilterSet>(policy: &Policy<X>, pieces: &[&[u8]]) -> Vec<u8> {
    let mut exchange = Exchange::new(policy, &[(":status", "404")]);
    assert_eq!(exchange.respond(policy, false), Passage::Replace);
    assert!(exchange.stream.is_replacing());
    pieces.iter().for_each(|piece| exchange.stream.take(piece));
    let content = policy.content(&mut exchange.stream);
    assert!(!exchange.stream.is_replacing());
    content
}

fn detail(policy: &Policy, pieces: &[&[u8]]) -> Option<String> {
    let json: Value = serde_json::from_slice(&replaced(policy, pieces)).unwrap();
    assert_eq!(json["status"], 404);
    json.get("detail").map(|detail| detail.as_str().unwrap().to_string())
}

#[test]
fn bytes_that_are_not_text() {
    let every: Vec<u8> = (0..=0xff).collect();
    let replace = problem_json("");
    assert_eq!(detail(&replace, &[&every]).unwrap(), String::from_utf8_lossy(&every));
    let omit = problem_json(r#""invalid_utf8": "omit""#);
    assert_eq!(detail(&omit, &[&every]), None);
    let ascii: Vec<u8> = (0..=0x7f).collect();
    assert_eq!(detail(&omit, &[&ascii]).unwrap(), String::from_utf8_lossy(&ascii));
}

#[test]
fn pieces_make_no_difference() {
    let text = "caf\u{e9} \u{20ac}\u{1f600} and more".as_bytes();
    for most in 1..=text.len() + 1 {
        let policy = problem_json(&format!(r#""max_body_bytes": {most}"#));
        let whole = replaced(&policy, &[text]);
        for size in 1..text.len() {
            assert_eq!(replaced(&policy, &text.chunks(size).collect::<Vec<_>>()), whole);
        }
        let cut = String::from_utf8(whole).unwrap().contains("\u{2026} (truncated)");
        assert_eq!(cut, most < text.len());
    }
}

#[test]
fn no_more_is_wanted_than_is_kept() {
    let policy = problem_json(r#""max_body_bytes": 10"#);
    let mut exchange = Exchange::new(&policy, &[(":status", "500")]);
    assert_eq!(exchange.stream.wants(), 0);
    assert_eq!(exchange.respond(&policy, false), Passage::Replace);
    assert_eq!(exchange.stream.wants(), 10);
    exchange.stream.take(b"1234");
    assert_eq!(exchange.stream.wants(), 6);
    for _ in 0..1000 {
        exchange.stream.take(&[b'x'; 1000]);
        assert_eq!(exchange.stream.wants(), 0);
    }
    assert!(policy.content(&mut exchange.stream).len() < 300);
    // A detail of another kind needs nothing of it.
    let policy = problem_json(r#""detail": "none""#);
    let mut exchange = Exchange::new(&policy, &[(":status", "500")]);
    assert_eq!(exchange.respond(&policy, false), Passage::Replace);
    assert_eq!(exchange.stream.wants(), 0);
}

#[test]
fn what_is_not_for_it_is_not_touched() {
    let policy = problem_json("");
    assert!(policy.replaces_content());
    assert!(
        !load(r#"{"filters": [{"headers": {"response": [{"remove": {"name": "a"}}]}}]}"#)
            .replaces_content()
    );
    let odd: [Lines<'_>; 7] = [
        &[(":status", "200"), ("etag", "a")],
        &[(":status", "399"), ("etag", "a")],
        &[(":status", "600"), ("etag", "a")],
        &[(":status", "40x"), ("etag", "a")],
        &[(":status", "70000"), ("etag", "a")],
        &[("etag", "a")],
        &[(":status", "404"), ("content-type", "a/b"), ("content-type", "text/event-stream")],
    ];
    for response in odd {
        let mut exchange = Exchange::new(&policy, response);
        assert_eq!(exchange.respond(&policy, false), Passage::Keep);
        assert_eq!(exchange.host.response, lines(response));
        assert!(!exchange.stream.is_replacing());
    }
}

#[test]
fn a_response_to_a_request_that_never_came_by_stays() {
    let policy = problem_json("");
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    let mut host = MemoryHost::new(Vec::new());
    host.response = lines(&[(":status", "404")]);
    assert_eq!(policy.on_response(&mut stream, &mut host, &mut scratch, false), Passage::Keep);
    assert_eq!(host.response, lines(&[(":status", "404")]));
}

#[test]
fn a_stream_forgets_content_that_never_ended() {
    let policy = problem_json("");
    let mut exchange = Exchange::new(&policy, &[(":status", "404")]);
    assert_eq!(exchange.respond(&policy, false), Passage::Replace);
    exchange.stream.take(b"half");
    exchange.stream.clear();
    assert!(!exchange.stream.is_replacing());
    assert_eq!(policy.content(&mut exchange.stream), b"");
}

/// Puts the content between two marks, of as much as it takes.
struct Mark {
    mark: String,
    most_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkFields {
    mark: String,
    most_bytes: usize,
}

impl Filter for Mark {
    const KIND: &'static str = "mark";
    type Fields = MarkFields;

    fn compile(fields: MarkFields, _: &Pointer<'_>, _: &mut Load) -> Option<Self> {
        Some(Self { mark: fields.mark, most_bytes: fields.most_bytes })
    }
    fn phases(&self) -> Phases {
        Phases::Response
    }
    fn replaces_content(&self) -> bool {
        true
    }
    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>) {
        let name = FieldName::parse("x-marked").unwrap();
        let mark = FieldValue::new(self.mark.as_bytes()).unwrap();
        host.edit(Section::Response, Edit::Append(&name, mark));
        let memo = Box::new(self.mark.clone());
        response.replacement = Some(Replacement { most_bytes: self.most_bytes, memo });
    }
    fn on_content(&self, replacement: Replacement, content: Content<'_>) -> Vec<u8> {
        let mark = replacement.memo.downcast::<String>().unwrap();
        let cut = if content.cut { "+" } else { "" };
        [mark.as_bytes(), content.bytes, cut.as_bytes(), mark.as_bytes()].concat()
    }
}

pintle_core::filters! {
    enum Marks { Mark }
}

fn marks(config: &str) -> Policy<Marks> {
    Policy::load(config.as_bytes(), HashKey::new([0; 16])).unwrap()
}

#[test]
fn several_filters_replace_in_the_order_of_responses() {
    let policy = marks(
        r#"{"filters": [{"mark": {"mark": "a", "most_bytes": 100}}, {"mark": {"mark": "b", "most_bytes": 100}}]}"#,
    );
    assert_eq!(replaced(&policy, &[b"x", b"y"]), b"abxyba");
    let policy = marks(
        r#"{"filters": [{"mark": {"mark": "a", "most_bytes": 3}}, {"mark": {"mark": "b", "most_bytes": 2}}]}"#,
    );
    assert_eq!(replaced(&policy, &[b"x", b"yz"]), b"abxy+a");
    let policy = marks(
        r#"{"filters": [{"mark": {"mark": "a", "most_bytes": 3}}, {"mark": {"mark": "b", "most_bytes": 9, "mode": "observe"}}]}"#,
    );
    assert_eq!(replaced(&policy, &[b"x", b"yzq"]), b"axyz+a");
}

#[test]
fn a_response_without_content_gets_some() {
    let policy = marks(r#"{"filters": [{"mark": {"mark": "a", "most_bytes": 1}}]}"#);
    let mut exchange = Exchange::new(&policy, &[(":status", "200")]);
    assert_eq!(exchange.respond(&policy, true), Passage::Give(b"aa".to_vec()));
    assert!(!exchange.stream.is_replacing());
}

#[test]
fn an_own_reply_has_its_content_replaced() {
    let policy = marks(
        r#"{"filters": [{"mark": {"mark": "a", "most_bytes": 8}}, {"require_header": {"header": "x", "deny": {"body": "not here"}}}]}"#,
    );
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    let mut host = MemoryHost::new(lines(&[(":method", "GET"), (":path", "/")]));
    let Answer::Reply(reply) = policy.on_request(&mut stream, &mut host, &mut scratch) else {
        panic!("not denied");
    };
    assert_eq!(*reply.body, *b"anot herea");
    assert!(reply.fields().any(|field| field == (&b"x-marked"[..], &b"a"[..])));
    assert!(!stream.is_replacing());
}
