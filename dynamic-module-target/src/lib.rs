//! Pintle as an Envoy dynamic module: runs a [`Policy`] inside Envoy, natively.
//!
//! With the feature `export`, which is on by default, this crate is the module: `libpintle.so`. A
//! crate with filters of its own depends on it without that feature and says
//! [`export!`](crate::export) for its own set.

#![deny(unsafe_code)]

mod content;
mod errand_host;
mod errands;
mod facilities;
mod host;
mod metrics;
mod outcome;
mod stores;
mod waker;

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use envoy_proxy_dynamic_modules_rust_sdk::{
    BodyStatus, CalloutOutcome, EnvoyBuffer, EnvoyHttpFilter, EnvoyHttpFilterConfig, HeadersStatus,
    HttpFilter, HttpFilterConfig, LocalReplyStatus, LogLevel, TrailersStatus, log_args,
};
use pintle_core::filter::FilterSet;
use pintle_core::{
    Answer, CalloutId, Errand, Event, Host, Level, LocalReply, NoFurther, Outcome, Policy, Scratch,
    Stream,
};

use errand_host::ErrandHost;
use errands::Errands;
use facilities::Facilities;
use host::EnvoyHost;
use metrics::Metrics;
use stores::Stores;

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

/// A configuration of the module: a policy, and what its streams work with.
#[derive(Debug)]
pub struct Config<X: FilterSet = NoFurther> {
    policy: Policy<X>,
    facilities: Facilities,
}

impl<X: FilterSet> HttpFilterConfig for Config<X> {
    type Filter = Filter<X>;

    const PANIC_DETAILS: &'static str = "pintle_internal_error";

    fn new(envoy: &mut EnvoyHttpFilterConfig, _name: &str, config: &[u8]) -> Option<Self> {
        let Some(key) = facilities::hash_key() else {
            refuse("no random bytes to be had");
            return None;
        };
        let policy =
            Policy::load(config, key).map_err(|errors| errors.iter().for_each(refuse)).ok()?;
        if policy.is_inert() {
            log_args(
                LogLevel::Warn,
                format_args!("pintle: the configuration has no filters, so every request passes"),
            );
        }
        let metrics = Metrics::define(policy.metrics(), envoy, |reason| refuse(reason))?;
        let stores = Stores::open(policy.stores());
        let errands = Errands::new(envoy.new_scheduler());
        Some(Self { policy, facilities: Facilities { metrics, stores, errands } })
    }

    fn new_http_filter(&self, _envoy: &EnvoyHttpFilter) -> Filter<X> {
        Filter { stream: RefCell::default(), filters: PhantomData }
    }

    fn reads_response_content(&self) -> bool {
        self.policy.replaces_content()
    }

    fn on_scheduled(&self, envoy: &mut EnvoyHttpFilterConfig, event_id: u64) {
        if event_id != errands::SEND {
            return;
        }
        let Some(parcel) = self.facilities.errands.next() else { return };
        // A panic does not take the errand with it: others wait for its end.
        match catch_unwind(AssertUnwindSafe(|| parcel.send(envoy))) {
            Ok(Ok(id)) => self.facilities.errands.sent(id, parcel.errand),
            Ok(Err(why)) => {
                let host = ErrandHost { envoy: Some(envoy), facilities: &self.facilities };
                if host.logs(Level::Warn) {
                    let cluster = parcel.cluster();
                    host.log(Level::Warn, format_args!("- background callout to {cluster}: {why}"));
                }
                self.errand_ended(Some(envoy), parcel.errand, Outcome::Failed);
            }
            Err(panic) => {
                self.errand_ended(Some(envoy), parcel.errand, Outcome::Failed);
                resume_unwind(panic);
            }
        }
    }

    fn on_http_callout_done(
        &self,
        envoy: &mut EnvoyHttpFilterConfig,
        callout_id: u64,
        outcome: CalloutOutcome<'_>,
    ) {
        if let Some(errand) = self.facilities.errands.ended(callout_id) {
            outcome::lend(outcome, |outcome| self.errand_ended(Some(envoy), errand, outcome));
        }
    }
}

impl<X: FilterSet> Config<X> {
    fn errand_ended(
        &self,
        envoy: Option<&EnvoyHttpFilterConfig>,
        errand: Errand,
        outcome: Outcome<'_>,
    ) {
        let host = ErrandHost { envoy, facilities: &self.facilities };
        self.facilities.guarded(|| self.policy.on_errand(errand, outcome, &host));
    }

    #[cfg(test)]
    pub(crate) fn facilities(&self) -> &Facilities {
        &self.facilities
    }
}

/// What is under way for the configuration ends with it, and others may share the stores.
impl<X: FilterSet> Drop for Config<X> {
    fn drop(&mut self) {
        for errand in self.facilities.errands.close() {
            self.errand_ended(None, errand, Outcome::Failed);
        }
    }
}

fn refuse(reason: impl fmt::Display) {
    log_args(LogLevel::Error, format_args!("pintle: configuration refused: {reason}"));
}

/// One stream of the module.
#[derive(Debug)]
pub struct Filter<X> {
    stream: RefCell<Stream>,
    filters: PhantomData<fn() -> X>,
}

