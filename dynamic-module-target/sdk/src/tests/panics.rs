//! Panics, and what else can go wrong in a hook.

use super::*;
use crate::hooks;

#[test]
fn a_configuration_is_refused() {
    assert!(FakeEnvoy::<Script>::load("test", b"refused").is_none());
    assert!(FakeEnvoy::<Script>::load("test", b"\xff").is_none());
    assert!(FakeEnvoy::<Script>::load("test", b"panics").is_none());
    let logs = take_logs();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].message, "contained a panic in http_filter_config_new");
}

#[test]
fn a_panic_is_contained_in_each_hook() {
    for place in PLACES {
        let envoy = load(place);
        let stream = envoy.stream(request());
        let request = stream.request_headers(true);
        let response = stream.response_headers([(":status", "200")], false);
        if response == HeadersStatus::Continue {
            let body = stream.response_body(&[b"content"], false);
            let dropped = body == BodyStatus::StopIterationNoBuffer;
            assert_eq!((dropped, stream.content().is_empty()), (place == "body", place == "body"));
            let trailers = stream.response_trailers([("x-sum", "1")]);
            assert_eq!(trailers == TrailersStatus::StopIteration, place == "trailers");
        }
        stream.local_reply(503, "x");
        stream.stream_complete();
        let reply = stream.reply().map(|reply| (reply.status, reply.details));
        let reset = stream.reset_details();
        drop(stream);
        let answered = match place {
            "new" | "request" | "response" => Some((500, "test_panic".to_owned())),
            _ => None,
        };
        assert_eq!(reply, answered, "{place}");
        // It is too late for a reply.
        let late = matches!(place, "body" | "trailers").then(|| "test_panic".to_owned());
        assert_eq!(reset, late, "{place}");
        let stopped = |hooks: &[&str]| match hooks.contains(&place) {
            true => HeadersStatus::StopIteration,
            false => HeadersStatus::Continue,
        };
        assert_eq!(request, stopped(&["new", "request"]), "{place}");
        assert_eq!(response, stopped(&["new", "response"]), "{place}");
        let logs = take_logs();
        assert_eq!(logs.len(), 1, "{place}: {logs:?}");
        assert_eq!(logs[0].level, LogLevel::Error);
        assert!(!logs[0].message.contains("secret"));
        assert_eq!(SEEN.take().contains(&"dropped".to_owned()), place != "new", "{place}");
    }
    // Others are untouched.
    let envoy = load("");
    assert_eq!(envoy.stream(request()).request_headers(true), HeadersStatus::Continue);
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose")]
fn a_payload_that_panics_when_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("secret");
        }
    }
    let envoy = load("");
    let (stream, _) = on_request(&envoy, |_, _| std::panic::panic_any(Bomb));
    assert_eq!(stream.reply().map(|reply| reply.status), Some(500));
}

#[test]
fn hooks_that_come_after_the_end_do_nothing() {
    drop(load(""));
    let nobody = core::ptr::null_mut();
    // SAFETY: null is not followed, and without a filter nothing is asked of Envoy.
    unsafe {
        let headers = hooks::request_headers::<Script>(nobody, nobody, true);
        assert_eq!(headers, HeadersStatus::StopIteration.number());
        let details = abi::RawEnvoyBuffer::EMPTY;
        assert_eq!(hooks::local_reply::<Script>(nobody, nobody, 599, details, true), 0);
        let body = hooks::response_body::<Script>(nobody, nobody, true);
        assert_eq!(body, BodyStatus::StopIterationNoBuffer.number());
        let trailers = hooks::response_trailers::<Script>(nobody, nobody);
        assert_eq!(trailers, TrailersStatus::StopIteration.number());
        hooks::stream_complete::<Script>(nobody, nobody);
        hooks::destroy::<Script>(nobody);
    }
    assert!(SEEN.take().is_empty());
}
