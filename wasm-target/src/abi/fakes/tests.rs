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
