//! Data that all plug-ins of a proxy share, on all of its threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::calls::{CAS_MISMATCH, NOT_FOUND};

/// Values by key, each with the number that its last change was given. A clone is the same data, for
/// the fake host of another thread.
#[derive(Clone, Debug, Default)]
pub struct SharedData(Arc<Mutex<Values>>);

#[derive(Debug, Default)]
struct Values {
    values: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    changes: u32,
}

impl SharedData {
    /// All keys with their values.
    #[must_use]
    pub fn values(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.look(|data| {
            let values = data.values.iter();
            values.map(|(key, (value, _))| (key.clone(), value.clone())).collect()
        })
    }

    /// Sets a value as another plug-in would.
    pub fn put(&self, key: &[u8], value: &[u8]) {
        let _ = self.set(key, value, 0);
    }

    pub(super) fn value(&self, key: &[u8]) -> Result<(Vec<u8>, u32), u32> {
        self.look(|data| data.values.get(key).cloned().ok_or(NOT_FOUND))
    }

    pub(super) fn set(&self, key: &[u8], value: &[u8], version: u32) -> Result<(), u32> {
        self.look(|data| {
            let now = data.values.get(key).map(|(_, version)| *version);
            if version != 0 && now.is_some_and(|now| now != version) {
                return Err(CAS_MISMATCH);
            }
            data.changes = data.changes.saturating_add(1);
            data.values.insert(key.to_vec(), (value.to_vec(), data.changes));
            Ok(())
        })
    }

    fn look<R>(&self, look: impl FnOnce(&mut Values) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
