//! Requests that wait: for a callout, or for that of another.

mod asks;

use asks::{Filters, errands};
use pintle_wasm::abi::fakes::{self, Answer, End};
use pintle_wasm::vm::Vm;
use proxy_wasm::types::Action;

/// What Envoy answers a call with that the operator does not allow, and one that fails.
const FAILURE: u32 = 10;

const CONFIG: &str = r#"{"filters": [{"asks": {"cluster": "auth"}}]}"#;
const WAITING: &str = "pintle_filter=.=asks;.;pintle_waiting";
const GRANTED: &str = "pintle_filter=.=asks;.;pintle_result=.=granted;.;pintle_callouts";
const CALLOUT_MS: &str = "pintle_filter=.=asks;.;pintle_callout_ms";

struct Test {
    vm: Vm<Filters>,
    last: u32,
}

impl Test {
    /// A VM with `CONFIG` as root context 1, on a fresh host.
    fn new() -> Self {
        fakes::reset();
        fakes::with(|host| host.now_nanoseconds = 1_000_000_000);
        let test = Self { vm: Vm::default(), last: 100 };
        assert!(test.configure(1), "{:?}", fakes::with(|host| host.log_lines()));
        test
    }

    fn configure(&self, root: u32) -> bool {
        fakes::with(|host| host.create_root(root).tick_milliseconds);
        let bytes = CONFIG.as_bytes();
        fakes::on_configure(root, bytes, || self.vm.on_configure(root, bytes.len()))
    }

    fn tick(&self, root: u32) {
        fakes::within(root, || self.vm.on_tick(root));
    }

    /// Seconds pass, with a tick at the end.
    fn pass(&self, seconds: u64) {
        fakes::with(|host| host.now_nanoseconds += seconds * 1_000_000_000);
        self.tick(1);
    }

    /// A request of `root` with these fields beside pseudo-headers, and how its first callback ends.
    fn send(&mut self, root: u32, fields: &[(&str, &str)]) -> (u32, End) {
        self.last += 1;
        fakes::with(|host| {
            let stream = host.create_stream(self.last, root);
            let pseudo = [(":method", "GET"), (":path", "/"), (":authority", "a")];
            for (name, value) in pseudo.iter().chain(fields) {
                stream.request.add(name.as_bytes(), value.as_bytes());
            }
            stream.response.add(b":status", b"200");
        });
        let id = self.last;
        (id, fakes::on_request_headers(id, || self.vm.on_request_headers(id)))
    }

    /// A request that asks, and is held.
    fn ask(&mut self, root: u32) -> u32 {
        let (id, end) = self.send(root, &[("x-ask", "who"), ("x-echo", "kept")]);
        assert_eq!(end, End::Pause);
        id
    }

    /// The oldest callout ends.
    fn ends(&self, answer: Option<Answer>) {
        let token = fakes::with(|host| host.tokens()[0]);
        self.ends_as(token, answer);
    }

    fn ends_as(&self, token: u32, answer: Option<Answer>) {
        fakes::on_http_call_response(token, answer, |root, token, fields, body| {
            self.vm.on_http_call_response(root, token, fields, body);
        });
    }

    fn response(&self, id: u32) -> End {
        fakes::on_response_headers(id, || self.vm.on_response_headers(id, false))
    }

    /// The request went on with the token, exactly once; its response knows what was kept.
    fn went_on(&self, id: u32, token: &str) {
        assert_eq!(fakes::end(id), Some(End::Continue));
        fakes::with(|host| {
            let stream = &host.streams[&id];
            assert_eq!(stream.request.values(b"x-token").collect::<Vec<_>>(), [token.as_bytes()]);
            assert_eq!(stream.continues, 1);
        });
        assert_eq!(self.response(id), End::Continue);
        assert_eq!(answered(id, "x-echo"), ["kept"]);
    }

