//! The hooks for the content of responses.

use super::{fail, run};
use crate::abi::{BodyStatus, FilterEnvoy, FilterModule, TrailersStatus};
use crate::config::HttpFilterConfig;
use crate::http_filter::HttpFilter;
use crate::stream::{self, Absent};

/// A piece of the response content has arrived.
///
/// # Safety
///
/// See the [module](super).
pub unsafe fn response_body<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: passed on to the caller.
    if !C::Filter::RESPONSE_BODY || unsafe { stream::skips_content::<C>(filter) } {
        return BodyStatus::Continue.number();
    }
    // SAFETY: passed on to the caller.
    unsafe { body::<C>(envoy, filter, end_of_stream) }
}

/// Out of line, so that what has no work with content pays nothing for it.
///
/// # Safety
///
/// See the [module](super).
#[inline(never)]
unsafe fn body<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
    end_of_stream: bool,
) -> u32 {
    // SAFETY: passed on to the caller.
    let status = unsafe {
        run::<C, _>("http_filter_response_body", envoy, filter, |config, filter, envoy| {
            filter.on_response_body(config, envoy, end_of_stream)
        })
    };
    match status {
        Ok(status) => status.number(),
        Err(why) => {
            // SAFETY: passed on to the caller.
            unsafe { stopped::<C>(envoy, why) };
            BodyStatus::StopIterationNoBuffer.number()
        }
    }
}

/// Response trailers have arrived.
///
/// # Safety
///
/// See the [module](super).
pub unsafe fn response_trailers<C: HttpFilterConfig>(
    envoy: FilterEnvoy,
    filter: FilterModule,
) -> u32 {
    // SAFETY: passed on to the caller.
    if !C::Filter::RESPONSE_TRAILERS || unsafe { stream::skips_content::<C>(filter) } {
        return TrailersStatus::Continue.number();
    }
    // SAFETY: passed on to the caller.
    let status = unsafe {
        run::<C, _>("http_filter_response_trailers", envoy, filter, |config, filter, envoy| {
            filter.on_response_trailers(config, envoy)
        })
    };
    match status {
        Ok(status) => status.number(),
        Err(why) => {
            // SAFETY: passed on to the caller.
            unsafe { stopped::<C>(envoy, why) };
            TrailersStatus::StopIteration.number()
        }
    }
}

/// Answers with 500 in the place of the response, if its fields are still held; if they have gone Envoy
/// resets the stream, so that no content follows of which nobody knows what it is.
///
/// # Safety
///
/// `envoy` is the object of the hook that runs.
#[cold]
unsafe fn stopped<C: HttpFilterConfig>(envoy: FilterEnvoy, why: Absent) {
    if why != Absent::Gone {
        // SAFETY: passed on to the caller.
        let _ = unsafe { fail::<C>(envoy) };
    }
}
