//! A host made of data, for every target that is not wasm: one per thread.
//!
//! It does what Envoy 1.40 was seen to do where a module can tell (maps that close when a callback
//! returns `Continue`, local replies that wait for the callback to return and then come back as a
//! response, values through the module's allocator), and nothing more. A test sets the [`FakeHost`]
//! up in [`with`], calls the module's exports inside [`on_configure`], [`on_request_headers`],
//! [`on_http_call_response`], [`on_response_headers`], [`on_response_body`], [`on_response_trailers`] or
//! [`within`], and looks at what the host has got:
//!
//! ```
//! # use pintle_wasm::{abi::{self, fakes}, arena::Event};
//! # use proxy_wasm::types::{Action, MapType};
//! fakes::reset();
//! fakes::with(|host| {
//!     host.create_root(1);
//!     host.create_stream(2, 1).request.add(b"x-tenant", b"blue");
//! });
//! let end = fakes::on_request_headers(2, || {
//!     let _event = Event::begin();
//!     abi::remove_header_map_value(MapType::HttpRequestHeaders, b"x-tenant").unwrap();
//!     Action::Continue
//! });
//! assert_eq!(end, fakes::End::Continue);
//! assert!(fakes::with(|host| host.streams[&2].request.is_empty()));
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proxy_wasm::types::{Action, LogLevel, MapType};

pub use callouts::{Answer, Callout, on_http_call_response};
pub use content::{Content, on_response_body, on_response_trailers};
pub use fields::Fields;
pub use metrics::Metrics;
pub use reply::LocalReply;
pub use shared_data::SharedData;

mod callouts;
mod calls;
mod content;
mod fields;
mod foreign;
mod metrics;
pub(super) mod raw;
mod reply;
mod shared_data;

thread_local! {
    static HOST: RefCell<FakeHost> = RefCell::new(FakeHost::default());
}

/// The host of this thread, as data: set up by a test, changed by the module's calls.
#[derive(Debug)]
pub struct FakeHost {
    /// The root contexts, by id.
    pub roots: BTreeMap<u32, Root>,
    /// The streams, by context id.
    pub streams: BTreeMap<u32, Stream>,
    /// Properties that every context sees, by NUL-joined path.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What CEL expressions other than string literals evaluate to, by text.
    pub expressions: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Names of the clusters that there are not; all others are there.
    pub missing_clusters: BTreeSet<Vec<u8>>,
    /// Callouts under way, by token.
    pub callouts: BTreeMap<u32, Callout>,
    /// What the plug-ins of the proxy share.
    pub shared_data: SharedData,
    /// Lines that were logged at `log_level` or above.
    pub logs: Vec<(LogLevel, Vec<u8>)>,
    /// The lowest level that is logged; `Trace`, so that a test sees everything.
    pub log_level: LogLevel,
    /// Nanoseconds since 1970.
    pub now_nanoseconds: u64,
    /// Calls that answer a status whatever they are asked, by their name in the ABI. With 10,
    /// what Envoy does for a capability that is not allowed.
    pub refused: BTreeMap<&'static str, u32>,
    /// Calls that return these bytes whatever they are asked, by their name in the ABI.
    pub forged: BTreeMap<&'static str, Vec<u8>>,
    /// The calls made, in order, by their name in the ABI.
    pub calls: Vec<&'static str>,
    /// The context whose callback runs.
    current: Option<u32>,
    /// The context that calls are about instead, where the module has chosen one.
    effective: Option<u32>,
    /// The buffers of the callback that runs.
    plugin_configuration: Option<Vec<u8>>,
    vm_configuration: Option<Vec<u8>>,
    /// What the callout has come to whose callback runs.
    answer: Option<Answer>,
    last_token: u32,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self {
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            properties: BTreeMap::new(),
            expressions: BTreeMap::new(),
            metrics: Metrics::default(),
            missing_clusters: BTreeSet::new(),
            callouts: BTreeMap::new(),
            shared_data: SharedData::default(),
            logs: Vec::new(),
            log_level: LogLevel::Trace,
            now_nanoseconds: 0,
            refused: BTreeMap::new(),
            forged: BTreeMap::new(),
            calls: Vec::new(),
            current: None,
            effective: None,
            plugin_configuration: None,
            vm_configuration: None,
            answer: None,
            last_token: 0,
        }
    }
}

/// A root context: one configuration of the plug-in in this VM.
#[derive(Debug, Default)]
pub struct Root {
    /// Milliseconds between ticks; zero for none.
    pub tick_milliseconds: u32,
    /// Properties that this root and its streams see, by NUL-joined path.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// CEL expressions that are created and not deleted, by token.
    pub expressions: BTreeMap<u32, Vec<u8>>,
    next_expression: u32,
}

/// An HTTP stream.
#[derive(Debug, Default)]
pub struct Stream {
    /// The root context it belongs to.
    pub root: u32,
    /// The request's fields: what arrived, and after the callbacks what goes upstream.
    pub request: Fields,
    /// The response's fields, pseudo-header included.
    pub response: Fields,
    /// Properties of this stream, by NUL-joined path.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Filter state, under the name that other filters see: `wasm.` and what the module called it.
    pub filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The local reply; the first one counts.
    pub reply: Option<LocalReply>,
    /// The response's content.
    pub content: Content,
    /// It has been closed, by the module or since it was too much to hold.
    pub is_closed: bool,
    /// How often the module has let a held request go on.
    pub continues: u32,
    /// How the request stands.
    end: Option<End>,
    /// The request has come to the module, without which Envoy keeps the response from it.
    known: bool,
    request_open: bool,
    response_open: bool,
}

