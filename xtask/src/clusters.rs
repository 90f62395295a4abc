//! The clusters of every mesh: the upstream, and where callouts go.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use pintle_core::testing::corpus::{NO_CLUSTER, NOWHERE};
use serde_json::{Value, json};

use crate::bootstrap::socket_address;

/// The cluster of the upstream.
pub(crate) const UPSTREAM: &str = "upstream";
/// The same upstream, always over HTTP/2.
pub(crate) const UPSTREAM_HTTP2: &str = "upstream-h2";
/// The auth service, over HTTP/1.1.
pub(crate) const AUTH: &str = "auth";
/// The auth service, over HTTP/2.
pub(crate) const AUTH_HTTP2: &str = "auth-h2";
/// A cluster without hosts.
pub(crate) const AUTH_EMPTY: &str = "auth-empty";

/// Under which configurations name a cluster.
const KEYS: [&str; 2] = ["cluster", "auth_cluster_name"];

/// More than any test has under way; Envoy's default is 1,024.
const MAX_UNDER_WAY: u32 = 10_000;
/// Fields of a response.
const MAX_FIELDS: u32 = 200;

/// Where everything listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// The upstream.
    pub(crate) upstream: SocketAddr,
    /// The auth service.
    pub(crate) authority: SocketAddr,
    /// Nobody, for certain.
    pub(crate) refusing: SocketAddr,
}

/// All of them, and the auth service under further names.
pub(crate) fn clusters(addresses: Addresses, more: &[String]) -> Vec<Value> {
    let own = [
        // HTTP/2 in, HTTP/2 out.
        cluster(
            UPSTREAM,
            Some(addresses.upstream),
            json!({"use_downstream_protocol_config": {
                "http_protocol_options": {"enable_trailers": true},
                "http2_protocol_options": {},
            }}),
        ),
        cluster(UPSTREAM_HTTP2, Some(addresses.upstream), explicit("http2_protocol_options")),
        cluster(AUTH, Some(addresses.authority), explicit("http_protocol_options")),
        cluster(AUTH_HTTP2, Some(addresses.authority), explicit("http2_protocol_options")),
        cluster(NOWHERE, Some(addresses.refusing), explicit("http_protocol_options")),
        cluster(AUTH_EMPTY, None, explicit("http_protocol_options")),
    ];
    let named = |name: &String| service(name, addresses.authority);
    own.into_iter().chain(more.iter().map(named)).collect()
}

/// A cluster of one service, over HTTP/1.1, trailers included.
pub(crate) fn service(name: &str, address: SocketAddr) -> Value {
    let options = json!({"http_protocol_options": {"enable_trailers": true}});
    cluster(name, Some(address), json!({"explicit_http_config": options}))
}

/// The clusters that a configuration names, other than those of every mesh and the one that is
/// missing.
pub(crate) fn named_in(config: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if let Ok(config) = serde_json::from_str(config) {
        collect(&config, &mut names);
    }
    names
}

fn collect(config: &Value, names: &mut BTreeSet<String>) {
    let own = [UPSTREAM, UPSTREAM_HTTP2, AUTH, AUTH_HTTP2, NOWHERE, AUTH_EMPTY, NO_CLUSTER];
    match config {
        Value::Array(list) => list.iter().for_each(|value| collect(value, names)),
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(name) if KEYS.contains(&key.as_str()) && !own.contains(&name) => {
                        names.insert(name.to_owned());
                    }
                    _ => collect(value, names),
                }
            }
        }
        _ => {}
    }
}

fn explicit(options: &str) -> Value {
    json!({"explicit_http_config": {options: {}}})
}

fn cluster(name: &str, address: Option<SocketAddr>, protocol: Value) -> Value {
    let endpoint = |address: SocketAddr| json!({"endpoint": {"address": socket_address(&address.ip().to_string(), address.port())}});
    let endpoints: Vec<Value> = address.map(endpoint).into_iter().collect();
    let mut options = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"max_headers_count": MAX_FIELDS},
    });
    if let (Value::Object(options), Value::Object(protocol)) = (&mut options, protocol) {
        options.extend(protocol);
    }
    json!({
        "name": name,
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": MAX_UNDER_WAY,
            "max_pending_requests": MAX_UNDER_WAY,
            "max_requests": MAX_UNDER_WAY,
        }]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::named_in;

    #[test]
    fn names_of_clusters() {
        let config = r#"{"auth_cluster_name": "outbound|8000||a", "filters": [
            {"x": {"cluster": "b"}}, {"x": {"cluster": "auth"}}, {"x": {"cluster": "missing"}}
        ]}"#;
        assert!(named_in(config).iter().eq(["b", "outbound|8000||a"]));
        assert!(named_in("no JSON").is_empty());
    }
}
