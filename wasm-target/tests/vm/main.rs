//! What a VM does with configurations, streams and a host that fails.

mod blind;
mod content;

use pintle_wasm::abi::fakes::{self, End, FakeHost};
use pintle_wasm::vm::Vm;
use proxy_wasm::types::LogLevel;

/// What Envoy answers a call with that the operator does not allow.
const NOT_ALLOWED: u32 = 10;
const NOT_FOUND: u32 = 1;

/// Denies requests without this field, and marks responses.
fn config(field: &str) -> String {
    format!(
        r#"{{"filters": [
            {{"require_header": {{"header": "{field}"}}}},
            {{"headers": {{"response": [{{"append": {{"name": "x-by", "value": "{field}"}}}}]}}}}
        ]}}"#
    )
}

/// Answers with the `x-id` of the request, which the stream has to remember.
const ECHO: &str = r#"{"filters": [{"headers": {"response": [{"set": {"name": "x-echo", "value": "%REQ(x-id)%"}}]}}]}"#;

/// A VM on a fresh host.
struct Test {
    vm: Vm<blind::Filters>,
    last: u32,
}

impl Test {
    fn new() -> Self {
        fakes::reset();
        Self { vm: Vm::default(), last: 100 }
    }

    /// A VM with configuration `config` as root context 1.
    fn with(config: &str) -> Self {
        let test = Self::new();
        assert!(test.configure(1, config), "{:?}", log());
        test
    }

    fn configure(&self, root: u32, config: &str) -> bool {
        fakes::with(|host| host.create_root(root).tick_milliseconds);
        let bytes = config.as_bytes();
        fakes::on_configure(root, bytes, || self.vm.on_configure(root, bytes.len()))
    }

    fn tick(&self, root: u32) {
        fakes::within(root, || self.vm.on_tick(root));
    }

    /// A stream of `root` whose request has these fields beside pseudo-headers.
    fn stream(&mut self, root: u32, fields: &[(&str, &str)]) -> u32 {
        self.last += 1;
        fakes::with(|host| {
            let stream = host.create_stream(self.last, root);
            for (name, value) in
                [(":method", "GET"), (":path", "/"), (":authority", "a")].iter().chain(fields)
            {
                stream.request.add(name.as_bytes(), value.as_bytes());
            }
            stream.response.add(b":status", b"200");
        });
        self.last
    }

    fn request(&self, stream: u32) -> End {
        fakes::on_request_headers(stream, || self.vm.on_request_headers(stream))
    }

    fn response(&self, stream: u32) -> End {
        fakes::on_response_headers(stream, || self.vm.on_response_headers(stream, false))
    }
}

fn refuse(call: &'static str, code: u32) {
    fakes::with(|host| host.refused.insert(call, code));
}

fn allow(call: &str) {
    fakes::with(|host| host.refused.remove(call));
}

fn count(call: &str) -> usize {
    fakes::with(|host| host.count(call))
}

fn log() -> Vec<String> {
    fakes::with(|host| host.log_lines())
}

fn delete(context: u32) {
    fakes::with(|host| host.delete_context(context));
}

/// Status and details of the local reply.
fn reply(stream: u32) -> Option<(u32, String)> {
    fakes::with(|host| {
        let reply = host.streams[&stream].reply.as_ref()?;
        Some((reply.status, String::from_utf8_lossy(&reply.details).into_owned()))
    })
}

fn denied() -> Option<(u32, String)> {
    Some((403, "pintle_field_missing".to_string()))
}

fn failed() -> Option<(u32, String)> {
    Some((500, "pintle_internal_error".to_string()))
}

/// Values of a response field.
fn answered(stream: u32, name: &str) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    fakes::with(|host| host.streams[&stream].response.values(name.as_bytes()).map(text).collect())
}

fn metric(name: &str) -> Option<i64> {
    fakes::with(|host| host.metrics.value(name.as_bytes()))
}

const ALLOWED: &str = "pintle_filter=.=require_header;.;pintle_allowed";
const DENIED: &str =
    "pintle_filter=.=require_header;.;pintle_reason=.=field_missing;.;pintle_denied";

mod configurations {
    use super::*;

