//! The metrics of the process.

use std::collections::BTreeMap;

use proxy_wasm::types::MetricType;

use super::calls::{BAD_ARGUMENT, NOT_FOUND};

/// An id has the kind in its lowest two bits, of whose values three are kinds.
const KINDS: u32 = 4;

/// Metrics by name: one series per name, however often it is defined.
#[derive(Debug, Default)]
pub struct Metrics {
    series: BTreeMap<Vec<u8>, i64>,
    defined: Vec<(MetricType, Vec<u8>)>,
    recorded: BTreeMap<Vec<u8>, Vec<u64>>,
}

impl Metrics {
    /// The value of a counter or gauge; nothing if it was never defined.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<i64> {
        self.series.get(name).copied()
    }

    /// What was recorded in a histogram, in order.
    #[must_use]
    pub fn recorded(&self, name: &[u8]) -> &[u64] {
        self.recorded.get(name).map_or(&[], Vec::as_slice)
    }

    /// All names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.series.iter().map(|(name, value)| (&name[..], *value))
    }

    pub(super) fn define(&mut self, kind: u32, name: &[u8]) -> Result<u32, u32> {
        let kind = match kind {
            0 => MetricType::Counter,
            1 => MetricType::Gauge,
            2 => MetricType::Histogram,
            _ => return Err(BAD_ARGUMENT),
        };
        self.series.entry(name.to_vec()).or_insert(0);
        self.defined.push((kind, name.to_vec()));
        // From four on, so that an id that was never written is an unknown one.
        let at = u32::try_from(self.defined.len()).map_err(|_| BAD_ARGUMENT)?;
        at.checked_mul(KINDS).map(|id| id | kind as u32).ok_or(BAD_ARGUMENT)
    }

    pub(super) fn increment(&mut self, id: u32, n: i64) -> Result<(), u32> {
        let (kind, name) = self.defined(id)?;
        let takes = match kind {
            MetricType::Counter => n > 0,
            MetricType::Gauge => true,
            _ => false,
        };
        let value = self.series.get_mut(&name).ok_or(NOT_FOUND)?;
        if !takes {
            return Err(BAD_ARGUMENT);
        }
        *value = value.saturating_add(n);
        Ok(())
    }
    pub(super) fn record(&mut self, id: u32, value: u64) -> Result<(), u32> {
        let (kind, name) = self.defined(id)?;
        let as_number = i64::try_from(value).unwrap_or(i64::MAX);
        let series = self.series.get_mut(&name).ok_or(NOT_FOUND)?;
        match kind {
            MetricType::Counter => *series = series.saturating_add(as_number),
            MetricType::Gauge => *series = as_number,
            _ => self.recorded.entry(name).or_default().push(value),
        }
        Ok(())
    }

    fn defined(&self, id: u32) -> Result<(MetricType, Vec<u8>), u32> {
        if id % KINDS == KINDS - 1 {
            return Err(BAD_ARGUMENT);
        }
        let at = usize::try_from(id / KINDS).ok().and_then(|at| at.checked_sub(1));
        self.defined.get(at.ok_or(NOT_FOUND)?).cloned().ok_or(NOT_FOUND)
    }
}
