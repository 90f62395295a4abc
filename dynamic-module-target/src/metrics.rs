//! The metrics of a policy, as Envoy has them.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use envoy_proxy_dynamic_modules_rust_sdk::{
    EnvoyCounterId, EnvoyGaugeId, EnvoyHistogramId, EnvoyHttpFilter, EnvoyHttpFilterConfig,
    MetricsResult,
};
use pintle_core::Metric;
use pintle_core::metrics::{MetricKind, MetricName};

/// Envoy's ids, in the order of the policy's list.
#[derive(Debug)]
pub(crate) struct Metrics {
    ids: Box<[Id]>,
    /// What the main thread had to count and could not, since Envoy before 1.39 takes it from streams
    /// alone: a sum for each metric.
    owed: Box<[AtomicI64]>,
    owes: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
enum Id {
    Counter(EnvoyCounterId),
    Gauge(EnvoyGaugeId),
    Histogram(EnvoyHistogramId),
}

impl Metrics {
    /// Defines all of them; `refuse` hears of those that Envoy does not take.
    pub(crate) fn define(
        names: &[MetricName],
        envoy: &mut EnvoyHttpFilterConfig,
        refuse: impl Fn(fmt::Arguments<'_>),
    ) -> Option<Self> {
        let mut define = |name: &MetricName| -> Result<Id, MetricsResult> {
            let text = name.module().to_string();
            Ok(match name.measure.kind() {
                MetricKind::Counter => Id::Counter(envoy.define_counter(&text)?),
                MetricKind::Gauge => Id::Gauge(envoy.define_gauge(&text)?),
                MetricKind::Histogram => Id::Histogram(envoy.define_histogram(&text)?),
            })
        };
        let ids = names.iter().map(|name| {
            define(name).map_err(|result| {
                refuse(format_args!("Envoy takes no metric {}: {result:?}", name.module()));
            })
        });
        let ids: Box<[Id]> = ids.collect::<Result<_, ()>>().ok()?;
        let owed = ids.iter().map(|_| AtomicI64::new(0)).collect();
        Some(Self { ids, owed, owes: AtomicBool::new(false) })
    }

    /// Adds to a counter, from a stream.
    #[inline]
    pub(crate) fn add(&self, envoy: &EnvoyHttpFilter, counter: Metric, n: u64) {
        if let Some(Id::Counter(id)) = self.ids.get(counter.index()) {
            // The id is of this configuration, so Envoy knows it; so it does below.
            let _ = envoy.increment_counter(*id, n);
        }
    }

    /// Moves a gauge, from a stream.
    pub(crate) fn shift(&self, envoy: &EnvoyHttpFilter, gauge: Metric, by: i64) {
        if let Some(Id::Gauge(id)) = self.ids.get(gauge.index()) {
            let _ = match by {
                0 => Ok(()),
                1.. => envoy.increase_gauge(*id, by.unsigned_abs()),
                ..=-1 => envoy.decrease_gauge(*id, by.unsigned_abs()),
            };
        }
    }

    /// Records a value, from a stream.
    pub(crate) fn record(&self, envoy: &EnvoyHttpFilter, histogram: Metric, value: u64) {
        if let Some(Id::Histogram(id)) = self.ids.get(histogram.index()) {
            let _ = envoy.record_histogram_value(*id, value);
        }
    }

    /// Has a stream count what the main thread could not.
    #[inline]
    pub(crate) fn settle(&self, envoy: &EnvoyHttpFilter) {
        if self.owes.load(Ordering::Relaxed) {
            self.pay(envoy);
        }
    }

    #[cold]
    fn pay(&self, envoy: &EnvoyHttpFilter) {
        self.owes.store(false, Ordering::Release);
        for (index, owed) in (0..).zip(&self.owed) {
            let (id, sum) = (self.ids.get(index), owed.swap(0, Ordering::AcqRel));
            let _ = match (id, sum) {
                (Some(Id::Counter(id)), 1..) => envoy.increment_counter(*id, sum.unsigned_abs()),
                (Some(Id::Gauge(id)), 1..) => envoy.increase_gauge(*id, sum.unsigned_abs()),
                (Some(Id::Gauge(id)), ..=-1) => envoy.decrease_gauge(*id, sum.unsigned_abs()),
                _ => Ok(()),
            };
        }
    }

    /// Adds to a counter, or moves a gauge, from the main thread.
    pub(crate) fn count(&self, envoy: &EnvoyHttpFilterConfig, metric: Metric, by: i64) {
        let Some(id) = self.ids.get(metric.index()) else { return };
        if !envoy.takes_metrics() {
            if let Some(owed) = self.owed.get(metric.index()) {
                owed.fetch_add(by, Ordering::AcqRel);
                self.owes.store(true, Ordering::Release);
            }
            return;
        }
        let _ = match (id, by) {
            (Id::Counter(id), 1..) => envoy.increment_counter(*id, by.unsigned_abs()),
            (Id::Gauge(id), 1..) => envoy.increase_gauge(*id, by.unsigned_abs()),
            (Id::Gauge(id), ..=-1) => envoy.decrease_gauge(*id, by.unsigned_abs()),
            _ => Ok(()),
        };
    }

    /// Records a value from the main thread; Envoy before 1.39 loses it.
    pub(crate) fn record_late(&self, envoy: &EnvoyHttpFilterConfig, histogram: Metric, value: u64) {
        if let Some(Id::Histogram(id)) = self.ids.get(histogram.index()) {
            let _ = envoy.record_histogram_value(*id, value);
        }
    }
}
