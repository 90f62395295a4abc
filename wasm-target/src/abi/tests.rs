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