/// How a callback of a stream ended, as the host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream goes on; the map is gone.
    Continue,
    /// The stream waits; the map stays.
    Pause,
    /// A local reply was asked for: it is the response now, and its response callback comes next.
    /// The request's map stays through that.
    Reply,
    /// The stream is closed, with what has gone out of it.
    Close,
}

impl FakeHost {
    /// Adds a root context.
    pub fn create_root(&mut self, id: u32) -> &mut Root {
        self.roots.entry(id).or_default()
    }

    /// Adds a stream of root context `root`.
    pub fn create_stream(&mut self, id: u32, root: u32) -> &mut Stream {
        let stream = self.streams.entry(id).or_default();
        stream.root = root;
        stream
    }

    /// Ends a context, with all that belongs to it: calls about it are refused from here on.
    pub fn delete_context(&mut self, id: u32) {
        self.streams.remove(&id);
        if self.roots.remove(&id).is_some() {
            self.callouts.retain(|_, callout| callout.root != id);
            self.streams.retain(|_, stream| stream.root != id);
        }
    }

    /// How often the module has made a call, by its name in the ABI.
    #[must_use]
    pub fn count(&self, call: &str) -> usize {
        self.calls.iter().filter(|made| **made == call).count()
    }

    /// The logged lines as text, without their levels.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        self.logs.iter().map(|(_, line)| String::from_utf8_lossy(line).into_owned()).collect()
    }
}

/// Looks at the host of this thread, or sets it up. Exports are called outside of this: calls that
/// they make inside are refused with `InternalFailure`.
pub fn with<R>(look: impl FnOnce(&mut FakeHost) -> R) -> R {
    HOST.with(|host| look(&mut host.borrow_mut()))
}

/// Starts over with a fresh host.
pub fn reset() {
    with(|host| *host = FakeHost::default());
}

/// Runs a callback of `context`: its calls are about that context, unless it chooses another.
pub fn within<R>(context: u32, callback: impl FnOnce() -> R) -> R {
    let before = with(|host| (host.current.replace(context), host.effective.take()));
    let answer = callback();
    with(|host| (host.current, host.effective) = before);
    answer
}

/// Enters the callback of stream `id` that opens `map`, for good.
pub fn enter(id: u32, map: MapType) {
    with(|host| (host.current, host.effective) = (Some(id), None));
    with_stream(id, |stream| {
        stream.request_open = map == MapType::HttpRequestHeaders;
        stream.response_open = map == MapType::HttpResponseHeaders;
    });
}

/// Runs `proxy_on_vm_start` of `root`, with the configuration of the VM to be read.
pub fn on_vm_start<R>(root: u32, configuration: &[u8], callback: impl FnOnce() -> R) -> R {
    with(|host| host.vm_configuration = Some(configuration.to_vec()));
    let answer = within(root, callback);
    with(|host| host.vm_configuration = None);
    answer
}

/// Runs `proxy_on_configure` of `root`, with the configuration of the plug-in to be read.
pub fn on_configure<R>(root: u32, configuration: &[u8], callback: impl FnOnce() -> R) -> R {
    with(|host| host.plugin_configuration = Some(configuration.to_vec()));
    let answer = within(root, callback);
    with(|host| host.plugin_configuration = None);
    answer
}

/// Runs `proxy_on_request_headers` of stream `id`.
pub fn on_request_headers(id: u32, callback: impl FnOnce() -> Action) -> End {
    with_stream(id, |stream| (stream.known, stream.request_open) = (true, true));
    let action = within(id, callback);
    with_stream(id, |stream| {
        let end = stream.end(action);
        stream.end = Some(end);
        stream.request_open = end != End::Continue;
        end
    })
    .unwrap_or(End::Continue)
}

/// How the request of a stream stands; nothing before its fields have come.
#[must_use]
pub fn end(id: u32) -> Option<End> {
    with_stream(id, |stream| stream.end).flatten()
}

/// Runs `proxy_on_response_headers` of stream `id`, also for a local reply, but not where an earlier
/// filter has answered, so that the request never came by. A reply from here takes the response's
/// place and does not come back.
pub fn on_response_headers(id: u32, callback: impl FnOnce() -> Action) -> End {
    let replied = with_stream(id, |stream| {
        stream.response_open = true;
        stream.known.then_some(stream.reply.is_some())
    });
    let Some(replied) = replied.flatten() else { return End::Continue };
    let action = within(id, callback);
    with_stream(id, |stream| {
        let end = if replied { ended(action) } else { stream.end(action) };
        if end == End::Reply
            && let Some(reply) = &stream.reply
        {
            stream.content.sent.clone_from(&reply.body);
        }
        stream.response_open = end != End::Continue;
        end
    })
    .unwrap_or(End::Continue)
}

impl Stream {
    /// A reply that was asked for becomes the response, and what the callback returned is ignored.
    fn end(&mut self, action: Action) -> End {
        if self.is_closed {
            return End::Close;
        }
        if self.take_reply() { End::Reply } else { ended(action) }
    }

    /// Makes the reply that was asked for the response, where there is one.
    fn take_reply(&mut self) -> bool {
        let Some(reply) = &self.reply else { return false };
        self.response = reply.response(self.is_grpc());
        self.end = Some(End::Reply);
        true
    }

    fn is_grpc(&self) -> bool {
        let grpc = |value: &[u8]| match value.strip_prefix(b"application/grpc") {
            Some(rest) => rest.is_empty() || rest.starts_with(b"+"),
            None => false,
        };
        self.request.values(b"content-type").next().is_some_and(grpc)
    }
}

fn ended(action: Action) -> End {
    if action == Action::Pause { End::Pause } else { End::Continue }
}

fn with_stream<R>(id: u32, change: impl FnOnce(&mut Stream) -> R) -> Option<R> {
    with(|host| host.streams.get_mut(&id).map(change))
}

#[cfg(test)]
mod tests;
