//! An Envoy dynamic module that does nothing: what the ABI costs by itself.

#![deny(unsafe_code)]

use envoy_proxy_dynamic_modules_rust_sdk::{
    EnvoyHttpFilter, EnvoyHttpFilterConfig, HeadersStatus, HttpFilter, HttpFilterConfig,
    declare_init_functions,
};

declare_init_functions!(|| true, Idle);

/// Its configuration, whatever that is.
#[derive(Debug)]
pub struct Idle;

/// One stream of it.
#[derive(Debug)]
pub struct IdleStream;

impl HttpFilterConfig for Idle {
    type Filter = IdleStream;

    fn new(_envoy: &mut EnvoyHttpFilterConfig, _name: &str, _config: &[u8]) -> Option<Self> {
        Some(Self)
    }

    fn new_http_filter(&self, _envoy: &EnvoyHttpFilter) -> IdleStream {
        IdleStream
    }
}

impl HttpFilter for IdleStream {
    type Config = Idle;

    const RESPONSE_HEADERS: bool = true;

    /// A request with content is answered, so that the module can be seen to run.
    fn on_request_headers(
        &self,
        _config: &Idle,
        envoy: &mut EnvoyHttpFilter,
        end_of_stream: bool,
    ) -> HeadersStatus {
        if end_of_stream {
            return HeadersStatus::Continue;
        }
        envoy.send_response(418, [], None, None);
        HeadersStatus::StopIteration
    }

    fn on_response_headers(
        &self,
        _config: &Idle,
        _envoy: &mut EnvoyHttpFilter,
        _end_of_stream: bool,
    ) -> HeadersStatus {
        HeadersStatus::Continue
    }
}
