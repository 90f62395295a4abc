//! The event hooks, generic over the configuration.
//!
//! [`declare_init_functions`](crate::declare_init_functions) gives them their symbols. All of them
//! contain panics.
//!
//! # Safety
//!
//! The functions are for Envoy to call, by the rules of its ABI: with the pointers that earlier hooks
//! of the same configuration type have returned, each stream on one thread, `destroy` last.

mod config;
mod content;

use core::ffi::c_char;
use core::ptr;
use std::io::Write;

use crate::abi::{
    ConfigModule, FilterEnvoy, FilterModule, HeadersStatus, LocalReplyStatus, RawEnvoyBuffer,
    RawEnvoyHeader,
};
use crate::buffer::EnvoyBuffer;
use crate::callout::{CalloutOutcome, EARLY_EVENT};
use crate::config::HttpFilterConfig;
use crate::http_filter::{EnvoyHttpFilter, HttpFilter};
use crate::panic::contain;
use crate::stream::{self, Absent, Upkeep};
use crate::{callbacks, panic};

pub use config::{config_destroy, config_http_callout_done, config_new, config_scheduled};
pub use content::{response_body, response_trailers};

/// The module is loaded. Null, which refuses it, if the host lacks a callback or `init` says no.
///
/// The answer is the version of the ABI that the host takes for its own: what it says of another one
/// is only a warning, but of each load.
pub fn program_init(init: fn() -> bool) -> *const c_char {
    let ready = contain("program_init", || {
        if let Err(symbol) = callbacks::link() {
            // There is no log to write to: that is a callback too.
            let _ = writeln!(std::io::stderr(), "dynamic module: the host lacks {symbol:?}");
            return false;
        }
        panic::withhold_messages();
        init()
    });
    match ready {
        Some(true) if callbacks::log_v2().is_some() => c"v0.2.0".as_ptr(),
        Some(true) => c"v0.1.0".as_ptr(),
        _ => ptr::null(),
    }
}

/// A stream begins. Never null: what a panic leaves answers the request with 500 when its headers come.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn filter_new<C: HttpFilterConfig>(
    config: ConfigModule,
    envoy: FilterEnvoy,
) -> FilterModule {
    // SAFETY: `config_new` made it, and Envoy keeps it while it has streams.
    let config = unsafe { stream::config::<C>(config) };
    // SAFETY: as above; the handle is gone when the hook returns.
    let made = contain("http_filter_new", || unsafe {
        config.as_ref().config.new_http_filter(&EnvoyHttpFilter::new(envoy, ptr::null()))
    });
    made.map_or(stream::FAILED, |filter| stream::store(config, filter))
}

/// Request headers have arrived.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn request_headers<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: passed on to the caller.
    let status = unsafe {
        answered::<C>("http_filter_request_headers", envoy, filter, |config, filter, envoy| {
            filter.on_request_headers(config, envoy, end_of_stream)
        })
    };
    status.number()
}

/// Response headers have arrived.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn response_headers<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    end_of_stream: bool,
) -> u32 {
    if !C::Filter::RESPONSE_HEADERS {
        return HeadersStatus::Continue.number();
    }
    // SAFETY: passed on to the caller.
    let status = unsafe {
        answered::<C>("http_filter_response_headers", envoy, filter, |config, filter, envoy| {
            filter.on_response_headers(config, envoy, end_of_stream)
        })
    };
    status.number()
}

/// A local reply is about to be sent.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn local_reply<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    status: u32,
    details: RawEnvoyBuffer,
    reset_imminent: bool,
) -> u32 {
    if !C::Filter::LOCAL_REPLY {
        return LocalReplyStatus::Continue.number();
    }
    // SAFETY: Envoy lends the details until the hook returns; the rest is passed on to the caller.
    let answer = unsafe {
        let details = EnvoyBuffer::new(details);
        run::<C, _>("http_filter_local_reply", envoy, filter, |config, filter, envoy| {
            filter.on_local_reply(config, envoy, status, details, reset_imminent)
        })
    };
    answer.unwrap_or(LocalReplyStatus::Continue).number()
}

/// The stream is over.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn stream_complete<C: HttpFilterConfig>(envoy: FilterEnvoy, filter: FilterModule) {
    if !C::Filter::STREAM_COMPLETE {
        return;
    }
    // SAFETY: passed on to the caller.
    unsafe {
        let _ =
            run::<C, _>("http_filter_stream_complete", envoy, filter, |config, filter, envoy| {
                filter.on_stream_complete(config, envoy);
            });
    }
}

