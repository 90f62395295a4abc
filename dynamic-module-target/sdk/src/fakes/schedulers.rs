//! Schedulers: what threads have committed, until the thread that it is for takes it.

use core::ffi::c_void;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Events for one stream, or for one configuration.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    events: Mutex<VecDeque<u64>>,
    came: Condvar,
}

impl Inbox {
    /// The next event, if there is one.
    pub(super) fn take(&self) -> Option<u64> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Returns when there is an event.
    pub(super) fn wait(&self) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.came.wait_while(events, |events| events.is_empty());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A scheduler, as the module has it: one more reference to the inbox.
pub(super) fn new(inbox: &Arc<Inbox>) -> *mut c_void {
    Arc::into_raw(Arc::clone(inbox)).cast_mut().cast()
}

/// # Safety
///
/// `scheduler` comes from [`new`] and is not deleted.
pub(super) unsafe extern "C" fn commit(scheduler: *mut c_void, event: u64) {
    // SAFETY: passed on to the caller.
    let inbox = unsafe { &*scheduler.cast::<Inbox>().cast_const() };
    inbox.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
    inbox.came.notify_all();
}

/// # Safety
///
/// As for [`commit`]; this is the last use.
pub(super) unsafe extern "C" fn delete(scheduler: *mut c_void) {
    // SAFETY: passed on to the caller.
    drop(unsafe { Arc::from_raw(scheduler.cast::<Inbox>().cast_const()) });
}

/// How many there are.
pub(super) fn alive(inbox: &Arc<Inbox>) -> usize {
    Arc::strong_count(inbox) - 1
}
