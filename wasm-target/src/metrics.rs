//! The metrics of one configuration.

use std::cell::Cell;

use pintle_core::filter::FilterSet;
use pintle_core::metrics::MetricKind;
use pintle_core::{Metric, Policy};
use proxy_wasm::types::{LogLevel, MetricType};

use crate::abi;

/// The metrics of a policy. Counters and gauges are summed here until the next tick: a host call per
/// request is not free. Histograms are told at once. The host adds up what the VMs of all workers
/// tell it.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Vec<Pending>);

#[derive(Debug)]
struct Pending {
    /// `None` where the host takes no such metric.
    metric: Option<u32>,
    kind: MetricKind,
    /// What the host does not know yet.
    sum: Cell<i64>,
}

impl Metrics {
    /// A host that takes no metrics still gets its requests judged, and is told.
    pub(crate) fn define<X: FilterSet>(policy: &Policy<X>) -> Self {
        let mut refused = None;
        let metrics = policy.metrics().iter().map(|name| {
            let kind = name.measure.kind();
            let metric = abi::define_metric(metric_type(kind), name.wasm().to_string().as_bytes())
                .inspect_err(|status| refused = Some(*status))
                .ok();
            Pending { metric, kind, sum: Cell::new(0) }
        });
        let metrics = Self(metrics.collect());
        if let Some(status) = refused {
            let line = format!("pintle: the host takes no metrics: {status}");
            abi::log(LogLevel::Warn, line.as_bytes());
        }
        metrics
    }

    /// Moves a counter or a gauge.
    pub(crate) fn add(&self, metric: Metric, n: i64) {
        if let Some(pending) = self.0.get(metric.index()) {
            pending.sum.set(pending.sum.get().saturating_add(n));
        }
    }

    /// Records a value in a histogram.
    pub(crate) fn record(&self, histogram: Metric, value: u64) {
        let pending = self.0.get(histogram.index());
        if let Some(Pending { metric: Some(metric), kind: MetricKind::Histogram, .. }) = pending {
            // The metric is the host's own, so it knows it.
            let _ = abi::record_metric(*metric, value);
        }
    }

    /// Hands all sums to the host.
    pub(crate) fn flush(&self) {
        for pending in &self.0 {
            let sum = pending.sum.take();
            let told = match pending.kind {
                MetricKind::Counter => sum > 0,
                MetricKind::Gauge => sum != 0,
                MetricKind::Histogram => false,
            };
            if let (Some(metric), true) = (pending.metric, told) {
                let _ = abi::increment_metric(metric, sum);
            }
        }
    }
}

const fn metric_type(kind: MetricKind) -> MetricType {
    match kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Histogram => MetricType::Histogram,
    }
}
