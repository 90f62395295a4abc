//! What one VM remembers: configurations, and streams between request and response.
//!
//! One VM serves every configuration of the same module on its worker, and after an update the old
//! and the new one together, until the last stream of the old one is done. The host announces the
//! end of neither configuration nor stream, since the exports for that would run, and cost, for every
//! stream. So once a second, on the tick, the VM asks for those it remembers whether they live.

use std::cell::{Cell, RefCell};

use pintle_core::filter::FilterSet;
use pintle_core::{Answer, LocalReply, Scratch, Section};
use proxy_wasm::types::{Action, BufferType, LogLevel};

use crate::abi::{self, Status};
use crate::arena::Event;
use crate::host::WasmHost;
use crate::root::{Refused, Root, root_of_stream};
use crate::streams::{Memory, Streams, is_alive};

/// Between two ticks: how late a counter is at most, and how long what is gone is remembered.
const TICK_MILLISECONDS: u32 = 1000;

/// The state of one VM.
#[derive(Debug)]
pub struct Vm<X: FilterSet> {
    roots: RefCell<Vec<Root<X>>>,
    streams: RefCell<Streams>,
    scratch: RefCell<Scratch>,
    /// The least level that the host logs, as the ABI numbers it.
    log_level: Cell<u32>,
}

impl<X: FilterSet> Default for Vm<X> {
    fn default() -> Self {
        Self {
            roots: RefCell::default(),
            streams: RefCell::default(),
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
            // A host may have no such buffer where there is no configuration.
            Err(Status::NotFound) => Root::new(id, &[], &event),
            Err(status) => Err(Refused::Unreadable(status)),
        };
        if let Err(refused) = loaded.and_then(|root| self.adopt(root)) {
            refused.log();
            return false;
        }
        if let Err(status) = abi::set_tick_period(TICK_MILLISECONDS) {
            warn(&format!("pintle: the host gives no ticks, so counters stay at zero: {status}"));
        }
        true
    }

    fn adopt(&self, root: Root<X>) -> Result<(), Refused> {
        let mut roots = self.roots.borrow_mut();
        forget(&mut roots, |other| other.id != root.id && is_alive(other.id));
        abi::set_effective_context(root.id).map_err(Refused::NoContexts)?;
        if roots.iter().any(|other| other.token.is_none() || other.token != root.token) {
            return Err(Refused::Indistinct);
        }
        if root.policy.is_inert() {
            warn("pintle: the configuration has no filters, so every request passes");
        }
        roots.push(root);
        Ok(())
    }

    /// A second has passed.
    pub fn on_tick(&self, id: u32) {
        let _event = Event::begin();
        self.log_level.set(abi::log_level() as u32);
        forget(&mut self.roots.borrow_mut(), |root| root.id == id || is_alive(root.id));
        self.streams.borrow_mut().age();
        let _ = abi::set_effective_context(id);
    }

    /// The fields of a request have arrived.
    pub fn on_request_headers(&self, id: u32) -> Action {
        let event = Event::begin();
        let roots = self.roots.borrow();
        let Some(root) = root(&roots, &event) else { return refuse() };
        let log_level = self.log_level.get();
        let mut stream = self.streams.borrow_mut().fresh();
        let mut host = WasmHost::new(&event, &root.counters, log_level, Section::Request);
        #[cfg(feature = "test-panic")]
        host.panic_if_asked(b"request");
        let answer = root.policy.on_request(&mut stream, &mut host, &mut self.scratch.borrow_mut());
        let answer = if host.failed() { None } else { Some(answer) };
        let mut streams = self.streams.borrow_mut();
        if matches!(answer, Some(Answer::Continue)) && root.policy.remembers() {
            streams.remember(id, Memory::Forwarded(stream));
        } else {
            streams.retire(stream);
            if !matches!(answer, Some(Answer::Continue)) && root.policy.answers() {
                streams.remember(id, Memory::Replied);
            }
        }
        // An old host may run the response's callback inside of the call that sends the reply.
        drop(streams);
        match answer {
            Some(Answer::Continue) => Action::Continue,
            Some(Answer::Reply(reply)) => send(&reply),
            None => refuse(),
        }
    }

    /// The fields of a response have arrived, of one's own reply too.
    pub fn on_response_headers(&self, id: u32) -> Action {
        let event = Event::begin();
        let remembered = match self.streams.borrow_mut().recall(id) {
            Some(Memory::Replied) => return Action::Continue,
            Some(Memory::Forwarded(stream)) => Some(stream),
            None => None,
        };
        let roots = self.roots.borrow();
        let root = root(&roots, &event).filter(|root| root.policy.answers());
        let Some(root) = root else { return Action::Continue };
        let log_level = self.log_level.get();
        let mut stream = match remembered {
            Some(stream) => stream,
            None if root.policy.remembers() => return Action::Continue,
            None => {
                let mut stream = self.streams.borrow_mut().fresh();
                stream.forward();
                stream
            }
        };
        let mut host = WasmHost::new(&event, &root.counters, log_level, Section::Response);
        #[cfg(feature = "test-panic")]
        host.panic_if_asked(b"response");
        root.policy.on_response(&mut stream, &mut host, &mut self.scratch.borrow_mut());
        self.streams.borrow_mut().retire(stream);
        // The reply takes the response's place, and this callback does not run for it.
        if host.failed() { refuse() } else { Action::Continue }
    }
}

/// Forgets configurations; what they have counted goes to the host first.
fn forget<X: FilterSet>(roots: &mut Vec<Root<X>>, keep: impl Fn(&Root<X>) -> bool) {
    roots.iter().for_each(|root| root.counters.flush());
    roots.retain(keep);
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

fn send(reply: &LocalReply<'_>) -> Action {
    let details = reply.details.as_bytes();
    match abi::send_local_response(reply.status, details, reply.body, reply.fields()) {
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
    // Where even this fails, the message is held and goes nowhere.
    let _ = abi::send_local_response(500, b"pintle_internal_error", b"", none);
    Action::Pause
}

fn warn(message: &str) {
    abi::log(LogLevel::Warn, message.as_bytes());
}
