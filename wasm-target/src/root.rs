//! One configuration in a VM: a root context, in the words of the ABI.

use std::cell::Cell;
use std::fmt;

use pintle_core::config::HashKey;
use pintle_core::filter::FilterSet;
use pintle_core::{Counter, Policy};
use proxy_wasm::types::MetricType;

use crate::abi;
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

impl<X: FilterSet> Root<X> {
    /// Loads a configuration, and says why where it is refused.
    pub(crate) fn new(id: u32, configuration: &[u8], event: &Event) -> Result<Self, String> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|_| "no random bytes to be had".to_string())?;
        let policy = Policy::load(configuration, HashKey::new(key)).map_err(|errors| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        let counters = Counters::define(&policy)?;
        Ok(Self { id, policy, counters, token: identify(id, event) })
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
    metric: u32,
    count: Cell<u64>,
}

impl Counters {
    fn define<X: FilterSet>(policy: &Policy<X>) -> Result<Self, String> {
        let define = |name: &dyn fmt::Display| {
            abi::define_metric(MetricType::Counter, name.to_string().as_bytes())
                .map(|metric| Pending { metric, count: Cell::new(0) })
                .map_err(|status| format!("the host takes no counter {name}: {status}"))
        };
        policy.counters().iter().map(|name| define(&name.wasm())).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn add(&self, counter: Counter, n: u64) {
        if let Some(pending) = self.0.get(counter.index()) {
            pending.count.set(pending.count.get().saturating_add(n));
        }
    }

    /// Hands all counts to the host.
    pub(crate) fn flush(&self) {
        for pending in &self.0 {
            let count = pending.count.take();
            if let Ok(count @ 1..) = i64::try_from(count) {
                // The metric is the host's own, so it knows it.
                let _ = abi::increment_metric(pending.metric, count);
            }
        }
    }
}
