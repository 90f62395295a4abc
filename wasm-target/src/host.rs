//! Envoy as the core sees it.

use std::cell::{Cell, OnceCell};
use std::fmt::{self, Write as _};

use pintle_core::store::{Shard, Slot, StoreId};
use pintle_core::{
    Attribute, Callout, CalloutId, DispatchError, Edit, Errand, FieldName, Host, Level, Metric,
    Section, UnixTime,
};
use proxy_wasm::types::{LogLevel, MapType};

use crate::abi::{self, CalloutError, Status};
use crate::arena::Event;
use crate::held::{Held, Sender, Sent};
use crate::pairs::Pairs;
use crate::root::Means;
use crate::slots;
use crate::stores::{Waker, lend_nothing};

/// Where notes go: filter state `wasm.pintle.<key>`.
const NOTES: &str = "pintle.";

/// The most that is kept of a log line's memory, in bytes.
const KEEP_LINE_BYTES: usize = 16 * 1024;

/// One stream of Envoy, while one of its events is handled.
///
/// One section is there at most, that of the event, and the request's while it is held; it is read
/// once, whole, and again for a field that was edited since. Of the other one there is nothing to read
/// or to edit: when the response comes, Envoy does not even answer for the properties `request.*`.
pub(crate) struct WasmHost<'e> {
    event: &'e Event,
    means: &'e Means,
    held: &'e Held,
    log_level: u32,
    stream: u32,
    section: Option<Section>,
    pairs: Cell<Option<Pairs<'e>>>,
    /// What was edited since they were read.
    edited: Cell<Names>,
    now: OnceCell<UnixTime>,
    failed: Cell<bool>,
}

/// Names of fields, a bit for each; some share one.
type Names = u64;

const NO_NAME: Names = 0;
const ALL_NAMES: Names = Names::MAX;

fn only(name: &FieldName) -> Names {
    let name = name.as_bytes();
    let ends = [name.first(), name.last()].map(|end| end.copied().unwrap_or_default());
    let mixed = ends
        .into_iter()
        .fold(name.len(), |mix, end| mix.wrapping_mul(31).wrapping_add(usize::from(end)));
    1 << (mixed % 64)
}

/// The context id of no stream.
pub(crate) const NO_STREAM: u32 = 0;

impl<'e> WasmHost<'e> {
    /// `section` is the one that there is for `stream`.
    pub(crate) fn new(
        event: &'e Event,
        means: &'e Means,
        held: &'e Held,
        log_level: u32,
        stream: u32,
        section: Option<Section>,
    ) -> Self {
        let (pairs, edited) = (Cell::new(None), Cell::new(NO_NAME));
        let (now, failed) = (OnceCell::new(), Cell::new(false));
        Self { event, means, held, log_level, stream, section, pairs, edited, now, failed }
    }

    /// Whether a call failed that a decision may rest on. Then there is no decision.
    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// The section as it is, or was when it was read, which serves whoever reads later.
    pub(crate) fn lines(&self) -> Pairs<'e> {
        self.section.map(|section| self.pairs(section, NO_NAME)).unwrap_or_default()
    }

    /// The section, good for the `wanted` fields at least.
    fn pairs(&self, section: Section, wanted: Names) -> Pairs<'e> {
        if Some(section) != self.section {
            return Pairs::default();
        }
        if let (Some(pairs), NO_NAME) = (self.pairs.get(), self.edited.get() & wanted) {
            return pairs;
        }
        let pairs = abi::header_map_pairs(self.event, map(section)).map(Pairs::parse);
        let pairs = match pairs {
            // A message has pseudo-headers: none at all is no message, but a map that is not
            // there, and a request that looks empty would pass every condition.
            Ok(Ok(pairs)) if !pairs.is_empty() => pairs,
            _ => {
                self.failed.set(true);
                Pairs::default()
            }
        };
        self.pairs.set(Some(pairs));
        self.edited.set(NO_NAME);
        pairs
    }

    /// Starts a callout, which is the root context's and outlives whoever started it.
    fn call(&self, callout: &Callout<'_>, sender: Sender) -> Result<u32, DispatchError> {
        let fields = callout.fields.iter().copied();
        // Zero would be never.
        let timeout_ms = callout.timeout_ms.max(1);
        let called = abi::http_call(callout.cluster, fields, callout.body, timeout_ms);
        let token = called.map_err(|error| match error {
            CalloutError::Host(Status::BadArgument | Status::NotFound) => DispatchError::NoCluster,
            CalloutError::Fields(_) => DispatchError::Rejected,
            CalloutError::Host(_) => DispatchError::CannotSend,
        })?;
        self.held.send(token, Sent::new(self.means.root, sender, self.now(), timeout_ms));
        Ok(token)
    }

    /// Panics where the message says so, for the tests that show what a panic does. In the response
    /// hook it is the response that has to: of the request nothing is left.
    #[cfg(feature = "test-panic")]
    pub(crate) fn panic_if_asked(&self, hook: &[u8]) {
        let Some(section) = self.section else { return };
        let mut asked = self.pairs(section, ALL_NAMES).values(b"x-pintle-test-panic");
        assert!(asked.all(|asked| asked != hook), "x-pintle-test-panic asked for it");
    }
}

