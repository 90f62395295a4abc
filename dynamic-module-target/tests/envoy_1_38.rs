//! What is different on Envoy 1.38: a process of its own, since callbacks are the process's.

mod errand_filter;

use envoy_proxy_dynamic_modules_rust_sdk::HeadersStatus;
use envoy_proxy_dynamic_modules_rust_sdk::fakes::{
    FakeAnswer, FakeEnvoy, FakeRequest, be_envoy_1_38,
};
use errand_filter::{Mine, ended};
use pintle_dynamic_module::Config;

#[test]
fn what_the_main_thread_cannot_count_a_stream_counts_later() {
    be_envoy_1_38();
    let config = br#"{"filters": [{"messenger": {
        "times": 1, "tag": "old", "cluster": "auth", "timeout_ms": 60000
    }}]}"#;
    let envoy = FakeEnvoy::<Config<Mine>>::load("pintle", config).expect("a configuration");
    let pass = || {
        let stream = envoy.stream(FakeRequest::new([(":method", "GET"), (":path", "/")]));
        assert_eq!(stream.request_headers(true), HeadersStatus::Continue);
        stream.stream_complete();
    };
    pass();
    envoy.run_scheduled();
    envoy.answer(1, FakeAnswer::of("200", &["a"]));
    assert_eq!(ended("old"), ["200 a"]);
    let counted = || (envoy.counter("messenger.ended"), envoy.gauge("messenger.under_way"));
    assert_eq!(counted(), (Some(0), Some(1)));
    pass();
    assert_eq!(counted(), (Some(1), Some(1)), "one ended, and another is under way");
    pass();
    assert_eq!(counted(), (Some(1), Some(2)), "nothing is counted twice");
    assert_eq!(envoy.histogram("messenger.milliseconds"), Some(vec![]), "lost");
}
