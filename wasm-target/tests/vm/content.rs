//! What a VM does with the content of responses.

use super::*;

/// Makes problems of errors, and takes 20 bytes for a detail.
const PROBLEMS: &str = r#"{"filters": [
    {"headers": {"response": [{"set": {"name": "x-by", "value": "it"}}]}},
    {"problem_json": {"max_body_bytes": 20, "types": "about:blank", "instance": "none"}}
]}"#;

impl Test {
    /// A stream whose request has gone on, and whose response has this status and these fields.
    fn answered(&mut self, status: &str, fields: &[(&str, &str)]) -> u32 {
        let stream = self.stream(1, &[]);
        assert_eq!(self.request(stream), End::Continue);
        fakes::with(|host| {
            let stream = host.streams.get_mut(&stream).unwrap();
            stream.response.replace(b":status", status.as_bytes()).add(b"set-cookie", b"a=b");
            for (name, value) in fields {
                stream.response.add(name.as_bytes(), value.as_bytes());
            }
            stream.properties.insert(b"response\0code_details".into(), b"via_upstream".into());
        });
        stream
    }

    /// One whose content is to be replaced, and that may have trailers.
    fn replacing(&mut self) -> u32 {
        self.replacing_with(&[])
    }

    fn replacing_with(&mut self, fields: &[(&str, &str)]) -> u32 {
        let stream = self.answered("500", fields);
        assert_eq!(self.response(stream), End::Continue);
        stream
    }

    fn headers_alone(&self, stream: u32) -> End {
        fakes::on_response_headers(stream, || self.vm.on_response_headers(stream, true))
    }

    fn body(&self, stream: u32, piece: &str, ends: bool) -> End {
        fakes::on_response_body(stream, piece.as_bytes(), ends, |size, ends| {
            self.vm.on_response_body(stream, size, ends)
        })
    }

    fn trailers(&self, stream: u32) -> End {
        fakes::on_response_trailers(stream, || self.vm.on_response_trailers(stream))
    }
}

fn sent(stream: u32) -> String {
    fakes::with(|host| String::from_utf8_lossy(&host.streams[&stream].content.sent).into_owned())
}

fn problem(detail: &str) -> String {
    let detail =
        if detail.is_empty() { String::new() } else { format!(",\"detail\":\"{detail}\"") };
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"Internal Server Error\",\"status\":500{detail}}}"
    )
}

const CUT: &str = "01234567890123456789 … (truncated)";

#[test]
fn what_nobody_replaces_goes_on_without_a_call() {
    let mut test = Test::with(PROBLEMS);
    let stream = test.answered("200", &[("content-length", "7")]);
    assert_eq!(test.response(stream), End::Continue);
    let calls = fakes::with(|host| host.calls.len());
    assert_eq!(test.body(stream, "one", false), End::Continue);
    assert_eq!(sent(stream), "one", "nothing is held");
    assert_eq!(test.body(stream, " two", false), End::Continue);
    assert_eq!(test.trailers(stream), End::Continue);
    assert_eq!(sent(stream), "one two");
    assert_eq!(fakes::with(|host| host.calls.len()), calls);
    assert_eq!(answered(stream, "content-length"), ["7"]);
}

#[test]
fn content_is_replaced_at_its_end() {
    let pieces: [(&[(&str, bool)], &str); 6] = [
        (&[("one", true)], "one"),
        (&[("one", false), ("", true)], "one"),
        (&[("one", false), (" two", true)], "one two"),
        (&[("", true)], ""),
        (&[("", false), ("", false), ("one", false), ("", true)], "one"),
        (&[("0123456789", false), ("0123456789", false), ("", true)], "01234567890123456789"),
    ];
    for (pieces, detail) in pieces {
        let mut test = Test::with(PROBLEMS);
        let stream = test.replacing();
        assert_eq!(answered(stream, "content-type"), ["application/problem+json"]);
        assert_eq!(answered(stream, "content-length"), [""; 0]);
        for (piece, ends) in pieces {
            let end = if *ends { End::Continue } else { End::Pause };
            assert_eq!((test.body(stream, piece, *ends), sent(stream).is_empty()), (end, !ends));
        }
        assert_eq!(sent(stream), problem(detail), "{pieces:?}");
        assert_eq!(answered(stream, "set-cookie"), ["a=b"]);
    }
}

