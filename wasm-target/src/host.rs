//! Envoy as the core sees it.

use std::cell::{Cell, OnceCell};
use std::fmt::{self, Write as _};

use pintle_core::{Attribute, Counter, Edit, FieldName, Host, Level, Section};
use proxy_wasm::types::{LogLevel, MapType};

use crate::abi;
use crate::arena::Event;
use crate::pairs::Pairs;
use crate::root::Counters;

/// Where notes go: filter state `wasm.pintle.<key>`.
const NOTES: &str = "pintle.";

/// The most that is kept of a log line's memory, in bytes.
const KEEP_LINE_BYTES: usize = 16 * 1024;

/// One stream of Envoy, while one of its events is handled.
///
/// One section is there, that of the event; it is read once, whole, and again after an edit. Of the
/// other one there is nothing to read or to edit: when the response comes, Envoy does not even answer
/// for the properties `request.*`.
pub(crate) struct WasmHost<'e> {
    event: &'e Event,
    counters: &'e Counters,
    log_level: u32,
    section: Section,
    pairs: OnceCell<Pairs<'e>>,
    failed: Cell<bool>,
}

impl<'e> WasmHost<'e> {
    /// `section` is the one whose callback runs.
    pub(crate) fn new(
        event: &'e Event,
        counters: &'e Counters,
        log_level: u32,
        section: Section,
    ) -> Self {
        let (pairs, failed) = (OnceCell::new(), Cell::new(false));
        Self { event, counters, log_level, section, pairs, failed }
    }

    /// Whether a call failed that a decision may rest on. Then there is no decision.
    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }

    fn pairs(&self, section: Section) -> Pairs<'e> {
        if section != self.section {
            return Pairs::default();
        }
        *self.pairs.get_or_init(|| {
            let pairs = abi::header_map_pairs(self.event, map(section)).map(Pairs::parse);
            match pairs {
                // A message has pseudo-headers: none at all is no message, but a map that is not
                // there, and a request that looks empty would pass every condition.
                Ok(Ok(pairs)) if !pairs.is_empty() => pairs,
                _ => {
                    self.failed.set(true);
                    Pairs::default()
                }
            }
        })
    }

    /// Panics where the message says so, for the tests that show what a panic does. In the response
    /// hook it is the response that has to: of the request nothing is left.
    #[cfg(feature = "test-panic")]
    pub(crate) fn panic_if_asked(&self, hook: &[u8]) {
        let mut asked = self.pairs(self.section).values(b"x-pintle-test-panic");
        assert!(asked.all(|asked| asked != hook), "x-pintle-test-panic asked for it");
    }
}

impl Host for WasmHost<'_> {
    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs(section).iter()
    }

    fn values<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.pairs(section).values(name.as_bytes())
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

    fn add(&self, counter: Counter, n: u64) {
        self.counters.add(counter, n);
    }

    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        if section != self.section {
            return;
        }
        let map = map(section);
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
        self.pairs.take();
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
