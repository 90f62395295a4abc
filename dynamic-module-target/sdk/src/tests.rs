//! The hooks, driven as Envoy does it.

mod callouts;
mod content;
mod panics;

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::fakes::{FakeEnvoy, FakeRequest, FakeStream, set_log_level, take_logs};
use crate::*;

type Hook = Rc<dyn Fn(&Scripted, &mut EnvoyHttpFilter) -> HeadersStatus>;
type BodyHook = Rc<dyn Fn(&mut EnvoyHttpFilter, bool) -> BodyStatus>;
type TrailersHook = Rc<dyn Fn(&mut EnvoyHttpFilter) -> TrailersStatus>;

thread_local! {
    /// What the filters of this test do on request and on response headers.
    static REQUEST: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static RESPONSE: RefCell<Option<Hook>> = const { RefCell::new(None) };
    /// The same on response content and trailers.
    static BODY: RefCell<Option<BodyHook>> = const { RefCell::new(None) };
    static TRAILERS: RefCell<Option<TrailersHook>> = const { RefCell::new(None) };
    /// What happened, in order.
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn seen(what: impl Into<String>) {
    SEEN.with_borrow_mut(|all| all.push(what.into()));
}

/// A configuration whose text says what panics.
struct Script {
    text: String,
    counter: EnvoyCounterId,
}

struct Scripted {
    panics: Option<&'static str>,
    state: Cell<u32>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        seen("dropped");
        assert_ne!(self.panics, Some("drop"), "secret");
    }
}

const PLACES: [&str; 8] =
    ["new", "request", "response", "body", "trailers", "reply", "complete", "drop"];

impl HttpFilterConfig for Script {
    type Filter = Scripted;
    const PANIC_DETAILS: &'static str = "test_panic";

    fn new(envoy: &mut EnvoyHttpFilterConfig, name: &str, config: &[u8]) -> Option<Self> {
        assert_eq!(name, "test");
        let text = String::from_utf8(config.to_vec()).ok()?;
        match text.as_str() {
            "refused" => return None,
            "panics" => panic!("secret"),
            _ => {}
        }
        let counter = envoy.define_counter("requests").ok()?;
        envoy.define_counter("others").ok()?;
        Some(Self { text, counter })
    }

    fn reads_response_content(&self) -> bool {
        self.text != "no content"
    }

    fn new_http_filter(&self, envoy: &EnvoyHttpFilter) -> Scripted {
        assert_ne!(self.text, "new", "secret");
        assert!(envoy.get_request_header_value(":path").is_some());
        Scripted {
            panics: PLACES.into_iter().find(|place| *place == self.text),
            state: Cell::new(0),
        }
    }
}

impl HttpFilter for Scripted {
    type Config = Script;
    const RESPONSE_HEADERS: bool = true;
    const RESPONSE_BODY: bool = true;
    const RESPONSE_TRAILERS: bool = true;
    const LOCAL_REPLY: bool = true;
    const STREAM_COMPLETE: bool = true;

    fn on_request_headers(
        &self,
        config: &Script,
        envoy: &mut EnvoyHttpFilter,
        _: bool,
    ) -> HeadersStatus {
        assert_ne!(self.panics, Some("request"), "secret");
        envoy.increment_counter(config.counter, 2).expect("a counter of its own");
        let hook = REQUEST.with_borrow(Clone::clone);
        hook.map_or(HeadersStatus::Continue, |hook| hook(self, envoy))
    }

    fn on_response_headers(
        &self,
        _: &Script,
        envoy: &mut EnvoyHttpFilter,
        _: bool,
    ) -> HeadersStatus {
        assert_ne!(self.panics, Some("response"), "secret");
        let hook = RESPONSE.with_borrow(Clone::clone);
        hook.map_or(HeadersStatus::Continue, |hook| hook(self, envoy))
    }

    fn on_response_body(
        &self,
        _: &Script,
        envoy: &mut EnvoyHttpFilter,
        end_of_stream: bool,
    ) -> BodyStatus {
        assert_ne!(self.panics, Some("body"), "secret");
        let hook = BODY.with_borrow(Clone::clone);
        hook.map_or(BodyStatus::Continue, |hook| hook(envoy, end_of_stream))
    }

    fn on_response_trailers(&self, _: &Script, envoy: &mut EnvoyHttpFilter) -> TrailersStatus {
        assert_ne!(self.panics, Some("trailers"), "secret");
        let hook = TRAILERS.with_borrow(Clone::clone);
        hook.map_or(TrailersStatus::Continue, |hook| hook(envoy))
    }

