use super::*;
use crate::abi::{self, Status};
use crate::arena::Event;

fn host() {
    reset();
    with(|host| {
        host.create_root(1);
        host.create_stream(2, 1).request.add(b":path", b"/");
    });
}

fn sees(map: MapType) -> bool {
    let event = Event::begin();
    abi::header_map_pairs(&event, map).is_ok_and(|bytes| !bytes.is_empty())
}

fn deny() -> Action {
    let fields = [(&b"x-a"[..], &b"1"[..])];
    abi::send_local_response(401, b"d", b"a b%\n\xff\n", fields.into_iter()).unwrap();
    Action::Pause
}

#[test]
fn the_request_is_there_while_it_is_held() {
    host();
    assert_eq!(on_request_headers(2, || Action::Pause), End::Pause);
    assert!(within(2, || sees(MapType::HttpRequestHeaders)));
    assert_eq!(on_request_headers(2, || Action::Continue), End::Continue);
    assert!(!within(2, || sees(MapType::HttpRequestHeaders)));
}

#[test]
fn the_response_callback_sees_the_response_alone() {
    host();
    with_stream(2, |stream| stream.response.add(b":status", b"200").is_empty());
    on_request_headers(2, || Action::Continue);
    let end = on_response_headers(2, || {
        assert!(sees(MapType::HttpResponseHeaders));
        assert!(!sees(MapType::HttpRequestHeaders));
        Action::Continue
    });
    assert_eq!(end, End::Continue);
    assert!(!within(2, || sees(MapType::HttpResponseHeaders)));
}

#[test]
fn a_local_reply_comes_back_as_the_response() {
    host();
    assert_eq!(on_request_headers(2, deny), End::Reply);
    let end = on_response_headers(2, || {
        assert!(sees(MapType::HttpRequestHeaders));
        abi::add_header_map_value(MapType::HttpResponseHeaders, b"x-b", b"2").unwrap();
        Action::Continue
    });
    assert_eq!(end, End::Continue);
    let wanted: Fields = [
        (":status", "401"),
        ("x-a", "1"),
        ("content-length", "7"),
        ("content-type", "text/plain"),
        ("x-b", "2"),
    ]
    .into_iter()
    .collect();
    assert_eq!(with(|host| host.streams[&2].response.clone()), wanted);
}

#[test]
fn a_reply_to_the_response_takes_its_place() {
    host();
    with_stream(2, |stream| stream.response.add(b":status", b"200").is_empty());
    on_request_headers(2, || Action::Continue);
    assert_eq!(on_response_headers(2, deny), End::Reply);
    with_stream(2, |stream| assert!(stream.response.values(b":status").eq([b"401"])));
}

#[test]
fn the_reply_of_an_earlier_filter_does_not_come_by() {
    host();
    assert_eq!(on_response_headers(2, || unreachable!()), End::Continue);
}

#[test]
fn a_grpc_client_gets_trailers() {
    host();
    with_stream(2, |stream| {
        stream.request.add(b"content-type", b"application/grpc+proto").is_empty()
    });
    on_request_headers(2, deny);
    let wanted: Fields = [
        (":status", "200"),
        ("x-a", "1"),
        ("content-type", "application/grpc"),
        ("grpc-status", "16"),
        ("grpc-message", "a b%25%0A%FF%0A"),
    ]
    .into_iter()
    .collect();
    assert_eq!(with(|host| host.streams[&2].response.clone()), wanted);
}

#[test]
fn without_a_body_there_is_no_content_type() {
    let fields = [("content-type", "text/html"), ("content-length", "99"), ("x-a", "1")];
    let mut reply = LocalReply {
        status: 403,
        details: vec![],
        body: vec![],
        fields: fields.into_iter().collect(),
        grpc_status: -1,
    };
    let wanted: Fields = [(":status", "403"), ("x-a", "1")].into_iter().collect();
    assert_eq!(reply.response(false), wanted);
    reply.body = b"b".to_vec();
    assert!(reply.response(false).values(b"content-type").eq([b"text/html"]));
    assert!(reply.response(false).values(b"content-length").eq([b"1"]));
}

#[test]
fn grpc_is_a_content_type_of_its_own() {
    let grpc = |value: &str| {
        let request = [("content-type", value)].into_iter().collect();
        Stream { request, ..Stream::default() }.is_grpc()
    };
    assert!(grpc("application/grpc") && grpc("application/grpc+proto"));
    assert!(!grpc("application/grpcx") && !grpc("application/json"));
}

