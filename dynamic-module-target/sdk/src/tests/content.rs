//! The content of responses.

use super::*;
use crate::fakes::ContentCallback;

fn on_body(hook: impl Fn(&mut EnvoyHttpFilter, bool) -> BodyStatus + 'static) {
    BODY.set(Some(Rc::new(hook)));
}

fn on_trailers(hook: impl Fn(&mut EnvoyHttpFilter) -> TrailersStatus + 'static) {
    TRAILERS.set(Some(Rc::new(hook)));
}

/// A stream whose response has begun, and goes on.
fn responding(envoy: &FakeEnvoy<Script>) -> FakeStream<'_, Script> {
    let stream = envoy.stream(request());
    assert_eq!(stream.response_headers([(":status", "200")], false), HeadersStatus::Continue);
    stream
}

/// Takes the whole piece out of the message.
fn drain(envoy: &mut EnvoyHttpFilter) {
    assert!(envoy.drain_received_response_body(envoy.get_received_response_body_size()));
}

#[test]
fn content_is_read_drained_and_appended() {
    let envoy = load("");
    on_body(|envoy, end_of_stream| {
        assert!(end_of_stream);
        assert_eq!(envoy.get_received_response_body_size(), 7);
        let chunks = envoy.get_received_response_body();
        assert_eq!(chunks.len(), 3);
        // Two at once do not disturb each other.
        let again = envoy.get_received_response_body();
        assert!(chunks.zip(again).all(|(first, second)| first == second));
        let joined: Vec<u8> =
            envoy.get_received_response_body().flat_map(|chunk| chunk.to_vec()).collect();
        assert_eq!(joined, b"abc\xffdef");
        assert!(envoy.drain_received_response_body(4));
        assert!(envoy.append_received_response_body(b"ghi"));
        assert!(envoy.append_received_response_body(b""));
        assert_eq!(envoy.get_received_response_body_size(), 6);
        BodyStatus::Continue
    });
    let stream = responding(&envoy);
    assert_eq!(stream.response_body(&[b"abc", b"", b"\xffdef"], true), BodyStatus::Continue);
    assert_eq!(stream.content(), b"defghi");
    on_body(|envoy, _| {
        assert_eq!(envoy.get_received_response_body().count(), 0);
        assert!(envoy.drain_received_response_body(usize::MAX));
        BodyStatus::Continue
    });
    let stream = responding(&envoy);
    stream.response_body(&[], true);
    assert_eq!(stream.content(), b"");
}

#[test]
fn stopped_content_is_dropped_or_goes_on_with_what_follows() {
    let envoy = load("");
    on_body(|envoy, end_of_stream| match end_of_stream {
        true => BodyStatus::Continue,
        false if envoy.get_received_response_body().next().as_deref() == Some(b"drop") => {
            BodyStatus::StopIterationNoBuffer
        }
        false => BodyStatus::StopIterationAndBuffer,
    });
    let stream = responding(&envoy);
    for piece in [&b"drop"[..], b"keep", b"drop"] {
        stream.response_body(&[piece], false);
        assert_eq!(stream.content(), b"");
    }
    stream.response_body(&[b" last"], true);
    assert_eq!(stream.content(), b"keep last");
}

#[test]
fn content_is_put_before_trailers() {
    let envoy = load("");
    on_body(|envoy, _| {
        drain(envoy);
        BodyStatus::StopIterationNoBuffer
    });
    on_trailers(|envoy| {
        let sum = envoy.get_header_value(HeaderType::ResponseTrailer, "x-sum");
        assert_eq!(sum.as_deref(), Some(&b"1"[..]));
        assert!(!envoy.append_received_response_body(b"there is no piece"));
        assert!(envoy.append_buffered_response_body(b"new"));
        TrailersStatus::Continue
    });
    let respond = |stream: FakeStream<'_, Script>| {
        stream.response_body(&[b"old"], false);
        assert_eq!(stream.response_trailers([("X-Sum", "1")]), TrailersStatus::Continue);
        stream.content()
    };
    assert_eq!(respond(responding(&envoy)), b"new");
    let stream = responding(&envoy);
    stream.leave_buffer();
    assert_eq!(respond(stream), b"new");
}

#[test]
fn a_response_without_content_is_given_some() {
    let envoy = load("");
    RESPONSE.set(Some(Rc::new(|_, envoy| {
        assert!(envoy.append_buffered_response_body(b"given"));
        HeadersStatus::Continue
    })));
    let stream = envoy.stream(request());
    stream.response_headers([(":status", "404")], true);
    assert_eq!(stream.content(), b"given");
}

