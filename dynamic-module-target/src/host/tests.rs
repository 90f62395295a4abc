use envoy_proxy_dynamic_modules_rust_sdk::fakes::{FakeEnvoy, FakeRequest, FakeStream};
use pintle_core::testing::contract::contract;

use super::*;
use crate::Config;

/// A stream in the event of `section`. It is leaked, since a host borrows it for good.
fn stream(
    section: Section,
    lines: Vec<(Vec<u8>, Vec<u8>)>,
) -> &'static mut FakeStream<'static, Config> {
    let envoy = FakeEnvoy::<Config>::load("pintle", b"{}").expect("a configuration");
    let envoy: &'static FakeEnvoy<Config> = Box::leak(Box::new(envoy));
    let stream = match section {
        Section::Request => envoy.stream(FakeRequest::new(lines)),
        Section::Response => {
            let stream = envoy.stream(FakeRequest::new([(":method", "GET")]));
            stream.response_headers(lines, false);
            stream
        }
    };
    Box::leak(Box::new(stream))
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose")]
fn the_contract() {
    contract(|section, lines| EnvoyHost { envoy: stream(section, lines).envoy(), counters: &[] });
}

#[test]
fn an_attribute_is_not_empty() {
    let envoy = FakeEnvoy::<Config>::load("pintle", b"{}").expect("a configuration");
    let request = |value: &str| {
        FakeRequest::new([(":method", "GET")])
            .attribute(AttributeId::ConnectionRequestedServerName, value)
    };
    for (value, known) in [("", None), ("a.example", Some(&b"a.example"[..]))] {
        let mut stream = envoy.stream(request(value));
        let host = EnvoyHost { envoy: stream.envoy(), counters: &[] };
        assert_eq!(host.attribute(Attribute::RequestedServerName), known);
    }
}