    /// The request was answered; the reply's own callback changes nothing.
    fn was_answered(&self, id: u32, status: u32, details: &str) {
        assert_eq!((fakes::end(id), reply(id)), (Some(End::Reply), Some((status, details.into()))));
        let before = fakes::with(|host| host.streams[&id].response.clone());
        assert_eq!(self.response(id), End::Continue);
        assert_eq!(fakes::with(|host| host.streams[&id].response.clone()), before);
        assert_eq!(fakes::with(|host| host.streams[&id].continues), 0);
    }
}

fn granted() -> Option<Answer> {
    Some(Answer::new(200, &[("content-type", "text/plain")], b"token"))
}

fn refuse(call: &'static str) {
    fakes::with(|host| host.refused.insert(call, FAILURE));
}

fn count(call: &str) -> usize {
    fakes::with(|host| host.count(call))
}

fn delete(context: u32) {
    fakes::with(|host| host.delete_context(context));
}

fn reply(id: u32) -> Option<(u32, String)> {
    fakes::with(|host| {
        let reply = host.streams[&id].reply.as_ref()?;
        Some((reply.status, String::from_utf8_lossy(&reply.details).into_owned()))
    })
}

fn answered(id: u32, name: &str) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    fakes::with(|host| host.streams[&id].response.values(name.as_bytes()).map(text).collect())
}

fn metric(name: &str) -> i64 {
    fakes::with(|host| host.metrics.value(name.as_bytes())).unwrap()
}

mod callouts {
    use super::*;

    #[test]
    fn a_request_waits_for_its_answer_and_goes_on() {
        let mut test = Test::new();
        let id = test.ask(1);
        let callout = fakes::with(|host| host.callouts.values().next().cloned()).unwrap();
        assert_eq!((callout.root, callout.timeout_ms), (1, 250));
        assert_eq!((&*callout.cluster, &*callout.body), (&b"auth"[..], &b"content"[..]));
        let fields: Vec<_> = callout.fields.iter().map(|(_, value)| value.to_vec()).collect();
        assert_eq!(fields, [&b"GET"[..], b"/token", b"a", b"who"]);
        test.ends(granted());
        test.went_on(id, "token");
        test.tick(1);
        assert_eq!(metric(GRANTED), 1);
        assert_eq!(fakes::with(|host| host.metrics.recorded(CALLOUT_MS.as_bytes()).to_vec()), [7]);
    }

