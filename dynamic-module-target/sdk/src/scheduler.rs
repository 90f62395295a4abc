//! What brings an event to a stream, or to a configuration, from any thread.

use crate::abi::{ConfigScheduler, FilterScheduler};
use crate::callbacks;

/// Declares a scheduler: its type, and the callbacks that are its methods.
macro_rules! scheduler {
    ($(#[$doc:meta])* $name:ident of $raw:ident: $commit:ident $delete:ident) => {
        $(#[$doc])*
        ///
        /// An event that has nobody to go to any more is lost, without harm. `u64::MAX` is for this
        /// crate's own use.
        #[derive(Debug)]
        pub struct $name {
            raw: $raw,
        }

        // SAFETY: Envoy takes commit and delete from any thread, at any time.
        unsafe impl Send for $name {}
        // SAFETY: as above; commit changes nothing here.
        unsafe impl Sync for $name {}

        impl $name {
            /// # Safety
            ///
            /// `raw` is null, or Envoy has just made it and nobody else deletes it.
            pub(crate) unsafe fn new(raw: $raw) -> Self {
                Self { raw }
            }

            /// Brings an event, never before this returns.
            pub fn commit(&self, event_id: u64) {
                if !self.raw.is_null() {
                    // SAFETY: Envoy's, by `new`, and not deleted before the drop.
                    unsafe { callbacks::$commit(self.raw, event_id) }
                }
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                if !self.raw.is_null() {
                    // SAFETY: as above; once.
                    unsafe { callbacks::$delete(self.raw) }
                }
            }
        }
    };
}

scheduler! {
    /// Brings events to [`HttpFilter::on_scheduled`](crate::HttpFilter::on_scheduled) of one stream, on
    /// the worker of that stream.
    EnvoyHttpFilterScheduler of FilterScheduler: scheduler_commit scheduler_delete
}

scheduler! {
    /// Brings events to [`HttpFilterConfig::on_scheduled`](crate::HttpFilterConfig::on_scheduled), on
    /// the main thread.
    EnvoyHttpFilterConfigScheduler of ConfigScheduler: config_scheduler_commit config_scheduler_delete
}
