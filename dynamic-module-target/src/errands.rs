//! Callouts that outlive their stream: the main thread sends them, since a stream's own die with it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use envoy_proxy_dynamic_modules_rust_sdk::{EnvoyHttpFilterConfig, EnvoyHttpFilterConfigScheduler};
use pintle_core::{Callout, DispatchError, Errand};

use crate::host;

/// The event that has the main thread send the next callout.
pub(crate) const SEND: u64 = 0;

/// A configuration has at most so many under way at once, waiting ones included: more than the main
/// thread sends in a breath, and little enough memory.
const MOST: usize = 1024;

/// Those of one configuration.
pub(crate) struct Errands {
    scheduler: EnvoyHttpFilterConfigScheduler,
    desk: Mutex<Desk>,
}

#[derive(Default)]
struct Desk {
    closed: bool,
    waiting: VecDeque<Parcel>,
    sent: BTreeMap<u64, Errand>,
}

/// A callout that waits to be sent, and what is to be done at its end.
pub(crate) struct Parcel {
    cluster: String,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    timeout_ms: u32,
    taken_on: Instant,
    pub(crate) errand: Errand,
}

/// Why a callout that was taken on was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// Its time was up before its turn came.
    Late,
    /// It could not be started.
    Refused(DispatchError),
}

impl Errands {
    /// None yet; `scheduler` reaches the main thread.
    pub(crate) fn new(scheduler: EnvoyHttpFilterConfigScheduler) -> Self {
        Self { scheduler, desk: Mutex::default() }
    }

    /// Takes one on, from any thread.
    pub(crate) fn take_on(
        &self,
        callout: &Callout<'_>,
        errand: Errand,
    ) -> Result<(), DispatchError> {
        let mut desk = self.desk();
        if desk.closed || desk.waiting.len() + desk.sent.len() >= MOST {
            return Err(DispatchError::CannotSend);
        }
        desk.waiting.push_back(Parcel {
            cluster: callout.cluster.to_owned(),
            fields: callout.fields.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect(),
            body: callout.body.to_vec(),
            timeout_ms: callout.timeout_ms,
            taken_on: Instant::now(),
            errand,
        });
        drop(desk);
        // One event for each, so that a panic over one keeps none of the others.
        self.scheduler.commit(SEND);
        Ok(())
    }

    /// The next one to send.
    pub(crate) fn next(&self) -> Option<Parcel> {
        self.desk().waiting.pop_front()
    }

    /// Keeps one that is under way.
    pub(crate) fn sent(&self, id: u64, errand: Errand) {
        self.desk().sent.insert(id, errand);
    }

    /// Gives back one that is no longer under way.
    pub(crate) fn ended(&self, id: u64) -> Option<Errand> {
        self.desk().sent.remove(&id)
    }

    /// Gives back all of them, and takes none on any more.
    pub(crate) fn close(&self) -> Vec<Errand> {
        let mut desk = self.desk();
        desk.closed = true;
        let sent = core::mem::take(&mut desk.sent).into_values();
        let waiting = core::mem::take(&mut desk.waiting).into_iter().map(|parcel| parcel.errand);
        sent.chain(waiting).collect()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing panics while it is locked.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parcel {
    /// The cluster that the callout goes to.
    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Sends the callout, on the main thread, with what is left of its time.
    pub(crate) fn send(&self, envoy: &EnvoyHttpFilterConfig) -> Result<u64, Unsent> {
        #[cfg(feature = "test-panic")]
        assert_ne!(self.cluster, "test-panic", "asked for");
        let left = left_ms(self.timeout_ms, self.taken_on.elapsed()).ok_or(Unsent::Late)?;
        let fields = self.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        let sent = envoy.send_http_callout(&self.cluster, fields, Some(&self.body), left);
        sent.map_err(|why| Unsent::Refused(host::dispatch_error(why)))
    }
}

/// What is left of a timeout, in milliseconds; to Envoy, no time at all would be time without end.
fn left_ms(timeout_ms: u32, waited: Duration) -> Option<u64> {
    let left = u128::from(timeout_ms).saturating_sub(waited.as_millis());
    u64::try_from(left).ok().filter(|&left| left > 0)
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("the time was up before the request could be sent"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let desk = self.desk();
        write!(f, "Errands({} waiting, {} sent)", desk.waiting.len(), desk.sent.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, left_ms};

    #[test]
    fn the_time_of_waiting_counts() {
        let left = |waited| left_ms(1_000, Duration::from_millis(waited));
        assert_eq!([0, 1, 999].map(left), [Some(1_000), Some(999), Some(1)]);
        assert_eq!([1_000, 1_001, u64::MAX].map(left), [None; 3]);
        assert_eq!(left_ms(0, Duration::ZERO), None);
        assert_eq!(left_ms(u32::MAX, Duration::from_micros(900)), Some(u32::MAX.into()));
    }
}
