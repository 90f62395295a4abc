//! One configuration in a VM: a root context, in the words of the ABI.

use std::fmt;
use std::rc::Rc;

use pintle_core::Policy;
use pintle_core::config::{ConfigErrors, HashKey};
use pintle_core::filter::FilterSet;
use proxy_wasm::types::LogLevel;

use crate::abi::{self, Status};
use crate::arena::Event;
use crate::metrics::Metrics;
use crate::stores::{Store, Stores};

/// A configuration that the host has loaded.
#[derive(Debug)]
pub(crate) struct Root<X: FilterSet> {
    pub(crate) policy: Policy<X>,
    pub(crate) means: Means,
    /// A CEL expression of this root context that evaluates to its id; `None` where the host has no
    /// CEL.
    pub(crate) token: Option<Token>,
}

/// What the events of a policy work with.
#[derive(Debug)]
pub(crate) struct Means {
    /// The id of the root context.
    pub(crate) root: u32,
    pub(crate) metrics: Metrics,
    pub(crate) stores: Vec<Rc<Store>>,
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
    /// This filter replaces content, of which the module sees none.
    Unseen(String),
    /// There is another one in this VM, and the host does not tell whose a stream is.
    Indistinct,
}

impl<X: FilterSet> Root<X> {
    /// Loads a configuration.
    pub(crate) fn new(
        id: u32,
        configuration: &[u8],
        key: HashKey,
        stores: &Stores,
        event: &Event,
    ) -> Result<Self, Refused> {
        let policy = Policy::load(configuration, key).map_err(Refused::Policy)?;
        let metrics = Metrics::define(&policy);
        let means = Means { root: id, metrics, stores: stores.of(policy.stores()) };
        Ok(Self { policy, means, token: identify(id, event) })
    }

    /// The id of the root context.
    pub(crate) fn id(&self) -> u32 {
        self.means.root
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
            Self::Unseen(filter) => log(&format_args!(
                "the filter `{filter}` replaces the content of responses, and this module was \
                 written with `pintle module --headers`, as pintle-headers.wasm is, and sees none of \
                 it; load the one written without it, as pintle.wasm is"
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
