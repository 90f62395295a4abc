//! Requests that wait, with the filter `token_exchange`: held, resumed, answered, and gone.
//!
//! Stores are shared by the whole process, so each test has a path of its own at the service.

use std::sync::Barrier;
use std::thread;

use envoy_proxy_dynamic_modules_rust_sdk::fakes::{
    CalloutPlan, FakeAnswer, FakeEnvoy, FakeRequest, FakeStream, take_logs,
};
use envoy_proxy_dynamic_modules_rust_sdk::{CalloutInitResult, HeadersStatus};
use pintle_dynamic_module::Config;

/// Long enough for nothing to come late on a slow machine.
fn config(path: &str, more: &str) -> String {
    format!(
        r#"{{"filters": [
            {{"token_exchange": {{"cluster": "auth", "authority": "auth.example", "path": "{path}",
                "timeout": "60s"{more}}}}},
            {{"headers": {{"response": [{{"set": {{"name": "x-seen", "value": "1"}}}}]}}}}
        ]}}"#
    )
}

fn load(path: &str, more: &str) -> FakeEnvoy<Config> {
    FakeEnvoy::load("pintle", config(path, more).as_bytes()).expect("a configuration")
}

const CACHE: &str = r#", "cache": {"ttl": "60s"}"#;

fn request(more: &[(&str, &str)]) -> FakeRequest {
    let fields = [
        (":method", "POST"),
        (":path", "/a?b"),
        (":authority", "a"),
        ("authorization", "Bearer caller"),
        ("x-auth-jwt", "forged"),
    ];
    FakeRequest::new(fields.iter().chain(more).copied())
}

/// A stream whose request waits.
fn waiting(envoy: &FakeEnvoy<Config>) -> FakeStream<'_, Config> {
    let stream = envoy.stream(request(&[]));
    assert_eq!(stream.request_headers(false), HeadersStatus::StopAllIterationAndWatermark);
    stream
}

/// Ends the one callout of a stream.
fn answer(stream: &FakeStream<'_, Config>, answer: FakeAnswer) {
    let callouts = stream.callouts();
    assert_eq!(callouts.len(), 1);
    assert!(stream.answer(callouts[0].id, answer));
}

fn granted() -> FakeAnswer {
    FakeAnswer::of("200", &["the ", "token\r\n"]).field("content-type", "text/plain")
}