    #[test]
    fn two_answer_each_stream_by_its_own() {
        let mut test = Test::with(&config("x-a"));
        assert!(test.configure(2, &config("x-b")));
        for (root, field) in [(1, "x-a"), (2, "x-b"), (1, "x-a")] {
            let good = test.stream(root, &[(field, "1")]);
            let bad = test.stream(root, &[(if field == "x-a" { "x-b" } else { "x-a" }, "1")]);
            assert_eq!((test.request(good), test.request(bad)), (End::Continue, End::Reply));
            assert_eq!((test.response(good), test.response(bad)), (End::Continue, End::Continue));
            assert_eq!(reply(bad), denied());
            assert_eq!(
                (answered(good, "x-by"), answered(bad, "x-by")),
                ([field].map(String::from).into(), [field].map(String::from).into())
            );
        }
    }

    #[test]
    fn a_refused_update_leaves_the_running_one() {
        let mut test = Test::with(&config("x-a"));
        assert!(
            !test.configure(
                2,
                r#"{"filters": [{"require_header": {"header": 1}}, {"nonsense": {}}]}"#
            )
        );
        delete(2);
        let errors: Vec<String> = log();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(
            errors.iter().all(|line| line.starts_with("pintle: configuration refused: /filters/"))
        );
        let (good, bad) = (test.stream(1, &[("x-a", "1")]), test.stream(1, &[]));
        assert_eq!((test.request(good), test.request(bad)), (End::Continue, End::Reply));
        // One configuration needs no telling apart.
        assert_eq!(count("proxy_call_foreign_function"), 1);
    }

    #[test]
    fn an_update_is_for_new_streams() {
        let mut test = Test::with(&config("x-a"));
        let old = test.stream(1, &[("x-a", "1")]);
        assert_eq!(test.request(old), End::Continue);
        assert!(test.configure(2, &config("x-b")));
        let late = test.stream(1, &[("x-b", "1")]);
        let new = test.stream(2, &[("x-b", "1")]);
        assert_eq!((test.request(late), test.request(new)), (End::Reply, End::Continue));
        test.tick(2);
        assert_eq!(test.response(old), End::Continue);
        assert_eq!(answered(old, "x-by"), ["x-a"]);
        delete(1);
        test.tick(2);
        let asked = count("proxy_call_foreign_function");
        let new = test.stream(2, &[]);
        assert_eq!(test.request(new), End::Reply);
        assert_eq!(count("proxy_call_foreign_function"), asked, "the old one is forgotten");
    }

    #[test]
    fn without_expressions_there_is_one_at_a_time() {
        let mut test = Test::new();
        refuse("proxy_call_foreign_function", NOT_FOUND);
        assert!(test.configure(1, &config("x-a")));
        assert!(!test.configure(2, &config("x-b")));
        assert!(log().concat().contains("vm_id"), "{:?}", log());
        delete(2);
        let stream = test.stream(1, &[("x-a", "1")]);
        assert_eq!(test.request(stream), End::Continue);
        delete(1);
        assert!(test.configure(3, &config("x-b")), "{:?}", log());
        let stream = test.stream(3, &[("x-b", "1")]);
        assert_eq!(test.request(stream), End::Continue);
    }

    #[test]
    fn where_the_host_does_not_tell_whose_a_stream_is_it_is_refused() {
        let mut test = Test::with(&config("x-a"));
        assert!(test.configure(2, &config("x-b")));
        refuse("proxy_call_foreign_function", NOT_ALLOWED);
        let stream = test.stream(1, &[("x-a", "1")]);
        assert_eq!((test.request(stream), reply(stream)), (End::Reply, failed()));
        assert_eq!(test.response(stream), End::Continue);
    }

    #[test]
    fn one_root_may_be_configured_again() {
        let mut test = Test::with(&config("x-a"));
        let stream = test.stream(1, &[("x-a", "1")]);
        test.request(stream);
        assert!(test.configure(1, &config("x-b")));
        assert_eq!(metric(ALLOWED), Some(1));
        let stream = test.stream(1, &[("x-b", "1")]);
        assert_eq!(test.request(stream), End::Continue);
    }

