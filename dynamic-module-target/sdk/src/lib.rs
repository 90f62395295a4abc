//! A thin, safe binding to the HTTP-filter part of Envoy's dynamic-module ABI.
//!
//! The names of traits and methods are those of Envoy's own Rust SDK, for the part that is covered,
//! so that code written for the one reads as code for the other. What differs:
//!
//! - one `.so` runs on Envoy 1.38 to 1.40: callbacks are looked up once, in
//!   [`program_init`](hooks::program_init), so no symbol of Envoy is linked and a test executable
//!   needs none;
//! - dispatch is static, and a stream costs no allocation once its worker is warm;
//! - hooks are handed the configuration by reference; Envoy keeps it for as long as a stream uses it;
//! - hooks that a filter does not ask for (`const RESPONSE_HEADERS: bool` and its like) are a bare
//!   "continue" that never touches the filter;
//! - a panic is contained in every hook, logged without its message (which may quote a secret), and
//!   answered with status 500; Envoy makes that a reset where the fields of a response have gone;
//! - a callout that Envoy answers at once is answered when nothing of the module runs: no hook runs
//!   inside a `&self` method.
//!
//! Not covered: request bodies and trailers, streamed callouts, per-route configuration, filter state,
//! tracing. Envoy demands the hooks of some of these; they exist and do nothing.
//!
//! ```
//! use envoy_proxy_dynamic_modules_rust_sdk::*;
//!
//! struct Greeting(Vec<u8>);
//! struct Greeter;
//!
//! impl HttpFilterConfig for Greeting {
//!     type Filter = Greeter;
//!
//!     fn new(_: &mut EnvoyHttpFilterConfig, _name: &str, config: &[u8]) -> Option<Self> {
//!         (!config.is_empty()).then(|| Greeting(config.to_vec()))
//!     }
//!
//!     fn new_http_filter(&self, _: &EnvoyHttpFilter) -> Greeter {
//!         Greeter
//!     }
//! }
//!
//! impl HttpFilter for Greeter {
//!     type Config = Greeting;
//!
//!     fn on_request_headers(
//!         &self,
//!         config: &Greeting,
//!         envoy: &mut EnvoyHttpFilter,
//!         _end_of_stream: bool,
//!     ) -> HeadersStatus {
//!         if envoy.get_request_header_value("x-let-me-in").is_none() {
//!             envoy.send_response(403, [], Some(b"no"), Some("greeter_denied"));
//!             return HeadersStatus::StopIteration;
//!         }
//!         envoy.set_request_header("x-greeting", &config.0);
//!         HeadersStatus::Continue
//!     }
//! }
//!
//! declare_init_functions!(|| true, Greeting);
//! # fn main() {}
//! ```

pub mod abi;
mod body;
mod buffer;
mod callbacks;
mod callout;
mod config;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
mod grpc;
pub mod hooks;
mod http_filter;
mod lent;
mod log;
mod macros;
mod metrics;
mod panic;
mod pool;
mod scheduler;
mod stream;
#[cfg(test)]
mod tests;

pub use abi::{
    AttributeId, BodyStatus, CalloutInitResult, HeaderType, HeadersStatus, LocalReplyStatus,
    LogLevel, MetricsResult, TrailersStatus,
};
pub use body::BodyChunks;
pub use buffer::{EnvoyBuffer, HeaderList, HeaderValues};
pub use callout::{CalloutOutcome, CalloutResponse};
pub use config::{EnvoyHttpFilterConfig, HttpFilterConfig};
pub use http_filter::{EnvoyHttpFilter, HttpFilter};
pub use log::{log, log_args, log_enabled};
pub use metrics::{EnvoyCounterId, EnvoyGaugeId, EnvoyHistogramId};
pub use scheduler::{EnvoyHttpFilterConfigScheduler, EnvoyHttpFilterScheduler};
