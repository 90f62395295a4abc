//! What wakes a stream that waits.

use envoy_proxy_dynamic_modules_rust_sdk::EnvoyHttpFilterScheduler;

/// The event that a waker brings.
pub(crate) const WOKEN: u64 = 0;

/// Wakes its stream, on the worker of that, when it is dropped: used, or lost in a panic, or with the
/// store that kept it. A stream that is woken in vain waits on.
#[derive(Debug)]
pub(crate) struct Waker(Option<EnvoyHttpFilterScheduler>);

impl Waker {
    /// Of a stream.
    pub(crate) fn new(scheduler: EnvoyHttpFilterScheduler) -> Self {
        Self(Some(scheduler))
    }

    /// Of nobody.
    pub(crate) fn of_nobody() -> Self {
        Self(None)
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        if let Some(scheduler) = &self.0 {
            scheduler.commit(WOKEN);
        }
    }
}