fn tokens(stream: &FakeStream<'_, Config>) -> Vec<String> {
    let lines = stream.request().into_iter().filter(|(name, _)| name == b"x-auth-jwt");
    lines.map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

fn status(stream: &FakeStream<'_, Config>) -> Option<(u32, String)> {
    assert_eq!(stream.resumed(), 0);
    assert!(stream.replies() <= 1);
    stream.reply().map(|reply| (reply.status, reply.details))
}

#[track_caller]
fn assert_resumed(stream: &FakeStream<'_, Config>, with: &[&str]) {
    assert_eq!((stream.resumed(), stream.replies()), (1, 0));
    assert_eq!(tokens(stream), with);
}

const UNAVAILABLE: &str = "pintle_exchange_unavailable";

#[test]
fn a_request_is_held_until_its_token_is_there() {
    let envoy = load("/held", "");
    let stream = waiting(&envoy);
    let callout = stream.callouts().remove(0);
    assert_eq!((&*callout.cluster, callout.timeout_ms), ("auth", 60_000));
    let field = (b"authorization".to_vec(), b"Bearer caller".to_vec());
    assert!(callout.headers.contains(&field), "{callout:?}");
    assert_eq!(tokens(&stream), [""; 0], "what the client sent is gone");
    // Another's.
    assert!(!stream.answer(callout.id + 1, granted()));
    answer(&stream, granted());
    assert_resumed(&stream, &["the token"]);
    assert_eq!(stream.route_cache_clears(), 1);
    assert_eq!(stream.response_headers([(":status", "200")], true), HeadersStatus::Continue);
    assert!(stream.response().contains(&(b"x-seen".to_vec(), b"1".to_vec())));
    assert_eq!(envoy.counter("token_exchange.callouts.granted"), Some(1));
    assert_eq!(envoy.histogram("token_exchange.callout_ms").map(|values| values.len()), Some(1));
}

#[test]
fn what_is_no_answer_lets_nothing_pass() {
    let envoy = load("/failed", "");
    for (end, details) in [
        (FakeAnswer::of("503", &["no"]), UNAVAILABLE),
        (FakeAnswer::Reset, UNAVAILABLE),
        (FakeAnswer::ExceedResponseBufferLimit, UNAVAILABLE),
        (FakeAnswer::Unknown, UNAVAILABLE),
        (FakeAnswer::of("20", &["token"]), UNAVAILABLE),
        (FakeAnswer::of("OK", &["token"]), UNAVAILABLE),
        (FakeAnswer::of("200", &["token"]).field(":status", "200"), UNAVAILABLE),
        (FakeAnswer::Success { headers: vec![], chunks: vec![b"token".to_vec()] }, UNAVAILABLE),
        (FakeAnswer::of("200", &[]), "pintle_exchange_unusable"),
        (FakeAnswer::of("204", &["token"]), "pintle_exchange_unusable"),
    ] {
        let stream = waiting(&envoy);
        answer(&stream, end.clone());
        assert_eq!(status(&stream), Some((503, details.to_owned())), "{end:?}");
        let reply = stream.reply().unwrap();
        assert!(reply.headers.contains(&(b"x-seen".to_vec(), b"1".to_vec())), "{reply:?}");
    }
}

#[test]
fn a_refusal_is_relayed_and_grpc_has_its_status() {
    let envoy = load("/refused", "");
    let stream = waiting(&envoy);
    answer(&stream, FakeAnswer::of("401", &["no"]).field("www-authenticate", "Bearer"));
    assert_eq!(status(&stream), Some((401, "pintle_exchange_refused".to_owned())));
    let stream = envoy.stream(request(&[("content-type", "application/grpc")]));
    stream.request_headers(false);
    answer(&stream, FakeAnswer::of("403", &[]));
    let reply = stream.reply().unwrap();
    assert!(reply.headers.contains(&(b"grpc-status".to_vec(), b"7".to_vec())), "{reply:?}");
}

#[test]
fn a_callout_that_cannot_be_started() {
    for more in ["", CACHE] {
        let envoy = load("/unsendable", more);
        for why in [
            CalloutInitResult::ClusterNotFound,
            CalloutInitResult::CannotCreateRequest,
            CalloutInitResult::MissingRequiredHeaders,
            CalloutInitResult::DuplicateCalloutId,
        ] {
            envoy.plan(CalloutPlan::Refuse(why));
            let stream = envoy.stream(request(&[]));
            assert_eq!(stream.request_headers(false), HeadersStatus::StopIteration);
            assert_eq!(status(&stream), Some((503, UNAVAILABLE.to_owned())));
        }
        assert_eq!(envoy.counter("token_exchange.callouts.unavailable"), Some(4));
    }
    assert!(take_logs().iter().all(|line| !line.message.contains("caller")));
}

#[test]
fn a_callout_that_is_answered_at_once() {
    let envoy = load("/at-once", "");
    for plan in [CalloutPlan::Inline, CalloutPlan::InlineRefused] {
        envoy.plan(plan(granted()));
        let stream = waiting(&envoy);
        assert_eq!((stream.resumed(), stream.run_scheduled()), (0, 1));
        assert_resumed(&stream, &["the token"]);
        envoy.plan(plan(FakeAnswer::of("503", &["no healthy upstream"])));
        let stream = waiting(&envoy);
        stream.run_scheduled();
        assert_eq!(status(&stream), Some((503, UNAVAILABLE.to_owned())));
    }
}

#[test]
fn one_callout_is_for_all_who_wait() {
    let envoy = load("/single", CACHE);
    let (leader, others) = (waiting(&envoy), [waiting(&envoy), waiting(&envoy)]);
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(2));
    answer(&leader, granted());
    assert_resumed(&leader, &["the token"]);
    for stream in &others {
        assert!(stream.callouts().is_empty() && stream.is_held());
        assert_eq!(stream.run_scheduled(), 1);
        assert_resumed(stream, &["the token"]);
        assert_eq!(stream.schedulers(), 0);
    }
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(0));
    assert_eq!(envoy.gauge("token_exchange.entries"), Some(1));
    // From here on it is known.
    let stream = envoy.stream(request(&[]));
    assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
    assert_eq!(tokens(&stream), ["the token"]);
    stream.stream_complete();
    let counts = ["callouts.granted", "misses", "coalesced", "hits"]
        .map(|name| envoy.counter(&format!("token_exchange.{name}")));
    assert_eq!(counts, [Some(1), Some(1), Some(2), Some(1)]);
}

