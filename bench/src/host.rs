//! A host that costs next to nothing.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::hint::black_box;

use pintle_core::{Attribute, Counter, Edit, Host, Level, Section};

/// A field line: name and value.
pub type Line = (&'static str, &'static str);

/// A stream whose fields are lent from elsewhere, and whose edits and log lines are counted and go
/// nowhere. So it takes no memory, and stands the same at the start of each run: what is measured is
/// the filters.
#[derive(Debug)]
pub struct LendingHost<'a> {
    request: &'a [Line],
    response: &'a [Line],
    edits: u64,
    log_lines: Cell<u64>,
}

impl<'a> LendingHost<'a> {
    /// A stream with these fields.
    pub const fn new(request: &'a [Line], response: &'a [Line]) -> Self {
        Self { request, response, edits: 0, log_lines: Cell::new(0) }
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

    fn add(&self, counter: Counter, n: u64) {
        black_box((counter, n));
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
