//! What Envoy is told: its bootstrap, and the listeners in a file that it watches.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::artefact::Artefact;
use crate::cargo::Workspace;
use crate::clusters;
use crate::upstream::CASE;

const MAX_REQUEST_HEADERS_KB: u32 = 96;
const MAX_FIELDS: u32 = 200;

/// A listener: its name, and the HTTP filters in front of the router.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    /// Unlike all others.
    pub(crate) name: String,
    /// In Envoy's JSON.
    pub(crate) filters: Vec<Value>,
    /// Members of its connection manager that stand in the place of ours.
    pub(crate) manager: Map<String, Value>,
    /// How much of a connection it buffers, in bytes. Envoy's default is 1 MiB.
    pub(crate) buffer_bytes: Option<u32>,
}

impl Listener {
    /// With these filters.
    pub(crate) fn new(name: impl Into<String>, filters: Vec<Value>) -> Self {
        Self { name: name.into(), filters, manager: Map::new(), buffer_bytes: None }
    }

    /// With nothing between client and upstream.
    pub(crate) fn plain(name: impl Into<String>) -> Self {
        Self::new(name, Vec::new())
    }

    /// With one artefact and its configuration.
    pub(crate) fn with(
        name: impl Into<String>,
        workspace: &Workspace,
        artefact: Artefact,
        config: &str,
    ) -> Self {
        Self::new(name, vec![filter(artefact, &artefact.file(workspace), config)])
    }
}

/// The HTTP filter that runs an artefact, as a user writes it.
pub(crate) fn filter(artefact: Artefact, file: &Path, config: &str) -> Value {
    let config =
        json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": config});
    match artefact {
        Artefact::Wasm => json!({
            "name": "pintle",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "pintle",
                    "failure_policy": "FAIL_RELOAD",
                    "vm_config": {
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": file}},
                    },
                    "configuration": config,
                },
            },
        }),
        Artefact::Native => json!({
            "name": "pintle",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
                "dynamic_module_config": {
                    "module": {"local": {"filename": file}},
                    "do_not_close": true,
                    "metrics_namespace": "pintle",
                },
                "filter_name": "pintle",
                "filter_config": config,
            },
        }),
    }
}

/// The bootstrap: an admin interface, clusters, and listeners from `listeners_file`.
pub(crate) fn bootstrap(listeners_file: &Path, clusters: Vec<Value>) -> Value {
    json!({
        "node": {"id": "pintle", "cluster": "pintle"},
        "admin": {"address": socket_address("127.0.0.1", 0)},
        "dynamic_resources": {
            "lds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": listeners_file},
            },
        },
        "static_resources": {"clusters": clusters},
        // As docs/metrics.md has it: the labels of our counters on proxy-wasm, then on the module.
        "stats_config": {"stats_tags": [
            {"tag_name": "pintle_filter", "regex": "(pintle_filter=\\.=(.*?);\\.;)"},
            {"tag_name": "pintle_reason", "regex": "(pintle_reason=\\.=(.*?);\\.;)"},
            {"tag_name": "pintle_result", "regex": "(pintle_result=\\.=(.*?);\\.;)"},
            {"tag_name": "pintle_filter", "regex": "^pintle\\.(([A-Za-z0-9_-]+)\\.)"},
            {"tag_name": "pintle_reason", "regex": "^pintle\\.[A-Za-z0-9_-]+\\.denied(\\.([a-z0-9_]+))$"},
            {"tag_name": "pintle_result", "regex": "^pintle\\.[A-Za-z0-9_-]+\\.callouts(\\.([a-z0-9_]+))$"},
        ]},
        // Nobody else connects; without a limit Envoy warns.
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": 1000,
            },
        }]},
    })
}

/// The content of the listeners file. `notes` are the keys under which filters leave values:
/// on proxy-wasm each is a filter state of its own, which the access log has to name.
pub(crate) fn discovery(listeners: &[Listener], access_log: &Path, notes: &[String]) -> Value {
    let resources = listeners.iter().map(|l| listener(l, access_log, notes)).collect::<Vec<_>>();
    json!({"version_info": "0", "resources": resources})
}

fn listener(listener: &Listener, access_log: &Path, notes: &[String]) -> Value {
    let mut filters = listener.filters.clone();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    }));
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "codec_type": "AUTO",
        "http_protocol_options": {"enable_trailers": true},
        "common_http_protocol_options": {"max_headers_count": MAX_FIELDS},
        "max_request_headers_kb": MAX_REQUEST_HEADERS_KB,
        // Hostile paths and ids must reach the filter, and the upstream, as they came.
        "normalize_path": false,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "generate_request_id": false,
        "preserve_external_request_id": true,
        "http_filters": filters,
        "access_log": [access_logger(&listener.name, access_log, notes)],
        "route_config": routes(Vec::new()),
    });
    for (member, value) in &listener.manager {
        manager[member] = value.clone();
    }
    let mut resource = json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": listener.name,
        "address": socket_address("127.0.0.1", 0),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    });
    if let Some(bytes) = listener.buffer_bytes {
        resource["per_connection_buffer_limit_bytes"] = bytes.into();
    }
    resource
}

/// The routes of a listener: these, and what none of them is for goes to the upstream.
pub(crate) fn routes(mut first: Vec<Value>) -> Value {
    first.push(json!({"match": {"prefix": "/"}, "route": {"cluster": clusters::UPSTREAM}}));
    json!({"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": first}]})
}

fn access_logger(listener: &str, file: &Path, notes: &[String]) -> Value {
    let state = notes
        .iter()
        .map(|key| (key.clone(), json!(format!("%FILTER_STATE(wasm.pintle.{key}:PLAIN)%"))));
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": file,
            "log_format": {"json_format": {
                "listener": listener,
                "case": format!("%REQ({CASE})%"),
                "status": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "grpc_status": "%GRPC_STATUS_NUMBER%",
                "flags": "%RESPONSE_FLAGS%",
                "metadata": "%DYNAMIC_METADATA(pintle)%",
                "state": state.collect::<serde_json::Map<_, _>>(),
            }},
        },
    })
}

/// An address, in Envoy's JSON.
pub(crate) fn socket_address(ip: &str, port: u16) -> Value {
    json!({"socket_address": {"address": ip, "port_value": port}})
}