    fn on_local_reply(
        &self,
        _: &Script,
        _: &mut EnvoyHttpFilter,
        status: u32,
        details: EnvoyBuffer<'_>,
        _: bool,
    ) -> LocalReplyStatus {
        assert_ne!(self.panics, Some("reply"), "secret");
        self.state.set(self.state.get() + 100);
        seen(format!("reply {status} {}", String::from_utf8_lossy(&details)));
        if status == 599 {
            LocalReplyStatus::ContinueAndResetStream
        } else {
            LocalReplyStatus::Continue
        }
    }

    fn on_stream_complete(&self, _: &Script, _: &mut EnvoyHttpFilter) {
        assert_ne!(self.panics, Some("complete"), "secret");
        seen(format!("complete {}", self.state.get()));
    }
}

fn load(text: &str) -> FakeEnvoy<Script> {
    FakeEnvoy::load("test", text.as_bytes()).expect("a good configuration")
}

fn request() -> FakeRequest {
    FakeRequest::new([
        (":path", &b"/a?b=c"[..]),
        ("Host", b"example.com"),
        ("x-many", b"one"),
        ("x-empty", b""),
        ("X-Many", b"t\xffwo"),
        ("x-many", b"three"),
    ])
}

/// Runs `hook` as the request hook of a fresh stream.
fn on_request(
    envoy: &FakeEnvoy<Script>,
    hook: impl Fn(&Scripted, &mut EnvoyHttpFilter) -> HeadersStatus + 'static,
) -> (FakeStream<'_, Script>, HeadersStatus) {
    REQUEST.set(Some(Rc::new(hook)));
    let stream = envoy.stream(request());
    let status = stream.request_headers(true);
    REQUEST.set(None);
    (stream, status)
}

#[test]
fn fields_are_read() {
    let envoy = load("");
    let (_stream, status) = on_request(&envoy, |_, envoy| {
        assert_eq!(envoy.get_request_header_value("HOST").as_deref(), Some(&b"example.com"[..]));
        assert_eq!(envoy.get_request_header_value(b"x-empty").as_deref(), Some(&b""[..]));
        assert_eq!(envoy.get_request_header_value("x-none"), None);
        let many = envoy.get_request_header_values("x-many");
        assert_eq!(many.len(), 3);
        let many: Vec<&[u8]> = many.map(|value| value.as_slice()).collect();
        assert_eq!(many, [&b"one"[..], b"t\xffwo", b"three"]);
        assert_eq!(envoy.get_request_header_values("x-empty").len(), 1);
        assert_eq!(envoy.get_request_header_values("x-none").len(), 0);
        let all = envoy.get_request_headers();
        assert_eq!(all.len(), 6);
        // Two at once do not disturb each other.
        for (first, second) in all.zip(envoy.get_request_headers()) {
            assert_eq!(first, second);
        }
        let names: Vec<_> = envoy.get_request_headers().map(|(name, _)| name.to_vec()).collect();
        assert_eq!(names[1], b":authority");
        assert_eq!(envoy.get_response_headers().len(), 0);
        assert_eq!(envoy.get_response_header_value(":status"), None);
        HeadersStatus::ContinueAndDontEndStream
    });
    assert_eq!(status, HeadersStatus::ContinueAndDontEndStream);
}

#[test]
fn fields_are_edited() {
    let envoy = load("");
    let (stream, _) = on_request(&envoy, |_, envoy| {
        assert!(envoy.set_request_header("x-many", b"t\xff"));
        assert!(envoy.add_request_header(b"x-new", "1"));
        assert!(envoy.add_request_header("x-new", "2"));
        assert!(envoy.remove_request_header("x-empty"));
        assert!(envoy.remove_request_header("x-none"));
        // An empty value cannot be written, and must not remove.
        assert!(!envoy.set_request_header("x-many", ""));
        assert!(!envoy.add_request_header("x-many", ""));
        assert!(!envoy.set_response_header("x", "1"));
        envoy.clear_route_cache();
        HeadersStatus::Continue
    });
    let expected: [(&[u8], &[u8]); 5] = [
        (b":path", b"/a?b=c"),
        (b":authority", b"example.com"),
        (b"x-many", b"t\xff"),
        (b"x-new", b"1"),
        (b"x-new", b"2"),
    ];
    assert_eq!(stream.request(), expected.map(|(name, value)| (name.to_vec(), value.to_vec())));
    assert_eq!(stream.route_cache_clears(), 1);

    RESPONSE.set(Some(Rc::new(|_, envoy| {
        envoy.set_response_header(":status", "404");
        envoy.remove_response_header("server");
        assert!(envoy.get_request_header_value("x-many").is_some());
        HeadersStatus::Continue
    })));
    stream.response_headers([(":status", "200"), ("server", "x")], true);
    RESPONSE.set(None);
    assert_eq!(stream.response(), [(b":status".to_vec(), b"404".to_vec())]);
}

