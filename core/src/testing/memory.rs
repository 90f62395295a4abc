//! A host in memory: the reference for what the two real ones must do.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use super::corpus::FieldLines;
#[cfg(feature = "explain")]
use super::record::Record;
use super::world::{Sender, StreamNumber, World};
use crate::callout::{Callout, CalloutId, DispatchError, Errand};
#[cfg(feature = "explain")]
use crate::explain::Act;
use crate::host::{Attribute, Edit, Host, Level, Metric, Section, UnixTime};
use crate::store::{Shard, Slot, StoreId};

/// One log line.
pub type LogLine = (Level, String);

/// A stream held in memory.
#[derive(Debug, Default)]
pub struct MemoryHost {
    /// Field lines of the request, pseudo-headers first.
    pub request: FieldLines,
    /// Field lines of the response, `:status` first.
    pub response: FieldLines,
    /// What is known of the connection, by Envoy's names.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// Values that were noted.
    pub notes: BTreeMap<String, Vec<u8>>,
    /// How often the route was chosen anew.
    pub reroutes: usize,
    /// The least level that is logged; `None` for none.
    pub level: Option<Level>,
    /// What it shares with other streams.
    pub world: Rc<World>,
    /// Its number among them.
    pub number: StreamNumber,
    counters: RefCell<BTreeMap<usize, u64>>,
    gauges: RefCell<BTreeMap<usize, i64>>,
    recorded: RefCell<Vec<(usize, u64)>>,
    log: RefCell<Vec<LogLine>>,
    /// What happens, where somebody wants to know.
    #[cfg(feature = "explain")]
    pub(super) records: RefCell<Option<Vec<Record>>>,
}

impl MemoryHost {
    /// A stream whose request has these field lines.
    pub fn new(request: FieldLines) -> Self {
        Self { request, level: Some(Level::Trace), ..Self::default() }
    }

    /// The log lines so far.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.log.borrow().clone()
    }

    /// How far a gauge moved.
    pub fn gauge(&self, gauge: usize) -> i64 {
        self.gauges.borrow().get(&gauge).copied().unwrap_or_default()
    }

    /// What was recorded in histograms, each with its place.
    pub fn recorded(&self) -> Vec<(usize, u64)> {
        self.recorded.borrow().clone()
    }

    /// How much a counter grew.
    pub fn count(&self, counter: usize) -> u64 {
        self.counters.borrow().get(&counter).copied().unwrap_or_default()
    }

    fn asked(&self, sent: Result<CalloutId, DispatchError>) -> Result<CalloutId, DispatchError> {
        #[cfg(feature = "explain")]
        self.record(|| Record::Asked(sent));
        sent
    }

    fn section(&self, section: Section) -> &FieldLines {
        match section {
            Section::Request => &self.request,
            Section::Response => &self.response,
        }
    }
}

impl Host for MemoryHost {
    type Waker = StreamNumber;

    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.section(section).iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
    fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        self.attributes.get(attribute.envoy_name()).map(Vec::as_slice)
    }
    fn logs(&self, level: Level) -> bool {
        self.level.is_some_and(|least| least <= level)
    }
    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        #[cfg(feature = "explain")]
        self.record(|| Record::Logged(level, message.to_string()));
        self.log.borrow_mut().push((level, message.to_string()));
    }
    fn add(&self, counter: Metric, n: u64) {
        #[cfg(feature = "explain")]
        self.record(|| Record::Counted(counter.index(), n));
        let mut counters = self.counters.borrow_mut();
        let count = counters.entry(counter.index()).or_default();
        *count = count.saturating_add(n);
    }
    fn now(&self) -> UnixTime {
        self.world.now.get()
    }
    fn shift(&self, gauge: Metric, by: i64) {
        let mut gauges = self.gauges.borrow_mut();
        let value = gauges.entry(gauge.index()).or_default();
        *value = value.saturating_add(by);
    }
    fn record(&self, histogram: Metric, value: u64) {
        self.recorded.borrow_mut().push((histogram.index(), value));
    }
    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        self.asked(self.world.send(callout, Sender::Stream(self.number)))
    }
    fn send_out(&self, callout: &Callout<'_>, errand: Errand) -> Result<(), DispatchError> {
        self.world.send(callout, Sender::Errand(errand)).map(|_| ())
    }
    fn waker(&self) -> StreamNumber {
        self.number
    }
    fn wake(&self, waker: StreamNumber) {
        self.world.woken.borrow_mut().push(waker);
    }
    fn shared<R>(
        &self,
        store: StoreId,
        hash: u64,
        work: impl FnOnce(&mut Shard<StreamNumber>) -> R,
    ) -> R {
        self.world.shared(store, hash, work)
    }
    fn slot(&self, parts: &[&[u8]]) -> Option<Slot> {
        self.world.slot(parts)
    }
    fn recall(&self, slot: &Slot) -> Option<Vec<u8>> {
        self.world.recall(slot)
    }
    fn leave(&self, slot: &Slot, value: &[u8]) {
        self.world.leave(slot, value);
    }
    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        #[cfg(feature = "explain")]
        self.record(|| Record::of_edit(section, edit));
        let lines = match section {
            Section::Request => &mut self.request,
            Section::Response => &mut self.response,
        };
        let (name, value) = match edit {
            Edit::Set(name, value) | Edit::Append(name, value) => (name, Some(value)),
            Edit::Remove(name) => (name, None),
        };
        if !matches!(edit, Edit::Append(..)) {
            lines.retain(|(n, _)| n != name.as_bytes());
        }
        if let Some(value) = value {
            lines.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
    }
    fn note(&mut self, key: &str, value: &[u8]) {
        #[cfg(feature = "explain")]
        self.record(|| Record::Noted(key.to_owned(), value.to_vec()));
        self.notes.insert(key.to_owned(), value.to_vec());
    }
    fn reroute(&mut self) {
        self.reroutes = self.reroutes.saturating_add(1);
    }
    #[cfg(feature = "explain")]
    fn explain(&self, say: impl FnOnce() -> Act) {
        self.record(|| Record::Said(say()));
    }
}
