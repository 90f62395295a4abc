//! What becomes of the content of responses.

use envoy_proxy_dynamic_modules_rust_sdk::fakes::{
    ContentCallback, FakeEnvoy, FakeRequest, FakeStream,
};
use envoy_proxy_dynamic_modules_rust_sdk::{BodyStatus, HeadersStatus, TrailersStatus};
use pintle_dynamic_module::Config;

const PROBLEM: &str = r#"{"filters": [{"problem_json": {"types": "about:blank", "title": "an error", "max_body_bytes": 8}}]}"#;

fn load(config: &str) -> FakeEnvoy<Config> {
    FakeEnvoy::load("pintle", config.as_bytes()).expect("a configuration")
}

/// A stream whose request has gone on.
fn forwarded<'e>(envoy: &'e FakeEnvoy<Config>, method: &str) -> FakeStream<'e, Config> {
    let stream = envoy.stream(FakeRequest::new([
        (":method", method),
        (":path", "/"),
        (":authority", "a"),
        ("x-request-id", "7"),
    ]));
    assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
    stream
}

/// The same, and the fields of its response are held until its content is there.
fn begun<'e>(envoy: &'e FakeEnvoy<Config>, status: &str) -> FakeStream<'e, Config> {
    let stream = forwarded(envoy, "GET");
    assert_eq!(respond(&stream, status), HeadersStatus::StopIteration);
    stream
}

/// The same, and they go on.
fn passing<'e>(envoy: &'e FakeEnvoy<Config>, status: &str) -> FakeStream<'e, Config> {
    let stream = forwarded(envoy, "GET");
    assert_eq!(respond(&stream, status), HeadersStatus::Continue);
    stream
}

fn respond(stream: &FakeStream<'_, Config>, status: &str) -> HeadersStatus {
    let fields = [(":status", status), ("content-length", "9"), ("content-type", "text/plain")];
    stream.response_headers(fields, false)
}

fn value(stream: &FakeStream<'_, Config>, name: &str) -> Option<String> {
    let line = stream.response().into_iter().find(|(n, _)| n == name.as_bytes());
    line.map(|(_, value)| String::from_utf8(value).unwrap())
}

/// The problem with this as its last member, if there is one.
fn problem(status: u16, detail: Option<&str>) -> String {
    let detail = detail.map(|detail| format!(",\"detail\":\"{detail}\"")).unwrap_or_default();
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"an error\",\
         \"status\":{status},\"instance\":\"/\",\"trace_id\":\"7\"{detail}}}"
    )
}

fn content(stream: &FakeStream<'_, Config>) -> String {
    String::from_utf8(stream.content()).unwrap()
}

#[test]
fn content_in_pieces_is_replaced_at_its_end() {
    let envoy = load(PROBLEM);
    let stream = begun(&envoy, "503");
    assert_eq!(value(&stream, "content-length"), None);
    assert_eq!(value(&stream, "content-type").as_deref(), Some("application/problem+json"));
    for piece in [&[&b"no"[..], b"", b" u"][..], &[b"\xc3"], &[]] {
        assert_eq!(stream.response_body(piece, false), BodyStatus::StopIterationNoBuffer);
        assert!(!stream.has_gone());
    }
    assert_eq!(stream.response_body(&[b"\xa9p"], true), BodyStatus::Continue);
    assert!(stream.has_gone());
    assert_eq!(content(&stream), problem(503, Some("no uép")));
    assert_eq!(envoy.counter("problem_json.problems"), Some(1));
}

#[test]
fn the_last_piece_may_be_all_or_nothing() {
    let envoy = load(PROBLEM);
    let stream = begun(&envoy, "500");
    assert_eq!(stream.response_body(&[b"all"], true), BodyStatus::Continue);
    assert_eq!(content(&stream), problem(500, Some("all")));
    let stream = begun(&envoy, "500");
    assert_eq!(stream.response_body(&[b"all"], false), BodyStatus::StopIterationNoBuffer);
    assert_eq!(stream.response_body(&[], true), BodyStatus::Continue);
    assert_eq!(content(&stream), problem(500, Some("all")));
    let stream = begun(&envoy, "500");
    assert_eq!(stream.response_body(&[], true), BodyStatus::Continue);
    assert_eq!(content(&stream), problem(500, None));
}

