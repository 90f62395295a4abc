//! The counters of a policy, and what each host calls them.

use alloc::string::String;
use core::fmt;

use crate::denial::Denial;

/// What became of a request at one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The filter let it go on.
    Allowed,
    /// The filter answered it.
    Denied(Denial),
    /// `mode: observe`: the filter would have answered or changed it, and did not.
    Observed,
}

impl Outcome {
    /// The last part of the counter's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Observed => "observed",
        }
    }
}

/// One counter: a filter, and what became of the requests it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterName {
    /// The `name` of the filter.
    pub filter: String,
    /// What is counted.
    pub outcome: Outcome,
}

impl CounterName {
    /// The name on the module, below its `metrics_namespace`:
    /// `basic_auth.denied.wrong_credentials`.
    pub fn module(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| match self.outcome {
            Outcome::Denied(denial) => write!(f, "{}.denied.{}", self.filter, denial.slug()),
            other => write!(f, "{}.{}", self.filter, other.name()),
        })
    }

    /// The name on proxy-wasm, which has no labels. It is written so that the tag extraction of
    /// Istio (`extraStatTags`), or the same rule in Envoy's `stats_tags`, makes labels of it:
    /// `pintle_filter=.=basic_auth;.;pintle_reason=.=wrong_credentials;.;pintle_denied`.
    pub fn wasm(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| {
            write!(f, "pintle_filter=.={};.;", self.filter)?;
            if let Outcome::Denied(denial) = self.outcome {
                write!(f, "pintle_reason=.={};.;", denial.slug())?;
            }
            write!(f, "pintle_{}", self.outcome.name())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CounterName, Outcome};
    use crate::denial::Denial;
    use alloc::string::ToString;

    #[test]
    fn names_on_both_hosts() {
        let denied = CounterName {
            filter: "basic_auth".to_string(),
            outcome: Outcome::Denied(Denial::WrongCredentials),
        };
        assert_eq!(denied.module().to_string(), "basic_auth.denied.wrong_credentials");
        assert_eq!(
            denied.wasm().to_string(),
            "pintle_filter=.=basic_auth;.;pintle_reason=.=wrong_credentials;.;pintle_denied"
        );
        let allowed = CounterName { outcome: Outcome::Allowed, ..denied };
        assert_eq!(allowed.module().to_string(), "basic_auth.allowed");
        assert_eq!(allowed.wasm().to_string(), "pintle_filter=.=basic_auth;.;pintle_allowed");
    }
}
