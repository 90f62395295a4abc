//! Pintle as an Envoy dynamic module: runs a [`Policy`] inside Envoy, natively.
//!
//! With the feature `export`, which is on by default, this crate is the module: `libpintle.so`. A
//! crate with filters of its own depends on it without that feature and says
//! [`export!`](crate::export) for its own set.

#![deny(unsafe_code)]

mod host;

use std::cell::RefCell;
use std::fmt;

use envoy_proxy_dynamic_modules_rust_sdk::{
    EnvoyCounterId, EnvoyHttpFilter, EnvoyHttpFilterConfig, HeadersStatus, HttpFilter,
    HttpFilterConfig, LogLevel, log_args,
};
use pintle_core::config::HashKey;
use pintle_core::filter::FilterSet;
use pintle_core::{Answer, NoFurther, Policy, Scratch, Stream};

use host::EnvoyHost;

/// What [`export!`](crate::export) expands to needs this name.
#[doc(hidden)]
pub use envoy_proxy_dynamic_modules_rust_sdk as __sdk;

/// Emits the symbols of Envoy's ABI for a set of filters, made by
/// [`pintle_core::filters!`], that stand beside the shipped ones.
#[macro_export]
macro_rules! export {
    ($filters:ty) => {
        $crate::__sdk::declare_init_functions!(|| true, $crate::Config<$filters>);
    };
}

#[cfg(feature = "export")]
export!(NoFurther);

/// A configuration of the module: a policy, and Envoy's ids of its counters.
#[derive(Debug)]
pub struct Config<X: FilterSet = NoFurther> {
    policy: Policy<X>,
    counters: Box<[EnvoyCounterId]>,
}

impl<X: FilterSet> HttpFilterConfig for Config<X> {
    type Filter = Filter<X>;

    const PANIC_DETAILS: &'static str = "pintle_internal_error";

    fn new(envoy: &mut EnvoyHttpFilterConfig, _name: &str, config: &[u8]) -> Option<Self> {
        let mut key = [0; 16];
        if getrandom::fill(&mut key).is_err() {
            refuse("no random bytes to be had");
            return None;
        }
        let policy = Policy::load(config, HashKey::new(key))
            .map_err(|errors| errors.iter().for_each(refuse))
            .ok()?;
        if policy.is_inert() {
            log_args(
                LogLevel::Warn,
                format_args!("pintle: the configuration has no filters, so every request passes"),
            );
        }
        let counters = policy.counters().iter().map(|counter| {
            envoy.define_counter(&counter.module().to_string()).map_err(|result| {
                refuse(format_args!("Envoy takes no counter {}: {result:?}", counter.module()));
            })
        });
        let counters = counters.collect::<Result<_, ()>>().ok()?;
        Some(Self { policy, counters })
    }

    fn new_http_filter(&self, _envoy: &EnvoyHttpFilter) -> Filter<X> {
        Filter { stream: RefCell::default(), filters: core::marker::PhantomData }
    }
}

fn refuse(reason: impl fmt::Display) {
    log_args(LogLevel::Error, format_args!("pintle: configuration refused: {reason}"));
}

/// One stream of the module.
#[derive(Debug)]
pub struct Filter<X> {
    stream: RefCell<Stream>,
    filters: core::marker::PhantomData<fn() -> X>,
}

thread_local! {
    /// A worker is a thread, and one event of it runs at a time.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl<X: FilterSet> HttpFilter for Filter<X> {
    type Config = Config<X>;

    const RESPONSE_HEADERS: bool = true;

    fn on_request_headers(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
        _end_of_stream: bool,
    ) -> HeadersStatus {
        #[cfg(feature = "test-panic")]
        panic_if_asked(envoy, "request");
        let mut host = EnvoyHost { envoy, counters: &config.counters };
        let answer = SCRATCH.with_borrow_mut(|scratch| {
            config.policy.on_request(&mut self.stream.borrow_mut(), &mut host, scratch)
        });
        match answer {
            Answer::Continue => HeadersStatus::Continue,
            Answer::Reply(reply) => {
                let (body, details) = (reply.body, &*reply.details);
                envoy.send_response(reply.status.into(), reply.fields(), Some(body), Some(details));
                HeadersStatus::StopIteration
            }
        }
    }

    fn on_response_headers(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
        _end_of_stream: bool,
    ) -> HeadersStatus {
        #[cfg(feature = "test-panic")]
        panic_if_asked(envoy, "response");
        if config.policy.answers() {
            let mut host = EnvoyHost { envoy, counters: &config.counters };
            SCRATCH.with_borrow_mut(|scratch| {
                config.policy.on_response(&mut self.stream.borrow_mut(), &mut host, scratch);
            });
        }
        HeadersStatus::Continue
    }
}

/// Panics where the request says so, for the tests that show what a panic does.
#[cfg(feature = "test-panic")]
fn panic_if_asked(envoy: &EnvoyHttpFilter, hook: &str) {
    let asked = envoy.get_request_header_value("x-pintle-test-panic");
    assert!(asked.is_none_or(|asked| asked.as_slice() != hook.as_bytes()), "asked for");
}