#[test]
fn more_than_is_taken_is_dropped() {
    let envoy = load(PROBLEM);
    let stream = begun(&envoy, "500");
    for _ in 0..100 {
        assert_eq!(stream.response_body(&[b"abcde"], false), BodyStatus::StopIterationNoBuffer);
    }
    assert_eq!(stream.response_body(&[b"f"], true), BodyStatus::Continue);
    assert_eq!(content(&stream), problem(500, Some("abcdeabc … (truncated)")));
}

#[test]
fn it_stands_before_trailers() {
    let envoy = load(PROBLEM);
    let stream = begun(&envoy, "500");
    assert_eq!(stream.response_body(&[b"a"], false), BodyStatus::StopIterationNoBuffer);
    assert_eq!(stream.response_trailers([("x-sum", "1")]), TrailersStatus::Continue);
    assert_eq!(content(&stream), problem(500, Some("a")));
    // An earlier filter has had the content in a buffer.
    let stream = begun(&envoy, "500");
    stream.leave_buffer();
    assert_eq!(stream.response_body(&[b"a"], false), BodyStatus::StopIterationNoBuffer);
    assert_eq!(stream.response_trailers([("x-sum", "1")]), TrailersStatus::Continue);
    assert_eq!(content(&stream), problem(500, Some("a")));
    // Trailers are all there is.
    let stream = begun(&envoy, "500");
    assert_eq!(stream.response_trailers([("x-sum", "1")]), TrailersStatus::Continue);
    assert_eq!((content(&stream), stream.has_gone()), (problem(500, None), true));
}

#[test]
fn a_response_without_content_gets_some() {
    let envoy = load(PROBLEM);
    let stream = forwarded(&envoy, "GET");
    assert_eq!(stream.response_headers([(":status", "404")], true), HeadersStatus::Continue);
    assert_eq!(content(&stream), problem(404, None));
    assert_eq!(value(&stream, "content-type").as_deref(), Some("application/problem+json"));
    // The one to HEAD stands for one with content.
    let stream = forwarded(&envoy, "HEAD");
    assert_eq!(stream.response_headers([(":status", "404")], true), HeadersStatus::Continue);
    assert_eq!(content(&stream), "");
    assert_eq!(value(&stream, "content-type").as_deref(), Some("application/problem+json"));
}

#[test]
fn what_is_not_replaced_passes_by() {
    let headers =
        r#"{"filters": [{"headers": {"response": [{"set": {"name": "x", "value": "1"}}]}}]}"#;
    for (config, status) in [(PROBLEM, "200"), (headers, "500"), ("{}", "500")] {
        let envoy = load(config);
        let stream = passing(&envoy, status);
        assert_eq!(value(&stream, "content-length").as_deref(), Some("9"), "{config}");
        assert_eq!(stream.response_body(&[b"some", b"thing"], false), BodyStatus::Continue);
        assert_eq!(content(&stream), "something", "{config}");
        assert_eq!(stream.response_trailers([("x-sum", "1")]), TrailersStatus::Continue);
        assert_eq!(content(&stream), "something", "{config}");
    }
}

#[test]
fn responses_do_not_mix() {
    let envoy = load(PROBLEM);
    let (one, two, kept) = (begun(&envoy, "500"), begun(&envoy, "502"), passing(&envoy, "200"));
    assert_eq!(one.response_body(&[b"one"], false), BodyStatus::StopIterationNoBuffer);
    assert_eq!(kept.response_body(&[b"kept"], false), BodyStatus::Continue);
    assert_eq!(two.response_body(&[b"two"], true), BodyStatus::Continue);
    assert_eq!(one.response_body(&[], true), BodyStatus::Continue);
    assert_eq!(
        [&one, &two, &kept].map(content),
        [problem(500, Some("one")), problem(502, Some("two")), "kept".into()]
    );
}

#[test]
fn a_stream_may_end_in_the_middle_of_its_content() {
    let envoy = load(PROBLEM);
    let stream = begun(&envoy, "500");
    assert_eq!(stream.response_body(&[b"a"], false), BodyStatus::StopIterationNoBuffer);
    stream.stream_complete();
    assert!(!stream.has_gone());
    drop(stream);
    drop(begun(&envoy, "500"));
}