    #[test]
    fn a_request_waits_for_its_answer_and_is_answered() {
        for (end, status, details) in [
            (Some(Answer::new(401, &[], b"")), 403, "pintle_refused"),
            (None, 503, "pintle_no_service"),
        ] {
            let mut test = Test::new();
            let id = test.ask(1);
            test.ends(end);
            test.was_answered(id, status, details);
            assert_eq!(answered(id, "x-echo"), ["kept"], "response filters have seen the reply");
        }
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_none() {
        let odd = |statuses: &[&str]| {
            let mut answer = Answer { body: b"token".to_vec(), ..Answer::default() };
            answer.fields.add(b"x", b"y");
            statuses.iter().for_each(|status| {
                answer.fields.add(b":status", status.as_bytes());
            });
            Some(answer)
        };
        let statuses: [&[&str]; 6] =
            [&[], &["2000"], &["20"], &["+20"], &["200", "200"], &["\u{662}00"]];
        for answer in statuses.map(odd) {
            let mut test = Test::new();
            let id = test.ask(1);
            test.ends(answer.clone());
            assert_eq!(reply(id).unwrap().1, "pintle_no_service", "{answer:?}");
        }
        for (call, forged) in [
            ("proxy_get_buffer_bytes", &b"toke"[..]),
            ("proxy_get_buffer_bytes", b""),
            ("proxy_get_header_map_pairs", b"\x01"),
            ("proxy_get_header_map_pairs", b""),
        ] {
            let mut test = Test::new();
            let id = test.ask(1);
            fakes::with(|host| host.forged.insert(call, forged.to_vec()));
            test.ends(granted());
            assert_ne!(fakes::end(id), Some(End::Continue), "{call}");
            assert_eq!(fakes::with(|host| host.streams[&id].continues), 0);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "large answers, and none differs in its unsafe code")]
    fn of_a_long_answer_a_byte_more_is_read_than_anybody_takes() {
        const MOST: usize = 128 * 1024;
        for (bytes, read) in [(MOST, MOST), (MOST + 1, MOST + 1), (10 << 20, MOST + 1)] {
            let mut test = Test::new();
            let id = test.ask(1);
            test.ends(Some(Answer::new(200, &[], &vec![b'a'; bytes])));
            let length = fakes::with(|host| {
                host.streams[&id].request.values(b"x-token").next().unwrap().len()
            });
            assert_eq!(length, read);
        }
    }

    #[test]
    fn what_nobody_knows_is_ignored() {
        let mut test = Test::new();
        for token in [0, 4, 77, u32::MAX] {
            test.ends_as(token, granted());
            test.ends_as(token, None);
        }
        let id = test.ask(1);
        let token = fakes::with(|host| host.tokens()[0]);
        test.ends_as(token + 1, granted());
        assert_eq!(fakes::end(id), Some(End::Pause));
        test.ends_as(token, granted());
        test.ends_as(token, granted());
        test.went_on(id, "token");
        // Before any configuration.
        let vm = Vm::<Filters>::default();
        vm.on_http_call_response(1, 4, 1, 5);
    }

    #[test]
    fn one_that_cannot_be_started_is_an_answer_at_once() {
        for missing in [true, false] {
            let mut test = Test::new();
            if missing {
                fakes::with(|host| host.missing_clusters.insert(b"auth".to_vec()));
            } else {
                refuse("proxy_http_call");
            }
            let (id, end) = test.send(1, &[("x-ask", "who")]);
            assert_eq!(end, End::Reply);
            test.was_answered(id, 503, "pintle_no_service");
        }
    }

    #[test]
    fn one_that_the_host_never_ends_is_given_up() {
        let mut test = Test::new();
        let (leader, waiter) = (test.ask(1), test.ask(1));
        test.pass(2);
        assert_eq!(fakes::end(leader), Some(End::Pause));
        test.pass(1);
        test.was_answered(leader, 503, "pintle_no_service");
        test.was_answered(waiter, 503, "pintle_no_service");
        test.ends(granted());
        assert_eq!(fakes::with(|host| host.streams[&leader].continues), 0, "too late");
    }

    #[test]
    fn an_errand_outlives_its_stream() {
        let mut test = Test::new();
        for (answer, seen) in [(granted(), "news: Answer(200)"), (None, "news: Failed")] {
            let (id, end) = test.send(1, &[("x-errand", "news")]);
            assert_eq!(end, End::Continue);
            delete(id);
            test.ends(answer);
            assert_eq!(errands(), [seen]);
        }
        test.tick(1);
        assert_eq!(metric(GRANTED), 2);
    }
}

mod flights {
    use super::*;

    #[test]
    fn all_wait_for_one_callout() {
        let mut test = Test::new();
        let ids: Vec<u32> = (0..20).map(|_| test.ask(1)).collect();
        assert_eq!(count("proxy_http_call"), 1);
        test.tick(1);
        assert_eq!(metric(WAITING), 19);
        test.ends(granted());
        ids.iter().for_each(|id| test.went_on(*id, "token"));
        test.tick(1);
        assert_eq!(metric(WAITING), 0);
        // Nothing is left of them.
        let asked = count("proxy_set_effective_context");
        test.tick(1);
        test.tick(1);
        assert_eq!(count("proxy_set_effective_context") - asked, 2);
    }

    #[test]
    fn those_that_wait_are_answered_as_the_one_that_leads() {
        let mut test = Test::new();
        let ids = [(); 3].map(|()| test.ask(1));
        test.ends(Some(Answer::new(403, &[], b"")));
        ids.iter().for_each(|id| test.was_answered(*id, 403, "pintle_refused"));
    }

