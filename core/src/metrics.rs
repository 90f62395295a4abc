//! The metrics of a policy, and what each host calls them.

use alloc::string::String;
use core::fmt;

use crate::denial::Denial;

/// What a metric of a filter measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Requests that the filter let go on.
    Allowed,
    /// Requests that the filter answered.
    Denied(Denial),
    /// `mode: observe`: requests that the filter would have answered or changed, and did not.
    Observed,
    /// What only filters of this kind have.
    Own(&'static Meter),
}

/// A metric that only one kind of filter has.
#[derive(Debug, PartialEq, Eq)]
pub struct Meter {
    /// What is measured, in the plural: `callouts`.
    pub name: &'static str,
    /// A name and a value that tell it from others of the name: `("result", "ok")`.
    pub label: Option<(&'static str, &'static str)>,
    /// How it is measured.
    pub kind: MetricKind,
}

/// How something is measured, in Envoy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that grows.
    Counter,
    /// A number that grows and shrinks.
    Gauge,
    /// Numbers that are recorded one by one.
    Histogram,
}

impl Measure {
    /// The part of the metric's name that says what is measured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Observed => "observed",
            Self::Own(meter) => meter.name,
        }
    }

    /// How it is measured.
    pub const fn kind(self) -> MetricKind {
        match self {
            Self::Own(meter) => meter.kind,
            _ => MetricKind::Counter,
        }
    }

    /// Name and value of what tells it from others of its name.
    const fn label(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Denied(denial) => Some(("reason", denial.slug())),
            Self::Own(meter) => meter.label,
            _ => None,
        }
    }
}

/// One metric: a filter, and what is measured of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricName {
    /// The `name` of the filter.
    pub filter: String,
    /// What is measured.
    pub measure: Measure,
}

impl MetricName {
    /// The name on the module, below its `metrics_namespace`:
    /// `basic_auth.denied.wrong_credentials`.
    pub fn module(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            write!(f, "{}.{}", self.filter, self.measure.name())?;
            self.measure.label().map_or(Ok(()), |(_, value)| write!(f, ".{value}"))
        })
    }

    /// The name on proxy-wasm, which has no labels. It is written so that the tag extraction of
    /// Istio (`extraStatTags`), or the same rule in Envoy's `stats_tags`, makes labels of it:
    /// `pintle_filter=.=basic_auth;.;pintle_reason=.=wrong_credentials;.;pintle_denied`.
    pub fn wasm(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            write!(f, "pintle_filter=.={};.;", self.filter)?;
            if let Some((name, value)) = self.measure.label() {
                write!(f, "pintle_{name}=.={value};.;")?;
            }
            write!(f, "pintle_{}", self.measure.name())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Measure, MetricName};
    use crate::denial::Denial;
    use alloc::string::ToString;

    #[test]
    fn names_on_both_hosts() {
        let denied = MetricName {
            filter: "basic_auth".to_string(),
            measure: Measure::Denied(Denial::WrongCredentials),
        };
        assert_eq!(denied.module().to_string(), "basic_auth.denied.wrong_credentials");
        assert_eq!(
            denied.wasm().to_string(),
            "pintle_filter=.=basic_auth;.;pintle_reason=.=wrong_credentials;.;pintle_denied"
        );
        let allowed = MetricName { measure: Measure::Allowed, ..denied };
        assert_eq!(allowed.module().to_string(), "basic_auth.allowed");
        assert_eq!(allowed.wasm().to_string(), "pintle_filter=.=basic_auth;.;pintle_allowed");
    }
}
