//! A host that costs next to nothing.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use std::hint::black_box;

use pintle_core::store::{Shard, StoreId, StoreSpec};
use pintle_core::{
    Attribute, Callout, CalloutId, DispatchError, Edit, Errand, Host, Level, Metric, Section,
    UnixTime,
};

/// A field line: name and value.
pub type Line = (&'static str, &'static str);

/// A stream whose fields are lent from elsewhere, and whose edits and log lines are counted and go
/// nowhere. So it takes no memory, and stands the same at the start of each run: what is measured is
/// the filters. Stores are real ones; callouts start, and end when whoever runs this says so.
pub struct LendingHost<'a> {
    request: &'a [Line],
    response: &'a [Line],
    edits: u64,
    log_lines: Cell<u64>,
    callouts: Cell<u64>,
    stores: Vec<Vec<RefCell<Shard<()>>>>,
}

impl fmt::Debug for LendingHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LendingHost").field("request", &self.request).finish_non_exhaustive()
    }
}

impl<'a> LendingHost<'a> {
    /// A stream with these fields, on a host with these stores.
    pub fn new(request: &'a [Line], response: &'a [Line], stores: &[StoreSpec]) -> Self {
        let (log_lines, callouts) = (Cell::new(0), Cell::new(0));
        let shards =
            |spec: &StoreSpec| (0..spec.shards()).map(|_| RefCell::new(spec.shard())).collect();
        let stores = stores.iter().map(shards).collect();
        Self { request, response, edits: 0, log_lines, callouts, stores }
    }

    /// The callout that was started last.
    pub const fn callout(&self) -> CalloutId {
        CalloutId(self.callouts.get())
    }

    /// How many edits there were.
    pub const fn edits(&self) -> u64 {
        self.edits
    }

    /// How many log lines there were.
    pub const fn log_lines(&self) -> u64 {
        self.log_lines.get()
    }
}

impl Host for LendingHost<'_> {
    type Waker = ();

    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        let lines = match section {
            Section::Request => self.request,
            Section::Response => self.response,
        };
        lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }

    fn attribute(&self, _attribute: Attribute) -> Option<&[u8]> {
        None
    }

    fn logs(&self, level: Level) -> bool {
        level >= Level::Info
    }

    fn log(&self, _level: Level, message: fmt::Arguments<'_>) {
        self.log_lines.set(self.log_lines.get() + 1);
        // Formatting is the filter's work; nothing here can fail.
        let _ = Nowhere.write_fmt(message);
    }

    fn add(&self, counter: Metric, n: u64) {
        black_box((counter, n));
    }

    fn now(&self) -> UnixTime {
        UnixTime::default()
    }
    fn shift(&self, _gauge: Metric, _by: i64) {}
    fn record(&self, _histogram: Metric, _value: u64) {}
    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        black_box(callout);
        self.callouts.set(self.callouts.get() + 1);
        Ok(self.callout())
    }
    fn send_out(&self, _callout: &Callout<'_>, _errand: Errand) -> Result<(), DispatchError> {
        Err(DispatchError::CannotSend)
    }
    fn waker(&self) -> Self::Waker {}
    fn wake(&self, (): Self::Waker) {}
    fn shared<R>(&self, store: StoreId, hash: u64, work: impl FnOnce(&mut Shard<()>) -> R) -> R {
        let shards = &self.stores[store.index()];
        work(&mut shards[hash as usize % shards.len()].borrow_mut())
    }
    fn edit(&mut self, _section: Section, edit: Edit<'_>) {
        self.edits += 1;
        black_box(edit);
    }

    fn note(&mut self, key: &str, value: &[u8]) {
        black_box((key, value));
    }

    fn reroute(&mut self) {}
}

/// Where log lines are written to.
struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        black_box(text);
        Ok(())
    }
}