    #[test]
    fn none_is_refused_and_an_empty_one_warned_about() {
        let mut test = Test::new();
        assert!(!test.configure(1, ""));
        assert!(log().concat().contains("no configuration; expected a JSON object"), "{:?}", log());
        refuse("proxy_get_buffer_bytes", NOT_FOUND);
        assert!(!test.configure(1, ""));
        assert_eq!(log()[0], log()[1]);
        refuse("proxy_get_buffer_bytes", NOT_ALLOWED);
        assert!(!test.configure(1, "{}"));
        assert!(log()[2].contains("cannot be read: internal failure"), "{:?}", log());
        allow("proxy_get_buffer_bytes");
        assert!(test.configure(1, "{}"));
        let last = fakes::with(|host| host.logs.last().cloned()).unwrap();
        assert_eq!(last.0, LogLevel::Warn);
        assert!(last.1.starts_with(b"pintle: the configuration has no filters"));
        let stream = test.stream(1, &[]);
        assert_eq!((test.request(stream), test.response(stream)), (End::Continue, End::Continue));
    }

    #[test]
    fn before_any_configuration_requests_are_refused() {
        let mut test = Test::new();
        fakes::with(|host| host.create_root(1).tick_milliseconds);
        let stream = test.stream(1, &[]);
        assert_eq!((test.request(stream), reply(stream)), (End::Reply, failed()));
    }
}

mod streams {
    use super::*;

    #[test]
    fn a_value_is_remembered_for_the_response() {
        let mut test = Test::with(ECHO);
        let streams = [("x-id", "1"), ("x-id", "2")].map(|field| test.stream(1, &[field]));
        let ends = streams.map(|stream| test.request(stream));
        assert_eq!(ends, [End::Continue; 2]);
        streams.iter().rev().for_each(|stream| assert_eq!(test.response(*stream), End::Continue));
        assert_eq!(streams.map(|stream| answered(stream, "x-echo").concat()), ["1", "2"]);
    }

    #[test]
    fn the_dead_are_forgotten() {
        let mut test = Test::with(ECHO);
        let (dead, alive) = (test.stream(1, &[("x-id", "1")]), test.stream(1, &[("x-id", "2")]));
        test.request(dead);
        test.request(alive);
        delete(dead);
        let asked = |test: &Test| {
            let before = count("proxy_set_effective_context");
            test.tick(1);
            count("proxy_set_effective_context") - before
        };
        // The last call of each tick goes back to the root. Young streams are not asked for.
        assert_eq!([asked(&test), asked(&test), asked(&test)], [1, 3, 2]);
        // Nothing of the dead one shows in a stream of the same number.
        fakes::with(|host| {
            let stream = host.create_stream(dead, 1);
            stream.request.add(b":path", b"/");
            stream.response.add(b":status", b"200");
        });
        test.request(dead);
        test.response(dead);
        assert_eq!(answered(dead, "x-echo"), [""; 0]);
        test.response(alive);
        assert_eq!(answered(alive, "x-echo"), ["2"]);
        assert_eq!(asked(&test), 1);
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of streams, and none differs in its unsafe code")]
    fn without_ticks_the_dead_are_forgotten_too() {
        let mut test = Test::with(ECHO);
        let mut most = 0;
        for n in 0..5_000 {
            let stream = test.stream(1, &[("x-id", "1")]);
            assert_eq!(test.request(stream), End::Continue);
            if n == 0 {
                continue;
            }
            delete(stream);
            most = most.max(count("proxy_set_effective_context"));
        }
        // Each sweep asks for each stream once: about one call a request.
        assert!((4_000..6_000).contains(&most), "{most}");
        // The first one is alive, and what it needs is still there.
        assert_eq!(test.response(101), End::Continue);
        assert_eq!(answered(101, "x-echo"), ["1"]);
    }

    #[test]
    fn an_own_reply_is_complete() {
        let mut test = Test::with(&config("x-a"));
        let stream = test.stream(1, &[]);
        assert_eq!(test.request(stream), End::Reply);
        let calls = fakes::with(|host| host.calls.len());
        assert_eq!(test.response(stream), End::Continue);
        assert_eq!(fakes::with(|host| host.calls.len()), calls, "no call for an own reply");
        assert_eq!(answered(stream, "x-by"), ["x-a"]);
        test.tick(1);
        test.tick(1);
    }
}

mod counters {
    use super::*;