#[test]
fn the_leader_goes_and_another_is_promoted() {
    let envoy = load("/promoted", CACHE);
    let (leader, second, third) = (waiting(&envoy), waiting(&envoy), waiting(&envoy));
    leader.stream_complete();
    drop(leader);
    assert_eq!((second.run_scheduled(), third.run_scheduled()), (1, 0));
    assert_eq!(second.callouts().len(), 1);
    assert!(second.callouts()[0].timeout_ms <= 60_000);
    // A waiter may go too.
    third.stream_complete();
    drop(third);
    answer(&second, granted());
    assert_resumed(&second, &["the token"]);
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(0));
}

#[test]
fn somebody_else_answers_a_request_that_leads() {
    let envoy = load("/timed-out", CACHE);
    let (leader, other) = (waiting(&envoy), waiting(&envoy));
    leader.local_reply(408, "request_timeout");
    leader.response_headers([(":status", "408")], true);
    assert_eq!(other.run_scheduled(), 1);
    assert_eq!(other.callouts().len(), 1, "it leads now");
    // What comes for the first is for nobody.
    answer(&leader, granted());
    assert_eq!((leader.resumed(), leader.replies()), (0, 0));
    leader.stream_complete();
    answer(&other, granted());
    assert_resumed(&other, &["the token"]);
}

#[test]
fn a_stream_ends_inside_what_comes_of_its_callout() {
    let envoy = load("/nested", CACHE);
    let stream = waiting(&envoy);
    stream.respond_in_resume([(":status", "404")]);
    answer(&stream, granted());
    assert_resumed(&stream, &["the token"]);
    assert!(stream.response().contains(&(b"x-seen".to_vec(), b"1".to_vec())), "the response ran");
    let envoy = load("/nested-reply", CACHE);
    let stream = waiting(&envoy);
    stream.complete_in_reply();
    stream.destroy_in_reply();
    answer(&stream, FakeAnswer::of("500", &[]));
    assert_eq!(status(&stream), Some((503, UNAVAILABLE.to_owned())));
}

#[test]
fn leader_and_waiter_are_on_threads_of_their_own() {
    let envoy = &load("/threads", CACHE);
    let (leads, waits) = (&Barrier::new(2), &Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(move || {
            let leader = waiting(envoy);
            leads.wait();
            waits.wait();
            leader.stream_complete();
        });
        scope.spawn(move || {
            leads.wait();
            let waiter = waiting(envoy);
            assert!(waiter.callouts().is_empty());
            waits.wait();
            // It is woken to lead, here.
            waiter.await_scheduled();
            answer(&waiter, granted());
            assert_resumed(&waiter, &["the token"]);
        });
    });
    assert_eq!(envoy.counter("token_exchange.callouts.granted"), Some(1));
}

#[test]
fn many_threads_ask_once() {
    const WORKERS: usize = 4;
    let envoy = &load("/crowd", CACHE);
    let (all_ask, answered) = (&Barrier::new(WORKERS), &Barrier::new(WORKERS));
    let callouts: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(move || {
                    let streams: Vec<_> = (0..8).map(|_| waiting(envoy)).collect();
                    all_ask.wait();
                    let mut callouts = 0;
                    for stream in &streams {
                        for callout in stream.callouts() {
                            callouts += 1;
                            stream.answer(callout.id, granted());
                        }
                    }
                    answered.wait();
                    for stream in &streams {
                        stream.run_scheduled();
                        assert_resumed(stream, &["the token"]);
                    }
                    callouts
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(callouts, 1);
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(0));
    assert_eq!(envoy.gauge("token_exchange.entries"), Some(1));
}

#[test]
fn an_update_with_the_same_filter_shares_its_store() {
    let old = load("/update", CACHE);
    let leader = waiting(&old);
    let new = load("/update", CACHE);
    let waiter = waiting(&new);
    assert!(waiter.callouts().is_empty());
    answer(&leader, granted());
    waiter.run_scheduled();
    assert_resumed(&waiter, &["the token"]);
    leader.stream_complete();
    drop(leader);
    drop(old);
    // The new one still knows.
    let stream = new.stream(request(&[]));
    assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
    // Another filter does not.
    let other = load("/update/other", CACHE);
    assert_eq!(waiting(&other).callouts().len(), 1);
    // Nor does one that comes when all are gone.
    drop((waiter, stream));
    drop(new);
    assert_eq!(waiting(&load("/update", CACHE)).callouts().len(), 1);
}

#[test]
fn a_stream_that_has_gone_is_woken_in_vain() {
    let envoy = load("/gone", CACHE);
    let (leader, waiter) = (waiting(&envoy), waiting(&envoy));
    answer(&leader, granted());
    // Its event is on its way.
    waiter.stream_complete();
    assert_eq!(waiter.run_scheduled(), 1);
    assert_eq!((waiter.resumed(), waiter.replies()), (0, 0));
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(0));
}