#[test]
fn trailers_come_after_the_new_content() {
    let mut test = Test::with(PROBLEMS);
    let stream = test.replacing();
    assert_eq!(test.body(stream, "one", false), End::Pause);
    assert_eq!(test.body(stream, " two", false), End::Pause);
    assert_eq!((test.trailers(stream), sent(stream)), (End::Continue, problem("one two")));
    // Where no content was held, Envoy has no place for any.
    let stream = test.replacing();
    assert_eq!((test.trailers(stream), sent(stream)), (End::Continue, String::new()));
}

#[test]
fn a_response_that_says_how_long_it_is_is_not_held() {
    // The new content comes with the last byte; where more comes than was said, that goes nowhere.
    for pieces in [&["one", " two"][..], &["", "one two"], &["one two", ""], &["one two", "three"]]
    {
        let mut test = Test::with(PROBLEMS);
        let stream = test.replacing_with(&[("content-length", "7")]);
        assert_eq!(answered(stream, "content-length"), [""; 0]);
        for piece in pieces {
            assert_eq!(test.body(stream, piece, false), End::Continue);
        }
        assert_eq!(sent(stream), problem("one two"), "{pieces:?}");
        assert_eq!((test.trailers(stream), sent(stream)), (End::Continue, problem("one two")));
    }
    // Less than was said.
    let mut test = Test::with(PROBLEMS);
    let stream = test.replacing_with(&[("content-length", "7")]);
    assert_eq!((test.body(stream, "one", false), sent(stream)), (End::Continue, String::new()));
    assert_eq!((test.body(stream, "", true), sent(stream)), (End::Continue, problem("one")));
}

#[test]
fn a_response_is_held_that_may_have_trailers() {
    let chunked = ("transfer-encoding", "chunked");
    let cases: [(&[(&str, &str)], End); 6] = [
        (&[], End::Pause),
        (&[chunked], End::Continue),
        (&[chunked, ("trailer", "x-t")], End::Pause),
        (&[("content-length", "9"), ("trailer", "x-t")], End::Continue),
        (&[("content-length", "no")], End::Pause),
        (&[("content-length", "99999999999999999999")], End::Pause),
    ];
    for (fields, end) in cases {
        let mut test = Test::with(PROBLEMS);
        let stream = test.replacing_with(fields);
        assert_eq!((test.body(stream, "one", false), sent(stream)), (end, String::new()));
        assert_eq!(test.body(stream, " two", true), End::Continue, "{fields:?}");
        assert_eq!(sent(stream), problem("one two"), "{fields:?}");
    }
    // Trailers that nothing has told of: there is no buffer for content.
    let mut test = Test::with(PROBLEMS);
    let stream = test.replacing_with(&[chunked]);
    assert_eq!(test.body(stream, "one", false), End::Continue);
    assert_eq!((test.trailers(stream), sent(stream)), (End::Continue, String::new()));
}

