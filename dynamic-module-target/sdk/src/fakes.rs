//! An Envoy in memory, for tests: it calls the hooks of a module in Envoy's order and answers the
//! callbacks from maps.
//!
//! [`FakeEnvoy::load`] puts it behind the callbacks of the whole process. Any number of tests can use it
//! at once; what is logged is kept per thread.
//!
//! It is strict where Envoy is unforgiving: any setter moves all fields of its section, so a view that
//! outlived its loan is an error under Miri; an empty value is lent as a null pointer; a local reply
//! calls the local-reply hook before the callback returns.

mod callbacks;
mod log;

use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::abi::{
    AttributeId, ConfigModule, FilterEnvoy, FilterModule, HeaderType, HeadersStatus,
    LocalReplyStatus, RawEnvoyBuffer,
};
use crate::config::HttpFilterConfig;
use crate::hooks;
use crate::http_filter::EnvoyHttpFilter;

pub use log::{LogLine, set_log_level, take_logs};

/// A field or a list of them, in order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A loaded configuration of `C`, and the metrics that it has defined.
#[derive(Debug)]
pub struct FakeEnvoy<C: HttpFilterConfig> {
    host: Rc<ConfigHost>,
    module: ConfigModule,
    config: PhantomData<C>,
}

/// A request that is about to arrive.
#[derive(Clone, Debug, Default)]
pub struct FakeRequest {
    headers: Fields,
    strings: BTreeMap<AttributeId, Vec<u8>>,
    ints: BTreeMap<AttributeId, u64>,
    bools: BTreeMap<AttributeId, bool>,
}

/// A stream, from the making of its filter to its end, which is when this is dropped.
#[derive(Debug)]
pub struct FakeStream<'e, C: HttpFilterConfig> {
    host: Rc<StreamHost>,
    /// Of `host`.
    handle: EnvoyHttpFilter,
    envoy: PhantomData<&'e FakeEnvoy<C>>,
}

/// What a module answered a request with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// Status code.
    pub status: u32,
    /// Header fields, names in lower case.
    pub headers: Fields,
    /// Body; empty if there is none.
    pub body: Vec<u8>,
    /// Response-code details.
    pub details: String,
}

/// What the host has of a configuration.
#[derive(Debug, Default)]
struct ConfigHost {
    /// By id less one.
    counters: RefCell<Vec<(String, u64)>>,
    frozen: Cell<bool>,
}

/// What the host has of a stream.
#[derive(Debug)]
struct StreamHost {
    config: Rc<ConfigHost>,
    module: Cell<FilterModule>,
    local_reply: unsafe fn(FilterEnvoy, FilterModule, u32, RawEnvoyBuffer, bool) -> u32,
    destroy: unsafe fn(FilterModule),
    request: RefCell<Option<Fields>>,
    response: RefCell<Option<Fields>>,
    attributes: FakeRequest,
    /// Attributes that are taken from fields, kept for as long as they may be lent.
    derived: RefCell<Vec<Box<[u8]>>>,
    metadata: RefCell<BTreeMap<(String, String), Vec<u8>>>,
    replies: RefCell<Vec<LocalReply>>,
    reset: Cell<bool>,
    route_cache_clears: Cell<usize>,
    destroy_in_reply: Cell<bool>,
}

impl<C: HttpFilterConfig> FakeEnvoy<C> {
    /// Loads a configuration; `None` when the module refuses it.
    #[must_use]
    pub fn load(name: &str, config: &[u8]) -> Option<Self> {
        callbacks::install();
        let host = Rc::new(ConfigHost::default());
        let module = {
            let envoy = Rc::as_ptr(&host).cast_mut().cast();
            // SAFETY: the callbacks take `envoy` for a `ConfigHost`; name and bytes outlive the call.
            unsafe { hooks::config_new::<C>(envoy, raw(name.as_bytes()), raw(config)) }
        };
        host.frozen.set(true);
        (!module.is_null()).then(|| Self { host, module, config: PhantomData })
    }

    /// Begins a stream: makes its filter.
    #[must_use]
    pub fn stream(&self, request: FakeRequest) -> FakeStream<'_, C> {
        let host = Rc::new(StreamHost {
            config: Rc::clone(&self.host),
            module: Cell::new(core::ptr::null()),
            local_reply: hooks::local_reply::<C>,
            destroy: hooks::destroy::<C>,
            request: RefCell::new(Some(request.headers.clone())),
            response: RefCell::default(),
            attributes: request,
            derived: RefCell::default(),
            metadata: RefCell::default(),
            replies: RefCell::default(),
            reset: Cell::new(false),
            route_cache_clears: Cell::new(0),
            destroy_in_reply: Cell::new(false),
        });
        // SAFETY: the configuration lives as long as `self`; the callbacks take a `StreamHost`.
        host.module.set(unsafe { hooks::filter_new::<C>(self.module, host.as_envoy()) });
        // Hosts before 1.40 cannot take null.
        assert!(!host.module.get().is_null(), "a filter");
        // SAFETY: the stream keeps `host` for as long as it lends the handle, and no hook runs then.
        let handle = unsafe { EnvoyHttpFilter::new(host.as_envoy()) };
        FakeStream { host, handle, envoy: PhantomData }
    }

    /// The value of a counter; `None` if it was not defined.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.counters().get(name).copied()
    }

    /// All counters.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.host.counters.borrow().iter().cloned().collect()
    }
}