/// A callout of the stream has ended.
///
/// # Safety
///
/// See the [module](self).
#[expect(clippy::too_many_arguments, reason = "as in the ABI")]
pub unsafe fn http_callout_done<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    callout_id: u64,
    result: u32,
    headers: *const RawEnvoyHeader,
    headers_size: usize,
    chunks: *const RawEnvoyBuffer,
    chunks_size: usize,
) {
    if !C::Filter::HTTP_CALLOUT_DONE {
        return;
    }
    // SAFETY: Envoy lends all of it until the hook returns; the rest is passed on to the caller.
    unsafe {
        let outcome = CalloutOutcome::new(result, headers, headers_size, chunks, chunks_size);
        let kept = stream::enter::<C, _>(filter, |_, _, upkeep| {
            upkeep.is_some_and(|upkeep| upkeep.early.keeps(callout_id, outcome))
        });
        if kept == Ok(false) {
            ended::<C>(envoy, filter, callout_id, outcome);
        }
    }
}

/// An event of a stream's scheduler has come.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn scheduled<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    event_id: u64,
) {
    if event_id == EARLY_EVENT {
        // SAFETY: passed on to the caller; `ended` does not unwind. The filter stays for all of them.
        let _ = unsafe {
            stream::enter::<C, _>(filter, |_, _, upkeep| {
                let early = upkeep.map(|upkeep| upkeep.early.take()).unwrap_or_default();
                for early in early {
                    if upkeep.is_some_and(|upkeep| !upkeep.is_destroyed()) {
                        early.lend(|outcome| ended::<C>(envoy, filter, early.id, outcome));
                    }
                }
            })
        };
        return;
    }
    if !C::Filter::SCHEDULED {
        return;
    }
    // SAFETY: passed on to the caller.
    unsafe {
        event::<C>("http_filter_scheduled", envoy, filter, |config, filter, envoy| {
            filter.on_scheduled(config, envoy, event_id);
        });
    }
}

/// # Safety
///
/// See the [module](self).
unsafe fn ended<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    callout_id: u64,
    outcome: CalloutOutcome<'_>,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        event::<C>("http_filter_http_callout_done", envoy, filter, |config, filter, envoy| {
            filter.on_http_callout_done(config, envoy, callout_id, outcome);
        });
    }
}

/// Runs the hook of an event on which a request may wait; a panic is answered with 500, unless the
/// request has been answered.
///
/// # Safety
///
/// See the [module](self).
unsafe fn event<C: HttpFilterConfig>(
    hook: &'static str,
    envoy: FilterEnvoy,
    filter: FilterModule,
    code: impl FnOnce(&C, &C::Filter, &mut EnvoyHttpFilter),
) {
    // SAFETY: passed on to the caller; Envoy's object is there while the hook runs.
    unsafe {
        if let Err(Absent::Panicked) = run::<C, _>(hook, envoy, filter, code) {
            fail::<C>(envoy);
        }
    }
}

/// Nothing of the stream is left but the module's object.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn destroy<C: HttpFilterConfig>(filter: FilterModule) {
    // SAFETY: passed on to the caller.
    unsafe { stream::destroy::<C>(filter) }
}

/// Runs a headers hook; a panic is answered with 500.
///
/// # Safety
///
/// See the [module](self).
#[inline]
unsafe fn answered<C: HttpFilterConfig>(
    hook: &'static str,
    envoy: FilterEnvoy,
    filter: FilterModule,
    code: impl FnOnce(&C, &C::Filter, &mut EnvoyHttpFilter) -> HeadersStatus,
) -> HeadersStatus {
    // SAFETY: passed on to the caller.
    match unsafe { run::<C, _>(hook, envoy, filter, code) } {
        Ok(status) => status,
        // SAFETY: the object is Envoy's, whatever became of the filter, and the hook still runs.
        Err(Absent::Failed | Absent::Panicked) => unsafe { fail::<C>(envoy) },
        Err(Absent::Gone) => HeadersStatus::StopIteration,
    }
}

/// # Safety
///
/// `envoy` is the object of the hook that runs.
#[cold]
unsafe fn fail<C: HttpFilterConfig>(envoy: FilterEnvoy) -> HeadersStatus {
    // SAFETY: passed on to the caller; the handle of the hook's own code is gone.
    let mut envoy = unsafe { EnvoyHttpFilter::new(envoy, ptr::null()) };
    envoy.send_response(500, [], None, Some(C::PANIC_DETAILS));
    HeadersStatus::StopIteration
}

/// Runs the code of a hook.
///
/// # Safety
///
/// See the [module](self).
#[inline]
unsafe fn run<C: HttpFilterConfig, R>(
    hook: &'static str,
    envoy: FilterEnvoy,
    filter: FilterModule,
    code: impl FnOnce(&C, &C::Filter, &mut EnvoyHttpFilter) -> R,
) -> Result<R, Absent> {
    // SAFETY: passed on to the caller; `contain` does not unwind; the handle is gone when it returns.
    unsafe {
        stream::enter::<C, _>(filter, |config, filter, upkeep| {
            let raw = upkeep.map_or(ptr::null(), ptr::from_ref);
            let done =
                contain(hook, || code(config, filter, &mut EnvoyHttpFilter::new(envoy, raw)));
            done.ok_or_else(|| upkeep.map_or(Absent::Panicked, Upkeep::after_panic))
        })?
    }
}
