//! A stream, as the test and as the module has it.

use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::callouts::Callouts;
use super::content::Content;
use super::schedulers::{self, Inbox};
use super::{
    ConfigHost, FakeAnswer, FakeCallout, FakeEnvoy, FakeRequest, Fields, LocalReply, fields, parts,
    raw,
};
use crate::abi::{
    FilterEnvoy, FilterModule, HeaderType, HeadersStatus, LocalReplyStatus, RawEnvoyBuffer,
    RawEnvoyHeader,
};
use crate::config::HttpFilterConfig;
use crate::hooks;
use crate::http_filter::EnvoyHttpFilter;
use crate::stream::upkeep;

/// A stream, from the making of its filter to its end, which is when this is dropped.
#[derive(Debug)]
pub struct FakeStream<'e, C: HttpFilterConfig> {
    pub(super) host: Rc<StreamHost>,
    /// Of `host`.
    handle: EnvoyHttpFilter,
    envoy: PhantomData<&'e FakeEnvoy<C>>,
}

impl<C: HttpFilterConfig> FakeStream<'_, C> {
    pub(super) fn new(config: &Arc<ConfigHost>, request: FakeRequest) -> Self {
        let host = Rc::new(StreamHost {
            config: Arc::clone(config),
            module: Cell::new(core::ptr::null()),
            hooks: StreamHooks {
                local_reply: hooks::local_reply::<C>,
                response_headers: hooks::response_headers::<C>,
                stream_complete: hooks::stream_complete::<C>,
                callout_done: hooks::http_callout_done::<C>,
                destroy: hooks::destroy::<C>,
            },
            request: RefCell::new(Some(request.headers.clone())),
            response: RefCell::default(),
            trailers: RefCell::default(),
            content: Content::default(),
            attributes: request,
            derived: RefCell::default(),
            metadata: RefCell::default(),
            replies: RefCell::default(),
            reset: Cell::default(),
            reset_details: RefCell::default(),
            route_cache_clears: Cell::default(),
            callouts: Callouts::default(),
            inbox: Arc::default(),
            held: Cell::default(),
            resumed: Cell::default(),
            complete_in_reply: Cell::default(),
            destroy_in_reply: Cell::default(),
            respond_in_resume: RefCell::default(),
        });
        // SAFETY: the configuration lives as long as the stream; the callbacks take a `StreamHost`.
        let module = unsafe { hooks::filter_new::<C>(config.module(), host.as_envoy()) };
        host.module.set(module);
        // Hosts before 1.40 cannot take null.
        assert!(!module.is_null(), "a filter");
        // SAFETY: the stream keeps `host` for as long as it lends the handle, and no hook runs then.
        let handle = unsafe { EnvoyHttpFilter::new(host.as_envoy(), upkeep::<C>(module)) };
        FakeStream { host, handle, envoy: PhantomData }
    }

    /// Request headers arrive at the filter.
    ///
    /// # Panics
    ///
    /// If the hook returns a number that is not a status; so do the other hooks.
    pub fn request_headers(&self, end_of_stream: bool) -> HeadersStatus {
        let module = self.host.module.get();
        // SAFETY: the module's object is alive until it is destroyed, which sets the pointer to null.
        let status =
            unsafe { hooks::request_headers::<C>(self.host.as_envoy(), module, end_of_stream) };
        let status = HeadersStatus::from_number(status).expect("a status");
        self.host.held.set(status != HeadersStatus::Continue && self.replies() == 0);
        status
    }

    /// Response headers arrive at the filter.
    pub fn response_headers<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = (K, V)>,
        end_of_stream: bool,
    ) -> HeadersStatus {
        self.host.respond(fields(headers), end_of_stream)
    }

    /// Another filter, or Envoy itself, is about to answer the request.
    pub fn local_reply(&self, status: u32, details: &str) -> LocalReplyStatus {
        self.host.announce(status, details.as_bytes())
    }

    /// The stream is over; its filter is destroyed when `self` is dropped.
    pub fn stream_complete(&self) {
        self.host.complete();
    }

    /// The callouts of the stream that are under way.
    #[must_use]
    pub fn callouts(&self) -> Vec<FakeCallout> {
        self.host.callouts.list()
    }

    /// Ends a callout of the stream; `false` if it is not under way.
    pub fn answer(&self, id: u64, answer: FakeAnswer) -> bool {
        let under_way = self.host.callouts.end(id);
        if under_way {
            self.host.answer(id, answer);
        }
        under_way
    }

    /// Brings what schedulers of the stream have committed, and says how much it was. What comes after
    /// the end of the stream is lost, as in Envoy.
    pub fn run_scheduled(&self) -> usize {
        let host = &self.host;
        core::iter::from_fn(|| host.inbox.take())
            .filter(|_| !host.module.get().is_null())
            // SAFETY: the module's object is alive.
            .map(|event| unsafe {
                hooks::scheduled::<C>(host.as_envoy(), host.module.get(), event);
            })
            .count()
    }

    /// Waits for something to be committed, and brings it.
    pub fn await_scheduled(&self) -> usize {
        self.host.inbox.wait();
        self.run_scheduled()
    }

    /// How many schedulers of the stream there are, on whatever threads.
    #[must_use]
    pub fn schedulers(&self) -> usize {
        schedulers::alive(&self.host.inbox)
    }

    /// Whether the request is stopped, and has no answer yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.host.held.get()
    }

    /// How often the request was resumed.
    #[must_use]
    pub fn resumed(&self) -> usize {
        self.host.resumed.get()
    }

    /// Makes the stream end while the request is being resumed, after a response with these fields.
    pub fn respond_in_resume<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = (K, V)>,
    ) {
        *self.host.respond_in_resume.borrow_mut() = Some(fields(headers));
    }

    /// Makes the stream end while the next local reply is being sent.
    pub fn complete_in_reply(&self) {
        self.host.complete_in_reply.set(true);
    }

    /// Makes the next local reply destroy the filter while it is being sent, as Envoy before 1.40 may.
    pub fn destroy_in_reply(&self) {
        self.host.destroy_in_reply.set(true);
    }

    /// Envoy, as a hook of this stream has it.
    pub fn envoy(&mut self) -> &mut EnvoyHttpFilter {
        &mut self.handle
    }

    /// Envoy, for what needs no hook to run in.
    #[must_use]
    pub fn handle(&self) -> &EnvoyHttpFilter {
        &self.handle
    }

    /// The request's fields as they are now.
    #[must_use]
    pub fn request(&self) -> Fields {
        self.host.request.borrow().clone().unwrap_or_default()
    }

    /// The response's fields as they are now; none before it has arrived.
    #[must_use]
    pub fn response(&self) -> Fields {
        self.host.response.borrow().clone().unwrap_or_default()
    }

    /// What the request was answered with, if it was.
    #[must_use]
    pub fn reply(&self) -> Option<LocalReply> {
        self.host.replies.borrow().first().cloned()
    }

    /// How often it was answered.
    #[must_use]
    pub fn replies(&self) -> usize {
        self.host.replies.borrow().len()
    }

    /// Whether a local-reply hook asked for a reset.
    #[must_use]
    pub fn reset(&self) -> bool {
        self.host.reset.get()
    }

    /// The details of a reply that came too late, so that the stream was reset.
    #[must_use]
    pub fn reset_details(&self) -> Option<String> {
        self.host.reset_details.borrow().clone()
    }

    /// A text in the dynamic metadata.
    #[must_use]
    pub fn metadata(&self, namespace: &str, key: &str) -> Option<Vec<u8>> {
        let key = (namespace.to_owned(), key.to_owned());
        self.host.metadata.borrow().get(&key).cloned()
    }

    /// How often the route was to be chosen anew.
    #[must_use]
    pub fn route_cache_clears(&self) -> usize {
        self.host.route_cache_clears.get()
    }
}