/// A stream whose request waits, and that panics over what comes to it then.
#[cfg(feature = "test-panic")]
fn clumsy<'e>(envoy: &'e FakeEnvoy<Config>, over: &str) -> FakeStream<'e, Config> {
    let stream = envoy.stream(request(&[("x-pintle-test-panic", over)]));
    assert_eq!(stream.request_headers(false), HeadersStatus::StopAllIterationAndWatermark);
    stream
}

#[cfg(feature = "test-panic")]
#[track_caller]
fn assert_panicked(stream: &FakeStream<'_, Config>) {
    assert_eq!(status(stream), Some((500, "pintle_internal_error".to_owned())));
    stream.stream_complete();
    let lines = take_logs();
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| !line.message.contains("asked for")), "{lines:?}");
}

#[cfg(feature = "test-panic")]
#[test]
fn a_leader_panics_and_one_of_those_who_wait_asks_anew() {
    let envoy = load("/panic/leader", CACHE);
    let leader = clumsy(&envoy, "ended");
    let waiters = [waiting(&envoy), waiting(&envoy), waiting(&envoy)];
    answer(&leader, granted());
    assert_panicked(&leader);
    for stream in &waiters {
        assert_eq!(stream.run_scheduled(), 1);
        assert!(stream.is_held(), "it has time left");
    }
    assert_eq!(waiters.each_ref().map(|stream| stream.callouts().len()), [1, 0, 0]);
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(2));
    answer(&waiters[0], granted());
    assert_resumed(&waiters[0], &["the token"]);
    for stream in &waiters[1..] {
        assert_eq!(stream.run_scheduled(), 1);
        assert_resumed(stream, &["the token"]);
        assert_eq!(stream.schedulers(), 0);
    }
    assert_eq!(envoy.counter("token_exchange.callouts.granted"), Some(1));
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(0));
}

#[cfg(feature = "test-panic")]
#[test]
fn one_that_waited_panics_and_the_others_have_their_answer() {
    let envoy = load("/panic/waiter", CACHE);
    let (leader, panics, other) = (waiting(&envoy), clumsy(&envoy, "woken"), waiting(&envoy));
    answer(&leader, granted());
    assert_resumed(&leader, &["the token"]);
    panics.run_scheduled();
    assert_panicked(&panics);
    other.run_scheduled();
    assert_resumed(&other, &["the token"]);
    assert_eq!(envoy.counter("token_exchange.callouts.granted"), Some(1));
}

#[cfg(feature = "test-panic")]
#[test]
fn a_panic_elsewhere_fails_nobody() {
    let envoy = load("/panic/elsewhere", CACHE);
    let (leader, waiter) = (waiting(&envoy), waiting(&envoy));
    let panics = envoy.stream(request(&[("x-pintle-test-panic", "request")]));
    assert_eq!(panics.request_headers(false), HeadersStatus::StopIteration);
    assert_panicked(&panics);
    // Nobody knows whether the leader lives, so the other asks for itself.
    assert_eq!(waiter.run_scheduled(), 1);
    assert_eq!(waiter.callouts().len(), 1);
    answer(&leader, granted());
    assert_resumed(&leader, &["the token"]);
    assert!(waiter.is_held());
    answer(&waiter, granted());
    assert_resumed(&waiter, &["the token"]);
    assert_eq!(envoy.gauge("token_exchange.waiting"), Some(0));
    assert_eq!(envoy.gauge("token_exchange.entries"), Some(1));
}
