//! The main thread as the core sees it: a host without a stream.

use std::fmt;

use envoy_proxy_dynamic_modules_rust_sdk::EnvoyHttpFilterConfig;
use pintle_core::store::{Shard, StoreId};
use pintle_core::{
    Attribute, Callout, CalloutId, DispatchError, Edit, Errand, Host, Level, Metric, Section,
    UnixTime,
};

use crate::facilities::Facilities;
use crate::host;
use crate::waker::Waker;

/// What an errand that has ended is handled with.
pub(crate) struct ErrandHost<'e> {
    /// `None` where the configuration is on its way out: then nothing is counted.
    pub(crate) envoy: Option<&'e EnvoyHttpFilterConfig>,
    pub(crate) facilities: &'e Facilities,
}

impl Host for ErrandHost<'_> {
    type Waker = Waker;

    fn fields(&self, _section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        core::iter::empty()
    }

    fn attribute(&self, _attribute: Attribute) -> Option<&[u8]> {
        None
    }

    fn logs(&self, level: Level) -> bool {
        host::logs(level)
    }

    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        host::log(level, message);
    }

    fn now(&self) -> UnixTime {
        host::now()
    }

    fn add(&self, counter: Metric, n: u64) {
        self.shift(counter, i64::try_from(n).unwrap_or(i64::MAX));
    }

    fn shift(&self, gauge: Metric, by: i64) {
        if let Some(envoy) = self.envoy {
            self.facilities.metrics.count(envoy, gauge, by);
        }
    }

    fn record(&self, histogram: Metric, value: u64) {
        if let Some(envoy) = self.envoy {
            self.facilities.metrics.record_late(envoy, histogram, value);
        }
    }

    fn dispatch(&self, _callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        Err(DispatchError::CannotSend)
    }

    fn send_out(&self, callout: &Callout<'_>, errand: Errand) -> Result<(), DispatchError> {
        self.facilities.errands.take_on(callout, errand)
    }

    fn waker(&self) -> Waker {
        Waker::of_nobody()
    }

    fn wake(&self, waker: Waker) {
        drop(waker);
    }

    fn shared<R>(&self, store: StoreId, hash: u64, work: impl FnOnce(&mut Shard<Waker>) -> R) -> R {
        self.facilities.stores.lend(store, hash, work)
    }

    fn edit(&mut self, _section: Section, _edit: Edit<'_>) {}

    fn note(&mut self, _key: &str, _value: &[u8]) {}

    fn reroute(&mut self) {}
}