impl<C: HttpFilterConfig> Drop for FakeStream<'_, C> {
    fn drop(&mut self) {
        self.host.destroy_module();
    }
}

/// What the host has of a stream.
#[derive(Debug)]
pub(super) struct StreamHost {
    pub(super) config: Arc<ConfigHost>,
    pub(super) module: Cell<FilterModule>,
    pub(super) hooks: StreamHooks,
    pub(super) request: RefCell<Option<Fields>>,
    pub(super) response: RefCell<Option<Fields>>,
    pub(super) trailers: RefCell<Option<Fields>>,
    pub(super) content: Content,
    pub(super) attributes: FakeRequest,
    /// Attributes that are taken from fields, kept for as long as they may be lent.
    pub(super) derived: RefCell<Vec<Box<[u8]>>>,
    pub(super) metadata: RefCell<BTreeMap<(String, String), Vec<u8>>>,
    pub(super) replies: RefCell<Vec<LocalReply>>,
    pub(super) reset: Cell<bool>,
    pub(super) reset_details: RefCell<Option<String>>,
    pub(super) route_cache_clears: Cell<usize>,
    pub(super) callouts: Callouts,
    pub(super) inbox: Arc<Inbox>,
    /// The request is stopped until it is resumed.
    pub(super) held: Cell<bool>,
    pub(super) resumed: Cell<usize>,
    pub(super) complete_in_reply: Cell<bool>,
    pub(super) destroy_in_reply: Cell<bool>,
    pub(super) respond_in_resume: RefCell<Option<Fields>>,
}

