//! The stream side.

mod bodies;
mod sections;

use core::ptr;

use crate::abi::{
    AttributeId, CalloutInitResult, FilterEnvoy, HeaderType, ModuleBuffer, RawEnvoyBuffer,
};
use crate::abi::{BodyStatus, HeadersStatus, LocalReplyStatus, MetricsResult, TrailersStatus};
use crate::buffer::{EnvoyBuffer, HeaderList, HeaderValues, value_at};
use crate::callbacks;
use crate::callout::{CalloutOutcome, EARLY_EVENT};
use crate::config::HttpFilterConfig;
use crate::grpc;
use crate::lent;
use crate::metrics::{EnvoyCounterId, EnvoyGaugeId, EnvoyHistogramId};
use crate::scheduler::EnvoyHttpFilterScheduler;
use crate::stream::Upkeep;

/// The filter of one stream. All its hooks run on one thread.
///
/// Hooks nest: [`EnvoyHttpFilter::send_response`] calls [`on_local_reply`](Self::on_local_reply)
/// before it returns, and it and [`EnvoyHttpFilter::continue_decoding`] may bring the response, or the
/// end of the stream. That is why hooks take `&self`: keep what changes in a `Cell`, or in a `RefCell`
/// that is not borrowed while a `&mut` method of `envoy` runs. No hook runs inside a `&self` method.
///
/// A panic in a hook leaves the filter as it stands, and later hooks of the stream run on it.
/// A filter whose destructor panics twice over aborts the process.
pub trait HttpFilter: Sized + 'static {
    /// What it is a filter of.
    type Config: HttpFilterConfig;

    /// Whether [`on_response_headers`](Self::on_response_headers) is called.
    const RESPONSE_HEADERS: bool = false;
    /// Whether [`on_response_body`](Self::on_response_body) is called.
    const RESPONSE_BODY: bool = false;
    /// Whether [`on_response_trailers`](Self::on_response_trailers) is called.
    const RESPONSE_TRAILERS: bool = false;
    /// Whether [`on_local_reply`](Self::on_local_reply) is called.
    const LOCAL_REPLY: bool = false;
    /// Whether [`on_stream_complete`](Self::on_stream_complete) is called.
    const STREAM_COMPLETE: bool = false;
    /// Whether [`on_http_callout_done`](Self::on_http_callout_done) is called. Without it no callout
    /// can be sent.
    const HTTP_CALLOUT_DONE: bool = false;
    /// Whether [`on_scheduled`](Self::on_scheduled) is called.
    const SCHEDULED: bool = false;

    /// The request header section has arrived.
    ///
    /// After a panic the request is answered with 500.
    fn on_request_headers(
        &self,
        config: &Self::Config,
        envoy: &mut EnvoyHttpFilter,
        end_of_stream: bool,
    ) -> HeadersStatus;

    /// The response header section has arrived: from upstream, or of a local reply of others; not of
    /// this filter's own. Streams reach this that never had `on_request_headers`.
    ///
    /// After a panic the response is replaced by a 500.
    fn on_response_headers(
        &self,
        _config: &Self::Config,
        _envoy: &mut EnvoyHttpFilter,
        _end_of_stream: bool,
    ) -> HeadersStatus {
        HeadersStatus::Continue
    }

    /// A piece of the response content has arrived; the last one may be empty. Where trailers follow,
    /// no piece ends the stream.
    ///
    /// After a panic the response is replaced by a 500 if its fields are still held, else the stream is
    /// reset: content would follow of which nobody knows what it is.
    fn on_response_body(
        &self,
        _config: &Self::Config,
        _envoy: &mut EnvoyHttpFilter,
        _end_of_stream: bool,
    ) -> BodyStatus {
        BodyStatus::Continue
    }

    /// The response trailer section has arrived.
    ///
    /// After a panic as for [`on_response_body`](Self::on_response_body).
    fn on_response_trailers(
        &self,
        _config: &Self::Config,
        _envoy: &mut EnvoyHttpFilter,
    ) -> TrailersStatus {
        TrailersStatus::Continue
    }

    /// A reply that Envoy or one of its filters has made, this one included, is about to be sent.
    fn on_local_reply(
        &self,
        _config: &Self::Config,
        _envoy: &mut EnvoyHttpFilter,
        _status: u32,
        _details: EnvoyBuffer<'_>,
        _reset_imminent: bool,
    ) -> LocalReplyStatus {
        LocalReplyStatus::Continue
    }

    /// The stream is over, its access log not yet written.
    fn on_stream_complete(&self, _config: &Self::Config, _envoy: &mut EnvoyHttpFilter) {}

    /// A callout that [`EnvoyHttpFilter::send_http_callout`] has started has ended. Those under way at
    /// the end of the stream are given up: nothing is heard of them.
    ///
    /// After a panic the request is answered with 500, unless it has been answered.
    fn on_http_callout_done(
        &self,
        _config: &Self::Config,
        _envoy: &mut EnvoyHttpFilter,
        _callout_id: u64,
        _outcome: CalloutOutcome<'_>,
    ) {
    }

    /// An event of an [`EnvoyHttpFilterScheduler`] has come.
    ///
    /// After a panic the request is answered with 500, unless it has been answered.
    fn on_scheduled(&self, _config: &Self::Config, _envoy: &mut EnvoyHttpFilter, _event_id: u64) {}
}