#[test]
fn statuses_map_to_grpc_as_envoy_does() {
    let code = |status, grpc_status| {
        let fields = Fields::default();
        LocalReply { status, details: vec![], body: vec![], fields, grpc_status }.grpc_code()
    };
    let codes = [400, 401, 403, 404, 429, 500, 502, 503, 504].map(|status| code(status, -1));
    assert_eq!(codes, [13, 16, 7, 12, 14, 2, 14, 14, 14]);
    assert_eq!(code(401, 0), 0);
}

#[test]
fn fields_ignore_case_and_know_host() {
    let mut fields: Fields =
        [("X-A", "1"), ("b", "2"), ("x-a", "3"), ("Host", "h")].into_iter().collect();
    fields.replace(b"x-A", b"4").add(b"B", b"5");
    let lines = [("x-a", "4"), ("b", "2"), (":authority", "h"), ("b", "5")];
    assert!(fields.iter().eq(lines.map(|(name, value)| (name.as_bytes(), value.as_bytes()))));
    assert!(fields.values(b"HOST").eq([b"h"]));
    assert!(fields.remove(b"host").remove(b"b").remove(b"x-a").is_empty());
}

#[test]
fn calls_from_inside_of_with_are_refused() {
    host();
    let answer = with(|_| abi::set_effective_context(1));
    assert_eq!(answer, Err(Status::InternalFailure));
}

#[test]
fn deleting_a_root_ends_its_streams() {
    host();
    with(|host| host.delete_context(1));
    assert!(with(|host| host.streams.is_empty()));
    assert_eq!(on_request_headers(2, || Action::Continue), End::Continue);
}

/// A stream whose response has begun, with what holds at most 10 bytes.
fn response() {
    host();
    on_request_headers(2, || Action::Continue);
    on_response_headers(2, || Action::Continue);
    with_stream(2, |stream| stream.content.limit = 10);
}

fn piece(bytes: &[u8], action: Action) -> (usize, End) {
    let mut seen = 0;
    let end = on_response_body(2, bytes, false, |size, _| {
        seen = size;
        action
    });
    (seen, end)
}

fn content() -> Vec<u8> {
    with(|host| host.streams[&2].content.sent.clone())
}

#[test]
fn content_is_held_while_paused() {
    response();
    assert_eq!(piece(b"one", Action::Continue), (3, End::Continue));
    assert_eq!(piece(b"two", Action::Pause), (3, End::Pause));
    assert_eq!((piece(b"six", Action::Pause), content()), ((6, End::Pause), b"one".to_vec()));
    assert_eq!(piece(b"", Action::Continue), (6, End::Continue));
    assert_eq!(piece(b"!", Action::Continue), (1, End::Continue));
    assert_eq!(content(), b"onetwosix!");
}

#[test]
fn trailers_let_go_what_is_held() {
    response();
    assert_eq!(piece(b"two", Action::Pause), (3, End::Pause));
    assert_eq!(on_response_trailers(2, || Action::Pause), End::Pause);
    assert_eq!(on_response_trailers(2, || Action::Continue), End::Continue);
    assert_eq!(content(), b"two");
}

#[test]
fn what_cannot_be_held_closes_the_stream() {
    response();
    assert_eq!(piece(b"0123456789x", Action::Continue), (11, End::Continue));
    assert_eq!(piece(b"0123456789x", Action::Pause), (11, End::Close));
    response();
    assert_eq!(piece(b"0", Action::Pause), (1, End::Pause));
    // The module is not asked.
    assert_eq!(piece(b"123456789x", Action::Continue), (0, End::Close));
    assert_eq!(content(), b"");
}

#[test]
fn a_reply_after_the_fields_closes_the_stream() {
    response();
    assert_eq!(on_response_body(2, b"one", true, |_, _| deny()), End::Close);
    // The content of a reply is no such thing.
    host();
    on_request_headers(2, deny);
    on_response_headers(2, || Action::Continue);
    assert_eq!(piece(b"one", Action::Continue), (3, End::Continue));
}

#[test]
fn a_buffer_is_written_to_from_either_end() {
    let written = |start, size| {
        let mut buffer = b"abc".to_vec();
        content::write(&mut buffer, start, size, b"xy").map(|()| buffer)
    };
    let cases: [(usize, usize, &[u8]); 6] = [
        (0, 0, b"xyabc"),
        (0, 1, b"xybc"),
        (0, 3, b"xy"),
        (0, usize::MAX, b"xy"),
        (3, 0, b"abcxy"),
        (9, 9, b"abcxy"),
    ];
    for (start, size, wanted) in cases {
        assert_eq!(written(start, size), Ok(wanted.to_vec()), "{start} {size}");
    }
    assert!(written(1, 1).is_err());
}
