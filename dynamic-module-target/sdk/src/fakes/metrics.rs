//! Counters, gauges and histograms of a configuration.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::abi::MetricsResult;

/// Each kind has ids of its own, from 1.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    lists: Mutex<Lists>,
}

#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) frozen: bool,
    pub(super) counters: Vec<(String, u64)>,
    pub(super) gauges: Vec<(String, u64)>,
    pub(super) histograms: Vec<(String, Vec<u64>)>,
}

impl Metrics {
    pub(super) fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counters(&self) -> BTreeMap<String, u64> {
        self.lists().counters.iter().cloned().collect()
    }

    pub(super) fn gauge(&self, name: &str) -> Option<u64> {
        find(&self.lists().gauges, name)
    }

    pub(super) fn histogram(&self, name: &str) -> Option<Vec<u64>> {
        find(&self.lists().histograms, name)
    }

    /// Adds a metric to one of the lists, and gives its id.
    pub(super) fn define<T: Default>(
        &self,
        list: impl FnOnce(&mut Lists) -> &mut Vec<(String, T)>,
        name: String,
    ) -> Result<usize, MetricsResult> {
        let mut lists = self.lists();
        if lists.frozen {
            return Err(MetricsResult::Frozen);
        }
        let list = list(&mut lists);
        list.push((name, T::default()));
        Ok(list.len())
    }

    /// Changes the metric of this id.
    pub(super) fn change<T>(
        &self,
        list: impl FnOnce(&mut Lists) -> &mut Vec<(String, T)>,
        id: usize,
        change: impl FnOnce(&mut T),
    ) -> u32 {
        let mut lists = self.lists();
        let list = list(&mut lists);
        match id.checked_sub(1).and_then(|index| list.get_mut(index)) {
            Some((_, value)) => {
                change(value);
                MetricsResult::Success.number()
            }
            None => MetricsResult::MetricNotFound.number(),
        }
    }
}

fn find<T: Clone>(list: &[(String, T)], name: &str) -> Option<T> {
    list.iter().find(|metric| metric.0 == name).map(|metric| metric.1.clone())
}