/// Envoy, for one stream, while a hook runs.
///
/// Bytes that a `&self` method lends are valid until the next `&mut self` call; the borrow checker
/// sees to it. Names are matched without regard to case; `host` finds `:authority`. Neither this
/// crate nor Envoy checks names and values that are set: no CR, LF or NUL, and names by the grammar.
#[derive(Debug)]
pub struct EnvoyHttpFilter {
    raw: FilterEnvoy,
    /// Of the module's object; null where there is none.
    upkeep: *const Upkeep,
}

impl EnvoyHttpFilter {
    /// # Safety
    ///
    /// `raw` is what Envoy passed to the hook that runs, `upkeep` is null or lives, the handle is gone
    /// when the hook returns, and nobody but a hook nested in one of its `&mut` methods uses `raw` in the
    /// meantime.
    #[inline]
    pub(crate) unsafe fn new(raw: FilterEnvoy, upkeep: *const Upkeep) -> Self {
        Self { raw, upkeep }
    }

    /// The first value of a field.
    ///
    /// A field that decides about access must not be read by this alone: it may repeat.
    #[inline]
    #[must_use]
    pub fn get_header_value(
        &self,
        map: HeaderType,
        key: &(impl AsRef<[u8]> + ?Sized),
    ) -> Option<EnvoyBuffer<'_>> {
        // SAFETY: `raw` is valid by `new`, and setters need `&mut self`.
        unsafe { value_at(self.raw, map, key.as_ref(), 0, &mut 0) }
    }

    /// All values of a field, in order.
    #[inline]
    #[must_use]
    pub fn get_header_values<'a>(
        &'a self,
        map: HeaderType,
        key: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> HeaderValues<'a> {
        // SAFETY: `raw` is valid by `new`, and setters need `&mut self`.
        unsafe { HeaderValues::new(self.raw, map, key.as_ref()) }
    }

    /// All fields: pseudo-headers first, the others in order of arrival, names in lower case.
    #[must_use]
    pub fn get_headers(&self, map: HeaderType) -> HeaderList<'_> {
        // SAFETY: `raw` is valid by `new`, and setters need `&mut self`.
        unsafe { HeaderList::new(self.raw, map) }
    }

    /// Replaces all values of a field by one. `false`: nothing was done, because the value is empty
    /// (Envoy to 1.40 cannot write those) or there is no such section.
    pub fn set_header(
        &mut self,
        map: HeaderType,
        key: &(impl AsRef<[u8]> + ?Sized),
        value: &(impl AsRef<[u8]> + ?Sized),
    ) -> bool {
        let (key, value) = (ModuleBuffer::new(key.as_ref()), value.as_ref());
        if value.is_empty() {
            return false;
        }
        // SAFETY: `raw` is valid by `new`; the host copies; `&mut self` ends all that is lent.
        unsafe { callbacks::set_header(self.raw, map.number(), key, ModuleBuffer::new(value)) }
    }

    /// Adds a value to a field. `false` as for [`set_header`](Self::set_header).
    pub fn add_header(
        &mut self,
        map: HeaderType,
        key: &(impl AsRef<[u8]> + ?Sized),
        value: &(impl AsRef<[u8]> + ?Sized),
    ) -> bool {
        let (key, value) = (ModuleBuffer::new(key.as_ref()), value.as_ref());
        if value.is_empty() {
            return false;
        }
        // SAFETY: as in `set_header`.
        unsafe { callbacks::add_header(self.raw, map.number(), key, ModuleBuffer::new(value)) }
    }

    /// Removes all values of a field. `false`: there is no such section.
    pub fn remove_header(&mut self, map: HeaderType, key: &(impl AsRef<[u8]> + ?Sized)) -> bool {
        let key = ModuleBuffer::new(key.as_ref());
        // A null pointer and not just length zero: that will set an empty value from 1.41 on.
        // SAFETY: as in `set_header`.
        unsafe { callbacks::set_header(self.raw, map.number(), key, ModuleBuffer::NULL) }
    }

    /// Answers the request. Return [`HeadersStatus::StopIteration`] after it.
    ///
    /// Once response headers have gone Envoy resets the stream instead. A gRPC request gets
    /// a gRPC reply, with the `grpc-status` that Envoy's own filters would give it for `status`.
    /// `details` appear in the access log; no spaces. This filter's own response hook does not run
    /// for the reply; [`HttpFilter::on_local_reply`] does, before this returns.
    pub fn send_response<'h>(
        &mut self,
        status: u32,
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
        body: Option<&[u8]>,
        details: Option<&str>,
    ) {
        // SAFETY: null or alive, by `new`.
        if let Some(upkeep) = unsafe { self.upkeep.as_ref() } {
            upkeep.answered.set(true);
        }
        let body = body.map_or(ModuleBuffer::NULL, ModuleBuffer::new);
        let details = details.map_or(ModuleBuffer::NULL, |d| ModuleBuffer::new(d.as_bytes()));
        let grpc_status = self.is_grpc_request().then(|| grpc::status_of(status));
        let grpc_status = grpc_status.map(|status| (&b"grpc-status"[..], status.as_bytes()));
        lent::headers(headers.into_iter().chain(grpc_status), |first, count| {
            // SAFETY: `raw` is valid by `new`; `first` starts `count` headers; all outlive the call.
            // Hooks that run inside it get a handle of their own while this one is borrowed by `&mut`.
            unsafe { callbacks::send_response(self.raw, status, first, count, body, details) }
        });
    }

    /// Lets a request go on that was held by a `StopAll` status. The response, or the end of the
    /// stream, may come before this returns.
    pub fn continue_decoding(&mut self) {
        // SAFETY: `raw` is valid by `new`; `&mut self` ends all that is lent, and hooks that run inside
        // get a handle of their own.
        unsafe { callbacks::continue_decoding(self.raw) }
    }

    /// Starts a request to a cluster, and gives its id. `headers` have `:method`, `:path` and
    /// `:authority`; Envoy adds some of its own. It gives up after the timeout, in milliseconds.
    ///
    /// How it ends comes to [`HttpFilter::on_http_callout_done`], never before this returns: what Envoy
    /// answers at once is kept until the hook that runs has ended.
    ///
    /// # Errors
    ///
    /// What Envoy says; then nothing more is heard of it.
    pub fn send_http_callout<'h>(
        &self,
        cluster: &str,
        headers: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
        body: Option<&[u8]>,
        timeout_milliseconds: u64,
    ) -> Result<u64, CalloutInitResult> {
        // SAFETY: null or alive, by `new`.
        let upkeep = unsafe { self.upkeep.as_ref() };
        let early = &upkeep.ok_or(CalloutInitResult::CannotCreateRequest)?.early;
        let cluster = ModuleBuffer::new(cluster.as_bytes());
        let body = body.map_or(ModuleBuffer::NULL, ModuleBuffer::new);
        lent::headers(headers.into_iter(), |first, count| {
            let start = |id: &mut u64| {
                // SAFETY: `raw` is valid by `new`; all that is lent outlives the call. The one hook that
                // can run inside it only keeps a copy.
                unsafe {
                    callbacks::http_callout(
                        self.raw,
                        id,
                        cluster,
                        first,
                        count,
                        body,
                        timeout_milliseconds,
                    )
                }
            };
            early.start(start, || self.new_scheduler().commit(EARLY_EVENT))
        })
    }

    /// What brings events to [`HttpFilter::on_scheduled`] of this stream.
    #[must_use]
    pub fn new_scheduler(&self) -> EnvoyHttpFilterScheduler {
        // SAFETY: `raw` is valid by `new`; what Envoy makes is for its caller to delete.
        unsafe { EnvoyHttpFilterScheduler::new(callbacks::scheduler_new(self.raw)) }
    }

    /// Whether the request is one of gRPC. To such a request Envoy gives a gRPC reply, but to 1.40 with
    /// the status OK, whatever the module denied.
    fn is_grpc_request(&self) -> bool {
        let content_type = self.get_request_header_value("content-type");
        content_type.is_some_and(|value| grpc::is_content_type(&value))
    }

    /// Makes Envoy choose the route anew, after a change of request fields.
    pub fn clear_route_cache(&mut self) {
        // SAFETY: `raw` is valid by `new`; `&mut self` ends all that is lent.
        unsafe { callbacks::clear_route_cache(self.raw) }
    }

    /// An attribute that is text.
    #[must_use]
    pub fn get_attribute_string(&self, id: AttributeId) -> Option<EnvoyBuffer<'_>> {
        let mut value = RawEnvoyBuffer::EMPTY;
        // SAFETY: `raw` is valid by `new`; `value` is a local.
        let found = unsafe { callbacks::get_attribute_string(self.raw, id.number(), &mut value) };
        // SAFETY: lent until a setter, which needs `&mut self`, or the end of the hook.
        found.then(|| unsafe { EnvoyBuffer::new(value) })
    }

    /// An attribute that is a number.
    #[must_use]
    pub fn get_attribute_int(&self, id: AttributeId) -> Option<u64> {
        let mut value = 0;
        // SAFETY: `raw` is valid by `new`; `value` is a local.
        let found = unsafe { callbacks::get_attribute_int(self.raw, id.number(), &mut value) };
        found.then_some(value)
    }

    /// An attribute that is true or false.
    #[must_use]
    pub fn get_attribute_bool(&self, id: AttributeId) -> Option<bool> {
        let mut value = false;
        // SAFETY: `raw` is valid by `new`; `value` is a local.
        let found = unsafe { callbacks::get_attribute_bool(self.raw, id.number(), &mut value) };
        found.then_some(value)
    }

    /// Sets a text in the stream's dynamic metadata; it should be UTF-8.
    pub fn set_dynamic_metadata_string(
        &mut self,
        namespace: &str,
        key: &str,
        value: &(impl AsRef<[u8]> + ?Sized),
    ) {
        // SAFETY: `raw` is valid by `new`; the host copies.
        unsafe {
            callbacks::set_dynamic_metadata_string(
                self.raw,
                ModuleBuffer::new(namespace.as_bytes()),
                ModuleBuffer::new(key.as_bytes()),
                ModuleBuffer::new(value.as_ref()),
            );
        }
    }

    /// Adds to a counter.
    ///
    /// # Errors
    ///
    /// What Envoy says; an id that its own configuration has made is always good.
    pub fn increment_counter(&self, id: EnvoyCounterId, value: u64) -> Result<(), MetricsResult> {
        // SAFETY: `raw` is valid by `new`; no labels.
        MetricsResult::check(unsafe {
            callbacks::increment_counter(self.raw, id.0, ptr::null_mut(), 0, value)
        })
    }

    /// Adds to a gauge.
    ///
    /// # Errors
    ///
    /// As for [`increment_counter`](Self::increment_counter).
    pub fn increase_gauge(&self, id: EnvoyGaugeId, value: u64) -> Result<(), MetricsResult> {
        // SAFETY: `raw` is valid by `new`; no labels.
        MetricsResult::check(unsafe {
            callbacks::increase_gauge(self.raw, id.0, ptr::null_mut(), 0, value)
        })
    }

    /// Takes from a gauge. Below zero it starts from the top.
    ///
    /// # Errors
    ///
    /// As for [`increment_counter`](Self::increment_counter).
    pub fn decrease_gauge(&self, id: EnvoyGaugeId, value: u64) -> Result<(), MetricsResult> {
        // SAFETY: `raw` is valid by `new`; no labels.
        MetricsResult::check(unsafe {
            callbacks::decrease_gauge(self.raw, id.0, ptr::null_mut(), 0, value)
        })
    }

    /// Sets a gauge.
    ///
    /// # Errors
    ///
    /// As for [`increment_counter`](Self::increment_counter).
    pub fn set_gauge(&self, id: EnvoyGaugeId, value: u64) -> Result<(), MetricsResult> {
        // SAFETY: `raw` is valid by `new`; no labels.
        MetricsResult::check(unsafe {
            callbacks::set_gauge(self.raw, id.0, ptr::null_mut(), 0, value)
        })
    }

    /// Records a value in a histogram.
    ///
    /// # Errors
    ///
    /// As for [`increment_counter`](Self::increment_counter).
    pub fn record_histogram_value(
        &self,
        id: EnvoyHistogramId,
        value: u64,
    ) -> Result<(), MetricsResult> {
        // SAFETY: `raw` is valid by `new`; no labels.
        MetricsResult::check(unsafe {
            callbacks::record_histogram_value(self.raw, id.0, ptr::null_mut(), 0, value)
        })
    }
}