    #[test]
    fn they_are_flushed_on_the_tick() {
        let mut test = Test::with(&config("x-a"));
        assert_eq!(fakes::with(|host| host.roots[&1].tick_milliseconds), 1000);
        for fields in [&[("x-a", "1")][..], &[], &[]] {
            let stream = test.stream(1, fields);
            test.request(stream);
            test.response(stream);
        }
        assert_eq!((metric(ALLOWED), count("proxy_increment_metric")), (Some(0), 0));
        test.tick(1);
        assert_eq!((metric(ALLOWED), metric(DENIED)), (Some(1), Some(2)));
        let calls = count("proxy_increment_metric");
        test.tick(1);
        assert_eq!(count("proxy_increment_metric"), calls, "nothing new");
    }

    #[test]
    fn they_survive_their_root() {
        for by_tick in [true, false] {
            let mut test = Test::with(&config("x-a"));
            let stream = test.stream(1, &[("x-a", "1")]);
            test.request(stream);
            if by_tick {
                assert!(test.configure(2, &config("x-a")));
                delete(1);
                test.tick(2);
            } else {
                delete(1);
                assert!(test.configure(2, &config("x-a")));
            }
            assert_eq!(metric(ALLOWED), Some(1));
            // Both configurations count in one series.
            let stream = test.stream(2, &[("x-a", "1")]);
            test.request(stream);
            test.tick(2);
            assert_eq!(metric(ALLOWED), Some(2));
        }
    }
}

mod failures {
    use super::*;