#[test]
fn attributes_metadata_and_counters() {
    let envoy = load("");
    REQUEST.set(Some(Rc::new(|_, envoy| {
        let text = |id| envoy.get_attribute_string(id).map(|value| value.to_vec());
        assert_eq!(text(AttributeId::RequestUrlPath), Some(b"/a".to_vec()));
        assert_eq!(text(AttributeId::RequestQuery), Some(b"b=c".to_vec()));
        assert_eq!(
            text(AttributeId::ConnectionUriSanPeerCertificate),
            Some(b"spiffe://x".to_vec())
        );
        assert_eq!(text(AttributeId::XdsRouteName), None);
        assert_eq!(envoy.get_attribute_int(AttributeId::SourcePort), Some(7));
        assert_eq!(envoy.get_attribute_int(AttributeId::UpstreamPort), None);
        assert_eq!(envoy.get_attribute_bool(AttributeId::ConnectionMtls), Some(true));
        assert_eq!(envoy.get_attribute_bool(AttributeId::HealthCheck), None);
        assert_eq!(
            envoy.increment_counter(EnvoyCounterId(9), 1),
            Err(MetricsResult::MetricNotFound)
        );
        envoy.set_dynamic_metadata_string("ns", "user", "eve");
        HeadersStatus::Continue
    })));
    let request = request()
        .attribute(AttributeId::ConnectionUriSanPeerCertificate, "spiffe://x")
        .attribute_int(AttributeId::SourcePort, 7)
        .attribute_bool(AttributeId::ConnectionMtls, true);
    let stream = envoy.stream(request);
    assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
    REQUEST.set(None);
    assert_eq!(stream.metadata("ns", "user").as_deref(), Some(&b"eve"[..]));
    assert_eq!(stream.reply(), None);
    drop(stream);
    assert_eq!(envoy.counter("requests"), Some(2));
    assert_eq!(envoy.counter("others"), Some(0));
    assert_eq!(envoy.counter("unknown"), None);
}

#[test]
fn a_reply_calls_back_while_the_request_hook_runs() {
    let envoy = load("");
    let (stream, status) = on_request(&envoy, |filter, envoy| {
        filter.state.set(1);
        let names: Vec<String> = (0..12).map(|n| format!("X-{n}")).collect();
        let headers = names.iter().map(|name| (name.as_bytes(), &b"v"[..]));
        envoy.send_response(403, headers, Some(b"no"), Some("denied"));
        assert_eq!(filter.state.get(), 101);
        HeadersStatus::StopIteration
    });
    assert_eq!(status, HeadersStatus::StopIteration);
    let reply = stream.reply().expect("a reply");
    assert_eq!((reply.status, &*reply.body, &*reply.details), (403, &b"no"[..], "denied"));
    assert_eq!(reply.headers.len(), 12);
    assert_eq!(reply.headers[11], (b"x-11".to_vec(), b"v".to_vec()));
    stream.stream_complete();
    drop(stream);
    assert_eq!(SEEN.take(), ["reply 403 denied", "complete 101", "dropped"]);
}

#[test]
fn a_filter_outlives_the_hook_that_destroys_it() {
    let envoy = load("");
    REQUEST.set(Some(Rc::new(|filter, envoy| {
        envoy.send_response(403, [], None, None);
        seen("after");
        filter.state.set(filter.state.get() + 1);
        HeadersStatus::StopIteration
    })));
    let stream = envoy.stream(request());
    stream.destroy_in_reply();
    stream.request_headers(true);
    REQUEST.set(None);
    drop(stream);
    assert_eq!(SEEN.take(), ["reply 403 ", "after", "dropped"]);
}

#[test]
fn the_replies_of_others() {
    let envoy = load("");
    let stream = envoy.stream(request());
    assert_eq!(stream.local_reply(404, "direct_response"), LocalReplyStatus::Continue);
    // The request hook never ran.
    assert_eq!(stream.response_headers([(":status", "404")], true), HeadersStatus::Continue);
    assert_eq!(stream.local_reply(599, "x"), LocalReplyStatus::ContinueAndResetStream);
    assert!(stream.reset());
}

