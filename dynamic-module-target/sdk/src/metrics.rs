//! What Envoy calls a metric of a configuration.

/// A counter that [`define_counter`](crate::EnvoyHttpFilterConfig::define_counter) has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnvoyCounterId(pub(crate) usize);

/// A gauge that [`define_gauge`](crate::EnvoyHttpFilterConfig::define_gauge) has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnvoyGaugeId(pub(crate) usize);

/// A histogram that [`define_histogram`](crate::EnvoyHttpFilterConfig::define_histogram) has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnvoyHistogramId(pub(crate) usize);
