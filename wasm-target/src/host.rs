//! Envoy as the core sees it.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::{self, Write as _};

use pintle_core::{Attribute, Counter, Edit, FieldName, Host, Level, Section};
use proxy_wasm::types::{LogLevel, MapType};

use crate::abi;
use crate::arena::Event;
use crate::pairs::{self, Pairs};
use crate::root::Counters;

/// Where notes go: filter state `wasm.pintle.<key>`.
const NOTES: &str = "pintle.";

/// Which callback runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Request,
    /// The host has no request fields any more.
    Response,
}

/// One stream of Envoy, while one of its events is handled. Each section is read once, whole, and
/// again after an edit.
pub(crate) struct WasmHost<'e> {
    event: &'e Event,
    counters: &'e Counters,
    log_level: u32,
    phase: Phase,
    request: OnceCell<Pairs<'e>>,
    response: OnceCell<Pairs<'e>>,
    failed: Cell<bool>,
}

impl<'e> WasmHost<'e> {
    pub(crate) fn new(
        event: &'e Event,
        counters: &'e Counters,
        log_level: u32,
        phase: Phase,
    ) -> Self {
        let (request, response) = (OnceCell::new(), OnceCell::new());
        Self { event, counters, log_level, phase, request, response, failed: Cell::new(false) }
    }

    /// Whether a call failed that a decision may rest on. Then there is no decision.
    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }

    fn pairs(&self, section: Section) -> &Pairs<'e> {
        let place = match section {
            Section::Request => &self.request,
            Section::Response => &self.response,
        };
        place.get_or_init(|| {
            let pairs = abi::header_map_pairs(self.event, map(section)).map(Pairs::parse);
            match pairs {
                Ok(Ok(pairs)) => pairs,
                _ => {
                    self.failed.set(true);
                    Pairs::default()
                }
            }
        })
    }

    /// A request field after the request phase, where only a property can be asked for: repeats are
    /// one value, joined with commas.
    fn past_request_field(&self, name: &FieldName) -> Option<&'e [u8]> {
        let path = match name.as_bytes() {
            b":path" => b"request\0path".to_vec(),
            b":method" => b"request\0method".to_vec(),
            b":authority" => b"request\0host".to_vec(),
            b":scheme" => b"request\0scheme".to_vec(),
            name => [b"request\0headers\0", name].concat(),
        };
        abi::property(self.event, &path).ok().flatten()
    }

    /// Panics where the request says so, for the tests that show what a panic does.
    #[cfg(feature = "test-panic")]
    pub(crate) fn panic_if_asked(&self, hook: &[u8]) {
        let asked = abi::property(self.event, b"request\0headers\0x-pintle-test-panic");
        assert!(asked.ok().flatten() != Some(hook), "asked for");
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
        if section == Section::Request && self.phase == Phase::Response {
            Values::Past(self.past_request_field(name))
        } else {
            Values::Listed(self.pairs(section).values(name.as_bytes()))
        }
    }

    fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        let path = attribute.envoy_name().replace('.', "\0");
        abi::property(self.event, path.as_bytes()).ok().flatten().filter(|value| !value.is_empty())
    }

    fn logs(&self, level: Level) -> bool {
        self.log_level <= log_level(level) as u32
    }

    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        thread_local! {
            static LINE: RefCell<String> = const { RefCell::new(String::new()) };
        }
        if !self.logs(level) {
            return;
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            // Writing to a String cannot fail.
            let _ = line.write_fmt(message);
            abi::log(log_level(level), line.as_bytes());
        });
    }

    fn add(&self, counter: Counter, n: u64) {
        self.counters.add(counter, n);
    }

    fn edit(&mut self, section: Section, edit: Edit<'_>) {
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
        match section {
            Section::Request => self.request.take(),
            Section::Response => self.response.take(),
        };
    }

    fn note(&mut self, key: &str, value: &[u8]) {
        let path = [NOTES, key].concat();
        if abi::set_property(path.as_bytes(), value).is_err() {
            abi::log(LogLevel::Warn, b"pintle: the host took no filter state");
        }
    }

    fn reroute(&mut self) {
        // Envoy does so by itself when a module edits request fields.
    }
}

enum Values<'a> {
    Past(Option<&'a [u8]>),
    Listed(pairs::Values<'a, 'a>),
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Past(value) => value.take(),
            Self::Listed(values) => values.next(),
        }
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