impl Host for WasmHost<'_> {
    type Waker = Waker;

    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs(section, ALL_NAMES).iter()
    }

    fn values<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.pairs(section, only(name)).values(name.as_bytes())
    }

    fn has(&self, section: Section, name: &FieldName) -> bool {
        let known = self.pairs.get().is_some() && self.edited.get() & only(name) == NO_NAME;
        if known || Some(section) != self.section {
            return self.values(section, name).next().is_some();
        }
        abi::has_header_map_value(self.event, map(section), name.as_bytes()).unwrap_or_else(|_| {
            self.failed.set(true);
            false
        })
    }

    fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        let path = attribute.envoy_name().replace('.', "\0");
        let value = abi::property(self.event, path.as_bytes()).unwrap_or_else(|_| {
            self.failed.set(true);
            None
        });
        value.filter(|value| !value.is_empty())
    }

    fn logs(&self, level: Level) -> bool {
        self.log_level <= log_level(level) as u32
    }

    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        thread_local! {
            /// The memory of a line, kept for the next one.
            static LINE: Cell<String> = const { Cell::new(String::new()) };
        }
        if !self.logs(level) {
            return;
        }
        // Taken, not borrowed: what is formatted may log too.
        let mut line = LINE.take();
        line.clear();
        // Writing to a String cannot fail.
        let _ = line.write_fmt(message);
        abi::log(log_level(level), line.as_bytes());
        if line.capacity() <= KEEP_LINE_BYTES {
            LINE.set(line);
        }
    }

    fn now(&self) -> UnixTime {
        /// Nanoseconds of a millisecond.
        const MILLISECOND: u64 = 1_000_000;

        *self.now.get_or_init(|| match abi::current_time_nanoseconds() {
            Ok(now) => UnixTime(now / MILLISECOND),
            // Without a clock nothing would ever be too old.
            Err(_) => {
                self.failed.set(true);
                UnixTime::default()
            }
        })
    }

    fn add(&self, counter: Metric, n: u64) {
        self.means.metrics.add(counter, i64::try_from(n).unwrap_or(i64::MAX));
    }

    fn shift(&self, gauge: Metric, by: i64) {
        self.means.metrics.add(gauge, by);
    }

    fn record(&self, histogram: Metric, value: u64) {
        self.means.metrics.record(histogram, value);
    }

    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        let token = self.call(callout, Sender::Stream(self.stream))?;
        Ok(CalloutId(u64::from(token)))
    }

    fn send_out(&self, callout: &Callout<'_>, errand: Errand) -> Result<(), DispatchError> {
        self.call(callout, Sender::Errand(errand)).map(|_| ())
    }

    fn waker(&self) -> Waker {
        self.stream
    }

    fn wake(&self, waker: Waker) {
        self.held.wake(waker);
    }

    fn shared<R>(&self, store: StoreId, hash: u64, work: impl FnOnce(&mut Shard<Waker>) -> R) -> R {
        match self.means.stores.get(store.index()) {
            Some(store) => store.lend(hash, work),
            None => lend_nothing(work),
        }
    }

    fn slot(&self, parts: &[&[u8]]) -> Option<Slot> {
        slots::slot(parts)
    }

    fn recall(&self, slot: &Slot) -> Option<Vec<u8>> {
        slots::recall(self.event, slot)
    }

    fn leave(&self, slot: &Slot, value: &[u8]) {
        slots::leave(slot, value);
    }

    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        if Some(section) != self.section {
            return;
        }
        let map = map(section);
        let (Edit::Set(name, _) | Edit::Append(name, _) | Edit::Remove(name)) = edit;
        let edited = match edit {
            Edit::Set(name, value) => {
                abi::replace_header_map_value(map, name.as_bytes(), value.as_bytes())
            }
            Edit::Append(name, value) => {
                abi::add_header_map_value(map, name.as_bytes(), value.as_bytes())
            }
            Edit::Remove(name) => abi::remove_header_map_value(map, name.as_bytes()),
        };
        if edited.is_err() {
            self.failed.set(true);
        }
        self.edited.set(self.edited.get() | only(name));
    }

    fn note(&mut self, key: &str, value: &[u8]) {
        let path = [NOTES, key].concat();
        if abi::set_property(path.as_bytes(), value).is_err() {
            self.log(Level::Warn, format_args!("pintle: the host took no filter state"));
        }
    }

    fn reroute(&mut self) {
        // Envoy does so by itself when a module edits request fields.
    }
}

const fn map(section: Section) -> MapType {
    match section {
        Section::Request => MapType::HttpRequestHeaders,
        Section::Response => MapType::HttpResponseHeaders,
    }
}

const fn log_level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

#[cfg(test)]
mod tests;