    #[test]
    fn a_leader_that_has_gone_strands_nobody() {
        for answer in [granted(), None] {
            let mut test = Test::new();
            let ids = [(); 3].map(|()| test.ask(1));
            delete(ids[0]);
            for _ in 0..2 {
                test.tick(1);
            }
            assert_eq!(count("proxy_http_call"), 1, "the callout is still under way");
            let good = answer.is_some();
            test.ends(answer);
            for id in &ids[1..] {
                if good {
                    test.went_on(*id, "token");
                } else {
                    test.was_answered(*id, 503, "pintle_no_service");
                }
            }
        }
    }

    #[test]
    fn one_that_waited_and_has_gone_is_let_go() {
        let mut test = Test::new();
        let ids = [(); 4].map(|()| test.ask(1));
        delete(ids[1]);
        test.tick(1);
        assert_eq!(metric(WAITING), 2, "found on the tick");
        delete(ids[2]);
        test.ends(granted());
        test.went_on(ids[0], "token");
        test.went_on(ids[3], "token");
        test.tick(1);
        assert_eq!(metric(WAITING), 0, "found when it was woken");
    }

    #[test]
    fn two_configurations_wait_for_one_callout() {
        let mut test = Test::new();
        assert!(test.configure(2));
        let ids = [1, 2, 1, 2].map(|root| test.ask(root));
        assert_eq!(count("proxy_http_call"), 1);
        test.ends(granted());
        ids.iter().for_each(|id| test.went_on(*id, "token"));
    }

    #[test]
    fn with_its_configuration_a_leader_goes_and_another_takes_over() {
        for by_tick in [true, false] {
            let mut test = Test::new();
            assert!(test.configure(2));
            let (leader, waiter) = (test.ask(1), test.ask(2));
            test.send(1, &[("x-errand", "news")]);
            delete(1);
            if by_tick {
                test.tick(2);
            } else {
                assert!(test.configure(3));
            }
            assert_eq!(errands(), ["news: Failed"]);
            assert!(!fakes::with(|host| host.streams.contains_key(&leader)));
            // The callout of the old one died with it; there is a new one.
            let roots: Vec<u32> =
                fakes::with(|host| host.callouts.values().map(|callout| callout.root).collect());
            assert_eq!(roots, [2]);
            test.ends(granted());
            test.went_on(waiter, "token");
        }
    }

    #[test]
    fn a_configuration_in_place_of_another_refuses_those_that_wait() {
        let mut test = Test::new();
        let ids = [(); 2].map(|()| test.ask(1));
        assert!(test.configure(1));
        for id in ids {
            test.was_answered(id, 500, "pintle_internal_error");
        }
        test.ends(granted());
        assert_eq!(fakes::with(|host| host.streams[&ids[0]].continues), 0);
    }

    #[test]
    fn a_request_that_finds_the_answer_wakes_those_that_wait() {
        let mut test = Test::new();
        let (leader, waiter, gone) = (test.ask(1), test.ask(1), test.ask(1));
        delete(gone);
        let (finder, end) = test.send(1, &[("x-found", "found"), ("x-echo", "kept")]);
        assert_eq!(end, End::Continue);
        fakes::with(|host| {
            let stream = &host.streams[&finder];
            assert_eq!(stream.request.values(b"x-token").collect::<Vec<_>>(), [b"found"]);
            assert_eq!(host.calls.last(), Some(&"proxy_set_effective_context"), "its own again");
        });
        test.went_on(waiter, "found");
        assert_eq!(fakes::end(leader), Some(End::Pause), "has its own callout");
        test.ends(granted());
        test.went_on(leader, "token");
    }
}

mod streams {
    use super::*;

    #[test]
    fn a_held_request_that_the_host_answers_is_over() {
        let mut test = Test::new();
        let (leader, waiter, other) = (test.ask(1), test.ask(1), test.ask(1));
        for id in [leader, waiter] {
            assert_eq!(test.response(id), End::Continue);
            assert_eq!(answered(id, "x-echo"), [""; 0], "the upstream has not seen the request");
        }
        test.ends(granted());
        for id in [leader, waiter] {
            assert_eq!(fakes::with(|host| host.streams[&id].continues), 0);
        }
        test.went_on(other, "token");
    }

