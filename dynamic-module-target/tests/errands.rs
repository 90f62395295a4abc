//! Callouts that outlive their stream: the main thread sends them.

mod errand_filter;

use std::thread;
use std::time::Duration;

use envoy_proxy_dynamic_modules_rust_sdk::fakes::{
    CalloutPlan, FakeAnswer, FakeEnvoy, FakeRequest, take_logs,
};
use envoy_proxy_dynamic_modules_rust_sdk::{CalloutInitResult, HeadersStatus, LogLevel};
use errand_filter::{Mine, ended};
use pintle_dynamic_module::Config;

/// With a timeout that is long enough for nothing to come late on a slow machine.
fn load(name: &str, times: u32) -> FakeEnvoy<Config<Mine>> {
    load_with(name, times, "auth", 60_000)
}

fn load_with(name: &str, times: u32, cluster: &str, timeout_ms: u32) -> FakeEnvoy<Config<Mine>> {
    let config = format!(
        r#"{{"filters": [{{"messenger": {{
            "times": {times}, "tag": "{name}", "cluster": "{cluster}", "timeout_ms": {timeout_ms}
        }}}}]}}"#
    );
    FakeEnvoy::load("pintle", config.as_bytes()).expect("a configuration")
}

/// A stream that comes and goes, on a worker.
fn pass(envoy: &FakeEnvoy<Config<Mine>>) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let stream = envoy.stream(FakeRequest::new([(":method", "GET"), (":path", "/")]));
            assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
            stream.stream_complete();
        });
    });
}

fn warnings() -> Vec<String> {
    let lines = take_logs().into_iter().filter(|line| line.level == LogLevel::Warn);
    lines.map(|line| line.message).collect()
}

#[test]
fn an_errand_outlives_its_stream() {
    let envoy = load("outlives", 2);
    pass(&envoy);
    assert!(envoy.callouts().is_empty(), "that is for the main thread");
    assert_eq!(envoy.run_scheduled(), 2);
    let callouts = envoy.callouts();
    assert_eq!(callouts[0].cluster, "auth");
    assert!((1..=60_000).contains(&callouts[0].timeout_ms), "{callouts:?}");
    assert_eq!(callouts[1].body, b"message");
    assert!(envoy.answer(callouts[1].id, FakeAnswer::of("200", &["a", "b"])));
    assert!(envoy.answer(callouts[0].id, FakeAnswer::Reset));
    assert_eq!(ended("outlives"), ["200 ab", "failed"]);
    assert_eq!(envoy.counter("messenger.ended"), Some(2));
    assert_eq!(envoy.gauge("messenger.under_way"), Some(0));
    assert_eq!(envoy.histogram("messenger.milliseconds"), Some(vec![5, 5]));
}

#[test]
fn an_errand_that_cannot_be_sent_has_failed() {
    let envoy = load("unsendable", 1);
    envoy.plan(CalloutPlan::Refuse(CalloutInitResult::ClusterNotFound));
    pass(&envoy);
    envoy.run_scheduled();
    assert_eq!(ended("unsendable"), ["failed"]);
    assert_eq!(warnings(), ["- background callout to auth: the proxy has no such cluster"]);
    envoy.plan(CalloutPlan::InlineRefused(FakeAnswer::of("503", &[])));
    pass(&envoy);
    envoy.run_scheduled();
    assert_eq!(ended("unsendable"), ["failed", "503 "]);
    assert_eq!(envoy.gauge("messenger.under_way"), Some(0));
}

#[test]
fn an_errand_whose_time_is_up_is_not_sent() {
    let envoy = load_with("late", 2, "auth", 1);
    pass(&envoy);
    thread::sleep(Duration::from_millis(2));
    assert_eq!(envoy.run_scheduled(), 2);
    assert!(envoy.callouts().is_empty());
    assert_eq!(ended("late"), ["failed", "failed"]);
    assert_eq!(envoy.gauge("messenger.under_way"), Some(0));
    let late = "- background callout to auth: the time was up before the request could be sent";
    assert_eq!(warnings(), [late, late]);
}

#[cfg(feature = "test-panic")]
#[test]
fn an_errand_that_a_panic_keeps_from_being_sent_has_failed() {
    let envoy = load_with("unsent", 2, "test-panic", 60_000);
    pass(&envoy);
    assert_eq!(envoy.run_scheduled(), 2);
    assert!(envoy.callouts().is_empty());
    assert_eq!(ended("unsent"), ["failed", "failed"]);
    assert_eq!(envoy.gauge("messenger.under_way"), Some(0));
    assert_eq!(take_logs().len(), 2, "one for each panic");
    drop(envoy);
    assert_eq!(ended("unsent").len(), 2, "none ends twice");
}

#[test]
fn errands_end_with_their_configuration() {
    let envoy = load("left", 2);
    pass(&envoy);
    envoy.run_scheduled();
    pass(&envoy);
    drop(envoy);
    assert_eq!(ended("left"), ["failed"; 4], "two were sent, two were waiting");
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn errands_are_bounded() {
    let envoy = load("many", 1_100);
    pass(&envoy);
    assert_eq!(envoy.counter("messenger.unsent"), Some(76));
    assert_eq!(envoy.run_scheduled(), 1_024);
    pass(&envoy);
    assert_eq!(envoy.counter("messenger.unsent"), Some(1_176), "those under way count");
    for callout in envoy.callouts() {
        envoy.answer(callout.id, FakeAnswer::of("200", &[]));
    }
    pass(&envoy);
    assert_eq!(envoy.run_scheduled(), 1_024);
    assert_eq!(ended("many").len(), 1_024);
}

#[test]
fn a_panic_over_one_errand_keeps_none_of_the_others() {
    let envoy = load("panic", 3);
    pass(&envoy);
    envoy.run_scheduled();
    for (callout, body) in envoy.callouts().iter().zip(["a", "panic", "b"]) {
        envoy.answer(callout.id, FakeAnswer::of("200", &[body]));
    }
    assert_eq!(ended("panic"), ["200 a", "200 b"]);
    assert_eq!(take_logs().len(), 1);
}
