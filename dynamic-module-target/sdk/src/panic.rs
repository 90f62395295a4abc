//! Containing panics: nothing may unwind into Envoy, and no message of a panic may be printed, since
//! it may quote a request or the configuration.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use crate::abi::LogLevel;
use crate::log::log_args;

/// Runs `code`; after a panic logs the name of the hook and returns `None`.
#[inline]
pub(crate) fn contain<R>(hook: &'static str, code: impl FnOnce() -> R) -> Option<R> {
    // Unwind safety: what `code` shares is the filter and its configuration, behind `&`; that they
    // stay usable after a panic is what `HttpFilter` asks of them.
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(value) => Some(value),
        Err(payload) => {
            contained(hook, payload);
            None
        }
    }
}

#[cold]
#[inline(never)]
fn contained(hook: &'static str, payload: Box<dyn Any + Send>) {
    log_args(LogLevel::Error, format_args!("contained a panic in {hook}"));
    // The destructor of a payload can panic too. The payload of that is leaked.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        core::mem::forget(payload);
    }
}

/// Makes panics log where they happened instead of printing what they say.
///
/// A module has a standard library of its own, so this concerns its own panics only, those of
/// threads that it started included.
pub(crate) fn withhold_messages() {
    set_hook(Box::new(|panic| match panic.location() {
        Some(at) => {
            log_args(LogLevel::Error, format_args!("panic at {at}; its message is withheld"))
        }
        None => log_args(LogLevel::Error, format_args!("panic; its message is withheld")),
    }));
}
