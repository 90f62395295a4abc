//! What one VM remembers: configurations, and streams between request and response.
//!
//! One VM serves every configuration of the same module on its worker, and after an update the old
//! and the new one together, until the last stream of the old one is done. The host announces the
//! end of neither configuration nor stream, since the exports for that would run, and cost, for every
//! stream. So once a second, on the tick, the VM asks for those it remembers whether they live.

mod answer;
mod response;
mod waiting;

use std::cell::{Cell, RefCell};

use pintle_core::config::HashKey;
use pintle_core::filter::FilterSet;
use pintle_core::{Answer, LocalReply, Scratch, Section, Stream};
use proxy_wasm::types::{Action, BufferType, LogLevel};

use crate::abi::{self, Status};
use crate::arena::Event;
use crate::held::Held;
use crate::host::WasmHost;
use crate::root::{Refused, Root, root_of_stream};
use crate::stores::Stores;
use crate::streams::{Memory, Streams, is_alive};

/// Between two ticks: how late a counter is at most, and how long what is gone is remembered.
const TICK_MILLISECONDS: u32 = 1000;

/// The state of one VM.
#[derive(Debug)]
pub struct Vm<X: FilterSet> {
    roots: RefCell<Vec<Root<X>>>,
    streams: RefCell<Streams>,
    held: Held,
    stores: Stores,
    scratch: RefCell<Scratch>,
    /// One for all configurations, since they may share stores.
    hash_key: Cell<Option<HashKey>>,
    /// The least level that the host logs, as the ABI numbers it.
    log_level: Cell<u32>,
    /// The host calls the functions that are about the content of responses.
    sees_content: Cell<bool>,
}

impl<X: FilterSet> Default for Vm<X> {
    fn default() -> Self {
        Self {
            roots: RefCell::default(),
            streams: RefCell::default(),
            held: Held::default(),
            stores: Stores::default(),
            scratch: RefCell::default(),
            hash_key: Cell::default(),
            log_level: Cell::new(LogLevel::Info as u32),
            sees_content: Cell::new(true),
        }
    }
}

impl<X: FilterSet> Vm<X> {
    /// The module's table of exports has none of the functions about the content of responses, so that
    /// configurations are refused that need them.
    pub fn without_content(&self) {
        self.sees_content.set(false);
    }

