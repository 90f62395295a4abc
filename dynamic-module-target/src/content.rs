//! The content of a response that the policy replaces.

use std::cell::RefCell;

use envoy_proxy_dynamic_modules_rust_sdk::{
    BodyStatus, EnvoyHttpFilter, HeadersStatus, HttpFilterConfig, LogLevel, TrailersStatus, log,
};
use pintle_core::filter::FilterSet;
use pintle_core::{Passage, Policy, Stream};

use crate::Config;

/// What becomes of the fields of a response.
///
/// Where its content is replaced they wait for that. Envoy lets a filter put content before trailers only
/// if it has stopped the response: in one that runs 1.40 loses the content if an earlier filter has left
/// its buffer, and crashes if a later one waits for content.
pub(crate) fn pass(passage: Passage, envoy: &mut EnvoyHttpFilter) -> HeadersStatus {
    match passage {
        Passage::Keep => HeadersStatus::Continue,
        Passage::Replace => HeadersStatus::StopIteration,
        Passage::Give(content) => match put(&content, envoy) {
            true => HeadersStatus::Continue,
            false => fail(envoy, HeadersStatus::StopIteration),
        },
    }
}

/// Takes a piece of the content out of the message; at its end comes what the policy gives.
///
/// Out of line: content that is not replaced comes by at the cost of a look.
#[inline(never)]
pub(crate) fn replace<X: FilterSet>(
    policy: &Policy<X>,
    stream: &RefCell<Stream>,
    envoy: &mut EnvoyHttpFilter,
    end_of_stream: bool,
) -> BodyStatus {
    if !take(&mut stream.borrow_mut(), envoy) {
        return fail(envoy, BodyStatus::StopIterationNoBuffer);
    }
    if !end_of_stream {
        return BodyStatus::StopIterationNoBuffer;
    }
    let content = policy.content(&mut stream.borrow_mut());
    match content.is_empty() || envoy.append_received_response_body(&content) {
        true => BodyStatus::Continue,
        false => fail(envoy, BodyStatus::StopIterationNoBuffer),
    }
}

/// Puts what the policy gives before the trailers.
#[inline(never)]
pub(crate) fn put_before_trailers<X: FilterSet>(
    policy: &Policy<X>,
    stream: &RefCell<Stream>,
    envoy: &mut EnvoyHttpFilter,
) -> TrailersStatus {
    let content = policy.content(&mut stream.borrow_mut());
    match put(&content, envoy) {
        true => TrailersStatus::Continue,
        false => fail(envoy, TrailersStatus::StopIteration),
    }
}

/// Takes a piece of the content out of the message; `false` where the host fails.
fn take(stream: &mut Stream, envoy: &mut EnvoyHttpFilter) -> bool {
    let size = envoy.get_received_response_body_size();
    let mut lent = 0;
    for chunk in envoy.get_received_response_body() {
        lent += chunk.len();
        stream.take(&chunk);
    }
    // A piece that the host counts and does not lend looks empty.
    lent == size && (size == 0 || envoy.drain_received_response_body(size))
}

/// Gives content to a response that has none there; `false` where the host fails.
fn put(content: &[u8], envoy: &mut EnvoyHttpFilter) -> bool {
    content.is_empty() || envoy.append_buffered_response_body(content)
}

/// Fails closed: the fields are held, so a reply takes the place of the response.
#[cold]
fn fail<S>(envoy: &mut EnvoyHttpFilter, status: S) -> S {
    log(LogLevel::Error, "pintle: the content of a response could not be replaced");
    envoy.send_response(500, [], None, Some(<Config as HttpFilterConfig>::PANIC_DETAILS));
    status
}
