//! What happens to a stream in memory, in the order in which it does.

use alloc::string::String;
use alloc::vec::Vec;

use super::memory::MemoryHost;
use crate::callout::{CalloutId, DispatchError};
use crate::explain::Act;
use crate::fields::FieldName;
use crate::host::{Edit, Level, Section};

/// One thing that happens to a stream.
#[derive(Debug)]
pub enum Record {
    /// The chain says what it does.
    Said(Act),
    /// A counter grows, by its place in [`Policy::metrics`](crate::Policy::metrics).
    Counted(usize, u64),
    /// A value is left for later filters and the access log.
    Noted(String, Vec<u8>),
    /// A message is logged.
    Logged(Level, String),
    /// A service is asked, or cannot be.
    Asked(Result<CalloutId, DispatchError>),
    /// A field is changed; that of an own reply is not.
    Edited(Section, FieldName),
}

impl MemoryHost {
    /// Has what happens from now on recorded.
    pub fn start_recording(&mut self) {
        *self.records.get_mut() = Some(Vec::new());
    }

    /// What has happened since then, or since this was asked last.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.records.get_mut().as_mut().map(core::mem::take).unwrap_or_default()
    }

    pub(super) fn record(&self, what: impl FnOnce() -> Record) {
        // The chain speaks of itself while it reads from this host, never while it records.
        if self.records.borrow().is_some() {
            let what = what();
            if let Some(records) = self.records.borrow_mut().as_mut() {
                records.push(what);
            }
        }
    }
}

impl Record {
    pub(super) fn of_edit(section: Section, edit: Edit<'_>) -> Self {
        match edit {
            Edit::Set(name, _) | Edit::Append(name, _) | Edit::Remove(name) => {
                Self::Edited(section, name.clone())
            }
        }
    }
}