/// Nothing of the response has gone on, and this reply has taken its place.
fn assert_failed(stream: &FakeStream<'_, Config>, context: &str) {
    let reply = stream.reply().map(|reply| (reply.status, reply.details));
    assert_eq!(reply, Some((500, "pintle_internal_error".to_string())), "{context}");
    assert_eq!((stream.has_gone(), &*content(stream)), (false, ""), "{context}");
}

#[test]
fn a_callback_that_fails_on_a_piece_ends_the_response() {
    let envoy = load(PROBLEM);
    for callback in [ContentCallback::Read, ContentCallback::Drain, ContentCallback::Append] {
        for begins in [false, true] {
            let stream = begun(&envoy, "500");
            if begins {
                let status = stream.response_body(&[b"a"], false);
                assert_eq!(status, BodyStatus::StopIterationNoBuffer);
            }
            stream.refuse_content(callback);
            let status = stream.response_body(&[b"secret"], true);
            assert_eq!(status, BodyStatus::StopIterationNoBuffer);
            assert_failed(&stream, &format!("{callback:?} {begins}"));
        }
    }
    for callback in [ContentCallback::Read, ContentCallback::Drain] {
        let stream = begun(&envoy, "500");
        stream.refuse_content(callback);
        let status = stream.response_body(&[b"secret"], false);
        assert_eq!(status, BodyStatus::StopIterationNoBuffer);
        assert_failed(&stream, &format!("{callback:?}, not the last piece"));
    }
}

#[test]
fn a_callback_that_fails_before_trailers_ends_the_response() {
    let envoy = load(PROBLEM);
    let stream = begun(&envoy, "500");
    assert_eq!(stream.response_body(&[b"a"], false), BodyStatus::StopIterationNoBuffer);
    stream.refuse_content(ContentCallback::Append);
    assert_eq!(stream.response_trailers([("x-sum", "1")]), TrailersStatus::StopIteration);
    assert_failed(&stream, "trailers");
}

#[test]
fn a_callback_that_fails_where_there_is_no_content_ends_the_response() {
    let envoy = load(PROBLEM);
    let stream = forwarded(&envoy, "GET");
    stream.refuse_content(ContentCallback::Append);
    assert_eq!(stream.response_headers([(":status", "404")], true), HeadersStatus::StopIteration);
    assert_failed(&stream, "fields alone");
}

#[test]
fn a_piece_without_bytes_needs_no_draining() {
    let envoy = load(PROBLEM);
    let stream = begun(&envoy, "500");
    stream.refuse_content(ContentCallback::Drain);
    assert_eq!(stream.response_body(&[], false), BodyStatus::StopIterationNoBuffer);
    assert_eq!(stream.response_body(&[b""], true), BodyStatus::Continue);
    assert_eq!(content(&stream), problem(500, None));
    assert_eq!(stream.replies(), 0);
}

#[cfg(feature = "test-panic")]
#[test]
fn a_panic_ends_a_response() {
    let envoy = load(PROBLEM);
    for (hook, status) in
        [("body", "500"), ("trailers", "500"), ("body", "200"), ("trailers", "200")]
    {
        let fields = [(":method", "GET"), (":path", "/"), ("x-pintle-test-panic", hook)];
        let stream = envoy.stream(FakeRequest::new(fields));
        assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
        let _ = respond(&stream, status);
        let body = stream.response_body(&[b"a"], false);
        if hook == "trailers" {
            let trailers = stream.response_trailers([("x-sum", "1")]);
            assert_eq!(trailers, TrailersStatus::StopIteration);
        } else {
            assert_eq!(body, BodyStatus::StopIterationNoBuffer);
        }
        let details = Some("pintle_internal_error".to_string());
        let reply = stream.reply().map(|reply| (reply.status, reply.details));
        // Only what is held can be replaced.
        match status {
            "500" => assert_eq!(reply, details.map(|details| (500, details))),
            _ => assert_eq!((reply, stream.reset_details()), (None, details)),
        }
    }
}
