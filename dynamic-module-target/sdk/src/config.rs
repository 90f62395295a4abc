//! The configuration side.

use crate::EnvoyHttpFilter;
use crate::abi::{ConfigEnvoy, MetricsResult, ModuleBuffer};
use crate::callbacks;
use crate::http_filter::HttpFilter;

/// The configuration of a filter, shared by all streams of all workers.
pub trait HttpFilterConfig: Send + Sync + Sized + 'static {
    /// What a stream has.
    type Filter: HttpFilter<Config = Self>;

    /// Response-code details of the 500 that answers a panic. No spaces.
    const PANIC_DETAILS: &'static str = "dynamic_module_panic";

    /// Reads a configuration, on the main thread. `None`, or a panic, makes Envoy refuse it and keep
    /// the one it has; log the reason first.
    fn new(envoy: &mut EnvoyHttpFilterConfig, name: &str, config: &[u8]) -> Option<Self>;

    /// Makes the filter of one stream, on its worker. Request headers can be read already; nothing can
    /// be changed or answered yet, since a filter that does not exist could not be told. After a
    /// panic the request is answered with 500.
    fn new_http_filter(&self, envoy: &EnvoyHttpFilter) -> Self::Filter;
}

/// Envoy, while a configuration is loaded.
#[derive(Debug)]
pub struct EnvoyHttpFilterConfig {
    raw: ConfigEnvoy,
}

/// A counter that [`EnvoyHttpFilterConfig::define_counter`] has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnvoyCounterId(pub(crate) usize);

impl EnvoyHttpFilterConfig {
    /// # Safety
    ///
    /// `raw` is what Envoy passed to the hook that runs, and the handle is gone when that returns.
    pub(crate) unsafe fn new(raw: ConfigEnvoy) -> Self {
        Self { raw }
    }

    /// Defines a counter without labels. Envoy puts the module's metrics namespace before the name.
    ///
    /// # Errors
    ///
    /// What Envoy says.
    pub fn define_counter(&mut self, name: &str) -> Result<EnvoyCounterId, MetricsResult> {
        let mut id = 0;
        // SAFETY: `raw` is valid by `new`; no labels; `id` is a local.
        let result = unsafe {
            callbacks::define_counter(
                self.raw,
                ModuleBuffer::new(name.as_bytes()),
                core::ptr::null_mut(),
                0,
                &mut id,
            )
        };
        MetricsResult::check(result).map(|()| EnvoyCounterId(id))
    }
}
