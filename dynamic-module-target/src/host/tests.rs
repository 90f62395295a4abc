use envoy_proxy_dynamic_modules_rust_sdk::fakes::{FakeEnvoy, FakeRequest, FakeStream};
use pintle_core::config::{Load, Pointer};
use pintle_core::store::StoreSpec;
use pintle_core::testing::contract::{self, contract, sharing};
use pintle_core::testing::corpus::NO_CLUSTER;
use pintle_core::{Filter, Phases};

use super::*;

pintle_core::filters! {
    /// The filter of these tests.
    enum Mine { Keeper }
}

type Config = crate::Config<Mine>;

/// Does nothing, and has the store of the contract.
struct Keeper(StoreSpec);

#[derive(serde::Deserialize)]
struct KeeperFields {}

impl Filter for Keeper {
    const KIND: &'static str = "keeper";
    type Fields = KeeperFields;

    fn compile(_: KeeperFields, _: &Pointer<'_>, _: &mut Load) -> Option<Self> {
        Some(Self(contract::store()))
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    fn store(&self) -> Option<&StoreSpec> {
        Some(&self.0)
    }
}

const KEEPER: &[u8] = br#"{"filters": [{"keeper": {}}]}"#;

/// A stream in the event of `section`. It is leaked, since a host borrows it for good.
fn host(section: Section, lines: Vec<(Vec<u8>, Vec<u8>)>) -> EnvoyHost<'static> {
    let envoy = FakeEnvoy::<Config>::load("pintle", KEEPER).expect("a configuration");
    envoy.unknown_cluster(NO_CLUSTER);
    let envoy: &'static FakeEnvoy<Config> = Box::leak(Box::new(envoy));
    let stream = match section {
        Section::Request => envoy.stream(FakeRequest::new(lines)),
        Section::Response => {
            let stream = envoy.stream(FakeRequest::new([(":method", "GET")]));
            stream.response_headers(lines, false);
            stream
        }
    };
    let stream: &'static mut FakeStream<'static, Config> = Box::leak(Box::new(stream));
    EnvoyHost { envoy: stream.envoy(), facilities: envoy.config().facilities() }
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose")]
fn the_contract() {
    contract(host);
}

#[test]
#[cfg_attr(miri, ignore = "leaks on purpose")]
fn the_contract_of_what_streams_share() {
    sharing(|| host(Section::Request, vec![(b":method".to_vec(), b"GET".to_vec())]));
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
        let facilities = envoy.config().facilities();
        let host = EnvoyHost { envoy: stream.envoy(), facilities };
        assert_eq!(host.attribute(Attribute::RequestedServerName), known);
    }
}
