//! What all streams of a configuration, and its errands, work with.

use std::sync::OnceLock;

use pintle_core::config::HashKey;

use crate::errands::Errands;
use crate::metrics::Metrics;
use crate::stores::Stores;

/// Metrics, stores and errands of one configuration.
#[derive(Debug)]
pub(crate) struct Facilities {
    pub(crate) metrics: Metrics,
    pub(crate) stores: Stores,
    pub(crate) errands: Errands,
}

impl Facilities {
    /// Watches over what may hold a place in a store: should it panic, whoever waits there is woken and
    /// sees for itself, so that nobody waits for what will never come.
    #[inline]
    pub(crate) fn guarded<R>(&self, work: impl FnOnce() -> R) -> R {
        let fuse = Fuse(self);
        let result = work();
        core::mem::forget(fuse);
        result
    }
}

/// Blows when it is dropped, which only a panic does.
struct Fuse<'a>(&'a Facilities);

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        self.0.stores.disband();
    }
}

/// The key of every keyed hash in this process: one, since stores are shared. `None` if the system has
/// no random bytes.
pub(crate) fn hash_key() -> Option<HashKey> {
    static KEY: OnceLock<[u8; 16]> = OnceLock::new();
    if KEY.get().is_none() {
        let mut key = [0; 16];
        getrandom::fill(&mut key).ok()?;
        // Whoever comes first.
        let _ = KEY.set(key);
    }
    KEY.get().copied().map(HashKey::new)
}