#[test]
fn streams_interleave_and_their_memory_is_used_again() {
    let envoy = load("");
    let first = envoy.stream(request());
    let second = envoy.stream(request());
    second.request_headers(false);
    first.request_headers(true);
    first.local_reply(500, "x");
    first.stream_complete();
    drop(first);
    let third = envoy.stream(request());
    third.stream_complete();
    second.local_reply(500, "x");
    second.local_reply(500, "x");
    second.stream_complete();
    drop((second, third));
    let seen = SEEN.take();
    let ends: Vec<_> = seen.iter().filter(|line| !line.starts_with("reply")).collect();
    assert_eq!(
        ends,
        ["complete 100", "dropped", "complete 0", "complete 200", "dropped", "dropped"]
    );
}

#[test]
fn a_filter_without_data_takes_no_memory() {
    struct Config(u8);
    struct Filter;
    impl HttpFilterConfig for Config {
        type Filter = Filter;
        fn new(_: &mut EnvoyHttpFilterConfig, _: &str, config: &[u8]) -> Option<Self> {
            config.first().copied().map(Config)
        }
        fn new_http_filter(&self, _: &EnvoyHttpFilter) -> Filter {
            Filter
        }
    }
    impl HttpFilter for Filter {
        type Config = Config;
        fn on_request_headers(
            &self,
            config: &Config,
            envoy: &mut EnvoyHttpFilter,
            _: bool,
        ) -> HeadersStatus {
            envoy.set_request_header("x-config", &[config.0]);
            HeadersStatus::Continue
        }
    }
    assert!(FakeEnvoy::<Config>::load("", b"").is_none());
    let envoy = FakeEnvoy::<Config>::load("", b"c").expect("a configuration");
    let stream = envoy.stream(request());
    stream.request_headers(true);
    // Hooks that it did not ask for.
    assert_eq!(stream.response_headers([(":status", "200")], true), HeadersStatus::Continue);
    assert_eq!(stream.response_body(&[b"content"], false), BodyStatus::Continue);
    assert_eq!(stream.response_trailers([("x-sum", "1")]), TrailersStatus::Continue);
    assert_eq!(stream.local_reply(599, ""), LocalReplyStatus::Continue);
    stream.stream_complete();
    assert_eq!(stream.request().last(), Some(&(b"x-config".to_vec(), b"c".to_vec())));
}

#[test]
fn neither_needs_a_configuration_data() {
    struct Config;
    struct Filter;
    impl HttpFilterConfig for Config {
        type Filter = Filter;
        fn new(_: &mut EnvoyHttpFilterConfig, _: &str, _: &[u8]) -> Option<Self> {
            Some(Config)
        }
        fn new_http_filter(&self, _: &EnvoyHttpFilter) -> Filter {
            Filter
        }
    }
    impl HttpFilter for Filter {
        type Config = Config;
        fn on_request_headers(
            &self,
            _: &Config,
            envoy: &mut EnvoyHttpFilter,
            _: bool,
        ) -> HeadersStatus {
            envoy.set_request_header("x-ran", "1");
            HeadersStatus::Continue
        }
    }
    let envoy = FakeEnvoy::<Config>::load("", b"").expect("a configuration");
    let stream = envoy.stream(request());
    assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
    assert_eq!(stream.request().last(), Some(&(b"x-ran".to_vec(), b"1".to_vec())));
}

fn unevaluated() -> u8 {
    panic!("the level is off")
}

#[test]
fn logging_has_levels() {
    drop(load(""));
    envoy_log_debug!("{}", unevaluated());
    envoy_log_info!("{} and {:?}", 1, "a");
    log(LogLevel::Warn, b"t\xffwo");
    set_log_level(LogLevel::Off);
    assert!(!log_enabled(LogLevel::Critical));
    envoy_log_critical!("lost");
    set_log_level(LogLevel::Trace);
    assert!(log_enabled(LogLevel::Trace) && !log_enabled(LogLevel::Off));
    let logs: Vec<_> = take_logs().into_iter().map(|line| (line.level, line.message)).collect();
    assert_eq!(
        logs,
        [(LogLevel::Info, "1 and \"a\"".into()), (LogLevel::Warn, "t\u{fffd}wo".into())]
    );
}