/// The hooks that the host calls while the module calls it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamHooks {
    pub(super) local_reply: unsafe fn(FilterEnvoy, FilterModule, u32, RawEnvoyBuffer, bool) -> u32,
    pub(super) response_headers: unsafe fn(FilterEnvoy, FilterModule, bool) -> u32,
    pub(super) stream_complete: unsafe fn(FilterEnvoy, FilterModule),
    pub(super) callout_done: CalloutDone,
    pub(super) destroy: unsafe fn(FilterModule),
}

type CalloutDone = unsafe fn(
    FilterEnvoy,
    FilterModule,
    u64,
    u32,
    *const RawEnvoyHeader,
    usize,
    *const RawEnvoyBuffer,
    usize,
);
impl StreamHost {
    pub(super) fn as_envoy(self: &Rc<Self>) -> FilterEnvoy {
        Rc::as_ptr(self).cast_mut().cast()
    }

    pub(super) fn section(&self, map: u32) -> Option<&RefCell<Option<Fields>>> {
        match HeaderType::from_number(map)? {
            HeaderType::RequestHeader => Some(&self.request),
            HeaderType::ResponseHeader => Some(&self.response),
            HeaderType::ResponseTrailer => Some(&self.trailers),
            HeaderType::RequestTrailer => None,
        }
    }

    /// Calls the local-reply hook.
    pub(super) fn announce(&self, status: u32, details: &[u8]) -> LocalReplyStatus {
        let module = self.module.get();
        if module.is_null() {
            return LocalReplyStatus::Continue;
        }
        let envoy = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the module's object is alive; `details` outlives the call.
        let answer =
            unsafe { (self.hooks.local_reply)(envoy, module, status, raw(details), false) };
        let answer = LocalReplyStatus::from_number(answer).expect("a status");
        self.reset.set(self.reset.get() || answer == LocalReplyStatus::ContinueAndResetStream);
        answer
    }

    /// A response arrives at the filter.
    pub(super) fn respond(&self, headers: Fields, end_of_stream: bool) -> HeadersStatus {
        *self.response.borrow_mut() = Some(headers);
        let module = self.module.get();
        if module.is_null() {
            return HeadersStatus::Continue;
        }
        let envoy = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the module's object is alive.
        let status = unsafe { (self.hooks.response_headers)(envoy, module, end_of_stream) };
        let status = HeadersStatus::from_number(status).expect("a status");
        self.content.begin(status, end_of_stream);
        status
    }

    pub(super) fn complete(&self) {
        self.held.set(false);
        let module = self.module.get();
        if !module.is_null() {
            // SAFETY: the module's object is alive.
            unsafe {
                (self.hooks.stream_complete)(core::ptr::from_ref(self).cast_mut().cast(), module);
            }
        }
    }

    /// Calls the hook that hears of the end of a callout.
    pub(super) fn answer(&self, id: u64, answer: FakeAnswer) {
        let (envoy, module) = (core::ptr::from_ref(self).cast_mut().cast(), self.module.get());
        if module.is_null() {
            return;
        }
        answer.lend(|result, headers, chunks| {
            let ((headers, n), (chunks, m)) = (parts(headers), parts(chunks));
            // SAFETY: the module's object is alive; what is lent outlives the call.
            unsafe {
                (self.hooks.callout_done)(envoy, module, id, result, headers, n, chunks, m);
            }
        });
    }

    pub(super) fn destroy_module(&self) {
        // Callouts die with their stream.
        self.callouts.give_up();
        let module = self.module.replace(core::ptr::null());
        if !module.is_null() {
            // SAFETY: alive until here, and nobody can find it any more.
            unsafe { (self.hooks.destroy)(module) }
        }
    }
}