thread_local! {
    /// A worker is a thread, and one event of it runs at a time.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What is borrowed here is let go before Envoy is told to do something: that may run other hooks.
impl<X: FilterSet> HttpFilter for Filter<X> {
    type Config = Config<X>;

    const RESPONSE_HEADERS: bool = true;
    const RESPONSE_BODY: bool = true;
    const RESPONSE_TRAILERS: bool = true;
    const LOCAL_REPLY: bool = true;
    const STREAM_COMPLETE: bool = true;
    const HTTP_CALLOUT_DONE: bool = true;
    const SCHEDULED: bool = true;

    fn on_request_headers(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
        _end_of_stream: bool,
    ) -> HeadersStatus {
        let mut host = EnvoyHost { envoy, facilities: &config.facilities };
        let answer = config.facilities.guarded(|| {
            #[cfg(feature = "test-panic")]
            panic_if_asked(host.envoy, "request");
            SCRATCH.with_borrow_mut(|scratch| {
                config.policy.on_request(&mut self.stream.borrow_mut(), &mut host, scratch)
            })
        });
        match answer {
            Answer::Continue => HeadersStatus::Continue,
            // With its content, of which Envoy holds back what is too much.
            Answer::Wait => HeadersStatus::StopAllIterationAndWatermark,
            Answer::Reply(reply) => {
                send(envoy, &reply);
                HeadersStatus::StopIteration
            }
        }
    }

    fn on_http_callout_done(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
        callout_id: u64,
        outcome: CalloutOutcome<'_>,
    ) {
        outcome::lend(outcome, |outcome| {
            self.come(config, envoy, Event::Ended(CalloutId(callout_id), outcome));
        });
    }

    fn on_scheduled(&self, config: &Config<X>, envoy: &mut EnvoyHttpFilter, event_id: u64) {
        if event_id == waker::WOKEN {
            self.come(config, envoy, Event::Woken);
        }
    }

    fn on_response_headers(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
        end_of_stream: bool,
    ) -> HeadersStatus {
        #[cfg(feature = "test-panic")]
        panic_if_asked(envoy, "response");
        if config.policy.answers() {
            let mut host = EnvoyHost { envoy, facilities: &config.facilities };
            let passage = SCRATCH.with_borrow_mut(|scratch| {
                let stream = &mut self.stream.borrow_mut();
                config.policy.on_response(stream, &mut host, scratch, end_of_stream)
            });
            return content::pass(passage, envoy);
        }
        HeadersStatus::Continue
    }

    #[inline]
    fn on_response_body(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
        end_of_stream: bool,
    ) -> BodyStatus {
        #[cfg(feature = "test-panic")]
        panic_if_asked(envoy, "body");
        if !self.stream.borrow().is_replacing() {
            return BodyStatus::Continue;
        }
        content::replace(&config.policy, &self.stream, envoy, end_of_stream)
    }

    #[inline]
    fn on_response_trailers(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
    ) -> TrailersStatus {
        #[cfg(feature = "test-panic")]
        panic_if_asked(envoy, "trailers");
        if self.stream.borrow().is_replacing() {
            return content::put_before_trailers(&config.policy, &self.stream, envoy);
        }
        TrailersStatus::Continue
    }

    /// A request that somebody else answers waits no longer.
    fn on_local_reply(
        &self,
        config: &Config<X>,
        envoy: &mut EnvoyHttpFilter,
        _status: u32,
        _details: EnvoyBuffer<'_>,
        _reset_imminent: bool,
    ) -> LocalReplyStatus {
        self.on_stream_complete(config, envoy);
        LocalReplyStatus::Continue
    }

    #[inline]
    fn on_stream_complete(&self, config: &Config<X>, envoy: &mut EnvoyHttpFilter) {
        if self.stream.try_borrow().is_ok_and(|stream| stream.is_waiting()) {
            self.gone(config, envoy);
        }
    }
}

impl<X: FilterSet> Filter<X> {
    /// Brings an event to a request that waits, and does what comes of it.
    fn come(&self, config: &Config<X>, envoy: &mut EnvoyHttpFilter, event: Event<'_>) {
        let mut host = EnvoyHost { envoy, facilities: &config.facilities };
        let answer = config.facilities.guarded(|| {
            #[cfg(feature = "test-panic")]
            panic_if_asked(host.envoy, if let Event::Woken = event { "woken" } else { "ended" });
            SCRATCH.with_borrow_mut(|scratch| {
                config.policy.on_event(&mut self.stream.borrow_mut(), event, &mut host, scratch)
            })
        });
        match answer {
            Answer::Continue => envoy.continue_decoding(),
            Answer::Wait => {}
            Answer::Reply(reply) => send(envoy, &reply),
        }
    }

    #[cold]
    fn gone(&self, config: &Config<X>, envoy: &mut EnvoyHttpFilter) {
        let host = EnvoyHost { envoy, facilities: &config.facilities };
        config.facilities.guarded(|| config.policy.on_gone(&mut self.stream.borrow_mut(), &host));
    }
}

fn send(envoy: &mut EnvoyHttpFilter, reply: &LocalReply<'_>) {
    let (body, details) = (&*reply.body, &*reply.details);
    envoy.send_response(reply.status.into(), reply.fields(), Some(body), Some(details));
}

/// Panics where the request says so, for the tests that show what a panic does.
#[cfg(feature = "test-panic")]
fn panic_if_asked(envoy: &EnvoyHttpFilter, hook: &str) {
    let asked = envoy.get_request_header_value("x-pintle-test-panic");
    assert!(asked.is_none_or(|asked| asked.as_slice() != hook.as_bytes()), "asked for");
}