impl<C: HttpFilterConfig> Drop for FakeEnvoy<C> {
    fn drop(&mut self) {
        // SAFETY: made by `load`; streams borrow `self`, so none is left.
        unsafe { hooks::config_destroy::<C>(self.module) }
    }
}

impl FakeRequest {
    /// A request with these fields, pseudo-headers among them; names become lower case, and `host`
    /// becomes `:authority`.
    #[must_use]
    pub fn new<K: AsRef<[u8]>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (K, V)>) -> Self {
        Self { headers: fields(headers), ..Self::default() }
    }

    /// With an attribute that is text. `request.*` that are not given are taken from the fields.
    #[must_use]
    pub fn attribute(mut self, id: AttributeId, value: impl AsRef<[u8]>) -> Self {
        self.strings.insert(id, value.as_ref().to_vec());
        self
    }

    /// With an attribute that is a number.
    #[must_use]
    pub fn attribute_int(mut self, id: AttributeId, value: u64) -> Self {
        self.ints.insert(id, value);
        self
    }

    /// With an attribute that is true or false.
    #[must_use]
    pub fn attribute_bool(mut self, id: AttributeId, value: bool) -> Self {
        self.bools.insert(id, value);
        self
    }
}

impl<C: HttpFilterConfig> FakeStream<'_, C> {
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
        HeadersStatus::from_number(status).expect("a status")
    }

    /// Response headers arrive at the filter.
    pub fn response_headers<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = (K, V)>,
        end_of_stream: bool,
    ) -> HeadersStatus {
        *self.host.response.borrow_mut() = Some(fields(headers));
        let module = self.host.module.get();
        if module.is_null() {
            return HeadersStatus::Continue;
        }
        // SAFETY: as above.
        let status =
            unsafe { hooks::response_headers::<C>(self.host.as_envoy(), module, end_of_stream) };
        HeadersStatus::from_number(status).expect("a status")
    }

    /// Another filter, or Envoy itself, is about to answer the request.
    pub fn local_reply(&self, status: u32, details: &str) -> LocalReplyStatus {
        self.host.announce(status, details.as_bytes())
    }

    /// The stream is over; its filter is destroyed when `self` is dropped.
    pub fn stream_complete(&self) {
        let module = self.host.module.get();
        if !module.is_null() {
            // SAFETY: as above.
            unsafe { hooks::stream_complete::<C>(self.host.as_envoy(), module) }
        }
    }

    /// Makes the next local reply destroy the filter while it is being sent, as Envoy before 1.40 may.
    pub fn destroy_in_reply(&self) {
        self.host.destroy_in_reply.set(true);
    }

    /// Envoy, as a hook of this stream has it.
    pub fn envoy(&mut self) -> &mut EnvoyHttpFilter {
        &mut self.handle
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

impl StreamHost {
    fn as_envoy(self: &Rc<Self>) -> FilterEnvoy {
        Rc::as_ptr(self).cast_mut().cast()
    }

    fn section(&self, map: u32) -> Option<&RefCell<Option<Fields>>> {
        match HeaderType::from_number(map)? {
            HeaderType::RequestHeader => Some(&self.request),
            HeaderType::ResponseHeader => Some(&self.response),
            HeaderType::RequestTrailer | HeaderType::ResponseTrailer => None,
        }
    }

    /// Calls the local-reply hook.
    fn announce(&self, status: u32, details: &[u8]) -> LocalReplyStatus {
        let module = self.module.get();
        if module.is_null() {
            return LocalReplyStatus::Continue;
        }
        let envoy = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the module's object is alive; `details` outlives the call.
        let answer = unsafe { (self.local_reply)(envoy, module, status, raw(details), false) };
        let answer = LocalReplyStatus::from_number(answer).expect("a status");
        self.reset.set(self.reset.get() || answer == LocalReplyStatus::ContinueAndResetStream);
        answer
    }

    fn destroy_module(&self) {
        let module = self.module.replace(core::ptr::null());
        if !module.is_null() {
            // SAFETY: alive until here, and nobody can find it any more.
            unsafe { (self.destroy)(module) }
        }
    }
}

/// Lends bytes as Envoy does: a null pointer for none.
fn raw(bytes: &[u8]) -> RawEnvoyBuffer {
    if bytes.is_empty() {
        return RawEnvoyBuffer::EMPTY;
    }
    RawEnvoyBuffer { ptr: bytes.as_ptr(), length: bytes.len() }
}

fn fields<K: AsRef<[u8]>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (K, V)>) -> Fields {
    let owned = |(key, value): (K, V)| (name(key.as_ref()), value.as_ref().to_vec());
    headers.into_iter().map(owned).collect()
}

/// The name that a field goes by in Envoy.
fn name(key: &[u8]) -> Vec<u8> {
    let key = key.to_ascii_lowercase();
    if key == b"host" { b":authority".to_vec() } else { key }
}
