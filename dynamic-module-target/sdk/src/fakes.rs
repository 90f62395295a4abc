//! An Envoy in memory, for tests: it calls the hooks of a module in Envoy's order and answers the
//! callbacks from maps.
//!
//! [`FakeEnvoy::load`] puts it behind the callbacks of the whole process. Any number of tests can use it
//! at once; what is logged is kept per thread.
//!
//! It is strict where Envoy is unforgiving: any setter moves all fields of its section, so a view that
//! outlived its loan is an error under Miri; an empty value is lent as a null pointer; a local reply
//! calls the local-reply hook before the callback returns, and a test can make more hooks run inside;
//! content can be put before trailers only if the filter has stopped the response.
//!
//! The thread that loads a configuration is the main thread; any thread may have streams of it. What a
//! scheduler commits waits until the test [runs](FakeStream::run_scheduled) it, where it belongs.

mod callbacks;
mod callouts;
mod content;
mod log;
mod metrics;
mod request;
mod schedulers;
mod stream;

use core::ffi::c_void;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use crate::abi::{ConfigEnvoy, ConfigModule, RawEnvoyBuffer, RawEnvoyHeader};
use crate::config::HttpFilterConfig;
use crate::hooks;
use crate::stream::Loaded;
use callouts::Callouts;
use metrics::Metrics;
use schedulers::Inbox;

pub use callouts::{CalloutPlan, FakeAnswer, FakeCallout};
pub use content::ContentCallback;
pub use log::{LogLine, set_log_level, take_logs};
pub use request::{FakeRequest, LocalReply};
pub use stream::FakeStream;

/// A field or a list of them, in order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A loaded configuration of `C`, and the metrics that it has defined.
#[derive(Debug)]
pub struct FakeEnvoy<C: HttpFilterConfig> {
    host: Arc<ConfigHost>,
    config: PhantomData<C>,
}

/// Leaves out what Envoy 1.38 lacks, for the whole process: to be called before anything is loaded.
pub fn be_envoy_1_38() {
    callbacks::be_old();
}

/// What the host has of a configuration.
#[derive(Debug)]
struct ConfigHost {
    main: ThreadId,
    module: AtomicPtr<c_void>,
    callout_done: ConfigDone,
    metrics: Metrics,
    plan: Mutex<CalloutPlan>,
    callouts: Callouts,
    inbox: Arc<Inbox>,
}

type ConfigDone = unsafe fn(
    ConfigEnvoy,
    ConfigModule,
    u64,
    u32,
    *const RawEnvoyHeader,
    usize,
    *const RawEnvoyBuffer,
    usize,
);

impl<C: HttpFilterConfig> FakeEnvoy<C> {
    /// Loads a configuration; `None` when the module refuses it.
    #[must_use]
    pub fn load(name: &str, config: &[u8]) -> Option<Self> {
        callbacks::install();
        let host = Arc::new(ConfigHost {
            main: thread::current().id(),
            module: AtomicPtr::default(),
            callout_done: hooks::config_http_callout_done::<C>,
            metrics: Metrics::default(),
            plan: Mutex::default(),
            callouts: Callouts::default(),
            inbox: Arc::default(),
        });
        // SAFETY: the callbacks take a `ConfigHost`; name and bytes outlive the call.
        let module =
            unsafe { hooks::config_new::<C>(host.as_envoy(), raw(name.as_bytes()), raw(config)) };
        host.metrics.lists().frozen = true;
        host.module.store(module.cast_mut(), Ordering::Release);
        (!module.is_null()).then(|| Self { host, config: PhantomData })
    }

    /// The module's configuration.
    #[must_use]
    pub fn config(&self) -> &C {
        // SAFETY: made by `load`, and destroyed when `self` is dropped.
        unsafe { &(*self.host.module().cast::<Loaded<C>>()).config }
    }

    /// Begins a stream on this thread: makes its filter.
    #[must_use]
    pub fn stream(&self, request: FakeRequest) -> FakeStream<'_, C> {
        FakeStream::new(&self.host, request)
    }

    /// Says what becomes of callouts from now on, those of streams included.
    pub fn plan(&self, plan: CalloutPlan) {
        *self.host.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// Says that there is no such cluster.
    pub fn unknown_cluster(&self, name: &str) {
        self.host.callouts.unknown_cluster(name);
    }

    /// The callouts of the configuration that are under way.
    #[must_use]
    pub fn callouts(&self) -> Vec<FakeCallout> {
        self.host.callouts.list()
    }

    /// Ends a callout of the configuration; `false` if it is not under way. On the main thread.
    ///
    /// # Panics
    ///
    /// On another thread.
    pub fn answer(&self, id: u64, answer: FakeAnswer) -> bool {
        let under_way = self.host.callouts.end(id);
        if under_way {
            self.host.answer(id, answer);
        }
        under_way
    }

    /// Brings what schedulers of the configuration have committed, and says how much it was. On the main
    /// thread.
    ///
    /// # Panics
    ///
    /// On another thread.
    pub fn run_scheduled(&self) -> usize {
        self.host.assert_main_thread();
        core::iter::from_fn(|| self.host.inbox.take())
            .map(|event| {
                // SAFETY: the configuration is alive.
                unsafe {
                    hooks::config_scheduled::<C>(self.host.as_envoy(), self.host.module(), event);
                }
            })
            .count()
    }

    /// How many schedulers of the configuration there are.
    #[must_use]
    pub fn schedulers(&self) -> usize {
        schedulers::alive(&self.host.inbox)
    }

    /// The value of a counter; `None` if it was not defined.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.counters().get(name).copied()
    }

    /// All counters.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.host.metrics.counters()
    }

    /// The value of a gauge; `None` if it was not defined.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<u64> {
        self.host.metrics.gauge(name)
    }

    /// What was recorded in a histogram; `None` if it was not defined.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Option<Vec<u64>> {
        self.host.metrics.histogram(name)
    }
}

impl<C: HttpFilterConfig> Drop for FakeEnvoy<C> {
    fn drop(&mut self) {
        self.host.callouts.give_up();
        // SAFETY: made by `load`; streams borrow `self`, so none is left.
        unsafe { hooks::config_destroy::<C>(self.host.module()) }
    }
}

impl ConfigHost {
    fn as_envoy(self: &Arc<Self>) -> ConfigEnvoy {
        Arc::as_ptr(self).cast_mut().cast()
    }

    fn module(&self) -> ConfigModule {
        self.module.load(Ordering::Acquire)
    }

    fn plan(&self) -> CalloutPlan {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn assert_main_thread(&self) {
        assert_eq!(self.main, thread::current().id(), "the main thread");
    }

    /// Calls the hook that hears of the end of a callout.
    fn answer(&self, id: u64, answer: FakeAnswer) {
        self.assert_main_thread();
        let envoy = core::ptr::from_ref(self).cast_mut().cast();
        answer.lend(|result, headers, chunks| {
            let ((headers, n), (chunks, m)) = (parts(headers), parts(chunks));
            // SAFETY: the configuration is alive; what is lent outlives the call.
            unsafe {
                (self.callout_done)(envoy, self.module(), id, result, headers, n, chunks, m);
            }
        });
    }
}

/// Lends a list as Envoy does: a null pointer for none.
fn parts<T>(list: &[T]) -> (*const T, usize) {
    if list.is_empty() { (core::ptr::null(), 0) } else { (list.as_ptr(), list.len()) }
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
