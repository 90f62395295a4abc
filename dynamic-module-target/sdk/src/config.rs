//! The configuration side.

use core::ptr;

use crate::EnvoyHttpFilter;
use crate::abi::{CalloutInitResult, ConfigEnvoy, MetricsResult, ModuleBuffer};
use crate::callbacks;
use crate::callout::{CalloutOutcome, EARLY_EVENT, Early};
use crate::http_filter::HttpFilter;
use crate::lent;
use crate::metrics::{EnvoyCounterId, EnvoyGaugeId, EnvoyHistogramId};
use crate::scheduler::EnvoyHttpFilterConfigScheduler;

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
    /// be changed, answered or sent yet, since a filter that does not exist could not be told. After a
    /// panic the request is answered with 500.
    fn new_http_filter(&self, envoy: &EnvoyHttpFilter) -> Self::Filter;

    /// Whether its filters have work with the content and the trailers of responses; asked once, when it
    /// is loaded. Where they have none, [`HttpFilter::on_response_body`] and
    /// [`HttpFilter::on_response_trailers`] are not called, at next to no cost.
    fn reads_response_content(&self) -> bool {
        true
    }

    /// An event of an [`EnvoyHttpFilterConfigScheduler`] has come, on the main thread.
    fn on_scheduled(&self, _envoy: &mut EnvoyHttpFilterConfig, _event_id: u64) {}

    /// A callout that [`EnvoyHttpFilterConfig::send_http_callout`] has started has ended; on the main
    /// thread. Those under way when the configuration goes are given up: nothing is heard of them.
    fn on_http_callout_done(
        &self,
        _envoy: &mut EnvoyHttpFilterConfig,
        _callout_id: u64,
        _outcome: CalloutOutcome<'_>,
    ) {
    }
}

/// Envoy, for one configuration, while a hook of that runs on the main thread.
#[derive(Debug)]
pub struct EnvoyHttpFilterConfig {
    raw: ConfigEnvoy,
    /// Null while the configuration is loaded.
    early: *const Early,
}

impl EnvoyHttpFilterConfig {
    /// # Safety
    ///
    /// `raw` is what Envoy passed to the hook that runs, `early` is null or lives, and the handle is
    /// gone when the hook returns.
    pub(crate) unsafe fn new(raw: ConfigEnvoy, early: *const Early) -> Self {
        Self { raw, early }
    }

    /// Defines a counter without labels, while the configuration is loaded. Envoy puts the module's
    /// metrics namespace before the name.
    ///
    /// # Errors
    ///
    /// What Envoy says; so do the other definitions.
    pub fn define_counter(&mut self, name: &str) -> Result<EnvoyCounterId, MetricsResult> {
        let (name, mut id) = (ModuleBuffer::new(name.as_bytes()), 0);
        // SAFETY: `raw` is valid by `new`; no labels; `id` is a local.
        let result =
            unsafe { callbacks::define_counter(self.raw, name, ptr::null_mut(), 0, &mut id) };
        MetricsResult::check(result).map(|()| EnvoyCounterId(id))
    }

    /// Defines a gauge, as [`define_counter`](Self::define_counter).
    ///
    /// # Errors
    ///
    /// What Envoy says.
    pub fn define_gauge(&mut self, name: &str) -> Result<EnvoyGaugeId, MetricsResult> {
        let (name, mut id) = (ModuleBuffer::new(name.as_bytes()), 0);
        // SAFETY: as in `define_counter`.
        let result =
            unsafe { callbacks::define_gauge(self.raw, name, ptr::null_mut(), 0, &mut id) };
        MetricsResult::check(result).map(|()| EnvoyGaugeId(id))
    }

    /// Defines a histogram, as [`define_counter`](Self::define_counter).
    ///
    /// # Errors
    ///
    /// What Envoy says.
    pub fn define_histogram(&mut self, name: &str) -> Result<EnvoyHistogramId, MetricsResult> {
        let (name, mut id) = (ModuleBuffer::new(name.as_bytes()), 0);
        // SAFETY: as in `define_counter`.
        let result =
            unsafe { callbacks::define_histogram(self.raw, name, ptr::null_mut(), 0, &mut id) };
        MetricsResult::check(result).map(|()| EnvoyHistogramId(id))
    }

