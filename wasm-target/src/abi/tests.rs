use super::*;
use crate::abi::fakes::{End, Fields};
use crate::pairs::Pairs;
use proxy_wasm::types::Action;

const REQUEST: MapType = MapType::HttpRequestHeaders;
const RESPONSE: MapType = MapType::HttpResponseHeaders;

/// Root 1 with stream 2.
fn host() {
    fakes::reset();
    fakes::with(|host| {
        host.create_root(1);
        let stream = host.create_stream(2, 1);
        stream.request = [(":path", "/"), ("Host", "a.example"), ("x-a", "1"), ("x-a", "2")]
            .into_iter()
            .collect();
    });
}

fn refuse(call: &'static str, code: u32) {
    fakes::with(|host| host.refused.insert(call, code));
}

#[test]
fn every_status_has_a_name_and_zero_is_ok() {
    assert_eq!(Status::check(0), Ok(()));
    let all: Vec<_> = (1..=13).map(|code| Status::check(code).unwrap_err()).collect();
    assert_eq!(all[9], Status::InternalFailure);
    assert_eq!(all[12], Status::Other(13));
    assert!(all.iter().enumerate().all(|(at, status)| !all[..at].contains(status)));
}

#[test]
fn pairs_are_lent_for_the_event() {
    host();
    fakes::on_request_headers(2, || {
        let event = Event::begin();
        let before = Pairs::parse(header_map_pairs(&event, REQUEST).unwrap()).unwrap();
        assert_eq!(replace_header_map_value(REQUEST, b"X-A", b"3"), Ok(()));
        assert_eq!(add_header_map_value(REQUEST, b"x-b", b"\xff"), Ok(()));
        assert_eq!(remove_header_map_value(REQUEST, b"x-absent"), Ok(()));
        let after = Pairs::parse(header_map_pairs(&event, REQUEST).unwrap()).unwrap();
        assert_eq!(before.values(b"x-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(before.values(b":authority").collect::<Vec<_>>(), [b"a.example"]);
        assert_eq!(after.values(b"x-a").collect::<Vec<_>>(), [b"3"]);
        assert_eq!(after.values(b"x-b").collect::<Vec<_>>(), [b"\xff"]);
        Action::Continue
    });
}

#[test]
fn a_map_that_is_not_there() {
    host();
    fakes::within(2, || {
        let event = Event::begin();
        assert_eq!(header_map_pairs(&event, REQUEST), Ok(&b""[..]));
        for map in [REQUEST, RESPONSE, MapType::HttpCallResponseTrailers] {
            assert_eq!(add_header_map_value(map, b"a", b"b"), Err(Status::BadArgument));
            assert_eq!(replace_header_map_value(map, b"a", b"b"), Err(Status::BadArgument));
            assert_eq!(remove_header_map_value(map, b"a"), Err(Status::BadArgument));
        }
    });
}

#[test]
fn more_than_the_arena_starts_with() {
    host();
    let value = vec![b'v'; if cfg!(miri) { 10_000 } else { 300_000 }];
    fakes::with(|host| host.properties.insert(b"big".to_vec(), value.clone()));
    for _ in 0..3 {
        fakes::within(2, || {
            let event = Event::begin();
            let all: Vec<_> = (0..3).map(|_| property(&event, b"big").unwrap()).collect();
            assert!(all.iter().all(|lent| *lent == Some(&value[..])));
        });
    }
}

#[test]
fn properties() {
    host();
    fakes::with(|host| host.properties.insert(b"source\0address".to_vec(), b"1.2.3.4:5".to_vec()));
    fakes::within(2, || {
        let event = Event::begin();
        assert_eq!(property(&event, b"source\0address"), Ok(Some(&b"1.2.3.4:5"[..])));
        assert_eq!(property(&event, b"source\0port"), Ok(None));
        assert_eq!(set_property(b"pintle.user", b"ann"), Ok(()));
        assert_eq!(property(&event, b"pintle.user"), Ok(Some(&b"ann"[..])));
        assert_eq!(property(&event, b"filter_state\0wasm.pintle.user"), Ok(Some(&b"ann"[..])));
        assert_eq!(set_property(b"empty", b""), Ok(()));
        assert_eq!(property(&event, b"empty"), Ok(Some(&b""[..])));
        refuse("proxy_get_property", 3);
        assert_eq!(property(&event, b"source"), Err(Status::SerializationFailure));
    });
    let state = fakes::with(|host| host.streams[&2].filter_state.clone());
    assert_eq!(state[&b"wasm.pintle.user"[..]], b"ann");
}

#[test]
fn a_local_reply_with_everything() {
    host();
    let end = fakes::on_request_headers(2, || {
        let fields = [(&b"WWW-Authenticate"[..], &b"Basic"[..]), (b"x-a", b""), (b"x-a", b"\xff")];
        let sent = send_local_response(401, b"pintle_missing", b"no", fields.into_iter());
        assert_eq!(sent, Ok(()));
        let second = send_local_response(500, b"", b"", std::iter::empty());
        assert_eq!(second, Ok(()));
        Action::Continue
    });
    assert_eq!(end, End::Reply);
    let reply = fakes::with(|host| host.streams[&2].reply.clone()).unwrap();
    assert_eq!((reply.status, reply.grpc_status), (401, -1));
    assert_eq!((&reply.details[..], &reply.body[..]), (&b"pintle_missing"[..], &b"no"[..]));
    let fields: Fields =
        [("www-authenticate", &b"Basic"[..]), ("x-a", b""), ("x-a", b"\xff")].into_iter().collect();
    assert_eq!(reply.fields, fields);
}

#[test]
fn a_reply_that_would_lose_its_fields_is_not_sent() {
    host();
    fakes::on_request_headers(2, || {
        let field = (&b"a"[..], &b"b"[..]);
        let many = std::iter::repeat_n(field, pairs::MAX_PAIRS + 1);
        let large = vec![0; pairs::MAX_BYTES];
        let large = std::iter::once((&b"a"[..], &large[..]));
        let reply = |sent| sent == Err(ReplyError::Fields(Oversized::Pairs));
        assert!(reply(send_local_response(403, b"", b"", many)));
        let sent = send_local_response(403, b"", b"", large);
        assert_eq!(sent, Err(ReplyError::Fields(Oversized::Bytes)));
        refuse("proxy_send_local_response", 12);
        let sent = send_local_response(403, b"", b"", std::iter::empty());
        assert_eq!(sent, Err(ReplyError::Host(Status::Unimplemented)));
        Action::Continue
    });
    assert_eq!(fakes::with(|host| host.streams[&2].reply.clone()), None);
}

#[test]
fn configurations_are_there_in_their_callback_only() {
    host();
    fakes::on_configure(1, b"{\"filters\":[]}", || {
        let event = Event::begin();
        let part = |start, max| buffer_bytes(&event, BufferType::PluginConfiguration, start, max);
        assert_eq!(part(0, usize::MAX), Ok(&b"{\"filters\":[]}"[..]));
        assert_eq!(part(2, 7), Ok(&b"filters"[..]));
        assert_eq!(part(100, 7), Ok(&b""[..]));
        let vm = buffer_bytes(&event, BufferType::VmConfiguration, 0, 1);
        assert_eq!(vm, Err(Status::NotFound));
    });
    fakes::on_vm_start(1, b"vm", || {
        let event = Event::begin();
        assert_eq!(buffer_bytes(&event, BufferType::VmConfiguration, 0, 9), Ok(&b"vm"[..]));
    });
    let event = Event::begin();
    let late = buffer_bytes(&event, BufferType::PluginConfiguration, 0, 9);
    assert_eq!(late, Err(Status::NotFound));
}

#[test]
fn logs_and_levels() {
    host();
    log(LogLevel::Info, b"one\xff");
    fakes::with(|host| host.log_level = LogLevel::Warn);
    assert_eq!(log_level(), LogLevel::Warn);
    log(LogLevel::Info, b"two");
    log(LogLevel::Critical, b"three");
    let logs = fakes::with(|host| host.logs.clone());
    assert_eq!(
        logs,
        [(LogLevel::Info, b"one\xff".to_vec()), (LogLevel::Critical, b"three".to_vec())]
    );
    refuse("proxy_get_log_level", 10);
    refuse("proxy_log", 10);
    assert_eq!(log_level(), LogLevel::Info);
    log(LogLevel::Critical, b"refused, and nothing happens");
}

#[test]
fn metrics_are_one_series_per_name() {
    host();
    let first = define_metric(MetricType::Counter, b"denied").unwrap();
    let second = define_metric(MetricType::Counter, b"denied").unwrap();
    let gauge = define_metric(MetricType::Gauge, b"gauge").unwrap();
    assert_ne!(first, second);
    assert_eq!(increment_metric(first, 2), Ok(()));
    assert_eq!(increment_metric(second, 3), Ok(()));
    assert_eq!(increment_metric(first, 0), Err(Status::BadArgument));
    assert_eq!(increment_metric(gauge, -4), Ok(()));
    assert_eq!(increment_metric(0, 1), Err(Status::NotFound));
    assert_eq!(increment_metric(96, 1), Err(Status::NotFound));
    assert_eq!(increment_metric(99, 1), Err(Status::BadArgument));
    fakes::with(|host| {
        assert!(host.metrics.iter().eq([(&b"denied"[..], 5), (b"gauge", -4)]));
        assert_eq!(host.count("proxy_increment_metric"), 7);
    });
}

#[test]
fn ticks_time_and_contexts() {
    host();
    fakes::with(|host| host.now_nanoseconds = 7);
    assert_eq!(current_time_nanoseconds(), Ok(7));
    fakes::within(1, || assert_eq!(set_tick_period(5000), Ok(())));
    assert_eq!(fakes::with(|host| host.roots[&1].tick_milliseconds), 5000);
    fakes::within(1, || {
        assert_eq!(set_effective_context(2), Ok(()));
        assert_eq!(set_property(b"k", b"v"), Ok(()));
        fakes::with(|host| host.delete_context(2));
        assert_eq!(set_effective_context(2), Err(Status::BadArgument));
        assert_eq!(set_property(b"k", b"v"), Err(Status::NotFound));
    });
    refuse("proxy_get_current_time_nanoseconds", 6);
    assert_eq!(current_time_nanoseconds(), Err(Status::InvalidMemoryAccess));
}

#[test]
fn expressions_belong_to_a_root() {
    host();
    fakes::with(|host| host.create_root(3).tick_milliseconds);
    fakes::within(2, || {
        let event = Event::begin();
        let call = |name: &[u8], arguments: &[u8]| call_foreign_function(&event, name, arguments);
        let token = call(b"expr_create", br#""a \"key\"""#).unwrap();
        assert_eq!(token, 0_u32.to_le_bytes());
        assert_eq!(call(b"expr_create", b"\"open"), Err(Status::BadArgument));
        assert_eq!(call(b"expr_evaluate", token), Ok(&br#"a "key""#[..]));
        fakes::within(1, || assert!(call(b"expr_evaluate", token).is_ok()));
        fakes::within(3, || assert_eq!(call(b"expr_evaluate", token), Err(Status::NotFound)));
        assert_eq!(call(b"expr_delete", token), Ok(&b""[..]));
        assert_eq!(call(b"expr_evaluate", token), Err(Status::NotFound));
        assert_eq!(call(b"expr_evaluate", b"1"), Err(Status::BadArgument));
        assert_eq!(call(b"unknown", b""), Err(Status::NotFound));
    });
}

#[test]
fn a_callout_and_its_answer() {
    host();
    let fields = [(&b":method"[..], &b"GET"[..]), (b":path", b"/"), (b":authority", b"a")];
    let call = |cluster, fields: &[(&'static [u8], &'static [u8])]| {
        http_call(cluster, fields.iter().copied(), b"content", 250)
    };
    fakes::with(|host| host.missing_clusters.insert(b"missing".to_vec()));
    fakes::on_request_headers(2, || {
        assert_eq!(call("missing", &fields), Err(CalloutError::Host(Status::BadArgument)));
        assert_eq!(call("auth", &fields[1..]), Err(CalloutError::Host(Status::BadArgument)));
        let many = [(&b"a"[..], &b"b"[..]); pairs::MAX_PAIRS + 1];
        assert_eq!(call("auth", &many), Err(CalloutError::Fields(Oversized::Pairs)));
        assert_eq!((call("auth", &fields), call("auth", &fields)), (Ok(4), Ok(8)));
        Action::Pause
    });
    // The root context's, so it is there when the stream is not.
    fakes::with(|host| host.delete_context(2));
    let callout = fakes::with(|host| host.callouts[&4].clone());
    assert_eq!((callout.root, &*callout.cluster, callout.timeout_ms), (1, &b"auth"[..], 250));
    assert_eq!((callout.fields, &*callout.body), (fields.into_iter().collect(), &b"content"[..]));

    let mut answer = fakes::Answer::new(200, &[("x-a", "1")], b"0123456789");
    answer.trailers.add(b"x-t", b"2");
    let maps = [MapType::HttpCallResponseHeaders, MapType::HttpCallResponseTrailers];
    let read = || {
        let event = Event::begin();
        let lists = maps.map(|map| {
            let pairs = Pairs::parse(header_map_pairs(&event, map).unwrap()).unwrap();
            pairs.iter().map(|(name, value)| [name, value].concat()).collect::<Vec<_>>().concat()
        });
        let body = buffer_bytes(&event, BufferType::HttpCallResponseBody, 3, 4);
        (lists, body.map(<[u8]>::to_vec))
    };
    let seen = fakes::on_http_call_response(4, Some(answer), |root, token, fields, bytes| {
        assert_eq!((root, token, fields, bytes), (1, 4, 2, 10));
        read()
    });
    assert_eq!(seen, ([b":status200x-a1".to_vec(), b"x-t2".to_vec()], Ok(b"3456".to_vec())));
    let nothing = ([vec![], vec![]], Err(Status::NotFound));
    assert_eq!(fakes::within(1, read), nothing, "there in the callback alone");
    let seen = fakes::on_http_call_response(8, None, |_, _, fields, bytes| {
        assert_eq!((fields, bytes), (0, 0));
        read()
    });
    assert_eq!(seen, nothing);
}

#[test]
fn a_held_request_is_edited_from_elsewhere_and_goes_on() {
    host();
    assert_eq!(fakes::on_request_headers(2, || Action::Pause), End::Pause);
    fakes::within(1, || {
        assert_eq!(replace_header_map_value(REQUEST, b"x-a", b"3"), Err(Status::BadArgument));
        assert_eq!(set_effective_context(2), Ok(()));
        assert_eq!(replace_header_map_value(REQUEST, b"x-a", b"3"), Ok(()));
        assert_eq!(continue_stream(StreamType::HttpRequest), Ok(()));
        assert_eq!(replace_header_map_value(REQUEST, b"x-a", b"4"), Err(Status::BadArgument));
    });
    assert_eq!(fakes::end(2), Some(End::Continue));
    let value = fakes::with(|host| host.streams[&2].request.values(b"x-a").next().map(Vec::from));
    assert_eq!(value, Some(b"3".to_vec()));
    // The other way: a reply from elsewhere is the response at once.
    fakes::with(|host| host.create_stream(3, 1).root);
    fakes::on_request_headers(3, || Action::Pause);
    fakes::within(1, || {
        assert_eq!(set_effective_context(3), Ok(()));
        assert_eq!(send_local_response(403, b"no", b"", std::iter::empty()), Ok(()));
    });
    assert_eq!(fakes::end(3), Some(End::Reply));
    let status =
        fakes::with(|host| host.streams[&3].response.values(b":status").next() == Some(b"403"));
    assert!(status);
}

#[test]
fn shared_data_changes_hands_by_version() {
    host();
    fakes::within(1, || {
        let event = Event::begin();
        assert_eq!(shared_data(&event, b"k"), Ok(None));
        assert_eq!(set_shared_data(b"k", b"one", 0), Ok(()));
        let first = shared_data(&event, b"k").unwrap().unwrap();
        assert_eq!(set_shared_data(b"k", b"two", first.version), Ok(()));
        assert_eq!(set_shared_data(b"k", b"three", first.version), Err(Status::CasMismatch));
        let second = shared_data(&event, b"k").unwrap().unwrap();
        assert_eq!((first.bytes, second.bytes), (&b"one"[..], &b"two"[..]));
        assert_eq!(set_shared_data(b"k", b"", 0), Ok(()));
        assert_eq!(shared_data(&event, b"k").unwrap().unwrap().bytes, b"");
        assert!(!format!("{second:?}").contains("two"));
        refuse("proxy_get_shared_data", 10);
        assert_eq!(shared_data(&event, b"k"), Err(Status::InternalFailure));
    });
}

#[test]
fn histograms_record_and_gauges_move() {
    host();
    let histogram = define_metric(MetricType::Histogram, b"h").unwrap();
    let gauge = define_metric(MetricType::Gauge, b"g").unwrap();
    assert_eq!((record_metric(histogram, 3), record_metric(histogram, 5)), (Ok(()), Ok(())));
    assert_eq!(increment_metric(histogram, 1), Err(Status::BadArgument));
    assert_eq!((increment_metric(gauge, 5), increment_metric(gauge, -2)), (Ok(()), Ok(())));
    assert_eq!(record_metric(0, 1), Err(Status::NotFound));
    fakes::with(|host| {
        assert_eq!(host.metrics.recorded(b"h"), [3, 5]);
        assert_eq!(host.metrics.value(b"g"), Some(3));
    });
}

#[test]
fn content_is_read_and_written_in_its_callbacks() {
    const CONTENT: BufferType = BufferType::HttpResponseBody;

    host();
    fakes::on_request_headers(2, || Action::Continue);
    let read = || buffer_bytes(&Event::begin(), CONTENT, 0, usize::MAX).map(<[u8]>::to_vec);
    fakes::on_response_headers(2, || {
        assert_eq!((read(), replace_buffer(CONTENT, b"x")), (Ok(vec![]), Err(Status::BadArgument)));
        Action::Continue
    });
    fakes::on_response_body(2, b"one", false, |size, ends| {
        assert_eq!((size, ends, read()), (3, false, Ok(b"one".to_vec())));
        let part = buffer_bytes(&Event::begin(), CONTENT, 1, 1).map(<[u8]>::to_vec);
        assert_eq!(part, Ok(b"n".to_vec()));
        assert_eq!((replace_buffer(CONTENT, b"first"), read()), (Ok(()), Ok(b"first".to_vec())));
        Action::Continue
    });
    fakes::on_response_body(2, b"two", true, |size, ends| {
        assert_eq!((size, ends), (3, true));
        assert_eq!((replace_buffer(CONTENT, b""), read()), (Ok(()), Ok(vec![])));
        assert_eq!(replace_buffer(CONTENT, b" last"), Ok(()));
        assert_eq!(replace_buffer(BufferType::HttpRequestBody, b""), Err(Status::NotFound));
        Action::Continue
    });
    assert_eq!(fakes::with(|host| host.streams[&2].content.sent.clone()), b"first last");
    fakes::within(2, || assert_eq!(read(), Ok(vec![])));
}

#[test]
fn a_stream_is_closed_when_the_callback_returns() {
    host();
    fakes::on_request_headers(2, || Action::Continue);
    fakes::on_response_headers(2, || Action::Continue);
    let end = fakes::on_response_body(2, b"one", false, |_, _| {
        assert_eq!(close_stream(StreamType::HttpResponse), Ok(()));
        Action::Continue
    });
    assert_eq!(end, End::Close);
    let unreachable = |_, _| unreachable!();
    assert_eq!(fakes::on_response_body(2, b"two", true, unreachable), End::Close);
    assert_eq!(fakes::on_response_trailers(2, || unreachable!()), End::Close);
    assert!(fakes::with(|host| host.streams[&2].content.sent.is_empty()));
    refuse("proxy_close_stream", 10);
    fakes::within(2, || {
        assert_eq!(close_stream(StreamType::HttpResponse), Err(Status::InternalFailure));
    });
}