#[test]
fn what_filters_write_does_not_tell_whether_trailers_come() {
    let chunked = ("transfer-encoding", "chunked");
    let cases = [
        (r#"{"field": "trailer", "value": "x-t"}"#, &[chunked][..], End::Continue),
        (r#"{"field": "trailer"}"#, &[chunked, ("trailer", "x-t")], End::Pause),
        (r#"{"field": "transfer-encoding"}"#, &[chunked], End::Continue),
        (r#"{"field": "content-length"}"#, &[("content-length", "7")], End::Continue),
    ];
    for (edit, fields, end) in cases {
        // The later filter is the first to have the response.
        let problem_json = r#"{"problem_json": {"types": "about:blank", "instance": "none"}}"#;
        let mut test =
            Test::with(&format!(r#"{{"filters": [{problem_json}, {{"blind": {edit}}}]}}"#));
        let stream = test.answered("500", fields);
        let before = count("proxy_get_header_map_pairs");
        assert_eq!(test.response(stream), End::Continue);
        assert_eq!(count("proxy_get_header_map_pairs") - before, 1, "{edit}");
        assert_eq!((test.body(stream, "one", false), sent(stream)), (end, String::new()), "{edit}");
        test.body(stream, " two", true);
        assert_eq!(sent(stream), problem("one two"), "{edit}");
    }
}

#[test]
fn a_filter_may_replace_what_it_has_not_looked_at() {
    let mut test = Test::with(
        r#"{"filters": [{"blind": {"field": "x-by", "value": "it", "replaces": true}}]}"#,
    );
    let stream = test.replacing_with(&[("content-length", "7")]);
    assert_eq!(answered(stream, "content-length"), [""; 0]);
    assert_eq!((test.body(stream, "one", false), sent(stream)), (End::Continue, String::new()));
    assert_eq!(test.body(stream, " two", false), End::Continue);
    assert_eq!(sent(stream), "seen one two");
}

#[test]
fn a_piece_that_cannot_be_held_ends_a_response_that_is() {
    for (fields, end) in
        [(&[][..], End::Close), (&[("transfer-encoding", "chunked")], End::Continue)]
    {
        let mut test = Test::with(PROBLEMS);
        let stream = test.replacing_with(fields);
        fakes::with(|host| host.streams.get_mut(&stream).unwrap().content.limit = 10);
        test.body(stream, "one", false);
        assert_eq!(test.body(stream, "0123456789x", false), end);
        assert_eq!(
            (test.body(stream, "", true), sent(stream).is_empty()),
            (end, end == End::Close)
        );
    }
}

#[test]
fn what_no_filter_takes_is_not_waited_for() {
    for first in ["0123456789", "01234567890123456789", "01234567890123456789x"] {
        let mut test = Test::with(PROBLEMS);
        // A piece that Envoy could not hold.
        let large = "x".repeat(2000);
        let stream = test.replacing();
        fakes::with(|host| host.streams.get_mut(&stream).unwrap().content.limit = 1000);
        let whole = first.len() > 20;
        let end = if whole { End::Continue } else { End::Pause };
        assert_eq!(test.body(stream, first, false), end);
        if !whole {
            let rest = "0123456789".repeat(3);
            assert_eq!(test.body(stream, &rest, false), End::Continue);
        }
        let most = |call: &str| fakes::with(|host| host.count(call));
        let reads = most("proxy_get_buffer_bytes");
        assert_eq!(sent(stream), problem(CUT));
        assert_eq!(test.body(stream, &large, false), End::Continue);
        assert_eq!(test.body(stream, &large, false), End::Continue);
        assert_eq!(sent(stream), problem(CUT), "the rest goes nowhere");
        assert_eq!(most("proxy_get_buffer_bytes"), reads, "and nobody reads it");
        let last =
            if first.len() == 10 { test.trailers(stream) } else { test.body(stream, &large, true) };
        assert_eq!((last, sent(stream)), (End::Continue, problem(CUT)));
    }
}

#[test]
fn no_more_is_read_than_a_filter_takes() {
    let mut test = Test::with(PROBLEMS);
    let stream = test.replacing();
    fakes::with(|host| host.forged.insert("proxy_get_buffer_bytes", vec![b'0'; 21]));
    assert_eq!(test.body(stream, &"0".repeat(100_000), true), End::Continue);
    assert_eq!(sent(stream), problem("00000000000000000000 … (truncated)"));
}

#[test]
fn a_response_without_content_is_sent_again_with_some() {
    let mut test = Test::with(PROBLEMS);
    let stream = test.answered("500", &[("content-length", "0"), ("set-cookie", "c=d")]);
    assert_eq!(test.headers_alone(stream), End::Reply);
    assert_eq!(reply(stream), Some((500, "via_upstream".to_string())));
    assert_eq!(sent(stream), problem(""));
    assert_eq!(answered(stream, "content-length"), [problem("").len().to_string()]);
    assert_eq!(answered(stream, "content-type"), ["application/problem+json"]);
    assert_eq!(answered(stream, "set-cookie"), ["a=b", "c=d"]);
    assert_eq!(answered(stream, "x-by"), ["it"]);
    assert_eq!(answered(stream, ":status"), ["500"]);
}

#[test]
fn an_own_reply_is_complete() {
    let mut test = Test::with(
        r#"{"filters": [{"problem_json": {"types": "about:blank"}}, {"require_header": {"header": "x-a"}}]}"#,
    );
    let stream = test.stream(1, &[]);
    assert_eq!(test.request(stream), End::Reply);
    let body = fakes::with(|host| host.streams[&stream].reply.as_ref().unwrap().body.clone());
    assert!(body.starts_with(br#"{"type":"about:blank""#));
    let calls = fakes::with(|host| host.calls.len());
    assert_eq!(test.response(stream), End::Continue);
    assert_eq!(test.body(stream, std::str::from_utf8(&body).unwrap(), true), End::Continue);
    assert_eq!(sent(stream).as_bytes(), body);
    assert_eq!(fakes::with(|host| host.calls.len()), calls);
}

#[test]
fn responses_are_kept_apart() {
    let mut test = Test::with(PROBLEMS);
    let streams = ["one", "two", "six"].map(|text| (test.replacing(), text));
    for (stream, text) in streams {
        assert_eq!(test.body(stream, &text[..2], false), End::Pause);
    }
    for (stream, text) in streams.iter().rev() {
        assert_eq!(test.body(*stream, &text[2..], true), End::Continue);
        assert_eq!(sent(*stream), problem(text));
    }
}

#[test]
fn two_configurations_replace_each_in_its_way() {
    let mut test = Test::with(PROBLEMS);
    let other = PROBLEMS.replace("\"instance\"", "\"detail\": \"none\", \"instance\"");
    assert!(test.configure(2, &other), "{:?}", log());
    let first = test.replacing();
    let second = test.stream(2, &[]);
    assert_eq!(test.request(second), End::Continue);
    fakes::with(|host| {
        host.streams.get_mut(&second).unwrap().response.replace(b":status", b"500");
    });
    assert_eq!(test.response(second), End::Continue);
    assert_eq!(test.body(first, "one", false), End::Pause);
    // Nothing of it is taken, so there is nothing to wait for.
    assert_eq!(test.body(second, "two", false), End::Continue);
    assert_eq!(test.body(first, "", true), End::Continue);
    assert_eq!(test.body(second, "", true), End::Continue);
    assert_eq!((sent(first), sent(second)), (problem("one"), problem("")));
}

#[test]
fn the_dead_are_forgotten_half_way() {
    let mut test = Test::with(PROBLEMS);
    let (dead, alive) = (test.replacing(), test.replacing());
    for stream in [dead, alive] {
        assert_eq!(test.body(stream, "one", false), End::Pause);
    }
    delete(dead);
    let asked = |test: &Test| {
        let before = count("proxy_set_effective_context");
        test.tick(1);
        count("proxy_set_effective_context") - before
    };
    // The last call of each tick goes back to the root. Young streams are not asked for.
    assert_eq!([asked(&test), asked(&test), asked(&test)], [1, 3, 2]);
    assert_eq!(test.body(alive, "", true), End::Continue);
    assert_eq!((sent(alive), asked(&test)), (problem("one"), 1));
}

#[test]
fn a_call_that_fails_closes_the_stream() {
    for call in ["proxy_get_buffer_bytes", "proxy_set_buffer_bytes"] {
        for (started, ends) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut test = Test::with(PROBLEMS);
            let stream = test.replacing();
            if started {
                assert_eq!(test.body(stream, "one", false), End::Pause);
            }
            refuse(call, NOT_ALLOWED);
            let context = format!("{call} {started} {ends}");
            assert_eq!(test.body(stream, "secret", ends), End::Close, "{context}");
            assert_eq!(sent(stream), "", "{context}");
            assert!(log().concat().contains("so it is closed"), "{:?}", log());
            allow(call);
            let stream = test.replacing();
            assert_eq!(test.body(stream, "one", true), End::Continue);
            assert_eq!(sent(stream), problem("one"), "the next one is none the worse");
        }
    }
}

#[test]
fn a_call_that_fails_before_trailers_or_in_the_rest_closes_the_stream() {
    let mut test = Test::with(PROBLEMS);
    let (held, done) = (test.replacing(), test.replacing());
    assert_eq!(test.body(held, "one", false), End::Pause);
    assert_eq!(test.body(done, &"one".repeat(10), false), End::Continue);
    let before = sent(done);
    refuse("proxy_set_buffer_bytes", NOT_ALLOWED);
    assert_eq!((test.trailers(held), sent(held)), (End::Close, String::new()));
    assert_eq!((test.body(done, "rest", true), sent(done)), (End::Close, before));
}

#[test]
fn short_and_long_reads_close_the_stream() {
    for bytes in ["", "on", "ones"] {
        let mut test = Test::with(PROBLEMS);
        let stream = test.replacing();
        fakes::with(|host| host.forged.insert("proxy_get_buffer_bytes", bytes.into()));
        assert_eq!((test.body(stream, "one", true), sent(stream)), (End::Close, String::new()));
    }
}

#[test]
fn where_it_cannot_be_closed_nothing_more_of_it_goes_on() {
    let mut test = Test::with(PROBLEMS);
    let (first, second) = (test.replacing(), test.replacing());
    refuse("proxy_set_buffer_bytes", NOT_ALLOWED);
    refuse("proxy_close_stream", NOT_ALLOWED);
    for stream in [first, second] {
        assert_eq!(test.body(stream, "one", false), End::Pause);
    }
    assert!(log().concat().contains("so it is held"), "{:?}", log());
    allow("proxy_set_buffer_bytes");
    allow("proxy_close_stream");
    assert_eq!(
        (test.body(first, "two", false), test.body(first, "", true)),
        (End::Pause, End::Pause)
    );
    assert_eq!(test.trailers(second), End::Pause);
    assert_eq!((sent(first), sent(second)), (String::new(), String::new()));
}

#[test]
fn a_call_that_fails_where_there_is_no_content_fails_closed() {
    let calls =
        ["proxy_get_header_map_pairs", "proxy_get_property", "proxy_remove_header_map_value"];
    for call in calls {
        let mut test = Test::with(PROBLEMS);
        let stream = test.answered("500", &[("content-length", "0")]);
        refuse(call, NOT_ALLOWED);
        assert_eq!((test.headers_alone(stream), reply(stream)), (End::Reply, failed()), "{call}");
        assert_eq!(sent(stream), "");
        assert_eq!(answered(stream, "set-cookie"), [""; 0]);
    }
    let mut test = Test::with(PROBLEMS);
    let stream = test.answered("500", &[]);
    refuse("proxy_send_local_response", NOT_ALLOWED);
    assert_eq!((test.headers_alone(stream), reply(stream)), (End::Pause, None));
    // Nor does anything else of a response that could not be refused go on.
    let streams = [true, false].map(|ends| {
        let stream = test.answered("500", &[]);
        refuse("proxy_get_header_map_pairs", NOT_ALLOWED);
        assert_eq!((test.response(stream), reply(stream)), (End::Pause, None));
        allow("proxy_get_header_map_pairs");
        assert_eq!(test.body(stream, "secret", ends), End::Pause);
        stream
    });
    allow("proxy_send_local_response");
    assert_eq!(test.body(streams[1], "secret", false), End::Pause);
    assert_eq!(test.trailers(streams[1]), End::Pause);
    assert_eq!(streams.map(sent), [""; 2]);
}

#[test]
fn where_the_host_does_not_tell_whose_a_stream_is_it_is_closed() {
    let mut test = Test::with(PROBLEMS);
    assert!(test.configure(2, PROBLEMS));
    let stream = test.replacing();
    refuse("proxy_call_foreign_function", NOT_ALLOWED);
    assert_eq!((test.body(stream, "one", true), sent(stream)), (End::Close, String::new()));
}

#[test]
fn a_module_for_headers_refuses_what_needs_content() {
    let mut test = Test::new();
    test.vm.without_content();
    let named = PROBLEMS.replace("\"instance\"", "\"name\": \"errors\", \"instance\"");
    for (config, name) in [(PROBLEMS, "problem_json"), (named.as_str(), "errors")] {
        assert!(!test.configure(1, config));
        let last = log().pop().unwrap();
        assert_eq!(
            last,
            format!(
                "pintle: configuration refused: the filter `{name}` replaces the content of \
                 responses, and this module was written with `pintle module --headers`, as \
                 pintle-headers.wasm is, and sees none of it; load the one written without it, as \
                 pintle.wasm is"
            )
        );
    }
    // Own replies are replaced before they are sent.
    let own = r#"{"filters": [{"require_header": {"header": "x-a", "deny": {"format": "problem_json"}}}]}"#;
    assert!(test.configure(1, own), "{:?}", log());
    let stream = test.stream(1, &[]);
    assert_eq!(test.request(stream), End::Reply);
    let body = fakes::with(|host| host.streams[&stream].reply.as_ref().unwrap().body.clone());
    assert!(body.starts_with(br#"{"type":"#));
}

#[test]
#[cfg_attr(miri, ignore = "megabytes of content, and none differs in its unsafe code")]
fn content_of_the_dead_is_forgotten_by_its_bytes() {
    /// Nine of them are more than is kept unasked.
    const PIECE_BYTES: usize = 512 * 1024;

    let mut test = Test::with(r#"{"filters": [{"problem_json": {"max_body_bytes": 1048576}}]}"#);
    let piece = "x".repeat(PIECE_BYTES);
    let alive = test.replacing();
    assert_eq!(test.body(alive, "alive", false), End::Pause);
    let before = count("proxy_set_effective_context");
    for _ in 0..72 {
        let stream = test.replacing();
        test.body(stream, &piece, false);
        delete(stream);
    }
    // Each sweep asks for some nine streams, and finds all but one dead.
    let asked = count("proxy_set_effective_context") - before;
    assert!((60..120).contains(&asked), "{asked}");
    assert_eq!(test.body(alive, "", true), End::Continue);
    assert!(sent(alive).contains(r#""detail":"alive""#));
}