    /// A configuration has arrived. `false` refuses it: the host keeps the one it has.
    pub fn on_configure(&self, id: u32, size: usize) -> bool {
        let event = Event::begin();
        self.log_level.set(abi::log_level() as u32);
        let loaded = match abi::buffer_bytes(&event, BufferType::PluginConfiguration, 0, size) {
            Ok(configuration) => self.load(id, configuration, &event),
            // A host may have no such buffer where there is no configuration.
            Err(Status::NotFound) => self.load(id, &[], &event),
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

    fn load(&self, id: u32, configuration: &[u8], event: &Event) -> Result<Root<X>, Refused> {
        let root = Root::new(id, configuration, self.hash_key()?, &self.stores, event)?;
        match root.policy.first_to_replace_content() {
            Some(filter) if !self.sees_content.get() => Err(Refused::Unseen(filter.to_owned())),
            _ => Ok(root),
        }
    }

    fn hash_key(&self) -> Result<HashKey, Refused> {
        if let Some(key) = self.hash_key.get() {
            return Ok(key);
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Refused::NoRandomBytes)?;
        let key = HashKey::new(random);
        self.hash_key.set(Some(key));
        Ok(key)
    }

    fn adopt(&self, root: Root<X>) -> Result<(), Refused> {
        self.forget(|other| other.id() != root.id() && is_alive(other.id()));
        abi::set_effective_context(root.id()).map_err(Refused::NoContexts)?;
        let mut roots = self.roots.borrow_mut();
        if roots.iter().any(|other| other.token.is_none() || other.token != root.token) {
            return Err(Refused::Indistinct);
        }
        if root.policy.is_inert() {
            warn("pintle: the configuration has no filters, so every request passes");
        }
        roots.push(root);
        Ok(())
    }

    /// Forgets configurations; what they have counted goes to the host first.
    fn forget(&self, keep: impl Fn(&Root<X>) -> bool) {
        let roots = self.roots.borrow();
        let (kept, gone): (Vec<_>, Vec<_>) = roots.iter().partition(|root| keep(root));
        gone.iter().for_each(|root| self.abandon(root));
        self.deliver_wakes(&roots);
        roots.iter().for_each(|root| root.means.metrics.flush());
        let kept: Vec<u32> = kept.iter().map(|root| root.id()).collect();
        drop(roots);
        self.roots.borrow_mut().retain(|root| kept.contains(&root.id()));
    }

    /// A second has passed.
    pub fn on_tick(&self, id: u32) {
        self.log_level.set(abi::log_level() as u32);
        self.give_up_overdue(&self.roots.borrow());
        self.let_go_of_the_dead(&self.roots.borrow());
        self.forget(|root| root.id() == id || is_alive(root.id()));
        self.streams.borrow_mut().age();
        let _ = abi::set_effective_context(id);
    }

    /// The fields of a request have arrived.
    pub fn on_request_headers(&self, id: u32) -> Action {
        let roots = self.roots.borrow();
        let action = self.judge(&roots, id);
        if self.deliver_wakes(&roots) {
            let _ = abi::set_effective_context(id);
        }
        action
    }

    fn judge(&self, roots: &[Root<X>], id: u32) -> Action {
        let event = Event::begin();
        let Some(root) = root(roots, &event) else { return self.refuse(id) };
        let mut stream = self.streams.borrow_mut().fresh();
        let mut host = self.host(&event, root, id, Some(Section::Request));
        #[cfg(feature = "test-panic")]
        host.panic_if_asked(b"request");
        let answer = root.policy.on_request(&mut stream, &mut host, &mut self.scratch.borrow_mut());
        match self.keep(root, id, stream, answer, &host) {
            Some(Answer::Continue) => Action::Continue,
            Some(Answer::Wait) => Action::Pause,
            Some(Answer::Reply(reply)) => self.send(id, &reply),
            None => self.refuse(id),
        }
    }

    /// Keeps of a stream what later events need, and says what becomes of its request: the answer,
    /// unless the host has failed; then there is none.
    fn keep<'s>(
        &self,
        root: &Root<X>,
        id: u32,
        mut stream: Box<Stream>,
        answer: Answer<'s>,
        host: &WasmHost<'_>,
    ) -> Option<Answer<'s>> {
        let answer = if host.failed() { None } else { Some(answer) };
        if matches!(answer, Some(Answer::Wait)) {
            self.held.hold(id, root.id(), stream);
            return answer;
        }
        let forwarded = matches!(answer, Some(Answer::Continue));
        if !forwarded {
            // Where it waits nevertheless, it does so no longer.
            root.policy.on_gone(&mut stream, host);
        }
        let mut streams = self.streams.borrow_mut();
        if forwarded && root.policy.remembers() {
            streams.remember(id, Memory::Forwarded(stream));
        } else {
            streams.retire(stream);
            if !forwarded && root.policy.answers() {
                streams.remember(id, Memory::Replied);
            }
        }
        // What was borrowed is given back here: an old host may run the response's callback inside
        // of the call that sends the reply.
        answer
    }

    fn host<'e>(
        &'e self,
        event: &'e Event,
        root: &'e Root<X>,
        stream: u32,
        section: Option<Section>,
    ) -> WasmHost<'e> {
        WasmHost::new(event, &root.means, &self.held, self.log_level.get(), stream, section)
    }

    fn send(&self, id: u32, reply: &LocalReply<'_>) -> Action {
        let details = reply.details.as_bytes();
        match abi::send_local_response(reply.status, details, &reply.body, reply.fields()) {
            Ok(()) => Action::Pause,
            Err(error) => {
                let message = format!("pintle: {error}");
                abi::log(LogLevel::Error, message.as_bytes());
                self.refuse(id)
            }
        }
    }

    /// Fails closed.
    #[cold]
    fn refuse(&self, id: u32) -> Action {
        if !send_failure() {
            self.hold_for_good(id);
        }
        Action::Pause
    }

    /// The request is held and goes nowhere, whatever follows of it.
    fn hold_for_good(&self, id: u32) {
        self.held.hold(id, NO_ROOT, Box::default());
    }
}

/// Answers that something has failed in here; `false` where the host does not send that.
fn send_failure() -> bool {
    let none = std::iter::empty();
    abi::send_local_response(500, b"pintle_internal_error", b"", none).is_ok()
}

/// The id of no root context.
const NO_ROOT: u32 = 0;

/// The configuration that the current stream is for; `None` where the host does not tell.
fn root<'r, X: FilterSet>(roots: &'r [Root<X>], event: &Event) -> Option<&'r Root<X>> {
    match roots {
        [root] => Some(root),
        [first, ..] => {
            let id = root_of_stream(first.token?, event)?;
            roots.iter().find(|root| root.id() == id)
        }
        [] => None,
    }
}

fn warn(message: &str) {
    abi::log(LogLevel::Warn, message.as_bytes());
}