#[test]
fn outside_its_hook_there_is_no_content() {
    let envoy = load("");
    let (_stream, _) = on_request(&envoy, |_, envoy| {
        assert_eq!(envoy.get_received_response_body_size(), 0);
        assert_eq!(envoy.get_received_response_body().len(), 0);
        assert!(!envoy.drain_received_response_body(1));
        assert!(!envoy.append_received_response_body(b"x"));
        HeadersStatus::Continue
    });
}

#[test]
fn a_callback_that_fails_changes_nothing_and_says_so() {
    for callback in [ContentCallback::Read, ContentCallback::Drain, ContentCallback::Append] {
        let envoy = load("");
        on_body(move |envoy, _| {
            let (piece, fails) = (&b"abc"[..], |other| callback == other);
            assert_eq!(envoy.get_received_response_body_size(), piece.len());
            let chunks = envoy.get_received_response_body();
            let lent = chunks.map(|chunk| chunk.len()).sum::<usize>();
            assert_eq!(lent == 0, fails(ContentCallback::Read));
            assert_ne!(envoy.drain_received_response_body(1), fails(ContentCallback::Drain));
            assert_ne!(envoy.append_received_response_body(b"d"), fails(ContentCallback::Append));
            assert_ne!(envoy.append_buffered_response_body(b"e"), fails(ContentCallback::Append));
            BodyStatus::Continue
        });
        let stream = responding(&envoy);
        stream.refuse_content(callback);
        stream.response_body(&[b"abc"], true);
        let sent = match callback {
            ContentCallback::Read => &b"bcd"[..],
            ContentCallback::Drain => b"abcd",
            ContentCallback::Append => b"bc",
        };
        assert_eq!(stream.content(), sent, "{callback:?}");
    }
}

#[test]
fn a_response_is_held_until_its_content_is_there() {
    let envoy = load("");
    RESPONSE.set(Some(Rc::new(|_, _| HeadersStatus::StopIteration)));
    on_body(|envoy, end_of_stream| {
        drain(envoy);
        if end_of_stream { BodyStatus::Continue } else { BodyStatus::StopIterationNoBuffer }
    });
    on_trailers(|envoy| {
        assert!(envoy.append_buffered_response_body(b"new"));
        TrailersStatus::Continue
    });
    let begin = || {
        let stream = envoy.stream(request());
        let status = stream.response_headers([(":status", "200")], false);
        assert_eq!((status, stream.has_gone()), (HeadersStatus::StopIteration, false));
        stream
    };
    let stream = begin();
    stream.response_body(&[b"old"], false);
    assert!(!stream.has_gone());
    stream.response_body(&[], true);
    assert!(stream.has_gone());
    // There may be trailers and nothing else.
    let stream = begin();
    stream.leave_buffer();
    stream.response_trailers([("x-sum", "1")]);
    assert_eq!((stream.has_gone(), &*stream.content()), (true, &b"new"[..]));
    // As long as it is held it can be replaced.
    on_body(|_, _| panic!("secret"));
    let stream = begin();
    assert_eq!(stream.response_body(&[b"old"], false), BodyStatus::StopIterationNoBuffer);
    assert_eq!(stream.reply().map(|reply| reply.status), Some(500));
    assert_eq!(stream.reset_details(), None);
}

#[test]
fn a_reply_that_comes_too_late_is_a_reset() {
    let envoy = load("");
    on_body(|envoy, _| {
        envoy.send_response(500, [], None, Some("late"));
        seen("after");
        BodyStatus::StopIterationNoBuffer
    });
    let stream = responding(&envoy);
    stream.response_body(&[b"a"], false);
    assert_eq!(stream.reset_details().as_deref(), Some("late"));
    assert_eq!((stream.replies(), stream.content()), (0, Vec::new()));
    drop(stream);
    assert_eq!(SEEN.take(), ["complete 0", "after", "dropped"]);
}

#[test]
fn a_configuration_without_work_with_content_is_not_asked() {
    on_body(|_, _| unreachable!());
    on_trailers(|_| unreachable!());
    let envoy = load("no content");
    let stream = responding(&envoy);
    assert_eq!(stream.response_body(&[b"a"], false), BodyStatus::Continue);
    assert_eq!(stream.response_trailers([("x-sum", "1")]), TrailersStatus::Continue);
    assert_eq!(stream.content(), b"a");
}