    #[test]
    fn what_passes_without_waiting_costs_no_more_calls() {
        let mut test = Test::new();
        test.send(1, &[]);
        let calls = fakes::with(|host| host.calls.len());
        let (id, _) = test.send(1, &[]);
        let made = fakes::with(|host| host.calls[calls..].to_vec());
        // The panics on request look for theirs, in the same list.
        assert_eq!(made, ["proxy_get_header_map_pairs"]);
        test.response(id);
    }
}

mod failures {
    use super::*;

    #[test]
    fn of_a_read_or_an_edit_refuse_the_request_and_strand_nobody() {
        for call in ["proxy_replace_header_map_value", "proxy_get_current_time_nanoseconds"] {
            let mut test = Test::new();
            fakes::with(|host| host.refused.insert(call, FAILURE));
            let (first, end) = test.send(1, &[("x-ask", "who")]);
            if end == End::Pause {
                let second = test.ask(1);
                test.ends(granted());
                test.was_answered(first, 500, "pintle_internal_error");
                test.was_answered(second, 500, "pintle_internal_error");
            }
            fakes::with(|host| host.refused.remove(call));
        }
    }

    #[test]
    fn of_going_on_are_answered() {
        let mut test = Test::new();
        let id = test.ask(1);
        refuse("proxy_continue_stream");
        test.ends(granted());
        test.was_answered(id, 500, "pintle_internal_error");
    }

    #[test]
    fn of_everything_hold_the_request() {
        let mut test = Test::new();
        let id = test.ask(1);
        refuse("proxy_continue_stream");
        refuse("proxy_send_local_response");
        test.ends(granted());
        assert_eq!((fakes::end(id), reply(id)), (Some(End::Pause), None));
        // Until it ends.
        delete(id);
        test.tick(1);
    }

    #[test]
    fn of_every_call_let_nothing_through() {
        const CALLS: [&str; 14] = [
            "proxy_http_call",
            "proxy_continue_stream",
            "proxy_send_local_response",
            "proxy_get_header_map_pairs",
            "proxy_replace_header_map_value",
            "proxy_set_effective_context",
            "proxy_get_buffer_bytes",
            "proxy_get_current_time_nanoseconds",
            "proxy_get_property",
            "proxy_call_foreign_function",
            "proxy_get_shared_data",
            "proxy_set_shared_data",
            "proxy_record_metric",
            "proxy_increment_metric",
        ];
        // From the start, and from the moment on that the request is held.
        for early in [true, false] {
            let mut test = Test::new();
            if early {
                CALLS.iter().for_each(|call| refuse(call));
            }
            let (id, end) = test.send(1, &[("x-ask", "who")]);
            assert_eq!(end, End::Pause);
            CALLS.iter().for_each(|call| refuse(call));
            if !early {
                test.ends(granted());
            }
            test.pass(60);
            assert_ne!(fakes::end(id), Some(End::Continue));
            assert_eq!(fakes::with(|host| host.streams[&id].continues), 0);
        }
    }

    #[test]
    fn of_metrics_break_nothing() {
        fakes::reset();
        fakes::with(|host| host.now_nanoseconds = 1);
        for call in ["proxy_define_metric", "proxy_record_metric", "proxy_increment_metric"] {
            refuse(call);
        }
        fakes::with(|host| host.now_nanoseconds = 1_000_000_000);
        let mut test = Test { vm: Vm::default(), last: 100 };
        assert!(test.configure(1));
        let id = test.ask(1);
        test.ends(granted());
        test.went_on(id, "token");
        test.tick(1);
    }
}

#[test]
fn what_is_held_is_held_whole() {
    use pintle_wasm::exports::headers_status;
    // `Continue` and `StopAllIterationAndWatermark` of the host's `FilterHeadersStatus`.
    assert_eq!([Action::Continue, Action::Pause].map(headers_status), [0, 4]);
}
