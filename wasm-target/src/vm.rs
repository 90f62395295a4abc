//! What one VM remembers: configurations, and streams between request and response.
//!
//! One VM serves every configuration of the same module on its worker, and after an update the old
//! and the new one together, until the last stream of the old one is done. The host announces the
//! end of neither configuration nor stream, since the exports for that would run, and cost, for every
//! stream. So once a second, on the tick, the VM asks for those it remembers whether they live.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use pintle_core::filter::FilterSet;
use pintle_core::{Answer, LocalReply, Scratch, Stream};
use proxy_wasm::types::{Action, BufferType, LogLevel};

use crate::abi::{self, Status};
use crate::arena::Event;
use crate::host::{Phase, WasmHost};
use crate::root::{Root, root_of_stream};

/// Between two ticks: how late a counter is at most, and how long what is gone is remembered.
const TICK_MILLISECONDS: u32 = 1000;

/// How many idle streams keep their memory for new ones.
const SPARE_STREAMS: usize = 64;

/// The state of one VM.
#[derive(Debug)]
pub struct Vm<X: FilterSet> {
    roots: RefCell<Vec<Root<X>>>,
    streams: RefCell<HashMap<u32, Remembered>>,
    spare: RefCell<Vec<Stream>>,
    scratch: RefCell<Scratch>,
    /// The least level that the host logs, as the ABI numbers it.
    log_level: Cell<u32>,
}

#[derive(Debug)]
struct Remembered {
    stream: Stream,
    /// A tick has passed since.
    aged: bool,
}

impl<X: FilterSet> Default for Vm<X> {
    fn default() -> Self {
        Self {
            roots: RefCell::default(),
            streams: RefCell::default(),
            spare: RefCell::default(),
            scratch: RefCell::default(),
            log_level: Cell::new(LogLevel::Info as u32),
        }
    }
}

impl<X: FilterSet> Vm<X> {
    /// A configuration has arrived. `false` refuses it: the host keeps the one it has.
    pub fn on_configure(&self, id: u32, size: usize) -> bool {
        let event = Event::begin();
        self.log_level.set(abi::log_level() as u32);
        let loaded = match abi::buffer_bytes(&event, BufferType::PluginConfiguration, 0, size) {
            Ok(configuration) => Root::new(id, configuration, &event),
            // Envoy has no such buffer where there is no configuration.
            Err(Status::NotFound) => Root::new(id, &[], &event),
            Err(status) => Err(format!("it cannot be read: {status}")),
        };
        match loaded.and_then(|root| self.adopt(root)) {
            Ok(()) => {
                // Without ticks counters stay here; everything else works.
                let _ = abi::set_tick_period(TICK_MILLISECONDS);
                true
            }
            Err(reason) => {
                let message = format!("pintle: configuration refused: {reason}");
                abi::log(LogLevel::Error, message.as_bytes());
                false
            }
        }
    }

    fn adopt(&self, root: Root<X>) -> Result<(), String> {
        let mut roots = self.roots.borrow_mut();
        roots.retain(|other| other.id != root.id && is_alive(other.id));
        let _ = abi::set_effective_context(root.id);
        if roots.iter().any(|other| other.token.is_none() || other.token != root.token) {
            return Err("this host cannot tell two configurations in one VM apart; \
                        give each a vm_id of its own"
                .to_string());
        }
        if root.policy.is_inert() {
            let message = "pintle: the configuration has no filters, so every request passes";
            abi::log(LogLevel::Warn, message.as_bytes());
        }
        roots.push(root);
        Ok(())
    }

    /// A second has passed.
    pub fn on_tick(&self, id: u32) {
        let _event = Event::begin();
        self.log_level.set(abi::log_level() as u32);
        let mut roots = self.roots.borrow_mut();
        roots.iter().for_each(|root| root.counters.flush());
        roots.retain(|root| root.id == id || is_alive(root.id));
        self.streams.borrow_mut().retain(|stream, remembered| {
            let keep = !remembered.aged || is_alive(*stream);
            remembered.aged = true;
            keep
        });
        let _ = abi::set_effective_context(id);
    }

    /// The fields of a request have arrived.
    pub fn on_request_headers(&self, id: u32) -> Action {
        let event = Event::begin();
        let roots = self.roots.borrow();
        let Some(root) = root(&roots, &event) else { return refuse() };
        let mut stream = self.spare.borrow_mut().pop().unwrap_or_default();
        let mut host = WasmHost::new(&event, &root.counters, self.log_level.get(), Phase::Request);
        #[cfg(feature = "test-panic")]
        host.panic_if_asked(b"request");
        let answer =
            root.policy.on_request(&mut stream, &mut host, &mut self.scratch.borrow_mut());
        let failed = host.failed();
        let remember = match answer {
            Answer::Continue => root.policy.remembers(),
            Answer::Reply(_) => root.policy.answers(),
        };
        if remember {
            self.streams.borrow_mut().insert(id, Remembered { stream, aged: false });
        } else {
            self.spare(stream);
        }
        match answer {
            _ if failed => refuse(),
            Answer::Continue => Action::Continue,
            Answer::Reply(reply) => send(&reply),
        }
    }

    /// The fields of a response have arrived, of one's own reply too.
    pub fn on_response_headers(&self, id: u32) -> Action {
        let event = Event::begin();
        let roots = self.roots.borrow();
        let Some(root) = root(&roots, &event) else { return Action::Continue };
        if !root.policy.answers() {
            return Action::Continue;
        }
        let remembered = self.streams.borrow_mut().remove(&id).map(|remembered| remembered.stream);
        let mut stream =
            remembered.or_else(|| self.spare.borrow_mut().pop()).unwrap_or_default();
        let mut host = WasmHost::new(&event, &root.counters, self.log_level.get(), Phase::Response);
        #[cfg(feature = "test-panic")]
        host.panic_if_asked(b"response");
        root.policy.on_response(&mut stream, &mut host, &mut self.scratch.borrow_mut());
        self.spare(stream);
        Action::Continue
    }

    fn spare(&self, mut stream: Stream) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_STREAMS {
            stream.clear();
            spare.push(stream);
        }
    }
}

/// The configuration that the current stream is for; `None` where the host does not tell.
fn root<'r, X: FilterSet>(roots: &'r [Root<X>], event: &Event) -> Option<&'r Root<X>> {
    match roots {
        [root] => Some(root),
        [first, ..] => {
            let id = root_of_stream(first.token?, event)?;
            roots.iter().find(|root| root.id == id)
        }
        [] => None,
    }
}

/// Whether the host still has a context. Afterwards the effective context may be that one.
fn is_alive(id: u32) -> bool {
    abi::set_effective_context(id) != Err(Status::BadArgument)
}

fn send(reply: &LocalReply<'_>) -> Action {
    let sent = abi::send_local_response(reply.status, reply.details.as_bytes(), reply.body, reply.fields());
    match sent {
        Ok(()) => Action::Pause,
        Err(error) => {
            let message = format!("pintle: {error}");
            abi::log(LogLevel::Error, message.as_bytes());
            refuse()
        }
    }
}

/// Fails closed.
#[cold]
fn refuse() -> Action {
    let none = std::iter::empty();
    // Where even this fails, the request is held and goes nowhere.
    let _ = abi::send_local_response(500, b"pintle_internal_error", b"", none);
    Action::Pause
}
