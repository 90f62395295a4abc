//! The functions that a host of proxy-wasm ABI 0.2.1 calls.

/// A function that a module may export for its host; all numbers in it are 32 bits wide.
#[derive(Debug)]
pub(super) struct Callback {
    /// The name that the host knows.
    pub(super) name: &'static str,
    /// How many parameters it takes.
    pub(super) parameters: usize,
    /// How many results it has.
    pub(super) results: usize,
}

/// What the host calls before all else.
pub(super) const INITIALIZE: &Callback = &callback("_initialize", 0, 0);

/// The callback of this name.
pub(super) fn find(name: &str) -> Option<&'static Callback> {
    CALLBACKS.iter().find(|callback| callback.name == name)
}

const CALLBACKS: [Callback; 29] = [
    callback("proxy_abi_version_0_2_1", 0, 0),
    callback("proxy_on_memory_allocate", 1, 1),
    callback("proxy_on_context_create", 2, 0),
    callback("proxy_on_vm_start", 2, 1),
    callback("proxy_on_configure", 2, 1),
    callback("proxy_on_tick", 1, 0),
    callback("proxy_on_done", 1, 1),
    callback("proxy_on_log", 1, 0),
    callback("proxy_on_delete", 1, 0),
    callback("proxy_on_request_headers", 3, 1),
    callback("proxy_on_request_body", 3, 1),
    callback("proxy_on_request_trailers", 2, 1),
    callback("proxy_on_request_metadata", 2, 1),
    callback("proxy_on_response_headers", 3, 1),
    callback("proxy_on_response_body", 3, 1),
    callback("proxy_on_response_trailers", 2, 1),
    callback("proxy_on_response_metadata", 2, 1),
    callback("proxy_on_http_call_response", 5, 0),
    callback("proxy_on_grpc_receive_initial_metadata", 3, 0),
    callback("proxy_on_grpc_receive", 3, 0),
    callback("proxy_on_grpc_receive_trailing_metadata", 3, 0),
    callback("proxy_on_grpc_close", 3, 0),
    callback("proxy_on_queue_ready", 2, 0),
    callback("proxy_on_foreign_function", 3, 0),
    callback("proxy_on_new_connection", 1, 1),
    callback("proxy_on_downstream_data", 3, 1),
    callback("proxy_on_downstream_connection_close", 2, 0),
    callback("proxy_on_upstream_data", 3, 1),
    callback("proxy_on_upstream_connection_close", 2, 0),
];

const fn callback(name: &'static str, parameters: usize, results: usize) -> Callback {
    Callback { name, parameters, results }
}
