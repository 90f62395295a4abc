//! One configuration in a VM: a root context, in the words of the ABI.

use std::cell::Cell;
use std::fmt;

use pintle_core::config::{ConfigErrors, HashKey};
use pintle_core::filter::FilterSet;
use pintle_core::{Counter, Policy};
use proxy_wasm::types::{LogLevel, MetricType};

use crate::abi::{self, Status};
use crate::arena::Event;

/// A configuration that the host has loaded.
#[derive(Debug)]
pub(crate) struct Root<X: FilterSet> {
    pub(crate) id: u32,
    pub(crate) policy: Policy<X>,
    pub(crate) counters: Counters,
    /// A CEL expression of this root context that evaluates to its id; `None` where the host has no
    /// CEL.
    pub(crate) token: Option<Token>,
}

/// What `expr_create` names an expression by: 4 bytes, counted per root context.
pub(crate) type Token = [u8; 4];

/// Why a configuration is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The host does not hand it over.
    Unreadable(Status),
    /// There is no key for hashes to be had.
    NoRandomBytes,
    /// It is not one.
    Policy(ConfigErrors),
    /// The host does not tell which contexts are alive, so their memory could never be freed.
    NoContexts(Status),
    /// There is another one in this VM, and the host does not tell whose a stream is.
    Indistinct,
}

impl<X: FilterSet> Root<X> {
    /// Loads a configuration.
    pub(crate) fn new(id: u32, configuration: &[u8], event: &Event) -> Result<Self, Refused> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|_| Refused::NoRandomBytes)?;
        let policy = Policy::load(configuration, HashKey::new(key)).map_err(Refused::Policy)?;
        let counters = Counters::define(&policy);
        Ok(Self { id, policy, counters, token: identify(id, event) })
    }
}

impl Refused {
    /// Logs the reasons, one line each.
    pub(crate) fn log(&self) {
        let log = |reason: &dyn fmt::Display| {
            let line = format!("pintle: configuration refused: {reason}");
            abi::log(LogLevel::Error, line.as_bytes());
        };
        match self {
            Self::Unreadable(status) => log(&format_args!("it cannot be read: {status}")),
            Self::NoRandomBytes => log(&"no random bytes to be had"),
            Self::Policy(errors) => errors.iter().for_each(|error| log(error)),
            Self::NoContexts(status) => log(&format_args!(
                "the host does not let it call `proxy_set_effective_context`: {status}"
            )),
            Self::Indistinct => log(&"this host cannot tell two configurations in one VM apart; \
                 give each a vm_id of its own"),
        }
    }
}

/// Leaves a mark that a stream of this root context can find, see [`root_of_stream`].
fn identify(id: u32, event: &Event) -> Option<Token> {
    let literal = format!("\"{id}\"");
    abi::call_foreign_function(event, b"expr_create", literal.as_bytes()).ok()?.try_into().ok()
}

/// The id of the root context that the current stream belongs to.
///
/// The ABI tells only `proxy_on_context_create`, at a price that each stream of each user would
/// pay. But an expression belongs to a root context, and its token is counted there: the same token
/// names another expression, here a literal, in each.
pub(crate) fn root_of_stream(token: Token, event: &Event) -> Option<u32> {
    let id = abi::call_foreign_function(event, b"expr_evaluate", &token).ok()?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

/// The counters of a policy, summed here until the next tick: a host call per request is not free.
#[derive(Debug, Default)]
pub(crate) struct Counters(Vec<Pending>);

#[derive(Debug)]
struct Pending {
    /// `None` where the host takes no such counter.
    metric: Option<u32>,
    count: Cell<u64>,
}

impl Counters {
    /// A host that takes no metrics still gets its requests judged, and is told.
    pub(crate) fn define<X: FilterSet>(policy: &Policy<X>) -> Self {
        let mut refused = None;
        let mut define = |name: &dyn fmt::Display| {
            let metric = abi::define_metric(MetricType::Counter, name.to_string().as_bytes())
                .inspect_err(|status| refused = Some(*status))
                .ok();
            Pending { metric, count: Cell::new(0) }
        };
        let counters = Self(policy.counters().iter().map(|name| define(&name.wasm())).collect());
        if let Some(status) = refused {
            let line = format!("pintle: the host takes no counters: {status}");
            abi::log(LogLevel::Warn, line.as_bytes());
        }
        counters
    }

    pub(crate) fn add(&self, counter: Counter, n: u64) {
        if let Some(pending) = self.0.get(counter.index()) {
            pending.count.set(pending.count.get().saturating_add(n));
        }
    }

    /// Hands all counts to the host.
    pub(crate) fn flush(&self) {
        for pending in &self.0 {
            let count = i64::try_from(pending.count.take()).unwrap_or(i64::MAX);
            if let (Some(metric), 1..) = (pending.metric, count) {
                // The metric is the host's own, so it knows it.
                let _ = abi::increment_metric(metric, count);
            }
        }
    }
}