    /// Whether this Envoy takes metrics from a configuration: since 1.39. Earlier ones say
    /// [`MetricNotFound`](MetricsResult::MetricNotFound) to all.
    #[must_use]
    pub fn takes_metrics(&self) -> bool {
        callbacks::config_increment_counter().is_some()
    }

    /// Adds to a counter.
    ///
    /// # Errors
    ///
    /// What Envoy says; so do the other metrics.
    pub fn increment_counter(&self, id: EnvoyCounterId, value: u64) -> Result<(), MetricsResult> {
        self.measure(callbacks::config_increment_counter(), id.0, value)
    }

    /// Adds to a gauge.
    ///
    /// # Errors
    ///
    /// What Envoy says.
    pub fn increase_gauge(&self, id: EnvoyGaugeId, value: u64) -> Result<(), MetricsResult> {
        self.measure(callbacks::config_increase_gauge(), id.0, value)
    }

    /// Takes from a gauge.
    ///
    /// # Errors
    ///
    /// What Envoy says.
    pub fn decrease_gauge(&self, id: EnvoyGaugeId, value: u64) -> Result<(), MetricsResult> {
        self.measure(callbacks::config_decrease_gauge(), id.0, value)
    }

    /// Sets a gauge.
    ///
    /// # Errors
    ///
    /// What Envoy says.
    pub fn set_gauge(&self, id: EnvoyGaugeId, value: u64) -> Result<(), MetricsResult> {
        self.measure(callbacks::config_set_gauge(), id.0, value)
    }

    /// Records a value in a histogram.
    ///
    /// # Errors
    ///
    /// What Envoy says.
    pub fn record_histogram_value(
        &self,
        id: EnvoyHistogramId,
        value: u64,
    ) -> Result<(), MetricsResult> {
        self.measure(callbacks::config_record_histogram_value(), id.0, value)
    }

    /// What brings events to [`HttpFilterConfig::on_scheduled`], the loading of the configuration
    /// included.
    #[must_use]
    pub fn new_scheduler(&self) -> EnvoyHttpFilterConfigScheduler {
        // SAFETY: `raw` is valid by `new`; what Envoy makes is for its caller to delete.
        unsafe { EnvoyHttpFilterConfigScheduler::new(callbacks::config_scheduler_new(self.raw)) }
    }

    /// Starts a request to a cluster, and gives its id. `headers` have `:method`, `:path` and
    /// `:authority`; Envoy gives up after the timeout, in milliseconds.
    ///
    /// How it ends comes to [`HttpFilterConfig::on_http_callout_done`], never before this returns. While
    /// the configuration is loaded nothing can be sent: commit an event, and send then.
    ///
    /// # Errors
    ///
    /// What Envoy says; then nothing more is heard of it.
    pub fn send_http_callout<'h>(
        &self,
        cluster: &str,
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
        body: Option<&[u8]>,
        timeout_milliseconds: u64,
    ) -> Result<u64, CalloutInitResult> {
        // SAFETY: null or alive, by `new`.
        let early = unsafe { self.early.as_ref() };
        let early = early.ok_or(CalloutInitResult::CannotCreateRequest)?;
        let cluster = ModuleBuffer::new(cluster.as_bytes());
        let body = body.map_or(ModuleBuffer::NULL, ModuleBuffer::new);
        lent::headers(headers.into_iter(), |first, count| {
            let start = |id: &mut u64| {
                // SAFETY: `raw` is valid by `new`; all that is lent outlives the call.
                unsafe {
                    callbacks::config_http_callout(
                        self.raw,
                        id,
                        cluster,
                        first,
                        count,
                        body,
                        timeout_milliseconds,
                    )
                }
            };
            early.start(start, || self.new_scheduler().commit(EARLY_EVENT))
        })
    }

    fn measure(&self, call: Option<Measure>, id: usize, value: u64) -> Result<(), MetricsResult> {
        let call = call.ok_or(MetricsResult::MetricNotFound)?;
        // SAFETY: `raw` is valid by `new`; no labels.
        MetricsResult::check(unsafe { call(self.raw, id, ptr::null_mut(), 0, value) })
    }
}

type Measure = unsafe extern "C" fn(ConfigEnvoy, usize, *mut ModuleBuffer<'_>, usize, u64) -> u32;