    /// A response rule, a request rule, and a denial.
    const EDITS: &str = r#"{"filters": [
        {"headers": {"request": [{"set": {"name": "x-new", "value": "1"}}], "response": [{"set": {"name": "x-by", "value": "1"}}]}},
        {"require_header": {"header": "x-a"}}
    ]}"#;

    #[test]
    fn of_a_read_or_an_edit_of_the_request_fail_closed() {
        for call in ["proxy_get_header_map_pairs", "proxy_replace_header_map_value"] {
            for fields in [&[("x-a", "1")][..], &[]] {
                let mut test = Test::with(EDITS);
                refuse(call, NOT_ALLOWED);
                let stream = test.stream(1, fields);
                assert_eq!((test.request(stream), reply(stream)), (End::Reply, failed()), "{call}");
                assert_eq!(test.response(stream), End::Continue, "{call}");
                assert_eq!(answered(stream, ":status"), ["500"]);
                assert_eq!(answered(stream, "x-by"), [""; 0]);
                // The next one is none the worse.
                allow(call);
                let stream = test.stream(1, &[("x-a", "1")]);
                assert_eq!(
                    (test.request(stream), test.response(stream)),
                    (End::Continue, End::Continue)
                );
                assert_eq!(answered(stream, "x-by"), ["1"]);
            }
        }
    }

    #[test]
    fn of_a_read_or_an_edit_of_the_response_fail_closed() {
        for call in ["proxy_get_header_map_pairs", "proxy_add_header_map_value"] {
            let mut test = Test::with(
                r#"{"filters": [{"headers": {"response": [{"append": {"name": "x-by", "value": "%RESP(:status)%"}}]}}]}"#,
            );
            let stream = test.stream(1, &[]);
            assert_eq!(test.request(stream), End::Continue);
            refuse(call, NOT_ALLOWED);
            assert_eq!((test.response(stream), reply(stream)), (End::Reply, failed()), "{call}");
            assert_eq!(answered(stream, ":status"), ["500"]);
        }
    }

    #[test]
    fn of_the_reply_hold_the_request() {
        let mut test = Test::with(EDITS);
        refuse("proxy_send_local_response", NOT_ALLOWED);
        let stream = test.stream(1, &[]);
        assert_eq!((test.request(stream), reply(stream)), (End::Pause, None));
        assert!(log().concat().contains("local reply refused"));
    }

    #[test]
    fn of_rare_calls_break_no_request() {
        let mut test = Test::new();
        for call in [
            "proxy_log",
            "proxy_get_log_level",
            "proxy_define_metric",
            "proxy_increment_metric",
            "proxy_set_tick_period_milliseconds",
            "proxy_set_property",
            "proxy_call_foreign_function",
            "proxy_get_property",
        ] {
            refuse(call, NOT_ALLOWED);
        }
        let config = r#"{"filters": [
            {"log_headers": {"request": ["*"], "response": ["*"]}},
            {"basic_auth": {"rules": [{"credentials": ["a:b"]}]}},
            {"require_header": {"header": "x-a", "mode": "observe"}}
        ]}"#;
        assert!(test.configure(1, config));
        let (good, bad) = (test.stream(1, &[("authorization", "Basic YTpi")]), test.stream(1, &[]));
        assert_eq!((test.request(good), test.request(bad)), (End::Continue, End::Reply));
        assert_eq!((test.response(good), test.response(bad)), (End::Continue, End::Continue));
        test.tick(1);
        assert_eq!(reply(bad).unwrap().0, 401);
        assert_eq!(fakes::with(|host| host.metrics.iter().count()), 0);
    }

    #[test]
    fn of_metrics_and_ticks_are_told() {
        let test = Test::new();
        refuse("proxy_define_metric", NOT_ALLOWED);
        refuse("proxy_set_tick_period_milliseconds", NOT_ALLOWED);
        assert!(test.configure(1, &config("x-a")));
        assert_eq!(log().len(), 2, "one line each: {:?}", log());
        assert!(log()[0].contains("no metrics") && log()[1].contains("no ticks"), "{:?}", log());
    }

    #[test]
    fn a_host_that_does_not_tell_who_is_alive_is_refused() {
        let test = Test::new();
        refuse("proxy_set_effective_context", NOT_ALLOWED);
        assert!(!test.configure(1, &config("x-a")));
        assert!(log().concat().contains("proxy_set_effective_context"), "{:?}", log());
    }

    #[test]
    fn hostile_lists_of_pairs_fail_closed() {
        let lists: [&[u8]; 8] = [
            b"",
            &[0; 4],
            b"\x01",
            b"\xff\xff\xff\xff",
            b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x01\0\0\0\x03\0\0\0\x01\0\0\0x-a\x001\0 ",
            b"\x02\0\0\0\x03\0\0\0\x01\0\0\0x-a\x001\0",
            b"\x01\0\0\0\x03\0\0\0\x02\0\0\0x-a\x001\0",
        ];
        for list in lists {
            let mut test = Test::with(&config("x-a"));
            let forge = |host: &mut FakeHost| {
                host.forged.insert("proxy_get_header_map_pairs", list.to_vec())
            };
            fakes::with(forge);
            let stream = test.stream(1, &[("x-a", "1")]);
            assert_eq!((test.request(stream), reply(stream)), (End::Reply, failed()), "{list:?}");
        }
        // Whole, if odd: what counts are the lengths.
        let mut test = Test::with(&config("x-a"));
        let whole = b"\x01\0\0\0\x03\0\0\0\x01\0\0\0x-a\xff1\xff".to_vec();
        fakes::with(|host| host.forged.insert("proxy_get_header_map_pairs", whole));
        let stream = test.stream(1, &[]);
        assert_eq!(test.request(stream), End::Continue);
    }

    #[test]
    fn the_level_of_the_log_follows_the_host() {
        let mut test =
            Test::with(r#"{"filters": [{"log_headers": {"request": ["*"], "level": "debug"}}]}"#);
        fakes::with(|host| host.log_level = LogLevel::Warn);
        test.tick(1);
        let stream = test.stream(1, &[]);
        test.request(stream);
        assert_eq!(count("proxy_log"), 0, "nothing is formatted for a level that is off");
        // The panics on request look for theirs.
        let looks = usize::from(cfg!(feature = "test-panic"));
        assert_eq!(count("proxy_get_header_map_pairs"), looks);
        fakes::with(|host| host.log_level = LogLevel::Debug);
        test.tick(1);
        let stream = test.stream(1, &[]);
        test.request(stream);
        assert_eq!(log().len(), 1);
    }
}
