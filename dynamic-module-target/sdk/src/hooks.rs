//! The event hooks, generic over the configuration.
//!
//! [`declare_init_functions`](crate::declare_init_functions) gives them their symbols. All of them
//! contain panics.
//!
//! # Safety
//!
//! The functions are for Envoy to call, by the rules of its ABI: with the pointers that earlier hooks
//! of the same configuration type have returned, each stream on one thread, `destroy` last.

use core::ffi::c_char;
use core::ptr;
use std::io::Write;

use crate::abi::{
    ConfigEnvoy, ConfigModule, FilterEnvoy, FilterModule, HeadersStatus, LocalReplyStatus,
    LogLevel, RawEnvoyBuffer,
};
use crate::buffer::EnvoyBuffer;
use crate::config::{EnvoyHttpFilterConfig, HttpFilterConfig};
use crate::http_filter::{EnvoyHttpFilter, HttpFilter};
use crate::panic::contain;
use crate::stream::{self, Absent};
use crate::{callbacks, log, panic};

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

/// A configuration is loaded. Null refuses it.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn config_new<C: HttpFilterConfig>(
    envoy: ConfigEnvoy,
    name: RawEnvoyBuffer,
    config: RawEnvoyBuffer,
) -> ConfigModule {
    // SAFETY: Envoy lends both until the hook returns.
    let (name, config) = unsafe { (name.as_slice(), config.as_slice()) };
    let made = contain("http_filter_config_new", || {
        let Ok(name) = str::from_utf8(name) else {
            log::log(LogLevel::Error, "the filter name is not UTF-8");
            return None;
        };
        // SAFETY: Envoy's object is valid until the hook returns.
        let mut envoy = unsafe { EnvoyHttpFilterConfig::new(envoy) };
        C::new(&mut envoy, name, config).map(Box::new)
    });
    match made {
        Some(Some(made)) => Box::into_raw(made).cast_const().cast(),
        _ => ptr::null(),
    }
}

/// A configuration is no longer in use.
///
/// # Safety
///
/// See the [module](self).
pub unsafe fn config_destroy<C: HttpFilterConfig>(config: ConfigModule) {
    // SAFETY: `config_new` made it; Envoy calls this once, when no stream uses it.
    contain("http_filter_config_destroy", || unsafe {
        drop(Box::from_raw(config.cast::<C>().cast_mut()));
    });
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
        config.as_ref().new_http_filter(&EnvoyHttpFilter::new(envoy))
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
        Err(Absent::Failed) => unsafe { fail::<C>(envoy) },
        Err(Absent::Gone) => HeadersStatus::StopIteration,
    }
}

/// # Safety
///
/// `envoy` is the object of the hook that runs.
#[cold]
unsafe fn fail<C: HttpFilterConfig>(envoy: FilterEnvoy) -> HeadersStatus {
    // SAFETY: passed on to the caller; the handle of the hook's own code is gone.
    let mut envoy = unsafe { EnvoyHttpFilter::new(envoy) };
    envoy.send_response(500, [], None, Some(C::PANIC_DETAILS));
    HeadersStatus::StopIteration
}

/// Runs the code of a hook; after a panic the filter has failed.
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
    let result = unsafe {
        stream::enter::<C, _>(filter, |config, filter| {
            contain(hook, || code(config, filter, &mut EnvoyHttpFilter::new(envoy)))
        })
    };
    result?.ok_or(Absent::Failed)
}
