//! What the module does with configurations, streams and panics.

use envoy_proxy_dynamic_modules_rust_sdk::fakes::{
    FakeEnvoy, FakeRequest, FakeStream, set_log_level, take_logs,
};
use envoy_proxy_dynamic_modules_rust_sdk::{HeadersStatus, LogLevel};
use pintle_dynamic_module::Config;

/// Answers with the `x-id` of the request, denies requests without it, and marks responses.
const ECHO: &str = r#"{"filters": [
    {"require_header": {"header": "x-id"}},
    {"headers": {"response": [
        {"set": {"name": "x-echo", "value": "%REQ(x-id)%"}},
        {"append": {"name": "x-by", "value": "1"}}
    ]}}
]}"#;

fn load(config: &str) -> FakeEnvoy<Config> {
    FakeEnvoy::load("pintle", config.as_bytes()).expect("a configuration")
}

fn begin<'e>(envoy: &'e FakeEnvoy<Config>, fields: &[(&str, &str)]) -> FakeStream<'e, Config> {
    let pseudo = [(":method", "GET"), (":path", "/"), (":authority", "a")];
    envoy.stream(FakeRequest::new(pseudo.iter().chain(fields).copied()))
}

fn respond(stream: &FakeStream<'_, Config>) -> HeadersStatus {
    stream.response_headers([(":status", "200")], true)
}

fn answered(stream: &FakeStream<'_, Config>, name: &str) -> Vec<String> {
    let lines = stream.response().into_iter().filter(|(n, _)| n == name.as_bytes());
    lines.map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

fn messages() -> Vec<String> {
    take_logs().into_iter().map(|line| line.message).collect()
}

#[test]
fn streams_do_not_mix() {
    let envoy = load(ECHO);
    let (one, two) = (begin(&envoy, &[("x-id", "1")]), begin(&envoy, &[("x-id", "2")]));
    assert_eq!(two.request_headers(true), HeadersStatus::Continue);
    assert_eq!(one.request_headers(true), HeadersStatus::Continue);
    assert_eq!((respond(&one), respond(&two)), (HeadersStatus::Continue, HeadersStatus::Continue));
    assert_eq!(
        (answered(&one, "x-echo"), answered(&two, "x-echo")),
        (vec!["1".into()], vec!["2".into()])
    );
    assert_eq!(envoy.counter("require_header.allowed"), Some(2));
}

#[test]
fn two_configurations_do_not_mix() {
    let (one, two) = (load(ECHO), load(r#"{"filters": [{"require_header": {"header": "x-b"}}]}"#));
    let (denied, allowed) = (begin(&two, &[("x-id", "1")]), begin(&one, &[("x-id", "1")]));
    assert_eq!(denied.request_headers(true), HeadersStatus::StopIteration);
    assert_eq!(allowed.request_headers(true), HeadersStatus::Continue);
    let counts = [&one, &two].map(|envoy| envoy.counter("require_header.denied.field_missing"));
    assert_eq!(counts, [Some(0), Some(1)]);
}

#[test]
fn a_response_without_a_request_stays_as_it_is() {
    let envoy = load(ECHO);
    let stream = begin(&envoy, &[("x-id", "1")]);
    assert_eq!(respond(&stream), HeadersStatus::Continue);
    assert_eq!(answered(&stream, "x-echo"), [""; 0]);
    assert_eq!(envoy.counter("require_header.allowed"), Some(0));
}

#[test]
fn an_own_reply_has_been_through_the_response_rules() {
    let envoy = load(ECHO);
    let stream = begin(&envoy, &[]);
    assert_eq!(stream.request_headers(true), HeadersStatus::StopIteration);
    let reply = stream.reply().unwrap();
    assert_eq!((reply.status, reply.details.as_str()), (403, "pintle_field_missing"));
    let line = |name: &str, value: &str| (name.into(), value.into());
    assert!(reply.headers.contains(&line("x-by", "1")), "{:?}", reply.headers);
    assert_eq!(stream.replies(), 1);
    // A later Envoy may run the hook after all: nothing is done twice.
    assert_eq!(respond(&stream), HeadersStatus::Continue);
    assert_eq!(answered(&stream, "x-by"), [""; 0]);
}

#[test]
fn a_stream_may_end_at_any_time() {
    let envoy = load(ECHO);
    drop(begin(&envoy, &[]));
    let stream = begin(&envoy, &[("x-id", "1")]);
    assert_eq!(stream.request_headers(false), HeadersStatus::Continue);
    stream.stream_complete();
    drop(stream);
    // Envoy before 1.40 may destroy the filter while it sends the reply.
    let stream = begin(&envoy, &[]);
    stream.destroy_in_reply();
    assert_eq!(stream.request_headers(true), HeadersStatus::StopIteration);
    assert_eq!(stream.replies(), 1);
}

#[test]
fn a_refused_configuration_has_one_line_for_each_error() {
    let config = r#"{"filters": [{"require_header": {"header": 1}}, {"nonsense": {}}]}"#;
    assert!(FakeEnvoy::<Config>::load("pintle", config.as_bytes()).is_none());
    let lines = take_logs();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        assert_eq!(line.level, LogLevel::Error);
        assert!(line.message.starts_with("pintle: configuration refused: /filters/"), "{line:?}");
    }
}

#[test]
fn none_is_refused_and_an_empty_one_warned_about() {
    assert!(FakeEnvoy::<Config>::load("pintle", b"").is_none());
    let lines = messages();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("no configuration; expected a JSON object"), "{lines:?}");
    let envoy = load("{}");
    let lines = take_logs();
    assert_eq!((lines.len(), lines[0].level), (1, LogLevel::Warn));
    let stream = begin(&envoy, &[]);
    assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
    assert_eq!(respond(&stream), HeadersStatus::Continue);
}

#[test]
fn a_level_that_is_off_writes_nothing() {
    let envoy = load(
        r#"{"filters": [{"log_headers": {"request": ["*"], "response": ["*"], "level": "debug"}}]}"#,
    );
    let exchange = || {
        let stream = begin(&envoy, &[("x-request-id", "7")]);
        assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
        assert_eq!(respond(&stream), HeadersStatus::Continue);
        messages()
    };
    assert_eq!(exchange(), [""; 0]);
    set_log_level(LogLevel::Debug);
    let lines = exchange();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.starts_with("7 ")), "{lines:?}");
    set_log_level(LogLevel::Off);
    assert_eq!(exchange(), [""; 0]);
}

#[cfg(feature = "test-panic")]
#[test]
fn a_panic_costs_its_own_request_alone() {
    let envoy = load(ECHO);
    let other = begin(&envoy, &[("x-id", "1")]);
    assert_eq!(other.request_headers(true), HeadersStatus::Continue);
    let stream = begin(&envoy, &[("x-id", "2"), ("x-pintle-test-panic", "request")]);
    assert_eq!(stream.request_headers(true), HeadersStatus::StopIteration);
    let reply = stream.reply().unwrap();
    assert_eq!((reply.status, reply.details.as_str()), (500, "pintle_internal_error"));
    let stream = begin(&envoy, &[("x-id", "3"), ("x-pintle-test-panic", "response")]);
    assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
    assert_eq!(respond(&stream), HeadersStatus::StopIteration);
    assert_eq!(stream.reply().unwrap().status, 500);
    let lines = messages();
    assert!(lines.iter().all(|line| !line.contains("asked for")), "{lines:?}");
    assert_eq!(respond(&other), HeadersStatus::Continue);
    assert_eq!(answered(&other, "x-echo"), ["1"]);
}
